-- What was seen for the first time in the last week.
SELECT CAST(first_at AS DATE) AS day, count(*) AS pairs
FROM (SELECT user_id, source_ip, min(occurred_at) AS first_at FROM elf_login GROUP BY 1, 2)
WHERE first_at >= TIMESTAMP '2026-01-28 00:00:00'
GROUP BY 1 ORDER BY 1
