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
or seen in their logins. What the roster does not tell is unknown, and unknown is not weak; what was unknown the \
day before was not loosened. Apps that the registry marks as mobile are left out. Who changed the policy is not \
told: the Setup Audit Trail names the app in a sentence that is not kept."""
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
        day, next_day, sf_id18(app_id) AS app_id, app_name, app_name_key(replace(app_name, '_', ' ')) AS name_key, kind, file_id, line_no,
        coalesce(sf_id18(app_id), app_name_key(replace(app_name, '_', ' '))) AS app_key,
        ip_relaxation = 'relax' AS open_addresses,
        NOT admin_approved_only AS open_to_all,
        refresh_policy = 'infinite' AS endless,
        regexp_like(scopes, '(^| )full( |$)') OR (regexp_like(scopes, '(^| )api( |$)') AND regexp_like(scopes, '(^| )web( |$)'))
            AS wide_scope,
        regexp_like(scopes, '(^| )(full|api)( |$)') AS reaches_api,
        NOT secret_required AS no_secret,
        user_agent_flow AS implicit
    FROM apps
    WHERE day <= CAST($now AS DATE)
      AND next_day >= CAST(CAST($now AS TIMESTAMPTZ) - CAST($report_time AS INTERVAL) AS DATE)
),
-- Beside each policy, what it was on the roster day before. Unknown is NULL on either side.
stepped AS (
    SELECT
        *,
        CAST($now AS DATE) < next_day AS is_now,
        lag(open_addresses) OVER app_days AS had_open_addresses,
        lag(open_to_all) OVER app_days AS was_open_to_all,
        lag(endless) OVER app_days AS was_endless,
        lag(wide_scope) OVER app_days AS had_wide_scope,
        lag(no_secret) OVER app_days AS had_no_secret,
        lag(implicit) OVER app_days AS was_implicit
    FROM scored
    WINDOW app_days AS (PARTITION BY app_key, kind ORDER BY day)
),
-- The policy in force, and when its weak points were added.
by_app AS (
    SELECT
        app_key,
        max(app_id) FILTER (WHERE is_now) AS app_id, max(app_name) FILTER (WHERE is_now) AS app_name,
        max(name_key) FILTER (WHERE is_now) AS name_key, max(kind) FILTER (WHERE is_now) AS kind,
        max(day) FILTER (WHERE is_now) AS day,
        max(file_id) FILTER (WHERE is_now) AS file_id, max(line_no) FILTER (WHERE is_now) AS line_no,
        coalesce(bool_or(open_addresses) FILTER (WHERE is_now), false) AS open_addresses,
        coalesce(bool_or(open_to_all) FILTER (WHERE is_now), false) AS open_to_all,
        coalesce(bool_or(endless) FILTER (WHERE is_now), false) AS endless,
        coalesce(bool_or(wide_scope) FILTER (WHERE is_now), false) AS wide_scope,
        coalesce(bool_or(reaches_api) FILTER (WHERE is_now), false) AS reaches_api,
        coalesce(bool_or(no_secret) FILTER (WHERE is_now), false) AS no_secret,
        coalesce(bool_or(implicit) FILTER (WHERE is_now), false) AS implicit,
        max(day) FILTER (WHERE open_addresses AND NOT had_open_addresses) AS opened_addresses_on,
        max(day) FILTER (WHERE open_to_all AND NOT was_open_to_all) AS opened_to_all_on,
        max(day) FILTER (WHERE endless AND NOT was_endless) AS made_endless_on,
        max(day) FILTER (WHERE wide_scope AND NOT had_wide_scope) AS widened_on,
        max(day) FILTER (WHERE no_secret AND NOT had_no_secret) AS dropped_secret_on,
        max(day) FILTER (WHERE implicit AND NOT was_implicit) AS made_implicit_on
    FROM stepped
    GROUP BY app_key
    HAVING bool_or(is_now)
),
-- Apps that integrations use, by id or by name.
used AS (
    SELECT sf_id18(app_id) AS app_id, app_name_key(replace(app_name, '_', ' ')) AS name_key, user_key, CAST(NULL AS VARCHAR) AS username
    FROM registry_apps
    WHERE $now >= valid_from AND $now < valid_to
    UNION ALL
    SELECT sf_id18(id) AS app_id, app_name_key(replace(name, '_', ' ')) AS name_key, CAST(NULL AS VARCHAR) AS user_key,
           CAST(NULL AS VARCHAR) AS username
    FROM registry_org_apps
    WHERE $now >= valid_from AND $now < valid_to
    UNION ALL
    SELECT sf_id18(app_id) AS app_id, app_name_key(replace(app_name, '_', ' ')) AS name_key, user_key, username
    FROM oauth_tokens
    WHERE role = 'integration' AND CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
    UNION ALL
    SELECT CAST(NULL AS VARCHAR) AS app_id, app_name_key(replace(app, '_', ' ')) AS name_key, user_key, max(username) AS username
    FROM logins
    WHERE occurred_at >= $now - $login_reach AND occurred_at < $now AND role = 'integration' AND app IS NOT NULL
    GROUP BY app, user_key
),
of_integrations AS (
    SELECT
        a.app_key, count(DISTINCT u.user_key) AS users,
        array_slice(array_agg(DISTINCT coalesce(r.username, u.username, u.user_key)
            ORDER BY coalesce(r.username, u.username, u.user_key)) FILTER (WHERE u.user_key IS NOT NULL), 1, 20) AS user_names
    FROM by_app a
    JOIN used u ON u.app_id = a.app_id OR u.name_key = a.name_key
    LEFT JOIN registry_users r ON r.user_key = u.user_key AND $now >= r.valid_from AND $now < r.valid_to
    GROUP BY a.app_key
),
judged AS (
    SELECT
        a.*, o.users, o.user_names,
        CASE WHEN open_addresses THEN 2 ELSE 0 END + CASE WHEN open_to_all THEN 2 ELSE 0 END
            + CASE WHEN endless THEN 1 ELSE 0 END + CASE WHEN wide_scope THEN 1 ELSE 0 END
            + CASE WHEN no_secret THEN 1 ELSE 0 END + CASE WHEN implicit THEN 1 ELSE 0 END AS points,
        endless AND open_addresses AND reaches_api AS is_open_for_good,
        string_to_array(nullif(array_to_string([
            CASE WHEN open_addresses THEN 'addresses are not enforced' END,
            CASE WHEN open_to_all THEN 'every user may authorise it' END,
            CASE WHEN endless THEN 'refresh tokens are valid until revoked' END,
            CASE WHEN wide_scope THEN 'scope full, or api and web' WHEN reaches_api THEN 'scope api' END,
            CASE WHEN no_secret THEN 'no secret is asked for' END,
            CASE WHEN implicit THEN 'the user-agent flow is allowed' END
        ], '|'), ''), '|') AS weak_points,
        -- What was mended meanwhile is no change any more.
        string_to_array(nullif(array_to_string([
            CASE WHEN open_addresses THEN 'addresses are no longer enforced since ' || to_char(opened_addresses_on, '%Y-%m-%d') END,
            CASE WHEN open_to_all THEN 'every user may authorise it since ' || to_char(opened_to_all_on, '%Y-%m-%d') END,
            CASE WHEN endless THEN 'refresh tokens no longer end since ' || to_char(made_endless_on, '%Y-%m-%d') END,
            CASE WHEN wide_scope THEN 'scope full, or api and web, since ' || to_char(widened_on, '%Y-%m-%d') END,
            CASE WHEN no_secret THEN 'no secret is asked for since ' || to_char(dropped_secret_on, '%Y-%m-%d') END,
            CASE WHEN implicit THEN 'the user-agent flow is allowed since ' || to_char(made_implicit_on, '%Y-%m-%d') END
        ], '|'), ''), '|') AS changes,
        greatest(opened_addresses_on, opened_to_all_on, made_endless_on, widened_on, dropped_secret_on, made_implicit_on) AS changed_on
    FROM by_app a
    JOIN of_integrations o ON o.app_key = a.app_key
    WHERE NOT EXISTS (SELECT 1 FROM registry_org_apps m WHERE m.mobile_sdk AND sf_id18(m.id) = a.app_id)
      AND NOT EXISTS (SELECT 1 FROM registry_org_apps m WHERE m.mobile_sdk AND app_name_key(replace(m.name, '_', ' ')) = a.name_key)
)
SELECT
    CAST(CASE WHEN changes IS NOT NULL THEN changed_on ELSE day END AS TIMESTAMPTZ) AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    CASE WHEN is_open_for_good THEN 'high' ELSE 'medium' END AS severity,
    array_length(weak_points) AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    'Addresses enforced, admin-approved users only, tokens that end, the scopes that are needed' AS expected,
    coalesce(printable(app_name), app_id) || ': ' || array_to_string(weak_points, ', ')
        || coalesce('; loosened: ' || array_to_string(changes, ', '), '') AS observed,
    app_key, app_id, printable(app_name) AS app, kind AS app_kind,
    points, weak_points, changes, users, user_names,
    [file_id || ':' || line_no] AS proof
FROM judged
WHERE is_open_for_good OR points >= $medium_points OR changes IS NOT NULL
ORDER BY occurred_at, app_key
