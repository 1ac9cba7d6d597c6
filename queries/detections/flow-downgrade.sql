/*
id = "flow-downgrade"
title = "An integration that used a strong login flow now uses a weaker one"
family = "credential"
severity = "high"
status = "active"
version = 1
control = ["S0.7", "S0.13", "S1.3", "S2.1", "S2.4"]
attack = ["T1550.001", "T1556"]
description = """
Machines do not change their way of logging in by themselves. Where at least 90 % of at least ten logins of \
the last 60 days had one strength, a weaker successful login means another client: a stolen password, or a \
change that nobody announced. Strength: 5 bearer, client credentials, token exchange; 4 web server; 3 hybrid \
flows, SAML web assertion; 2 user-agent; 1 username-password, SOAP login(), OAuth 1, one-time password; 0 user \
interface, and doors that the catalogue does not know. A refresh has the strength of the app's last consent, or \
2 where none is in sight, and is never itself a downgrade. Compared with the past of user and app, and with \
that of the user. A fall by three and more is critical. Users of role ci are judged like integrations."""
false_positives = [
  "A planned change: allow the new flow for the user in the registry, with valid_from and ticket",
  "A consent in a browser (web server flow): declare a `consent` window with user, networks and end",
  "A second app of the user that rarely logs in by a weaker flow: allow that flow, or give the app a user of its own",
]
response = [
  "Ask the owner whether the client was changed; no answer counts as no",
  "If not: somebody holds the user's password or a token of another app: freeze the user, rotate, revoke its tokens",
  "Read what the session did from that address: API calls, exports, UI pages",
  "Then close the weaker flows for the user: API only, username-password flow off, no SOAP login()",
]
references = [
  "https://attack.mitre.org/techniques/T1550/001/",
  "https://attack.mitre.org/techniques/T1556/",
  "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flows.htm",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key", "to_flow"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back the usual flow is learned"

[params.min_logins]
type = "int"
default = 10
meaning = "earlier logins before there is a usual flow"

[params.share]
type = "float"
default = 0.9
meaning = "part of the earlier logins that must have the usual strength"

[params.gap]
type = "int"
default = 1
meaning = "fall in strength from which a login is told"

[params.critical_gap]
type = "int"
default = 3
meaning = "fall in strength from which it is critical"
*/
WITH
logins_ranked AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        nullif(nullif(lower(trim(regexp_replace(app, '\s+', ' ', 'g'))), ''), 'n/a') AS plain_name,
        app, ip, ua_family, coalesce(login_path, 'unmapped') AS login_path, is_ui,
        -- NULL: a refresh, whose strength is that of the consent behind it.
        CASE
            WHEN login_path = 'oauth_refresh' THEN NULL
            WHEN lower(coalesce(login_sub_type, lh_login_sub_type)) LIKE '%hybrid%' OR login_path = 'saml_web_assertion' THEN 3
            WHEN login_path IN ('oauth_bearer', 'oauth_client_credentials', 'oauth_token_exchange') THEN 5
            WHEN login_path = 'oauth_web_server' THEN 4
            WHEN login_path = 'oauth_user_agent' THEN 2
            WHEN login_path IN ('oauth_username_password', 'soap_login', 'oauth1', 'oauth_otp') THEN 1
            ELSE 0
        END AS strength,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
      AND outcome = 'success'
      AND login_path IS DISTINCT FROM 'internal'
),
candidates AS (
    SELECT c.*
    FROM logins_ranked c
    WHERE c.occurred_at >= $window_start
      AND c.role IN ('integration', 'ci')
      AND c.login_path <> 'oauth_refresh'
      -- What the registry allows at that time is planned.
      AND NOT EXISTS (
          SELECT 1 FROM registry_flows f
          WHERE f.user_key = c.user_key AND f.login_path = c.login_path
            AND c.occurred_at >= f.valid_from AND c.occurred_at < f.valid_to)
      -- A ticketed visit with a browser, from the ticket's networks.
      AND NOT ((c.is_ui OR c.login_path = 'oauth_web_server')
               AND coalesce(in_window(c.user_key, c.ip, c.occurred_at, 'consent')
                            OR in_window(c.user_key, c.ip, c.occurred_at, 'breakglass'), false))
),
-- The past of each judged day; the day itself never teaches.
past AS (
    SELECT d.user_key, d.day, p.plain_name, p.login_path, p.strength, max(p.day) AS last_day, count(*) AS logins
    FROM (SELECT DISTINCT user_key, day FROM candidates) d
    JOIN logins_ranked p
      ON p.user_key = d.user_key AND p.day < d.day AND p.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.user_key, d.day, p.plain_name, p.login_path, p.strength
),
consents AS (
    SELECT user_key, day, plain_name, first_value(strength ORDER BY last_day DESC, strength) AS strength
    FROM past
    WHERE login_path IN ('oauth_web_server', 'oauth_user_agent')
    GROUP BY user_key, day, plain_name
),
flows AS (
    SELECT
        p.user_key, p.day, p.plain_name, p.login_path, p.logins,
        coalesce(p.strength, c.strength, 2) AS strength
    FROM past p
    LEFT JOIN consents c
      ON c.user_key = p.user_key AND c.day = p.day AND (c.plain_name IS NOT DISTINCT FROM p.plain_name)
),
strengths AS (
    SELECT
        'user' AS scope, user_key, day, CAST(NULL AS VARCHAR) AS plain_name, strength,
        sum(logins) AS logins, first_value(login_path ORDER BY logins DESC, login_path) AS flow
    FROM flows
    GROUP BY user_key, day, strength
    UNION ALL
    SELECT
        'app' AS scope, user_key, day, plain_name, strength,
        sum(logins) AS logins, first_value(login_path ORDER BY logins DESC, login_path) AS flow
    FROM flows
    WHERE plain_name IS NOT NULL
    GROUP BY user_key, day, plain_name, strength
),
shares AS (
    SELECT
        *,
        sum(logins) OVER (PARTITION BY scope, user_key, day, plain_name) AS all_logins,
        row_number() OVER (PARTITION BY scope, user_key, day, plain_name ORDER BY logins DESC, strength DESC) AS place
    FROM strengths
),
usual AS (
    SELECT scope, user_key, day, plain_name, strength, flow, all_logins, CAST(logins AS DOUBLE) / all_logins AS share
    FROM shares
    WHERE place = 1 AND all_logins >= $min_logins AND CAST(logins AS DOUBLE) / all_logins >= $share
),
compared AS (
    SELECT
        c.*,
        coalesce(a.strength - c.strength, 0) AS app_gap,
        coalesce(u.strength - c.strength, 0) AS user_gap,
        a.flow AS app_flow, a.share AS app_share, a.all_logins AS app_logins,
        u.flow AS user_flow, u.share AS user_share, u.all_logins AS user_logins
    FROM candidates c
    LEFT JOIN usual a
      ON a.scope = 'app' AND a.user_key = c.user_key AND a.day = c.day AND a.plain_name = c.plain_name
    LEFT JOIN usual u
      ON u.scope = 'user' AND u.user_key = c.user_key AND u.day = c.day
),
downgrades AS (
    SELECT
        *,
        greatest(app_gap, user_gap) AS fall,
        CASE WHEN user_gap > app_gap THEN 'user' ELSE 'user and app' END AS compared_with,
        CASE WHEN user_gap > app_gap THEN user_flow ELSE app_flow END AS from_flow,
        CASE WHEN user_gap > app_gap THEN user_share ELSE app_share END AS usual_share,
        CASE WHEN user_gap > app_gap THEN user_logins ELSE app_logins END AS usual_logins
    FROM compared
    WHERE greatest(app_gap, user_gap) >= greatest(1, $gap)
),
by_day AS (
    SELECT
        user_key, day, login_path AS to_flow,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        max(fall) AS fall,
        first_value(compared_with ORDER BY fall DESC, occurred_at, file_id, line_no) AS compared_with,
        first_value(from_flow ORDER BY fall DESC, occurred_at, file_id, line_no) AS from_flow,
        first_value(usual_share ORDER BY fall DESC, occurred_at, file_id, line_no) AS usual_share,
        first_value(usual_logins ORDER BY fall DESC, occurred_at, file_id, line_no) AS usual_logins,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM downgrades
    GROUP BY user_key, day, login_path
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['medium', 'high', 'critical'][
        CASE WHEN fall >= $critical_gap THEN 3 ELSE 2 END - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    logins AS event_count,
    last_at,
    'Logins by ' || from_flow || ': ' || CAST(floor(usual_share * 100) AS BIGINT) || ' % of ' || usual_logins
        || ' earlier logins of this ' || compared_with || ' were that strong' AS expected,
    logins || CASE WHEN logins = 1 THEN ' login' ELSE ' logins' END
        || ' by ' || to_flow
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || coalesce(', client: ' || nullif(array_to_string(array_remove(ua_families, 'missing'), ', '), ''), '')
        || coalesce(', app: ' || array_to_string(array_slice(apps, 1, 3), ', '), '') AS observed,
    role, role_source, system, owner,
    from_flow, to_flow, fall, usual_share, usual_logins, compared_with, apps, ips, ua_families,
    proof
FROM by_day
ORDER BY occurred_at, user_key, to_flow
