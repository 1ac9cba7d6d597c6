/*
The org's users: one row per roster day and user, as of that day's snapshots (see roster_as_of).

day, previous_day, next_day         the roster day, the one before, the next
snapshot_at        when the list of users was taken
user_key, user_id  18-character user id
username           lower case
role, role_source, system, owner    as in `logins`, at the time of the snapshot
is_active          may log in; NULL: the export does not say. A frozen user is active, too
is_frozen          from UserLogin; NULL: no such snapshot, or not in it
user_type          Standard, Guest, AutomatedProcess, …
profile_id, profile_name, licence   profile and its licence, as far as exported
has_integration_licence             the licence Salesforce Integration, or its permission set licence
is_platform_user   made by Salesforce (Automated Process, Platform Integration User, Insights) or
                   the guest of a site: nobody's account
created_at, last_login_at           NULL where not exported, or never
last_password_change_at             NULL where not exported, or no password was ever set
file_id, line_no   the row that proves it
*/
-- The snapshots of a roster day side by side. What is joined to them is summed up file by file, so that of
-- a question for one day no other day's files are read.
WITH roster AS (
    SELECT
        day,
        previous_day,
        next_day,
        max(CASE WHEN data_set = 'User' THEN as_of END) AS as_of,
        max(CASE WHEN data_set = 'User' THEN snapshot_at END) AS snapshot_at,
        max(CASE WHEN data_set = 'User' THEN snapshot_day END) AS user_day,
        max(CASE WHEN data_set = 'User' THEN file_id END) AS user_file,
        max(CASE WHEN data_set = 'UserLogin' THEN snapshot_day END) AS login_day,
        max(CASE WHEN data_set = 'UserLogin' THEN file_id END) AS login_file,
        max(CASE WHEN data_set = 'Profile' THEN snapshot_day END) AS profile_day,
        max(CASE WHEN data_set = 'Profile' THEN file_id END) AS profile_file,
        max(CASE WHEN data_set = 'PermissionSetLicenseAssign' THEN snapshot_day END) AS licence_day,
        max(CASE WHEN data_set = 'PermissionSetLicenseAssign' THEN file_id END) AS licence_file
    FROM roster_as_of
    GROUP BY day, previous_day, next_day
),
frozen AS (
    SELECT file_id, day, user_id, bool_or(isfrozen) AS is_frozen
    FROM roster_user_login
    WHERE user_id IS NOT NULL
    GROUP BY file_id, day, user_id
),
profiles AS (
    SELECT file_id, day, id, max(name) AS name, max(userlicense_name) AS licence
    FROM roster_profile
    WHERE id IS NOT NULL
    GROUP BY file_id, day, id
),
licensed AS (
    SELECT file_id, day, user_id, count(*) AS licences
    FROM roster_permission_set_license_assign
    WHERE lower(permissionsetlicense_developername) = 'salesforceapiintegrationpsl' AND user_id IS NOT NULL
    GROUP BY file_id, day, user_id
)
SELECT
    a.day,
    a.previous_day,
    a.next_day,
    a.snapshot_at,
    coalesce(u.user_id, lower(u.username)) AS user_key,
    u.user_id,
    lower(u.username) AS username,
    coalesce(r.role, inferred_role(
        u.usertype, u.username, coalesce(u.user_id, lower(u.username)), a.as_of
    )) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    u.isactive AS is_active,
    f.is_frozen,
    u.usertype AS user_type,
    u.profileid AS profile_id,
    coalesce(u.profile_name, p.name) AS profile_name,
    coalesce(u.userlicense_name, p.licence) AS licence,
    coalesce(lower(coalesce(u.userlicense_name, p.licence)) = 'salesforce integration', false)
        OR k.user_id IS NOT NULL AS has_integration_licence,
    inferred_role(u.usertype, u.username) IN ('guest', 'internal_system') AS is_platform_user,
    u.createddate AS created_at,
    u.lastlogindate AS last_login_at,
    u.lastpasswordchangedate AS last_password_change_at,
    u.file_id,
    u.line_no
FROM roster AS a
INNER JOIN roster_user AS u ON u.file_id = a.user_file AND u.day = a.user_day
LEFT JOIN frozen AS f ON f.file_id = a.login_file AND f.day = a.login_day AND f.user_id = u.user_id
LEFT JOIN profiles AS p ON p.file_id = a.profile_file AND p.day = a.profile_day AND p.id = u.profileid
LEFT JOIN licensed AS k ON k.file_id = a.licence_file AND k.day = a.licence_day AND k.user_id = u.user_id
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(u.user_id, lower(u.username))
    AND a.as_of >= r.valid_from
    AND a.as_of < r.valid_to
