/*
id = "panther-api-calls"
title = "More than 5,000 calls of a user through one app in a day"
source = "Panther, panther-analysis, rule salesforce_oauth_credential_abuse"
claims = "A token is abused"
tier = "free"
severity = "medium"
notes = "The tiers medium (more than 5,000 calls) and high (more than 10,000). That the rule alerts on every row of ApiTotalUsage besides is left out."
*/
WITH days AS (
    SELECT day, user_key, app_key, sum(calls) AS calls
    FROM activity_hourly
    WHERE user_key IS NOT NULL
    GROUP BY day, user_key, app_key
)
SELECT day, user_key, CASE WHEN max(calls) > 10000 THEN 'high' ELSE 'medium' END AS severity
FROM days
WHERE calls > 5000
GROUP BY day, user_key
ORDER BY day, user_key
