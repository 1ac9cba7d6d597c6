/*
id = "shared-credential-concurrent"
title = "The same integration credential is in use in two places at the same time"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.2", "S0.11", "S1.2"]
attack = ["T1078.004", "T1550.001"]
description = """
A system works from where it stands. A credential whose logins and calls jump to and fro between two places \
within hours is in two hands. A move or a failover jumps once; this rule counts jumps. High where one of the \
places is not declared for the user, or, for users without declared networks, is new; low where both are \
declared (two sites that share one credential). The catalogue tells places by provider (ASN), which no log here \
has: a place is the declared network, else the /24 or /48 around the address. IPv4 and IPv6 of one user are one \
place where both are declared, or both are in the same country, or nothing is declared and the country of one is unknown (calls \
carry no country: it is taken from the user's logins from that network). For users without declared networks a \
network is new unless a login of the last 60 days or a call of the last 7 came from it; the day itself and the \
day before never teach. Logins and calls from one address in the same second count once: one call is written to \
several logs."""
false_positives = [
  "Active-active data centres: declare the networks of both, then it is low; better, give each site its own user",
  "A proxy pool that spreads over several /24 and is not declared: declare its published ranges",
]
response = [
  "Ask the owner whether the second place is theirs; no answer counts as no",
  "If not: freeze the user, revoke its tokens, rotate its credential, and read what was called from the second place",
  "One credential per system and site, and login ranges on the profile, so that the platform refuses the other place",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1550/001/",
]
inputs = ["logins | api_calls"]
dedupe = ["user_key"]
bucket = "day"

[params.period]
type = "duration"
default = "6h"
meaning = "time in which the jumps are counted"

[params.min_switches]
type = "int"
default = 4
meaning = "jumps between places in the period from which it is no move"

[params.min_events]
type = "int"
default = 3
meaning = "logins and calls that each of two places must have in the period"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "without declared networks: how far back a login makes a network known"

[params.call_learn_period]
type = "duration"
default = "7d"
meaning = "without declared networks: how far back a call makes a network known"

[params.min_covered_days]
type = "int"
default = 14
meaning = "without declared networks: earlier days with login files before a network can be new"
*/
WITH
used AS (
    SELECT occurred_at, user_key, role_source, ip, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - $period AND occurred_at < $window_end
      AND role = 'integration' AND outcome = 'success' AND ip_kind = 'public'
    UNION ALL
    SELECT occurred_at, user_key, role_source, ip, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start - $period AND occurred_at < $window_end
      AND role = 'integration' AND ip_kind = 'public'
      -- A call that was refused for want of a session used no credential.
      AND status_code IS DISTINCT FROM 401
),
-- Users with enough events in the period beside their busiest network. Most have none: they are out
-- before anything is sorted by time. Counted by the hour, which finds too many and never too few.
movers AS (
    SELECT user_key
    FROM (
        SELECT user_key, hour, sum(events) - max(events) AS beside
        FROM (
            SELECT user_key, network, inside, hour, sum(events) AS events
            FROM (
                SELECT
                    user_key, network_of(ip) AS network, inside, events,
                    unnest(generate_series(
                        hour, hour + CAST($period AS INTERVAL) + INTERVAL '59 minutes', INTERVAL '1 hour')) AS hour
                FROM (
                    SELECT
                        user_key, ip, in_networks(user_key, ip, occurred_at) AS inside,
                        date_trunc('hour', occurred_at) AS hour, count(*) AS events
                    FROM used
                    GROUP BY user_key, ip, in_networks(user_key, ip, occurred_at), date_trunc('hour', occurred_at)
                ) by_address
            ) in_reach
            GROUP BY user_key, network, inside, hour
        ) by_network
        GROUP BY user_key, hour
    ) by_period
    GROUP BY user_key
    HAVING max(beside) >= $min_events
),
events AS (
    SELECT
        *, CAST(at AS DATE) AS day, network_of(ip) AS network, in_networks(user_key, ip, at) AS inside
    FROM (
        SELECT
            m.user_key, u.ip, date_trunc('second', u.occurred_at) AS at, max(u.role_source) AS role_source,
            min(u.file_id || ':' || u.line_no) AS proof
        FROM movers m
        JOIN used u ON u.user_key = m.user_key
        GROUP BY m.user_key, u.ip, date_trunc('second', u.occurred_at)
    ) e
),
-- From where each user logged in, and called, in the past.
past AS (
    SELECT user_key, ip, day, country
    FROM logins
    WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
      AND outcome = 'success' AND ip_kind = 'public'
      AND user_key IS NOT NULL
    UNION ALL
    SELECT user_key, ip, day, CAST(NULL AS VARCHAR) AS country
    FROM api_calls
    WHERE occurred_at >= $window_start - $call_learn_period AND occurred_at < $window_end
      AND role = 'integration' AND ip_kind = 'public'
      -- What is declared need not be learned.
      AND in_networks(user_key, ip, occurred_at) IS NULL
),
networks AS (
    SELECT
        user_key, network_of(ip) AS network, min(first_day) AS first_day,
        -- One country is written in two ways.
        max(CASE upper(trim(country)) WHEN '' THEN NULL WHEN 'UK' THEN 'GB' ELSE upper(trim(country)) END) AS country,
        min(min(first_day)) OVER (PARTITION BY user_key) AS user_first_day
    FROM (SELECT user_key, ip, country, min(day) AS first_day FROM past GROUP BY user_key, ip, country) p
    GROUP BY user_key, network_of(ip)
),
covered AS (
    SELECT d.day, count(*) AS covered_days
    FROM (SELECT DISTINCT CAST(day AS DATE) AS day FROM parts) d
    JOIN (
        SELECT DISTINCT CAST(day AS DATE) AS day FROM parts WHERE event_type IN ('Login', 'LoginHistory')
    ) c ON c.day < d.day AND c.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.day
),
placed AS (
    SELECT
        -- Plain text is copied when it is sorted; views of text hold on to the whole buffers of their files,
        -- and each counts against the memory of the sort.
        arrow_cast(e.user_key, 'Utf8') AS user_key, e.at, e.day, arrow_cast(e.ip, 'Utf8') AS ip,
        arrow_cast(e.role_source, 'Utf8') AS role_source, arrow_cast(e.proof, 'Utf8') AS proof, e.inside,
        arrow_cast(n.country, 'Utf8') AS country, e.ip LIKE '%:%' AS is_v6,
        arrow_cast(CASE
            -- A declared network that is wider than the usual one is one place.
            WHEN e.inside
                 AND CAST(split_part(nearest_network(e.user_key, e.ip, e.at), '/', 2) AS INT)
                     < CASE WHEN e.ip LIKE '%:%' THEN 48 ELSE 24 END
                THEN nearest_network(e.user_key, e.ip, e.at)
            WHEN e.inside IS FALSE THEN e.network || ' (undeclared)'
            ELSE e.network
        END, 'Utf8') AS place,
        -- NULL where the past is too short to say.
        CASE
            WHEN c.covered_days >= $min_covered_days AND n.user_first_day < e.day - INTERVAL '1 day'
                THEN n.first_day >= e.day - INTERVAL '1 day'
        END AS is_new
    FROM events e
    LEFT JOIN networks n ON n.user_key = e.user_key AND n.network = e.network
    LEFT JOIN covered c ON c.day = e.day
),
steps AS (
    SELECT
        *,
        lag(place) OVER in_time AS last_place, lag(is_v6) OVER in_time AS last_is_v6,
        lag(inside) OVER in_time AS last_inside, lag(is_new) OVER in_time AS last_is_new,
        lag(country) OVER in_time AS last_country, lag(busy_since) OVER in_time AS last_busy_since
    FROM (
        -- Since when the place has had min_events events.
        SELECT *, lag(at, $min_events - 1) OVER (PARTITION BY user_key, place ORDER BY at, ip) AS busy_since
        FROM placed
    ) b
    WINDOW in_time AS (PARTITION BY user_key ORDER BY at, ip)
),
switches AS (
    SELECT
        *, lag(at, $min_switches - 1) OVER (PARTITION BY user_key, is_switch ORDER BY at, ip) AS jumps_since
    FROM (
        SELECT
            *,
            coalesce(place <> last_place, false)
                AND NOT (
                    -- Both protocols of one place.
                    is_v6 <> last_is_v6
                    AND (coalesce(inside AND last_inside, false)
                         OR coalesce(country = last_country, false)
                         OR (inside IS NULL AND last_inside IS NULL AND (country IS NULL OR last_country IS NULL))))
                AS is_switch
        FROM steps
    ) s
),
judged AS (
    SELECT
        *,
        -- 1 low, 3 high
        CASE
            WHEN NOT is_switch OR jumps_since < at - $period OR jumps_since IS NULL THEN NULL
            WHEN busy_since < at - $period OR last_busy_since < at - $period THEN NULL
            WHEN busy_since IS NULL OR last_busy_since IS NULL THEN NULL
            WHEN inside IS FALSE OR last_inside IS FALSE THEN 3
            WHEN inside AND last_inside THEN 1
            WHEN is_new OR last_is_new THEN 3
        END AS level
    FROM switches
    WHERE at >= $window_start
),
by_place AS (
    SELECT
        user_key, day, place,
        max(role_source) AS role_source, max(country) AS country,
        count(*) AS events, count(*) FILTER (WHERE is_switch) AS switches,
        max(level) AS level,
        min(at) FILTER (WHERE level IS NOT NULL) AS first_at,
        max(at) FILTER (WHERE level IS NOT NULL) AS last_at,
        min(jumps_since) FILTER (WHERE level IS NOT NULL) AS since,
        bool_or(level IS NOT NULL AND inside IS NULL) AS learned,
        array_to_string(array_slice(array_agg(DISTINCT ip ORDER BY ip), 1, 3), ', ') AS ips,
        min(proof) AS proof
    FROM judged
    GROUP BY user_key, day, place
),
by_day AS (
    SELECT
        user_key, day, max(role_source) AS role_source,
        sum(events) AS events, sum(switches) AS switches, count(*) AS places,
        max(level) AS level, min(first_at) AS first_at, max(last_at) AS last_at, min(since) AS since,
        bool_or(learned) AS learned,
        array_slice(array_agg(place || coalesce(' ' || printable(country), '') || ': ' || events
            ORDER BY events DESC, place), 1, 20) AS place_list,
        array_slice(array_agg(ips ORDER BY events DESC, place), 1, 20) AS ips,
        array_slice(array_agg(proof ORDER BY events DESC, place), 1, 20) AS proof
    FROM by_place
    GROUP BY user_key, day
    HAVING max(level) IS NOT NULL
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, sf_id18(d.user_key) AS user_id, coalesce(known_username(d.user_key), r.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        greatest(1, d.level - CASE WHEN d.role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    d.events AS event_count,
    d.last_at,
    CASE
        WHEN d.level = 1 THEN 'One credential per system and site: not the same one at two sites at once'
        WHEN d.learned THEN 'The credential is used in one place at a time, and in a place that is known'
        ELSE 'The credential is used in one place at a time, and only from the networks that the registry declares'
    END AS expected,
    'The day''s jumps between places: ' || d.switches || ', the last at ' || to_char(d.last_at, '%H:%M')
        || ' UTC; logins and calls in each: ' || array_to_string(array_slice(d.place_list, 1, 5), '; ')
        || CASE
               WHEN d.level = 1 THEN '. Both places are declared'
               WHEN d.learned THEN '. At least one of them is new for this user'
               ELSE ''
           END AS observed,
    'integration' AS role, d.role_source, r.system, r.owner,
    CASE WHEN d.level = 1 THEN 'multi-site' WHEN d.learned THEN 'learned' ELSE 'declared' END AS mode,
    d.switches, d.place_list AS places, d.ips, d.since,
    d.proof
FROM by_day d
LEFT JOIN registry_users r ON r.user_key = d.user_key AND d.first_at >= r.valid_from AND d.first_at < r.valid_to
ORDER BY occurred_at, user_key
