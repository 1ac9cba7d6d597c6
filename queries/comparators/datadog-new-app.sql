/*
id = "datadog-new-app"
title = "A login of an app that the org has not seen"
source = "Datadog, default rule def-000-1u8, Salesforce login from new application"
claims = "An unknown app reads the org's data"
tier = "free"
severity = "medium"
notes = "The app is LoginHistory's, and the first seven days of logs teach."
*/
WITH firsts AS (
    SELECT app, min(occurred_at) AS first_at, first_value(user_key ORDER BY occurred_at, user_key) AS user_key
    FROM logins
    WHERE outcome = 'success' AND app IS NOT NULL AND user_key IS NOT NULL
    GROUP BY app
),
began AS (
    SELECT min(day) AS day FROM sightings
)
SELECT DISTINCT CAST(f.first_at AS DATE) AS day, f.user_key
FROM firsts AS f
CROSS JOIN began AS b
WHERE CAST(f.first_at AS DATE) >= b.day + INTERVAL '7 days'
ORDER BY day, user_key
