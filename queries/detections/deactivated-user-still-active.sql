/*
id = "deactivated-user-still-active"
title = "Deactivated or frozen user still reaches the API, or keeps trying"
family = "identity"
severity = "critical"
status = "active"
version = 1
control = ["S0.8", "S4.9"]
attack = ["T1078.004"]
description = """
Deactivating the one account of a compromised system is how a breach is stopped; so it has to stop it. Critical: \
calls that were answered more than `grace` after the roster first showed the user inactive or frozen (the time of \
that snapshot: the change itself came earlier). Failed logins of an inactive or frozen user, and calls of it that \
were refused, are attempts: medium from `attempts` on in a day, low below, and one level higher when one came from \
outside the user's declared networks. Attempts from declared networks only are most likely an old job (tag \
operational); many machine users of one app refused as frozen within an hour look like a containment by Salesforce \
(tag platform containment). Every user counts, registered or not. A call of which the log does not say how it was \
answered counts as answered. Between the last snapshot that shows the user closed and one that shows it open again \
nobody knows when it was opened: calls in between are left out (privilege-change-on-integration-user tells that a \
machine's account was opened), and so are successful logins, which only an open account can have."""
false_positives = [
  "An old job that nobody switched off: attempts from the allowed address",
  "The user was activated again after the newest snapshot of the roster",
  "A snapshot of the roster with the wrong date in its name",
]
response = [
  "Calls that are answered: revoke all tokens and sessions of the user now; deactivation alone does not end every session",
  "Attempts from elsewhere: the credential is known to somebody; rotate what it has in common with others",
  "Attempts from the own system: tell its owner to switch the job off",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["logins | api_calls", "users?"]
dedupe = ["user_key", "kind"]
bucket = "day"

[params.grace]
type = "duration"
default = "30m"
meaning = "time after the first such snapshot in which calls may still end"

[params.attempts]
type = "int"
default = 5
meaning = "attempts in a day from which they are medium"

[params.containment_users]
type = "int"
default = 3
meaning = "machine users of one app refused as frozen within an hour that look like a containment"

[params.roster_reach]
type = "duration"
default = "90d"
meaning = "how far back the roster is read for the time since when a user is closed"
*/
WITH
states AS (
    SELECT
        u.user_key, u.day,
        CASE WHEN u.is_active IS FALSE THEN 'inactive' WHEN u.is_frozen THEN 'frozen' END AS state,
        -- Frozen or not is in a snapshot of its own.
        CASE WHEN u.is_active IS FALSE THEN u.snapshot_at ELSE coalesce(f.snapshot_at, u.snapshot_at) END AS seen_at
    FROM users u
    LEFT JOIN (SELECT day, snapshot_at FROM roster_as_of WHERE data_set = 'UserLogin') f ON f.day = u.day
    WHERE u.day < CAST($window_end AS DATE)
      AND u.next_day > CAST(CAST($window_start AS TIMESTAMPTZ) - CAST($roster_reach AS INTERVAL) AS DATE)
),
numbered AS (
    SELECT
        *,
        sum(CASE WHEN state IS NULL THEN 1 ELSE 0 END) OVER (PARTITION BY user_key ORDER BY day) AS times_open,
        max(CASE WHEN state IS NULL THEN day END) OVER (PARTITION BY user_key) AS last_open
    FROM states
),
-- Unbroken runs of snapshots that show the user closed.
closed AS (
    SELECT
        user_key, max(state) AS state, min(seen_at) AS since,
        CASE WHEN max(day) < max(last_open) THEN max(seen_at)
             ELSE arrow_cast('9999-12-31T00:00:00Z', 'Timestamp(Millisecond, Some("UTC"))') END AS until_at
    FROM numbered
    WHERE state IS NOT NULL
    GROUP BY user_key, times_open
),
events AS (
    SELECT
        a.occurred_at, a.day, a.user_key, a.user_id, a.username, a.role, a.role_source, a.system, a.owner,
        a.ip, a.app, a.event_type,
        CASE WHEN a.is_error THEN 'attempt' ELSE 'call' END AS kind, c.state, c.since,
        -- One call may stand in several logs.
        coalesce(nullif(trim(a.request_id), ''), a.file_id || ':' || a.line_no) AS call_key, a.file_id, a.line_no
    FROM api_calls a
    JOIN closed c ON c.user_key = a.user_key AND a.occurred_at >= c.since AND a.occurred_at < c.until_at
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND (a.is_error IS TRUE OR a.occurred_at >= c.since + $grace)
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        ip, app, 'Login' AS event_type,
        'attempt' AS kind, CASE WHEN lower(status) LIKE '%frozen%' THEN 'frozen' ELSE 'inactive' END AS state,
        arrow_cast(NULL, 'Timestamp(Millisecond, Some("UTC"))') AS since,
        'login ' || file_id || ':' || line_no AS call_key, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND outcome <> 'success' AND fail_class = 'account_state'
),
by_day AS (
    SELECT
        user_key, day, kind,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(DISTINCT call_key) AS events,
        max(state) AS state, min(since) AS closed_since,
        coalesce(bool_or(NOT in_networks(user_key, ip, occurred_at)), false) AS outside,
        bool_and(coalesce(in_networks(user_key, ip, occurred_at), false)) AS all_inside,
        -- Where one app was refused: its name and when first.
        max(app_name_key(app)) FILTER (WHERE kind = 'attempt' AND state = 'frozen' AND role = 'integration') AS frozen_app,
        min(occurred_at) FILTER (WHERE kind = 'attempt' AND state = 'frozen' AND role = 'integration') AS frozen_at,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL AND app <> '') AS apps,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM events
    GROUP BY user_key, day, kind
),
-- How many users of the app were refused within an hour from this one on …
counted AS (
    SELECT
        *,
        count(*) OVER (
            PARTITION BY frozen_app ORDER BY frozen_at
            RANGE BETWEEN CURRENT ROW AND INTERVAL '1 hour' FOLLOWING) AS users_ahead
    FROM by_day
),
-- … and whether this one is among so many.
contained AS (
    SELECT
        *,
        nullif(frozen_app, '') IS NOT NULL AND max(users_ahead) OVER (
            PARTITION BY frozen_app ORDER BY frozen_at
            RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) >= $containment_users AS is_contained
    FROM counted
),
levelled AS (
    SELECT
        *,
        -- 1 low, 2 medium, 3 high, 4 critical
        CASE WHEN kind = 'call' THEN 4
             ELSE CASE WHEN events >= $attempts THEN 2 ELSE 1 END + CASE WHEN outside THEN 1 ELSE 0 END END AS level,
        CASE WHEN kind = 'attempt' AND is_contained THEN 'platform containment'
             WHEN kind = 'attempt' AND all_inside THEN 'operational' END AS tag
    FROM contained
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    ['low', 'medium', 'high', 'critical'][level] AS severity,
    events AS event_count,
    last_at,
    'Nothing of a user that is inactive or frozen' AS expected,
    CASE kind
        WHEN 'call' THEN events || CASE WHEN events = 1 THEN ' call' ELSE ' calls' END
            || ' answered although the user is ' || state || ' since ' || to_char(closed_since, '%Y-%m-%d %H:%M') || ' UTC or before'
        ELSE events || CASE WHEN events = 1 THEN ' attempt' ELSE ' attempts' END || ' refused, the user is ' || state
    END
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || coalesce(' (' || tag || ')', '') AS observed,
    role, role_source, system, owner,
    kind, state, closed_since, tag, outside AS outside_networks, event_types, apps, ips,
    proof
FROM levelled
ORDER BY occurred_at, user_key, kind
