/*
id = "panther-login-as"
title = "An administrator logs in as another user"
source = "Panther, panther-analysis, rule salesforce_admin_login_as_user"
claims = "An administrator acts as somebody else"
tier = "shield"
severity = "info"
notes = "Every row alerts. Both the administrator and the user count as its subject."
*/
SELECT DISTINCT day, user_key
FROM (
    SELECT CAST(occurred_at AS DATE) AS day, user_id AS user_key FROM elf_login_as
    UNION ALL
    SELECT CAST(occurred_at AS DATE) AS day, delegated_user_id AS user_key FROM elf_login_as
) AS users
WHERE user_key IS NOT NULL
ORDER BY day, user_key
