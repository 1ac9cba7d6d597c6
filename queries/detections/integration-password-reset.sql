/*
id = "integration-password-reset"
title = "Password of a non-human user was reset or changed"
family = "credential"
severity = "high"
status = "active"
version = 1
control = ["S0.12", "S0.29"]
attack = ["T1098"]
description = """
Whoever resets the password of a machine's account holds a new way in, and the machine may not even notice. A reset \
shows in up to three places: a login of the sub-type UiPasswordReset that did not fail, an entry of the Setup Audit \
Trail that names the user, and the date of the last password change in the roster, which moved between two snapshots \
(then the change is told on the day of the later one, unless it happened on that day). All signs of one user and day \
are one finding. A change inside a maintenance or breakglass window of the registry for that user is planned and left \
out; a consent window is for a browser login, not for a password. A date that the roster shows for the first time and \
that is older than the snapshot before is no change: the export has gained the column."""
false_positives = [
  "A planned rotation: open a window with its ticket before, or suppress the day with the ticket as reason",
]
response = [
  "Ask the owner and the administrator who did it; no answer counts as no",
  "Unplanned: freeze the user, end its sessions, set a password that nobody keeps, and look for logins since the change",
]
references = ["https://attack.mitre.org/techniques/T1098/"]
inputs = ["logins | users | setup_audit_trail"]
dedupe = ["user_key"]
bucket = "day"
*/
WITH
-- Who is a machine, for entries of the audit trail, which name a user by what it is called.
machines AS (
    SELECT user_key, max(user_id) AS user_id, max(username) AS username, max(role) AS role,
           max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM (
        SELECT user_key, user_id, username, role, role_source, system, owner
        FROM users
        WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
          AND role IN ('integration', 'internal_system') AND NOT is_platform_user
        UNION ALL
        SELECT user_key, user_id, coalesce(username, known_username(user_id)) AS username,
               role, 'registry' AS role_source, system, owner
        FROM registry_users
        WHERE role IN ('integration', 'internal_system') AND $now >= valid_from AND $now < valid_to
    ) known
    WHERE username IS NOT NULL
    GROUP BY user_key
),
by_login AS (
    SELECT occurred_at, occurred_at AS changed_at, user_key, user_id, username, role, role_source, system, owner,
           'login of the sub-type UiPasswordReset' AS sign, CAST(NULL AS VARCHAR) AS actor, ip, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role IN ('integration', 'internal_system') AND outcome <> 'failure'
      -- Code, name and label of the sub-type.
      AND (lower(regexp_replace(coalesce(login_sub_type, ''), '[^A-Za-z]', '', 'g')) IN ('uipwdrst', 'uipasswordreset', 'changepassword')
           OR lower(regexp_replace(coalesce(lh_login_sub_type, ''), '[^A-Za-z]', '', 'g')) IN ('uipwdrst', 'uipasswordreset', 'changepassword'))
),
-- Each roster day beside the one before.
dates AS (
    SELECT
        day, previous_day, user_key, user_id, username, role, role_source, system, owner, is_platform_user,
        last_password_change_at AS changed_at, file_id, line_no,
        lag(day) OVER user_days AS day_before,
        lag(last_password_change_at) OVER user_days AS changed_before,
        lag(snapshot_at) OVER user_days AS looked_before
    FROM users
    WHERE next_day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
    WINDOW user_days AS (PARTITION BY user_key ORDER BY day)
),
by_roster AS (
    SELECT
        CASE WHEN CAST(changed_at AS DATE) = day
             THEN changed_at ELSE arrow_cast(day, 'Timestamp(Millisecond, Some("UTC"))') END AS occurred_at,
        changed_at, user_key, user_id, username, role, role_source, system, owner,
        'the date of the last password change moved' AS sign, CAST(NULL AS VARCHAR) AS actor, CAST(NULL AS VARCHAR) AS ip,
        file_id, line_no
    FROM dates
    WHERE day >= CAST($window_start AS DATE)
      AND role IN ('integration', 'internal_system') AND NOT is_platform_user
      AND day_before = previous_day
      -- No date before: never set, or not exported. What is older than that look at it did not happen since.
      AND changed_at > coalesce(changed_before, looked_before)
),
by_audit AS (
    SELECT a.occurred_at, a.occurred_at AS changed_at,
           m.user_key, m.user_id, m.username, m.role, m.role_source, m.system, m.owner,
           'Setup Audit Trail: ' || printable(a.action) AS sign,
           coalesce(a.username, known_username(a.user_id), a.user_id) AS actor, CAST(NULL AS VARCHAR) AS ip,
           a.file_id, a.line_no
    FROM setup_audit_trail a
    JOIN machines m ON mentions(a.mentioned_users, m.username)
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND lower(trim(coalesce(a.action, ''))) IN ('resetpassword', 'changedpassword', 'changepassword', 'resetpasswords')
),
signs AS (
    SELECT * FROM by_login
    UNION ALL SELECT * FROM by_roster
    UNION ALL SELECT * FROM by_audit
),
unplanned AS (
    SELECT s.*, date_trunc('day', s.occurred_at) AS bucket_day
    FROM signs s
    WHERE NOT EXISTS (
        SELECT 1 FROM registry_windows w
        WHERE w.user_key = s.user_key AND w.kind IN ('maintenance', 'breakglass') AND s.changed_at >= w.from_at AND s.changed_at < w.to_at)
),
by_day AS (
    SELECT
        user_key, bucket_day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        min(changed_at) AS changed_at,
        array_agg(DISTINCT sign ORDER BY sign) AS signs,
        array_agg(DISTINCT printable(actor) ORDER BY printable(actor)) FILTER (WHERE actor IS NOT NULL) AS actors,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM unplanned
    GROUP BY user_key, bucket_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be a machine's counts one level lower.
    CASE WHEN role_source = 'inferred' AND role = 'integration' THEN 'medium' ELSE 'high' END AS severity,
    events AS event_count,
    last_at,
    'The password of a machine changes in a planned rotation only, or there is none' AS expected,
    'Changed on ' || to_char(changed_at, '%Y-%m-%d %H:%M') || ' UTC (' || array_to_string(signs, '; ') || ')'
        || CASE WHEN array_length(actors) > 0 THEN ', by ' || array_to_string(actors, ', ') ELSE ', by whom is not recorded' END
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '') || '; no window is open' AS observed,
    role, role_source, system, owner,
    signs, actors, changed_at, ips,
    proof
FROM by_day
ORDER BY occurred_at, user_key
