/*
id = "guest-activity"
title = "What visitors without a login called and read"
days = 30
*/
SELECT
    username, what, coalesce(detail, '') AS detail, count(*) AS requests, count(DISTINCT ip) AS addresses,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM (
    SELECT user_key, username, role, 'call' AS what, coalesce(entity_name, resource) AS detail, ip, occurred_at
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT user_key, username, role, 'component' AS what, action AS detail, ip, occurred_at
    FROM aura_actions
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT user_key, username, role, 'page' AS what, page AS detail, ip, occurred_at
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
)
WHERE role = 'guest'
GROUP BY user_key, username, what, coalesce(detail, '')
ORDER BY requests DESC, username, what, detail, addresses, first_at, last_at
