/*
id = "panther-bulk-tiers"
title = "Bulk jobs by their size"
source = "Panther, panther-analysis, rule Salesforce.BulkAPI.DataExfiltration"
claims = "A bulk job takes data away"
tier = "shield"
severity = "medium"
notes = "Each finished job alerts, as there; a job of its lowest tier counts as info. The log of jobs stands for the event of results, which no log file has."
*/
WITH jobs AS (
    SELECT
        CAST(ended_at AS DATE) AS day,
        user_key,
        lower(operation) AS operation,
        coalesce(records_processed, 0) AS records
    FROM bulk_jobs
    WHERE user_key IS NOT NULL
),
tiers AS (
    SELECT
        day,
        user_key,
        CASE
            WHEN operation IN ('query', 'queryall') THEN CASE
                WHEN records >= 100000 THEN 4 WHEN records >= 50000 THEN 3 WHEN records >= 10000 THEN 2 ELSE 0 END
            WHEN operation IN ('delete', 'harddelete') THEN CASE
                WHEN records >= 10000 THEN 3 WHEN records >= 1000 THEN 2 ELSE 0 END
            ELSE CASE WHEN records >= 50000 THEN 3 WHEN records >= 10000 THEN 2 ELSE 0 END
        END AS tier
    FROM jobs
)
SELECT
    day,
    user_key,
    CASE max(tier) WHEN 4 THEN 'critical' WHEN 3 THEN 'high' WHEN 2 THEN 'medium' ELSE 'info' END AS severity
FROM tiers
GROUP BY day, user_key
ORDER BY day, user_key
