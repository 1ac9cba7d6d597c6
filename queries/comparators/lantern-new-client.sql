/*
id = "lantern-new-client"
title = "A user calls the API with a client it never used"
source = "Splunk Lantern, New application accessing the Salesforce API"
claims = "A new client reads a user's data"
tier = "free"
severity = "low"
notes = "New is what the lake has not seen of the user before, after the first seven days of logs, which only teach."
*/
WITH firsts AS (
    SELECT user_key, value, min(day) AS day
    FROM sightings
    WHERE kind = 'client' AND value LIKE 'name:%' AND user_key IS NOT NULL
    GROUP BY user_key, value
),
began AS (
    SELECT min(day) AS day FROM sightings
)
SELECT DISTINCT f.day, f.user_key
FROM firsts AS f
CROSS JOIN began AS b
WHERE f.day >= b.day + INTERVAL '7 days'
ORDER BY f.day, f.user_key
