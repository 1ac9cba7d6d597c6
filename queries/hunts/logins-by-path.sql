/*
id = "logins-by-path"
title = "The doors that each user came through, with networks and apps"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    username, role, login_path, outcome, count(*) AS logins, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
    count(DISTINCT ip) AS addresses,
    array_slice(array_agg(DISTINCT network_of(ip) ORDER BY network_of(ip)) FILTER (WHERE network_of(ip) IS NOT NULL), 1, 5) AS networks,
    array_slice(array_agg(DISTINCT app ORDER BY app) FILTER (WHERE app IS NOT NULL), 1, 5) AS apps
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
GROUP BY user_key, username, role, login_path, outcome
ORDER BY username, logins DESC, login_path, outcome, role, first_at, last_at, addresses
