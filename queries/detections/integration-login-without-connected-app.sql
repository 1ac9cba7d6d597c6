/*
id = "integration-login-without-connected-app"
title = "Integration user authenticated by a path that involves no connected app"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.18", "S1.5", "S1.7", "S2.8", "S3.1"]
attack = ["T1078.004", "T1550.001"]
description = """
A login through a connected app carries the app's policy: addresses, scopes, lifetime, approval. SOAP \
login(), OAuth 1, the SAML web assertion and unknown doors carry none; only the user's password or the \
identity provider's word stands behind them. A path that the registry allows for this user at this time is \
not reported; one whose allowance has ended is, at medium."""
false_positives = [
  "Old middleware on SOAP login(): allow flow soap_login with a valid_to before its retirement (2027-06-01)",
  "The SAML web assertion flow needs no connected app by design: allow saml_web_assertion for the user",
]
response = [
  "Compare address and client with the integration's usual ones; unknown ones mean a stolen password: rotate it, freeze the user",
  "Known system: move it to a connected app (JWT bearer or client credentials) and then require API Access Control",
  "If it must stay for now: allow the flow in the registry, with an end",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://help.salesforce.com/s/articleView?id=sf.security_api_access_control_about.htm",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key", "login_path"]
bucket = "day"

[params.pathless_flows]
type = "text_list"
default = ["soap_login", "oauth1", "saml_web_assertion", "unmapped"]
meaning = "login paths that involve no connected app, or whose door is unknown"
*/
WITH suspects AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        coalesce(login_path, 'unmapped') AS login_path,
        coalesce(lh_login_type, login_type) AS login_type,
        api_type, api_version, ua_family, ip, file_id, line_no,
        NOT array_has($pathless_flows, coalesce(login_path, 'unmapped')) AS oauth_without_app
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'integration'
      AND outcome = 'success'
      AND (array_has($pathless_flows, coalesce(login_path, 'unmapped'))
           -- OAuth without an app: believed only where the two logs are the same login beyond
           -- doubt. An app that we could not look up is not an absent app.
           OR (login_path LIKE 'oauth%' AND login_path <> 'oauth1'
               AND merge_quality = 'exact'
               AND coalesce(upper(trim(app)), '') IN ('', 'N/A')))
),
-- The registry's word on this user and path: allowed at that time, or until when it was.
allowances AS (
    SELECT
        s.user_key, s.login_path, s.occurred_at,
        bool_or((f.valid_from IS NULL OR s.occurred_at >= f.valid_from)
                AND (f.valid_to IS NULL OR s.occurred_at < f.valid_to)) AS allowed,
        max(f.valid_to) FILTER (WHERE f.valid_to <= s.occurred_at) AS allowed_until
    FROM (SELECT DISTINCT user_key, login_path, occurred_at FROM suspects) s
    JOIN registry_flows f ON f.user_key = s.user_key AND f.login_path = s.login_path
    GROUP BY s.user_key, s.login_path, s.occurred_at
),
by_day AS (
    SELECT
        s.user_key, s.day, s.login_path,
        max(s.user_id) AS user_id, max(s.username) AS username,
        max(s.role) AS role, max(s.role_source) AS role_source, max(s.system) AS system, max(s.owner) AS owner,
        min(s.occurred_at) AS first_at, max(s.occurred_at) AS last_at, count(*) AS logins,
        max(a.allowed_until) FILTER (WHERE NOT s.oauth_without_app) AS allowed_until,
        array_agg(DISTINCT s.ip ORDER BY s.ip) FILTER (WHERE s.ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(s.login_type) ORDER BY printable(s.login_type))
            FILTER (WHERE s.login_type IS NOT NULL) AS login_types,
        array_agg(DISTINCT printable(s.api_type) ORDER BY printable(s.api_type))
            FILTER (WHERE s.api_type IS NOT NULL) AS api_types,
        array_agg(DISTINCT printable(CAST(s.api_version AS VARCHAR)) ORDER BY printable(CAST(s.api_version AS VARCHAR)))
            FILTER (WHERE s.api_version IS NOT NULL) AS api_versions,
        array_agg(DISTINCT s.ua_family ORDER BY s.ua_family) FILTER (WHERE s.ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(s.file_id || ':' || s.line_no ORDER BY s.occurred_at, s.file_id, s.line_no), 1, 20)
            AS proof
    FROM suspects s
    LEFT JOIN allowances a
      ON a.user_key = s.user_key AND a.login_path = s.login_path AND a.occurred_at = s.occurred_at
    -- The registry may allow the path; it cannot allow an app that is not there.
    WHERE s.oauth_without_app OR a.allowed IS NOT TRUE
    GROUP BY s.user_key, s.day, s.login_path
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An allowance that has ended is more often forgotten than abused. An account that is only
    -- inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN allowed_until IS NOT NULL THEN 2 ELSE 3 END
        - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    logins AS event_count,
    last_at,
    CASE
        WHEN allowed_until IS NULL THEN 'Logins only through a connected app; no other path is allowed for this user'
        ELSE 'Logins only through a connected app; this path was allowed until '
            || to_char(allowed_until, '%Y-%m-%d %H:%M') || ' UTC'
    END AS expected,
    logins || CASE WHEN logins = 1 THEN ' login' ELSE ' logins' END
        || CASE login_path
               WHEN 'soap_login' THEN ' by SOAP login() with user name and password'
               WHEN 'oauth1' THEN ' by OAuth 1'
               WHEN 'saml_web_assertion' THEN ' by a SAML web assertion'
               WHEN 'unmapped' THEN ' by a path that the catalogue does not know'
               ELSE ' by OAuth that names no app'
           END
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || coalesce(', client: ' || nullif(array_to_string(array_remove(ua_families, 'missing'), ', '), ''), '') AS observed,
    role, role_source, system, owner,
    login_path, login_types, api_types, api_versions, ua_families, ips,
    allowed_until,
    -- SOAP login() is switched off for good in Summer '27.
    CASE WHEN login_path = 'soap_login' THEN DATE '2027-06-01' - day END AS days_to_retirement,
    proof
FROM by_day
ORDER BY occurred_at, user_key, login_path
