/*
id = "log-gap-inside-file"
title = "Hole in time inside otherwise busy logs"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1562.008"]
description = """
A log that stops for hours and goes on, while the others are busy, was cut, throttled or lost in part; whoever \
acted then was not seen. A hole counts when it is longer than an hour and than twenty times the 99th percentile \
of the gaps that lay in the same hours of the week (eight weeks; where nothing begins, the gaps over it count: a \
log of a few minutes a day has no holes), and other logs have rows in at least half of \
its hours. Days without any row of the log are left to `missing-log-file`; a log that stops and does not go on \
the same day is a hole up to midnight. A hole over midnight is judged on both days by its whole length so far. \
Each kind of log is judged by itself (the catalogue names logins and API calls as a whole: a hole in one of \
their logs would be filled by the others). High when an attack finding lies within an hour of the hole."""
false_positives = [
  "Maintenance of the org: logins refused with ORG_IN_MAINTENANCE around the hole excuse it",
  "A log of a few users who all pause: quiet hours of earlier weeks make the limit longer",
]
response = [
  "Fetch the file again and compare the number of rows: a late part may have come",
  "Login alone: compare with LoginHistory for the same hours, and see `login-logging-limited`",
  "Look at what other logs show of these hours, first of all for users with findings",
  "Check the Setup Audit Trail for changes of Event Monitoring settings",
]
references = ["https://attack.mitre.org/techniques/T1562/008/"]
inputs = ["logins | api_calls", "Logout?"]
dedupe = ["log"]
bucket = "day"

[params.min_gap]
type = "duration"
default = "60m"
meaning = "hole that is never reported"

[params.factor]
type = "float"
default = 20.0
meaning = "how many times the usual gap of these hours of the week a hole must be long"

[params.min_history_days]
type = "int"
default = 14
meaning = "days with rows of the log, up to the day judged, before it is judged"

[params.min_neighbour_rows]
type = "int"
default = 10
meaning = "rows of other logs in the hole below which the org was quiet"

[params.around]
type = "duration"
default = "1h"
meaning = "how near to the hole a finding lies that makes it high"
*/
WITH
-- Minutes of the night, and of the days over which a hole can reach into it, with a row: per log, and
-- how many rows they have.
minutes AS (
    SELECT log, minute, sum(rows) AS rows, max(maintenance) AS maintenance
    FROM (
        SELECT
            event_type AS log, date_trunc('minute', occurred_at) AS minute, count(*) AS rows,
            0 AS maintenance
        FROM api_calls
        WHERE occurred_at >= $window_start - INTERVAL '3 days' AND occurred_at < $window_end
        GROUP BY event_type, date_trunc('minute', occurred_at)
        UNION ALL
        SELECT
            'Login' AS log, date_trunc('minute', occurred_at) AS minute, count(*) AS rows,
            max(CASE WHEN regexp_like(login_status, 'ORG_IN_MAINTENANCE', 'i') THEN 1 ELSE 0 END) AS maintenance
        FROM elf_login
        WHERE occurred_at >= $window_start - INTERVAL '3 days' AND occurred_at < $window_end
        GROUP BY date_trunc('minute', occurred_at)
        UNION ALL
        SELECT
            'LoginHistory' AS log, date_trunc('minute', occurred_at) AS minute, count(*) AS rows,
            max(CASE WHEN regexp_like(status, 'is in maintenance', 'i') THEN 1 ELSE 0 END) AS maintenance
        FROM login_history
        WHERE occurred_at >= $window_start - INTERVAL '3 days' AND occurred_at < $window_end
        GROUP BY date_trunc('minute', occurred_at)
        UNION ALL
        SELECT
            'Logout' AS log, date_trunc('minute', occurred_at) AS minute, count(*) AS rows,
            0 AS maintenance
        FROM elf_logout
        WHERE occurred_at >= $window_start - INTERVAL '3 days' AND occurred_at < $window_end
        GROUP BY date_trunc('minute', occurred_at)
    ) counted
    GROUP BY log, minute
),
-- From each minute with rows to the next one. A log that does not go on the same or the next day has a
-- hole up to midnight.
holes_of_the_night AS (
    SELECT
        log, minute AS gap_start, date_trunc('day', minute) + INTERVAL '24 hours' AS midnight,
        CASE
            WHEN next_minute < date_trunc('day', minute) + INTERVAL '48 hours' THEN next_minute
            ELSE date_trunc('day', minute) + INTERVAL '24 hours'
        END AS gap_end,
        next_minute IS NOT NULL AS goes_on
    FROM (SELECT log, minute, lead(minute) OVER (PARTITION BY log ORDER BY minute) AS next_minute FROM minutes) m
),
-- What a day sees of a hole: the part up to midnight and, on the next day, the whole.
long_gaps AS (
    SELECT *, (date_part('epoch', gap_end) - date_part('epoch', gap_start)) / 60 AS minutes
    FROM (
        SELECT
            h.log, h.gap_start, h.goes_on,
            CASE WHEN d.later THEN h.gap_end ELSE least(h.gap_end, h.midnight) END AS gap_end,
            CASE WHEN d.later THEN date_trunc('day', h.gap_end) ELSE h.gap_start END AS at
        FROM holes_of_the_night h
        CROSS JOIN (SELECT true AS later UNION ALL SELECT false AS later) d
        WHERE NOT d.later OR h.gap_end > h.midnight
    ) portions
    WHERE at >= $window_start
      AND gap_end - gap_start > CAST($min_gap AS INTERVAL)
      AND gap_end <= $now
),
-- The hours of the week that a hole touches, numbered from Thursday 1 January 1970; -1 stands for its past
-- as a whole.
touched AS (
    SELECT
        g.log, g.gap_start, g.gap_end, g.at, g.minutes, g.goes_on,
        unnest(array_append(range(
            CAST(floor(date_part('epoch', g.gap_start) / 3600) AS BIGINT),
            CAST(floor((date_part('epoch', g.gap_end) - 1) / 3600) AS BIGINT) + 1), -1)) AS hour_no
    FROM long_gaps g
),
-- The past, in one pass: from minute to minute, and each day by its first one.
usual AS (
    SELECT
        log, gap_start, (date_part('epoch', gap_end) - date_part('epoch', gap_start)) / 60 AS minutes,
        unnest(array_concat(
            CASE WHEN goes_on THEN range(
                CAST(floor(date_part('epoch', gap_start) / 3600) AS BIGINT),
                CAST(floor((date_part('epoch', gap_end) - 1) / 3600) AS BIGINT) + 1) ELSE range(0, 0) END,
            CASE WHEN opens_day THEN range(-1, 0) ELSE range(0, 0) END)) % 168 AS hour_of_week
    FROM (
        SELECT
            log, minute AS gap_start, next_minute IS NOT NULL AS goes_on,
            CASE
                WHEN next_minute < date_trunc('day', minute) + INTERVAL '48 hours' THEN next_minute
                ELSE date_trunc('day', minute) + INTERVAL '24 hours'
            END AS gap_end,
            coalesce(date_trunc('day', minute_before) < date_trunc('day', minute), true) AS opens_day
        FROM (
            SELECT
                log, minute,
                lead(minute) OVER (PARTITION BY log ORDER BY minute) AS next_minute,
                lag(minute) OVER (PARTITION BY log ORDER BY minute) AS minute_before
            FROM (
                SELECT event_type AS log, date_trunc('minute', occurred_at) AS minute
                FROM api_calls
                WHERE occurred_at >= $window_start - INTERVAL '56 days' AND occurred_at < $window_end
                GROUP BY event_type, date_trunc('minute', occurred_at)
                UNION ALL
                SELECT 'Login' AS log, date_trunc('minute', occurred_at) AS minute
                FROM elf_login
                WHERE occurred_at >= $window_start - INTERVAL '56 days' AND occurred_at < $window_end
                GROUP BY date_trunc('minute', occurred_at)
                UNION ALL
                SELECT 'LoginHistory' AS log, date_trunc('minute', occurred_at) AS minute
                FROM login_history
                WHERE occurred_at >= $window_start - INTERVAL '56 days' AND occurred_at < $window_end
                GROUP BY date_trunc('minute', occurred_at)
                UNION ALL
                SELECT 'Logout' AS log, date_trunc('minute', occurred_at) AS minute
                FROM elf_logout
                WHERE occurred_at >= $window_start - INTERVAL '56 days' AND occurred_at < $window_end
                GROUP BY date_trunc('minute', occurred_at)
            ) counted
        ) ordered
    ) steps
),
judged AS (
    SELECT t.log, t.gap_start, t.gap_end, t.at, t.minutes, t.goes_on, max(t.usual_gap) AS usual_gap
    FROM (
        SELECT
            t.log, t.gap_start, t.gap_end, t.at, t.minutes, t.goes_on, t.hour_no,
            percentile_cont(0.99) WITHIN GROUP (ORDER BY u.minutes) FILTER (WHERE u.hour_of_week >= 0) AS usual_gap,
            count(*) FILTER (WHERE u.hour_of_week < 0) AS days_before
        FROM touched t
        JOIN usual u
          ON u.log = t.log AND u.hour_of_week = t.hour_no % 168
         -- Only what was before the hole; its own day counts as a day with rows.
         AND (u.gap_start < t.gap_start OR (u.gap_start = t.gap_start AND u.hour_of_week < 0))
        GROUP BY t.log, t.gap_start, t.gap_end, t.at, t.minutes, t.goes_on, t.hour_no
    ) t
    GROUP BY t.log, t.gap_start, t.gap_end, t.at, t.minutes, t.goes_on
    -- No hour of it has a history: nobody knows what is usual.
    HAVING max(t.days_before) >= $min_history_days
       AND max(t.usual_gap) IS NOT NULL AND t.minutes > $factor * max(t.usual_gap)
),
neighbours AS (
    SELECT
        j.log, j.gap_start, j.gap_end, j.at, j.minutes, j.goes_on, j.usual_gap,
        sum(m.rows) AS neighbour_rows,
        count(DISTINCT date_trunc('hour', m.minute)) AS neighbour_hours,
        array_agg(DISTINCT m.log ORDER BY m.log) AS neighbour_logs,
        max(m.maintenance) AS maintenance
    FROM judged j
    JOIN minutes m
      ON m.log <> j.log AND m.minute > j.gap_start AND m.minute < j.gap_end
    GROUP BY j.log, j.gap_start, j.gap_end, j.at, j.minutes, j.goes_on, j.usual_gap
),
-- Maintenance shows at the edges, too, in the log's own rows.
edges AS (
    SELECT minute FROM minutes WHERE maintenance = 1
),
holes AS (
    SELECT n.*, bool_or(f.finding_id IS NOT NULL) AS near_finding,
        array_agg(DISTINCT f.rule_id ORDER BY f.rule_id) FILTER (WHERE f.rule_id IS NOT NULL) AS near_rules
    FROM (
        SELECT n.*
        FROM neighbours n
        WHERE n.neighbour_rows >= $min_neighbour_rows
          AND n.neighbour_hours * 2 >= ceil(n.minutes / 60)
          AND NOT EXISTS (
              SELECT 1 FROM edges e
              WHERE e.minute >= n.gap_start - INTERVAL '15 minutes' AND e.minute <= n.gap_end + INTERVAL '15 minutes')
    ) n
    LEFT JOIN (
        SELECT finding_id, rule_id, first_seen, last_seen FROM findings
        WHERE severity IN ('high', 'critical') AND status <> 'resolved' AND user_key IS NOT NULL
          AND rule_id <> 'log-gap-inside-file'
    ) f
      ON f.last_seen >= n.gap_start - CAST($around AS INTERVAL) AND f.first_seen <= n.gap_end + CAST($around AS INTERVAL)
    GROUP BY n.log, n.gap_start, n.gap_end, n.at, n.minutes, n.goes_on, n.usual_gap,
        n.neighbour_rows, n.neighbour_hours, n.neighbour_logs, n.maintenance
)
SELECT
    min(at) AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE WHEN bool_or(near_finding) THEN 'high' ELSE 'medium' END AS severity,
    count(*) AS event_count,
    max(gap_end) AS last_at,
    log || ' rows at least every ' || CAST(ceil(max(usual_gap)) AS BIGINT) || ' minutes, as in these hours of the weeks before'
        AS expected,
    'No ' || log || ' row from ' || to_char(min(gap_start), '%Y-%m-%d %H:%M') || ' to '
        || to_char(max(gap_end), '%Y-%m-%d %H:%M') || ' UTC'
        || CASE WHEN count(*) > 1 THEN ' (' || count(*) || ' holes)' ELSE '' END
        || ', the longest for ' || CAST(max(minutes) AS BIGINT) || ' minutes, while other logs had '
        || max(neighbour_rows) || ' rows'
        || CASE WHEN bool_or(near_finding) THEN '; other findings lie around it' ELSE '' END AS observed,
    log,
    array_agg(to_char(gap_start, '%Y-%m-%d %H:%M') || ' - ' || to_char(gap_end, '%Y-%m-%d %H:%M') ORDER BY gap_start) AS holes,
    CAST(max(minutes) AS BIGINT) AS longest_minutes,
    CAST(ceil(max(usual_gap)) AS BIGINT) AS usual_gap_minutes,
    max(neighbour_rows) AS neighbour_rows,
    first_value(neighbour_logs ORDER BY minutes DESC, gap_start) AS neighbour_logs,
    first_value(near_rules ORDER BY minutes DESC, gap_start) AS near_rules
FROM holes
GROUP BY log, date_trunc('day', at)
ORDER BY occurred_at, log
