/*
id = "rows-by-object"
title = "Which objects gave out most rows, to whom and through what"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"

[params.rows]
type = "int"
default = 100
meaning = "rows shown"
*/
SELECT
    coalesce(entity_name, '') AS object, username, role, app, api_family, count(*) AS requests, sum(rows_processed) AS rows,
    count(*) FILTER (WHERE rows_processed IS NULL) AS requests_of_unknown_rows, max(rows_processed) AS most_at_once
FROM api_calls
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND calls = 0
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
GROUP BY coalesce(entity_name, ''), user_key, username, role, app, api_family
ORDER BY rows DESC NULLS LAST, object, username, app, api_family, role, requests, requests_of_unknown_rows,
    most_at_once
LIMIT $rows
