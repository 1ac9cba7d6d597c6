/*
What machines did, day by day: one row per account and day. Of the days from $first to $last; of the
account $user_key, whatever its role, where one is named.
*/
SELECT
    user_key,
    day,
    max(username) AS username,
    max(role) AS role,
    max(role_source) AS role_source,
    max(system) AS system,
    max(owner) AS owner,
    sum(calls) AS calls,
    sum(call_errors) AS call_errors,
    sum(rows_read) AS rows_read
FROM activity_hourly
WHERE day >= $first AND day <= $last AND user_key IS NOT NULL
  AND (user_key = $user_key OR ($user_key IS NULL AND role IN ('integration', 'ci', 'api_named')))
GROUP BY user_key, day
ORDER BY user_key, day
