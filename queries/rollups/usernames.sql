/*
What each user id was called between $from and $to, by every log that has both. A digest (~…) is
what ingest made of text that is no username.

user_id            18 characters
username           lower case, the latest one
last_seen          when it was last written
*/
WITH seen AS (
    SELECT user_id, lower(trim(user_name)) AS username, occurred_at
    FROM elf_login WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT user_id, lower(trim(user_name)) AS username, occurred_at
    FROM elf_api_total_usage WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT user_id, lower(trim(username)) AS username, occurred_at
    FROM login_history WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT user_id, lower(trim(username)) AS username, occurred_at
    FROM roster_user WHERE occurred_at >= $from AND occurred_at < $to
),
latest AS (
    SELECT user_id, username, max(occurred_at) AS last_seen
    FROM seen
    WHERE user_id IS NOT NULL AND username LIKE '%_@_%' AND username NOT LIKE '~%'
    GROUP BY user_id, username
)
SELECT
    user_id,
    first_value(username ORDER BY last_seen DESC, username DESC) AS username,
    max(last_seen) AS last_seen
FROM latest
GROUP BY user_id
ORDER BY user_id
