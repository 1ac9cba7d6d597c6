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
calls that succeeded more than `grace` after the roster first showed the user inactive or frozen (the snapshot's own \
time: the change itself was earlier). Failed logins of an inactive or frozen user, and calls refused with 401, are \
attempts: medium from `attempts` on in a day, low below, and one level higher from an address outside the user's \
declared networks. Attempts from allowed addresses only are most likely an old job (tag operational); many \
machine users of one app stopped within an hour look like a containment by Salesforce (tag platform containment)."""
false_positives = [
  "An old job that nobody switched off: attempts from the allowed address",
  "A snapshot of the roster with the wrong date in its name",
]
response = [
  "Calls that succeed: revoke all tokens and sessions of the user now; deactivation alone does not end every session",
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
meaning = "time after the deactivation in which calls may still end"

[params.attempts]
type = "int"
default = 5
meaning = "attempts in a day from which they are medium"

[params.containment_users]
type = "int"
default = 3
meaning = "machine users of one app refused within an hour that look like a containment"
*/
WITH
-- Spans in which the roster shows a user inactive or frozen.
closed AS (
    SELECT
        user_key,
        coalesce(snapshot_at, arrow_cast(day, 'Timestamp(Millisecond, Some("UTC"))')) AS seen_at,
        arrow_cast(next_day, 'Timestamp(Millisecond, Some("UTC"))') AS until_at,
        CASE WHEN is_active IS FALSE THEN 'inactive' ELSE 'frozen' END AS state
    FROM users
    WHERE is_active IS FALSE OR is_frozen IS TRUE
),
calls AS (
    SELECT a.occurred_at, a.day, a.user_key, a.user_id, a.username, a.role, a.role_source, a.system, a.owner,
           a.ip, a.app, a.event_type, a.status_code, a.is_error, a.file_id, a.line_no,
           c.seen_at, c.state
    FROM api_calls a
    JOIN closed c ON c.user_key = a.user_key AND a.occurred_at >= c.seen_at AND a.occurred_at < c.until_at
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND coalesce(a.ip_kind, 'missing') <> 'salesforce'
),
-- When the run of closed snapshots that a call lies in began.
first_closed AS (
    SELECT c.user_key, c.seen_at,
           min(p.seen_at) AS since
    FROM closed c
    JOIN closed p ON p.user_key = c.user_key AND p.seen_at <= c.seen_at
    WHERE NOT EXISTS (
        SELECT 1 FROM users u
        WHERE u.user_key = c.user_key AND coalesce(u.is_active, true) AND NOT coalesce(u.is_frozen, false)
          AND coalesce(u.snapshot_at, arrow_cast(u.day, 'Timestamp(Millisecond, Some("UTC"))')) > p.seen_at
          AND coalesce(u.snapshot_at, arrow_cast(u.day, 'Timestamp(Millisecond, Some("UTC"))')) < c.seen_at)
    GROUP BY c.user_key, c.seen_at
),
events AS (
    SELECT c.occurred_at, c.day, c.user_key, c.user_id, c.username, c.role, c.role_source, c.system, c.owner,
           c.ip, c.app, c.event_type, 'call' AS kind, c.state, f.since, c.file_id, c.line_no
    FROM calls c
    JOIN first_closed f ON f.user_key = c.user_key AND f.seen_at = c.seen_at
    WHERE c.occurred_at >= f.since + $grace
      -- Only what is known to have been refused is no success.
      AND NOT (coalesce(c.is_error, false) OR coalesce(c.status_code, 0) IN (401, 403))
    UNION ALL
    SELECT c.occurred_at, c.day, c.user_key, c.user_id, c.username, c.role, c.role_source, c.system, c.owner,
           c.ip, c.app, c.event_type, 'attempt' AS kind, c.state, f.since, c.file_id, c.line_no
    FROM calls c
    JOIN first_closed f ON f.user_key = c.user_key AND f.seen_at = c.seen_at
    WHERE coalesce(c.status_code, 0) = 401
    UNION ALL
    SELECT occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
           ip, app, 'Login' AS event_type, 'attempt' AS kind,
           CASE WHEN lower(status) LIKE '%frozen%' THEN 'frozen' ELSE 'inactive' END AS state,
           CAST(NULL AS TIMESTAMP) AS since, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND outcome <> 'success' AND fail_class = 'account_state'
),
-- Machine users of one app that were refused within the same hour.
contained AS (
    SELECT app, date_trunc('hour', occurred_at) AS hour
    FROM events
    WHERE kind = 'attempt' AND state = 'frozen' AND role = 'integration' AND app IS NOT NULL
    GROUP BY app, date_trunc('hour', occurred_at)
    HAVING count(DISTINCT user_key) >= $containment_users
),
marked AS (
    SELECT e.*, in_networks(e.user_key, e.ip, e.occurred_at) AS inside, c.app IS NOT NULL AS is_contained
    FROM events e
    LEFT JOIN contained c ON c.app = e.app AND c.hour = date_trunc('hour', e.occurred_at)
),
by_day AS (
    SELECT
        user_key, day, kind,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        max(state) AS state, min(since) AS closed_since,
        coalesce(bool_or(inside IS FALSE), false) AS outside,
        coalesce(bool_and(inside IS TRUE), false) AS all_inside,
        coalesce(bool_or(is_contained), false) AS is_contained,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL AND app <> '') AS apps,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM marked
    GROUP BY user_key, day, kind
),
levelled AS (
    SELECT *,
        -- 1 low, 2 medium, 3 high, 4 critical
        CASE WHEN kind = 'call' THEN 4
             ELSE CASE WHEN events >= $attempts THEN 2 ELSE 1 END + CASE WHEN outside THEN 1 ELSE 0 END END AS level,
        CASE WHEN kind = 'attempt' AND is_contained THEN 'platform containment'
             WHEN kind = 'attempt' AND all_inside THEN 'operational' END AS tag
    FROM by_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    ['low', 'medium', 'high', 'critical'][level] AS severity,
    events AS event_count,
    last_at,
    'Nothing of a user that is inactive or frozen' AS expected,
    CASE kind
        WHEN 'call' THEN events || CASE WHEN events = 1 THEN ' call' ELSE ' calls' END || ' answered although the user is ' || state
             || coalesce(' since ' || to_char(closed_since, '%Y-%m-%d'), '')
        ELSE events || CASE WHEN events = 1 THEN ' attempt' ELSE ' attempts' END || ' refused because the user is ' || state
    END
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || coalesce(' (' || tag || ')', '') AS observed,
    role, role_source, system, owner,
    kind, state, closed_since, tag, outside AS outside_networks, event_types, apps, ips,
    proof
FROM levelled
ORDER BY occurred_at, user_key, kind
