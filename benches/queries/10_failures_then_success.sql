-- A window: a success within ten minutes of the third failure in a row.
SELECT count(*) AS bursts
FROM (
    SELECT login_status, occurred_at,
           lag(login_status, 1) OVER w AS before_1, lag(login_status, 2) OVER w AS before_2,
           lag(occurred_at, 3) OVER w AS began
    FROM elf_login
    WHERE occurred_at >= TIMESTAMP '2026-01-10 00:00:00'
    WINDOW w AS (PARTITION BY user_id ORDER BY occurred_at, row_key)
)
WHERE login_status = 'LOGIN_NO_ERROR' AND before_1 <> 'LOGIN_NO_ERROR' AND before_2 <> 'LOGIN_NO_ERROR'
  AND occurred_at - began < INTERVAL '10 minutes'
