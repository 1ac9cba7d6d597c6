/*
Marks in the newest roster that say of an account that it is a machine's: the licence Salesforce
Integration, its permission set licence, the permission API Only User. Of each data set the newest
snapshot counts. One row per user and mark.

user_id            18 characters
mark               in words
taken_at           when the list of users was taken
*/
WITH people AS (
    SELECT u.*
    FROM roster_user AS u
    INNER JOIN (SELECT file_id FROM roster_user ORDER BY occurred_at DESC, file_id DESC LIMIT 1) AS newest
        ON newest.file_id = u.file_id
    WHERE u.user_id IS NOT NULL AND coalesce(u.isactive, true)
      -- Guests and the platform's own users stay what they are, whatever they hold.
      AND inferred_role(u.usertype, u.username) = 'human'
),
profiles AS (
    SELECT p.*
    FROM roster_profile AS p
    INNER JOIN (SELECT file_id FROM roster_profile ORDER BY occurred_at DESC, file_id DESC LIMIT 1) AS newest
        ON newest.file_id = p.file_id
),
sets AS (
    SELECT s.*
    FROM roster_permission_set AS s
    INNER JOIN (SELECT file_id FROM roster_permission_set ORDER BY occurred_at DESC, file_id DESC LIMIT 1) AS newest
        ON newest.file_id = s.file_id
    WHERE s.permissionsapiuseronly
),
assignments AS (
    SELECT a.*
    FROM roster_permission_set_assignment AS a
    INNER JOIN (
        SELECT file_id FROM roster_permission_set_assignment ORDER BY occurred_at DESC, file_id DESC LIMIT 1
    ) AS newest
        ON newest.file_id = a.file_id
    WHERE coalesce(a.isactive, true) AND (a.expirationdate IS NULL OR a.expirationdate > a.occurred_at)
),
licences AS (
    SELECT k.*
    FROM roster_permission_set_license_assign AS k
    INNER JOIN (
        SELECT file_id FROM roster_permission_set_license_assign ORDER BY occurred_at DESC, file_id DESC LIMIT 1
    ) AS newest
        ON newest.file_id = k.file_id
),
marks AS (
    SELECT u.user_id, 'the licence Salesforce Integration' AS mark
    FROM people AS u
    LEFT JOIN profiles AS p ON p.id = u.profileid
    WHERE lower(coalesce(u.userlicense_name, p.userlicense_name)) = 'salesforce integration'
    UNION ALL
    SELECT user_id, 'the permission set licence of API integrations' AS mark
    FROM licences
    WHERE lower(permissionsetlicense_developername) = 'salesforceapiintegrationpsl'
    UNION ALL
    SELECT u.user_id, 'API Only User by its profile' AS mark
    FROM people AS u
    LEFT JOIN profiles AS p ON p.id = u.profileid
    WHERE coalesce(p.permissionsapiuseronly, u.profile_permissionsapiuseronly)
    UNION ALL
    SELECT a.user_id, 'API Only User by a permission set' AS mark
    FROM assignments AS a
    INNER JOIN sets AS s ON s.id = a.permissionsetid
    UNION ALL
    SELECT a.user_id, 'API Only User by a permission set' AS mark
    FROM assignments AS a
    INNER JOIN sets AS s ON s.permissionsetgroupid = a.permissionsetgroupid
)
SELECT DISTINCT u.user_id, m.mark, u.occurred_at AS taken_at
FROM people AS u
INNER JOIN marks AS m ON m.user_id = u.user_id
ORDER BY user_id, mark
