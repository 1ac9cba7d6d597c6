/*
id = "old-api-versions"
title = "Who still calls with old API versions, and with which client"
days = 30

[params.below]
type = "float"
default = 45.0
meaning = "versions lower than this one"
*/
SELECT
    try_cast(value AS DOUBLE) AS api_version, username, role, coalesce(app_name, app_key) AS app, sum(events) AS events,
    count(DISTINCT day) AS days, min(first_at) AS first_at, max(last_at) AS last_at
FROM sightings
WHERE kind = 'api_version' AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
  AND try_cast(value AS DOUBLE) < $below
GROUP BY try_cast(value AS DOUBLE), user_key, username, role, coalesce(app_name, app_key)
ORDER BY api_version, events DESC, username, app, role, days, first_at, last_at
