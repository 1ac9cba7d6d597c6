/*
id = "delegated-auth-integration"
title = "Delegated authentication on a non-human user"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S2.12"]
attack = ["T1556", "T1078.004"]
description = """
With the permission Is Single Sign-On Enabled, Salesforce hands the password to a service of the company and \
believes its answer: the password leaves Salesforce, and its password policy no longer applies. An integration or \
internal user with that permission that logged in by password within `reach` did just that; so did one whose login \
failed because that service refused it, was down, or had a wrong address. The permission alone is no finding: \
without a delegated service it blocks every password, which is a known and good use of it."""
false_positives = [
  "The permission is used to block passwords while the user logs in by JWT: then no login by password succeeds, and nothing is found",
]
response = [
  "Move the integration to JWT bearer or client credentials",
  "Take Is Single Sign-On Enabled away where the row says it comes from, or switch the delegated service off",
]
references = [
  "https://attack.mitre.org/techniques/T1556/",
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["logins", "permissions?"]
dedupe = ["user_key"]
bucket = "none"

[params.reach]
type = "duration"
default = "30d"
meaning = "how far back logins count"
*/
WITH
tries AS (
    SELECT occurred_at, user_key, user_id, username, role, role_source, system, owner,
           outcome, status, is_password_based, login_path, ip, file_id, line_no
    FROM logins
    WHERE occurred_at >= $now - $reach AND occurred_at < $now
      AND role IN ('integration', 'internal_system')
      AND (
          (outcome = 'success' AND is_password_based)
          -- The codes of the EventLogFile and the sentences of LoginHistory.
          OR upper(trim(status)) IN (
              'LOGIN_ERROR_SSO_PWD_INVALID', 'LOGIN_ERROR_SSO_SVC_DOWN', 'LOGIN_ERROR_SSO_URL_INVALID',
              'YOUR COMPANY''S AUTHENTICATION SERVICE IS DOWN', 'THE SINGLE SIGN-ON GATEWAY URL IS INVALID')
      )
),
holders AS (
    SELECT user_key,
           array_agg(DISTINCT printable(replace(source_kind, '_', ' ') || ' ' || coalesce(source_name, '(no name)'))
                     ORDER BY printable(replace(source_kind, '_', ' ') || ' ' || coalesce(source_name, '(no name)'))) AS granted_by
    FROM permissions
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND permission = 'IsSsoEnabled' AND NOT is_platform_user
    GROUP BY user_key
),
signs AS (
    SELECT t.*, h.granted_by,
           CASE WHEN t.outcome = 'success' THEN 'login by password with Is Single Sign-On Enabled'
                ELSE 'error of the delegated service' END AS reason
    FROM tries t
    LEFT JOIN holders h ON h.user_key = t.user_key
    WHERE t.outcome <> 'success' OR h.user_key IS NOT NULL
),
by_user AS (
    SELECT
        user_key, max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(*) FILTER (WHERE outcome = 'success') AS password_logins,
        count(*) FILTER (WHERE outcome <> 'success') AS service_errors,
        max(occurred_at) FILTER (WHERE outcome = 'success') AS last_password_login_at,
        array_agg(DISTINCT reason ORDER BY reason) AS reasons,
        array_agg(DISTINCT status ORDER BY status) FILTER (WHERE outcome <> 'success') AS statuses,
        array_agg(DISTINCT login_path ORDER BY login_path) AS login_paths,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        first_value(granted_by ORDER BY occurred_at) AS granted_by,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM signs
    GROUP BY user_key
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN role_source = 'inferred' AND role = 'integration' THEN 'low' ELSE 'medium' END AS severity,
    events AS event_count,
    last_at,
    'Machines prove who they are to Salesforce itself, by key or client credentials' AS expected,
    array_to_string([
        CASE WHEN password_logins > 0 THEN password_logins || CASE WHEN password_logins = 1 THEN ' login' ELSE ' logins' END
             || ' by password that left Salesforce (Is Single Sign-On Enabled by ' || array_to_string(granted_by, ', ') || ')' END,
        CASE WHEN service_errors > 0 THEN service_errors || CASE WHEN service_errors = 1 THEN ' login' ELSE ' logins' END
             || ' failed at the delegated service' END
    ], '; ') AS observed,
    role, role_source, system, owner,
    reasons, granted_by, password_logins, service_errors, statuses, login_paths, last_password_login_at, ips,
    proof
FROM by_user
ORDER BY occurred_at, user_key
