/*
What was expected of each account and app, and whether a day was beyond it: calls of every day, and of
all else only what was beyond. The session says of which days.
*/
SELECT user_key, day, metric, actual, expected, centre, scale, unusual
FROM expected_activity
WHERE (metric = 'calls' OR unusual) AND ($user_key IS NULL OR user_key = $user_key)
ORDER BY user_key, day, metric, app_key
