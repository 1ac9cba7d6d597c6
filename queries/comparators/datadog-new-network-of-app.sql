/*
id = "datadog-new-network-of-app"
title = "An app's OAuth login from an autonomous system that is new for the app"
source = "Datadog, default rule def-000-mnx, Salesforce previously unseen network for application OAuth login"
claims = "A stolen token is used elsewhere"
tier = "free"
severity = "medium"
notes = "The app is LoginHistory's. Where no database names the autonomous system, the /24 or /48 stands for it. The first seven days of an app teach; a value is forgotten after 28 days."
*/
WITH days AS (
    SELECT app, origin_of(ip) AS origin, user_key, CAST(occurred_at AS DATE) AS day
    FROM logins
    WHERE outcome = 'success' AND app IS NOT NULL AND ip IS NOT NULL AND login_path LIKE 'oauth%'
),
origins AS (
    SELECT app, origin, day, min(user_key) AS user_key
    FROM days
    WHERE origin IS NOT NULL
    GROUP BY app, origin, day
),
judged AS (
    SELECT
        app,
        day,
        user_key,
        lag(day) OVER (PARTITION BY app, origin ORDER BY day) AS day_before,
        min(day) OVER (PARTITION BY app) AS began
    FROM origins
)
SELECT DISTINCT day, user_key
FROM judged
WHERE (day_before IS NULL OR day_before < day - INTERVAL '28 days') AND day >= began + INTERVAL '7 days'
ORDER BY day, user_key
