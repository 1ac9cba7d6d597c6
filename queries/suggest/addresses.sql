/*
The addresses from which the accounts $keys worked: successful logins that were not through the UI, and calls
that were answered. The address of a login through the UI, or of an unknown kind, is no evidence of where a
machine stands.

user_key, ip (NULL: Salesforce's own, or unreadable), ip_kind
days               on which it was seen, ascending
logins, calls
*/
WITH wanted AS (
    SELECT DISTINCT k.user_key FROM (SELECT unnest(CAST($keys AS VARCHAR[])) AS user_key) k
),
activity AS (
    SELECT l.user_key, l.ip, l.ip_kind, l.day, 1 AS login, 0 AS call
    FROM logins l JOIN wanted w ON w.user_key = l.user_key
    WHERE l.occurred_at >= $since AND l.occurred_at < $until AND l.outcome = 'success'
      AND NOT l.is_ui AND l.login_path <> 'unmapped'
    UNION ALL
    SELECT c.user_key, c.ip, c.ip_kind, c.day, 0 AS login, c.calls AS call
    FROM api_calls c JOIN wanted w ON w.user_key = c.user_key
    WHERE c.occurred_at >= $since AND c.occurred_at < $until
      AND NOT coalesce(c.is_error, false)
      AND coalesce(upper(c.client_category), '') <> 'LIGHTNING_UI'
),
by_day AS (
    SELECT user_key, ip, ip_kind, day, sum(login) AS logins, sum(call) AS calls
    FROM activity
    GROUP BY user_key, ip, ip_kind, day
)
SELECT user_key, ip, ip_kind, array_agg(day ORDER BY day) AS days, sum(logins) AS logins, sum(calls) AS calls
FROM by_day
GROUP BY user_key, ip, ip_kind
ORDER BY user_key, ip, ip_kind
