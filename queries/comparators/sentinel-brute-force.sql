/*
id = "sentinel-brute-force"
title = "Ten failures and a success of one user in 20 minutes"
source = "Microsoft Sentinel, solution Salesforce Service Cloud, analytic rule 5a6ce089-e756-40fb-b022-c8e8864a973a (Salesforce-BruteForce.yaml)"
claims = "Somebody guessed a user's password"
tier = "free"
severity = "medium"
notes = "Its windows are the runs of the rule: 20 minutes each, one behind the other. Failures are all that is no success."
*/
WITH windows AS (
    SELECT
        user_key,
        date_bin(INTERVAL '20 minutes', occurred_at) AS began,
        count(*) FILTER (WHERE outcome <> 'success') AS failures,
        count(*) FILTER (WHERE outcome = 'success') AS successes,
        min(occurred_at) AS first_at
    FROM logins
    WHERE user_key IS NOT NULL AND source <> 'login_history'
    GROUP BY user_key, date_bin(INTERVAL '20 minutes', occurred_at)
)
SELECT DISTINCT CAST(first_at AS DATE) AS day, user_key
FROM windows
WHERE failures >= 10 AND successes >= 1
ORDER BY day, user_key
