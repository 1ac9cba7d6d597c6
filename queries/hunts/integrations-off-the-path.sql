/*
id = "integrations-off-the-path"
title = "Logins of integration users that are not through a connected app, or from the user interface"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    username, role_source, system, login_path, is_ui, is_connected_app, outcome, app, ip, country, count(*) AS logins,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND role = 'integration' AND (is_ui OR is_connected_app IS NOT TRUE)
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
GROUP BY user_key, username, role_source, system, login_path, is_ui, is_connected_app, outcome, app, ip, country
ORDER BY last_at DESC, username, login_path, outcome, app, ip, country, is_ui, is_connected_app, role_source, system,
    logins, first_at
