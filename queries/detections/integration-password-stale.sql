/*
id = "integration-password-stale"
title = "Password of a non-human user is old, or exists without need"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S0.12", "S1.2"]
attack = ["T1078.004"]
description = """
A password that nobody changes spreads: into sheets, scripts and the memory of people who left. Medium: an \
integration or internal user logs in by password and the password is older than `max_age`: rotate it, or better, \
move to JWT bearer. Low: the password is that old and no login by password was seen in `unused_reach`: it is not \
needed, and removing it removes a way in. A user that never had a password (no date in the roster) is as it \
should be."""
false_positives = [
  "A password kept for an emergency: take it out of the org and set it when it is needed",
]
response = [
  "Rotate: set a new password, give it to the calling system only, and plan the move to JWT bearer or client credentials",
  "Remove: reset the password and throw the link away, or grant Is Single Sign-On Enabled so that no password is accepted",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["users", "logins"]
dedupe = ["user_key"]
bucket = "none"

[params.max_age]
type = "duration"
default = "90d"
meaning = "age from which a password is old"

[params.used_reach]
type = "duration"
default = "30d"
meaning = "how far back a login by password means that it is in use"

[params.unused_reach]
type = "duration"
default = "90d"
meaning = "time without any login by password after which it is not needed"
*/
WITH
old AS (
    SELECT *
    FROM users
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND role IN ('integration', 'internal_system') AND NOT is_platform_user
      AND coalesce(is_active, true)
      AND last_password_change_at < $now - $max_age
),
by_password AS (
    SELECT l.user_key, max(l.occurred_at) AS last_at, count(*) AS logins,
           array_agg(DISTINCT l.login_path ORDER BY l.login_path) AS login_paths
    FROM logins l
    JOIN old o ON o.user_key = l.user_key
    WHERE l.occurred_at >= $now - $unused_reach AND l.occurred_at < $now
      AND l.outcome = 'success' AND l.is_password_based
    GROUP BY l.user_key
),
judged AS (
    SELECT
        o.*, b.last_at AS last_password_login_at, b.login_paths,
        CAST(floor((date_part('epoch', CAST($now AS TIMESTAMPTZ)) - date_part('epoch', o.last_password_change_at)) / 86400) AS BIGINT)
            AS age_days,
        CASE WHEN b.last_at >= $now - $used_reach THEN 'rotate'
             WHEN b.last_at IS NULL THEN 'remove'
             ELSE 'rotate or remove' END AS advice
    FROM old o
    LEFT JOIN by_password b ON b.user_key = o.user_key
)
SELECT
    CAST(day AS TIMESTAMPTZ) AS occurred_at,
    user_key, user_id, username,
    CASE WHEN advice = 'rotate' AND NOT (role_source = 'inferred' AND role = 'integration') THEN 'medium' ELSE 'low' END AS severity,
    1 AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    'No password, or one that is changed in time' AS expected,
    'Password ' || age_days || ' days old, '
        || CASE WHEN last_password_login_at IS NULL THEN 'and not used by any login seen: remove it'
                ELSE 'last used on ' || to_char(last_password_login_at, '%Y-%m-%d') || ' by '
                     || array_to_string(login_paths, ', ') || ': ' || advice || ' it' END AS observed,
    role, role_source, system, owner,
    age_days, advice, last_password_change_at, last_password_login_at, login_paths,
    [file_id || ':' || line_no] AS proof
FROM judged
ORDER BY occurred_at, user_key
