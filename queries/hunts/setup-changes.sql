/*
id = "setup-changes"
title = "What was changed in Setup, by whom"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    CAST(occurred_at AS DATE) AS day, coalesce(username, user_id) AS username, section, action, delegateuser AS on_behalf_of, count(*) AS changes,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM setup_audit_trail
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND ($user = '' OR user_id = sf_id18($user) OR lower(username) = lower($user))
GROUP BY CAST(occurred_at AS DATE), coalesce(username, user_id), section, action, delegateuser
ORDER BY day, username, section, action, on_behalf_of, changes, first_at, last_at
