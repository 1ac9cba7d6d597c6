/*
id = "anonymiser-or-hosting-network"
title = "Access through Tor, a VPN or proxy, or by a person from a hosting network"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S0.3"]
attack = ["T1090.003", "T1078.004"]
description = """
Stolen tokens and passwords are used through networks that hide who uses them: Tor and commercial VPNs in the vishing \
campaigns of 2025, Tor exits and rented servers in the Salesloft Drift thefts. The network lists of the configuration \
(`networks` in [enrich]) say which networks these are, and from when to when: what counts is what was listed at the \
time of the event. Tor, VPN and proxy are high for any role: a login that got through or was stopped by one last \
control, a call, a page. A visitor of a public site (guest) through a VPN or proxy is medium, through Tor high: many \
people browse through a VPN, and the catalogue's level would drown the rest. A hosting network is medium under a \
person who was never seen from that origin (autonomous system, else network) in the last 60 days; for a machine it is \
the place where machines are. Not judged: networks that the registry declares for the user, networks that your own \
list calls `egress`, autonomous systems that you allow. An inferred role changes nothing: the network hides the caller \
whoever the account belongs to."""
false_positives = [
  "A company VPN or secure gateway in a hosting network: list its networks with class egress, or allow its autonomous system",
  "A person who uses a private VPN at home: the policy decides; suppress it for the user with an end date",
  "A list that is too wide: look at the list and its dates in the finding",
]
response = [
  "Ask the person, by another way than e-mail, whether they used that network at that time; of a machine ask the owner",
  "No clear yes: freeze the user, revoke its sessions and tokens, and go through what was read and changed since",
  "Restrict login addresses on the profile and on the connected app, so that the platform refuses next time",
]
references = [
  "https://attack.mitre.org/techniques/T1090/003/",
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["network_lists", "logins | api_calls | ui_activity", "asn?", "sightings?"]
# A person's hosting network must not be hidden by an accepted VPN, nor the other way round.
dedupe = ["user_key", "network_kind"]
bucket = "day"

[params.novelty]
type = "duration"
default = "60d"
meaning = "how far back a person's origin counts as known (hosting networks)"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with logs before a hosting network counts as new"

[params.allowed_asns]
type = "int_list"
default = []
meaning = "numbers of autonomous systems that are your own way out, such as a company VPN's"
*/
WITH
seen AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        CASE source WHEN 'login_history' THEN 'LoginHistory' ELSE 'Login' END AS log,
        app, outcome = 'failure' AS is_stopped, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (outcome IN ('success', 'challenge') OR fail_class = 'valid_credential_blocked')
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        event_type, app, false, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        event_type, NULL, false, file_id, line_no
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
),
-- Nearly every row is in no list and is out here.
listed AS (
    SELECT
        *,
        origin_of(ip) AS origin,
        CASE
            WHEN array_has(classes, 'tor') THEN 'tor'
            WHEN array_has(classes, 'vpn') THEN 'vpn'
            WHEN array_has(classes, 'proxy') THEN 'proxy'
            ELSE 'hosting'
        END AS class
    FROM (SELECT *, ip_classes(ip, occurred_at) AS classes FROM seen) s
    WHERE cardinality(classes) > 0
      AND NOT array_has(classes, 'egress')
      AND in_networks(user_key, ip, occurred_at) IS NOT TRUE
      AND NOT coalesce(array_has($allowed_asns, ip_asn(ip)), false)
),
-- Who came from a hosting network, and has to be compared with the own past.
people AS (
    SELECT DISTINCT user_key, day, network_of(ip) AS network, origin
    FROM listed
    WHERE class = 'hosting' AND role IN ('human', 'human_admin') AND user_key IS NOT NULL
),
past AS (
    SELECT user_key, day, value AS network, origin_of(value) AS origin
    FROM sightings
    WHERE day >= CAST($window_start - $novelty AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'network'
      AND user_key IN (SELECT user_key FROM people)
),
-- Days on which a newcomer can be told from a beginning of the logs.
judged_days AS (
    SELECT p.day
    FROM (SELECT DISTINCT day FROM people) p
    JOIN (
        SELECT DISTINCT day
        FROM covered_days
        WHERE day >= CAST($window_start - $novelty AS DATE) AND day < CAST($window_end AS DATE)
    ) c ON c.day < p.day AND c.day >= p.day - CAST($novelty AS INTERVAL)
    GROUP BY p.day
    HAVING count(*) >= $min_covered_days
),
newcomers AS (
    SELECT p.user_key, p.day, p.network
    FROM people p
    JOIN judged_days j ON j.day = p.day
    WHERE NOT EXISTS (
        SELECT 1 FROM past s
        WHERE s.user_key = p.user_key AND (s.origin = p.origin OR s.network = p.network)
          AND s.day < p.day AND s.day >= p.day - CAST($novelty AS INTERVAL)
    )
),
levelled AS (
    SELECT
        l.*,
        CASE WHEN l.class = 'hosting' THEN 'hosting' ELSE 'anonymiser' END AS network_kind,
        -- 2 medium, 3 high
        CASE
            WHEN l.class = 'hosting' THEN 2
            WHEN l.role = 'guest' AND l.class <> 'tor' THEN 2
            ELSE 3
        END AS level
    FROM listed l
    LEFT JOIN newcomers n ON n.user_key = l.user_key AND n.day = l.day AND n.network = network_of(l.ip)
    WHERE l.class <> 'hosting' OR (l.role IN ('human', 'human_admin') AND n.network IS NOT NULL)
),
by_day AS (
    SELECT
        user_key, day, network_kind,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS events, count(*) FILTER (WHERE is_stopped) AS stopped,
        max(level) AS level,
        array_agg(DISTINCT class ORDER BY class) AS classes,
        array_agg(DISTINCT log ORDER BY log) AS logs,
        array_agg(DISTINCT ip ORDER BY ip) AS ips,
        count(DISTINCT ip) AS distinct_ips,
        array_agg(DISTINCT array_to_string(ip_lists(ip, occurred_at), ', ')
            ORDER BY array_to_string(ip_lists(ip, occurred_at), ', ')) AS lists,
        array_agg(DISTINCT origin ORDER BY origin) AS origins,
        array_agg(DISTINCT ip_as_name(ip) ORDER BY ip_as_name(ip)) FILTER (WHERE ip_as_name(ip) IS NOT NULL) AS as_names,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app <> '') AS apps,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM levelled
    GROUP BY user_key, day, network_kind
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    ['low', 'medium', 'high'][level] AS severity,
    events AS event_count,
    last_at,
    CASE network_kind
        WHEN 'hosting' THEN 'A person works from networks that it came from before, and servers stand in hosting networks'
        ELSE 'Nobody comes through Tor, a VPN or a proxy, except from networks that are declared or your own egress'
    END AS expected,
    events || CASE WHEN events = 1 THEN ' row of ' ELSE ' rows of ' END || array_to_string(array_slice(logs, 1, 5), ', ')
        || CASE WHEN stopped = events THEN ', stopped by one last control' WHEN stopped > 0 THEN ', ' || stopped || ' of them stopped by one last control' ELSE '' END
        || ' from ' || array_to_string(array_slice(ips, 1, 5), ', ')
        || CASE WHEN distinct_ips > 5 THEN ' and ' || (distinct_ips - 5) || ' more' ELSE '' END
        || coalesce(' (' || array_to_string(array_slice(as_names, 1, 3), ', ') || ')', '')
        || ', listed as ' || array_to_string(array_slice(lists, 1, 3), '; ')
        || coalesce(', by "' || array_to_string(array_slice(apps, 1, 3), '", "') || '"', '')
        || CASE network_kind WHEN 'hosting' THEN '; the user was not seen from there before' ELSE '' END
        AS observed,
    role, role_source, system, owner,
    network_kind, classes, lists, ips, origins, as_names, apps, logs, stopped,
    proof
FROM by_day
ORDER BY occurred_at, user_key, network_kind
