/*
id = "integration-ui-activity"
title = "UI pages used under an integration user's identity"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.17", "S2.11", "S3.1", "S4.6"]
attack = ["T1550.001", "T1550.004", "T1078.004"]
description = """
Pages were opened, or a UI session ended, under the identity of a machine. When the login behind the \
session was OAuth or SOAP, a token was swapped for a browser session (frontdoor): that is how a stolen \
token becomes a screen. A session type of frontdoor or Visualforce at logout counts even without a login row \
(Visualforce is beyond the catalogue: it, too, is a page). The login rule, this rule's page events and its logout events are three independent \
witnesses, so that removing one log does not hide the act."""
false_positives = [
  "Dashboards and reports that run as the user: they carry no client address, or an origin that says so",
  "Pages of a ticketed `consent` or `breakglass` window of the registry are left out",
  "Content previews by an approved app: declare allow_ui_paths for the user in the registry",
]
response = [
  "Critical (frontdoor): revoke the OAuth tokens of the user's apps and end its sessions now",
  "Find where the token came from: the app's host, its secret store, its vendor",
  "Read which page types were opened, and API calls from the same address",
]
references = [
  "https://attack.mitre.org/techniques/T1550/001/",
  "https://attack.mitre.org/techniques/T1550/004/",
]
inputs = ["ui_activity | Logout", "Login?", "LoginHistory?", "LoginAs?"]
dedupe = ["user_key"]
bucket = "day"

[params.min_events]
type = "int"
default = 1
meaning = "page or logout events of a user and day from which it is reported"

[params.ui_event_types]
type = "text_list"
default = [
  "URI", "LightningPageView", "LightningInteraction", "LightningError", "LightningPerformance",
  "AuraRequest", "VisualforceRequest", "Report", "ReportExport", "Dashboard", "ListView",
  "ListViewEvent", "Console", "WaveInteraction", "WaveChange", "WaveDownload", "WavePerformance",
  "UITracking", "Search", "SearchClick", "DocumentAttachmentDownloads", "ContentTransfer",
]
meaning = "event types that only a user interface writes"

[params.ui_session_types]
type = "text_list"
default = [
  "UI", "TempUIFrontdoor", "TempOauthAccessTokenFrontdoor", "Visualforce", "SitePreview", "SiteStudio",
]
meaning = "session types at logout that prove a UI session"

[params.session_gap]
type = "duration"
default = "30m"
meaning = "pause after which events without login or session key are another session"

[params.login_lookback]
type = "duration"
default = "30d"
meaning = "how far back the login behind a session is looked for"
*/
WITH
-- What is known of the login behind each login key. A key may have several rows (ELF and
-- LoginHistory that could not be merged).
key_logins AS (
    SELECT
        login_key,
        min(login_path) AS login_path,
        bool_or(login_path LIKE 'oauth%' OR login_path IN ('soap_login', 'saml_web_assertion')) AS token_login,
        bool_or(in_window(user_key, ip, occurred_at, 'consent') IS TRUE
                OR in_window(user_key, ip, occurred_at, 'breakglass') IS TRUE) AS ticketed
    FROM logins
    WHERE occurred_at >= $window_start - $login_lookback AND occurred_at < $window_end
      AND login_key IS NOT NULL
      AND outcome = 'success'
      AND role IN ('integration', 'internal_system')
    GROUP BY login_key
),
events AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        event_type, CAST(NULL AS VARCHAR) AS session_type, lower(page) AS page, ip, ua_family,
        login_key, session_key, file_id, line_no
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role IN ('integration', 'internal_system')
      AND array_has($ui_event_types, event_type)
      -- No address, or one of Salesforce's own: the platform runs something as the user.
      AND ip_kind IN ('public', 'private')
      -- The token endpoint and the consent dialogue are pages to the log only; single access is a
      -- door into the UI.
      AND (coalesce(lower(page), '') NOT LIKE '/services/%'
           OR lower(page) LIKE '/services/oauth2/singleaccess%')
      AND coalesce(lower(page), '') NOT LIKE '/\_ui/identity/oauth%'
      -- A dashboard, a schedule or the Analytics API runs a report without a page.
      AND NOT (event_type = 'Report' AND regexp_like(coalesce(origin, ''), '^dashboard|schedul|api$', 'i'))
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        'Logout' AS event_type, session_type, CAST(NULL AS VARCHAR) AS page, ip,
        CAST(NULL AS VARCHAR) AS ua_family, login_key, session_key, file_id, line_no
    FROM logouts
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role IN ('integration', 'internal_system')
      AND array_has($ui_session_types, session_type)
),
-- Each event with the login behind it; an administrator who logs in as the user is another rule's.
judged AS (
    SELECT
        e.*,
        CASE
            WHEN k.token_login
                 OR e.page LIKE '/secur/frontdoor.jsp%'
                 OR e.page LIKE '/services/oauth2/singleaccess%' THEN 'frontdoor'
            WHEN k.login_key IS NOT NULL THEN 'direct'
            ELSE 'unknown'
        END AS path,
        k.login_path,
        coalesce(e.login_key, e.session_key) AS session,
        lag(e.occurred_at) OVER (
            PARTITION BY e.user_key, coalesce(e.login_key, e.session_key)
            ORDER BY e.occurred_at, e.file_id, e.line_no) AS previous_at
    FROM events e
    LEFT JOIN key_logins k ON k.login_key = e.login_key
    WHERE NOT EXISTS (
            SELECT 1 FROM elf_login_as a
            WHERE a.login_key = e.login_key
              AND a.occurred_at >= $window_start - INTERVAL '24 hours' AND a.occurred_at < $window_end)
      AND k.ticketed IS NOT TRUE
      -- Pages that the registry allows this user, such as previews by an approved app.
      AND NOT EXISTS (
            SELECT 1 FROM registry_ui_paths r
            WHERE r.user_key = e.user_key
              AND starts_with(e.page, lower(r.path))
              AND (r.valid_from IS NULL OR e.occurred_at >= r.valid_from)
              AND (r.valid_to IS NULL OR e.occurred_at < r.valid_to))
      AND in_window(e.user_key, e.ip, e.occurred_at, 'consent') IS NOT TRUE
      AND in_window(e.user_key, e.ip, e.occurred_at, 'breakglass') IS NOT TRUE
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(DISTINCT session) + count(*) FILTER (
            WHERE session IS NULL
              AND (previous_at IS NULL OR occurred_at > previous_at + CAST($session_gap AS INTERVAL))
        ) AS sessions,
        CASE
            WHEN bool_or(path = 'frontdoor') THEN 'frontdoor'
            WHEN bool_or(path = 'direct') THEN 'direct'
            ELSE 'unknown'
        END AS path,
        count(*) FILTER (WHERE event_type = 'Logout') AS ui_logouts,
        count(DISTINCT page) AS page_types,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_agg(DISTINCT session_type ORDER BY session_type)
            FILTER (WHERE session_type IS NOT NULL) AS session_types,
        array_agg(DISTINCT login_path ORDER BY login_path) FILTER (WHERE login_path IS NOT NULL) AS login_paths,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM judged
    GROUP BY user_key, day
    HAVING count(*) >= $min_events
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        CASE WHEN path = 'frontdoor' THEN 4 ELSE 3 END
        - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    events AS event_count,
    last_at,
    'No pages and no UI session under the account of '
        || CASE role WHEN 'integration' THEN 'an integration' ELSE 'the org itself' END
        || coalesce(' (' || printable(system) || ')', '') AS expected,
    events || CASE WHEN events = 1 THEN ' UI event' ELSE ' UI events' END
        || ' (' || array_to_string(event_types, ', ') || ') in '
        || sessions || CASE WHEN sessions = 1 THEN ' session' ELSE ' sessions' END
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE path
               WHEN 'frontdoor' THEN '; a token was turned into a browser session'
                    || coalesce(' (login by ' || array_to_string(login_paths, ', ') || ')', '')
               WHEN 'direct' THEN '; the session began with a login by '
                    || coalesce(array_to_string(login_paths, ', '), 'an unknown path')
               ELSE '; no login row explains the session'
           END AS observed,
    role, role_source, system, owner,
    path, sessions, event_types, session_types, ui_logouts, page_types, login_paths, ips, ua_families,
    proof
FROM by_day
ORDER BY occurred_at, user_key
