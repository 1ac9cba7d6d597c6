/*
id = "integration-no-ip-range"
title = "Profile of an integration user has no or too wide login ranges"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.16", "S0.30", "S1.6"]
attack = ["T1078.004"]
description = """
The login IP ranges of a profile are the control that stops a stolen credential at the door. Medium: the profile of \
an active integration user has none, or they hold more addresses than `max_v4` (all ranges of a profile taken \
together, overlaps once: the whole internet in two pieces is the whole internet) or an IPv6 range wider than one \
network of `max_v6_prefix`. High: that, while the user holds an administrator-class permission or logged in by \
password within 30 days. Low: the ranges let in addresses that the registry does not declare for the user. An \
internal system user restricted to 0.0.0.0 - 0.0.0.0 is as it should be. Profiles that no active user has are \
left out."""
false_positives = [
  "An integration platform without fixed addresses: suppress with an end date, and restrict the connected app instead",
]
response = [
  "Set the profile's login IP ranges to the networks of the calling system (Setup, Profiles, Login IP Ranges)",
  "Users of one profile with different networks: clone the base profile for each set of addresses",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["users", "login_ip_ranges", "permissions?", "logins?"]
dedupe = ["user_key"]
bucket = "none"

[params.max_v4]
type = "int"
default = 4096
meaning = "most IPv4 addresses that the ranges of a profile may hold"

[params.max_v6_prefix]
type = "int"
default = 48
meaning = "an IPv6 range must lie inside one network of this prefix (a multiple of 4)"

[params.danger_perms]
type = "text_list"
default = ["ModifyAllData", "ViewAllData", "ManageUsers", "CustomizeApplication", "AuthorApex"]
meaning = "permissions with which an open door is high"

[params.password_reach]
type = "duration"
default = "30d"
meaning = "how far back a login by password counts"
*/
WITH
machines AS (
    SELECT *
    FROM users
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND role IN ('integration', 'internal_system') AND NOT is_platform_user
      AND coalesce(is_active, true)
),
ranges AS (
    SELECT
        coalesce(profile_id, lower(profile_name)) AS profile_key, start_ip, end_ip, start_key, end_key,
        CASE WHEN start_ip LIKE '%.%.%.%' AND start_ip NOT LIKE '%:%' THEN
            CAST(split_part(start_ip, '.', 1) AS BIGINT) * 16777216 + CAST(split_part(start_ip, '.', 2) AS BIGINT) * 65536
            + CAST(split_part(start_ip, '.', 3) AS BIGINT) * 256 + CAST(split_part(start_ip, '.', 4) AS BIGINT) END AS start_v4,
        CASE WHEN end_ip LIKE '%.%.%.%' AND end_ip NOT LIKE '%:%' THEN
            CAST(split_part(end_ip, '.', 1) AS BIGINT) * 16777216 + CAST(split_part(end_ip, '.', 2) AS BIGINT) * 65536
            + CAST(split_part(end_ip, '.', 3) AS BIGINT) * 256 + CAST(split_part(end_ip, '.', 4) AS BIGINT) END AS end_v4,
        file_id, line_no
    FROM login_ip_ranges
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND start_ip IS NOT NULL AND end_ip IS NOT NULL
),
-- Ranges of one profile that touch are one: each address counts once.
ordered AS (
    SELECT *, max(end_v4) OVER (
        PARTITION BY profile_key ORDER BY start_v4, end_v4 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM ranges
    WHERE start_v4 IS NOT NULL AND end_v4 IS NOT NULL
),
v4 AS (
    SELECT profile_key,
           sum(greatest(end_v4 - greatest(start_v4, coalesce(reached + 1, start_v4)) + 1, 0)) AS addresses
    FROM ordered
    GROUP BY profile_key
),
by_profile AS (
    SELECT
        r.profile_key,
        count(*) AS ranges,
        bool_and(r.start_ip = '0.0.0.0' AND r.end_ip = '0.0.0.0') AS blocks_all,
        coalesce(bool_or(r.start_v4 IS NULL AND
            substr(encode(r.start_key, 'hex'), 1, CAST($max_v6_prefix / 4 AS BIGINT))
            <> substr(encode(r.end_key, 'hex'), 1, CAST($max_v6_prefix / 4 AS BIGINT))), false) AS wide_v6,
        array_slice(array_agg(DISTINCT r.start_ip || ' - ' || r.end_ip ORDER BY r.start_ip || ' - ' || r.end_ip), 1, 20) AS shown
    FROM ranges r
    GROUP BY r.profile_key
),
drifted AS (
    SELECT m.user_key,
           array_agg(DISTINCT r.start_ip || ' - ' || r.end_ip ORDER BY r.start_ip || ' - ' || r.end_ip) AS undeclared
    FROM machines m
    JOIN ranges r ON r.profile_key = m.profile_id OR r.profile_key = lower(m.profile_name)
    WHERE NOT (r.start_ip = '0.0.0.0' AND r.end_ip = '0.0.0.0')
      -- Nothing to compare with where the registry declares no network.
      AND in_networks(m.user_key, r.start_ip, $now) IS NOT NULL
      AND NOT (in_networks(m.user_key, r.start_ip, $now) IS TRUE AND in_networks(m.user_key, r.end_ip, $now) IS TRUE
               AND nearest_network(m.user_key, r.start_ip, $now) = nearest_network(m.user_key, r.end_ip, $now))
    GROUP BY m.user_key
),
powerful AS (
    SELECT user_key, array_agg(DISTINCT permission ORDER BY permission) AS permissions
    FROM permissions
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day AND array_has($danger_perms, permission)
    GROUP BY user_key
),
by_password AS (
    SELECT l.user_key, count(*) AS logins
    FROM logins l
    JOIN machines m ON m.user_key = l.user_key
    WHERE l.occurred_at >= $now - $password_reach AND l.occurred_at < $now
      AND l.outcome = 'success' AND l.is_password_based
    GROUP BY l.user_key
),
judged AS (
    SELECT
        m.*, coalesce(b.ranges, 0) AS ranges, coalesce(v.addresses, 0) AS addresses, b.shown, d.undeclared,
        p.permissions, coalesce(w.logins, 0) AS password_logins,
        CASE
            WHEN b.profile_key IS NULL THEN 'no range'
            WHEN b.blocks_all THEN NULL
            WHEN coalesce(v.addresses, 0) > $max_v4 OR b.wide_v6 THEN 'too wide'
            WHEN d.user_key IS NOT NULL THEN 'not declared'
        END AS reason
    FROM machines m
    LEFT JOIN by_profile b ON b.profile_key = m.profile_id OR b.profile_key = lower(m.profile_name)
    LEFT JOIN v4 v ON v.profile_key = b.profile_key
    LEFT JOIN drifted d ON d.user_key = m.user_key
    LEFT JOIN powerful p ON p.user_key = m.user_key
    LEFT JOIN by_password w ON w.user_key = m.user_key
),
levelled AS (
    SELECT *,
        CASE WHEN reason = 'not declared' THEN 1
             WHEN permissions IS NOT NULL OR password_logins > 0 THEN 3
             ELSE 2 END AS level
    FROM judged
    WHERE reason IS NOT NULL
)
SELECT
    CAST(day AS TIMESTAMPTZ) AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be a machine's counts one level lower.
    ['low', 'medium', 'high'][
        greatest(1, level - CASE WHEN role_source = 'inferred' AND role = 'integration' THEN 1 ELSE 0 END)
    ] AS severity,
    1 AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    CASE role WHEN 'internal_system' THEN 'Login ranges of the profile: 0.0.0.0 - 0.0.0.0, from which nobody comes'
              ELSE 'Login ranges of the profile: the networks of the calling system' END AS expected,
    'Profile ' || coalesce(printable(profile_name), '(unknown)') || ': '
        || CASE reason
               WHEN 'no range' THEN 'no login ranges, every address may log in'
               WHEN 'too wide' THEN ranges || CASE WHEN ranges = 1 THEN ' range' ELSE ' ranges' END || ' with ' || addresses
                    || ' IPv4 addresses (' || array_to_string(array_slice(shown, 1, 3), ', ') || ')'
               ELSE 'ranges that the registry does not declare (' || array_to_string(array_slice(undeclared, 1, 3), ', ') || ')'
           END
        || CASE WHEN permissions IS NOT NULL THEN '; holds ' || array_to_string(permissions, ', ') ELSE '' END
        || CASE WHEN password_logins > 0 THEN '; logs in by password' ELSE '' END AS observed,
    role, role_source, system, owner,
    reason, printable(profile_name) AS profile, ranges, addresses, shown AS login_ranges, undeclared,
    permissions, password_logins,
    [file_id || ':' || line_no] AS proof
FROM levelled
ORDER BY occurred_at, user_key
