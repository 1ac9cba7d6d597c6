/*
id = "integration-api-without-connected-app"
title = "API calls of an integration user that no connected app explains"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.18", "S3.1"]
attack = ["T1550.001", "T1550.004"]
description = """
The calls name no app, and the login behind their login key was one without a connected app: SOAP login() \
or a UI session whose id is now used as a bearer token. Calls whose login cannot be found are unresolved and \
not reported here. An empty app id alone proves nothing: External Client Apps are not always stamped. Where this \
leaves the catalogue: a session whose own login is known is not acquitted by an app that logged in from the same \
address, and the calls of a SOAP session that the registry allows are accepted debt."""
false_positives = [
  "SOAP login() that the registry allows for the user: the calls of such a session are left out",
  "Managed packages that call with the session id of the running user (UserInfo.getSessionId): move them to an app, or suppress by user and client name",
]
response = [
  "UI session behind the calls: treat the session as stolen, end it, and read integration-ui-login of the same day",
  "SOAP login() behind the calls: find the system that still holds the password and move it to a connected app",
  "Check the address of the calls against the registry",
]
references = [
  "https://attack.mitre.org/techniques/T1550/004/",
  "https://help.salesforce.com/s/articleView?id=sf.security_api_access_control_about.htm",
]
inputs = ["RestApi | API | ApexRestApi | ApexSoap | BulkApi | BulkApi2 | BulkApiRequest | CompositeApi", "Login"]
dedupe = ["user_key"]
bucket = "day"

[params.min_calls]
type = "int"
default = 5
meaning = "unexplained calls of a user and day from which it is reported"

[params.appless_flows]
type = "text_list"
default = [
  "soap_login", "ui_password", "ui_sso", "ui_passwordless", "ui_other", "portal", "certificate",
  "saml_web_assertion",
]
meaning = "login paths that give a session without a connected app"

[params.login_lookback]
type = "duration"
default = "30d"
meaning = "how far back the login behind a session is looked for"
*/
WITH
-- Step 1: calls that name no app themselves (0H4 a connected app, 888 an External Client App).
nameless AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        event_type, api_family, client_name, ip, login_key, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'integration'
      AND login_key IS NOT NULL
      AND coalesce(upper(trim(app_id)), '') IN ('', 'N/A')
      AND coalesce(upper(trim(app)), '') IN ('', 'N/A')
),
-- Step 2: the login behind the key. One row that went through an app explains the session.
key_logins AS (
    SELECT
        l.login_key, l.user_key,
        min(l.login_path) AS login_path,
        bool_or(coalesce(l.is_connected_app, false)
                -- A path that the registry allowed at that time is accepted debt. What it never
                -- explains is a page's session id used as a token.
                OR (f.login_path IS NOT NULL AND NOT coalesce(l.is_ui, false))
                OR NOT array_has($appless_flows, coalesce(l.login_path, 'unmapped'))
                OR (coalesce(upper(trim(l.app)), '') NOT IN ('', 'N/A', 'BROWSER')
                    AND coalesce(l.merge_quality, '') <> 'ambiguous')) AS explained
    FROM logins l
    JOIN (SELECT DISTINCT login_key, user_key FROM nameless) n
      ON n.login_key = l.login_key AND n.user_key = l.user_key
    LEFT JOIN registry_flows f
      ON f.user_key = l.user_key AND f.login_path = l.login_path
     AND (f.valid_from IS NULL OR l.occurred_at >= f.valid_from)
     AND (f.valid_to IS NULL OR l.occurred_at < f.valid_to)
    WHERE l.occurred_at >= $window_start - $login_lookback AND l.occurred_at < $window_end
      AND l.outcome = 'success'
    GROUP BY l.login_key, l.user_key
),
-- Only what is proven: the login is there and had no app. Another app that logged in from the same
-- address does not acquit a session whose own login is known.
by_day AS (
    SELECT
        c.user_key, c.day,
        max(c.user_id) AS user_id, max(c.username) AS username,
        max(c.role) AS role, max(c.role_source) AS role_source, max(c.system) AS system, max(c.owner) AS owner,
        min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at, count(*) AS calls,
        count(DISTINCT c.login_key) AS sessions,
        array_agg(DISTINCT k.login_path ORDER BY k.login_path) AS login_paths,
        array_agg(DISTINCT c.event_type ORDER BY c.event_type) AS event_types,
        array_agg(DISTINCT c.api_family ORDER BY c.api_family) FILTER (WHERE c.api_family IS NOT NULL) AS api_families,
        array_slice(array_agg(DISTINCT printable(c.client_name) ORDER BY printable(c.client_name))
            FILTER (WHERE c.client_name IS NOT NULL AND c.client_name <> ''), 1, 20) AS client_names,
        array_agg(DISTINCT c.ip ORDER BY c.ip) FILTER (WHERE c.ip IS NOT NULL) AS ips,
        array_slice(array_agg(c.file_id || ':' || c.line_no ORDER BY c.occurred_at, c.file_id, c.line_no), 1, 20)
            AS proof
    FROM nameless c
    JOIN key_logins k ON k.login_key = c.login_key AND k.user_key = c.user_key
    WHERE NOT k.explained
    GROUP BY c.user_key, c.day
    HAVING count(*) >= $min_calls
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    CASE WHEN role_source = 'inferred' THEN 'medium' ELSE 'high' END AS severity,
    calls AS event_count,
    last_at,
    'API calls only through the connected app of the integration'
        || coalesce(' (' || printable(system) || ')', '') AS expected,
    calls || ' API calls (' || array_to_string(event_types, ', ') || ') that name no app, in '
        || sessions || CASE WHEN sessions = 1 THEN ' session' ELSE ' sessions' END
        || ' begun by ' || array_to_string(login_paths, ', ')
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address') AS observed,
    role, role_source, system, owner,
    sessions, login_paths, event_types, api_families, client_names, ips,
    'the rows name no app; the login behind their login key went through none' AS attribution,
    proof
FROM by_day
ORDER BY occurred_at, user_key
