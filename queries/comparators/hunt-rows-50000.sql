/*
id = "hunt-rows-50000"
title = "More than 50,000 rows in a day, or ten times the user's mean"
source = "Published hunting playbook for Salesforce, hypothesis H-08"
claims = "A user exports in bulk"
tier = "shield"
severity = "high"
notes = "The mean is that of all days before on which the user read anything; without one only the fixed limit holds."
*/
WITH days AS (
    SELECT user_key, day, CAST(sum(rows_read) AS DOUBLE) AS rows_of_day
    FROM activity_hourly
    WHERE user_key IS NOT NULL AND rows_read > 0
    GROUP BY user_key, day
),
judged AS (
    SELECT
        user_key,
        day,
        rows_of_day,
        avg(rows_of_day) OVER (
            PARTITION BY user_key ORDER BY day
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS mean
    FROM days
)
SELECT day, user_key
FROM judged
WHERE rows_of_day > 50000 OR rows_of_day > 10 * mean
ORDER BY day, user_key
