/*
id = "findings-of-user"
title = "All that was ever found about a user"
days = 0

[params.user]
type = "text"
meaning = "username or id of the user"
*/
SELECT first_seen, last_seen, severity, rule_id, title, status, count, expected, observed, finding_id, case_id
FROM findings
WHERE user_key = sf_id18($user) OR user_id = sf_id18($user) OR lower(username) = lower($user)
ORDER BY first_seen DESC, rule_id, finding_id
