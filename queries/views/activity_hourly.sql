/*
What each account did, hour by hour: one row per hour, account and app. No row: it did nothing. It
outlives the raw rows. All counts are whole numbers, 0 where nothing is told.

hour               beginning of the hour (UTC); day its day (give it plain bounds)
user_key … owner   the subject, as in `logins`; user_key is NULL where the logs name nobody
app_id, app_name, app_key           as in `sightings`; NULL of rows that tell no app, as bulk jobs
logins             successful; failed_logins failed (challenges are neither)
calls              rows of ApiTotalUsage, of which limit_calls count against the API limit and
                   call_errors have a status of 400 or above
rows_read          rows that the detail logs say were read; what a call is known to write is no reading.
                   A job of Bulk API 2.0 counts once, with its total, in the hour of its last state; one
                   of Bulk API 1.0 batch by batch
rows_unknown       reading events of the detail logs that do not say how many rows
bytes              response sizes of the detail logs
deletes            records deleted, of which hard_deletes beyond the recycle bin
exports            reports exported, of ReportExport and of Report, each once
networks           distinct /24 or /48 around public addresses
objects            distinct objects
*/
SELECT
    h.occurred_at AS hour,
    h.day,
    coalesce(h.user_id, known_user_id(h.user_key), h.user_key) AS user_key,
    coalesce(h.user_id, known_user_id(h.user_key)) AS user_id,
    coalesce(known_username(coalesce(h.user_id, known_user_id(h.user_key))), h.username, r.username) AS username,
    coalesce(r.role, inferred_role(
        h.user_type, coalesce(known_username(coalesce(h.user_id, known_user_id(h.user_key))), h.username),
        coalesce(h.user_id, known_user_id(h.user_key), h.user_key), h.last_at
    )) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    h.app_id,
    h.app_name,
    coalesce(h.app_id, a.app_id, h.app_name) AS app_key,
    h.logins,
    h.failed_logins,
    h.calls,
    h.limit_calls,
    h.call_errors,
    h.rows_read,
    h.rows_unknown,
    h.bytes,
    h.deletes,
    h.hard_deletes,
    h.exports,
    h.networks,
    h.objects
FROM rollup_activity AS h
LEFT JOIN app_ids AS a
    ON a.name_key = h.app_name
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(h.user_id, known_user_id(h.user_key), h.user_key)
    AND h.last_at >= r.valid_from
    AND h.last_at < r.valid_to
