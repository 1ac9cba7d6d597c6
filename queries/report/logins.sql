/*
Logins of machines, day by day: one row per account, day, door, outcome and network
(`declared`: whether a declared network held the address; NULL where none is declared or where there
is no address). Of the days from $first to $last; of the account $user_key, whatever its role, where
one is named.
*/
SELECT
    user_key,
    day,
    login_path,
    outcome,
    max(username) AS username,
    max(role) AS role,
    max(role_source) AS role_source,
    max(system) AS system,
    max(owner) AS owner,
    network_of(ip) AS network,
    in_networks(user_key, ip, occurred_at) AS declared,
    count(*) AS logins
FROM logins
WHERE day >= $first AND day <= $last AND user_key IS NOT NULL
  AND (user_key = $user_key OR ($user_key IS NULL AND role IN ('integration', 'ci', 'api_named')))
GROUP BY user_key, day, login_path, outcome, network_of(ip), in_networks(user_key, ip, occurred_at)
ORDER BY user_key, day, login_path, outcome, network, declared
