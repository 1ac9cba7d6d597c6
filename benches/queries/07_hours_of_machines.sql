-- The rhythm of API clients, by hour.
SELECT date_part('hour', occurred_at) AS hour, count(*) AS logins, sum(run_time) AS run_time
FROM elf_login
WHERE login_type IN ('Remote Access 2.0', 'i', 'A') OR api_type IS NOT NULL
GROUP BY 1 ORDER BY 1
