-- Cases: the findings of one subject and UTC day. What a suppression hides counts only in a case
-- that holds nothing else; the severity is that of what is not resolved, if anything is not.
WITH members AS (
    SELECT
        *,
        coalesce(bucket_start, first_seen) AS began,
        status IN ('new', 'ongoing', 'acknowledged') AS is_alive,
        CASE severity
            WHEN 'info' THEN 0 WHEN 'low' THEN 1 WHEN 'medium' THEN 2 WHEN 'high' THEN 3 ELSE 4
        END AS severity_rank,
        CASE status
            WHEN 'new' THEN 0 WHEN 'ongoing' THEN 1 WHEN 'acknowledged' THEN 2 WHEN 'resolved' THEN 3
            ELSE 4
        END AS status_rank,
        min(status = 'suppressed') OVER (PARTITION BY case_id) AS is_hidden
    FROM findings
    WHERE case_id IS NOT NULL
)
SELECT
    case_id,
    date(coalesce(min(began) FILTER (WHERE gathered_by IS NULL), min(began)) / 1000, 'unixepoch') AS day,
    max(case_subject) AS subject,
    CASE coalesce(max(severity_rank) FILTER (WHERE is_alive), max(severity_rank))
        WHEN 0 THEN 'info' WHEN 1 THEN 'low' WHEN 2 THEN 'medium' WHEN 3 THEN 'high' ELSE 'critical'
    END AS severity,
    count(*) AS findings,
    group_concat(DISTINCT rule_id ORDER BY rule_id) AS rules,
    min(first_seen) AS first_at,
    max(last_seen) AS last_at,
    CASE min(status_rank)
        WHEN 0 THEN 'new' WHEN 1 THEN 'ongoing' WHEN 2 THEN 'acknowledged' WHEN 3 THEN 'resolved'
        ELSE 'suppressed'
    END AS status,
    count(gathered_by) AS gathered
FROM members
WHERE is_hidden OR status <> 'suppressed'
GROUP BY case_id
ORDER BY day, first_at, case_id
