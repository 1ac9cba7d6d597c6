/*
id = "first-seen"
title = "What was seen for the first time: networks, apps, clients, objects, doors"
days = 7

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"

[params.kinds]
type = "text_list"
default = ["network", "app", "client", "user_agent", "country", "login_path", "api_version", "object", "bulk_operation"]
meaning = "kinds of the table first_seen"
*/
SELECT
    f.first_at, coalesce(known_username(f.user_key), f.user_key) AS username, f.kind, f.value, f.app_key, f.days, f.events, f.last_at
FROM (
    SELECT user_key, app_key, kind, value, first_at, last_at, days, events
    FROM first_seen
    WHERE first_at >= $window_start AND first_at < $window_end
) f
WHERE array_has($kinds, f.kind)
  AND ($user = '' OR f.user_key = sf_id18($user) OR lower(known_username(f.user_key)) = lower($user))
ORDER BY f.first_at, username, f.kind, f.value, f.app_key, days, events, last_at
