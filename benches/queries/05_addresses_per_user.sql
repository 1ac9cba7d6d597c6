-- Distinct values per group.
SELECT user_id, count(DISTINCT source_ip) AS addresses, count(*) AS logins
FROM elf_login
GROUP BY user_id ORDER BY addresses DESC, user_id LIMIT 20
