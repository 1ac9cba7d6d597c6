/*
id = "api-volume-by-hour"
title = "Calls, rows and bytes of each hour"
days = 7

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    hour, username, role, coalesce(app_name, app_key) AS app, calls, call_errors, rows_read, bytes, deletes, networks, objects
FROM activity_hourly
WHERE hour >= $window_start AND hour < $window_end
  AND day >= CAST($window_start AS DATE) AND day <= CAST($window_end AS DATE)
  AND calls + rows_read + bytes + deletes > 0
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
ORDER BY hour, username, app, role, calls, call_errors, rows_read, bytes, deletes, networks, objects
