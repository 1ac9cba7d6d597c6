-- A join of a table with itself: users with two addresses on one day that no other day has.
SELECT count(*) AS pairs
FROM (SELECT DISTINCT user_id, source_ip, CAST(occurred_at AS DATE) AS day FROM elf_login) a
JOIN (SELECT DISTINCT user_id, source_ip, CAST(occurred_at AS DATE) AS day FROM elf_login) b
  ON a.user_id = b.user_id AND a.day = b.day AND a.source_ip < b.source_ip
