/*
id = "integration-fingerprint-drift"
title = "Several traits of an integration changed at once"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S0.8", "S0.15"]
attack = ["T1550.001", "T1199"]
description = """
A stolen token is used with the thief's own tools, from his own network, on what he is after: several things about \
the integration change within hours, where an upgrade or a move changes one. Per user and app, each trait that was \
not seen in the 30 days before counts once: app 4, network 3, login flow 3, country 2, kind of user agent 2, client \
name 2, a lower API version 2 (a higher one 0.5), a sensitive object 2, hour of the day 1. What first appears within \
6 hours is added up, over midnight as well: 3 is low, 5 high, 8 critical; one trait alone is never more than low. It \
takes 14 days on which user and app worked, else the same of the user under all its apps. Values are told once: on \
the next day they are known. Versions inside a client's name are ignored, and so is what the registry declares: \
networks and apps of the user, maintenance windows, and in a consent window flow and user agent. Networks are /24 and /48 (not autonomous systems); a trait of which less than three \
days are known, as after a log was switched on, does not count. An account that is only inferred to be an \
integration counts one level lower."""
false_positives = [
  "Upgrade of the client: new name and version, below the limits unless the network changes too",
  "Move to another region or provider: declare the new networks, or a maintenance window, before",
  "A new job of the same integration that reads other objects at another hour: 3, low",
]
response = [
  "Ask the owner what was changed; no answer, or no change: revoke the app's tokens for this user and rotate its secret",
  "Go through what was read since the first new trait: objects, rows, jobs, from that network",
  "Look for the same network and client under other users and apps",
]
references = [
  "https://attack.mitre.org/techniques/T1550/001/",
  "https://attack.mitre.org/techniques/T1199/",
]
inputs = ["sightings", "logins | api_calls"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "30d"
meaning = "how far back a value counts as known"

[params.min_active_days]
type = "int"
default = 14
meaning = "earlier days with work before anything can be called new"

[params.min_trait_days]
type = "int"
default = 3
meaning = "earlier days on which the trait was seen at all"

[params.low_score]
type = "float"
default = 3.0
meaning = "sum from which a finding is low"

[params.high_score]
type = "float"
default = 5.0
meaning = "sum from which it is high"

[params.critical_score]
type = "float"
default = 8.0
meaning = "sum from which it is critical"

[params.weight_app]
type = "float"
default = 4.0
meaning = "weight of an app that is new to the user"

[params.weight_network]
type = "float"
default = 3.0
meaning = "weight of a new network"

[params.weight_flow]
type = "float"
default = 3.0
meaning = "weight of a new login flow"

[params.weight_country]
type = "float"
default = 2.0
meaning = "weight of a new country"

[params.weight_client]
type = "float"
default = 2.0
meaning = "weight of a new kind of user agent, and of a new client name"

[params.weight_lower_version]
type = "float"
default = 2.0
meaning = "weight of a new API version that is lower than the highest known one"

[params.weight_higher_version]
type = "float"
default = 0.5
meaning = "weight of a new API version above all known ones"

[params.weight_object]
type = "float"
default = 2.0
meaning = "weight of new sensitive objects"

[params.weight_hour]
type = "float"
default = 1.0
meaning = "weight of a new hour of the day"

[params.sensitive_objects]
type = "text_list"
default = [
  "account", "contact", "lead", "case", "casecomment", "opportunity", "user", "emailmessage", "contentversion",
  "attachment", "document", "organization", "connectedapplication", "oauthtoken", "setupentityaccess", "permissionset",
  "asset", "contract", "order", "task", "event", "individual", "personaccount",
]
meaning = "objects (in lower case) whose first reading counts"
*/
WITH
-- Who is judged: the machines of the window. All that follows is read for these only.
subjects AS (
    SELECT
        day, user_key, coalesce(app_key, '') AS app,
        max(user_id) AS user_id, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner
    FROM sightings
    WHERE day >= CAST($window_start AS DATE) - INTERVAL '1 day' AND day < CAST($window_end AS DATE)
      AND kind = 'source'
      AND role IN ('integration', 'internal_system', 'ci')
    GROUP BY day, user_key, coalesce(app_key, '')
),
-- Traits by day, in the form in which they are compared.
traits AS (
    SELECT
        day, user_key, app, trait, value,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events
    FROM (
        SELECT
            day, user_key, first_at, last_at, events,
            coalesce(app_key, '') AS app,
            CASE
                WHEN kind = 'login_path' THEN 'flow'
                WHEN kind = 'client' THEN CASE WHEN starts_with(value, 'name:') THEN 'client name' ELSE 'user agent' END
                WHEN kind = 'api_version' THEN 'API version'
                ELSE CAST(kind AS VARCHAR)
            END AS trait,
            CASE
                -- The version of a client is no trait.
                WHEN kind = 'client' THEN CAST(trim(regexp_replace(
                    lower(regexp_replace(CAST(value AS VARCHAR), '^name:', '')), '[/ ]*v?[0-9]+(\.[0-9a-z]+)*', '', 'g')) AS VARCHAR)
                WHEN kind = 'hour' THEN CAST(TRY_CAST(value AS BIGINT) % 24 AS VARCHAR) || ':00 UTC'
                ELSE CAST(value AS VARCHAR)
            END AS value
        FROM sightings
        WHERE day >= CAST($window_start - $learn_period AS DATE) - INTERVAL '1 day' AND day < CAST($window_end AS DATE)
          AND kind IN ('app', 'network', 'login_path', 'country', 'client', 'api_version', 'object', 'hour')
          AND value NOT IN ('(more)', 'missing', 'unknown')
          AND user_key IN (SELECT user_key FROM subjects)
    ) s
    WHERE value IS NOT NULL
    GROUP BY day, user_key, app, trait, value
),
-- What was not there in the days before, under this app or under any app of the user, and how much of a
-- past there is to say so.
marked AS (
    SELECT
        *,
        coalesce(lag(day) OVER (PARTITION BY user_key, app, trait, value ORDER BY day)
                 >= day - CAST($learn_period AS INTERVAL), false) AS known_to_app,
        coalesce(max(day) OVER (
            PARTITION BY user_key, trait, value ORDER BY day
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING
        ) >= day - CAST($learn_period AS INTERVAL), false) AS known_to_user,
        dense_rank() OVER (PARTITION BY user_key, app ORDER BY day) - 1 AS app_days,
        dense_rank() OVER (PARTITION BY user_key ORDER BY day) - 1 AS user_days,
        dense_rank() OVER (PARTITION BY user_key, app, trait ORDER BY day) - 1 AS trait_days_of_app,
        dense_rank() OVER (PARTITION BY user_key, trait ORDER BY day) - 1 AS trait_days_of_user,
        max(value) OVER (
            PARTITION BY user_key, trait ORDER BY day
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING
        ) AS value_before,
        max(CASE WHEN trait = 'API version' THEN TRY_CAST(value AS DOUBLE) END) OVER (
            PARTITION BY user_key, trait ORDER BY day
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING
        ) AS highest_before
    FROM traits
),
-- What the registry declares for these days.
own_apps AS (
    SELECT
        user_key,
        array_agg(coalesce(sf_id18(trim(app_id)), trim(app_id)) ORDER BY app_id) AS app_ids,
        array_agg(app_name_key(app_name) ORDER BY app_name) AS name_keys
    FROM registry_apps
    WHERE valid_from < $window_end AND valid_to > $window_start
    GROUP BY user_key
),
own_networks AS (
    SELECT user_key, array_agg(network_of(split_part(network, '/', 1)) ORDER BY network) AS networks
    FROM registry_networks
    WHERE valid_from < $window_end AND valid_to > $window_start
    GROUP BY user_key
),
-- Judged by the past of user and app where there is enough of it, else by that of the user.
new_values AS (
    SELECT
        m.*, s.user_id, s.username, s.role, s.role_source, s.system, s.owner,
        m.trait || ' ' || printable(m.value) || coalesce(' (before: ' || printable(m.value_before) || ')', '') AS line,
        CASE
            WHEN m.trait = 'app' THEN $weight_app
            WHEN m.trait = 'network' THEN $weight_network
            WHEN m.trait = 'flow' THEN $weight_flow
            WHEN m.trait = 'country' THEN $weight_country
            WHEN m.trait IN ('user agent', 'client name') THEN $weight_client
            WHEN m.trait = 'object' THEN $weight_object
            WHEN m.trait = 'hour' THEN $weight_hour
            WHEN TRY_CAST(m.value AS DOUBLE) > m.highest_before THEN $weight_higher_version
            ELSE $weight_lower_version
        END AS weight
    FROM marked m
    JOIN subjects s ON s.day = m.day AND s.user_key = m.user_key AND s.app = m.app
    LEFT JOIN own_apps a ON a.user_key = m.user_key
    LEFT JOIN own_networks n ON n.user_key = m.user_key
    WHERE m.day >= CAST($window_start AS DATE) - INTERVAL '1 day'
      AND NOT m.known_to_app
      AND (m.trait <> 'object' OR array_has($sensitive_objects, CAST(m.value AS VARCHAR)))
      AND ((m.app_days >= $min_active_days AND m.trait_days_of_app >= $min_trait_days)
           OR (m.app_days < $min_active_days AND m.user_days >= $min_active_days
               AND m.trait_days_of_user >= $min_trait_days AND NOT m.known_to_user))
      AND NOT (m.trait = 'app'
               AND (coalesce(array_has(a.app_ids, m.value), false) OR coalesce(array_has(a.name_keys, m.value), false)))
      AND NOT (m.trait = 'network'
               AND (coalesce(array_has(n.networks, m.value), false)
                    OR coalesce(in_networks(m.user_key, split_part(m.value, '/', 1), m.first_at), false)))
      AND NOT EXISTS (
          SELECT 1 FROM registry_windows w
          WHERE w.user_key = m.user_key AND w.kind = 'maintenance' AND m.first_at >= w.from_at AND m.first_at < w.to_at)
      -- A consent is given in a browser: what is new of the flow and the client then, is declared.
      AND NOT (m.trait IN ('flow', 'user agent') AND EXISTS (
          SELECT 1 FROM registry_windows w
          WHERE w.user_key = m.user_key AND w.kind = 'consent' AND m.first_at >= w.from_at AND m.first_at < w.to_at))
),
-- Each new value looks back over six hours; a trait counts once.
sums AS (
    SELECT
        user_key, app, day, user_id, username, role, role_source, system, owner, first_at AS at,
        min(first_at) OVER six AS first_at, max(last_at) OVER six AS last_at, max(events) OVER six AS events,
        array_agg(line) OVER six AS lines,
        array_agg(first_at) OVER six AS times,
        max(CASE WHEN trait = 'network' THEN value END) OVER six AS network,
        coalesce(max(CASE WHEN trait = 'app' THEN weight END) OVER six, 0.0) AS app_score,
        coalesce(max(CASE WHEN trait = 'network' THEN weight END) OVER six, 0.0) AS network_score,
        coalesce(max(CASE WHEN trait = 'flow' THEN weight END) OVER six, 0.0) AS flow_score,
        coalesce(max(CASE WHEN trait = 'country' THEN weight END) OVER six, 0.0) AS country_score,
        coalesce(max(CASE WHEN trait = 'user agent' THEN weight END) OVER six, 0.0) AS agent_score,
        coalesce(max(CASE WHEN trait = 'client name' THEN weight END) OVER six, 0.0) AS client_score,
        coalesce(max(CASE WHEN trait = 'API version' THEN weight END) OVER six, 0.0) AS version_score,
        coalesce(max(CASE WHEN trait = 'object' THEN weight END) OVER six, 0.0) AS object_score,
        coalesce(max(CASE WHEN trait = 'hour' THEN weight END) OVER six, 0.0) AS hour_score
    FROM new_values
    WINDOW six AS (
        PARTITION BY user_key, app ORDER BY first_at
        RANGE BETWEEN INTERVAL '21599999 milliseconds' PRECEDING AND CURRENT ROW
    )
),
scored AS (
    SELECT
        *,
        app_score + network_score + flow_score + country_score + agent_score + client_score + version_score
            + object_score + hour_score AS score,
        CAST(app_score > 0 AS INT) + CAST(network_score > 0 AS INT) + CAST(flow_score > 0 AS INT)
            + CAST(country_score > 0 AS INT) + CAST(agent_score > 0 AS INT) + CAST(client_score > 0 AS INT)
            + CAST(version_score > 0 AS INT) + CAST(object_score > 0 AS INT) + CAST(hour_score > 0 AS INT) AS trait_count
    FROM sums
),
peaks AS (
    SELECT
        *,
        CASE
            WHEN score >= $critical_score THEN 5
            WHEN score >= $high_score THEN 4
            ELSE 2
        END AS level
    FROM (SELECT *, row_number() OVER (PARTITION BY user_key, app, day ORDER BY score DESC, at) AS turn FROM scored) s
    WHERE turn = 1 AND score >= $low_score AND at >= $window_start AND at < $window_end
),
-- The rows that showed a new value first.
raw_rows AS (
    SELECT user_key, occurred_at, app AS name, file_id, line_no FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end AND outcome = 'success'
    UNION ALL
    SELECT user_key, occurred_at, app, file_id, line_no FROM api_calls
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
),
told AS (
    SELECT
        p.user_key, p.app, p.at, p.user_id, p.username, p.role, p.role_source, p.system, p.owner,
        p.first_at, p.last_at, p.events, p.network, p.score, p.trait_count, p.level,
        array_sort(array_distinct(p.lines)) AS traits,
        max(printable(r.name)) AS name,
        array_slice(array_agg(DISTINCT r.file_id || ':' || r.line_no ORDER BY r.file_id || ':' || r.line_no), 1, 20) AS proof
    FROM peaks p
    LEFT JOIN raw_rows r
      ON r.user_key = p.user_key AND r.occurred_at >= p.first_at AND r.occurred_at <= p.at
     AND array_has(p.times, r.occurred_at)
    GROUP BY p.user_key, p.app, p.at, p.user_id, p.username, p.role, p.role_source, p.system, p.owner,
        p.first_at, p.last_at, p.events, p.network, p.score, p.trait_count, p.level, p.lines
)
SELECT
    at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['info', 'low', 'medium', 'high', 'critical'][
        greatest(1, CASE WHEN trait_count = 1 THEN least(2, level) ELSE level END
                    - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    events AS event_count,
    last_at,
    'An integration comes from the same networks, with the same client, for the same objects as in the last weeks' AS expected,
    'New within hours: ' || array_to_string(array_slice(traits, 1, 10), '; ') || '. Score ' || score AS observed,
    role, role_source, system, owner,
    nullif(printable(app), '') AS app_key, coalesce(name, nullif(printable(app), '')) AS app,
    score, trait_count, array_slice(traits, 1, 20) AS traits, network, first_at AS new_since,
    proof
FROM told
ORDER BY occurred_at, user_key, app_key
