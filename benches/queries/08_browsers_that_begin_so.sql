-- A pattern over text.
SELECT count(*) AS logins, count(DISTINCT user_id) AS users
FROM elf_login
WHERE browser_type LIKE '%Java%' OR browser_type LIKE '%python%'
