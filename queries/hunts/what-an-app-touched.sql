/*
id = "what-an-app-touched"
title = "Objects that an app read or changed, by user"
days = 30

[params.app]
type = "text"
meaning = "name or id of the connected app"
*/
SELECT
    app, username, coalesce(entity_name, '') AS object, api_family, count(*) AS requests, sum(rows_processed) AS rows,
    count(*) FILTER (WHERE is_error) AS refused, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
    array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 5) AS addresses
FROM api_calls
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND (app_name_key(app) = app_name_key($app) OR app_id = sf_id18($app))
GROUP BY app, user_key, username, coalesce(entity_name, ''), api_family
ORDER BY requests DESC, username, object, api_family, app, rows, refused, first_at, last_at
