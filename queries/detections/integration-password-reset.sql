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
shows in up to three places: a login of the sub-type UiPasswordReset, an entry of the Setup Audit Trail that names \
the user, and the date of the last password change in the roster, which moved between two snapshots (then the change \
is told on the day of the later one, unless it happened on that day). All signs of one user and day are one finding. \
A change inside a window of the registry for that user is planned and left out."""
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
-- Who is a machine, for entries of the audit trail that name a user by what it is called.
machines AS (
    SELECT DISTINCT user_key, user_id, username, role, role_source, system, owner
    FROM users
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND role IN ('integration', 'internal_system') AND NOT is_platform_user
    UNION
    SELECT r.user_key, r.user_id, coalesce(r.username, known_username(r.user_id)) AS username,
           r.role, 'registry' AS role_source, r.system, r.owner
    FROM registry_users r
    WHERE r.role IN ('integration', 'internal_system') AND $now >= r.valid_from AND $now < r.valid_to
),
known_machines AS (
    SELECT user_key, max(user_id) AS user_id, max(username) AS username, max(role) AS role,
           max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM machines
    WHERE username IS NOT NULL
    GROUP BY user_key
),
by_login AS (
    SELECT occurred_at, occurred_at AS changed_at, user_key, user_id, username, role, role_source, system, owner,
           'login of the sub-type UiPasswordReset' AS sign, CAST(NULL AS VARCHAR) AS actor, ip, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role IN ('integration', 'internal_system')
      AND (lower(regexp_replace(coalesce(login_sub_type, ''), '[^A-Za-z]', '', 'g')) IN ('uipasswordreset', 'uipwreset', 'uiresetpassword')
           OR lower(regexp_replace(coalesce(lh_login_sub_type, ''), '[^A-Za-z]', '', 'g')) IN ('uipasswordreset', 'uipwreset', 'uiresetpassword'))
),
by_roster AS (
    SELECT
        CASE WHEN CAST(u.last_password_change_at AS DATE) = u.day
             THEN u.last_password_change_at ELSE arrow_cast(u.day, 'Timestamp(Millisecond, Some("UTC"))') END AS occurred_at,
        u.last_password_change_at AS changed_at,
        u.user_key, u.user_id, u.username, u.role, u.role_source, u.system, u.owner,
        'date of the last password change moved' AS sign, CAST(NULL AS VARCHAR) AS actor, CAST(NULL AS VARCHAR) AS ip,
        u.file_id, u.line_no
    FROM users u
    JOIN users before ON before.user_key = u.user_key AND before.day = u.previous_day
    WHERE u.day >= CAST($window_start AS DATE) AND u.day < CAST($window_end AS DATE)
      AND u.role IN ('integration', 'internal_system') AND NOT u.is_platform_user
      AND u.last_password_change_at IS NOT NULL
      AND (before.last_password_change_at IS NULL OR u.last_password_change_at > before.last_password_change_at)
),
by_audit AS (
    SELECT a.occurred_at, a.occurred_at AS changed_at,
           m.user_key, m.user_id, m.username, m.role, m.role_source, m.system, m.owner,
           'Setup Audit Trail: ' || printable(a.action) AS sign,
           coalesce(a.username, known_username(a.user_id), a.user_id) AS actor, CAST(NULL AS VARCHAR) AS ip,
           a.file_id, a.line_no
    FROM setup_audit_trail a
    JOIN known_machines m ON mentions(a.mentioned_users, m.username)
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
        WHERE w.user_key = s.user_key AND s.changed_at >= w.from_at AND s.changed_at < w.to_at)
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
