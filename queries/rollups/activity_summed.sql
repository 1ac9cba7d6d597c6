-- After activity.sql: one row per day, account, hour and all that the rollups tell apart.
SELECT
    CAST(occurred_at AS BIGINT) / 3600000 AS hour,
    user_key, user_id, username, user_type, source, event_type, app_id, app_name, network, country,
    agent, client, api_version, path, objects, operation,
    count(*) AS events,
    min(CAST(occurred_at AS BIGINT)) AS first_ms,
    max(CAST(occurred_at AS BIGINT)) AS last_ms,
    sum(logins) AS logins,
    sum(failed_logins) AS failed_logins,
    sum(calls) AS calls,
    sum(limit_calls) AS limit_calls,
    sum(call_errors) AS call_errors,
    sum(rows_read) AS rows_read,
    sum(rows_unknown) AS rows_unknown,
    sum(bytes) AS bytes,
    sum(deletes) AS deletes,
    sum(hard_deletes) AS hard_deletes,
    sum(exports) AS exports
FROM events
GROUP BY
    CAST(occurred_at AS BIGINT) / 3600000,
    user_key, user_id, username, user_type, source, event_type, app_id, app_name, network, country,
    agent, client, api_version, path, objects, operation
UNION ALL
SELECT
    CAST(occurred_at AS BIGINT) / 3600000 AS hour,
    user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username, user_type, kind AS source,
    CASE WHEN kind = 'aura_action' THEN 'AuraRequest' ELSE 'RestApi' END AS event_type, app_id,
    CAST(NULL AS VARCHAR) AS app_name, CAST(NULL AS VARCHAR) AS network, CAST(NULL AS VARCHAR) AS country,
    CAST(NULL AS VARCHAR) AS agent, CAST(NULL AS VARCHAR) AS client, CAST(NULL AS VARCHAR) AS api_version,
    split_part(shape, '=', 1) AS path, CAST(NULL AS VARCHAR) AS objects, CAST(NULL AS VARCHAR) AS operation,
    -- `Controller.method=3`: three times.
    sum(CASE WHEN kind = 'aura_action' THEN coalesce(TRY_CAST(split_part(shape, '=', 2) AS BIGINT), 1) ELSE 1 END) AS events,
    min(CAST(occurred_at AS BIGINT)) AS first_ms,
    max(CAST(occurred_at AS BIGINT)) AS last_ms,
    0 AS logins, 0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors, 0 AS rows_read,
    0 AS rows_unknown, 0 AS bytes, 0 AS deletes, 0 AS hard_deletes, 0 AS exports
FROM shapes
GROUP BY CAST(occurred_at AS BIGINT) / 3600000, user_id, user_type, kind, app_id, split_part(shape, '=', 1)
ORDER BY hour / 24, user_key
