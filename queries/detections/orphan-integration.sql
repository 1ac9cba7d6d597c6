/*
id = "orphan-integration"
title = "Integration without owner, review or use"
family = "identity"
severity = "low"
status = "active"
version = 1
control = ["S4.10"]
attack = ["T1078.004"]
description = """
An account that nobody answers for, that nobody has looked at, or that nobody uses is where an attacker is safe the \
longest. Found is an integration user whose registry entry names no owner, or one who has left (the owner's own \
account is inactive in the roster); whose review date has passed; which is active and did neither log in nor call \
the API in `idle_time`; or which is inactive and still in the registry and holding permission sets. Idleness is \
judged only where logs cover that time, and not for what the registry declares to run once a year; a login that the \
roster remembers counts as use."""
false_positives = [
  "A seasonal job: set cadence = \"annual\" in the registry",
]
response = [
  "Find an owner, or switch the account off: deactivate it, revoke its tokens, remove its entry",
  "Review: look at its networks, apps and permissions with the owner, and set the next `review` date",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["registry_users", "users?", "logins?", "api_calls?"]
dedupe = ["user_key"]
bucket = "none"

[params.idle_time]
type = "duration"
default = "90d"
meaning = "time without a login or call after which an account is idle"

[params.min_covered]
type = "float"
default = 0.8
meaning = "share of the days of that time with login or API logs from which idleness can be judged"
*/
WITH
declared AS (
    SELECT user_key, user_id, coalesce(username, known_username(user_id)) AS username,
           role, system, owner, cadence, review_date
    FROM registry_users
    WHERE role = 'integration' AND $now >= valid_from AND $now < valid_to
),
roster AS (
    SELECT * FROM users WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
),
integrations AS (
    SELECT
        coalesce(d.user_key, u.user_key) AS user_key,
        coalesce(d.user_id, u.user_id) AS user_id,
        coalesce(d.username, u.username) AS username,
        'integration' AS role,
        CASE WHEN d.user_key IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        d.system, d.owner, d.cadence, d.review_date, d.user_key IS NOT NULL AS is_declared,
        u.is_active, u.last_login_at, u.created_at, u.file_id, u.line_no
    FROM declared d
    FULL JOIN (SELECT * FROM roster WHERE role = 'integration' AND NOT is_platform_user) u ON u.user_key = d.user_key
),
-- Owners are written as people write them: a username where the owner has an account.
left_owners AS (
    SELECT DISTINCT i.user_key
    FROM integrations i
    JOIN roster o ON lower(o.username) = lower(trim(i.owner)) AND o.is_active IS FALSE
),
used AS (
    SELECT user_key, max(occurred_at) AS last_at
    FROM (
        SELECT l.user_key, l.occurred_at FROM logins l
        WHERE l.occurred_at >= $now - $idle_time AND l.occurred_at < $now AND l.outcome = 'success'
        UNION ALL
        SELECT a.user_key, a.occurred_at FROM api_calls a
        WHERE a.occurred_at >= $now - $idle_time AND a.occurred_at < $now
    ) seen
    GROUP BY user_key
),
covered AS (
    SELECT count(DISTINCT CAST(day AS DATE)) AS days
    FROM parts
    WHERE event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage')
      AND CAST(day AS DATE) >= CAST($now AS DATE) - CAST($idle_time AS INTERVAL) AND CAST(day AS DATE) <= CAST($now AS DATE)
),
powers AS (
    SELECT user_key, count(DISTINCT set_id) AS sets
    FROM permission_assignments
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day AND set_kind <> 'profile'
    GROUP BY user_key
),
judged AS (
    SELECT
        i.*, s.last_at AS last_seen_at, coalesce(p.sets, 0) AS permission_sets,
        date_part('epoch', CAST($now AS TIMESTAMPTZ))
            - date_part('epoch', CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL)) AS idle_seconds,
        o.user_key IS NOT NULL AS owner_left,
        s.user_key IS NULL
            AND coalesce(i.is_active, true)
            AND coalesce(i.cadence, '') <> 'annual'
            AND (i.last_login_at IS NULL OR i.last_login_at < CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL))
            AND (i.created_at IS NULL OR i.created_at < CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL))
            AND c.days * 86400.0
                >= $min_covered * (date_part('epoch', CAST($now AS TIMESTAMPTZ))
                    - date_part('epoch', CAST($now AS TIMESTAMPTZ) - CAST($idle_time AS INTERVAL))) AS is_idle
    FROM integrations i
    CROSS JOIN covered c
    LEFT JOIN used s ON s.user_key = i.user_key
    LEFT JOIN left_owners o ON o.user_key = i.user_key
    LEFT JOIN powers p ON p.user_key = i.user_key
),
reasoned AS (
    SELECT
        *,
        string_to_array(nullif(array_to_string([
            CASE WHEN is_declared AND (owner IS NULL OR trim(owner) = '') AND coalesce(is_active, true) THEN 'no owner' END,
            CASE WHEN owner_left AND coalesce(is_active, true) THEN 'its owner has left' END,
            CASE WHEN review_date < CAST($now AS DATE) THEN 'review was due on ' || to_char(review_date, '%Y-%m-%d') END,
            CASE WHEN is_idle THEN 'not used for '
                || CASE WHEN last_login_at IS NOT NULL
                        THEN CAST(floor((date_part('epoch', CAST($now AS TIMESTAMPTZ)) - date_part('epoch', last_login_at)) / 86400) AS BIGINT) || ' days'
                        ELSE 'more than ' || CAST(floor(idle_seconds / 86400) AS BIGINT) || ' days' END END,
            CASE WHEN is_active IS FALSE AND is_declared AND permission_sets > 0
                 THEN 'inactive, and still in the registry with ' || permission_sets || ' permission sets' END
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
    role, role_source, system, owner,
    reasons, cadence, review_date, last_seen_at, last_login_at, is_active,
    CASE WHEN file_id IS NOT NULL THEN [file_id || ':' || line_no] END AS proof
FROM reasoned
WHERE array_length(reasons) > 0
ORDER BY occurred_at, user_key
