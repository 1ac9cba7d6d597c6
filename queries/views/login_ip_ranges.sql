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
WITH profiles AS (
    SELECT a.day, p.id, max(p.name) AS name
    FROM roster_as_of AS a
    INNER JOIN roster_profile AS p ON p.file_id = a.file_id AND p.day = a.snapshot_day
    WHERE a.data_set = 'Profile' AND p.id IS NOT NULL
    GROUP BY a.day, p.id
),
ranges AS (
    SELECT
        a.day,
        a.previous_day,
        a.next_day,
        g.profileid,
        g.profile_name,
        g.startaddress,
        g.endaddress,
        g.file_id,
        g.line_no,
        max(g.file_id) OVER (
            PARTITION BY a.day, coalesce(g.profileid, lower(g.profile_name))
        ) AS last_file
    FROM roster_as_of AS a
    INNER JOIN roster_login_ip_range AS g ON g.day = a.snapshot_day
    WHERE a.data_set = 'LoginIpRange'
        -- What cannot be read as a range is unknown, which is not the same as no range.
        AND (g.ip_kind = 'missing' OR (g.startaddress IS NOT NULL AND g.endaddress IS NOT NULL))
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
LEFT JOIN profiles AS p ON p.day = g.day AND p.id = g.profileid
LEFT JOIN (SELECT day, lower(name) AS name, min(id) AS id FROM profiles GROUP BY day, lower(name)) AS n
    ON g.profileid IS NULL AND n.day = g.day AND n.name = lower(g.profile_name)
WHERE g.file_id = g.last_file
