/*
Networks and apps that machines were seen with, day by day: one row per account, day, kind (network,
app) and value; successful logins and API calls together. Of the days from $first to $last; of the account $user_key,
whatever its role, where one is named.
*/
SELECT
    user_key,
    day,
    kind,
    value,
    max(CASE WHEN kind = 'app' THEN app_name END) AS app_name,
    sum(events) AS events,
    min(first_at) AS first_at,
    max(last_at) AS last_at
FROM sightings
WHERE day >= $first AND day <= $last AND user_key IS NOT NULL AND value IS NOT NULL
  AND kind IN ('network', 'app')
  AND (user_key = $user_key OR ($user_key IS NULL AND role IN ('integration', 'ci', 'api_named')))
GROUP BY user_key, day, kind, value
ORDER BY user_key, day, kind, value
