/*
id = "browser-client-on-integration-login"
title = "Browser user agent on an integration user's OAuth login"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S4.6"]
attack = ["T1528", "T1550.001"]
description = """
A back end talks to the token endpoint with its HTTP library. A browser there means that a person is giving \
consent with the integration's account, or that a front end holds its token. Any OAuth login of an integration \
user counts, whatever the flow. The kind of client is read from the text that the client sends: a number or no \
text is never a browser, and who wants to hide can send anything, so silence proves nothing. A refused try is \
low: the catalogue does not tell tries from logins, and nothing was issued to them."""
false_positives = [
  "Somebody renews the consent of a vendor's app: open a consent window with ticket, networks and end",
  "A desktop integration that embeds a browser: give it JWT bearer or client credentials",
]
response = [
  "Ask the owner who gave consent, from which desk, and for which ticket; no answer counts as nobody",
  "Nobody: revoke the app's tokens of this user (Connected Apps OAuth Usage), rotate the credential, look for API calls under the same login",
  "Move the integration to a flow without a browser (JWT bearer, client credentials) and set its apps to admin-approved users",
]
references = [
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1550/001/",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key"]
bucket = "day"
*/
WITH browser_logins AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        ip, in_networks(user_key, ip, occurred_at) AS ip_allowed,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') THEN app END AS app,
        login_path, outcome IN ('success', 'challenge') AS went_through,
        -- The more special mark first: Edge and Opera call themselves Chrome, and all of them Safari.
        regexp_match(browser, '(Edg[eA]?|EdgiOS|OPR|Opera|Firefox|FxiOS|CriOS|SamsungBrowser)[/ ]([0-9]{1,4})') AS special,
        regexp_match(browser, '(Chrome|Chromium|HeadlessChrome|MSIE|Version)[/ ]([0-9]{1,4})') AS plain,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'integration'
      AND login_path LIKE 'oauth%'
      AND ua_family = 'browser'
      -- A ticketed consent covers the login only from the ticket's own networks.
      AND in_window(user_key, ip, occurred_at, 'consent') IS NOT TRUE
),
named AS (
    SELECT
        *,
        CASE
            WHEN coalesce(special[1], plain[1]) IS NULL THEN 'browser'
            -- Safari gives its number behind the word Version.
            ELSE replace(coalesce(special[1], plain[1]), 'Version', 'Safari') || ' ' || coalesce(special[2], plain[2])
        END AS browser_name
    FROM browser_logins
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        count(*) FILTER (WHERE went_through) AS signed_in,
        coalesce(bool_or(NOT ip_allowed), false) AS outside_networks,
        bool_or(ip_allowed) AS any_ip_allowed,
        array_agg(DISTINCT browser_name ORDER BY browser_name) AS browsers,
        array_agg(DISTINCT login_path ORDER BY login_path) AS login_paths,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM named
    GROUP BY user_key, day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- 1 low, 2 medium; an account that is only inferred to be an integration counts one level lower.
    ['low', 'medium'][
        greatest(1, CASE WHEN signed_in > 0 THEN 2 ELSE 1 END - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    logins AS event_count,
    last_at,
    'No browser in the OAuth logins of an integration, except in a ticketed consent window' AS expected,
    CASE
        WHEN signed_in = 0 THEN logins || CASE WHEN logins = 1 THEN ' refused OAuth login' ELSE ' refused OAuth logins' END
        ELSE logins || CASE WHEN logins = 1 THEN ' OAuth login' ELSE ' OAuth logins' END
            || CASE WHEN signed_in < logins THEN ' (' || (logins - signed_in) || ' of them refused)' ELSE '' END
    END
        || ' by ' || array_to_string(array_slice(browsers, 1, 3), ', ')
        || ' (' || array_to_string(login_paths, ', ') || ')'
        || coalesce(' for "' || array_to_string(array_slice(apps, 1, 3), '", "') || '"', '')
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE WHEN outside_networks THEN ', outside the declared networks' ELSE '' END
        || '; no consent window was open' AS observed,
    role, role_source, system, owner,
    login_paths, browsers, apps, ips, signed_in,
    CASE WHEN outside_networks THEN false ELSE any_ip_allowed END AS ip_allowed,
    proof
FROM by_day
ORDER BY occurred_at, user_key
