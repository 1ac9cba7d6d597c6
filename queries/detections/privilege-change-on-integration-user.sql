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
PermissionUpdate events on a profile, set or group that the user holds add who did it and when. High is any change \
without an open window; critical one that gives an administrator-class permission or wider ranges, when the user was \
used from an address outside its declared networks (an internal system user: at all) since the snapshot before or \
within `use_after` of the one that shows it. Low where everything that changed only takes away: it helps no attacker, \
but a job may stop. A data set that is missing on a day counts as it was before, and one that comes for the first \
time is compared from the next day on: nothing looks as if it had been removed or granted. Planned is what touches a \
maintenance or breakglass window of the registry between the two snapshots. Other findings are not asked: the use \
from outside the networks is looked up in the logs."""
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
inputs = [
  "users | setup_audit_trail | PermissionUpdate", "permissions?", "permission_assignments?", "login_ip_ranges?", "logins?", "api_calls?",
]
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
meaning = "time after the snapshot that shows the change in which a use from an unapproved address makes it critical"

[params.reach]
type = "duration"
default = "8d"
meaning = "how far before the window a use is looked for: the longest time between two snapshots"
*/
WITH
-- When each roster was taken, the one before it, and which data sets both of them have.
roster_days AS (
    SELECT
        day, taken_to AS to_at,
        lag(taken_from) OVER (ORDER BY day) AS from_at,
        sets AND lag(sets) OVER (ORDER BY day) AS compares_sets,
        sources = lag(sources) OVER (ORDER BY day) AS compares_permissions
    FROM (
        SELECT
            day,
            min(snapshot_at) FILTER (WHERE snapshot_day = day) AS taken_from,
            max(snapshot_at) FILTER (WHERE snapshot_day = day) AS taken_to,
            bool_or(data_set = 'PermissionSetAssignment') AS sets,
            count(*) FILTER (WHERE data_set IN ('Profile', 'PermissionSet', 'PermissionSetAssignment')) AS sources
        FROM roster_as_of
        WHERE day < CAST($window_end AS DATE) AND next_day >= CAST($window_start AS DATE)
        GROUP BY day
    ) taken
),
machines AS (
    SELECT *
    FROM users
    WHERE day < CAST($window_end AS DATE) AND next_day >= CAST($window_start AS DATE)
      AND role IN ('integration', 'internal_system') AND NOT is_platform_user
),
-- What a user has one of: the value of each roster day beside that of the day before.
single AS (
    SELECT
        *,
        lag(day) OVER user_days AS day_before,
        lag(profile_id) OVER user_days AS profile_id_before, lag(profile_name) OVER user_days AS profile_name_before,
        lag(is_active) OVER user_days AS was_active, lag(is_frozen) OVER user_days AS was_frozen,
        unnest(make_array('profile', 'active', 'frozen')) AS attribute
    FROM machines
    WINDOW user_days AS (PARTITION BY user_key ORDER BY day)
),
of_account AS (
    SELECT
        user_key, day, user_id, username, role, role_source, system, owner,
        CASE attribute
            WHEN 'profile' THEN 'profile ' || coalesce(printable(profile_name_before), '(unknown)') || ' -> ' || coalesce(printable(profile_name), '(unknown)')
            WHEN 'active' THEN CASE WHEN is_active THEN 'inactive -> active' ELSE 'active -> inactive' END
            ELSE CASE WHEN is_frozen THEN 'not frozen -> frozen' ELSE 'frozen -> not frozen' END
        END AS change,
        -- 2 gives what an attacker wants, 1 only takes away, 0 neither.
        CASE WHEN (attribute = 'active' AND NOT is_active) OR (attribute = 'frozen' AND is_frozen) THEN 1 ELSE 0 END AS gives,
        attribute, file_id || ':' || line_no AS source
    FROM single
    WHERE day >= CAST($window_start AS DATE) AND day_before = previous_day
      AND CASE attribute
            WHEN 'profile' THEN coalesce(profile_id <> profile_id_before, lower(profile_name) <> lower(profile_name_before))
            WHEN 'active' THEN is_active <> was_active
            ELSE is_frozen <> was_frozen
          END
),
-- What a user has many of: one row per roster day, user and item.
items AS (
    SELECT
        user_key, day, previous_day, next_day, attribute, item,
        max(label) AS label, max(start_key) AS start_key, max(end_key) AS end_key,
        max(user_id) AS user_id, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner, min(source) AS source
    FROM (
        -- A user without ranges has a row, too: it says that the user was in the list, and what was read of the profile.
        SELECT
            m.user_key, m.day, m.previous_day, m.next_day,
            CASE WHEN r.start_ip IS NOT NULL THEN 'login range' WHEN r.line_no IS NOT NULL THEN 'no range' ELSE 'not read' END AS attribute,
            r.start_ip || ' - ' || r.end_ip AS item, r.start_ip || ' - ' || r.end_ip AS label, r.start_key, r.end_key,
            m.user_id, m.username, m.role, m.role_source, m.system, m.owner,
            coalesce(r.file_id || ':' || r.line_no, m.file_id || ':' || m.line_no) AS source
        FROM machines m
        LEFT JOIN login_ip_ranges r
          ON r.day = m.day AND coalesce(r.profile_id, lower(r.profile_name)) = CASE WHEN r.profile_id IS NULL THEN lower(m.profile_name) ELSE m.profile_id END
        UNION ALL
        SELECT
            user_key, day, previous_day, next_day, 'permission set' AS attribute, set_id AS item, coalesce(set_name, set_id) AS label,
            NULL AS start_key, NULL AS end_key, user_id, username, role, role_source, system, owner, file_id || ':' || line_no AS source
        FROM permission_assignments
        WHERE day < CAST($window_end AS DATE) AND next_day >= CAST($window_start AS DATE)
          AND role IN ('integration', 'internal_system') AND NOT is_platform_user AND set_kind <> 'profile'
        UNION ALL
        SELECT
            user_key, day, previous_day, next_day, 'permission' AS attribute, permission AS item, permission AS label,
            NULL AS start_key, NULL AS end_key, user_id, username, role, role_source, system, owner, file_id || ':' || line_no AS source
        FROM permissions
        WHERE day < CAST($window_end AS DATE) AND next_day >= CAST($window_start AS DATE)
          AND role IN ('integration', 'internal_system') AND NOT is_platform_user
          AND (array_has($danger_perms, permission) OR permission = 'ApiUserOnly')
    ) each_source
    GROUP BY user_key, day, previous_day, next_day, attribute, item
),
neighbours AS (
    SELECT
        *,
        lag(day) OVER item_days AS seen_before, lead(day) OVER item_days AS seen_next,
        array_agg(CASE WHEN attribute IN ('login range', 'no range', 'not read') THEN day END) OVER (PARTITION BY user_key) AS listed_on,
        array_agg(CASE WHEN attribute IN ('login range', 'no range') THEN day END) OVER (PARTITION BY user_key) AS read_on,
        count(CASE WHEN attribute = 'login range' THEN 1 END) OVER (PARTITION BY user_key, day) AS ranges_that_day
    FROM items
    WINDOW item_days AS (PARTITION BY user_key, attribute, item ORDER BY day)
),
-- Each item that came on a day, or was gone on it.
moves AS (
    SELECT
        *,
        CASE direction WHEN 'came' THEN day ELSE next_day END AS changed_on,
        CASE direction WHEN 'came' THEN previous_day ELSE day END AS compared_with
    FROM (
        SELECT
            *,
            unnest(make_array(
                CASE WHEN seen_before IS DISTINCT FROM previous_day THEN 'came' END,
                CASE WHEN seen_next IS DISTINCT FROM next_day THEN 'went' END
            )) AS direction
        FROM neighbours
        WHERE attribute IN ('login range', 'permission set', 'permission')
    ) both
    WHERE direction IS NOT NULL
),
of_items AS (
    SELECT
        v.user_key, v.changed_on AS day, v.user_id, v.username, v.role, v.role_source, v.system, v.owner,
        v.attribute, v.direction, v.label, v.start_key, v.end_key, v.ranges_that_day, v.source,
        -- Of the ranges that came and went together on that day.
        count(CASE WHEN v.attribute = 'login range' AND v.direction = 'came' THEN 1 END) OVER user_change AS ranges_came,
        count(CASE WHEN v.attribute = 'login range' AND v.direction = 'went' THEN 1 END) OVER user_change AS ranges_went,
        min(CASE WHEN v.attribute = 'login range' AND v.direction = 'went' THEN v.start_key END) OVER user_change AS went_from,
        max(CASE WHEN v.attribute = 'login range' AND v.direction = 'went' THEN v.end_key END) OVER user_change AS went_to
    FROM moves v
    WHERE v.changed_on >= CAST($window_start AS DATE) AND v.changed_on < CAST($window_end AS DATE)
      AND array_has(v.listed_on, v.compared_with) AND array_has(v.listed_on, v.changed_on)
      AND (v.attribute <> 'login range' OR (array_has(v.read_on, v.compared_with) AND array_has(v.read_on, v.changed_on)))
    WINDOW user_change AS (PARTITION BY v.user_key, v.changed_on)
),
from_roster AS (
    SELECT
        arrow_cast(c.day, 'Timestamp(Millisecond, Some("UTC"))') AS occurred_at, c.day, d.from_at, d.to_at,
        c.user_key, c.user_id, c.username, c.role, c.role_source, c.system, c.owner,
        c.change, c.gives, CAST(NULL AS VARCHAR) AS actor, c.source
    FROM (
        SELECT user_key, day, user_id, username, role, role_source, system, owner, attribute, change, gives, source
        FROM of_account
        UNION ALL
        SELECT
            user_key, day, user_id, username, role, role_source, system, owner, attribute,
            attribute || ' ' || printable(label) || CASE direction WHEN 'came' THEN ' added' ELSE ' removed' END AS change,
            CASE
                -- Without API Only User the user interface is open.
                WHEN attribute = 'permission' AND label = 'ApiUserOnly' THEN CASE direction WHEN 'came' THEN 1 ELSE 0 END
                WHEN attribute = 'permission' THEN CASE direction WHEN 'came' THEN 2 ELSE 1 END
                WHEN attribute = 'permission set' THEN CASE direction WHEN 'came' THEN 0 ELSE 1 END
                -- Inside the one range that it takes the place of, a range lets nobody new in.
                WHEN direction = 'came' THEN
                    CASE WHEN ranges_went = 1 AND start_key >= went_from AND end_key <= went_to THEN 1 ELSE 2 END
                -- The last range gone opens the profile to every address.
                WHEN ranges_came = 0 AND ranges_went = ranges_that_day THEN 2
                ELSE 1
            END AS gives,
            source
        FROM of_items
    ) c
    JOIN roster_days d ON d.day = c.day
    WHERE CASE c.attribute WHEN 'permission set' THEN d.compares_sets WHEN 'permission' THEN d.compares_permissions ELSE true END
),
-- Who is a machine, for entries of the audit trail, which name a user by what it is called.
named_machines AS (
    SELECT user_key, max(user_id) AS user_id, max(username) AS username, max(role) AS role,
           max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM (
        SELECT user_key, user_id, username, role, role_source, system, owner
        FROM machines
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
        a.occurred_at, CAST(a.occurred_at AS DATE) AS day, a.occurred_at AS from_at, a.occurred_at AS to_at,
        m.user_key, m.user_id, m.username, m.role, m.role_source, m.system, m.owner,
        'audit trail: ' || printable(a.action) AS change,
        -- The code tells what was touched; whether it gives more, the roster tells.
        CASE WHEN regexp_like(a.action, '^(deactivateduser|frozeuser|permsetunassign)', 'i') THEN 1 ELSE 0 END AS gives,
        coalesce(a.username, known_username(a.user_id), a.user_id) AS actor, a.file_id || ':' || a.line_no AS source
    FROM setup_audit_trail a
    JOIN named_machines m ON mentions(a.mentioned_users, m.username)
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND regexp_like(coalesce(a.action, ''),
          '^(permset|permissionset|muting)|profileforuser|loginiprange|userperm|activateduser|frozeuser|frozenuser|assign', 'i')
),
-- Which sets, groups and profiles machines hold, for events that name only those.
holdings AS (
    SELECT user_key, user_id, username, role, role_source, system, owner, day, next_day, set_id, set_name
    FROM permission_assignments
    WHERE day < CAST($window_end AS DATE) AND next_day >= CAST($window_start AS DATE)
      AND role IN ('integration', 'internal_system') AND NOT is_platform_user AND set_kind <> 'profile'
    UNION ALL
    SELECT user_key, user_id, username, role, role_source, system, owner, day, next_day, profile_id AS set_id, profile_name AS set_name
    FROM machines
),
from_events AS (
    SELECT
        e.occurred_at, CAST(e.occurred_at AS DATE) AS day, e.occurred_at AS from_at, e.occurred_at AS to_at,
        h.user_key, h.user_id, h.username, h.role, h.role_source, h.system, h.owner,
        'permission update of ' || printable(coalesce(h.set_name, h.set_id)) || coalesce(': ' || printable(nullif(trim(e.update_type), '')), '') AS change,
        0 AS gives, coalesce(known_username(e.user_id), e.user_id) AS actor, e.file_id || ':' || e.line_no AS source
    FROM elf_permission_update e
    JOIN holdings h
      ON h.set_id = sf_id18(e.feature_id) AND CAST(e.occurred_at AS DATE) >= h.day AND CAST(e.occurred_at AS DATE) < h.next_day
    WHERE e.occurred_at >= $window_start AND e.occurred_at < $window_end
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(DISTINCT change) AS changes, bool_and(gives = 1) AS only_less, max(gives) = 2 AS gives_more,
        min(from_at) FILTER (WHERE gives = 2) AS gained_from, max(to_at) FILTER (WHERE gives = 2) AS gained_to,
        array_agg(DISTINCT change ORDER BY change) AS change_list,
        array_agg(DISTINCT printable(actor) ORDER BY printable(actor)) FILTER (WHERE actor IS NOT NULL) AS actors,
        array_slice(array_agg(DISTINCT source ORDER BY source), 1, 20) AS proof
    FROM (
        SELECT * FROM from_roster
        UNION ALL SELECT * FROM from_audit
        UNION ALL SELECT * FROM from_events
    ) c
    WHERE NOT EXISTS (
        SELECT 1 FROM registry_windows w
        WHERE w.user_key = c.user_key AND w.kind IN ('maintenance', 'breakglass')
          AND w.from_at <= c.to_at AND w.to_at > c.from_at)
    GROUP BY user_key, day
),
-- Uses that the registry does not foresee, from the earliest time that a change may have been made.
odd_uses AS (
    SELECT user_key, occurred_at, ip
    FROM logins
    WHERE occurred_at >= $window_start - $reach AND occurred_at < $window_end + $use_after
      AND outcome = 'success' AND role IN ('integration', 'internal_system')
      AND (role = 'internal_system' OR NOT in_networks(user_key, ip, occurred_at))
    UNION ALL
    SELECT user_key, occurred_at, ip
    FROM api_calls
    WHERE occurred_at >= $window_start - $reach AND occurred_at < $window_end + $use_after
      AND role = 'integration' AND NOT in_networks(user_key, ip, occurred_at)
),
used AS (
    SELECT
        b.user_key, b.day,
        max(b.user_id) AS user_id, max(b.username) AS username, max(b.role) AS role,
        max(b.role_source) AS role_source, max(b.system) AS system, max(b.owner) AS owner,
        max(b.first_at) AS first_at, max(b.last_at) AS last_at, max(b.changes) AS changes,
        bool_and(b.only_less) AS only_less, bool_or(b.gives_more) AS gives_more,
        max(b.change_list) AS change_list, max(b.actors) AS actors, max(b.proof) AS proof,
        count(o.user_key) AS unapproved_uses, array_agg(DISTINCT o.ip ORDER BY o.ip) FILTER (WHERE o.ip IS NOT NULL) AS ips
    FROM by_day b
    LEFT JOIN odd_uses o ON o.user_key = b.user_key AND o.occurred_at >= b.gained_from AND o.occurred_at < b.gained_to + $use_after
    GROUP BY b.user_key, b.day
),
levelled AS (
    -- 1 low, 3 high, 4 critical
    SELECT *, CASE WHEN unapproved_uses > 0 THEN 4 WHEN only_less THEN 1 ELSE 3 END AS level
    FROM used
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
                THEN '; used from outside its networks about then: ' || coalesce(array_to_string(array_slice(ips, 1, 3), ', '), 'address not told')
                ELSE '' END AS observed,
    role, role_source, system, owner,
    change_list AS changed, actors, gives_more, unapproved_uses, ips,
    proof
FROM levelled
ORDER BY occurred_at, user_key
