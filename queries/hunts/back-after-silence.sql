/*
id = "back-after-silence"
title = "Users and apps that were silent for long and are back"
days = 14

[params.silent_days]
type = "int"
default = 30
meaning = "days without an event"
*/
WITH days AS (
    SELECT DISTINCT day, user_key, username, role, app_key
    FROM sightings
    WHERE day < CAST($window_end AS DATE) AND kind IN ('app', 'network', 'login_path')
),
gaps AS (
    SELECT
        user_key, username, role, app_key, day,
        lag(day) OVER (PARTITION BY user_key, app_key ORDER BY day, username, role) AS before
    FROM days
)
SELECT username, role, app_key, before AS last_day_before, day AS back_on, CAST(day - before AS BIGINT) AS silent_days
FROM gaps
WHERE before IS NOT NULL AND day >= CAST($window_start AS DATE) AND day - before >= $silent_days
ORDER BY silent_days DESC, username, app_key, back_on, role, last_day_before
