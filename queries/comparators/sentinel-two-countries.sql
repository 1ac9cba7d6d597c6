/*
id = "sentinel-two-countries"
title = "Logins of one user from two countries in half an hour"
source = "Microsoft Sentinel, solution Salesforce Service Cloud, analytic rule 3094e036-e5ae-4d6e-8626-b0f86ebc71f2 (Salesforce-SigninsMultipleCountries.yaml)"
claims = "A user signs in from two places at once"
tier = "free"
severity = "medium"
notes = "The country is the one that LoginHistory states, instead of the lookup in a downloaded table."
*/
WITH bins AS (
    SELECT
        user_key,
        date_bin(INTERVAL '30 minutes', occurred_at) AS began,
        count(DISTINCT country) AS countries
    FROM logins
    WHERE outcome = 'success' AND user_key IS NOT NULL
    GROUP BY user_key, date_bin(INTERVAL '30 minutes', occurred_at)
)
SELECT DISTINCT CAST(began AS DATE) AS day, user_key
FROM bins
WHERE countries >= 2
ORDER BY day, user_key
