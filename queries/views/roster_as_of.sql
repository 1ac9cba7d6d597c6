/*
Which snapshot of each data set counts on each roster day. A roster day is a day with a snapshot of
any data set; a data set without one of its own that day counts as of its last, so that a missing
file never looks as if everything in it were gone.

day                the roster day
previous_day       the roster day before; NULL for the first
next_day           the next one; 9999-12-31 for the last. As of now:
                   WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
data_set           see roster_snapshots
snapshot_day, snapshot_at, file_id, is_complete    the snapshot that counts
as_of              when that is: the snapshot's time on its own day, else the day's midnight
*/
WITH roster_days AS (
    SELECT
        day,
        lag(day) OVER (ORDER BY day) AS previous_day,
        coalesce(lead(day) OVER (ORDER BY day), DATE '9999-12-31') AS next_day
    FROM (SELECT DISTINCT day FROM roster_snapshots)
)
SELECT
    d.day,
    d.previous_day,
    d.next_day,
    s.data_set,
    s.day AS snapshot_day,
    s.snapshot_at,
    s.file_id,
    s.is_complete,
    CASE
        WHEN s.day = d.day THEN s.snapshot_at
        ELSE arrow_cast(d.day, 'Timestamp(Millisecond, Some("UTC"))')
    END AS as_of
FROM roster_snapshots AS s
INNER JOIN roster_days AS d ON d.day >= s.day AND d.day < s.next_day
