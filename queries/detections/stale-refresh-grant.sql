/*
id = "stale-refresh-grant"
title = "Refresh token lives on long after consent"
family = "credential"
severity = "low"
status = "active"
version = 1
control = ["S2.5", "S3.3", "S3.4"]
attack = ["T1550.001", "T1528"]
description = """
A refresh token is a password that nobody types: Salesforce does not force its rotation, and whoever copied it \
once keeps getting sessions. This finding says which apps still refresh although nobody consented for longer than \
max_age_days. Age is counted in days for which login files are there: a consent may hide in a gap, so a gap makes \
the rule wait and never makes a grant old. A history shorter than max_age_days says nothing. Logins that could have been a \
consent count as one: web server, user agent and their hybrids, and OAuth logins without a sub-type (a device \
flow looks so), and any consent of the user where one side names no app. Low; medium for a vendor's app; high \
where a vendor's app has a scope of admin_scopes, by the newest roster of apps, or holds the token of an administrator of \
the registry: a token can do what its user can do, and login records have no scopes."""
false_positives = [
  "By design for servers that work without their user: prefer JWT bearer or client credentials; accept per app, with an end",
  "A consent older than the history that was loaded: load it, or wait",
]
response = [
  "Ask the app's owner whether its refresh tokens are rotated and where they are kept",
  "Revoke the tokens of users who no longer use the app (Connected Apps OAuth Usage), and let the others consent anew",
  "Set a refresh token policy on the app (expire after a time or when not used), or move it to a flow without refresh tokens",
]
references = [
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1550/001/",
]
inputs = ["Login | LoginHistory", "apps?"]
dedupe = ["app_key"]
bucket = "none"

[params.max_age_days]
type = "int"
default = 90
meaning = "days with login files since the last consent from which a grant is stale"

[params.current_period]
type = "duration"
default = "7d"
meaning = "a grant is alive when it was refreshed in this time before the last day"

[params.admin_scopes]
type = "text_list"
default = ["full", "web", "visualforce"]
meaning = "scopes of an app that give all that its user may do"

[params.history]
type = "duration"
default = "400d"
meaning = "how far back to look for a consent; must be longer than max_age_days"
*/
WITH
oauth_logins AS (
    -- Who consented last, and who refreshed, by user and app as the log names it. What an ambiguous
    -- merge guessed names no app.
    SELECT
        user_key,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') THEN app_name_key(app) END AS app_key,
        login_path = 'oauth_refresh' AS is_refresh,
        max(CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') THEN app END) AS app,
        max(user_id) AS user_id, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner,
        bool_or(role = 'human_admin') AS is_admin,
        min(occurred_at) FILTER (WHERE occurred_at >= $window_end - $current_period) AS first_current,
        max(occurred_at) AS last_at, max(day) AS last_day,
        count(*) FILTER (WHERE occurred_at >= $window_end - $current_period) AS current_events,
        max(file_id || ':' || line_no) FILTER (WHERE occurred_at >= $window_end - $current_period) AS proof
    FROM logins
    WHERE occurred_at >= $window_end - $history AND occurred_at < $window_end
      AND outcome = 'success'
      AND login_path IN ('oauth_refresh', 'oauth_web_server', 'oauth_user_agent', 'oauth_bearer')
      AND user_key IS NOT NULL
    GROUP BY
        user_key,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') THEN app_name_key(app) END,
        login_path = 'oauth_refresh'
),
grants AS (
    SELECT
        r.user_key, r.app_key, r.app, r.user_id, r.username, r.role, r.role_source, r.system, r.owner, r.is_admin,
        r.first_current, r.last_at, r.last_day, r.current_events, r.proof,
        max(c.last_day) AS consent_day
    FROM oauth_logins r
    LEFT JOIN oauth_logins c
      ON c.user_key = r.user_key AND NOT c.is_refresh
     AND (c.app_key = r.app_key OR c.app_key IS NULL OR r.app_key IS NULL)
    WHERE r.is_refresh AND r.current_events > 0
    GROUP BY
        r.user_key, r.app_key, r.app, r.user_id, r.username, r.role, r.role_source, r.system, r.owner, r.is_admin,
        r.first_current, r.last_at, r.last_day, r.current_events, r.proof
),
covered AS (
    SELECT DISTINCT CAST(day AS DATE) AS day
    FROM parts
    WHERE event_type IN ('Login', 'LoginHistory')
      AND day >= CAST($window_end - $history AS DATE) AND day < CAST($window_end AS DATE)
),
-- Many users refresh and consent on the same days: count the days between once for each pair.
ages AS (
    SELECT s.consent_day, s.last_day, count(c.day) AS covered_days
    FROM (SELECT DISTINCT consent_day, last_day FROM grants) s
    JOIN covered c ON c.day <= s.last_day AND (s.consent_day IS NULL OR c.day > s.consent_day)
    GROUP BY s.consent_day, s.last_day
),
stale AS (
    SELECT
        g.*, a.covered_days,
        CASE WHEN g.consent_day IS NOT NULL THEN CAST(g.last_day AS INT) - CAST(g.consent_day AS INT) END AS consent_days
    FROM grants g
    JOIN ages a ON (a.consent_day IS NOT DISTINCT FROM g.consent_day) AND a.last_day = g.last_day
    -- `Older than` for a consent that was seen, `no consent in` for one that was not.
    WHERE a.covered_days > $max_age_days OR (g.consent_day IS NULL AND a.covered_days >= $max_age_days)
),
vendors AS (
    SELECT app_name_key(name) AS app_key, min(vendor) AS vendor
    FROM registry_org_apps
    WHERE coalesce(lower(trim(vendor)), '') NOT IN ('', 'own')
    GROUP BY app_name_key(name)
),
-- What the org's apps may ask for, as of now.
scopes AS (
    SELECT DISTINCT app_name_key(a.app_name) AS app_key, true AS is_broad
    FROM apps a
    JOIN (SELECT unnest(CAST($admin_scopes AS VARCHAR[])) AS scope) b
      ON strpos(' ' || lower(a.scopes) || ' ', ' ' || lower(b.scope) || ' ') > 0
    WHERE CAST($now AS DATE) >= a.day AND CAST($now AS DATE) < a.next_day
),
by_app AS (
    SELECT
        -- Without a name it is one user's grant and no more.
        coalesce(s.app_key, 'unnamed app of ' || s.user_key) AS app_key,
        printable(max(s.app)) AS app, printable(max(v.vendor)) AS vendor,
        count(*) AS users, count(*) FILTER (WHERE s.is_admin) AS admins,
        coalesce(bool_or(b.is_broad), false) AS broad_scopes,
        max(s.user_key) AS user_key, max(s.user_id) AS user_id, max(s.username) AS username,
        max(s.role) AS role, max(s.role_source) AS role_source, max(s.system) AS system, max(s.owner) AS owner,
        min(s.first_current) AS first_at, max(s.last_at) AS last_at, sum(s.current_events) AS refreshes,
        max(s.consent_days) AS oldest_consent_days,
        count(*) FILTER (WHERE s.consent_day IS NULL) AS users_without_consent,
        max(s.covered_days) AS covered_days,
        array_slice(array_agg(DISTINCT printable(coalesce(s.username, s.user_key))
            ORDER BY printable(coalesce(s.username, s.user_key))), 1, 20) AS usernames,
        array_slice(array_agg(s.proof ORDER BY s.last_at DESC, s.proof), 1, 20) AS proof
    FROM stale s
    LEFT JOIN vendors v ON v.app_key = s.app_key
    LEFT JOIN scopes b ON b.app_key = s.app_key
    GROUP BY coalesce(s.app_key, 'unnamed app of ' || s.user_key)
)
SELECT
    first_at AS occurred_at,
    -- The finding is about the app; where one user alone uses it so, it is about that user, too.
    CASE WHEN users = 1 THEN user_key END AS user_key,
    CASE WHEN users = 1 THEN user_id END AS user_id,
    CASE WHEN users = 1 THEN username END AS username,
    CASE WHEN vendor IS NULL THEN 'low' WHEN admins > 0 OR broad_scopes THEN 'high' ELSE 'medium' END AS severity,
    refreshes AS event_count,
    last_at,
    'Users consent anew, or tokens are replaced, at least every ' || $max_age_days || ' days' AS expected,
    coalesce('"' || app || '"', 'An app that the log does not name')
        || CASE WHEN vendor IS NOT NULL THEN ' (vendor: ' || vendor || ')' ELSE '' END
        || ' still refreshes the tokens of '
        || CASE WHEN users = 1 THEN '1 user' ELSE users || ' users' END
        || CASE WHEN admins > 0 THEN ', administrators among them: ' || admins ELSE '' END
        || CASE WHEN broad_scopes THEN ', with scopes that give all that the user may do' ELSE '' END
        || '; ' || array_to_string(
            [
                CASE WHEN oldest_consent_days IS NOT NULL
                     THEN 'the oldest consent that was seen is ' || oldest_consent_days || ' days old' END,
                CASE WHEN users_without_consent > 0
                     THEN 'users without any consent in ' || covered_days || ' days of login files: '
                          || users_without_consent END
            ], ', ') AS observed,
    CASE WHEN users = 1 THEN role END AS role,
    CASE WHEN users = 1 THEN role_source END AS role_source,
    CASE WHEN users = 1 THEN system END AS system,
    CASE WHEN users = 1 THEN owner END AS owner,
    printable(app_key) AS app_key, app, vendor, users, admins, broad_scopes, usernames,
    oldest_consent_days, users_without_consent, covered_days,
    proof
FROM by_app
ORDER BY occurred_at, app_key
