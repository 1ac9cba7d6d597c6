/*
id = "token-in-two-networks"
title = "Sessions and logins whose key was used from more than one network"
days = 30
notes = "A token is shown as its digest; the same digest stands in every table."

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
WITH used AS (
    SELECT user_key, username, role, coalesce(session_key, login_key) AS token, network_of(ip) AS network, ip, occurred_at
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND coalesce(session_key, login_key) IS NOT NULL AND ip_kind = 'public'
    UNION ALL
    SELECT user_key, username, role, coalesce(session_key, login_key) AS token, network_of(ip) AS network, ip, occurred_at
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND coalesce(session_key, login_key) IS NOT NULL AND ip_kind = 'public'
)
SELECT
    username, role, token, count(DISTINCT network) AS networks,
    array_slice(array_agg(DISTINCT ip ORDER BY ip), 1, 10) AS addresses,
    count(*) AS events, min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM used
WHERE ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
GROUP BY user_key, username, role, token
HAVING count(DISTINCT network) > 1
ORDER BY networks DESC, events DESC, username, token, role, first_at, last_at
