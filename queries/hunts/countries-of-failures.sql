/*
id = "countries-of-failures"
title = "Countries and networks that failed logins come from"
days = 30
*/
SELECT
    coalesce(country, ip_country(ip), '') AS country, network_of(ip) AS network, count(*) AS failures,
    count(DISTINCT user_key) AS users, count(DISTINCT ip) AS addresses,
    array_slice(array_agg(DISTINCT status ORDER BY status) FILTER (WHERE status IS NOT NULL), 1, 5) AS reasons,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND outcome = 'failure'
GROUP BY coalesce(country, ip_country(ip), ''), network_of(ip)
ORDER BY failures DESC, country, network, users, addresses, first_at, last_at
