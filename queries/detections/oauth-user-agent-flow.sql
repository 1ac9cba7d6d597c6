/*
id = "oauth-user-agent-flow"
title = "Implicit (user-agent) OAuth flow in use"
family = "credential"
severity = "high"
status = "active"
version = 1
control = ["S2.2", "S3.8"]
attack = ["T1528", "T1539"]
description = """
The user-agent flow hands the access token over in a URL, where browser histories, proxies and logs keep it. \
Machines have no business with it: high. For people it is medium, unless the app is a mobile app that is known \
to use it. A refresh by the same user and app within 30 days after such a login means that even a refresh token \
went into a URL: one level up; the day of the first such refresh is told, too. Beyond the catalogue: a login \
of a person by an app that the logs do not name (no LoginHistory) is low, because it may be the mobile app, and \
so is a login that failed. LoginHistory knows apps by name only, and a name is the maker's choice."""
false_positives = [
  "Mobile SDK and Publisher apps use the flow by design: add the app as an [[app]] with mobile_sdk = true, or to mobile_apps",
  "The app got its refresh token by another flow: the refresh then only looks like this flow's",
]
response = [
  "Find the app's owner; move the app to the web server flow with PKCE",
  "A machine: ask who uses its account in a browser; no answer counts as no: freeze the user, revoke the app's tokens",
  "Refresh tokens were issued: revoke them (Connected Apps OAuth Usage) and shorten the app's refresh policy",
  "When nobody needs it any more, block the flow for the org (Setup, OAuth and OpenID Connect Settings)",
]
references = [
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1539/",
  "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_user_agent_flow.htm",
]
inputs = ["Login | LoginHistory"]
# Failed tries are a finding of their own: accepting that noise must not hide a login.
dedupe = ["user_key", "app_key", "result"]
bucket = "day"

[params.mobile_apps]
type = "text_list"
default = ["Salesforce for iOS", "Salesforce for Android"]
meaning = "apps that people may use with this flow, besides registered ones with mobile_sdk = true"

[params.refresh_period]
type = "duration"
default = "30d"
meaning = "how long after such a login a refresh by the same user and app is taken as its consequence"
*/
WITH
mobile AS (
    SELECT lower(trim(regexp_replace(name, '\s+', ' ', 'g'))) AS plain_name, valid_from, valid_to
    FROM registry_org_apps
    WHERE mobile_sdk
),
named AS (
    SELECT array_agg(plain_name ORDER BY plain_name) AS plain_names
    FROM (
        SELECT lower(trim(regexp_replace(p.name, '\s+', ' ', 'g'))) AS plain_name
        FROM (SELECT unnest(CAST($mobile_apps AS VARCHAR[])) AS name) p
    ) names
),
events AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        -- Blanks and case do not make another name; letters that only look alike do.
        nullif(nullif(lower(trim(regexp_replace(app, '\s+', ' ', 'g'))), ''), 'n/a') AS plain_name,
        app, ip, ua_family, coalesce(lh_login_sub_type, login_sub_type) AS login_sub_type,
        login_path = 'oauth_refresh' AS is_refresh,
        CASE WHEN outcome = 'success' THEN 'signed in' ELSE 'failed' END AS result,
        role IN ('human', 'human_admin', 'api_named') AS is_person,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - $refresh_period AND occurred_at < $window_end
      AND (login_path = 'oauth_user_agent' OR (login_path = 'oauth_refresh' AND outcome = 'success'))
),
judged AS (
    SELECT
        e.*,
        -- The login by this flow that a refresh follows, and whether it follows at once.
        max(CASE WHEN NOT is_refresh AND result = 'signed in' THEN occurred_at END) OVER so_far AS implicit_at,
        coalesce(lag(is_refresh) OVER (
            PARTITION BY user_key, plain_name, result ORDER BY occurred_at, is_refresh, file_id, line_no), true)
            AS after_refresh
    -- As one list: as rows, they would be looked up in a table of all events.
    FROM named CROSS JOIN events e
    -- People only: a machine has no telephone.
    WHERE NOT (is_person AND EXISTS (
          SELECT 1 FROM mobile m
          WHERE m.plain_name = e.plain_name AND e.occurred_at >= m.valid_from AND e.occurred_at < m.valid_to))
      AND NOT (is_person AND coalesce(array_has(plain_names, plain_name), false))
    WINDOW so_far AS (
        PARTITION BY user_key, plain_name ORDER BY occurred_at, is_refresh, file_id, line_no
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
refreshes AS (
    SELECT *
    FROM judged
    WHERE is_refresh AND plain_name IS NOT NULL
      AND implicit_at >= occurred_at - CAST($refresh_period AS INTERVAL)
),
-- What is told: logins by the flow, and the first refresh after one.
told AS (
    SELECT * FROM judged WHERE NOT is_refresh AND occurred_at >= $window_start
    UNION ALL
    SELECT * FROM refreshes WHERE NOT after_refresh AND occurred_at >= $window_start
),
by_day AS (
    SELECT
        user_key, day, plain_name, result,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        bool_and(is_person) AS is_person, max(printable(app)) AS app,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(*) FILTER (WHERE NOT is_refresh) AS logins,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT printable(login_sub_type) ORDER BY printable(login_sub_type))
            FILTER (WHERE NOT is_refresh AND login_sub_type IS NOT NULL) AS login_sub_types,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM told
    GROUP BY user_key, day, plain_name, result
),
-- Refreshes up to the end of the day, after logins of the period before it.
issued AS (
    SELECT d.user_key, d.day, d.plain_name, max(r.implicit_at) AS implicit_at, min(r.occurred_at) AS first_refresh_at
    FROM by_day d
    JOIN refreshes r
      ON r.user_key = d.user_key AND r.plain_name = d.plain_name
     AND r.day <= d.day AND r.implicit_at >= d.first_at - CAST($refresh_period AS INTERVAL)
    WHERE d.result = 'signed in'
    GROUP BY d.user_key, d.day, d.plain_name
),
levelled AS (
    SELECT
        d.*, i.implicit_at, i.first_refresh_at,
        d.result = 'signed in' AND i.first_refresh_at IS NOT NULL AS refresh_issued,
        -- 1 low, 2 medium, 3 high
        CASE
            WHEN d.result = 'failed' OR (d.is_person AND d.plain_name IS NULL) THEN 1
            WHEN d.is_person THEN 2
            ELSE 3
        END AS level
    FROM by_day d
    LEFT JOIN issued i ON i.user_key = d.user_key AND i.day = d.day AND i.plain_name = d.plain_name
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        greatest(1, level + CASE WHEN refresh_issued THEN 1 ELSE 0 END
                    - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    events AS event_count,
    last_at,
    CASE
        WHEN is_person THEN 'No token in a URL: web server flow with PKCE, except for known mobile apps'
        ELSE 'No browser flow at all: the account belongs to a machine'
    END AS expected,
    CASE
        WHEN logins = 0 THEN 'A refresh'
        ELSE logins
            || CASE WHEN result = 'failed' THEN ' failed' ELSE '' END
            || CASE WHEN logins = 1 THEN ' login' ELSE ' logins' END || ' by the user-agent flow'
    END
        || CASE WHEN plain_name IS NULL THEN ', by an app that the logs do not name' ELSE ', by "' || app || '"' END
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE
               WHEN refresh_issued THEN '; a refresh token was issued to it: login '
                   || to_char(implicit_at, '%Y-%m-%d %H:%M') || ', refresh '
                   || to_char(first_refresh_at, '%Y-%m-%d %H:%M') || ' UTC'
               ELSE ''
           END AS observed,
    role, role_source, system, owner,
    printable(coalesce(plain_name, 'not told')) AS app_key, app, result, logins, refresh_issued, first_refresh_at,
    login_sub_types, ips, ua_families,
    proof
FROM levelled
ORDER BY occurred_at, user_key, app_key, result
