/*
id = "sentinel-password-spray"
title = "Wrong passwords for more than 15 users from one address in 5 minutes"
source = "Microsoft Sentinel, solution Salesforce Service Cloud, analytic rule 64d16e62-1a17-4a35-9ea7-2b9fe6f07118 (Salesforce-PasswordSpray.yaml)"
claims = "Somebody tries passwords on many users"
tier = "free"
severity = "medium"
notes = "Of the two statuses that it names; users are counted by their id, as there."
*/
WITH bins AS (
    SELECT
        coalesce(client_ip, source_ip) AS ip,
        date_bin(INTERVAL '5 minutes', occurred_at) AS began,
        count(DISTINCT user_key) AS users
    FROM logins
    WHERE status IN ('LOGIN_ERROR_INVALID_PASSWORD', 'LOGIN_ERROR_SSO_PWD_INVALID')
    GROUP BY coalesce(client_ip, source_ip), date_bin(INTERVAL '5 minutes', occurred_at)
)
SELECT DISTINCT CAST(began AS DATE) AS day, ip
FROM bins
WHERE users > 15
ORDER BY day, ip
