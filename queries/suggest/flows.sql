/*
The login paths by which the accounts $keys came in.

user_key, login_path, is_ui
days, logins
ips                some of the addresses
*/
WITH wanted AS (
    SELECT DISTINCT k.user_key FROM (SELECT unnest(CAST($keys AS VARCHAR[])) AS user_key) k
),
by_day AS (
    SELECT l.user_key, l.login_path, l.is_ui, l.day, l.ip, count(*) AS logins
    FROM logins l JOIN wanted w ON w.user_key = l.user_key
    WHERE l.occurred_at >= $since AND l.occurred_at < $until AND l.outcome = 'success'
    GROUP BY l.user_key, l.login_path, l.is_ui, l.day, l.ip
)
SELECT
    user_key, login_path, coalesce(is_ui, true) AS is_ui,
    array_agg(DISTINCT day ORDER BY day) AS days, sum(logins) AS logins,
    array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 5) AS ips
FROM by_day
GROUP BY user_key, login_path, coalesce(is_ui, true)
ORDER BY user_key, login_path, is_ui
