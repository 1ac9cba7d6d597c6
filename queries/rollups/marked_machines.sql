/*
Accounts that the newest roster marks as a machine's: by the licence Salesforce Integration, its
permission set licence, or a permission that keeps them out of the pages. Known accounts of the
platform and guests are none, whatever they have been given.

user_key           as in the views
*/
SELECT DISTINCT user_key
FROM (
    SELECT user_key FROM users
    WHERE next_day = DATE '9999-12-31' AND has_integration_licence AND NOT is_platform_user
    UNION ALL
    SELECT user_key FROM permissions
    WHERE next_day = DATE '9999-12-31' AND permission = 'ApiUserOnly' AND NOT is_platform_user
)
WHERE user_key IS NOT NULL
ORDER BY user_key
