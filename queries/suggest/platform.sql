/*
Accounts of the platform itself and guests of sites, as the logs call them.

user_key, user_id, username, role (internal_system | guest)
events, first_at, last_at
*/
WITH events AS (
    SELECT user_key, user_id, username, role, occurred_at FROM logins
    WHERE occurred_at >= $since AND occurred_at < $until AND role IN ('guest', 'internal_system')
    UNION ALL
    SELECT user_key, user_id, username, role, occurred_at FROM logouts
    WHERE occurred_at >= $since AND occurred_at < $until AND role IN ('guest', 'internal_system')
    UNION ALL
    SELECT user_key, user_id, username, role, occurred_at FROM ui_activity
    WHERE occurred_at >= $since AND occurred_at < $until AND role IN ('guest', 'internal_system')
    UNION ALL
    SELECT user_key, user_id, username, role, occurred_at FROM api_calls
    WHERE occurred_at >= $since AND occurred_at < $until AND role IN ('guest', 'internal_system')
)
SELECT
    user_key, max(user_id) AS user_id, max(username) AS username, min(role) AS role,
    count(*) AS events, min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM events
WHERE user_key IS NOT NULL
GROUP BY user_key
ORDER BY user_key
