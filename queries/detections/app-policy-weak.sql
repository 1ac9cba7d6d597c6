/*
id = "app-policy-weak"
title = "Connected app or External Client App of an integration has a weak policy"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.16", "S1.5", "S1.6", "S3.2", "S3.3", "S3.7"]
attack = ["T1528", "T1671"]
description = """
What a stolen token is worth is decided by the policy of its app. Points: addresses are not enforced 2; every user \
may authorise the app for itself 2; refresh tokens are valid until revoked 1; scope full, or api together with web \
1; no secret is asked for 1; the user-agent flow is allowed 1. From `medium_points` on it is medium; high when \
tokens never end, addresses are not enforced and the scope reaches the API or everything: then whoever copies one \
token is in, from anywhere, for good. Medium too when a point was added since the roster day before, within \
`report_time`. Judged are the apps of integrations: declared in the registry, holding tokens of integration users, \
or seen in their logins. What the roster does not tell is unknown, and unknown is not weak. Apps that the registry \
marks as mobile are left out."""
false_positives = [
  "An app of people on phones: mark it mobile_sdk in the registry",
  "A vendor that cannot name its addresses: suppress with an end date, and watch its logins by address",
]
response = [
  "Enforce IP restrictions; admin-approved users only; refresh tokens that end by time or inactivity; scopes to what is needed",
  "A policy that was loosened: ask who changed it (Setup Audit Trail) and look for new users and addresses of the app since",
]
references = [
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1671/",
]
inputs = ["apps", "oauth_tokens?", "logins?"]
dedupe = ["app_key"]
bucket = "none"

[params.medium_points]
type = "int"
default = 3
meaning = "points from which a policy is weak"

[params.report_time]
type = "duration"
default = "30d"
meaning = "how long a loosened policy is told"

[params.login_reach]
type = "duration"
default = "30d"
meaning = "how far back logins say which apps integrations use"
*/
WITH
scored AS (
    SELECT
        day, previous_day, next_day, sf_id18(app_id) AS app_id, app_name, app_name_key(app_name) AS name_key, kind,
        file_id, line_no,
        ip_relaxation = 'relax' AS open_addresses,
        admin_approved_only IS FALSE AS open_to_all,
        refresh_policy = 'infinite' AS endless,
        regexp_like(lower(coalesce(scopes, '')), '(^|[ ,;])full($|[ ,;])') AS full_scope,
        regexp_like(lower(coalesce(scopes, '')), '(^|[ ,;])api($|[ ,;])') AS api_scope,
        regexp_like(lower(coalesce(scopes, '')), '(^|[ ,;])web($|[ ,;])') AS web_scope,
        secret_required IS FALSE AS no_secret,
        coalesce(user_agent_flow, false) AS implicit
    FROM apps
),
pointed AS (
    SELECT
        *,
        coalesce(app_id, name_key) AS app_key,
        CASE WHEN open_addresses THEN 2 ELSE 0 END + CASE WHEN open_to_all THEN 2 ELSE 0 END
            + CASE WHEN endless THEN 1 ELSE 0 END
            + CASE WHEN full_scope OR (api_scope AND web_scope) THEN 1 ELSE 0 END
            + CASE WHEN no_secret THEN 1 ELSE 0 END + CASE WHEN implicit THEN 1 ELSE 0 END AS points
    FROM scored
),
now_on AS (
    SELECT * FROM pointed WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
),
-- The last day on which the app was stricter, and what was added since.
loosened AS (
    SELECT
        n.app_key, max(n.day) AS changed_on,
        array_agg(DISTINCT change ORDER BY change) FILTER (WHERE change IS NOT NULL) AS changes
    FROM (
        SELECT
            n.app_key, n.day,
            unnest(string_to_array(nullif(array_to_string([
                CASE WHEN n.open_addresses AND NOT coalesce(b.open_addresses, true) THEN 'addresses are no longer enforced' END,
                CASE WHEN n.open_to_all AND NOT coalesce(b.open_to_all, true) THEN 'every user may now authorise it' END,
                CASE WHEN n.endless AND NOT coalesce(b.endless, true) THEN 'refresh tokens no longer end' END,
                CASE WHEN n.full_scope AND NOT coalesce(b.full_scope, true) THEN 'scope full was added' END,
                CASE WHEN n.no_secret AND NOT coalesce(b.no_secret, true) THEN 'no secret is asked for any more' END,
                CASE WHEN n.implicit AND NOT coalesce(b.implicit, true) THEN 'the user-agent flow was allowed' END
            ], '|'), ''), '|')) AS change
        FROM pointed n
        JOIN pointed b ON b.app_key = n.app_key AND b.day = n.previous_day
        WHERE n.day <= CAST($now AS DATE) AND n.day >= CAST($now - $report_time AS DATE)
    ) n
    GROUP BY n.app_key
),
-- Apps that integrations use, by id or by name.
used AS (
    SELECT sf_id18(app_id) AS app_id, app_name_key(app_name) AS name_key, user_key FROM registry_apps
    UNION ALL
    SELECT sf_id18(o.id) AS app_id, app_name_key(o.name) AS name_key, CAST(NULL AS VARCHAR) AS user_key
    FROM registry_org_apps o
    UNION ALL
    SELECT CAST(NULL AS VARCHAR) AS app_id, app_name_key(t.app_name) AS name_key, t.user_key
    FROM oauth_tokens t
    WHERE t.role = 'integration' AND CAST($now AS DATE) >= t.day AND CAST($now AS DATE) < t.next_day
    UNION ALL
    SELECT CAST(NULL AS VARCHAR) AS app_id, app_name_key(l.app) AS name_key, l.user_key
    FROM (
        SELECT DISTINCT app, user_key FROM logins
        WHERE occurred_at >= $now - $login_reach AND occurred_at < $now AND role = 'integration' AND app IS NOT NULL
    ) l
),
of_integrations AS (
    SELECT n.app_key, count(DISTINCT u.user_key) AS users,
           array_slice(array_agg(DISTINCT coalesce(known_username(u.user_key), u.user_key)
               ORDER BY coalesce(known_username(u.user_key), u.user_key)) FILTER (WHERE u.user_key IS NOT NULL), 1, 20) AS user_names
    FROM now_on n
    JOIN used u ON u.app_id = n.app_id OR u.name_key = n.name_key
    GROUP BY n.app_key
),
mobile AS (
    SELECT DISTINCT sf_id18(id) AS app_id, app_name_key(name) AS name_key FROM registry_org_apps WHERE mobile_sdk
),
judged AS (
    SELECT
        n.*, o.users, o.user_names, l.changes, l.changed_on,
        string_to_array(nullif(array_to_string([
            CASE WHEN n.open_addresses THEN 'addresses are not enforced' END,
            CASE WHEN n.open_to_all THEN 'every user may authorise it' END,
            CASE WHEN n.endless THEN 'refresh tokens are valid until revoked' END,
            CASE WHEN n.full_scope THEN 'scope full' WHEN n.api_scope AND n.web_scope THEN 'scopes api and web' WHEN n.api_scope THEN 'scope api' END,
            CASE WHEN n.no_secret THEN 'no secret is asked for' END,
            CASE WHEN n.implicit THEN 'the user-agent flow is allowed' END
        ], '|'), ''), '|') AS weak_points,
        CASE
            WHEN n.endless AND n.open_addresses AND (n.full_scope OR n.api_scope) THEN 'high'
            WHEN n.points >= $medium_points OR array_length(l.changes) > 0 THEN 'medium'
        END AS level
    FROM now_on n
    JOIN of_integrations o ON o.app_key = n.app_key
    LEFT JOIN loosened l ON l.app_key = n.app_key
    WHERE NOT EXISTS (SELECT 1 FROM mobile m WHERE m.app_id = n.app_id)
      AND NOT EXISTS (SELECT 1 FROM mobile m WHERE m.name_key = n.name_key)
)
SELECT
    CAST(coalesce(changed_on, day) AS TIMESTAMPTZ) AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    level AS severity,
    array_length(weak_points) AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    'Addresses enforced, admin-approved users only, tokens that end, the scopes that are needed' AS expected,
    coalesce(printable(app_name), app_id) || ': ' || array_to_string(weak_points, ', ')
        || CASE WHEN array_length(changes) > 0
                THEN '; changed on ' || to_char(changed_on, '%Y-%m-%d') || ': ' || array_to_string(changes, ', ') ELSE '' END AS observed,
    app_key, app_id, printable(app_name) AS app, kind AS app_kind,
    points, weak_points, changes, changed_on, users, user_names,
    [file_id || ':' || line_no] AS proof
FROM judged
WHERE level IS NOT NULL
ORDER BY occurred_at, app_key
