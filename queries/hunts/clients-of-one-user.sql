/*
id = "clients-of-one-user"
title = "Client programs that only one user has"
days = 30
*/
SELECT
    value AS client, max(username) AS username, max(role) AS role, min(first_at) AS first_at, max(last_at) AS last_at,
    sum(events) AS events, count(DISTINCT day) AS days
FROM sightings
WHERE kind = 'client' AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
GROUP BY value
HAVING count(DISTINCT user_key) = 1
ORDER BY first_at DESC, client, username, role, last_at, events, days
