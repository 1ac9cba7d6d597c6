/*
id = "integration-silence"
title = "An integration that always talks went quiet"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1531", "T1489"]
description = """
A machine that stops talking was stopped: frozen, its app disabled or contained by the vendor, its certificate \
run out, or its job broken. Declared mode: the registry's max_silence (or cadence) of the user has passed. \
Learned mode, for the others: longer than five times its usual gap (the 95th percentile in the last 28 days) and \
two hours, and at least two hours passed in which it was active at that time in three of four weeks, so that \
nights, weekends and the days between two runs of a weekly job are no silence. Silence is counted in hours of \
which the log in question has rows of anybody: where the files are missing nobody is silent, that is \
`missing-log-file`; in an org in which a single account fills a log, its silence shows there, too. The catalogue \
takes the largest of the declared and the learned limit; here the declared one counts alone, because a single \
login a day makes the learned one five days. It judges a user and not a user and app, because External Client \
Apps leave the app out of some rows. The finding ends by itself when the integration talks again, and after \
`look_back`."""
false_positives = [
  "Planned stop: end the registry entry (valid_to) or raise max_silence",
  "A seasonal job: declare its cadence",
]
response = [
  "Read the cause, if there is one: frozen, deactivated, app deleted, package missing, token or certificate refused",
  "Ask the owner whether the stop is planned; does the other side see errors?",
  "A vendor's app, or several users of one app at once: read the vendor's and Salesforce's security notices: tokens may have been revoked for a reason",
]
references = [
  "https://attack.mitre.org/techniques/T1531/",
  "https://attack.mitre.org/techniques/T1489/",
]
inputs = ["api_calls | logins", "Logout?", "User?", "UserLogin?"]
dedupe = ["user_key"]
bucket = "none"

[params.look_back]
type = "duration"
default = "42d"
meaning = "how far back the last sign of life may lie"

[params.factor]
type = "float"
default = 5.0
meaning = "how many times its usual gap a user may be silent in learned mode"

[params.min_silence]
type = "duration"
default = "2h"
meaning = "silence that is never reported"

[params.min_missed_hours]
type = "int"
default = 2
meaning = "silent hours in which the user is usually active, in learned mode"

[params.app_users]
type = "int"
default = 3
meaning = "users of one app that stop within an hour from which the app was stopped"

[params.revoked_sessions]
type = "int"
default = 5
meaning = "Logout rows without a user within an hour of the last sign of life from which sessions were revoked"

[params.own_vendor]
type = "text"
default = "own"
meaning = "the registry's word for the vendor of an app of one's own"
*/
WITH
-- Signs of life. A refused login is none.
signs AS (
    SELECT occurred_at, user_key, event_type AS log, app, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_end - $look_back AND occurred_at < $window_end
      AND occurred_at <= $now AND role = 'integration'
    UNION ALL
    SELECT occurred_at, user_key, 'Login' AS log, app, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_end - $look_back AND occurred_at < $window_end
      AND occurred_at <= $now AND role = 'integration' AND outcome = 'success'
),
-- Who has said nothing for long enough, in whatever log. The others are out before their signs are
-- counted by the minute.
quiet_users AS (
    SELECT user_key, max(occurred_at) AS last_seen
    FROM signs
    GROUP BY user_key
    -- Hours are counted whole: one more or less.
    HAVING max(occurred_at) + CAST($min_silence AS INTERVAL) - INTERVAL '1 hour' <= least($window_end, $now)
),
minutes AS (
    SELECT
        q.user_key, s.log, date_trunc('minute', s.occurred_at) AS minute,
        date_trunc('minute', q.last_seen) AS last_seen,
        max(s.file_id) AS file_id, max(s.line_no) AS line_no, max(s.app) AS app
    FROM quiet_users q
    JOIN signs s ON s.user_key = q.user_key
    GROUP BY q.user_key, s.log, date_trunc('minute', s.occurred_at), date_trunc('minute', q.last_seen)
),
series AS (
    SELECT
        user_key, log, last_seen,
        min(minute) AS first_seen,
        coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY gap_minutes), 0) AS usual_gap,
        last_value(file_id || ':' || line_no ORDER BY minute) AS last_row,
        max(app) AS app,
        -- Here, because the signs would be read again for a list of their own.
        array_agg(DISTINCT date_trunc('hour', minute) ORDER BY date_trunc('hour', minute)) AS active_hours
    FROM (
        -- One order for all three, so that the rows are sorted once.
        SELECT
            user_key, log, minute, last_seen, file_id, line_no,
            max(app) OVER (
                PARTITION BY user_key ORDER BY log, minute
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS app,
            CASE WHEN lag(log) OVER (PARTITION BY user_key ORDER BY log, minute) = log
                 THEN date_part('epoch', minute)
                    - date_part('epoch', lag(minute) OVER (PARTITION BY user_key ORDER BY log, minute))
            END / 60 AS gap_minutes
        FROM minutes
    ) timed
    WHERE minute > last_seen - INTERVAL '28 days'
    GROUP BY user_key, log, last_seen
),
-- Hours of which a log has any row, of whomever: there a silence is one.
covered AS (
    SELECT event_type AS log, date_trunc('hour', occurred_at) AS hour FROM api_calls
    WHERE occurred_at >= $window_end - $look_back AND occurred_at < $window_end AND occurred_at <= $now
    GROUP BY event_type, date_trunc('hour', occurred_at)
    UNION ALL
    SELECT 'Login' AS log, date_trunc('hour', occurred_at) AS hour FROM logins
    WHERE occurred_at >= $window_end - $look_back AND occurred_at < $window_end AND occurred_at <= $now
    GROUP BY date_trunc('hour', occurred_at)
),
-- Weeks that the user was there at all, and in how many of them it was active at that hour.
silent_hours AS (
    SELECT
        s.user_key, s.log, s.last_seen, s.hour,
        count(*) FILTER (WHERE s.hour - weeks.back >= s.first_seen) AS weeks,
        count(*) FILTER (WHERE array_has(s.active_hours, s.hour - weeks.back)) AS active_weeks,
        max(s.usual_gap) AS usual_gap, max(s.last_row) AS last_row, max(s.app) AS app
    FROM (
        SELECT s.*, c.hour
        FROM series s
        JOIN covered c ON c.log = s.log AND c.hour > s.last_seen
    ) s
    CROSS JOIN (
        SELECT INTERVAL '7 days' AS back UNION ALL SELECT INTERVAL '14 days' AS back
        UNION ALL SELECT INTERVAL '21 days' AS back UNION ALL SELECT INTERVAL '28 days' AS back
    ) weeks
    GROUP BY s.user_key, s.log, s.last_seen, s.hour
),
silences AS (
    SELECT
        user_key, log, last_seen,
        max(usual_gap) AS usual_gap, max(last_row) AS last_row, max(app) AS app,
        count(*) AS hours_silent,
        count(*) FILTER (WHERE weeks >= 2 AND active_weeks >= 0.75 * weeks) AS hours_missed,
        max(hour) + INTERVAL '1 hour' AS silent_until
    FROM silent_hours
    GROUP BY user_key, log, last_seen
),
-- The registry as it is at the end of the silence: a retired integration may be silent.
declared AS (
    SELECT
        s.*,
        coalesce(n.username, r.username) AS username,
        CASE WHEN r.user_key IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        r.system, r.owner,
        coalesce(r.max_silence_minutes, CASE r.cadence
            WHEN 'continuous' THEN 120 WHEN 'hourly' THEN 180 WHEN 'daily' THEN 36 * 60
            WHEN 'weekly' THEN 9 * 1440 WHEN 'monthly' THEN 35 * 1440 WHEN 'annual' THEN 400 * 1440
        END) AS allowed_minutes
    FROM silences s
    LEFT JOIN registry_users r
      ON r.user_key = s.user_key AND s.silent_until >= r.valid_from AND s.silent_until < r.valid_to
    LEFT JOIN (SELECT DISTINCT user_key FROM registry_users) known ON known.user_key = s.user_key
    LEFT JOIN usernames n ON n.user_id = s.user_key
    WHERE (r.user_key IS NULL AND known.user_key IS NULL) OR r.role = 'integration'
),
-- One row for each silent user, told by the log in which it talks most often.
quiet AS (
    SELECT
        user_key, max(username) AS username, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner, last_seen,
        first_value(log ORDER BY usual_gap, log) AS log,
        first_value(last_row ORDER BY usual_gap, log) AS last_row,
        first_value(hours_silent ORDER BY usual_gap, log) AS hours_silent,
        first_value(hours_missed ORDER BY usual_gap, log) AS hours_missed,
        first_value(silent_until ORDER BY usual_gap, log) AS silent_until,
        min(usual_gap) AS usual_gap, max(allowed_minutes) AS allowed_minutes, max(app) AS last_app
    FROM declared
    WHERE CASE
              WHEN allowed_minutes IS NOT NULL
              THEN hours_silent * 60 > greatest(allowed_minutes, date_part('epoch', CAST($min_silence AS INTERVAL)) / 60)
              ELSE hours_silent * 60 > greatest($factor * usual_gap, date_part('epoch', CAST($min_silence AS INTERVAL)) / 60)
                   AND hours_missed >= $min_missed_hours
          END
    GROUP BY user_key, last_seen
),
with_app AS (
    SELECT
        q.*, coalesce(a.app_name, q.last_app) AS app,
        -- Users of one app that fell silent within an hour of each other.
        CASE WHEN coalesce(a.app_name, q.last_app) IS NULL THEN 1 ELSE
            count(*) OVER (
                PARTITION BY app_name_key(coalesce(a.app_name, q.last_app)) ORDER BY q.last_seen
                RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND INTERVAL '1 hour' FOLLOWING)
        END AS stopped_together
    FROM quiet q
    LEFT JOIN (
        SELECT user_key, max(app_name) AS app_name FROM registry_apps GROUP BY user_key HAVING count(*) = 1
    ) a ON a.user_key = q.user_key
),
-- Why: what refused logins of the user say.
causes AS (
    SELECT
        user_key, cause, count(*) AS refused, max(occurred_at) AS last_refused,
        last_value(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no) AS refused_row
    FROM (
        SELECT
            user_key, occurred_at, file_id, line_no,
            CASE
                WHEN regexp_like(status, 'USER_FROZEN|CSS_FROZEN|user is frozen', 'i') THEN 'user frozen'
                WHEN regexp_like(status, 'USER_INACTIVE|user is inactive', 'i') THEN 'user deactivated'
                WHEN regexp_like(status, 'CONSUMER_DELETED|consumer deleted', 'i') THEN 'app deleted'
                WHEN regexp_like(status, 'PACKAGE_MISSING|package for this consumer', 'i') THEN 'package missing'
                WHEN regexp_like(status, 'INVALID_TOKEN|invalid token', 'i') THEN 'token refused'
                WHEN regexp_like(status, 'MUTUAL_AUTH|mutual auth|MISMATCH_CERT|certificate|INVALID_DSIG|signature invalid', 'i')
                THEN 'certificate refused'
            END AS cause
        FROM logins
        WHERE occurred_at >= $window_end - $look_back AND occurred_at < $window_end
          AND occurred_at <= $now AND outcome <> 'success'
    ) told
    WHERE cause IS NOT NULL
    GROUP BY user_key, cause
    UNION ALL
    -- What a snapshot of the roster says since then.
    SELECT user_id AS user_key, 'user deactivated' AS cause, 0 AS refused, max(occurred_at) AS last_refused,
        CAST(NULL AS VARCHAR) AS refused_row
    FROM roster_user
    WHERE occurred_at >= $window_end - $look_back AND occurred_at <= $now AND NOT isactive
    GROUP BY user_id
    UNION ALL
    SELECT user_id AS user_key, 'user frozen' AS cause, 0 AS refused, max(occurred_at) AS last_refused,
        CAST(NULL AS VARCHAR) AS refused_row
    FROM roster_user_login
    WHERE occurred_at >= $window_end - $look_back AND occurred_at <= $now AND isfrozen
    GROUP BY user_id
),
-- Hours with a batch of ended sessions that names no user.
revocations AS (
    SELECT DISTINCT date_trunc('hour', occurred_at) AS hour
    FROM (
        SELECT
            occurred_at,
            count(*) OVER (ORDER BY occurred_at RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS sessions
        FROM elf_logout
        WHERE occurred_at >= $window_end - $look_back AND occurred_at < $window_end AND user_id IS NULL
    ) nameless
    WHERE sessions >= $revoked_sessions
),
vendor_apps AS (
    SELECT app_name_key(name) AS app_key, max(vendor) AS vendor FROM registry_org_apps
    WHERE vendor IS NOT NULL AND lower(trim(vendor)) <> $own_vendor
    GROUP BY app_name_key(name)
),
explained AS (
    SELECT
        w.user_key, w.last_seen,
        max(w.username) AS username, max(w.role_source) AS role_source, max(w.system) AS system, max(w.owner) AS owner,
        max(w.app) AS app, max(v.vendor) AS vendor, max(w.log) AS log,
        max(w.hours_silent) AS hours_silent, max(w.hours_missed) AS hours_missed, max(w.silent_until) AS silent_until,
        max(w.usual_gap) AS usual_gap, max(w.allowed_minutes) AS allowed_minutes,
        max(w.stopped_together) AS stopped_together,
        coalesce(sum(r.refused), 0) AS refused_logins,
        array_distinct(array_concat(
            coalesce(array_agg(DISTINCT r.cause ORDER BY r.cause) FILTER (WHERE r.cause IS NOT NULL), []),
            CASE WHEN bool_or(o.hour IS NOT NULL) THEN ['sessions revoked'] ELSE [] END,
            CASE WHEN max(w.stopped_together) >= $app_users THEN ['app disabled or contained'] ELSE [] END)) AS causes,
        array_concat(
            [max(w.last_row)],
            coalesce(array_agg(DISTINCT r.refused_row ORDER BY r.refused_row) FILTER (WHERE r.refused_row IS NOT NULL), []))
            AS proof
    FROM with_app w
    LEFT JOIN causes r ON r.user_key = w.user_key AND r.last_refused >= w.last_seen - INTERVAL '1 hour'
    LEFT JOIN revocations o
      ON o.hour >= date_trunc('hour', w.last_seen) - INTERVAL '1 hour' AND o.hour <= w.last_seen + INTERVAL '1 hour'
    LEFT JOIN vendor_apps v ON v.app_key = app_name_key(w.app)
    GROUP BY w.user_key, w.last_seen
)
SELECT
    last_seen AS occurred_at,
    user_key, CASE WHEN user_key LIKE '005%' THEN user_key END AS user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN cardinality(causes) > 0 OR vendor IS NOT NULL THEN 3 ELSE 2 END
        - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    hours_silent AS event_count,
    silent_until AS last_at,
    CASE
        WHEN allowed_minutes IS NOT NULL THEN 'A sign of life at least every '
            || CASE WHEN allowed_minutes % 1440 = 0 THEN CAST(allowed_minutes / 1440 AS BIGINT) || ' days'
                    WHEN allowed_minutes % 60 = 0 THEN CAST(allowed_minutes / 60 AS BIGINT) || ' hours'
                    ELSE CAST(allowed_minutes AS BIGINT) || ' minutes' END
            || ', as the registry declares'
        ELSE 'A sign of life about every ' || CAST(ceil(usual_gap) AS BIGINT) || ' minutes, as in the weeks before'
    END AS expected,
    'Silent for ' || hours_silent || ' covered hours since ' || to_char(last_seen, '%Y-%m-%d %H:%M')
        || ' UTC' || coalesce(' (app ' || printable(app) || ')', '')
        || CASE WHEN cardinality(causes) > 0 THEN '; cause: ' || array_to_string(causes, ', ') ELSE '; no cause found' END
        || CASE WHEN stopped_together >= $app_users
                THEN '; ' || stopped_together || ' users of this app stopped within an hour' ELSE '' END AS observed,
    'integration' AS role, role_source, system, owner,
    CASE WHEN allowed_minutes IS NULL THEN 'learned' ELSE 'declared' END AS mode,
    printable(app) AS app, printable(vendor) AS vendor, last_seen, hours_silent, hours_missed,
    CAST(ceil(usual_gap) AS BIGINT) AS usual_gap_minutes, allowed_minutes, log,
    causes, refused_logins, stopped_together,
    proof
FROM explained
ORDER BY occurred_at, user_key
