/*
Which permission sets and permission set groups each user holds: one row per roster day and
assignment that has not expired. Users as in `users`; an assignment whose holder is in no list of
users has what the assignment itself says.

set_id             the permission set; of a group the group; of a profile's hidden set the profile
set_name           its label, else its API name
set_kind           permission_set | group | profile
grants_id          the permission set whose permissions these are: of a group the one that sums up
                   the group after muting
expires_at         when the assignment ends; NULL: never
file_id, line_no   the assignment's row
*/
-- Sets file by file, as in `users`: of a question for one day no other day's files are read.
WITH roster AS (
    SELECT
        day,
        previous_day,
        next_day,
        max(CASE WHEN data_set = 'PermissionSetAssignment' THEN as_of END) AS as_of,
        max(CASE WHEN data_set = 'PermissionSetAssignment' THEN snapshot_day END) AS assignment_day,
        max(CASE WHEN data_set = 'PermissionSetAssignment' THEN file_id END) AS assignment_file,
        max(CASE WHEN data_set = 'PermissionSet' THEN snapshot_day END) AS set_day,
        max(CASE WHEN data_set = 'PermissionSet' THEN file_id END) AS set_file
    FROM roster_as_of
    GROUP BY day, previous_day, next_day
),
sets AS (
    SELECT
        file_id,
        day,
        id,
        first_value(label ORDER BY line_no) AS label,
        first_value(name ORDER BY line_no) AS name,
        first_value(lower(type) ORDER BY line_no) AS type,
        first_value(isownedbyprofile ORDER BY line_no) AS is_owned,
        first_value(profileid ORDER BY line_no) AS profile_id,
        first_value(profile_name ORDER BY line_no) AS profile_name,
        first_value(permissionsetgroupid ORDER BY line_no) AS group_id,
        first_value(permissionsetgroup_developername ORDER BY line_no) AS group_name
    FROM roster_permission_set
    WHERE id IS NOT NULL
    GROUP BY file_id, day, id
),
group_sets AS (
    SELECT file_id, day, group_id, max(id) AS id, max(coalesce(label, group_name, name)) AS label
    FROM sets
    WHERE group_id IS NOT NULL AND coalesce(type, 'group') = 'group'
    GROUP BY file_id, day, group_id
),
held AS (
    SELECT
        a.day,
        a.previous_day,
        a.next_day,
        a.as_of,
        a.set_day,
        a.set_file,
        h.user_id,
        h.username AS assignee_username,
        h.expirationdate,
        h.permissionset_name,
        h.permissionset_label,
        h.permissionset_isownedbyprofile,
        h.permissionset_profileid,
        h.permissionset_profile_name,
        h.permissionsetgroup_developername,
        h.file_id,
        h.line_no,
        -- A group is assigned by its own id, by the id of the set that sums it up, or by both.
        coalesce(h.permissionsetgroupid, s.group_id) AS group_id,
        h.permissionsetid AS assigned_id
    FROM roster AS a
    INNER JOIN roster_permission_set_assignment AS h
        ON h.file_id = a.assignment_file AND h.day = a.assignment_day
    LEFT JOIN sets AS s ON s.file_id = a.set_file AND s.day = a.set_day AND s.id = h.permissionsetid
    WHERE coalesce(h.isactive, true)
        AND (h.expirationdate IS NULL OR h.expirationdate > a.as_of)
)
SELECT
    h.day,
    h.previous_day,
    h.next_day,
    coalesce(h.user_id, lower(h.assignee_username)) AS user_key,
    h.user_id,
    coalesce(u.username, lower(h.assignee_username), r.username) AS username,
    coalesce(u.role, r.role, inferred_role(
        NULL, h.assignee_username, coalesce(h.user_id, lower(h.assignee_username)), h.as_of
    )) AS role,
    CASE WHEN coalesce(u.role_source, CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END)
        = 'registry' THEN 'registry' ELSE 'inferred' END AS role_source,
    coalesce(u.system, r.system) AS system,
    coalesce(u.owner, r.owner) AS owner,
    u.is_active,
    coalesce(u.is_platform_user, false) AS is_platform_user,
    CASE
        WHEN h.group_id IS NOT NULL THEN h.group_id
        WHEN coalesce(s.is_owned, h.permissionset_isownedbyprofile, false)
            THEN coalesce(s.profile_id, h.permissionset_profileid, h.assigned_id)
        ELSE h.assigned_id
    END AS set_id,
    CASE
        WHEN h.group_id IS NOT NULL THEN coalesce(g.label, h.permissionsetgroup_developername)
        WHEN coalesce(s.is_owned, h.permissionset_isownedbyprofile, false)
            THEN coalesce(s.profile_name, h.permissionset_profile_name, s.label, s.name)
        ELSE coalesce(s.label, h.permissionset_label, s.name, h.permissionset_name)
    END AS set_name,
    CASE
        WHEN h.group_id IS NOT NULL THEN 'group'
        WHEN coalesce(s.is_owned, h.permissionset_isownedbyprofile, false) THEN 'profile'
        ELSE 'permission_set'
    END AS set_kind,
    coalesce(g.id, h.assigned_id) AS grants_id,
    h.expirationdate AS expires_at,
    h.file_id,
    h.line_no
FROM held AS h
LEFT JOIN sets AS s ON s.file_id = h.set_file AND s.day = h.set_day AND s.id = h.assigned_id
LEFT JOIN group_sets AS g ON g.file_id = h.set_file AND g.day = h.set_day AND g.group_id = h.group_id
LEFT JOIN users AS u ON u.day = h.day AND u.user_id = h.user_id
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(h.user_id, lower(h.assignee_username))
    AND h.as_of >= r.valid_from
    AND h.as_of < r.valid_to
-- A set that only mutes gives nothing.
WHERE coalesce(s.type, '') <> 'muting'
