/*
id = "integration-ui-login"
title = "Integration or internal user signed in through the user interface"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.17", "S0.32", "S1.8", "S2.11"]
attack = ["T1078.004", "T1550.004"]
description = """
Machines talk to the API. When the account of a machine passes the login page, somebody who knows its \
password (or controls its identity provider) is using it as a person. The address does not matter: an \
allowed one only means that the person sits near the machine. A login type that the catalogue does not \
know is treated as UI, so that nobody hides behind an odd value."""
false_positives = [
  "The first consent of a web-server flow needs one browser login: declare a `consent` window in the registry with ticket, user, network and end",
  "A password reset by an administrator (sub-type UiPasswordReset) is not reported here",
]
response = [
  "Ask the owner whether a person signed in, and why; no answer counts as no",
  "If nobody did: freeze the user, end its sessions, rotate the password and the app's secret or certificate",
  "Read what the session did: UI pages, reports and API calls under the same login key",
  "Afterwards give the user the API-only permission, which makes this impossible",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://help.salesforce.com/s/articleView?id=sf.integration_user.htm",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key"]
bucket = "day"

[params.ui_flows]
type = "text_list"
default = ["ui_password", "ui_sso", "ui_passwordless", "ui_other", "portal", "certificate"]
meaning = "login paths that end in a page and not in an API session"

[params.consent_grace]
type = "duration"
default = "0s"
meaning = "how long after the end of a consent window a login still belongs to it"

[params.session_length]
type = "duration"
default = "12h"
meaning = "how long after such a login UI pages are taken as its consequence"
*/
WITH ui_logins AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        coalesce(login_path, 'unmapped') AS login_path,
        coalesce(lh_login_type, login_type) AS login_type,
        coalesce(lh_login_sub_type, login_sub_type) AS login_sub_type,
        login_url, ua_family,
        in_networks(user_key, ip, occurred_at) AS ip_allowed,
        file_id || ':' || line_no AS proof
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND outcome = 'success'
      AND role IN ('integration', 'internal_system')
      -- Fail closed: a door that the catalogue cannot name may be the front door.
      AND (array_has($ui_flows, login_path) OR coalesce(login_path, 'unmapped') = 'unmapped')
      -- The link in a reset mail signs in once; that is an administrator's act with a rule of its own.
      AND NOT array_has(
          ['uipwdrst', 'uipasswordreset'],
          lower(replace(coalesce(login_sub_type, lh_login_sub_type, ''), ' ', '')))
      -- A ticketed exception covers the login only from the ticket's own networks.
      AND in_window(user_key, ip, occurred_at - CAST($consent_grace AS INTERVAL), 'consent') IS NOT TRUE
      AND in_window(user_key, ip, occurred_at, 'consent') IS NOT TRUE
      AND in_window(user_key, ip, occurred_at, 'breakglass') IS NOT TRUE
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        bool_or(ip_allowed) AS any_ip_allowed,
        coalesce(bool_or(NOT ip_allowed), false) AS outside_networks,
        bool_or(login_path = 'unmapped') AS fail_closed,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT login_path ORDER BY login_path) AS login_paths,
        array_agg(DISTINCT printable(login_type) ORDER BY printable(login_type))
            FILTER (WHERE login_type IS NOT NULL) AS login_types,
        array_agg(DISTINCT printable(login_sub_type) ORDER BY printable(login_sub_type))
            FILTER (WHERE login_sub_type IS NOT NULL) AS login_sub_types,
        array_agg(DISTINCT printable(login_url) ORDER BY printable(login_url))
            FILTER (WHERE login_url IS NOT NULL) AS login_urls,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(proof ORDER BY occurred_at, proof), 1, 20) AS proof
    FROM ui_logins
    GROUP BY user_key, day
),
pages_after AS (
    SELECT d.user_key, d.day, count(*) AS pages
    FROM by_day d
    JOIN ui_activity a
      ON a.user_key = d.user_key
     AND a.occurred_at >= d.first_at
     AND a.occurred_at < d.last_at + CAST($session_length AS INTERVAL)
    WHERE a.occurred_at >= $window_start
      AND a.occurred_at < $window_end + $session_length
      -- Pages without a client address are dashboards and schedules that run as the user.
      AND a.ip_kind IN ('public', 'private')
    GROUP BY d.user_key, d.day
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, d.user_id, d.username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        CASE
            WHEN d.role = 'internal_system' OR d.outside_networks OR coalesce(p.pages, 0) > 0 THEN 4
            ELSE 3
        END
        - CASE WHEN d.role = 'integration' AND d.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    d.logins AS event_count,
    d.last_at,
    'No sign-in through the user interface: the account belongs to '
        || CASE d.role WHEN 'integration' THEN 'an integration' ELSE 'the org itself' END
        || coalesce(' (' || printable(d.system) || ')', '')
        || ' and only uses the API' AS expected,
    d.logins || CASE WHEN d.logins = 1 THEN ' successful UI login' ELSE ' successful UI logins' END
        || ' by ' || array_to_string(d.login_paths, ', ')
        || ' from ' || coalesce(array_to_string(array_slice(d.ips, 1, 5), ', '), 'no usable address')
        || CASE
               WHEN d.outside_networks THEN ', outside its declared networks'
               WHEN d.any_ip_allowed THEN ', inside its declared networks'
               ELSE ''
           END
        || CASE WHEN d.fail_closed THEN '; a login type unknown to the catalogue is taken as UI' ELSE '' END
        || CASE
               WHEN coalesce(p.pages, 0) > 0
               THEN '; UI pages opened afterwards: ' || p.pages
               ELSE ''
           END AS observed,
    d.role, d.role_source, d.system, d.owner,
    d.ips, d.login_paths, d.login_types, d.login_sub_types, d.login_urls, d.ua_families,
    CASE WHEN d.outside_networks THEN false ELSE d.any_ip_allowed END AS ip_allowed,
    d.fail_closed,
    coalesce(p.pages, 0) AS ui_pages_after,
    d.proof
FROM by_day d
LEFT JOIN pages_after p ON p.user_key = d.user_key AND p.day = d.day
ORDER BY occurred_at, d.user_key
