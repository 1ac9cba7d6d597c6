/*
id = "report-exports"
title = "Report exports by user and address"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    coalesce(known_username(user_id), user_id) AS username, CAST(occurred_at AS DATE) AS day, ip, count(DISTINCT request_id) AS exports,
    min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM elf_report_export
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND ($user = '' OR user_id = sf_id18($user) OR lower(known_username(user_id)) = lower($user))
GROUP BY user_id, CAST(occurred_at AS DATE), ip
ORDER BY day, exports DESC, username, ip, first_at, last_at
