/*
id = "loginas-onto-integration-user"
title = "Somebody used Login-As on (or from) a non-human user"
family = "identity"
severity = "high"
status = "active"
version = 2
control = ["S0.2", "S0.6"]
attack = ["T1078.004", "T1134"]
description = """
With Login-As an administrator becomes another user: what is then done carries that user's name. On an \
integration or an internal user nobody has a reason to do so, and a machine that itself uses Login-As is a stolen \
or misused one. In LoginAs rows USER_ID is the target and DELEGATED_USER_ID the actor (published rules read \
them the other way round). What was done in the session is counted by its login key and the target's id. A \
session that goes on after midnight is a finding on both days, so that an export on the second day is not lost. \
Critical when the actor is a machine or data left by the session. The registry knows windows of one user and \
not of two: a window of the target that covers the actor's address stands for the catalogue's window of actor \
and target. It excuses the session, but neither a machine as actor nor an export."""
false_positives = [
  "Support with a ticket: declare a window (maintenance, breakglass or consent) of the target, with the administrator's address",
]
response = [
  "Ask the actor what the session was for; look at the actor's own login before it (address, second factor)",
  "Actor is a machine: freeze it and take Login-As (Manage Users, Modify All Data) away from it",
  "Read what the session did: pages, API calls, exports; rotate the target's credential if it could be read or reset",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1134/",
]
# LoginAs files come on the days when somebody used it: that the UI logs come shows that one would.
inputs = ["LoginAs | ui_activity", "api_calls?", "logins?"]
dedupe = ["user_key", "actor_key"]
bucket = "day"

[params.session_limit]
type = "duration"
default = "24h"
meaning = "how long after the first LoginAs row what happens under its login key belongs to the session"

[params.export_rows]
type = "int"
default = 1000
meaning = "rows read by API in the session from which it counts as an export; one report export always does"
*/
WITH
login_as AS (
    SELECT
        a.occurred_at, a.day, a.user_id AS target_key, a.login_key, a.ip,
        coalesce(a.delegated_user_id, a.delegated_user_id_derived, n.user_id, lower(trim(a.delegated_user_name)))
            AS actor_key,
        lower(trim(a.delegated_user_name)) AS actor_name,
        coalesce(
            in_window(a.user_id, a.ip, a.occurred_at, 'maintenance')
            OR in_window(a.user_id, a.ip, a.occurred_at, 'breakglass')
            OR in_window(a.user_id, a.ip, a.occurred_at, 'consent'), false) AS ticketed,
        a.file_id, a.line_no
    FROM elf_login_as a
    LEFT JOIN usernames n ON n.username = lower(trim(a.delegated_user_name))
    WHERE a.occurred_at >= $window_start - $session_limit AND a.occurred_at < $window_end
),
sessions AS (
    SELECT
        target_key, actor_key, login_key, min(occurred_at) AS began_at,
        max(actor_name) AS actor_name, bool_and(ticketed) AS ticketed
    FROM login_as
    GROUP BY target_key, actor_key, login_key
),
-- Accounts of these sessions that are in no registry and behave like machines.
inferred AS (
    SELECT v.user_key, max(v.role) AS role
    FROM (
        SELECT user_key, role FROM logins
        WHERE occurred_at >= $window_start - $session_limit AND occurred_at < $window_end
          AND role_source = 'inferred' AND role IN ('integration', 'internal_system')
        UNION ALL
        SELECT user_key, role FROM api_calls
        WHERE occurred_at >= $window_start - $session_limit AND occurred_at < $window_end
          AND role_source = 'inferred' AND role IN ('integration', 'internal_system')
    ) v
    JOIN (SELECT target_key AS user_key FROM sessions UNION SELECT actor_key AS user_key FROM sessions) s
      ON s.user_key = v.user_key
    GROUP BY v.user_key
),
-- Registered users as they were when the session began, the others as they behave.
roles AS (
    SELECT
        s.*,
        coalesce(t.role, ti.role, inferred_role(NULL, coalesce(tn.username, t.username), s.target_key, s.began_at), 'human') AS role,
        CASE WHEN t.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        t.system, t.owner, coalesce(tn.username, t.username) AS username,
        coalesce(a.role, ai.role, inferred_role(NULL, s.actor_name, s.actor_key, s.began_at), 'human') AS actor_role,
        CASE WHEN a.role IS NULL THEN 'inferred' ELSE 'registry' END AS actor_role_source
    FROM sessions s
    LEFT JOIN registry_users t
      ON t.user_key = s.target_key AND s.began_at >= t.valid_from AND s.began_at < t.valid_to
    LEFT JOIN registry_users a
      ON a.user_key = s.actor_key AND s.began_at >= a.valid_from AND s.began_at < a.valid_to
    LEFT JOIN inferred ti ON ti.user_key = s.target_key
    LEFT JOIN inferred ai ON ai.user_key = s.actor_key
    LEFT JOIN usernames tn ON tn.user_id = s.target_key
),
-- All that happened in the window in these sessions: the LoginAs rows and what was done under their key.
events AS (
    SELECT
        l.target_key, l.actor_key, l.login_key, l.day, l.occurred_at, 'LoginAs' AS event_type,
        CAST(NULL AS BIGINT) AS rows, l.ip, l.file_id, l.line_no
    FROM login_as l
    WHERE l.occurred_at >= $window_start
    UNION ALL
    SELECT
        s.target_key, s.actor_key, s.login_key, u.day, u.occurred_at, u.event_type,
        CAST(NULL AS BIGINT) AS rows, u.ip, u.file_id, u.line_no
    FROM ui_activity u
    JOIN sessions s ON s.login_key = u.login_key AND s.target_key = u.user_key
    WHERE u.occurred_at >= $window_start AND u.occurred_at < $window_end
      AND u.occurred_at >= s.began_at AND u.occurred_at < s.began_at + CAST($session_limit AS INTERVAL)
    UNION ALL
    SELECT
        s.target_key, s.actor_key, s.login_key, c.day, c.occurred_at, c.event_type,
        c.rows_processed AS rows, c.ip, c.file_id, c.line_no
    FROM api_calls c
    JOIN sessions s ON s.login_key = c.login_key AND s.target_key = c.user_key
    WHERE c.occurred_at >= $window_start AND c.occurred_at < $window_end
      AND c.occurred_at >= s.began_at AND c.occurred_at < s.began_at + CAST($session_limit AS INTERVAL)
),
by_day AS (
    SELECT
        r.target_key, r.actor_key, e.day,
        max(r.username) AS username, max(r.role) AS role, max(r.role_source) AS role_source,
        max(r.system) AS system, max(r.owner) AS owner,
        max(r.actor_name) AS actor_name, max(r.actor_role) AS actor_role,
        max(r.actor_role_source) AS actor_role_source,
        bool_and(r.ticketed) AS ticketed,
        min(r.began_at) AS session_began_at,
        min(e.occurred_at) AS first_at, max(e.occurred_at) AS last_at,
        -- Rows without a key count as one session.
        count(DISTINCT coalesce(r.login_key, '')) AS sessions,
        count(*) FILTER (WHERE e.event_type = 'LoginAs') AS login_as_rows,
        count(*) FILTER (WHERE e.event_type = 'ReportExport') AS exports,
        count(*) FILTER (WHERE e.event_type IN ('URI', 'LightningPageView', 'AuraRequest', 'VisualforceRequest', 'Report'))
            AS ui_events,
        count(*) FILTER (WHERE e.event_type NOT IN ('LoginAs', 'ReportExport', 'URI', 'LightningPageView', 'AuraRequest',
            'VisualforceRequest', 'Report')) AS api_events,
        -- BulkApi2 writes the count so far in each row.
        coalesce(sum(e.rows) FILTER (WHERE e.event_type <> 'BulkApi2'), 0)
            + coalesce(max(e.rows) FILTER (WHERE e.event_type = 'BulkApi2'), 0) AS rows_read,
        array_slice(array_agg(DISTINCT e.ip ORDER BY e.ip) FILTER (WHERE e.ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(e.file_id || ':' || e.line_no
            ORDER BY e.event_type <> 'LoginAs', e.occurred_at, e.file_id, e.line_no), 1, 20) AS proof
    FROM roles r
    JOIN events e
      ON (e.target_key IS NOT DISTINCT FROM r.target_key)
     AND (e.actor_key IS NOT DISTINCT FROM r.actor_key)
     AND (e.login_key IS NOT DISTINCT FROM r.login_key)
    WHERE r.role IN ('integration', 'internal_system')
       OR r.actor_role IN ('integration', 'internal_system')
    GROUP BY r.target_key, r.actor_key, e.day
),
judged AS (
    SELECT
        *,
        actor_role IN ('integration', 'internal_system') AS machine_actor,
        exports > 0 OR rows_read >= $export_rows AS exported,
        -- An account that is only inferred to be an integration counts one level lower.
        CASE
            WHEN actor_role IN ('integration', 'internal_system')
            THEN actor_role = 'integration' AND actor_role_source = 'inferred'
            ELSE role = 'integration' AND role_source = 'inferred'
        END AS only_inferred
    FROM by_day
)
SELECT
    first_at AS occurred_at,
    target_key AS user_key, target_key AS user_id, username,
    ['medium', 'high', 'critical'][
        CASE WHEN machine_actor OR exported THEN 3 ELSE 2 END
        - CASE WHEN only_inferred OR (ticketed AND NOT machine_actor) THEN 1 ELSE 0 END
    ] AS severity,
    login_as_rows + ui_events + api_events + exports AS event_count,
    last_at,
    CASE
        WHEN machine_actor THEN 'An account of a machine never logs in as somebody else'
        ELSE 'Nobody logs in as ' || CASE role WHEN 'integration' THEN 'an integration' ELSE 'an internal system user' END
            || coalesce(' (' || printable(system) || ')', '') || ' without a ticketed window'
    END AS expected,
    coalesce(printable(actor_name), actor_key, 'An unnamed actor')
        || CASE WHEN actor_role = 'human' THEN '' ELSE ' (' || actor_role || ')' END
        || ' logged in as ' || coalesce(printable(username), target_key, 'an unnamed user')
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || '; afterwards ' || ui_events || ' UI events, ' || api_events || ' API calls, ' || exports || ' report exports'
        || CASE WHEN rows_read > 0 THEN ', ' || rows_read || ' rows read by API' ELSE '' END
        || CASE WHEN session_began_at < date_trunc('day', first_at) THEN '; the session began the day before' ELSE '' END
        || CASE WHEN ticketed THEN '; inside a ticketed window' ELSE '' END AS observed,
    role, role_source, system, owner,
    actor_key, printable(actor_name) AS actor_name, actor_role, actor_role_source,
    session_began_at, sessions, login_as_rows, ui_events, api_events, exports, rows_read, ticketed, ips,
    proof
FROM judged
WHERE NOT ticketed OR machine_actor OR exported
ORDER BY occurred_at, user_key, actor_key
