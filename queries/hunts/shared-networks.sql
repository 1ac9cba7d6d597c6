/*
id = "shared-networks"
title = "Networks that several integration users come from"
days = 30

[params.users]
type = "int"
default = 2
meaning = "users of a network from which it is shown"
*/
SELECT
    value AS network, ip_as_name(value) AS operator, ip_country(value) AS country, count(DISTINCT user_key) AS users,
    array_slice(array_agg(DISTINCT username ORDER BY username), 1, 10) AS usernames, sum(events) AS events,
    min(first_at) AS first_at, max(last_at) AS last_at
FROM sightings
WHERE kind = 'network' AND role = 'integration'
  AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
GROUP BY value
HAVING count(DISTINCT user_key) >= $users
ORDER BY users DESC, network, operator, country, events, first_at, last_at
