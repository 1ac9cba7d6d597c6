/*
id = "failed-logins-by-reason"
title = "Why logins failed, of whom and from where"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    username, role, status, fail_class, login_path, count(*) AS failures, count(DISTINCT ip) AS addresses,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND outcome = 'failure'
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
GROUP BY user_key, username, role, status, fail_class, login_path
ORDER BY failures DESC, username, status, fail_class, login_path, role, addresses, first_at, last_at
