/*
id = "orphan-integration"
title = "Integration without owner, review or use"
family = "identity"
severity = "low"
status = "active"
version = 2
control = ["S4.10"]
attack = ["T1078.004"]
description = """
An account that nobody answers for, that nobody has looked at, or that nobody uses is where an attacker is safe the \
longest. Found is an integration user whose registry entry names no owner, or one who has left (the owner's own \
account is inactive in the roster); whose review date has passed; which is active and did neither log in nor call \
the API in `idle_time`; or which is inactive and still in the registry and holding permission sets, or \
administrator-class permissions by its profile: one click and all of it is back. Idleness is \
judged only where logs cover that time; a login that the roster remembers counts as use. What the registry declares \
to run once a year is idle only when the roster's last login is older than `annual_idle_time`. Users made within \
`idle_time` are not idle yet. Internal system users never log in: they are not judged here."""
false_positives = [
  "A seasonal job: set cadence = \"annual\" in the registry",
]
response = [
  "Find an owner, or switch the account off: deactivate it, revoke its tokens, remove its entry",
  "Review: look at its networks, apps and permissions with the owner, and set the next `review` date",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["registry_users", "users?", "permission_assignments?", "permissions?", "logins?", "api_calls?", "sightings?"]
dedupe = ["user_key"]
bucket = "none"

[params.idle_time]
type = "duration"
default = "90d"
meaning = "time without a login or call after which an account is idle"

[params.annual_idle_time]
type = "duration"
default = "400d"
meaning = "the same for an account that runs once a year, by the roster's last login"

[params.min_covered]
type = "float"
default = 0.8
meaning = "share of the days of `idle_time` with login or API logs from which idleness can be judged"

[params.danger_perms]
type = "text_list"
default = [
  "ModifyAllData", "ViewAllData", "ManageUsers", "ManageInternalUsers", "CustomizeApplication", "AuthorApex",
  "ManageSharing", "ManageAuthProviders", "BulkApiHardDelete", "UseAnyApiClient", "UseAnyApiAuth",
  "ApproveUninstalledConnectedApps", "TransactionSecurityExempt", "ViewAllUsers", "QueryAllFiles",
  "ManageEncryptionKeys",
]
meaning = "permissions that no inactive account should keep"
*/
WITH
declared AS (
    SELECT user_key, user_id, coalesce(username, known_username(user_id)) AS username, system, owner, cadence, review_date
    FROM registry_users
    WHERE role = 'integration' AND $now >= valid_from AND $now < valid_to
),
integrations AS (
    SELECT
        coalesce(d.user_key, u.user_key) AS user_key,
        coalesce(d.user_id, u.user_id) AS user_id,
        coalesce(d.username, u.username) AS username,
        CASE WHEN d.user_key IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        d.system, nullif(trim(d.owner), '') AS owner, d.cadence, d.review_date, d.user_key IS NOT NULL AS is_declared,
        u.is_active, u.last_login_at, u.created_at, u.file_id, u.line_no
    FROM declared d
    FULL JOIN (
        SELECT * FROM users
        WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day AND role = 'integration' AND NOT is_platform_user
    ) u ON u.user_key = d.user_key
),
-- Owners are written as people write them: a username where the owner has an account.
gone AS (
    SELECT DISTINCT username
    FROM users
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day AND is_active IS FALSE
),
-- Of the days before today the last time is kept; today's may lie after now.
used AS (
    SELECT user_key, max(occurred_at) AS last_at
    FROM (
        SELECT user_key, max(last_at) AS occurred_at FROM sightings
        WHERE day >= CAST($now - $idle_time AS DATE) AND day < CAST($now AS DATE)
          AND kind = 'source' AND last_at >= $now - $idle_time
        GROUP BY user_key
        UNION ALL
        SELECT user_key, max(occurred_at) AS occurred_at FROM logins
        WHERE occurred_at >= date_trunc('day', $now) AND occurred_at < $now AND outcome = 'success'
        GROUP BY user_key
        UNION ALL
        SELECT user_key, max(occurred_at) AS occurred_at FROM api_calls
        WHERE occurred_at >= date_trunc('day', $now) AND occurred_at < $now
        GROUP BY user_key
    ) seen
    GROUP BY user_key
),
covered AS (
    SELECT
        count(DISTINCT CAST(day AS DATE)) * 86400.0 >= $min_covered * min(
            date_part('epoch', CAST($now AS TIMESTAMPTZ)) - date_part('epoch', CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL))
        ) AS is_enough
    FROM parts
    WHERE event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage')
      AND CAST(day AS DATE) >= CAST(CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL) AS DATE)
      AND CAST(day AS DATE) <= CAST($now AS DATE)
),
powers AS (
    SELECT user_key, count(DISTINCT set_id) AS sets
    FROM permission_assignments
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day AND set_kind <> 'profile'
    GROUP BY user_key
),
dangers AS (
    SELECT user_key, array_agg(DISTINCT permission ORDER BY permission) AS permissions
    FROM permissions
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day AND array_has($danger_perms, permission)
    GROUP BY user_key
),
judged AS (
    SELECT
        i.*, x.permissions AS danger_permissions, s.last_at AS last_seen_at, coalesce(p.sets, 0) AS permission_sets, o.username IS NOT NULL AS owner_left,
        CAST(floor((date_part('epoch', CAST($now AS TIMESTAMPTZ)) - date_part('epoch', i.last_login_at)) / 86400) AS BIGINT)
            AS days_since_login,
        s.user_key IS NULL
            AND coalesce(i.is_active, true)
            AND (i.created_at IS NULL OR i.created_at < CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL))
            AND coalesce(c.is_enough, false)
            AND CASE WHEN i.cadence = 'annual'
                THEN coalesce(i.last_login_at < CAST($now AS TIMESTAMPTZ) - CAST($annual_idle_time AS INTERVAL), false)
                ELSE coalesce(i.last_login_at <= CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL), true)
            END AS is_idle
    FROM integrations i
    CROSS JOIN covered c
    LEFT JOIN used s ON s.user_key = i.user_key
    LEFT JOIN gone o ON o.username = lower(i.owner)
    LEFT JOIN powers p ON p.user_key = i.user_key
    LEFT JOIN dangers x ON x.user_key = i.user_key
),
reasoned AS (
    SELECT
        *,
        string_to_array(nullif(array_to_string([
            CASE WHEN is_declared AND owner IS NULL AND coalesce(is_active, true) THEN 'no owner' END,
            CASE WHEN owner_left AND coalesce(is_active, true) THEN 'its owner has left' END,
            CASE WHEN review_date < CAST($now AS DATE) THEN 'review was due on ' || to_char(review_date, '%Y-%m-%d') END,
            CASE WHEN is_idle THEN 'not used for ' || coalesce(
                    days_since_login || ' days',
                    'more than ' || CAST(floor((date_part('epoch', CAST($now AS TIMESTAMPTZ))
                        - date_part('epoch', CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL))) / 86400) AS BIGINT) || ' days') END,
            CASE WHEN is_active IS FALSE AND is_declared AND permission_sets > 0
                 THEN 'inactive, but still in the registry and holding permission sets: ' || permission_sets
                 WHEN is_active IS FALSE AND is_declared AND danger_permissions IS NOT NULL
                 THEN 'inactive, but still in the registry and holding administrator-class permissions: '
                      || array_length(danger_permissions) END
        ], '|'), ''), '|') AS reasons
    FROM judged
)
SELECT
    CAST(date_trunc('day', CAST($now AS TIMESTAMPTZ)) AS TIMESTAMPTZ) AS occurred_at,
    user_key, user_id, username,
    'low' AS severity,
    array_length(reasons) AS event_count,
    CAST(date_trunc('day', CAST($now AS TIMESTAMPTZ)) AS TIMESTAMPTZ) AS last_at,
    'An owner who is there, a review in time, and use' AS expected,
    array_to_string(reasons, '; ') AS observed,
    'integration' AS role, role_source, system, owner,
    reasons, CASE WHEN is_idle THEN days_since_login END AS idle_days,
    cadence, review_date, last_seen_at, last_login_at, is_active, permission_sets, danger_permissions,
    CASE WHEN file_id IS NOT NULL THEN [file_id || ':' || line_no] END AS proof
FROM reasoned
WHERE array_length(reasons) > 0
ORDER BY occurred_at, user_key
