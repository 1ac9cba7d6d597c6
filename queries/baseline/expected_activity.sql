/*
What the table `expected_activity` is made from: the activity of each day from $first to $last. The
table itself has one row per covered day and series of the days asked about: in a detection those of
its window, in `orgwatch sql` the last 35.

day                UTC day that is judged
user_key, app_key  whose series; app_key is NULL where the log tells no app, and of the metrics that
                   count per user
metric             calls, rows, bytes per user and app; deletes, exports, logins per user
actual             what was seen
expected           what the days of the reference have in their middle
centre, scale, z   the same as ln(1 + x): median, 1.4826 times the median deviation (0.20 to 0.50), and how
                   many scales lie between
highest_35         most of the last 35 covered days before
reference          same weekday (the last eight, if six of them are covered) | last 28 days | active days (of
                   the last 56: of a series that is active on few days and not by weekday)
reference_days, reference_first, reference_last     how many days, from when to when
covered_days, active_days           of the last 56; of deletes and exports the days active are the account's
history            enough (14 covered and 10 active days) | cold start
held_out           days with an open attack or behaviour finding of the account, left out of the reference;
                   let_in those beyond a fifth of the days, which count all the same
in_season          the same place in two or three earlier months (a day to either side) was as high
maybe_season       it was in the one earlier month of which there are logs: no season yet, but less of a surprise
season_highest     most of those days
unusual            z >= 3, three times expected, above 1.2 times highest_35, not in season, enough history.
                   How much is much at all is for the rule to say
*/
SELECT
    h.day,
    coalesce(h.user_id, known_user_id(h.user_key), h.user_key) AS user_key,
    coalesce(h.app_id, a.app_id, h.app_name) AS app_key,
    sum(h.calls) AS calls,
    sum(h.rows_read) AS rows_read,
    sum(h.bytes) AS bytes,
    sum(h.deletes) AS deletes,
    sum(h.exports) AS exports,
    sum(h.logins) AS logins
FROM rollup_activity AS h
LEFT JOIN app_ids AS a
    ON a.name_key = h.app_name
WHERE h.day >= $first AND h.day <= $last AND h.user_key IS NOT NULL
GROUP BY
    h.day,
    coalesce(h.user_id, known_user_id(h.user_key), h.user_key),
    coalesce(h.app_id, a.app_id, h.app_name)
