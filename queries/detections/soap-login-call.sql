/*
id = "soap-login-call"
title = "SOAP login() is still used"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S0.11", "S4.1"]
attack = ["T1078.004"]
description = """
SOAP login() takes a user name and a long-lived password, passes by every connected app and its policy, and \
is switched off on 1 June 2027. High where an integration (or another user whose flows the registry declares) \
is not allowed soap_login at that time; a refused try is low. SOAP calls with a session from elsewhere are API \
rows and no logins. API 65.0 and later have no login(), and retired versions answer no more: a success by one \
of them means that the row is not what our maps take it for. A try with a username that nobody has is left to \
the rules about guessing."""
false_positives = [
  "Old middleware: allow flow soap_login in the registry with valid_to before the retirement; it stays at medium until then",
  "Products that log in as Partner Product or AppExchange use the same call and are meant, too",
]
response = [
  "Compare address, client and API version with the system's usual ones; unknown ones mean a stolen password: rotate it, freeze the user",
  "Known system: plan its move to a connected app with JWT bearer or client credentials before the retirement",
  "When the last system has moved: take the permission that login() needs (Use Any API Auth) from every user",
  "Reason mapping_error: look the row up by its proof and correct the maps of login types",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_login.htm",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key", "api_version", "network"]
bucket = "day"

[params.deadline]
type = "text"
default = "2027-06-01"
meaning = "day (YYYY-MM-DD) on which Salesforce retires SOAP login()"

[params.floor_version]
type = "float"
default = 31.0
meaning = "oldest API version that still answers; a success below it is a mapping error"

[params.end_version]
type = "float"
default = 65.0
meaning = "first API version without login(); a success from it on is a mapping error"

[params.prefix_v4]
type = "int"
default = 24
meaning = "size of an IPv4 network by which logins are put together"

[params.prefix_v6]
type = "int"
default = 48
meaning = "size of an IPv6 network by which logins are put together"
*/
WITH
calls AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        outcome, ip, ua_family, api_type, coalesce(lh_login_type, login_type) AS login_type,
        use_api_token, app, api_version AS raw_version,
        -- 9998.0 and the like stand for none.
        CASE WHEN TRY_CAST(trim(api_version) AS DOUBLE) BETWEEN 1 AND 999
             THEN TRY_CAST(trim(api_version) AS DOUBLE) END AS version,
        coalesce(
            CASE WHEN ip_kind = 'public' THEN network_of(ip, $prefix_v4, $prefix_v6) END,
            coalesce(ip_kind, 'missing') || ' address') AS network,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND login_path = 'soap_login'
      -- A name that is nobody's shows no system that uses the call.
      AND NOT (outcome = 'failure' AND user_id IS NULL AND role_source = 'inferred'
               AND (coalesce(fail_class = 'unknown_user', false)
                    OR regexp_like(coalesce(status, ''), 'invalid[ _]username', 'i')))
),
-- What the registry says of user and flow: allowed at that time, or until when it was.
allowances AS (
    SELECT
        c.user_key, c.occurred_at,
        bool_or(c.occurred_at >= f.valid_from AND c.occurred_at < f.valid_to) AS allowed,
        max(f.valid_to) FILTER (WHERE f.valid_to <= c.occurred_at) AS allowed_until
    FROM (SELECT DISTINCT user_key, occurred_at FROM calls) c
    JOIN registry_flows f ON f.user_key = c.user_key AND f.login_path = 'soap_login'
    GROUP BY c.user_key, c.occurred_at
),
-- Users whose flows the registry lists: what is not listed is forbidden to them, whatever their role.
listed AS (
    SELECT DISTINCT c.user_key, c.occurred_at, true AS flows_listed
    FROM calls c
    JOIN registry_users r
      ON r.user_key = c.user_key AND r.flows_declared
     AND c.occurred_at >= r.valid_from AND c.occurred_at < r.valid_to
),
judged AS (
    SELECT
        c.*,
        coalesce(CAST(c.version AS VARCHAR), 'not told') AS api_version_key,
        coalesce(a.allowed, false) AS allowed,
        a.allowed_until,
        NOT coalesce(a.allowed, false)
            AND (c.role IN ('integration', 'internal_system') OR coalesce(l.flows_listed, false)) AS forbidden,
        coalesce(c.outcome = 'success' AND (c.version >= $end_version OR c.version < $floor_version), false) AS impossible
    FROM calls c
    LEFT JOIN allowances a ON a.user_key = c.user_key AND a.occurred_at = c.occurred_at
    LEFT JOIN listed l ON l.user_key = c.user_key AND l.occurred_at = c.occurred_at
),
by_day AS (
    SELECT
        user_key, day, api_version_key AS api_version, network,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(*) FILTER (WHERE outcome = 'success') AS logins,
        count(*) FILTER (WHERE outcome <> 'success') AS attempts,
        -- 1 low, 2 medium, 3 high
        max(CASE WHEN outcome <> 'success' THEN 1 WHEN forbidden THEN 3 ELSE 2 END) AS level,
        bool_and(allowed) AS allowed, max(allowed_until) AS allowed_until, bool_or(forbidden) AS forbidden,
        bool_or(impossible) AS mapping_error,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT printable(login_type) ORDER BY printable(login_type))
            FILTER (WHERE login_type IS NOT NULL) AS login_types,
        array_agg(DISTINCT printable(api_type) ORDER BY printable(api_type))
            FILTER (WHERE api_type IS NOT NULL) AS api_types,
        array_agg(DISTINCT printable(raw_version) ORDER BY printable(raw_version))
            FILTER (WHERE raw_version IS NOT NULL) AS api_versions,
        -- T: password with security token; P: password alone.
        array_agg(DISTINCT printable(use_api_token) ORDER BY printable(use_api_token))
            FILTER (WHERE use_api_token IS NOT NULL) AS use_api_tokens,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM judged
    GROUP BY user_key, day, api_version_key, network
),
with_deadline AS (
    SELECT *, CAST($deadline AS DATE) - day AS days_left FROM by_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        greatest(1, level - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    events AS event_count,
    last_at,
    CASE
        WHEN allowed THEN 'SOAP login() is allowed for this user for now; the system has to move to a connected app'
        WHEN allowed_until IS NOT NULL
            THEN 'No SOAP login(): the registry allowed it until ' || to_char(allowed_until, '%Y-%m-%d %H:%M') || ' UTC'
        WHEN forbidden THEN 'No SOAP login(): the registry does not allow it for this user'
        ELSE 'No SOAP login(): access through a connected app'
    END AS expected,
    array_to_string(
        [
            CASE WHEN logins > 0 THEN logins || CASE WHEN logins = 1 THEN ' SOAP login' ELSE ' SOAP logins' END END,
            CASE WHEN attempts > 0 THEN attempts || CASE WHEN attempts = 1 THEN ' refused SOAP login' ELSE ' refused SOAP logins' END END
        ], ', ')
        || ' with API version ' || api_version
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || coalesce(', client: ' || nullif(array_to_string(array_remove(ua_families, 'missing'), ', '), ''), '')
        || CASE WHEN array_has(use_api_tokens, 'P') THEN '; a password without security token was enough' ELSE '' END
        || CASE WHEN mapping_error THEN '; login() does not exist in this version: the row is not what it seems' ELSE '' END
        || CASE
               WHEN days_left > 0 THEN '; login() is retired in ' || days_left || ' days'
               ELSE '; login() was to be retired on ' || $deadline
           END AS observed,
    role, role_source, system, owner,
    api_version, api_versions, network, ips, logins, attempts, allowed, allowed_until, mapping_error,
    days_left, login_types, api_types, use_api_tokens, apps, ua_families,
    proof
FROM with_deadline
ORDER BY occurred_at, user_key, api_version, network
