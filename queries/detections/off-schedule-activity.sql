/*
id = "off-schedule-activity"
title = "A machine works at a time at which it never works"
family = "behaviour"
severity = "medium"
status = "active"
version = 1
control = ["S0.15"]
attack = ["T1029", "T1078.004"]
description = """
Machines keep their hours, thieves keep theirs. Declared: the account has `hours` in the registry, and at least five \
calls or logins within 24 hours lie outside of them by more than a quarter of an hour. Learned, for integrations and CI \
accounts without: at least twenty within 24 hours, in at least two hours of the week in which the account did nothing in \
the eight weeks before. High when some came from a network that is neither declared nor known of the account in that \
time. Learned mode asks for a history (first seen seven weeks ago, ten active days, logs of forty of the 56 days) and \
for an account that keeps hours at all: nine tenths of what it did in four weeks fell into hours known before. One finding per burst, on the day on which it first went so far. Who missed its usual hours in the day before is \
catching up, and is told only if it came from a new network; a day without logs is nobody's silence. Where this leaves \
the catalogue: the hours beside a known one are known, on whatever day, because clocks change on other days in other \
places and a late job runs over the hour. Declared hours are UTC: a day whose whole work fits into them once the clock \
is moved by an hour, is a clock change. An hour in which the account also did something unknown about a month ago \
(27 to 32 days) is a month's rhythm: a month-end load is told once."""
false_positives = [
  "A run by hand after an outage: not told if the silence shows in the logs; else declare a maintenance window",
  "A new schedule: known a week later; declare `hours` if it is to be so",
  "A load at each quarter's end: declare a maintenance window",
]
response = [
  "Ask the owner whether the job was run by hand or moved",
  "From a new network: compare with integration-unexpected-ip-api and treat the token as stolen until the owner knows better",
  "Look at what was read in these hours: rows, objects, bulk jobs",
]
references = [
  "https://attack.mitre.org/techniques/T1029/",
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["activity_hourly", "sightings?"]
dedupe = ["user_key"]
bucket = "day"

[params.calls]
type = "int"
default = 20
meaning = "calls and logins within 24 hours at unknown hours from which it is told, learned mode"

[params.slots]
type = "int"
default = 2
meaning = "unknown hours in which they must lie"

[params.declared_events]
type = "int"
default = 5
meaning = "calls and logins within 24 hours outside of declared hours from which it is told"

[params.slack]
type = "int"
default = 15
meaning = "minutes before and after declared hours that still belong to them"

[params.learn_period]
type = "duration"
default = "56d"
meaning = "time in which the hour of the week, and the network, must be unseen"

[params.min_history_days]
type = "int"
default = 49
meaning = "days since the account was first seen, below which nothing is learned"

[params.min_active_days]
type = "int"
default = 10
meaning = "active days in the last eight weeks without which nothing is learned"

[params.min_covered_days]
type = "int"
default = 40
meaning = "of the 56 days before, how many must have logs"

[params.min_regular]
type = "float"
default = 0.9
meaning = "part of four weeks' hours that must have been known before"

[params.catch_up_hours]
type = "int"
default = 2
meaning = "usual hours missed within the day before from which the work is a catching up; fewer where it has no more"
*/
WITH
-- When machines did anything; slot: hour of the week, Monday 00 UTC is 0.
acts AS (
    SELECT user_key, hour, CAST(day AS DATE) AS day, (CAST(date_part('epoch', hour) AS BIGINT) / 3600 + 72) % 168 AS slot
    FROM activity_hourly
    WHERE day >= CAST($window_start - $learn_period AS DATE) - INTERVAL '38 days'
      AND day < CAST($window_end AS DATE) + INTERVAL '1 day'
      AND role IN ('integration', 'ci') AND user_key IS NOT NULL
      AND (logins > 0 OR calls > 0 OR rows_read > 0 OR rows_unknown > 0 OR deletes > 0 OR exports > 0)
    GROUP BY user_key, hour, CAST(day AS DATE)
),
-- Of whom the past matters: those with an hour since two days before the night that is no old habit
-- of theirs, and those with declared hours. Of all others no hour can be unusual.
of_interest AS (
    SELECT user_key
    FROM (
        SELECT user_key, (slot + beside + 168) % 168 AS near_slot,
            max(CASE WHEN beside = 0 THEN lately END) AS lately, max(earlier) AS earlier
        FROM (
            SELECT
                user_key, slot,
                max(CASE WHEN day >= CAST($window_start AS DATE) - INTERVAL '2 days' THEN hour END) AS lately,
                -- Not the very hour before: whatever else is near an hour of the week is a week old.
                max(CASE WHEN hour < date_trunc('day', $window_start) - INTERVAL '49 hours' THEN hour END) AS earlier
            FROM acts
            GROUP BY user_key, slot
        ) s
        CROSS JOIN (SELECT -1 AS beside UNION ALL SELECT 0 AS beside UNION ALL SELECT 1 AS beside) n
        GROUP BY user_key, (slot + beside + 168) % 168
    ) h
    WHERE lately IS NOT NULL
      AND coalesce(earlier < lately - CAST($learn_period AS INTERVAL) - INTERVAL '1 hour', true)
    UNION
    SELECT user_key FROM registry_hours
),
-- Each hour stands for the hours beside it, too.
placed AS (
    SELECT
        user_key, hour, day, slot, beside,
        max(hour) OVER (PARTITION BY user_key, near_slot ORDER BY hour
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '6 days' PRECEDING) AS before,
        sum(CASE WHEN beside = 0 THEN 1 ELSE 0 END) OVER (PARTITION BY user_key, near_slot ORDER BY hour
            RANGE BETWEEN INTERVAL '22 days' PRECEDING AND CURRENT ROW) AS weeks_of_four,
        count(*) OVER (PARTITION BY user_key, near_slot ORDER BY hour
            RANGE BETWEEN INTERVAL '167 hours' FOLLOWING AND INTERVAL '169 hours' FOLLOWING) AS a_week_later
    FROM (
        SELECT a.user_key, a.hour, a.day, a.slot, n.beside, (a.slot + n.beside + 168) % 168 AS near_slot
        FROM acts a
        JOIN of_interest i ON i.user_key = a.user_key
        CROSS JOIN (SELECT -1 AS beside UNION ALL SELECT 0 AS beside UNION ALL SELECT 1 AS beside) n
    ) near
),
own AS (
    SELECT
        user_key, hour, day, slot,
        coalesce(before >= hour - CAST($learn_period AS INTERVAL) - INTERVAL '1 hour', false) AS known,
        weeks_of_four >= 3 AS usual,
        a_week_later = 0 AS then_missed,
        row_number() OVER (PARTITION BY user_key, day ORDER BY hour) = 1 AS opens_day
    FROM placed
    WHERE beside = 0
),
-- What the account had made usual by then.
learned AS (
    SELECT
        user_key, hour, day, slot, known, usual, then_missed,
        sum(CASE WHEN known THEN 0 ELSE 1 END) OVER (PARTITION BY user_key, slot % 24 ORDER BY hour
            RANGE BETWEEN INTERVAL '32 days' PRECEDING AND INTERVAL '27 days' PRECEDING) AS unknown_a_month_ago,
        min(day) OVER (PARTITION BY user_key ORDER BY day) AS first_day,
        sum(CASE WHEN opens_day THEN 1 ELSE 0 END) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '56 days' PRECEDING AND INTERVAL '1 day' PRECEDING) AS active_days,
        -- Until a week ago: what began since is what is judged.
        sum(CASE WHEN known THEN 1 ELSE 0 END) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '35 days' PRECEDING AND INTERVAL '8 days' PRECEDING) AS hours_known,
        count(*) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '35 days' PRECEDING AND INTERVAL '8 days' PRECEDING) AS hours_all
    FROM own
),
covered AS (
    SELECT
        day,
        sum(has_calls) OVER (ORDER BY day
            RANGE BETWEEN INTERVAL '56 days' PRECEDING AND INTERVAL '1 day' PRECEDING) AS call_days,
        sum(has_logins) OVER (ORDER BY day
            RANGE BETWEEN INTERVAL '56 days' PRECEDING AND INTERVAL '1 day' PRECEDING) AS login_days
    FROM (
        SELECT
            CAST(day AS DATE) AS day,
            max(CASE WHEN event_type IN ('Login', 'LoginHistory') THEN 0 ELSE 1 END) AS has_calls,
            max(CASE WHEN event_type IN ('Login', 'LoginHistory') THEN 1 ELSE 0 END) AS has_logins
        FROM covered_days
        WHERE event_type IN ('ApiTotalUsage', 'RestApi', 'API', 'ApexRestApi', 'ApexSoap', 'BulkApi', 'BulkApi2',
                             'BulkApiRequest', 'CompositeApi', 'MetadataApiOperation', 'Login', 'LoginHistory')
          AND day >= CAST($window_start AS DATE) - INTERVAL '60 days'
        GROUP BY CAST(day AS DATE)
    ) d
),
-- Hours in which it worked, and between them the usual ones that it missed.
timeline AS (
    SELECT
        user_key, at AS hour, missed,
        NOT missed AND NOT known AND coalesce(unknown_a_month_ago, 0) = 0
            AND first_day <= t.day - CAST($min_history_days || ' days' AS INTERVAL) AND active_days >= $min_active_days
            AND coalesce(hours_known >= $min_regular * hours_all, false) AS unknown,
        coalesce(call_days, 0) AS call_days, coalesce(login_days, 0) AS login_days,
        coalesce(sum(CASE WHEN missed THEN 1 ELSE 0 END) OVER (PARTITION BY user_key ORDER BY at
            RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND INTERVAL '1 hour' PRECEDING), 0) AS hours_missed,
        coalesce(sum(CASE WHEN usual THEN 1 ELSE 0 END) OVER (PARTITION BY user_key ORDER BY at
            RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND INTERVAL '1 hour' PRECEDING), 0) AS hours_usual
    FROM (
        SELECT
            l.user_key, l.day, l.known, l.usual, l.unknown_a_month_ago, l.first_day, l.active_days, l.hours_known, l.hours_all,
            m.missed, CASE WHEN m.missed THEN l.hour + INTERVAL '7 days' ELSE l.hour END AS at
        FROM learned l
        CROSS JOIN (SELECT true AS missed UNION ALL SELECT false AS missed) m
        WHERE NOT m.missed OR (l.usual AND l.then_missed)
    ) t
    LEFT JOIN covered c ON c.day = CAST(t.at AS DATE)
    -- Where no log tells of the day, nobody was silent.
    WHERE at >= $window_start - INTERVAL '4 days' AND at < $window_end AND (NOT missed OR c.day IS NOT NULL)
),
networks AS (
    SELECT
        user_key, day, network,
        lag(day) OVER (PARTITION BY user_key, network ORDER BY day) AS before,
        min(day) OVER (PARTITION BY user_key) AS first_day
    FROM (
        SELECT user_key, CAST(day AS DATE) AS day, value AS network
        FROM sightings
        WHERE kind = 'network' AND user_key IS NOT NULL
          AND day >= CAST($window_start - $learn_period AS DATE) - INTERVAL '3 days'
          AND day < CAST($window_end AS DATE) + INTERVAL '1 day'
        GROUP BY user_key, CAST(day AS DATE), value
    ) n
),
-- Rows of the night and of the two days before, of those for whom any hour can be unusual. The left
-- side of a join is held in memory: the hours and the accounts, and not the rows.
rows_of_the_night AS (
    SELECT
        user_key, minute, log, ip, ip_kind, app, unknown, call_days, login_days, hours_missed, hours_usual, declared,
        count(*) AS events, min(occurred_at) AS first_at, max(occurred_at) AS last_at, min(file_id || ':' || line_no) AS proof,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM (
        SELECT
            e.*, date_trunc('minute', e.occurred_at) AS minute, d.declared_user IS NOT NULL AS declared
        FROM (SELECT DISTINCT user_key AS declared_user FROM registry_hours) d
        RIGHT JOIN (
            SELECT
                e.*, coalesce(t.unknown, false) AS unknown,
                coalesce(t.call_days, 0) AS call_days, coalesce(t.login_days, 0) AS login_days,
                coalesce(t.hours_missed, 0) AS hours_missed, coalesce(t.hours_usual, 0) AS hours_usual
            FROM (SELECT * FROM timeline WHERE NOT missed) t
            RIGHT JOIN (
                SELECT
                    occurred_at, user_key, username, role, role_source, system, owner, event_type AS log, ip, ip_kind,
                    coalesce(app, app_id) AS app, file_id, line_no
                FROM api_calls
                WHERE occurred_at >= date_trunc('day', $window_start) - INTERVAL '2 days' AND occurred_at < $window_end
                UNION ALL
                SELECT
                    occurred_at, user_key, username, role, role_source, system, owner, 'Login' AS log, ip, ip_kind,
                    app, file_id, line_no
                FROM logins
                WHERE occurred_at >= date_trunc('day', $window_start) - INTERVAL '2 days' AND occurred_at < $window_end
                  AND outcome = 'success'
            ) e ON e.user_key = t.user_key AND date_trunc('hour', e.occurred_at) = t.hour
        ) e ON e.user_key = d.declared_user
        WHERE e.unknown OR d.declared_user IS NOT NULL
    ) r
    GROUP BY user_key, minute, log, ip, ip_kind, app, unknown, call_days, login_days, hours_missed, hours_usual, declared
),
-- Against the declared hours; the same if the account's clock were an hour behind, or ahead.
against_hours AS (
    SELECT
        m.user_key, m.minute, m.log, m.ip, m.ip_kind, m.app, m.unknown, m.call_days, m.login_days, m.hours_missed,
        m.hours_usual, m.events, m.first_at, m.last_at, m.proof, m.username, m.role, m.role_source, m.system, m.owner,
        count(h.user_key) > 0 AS declared,
        -- Minutes since the span began, around the week.
        coalesce(bool_or((m.of_week - h.begins + 20160) % 10080 <= h.lasts), false) AS inside,
        coalesce(bool_or((m.of_week + 60 - h.begins + 20160) % 10080 <= h.lasts), false) AS inside_if_early,
        coalesce(bool_or((m.of_week - 60 - h.begins + 20160) % 10080 <= h.lasts), false) AS inside_if_late
    FROM (
        SELECT
            user_key, valid_from, valid_to, (weekday - 1) * 1440 + from_minute - $slack AS begins,
            to_minute - from_minute + 2 * $slack AS lasts
        FROM registry_hours
    ) h
    RIGHT JOIN (
        SELECT *, (CAST(date_part('epoch', minute) AS BIGINT) / 60 + 4320) % 10080 AS of_week FROM rows_of_the_night
    ) m
      ON m.user_key = h.user_key AND m.minute >= h.valid_from AND m.minute < h.valid_to
    GROUP BY
        m.user_key, m.minute, m.log, m.ip, m.ip_kind, m.app, m.unknown, m.call_days, m.login_days, m.hours_missed,
        m.hours_usual, m.events, m.first_at, m.last_at, m.proof, m.username, m.role, m.role_source, m.system, m.owner
),
off AS (
    SELECT
        s.*, date_trunc('hour', s.minute) AS hour,
        CASE
            WHEN s.ip_kind = 'public' AND in_networks(s.user_key, s.ip, s.minute) IS NOT TRUE
             AND coalesce(n.day - CAST($learn_period AS INTERVAL) > n.before, n.before IS NULL)
             -- Of an account without a past and without a declaration every network is new, and none is news.
             AND (in_networks(s.user_key, s.ip, s.minute) IS FALSE OR n.first_day < n.day)
            THEN network_of(s.ip)
        END AS new_network
    FROM (
        SELECT
            *,
            min(CASE WHEN inside_if_early THEN 1 ELSE 0 END) OVER (PARTITION BY user_key, CAST(minute AS DATE)) AS all_early,
            min(CASE WHEN inside_if_late THEN 1 ELSE 0 END) OVER (PARTITION BY user_key, CAST(minute AS DATE)) AS all_late
        FROM against_hours
    ) s
    LEFT JOIN networks n
      ON n.user_key = s.user_key AND n.day = CAST(s.minute AS DATE) AND n.network = network_of(s.ip)
    WHERE CASE
            WHEN s.declared THEN NOT s.inside AND all_early = 0 AND all_late = 0
            ELSE s.unknown AND CASE WHEN s.log = 'Login' THEN s.login_days ELSE s.call_days END >= $min_covered_days
          END
      AND in_window(s.user_key, CAST(NULL AS VARCHAR), s.minute, 'maintenance') IS NOT TRUE
),
-- A call shows in several logs: the one that tells of most of them counts.
off_hours AS (
    SELECT
        user_key, hour, CAST(hour AS DATE) AS day, bool_or(declared) AS declared,
        coalesce(max(of_log) FILTER (WHERE log = 'Login'), 0) + coalesce(max(of_log) FILTER (WHERE log <> 'Login'), 0) AS events,
        min(first_at) AS first_at, max(last_at) AS last_at, max(hours_missed) AS hours_missed, max(hours_usual) AS hours_usual,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT new_network ORDER BY new_network) FILTER (WHERE new_network IS NOT NULL) AS new_networks,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM (SELECT *, sum(events) OVER (PARTITION BY user_key, hour, log) AS of_log FROM off) o
    GROUP BY user_key, hour
),
reached AS (
    SELECT
        *,
        CASE WHEN declared THEN events_24_hours >= $declared_events
             ELSE events_24_hours >= $calls AND hours_24 >= $slots END AS enough
    FROM (
        SELECT
            *,
            sum(events) OVER (PARTITION BY user_key ORDER BY hour
                RANGE BETWEEN INTERVAL '23 hours' PRECEDING AND CURRENT ROW) AS events_24_hours,
            count(*) OVER (PARTITION BY user_key ORDER BY hour
                RANGE BETWEEN INTERVAL '23 hours' PRECEDING AND CURRENT ROW) AS hours_24
        FROM off_hours
    ) o
),
-- A burst belongs to the day on which it first went so far; what goes on since yesterday was told
-- yesterday. So each hour stands for its own day and for the next.
burst AS (
    SELECT
        *,
        min(CASE WHEN later = 0 AND is_first THEN hour END) OVER (PARTITION BY user_key, of_day) AS told_at,
        bool_or(is_first) OVER (PARTITION BY user_key, day) AS told_on_its_day
    FROM (
        SELECT r.*, c.later, CASE WHEN c.later = 1 THEN r.day + INTERVAL '1 day' ELSE r.day END AS of_day
        FROM (
            SELECT
                *,
                enough AND coalesce(sum(CASE WHEN enough THEN 1 ELSE 0 END) OVER (PARTITION BY user_key ORDER BY hour
                    RANGE BETWEEN INTERVAL '12 hours' PRECEDING AND INTERVAL '1 hour' PRECEDING), 0) = 0 AS is_first
            FROM reached
        ) r
        CROSS JOIN (SELECT 0 AS later UNION ALL SELECT 1 AS later) c
    ) d
),
told AS (
    SELECT
        user_key, of_day AS day, bool_or(declared) AS declared, sum(events) AS events,
        min(first_at) AS first_at, max(last_at) AS last_at,
        first_value(hours_missed ORDER BY hour) AS hours_missed, first_value(hours_usual ORDER BY hour) AS hours_usual,
        array_agg(to_char(hour, '%a %H') || 'h' ORDER BY hour) AS slots,
        array_sort(array_distinct(flatten(array_agg(arrow_cast(ips, 'List(Utf8)') ORDER BY hour) FILTER (WHERE ips IS NOT NULL)))) AS ips,
        array_sort(array_distinct(flatten(array_agg(arrow_cast(apps, 'List(Utf8)') ORDER BY hour) FILTER (WHERE apps IS NOT NULL)))) AS apps,
        array_sort(array_distinct(flatten(array_agg(arrow_cast(new_networks, 'List(Utf8)') ORDER BY hour) FILTER (WHERE new_networks IS NOT NULL)))) AS new_networks,
        flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY hour)) AS proof,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM burst
    WHERE told_at >= $window_start AND told_at < $window_end AND hour > told_at - INTERVAL '24 hours'
      AND (later = 0 OR NOT told_on_its_day)
    GROUP BY user_key, of_day
    -- Enough without what was told the day before.
    HAVING sum(events) >= CASE WHEN bool_or(declared) THEN $declared_events ELSE $calls END
       AND (bool_or(declared) OR count(*) >= $slots)
),
judged AS (
    SELECT
        *, hours_missed > 0 AND hours_missed >= least($catch_up_hours, hours_missed + hours_usual) AS catch_up
    FROM told
)
SELECT
    greatest(first_at, arrow_cast(day, 'Timestamp(Millisecond, Some("UTC"))')) AS occurred_at,
    user_key, sf_id18(user_key) AS user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN new_networks IS NOT NULL THEN 3 ELSE 2 END
        - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    events AS event_count,
    last_at,
    CASE WHEN declared THEN 'Works only in the hours that the registry declares for it'
         ELSE 'Does nothing in these hours of the week: it did not in the last 8 weeks' END AS expected,
    events || ' calls and logins at ' || array_to_string(array_slice(slots, 1, 6), ', ')
        || CASE WHEN cardinality(slots) > 6 THEN ' and ' || (cardinality(slots) - 6) || ' more hours' ELSE '' END || ' (UTC)'
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || coalesce('; new for this account: ' || array_to_string(array_slice(new_networks, 1, 3), ', '), '')
        || CASE WHEN catch_up THEN '; it missed ' || hours_missed || ' of its usual hours in the day before' ELSE '' END AS observed,
    role, role_source, system, owner,
    CASE WHEN declared THEN 'declared' ELSE 'learned' END AS mode,
    slots, new_networks, hours_missed, catch_up,
    array_slice(apps, 1, 20) AS apps, array_slice(ips, 1, 20) AS ips,
    array_slice(proof, 1, 20) AS proof
FROM judged
WHERE NOT catch_up OR new_networks IS NOT NULL
ORDER BY occurred_at, user_key
