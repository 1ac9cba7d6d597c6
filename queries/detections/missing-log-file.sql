/*
id = "missing-log-file"
title = "Expected log file did not arrive"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1562.008"]
description = """
A log that is not there shows nothing, which looks like a quiet night. A file is expected when its type came \
on at least 80 % of the days of the last four weeks (for hourly files: of the same hour of the week) with a \
median of at least 5 rows, and on half of the same weekdays; it is missing when it is not there 26 hours after its day (6 hours after its \
hour). Low if these are weekdays that seldom have 5 rows: no file of a quiet Sunday may mean \
no events, and yet a loss is never silent. Nothing is expected before two weeks of history; a gap in the first two weeks is told once the weeks after \
it show what is normal. What came before the first file of a type cannot be told from what never was. A file that was fetched and \
holds no event is not missing: the org says that there was none. The finding ends by itself when the file comes."""
false_positives = [
  "Salesforce delays log files now and then and says so on its status page: all types are late together",
  "An event type that was switched off, or a licence that ended: it is forgotten after four weeks",
]
response = [
  "One type missing, others there: check who may delete or disable it (Event Monitoring settings, Setup Audit Trail)",
  "All missing: check the download job first",
  "Fetch the file again; EventLogFile keeps it for 1 day (free types) to 30 days",
]
references = ["https://attack.mitre.org/techniques/T1562/008/"]
inputs = ["files", "parts"]
dedupe = ["event_type", "file_interval"]
bucket = "none"

[params.due_daily]
type = "duration"
default = "26h"
meaning = "how long after the end of its day a daily file is late"

[params.due_hourly]
type = "duration"
default = "6h"
meaning = "how long after the end of its hour an hourly file is late"

[params.look_back]
type = "duration"
default = "14d"
meaning = "how long a gap is reported at least; a run that looks back further reports all gaps of that time"

[params.min_expected]
type = "int"
default = 5
meaning = "median rows of the slot below which no file may simply mean no events"

[params.min_share]
type = "float"
default = 0.8
meaning = "share of earlier slots with rows from which the next one is expected"

[params.min_history_days]
type = "int"
default = 14
meaning = "days since the type was first seen before anything is expected"

[params.always_high]
type = "text_list"
default = ["Login", "ApiTotalUsage"]
meaning = "types without which the program is blind"
*/
WITH
-- Rows per type and day, whichever files brought them.
daily_rows AS (
    SELECT event_type, CAST(day AS DATE) AS day, sum(rows) AS rows
    FROM parts
    WHERE event_type NOT LIKE 'rollup%'
    GROUP BY event_type, CAST(day AS DATE)
),
-- Files that came from the org without an event. What was read from a file and is gone is another matter.
came_empty AS (
    SELECT DISTINCT o.event_type, o."interval", o.log_date, CAST(o.log_date AS DATE) AS day
    FROM org_log_files o
    JOIN files f ON regexp_like(f.name, 'EventLogFile_') AND split_part(reverse(f.name), '_', 3) = reverse(o.log_file_id)
    WHERE f.state = 'ingested' AND f.rows_read = 0 AND o.state = 'ingested'
),
type_spans AS (
    SELECT event_type, min(day) AS first_day, max(day) AS last_day
    FROM daily_rows
    WHERE day <= CAST($now AS DATE)
    GROUP BY event_type
),
-- A gap counts where deliveries went on after it, or where we were there to see it: what an archive
-- does not contain after its end, or before our first night, is not missing.
witness AS (
    SELECT
        (SELECT max(day) FROM daily_rows WHERE day <= CAST($now AS DATE)) AS newest_day,
        -- A daily file of another type shows that the day was delivered.
        (SELECT CAST(max(first_event_at) AS DATE) FROM files
          WHERE "interval" = 'daily' AND state = 'ingested' AND last_event_at <= $now) AS newest_daily,
        (SELECT max(last_event_at) FROM files WHERE last_event_at <= $now AND state <> 'rejected') AS newest_event,
        (SELECT min(ingested_at) FROM files) AS watching_since
),
due_days AS (
    SELECT d.day
    FROM (
        SELECT unnest(range(
            least(CAST($window_start AS DATE), CAST(CAST($window_end AS DATE) - CAST($look_back AS INTERVAL) AS DATE)),
            CAST($now AS DATE), INTERVAL '1 day')) AS day
    ) d
    CROSS JOIN witness w
    WHERE CAST(d.day AS TIMESTAMPTZ) + INTERVAL '24 hours' + CAST($due_daily AS INTERVAL) <= $now
      AND (d.day < w.newest_day OR d.day <= w.newest_daily OR CAST(d.day AS TIMESTAMPTZ) >= w.watching_since)
),
-- For each due day and type: the last earlier day that had rows. The four weeks that end there say
-- what is normal, so that a long gap does not become the normal. Where they are the beginning of what
-- is known, the four weeks after the day say it, too: of an archive both sides are there.
day_slots AS (
    SELECT d.day, r.event_type, max(r.day) AS last_seen
    FROM due_days d
    JOIN daily_rows r ON r.day < d.day AND r.day >= d.day - INTERVAL '28 days'
    GROUP BY d.day, r.event_type
),
slots_with_history AS (
    SELECT
        s.day, s.event_type, s.last_seen,
        least(28, s.last_seen - t.first_day + 1) AS days_before,
        CASE WHEN s.last_seen - t.first_day + 1 < $min_history_days
             THEN least(28, greatest(0, t.last_day - s.day)) ELSE 0 END AS days_after
    FROM day_slots s
    JOIN type_spans t ON t.event_type = s.event_type
    -- A gap is told as far back as the run looks; the end of a type is forgotten after `look_back`.
    WHERE (s.day < t.last_day OR s.day >= CAST($window_end AS DATE) - CAST($look_back AS INTERVAL))
      AND NOT EXISTS (
          SELECT 1 FROM came_empty e
          WHERE e.event_type = s.event_type AND e."interval" = 'daily' AND e.day = s.day)
),
missing_days AS (
    SELECT
        s.day, s.event_type, median(h.rows) AS usual_rows,
        count(*) FILTER (WHERE date_part('dow', h.day) = date_part('dow', s.day) AND h.rows >= $min_expected)
            < 0.5 * (max(s.days_before) / 7 + max(s.days_after) / 7) AS quiet
    FROM slots_with_history s
    JOIN daily_rows h
      ON h.event_type = s.event_type
     AND ((h.day <= s.last_seen AND h.day > s.last_seen - INTERVAL '28 days')
          OR (h.day > s.day AND h.day <= s.day + CAST(s.days_after || ' days' AS INTERVAL)))
    LEFT JOIN daily_rows present ON present.event_type = s.event_type AND present.day = s.day
    WHERE s.days_before + s.days_after >= $min_history_days
    GROUP BY s.day, s.event_type
    HAVING count(*) >= $min_share * max(s.days_before + s.days_after)
       -- A weekend weighs little in the whole: the weekday itself must be one that usually has rows.
       AND count(*) FILTER (WHERE date_part('dow', h.day) = date_part('dow', s.day))
           >= 0.5 * (max(s.days_before) / 7 + max(s.days_after) / 7)
       AND median(h.rows) >= $min_expected
       -- A neighbour's file may carry a stray row over midnight: that is not the day's file.
       AND coalesce(max(present.rows), 0) * 100 < median(h.rows)
),
-- The same for hours, only of types that come in hourly files; the reference is the same hour of
-- the week in the last four weeks.
shaped_files AS (
    SELECT
        event_type, first_event_at, last_event_at, rows_kept + rows_duplicate AS rows,
        date_trunc('hour', first_event_at) AS hour,
        "interval" = 'hourly' AS named_hourly,
        -- A file that does not say what it is and lies within one hour looks like an hourly one.
        coalesce("interval" = 'hourly', date_trunc('hour', first_event_at) = date_trunc('hour', last_event_at))
            AS hourly
    FROM files
    WHERE state IN ('ingested', 'torn') AND first_event_at IS NOT NULL
),
hourly_rows AS (
    SELECT event_type, hour, sum(rows) AS rows, coalesce(bool_or(named_hourly), false) AS named_hourly
    FROM shaped_files
    WHERE hourly
    GROUP BY event_type, hour
),
hourly_types AS (
    SELECT event_type, min(first_hour) AS first_hour
    FROM (
        SELECT event_type, min(hour) AS first_hour, count(*) AS hours, bool_or(named_hourly) AS named_hourly
        FROM hourly_rows
        GROUP BY event_type, date_trunc('day', hour)
    ) days
    GROUP BY event_type
    -- One short file a day is a daily file of a quiet type.
    HAVING bool_or(named_hourly) OR max(hours) >= 3
),
due_hours AS (
    SELECT arrow_cast(h.hour, 'Timestamp(Millisecond, Some("UTC"))') AS hour
    FROM (
        SELECT unnest(generate_series(
            date_trunc('day', CAST($window_end AS TIMESTAMPTZ) - CAST($look_back AS INTERVAL)),
            CAST($now AS TIMESTAMPTZ), INTERVAL '1 hour')) AS hour
    ) h
),
hour_slots AS (
    SELECT d.hour, t.event_type, t.first_hour
    FROM due_hours d
    CROSS JOIN hourly_types t
    CROSS JOIN witness w
    WHERE d.hour + INTERVAL '1 hour' + CAST($due_hourly AS INTERVAL) <= $now
      AND (d.hour + INTERVAL '1 hour' <= w.newest_event OR d.hour >= w.watching_since)
      AND d.hour >= t.first_hour + INTERVAL '14 days'
      AND NOT EXISTS (
          SELECT 1 FROM hourly_rows r WHERE r.event_type = t.event_type AND r.hour = d.hour)
      AND NOT EXISTS (
          SELECT 1 FROM came_empty e
          WHERE e.event_type = t.event_type AND e."interval" = 'hourly' AND e.log_date = d.hour)
      -- The daily file holds everything: once it is there, the hour is not missing.
      AND NOT EXISTS (
          SELECT 1 FROM shaped_files f
          WHERE f.event_type = t.event_type AND NOT f.hourly
            AND date_trunc('day', f.first_event_at) <= d.hour
            AND date_trunc('day', f.last_event_at) + INTERVAL '24 hours' > d.hour)
),
missing_hours AS (
    SELECT s.hour, s.event_type, median(coalesce(r.rows, 0)) AS usual_rows
    FROM hour_slots s
    CROSS JOIN (
        SELECT INTERVAL '7 days' AS back UNION ALL SELECT INTERVAL '14 days' AS back
        UNION ALL SELECT INTERVAL '21 days' AS back UNION ALL SELECT INTERVAL '28 days' AS back
    ) weeks
    LEFT JOIN hourly_rows r ON r.event_type = s.event_type AND r.hour = s.hour - weeks.back
    WHERE s.hour - weeks.back >= s.first_hour
    GROUP BY s.hour, s.event_type
    HAVING count(r.rows) >= $min_share * count(*)
       AND median(coalesce(r.rows, 0)) >= $min_expected
),
missing AS (
    SELECT
        event_type, 'daily' AS file_interval, CAST(day AS TIMESTAMPTZ) AS slot,
        CAST(day AS TIMESTAMPTZ) + INTERVAL '24 hours' AS slot_end,
        CAST(day AS TIMESTAMPTZ) + INTERVAL '24 hours' + CAST($due_daily AS INTERVAL) AS due_at,
        to_char(day, '%Y-%m-%d') AS shown, usual_rows, quiet
    FROM missing_days
    UNION ALL
    SELECT
        event_type, 'hourly' AS file_interval, CAST(hour AS TIMESTAMPTZ) AS slot,
        CAST(hour AS TIMESTAMPTZ) + INTERVAL '1 hour' AS slot_end,
        CAST(hour AS TIMESTAMPTZ) + INTERVAL '1 hour' + CAST($due_hourly AS INTERVAL) AS due_at,
        to_char(hour, '%Y-%m-%d %H:00') AS shown, usual_rows, false AS quiet
    FROM missing_hours
)
SELECT
    min(slot) AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE WHEN bool_and(quiet) THEN 'low' WHEN array_has($always_high, event_type) THEN 'high' ELSE 'medium' END AS severity,
    count(*) AS event_count,
    max(slot_end) AS last_at,
    'A ' || file_interval || ' file of ' || printable(event_type) || ' with about '
        || CAST(round(avg(usual_rows)) AS BIGINT) || ' rows, as in the weeks before' AS expected,
    'Nothing for '
        || count(*) || CASE file_interval WHEN 'daily' THEN ' day' ELSE ' hour' END
        || CASE WHEN count(*) = 1 THEN '' ELSE 's' END || ': '
        || array_to_string(array_slice(array_agg(shown ORDER BY slot), 1, 10), ', ')
        || CASE WHEN count(*) > 10 THEN ' and more' ELSE '' END
        || '; the first is '
        || CAST(floor((date_part('epoch', CAST($now AS TIMESTAMPTZ)) - date_part('epoch', min(due_at))) / 3600) AS BIGINT)
        || ' h overdue' AS observed,
    printable(event_type) AS event_type,
    file_interval,
    array_slice(array_agg(shown ORDER BY slot), 1, 50) AS missing_slots,
    CAST(round(avg(usual_rows)) AS BIGINT) AS expected_rows,
    CAST(floor((date_part('epoch', CAST($now AS TIMESTAMPTZ)) - date_part('epoch', min(due_at))) / 3600) AS BIGINT)
        AS hours_late
FROM missing
GROUP BY event_type, file_interval
ORDER BY occurred_at, event_type, file_interval
