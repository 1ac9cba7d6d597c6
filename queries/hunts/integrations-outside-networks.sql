/*
id = "integrations-outside-networks"
title = "Logins and calls of integration users from addresses that the registry does not declare"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    username, source, ip, coalesce(ip_country(ip), '') AS country,
    nearest_network(user_key, ip, max(occurred_at)) AS nearest_declared,
    count(*) AS events, min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM (
    SELECT user_key, username, role, ip, occurred_at, 'login' AS source
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end AND outcome = 'success'
    UNION ALL
    SELECT user_key, username, role, ip, occurred_at, 'call' AS source
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
)
WHERE role = 'integration' AND in_networks(user_key, ip, occurred_at) = false
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
GROUP BY user_key, username, source, ip
ORDER BY events DESC, username, source, ip, country, nearest_declared, first_at, last_at
