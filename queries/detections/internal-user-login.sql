/*
id = "internal-user-login"
title = "An internal system user tried to log in or call the API"
family = "identity"
severity = "critical"
status = "active"
version = 1
control = ["S0.29", "S0.30"]
attack = ["T1078.004"]
description = """
Internal system users own automation and default records. Nobody and nothing signs in as them: they need \
no credential, and their profile allows no address. The expected number of logins, calls and pages from \
outside is zero, so no history is needed to judge one."""
false_positives = [
  "None expected. Handlers that run inside another user's login carry that user's id",
  "Users of the platform itself (Automated Process and the like) at work from Salesforce's own addresses are left out",
]
response = [
  "Success or API call: freeze the user and end its sessions now; find out who gave it a credential (Setup Audit Trail: password reset, activation)",
  "Attempt: look for the same address against other users; somebody knows the name of the account",
  "Set the profile's login range to 0.0.0.0 - 0.0.0.0",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["logins | api_calls | ui_activity"]
dedupe = ["user_key"]
bucket = "day"
*/
WITH events AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        'Login' AS event_type, outcome, ip, app, login_path, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'internal_system'
      -- Predefined users of the platform do log in, from inside Salesforce.
      AND NOT (role_source = 'inferred' AND coalesce(ip_kind, '') IN ('salesforce', 'private', 'missing', '')
               AND (ip_kind = 'salesforce' OR login_path = 'internal'))
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        event_type, 'call' AS outcome, ip, app, CAST(NULL AS VARCHAR) AS login_path, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'internal_system'
      -- Without a public address it is the platform at work: batches, dashboards, flows.
      AND ip_kind = 'public'
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        event_type, 'page' AS outcome, ip, CAST(NULL AS VARCHAR) AS app, CAST(NULL AS VARCHAR) AS login_path,
        file_id, line_no
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'internal_system'
      AND ip_kind = 'public'
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(*) FILTER (WHERE outcome = 'success') AS logins,
        count(*) FILTER (WHERE outcome NOT IN ('success', 'call', 'page')) AS attempts,
        count(*) FILTER (WHERE outcome = 'call') AS calls,
        count(*) FILTER (WHERE outcome = 'page') AS pages,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_agg(DISTINCT login_path ORDER BY login_path) FILTER (WHERE login_path IS NOT NULL) AS login_paths,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL AND app <> '') AS apps,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM events
    GROUP BY user_key, day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN logins + calls + pages > 0 THEN 'critical' ELSE 'high' END AS severity,
    events AS event_count,
    last_at,
    'Nothing at all from outside: nobody signs in or calls the API as an internal system user' AS expected,
    array_to_string(
        [
            CASE WHEN logins > 0 THEN 'successful logins: ' || logins END,
            CASE WHEN attempts > 0 THEN 'failed logins: ' || attempts END,
            CASE WHEN calls > 0 THEN 'API calls: ' || calls END,
            CASE WHEN pages > 0 THEN 'pages: ' || pages END
        ], ', ')
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address') AS observed,
    role, role_source, system, owner,
    logins, attempts, calls, pages, event_types, login_paths, apps, ips,
    proof
FROM by_day
ORDER BY occurred_at, user_key
