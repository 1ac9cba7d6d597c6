/*
When the accounts $keys work: hours of the week (UTC), and the pauses between.

user_key
kind               slot | pause
weekday            1 = Monday to 7; of a slot
hour               0 to 23; of a slot
minutes            length; of a pause
seen               different days of a slot; how many pauses of this length
*/
WITH wanted AS (
    SELECT DISTINCT k.user_key FROM (SELECT unnest(CAST($keys AS VARCHAR[])) AS user_key) k
),
-- One row a minute, so that the busiest machine is no more than 1,440 rows a day.
minutes AS (
    SELECT l.user_key, date_trunc('minute', l.occurred_at) AS at
    FROM logins l JOIN wanted w ON w.user_key = l.user_key
    WHERE l.occurred_at >= $since AND l.occurred_at < $until AND l.outcome = 'success'
      AND NOT l.is_ui AND l.login_path <> 'unmapped'
    UNION
    SELECT c.user_key, date_trunc('minute', c.occurred_at) AS at
    FROM api_calls c JOIN wanted w ON w.user_key = c.user_key
    WHERE c.occurred_at >= $since AND c.occurred_at < $until
      AND NOT coalesce(c.is_error, false)
      AND coalesce(upper(c.client_category), '') <> 'LIGHTNING_UI'
),
slots AS (
    SELECT
        user_key, CAST((extract(dow FROM at) + 6) % 7 + 1 AS BIGINT) AS weekday, CAST(extract(hour FROM at) AS BIGINT) AS hour,
        count(DISTINCT date_trunc('day', at)) AS seen
    FROM minutes
    GROUP BY 1, 2, 3
),
pauses AS (
    SELECT
        user_key,
        (CAST(at AS BIGINT) - CAST(lag(at) OVER (PARTITION BY user_key ORDER BY at) AS BIGINT)) / 60000 AS minutes
    FROM minutes
)
SELECT user_key, 'slot' AS kind, weekday, hour, CAST(NULL AS BIGINT) AS minutes, seen FROM slots
UNION ALL
SELECT user_key, 'pause', NULL, NULL, minutes, count(*) FROM pauses WHERE minutes IS NOT NULL GROUP BY user_key, minutes
ORDER BY user_key, kind, weekday, hour, minutes
