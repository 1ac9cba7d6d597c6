/*
id = "integration-unexpected-ip-api"
title = "Token of an integration user used from an unapproved address"
severity = "high"
status = "active"
version = 1
control = ["S0.15", "S3.4"]
attack = ["T1550.001", "T1528"]
description = """
API calls of an integration user from an address outside its declared networks or, where none are declared, \
from a network that neither its logins nor its calls used in the last 60 days. Access tokens are bearer \
tokens and refresh tokens are not rotated: a thief may never log in under our eyes. When no login from that \
address explains the calls it is critical (token replay), and so it is when many rows were read."""
false_positives = [
  "The system moved to another egress address: change its networks in the registry, with a ticket",
  "A vendor that calls from more addresses than it logs in from: declare its published ranges",
]
response = [
  "Revoke the user's OAuth tokens and end its sessions; freeze the user if the data is sensitive",
  "Find which app's token it is (apps below) and where that token is stored",
  "List the objects and rows read from the address, for the report of the breach",
  "Turn on IP restrictions of the connected app: they also bind token use",
]
references = [
  "https://attack.mitre.org/techniques/T1550/001/",
  "https://attack.mitre.org/techniques/T1528/",
]
inputs = ["api_calls", "Login?", "LoginHistory?"]
dedupe = ["user_key", "ip"]
bucket = "day"

[params.min_calls]
type = "int"
default = 1
meaning = "calls of a user from one address and day from which it is reported"

[params.replay_lookback]
type = "duration"
default = "24h"
meaning = "how long before the first call a login from the same address explains it"

[params.many_rows]
type = "int"
default = 10000
meaning = "rows read from one address and day from which it is critical"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network counts as known in learned mode"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with any API or login files before learned mode judges"

[params.min_events]
type = "int"
default = 20
meaning = "earlier logins and calls of the user before learned mode judges"

[params.prefix_v4]
type = "int"
default = 24
meaning = "size of an IPv4 network in learned mode"

[params.prefix_v6]
type = "int"
default = 48
meaning = "size of an IPv6 network in learned mode"
*/
WITH
-- Only public addresses: calls without one are counted as unattributable traffic, and
-- Salesforce's own addresses are callouts of the platform to itself.
calls AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        network_of(ip, $prefix_v4, $prefix_v6) AS network,
        in_networks(user_key, ip, occurred_at) AS inside,
        nearest_network(user_key, ip, occurred_at) AS nearest,
        event_type, calls, api_family, entity_name, rows_processed, login_key,
        coalesce(nullif(nullif(trim(app), ''), 'N/A'), nullif(nullif(trim(app_id), ''), 'N/A')) AS app,
        file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'integration'
      AND ip_kind = 'public'
      AND in_networks(user_key, ip, occurred_at) IS NOT TRUE
),
learners AS (
    SELECT DISTINCT user_key FROM calls WHERE inside IS NULL
),
past AS (
    SELECT e.user_key, e.day, network_of(e.ip, $prefix_v4, $prefix_v6) AS network, count(*) AS events
    FROM (
        SELECT user_key, day, ip FROM api_calls
        WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end AND ip_kind = 'public'
        UNION ALL
        SELECT user_key, day, ip FROM logins
        WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
          AND ip_kind = 'public' AND outcome = 'success'
    ) e
    JOIN learners u ON u.user_key = e.user_key
    GROUP BY e.user_key, e.day, network_of(e.ip, $prefix_v4, $prefix_v6)
),
covered AS (
    SELECT d.day, count(*) AS covered_days
    FROM (SELECT DISTINCT day FROM calls WHERE inside IS NULL) d
    JOIN (
        SELECT DISTINCT CAST(day AS DATE) AS day
        FROM parts
        WHERE event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage', 'RestApi', 'API')
    ) p ON p.day < d.day AND p.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.day
),
-- The day itself never teaches.
judged_days AS (
    SELECT
        c.user_key, c.network, c.day,
        coalesce(sum(p.events), 0) AS earlier_events,
        coalesce(sum(p.events) FILTER (WHERE p.network = c.network), 0) AS earlier_from_network
    FROM (SELECT DISTINCT user_key, network, day FROM calls WHERE inside IS NULL) c
    LEFT JOIN past p
      ON p.user_key = c.user_key AND p.day < c.day AND p.day >= c.day - CAST($learn_period AS INTERVAL)
    GROUP BY c.user_key, c.network, c.day
),
by_address AS (
    SELECT
        c.user_key, c.day, c.ip,
        max(c.user_id) AS user_id, max(c.username) AS username,
        max(c.role) AS role, max(c.role_source) AS role_source, max(c.system) AS system, max(c.owner) AS owner,
        min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at,
        -- One call is written to ApiTotalUsage and to a detail type: the larger count of the two.
        greatest(sum(c.calls), count(*) - sum(c.calls)) AS calls,
        -- Rows come from the detail types; -1 stands for unknown.
        coalesce(sum(c.rows_processed) FILTER (WHERE c.rows_processed > 0), 0) AS rows_read,
        coalesce(bool_or(c.inside IS FALSE), false) AS declared,
        max(c.nearest) AS nearest_network,
        array_agg(DISTINCT c.event_type ORDER BY c.event_type) AS event_types,
        array_agg(DISTINCT c.api_family ORDER BY c.api_family) FILTER (WHERE c.api_family IS NOT NULL) AS api_families,
        array_agg(DISTINCT printable(c.app) ORDER BY printable(c.app)) FILTER (WHERE c.app IS NOT NULL) AS apps,
        count(DISTINCT c.entity_name) AS distinct_entities,
        array_slice(array_agg(DISTINCT printable(c.entity_name) ORDER BY printable(c.entity_name))
            FILTER (WHERE c.entity_name IS NOT NULL), 1, 20) AS entities,
        array_slice(array_agg(c.file_id || ':' || c.line_no ORDER BY c.occurred_at, c.file_id, c.line_no), 1, 20)
            AS proof
    FROM calls c
    LEFT JOIN judged_days j ON j.user_key = c.user_key AND j.network = c.network AND j.day = c.day
    LEFT JOIN covered v ON v.day = c.day
    WHERE c.inside IS FALSE
       OR (v.covered_days >= $min_covered_days AND j.earlier_events >= $min_events
           AND j.earlier_from_network = 0)
    GROUP BY c.user_key, c.day, c.ip
    HAVING greatest(sum(c.calls), count(*) - sum(c.calls)) >= $min_calls
),
-- A login explains the address when it came from there, a day before at most, or under the very
-- login key of the calls. The same key from another address explains nothing: that is the theft.
explained AS (
    SELECT DISTINCT b.user_key, b.day, b.ip
    FROM by_address b
    JOIN logins l ON l.user_key = b.user_key AND l.ip = b.ip
    WHERE l.outcome = 'success'
      AND l.occurred_at >= $window_start - $replay_lookback AND l.occurred_at < $window_end
      AND l.occurred_at >= b.first_at - CAST($replay_lookback AS INTERVAL)
      AND l.occurred_at <= b.last_at
    UNION
    SELECT DISTINCT c.user_key, c.day, c.ip
    FROM calls c
    JOIN logins l ON l.login_key = c.login_key AND l.user_key = c.user_key AND l.ip = c.ip
    WHERE l.outcome = 'success'
      AND l.occurred_at >= $window_start - $learn_period AND l.occurred_at < $window_end
      AND l.occurred_at <= c.occurred_at
)
SELECT
    b.first_at AS occurred_at,
    b.user_key, b.user_id, b.username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        CASE WHEN e.ip IS NULL OR b.rows_read >= $many_rows THEN 4 ELSE 3 END
        - CASE WHEN b.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    b.calls AS event_count,
    b.last_at,
    CASE
        WHEN b.declared THEN 'API calls only from the networks that the registry declares for this user'
            || coalesce(' (nearest: ' || b.nearest_network || ')', '')
        ELSE 'API calls from the networks that this user came from before'
    END AS expected,
    b.calls || CASE WHEN b.calls = 1 THEN ' API call' ELSE ' API calls' END
        || ' from ' || b.ip
        || coalesce(' through ' || array_to_string(array_slice(b.apps, 1, 3), ', '), '')
        || CASE
               WHEN b.distinct_entities > 0
               THEN ', objects: ' || array_to_string(array_slice(b.entities, 1, 5), ', ')
                    || CASE WHEN b.distinct_entities > 5 THEN ' and more' ELSE '' END
               ELSE ''
           END
        || CASE WHEN b.rows_read > 0 THEN ', rows: ' || b.rows_read ELSE '' END
        || CASE
               WHEN e.ip IS NULL THEN '; no login of the user came from there: a token is used by somebody else'
               ELSE '; the user also logged in from there'
           END AS observed,
    b.role, b.role_source, b.system, b.owner,
    b.ip,
    CASE WHEN b.declared THEN 'declared' ELSE 'learned' END AS mode,
    b.nearest_network,
    e.ip IS NOT NULL AS login_seen,
    b.rows_read, b.apps, b.api_families, b.event_types, b.distinct_entities, b.entities,
    b.proof
FROM by_address b
LEFT JOIN explained e ON e.user_key = b.user_key AND e.day = b.day AND e.ip = b.ip
ORDER BY occurred_at, b.user_key, b.ip
