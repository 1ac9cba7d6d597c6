/*
id = "integration-unexpected-ip-api"
title = "Token of an integration user used from an unapproved address"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.15", "S3.4"]
attack = ["T1550.001", "T1528"]
description = """
API calls of an integration user from an address outside its declared networks or, where none are declared, \
from a network that neither its logins nor its calls used in the last 60 days. Access tokens are bearer \
tokens and refresh tokens are not rotated: a thief may never log in under our eyes. When no login from that \
address explains the calls it is critical (token replay), and so it is when many rows were read. Where this \
leaves the catalogue: the network (/24, /48) stands for the ASN, which no log tells; and a login under the same \
key from another address explains nothing, for that is the theft itself (the catalogue's logic would let it \
explain, its own example says critical)."""
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
inputs = ["api_calls", "Login?", "LoginHistory?", "sightings?"]
dedupe = ["user_key", "ip"]
bucket = "day"

[params.min_calls]
type = "int"
default = 1
meaning = "calls of a user from one address and day from which it is reported"

[params.replay_lookback]
type = "duration"
default = "24h"
meaning = "how long before the first call a login from the same address explains it; a day at most"

[params.login_lookback]
type = "duration"
default = "30d"
meaning = "how far back the login behind a session is looked for"

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
    SELECT *
    FROM (
        SELECT
            occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
            in_networks(user_key, ip, occurred_at) AS inside,
            event_type, calls, api_family, entity_name, rows_processed, login_key,
            coalesce(nullif(nullif(trim(app), ''), 'N/A'), nullif(nullif(trim(app_id), ''), 'N/A')) AS app,
            file_id, line_no
        FROM api_calls
        WHERE occurred_at >= $window_start AND occurred_at < $window_end
          AND role = 'integration'
          AND ip_kind = 'public'
    ) c
    -- From a declared network: as it should be.
    WHERE inside IS NOT TRUE
),
addresses AS (
    SELECT
        c.user_key, c.day, c.ip,
        -- Declared: outside the networks of the registry. Else nothing is declared for that time.
        coalesce(NOT c.inside, false) AS declared,
        max(c.user_id) AS user_id, max(c.username) AS username,
        max(c.role) AS role, max(c.role_source) AS role_source, max(c.system) AS system, max(c.owner) AS owner,
        min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at,
        -- One call is written to ApiTotalUsage and to a detail type: the larger count of the two.
        greatest(sum(c.calls), count(*) - sum(c.calls)) AS calls,
        -- Rows come from the detail types.
        coalesce(sum(c.rows_processed) FILTER (WHERE c.event_type <> 'BulkApi2'), 0) AS detail_rows,
        array_agg(DISTINCT c.event_type ORDER BY c.event_type) AS event_types,
        array_agg(DISTINCT c.api_family ORDER BY c.api_family) FILTER (WHERE c.api_family IS NOT NULL) AS api_families,
        array_agg(DISTINCT printable(c.app) ORDER BY printable(c.app)) FILTER (WHERE c.app IS NOT NULL) AS apps,
        count(DISTINCT c.entity_name) AS distinct_entities,
        array_slice(array_agg(DISTINCT printable(c.entity_name) ORDER BY printable(c.entity_name))
            FILTER (WHERE c.entity_name IS NOT NULL), 1, 20) AS entities,
        array_slice(array_agg(c.file_id || ':' || c.line_no ORDER BY c.occurred_at, c.file_id, c.line_no), 1, 20)
            AS proof
    FROM calls c
    GROUP BY c.user_key, c.day, c.ip, coalesce(NOT c.inside, false)
    HAVING greatest(sum(c.calls), count(*) - sum(c.calls)) >= $min_calls
),
-- A login explains an address when it came from there under the very login key of the calls. The
-- same key from another address explains nothing: that is the theft.
key_logins AS (
    SELECT k.user_key, k.day, k.ip, k.declared
    FROM (
        SELECT user_key, day, ip, coalesce(NOT inside, false) AS declared, login_key
        FROM calls
        WHERE login_key IS NOT NULL
        GROUP BY user_key, day, ip, coalesce(NOT inside, false), login_key
    ) k
    JOIN logins l ON l.login_key = k.login_key AND l.user_key = k.user_key AND l.ip = k.ip
    WHERE l.occurred_at >= $window_start - $login_lookback AND l.occurred_at < $window_end
      AND l.outcome = 'success'
      AND l.role = 'integration'
    GROUP BY k.user_key, k.day, k.ip, k.declared
),
-- A job of Bulk API 2.0 writes a row for each of its states, with the count so far.
job_rows AS (
    SELECT user_id, day, ip, sum(records) AS records
    FROM (
        SELECT user_id, day, ip, job_id, max(records_processed) AS records
        FROM elf_bulk_api2
        WHERE occurred_at >= $window_start AND occurred_at < $window_end AND records_processed > 0
        GROUP BY user_id, day, ip, job_id
    ) jobs
    GROUP BY user_id, day, ip
),
-- Learned mode: which networks a user without declared ones came from, by its logins and calls. The
-- user's whole past counts, also from before it was registered. The days of the past keep /24 and /48: the logs
-- are read for narrower networks alone.
past AS (
    SELECT e.user_key, e.day, e.network, sum(e.events) AS events
    FROM (
        SELECT user_key, day, network_of(split_part(value, '/', 1), $prefix_v4, $prefix_v6) AS network, events
        FROM sightings
        WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
          AND kind = 'network' AND $prefix_v4 <= 24 AND $prefix_v6 <= 48
        UNION ALL
        SELECT user_key, day, network_of(ip, $prefix_v4, $prefix_v6) AS network, 1 AS events FROM api_calls
        WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end AND ip_kind = 'public'
          AND ($prefix_v4 > 24 OR $prefix_v6 > 48)
        UNION ALL
        SELECT user_key, day, network_of(ip, $prefix_v4, $prefix_v6) AS network, 1 AS events FROM logins
        WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
          AND ip_kind = 'public' AND outcome = 'success' AND ($prefix_v4 > 24 OR $prefix_v6 > 48)
    ) e
    JOIN (SELECT DISTINCT user_key FROM addresses WHERE NOT declared) u ON u.user_key = e.user_key
    GROUP BY e.user_key, e.day, e.network
),
file_days AS (
    SELECT DISTINCT CAST(day AS DATE) AS day
    FROM parts
    WHERE event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage', 'RestApi', 'API')
),
covered AS (
    SELECT d.day, count(*) AS covered_days
    FROM file_days d
    JOIN file_days p ON p.day < d.day AND p.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.day
),
-- Only earlier days teach: the day itself never does.
learned AS (
    SELECT
        a.user_key, a.day, a.ip,
        coalesce(sum(p.events), 0) AS earlier_events,
        coalesce(sum(p.events) FILTER (WHERE p.network = network_of(a.ip, $prefix_v4, $prefix_v6)), 0)
            AS earlier_from_network
    FROM (SELECT user_key, day, ip FROM addresses WHERE NOT declared) a
    LEFT JOIN past p
      ON p.user_key = a.user_key AND p.day < a.day AND p.day >= a.day - CAST($learn_period AS INTERVAL)
    GROUP BY a.user_key, a.day, a.ip
),
logins_by_day AS (
    SELECT user_key, ip, day, min(occurred_at) AS first_at, max(occurred_at) AS last_at
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '48 hours' AND occurred_at < $window_end
      AND outcome = 'success' AND ip IS NOT NULL
    GROUP BY user_key, ip, day
),
judged AS (
    SELECT
        a.*,
        a.detail_rows + coalesce(j.records, 0) AS rows_read,
        nearest_network(a.user_key, a.ip, a.first_at) AS nearest_network,
        -- A login from the address explains its calls when it came before the last one, on the same
        -- day or in the 24 hours before the first.
        coalesce(k.user_key IS NOT NULL
                 OR today.first_at <= a.last_at
                 OR yesterday.last_at >= a.first_at - CAST($replay_lookback AS INTERVAL), false) AS login_seen
    FROM addresses a
    LEFT JOIN learned l ON l.user_key = a.user_key AND l.day = a.day AND l.ip = a.ip AND NOT a.declared
    LEFT JOIN covered v ON v.day = a.day
    LEFT JOIN job_rows j ON j.user_id = a.user_key AND j.day = a.day AND j.ip = a.ip
    LEFT JOIN key_logins k
      ON k.user_key = a.user_key AND k.day = a.day AND k.ip = a.ip AND k.declared = a.declared
    LEFT JOIN logins_by_day today
      ON today.user_key = a.user_key AND today.ip = a.ip AND today.day = a.day
    LEFT JOIN logins_by_day yesterday
      ON yesterday.user_key = a.user_key AND yesterday.ip = a.ip AND yesterday.day + INTERVAL '1 day' = a.day
    WHERE a.declared
       OR (v.covered_days >= $min_covered_days AND l.earlier_events >= $min_events
           AND l.earlier_from_network = 0)
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        CASE WHEN NOT login_seen OR rows_read >= $many_rows THEN 4 ELSE 3 END
        - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    calls AS event_count,
    last_at,
    CASE
        WHEN declared THEN 'API calls only from the networks that the registry declares for this user'
            || coalesce(' (nearest: ' || nearest_network || ')', '')
        ELSE 'API calls from the networks that this user came from before'
    END AS expected,
    calls || CASE WHEN calls = 1 THEN ' API call' ELSE ' API calls' END
        || ' from ' || ip
        || coalesce(' through ' || array_to_string(array_slice(apps, 1, 3), ', '), '')
        || CASE
               WHEN distinct_entities > 0
               THEN ', objects: ' || array_to_string(array_slice(entities, 1, 5), ', ')
                    || CASE WHEN distinct_entities > 5 THEN ' and more' ELSE '' END
               ELSE ''
           END
        || CASE WHEN rows_read > 0 THEN ', rows: ' || rows_read ELSE '' END
        || CASE
               WHEN login_seen THEN '; the user also logged in from there'
               ELSE '; no login of the user came from there: a token is used by somebody else'
           END AS observed,
    role, role_source, system, owner,
    ip,
    CASE WHEN declared THEN 'declared' ELSE 'learned' END AS mode,
    nearest_network, login_seen, rows_read, apps, api_families, event_types, distinct_entities, entities,
    proof
FROM judged
ORDER BY occurred_at, user_key, ip
