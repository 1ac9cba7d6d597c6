/*
id = "clock-anomaly"
title = "Event times outside the file's slot or in the future"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.3"]
attack = ["T1070.006"]
description = """
Every rule asks for a span of time, so a row with a wrong time is a row that no rule sees when it matters. The \
slot of an event log file is the day in its name, or the hour when the file is known as an hourly one. Rows more \
than a quarter of an hour outside of it are reported, and every row that is later than the moment at which it was \
read. Less than a day before the slot and a small part of the file: low, for that is rather a late delivery than \
a wrong clock. A file without any row in its slot and with all of them in one of the days before has the day of the download in \
its name and is judged by the future alone; so are names without a date or with \
several, and LoginHistory. TIMESTAMP and TIMESTAMP_DERIVED are not compared as the catalogue asks: the lake keeps \
one of them, so a wrong time zone shows by the rows that it moves out of the slot (at a day's end, or an hour \
file as a whole) and not inside it. The finding ends by itself when the file's week is over."""
false_positives = [
  "Events that Salesforce delivers with the next day's file (low)",
  "The clock of the machine that reads the files is slow: everything new seems to be in the future",
]
response = [
  "`orgwatch sql` over the table of the type, with the file ids of `proof`: which users and addresses have odd times?",
  "All rows moved by whole hours: whatever made the file writes local time; fetch the original EventLogFile",
  "Single rows: compare them with another log of the same request (REQUEST_ID); look at what that user did",
]
references = [
  "https://attack.mitre.org/techniques/T1070/006/",
  "https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_eventlogfile.htm",
]
inputs = ["files"]
dedupe = ["event_type", "kind"]
bucket = "none"

[params.recent]
type = "duration"
default = "7d"
meaning = "how long after a file was read its odd times are reported"

[params.slot_tolerance]
type = "duration"
default = "15m"
meaning = "how far outside the file's slot a row may lie: automatic logouts are written up to 15 minutes late"

[params.future_tolerance]
type = "duration"
default = "5m"
meaning = "how far after the moment of reading a row may lie"

[params.min_rows]
type = "int"
default = 10
meaning = "rows outside the slot of a file from which they are reported whatever their share"

[params.min_share]
type = "float"
default = 0.001
meaning = "share of the file's rows above which fewer rows are reported"

[params.min_share_rows]
type = "int"
default = 3
meaning = "rows outside the slot below which no share matters: a stray row of a small file is no finding"

[params.name_lag]
type = "duration"
default = "3d"
meaning = "how far before the day in a file's name all of its rows may lie in one day: the name tells the download"
*/
WITH
recent_files AS (
    SELECT
        file_id, event_type, name, rows_read, first_event_at, last_event_at, ingested_at,
        -- The last part of the name alone: folders may carry dates of their own.
        regexp_replace(name, '^.*[/\\!]', '') AS base_name,
        "interval" = 'hourly' AS hourly
    FROM files
    WHERE ingested_at > $now - $recent
      AND state IN ('ingested', 'torn') AND first_event_at IS NOT NULL
),
dated AS (
    SELECT
        *,
        CASE
            WHEN event_type <> 'LoginHistory'
                 AND regexp_count(base_name, '20[0-9]{2}[-_]?[01][0-9][-_]?[0-3][0-9]') = 1
            THEN regexp_match(base_name, '(20[0-9]{2})[-_]?([01][0-9])[-_]?([0-3][0-9])')
        END AS day_parts,
        regexp_match(base_name, '20[0-9]{2}[-_]?[01][0-9][-_]?[0-3][0-9][T_-]?([0-2][0-9])') AS hour_parts
    FROM recent_files
),
slots AS (
    SELECT
        *,
        -- A day such as 2026-13-40 is no day.
        CAST(TRY_CAST(day_parts[1] || '-' || day_parts[2] || '-' || day_parts[3] AS DATE) AS TIMESTAMPTZ) AS slot_day,
        coalesce(hourly AND hour_parts IS NOT NULL, false) AS is_hour
    FROM dated
),
bounds AS (
    SELECT
        file_id, event_type, base_name, rows_read, first_event_at, last_event_at, ingested_at, is_hour,
        slot_day + CASE WHEN is_hour THEN CAST(hour_parts[1] || ' hours' AS INTERVAL) ELSE INTERVAL '0 hours' END
            AS slot_start,
        slot_day + CASE WHEN is_hour THEN CAST(hour_parts[1] || ' hours' AS INTERVAL) + INTERVAL '1 hour'
                        ELSE INTERVAL '24 hours' END AS slot_end
    FROM slots
),
-- Most nights no file is odd, and no row has to be read.
odd_files AS (
    SELECT *
    FROM bounds
    WHERE last_event_at > ingested_at + CAST($future_tolerance AS INTERVAL)
       OR first_event_at < slot_start - CAST($slot_tolerance AS INTERVAL)
       OR last_event_at > slot_end + CAST($slot_tolerance AS INTERVAL)
),
events AS (
    SELECT file_id, line_no, occurred_at FROM login_history UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_logout UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_login_as UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_api_total_usage UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_rest_api UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_api UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_apex_rest_api UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_apex_soap UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_bulk_api UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_bulk_api2 UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_bulk_api_request UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_composite_api UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_metadata_api_operation UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_uri UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_lightning_page_view UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_aura_request UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_visualforce_request UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_report UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_report_export UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_sites UNION ALL
    SELECT file_id, line_no, occurred_at FROM elf_login
),
judged AS (
    SELECT
        f.file_id, f.event_type, f.base_name, f.rows_read, f.ingested_at, f.is_hour, f.slot_start, e.line_no, e.occurred_at,
        CASE
            WHEN e.occurred_at > f.ingested_at + CAST($future_tolerance AS INTERVAL) THEN 'future'
            WHEN e.occurred_at > f.slot_end + CAST($slot_tolerance AS INTERVAL) THEN 'after'
            WHEN e.occurred_at < f.slot_start - CAST($slot_tolerance AS INTERVAL) THEN 'before'
            ELSE 'inside'
        END AS kind,
        e.occurred_at >= f.slot_start AND e.occurred_at < f.slot_end AS in_slot,
        -- Minutes to the nearest border that was passed.
        CASE
            WHEN e.occurred_at > f.ingested_at + CAST($future_tolerance AS INTERVAL)
            THEN date_part('epoch', e.occurred_at) - date_part('epoch', f.ingested_at)
            WHEN e.occurred_at >= f.slot_end THEN date_part('epoch', e.occurred_at) - date_part('epoch', f.slot_end)
            WHEN e.occurred_at < f.slot_start THEN date_part('epoch', f.slot_start) - date_part('epoch', e.occurred_at)
            ELSE 0
        END / 60 AS skew_minutes
    FROM events e
    JOIN odd_files f ON f.file_id = e.file_id
),
of_files AS (
    SELECT
        *,
        count(*) FILTER (WHERE in_slot) OVER (PARTITION BY file_id) AS rows_in_slot,
        min(occurred_at) FILTER (WHERE kind <> 'future') OVER (PARTITION BY file_id) AS first_past,
        max(occurred_at) FILTER (WHERE kind <> 'future') OVER (PARTITION BY file_id) AS last_past
    FROM judged
),
by_file AS (
    SELECT
        file_id, event_type, base_name, rows_read, kind,
        min(ingested_at) AS ingested_at, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS rows, CAST(count(*) AS DOUBLE) / greatest(max(rows_read), 1) AS share,
        max(skew_minutes) AS skew_minutes,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY skew_minutes DESC, line_no), 1, 20) AS proof
    FROM of_files
    WHERE kind = 'future'
       OR (kind = 'before'
           -- The day of the download in the name, and all rows of one day shortly before: no wrong clock.
           AND NOT (NOT is_hour AND rows_in_slot = 0
                    AND date_trunc('day', first_past) = date_trunc('day', last_past)
                    AND first_past >= slot_start - CAST($name_lag AS INTERVAL)))
       OR kind = 'after'
    GROUP BY file_id, event_type, base_name, rows_read, kind
    HAVING kind = 'future'
        OR count(*) >= $min_rows
        OR (count(*) >= $min_share_rows AND count(*) > $min_share * max(rows_read))
),
by_type AS (
    SELECT
        event_type, kind,
        least(min(first_at), min(ingested_at)) AS first_at, least(max(last_at), max(ingested_at)) AS last_at,
        sum(rows) AS rows, count(*) AS files, max(skew_minutes) AS skew_minutes, max(share) AS worst_share,
        min(first_at) AS first_odd_at, max(last_at) AS last_odd_at,
        first_value(printable(base_name) ORDER BY rows DESC, base_name) AS worst_file,
        array_slice(flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY rows DESC, file_id)), 1, 20) AS proof
    FROM by_file
    GROUP BY event_type, kind
)
SELECT
    first_at AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE WHEN kind = 'before' AND skew_minutes <= 24 * 60 AND worst_share < 0.5 THEN 'low' ELSE 'medium' END AS severity,
    rows AS event_count,
    last_at,
    CASE kind
        WHEN 'future' THEN 'No ' || printable(event_type) || ' row is later than the moment at which it was read'
        ELSE 'The rows of a ' || printable(event_type) || ' file lie in the day or hour that its name says'
    END AS expected,
    rows || CASE WHEN rows = 1 THEN ' row' ELSE ' rows' END
        || CASE kind
               WHEN 'future' THEN ' dated in the future, up to '
               WHEN 'after' THEN ' after the slot, by up to '
               ELSE ' before the slot, by up to '
           END
        || CASE
               WHEN skew_minutes < 120 THEN CAST(ceil(skew_minutes) AS BIGINT) || ' minutes'
               WHEN skew_minutes < 2880 THEN CAST(round(skew_minutes / 60) AS BIGINT) || ' hours'
               ELSE CAST(round(skew_minutes / 1440) AS BIGINT) || ' days'
           END
        || ', in ' || files || CASE WHEN files = 1 THEN ' file' ELSE ' files' END
        || '; most in ' || worst_file
        || CASE WHEN kind = 'before' AND skew_minutes <= 24 * 60 AND worst_share < 0.5
                THEN '. Rather a late delivery than a wrong clock' ELSE '' END AS observed,
    printable(event_type) AS event_type, kind, files, rows,
    CAST(ceil(skew_minutes) AS BIGINT) AS max_skew_minutes, worst_share, worst_file,
    first_odd_at, last_odd_at,
    proof
FROM by_type
ORDER BY occurred_at, event_type, kind
