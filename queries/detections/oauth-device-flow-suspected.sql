/*
id = "oauth-device-flow-suspected"
title = "Possible device-flow login: OAuth with no flow recorded, by an app that is new to the user"
family = "credential"
severity = "high"
status = "active"
version = 1
control = ["S2.3", "S2.6"]
attack = ["T1528", "T1566.004", "T1671"]
description = """
Somebody on the phone talks a user into typing an eight-digit code at /setup/connect; the caller's app then \
holds a token. Salesforce records no sub-type for the device flow, and none for JWT and SAML bearer either, so \
this is an inference: an OAuth 2 login without sub-type, by an app that is no registered bearer or device app \
and that the user has not logged in with for 90 days. Traces of the approval page in the minutes before make \
it observed. Critical where the app is new to the whole org, or where page and token came from two networks. \
Beyond the catalogue: the user's own app counts as registered when the registry also allows oauth_bearer for \
the user; an app with listed subjects is registered for these only; without LoginHistory no app is known, then \
the user's first such login is told, at medium. A file that has no column for the sub-type says nothing and is \
left to `schema-drift`."""
false_positives = [
  "Developers who log in to the Salesforce CLI by device: add the CLI as an [[app]] with grant = \"device\" and them as its subjects",
  "Kiosks and devices: [[app]] with grant = \"device\"",
  "A new JWT integration: add its [[app]] with grant = \"jwt_bearer\" before it goes live",
]
response = [
  "Ring the user on a number you know: did somebody ask for a code or for a login at /setup/connect?",
  "If so, or if nobody answers: block the app (Connected Apps OAuth Usage, Block) and revoke its tokens of all users",
  "Read what app and address did since: API calls, bulk jobs, exports; look for the same app and address with other users",
  "Known and wanted: register the app with its grant and subjects",
]
references = [
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1566/004/",
  "https://attack.mitre.org/techniques/T1671/",
  "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_device_flow.htm",
]
inputs = ["Login | LoginHistory", "Logout?", "ui_activity?"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.lookback]
type = "duration"
default = "90d"
meaning = "how far back an app counts as known to the user and to the org"

[params.code_life]
type = "duration"
default = "15m"
meaning = "how long before the login a trace of the approval page belongs to it: the code's 10 minutes and 5 more"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with any login files before an app can be called new to the org"

[params.known_grants]
type = "text_list"
default = ["jwt_bearer", "saml_bearer", "asset_token", "device"]
meaning = "grants of registered apps that log in without a sub-type"
*/
WITH
bearer AS (
    SELECT
        l.occurred_at, l.day, l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        l.app, nullif(nullif(lower(trim(regexp_replace(l.app, '\s+', ' ', 'g'))), ''), 'n/a') AS plain_name,
        l.ip, l.country, l.ua_family, l.merge_quality,
        CASE WHEN l.ip_kind = 'public' THEN network_of(l.ip) END AS network,
        l.file_id, l.line_no
    FROM logins l
    LEFT JOIN files f ON f.file_id = l.file_id
    LEFT JOIN files t ON t.file_id = l.lh_file_id
    WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end
      AND l.login_path = 'oauth_bearer' AND l.outcome = 'success'
      AND trim(l.login_type) <> ''
      -- With a password it is the username-password flow, whose rule tells it.
      AND coalesce(upper(trim(l.use_api_token)), '') NOT IN ('T', 'P')
      -- An empty cell says "no sub-type"; a missing column says nothing.
      AND NOT (regexp_like(',' || coalesce(f.absent_columns, '') || ',', ',(LOGIN_SUB_TYPE|LoginSubType),')
               AND (l.lh_file_id IS NULL
                    OR regexp_like(',' || coalesce(t.absent_columns, '') || ',', ',LoginSubType,')))
),
-- Apps that may log in so: for everybody, or for their subjects only.
registered AS (
    SELECT
        lower(trim(regexp_replace(o.name, '\s+', ' ', 'g'))) AS plain_name, s.user_key, o.valid_from, o.valid_to
    FROM registry_org_apps o
    LEFT JOIN registry_app_subjects s
      ON s.app_name = o.name AND coalesce(s.app_id, '') = coalesce(o.id, '')
    WHERE array_has($known_grants, o.grant)
),
-- Users whom the registry allows the flow, with the apps that it declares for them.
own AS (
    SELECT
        f.user_key, lower(trim(regexp_replace(a.app_name, '\s+', ' ', 'g'))) AS plain_name,
        f.valid_from, f.valid_to, a.valid_from AS app_from, a.valid_to AS app_to
    FROM registry_flows f
    LEFT JOIN registry_apps a ON a.user_key = f.user_key
    WHERE f.login_path = 'oauth_bearer'
),
suspects AS (
    SELECT b.*
    FROM bearer b
    WHERE NOT EXISTS (
        SELECT 1 FROM registered r
        WHERE r.plain_name = b.plain_name
          AND (r.user_key IS NULL OR r.user_key = b.user_key)
          AND b.occurred_at >= r.valid_from AND b.occurred_at < r.valid_to)
      AND NOT EXISTS (
        SELECT 1 FROM own o
        WHERE o.user_key = b.user_key
          AND b.occurred_at >= o.valid_from AND b.occurred_at < o.valid_to
          AND (b.plain_name IS NULL
               OR (o.plain_name = b.plain_name AND b.occurred_at >= o.app_from AND b.occurred_at < o.app_to)))
),
-- The past of these users and apps, by day. A day never teaches itself.
past_of_users AS (
    SELECT
        l.user_key, l.day,
        lower(trim(regexp_replace(l.app, '\s+', ' ', 'g'))) AS plain_name,
        CASE WHEN l.ip_kind = 'public' THEN network_of(l.ip) END AS network,
        l.login_path = 'oauth_bearer' AS is_bearer,
        count(*) AS logins
    FROM logins l
    JOIN (SELECT DISTINCT user_key FROM suspects) u ON u.user_key = l.user_key
    WHERE l.occurred_at >= $window_start - $lookback AND l.occurred_at < $window_end AND l.outcome = 'success'
    GROUP BY 1, 2, 3, 4, 5
),
past_of_apps AS (
    SELECT DISTINCT lower(trim(regexp_replace(l.app, '\s+', ' ', 'g'))) AS plain_name, l.day
    FROM logins l
    JOIN (SELECT DISTINCT plain_name FROM suspects WHERE plain_name IS NOT NULL) a
      ON a.plain_name = lower(trim(regexp_replace(l.app, '\s+', ' ', 'g')))
    WHERE l.occurred_at >= $window_start - $lookback AND l.occurred_at < $window_end AND l.outcome = 'success'
),
covered AS (
    SELECT d.day, count(*) AS covered_days
    FROM (SELECT DISTINCT day FROM suspects) d
    JOIN (
        SELECT DISTINCT CAST(day AS DATE) AS day FROM parts WHERE event_type IN ('Login', 'LoginHistory')
    ) c ON c.day < d.day AND c.day >= d.day - CAST($lookback AS INTERVAL)
    GROUP BY d.day
),
-- Traces of the page on which a code is typed and an app approved.
traces AS (
    SELECT user_key, occurred_at, ip, ip_kind, 'end of an approval session (Logout)' AS hint, file_id, line_no
    FROM logouts
    WHERE occurred_at >= $window_start - $code_life AND occurred_at < $window_end
      AND session_type = 'OauthApprovalUI'
    UNION ALL
    SELECT user_key, occurred_at, ip, ip_kind, 'page /setup/connect' AS hint, file_id, line_no
    FROM ui_activity
    WHERE occurred_at >= $window_start - $code_life AND occurred_at < $window_end
      AND lower(page) LIKE '%/setup/connect%'
),
hints AS (
    SELECT
        s.user_key, s.plain_name, s.day,
        array_agg(DISTINCT t.hint ORDER BY t.hint) AS hints,
        array_agg(DISTINCT t.ip ORDER BY t.ip) FILTER (WHERE t.ip IS NOT NULL) AS hint_ips,
        bool_or(coalesce(t.ip_kind = 'public' AND network_of(t.ip) <> s.network, false)) AS two_networks,
        array_slice(array_agg(t.file_id || ':' || t.line_no ORDER BY t.occurred_at, t.file_id, t.line_no), 1, 5)
            AS hint_proof
    FROM suspects s
    JOIN traces t
      ON t.user_key = s.user_key
     AND t.occurred_at <= s.occurred_at AND t.occurred_at >= s.occurred_at - CAST($code_life AS INTERVAL)
    GROUP BY s.user_key, s.plain_name, s.day
),
by_day AS (
    SELECT
        user_key, plain_name, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        max(printable(app)) AS app,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT network ORDER BY network) FILTER (WHERE network IS NOT NULL) AS networks,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE country IS NOT NULL) AS countries,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 15) AS proof
    FROM suspects
    GROUP BY user_key, plain_name, day
),
history AS (
    SELECT
        d.user_key, d.plain_name, d.day,
        coalesce(sum(p.logins) FILTER (WHERE p.plain_name = d.plain_name), 0) AS with_this_app,
        coalesce(sum(p.logins) FILTER (WHERE p.is_bearer), 0) AS bearer_logins,
        coalesce(sum(p.logins), 0) AS logins_before,
        coalesce(bool_or(array_has(d.networks, p.network)), false) AS from_usual_network
    FROM by_day d
    LEFT JOIN past_of_users p
      ON p.user_key = d.user_key AND p.day < d.day AND p.day >= d.day - CAST($lookback AS INTERVAL)
    GROUP BY d.user_key, d.plain_name, d.day
),
seen_in_org AS (
    SELECT DISTINCT d.plain_name, d.day, true AS seen
    FROM by_day d
    JOIN (
        SELECT plain_name, day AS from_day FROM past_of_apps
        UNION ALL
        -- What somebody registered is not new, whatever its grant.
        SELECT lower(trim(regexp_replace(name, '\s+', ' ', 'g'))), CAST(valid_from AS DATE) FROM registry_org_apps
        UNION ALL
        SELECT lower(trim(regexp_replace(app_name, '\s+', ' ', 'g'))), CAST(valid_from AS DATE) FROM registry_apps
    ) k ON k.plain_name = d.plain_name AND k.from_day < d.day
),
judged AS (
    SELECT
        d.*,
        coalesce(d.plain_name, 'not told') AS app_key,
        n.hints, n.hint_ips, n.hint_proof, coalesce(n.two_networks, false) AS two_networks,
        h.logins_before, h.from_usual_network,
        coalesce(c.covered_days, 0) AS covered_days,
        d.plain_name IS NOT NULL AND NOT coalesce(o.seen, false)
            AND coalesce(c.covered_days, 0) >= $min_covered_days AS new_to_org
    FROM by_day d
    JOIN history h
      ON h.user_key = d.user_key AND h.day = d.day AND (h.plain_name IS NOT DISTINCT FROM d.plain_name)
    LEFT JOIN hints n
      ON n.user_key = d.user_key AND n.day = d.day AND (n.plain_name IS NOT DISTINCT FROM d.plain_name)
    LEFT JOIN seen_in_org o ON o.plain_name = d.plain_name AND o.day = d.day
    LEFT JOIN covered c ON c.day = d.day
    -- An app that could not be looked up: all that can be new is the flow itself.
    WHERE CASE WHEN d.plain_name IS NULL THEN h.bearer_logins = 0 ELSE h.with_this_app = 0 END
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        CASE
            WHEN two_networks OR new_to_org THEN 4
            WHEN plain_name IS NULL AND hints IS NULL THEN 2
            ELSE 3
        END
        - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    logins AS event_count,
    last_at,
    'OAuth logins with no flow recorded only by apps that the registry knows as bearer or device apps, or that the user had before'
        AS expected,
    logins || CASE WHEN logins = 1 THEN ' OAuth login' ELSE ' OAuth logins' END
        || ' with no flow recorded, by '
        || CASE WHEN app IS NULL OR plain_name IS NULL THEN 'an app that the logs do not name' ELSE '"' || app || '"' END
        || ' from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || coalesce(' (' || array_to_string(array_slice(countries, 1, 5), ', ') || ')', '')
        || CASE WHEN from_usual_network THEN ', a network of the user' WHEN logins_before > 0 THEN ', no network of the user' ELSE '' END
        || CASE WHEN new_to_org THEN '; nobody in the org used this app before' ELSE '' END
        || coalesce('; shortly before: ' || array_to_string(hints, ', ')
            || coalesce(' from ' || array_to_string(hint_ips, ', '), ''), '')
        || CASE WHEN two_networks THEN '; approval and token came from two networks' ELSE '' END AS observed,
    role, role_source, system, owner,
    printable(app_key) AS app_key, app, new_to_org, covered_days, logins_before,
    ips, networks, countries, from_usual_network, ua_families,
    hints, hint_ips, two_networks,
    CASE WHEN hints IS NULL THEN 'inferred' ELSE 'observed' END AS confidence,
    array_concat(proof, coalesce(hint_proof, [])) AS proof
FROM judged
ORDER BY occurred_at, user_key, app_key
