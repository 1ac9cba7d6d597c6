-- After activity.sql: row by row. Slower, and within any limit of memory: a day whose rows differ in
-- everything cannot be summed up, but sorted.
SELECT
    CAST(occurred_at AS BIGINT) / 3600000 AS hour,
    user_key, user_id, username, user_type, source, event_type, app_id, app_name, network, country,
    agent, client, api_version, path, objects, operation,
    1 AS events,
    CAST(occurred_at AS BIGINT) AS first_ms,
    CAST(occurred_at AS BIGINT) AS last_ms,
    logins, failed_logins, calls, limit_calls, call_errors, rows_read, rows_unknown, bytes, deletes,
    hard_deletes, exports
FROM events
UNION ALL
SELECT
    CAST(occurred_at AS BIGINT) / 3600000 AS hour,
    user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username, user_type, kind AS source,
    CASE WHEN kind = 'aura_action' THEN 'AuraRequest' ELSE 'RestApi' END AS event_type, app_id,
    CAST(NULL AS VARCHAR) AS app_name, CAST(NULL AS VARCHAR) AS network, CAST(NULL AS VARCHAR) AS country,
    CAST(NULL AS VARCHAR) AS agent, CAST(NULL AS VARCHAR) AS client, CAST(NULL AS VARCHAR) AS api_version,
    split_part(shape, '=', 1) AS path, CAST(NULL AS VARCHAR) AS objects, CAST(NULL AS VARCHAR) AS operation,
    -- `Controller.method=3`: three times.
    CASE WHEN kind = 'aura_action' THEN coalesce(TRY_CAST(split_part(shape, '=', 2) AS BIGINT), 1) ELSE 1 END AS events,
    CAST(occurred_at AS BIGINT) AS first_ms,
    CAST(occurred_at AS BIGINT) AS last_ms,
    0 AS logins, 0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors, 0 AS rows_read,
    0 AS rows_unknown, 0 AS bytes, 0 AS deletes, 0 AS hard_deletes, 0 AS exports
FROM shapes
ORDER BY hour / 24, user_key
