-- A top list.
SELECT occurred_at, user_id, run_time, cpu_time
FROM elf_login
ORDER BY run_time DESC, occurred_at, user_id LIMIT 20
