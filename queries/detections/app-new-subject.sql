/*
id = "app-new-subject"
title = "An app that vouches for users logs in as a user it never served"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S2.3", "S3.6"]
attack = ["T1606", "T1552.004", "T1550.001"]
description = """
The key behind a JWT or SAML bearer app, or the secret of a client-credentials app, opens every account that the app \
is approved for, from anywhere and without the user. Whoever stole it tries accounts that are worth more. Judged are \
successful logins by such a flow. Where the registry lists subjects for the app, every other user is told, each day. \
Where it lists none, a user is told who was not seen with the app in the 60 days before, if the app has logged in by \
such a flow on 20 days of them. Apps with at least ten users face people, who come and go: of these only a day is told \
on which more than five new users come, and more than five times the median of the last 30 days, as one finding of \
the app. Internal system users are told in any case. Administrators and internal system users are critical. An \
unlabelled bearer login is the same in the log for JWT, SAML and device flow: an app without history and without \
registry entry is left to `oauth-device-flow-suspected`. Privilege is the registry's role; the roster is not asked."""
false_positives = [
  "A new integration user for a known app: add the user to the app's subjects before",
  "Onboarding of many people at once in an app that faces people: told once as one finding; confirm it with its owner",
]
response = [
  "Ask the app's owner whether this user is meant to be served; if not, take the certificate or secret for stolen",
  "Replace the certificate or secret, take the user out of the app's approved profiles and permission sets, revoke its tokens",
  "Go through what the session did, and look for other users of the same app from the same network",
]
references = [
  "https://attack.mitre.org/techniques/T1606/",
  "https://attack.mitre.org/techniques/T1552/004/",
  "https://attack.mitre.org/techniques/T1550/001/",
]
inputs = ["logins", "sightings"]
dedupe = ["app_key", "user_key"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a user counts as served"

[params.rate_period]
type = "duration"
default = "30d"
meaning = "days from which the median of new users a day is taken"

[params.min_app_days]
type = "int"
default = 20
meaning = "earlier days with such logins before an app without declared subjects is judged"

[params.facing_users]
type = "int"
default = 10
meaning = "earlier users from which an app counts as one that faces people"

[params.max_new_users]
type = "int"
default = 5
meaning = "new users a day of such an app that are never told"

[params.rate_factor]
type = "float"
default = 5.0
meaning = "times the median of new users a day that is too much"
*/
WITH
logged AS (
    SELECT
        l.day, l.user_key, coalesce(i.app_id, app_name_key(l.app)) AS app_key,
        app_name_key(l.app) AS name_key, i.app_id,
        max(printable(l.app)) AS app,
        max(l.user_id) AS user_id, max(l.username) AS username, max(l.role) AS role, max(l.role_source) AS role_source,
        max(l.system) AS system, max(l.owner) AS owner,
        min(l.occurred_at) AS first_at, max(l.occurred_at) AS last_at, count(*) AS logins,
        array_agg(DISTINCT l.login_path ORDER BY l.login_path) AS flows,
        min(l.ip) AS ip, max(CASE WHEN l.ip_kind = 'public' THEN network_of(l.ip) END) AS network,
        min(l.file_id || ':' || l.line_no) AS proof
    FROM logins l
    LEFT JOIN app_ids i ON i.name_key = app_name_key(l.app)
    WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end
      AND l.outcome = 'success' AND l.login_path IN ('oauth_bearer', 'oauth_client_credentials')
      AND l.user_key IS NOT NULL
      AND coalesce(upper(trim(l.app)), '') NOT IN ('', 'N/A', 'BROWSER')
    GROUP BY l.day, l.user_key, coalesce(i.app_id, app_name_key(l.app)), app_name_key(l.app), i.app_id
),
-- Whom the registry lets each app serve. A subject without an entry of its own stays unlisted.
subjects AS (
    SELECT
        app_name_key(app_name) AS name_key, coalesce(sf_id18(trim(app_id)), '') AS app_id,
        array_agg(DISTINCT user_key ORDER BY user_key) AS user_keys
    FROM registry_app_subjects
    GROUP BY app_name_key(app_name), coalesce(sf_id18(trim(app_id)), '')
),
past AS (
    SELECT app_key, user_key, day
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'login_path' AND value IN ('oauth_bearer', 'oauth_client_credentials')
      AND app_key IS NOT NULL
    GROUP BY app_key, user_key, day
),
of_user AS (
    SELECT l.day, l.app_key, l.user_key
    FROM logged l
    JOIN past p
      ON p.app_key = l.app_key AND p.user_key = l.user_key
     AND p.day < l.day AND p.day >= l.day - CAST($learn_period AS INTERVAL)
    GROUP BY l.day, l.app_key, l.user_key
),
of_app AS (
    SELECT d.day, d.app_key, count(DISTINCT p.day) AS app_days, count(DISTINCT p.user_key) AS app_users
    FROM (SELECT DISTINCT day, app_key FROM logged) d
    JOIN past p
      ON p.app_key = d.app_key AND p.day < d.day AND p.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.day, d.app_key
),
-- New users of each day on which the app was used.
newcomers AS (
    SELECT app_key, day, sum(CASE WHEN first_day = day THEN 1 ELSE 0 END) AS new_users
    FROM (SELECT app_key, day, min(day) OVER (PARTITION BY app_key, user_key) AS first_day FROM past) f
    GROUP BY app_key, day
),
usual AS (
    SELECT d.day, d.app_key, median(CAST(n.new_users AS DOUBLE)) AS median_new
    FROM (SELECT DISTINCT day, app_key FROM logged) d
    JOIN newcomers n
      ON n.app_key = d.app_key AND n.day < d.day AND n.day >= d.day - CAST($rate_period AS INTERVAL)
    GROUP BY d.day, d.app_key
),
known_networks AS (
    SELECT app_key, value AS network, min(day) AS first_day
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'network'
    GROUP BY app_key, value
),
judged AS (
    SELECT
        l.*, s.user_keys IS NOT NULL AS is_declared,
        coalesce(a.app_days, 0) AS app_days, coalesce(a.app_users, 0) AS app_users, coalesce(m.median_new, 0.0) AS median_new,
        coalesce(k.first_day < l.day, false) AS is_known_network,
        -- A user of an app that faces people is told with all the others of the day.
        s.user_keys IS NULL AND coalesce(a.app_users, 0) >= $facing_users AND l.role <> 'internal_system' AS is_one_of_many
    FROM logged l
    LEFT JOIN subjects s
      ON s.name_key = l.name_key AND (s.app_id = '' OR l.app_id IS NULL OR s.app_id = l.app_id)
    LEFT JOIN of_app a ON a.day = l.day AND a.app_key = l.app_key
    LEFT JOIN of_user u ON u.day = l.day AND u.app_key = l.app_key AND u.user_key = l.user_key
    LEFT JOIN usual m ON m.day = l.day AND m.app_key = l.app_key
    LEFT JOIN known_networks k ON k.app_key = l.app_key AND k.network = l.network
    WHERE (s.user_keys IS NOT NULL AND NOT array_has(s.user_keys, l.user_key))
       OR (s.user_keys IS NULL AND u.user_key IS NULL AND coalesce(a.app_days, 0) >= $min_app_days)
),
grouped AS (
    SELECT
        day, app_key, is_one_of_many, CASE WHEN NOT is_one_of_many THEN user_key END AS user_key,
        max(CASE WHEN NOT is_one_of_many THEN user_id END) AS user_id,
        max(CASE WHEN NOT is_one_of_many THEN username END) AS username,
        max(CASE WHEN NOT is_one_of_many THEN role END) AS role,
        max(CASE WHEN NOT is_one_of_many THEN role_source END) AS role_source,
        max(CASE WHEN NOT is_one_of_many THEN system END) AS system,
        max(CASE WHEN NOT is_one_of_many THEN owner END) AS owner,
        bool_or(role IN ('internal_system', 'human_admin')) AS is_privileged,
        max(app) AS app, bool_or(is_declared) AS is_declared,
        max(app_days) AS app_days, max(app_users) AS app_users, max(median_new) AS median_new,
        count(DISTINCT user_key) AS user_count,
        array_slice(array_agg(DISTINCT coalesce(username, user_key) ORDER BY coalesce(username, user_key)), 1, 20) AS users,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(logins) AS logins,
        min(ip) AS ip, max(network) AS network, bool_and(is_known_network) AS is_known_network,
        max(array_to_string(flows, ', ')) AS flows,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof
    FROM judged
    GROUP BY day, app_key, is_one_of_many, CASE WHEN NOT is_one_of_many THEN user_key END
    HAVING NOT is_one_of_many
        OR count(DISTINCT user_key) > greatest(CAST($max_new_users AS DOUBLE), $rate_factor * max(median_new))
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN is_privileged THEN 'critical' ELSE 'high' END AS severity,
    logins AS event_count,
    last_at,
    CASE
        WHEN is_declared THEN 'The app logs in as the subjects that the registry lists for it, and as nobody else'
        WHEN is_one_of_many THEN 'The app has ' || median_new || ' new users on a usual day'
        ELSE 'The app logs in as the users it served before: ' || app_users || ' on ' || app_days || ' days'
    END AS expected,
    CASE
        WHEN is_one_of_many THEN '"' || app || '" logged in as ' || user_count || ' users whom it never served'
        ELSE '"' || app || '" logged in as a user whom it ' || CASE WHEN is_declared THEN 'is not to serve' ELSE 'never served' END
            || coalesce(', from ' || ip, '') || CASE WHEN is_known_network THEN ', a network of the app' ELSE ', a network new to the app' END
    END AS observed,
    role, role_source, system, owner,
    printable(app_key) AS app_key, app, user_count, users, is_declared, app_days, app_users, median_new,
    flows, ip, network, is_known_network,
    proof
FROM grouped
ORDER BY occurred_at, app_key, user_key
