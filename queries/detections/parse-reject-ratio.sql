/*
id = "parse-reject-ratio"
title = "Rows that cannot be parsed"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.3"]
attack = ["T1562"]
description = """
A row that cannot be read is a row that no rule sees. Many of them mean a new file format; many of one user \
or address look like somebody who feeds the log what breaks its readers (quotes, line breaks, NUL, endless \
texts). Beyond the catalogue a share needs `min_rejects` rows, and a concentration `min_concentrated`: one bad row \
of twenty is no new format. Its level info, for fewer, is left to the summary of the run, which counts every \
rejected row. Files are judged one by one, so that a bad small file does not hide behind a good large one. The \
finding ends by itself when the file's week is over."""
false_positives = [
  "A file cut by the download: fetch it again",
  "A few odd rows in a small file are below the minimum and only counted in the run's summary",
]
response = [
  "`orgwatch sql \"SELECT * FROM quarantine\"` names file, line, column and reason",
  "New format: report it; until then the affected event type is half blind",
  "One user or address: look at what else came from there, in all logs",
]
references = ["https://attack.mitre.org/techniques/T1562/"]
inputs = ["files", "quarantine"]
dedupe = ["event_type"]
bucket = "none"

[params.recent]
type = "duration"
default = "7d"
meaning = "how long after a file was read its rejected rows are reported"

[params.medium_ratio]
type = "float"
default = 0.001
meaning = "share of rejected rows in a file from which it is reported"

[params.high_ratio]
type = "float"
default = 0.01
meaning = "share of rejected rows in a file from which it is high"

[params.min_rejects]
type = "int"
default = 3
meaning = "rejected rows in a file below which no share matters"

[params.concentration]
type = "float"
default = 0.8
meaning = "share of the rejected rows with one user or one address from which it looks made"

[params.min_concentrated]
type = "int"
default = 5
meaning = "rejected rows with one user or one address below which concentration does not matter"
*/
WITH
recent_files AS (
    SELECT
        file_id, event_type, name, rows_read, rows_quarantined,
        coalesce(last_event_at, ingested_at) AS at,
        CAST(rows_quarantined AS DOUBLE) / rows_read AS ratio
    FROM files
    WHERE ingested_at > $now - $recent
      AND rows_quarantined > 0 AND rows_read > 0
),
by_file AS (
    SELECT
        event_type, min(at) AS first_at, max(at) AS last_at,
        sum(rows_quarantined) AS rejects, sum(rows_read) AS rows_read, count(*) AS files,
        coalesce(max(ratio) FILTER (WHERE rows_quarantined >= $min_rejects), 0) AS worst_ratio,
        first_value(name ORDER BY ratio DESC, name) AS worst_file
    FROM recent_files
    GROUP BY event_type
),
rejects AS (
    SELECT q.event_type, q.user_id, q.ip, q.reason
    FROM quarantine q
    JOIN recent_files f ON f.file_id = q.file_id
),
-- The user and the address that most rejected rows of a type have in common.
top_user AS (
    SELECT
        event_type, max(n) AS n,
        first_value(user_id ORDER BY n DESC, user_id) AS user_id
    FROM (
        SELECT event_type, user_id, count(*) AS n FROM rejects WHERE user_id IS NOT NULL GROUP BY event_type, user_id
    )
    GROUP BY event_type
),
top_ip AS (
    SELECT
        event_type, max(n) AS n,
        first_value(ip ORDER BY n DESC, ip) AS ip
    FROM (SELECT event_type, ip, count(*) AS n FROM rejects WHERE ip IS NOT NULL GROUP BY event_type, ip)
    GROUP BY event_type
),
reasons AS (
    SELECT event_type, array_slice(array_agg(DISTINCT printable(reason) ORDER BY printable(reason)), 1, 10) AS reasons
    FROM rejects
    GROUP BY event_type
),
judged AS (
    SELECT
        f.*, r.reasons,
        CASE WHEN u.n >= $min_concentrated AND u.n >= $concentration * f.rejects THEN u.user_id END AS one_user,
        CASE WHEN i.n >= $min_concentrated AND i.n >= $concentration * f.rejects THEN i.ip END AS one_ip
    FROM by_file f
    LEFT JOIN top_user u ON u.event_type = f.event_type
    LEFT JOIN top_ip i ON i.event_type = f.event_type
    LEFT JOIN reasons r ON r.event_type = f.event_type
)
SELECT
    first_at AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE
        WHEN worst_ratio >= $high_ratio OR one_user IS NOT NULL OR one_ip IS NOT NULL THEN 'high'
        ELSE 'medium'
    END AS severity,
    rejects AS event_count,
    last_at,
    'Every row of a ' || printable(event_type) || ' file can be read' AS expected,
    rejects || ' of ' || rows_read || ' rows rejected in '
        || files || CASE WHEN files = 1 THEN ' file' ELSE ' files' END
        || CASE
               WHEN worst_ratio > 0 THEN '; worst file: ' || round(100 * worst_ratio, 2) || ' %'
               ELSE ''
           END
        || CASE
               WHEN one_ip IS NOT NULL THEN '; nearly all come from ' || one_ip
               WHEN one_user IS NOT NULL THEN '; nearly all belong to one user'
               ELSE ''
           END AS observed,
    printable(event_type) AS event_type, files, rejects, rows_read, worst_ratio,
    printable(worst_file) AS worst_file, reasons, one_user, one_ip
FROM judged
WHERE worst_ratio >= $medium_ratio OR one_user IS NOT NULL OR one_ip IS NOT NULL
ORDER BY occurred_at, event_type
