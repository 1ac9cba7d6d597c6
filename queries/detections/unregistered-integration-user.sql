/*
id = "unregistered-integration-user"
title = "An account behaves like an integration but is in no registry"
family = "identity"
severity = "medium"
status = "active"
version = 1
control = ["S0.4", "S0.10", "S0.32"]
attack = ["T1078.004", "T1136.003"]
description = """
Machines keep hours that people do not: many logins or calls, hardly ever through the user interface, at all \
hours or on all weekdays. Such an account has no declared networks and apps, so the other rules cannot \
protect it. A person with a busy sync app is told apart by the UI logins: their share, and (beyond the catalogue, for whoever \
syncs every minute) the days that have one. The catalogue's info row for such people is not written: there is \
nothing to do about it. High where it uses an app of a \
vendor or holds an administrator-class permission. Where the roster is there, an active account with the licence \
Salesforce Integration, an API-only profile or the permission API Only User is found before its first event."""
false_positives = [
  "Mail and phone sync of people: their UI logins keep them out, unless they never open Salesforce itself",
]
response = [
  "Find out which system it is and who owns it; `orgwatch registry suggest` proposes its entry",
  "Nobody knows it: freeze it, and look in the Setup Audit Trail for who made it and when",
]
references = ["https://attack.mitre.org/techniques/T1136/003/"]
inputs = ["logins | api_calls | users", "permissions?"]
dedupe = ["user_key"]
bucket = "none"

[params.period]
type = "duration"
default = "30d"
meaning = "time over which behaviour is judged"

[params.min_logins]
type = "int"
default = 50
meaning = "logins in the period from which an account may be a machine"

[params.min_calls]
type = "int"
default = 500
meaning = "API calls in the period from which an account may be a machine"

[params.danger_perms]
type = "text_list"
default = [
  "ModifyAllData", "ViewAllData", "ManageUsers", "ManageInternalUsers", "CustomizeApplication", "AuthorApex",
  "ManageSharing", "ManageAuthProviders", "BulkApiHardDelete", "UseAnyApiClient", "UseAnyApiAuth",
  "ApproveUninstalledConnectedApps", "TransactionSecurityExempt", "ViewAllUsers", "QueryAllFiles",
  "ManageEncryptionKeys",
]
meaning = "permissions with which it is high"

[params.max_ui_share]
type = "float"
default = 0.05
meaning = "share of UI logins from which it is a person with an app"

[params.max_ui_day_share]
type = "float"
default = 0.2
meaning = "share of active days with a UI login from which it is a person with an app"

[params.min_hours_of_day]
type = "int"
default = 18
meaning = "different hours of the day (UTC) in which machines are active"

[params.min_weekdays]
type = "int"
default = 6
meaning = "different weekdays on which machines are active"
*/
WITH events AS (
    -- Successes only: a password spray must not turn its victims into machines.
    SELECT
        occurred_at, day, user_key, user_id, username, role, 1 AS login, 0 AS call,
        CASE WHEN is_ui THEN 1 ELSE 0 END AS ui_login,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A', 'BROWSER') THEN app END AS app, ip
    FROM logins
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND outcome = 'success'
      AND role_source = 'inferred' AND role IN ('human', 'integration')
      AND user_id IS NOT NULL
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, 0 AS login, 1 AS call, 0 AS ui_login,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') THEN app END AS app, ip
    FROM api_calls
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND calls = 1
      AND role_source = 'inferred' AND role IN ('human', 'integration')
      AND user_id IS NOT NULL
      -- The pages of a person make calls, too.
      AND coalesce(upper(client_category), '') <> 'LIGHTNING_UI'
),
-- Hour by hour and in numbers only: names and addresses are gathered for the machines among them.
by_hour AS (
    SELECT
        user_key, date_trunc('hour', occurred_at) AS hour,
        sum(login) AS logins, sum(call) AS calls, sum(ui_login) AS ui_logins,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at
    FROM events
    GROUP BY user_key, date_trunc('hour', occurred_at)
),
behaviour AS (
    SELECT
        user_key, min(first_at) AS first_at, max(last_at) AS last_at,
        sum(logins) AS logins, sum(calls) AS calls, sum(ui_logins) AS ui_logins,
        count(DISTINCT CAST(hour AS DATE)) AS active_days,
        count(DISTINCT CAST(hour AS DATE)) FILTER (WHERE ui_logins > 0) AS ui_days,
        count(DISTINCT extract(hour FROM hour)) AS hours_of_day,
        count(DISTINCT extract(dow FROM hour)) AS weekdays
    FROM by_hour
    GROUP BY user_key
),
machines AS (
    SELECT *
    FROM behaviour
    WHERE (logins >= $min_logins OR calls >= $min_calls)
      AND ui_logins <= $max_ui_share * logins
      AND ui_days <= $max_ui_day_share * active_days
      AND (hours_of_day >= $min_hours_of_day OR weekdays >= $min_weekdays)
),
named AS (
    SELECT
        e.user_key, e.first_at, e.last_at, e.logins, e.calls, e.ui_logins, e.active_days, e.ui_days, e.hours_of_day,
        e.weekdays, max(e.user_id) AS user_id, max(e.username) AS username, max(e.role) AS role,
        array_slice(array_agg(DISTINCT printable(e.app) ORDER BY printable(e.app)) FILTER (WHERE e.app IS NOT NULL), 1, 20)
            AS apps,
        count(DISTINCT e.ip) AS distinct_ips, min(o.name) AS vendor_app
    FROM (
        SELECT DISTINCT m.*, e.user_id, e.username, e.role, e.app, e.ip
        FROM machines m
        JOIN events e ON e.user_key = m.user_key
    ) e
    LEFT JOIN (
        SELECT app_name_key(name) AS name_key, min(name) AS name
        FROM registry_org_apps
        WHERE vendor IS NOT NULL AND lower(trim(vendor)) NOT IN ('own', '')
        GROUP BY app_name_key(name)
    ) o ON o.name_key = app_name_key(e.app)
    GROUP BY
        e.user_key, e.first_at, e.last_at, e.logins, e.calls, e.ui_logins, e.active_days, e.ui_days, e.hours_of_day, e.weekdays
),
-- What each account may do: asked for once, for the marks and for the severity.
holders AS (
    SELECT
        user_key, bool_or(permission = 'ApiUserOnly') AS is_api_only,
        array_agg(DISTINCT permission ORDER BY permission) FILTER (WHERE array_has($danger_perms, permission)) AS permissions
    FROM permissions
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND (permission = 'ApiUserOnly' OR array_has($danger_perms, permission))
    GROUP BY user_key
),
-- What the roster says of accounts, also of those that have not done anything yet.
roster AS (
    SELECT
        u.user_key, u.user_id, u.username, u.role, u.day, u.created_at, u.file_id, u.line_no, h.permissions,
        nullif(array_to_string([
            CASE WHEN u.has_integration_licence THEN 'integration licence' END,
            CASE WHEN regexp_like(u.profile_name, 'api[ _-]*only', 'i') THEN 'API-only profile' END,
            CASE WHEN h.is_api_only THEN 'permission API Only User' END
        ], ', '), '') AS marks
    FROM users u
    LEFT JOIN holders h ON h.user_key = u.user_key
    WHERE CAST($now AS DATE) >= u.day AND CAST($now AS DATE) < u.next_day
      AND coalesce(u.is_active, true) AND NOT u.is_platform_user
      AND u.role_source = 'inferred' AND u.role IN ('human', 'integration')
),
found AS (
    SELECT
        coalesce(b.user_key, m.user_key) AS user_key, coalesce(b.user_id, m.user_id) AS user_id,
        coalesce(b.username, m.username) AS username, coalesce(b.role, m.role) AS role,
        coalesce(b.first_at, arrow_cast(m.day, 'Timestamp(Millisecond, Some("UTC"))')) AS first_at,
        coalesce(b.last_at, arrow_cast(m.day, 'Timestamp(Millisecond, Some("UTC"))')) AS last_at,
        coalesce(b.logins, 0) AS logins, coalesce(b.ui_logins, 0) AS ui_logins, coalesce(b.calls, 0) AS calls,
        coalesce(b.active_days, 0) AS active_days, coalesce(b.ui_days, 0) AS ui_days,
        coalesce(b.hours_of_day, 0) AS hours_of_day, coalesce(b.weekdays, 0) AS weekdays,
        coalesce(b.distinct_ips, 0) AS distinct_ips, b.apps, b.vendor_app, b.user_key IS NOT NULL AS by_behaviour,
        m.marks, m.permissions, m.created_at, CASE WHEN m.file_id IS NOT NULL THEN [m.file_id || ':' || m.line_no] END AS proof
    FROM named b
    FULL JOIN roster m ON m.user_key = b.user_key
    WHERE b.user_key IS NOT NULL OR m.marks IS NOT NULL
)
SELECT
    f.first_at AS occurred_at,
    f.user_key, f.user_id, f.username,
    CASE WHEN f.vendor_app IS NOT NULL OR f.permissions IS NOT NULL THEN 'high' ELSE 'medium' END AS severity,
    greatest(f.logins + f.calls, 1) AS event_count,
    f.last_at,
    'Every account that works like a machine is in the registry, with its owner, networks and apps' AS expected,
    CASE WHEN f.by_behaviour THEN
        'Logins: ' || f.logins || ', of them through the UI: ' || f.ui_logins || '; API calls: ' || f.calls
        || '; different hours of the day: ' || f.hours_of_day || ', weekdays: ' || f.weekdays
        || ', days: ' || f.active_days
        || coalesce('; apps: ' || array_to_string(array_slice(f.apps, 1, 5), ', '), '')
        || CASE WHEN f.vendor_app IS NOT NULL THEN ' (a vendor''s app)' ELSE '' END
        || CASE WHEN f.marks IS NOT NULL THEN '; ' ELSE '' END
    ELSE '' END
        || coalesce('in the roster: ' || f.marks || coalesce(', made on ' || to_char(f.created_at, '%Y-%m-%d'), ''), '')
        || coalesce('; holds ' || array_to_string(f.permissions, ', '), '') AS observed,
    f.role, 'inferred' AS role_source,
    f.logins, f.ui_logins, f.calls, f.active_days, f.ui_days, f.hours_of_day, f.weekdays,
    f.apps, printable(f.vendor_app) AS vendor_app, f.distinct_ips, f.first_at AS first_seen,
    f.marks, f.permissions, f.created_at, f.proof
FROM found f
-- Registered meanwhile: its time without a registry no longer matters.
WHERE NOT EXISTS (
    SELECT 1 FROM registry_users r
    WHERE r.user_key = f.user_key
      AND (r.valid_from IS NULL OR r.valid_from <= $now)
      AND (r.valid_to IS NULL OR r.valid_to > $now))
ORDER BY occurred_at, f.user_key
