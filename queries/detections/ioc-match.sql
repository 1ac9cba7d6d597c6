/*
id = "ioc-match"
title = "Published indicator seen"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S0.3"]
attack = ["T1078.004", "T1090.003", "T1059.006"]
description = """
Vendors and victims publish the addresses, user agents and app names of an attack. The shipped list and your own \
(`indicators` in [detect]) are compared with every address of the logs, with user agents that are text (whole, or by \
their beginning), with the names of apps and with the names that API clients give themselves. A number in USER_AGENT \
is a client code of Salesforce's own and never matches. An indicator holds for its own time and the slack around it; \
then its confidence decides: high, medium, low. Outside of that it is low, for addresses of clouds and Tor exits pass \
to others. Two steps of our own: a user agent, app or client that many use (confidence below high) is low when it \
comes from a network that the registry declares for the user, for then it is the user's own tool; and under a guest \
user it is high, because visitors of a site use browsers. An inferred role changes nothing: the indicator speaks of \
the caller, not of the account. Retro-hunt: when a row is added to the indicators, the next night asks this rule of \
the whole archive once, and `orgwatch detect --rule ioc-match --since DAY` does so at any time. X-Forwarded-For is \
written by the caller and is not compared."""
false_positives = [
  "An address of a cloud or a Tor exit that belongs to somebody else by now: outside of the indicator's time it is low",
  "A library that many scripts use, such as python-requests: declare the networks of the integration",
  "Your own penetration test: suppress it for the user and the address, with an end date",
]
response = [
  "Within the indicator's time: freeze the user, revoke the tokens of the app that was used, and keep the logs",
  "Read the publication that the finding names, and look for the other indicators and steps of that campaign",
  "Go through what the user did from that address or with that client: logins, objects, rows, exports, setup changes",
  "Outside of its time: ask who holds the address now; the network's own history decides",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1090/003/",
  "https://attack.mitre.org/techniques/T1059/006/",
]
inputs = ["indicators", "logins | logouts | api_calls | ui_activity"]
# One address may stand for one campaign and one user agent for another: each is its own finding.
dedupe = ["user_key", "indicator"]
bucket = "day"

[params.slack_before]
type = "duration"
default = "7d"
meaning = "time before an indicator's first day in which it counts as in its time"

[params.slack_after]
type = "duration"
default = "30d"
meaning = "time after an indicator's last day in which it counts as in its time"
*/
WITH
seen AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        CASE source WHEN 'login_history' THEN 'LoginHistory' ELSE 'Login' END AS log, app, CAST(NULL AS VARCHAR) AS client, browser AS user_agent,
        outcome = 'failure' AS is_refused, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        'Logout', NULL, NULL, NULL, false, file_id, line_no
    FROM logouts
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        event_type, app, client_name, NULL, coalesce(status_code IN (401, 403), false), file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        event_type, NULL, NULL, user_agent, false, file_id, line_no
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
),
-- Nearly every row matches nothing and is out here.
found AS (
    SELECT *
    FROM (
        SELECT
            *,
            array_concat(
                indicators_of('ip', coalesce(ip, '')),
                indicators_of('user_agent', coalesce(user_agent, '')),
                indicators_of('app', coalesce(app, '')),
                indicators_of('client', coalesce(client, ''))
            ) AS indicators
        FROM seen
    ) s
    WHERE cardinality(indicators) > 0
),
matched AS (
    SELECT f.*, unnest(f.indicators) AS indicator FROM found f
),
-- An indicator may have been published of two campaigns: the one that weighs most counts.
weighed AS (
    SELECT
        m.occurred_at, m.day, m.user_key, m.user_id, m.username, m.role, m.role_source, m.system, m.owner,
        m.ip, m.log, m.app, m.client, m.user_agent, m.is_refused, m.file_id, m.line_no,
        m.indicator, i.kind, i.value, i.source, i.confidence, i.valid_from, i.valid_to,
        CASE
            WHEN m.occurred_at >= i.valid_from AND m.occurred_at < i.valid_to THEN 4
            WHEN m.occurred_at + CAST($slack_before AS INTERVAL) < i.valid_from THEN 1
            WHEN m.occurred_at - CAST($slack_after AS INTERVAL) >= i.valid_to THEN 2
            ELSE 3
        END AS time_rank,
        i.kind <> 'ip' AND i.confidence <> 'high'
            AND coalesce(in_networks(m.user_key, m.ip, m.occurred_at), false) AS is_own_tool
    FROM matched m
    JOIN indicators i ON i.indicator = m.indicator
),
levelled AS (
    SELECT
        *,
        -- 1 low, 2 medium, 3 high
        CASE
            WHEN time_rank < 3 OR is_own_tool THEN 1
            WHEN confidence = 'high' THEN 3
            WHEN confidence = 'medium' AND kind = 'user_agent' AND role = 'guest' THEN 3
            WHEN confidence = 'medium' THEN 2
            ELSE 1
        END AS level,
        CAST(valid_from AS DATE) || ' to ' || CAST(valid_to - INTERVAL '1 millisecond' AS DATE) AS valid
    FROM weighed
),
-- Each row of the logs once, under the publication that weighs most.
ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY indicator, file_id, line_no, occurred_at
            ORDER BY level DESC, time_rank DESC, valid_to DESC, source
        ) AS place
    FROM levelled
),
by_day AS (
    SELECT
        user_key, day, indicator,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        max(kind) AS kind, max(value) AS value,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) FILTER (WHERE place = 1) AS events,
        count(*) FILTER (WHERE place = 1 AND is_refused) AS refused,
        max(level) AS level, max(time_rank) AS time_rank,
        bool_or(is_own_tool) AS is_own_tool,
        first_value(confidence ORDER BY level DESC, time_rank DESC, valid_to DESC, source) AS confidence,
        first_value(source ORDER BY level DESC, time_rank DESC, valid_to DESC, source) AS source,
        first_value(valid ORDER BY level DESC, time_rank DESC, valid_to DESC, source) AS valid,
        array_agg(DISTINCT source ORDER BY source) AS sources,
        array_agg(DISTINCT log ORDER BY log) AS logs,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app <> '') AS apps,
        array_agg(DISTINCT printable(client) ORDER BY printable(client)) FILTER (WHERE client <> '') AS clients,
        array_agg(DISTINCT printable(user_agent) ORDER BY printable(user_agent))
            FILTER (WHERE user_agent <> '') AS user_agents,
        array_slice(
            array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no) FILTER (WHERE place = 1), 1, 20
        ) AS proof
    FROM ranked
    GROUP BY user_key, day, indicator
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    ['low', 'medium', 'high'][level] AS severity,
    events AS event_count,
    last_at,
    CASE kind
        WHEN 'ip' THEN 'No login, call or page from an address that was published as an attacker''s'
        WHEN 'user_agent' THEN 'No client that calls itself as an attacker''s tool did'
        WHEN 'app' THEN 'No app with a name that was published as an attacker''s'
        ELSE 'No API client with a name that was published as an attacker''s'
    END AS expected,
    CASE kind WHEN 'ip' THEN 'address ' WHEN 'user_agent' THEN 'user agent ' WHEN 'app' THEN 'app ' ELSE 'client ' END
        || printable(value)
        || ' in ' || events || CASE WHEN events = 1 THEN ' row of ' ELSE ' rows of ' END
        || array_to_string(array_slice(logs, 1, 5), ', ')
        || CASE WHEN refused = events THEN ', all refused' WHEN refused > 0 THEN ', ' || refused || ' of them refused' ELSE '' END
        || CASE WHEN kind <> 'ip' THEN coalesce(' from ' || array_to_string(array_slice(ips, 1, 5), ', '), '') ELSE '' END
        || coalesce(' by "' || array_to_string(array_slice(apps, 1, 3), '", "') || '"', '')
        || '; published of ' || printable(source) || ', ' || valid || ', confidence ' || confidence || ': '
        || CASE time_rank
               WHEN 4 THEN 'within its time'
               WHEN 3 THEN 'close to its time'
               WHEN 2 THEN 'past its time, the address or client may be somebody else''s'
               ELSE 'before its time'
           END
        || CASE WHEN is_own_tool THEN '; many use it, and it came from the user''s own networks' ELSE '' END
        AS observed,
    role, role_source, system, owner,
    indicator, kind, printable(value) AS value, confidence, printable(source) AS source, sources, valid,
    CASE time_rank WHEN 4 THEN 'in time' WHEN 3 THEN 'slack' WHEN 2 THEN 'expired' ELSE 'early' END AS validity,
    logs, ips, apps, clients, user_agents, refused,
    proof
FROM by_day
ORDER BY occurred_at, user_key, indicator
