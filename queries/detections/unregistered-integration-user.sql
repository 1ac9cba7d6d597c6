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
protect it. A person with a busy sync app is told apart by the daily UI login. High where it uses an app of a \
vendor. Licences and permissions, which would show such an account before its first event, are not in these \
logs."""
false_positives = [
  "Mail and phone sync of people: their UI logins keep them out, unless they never open Salesforce itself",
]
response = [
  "Find out which system it is and who owns it; `orgwatch registry suggest` proposes its entry",
  "Nobody knows it: freeze it, and look in the Setup Audit Trail for who made it and when",
]
references = ["https://attack.mitre.org/techniques/T1136/003/"]
inputs = ["logins | api_calls"]
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
behaviour AS (
    SELECT
        user_key, max(user_id) AS user_id, max(username) AS username, max(role) AS role,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        sum(login) AS logins, sum(call) AS calls, sum(ui_login) AS ui_logins,
        count(DISTINCT day) AS active_days,
        count(DISTINCT day) FILTER (WHERE ui_login = 1) AS ui_days,
        count(DISTINCT extract(hour FROM occurred_at)) AS hours_of_day,
        count(DISTINCT extract(dow FROM occurred_at)) AS weekdays,
        array_slice(array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL), 1, 20)
            AS apps,
        count(DISTINCT ip) AS distinct_ips
    FROM events
    GROUP BY user_key
),
vendor_apps AS (
    SELECT e.user_key, min(o.name) AS vendor_app
    FROM (SELECT DISTINCT user_key, app FROM events WHERE app IS NOT NULL) e
    JOIN registry_org_apps o ON app_name_key(o.name) = app_name_key(e.app)
    WHERE o.vendor IS NOT NULL AND lower(trim(o.vendor)) NOT IN ('own', '')
    GROUP BY e.user_key
)
SELECT
    b.first_at AS occurred_at,
    b.user_key, b.user_id, b.username,
    CASE WHEN v.vendor_app IS NOT NULL THEN 'high' ELSE 'medium' END AS severity,
    b.logins + b.calls AS event_count,
    b.last_at,
    'Every account that works like a machine is in the registry, with its owner, networks and apps' AS expected,
    'Logins: ' || b.logins || ', of them through the UI: ' || b.ui_logins || '; API calls: ' || b.calls
        || '; different hours of the day: ' || b.hours_of_day || ', weekdays: ' || b.weekdays
        || ', days: ' || b.active_days
        || coalesce('; apps: ' || array_to_string(array_slice(b.apps, 1, 5), ', '), '')
        || CASE WHEN v.vendor_app IS NOT NULL THEN ' (a vendor''s app)' ELSE '' END AS observed,
    b.role, 'inferred' AS role_source,
    b.logins, b.ui_logins, b.calls, b.active_days, b.ui_days, b.hours_of_day, b.weekdays,
    b.apps, printable(v.vendor_app) AS vendor_app, b.distinct_ips, b.first_at AS first_seen
FROM behaviour b
LEFT JOIN vendor_apps v ON v.user_key = b.user_key
WHERE (b.logins >= $min_logins OR b.calls >= $min_calls)
  AND b.ui_logins <= $max_ui_share * b.logins
  AND b.ui_days <= $max_ui_day_share * b.active_days
  AND (b.hours_of_day >= $min_hours_of_day OR b.weekdays >= $min_weekdays)
  -- Registered meanwhile: its time without a registry no longer matters.
  AND NOT EXISTS (
      SELECT 1 FROM registry_users r
      WHERE r.user_key = b.user_key
        AND (r.valid_from IS NULL OR r.valid_from <= $now)
        AND (r.valid_to IS NULL OR r.valid_to > $now))
ORDER BY occurred_at, b.user_key
