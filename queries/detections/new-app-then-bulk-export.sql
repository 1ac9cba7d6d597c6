/*
id = "new-app-then-bulk-export"
title = "An app that is new to a user takes data at scale within days"
family = "attack"
severity = "critical"
status = "active"
version = 1
control = ["S4.5"]
attack = ["T1671", "T1213.004", "T1567"]
description = """
The vishing thefts of 2025 in two steps: a user approves a caller's app, and hours later it reads whole objects. Per \
user and app that were first seen together at most 7 days ago: within 24 hours at least 10 000 rows read, or a bulk \
query job of unknown size, or at least 500 calls on at least five objects. Logs of bulk jobs name no app: the jobs of \
a user count for the new app if the user ran no bulk queries in the 60 days before. A job counts once, with its \
largest total, so a job of known size is an export by its rows only (the catalogue's \"any bulk query job\" would \
tell a job of four thousand rows, which its own example forbids). Told once, on the day on which the limit is \
reached. Medium where the user used an app of the same name from the same network before, which then only has a new \
id. Not told within a maintenance window of the user; windows have no row ceiling. It takes 14 earlier days with \
logs; rows are known with Event Monitoring's detail logs only, calls and objects with the free ones."""
false_positives = [
  "First load of a new integration: declare a maintenance window for its user",
  "A person with a new tool of the trade: register the app before it is used, and have the first export confirmed",
]
response = [
  "Block the app and revoke its tokens now, then ask the user who told him to approve it",
  "List what was read: objects, rows, jobs; keep the logs of the span",
  "Look for the same app, and for the same network, under other users",
]
references = [
  "https://attack.mitre.org/techniques/T1671/",
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1567/",
]
inputs = ["sightings", "activity_hourly", "covered_days", "bulk_jobs?", "api_calls?"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back user and app count as known to each other"

[params.new_period]
type = "duration"
default = "7d"
meaning = "how long they are new"

[params.min_rows]
type = "int"
default = 10000
meaning = "rows read within 24 hours"

[params.min_calls]
type = "int"
default = 500
meaning = "calls within 24 hours, where there are as many objects as below"

[params.min_objects]
type = "int"
default = 5
meaning = "different objects of these calls"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with logs before anything is called new"
*/
WITH
pairs AS (
    SELECT
        p.user_key, p.app_key, p.first_at, p.app_name, max(p.first_at) OVER (PARTITION BY p.user_key) AS last_app_at
    FROM (
        SELECT user_key, app_key, min(first_at) AS first_at, min(day) AS first_day, max(app_name) AS app_name
        FROM sightings
        WHERE day >= CAST($window_start - $learn_period - $new_period AS DATE) AND day < CAST($window_end AS DATE)
          AND kind = 'app' AND app_key IS NOT NULL
        GROUP BY user_key, app_key
        HAVING min(day) >= CAST($window_start - $new_period AS DATE)
    ) p
    JOIN (SELECT DISTINCT day FROM covered_days) c
      ON c.day < p.first_day AND c.day >= p.first_day - CAST($learn_period AS INTERVAL)
    GROUP BY p.user_key, p.app_key, p.first_at, p.app_name
    HAVING count(*) >= $min_covered_days
),
-- Since when bulk queries are no news to a user.
bulk_users AS (
    SELECT user_key, min(first_at) AS first_at
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period - $new_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'bulk_operation' AND value IN ('query', 'queryall')
    GROUP BY user_key
),
jobs AS (
    SELECT
        user_key, user_id, username, role, role_source, system, owner, coalesce(ended_at, occurred_at) AS at,
        records_processed, file_id, line_no
    FROM bulk_jobs
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
      AND lower(replace(operation, '_', '')) IN ('query', 'queryall')
),
-- What each pair took, hour by hour; jobs name no app and count for each that is new.
hours AS (
    SELECT
        p.user_key, p.app_key, p.app_name, p.first_at, t.at, t.user_id, t.username, t.role, t.role_source, t.system, t.owner,
        t.taken, t.jobs, t.unknown_jobs, t.calls, t.proof
    FROM pairs p
    JOIN (
        SELECT
            user_key, app_key, hour AS at, user_id, username, role, role_source, system, owner,
            rows_read AS taken, 0 AS jobs, 0 AS unknown_jobs, calls, CAST(NULL AS VARCHAR) AS proof
        FROM activity_hourly
        WHERE day >= CAST($window_start AS DATE) - INTERVAL '1 day' AND day < CAST($window_end AS DATE)
          AND app_key IS NOT NULL
        UNION ALL
        SELECT
            user_key, CAST(NULL AS VARCHAR) AS app_key, at, user_id, username, role, role_source, system, owner,
            coalesce(records_processed, 0) AS taken, 1 AS jobs,
            CASE WHEN records_processed IS NULL THEN 1 ELSE 0 END AS unknown_jobs,
            0 AS calls, file_id || ':' || line_no AS proof
        FROM jobs
    ) t ON t.user_key = p.user_key
    LEFT JOIN bulk_users b ON b.user_key = p.user_key
    WHERE t.at <= p.first_at + CAST($new_period AS INTERVAL)
      AND CASE WHEN t.jobs = 0 THEN t.app_key = p.app_key
               ELSE t.at >= p.first_at AND coalesce(b.first_at >= p.last_app_at, true) END
),
running AS (
    SELECT
        *,
        sum(taken) OVER day_long AS rows_now, sum(jobs) OVER day_long AS jobs_now,
        sum(unknown_jobs) OVER day_long AS unknown_now, sum(calls) OVER day_long AS calls_now
    FROM hours
    WINDOW day_long AS (
        PARTITION BY user_key, app_key ORDER BY at
        RANGE BETWEEN INTERVAL '86399999 milliseconds' PRECEDING AND CURRENT ROW
    )
),
-- The time at which there were enough objects.
objects AS (
    SELECT
        user_key, app_key, count(*) AS objects, min(CASE WHEN number = $min_objects THEN first_at END) AS enough_at,
        array_slice(array_agg(printable(value) ORDER BY number), 1, 20) AS names
    FROM (
        SELECT *, row_number() OVER (PARTITION BY user_key, app_key ORDER BY first_at, value) AS number
        FROM (
            SELECT user_key, app_key, value, min(first_at) AS first_at
            FROM sightings
            WHERE day >= CAST($window_start AS DATE) - INTERVAL '1 day' AND day < CAST($window_end AS DATE)
              AND kind = 'object' AND value <> '(more)'
            GROUP BY user_key, app_key, value
        ) v
    ) n
    GROUP BY user_key, app_key
),
reached AS (
    SELECT *
    FROM (
        SELECT
            r.*, o.objects, o.names,
            row_number() OVER (PARTITION BY r.user_key, r.app_key ORDER BY r.at, r.calls, r.taken, r.jobs) AS turn
        FROM running r
        LEFT JOIN objects o ON o.user_key = r.user_key AND o.app_key = r.app_key
        WHERE (r.rows_now >= $min_rows OR r.unknown_now > 0
               OR (r.calls_now >= $min_calls AND coalesce(o.enough_at < r.at + INTERVAL '1 hour', false)))
          AND NOT EXISTS (
              SELECT 1 FROM registry_windows w
              WHERE w.user_key = r.user_key AND w.kind = 'maintenance' AND r.at >= w.from_at AND r.at < w.to_at)
    ) n
    WHERE turn = 1 AND greatest(at, first_at) >= $window_start AND greatest(at, first_at) < $window_end
),
-- Calls of the hour in which the limit was reached.
proofs AS (
    SELECT
        r.user_key, r.app_key,
        array_slice(array_agg(DISTINCT a.file_id || ':' || a.line_no ORDER BY a.file_id || ':' || a.line_no), 1, 20) AS proof
    FROM reached r
    JOIN api_calls a
      ON a.user_key = r.user_key AND a.occurred_at >= r.at AND a.occurred_at < r.at + INTERVAL '1 hour'
     AND (coalesce(sf_id18(trim(a.app_id)), app_name_key(a.app)) = r.app_key OR starts_with(a.event_type, 'Bulk'))
    WHERE a.occurred_at >= $window_start - INTERVAL '1 day' AND a.occurred_at < $window_end
    GROUP BY r.user_key, r.app_key
),
-- The same name under another id, from a network that both have: an app made anew.
networks AS (
    SELECT user_key, app_key, app_name, value AS network, min(first_at) AS first_at
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period - $new_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'network'
    GROUP BY user_key, app_key, app_name, value
),
renewed AS (
    SELECT DISTINCT p.user_key, p.app_key
    FROM pairs p
    JOIN networks o
      ON o.user_key = p.user_key AND o.app_name = p.app_name AND o.app_key <> p.app_key AND o.first_at < p.first_at
    JOIN networks n
      ON n.user_key = p.user_key AND n.app_key = p.app_key AND n.network = o.network
)
SELECT
    greatest(r.at, r.first_at) AS occurred_at,
    r.user_key, r.user_id, r.username,
    CASE WHEN w.user_key IS NOT NULL THEN 'medium' ELSE 'critical' END AS severity,
    greatest(1, r.calls_now + r.jobs_now) AS event_count,
    greatest(r.at, r.first_at) AS last_at,
    'An app that is new to a user is tried before it moves data at scale' AS expected,
    '"' || printable(coalesce(r.app_name, r.app_key)) || '", first seen with this user '
        || to_char(r.first_at, '%Y-%m-%d %H:%M') || ' UTC, took within 24 hours: rows ' || r.rows_now
        || ', bulk query jobs ' || r.jobs_now || ', calls ' || r.calls_now
        || ', objects ' || coalesce(r.objects, 0)
        || CASE WHEN w.user_key IS NOT NULL THEN '; the user knows an app of this name under another id, from the same network' ELSE '' END
        AS observed,
    r.role, r.role_source, r.system, r.owner,
    printable(r.app_key) AS app_key, printable(coalesce(r.app_name, r.app_key)) AS app,
    r.first_at AS first_seen_together,
    CAST(date_part('epoch', greatest(r.at, r.first_at) - r.first_at) / 3600 AS BIGINT) AS hours_since,
    r.rows_now AS rows_read, r.jobs_now AS bulk_jobs, r.unknown_now AS jobs_of_unknown_size, r.calls_now AS calls,
    coalesce(r.objects, 0) AS object_count, r.names AS objects,
    coalesce(q.proof, CASE WHEN r.proof IS NOT NULL THEN [r.proof] END) AS proof
FROM reached r
LEFT JOIN proofs q ON q.user_key = r.user_key AND q.app_key = r.app_key
LEFT JOIN renewed w ON w.user_key = r.user_key AND w.app_key = r.app_key
ORDER BY occurred_at, user_key, app_key
