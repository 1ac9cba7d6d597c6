/*
The accounts of the newest roster, with the marks of a machine. Asked only where the lake has a roster.

user_key, user_id, username, is_active
has_integration_licence     the Salesforce Integration licence, or a permission-set licence of that kind
is_api_only                 holds "API Only User"
is_platform_user
token_apps                  apps that hold OAuth tokens for it
*/
WITH api_only AS (
    SELECT DISTINCT user_key
    FROM permissions
    WHERE permission = 'ApiUserOnly' AND CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
),
tokens AS (
    SELECT user_key, array_slice(array_agg(DISTINCT app_name ORDER BY app_name), 1, 10) AS token_apps
    FROM oauth_tokens
    WHERE app_name IS NOT NULL AND CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
    GROUP BY user_key
)
SELECT
    u.user_key, u.user_id, u.username, coalesce(u.is_active, true) AS is_active,
    coalesce(u.has_integration_licence, false) AS has_integration_licence,
    a.user_key IS NOT NULL AS is_api_only,
    coalesce(u.is_platform_user, false) AS is_platform_user,
    t.token_apps
FROM users u
LEFT JOIN api_only a ON a.user_key = u.user_key
LEFT JOIN tokens t ON t.user_key = u.user_key
WHERE CAST($now AS DATE) >= u.day AND CAST($now AS DATE) < u.next_day
ORDER BY u.user_key
