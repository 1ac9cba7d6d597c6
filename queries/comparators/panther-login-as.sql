/*
id = "panther-login-as"
title = "An administrator logs in as another user"
source = "Panther, panther-analysis, rule salesforce_admin_login_as_user"
claims = "An administrator acts as somebody else"
tier = "shield"
severity = "info"
notes = "Every row alerts. Both the administrator and the user count as its subject."
*/
SELECT DISTINCT CAST(occurred_at AS DATE) AS day, user_id AS user_key
FROM elf_login_as
WHERE user_id IS NOT NULL
ORDER BY day, user_key
