/*
id = "late-or-rewritten-file"
title = "Log file was issued again with other rows, or one of a sequence is missing"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1070", "T1562.008"]
description = """
Salesforce may issue a daily file anew, and writes late events of an hour to a further file of the same hour \
(sequence 2, 3, …). Rows added that way are judged like any others. Rows that an earlier issue had and a later \
one lacks are a warning: events do not unhappen. A later issue is one that came in a later run, with the same \
name or for the same type and day, and that repeats rows of the first: two halves of one file repeat nothing \
and are not compared. A gap in the sequence of an hour's files (read from names such as `..._hourly_..._seq2.csv` \
or `..._Sequence2.csv`) means that a file did not come. How many rows are gone is a lower bound: a row counts as \
kept when any earlier file had it. A file that came twice with the same content is not an event at all."""
false_positives = [
  "An older copy of a file is given again after the newer one: nothing is lost, the lake keeps the rows of both",
  "Salesforce withdraws wrong rows in a new issue, and says so in a known-issue note",
]
response = [
  "Rows gone: keep both copies; compare them, and look for the user whose rows are missing among tonight's findings",
  "Ask who may delete event log files (permission Delete Event Monitoring Records) and look into the Setup Audit Trail",
  "Sequence gap: fetch the missing file again while Salesforce still keeps it",
]
references = ["https://attack.mitre.org/techniques/T1070/", "https://attack.mitre.org/techniques/T1562/008/"]
inputs = ["files"]
dedupe = ["event_type", "slot", "change"]
bucket = "none"

[params.look_back]
type = "duration"
default = "14d"
meaning = "how long a changed file is reported"
*/
WITH
named AS (
    SELECT
        file_id, event_type, "interval", run_id, ingested_at, first_event_at, last_event_at,
        rows_read, rows_kept, rows_duplicate, rows_kept + rows_duplicate AS rows_readable,
        -- The name without folders and archives: the same file fetched to another place.
        lower(regexp_replace(name, '^.*[/\\!]', '')) AS file_name,
        CAST(regexp_match(lower(regexp_replace(name, '^.*[/\\!]', '')), '[_.-]seq(?:uence)?[_-]?([0-9]{1,4})')[1] AS BIGINT)
            AS sequence_no
    FROM files
    WHERE state IN ('ingested', 'torn') AND ingested_at <= $now
),
slotted AS (
    SELECT
        *,
        CASE "interval"
            WHEN 'daily' THEN to_char(date_trunc('day', first_event_at), '%Y-%m-%d')
            WHEN 'hourly' THEN to_char(date_trunc('hour', first_event_at), '%Y-%m-%d %H:00')
        END AS slot
    FROM named
),
-- Every later issue beside each earlier one. A file without any row has no slot: its name is its slot.
issues AS (
    SELECT
        earlier.event_type,
        coalesce(earlier.slot, printable(earlier.file_name)) AS slot,
        later.ingested_at AS seen_at,
        later.file_id AS later_id,
        earlier.file_id AS earlier_id,
        earlier.first_event_at AS slot_from,
        earlier.last_event_at AS slot_to,
        later.rows_kept AS rows_added,
        greatest(earlier.rows_readable - later.rows_duplicate, 0) AS rows_removed
    FROM slotted AS earlier
    JOIN slotted AS later
      ON later.run_id > earlier.run_id AND later.file_id > earlier.file_id
     AND (
          (later.file_name = earlier.file_name
           AND (later.event_type = earlier.event_type OR later.rows_read = 0))
          OR (later.event_type = earlier.event_type AND later.slot = earlier.slot
              AND later."interval" = earlier."interval")
     )
    WHERE earlier.rows_readable > 0
      -- A rewrite repeats rows, or leaves none; an increment or the other half of a file does neither.
      AND (later.rows_duplicate > 0 OR later.rows_read = 0)
      AND later.ingested_at >= $now - $look_back
),
-- The newest issue beside the one that had the most rows in common with its time.
rewritten AS (
    SELECT
        event_type, slot, 'rewritten' AS change,
        min(slot_from) AS slot_from, max(slot_to) AS slot_to,
        max(seen_at) AS seen_at,
        count(DISTINCT later_id) AS changes,
        max(rows_added) AS rows_added, max(rows_removed) AS rows_removed,
        CAST(NULL AS VARCHAR) AS missing_sequence,
        array_agg(DISTINCT later_id ORDER BY later_id) AS file_ids
    FROM issues
    GROUP BY event_type, slot
    HAVING max(rows_added) > 0 OR max(rows_removed) > 0
),
sequences AS (
    SELECT
        event_type, slot, min(first_event_at) AS slot_from, max(last_event_at) AS slot_to,
        max(ingested_at) AS seen_at,
        max(sequence_no) AS last_no, count(DISTINCT sequence_no) AS numbers,
        array_agg(DISTINCT sequence_no ORDER BY sequence_no) AS present,
        array_agg(DISTINCT file_id ORDER BY file_id) AS file_ids
    FROM slotted
    WHERE "interval" = 'hourly' AND sequence_no >= 1 AND slot IS NOT NULL
    GROUP BY event_type, slot
    HAVING max(ingested_at) >= $now - $look_back
),
gaps AS (
    SELECT
        event_type, slot, 'sequence gap' AS change, slot_from, slot_to, seen_at,
        last_no - numbers AS changes,
        CAST(NULL AS BIGINT) AS rows_added, CAST(NULL AS BIGINT) AS rows_removed,
        array_to_string(array_except(range(1, last_no + 1), present), ', ') AS missing_sequence,
        file_ids
    FROM sequences
    WHERE last_no > numbers
),
changed AS (
    SELECT * FROM rewritten
    UNION ALL
    SELECT * FROM gaps
)
SELECT
    coalesce(slot_from, seen_at) AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE WHEN rows_removed > 0 THEN 'high' ELSE 'medium' END AS severity,
    changes AS event_count,
    coalesce(slot_to, seen_at) AS last_at,
    CASE change
        WHEN 'rewritten' THEN 'A file that was read stays as it is, or gains rows'
        ELSE 'The files of an hour are numbered without a gap'
    END AS expected,
    printable(event_type) || ' of ' || slot
        || CASE
               WHEN change = 'sequence gap' THEN ': no file with sequence ' || missing_sequence
               WHEN rows_removed > 0 THEN ' came again with ' || rows_removed || ' rows fewer'
                    || CASE WHEN rows_added > 0 THEN ' and ' || rows_added || ' new ones' ELSE '' END
               ELSE ' came again with ' || rows_added || ' rows more'
           END AS observed,
    printable(event_type) AS event_type,
    slot,
    change,
    rows_added,
    rows_removed,
    missing_sequence,
    seen_at,
    array_slice(file_ids, 1, 20) AS file_ids
FROM changed
ORDER BY occurred_at, event_type, slot, change
