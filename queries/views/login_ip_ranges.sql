/*
From which addresses the users of each profile may log in: one row per roster day and range. The
ranges come one profile at a time, so the files of one day count together; of a profile that is in
several of them the last one counts.

profile_id, profile_name            the profile, as far as exported
start_ip, end_ip   first and last address. Both NULL: the profile was read and has no ranges. A
                   profile that is not here was not read
start_key, end_key 16 comparable bytes each
file_id, line_no   the row that proves it
*/
-- Profiles file by file, as in `users`: of a question for one day no other day's files are read.
WITH roster AS (
    SELECT
        day,
        previous_day,
        next_day,
        max(CASE WHEN data_set = 'LoginIpRange' THEN snapshot_day END) AS range_day,
        max(CASE WHEN data_set = 'Profile' THEN snapshot_day END) AS profile_day,
        max(CASE WHEN data_set = 'Profile' THEN file_id END) AS profile_file
    FROM roster_as_of
    GROUP BY day, previous_day, next_day
),
profiles AS (
    SELECT file_id, day, id, max(name) AS name
    FROM roster_profile
    WHERE id IS NOT NULL
    GROUP BY file_id, day, id
),
ranges AS (
    SELECT
        a.day,
        a.previous_day,
        a.next_day,
        a.profile_day,
        a.profile_file,
        g.profileid,
        g.profile_name,
        g.startaddress,
        g.endaddress,
        g.file_id,
        g.line_no,
        max(g.file_id) OVER (
            PARTITION BY a.day, a.next_day, coalesce(g.profileid, lower(g.profile_name))
        ) AS last_file
    FROM roster AS a
    INNER JOIN roster_login_ip_range AS g ON g.day = a.range_day
    -- What cannot be read as a range is unknown, which is not the same as no range.
    WHERE g.ip_kind = 'missing' OR (g.startaddress IS NOT NULL AND g.endaddress IS NOT NULL)
)
SELECT
    g.day,
    g.previous_day,
    g.next_day,
    coalesce(g.profileid, n.id) AS profile_id,
    coalesce(g.profile_name, p.name) AS profile_name,
    g.startaddress AS start_ip,
    g.endaddress AS end_ip,
    ip_key(g.startaddress) AS start_key,
    ip_key(g.endaddress) AS end_key,
    g.file_id,
    g.line_no
FROM ranges AS g
LEFT JOIN profiles AS p ON p.file_id = g.profile_file AND p.day = g.profile_day AND p.id = g.profileid
LEFT JOIN (
    SELECT file_id, day, lower(name) AS name, min(id) AS id FROM profiles GROUP BY file_id, day, lower(name)
) AS n
    ON g.profileid IS NULL
    AND n.file_id = g.profile_file
    AND n.day = g.profile_day
    AND n.name = lower(g.profile_name)
WHERE g.file_id = g.last_file
