-- A filtered aggregate: which logins failed, by status.
SELECT login_status, count(*) AS logins, count(DISTINCT user_id) AS users
FROM elf_login
WHERE login_status <> 'LOGIN_NO_ERROR'
GROUP BY login_status ORDER BY logins DESC, login_status LIMIT 20
