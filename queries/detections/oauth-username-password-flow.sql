/*
id = "oauth-username-password-flow"
title = "A password was sent to the token endpoint (OAuth username-password flow)"
family = "credential"
severity = "high"
status = "active"
version = 1
control = ["S0.11", "S1.3", "S2.4", "S4.1"]
attack = ["T1078.004", "T1552.001"]
description = """
The client keeps the user's long-lived password and sends it with every login: no second factor, no consent, \
and whoever reads the client's configuration has the account. Salesforce ends the flow on 20 February 2027. A \
login in an org that cannot use the flow any more is critical. A debt that the registry allows (flow \
oauth_username_password with an owner and an end) is told once per period, at low. Beyond the catalogue: rows \
of before the sub-type was written (OAuth 2, and USE_API_TOKEN says that a password came) count as this flow, \
and a failed try with a username that nobody has is left to the rules about guessing."""
false_positives = [
  "An old client that cannot do better yet: give the user an owner and allow the flow in the registry with valid_to and ticket",
]
response = [
  "Find the client by app, address and User-Agent; ask the owner of the account",
  "Unknown client or address: rotate the password, freeze the user, read the API calls from that address",
  "Known client: move it to JWT bearer or client credentials, then block the flow for the org (Setup, OAuth and OpenID Connect Settings)",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1552/001/",
  "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_username_password_flow.htm",
]
inputs = ["Login | LoginHistory"]
# Refused tries are a finding of their own: accepting that noise must not hide a login.
dedupe = ["user_key", "app_key", "result"]
bucket = "day"

[params.deadline]
type = "text"
default = "2027-02-20"
meaning = "day (YYYY-MM-DD) from which Salesforce ends the flow; a login from then on is critical"

[params.flow_impossible]
type = "bool"
default = false
meaning = "the org was made in Summer '26 or later, where the flow does not exist: any login by it is critical"

[params.report_every_days]
type = "int"
default = 7
meaning = "days of a period in which an accepted debt is told once; not longer than first_use_history"

[params.first_use_history]
type = "duration"
default = "90d"
meaning = "how far back the first use is looked up"
*/
WITH
uses AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        coalesce(nullif(nullif(printable(app_name_key(app)), ''), 'n/a'), 'not told') AS app_key,
        app, ip, ua_family, use_api_token, path_certainty,
        CASE WHEN outcome = 'success' THEN 'signed in' ELSE 'refused' END AS result,
        -- Stopped after the password: whoever tried knows it.
        outcome = 'challenge' OR coalesce(fail_class = 'valid_credential_blocked', false) AS password_was_right,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - $first_use_history AND occurred_at < $window_end
      AND (login_path = 'oauth_username_password'
           OR (login_path = 'oauth_bearer' AND upper(trim(use_api_token)) IN ('T', 'P')))
      -- A name that is nobody's shows no use of the flow.
      AND NOT (outcome = 'failure' AND user_id IS NULL AND role_source = 'inferred'
               AND (coalesce(fail_class = 'unknown_user', false)
                    OR regexp_like(coalesce(status, ''), 'invalid[ _]username', 'i')))
),
-- Until when the registry allows the flow to this user at that time.
allowances AS (
    SELECT u.user_key, u.occurred_at, max(f.valid_to) AS allowed_until
    FROM (SELECT DISTINCT user_key, occurred_at FROM uses) u
    JOIN registry_flows f
      ON f.user_key = u.user_key AND f.login_path = 'oauth_username_password'
     AND u.occurred_at >= f.valid_from AND u.occurred_at < f.valid_to
    GROUP BY u.user_key, u.occurred_at
),
by_day AS (
    SELECT
        u.user_key, u.app_key, u.result, u.day,
        max(u.user_id) AS user_id, max(u.username) AS username,
        max(u.role) AS role, max(u.role_source) AS role_source, max(u.system) AS system, max(u.owner) AS owner,
        min(u.occurred_at) AS first_at, max(u.occurred_at) AS last_at, count(*) AS logins,
        max(a.allowed_until) AS allowed_until,
        -- A debt needs somebody who pays it and a day on which it is paid.
        bool_and(coalesce(CAST(a.allowed_until AS DATE) < DATE '9999-01-01' AND u.owner IS NOT NULL, false)) AS accepted,
        bool_or(u.password_was_right) AS password_was_right,
        array_agg(DISTINCT printable(u.app) ORDER BY printable(u.app)) FILTER (WHERE u.app IS NOT NULL) AS apps,
        array_agg(DISTINCT u.ip ORDER BY u.ip) FILTER (WHERE u.ip IS NOT NULL) AS ips,
        count(DISTINCT u.ip) AS distinct_ips,
        array_agg(DISTINCT u.ua_family ORDER BY u.ua_family) FILTER (WHERE u.ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT printable(u.use_api_token) ORDER BY printable(u.use_api_token))
            FILTER (WHERE u.use_api_token IS NOT NULL) AS use_api_tokens,
        array_agg(DISTINCT u.path_certainty ORDER BY u.path_certainty) AS path_certainties,
        array_slice(array_agg(u.file_id || ':' || u.line_no ORDER BY u.occurred_at, u.file_id, u.line_no), 1, 20)
            AS proof
    FROM uses u
    LEFT JOIN allowances a ON a.user_key = u.user_key AND a.occurred_at = u.occurred_at
    GROUP BY u.user_key, u.app_key, u.result, u.day
),
judged AS (
    SELECT
        *,
        CAST($deadline AS DATE) - day AS days_left,
        min(first_at) OVER (PARTITION BY user_key, app_key, result ORDER BY day) AS first_used_at,
        -- The first day of its period on which an accepted debt was used.
        row_number() OVER (
            PARTITION BY user_key, app_key, result, accepted, (day - DATE '1970-01-05') / greatest(1, $report_every_days)
            ORDER BY day) AS day_of_period
    FROM by_day
),
levelled AS (
    SELECT
        *,
        result = 'signed in' AND ($flow_impossible OR days_left <= 0) AS impossible,
        result = 'signed in' AND accepted AND NOT $flow_impossible AND days_left > 0 AS accepted_debt
    FROM judged
    WHERE first_at >= $window_start
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE
        WHEN impossible THEN 'critical'
        WHEN result = 'refused' OR accepted_debt THEN 'low'
        -- An account that is only inferred to be an integration counts one level lower.
        WHEN role = 'internal_system' OR (role = 'integration' AND role_source = 'registry') THEN 'high'
        ELSE 'medium'
    END AS severity,
    logins AS event_count,
    last_at,
    CASE
        WHEN impossible AND $flow_impossible THEN 'No login by this flow: it does not exist in this org'
        WHEN impossible THEN 'No login by this flow: it ended on ' || $deadline
        WHEN accepted_debt THEN 'A debt that the registry accepts until ' || to_char(allowed_until, '%Y-%m-%d %H:%M')
            || ' UTC; told once in ' || $report_every_days || ' days'
        WHEN allowed_until IS NOT NULL
            THEN 'No password at the token endpoint; the registry allows it, but without an owner or without an end'
        ELSE 'No password at the token endpoint: JWT bearer or client credentials for machines, a browser for people'
    END AS expected,
    logins
        || CASE
               WHEN result = 'signed in' AND logins = 1 THEN ' login'
               WHEN result = 'signed in' THEN ' logins'
               WHEN logins = 1 THEN ' refused login'
               ELSE ' refused logins'
           END
        || ' by the OAuth username-password flow, app: ' || coalesce(array_to_string(array_slice(apps, 1, 3), ', '), 'not told')
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE WHEN distinct_ips > 5 THEN ' and ' || (distinct_ips - 5) || ' more' ELSE '' END
        || CASE WHEN password_was_right THEN '; stopped after the password was accepted: take it as known' ELSE '' END
        || CASE WHEN days_left > 0 THEN '; the flow ends in ' || days_left || ' days' ELSE '' END AS observed,
    role, role_source, system, owner,
    app_key, apps, result, ips, ua_families, use_api_tokens, path_certainties,
    first_used_at, days_left, accepted_debt, allowed_until, password_was_right,
    proof
FROM levelled
WHERE NOT accepted_debt OR day_of_period = 1
ORDER BY occurred_at, user_key, app_key, result
