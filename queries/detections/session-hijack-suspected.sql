/*
id = "session-hijack-suspected"
title = "One session is in use from two networks and by two clients at the same time"
family = "attack"
severity = "high"
status = "active"
version = 2
control = ["S3.4"]
attack = ["T1539", "T1185", "T1550.004"]
description = """
A session id or an access token is a bearer key: whoever holds the copy is the user. One session (SESSION_KEY, else \
LOGIN_KEY) is seen in two networks that alternate (back to the first after the second) or follow each other within \
minutes, and each network has a client that the other never shows: a browser here, a script there; Chrome on Windows \
here, Firefox on Linux there. A phone that changes from Wi-Fi to LTE keeps its client and stays quiet. For API calls \
of a machine with declared networks the client does not matter: inside and outside under one session is enough \
(the same theft as integration-unexpected-ip-api tells; that rule names the address, this one the session, and both \
are one case). Critical for machines and privileged users. The finding belongs to the day on which a session first \
shows all of this, and is told once. A thief may show the victim's own client. So a session whose owner is in a \
network that he or three others used before, and which is used besides from one where he never was nor three others \
(60 days; nor did he log in there meanwhile), is told where only the new network has a further kind of client \
(a script beside the pages), and at medium where nothing differs, but the session comes to the new network for the \
third time and no phone is used there. Without five earlier days of the user nothing is new, and a machine on a new \
network is told by integration-unexpected-ip-api. A network is the provider (ASN) where a database of addresses is \
given, else the /24 or /48 around the address; there an IPv4 and an IPv6 network only count as two where the clients \
differ. A client is the browser and system of the user agent, or the API client's name, library or number; pages \
without a user agent (URI) fit any browser."""
false_positives = [
  "A proxy that sends pages and API calls of one browser out by different addresses",
  "A computer that changes between two connections all the time, one of which is new (medium)",
  "A machine whose workers share one token from several networks: declare all of them",
]
response = [
  "End the sessions now (Session Management, or revoke the OAuth token); that also ends the thief's",
  "Ask the user where he was and with what; look for malware that steals cookies on that computer",
  "Read what the second network's client did: objects, rows, exports, set-up changes",
  "Lock sessions to the address they began from, and enforce login ranges on every request",
]
references = [
  "https://attack.mitre.org/techniques/T1539/",
  "https://attack.mitre.org/techniques/T1550/004/",
]
# Who is privileged is told by the registry's role and, where there is a roster, by permissions.
inputs = [
  "RestApi | API | ApexRestApi | BulkApi | BulkApi2 | BulkApiRequest | ui_activity", "sightings?", "logins?",
  "permissions?", "asn?",
]
dedupe = ["user_key"]
bucket = "day"

[params.overlap]
type = "duration"
default = "30m"
meaning = "longest time between the last event in one network and the first in the next for them to overlap"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network counts as known"

[params.min_user_days]
type = "int"
default = 5
meaning = "earlier days of a user before a network can be new to him"

[params.common_users]
type = "int"
default = 3
meaning = "other users from whom on a network is known to everybody"

[params.returns]
type = "int"
default = 3
meaning = "times that a session has to come to a new network when nothing else differs"

[params.privileged_permissions]
type = "text_list"
default = [
  "ManageUsers", "ManageInternalUsers", "ModifyAllData", "ViewAllData", "CustomizeApplication", "AuthorApex",
]
meaning = "permissions (of the roster) that make a user privileged"
*/
WITH
-- What each session did, with the client as far as the row tells it. A session of yesterday goes on today.
seen AS (
    SELECT
        occurred_at, user_id, session_key, login_key, ip, ip_kind, false AS is_api, user_agent AS agent,
        CAST(NULL AS VARCHAR) AS program, file_id, line_no
    FROM elf_aura_request
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, user_id, session_key, login_key, ip, ip_kind, false AS is_api, user_agent AS agent,
        CAST(NULL AS VARCHAR) AS program, file_id, line_no
    FROM elf_lightning_page_view
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, user_id, session_key, login_key, ip, ip_kind, false AS is_api, user_agent AS agent,
        CAST(NULL AS VARCHAR) AS program, file_id, line_no
    FROM elf_visualforce_request
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, user_id, session_key, login_key, ip, ip_kind, false AS is_api, client_info AS agent,
        CAST(NULL AS VARCHAR) AS program, file_id, line_no
    FROM elf_report_export
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
    UNION ALL
    -- Pages whose log has no user agent, which is not the same as none being sent.
    SELECT
        occurred_at, user_id, session_key, login_key, ip, ip_kind, false AS is_api, 'page' AS agent,
        CAST(NULL AS VARCHAR) AS program, file_id, line_no
    FROM elf_uri
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
    UNION ALL
    -- A number is Salesforce's code of the client; 9998 and 9999 stand for none.
    SELECT
        occurred_at, user_id, session_key, login_key, ip, ip_kind, true AS is_api, user_agent AS agent,
        coalesce(nullif(trim(client_name), ''), 'code ' || nullif(nullif(nullif(trim(user_agent), ''), '9999'), '9998'))
            AS program,
        file_id, line_no
    FROM elf_rest_api
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
      -- A refused session was not used.
      AND status_code IS DISTINCT FROM 401
    UNION ALL
    SELECT
        occurred_at, user_key AS user_id, session_key, login_key, ip, ip_kind, true AS is_api,
        CAST(NULL AS VARCHAR) AS agent, nullif(trim(client_name), '') AS program, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
      AND event_type NOT IN ('ApiTotalUsage', 'RestApi')
      AND status_code IS DISTINCT FROM 401
),
-- Nearly every session stays at one address: out before anything is compared. Found by a count of its
-- own, as a window over all sessions would hold all of them in memory.
split_sessions AS (
    SELECT user_id AS split_user, coalesce(session_key, login_key) AS split_session
    FROM seen
    WHERE ip_kind = 'public'
      AND user_id IS NOT NULL
      -- Rows without any key belong to no session.
      AND coalesce(session_key, login_key, '') <> ''
    GROUP BY user_id, coalesce(session_key, login_key)
    HAVING min(ip) <> max(ip)
),
-- Where each user came from before, and where others did.
network_users AS (
    SELECT value AS network, user_key, min(day) AS first_day
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'network'
    GROUP BY value, user_key
),
-- The day from which on others know a network: one more of them where the user himself is one.
common_networks AS (
    SELECT
        network,
        min(CASE WHEN n = $common_users THEN first_day END) AS common_day,
        min(CASE WHEN n = $common_users + 1 THEN first_day END) AS common_day_of_its_users
    FROM (SELECT *, row_number() OVER (PARTITION BY network ORDER BY first_day, user_key) AS n FROM network_users) u
    WHERE n <= $common_users + 1
    GROUP BY network
),
-- The day from which on enough is known of a user.
user_days AS (
    SELECT user_key, day AS ready_day
    FROM (
        SELECT user_key, day, row_number() OVER (PARTITION BY user_key ORDER BY day) AS n
        FROM (
            SELECT DISTINCT user_key, day
            FROM sightings
            WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
              AND kind = 'network'
        ) d
    ) r
    WHERE n = $min_user_days
),
own_logins AS (
    SELECT user_key, network_of(ip) AS network, min(day) AS login_day
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
      AND outcome = 'success' AND ip_kind = 'public'
    GROUP BY user_key, network_of(ip)
),
uses AS (
    SELECT
        u.*, in_networks(u.user_id, u.ip, u.first_at) AS inside, ua_family(u.agent) AS ua,
        -- NULL: of a user who is new himself nothing can be said.
        CASE WHEN d.ready_day < u.event_day
             THEN coalesce(n.first_day < u.event_day, false)
                  OR coalesce(CASE WHEN n.user_key IS NULL THEN c.common_day ELSE c.common_day_of_its_users END
                              <= u.event_day, false)
                  OR coalesce(l.login_day <= u.event_day, false)
        END AS is_known
    FROM (
        SELECT
            user_id, session, CAST(occurred_at AS DATE) AS event_day, ip, is_api, agent, program,
            min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
            min(CASE WHEN arrivals >= $returns THEN occurred_at END) AS back_at,
            min(file_id || ':' || line_no) AS proof
        FROM (
            SELECT
                *,
                sum(CASE WHEN origin IS DISTINCT FROM origin_before THEN 1 ELSE 0 END) OVER (
                    PARTITION BY user_id, session, origin ORDER BY occurred_at, file_id, line_no) AS arrivals
            FROM (
                SELECT
                    s.user_id, m.split_session AS session, s.occurred_at, s.ip, s.is_api, s.agent, s.program,
                    s.file_id, s.line_no, origin_of(s.ip) AS origin,
                    lag(origin_of(s.ip)) OVER (
                        PARTITION BY s.user_id, m.split_session ORDER BY s.occurred_at, s.file_id, s.line_no
                    ) AS origin_before
                FROM split_sessions m
                JOIN seen s ON s.user_id = m.split_user AND coalesce(s.session_key, s.login_key) = m.split_session
                WHERE s.ip_kind = 'public'
            ) steps
        ) visits
        GROUP BY user_id, session, CAST(occurred_at AS DATE), ip, is_api, agent, program
    ) u
    LEFT JOIN user_days d ON d.user_key = u.user_id
    LEFT JOIN network_users n ON n.user_key = u.user_id AND n.network = network_of(u.ip)
    LEFT JOIN common_networks c ON c.network = network_of(u.ip)
    LEFT JOIN own_logins l ON l.user_key = u.user_id AND l.network = network_of(u.ip)
),
-- A day is judged by the session's events of that day and of the day before.
placed AS (
    SELECT
        user_id, session, event_day, first_at, last_at, back_at, events, ip, is_api, inside, is_known, proof,
        unnest([event_day, CAST(event_day + INTERVAL '1 day' AS DATE)]) AS day,
        -- A declared network may be smaller than the one around the address.
        origin_of(ip) || CASE WHEN inside IS FALSE THEN ' (undeclared)' ELSE '' END AS place,
        CASE WHEN ua = 'browser' OR (agent = 'page' AND NOT is_api) THEN 'browser' ELSE 'program' END AS family,
        CASE
            WHEN agent = 'page' AND NOT is_api THEN NULL
            WHEN ua = 'browser' THEN
                CASE
                    WHEN agent ILIKE '%edg%/%' THEN 'Edge' WHEN agent ILIKE '%opr/%' THEN 'Opera'
                    WHEN agent ILIKE '%firefox/%' OR agent ILIKE '%fxios/%' THEN 'Firefox'
                    WHEN agent ILIKE '%chrome/%' OR agent ILIKE '%crios/%' THEN 'Chrome'
                    WHEN agent ILIKE '%safari%' THEN 'Safari' ELSE 'Browser'
                END || ' on ' ||
                CASE
                    WHEN agent ILIKE '%iphone%' OR agent ILIKE '%ipad%' THEN 'iOS'
                    WHEN agent ILIKE '%android%' THEN 'Android' WHEN agent ILIKE '%windows%' THEN 'Windows'
                    WHEN agent ILIKE '%mac os%' THEN 'macOS' WHEN agent ILIKE '%linux%' THEN 'Linux'
                    ELSE 'another system'
                END
            WHEN ua NOT IN ('code', 'missing', 'other') THEN ua
            WHEN is_api THEN printable(program)
            WHEN ua = 'missing' THEN 'no user agent'
            ELSE printable(agent)
        END AS client,
        ua NOT IN ('browser', 'code', 'missing', 'other') AS is_library
    FROM uses
),
clients AS (
    SELECT
        user_id, session, day, place, family, client, is_library,
        min(first_at) AS first_at,
        min(first_at) FILTER (WHERE event_day = day) AS first_today,
        max(last_at) FILTER (WHERE event_day < day) AS last_yesterday,
        max(last_at) AS last_at, sum(events) AS events,
        bool_or(inside) AS inside, bool_and(is_api) AS only_api, bool_or(is_known) AS is_known, min(back_at) AS back_at,
        array_slice(array_agg(DISTINCT ip ORDER BY ip), 1, 3) AS ips, min(proof) AS proof
    FROM placed
    WHERE day >= CAST($window_start AS DATE) AND day < $window_end
    GROUP BY user_id, session, day, place, family, client, is_library
),
-- One row for each session and day, its clients and their places in a list.
sessions AS (
    SELECT
        user_id, session, day, sum(events) AS events, max(last_at) AS last_at,
        array_slice(array_agg(
            place || ' ' || coalesce(client, CASE family WHEN 'browser' THEN 'pages' ELSE 'API' END)
                || ' ' || to_char(first_at, '%H:%M') || '-' || to_char(last_at, '%H:%M')
            ORDER BY first_at, place, client), 1, 10) AS sequence,
        array_slice(array_agg(DISTINCT place ORDER BY place), 1, 20) AS networks,
        array_slice(array_agg(DISTINCT client ORDER BY client) FILTER (WHERE client IS NOT NULL), 1, 20) AS clients,
        array_distinct(flatten(array_slice(array_agg(ips ORDER BY first_at, place, client), 1, 10))) AS ips,
        array_slice(array_agg(proof ORDER BY first_at, place, client), 1, 20) AS proof,
        array_agg(named_struct(
            'place', place, 'inside', inside, 'family', family, 'client', client, 'is_library', is_library,
            'is_phone', coalesce(client LIKE '% on iOS' OR client LIKE '% on Android', false),
            'first_at', first_at, 'place_first_at', place_first_at, 'place_first_today', place_first_today,
            'place_last_yesterday', place_last_yesterday, 'place_last_at', place_last_at,
            'place_only_api', place_only_api, 'place_is_known', place_is_known, 'place_back_at', place_back_at,
            'place_has_phone', place_has_phone) ORDER BY first_at, place, client)
            -- Rows without a client's name are of the client that other rows of the network name.
            FILTER (WHERE client IS NOT NULL OR NOT place_names_it) AS users
    FROM (
        SELECT
            *,
            min(first_at) OVER in_place AS place_first_at, min(first_today) OVER in_place AS place_first_today,
            max(last_yesterday) OVER in_place AS place_last_yesterday, max(last_at) OVER in_place AS place_last_at,
            bool_and(only_api) OVER in_place AS place_only_api,
            bool_or(is_known) OVER in_place AS place_is_known, min(back_at) OVER in_place AS place_back_at,
            coalesce(bool_or(client LIKE '% on iOS' OR client LIKE '% on Android') OVER in_place, false) AS place_has_phone,
            bool_or(client IS NOT NULL) OVER (PARTITION BY user_id, session, day, place, family) AS place_names_it
        FROM clients
        WINDOW in_place AS (PARTITION BY user_id, session, day, place)
    ) c
    GROUP BY user_id, session, day
    HAVING min(place) <> max(place)
),
-- Each client of one network beside each of another that came later: the first came back, or was there until
-- just before.
pairs AS (
    SELECT
        *,
        (a['family'] = b['family'] AND (a['client'] IS NULL OR b['client'] IS NULL OR a['client'] = b['client']))
            -- The app on a phone shows pages and calls the API.
            OR (a['is_phone'] AND b['family'] = 'program' AND NOT b['is_library'])
            OR (b['is_phone'] AND a['family'] = 'program' AND NOT a['is_library']) AS alike,
        coalesce(a['inside'] <> b['inside'], false) AND a['place_only_api'] AND b['place_only_api']
            AND (a['place'] LIKE '%:%') = (b['place'] LIKE '%:%') AS crosses_the_border,
        -- The owner was there before, and is there still; nobody knows the second one.
        coalesce(a['place_is_known'] AND NOT b['place_is_known'], false) AND a['place_last_at'] > b['place_first_at']
            AND (a['place'] LIKE '%:%') = (b['place'] LIKE '%:%') AS goes_astray,
        CASE
            -- Both were there yesterday, or the second came at once after the first.
            WHEN b['place_first_at'] <= a['place_last_yesterday'] + CAST($overlap AS INTERVAL) THEN b['place_first_at']
            ELSE greatest(b['place_first_at'], a['place_first_today'])
        END AS met_at
    FROM (SELECT * EXCLUDE (users), unnest(users) AS b FROM (SELECT *, unnest(users) AS a FROM sessions) one) two
    WHERE a['place'] <> b['place']
      AND (a['place_first_at'] < b['place_first_at']
           OR (a['place_first_at'] = b['place_first_at'] AND a['place'] < b['place']))
      AND b['place_first_at'] <= a['place_last_at'] + CAST($overlap AS INTERVAL)
      -- Two declared networks are where the system stands.
      AND NOT coalesce(a['inside'] AND b['inside'], false)
),
-- Two networks differ in their clients where each has one that the other has not.
judged AS (
    SELECT
        user_id, session, day, place_a, place_b,
        max(events) AS events, max(last_at) AS last_at,
        first_value(sequence ORDER BY place_a) AS sequence, first_value(networks ORDER BY place_a) AS networks,
        first_value(clients ORDER BY place_a) AS clients, first_value(ips ORDER BY place_a) AS ips,
        first_value(proof ORDER BY place_a) AS proof,
        max(met_at) AS met_at, bool_or(crosses_the_border) AS crosses_the_border,
        bool_or(NOT a_has_like) AND bool_or(NOT b_has_like) AS clients_differ,
        bool_or(NOT b_has_like AND goes_astray) AS stranger_has_more,
        bool_or(goes_astray AND b_back_at IS NOT NULL AND NOT b_has_phone) AS stranger_returns,
        greatest(max(met_at), min(b_back_at)) AS returned_at,
        greatest(max(met_at), min(a_first_at) FILTER (WHERE NOT a_has_like), min(b_first_at) FILTER (WHERE NOT b_has_like))
            AS differ_at
    FROM (
        SELECT
            *, a['place'] AS place_a, b['place'] AS place_b, a['first_at'] AS a_first_at, b['first_at'] AS b_first_at,
            b['place_back_at'] AS b_back_at, b['place_has_phone'] AS b_has_phone,
            bool_or(alike) OVER (
                PARTITION BY user_id, session, day, a['place'], b['place'], a['family'], a['client'], a['is_library']
            ) AS a_has_like,
            bool_or(alike) OVER (
                PARTITION BY user_id, session, day, a['place'], b['place'], b['family'], b['client'], b['is_library']
            ) AS b_has_like
        FROM pairs
    ) p
    GROUP BY user_id, session, day, place_a, place_b
),
-- A session is told on the day on which it first showed all of it.
hijacked AS (
    SELECT
        user_id, session, day, username, role, role_source, system, owner,
        max(events) AS events, max(last_at) AS last_at,
        first_value(sequence ORDER BY place_a) AS sequence, first_value(networks ORDER BY place_a) AS networks,
        first_value(clients ORDER BY place_a) AS clients, first_value(ips ORDER BY place_a) AS ips,
        first_value(proof ORDER BY place_a) AS proof,
        bool_or(clients_differ) AS clients_differ, bool_or(is_machine AND crosses_the_border) AS crosses_the_border,
        bool_or(NOT is_machine AND stranger_has_more) AS stranger_has_more,
        min(CASE
            WHEN is_machine AND crosses_the_border THEN met_at
            WHEN clients_differ OR stranger_has_more THEN differ_at
            ELSE returned_at
        END) AS first_at
    FROM (SELECT *, role IN ('integration', 'internal_system', 'ci') AS is_machine FROM (
        SELECT
            j.*, r.system, r.owner,
            coalesce(known_username(j.user_id), r.username) AS username,
            coalesce(r.role, inferred_role(NULL, known_username(j.user_id), j.user_id, j.met_at)) AS role,
            CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source
        FROM judged j
        LEFT JOIN registry_users r
          ON r.user_key = j.user_id AND j.met_at >= r.valid_from AND j.met_at < r.valid_to
    ) s) s
    WHERE role <> 'guest'
      AND (clients_differ OR (is_machine AND crosses_the_border)
           OR (NOT is_machine AND (stranger_has_more OR stranger_returns)))
    GROUP BY user_id, session, day, username, role, role_source, system, owner
),
by_user AS (
    SELECT
        user_id, day, username, role, role_source, system, owner,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events, count(*) AS session_count,
        bool_or(clients_differ) AS clients_differ, bool_or(crosses_the_border) AS crosses_the_border,
        bool_or(stranger_has_more) AS stranger_has_more,
        first_value(sequence ORDER BY first_at, session) AS sequence,
        array_distinct(flatten(array_agg(arrow_cast(networks, 'List(Utf8)') ORDER BY first_at, session))) AS networks,
        array_distinct(flatten(array_agg(arrow_cast(clients, 'List(Utf8)') ORDER BY first_at, session))) AS clients,
        array_distinct(flatten(array_agg(arrow_cast(ips, 'List(Utf8)') ORDER BY first_at, session))) AS ips,
        -- The session's digest, not the key: enough to find its rows.
        array_slice(array_agg(left(session, 12) ORDER BY first_at, session), 1, 10) AS sessions,
        array_slice(flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY first_at, session)), 1, 20) AS proof
    FROM hijacked
    WHERE CAST(first_at AS DATE) = day
    GROUP BY user_id, day, username, role, role_source, system, owner
),
privileged AS (
    SELECT DISTINCT user_key
    FROM permissions
    WHERE array_has($privileged_permissions, permission)
      AND next_day > CAST($window_start AS DATE) AND day <= CAST($window_end AS DATE)
)
SELECT
    u.first_at AS occurred_at,
    u.user_id AS user_key, u.user_id, u.username,
    CASE
        WHEN NOT (u.clients_differ OR u.crosses_the_border OR u.stranger_has_more) THEN 'medium'
        WHEN u.role = 'integration' AND u.role_source = 'inferred' THEN 'high'
        WHEN u.role IN ('integration', 'internal_system', 'ci', 'human_admin') OR p.user_key IS NOT NULL THEN 'critical'
        ELSE 'high'
    END AS severity,
    u.events AS event_count,
    u.last_at,
    'A session stays with one client: it may change the network, and does not jump between two' AS expected,
    u.session_count || CASE WHEN u.session_count = 1 THEN ' session' ELSE ' sessions' END || ' in two networks at once'
        || CASE
            WHEN u.clients_differ THEN ', with different clients: '
            WHEN u.crosses_the_border THEN ', one of them not declared: '
            WHEN u.stranger_has_more THEN ', one of them new and with a client more: '
            ELSE ', one of them new: '
        END
        || array_to_string(array_slice(u.sequence, 1, 5), '; ') AS observed,
    u.role, u.role_source, u.system, u.owner,
    p.user_key IS NOT NULL OR u.role IN ('human_admin', 'ci') AS is_privileged,
    u.sessions, u.session_count, u.clients_differ, u.stranger_has_more AS new_network_has_more,
    array_slice(u.networks, 1, 20) AS networks, array_slice(u.clients, 1, 20) AS clients, u.sequence,
    array_slice(u.ips, 1, 20) AS ips,
    u.proof
FROM by_user u
LEFT JOIN privileged p ON p.user_key = u.user_id
WHERE u.first_at >= $window_start AND u.first_at < $window_end
ORDER BY occurred_at, user_key
