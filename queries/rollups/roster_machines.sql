/*
Accounts that the newest roster marks as a machine's: by the licence Salesforce Integration, its
permission set licence, or the permission API Only User. Of each data set the newest snapshot counts.

user_id            18 characters
marks              in words
taken_at           when the list of users was taken
*/
WITH people AS (
    SELECT * FROM roster_user
    WHERE file_id = (SELECT max(file_id) FROM roster_user
                     WHERE occurred_at = (SELECT max(occurred_at) FROM roster_user))
),
profiles AS (
    SELECT * FROM roster_profile
    WHERE file_id = (SELECT max(file_id) FROM roster_profile
                     WHERE occurred_at = (SELECT max(occurred_at) FROM roster_profile))
),
sets AS (
    SELECT * FROM roster_permission_set
    WHERE file_id = (SELECT max(file_id) FROM roster_permission_set
                     WHERE occurred_at = (SELECT max(occurred_at) FROM roster_permission_set))
),
assignments AS (
    SELECT * FROM roster_permission_set_assignment
    WHERE file_id = (SELECT max(file_id) FROM roster_permission_set_assignment
                     WHERE occurred_at = (SELECT max(occurred_at) FROM roster_permission_set_assignment))
),
licences AS (
    SELECT * FROM roster_permission_set_license_assign
    WHERE file_id = (SELECT max(file_id) FROM roster_permission_set_license_assign
                     WHERE occurred_at = (SELECT max(occurred_at) FROM roster_permission_set_license_assign))
),
marks AS (
    SELECT u.user_id, 'the licence Salesforce Integration' AS mark
    FROM people u
    LEFT JOIN profiles p ON p.id = u.profileid
    WHERE lower(coalesce(u.userlicense_name, p.userlicense_name)) = 'salesforce integration'
    UNION ALL
    SELECT user_id, 'the permission set licence of API integrations' AS mark
    FROM licences
    WHERE lower(permissionsetlicense_developername) = 'salesforceapiintegrationpsl'
    UNION ALL
    SELECT u.user_id, 'API Only User by its profile' AS mark
    FROM people u
    LEFT JOIN profiles p ON p.id = u.profileid
    WHERE coalesce(p.permissionsapiuseronly, u.profile_permissionsapiuseronly)
    UNION ALL
    SELECT a.user_id, 'API Only User by a permission set' AS mark
    FROM assignments a
    JOIN sets s ON s.id = a.permissionsetid OR s.permissionsetgroupid = a.permissionsetgroupid
    WHERE s.permissionsapiuseronly
      AND coalesce(a.isactive, true) AND (a.expirationdate IS NULL OR a.expirationdate > a.occurred_at)
)
SELECT
    u.user_id,
    array_to_string(array_agg(DISTINCT m.mark ORDER BY m.mark), ', ') AS marks,
    max(u.occurred_at) AS taken_at
FROM people u
JOIN marks m ON m.user_id = u.user_id
WHERE u.user_id IS NOT NULL AND coalesce(u.isactive, true)
GROUP BY u.user_id
ORDER BY u.user_id
