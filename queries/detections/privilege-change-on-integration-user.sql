/*
id = "privilege-change-on-integration-user"
title = "Permissions, profile, login ranges or API-only of a non-human user changed"
family = "identity"
severity = "critical"
status = "active"
version = 1
control = ["S0.20", "S0.21", "S0.22", "S0.23", "S4.7"]
attack = ["T1098.003", "T1556"]
description = """
What a machine may do is set once and changes by ticket. Each roster day is compared with the one before: profile, \
permission sets and groups (by id: a new name alone is no change), administrator-class permissions in effect, API \
Only User, the login ranges of the profile, active and frozen. The Setup Audit Trail, where it names the user, and \
PermissionUpdate events on a set that the user holds add who did it and when. High is any change without an open \
window; critical one that gives more (an administrator-class permission, wider ranges) when the user is then used \
from an address outside its declared networks within a day; low one that only takes away. A data set that is \
missing on a day counts as it was before: nothing looks as if it had been removed. What was planned is told by a \
maintenance or breakglass window of the registry that touches the time between the two snapshots."""
false_positives = [
  "A deployment without a window: open one for it next time, with the ticket",
  "The first snapshot after the roster export gained columns: permissions appear that were there before",
]
response = [
  "Ask the administrator named in the row, or look into the Setup Audit Trail for the time between the snapshots",
  "Unplanned: set it back, freeze the user, and go through its calls since the change",
]
references = [
  "https://attack.mitre.org/techniques/T1098/003/",
  "https://attack.mitre.org/techniques/T1556/",
]
inputs = ["users | setup_audit_trail", "permissions?", "permission_assignments?", "login_ip_ranges?", "logins?", "api_calls?"]
dedupe = ["user_key"]
bucket = "day"

[params.danger_perms]
type = "text_list"
default = [
  "ModifyAllData", "ViewAllData", "ManageUsers", "ManageInternalUsers", "CustomizeApplication", "AuthorApex",
  "ManageSharing", "ManageAuthProviders", "BulkApiHardDelete", "UseAnyApiClient", "UseAnyApiAuth",
  "ApproveUninstalledConnectedApps", "TransactionSecurityExempt", "ViewAllUsers", "QueryAllFiles",
  "ManageEncryptionKeys",
]
meaning = "permissions whose gain or loss is a change"

[params.use_after]
type = "duration"
default = "24h"
meaning = "time after the change in which a use from an unapproved address makes it critical"
*/
WITH
-- Each machine on each judged roster day, beside itself on the roster day before.
pairs AS (
    SELECT
        n.day, n.previous_day, n.snapshot_at, b.snapshot_at AS before_at,
        n.user_key, n.user_id, n.username, n.role, n.role_source, n.system, n.owner,
        n.profile_id, n.profile_name, b.profile_id AS before_profile_id, b.profile_name AS before_profile_name,
        n.is_active, b.is_active AS was_active, n.is_frozen, b.is_frozen AS was_frozen,
        n.file_id, n.line_no
    FROM users n
    JOIN users b ON b.user_key = n.user_key AND b.day = n.previous_day
    WHERE n.day >= CAST($window_start AS DATE) AND n.day < CAST($window_end AS DATE)
      AND n.role IN ('integration', 'internal_system') AND NOT n.is_platform_user
),
-- 2 gives more, 1 takes away, 0 neither.
of_account AS (
    SELECT day, user_key, 'profile' AS attribute,
           coalesce(printable(before_profile_name), '(none)') AS was, coalesce(printable(profile_name), '(none)') AS is_now, 0 AS gives
    FROM pairs
    WHERE profile_id IS DISTINCT FROM before_profile_id
    UNION ALL
    SELECT day, user_key, 'active' AS attribute, CAST(was_active AS VARCHAR) AS was, CAST(is_active AS VARCHAR) AS is_now,
           CASE WHEN is_active THEN 0 ELSE 1 END AS gives
    FROM pairs
    WHERE is_active IS NOT NULL AND was_active IS NOT NULL AND is_active <> was_active
    UNION ALL
    SELECT day, user_key, 'frozen' AS attribute, CAST(was_frozen AS VARCHAR) AS was, CAST(is_frozen AS VARCHAR) AS is_now,
           CASE WHEN is_frozen THEN 1 ELSE 0 END AS gives
    FROM pairs
    WHERE is_frozen IS NOT NULL AND was_frozen IS NOT NULL AND is_frozen <> was_frozen
),
sets_now AS (
    SELECT p.day, p.user_key, a.set_id, max(a.set_name) AS set_name
    FROM pairs p JOIN permission_assignments a ON a.user_key = p.user_key AND a.day = p.day
    WHERE a.set_kind <> 'profile'
    GROUP BY p.day, p.user_key, a.set_id
),
sets_before AS (
    SELECT p.day, p.user_key, a.set_id, max(a.set_name) AS set_name
    FROM pairs p JOIN permission_assignments a ON a.user_key = p.user_key AND a.day = p.previous_day
    WHERE a.set_kind <> 'profile'
    GROUP BY p.day, p.user_key, a.set_id
),
of_sets AS (
    SELECT n.day, n.user_key, 'permission set' AS attribute, '(not assigned)' AS was,
           coalesce(printable(n.set_name), n.set_id) AS is_now, 0 AS gives
    FROM sets_now n
    WHERE NOT EXISTS (SELECT 1 FROM sets_before b WHERE b.day = n.day AND b.user_key = n.user_key AND b.set_id = n.set_id)
    UNION ALL
    SELECT b.day, b.user_key, 'permission set' AS attribute, coalesce(printable(b.set_name), b.set_id) AS was,
           '(not assigned)' AS is_now, 1 AS gives
    FROM sets_before b
    WHERE NOT EXISTS (SELECT 1 FROM sets_now n WHERE n.day = b.day AND n.user_key = b.user_key AND n.set_id = b.set_id)
),
granted_now AS (
    SELECT DISTINCT p.day, p.user_key, e.permission
    FROM pairs p JOIN permissions e ON e.user_key = p.user_key AND e.day = p.day
    WHERE array_has($danger_perms, e.permission) OR e.permission = 'ApiUserOnly'
),
granted_before AS (
    SELECT DISTINCT p.day, p.user_key, e.permission
    FROM pairs p JOIN permissions e ON e.user_key = p.user_key AND e.day = p.previous_day
    WHERE array_has($danger_perms, e.permission) OR e.permission = 'ApiUserOnly'
),
of_permissions AS (
    SELECT n.day, n.user_key, 'permission' AS attribute, '(not granted)' AS was, n.permission AS is_now,
           CASE n.permission WHEN 'ApiUserOnly' THEN 1 ELSE 2 END AS gives
    FROM granted_now n
    WHERE NOT EXISTS (
        SELECT 1 FROM granted_before b WHERE b.day = n.day AND b.user_key = n.user_key AND b.permission = n.permission)
    UNION ALL
    SELECT b.day, b.user_key, 'permission' AS attribute, b.permission AS was, '(not granted)' AS is_now,
           -- Without API Only User the user interface is open.
           CASE b.permission WHEN 'ApiUserOnly' THEN 0 ELSE 1 END AS gives
    FROM granted_before b
    WHERE NOT EXISTS (
        SELECT 1 FROM granted_now n WHERE n.day = b.day AND n.user_key = b.user_key AND n.permission = b.permission)
),
ranges_now AS (
    SELECT DISTINCT p.day, p.user_key, r.start_ip, r.end_ip, r.start_key, r.end_key
    FROM pairs p
    JOIN login_ip_ranges r ON r.day = p.day AND (r.profile_id = p.profile_id OR (r.profile_id IS NULL AND lower(r.profile_name) = lower(p.profile_name)))
    WHERE r.start_ip IS NOT NULL
),
ranges_before AS (
    SELECT DISTINCT p.day, p.user_key, r.start_ip, r.end_ip, r.start_key, r.end_key
    FROM pairs p
    JOIN login_ip_ranges r ON r.day = p.previous_day AND (r.profile_id = p.before_profile_id OR (r.profile_id IS NULL AND lower(r.profile_name) = lower(p.before_profile_name)))
    WHERE r.start_ip IS NOT NULL
),
-- Whether the roster had login ranges at all on both days.
ranges_known AS (
    SELECT p.day FROM pairs p
    WHERE EXISTS (SELECT 1 FROM login_ip_ranges r WHERE r.day = p.day)
      AND EXISTS (SELECT 1 FROM login_ip_ranges r WHERE r.day = p.previous_day)
    GROUP BY p.day
),
of_ranges AS (
    SELECT n.day, n.user_key, 'login range' AS attribute, '(not there)' AS was, n.start_ip || ' - ' || n.end_ip AS is_now,
           -- Inside a range that was there before it lets nobody new in.
           CASE WHEN EXISTS (
               SELECT 1 FROM ranges_before b
               WHERE b.day = n.day AND b.user_key = n.user_key AND n.start_key >= b.start_key AND n.end_key <= b.end_key
           ) THEN 1 ELSE 2 END AS gives
    FROM ranges_now n
    JOIN ranges_known k ON k.day = n.day
    WHERE NOT EXISTS (
        SELECT 1 FROM ranges_before b
        WHERE b.day = n.day AND b.user_key = n.user_key AND b.start_ip = n.start_ip AND b.end_ip = n.end_ip)
    UNION ALL
    SELECT b.day, b.user_key, 'login range' AS attribute, b.start_ip || ' - ' || b.end_ip AS was, '(not there)' AS is_now,
           -- The last range gone opens the profile to every address.
           CASE WHEN EXISTS (SELECT 1 FROM ranges_now n WHERE n.day = b.day AND n.user_key = b.user_key) THEN 1 ELSE 2 END AS gives
    FROM ranges_before b
    JOIN ranges_known k ON k.day = b.day
    WHERE NOT EXISTS (
        SELECT 1 FROM ranges_now n
        WHERE n.day = b.day AND n.user_key = b.user_key AND n.start_ip = b.start_ip AND n.end_ip = b.end_ip)
),
differences AS (
    SELECT * FROM of_account
    UNION ALL SELECT * FROM of_sets
    UNION ALL SELECT * FROM of_permissions
    UNION ALL SELECT * FROM of_ranges
),
from_roster AS (
    SELECT
        arrow_cast(p.day, 'Timestamp(Millisecond, Some("UTC"))') AS occurred_at, p.day,
        coalesce(p.before_at, arrow_cast(p.previous_day, 'Timestamp(Millisecond, Some("UTC"))')) AS from_at,
        coalesce(p.snapshot_at, arrow_cast(p.day, 'Timestamp(Millisecond, Some("UTC"))')) AS to_at,
        p.user_key, p.user_id, p.username, p.role, p.role_source, p.system, p.owner,
        d.attribute || ' ' || d.was || ' -> ' || d.is_now AS change, d.gives,
        CAST(NULL AS VARCHAR) AS actor, p.file_id, p.line_no
    FROM differences d
    JOIN pairs p ON p.day = d.day AND p.user_key = d.user_key
),
named_machines AS (
    SELECT user_key, max(user_id) AS user_id, max(username) AS username, max(role) AS role,
           max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM (
        SELECT user_key, user_id, username, role, role_source, system, owner
        FROM users
        WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
          AND role IN ('integration', 'internal_system') AND NOT is_platform_user
        UNION ALL
        SELECT user_key, user_id, coalesce(username, known_username(user_id)) AS username, role, 'registry' AS role_source, system, owner
        FROM registry_users
        WHERE role IN ('integration', 'internal_system') AND $now >= valid_from AND $now < valid_to
    ) known
    WHERE username IS NOT NULL
    GROUP BY user_key
),
from_audit AS (
    SELECT
        a.occurred_at, a.day, a.occurred_at AS from_at, a.occurred_at AS to_at,
        m.user_key, m.user_id, m.username, m.role, m.role_source, m.system, m.owner,
        'audit trail: ' || printable(a.action) AS change,
        -- The code tells what was touched; whether it gives more, the roster tells.
        0 AS gives,
        coalesce(a.username, known_username(a.user_id), a.user_id) AS actor, a.file_id, a.line_no
    FROM setup_audit_trail a
    JOIN named_machines m ON mentions(a.mentioned_users, m.username)
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND regexp_like(coalesce(a.action, ''),
          '^(permset|permissionset|muting)|profileforuser|loginiprange|userperm|activateduser|deactivateduser|frozeuser|unfrozeuser|assign', 'i')
),
from_events AS (
    SELECT
        e.occurred_at, e.day, e.occurred_at AS from_at, e.occurred_at AS to_at,
        a.user_key, a.user_id, a.username, a.role, a.role_source, a.system, a.owner,
        'permission update of ' || coalesce(printable(a.set_name), a.set_id) || coalesce(': ' || printable(e.update_type), '') AS change,
        0 AS gives,
        coalesce(known_username(e.user_id), e.user_id) AS actor, e.file_id, e.line_no
    FROM elf_permission_update e
    JOIN permission_assignments a
      ON a.set_id = sf_id18(e.feature_id) AND CAST(e.occurred_at AS DATE) >= a.day AND CAST(e.occurred_at AS DATE) < a.next_day
    WHERE e.occurred_at >= $window_start AND e.occurred_at < $window_end
      AND a.role IN ('integration', 'internal_system')
),
changes AS (
    SELECT * FROM from_roster
    UNION ALL SELECT * FROM from_audit
    UNION ALL SELECT * FROM from_events
),
unplanned AS (
    SELECT *
    FROM changes c
    WHERE NOT EXISTS (
        SELECT 1 FROM registry_windows w
        WHERE w.user_key = c.user_key AND w.kind IN ('maintenance', 'breakglass')
          AND w.from_at <= c.to_at AND w.to_at >= c.from_at)
),
changed_users AS (
    SELECT user_key, min(from_at) AS from_at, max(to_at) AS to_at FROM unplanned GROUP BY user_key
),
odd_uses AS (
    SELECT l.user_key, l.occurred_at, l.ip
    FROM logins l JOIN changed_users u ON u.user_key = l.user_key
    WHERE l.occurred_at >= $window_start - $use_after - $use_after AND l.occurred_at < $window_end + $use_after
      AND l.outcome = 'success' AND in_networks(l.user_key, l.ip, l.occurred_at) IS FALSE
    UNION ALL
    SELECT a.user_key, a.occurred_at, a.ip
    FROM api_calls a JOIN changed_users u ON u.user_key = a.user_key
    WHERE a.occurred_at >= $window_start - $use_after - $use_after AND a.occurred_at < $window_end + $use_after
      AND in_networks(a.user_key, a.ip, a.occurred_at) IS FALSE
),
correlated AS (
    SELECT c.user_key, c.day, count(*) AS uses, array_agg(DISTINCT o.ip ORDER BY o.ip) AS ips
    FROM (SELECT DISTINCT user_key, day, from_at, to_at FROM unplanned WHERE gives = 2) c
    JOIN odd_uses o ON o.user_key = c.user_key AND o.occurred_at >= c.from_at AND o.occurred_at < c.to_at + $use_after
    GROUP BY c.user_key, c.day
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(DISTINCT change) AS changes, max(gives) AS most, bool_and(gives = 1) AS only_less,
        array_agg(DISTINCT change ORDER BY change) AS change_list,
        array_agg(DISTINCT printable(actor) ORDER BY printable(actor)) FILTER (WHERE actor IS NOT NULL) AS actors,
        array_slice(array_agg(DISTINCT file_id || ':' || line_no ORDER BY file_id || ':' || line_no), 1, 20) AS proof
    FROM unplanned
    GROUP BY user_key, day
),
levelled AS (
    SELECT b.*, coalesce(o.uses, 0) AS unapproved_uses, o.ips,
           CASE WHEN coalesce(o.uses, 0) > 0 THEN 4 WHEN b.only_less THEN 1 ELSE 3 END AS level
    FROM by_day b
    LEFT JOIN correlated o ON o.user_key = b.user_key AND o.day = b.day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be a machine's counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        greatest(1, level - CASE WHEN role_source = 'inferred' AND role = 'integration' THEN 1 ELSE 0 END)
    ] AS severity,
    changes AS event_count,
    last_at,
    'What a machine''s account may do changes inside a window with a ticket only' AS expected,
    array_to_string(array_slice(change_list, 1, 5), '; ')
        || CASE WHEN changes > 5 THEN ' and ' || (changes - 5) || ' more' ELSE '' END
        || CASE WHEN array_length(actors) > 0 THEN ', by ' || array_to_string(actors, ', ') ELSE '' END
        || CASE WHEN unapproved_uses > 0
                THEN '; then used ' || unapproved_uses || ' times from outside its networks (' || array_to_string(array_slice(ips, 1, 3), ', ') || ')'
                ELSE '' END AS observed,
    role, role_source, system, owner,
    change_list AS changed, actors, most = 2 AS gives_more, unapproved_uses, ips,
    proof
FROM levelled
ORDER BY occurred_at, user_key
