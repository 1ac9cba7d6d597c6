/*
The connected apps through which the accounts $keys worked. Logins know an app by its label, calls by its id
and label.

user_key
app_id             18 characters, NULL for a login
app                label as written
shape              a form of the label that look-alike letters do not change
days, logins, calls
*/
WITH wanted AS (
    SELECT DISTINCT k.user_key FROM (SELECT unnest(CAST($keys AS VARCHAR[])) AS user_key) k
),
activity AS (
    SELECT l.user_key, CAST(NULL AS VARCHAR) AS app_id, l.app, l.day, 1 AS login, 0 AS call
    FROM logins l JOIN wanted w ON w.user_key = l.user_key
    WHERE l.occurred_at >= $since AND l.occurred_at < $until AND l.outcome = 'success'
      AND NOT l.is_ui AND l.login_path <> 'unmapped'
    UNION ALL
    SELECT c.user_key, coalesce(sf_id18(trim(c.app_id)), nullif(trim(c.app_id), '')) AS app_id, c.app, c.day,
        0 AS login, c.calls AS call
    FROM api_calls c JOIN wanted w ON w.user_key = c.user_key
    WHERE c.occurred_at >= $since AND c.occurred_at < $until
      AND NOT coalesce(c.is_error, false)
      AND coalesce(upper(c.client_category), '') <> 'LIGHTNING_UI'
),
by_day AS (
    SELECT
        user_key, app_id,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A', 'BROWSER') THEN app END AS app,
        day, sum(login) AS logins, sum(call) AS calls
    FROM activity
    GROUP BY user_key, app_id, 3, day
)
SELECT
    user_key, app_id, app, skeleton(app) AS shape,
    array_agg(day ORDER BY day) AS days, sum(logins) AS logins, sum(calls) AS calls
FROM by_day
WHERE app_id IS NOT NULL OR app IS NOT NULL
GROUP BY user_key, app_id, app
ORDER BY user_key, app_id, app
