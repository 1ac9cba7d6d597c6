-- A needle: one user, one day.
SELECT count(*) AS logins, min(occurred_at) AS first_at, max(occurred_at) AS last_at
FROM elf_login
WHERE occurred_at >= TIMESTAMP '2026-01-20 00:00:00' AND occurred_at < TIMESTAMP '2026-01-21 00:00:00'
  AND user_id = (SELECT min(user_id) FROM elf_login WHERE occurred_at < TIMESTAMP '2026-01-06 00:00:00')
