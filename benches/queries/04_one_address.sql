-- Who used one address, over everything.
SELECT user_id, count(*) AS logins, min(occurred_at) AS first_at
FROM elf_login
WHERE source_ip = (SELECT min(source_ip) FROM elf_login)
GROUP BY user_id ORDER BY logins DESC, user_id LIMIT 50
