/*
id = "rows-volume-anomaly"
title = "Rows or bytes read far above what this account normally reads"
family = "behaviour"
severity = "high"
status = "active"
version = 1
control = ["S1.11"]
attack = ["T1213.004", "T1030"]
description = """
What a thief wants are rows, and a bulk job of millions is a handful of calls. The rows and the bytes that each account \
and app read on a day are held against its own past (`expected_activity`: the same weekday, else the last 28 days; \
robust median and spread; a month's season): told is a day that is far out, three times the usual, above the highest of \
the last 35 days, and not small. Where objects with personal or secret data were touched, the floor is lower. Bytes stand \
beside the rows because some calls log no rows: such a day is told by its bytes, with the number of calls whose rows \
nobody knows. A bulk job counts once, whatever number of states it has, and names no app in the log. Writes do not count. \
An account with less than 14 covered and 10 active days has no usual day yet and is not judged. One level lower where the \
one earlier month that has logs was as high at this place: two make a season."""
false_positives = [
  "A back-fill or a first full load: declare a maintenance window of the user",
  "Month-end loads in the first two months of logs (medium in the second): later they are known as a season",
  "A release that reads new objects: entity-breadth-anomaly tells them beside it",
]
response = [
  "Freeze the user or revoke the app's tokens first if nobody knows the load: it may still be running",
  "See which objects, from where: `orgwatch sql` over api_calls and bulk_jobs of the user and day",
  "Ask the owner for the job and its ticket; a real load gets a maintenance window for its next time",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1030/",
]
inputs = ["RestApi | API | ApexRestApi | BulkApi | BulkApi2 | BulkApiRequest"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.min_rows]
type = "int"
default = 10000
meaning = "rows of a day below which nothing is told"

[params.min_sensitive_rows]
type = "int"
default = 1000
meaning = "the same where sensitive objects were touched"

[params.min_megabytes]
type = "float"
default = 50.0
meaning = "megabytes (10^6 bytes) of a day below which bytes tell nothing"

[params.sensitive_objects]
type = "text_list"
default = ["account", "case", "contact", "lead", "opportunity", "user", "individual", "contract", "emailmessage", "contentversion", "task", "event"]
meaning = "objects with personal or secret data, in lower case"

[params.min_z]
type = "float"
default = 3.0
meaning = "spreads above the usual day from which it is far out"

[params.times]
type = "float"
default = 3.0
meaning = "times the usual day that it must be"

[params.over_highest]
type = "float"
default = 1.2
meaning = "times the highest day of the last 35 that it must be"
*/
WITH
days AS (
    SELECT
        day, user_key, app_key, coalesce(app_key, '') AS app, metric, actual, expected, z, highest_35, reference, reference_days,
        reference_first, reference_last, maybe_season, season_highest
    FROM expected_activity
    WHERE metric IN ('rows', 'bytes')
      AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
      AND history = 'enough' AND NOT in_season
      AND z >= $min_z AND actual >= $times * expected AND actual > $over_highest * coalesce(highest_35, 0)
      AND actual >= CASE WHEN metric = 'rows' THEN least($min_rows, $min_sensitive_rows) ELSE $min_megabytes * 1000000 END
),
objects AS (
    SELECT
        day, user_key, coalesce(app_key, '') AS app,
        array_agg(DISTINCT value ORDER BY value) AS objects,
        array_agg(DISTINCT value ORDER BY value) FILTER (WHERE array_has($sensitive_objects, value)) AS sensitive
    FROM sightings
    WHERE kind = 'object' AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
    GROUP BY day, user_key, coalesce(app_key, '')
),
hours AS (
    SELECT
        day, user_key, coalesce(app_key, '') AS app, hour, max(username) AS username, max(role) AS role,
        max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        sum(rows_read) AS rows_read, sum(bytes) AS bytes, sum(rows_unknown) AS rows_unknown
    FROM activity_hourly
    WHERE day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
    GROUP BY day, user_key, coalesce(app_key, ''), hour
),
accounts AS (
    SELECT
        day, user_key, app, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner, sum(rows_read) AS rows_read, sum(bytes) AS bytes,
        sum(rows_unknown) AS rows_unknown, min(hour) FILTER (WHERE rows_read > 0 OR bytes > 0) AS first_hour,
        max(hour) FILTER (WHERE rows_read > 0 OR bytes > 0) AS last_hour,
        bool_and(in_window(user_key, CAST(NULL AS VARCHAR), hour, 'maintenance')) AS in_maintenance
    FROM hours
    GROUP BY day, user_key, app
),
judged AS (
    SELECT
        d.day, d.user_key, d.app_key, d.app, d.metric, d.actual, d.expected, d.z, d.highest_35, d.reference, d.reference_days,
        d.reference_first, d.reference_last, d.maybe_season, d.season_highest, o.objects, o.sensitive
    FROM days AS d
    LEFT JOIN objects AS o ON o.user_key = d.user_key AND o.app = d.app AND o.day = d.day
    WHERE d.metric = 'bytes' OR d.actual >= CASE WHEN cardinality(o.sensitive) > 0 THEN $min_sensitive_rows ELSE $min_rows END
),
-- One finding for rows and bytes; what it expected is told of the rows, if they are far out.
told AS (
    SELECT
        user_key, app, day, max(app_key) AS app_key, bool_or(metric = 'rows') AS by_rows, bool_or(metric = 'bytes') AS by_bytes,
        first_value(metric ORDER BY metric DESC) AS metric, first_value(actual ORDER BY metric DESC) AS actual,
        first_value(expected ORDER BY metric DESC) AS expected, first_value(z ORDER BY metric DESC) AS z,
        first_value(highest_35 ORDER BY metric DESC) AS highest_35,
        first_value(reference ORDER BY metric DESC) AS reference,
        first_value(reference_days ORDER BY metric DESC) AS reference_days,
        first_value(reference_first ORDER BY metric DESC) AS reference_first,
        first_value(reference_last ORDER BY metric DESC) AS reference_last,
        -- Where all that is far out may be a season.
        bool_and(maybe_season) AS maybe_season, first_value(season_highest ORDER BY metric DESC) AS season_highest,
        first_value(objects ORDER BY metric DESC) AS objects, first_value(sensitive ORDER BY metric DESC) AS sensitive
    FROM judged
    GROUP BY user_key, app, day
),
-- The rows that prove it, from the night's logs only: the largest first.
reads AS (
    SELECT user_key, CAST(occurred_at AS DATE) AS day, occurred_at, ip, coalesce(sf_id18(app_id), '') AS app_id,
        coalesce(rows_processed, 0) AS rows, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND event_type IN ('RestApi', 'API', 'ApexRestApi', 'BulkApi', 'BulkApi2', 'BulkApiRequest')
),
seen AS (
    SELECT
        t.user_key, t.app, t.day, min(r.occurred_at) AS first_at, max(r.occurred_at) AS last_at, count(*) AS calls,
        array_slice(array_agg(DISTINCT r.ip ORDER BY r.ip) FILTER (WHERE r.ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(r.file_id || ':' || r.line_no ORDER BY r.rows DESC, r.file_id, r.line_no), 1, 20) AS proof
    FROM told AS t
    JOIN reads AS r ON r.user_key = t.user_key AND r.day = t.day
    WHERE r.app_id = t.app OR r.app_id = ''
    GROUP BY t.user_key, t.app, t.day
)
SELECT
    coalesce(s.first_at, a.first_hour) AS occurred_at,
    t.user_key, sf_id18(t.user_key) AS user_id, coalesce(known_username(t.user_key), a.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        3 - CASE WHEN t.maybe_season THEN 1 ELSE 0 END
          - CASE WHEN a.role = 'integration' AND a.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    coalesce(s.calls, 1) AS event_count,
    coalesce(s.last_at, a.last_hour) AS last_at,
    'About '
        || CASE
               WHEN t.metric = 'rows' THEN CAST(round(t.expected) AS BIGINT) || ' rows'
               ELSE round(t.expected / 1000000, 1) || ' MB'
           END
        || ' a day (' || t.reference || ', ' || t.reference_days || ' days from ' || t.reference_first || ' to '
        || t.reference_last || '; most of the last 35 days: '
        || CASE
               WHEN t.metric = 'rows' THEN CAST(coalesce(t.highest_35, 0) AS VARCHAR)
               ELSE round(coalesce(t.highest_35, 0) / 1000000.0, 1) || ' MB'
           END
        || CASE
               WHEN NOT t.maybe_season THEN ''
               WHEN t.metric = 'rows' THEN '; at this time of the month before: ' || t.season_highest
               ELSE '; at this time of the month before: ' || round(t.season_highest / 1000000.0, 1) || ' MB'
           END || ')' AS expected,
    a.rows_read || ' rows and ' || round(a.bytes / 1000000.0, 1) || ' MB read'
        || CASE WHEN round(t.expected) >= 1 THEN ', ' || CAST(round(t.actual / t.expected) AS BIGINT) || ' times the usual' ELSE '' END
        || CASE WHEN a.rows_unknown > 0 THEN '; of ' || a.rows_unknown || ' calls the log does not tell the rows' ELSE '' END
        || coalesce('; objects ' || printable(array_to_string(array_slice(t.objects, 1, 8), ', ')), '')
        || coalesce('; from ' || array_to_string(array_slice(s.ips, 1, 5), ', '), '') AS observed,
    a.role, a.role_source, a.system, a.owner,
    t.app_key, a.rows_read, a.bytes, a.rows_unknown, t.z, t.by_rows, t.by_bytes,
    array_slice(t.objects, 1, 20) AS objects, array_slice(t.sensitive, 1, 20) AS sensitive_objects, s.ips,
    s.proof
FROM told AS t
JOIN accounts AS a ON a.user_key = t.user_key AND a.app = t.app AND a.day = t.day
LEFT JOIN seen AS s ON s.user_key = t.user_key AND s.app = t.app AND s.day = t.day
WHERE coalesce(a.role, '') <> 'guest' AND NOT a.in_maintenance
ORDER BY occurred_at, user_key, app_key
