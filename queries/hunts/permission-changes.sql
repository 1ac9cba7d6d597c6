/*
id = "permission-changes"
title = "Permissions that users gained or lost between two roster snapshots"
days = 90

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"
*/
SELECT
    'gained' AS change, day, username, role, permission, source_kind, source_name
FROM permissions p
WHERE day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE) AND previous_day IS NOT NULL
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
  AND NOT EXISTS (
      SELECT 1 FROM permissions b
      WHERE b.user_key = p.user_key AND b.permission = p.permission AND b.day = p.previous_day)
UNION ALL
SELECT
    'lost' AS change, next_day AS day, username, role, permission, source_kind, source_name
FROM permissions p
WHERE next_day >= CAST($window_start AS DATE) AND next_day < CAST($window_end AS DATE)
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
  AND NOT EXISTS (
      SELECT 1 FROM permissions a
      WHERE a.user_key = p.user_key AND a.permission = p.permission AND a.day = p.next_day)
ORDER BY day, username, change, permission, source_kind, source_name, role
