/*
id = "first-seen-app"
title = "An app that was never seen in this org"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S4.5"]
attack = ["T1671", "T1528"]
description = """
A caller talks a user into approving an app, and the app reads with the user's rights: the thefts of 2025 began so, \
with a Data Loader under another name. An app counts as new when no account was ever seen with its id, or with its \
name where no id is known; the history of what accounts were seen with outlives the logs, so an app that was last \
seen long ago is known. Apps that the registry names are known, too. Told on the app's first day: high where \
an integration or internal system user uses it, where it calls the API, where the login leaves no flow (as the device \
flow does), where its address is from a network that the user did not use in the last 60 days, or where its name \
imitates that of a registered app; else medium. Told again at medium in the two weeks after, on days on which it is used \
as further accounts, if these are integrations or internal system users or come from a network that is new to them: \
app-new-subject knows nothing of so young an app. The first 30 days with logs build the list silently, but for a name \
that looks exactly like a registered app's and is another. The scopes of an \
app are in no log: a call of the API stands for them. An app that calls under an id and logs in under a name is told \
twice where no log or registry ties the two."""
false_positives = [
  "A new product: add its [[app]] to the registry before the first user approves it",
  "An app that was made anew has a new id under the old name: confirm it with its owner, then register the id",
]
response = [
  "Ask the first user, by another way than e-mail, who asked for the approval and when",
  "No good answer: block the app (Connected Apps OAuth Usage, Block), revoke its tokens of all users",
  "Read what it called since: objects, rows, addresses; look for the address under other apps and users",
  "Known and wanted: register it; require an administrator's approval for apps from now on",
]
references = [
  "https://attack.mitre.org/techniques/T1671/",
  "https://attack.mitre.org/techniques/T1528/",
]
inputs = ["sightings", "logins | api_calls", "covered_days"]
dedupe = ["app_key"]
bucket = "day"

[params.min_covered_days]
type = "int"
default = 30
meaning = "earlier days with logs before an app is called new"

[params.young_period]
type = "duration"
default = "14d"
meaning = "how long after its first day further accounts of an app are told"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a user's networks count as known"

[params.lookalike_max_distance]
type = "int"
default = 2
meaning = "changed characters up to which a name imitates another; only for names at least three times as long as that"
*/
WITH
-- Every app ever seen, by user and day. This reads all days, of one small kind.
app_days AS (
    SELECT
        app_key, day, user_key, min(first_at) AS first_at,
        min(day) OVER (PARTITION BY app_key) AS first_day,
        min(day) OVER (PARTITION BY app_key, user_key) AS first_day_of_user
    FROM sightings
    WHERE kind = 'app' AND app_key IS NOT NULL AND app_key <> '(more)'
      AND day < CAST($window_end AS DATE)
    GROUP BY app_key, day, user_key
),
registered AS (
    SELECT coalesce(sf_id18(trim(id)), nullif(trim(id), '')) AS app_id, app_name_key(name) AS name_key, name FROM registry_org_apps
    UNION
    SELECT coalesce(sf_id18(trim(app_id)), nullif(trim(app_id), '')), app_name_key(app_name), app_name FROM registry_apps
),
covered AS (
    SELECT DISTINCT day
    FROM covered_days
    WHERE day < CAST($window_end AS DATE)
      AND event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage', 'RestApi', 'ApexRestApi', 'BulkApiRequest')
),
-- Who comes to an app on its first day, and in the time after.
newcomers AS (
    SELECT app_key, user_key, day, first_day
    FROM app_days
    WHERE day >= CAST($window_start AS DATE) AND day = first_day_of_user
      AND day <= first_day + CAST($young_period AS INTERVAL)
),
new_apps AS (
    SELECT a.app_key, a.day, a.first_day, c.covered_days
    FROM (SELECT DISTINCT app_key, day, first_day FROM newcomers) a
    JOIN (
        SELECT d.first_day, count(e.day) AS covered_days
        FROM (SELECT DISTINCT first_day FROM newcomers) d
        LEFT JOIN covered e ON e.day < d.first_day
        GROUP BY d.first_day
    ) c ON c.first_day = a.first_day
    WHERE NOT EXISTS (SELECT 1 FROM registered r WHERE r.app_id = a.app_key)
      AND NOT EXISTS (SELECT 1 FROM registered r WHERE r.name_key = a.app_key)
),
raw_rows AS (
    SELECT
        l.occurred_at, l.day, l.user_key, l.username, l.role, l.app AS name, l.ip, l.ip_kind, l.login_path AS flow,
        0 AS is_call, coalesce(i.app_id, app_name_key(l.app)) AS app_key, l.file_id, l.line_no
    FROM logins l
    LEFT JOIN app_ids i ON i.name_key = app_name_key(l.app)
    WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end
      AND l.outcome = 'success' AND trim(l.app) <> ''
    UNION ALL
    SELECT
        a.occurred_at, a.day, a.user_key, a.username, a.role, a.app AS name, a.ip, a.ip_kind, CAST(NULL AS VARCHAR) AS flow,
        1 AS is_call,
        coalesce(
            CASE WHEN upper(trim(a.app_id)) NOT IN ('', 'N/A') THEN coalesce(sf_id18(trim(a.app_id)), trim(a.app_id)) END,
            i.app_id, app_name_key(a.app)
        ) AS app_key,
        a.file_id, a.line_no
    FROM api_calls a
    LEFT JOIN app_ids i ON i.name_key = app_name_key(a.app)
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
),
known_networks AS (
    SELECT user_key, value AS network, min(day) AS first_day
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'network'
    GROUP BY user_key, value
),
known_users AS (
    SELECT user_key, min(first_day) AS first_day
    FROM known_networks
    GROUP BY user_key
),
by_user AS (
    SELECT
        n.app_key, n.day, n.first_day, n.covered_days, r.user_key,
        max(r.username) AS username, bool_or(r.role IN ('integration', 'internal_system')) AS is_machine,
        max(CASE WHEN upper(trim(r.name)) <> 'N/A' THEN r.name END) AS name,
        sum(r.is_call) AS calls, count(*) - sum(r.is_call) AS logins,
        bool_or(coalesce(r.flow = 'oauth_bearer', false)) AS is_unlabelled,
        max(r.flow) AS flow,
        coalesce(bool_or(r.ip_kind = 'public' AND k.user_key IS NULL), false) AS is_new_network,
        bool_or(u.user_key IS NOT NULL) AS is_known_user,
        min(r.ip) AS ip,
        min(r.occurred_at) AS first_at, max(r.occurred_at) AS last_at,
        min(r.file_id || ':' || r.line_no) AS proof
    FROM new_apps n
    JOIN raw_rows r ON r.app_key = n.app_key AND r.day = n.day
    LEFT JOIN newcomers w ON w.app_key = n.app_key AND w.day = n.day AND w.user_key = r.user_key
    LEFT JOIN known_networks k
      ON k.user_key = r.user_key AND k.network = network_of(r.ip) AND k.first_day < r.day
    LEFT JOIN known_users u ON u.user_key = r.user_key AND u.first_day < r.day
    WHERE n.day = n.first_day OR w.user_key IS NOT NULL
    GROUP BY n.app_key, n.day, n.first_day, n.covered_days, r.user_key
),
by_app AS (
    SELECT
        app_key, day, first_day, covered_days, max(name) AS name,
        count(*) AS user_count, bool_or(is_machine) AS is_machine,
        array_slice(array_agg(coalesce(username, user_key, 'nobody named') ORDER BY first_at, user_key), 1, 20) AS users,
        -- The subject is the user, where there is one only.
        CASE WHEN count(*) = 1 THEN max(user_key) END AS user_key,
        CASE WHEN count(*) = 1 THEN max(username) END AS username,
        sum(calls) AS calls, sum(logins) AS logins, bool_or(is_unlabelled) AS is_unlabelled,
        bool_or(is_new_network) AS is_new_network,
        max(flow) AS flow, min(ip) AS ip, min(first_at) AS first_at, max(last_at) AS last_at,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof
    FROM by_user
    WHERE day = first_day OR is_machine OR (is_known_user AND is_new_network)
    GROUP BY app_key, day, first_day, covered_days
),
compared AS (
    SELECT
        b.app_key, b.day, min(r.name) AS looks_like,
        -- Registered by its name only: any id is its own.
        bool_or(r.app_id IS NULL AND r.name_key = app_name_key(b.name)) AS is_registered,
        bool_or(r.name_key = app_name_key(b.name)) AS is_same_name,
        bool_or(skeleton(r.name) = skeleton(b.name) AND r.name_key <> app_name_key(b.name)) AS is_disguised
    FROM by_app b
    JOIN registered r
      ON skeleton(r.name) = skeleton(b.name)
      OR (character_length(app_name_key(b.name)) >= 3 * $lookalike_max_distance
          AND levenshtein(r.name_key, app_name_key(b.name)) <= $lookalike_max_distance)
    GROUP BY b.app_key, b.day
)
SELECT
    b.first_at AS occurred_at,
    b.user_key, CASE WHEN character_length(b.user_key) = 18 THEN b.user_key END AS user_id, b.username,
    CASE
        WHEN b.day > b.first_day THEN 'medium'
        WHEN b.is_machine OR b.calls > 0 OR b.is_unlabelled OR b.is_new_network OR c.looks_like IS NOT NULL THEN 'high'
        ELSE 'medium'
    END AS severity,
    b.logins + b.calls AS event_count,
    b.last_at,
    'Only apps that were used before or that the registry names; ' || b.covered_days || ' earlier days with logs know no such app'
        || CASE WHEN b.day > b.first_day THEN ', which was first seen on ' || b.first_day ELSE '' END AS expected,
    CASE WHEN b.day > b.first_day THEN 'First use as further accounts of "' ELSE 'First use of "' END || printable(coalesce(b.name, b.app_key)) || '": users ' || b.user_count || ', logins ' || b.logins
        || ', API calls ' || b.calls || coalesce(', from ' || b.ip, '')
        || CASE WHEN b.is_new_network THEN ', a network new to the user' ELSE '' END
        || CASE WHEN b.is_unlabelled THEN '; the login leaves no flow, as by a device code' ELSE '' END
        || CASE
               WHEN c.is_same_name THEN '; a registered app has this name and another id'
               ELSE coalesce('; the name imitates "' || printable(c.looks_like) || '"', '')
           END AS observed,
    printable(b.app_key) AS app_key, printable(coalesce(b.name, b.app_key)) AS app, b.users, b.user_count,
    b.is_machine AS has_machine_user, b.flow, b.is_unlabelled AS device_flow_possible, b.ip, b.is_new_network AS new_network,
    printable(c.looks_like) AS lookalike_of, b.logins, b.calls, b.covered_days,
    b.proof
FROM by_app b
LEFT JOIN compared c ON c.app_key = b.app_key AND c.day = b.day
WHERE NOT coalesce(c.is_registered, false)
  AND (b.covered_days >= $min_covered_days OR coalesce(c.is_disguised, false))
ORDER BY occurred_at, app_key
