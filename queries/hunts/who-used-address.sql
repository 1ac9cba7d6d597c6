/*
id = "who-used-address"
title = "Everybody who logged in or called from an address or a network"
days = 30

[params.address]
type = "text"
meaning = "an address, or a network such as 198.51.100.0/24"
*/
SELECT
    username, role, source, count(*) AS events, sum(failed) AS failed,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at,
    array_slice(array_agg(DISTINCT app ORDER BY app) FILTER (WHERE app IS NOT NULL), 1, 5) AS apps
FROM (
    SELECT user_key, username, role, 'login' AS source, ip, occurred_at, app, CASE WHEN outcome = 'failure' THEN 1 ELSE 0 END AS failed
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT user_key, username, role, 'call' AS source, ip, occurred_at, app, CASE WHEN is_error THEN 1 ELSE 0 END AS failed
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT user_key, username, role, 'page' AS source, ip, occurred_at, CAST(NULL AS VARCHAR) AS app, 0 AS failed
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
)
WHERE ip = $address OR ip_in(ip, $address)
GROUP BY user_key, username, role, source
ORDER BY events DESC, username, source, role, failed, first_at, last_at
