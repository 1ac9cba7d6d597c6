/*
id = "api-call-volume-anomaly"
title = "API calls far above what this account normally makes"
family = "behaviour"
severity = "medium"
status = "active"
version = 1
control = ["S0.27", "S2.5"]
attack = ["T1020", "T1119"]
description = """
A stolen token that reads an org makes calls, whatever it reads. The calls of each account and app on a day are held \
against its own past (`expected_activity`: the same weekday, else the last 28 days; robust median and spread; a month's \
season): told is a day that is far out, three times the usual, above the highest of the last 35 days, and not small. \
A single hour is told too, when it has ten times what this hour of the week had in the last eight weeks, and more than \
any hour of the last 35 days: the catalogue does not ask for the latter; without it a job that starts an hour late is a \
finding. High from ten times the usual day on, but not where the one earlier month that has logs was as high at this place. \
Beside a misuse or attack finding of the same user it is raised to critical. \
With half of the calls refused it is marked as a retry storm. An account with less than 14 covered and 10 active days \
has no usual day yet and is not judged. Only ApiTotalUsage counts calls, and each once."""
false_positives = [
  "A back-fill or a first full load: declare a maintenance window of the user",
  "A retry storm after an outage or a rotated secret: `retry_storm` says so, error-ratio-anomaly tells the errors",
  "A quarter's end that is no month's end",
]
response = [
  "Ask the owner for the job that made them; look at `hours` and `ips`: its own addresses, its own time?",
  "Look at what was read: `orgwatch sql` over api_calls of the user and day, by entity_name",
  "Nobody knows the reason: revoke the tokens of the user and app",
]
references = [
  "https://attack.mitre.org/techniques/T1020/",
  "https://attack.mitre.org/techniques/T1119/",
]
inputs = ["ApiTotalUsage"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.min_calls]
type = "int"
default = 500
meaning = "calls of a day below which nothing is told"

[params.min_hour_calls]
type = "int"
default = 500
meaning = "the same of an hour"

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
meaning = "times the highest day, or hour, of the last 35 days that it must be"

[params.high_times]
type = "float"
default = 10.0
meaning = "times the usual day from which it is high, and times the usual hour from which an hour is told"

[params.min_hour_z]
type = "float"
default = 4.0
meaning = "spreads above the usual hour from which an hour is far out"

[params.retry_share]
type = "float"
default = 0.5
meaning = "share of refused calls from which it is marked as a retry storm"
*/
WITH
days AS (
    SELECT
        day, user_key, app_key, actual, expected, z, highest_35, reference, reference_days, reference_first, reference_last,
        covered_days, history, maybe_season, season_highest,
        history = 'enough' AND NOT in_season AND z >= $min_z AND actual >= $min_calls
            AND actual >= $times * expected AND actual > $over_highest * coalesce(highest_35, 0) AS far_out
    FROM expected_activity
    WHERE metric = 'calls'
      AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
      AND actual >= least($min_calls, $min_hour_calls)
),
-- Eight weeks back: what each hour of the week had.
hours AS (
    SELECT
        user_key, coalesce(app_key, '') AS app, hour, day, date_part('hour', hour) AS hour_of_day,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        max(app_name) AS app_name, sum(calls) AS calls, sum(call_errors) AS errors
    FROM activity_hourly
    WHERE day >= CAST($window_start AS DATE) - INTERVAL '56 days' AND day < CAST($window_end AS DATE)
      AND calls > 0
    GROUP BY user_key, coalesce(app_key, ''), hour, day
),
-- Of the accounts and days that are big enough, with what is known of the account.
big AS (
    SELECT
        d.day, d.user_key, d.app_key, coalesce(d.app_key, '') AS app, d.actual, d.expected, d.z, d.highest_35, d.reference,
        d.reference_days, d.reference_first, d.reference_last, d.history, d.maybe_season, d.season_highest, d.far_out,
        max(h.username) AS username, max(h.role) AS role, max(h.role_source) AS role_source, max(h.system) AS system,
        max(h.owner) AS owner, max(h.app_name) AS app_name, sum(h.errors) AS errors,
        array_slice(array_agg(lpad(CAST(CAST(h.hour_of_day AS BIGINT) AS VARCHAR), 2, '0') || 'h: ' || h.calls
            ORDER BY h.calls DESC, h.hour), 1, 6) AS hours
    FROM days AS d
    JOIN hours AS h ON h.user_key = d.user_key AND h.day = d.day AND h.app = coalesce(d.app_key, '')
    WHERE d.history = 'enough' AND h.day >= CAST($window_start AS DATE)
      -- A guest's calls are those of everybody: guest-endpoint-flood.
      AND coalesce(h.role, '') <> 'guest'
      AND in_window(h.user_key, CAST(NULL AS VARCHAR), h.hour, 'maintenance') IS NOT TRUE
    GROUP BY
        d.day, d.user_key, d.app_key, coalesce(d.app_key, ''), d.actual, d.expected, d.z, d.highest_35, d.reference,
        d.reference_days, d.reference_first, d.reference_last, d.history, d.maybe_season, d.season_highest, d.far_out
),
peaks AS (
    SELECT h.user_key, h.app, h.day, h.hour, h.hour_of_day, h.calls
    FROM hours AS h
    JOIN big AS b ON b.user_key = h.user_key AND b.app = h.app AND b.day = h.day
    WHERE h.calls >= $min_hour_calls AND h.day >= CAST($window_start AS DATE)
),
covered AS (
    SELECT DISTINCT day
    FROM covered_days
    WHERE event_type = 'ApiTotalUsage'
),
-- The same hour of the same weekday on the covered days of eight weeks; no row is no call.
slots AS (
    SELECT p.user_key, p.app, p.hour, p.calls, ln(1.0 + coalesce(h.calls, 0)) AS y
    FROM peaks AS p
    JOIN covered AS c
      ON c.day < p.day AND c.day >= p.day - INTERVAL '56 days' AND date_part('dow', c.day) = date_part('dow', p.day)
    LEFT JOIN hours AS h
      ON h.user_key = p.user_key AND h.app = p.app AND h.day = c.day AND h.hour_of_day = p.hour_of_day
),
centres AS (
    SELECT user_key, app, hour, max(calls) AS calls, median(y) AS centre, count(*) AS weeks
    FROM slots
    GROUP BY user_key, app, hour
),
spreads AS (
    SELECT
        c.user_key, c.app, c.hour, c.calls, c.centre, c.weeks,
        greatest(0.2, least(0.5, 1.4826 * median(abs(s.y - c.centre)))) AS scale
    FROM centres AS c
    JOIN slots AS s ON s.user_key = c.user_key AND s.app = c.app AND s.hour = c.hour
    GROUP BY c.user_key, c.app, c.hour, c.calls, c.centre, c.weeks
),
peak_hours AS (
    SELECT s.user_key, s.app, CAST(s.hour AS DATE) AS day, s.hour, s.calls, exp(s.centre) - 1 AS usual, max(h.calls) AS highest
    FROM spreads AS s
    LEFT JOIN hours AS h
      ON h.user_key = s.user_key AND h.app = s.app
     AND h.day < CAST(s.hour AS DATE) AND h.day >= CAST(s.hour AS DATE) - INTERVAL '35 days'
    WHERE s.weeks >= 6
      AND (ln(1.0 + s.calls) - s.centre) / s.scale >= $min_hour_z
      AND s.calls >= $high_times * (exp(s.centre) - 1)
    GROUP BY s.user_key, s.app, s.hour, s.calls, s.centre
),
worst_hours AS (
    SELECT
        user_key, app, day, count(*) AS peak_count,
        first_value(hour ORDER BY calls DESC, hour) AS peak_hour, max(calls) AS peak_calls,
        first_value(usual ORDER BY calls DESC, hour) AS peak_usual
    FROM peak_hours
    WHERE calls > $over_highest * coalesce(highest, 0)
    GROUP BY user_key, app, day
),
told AS (
    SELECT
        b.*, w.peak_count, w.peak_hour, w.peak_calls, w.peak_usual,
        b.far_out AND b.actual >= $high_times * b.expected AND NOT b.maybe_season AS very_far_out,
        CAST(b.errors AS DOUBLE) / b.actual >= $retry_share AS retry_storm
    FROM big AS b
    LEFT JOIN worst_hours AS w ON w.user_key = b.user_key AND w.app = b.app AND w.day = b.day
    WHERE b.far_out OR w.peak_count > 0
),
-- The rows that prove it, from the night's log only.
rows_of_the_night AS (
    SELECT
        coalesce(user_id, known_user_id(lower(trim(user_name))), lower(trim(user_name))) AS user_key,
        CAST(occurred_at AS DATE) AS day, occurred_at, ip, sf_id18(connected_app_id) AS app_id, connected_app_name AS app_name,
        file_id, line_no
    FROM elf_api_total_usage
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
),
seen AS (
    SELECT
        t.user_key, t.app, t.day, min(r.occurred_at) AS first_at, max(r.occurred_at) AS last_at,
        array_slice(array_agg(DISTINCT r.ip ORDER BY r.ip) FILTER (WHERE r.ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT printable(r.app_name) ORDER BY printable(r.app_name))
            FILTER (WHERE r.app_name IS NOT NULL), 1, 5) AS apps,
        array_slice(array_agg(r.file_id || ':' || r.line_no ORDER BY r.occurred_at, r.file_id, r.line_no), 1, 20) AS proof
    FROM told AS t
    JOIN rows_of_the_night AS r ON r.user_key = t.user_key AND r.day = t.day
    WHERE coalesce(r.app_id, '') = t.app OR r.app_id IS NULL
    GROUP BY t.user_key, t.app, t.day
)
SELECT
    coalesce(s.first_at, CAST(t.day AS TIMESTAMPTZ)) AS occurred_at,
    t.user_key, sf_id18(t.user_key) AS user_id, coalesce(known_username(t.user_key), t.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        2 + CASE WHEN t.very_far_out THEN 1 ELSE 0 END
        - CASE WHEN t.role = 'integration' AND t.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    t.actual AS event_count,
    s.last_at,
    'About ' || CAST(round(t.expected) AS BIGINT) || CASE WHEN round(t.expected) = 1 THEN ' call' ELSE ' calls' END
        || ' a day (' || t.reference || ', ' || t.reference_days || ' days from ' || t.reference_first || ' to '
        || t.reference_last || '; most of the last 35 days: ' || coalesce(t.highest_35, 0)
        || CASE WHEN t.maybe_season THEN '; at this time of the month before: ' || t.season_highest ELSE '' END || ')' AS expected,
    t.actual || ' calls'
        || CASE WHEN round(t.expected) >= 1 THEN ', ' || CAST(round(t.actual / t.expected) AS BIGINT) || ' times the usual' ELSE '' END
        || CASE
               WHEN t.peak_count > 0
                   THEN '; ' || t.peak_calls || ' of them in the hour from ' || to_char(t.peak_hour, '%H:%M')
                       || ' UTC, which usually has ' || CAST(round(t.peak_usual) AS BIGINT)
               ELSE ''
           END
        || coalesce('; through ' || array_to_string(s.apps, ', '), '')
        || coalesce('; from ' || array_to_string(array_slice(s.ips, 1, 5), ', '), '')
        || CASE WHEN t.retry_storm THEN '; ' || t.errors || ' were refused: a retry storm' ELSE '' END AS observed,
    t.role, t.role_source, t.system, t.owner,
    t.app_key, s.apps, s.ips, t.hours, t.z, t.errors, t.retry_storm,
    t.far_out AS by_day, coalesce(t.peak_count, 0) AS peak_hours,
    s.proof
FROM told AS t
LEFT JOIN seen AS s ON s.user_key = t.user_key AND s.app = t.app AND s.day = t.day
ORDER BY occurred_at, user_key, app_key
