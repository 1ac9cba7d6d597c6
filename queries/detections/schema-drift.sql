/*
id = "schema-drift"
title = "Columns of a log file appeared, vanished or were glued together"
family = "coverage"
severity = "high"
status = "active"
version = 1
control = ["S4.3"]
attack = ["T1562"]
description = """
A detection that reads a column which is no longer there finds nothing, and nothing looks like safety. Each \
file's header is held against the catalogue and against the earlier files of its type. High: a column that \
detections need is absent (they are named), whether it vanished or never came; or two headings were glued into \
one cell, or repeat each other, so that the file was refused. Medium: another column vanished that earlier files \
had; Login History and the Setup Audit Trail are left out of that, for the API and the Setup page export them with \
different columns. Info: a column \
that the catalogue does not know (its cells are dropped until somebody has classed it). The order of columns \
and the case of their headings mean nothing here. Headings repeated among the rows are dropped and counted in \
`files.repeated_headers`; they are no drift."""
false_positives = [
  "A new release of the API adds columns: info",
  "A LoginHistory export made with fewer columns than before: export the missing ones too",
]
response = [
  "Export or fetch the file again with all columns and give it to `orgwatch ingest`",
  "If the platform has renamed the column, extend the catalogue (see README, catalogue extension) and tell us",
  "Until then read the days concerned with care: the named detections could not see",
]
references = ["https://attack.mitre.org/techniques/T1562/"]
inputs = ["files"]
dedupe = ["event_type", "change", "columns"]
bucket = "none"

[params.look_back]
type = "duration"
default = "14d"
meaning = "files read in this time are judged"

[params.reference]
type = "duration"
default = "60d"
meaning = "files read in this time say which columns a type has"
*/
WITH
-- What the detections read, and which of them are blind without it.
needed AS (
    SELECT column1 AS event_type, column2 AS heading, column3 AS detections
    FROM (VALUES
        ('Login', 'LOGIN_TYPE', 'integration-ui-login, integration-login-without-connected-app, soap-login-call, legacy-login-type'),
        ('Login', 'LOGIN_SUB_TYPE', 'oauth-username-password-flow, oauth-user-agent-flow, oauth-device-flow-suspected, flow-downgrade'),
        ('Login', 'LOGIN_STATUS', 'every detection on logins'),
        ('Login', 'SOURCE_IP', 'integration-unexpected-ip-login, control-held-near-miss'),
        ('Login', 'LOGIN_KEY', 'integration-unexpected-ip-api, integration-api-without-connected-app'),
        ('Login', 'TLS_PROTOCOL', 'weak-tls'),
        ('LoginHistory', 'LoginSubType', 'oauth-username-password-flow, oauth-user-agent-flow, oauth-device-flow-suspected, flow-downgrade'),
        ('LoginHistory', 'Application', 'integration-wrong-connected-app, interactive-tool-on-integration-user'),
        ('LoginHistory', 'SourceIp', 'integration-unexpected-ip-login, control-held-near-miss'),
        ('ApiTotalUsage', 'CLIENT_IP', 'integration-unexpected-ip-api'),
        ('ApiTotalUsage', 'CONNECTED_APP_ID', 'integration-wrong-connected-app, integration-api-without-connected-app'),
        ('ApiTotalUsage', 'STATUS_CODE', 'deactivated-user-still-active'),
        ('Logout', 'SESSION_TYPE', 'integration-ui-activity'),
        ('RestApi', 'CLIENT_IP', 'integration-unexpected-ip-api'),
        ('RestApi', 'LOGIN_KEY', 'integration-api-without-connected-app'),
        ('LoginAs', 'DELEGATED_USER_ID', 'loginas-onto-integration-user')
    )
),
headers AS (
    SELECT
        file_id, event_type, name, ingested_at,
        coalesce(first_event_at, ingested_at) AS begins_at, coalesce(last_event_at, ingested_at) AS ends_at,
        ingested_at >= CAST($now AS TIMESTAMPTZ) - CAST($look_back AS INTERVAL) AS is_recent,
        coalesce(absent_columns, '') AS absent_columns, coalesce(unknown_columns, '') AS unknown_columns
    FROM files
    WHERE state IN ('ingested', 'torn') AND event_type <> ''
      AND ingested_at <= $now AND ingested_at >= $now - $reference
),
absent AS (
    SELECT file_id, event_type, begins_at, ends_at, is_recent,
           trim(unnest(string_to_array(absent_columns, ','))) AS heading
    FROM headers
    WHERE absent_columns <> ''
),
unknown AS (
    SELECT file_id, event_type, begins_at, ends_at, is_recent,
           trim(unnest(string_to_array(unknown_columns, ','))) AS heading
    FROM headers
    WHERE unknown_columns <> ''
),
-- A heading that is absent as such, but stands inside an unknown one: two were glued into a cell.
glued AS (
    SELECT DISTINCT u.file_id, u.event_type, u.begins_at, u.ends_at, u.is_recent, u.heading
    FROM unknown u
    JOIN absent a ON a.file_id = u.file_id AND lower(a.heading) = lower(u.heading)
),
-- Since when files of the type have a column that others lack.
first_had AS (
    SELECT k.event_type, k.heading, min(h.begins_at) AS first_at
    FROM (SELECT DISTINCT event_type, heading FROM absent) k
    JOIN headers h ON h.event_type = k.event_type
    LEFT JOIN absent a ON a.file_id = h.file_id AND a.heading = k.heading
    WHERE a.file_id IS NULL
    GROUP BY k.event_type, k.heading
),
vanished AS (
    SELECT
        a.event_type, a.heading, n.detections,
        min(a.begins_at) AS begins_at, max(a.ends_at) AS ends_at,
        count(DISTINCT a.file_id) AS files, max(a.file_id) AS last_file
    FROM absent a
    LEFT JOIN needed n ON n.event_type = a.event_type AND lower(n.heading) = lower(a.heading)
    LEFT JOIN first_had f ON f.event_type = a.event_type AND f.heading = a.heading
    WHERE a.is_recent
      -- A column that came with a later release, or never, did not vanish; a detection needs it all the same.
      AND (n.detections IS NOT NULL
           OR (a.begins_at > f.first_at AND a.event_type NOT IN ('LoginHistory', 'SetupAuditTrail')))
      AND NOT EXISTS (SELECT 1 FROM glued g WHERE g.file_id = a.file_id AND g.heading = a.heading)
    GROUP BY a.event_type, a.heading, n.detections
),
changes AS (
    SELECT
        v.event_type,
        CASE WHEN v.detections IS NOT NULL THEN 'needed column absent' ELSE 'column vanished' END AS change,
        v.heading, v.detections, v.begins_at, v.ends_at, v.files, v.last_file
    FROM vanished v
    UNION ALL
    SELECT
        event_type, 'headings glued' AS change, heading, CAST(NULL AS VARCHAR) AS detections,
        min(begins_at) AS begins_at, max(ends_at) AS ends_at, count(DISTINCT file_id) AS files, max(file_id) AS last_file
    FROM glued
    WHERE is_recent
    GROUP BY event_type, heading
    UNION ALL
    SELECT
        u.event_type, 'unknown column' AS change, u.heading, CAST(NULL AS VARCHAR) AS detections,
        min(u.begins_at) AS begins_at, max(u.ends_at) AS ends_at, count(DISTINCT u.file_id) AS files, max(u.file_id) AS last_file
    FROM unknown u
    WHERE u.is_recent
      AND NOT EXISTS (SELECT 1 FROM glued g WHERE g.file_id = u.file_id AND g.heading = u.heading)
    GROUP BY u.event_type, u.heading
    UNION ALL
    SELECT
        'unknown type' AS event_type, 'headings repeated' AS change, printable(regexp_replace(name, '^.*[/\\!]', '')) AS heading,
        CAST(NULL AS VARCHAR) AS detections, ingested_at AS begins_at, ingested_at AS ends_at, 1 AS files, file_id AS last_file
    FROM files
    WHERE state = 'rejected' AND ingested_at <= $now AND ingested_at >= $now - $look_back
      AND (reason LIKE '%repeats the heading%' OR reason LIKE '%two headings stand for%')
),
by_change AS (
    SELECT
        event_type, change,
        min(begins_at) AS begins_at, max(ends_at) AS ends_at,
        count(*) AS headings, max(files) AS files,
        array_to_string(array_agg(DISTINCT printable(heading) ORDER BY printable(heading)), ', ') AS columns,
        array_agg(DISTINCT detections ORDER BY detections) FILTER (WHERE detections IS NOT NULL) AS detections,
        array_slice(array_agg(DISTINCT last_file ORDER BY last_file), 1, 20) AS file_ids
    FROM changes
    GROUP BY event_type, change
)
SELECT
    begins_at AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE change
        WHEN 'column vanished' THEN 'medium'
        WHEN 'unknown column' THEN 'info'
        ELSE 'high'
    END AS severity,
    headings AS event_count,
    ends_at AS last_at,
    CASE change
        WHEN 'needed column absent' THEN 'The columns that the detections read'
        WHEN 'column vanished' THEN 'The columns that earlier files of the type had'
        WHEN 'unknown column' THEN 'Columns that the catalogue knows and has classed'
        ELSE 'One heading in each cell of the header, each heading once'
    END AS expected,
    CASE change
        WHEN 'headings repeated' THEN 'Refused for a repeated heading: ' || columns
        ELSE printable(event_type) || ': '
             || CASE change
                    WHEN 'headings glued' THEN 'glued into one cell: '
                    WHEN 'unknown column' THEN 'not known and not kept: '
                    ELSE 'no '
                END
             || columns
             || ' (' || files || CASE WHEN files = 1 THEN ' file)' ELSE ' files)' END
    END
        || coalesce('; blind without it: ' || array_to_string(detections, ', '), '') AS observed,
    printable(event_type) AS event_type,
    change, columns, files, detections, file_ids
FROM by_change
ORDER BY occurred_at, event_type, change, columns
