/*
Which snapshots of the org there are: one row per roster data set and day. Of several files of one
data set and day the last one counts, a whole one before one that was cut off. A file that was cut
off counts only as long as there was no whole one before: what is missing in it need not be missing
in the org.

data_set           User, UserLogin, Profile, PermissionSet, PermissionSetAssignment,
                   PermissionSetLicenseAssign, ConnectedApplication, ConnectedApp,
                   ExternalClientApplication, SetupEntityAccess, OauthToken, LoginIpRange
day                UTC day of the snapshot
snapshot_at        when it was taken: the date (and time) in the file's name, else when it was read
file_id            the file
is_complete        false: the file was cut off or the answer in it was
previous_day       day of this data set's snapshot before; NULL for the first
next_day           day of its next snapshot; 9999-12-31 for the last
*/
WITH files_taken AS (
    SELECT
        f.event_type AS data_set,
        CAST(f.first_event_at AS DATE) AS day,
        f.first_event_at AS snapshot_at,
        f.file_id,
        f.state = 'ingested' AS is_complete,
        f.rows_read,
        f.rows_kept
    FROM files AS f
    WHERE f.state IN ('ingested', 'torn')
        AND f.first_event_at IS NOT NULL
        AND f.event_type IN (
            'User', 'UserLogin', 'Profile', 'PermissionSet', 'PermissionSetAssignment',
            'PermissionSetLicenseAssign', 'ConnectedApplication', 'ConnectedApp',
            'ExternalClientApplication', 'SetupEntityAccess', 'OauthToken', 'LoginIpRange'
        )
),
-- Retention takes rows away and leaves the account of the file: that is no empty snapshot.
days_held AS (
    SELECT DISTINCT event_type AS data_set, day FROM parts
),
taken AS (
    SELECT
        f.data_set,
        f.day,
        f.snapshot_at,
        f.file_id,
        f.is_complete,
        row_number() OVER (
            PARTITION BY f.data_set, f.day
            ORDER BY f.is_complete DESC, f.snapshot_at DESC, f.file_id DESC
        ) AS nth,
        min(CASE WHEN f.is_complete THEN f.day END) OVER (PARTITION BY f.data_set) AS first_whole_day
    FROM files_taken AS f
    LEFT JOIN days_held AS h ON h.data_set = f.data_set AND h.day = f.day
    WHERE (f.rows_kept > 0 AND h.day IS NOT NULL) OR (f.rows_read = 0 AND f.is_complete)
)
SELECT
    data_set,
    day,
    snapshot_at,
    file_id,
    is_complete,
    lag(day) OVER (PARTITION BY data_set ORDER BY day) AS previous_day,
    coalesce(lead(day) OVER (PARTITION BY data_set ORDER BY day), DATE '9999-12-31') AS next_day
FROM taken
WHERE nth = 1 AND (is_complete OR first_whole_day IS NULL OR day < first_whole_day)
