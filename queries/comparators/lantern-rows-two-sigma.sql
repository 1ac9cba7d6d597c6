/*
id = "lantern-rows-two-sigma"
title = "Rows of a day above the user's mean by two standard deviations"
source = "Splunk Lantern, Spike in exported records from Salesforce cloud"
claims = "A user exports far more than usual"
tier = "shield"
severity = "medium"
notes = "Days on which the user read anything, at least seven with the day itself; mean and deviation of all days before it."
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
        count(*) OVER before AS days_before,
        avg(rows_of_day) OVER before AS mean,
        stddev_samp(rows_of_day) OVER before AS deviation
    FROM days
    WINDOW before AS (PARTITION BY user_key ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT day, user_key
FROM judged
WHERE days_before + 1 >= 7 AND rows_of_day > mean + 2 * deviation
ORDER BY day, user_key
