/*
id = "timeline-of-user"
title = "Everything that one user did, in order of time"
days = 1

[params.user]
type = "text"
meaning = "username or id of the user"

[params.rows]
type = "int"
default = 500
meaning = "rows shown"
*/
SELECT occurred_at, what, detail, ip, app, login_key
FROM (
    SELECT
        occurred_at, 'login ' || outcome AS what,
        concat_ws(' ', login_path, status) AS detail,
        ip, app, login_key, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (user_key = sf_id18($user) OR lower(username) = lower($user))
    UNION ALL
    SELECT
        occurred_at, 'logout' AS what,
        coalesce(session_type, '') AS detail,
        ip, CAST(NULL AS VARCHAR) AS app, login_key, file_id, line_no
    FROM logouts
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (user_key = sf_id18($user) OR lower(username) = lower($user))
    UNION ALL
    SELECT
        occurred_at, 'call ' || coalesce(api_family, '') AS what,
        concat_ws(' ', method, resource, entity_name, CAST(rows_processed AS VARCHAR) || ' rows') AS detail,
        ip, app, login_key, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (user_key = sf_id18($user) OR lower(username) = lower($user))
    UNION ALL
    SELECT
        occurred_at, 'page ' || coalesce(event_type, '') AS what,
        coalesce(page, '') AS detail,
        ip, CAST(NULL AS VARCHAR) AS app, login_key, file_id, line_no
    FROM ui_activity
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (user_key = sf_id18($user) OR lower(username) = lower($user))
    UNION ALL
    SELECT
        occurred_at, 'job ' || coalesce(operation, '') AS what,
        concat_ws(' ', entity, job_status, CAST(records_processed AS VARCHAR) || ' records') AS detail,
        ip, CAST(NULL AS VARCHAR) AS app, CAST(NULL AS VARCHAR) AS login_key, file_id, line_no
    FROM bulk_jobs
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (user_key = sf_id18($user) OR lower(username) = lower($user))
)
ORDER BY occurred_at, what, detail, file_id, line_no
LIMIT $rows
