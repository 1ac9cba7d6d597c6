/*
The accounts of the newest roster, with the marks of a machine. Asked only where the lake has a roster.

user_key, user_id, username, is_active
has_integration_licence     the Salesforce Integration licence, or a permission-set licence of that kind
is_api_only                 holds "API Only User"
is_platform_user
*/
SELECT
    u.user_key, u.user_id, u.username, coalesce(u.is_active, true) AS is_active,
    coalesce(u.has_integration_licence, false) AS has_integration_licence,
    EXISTS (
        SELECT 1 FROM permissions p
        WHERE p.user_key = u.user_key AND p.permission = 'ApiUserOnly'
          AND CAST($now AS DATE) >= p.day AND CAST($now AS DATE) < p.next_day) AS is_api_only,
    coalesce(u.is_platform_user, false) AS is_platform_user
FROM users u
WHERE CAST($now AS DATE) >= u.day AND CAST($now AS DATE) < u.next_day
ORDER BY u.user_key
