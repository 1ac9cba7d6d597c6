-- All rows, two keys.
SELECT CAST(occurred_at AS DATE) AS day, login_type, count(*) AS logins
FROM elf_login
GROUP BY 1, 2 ORDER BY 1, 2
