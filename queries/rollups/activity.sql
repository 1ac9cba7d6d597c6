/*
What the accounts did between $from and $to, in one form: `rollup_sightings` and `rollup_activity` are
made from it, account by account. Each row of a log belongs to one branch, and counts there what it is.
This is the beginning of two queries: activity_summed.sql adds up what does not differ in anything that
the rollups tell apart, activity_rows.sql leaves the rows as they are.

hour               whole hours since 1970
user_key           user id, else the username in lower case; NULL where the log names nobody
source             login | api: the row is a sighting of what it shows; NULL: it only counts;
                   query_class | aura_action: it is a sighting of the one value in `path`, and counts
                   nowhere
agent, client      user agent; name that the caller gave itself
path               the login's door; or, of a REST call, its template (the version is in it)
first_ms, last_ms  of the rows summed up here, in milliseconds since 1970
*/
WITH events AS (
    SELECT
        occurred_at, user_key, user_id, username, user_type,
        CASE WHEN outcome = 'success' THEN 'login' END AS source, 'Login' AS event_type,
        CAST(NULL AS VARCHAR) AS app_id, app AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, country, browser AS agent,
        CAST(NULL AS VARCHAR) AS client, api_version, login_path AS path, CAST(NULL AS VARCHAR) AS objects,
        CAST(NULL AS VARCHAR) AS operation, CASE WHEN outcome = 'success' THEN 1 ELSE 0 END AS logins,
        CASE WHEN outcome = 'failure' THEN 1 ELSE 0 END AS failed_logins, 0 AS calls, 0 AS limit_calls,
        0 AS call_errors, 0 AS rows_read, 0 AS rows_unknown, 0 AS bytes, 0 AS deletes, 0 AS hard_deletes,
        0 AS exports
    FROM rollup_logins
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, coalesce(user_id, lower(trim(user_name))) AS user_key, user_id,
        lower(trim(user_name)) AS username, CAST(NULL AS VARCHAR) AS user_type, 'api' AS source,
        'ApiTotalUsage' AS event_type, connected_app_id AS app_id, connected_app_name AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_name AS client, api_version, CAST(NULL AS VARCHAR) AS path,
        entity_name AS objects, CAST(NULL AS VARCHAR) AS operation, 0 AS logins, 0 AS failed_logins, 1 AS calls,
        CASE WHEN counts_against_api_limit THEN 1 ELSE 0 END AS limit_calls,
        CASE WHEN status_code >= 400 THEN 1 ELSE 0 END AS call_errors, 0 AS rows_read, 0 AS rows_unknown,
        0 AS bytes, 0 AS deletes, 0 AS hard_deletes, 0 AS exports
    FROM elf_api_total_usage
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username, user_type, 'api' AS source,
        'RestApi' AS event_type, connected_app_id AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_name AS client, CAST(NULL AS VARCHAR) AS api_version, uri AS path,
        entity_name AS objects, CAST(NULL AS VARCHAR) AS operation, 0 AS logins, 0 AS failed_logins, 0 AS calls,
        0 AS limit_calls, 0 AS call_errors,
        CASE WHEN is_write THEN 0 ELSE greatest(coalesce(rows_processed, 0), 0) END AS rows_read,
        CASE WHEN NOT is_write AND coalesce(rows_processed, -1) < 0 THEN 1 ELSE 0 END AS rows_unknown,
        greatest(coalesce(response_size, 0), 0) AS bytes,
        -- A DELETE under /jobs/ takes a job away, not records.
        CASE WHEN upper(method) = 'DELETE' AND uri NOT LIKE '%/jobs/%' AND coalesce(status_code, 0) < 400
             THEN greatest(coalesce(rows_processed, 1), 1) ELSE 0 END AS deletes,
        0 AS hard_deletes, 0 AS exports
    FROM (
        SELECT *,
            coalesce(upper(method) IN ('DELETE', 'PATCH', 'PUT')
                     OR (upper(method) = 'POST' AND uri LIKE '%/sobjects%'), false) AS is_write
        FROM elf_rest_api
    ) AS rest
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username, user_type, 'api' AS source,
        'API' AS event_type, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_name AS client, api_version, CAST(NULL AS VARCHAR) AS path,
        entity_name AS objects, CAST(NULL AS VARCHAR) AS operation, 0 AS logins, 0 AS failed_logins, 0 AS calls,
        0 AS limit_calls, 0 AS call_errors,
        CASE WHEN is_write THEN 0 ELSE greatest(coalesce(rows_processed, 0), 0) END AS rows_read,
        CASE WHEN NOT is_write AND coalesce(rows_processed, -1) < 0 THEN 1 ELSE 0 END AS rows_unknown,
        greatest(coalesce(response_size, 0), 0) AS bytes,
        CASE WHEN verb = 'delete' AND coalesce(request_status, 'S') = 'S'
             THEN greatest(coalesce(rows_processed, 1), 1) ELSE 0 END AS deletes,
        0 AS hard_deletes, 0 AS exports
    FROM (
        SELECT *,
            coalesce(verb IN ('create', 'update', 'upsert', 'delete', 'undelete', 'merge', 'emptyrecyclebin',
                              'convertlead'), false) AS is_write
        FROM (SELECT *, lower(replace(method_name, '_', '')) AS verb FROM elf_api) AS named
    ) AS soap
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username, user_type, 'api' AS source,
        'ApexRestApi' AS event_type, connected_app_id AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_name AS client, CAST(NULL AS VARCHAR) AS api_version,
        CAST(NULL AS VARCHAR) AS path, entity_name AS objects, CAST(NULL AS VARCHAR) AS operation, 0 AS logins,
        0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors,
        greatest(coalesce(rows_processed, 0), 0) AS rows_read,
        CASE WHEN coalesce(rows_processed, -1) < 0 THEN 1 ELSE 0 END AS rows_unknown,
        greatest(coalesce(response_size, 0), 0) AS bytes, 0 AS deletes, 0 AS hard_deletes, 0 AS exports
    FROM elf_apex_rest_api
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username, user_type, 'api' AS source,
        'ApexSoap' AS event_type, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_name AS client, CAST(NULL AS VARCHAR) AS api_version,
        CAST(NULL AS VARCHAR) AS path, CAST(NULL AS VARCHAR) AS objects, CAST(NULL AS VARCHAR) AS operation,
        0 AS logins, 0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors, 0 AS rows_read,
        0 AS rows_unknown, 0 AS bytes, 0 AS deletes, 0 AS hard_deletes, 0 AS exports
    FROM elf_apex_soap
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    -- A row per batch: they add up.
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username,
        CAST(NULL AS VARCHAR) AS user_type, 'api' AS source, 'BulkApi' AS event_type,
        CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, CAST(NULL AS VARCHAR) AS client, CAST(NULL AS VARCHAR) AS api_version,
        CAST(NULL AS VARCHAR) AS path, entity_type AS objects, operation_type AS operation, 0 AS logins,
        0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors,
        CASE WHEN verb IN ('insert', 'update', 'upsert', 'delete', 'harddelete') THEN 0
             ELSE greatest(coalesce(rows_processed, 0), 0) END AS rows_read,
        CASE WHEN coalesce(rows_processed, -1) < 0
              AND coalesce(verb, '') NOT IN ('insert', 'update', 'upsert', 'delete', 'harddelete')
             THEN 1 ELSE 0 END AS rows_unknown,
        0 AS bytes,
        CASE WHEN verb IN ('delete', 'harddelete') THEN greatest(coalesce(rows_processed, 0), 0) ELSE 0 END AS deletes,
        CASE WHEN verb = 'harddelete' THEN greatest(coalesce(rows_processed, 0), 0) ELSE 0 END AS hard_deletes,
        0 AS exports
    FROM (SELECT *, lower(replace(operation_type, '_', '')) AS verb FROM elf_bulk_api) AS bulk
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    -- A row per state with the count so far: the last state of a job counts, in its hour. A job
    -- that goes on next day counts there.
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username,
        CAST(NULL AS VARCHAR) AS user_type, 'api' AS source, 'BulkApi2' AS event_type,
        CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, CAST(NULL AS VARCHAR) AS client, CAST(NULL AS VARCHAR) AS api_version,
        CAST(NULL AS VARCHAR) AS path, entity_type AS objects, operation_type AS operation, 0 AS logins,
        0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors,
        CASE WHEN is_last AND coalesce(verb, '') NOT IN ('insert', 'update', 'upsert', 'delete', 'harddelete')
             THEN greatest(coalesce(records, 0), 0) ELSE 0 END AS rows_read,
        CASE WHEN is_last AND coalesce(records, -1) < 0
              AND coalesce(verb, '') NOT IN ('insert', 'update', 'upsert', 'delete', 'harddelete')
             THEN 1 ELSE 0 END AS rows_unknown,
        0 AS bytes,
        CASE WHEN is_last AND verb IN ('delete', 'harddelete') THEN greatest(coalesce(records, 0), 0) ELSE 0 END AS deletes,
        CASE WHEN is_last AND verb = 'harddelete' THEN greatest(coalesce(records, 0), 0) ELSE 0 END AS hard_deletes,
        0 AS exports
    FROM (
        SELECT *, turn = 1 AND coalesce(next_day > day + 1, true) AS is_last
        FROM (
            SELECT
                occurred_at, day, user_id, ip, ip_kind, entity_type, operation_type,
                max(lower(replace(operation_type, '_', ''))) OVER today AS verb,
                max(records_processed) OVER today AS records,
                row_number() OVER (
                    PARTITION BY job, user_id, day ORDER BY occurred_at DESC, file_id DESC, line_no DESC
                ) AS turn,
                lead(day) OVER (PARTITION BY job, user_id ORDER BY occurred_at, file_id, line_no) AS next_day
            FROM (
                SELECT *, coalesce(job_id, concat(file_id, ':', line_no)) AS job
                FROM elf_bulk_api2
                WHERE occurred_at >= $from AND occurred_at < $to + INTERVAL '1 day'
            ) AS states
            WINDOW today AS (PARTITION BY job, user_id, day)
        ) AS turns
    ) AS jobs
    WHERE occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username,
        CAST(NULL AS VARCHAR) AS user_type, 'api' AS source, 'BulkApiRequest' AS event_type,
        connected_app_id AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_name AS client, api_version, CAST(NULL AS VARCHAR) AS path,
        CAST(NULL AS VARCHAR) AS objects, operation_type AS operation, 0 AS logins, 0 AS failed_logins,
        0 AS calls, 0 AS limit_calls, 0 AS call_errors, 0 AS rows_read, 0 AS rows_unknown, 0 AS bytes,
        0 AS deletes, 0 AS hard_deletes, 0 AS exports
    FROM elf_bulk_api_request
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username,
        CAST(NULL AS VARCHAR) AS user_type, 'api' AS source, 'CompositeApi' AS event_type,
        CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, CAST(NULL AS VARCHAR) AS client, CAST(NULL AS VARCHAR) AS api_version,
        uri AS path, CAST(NULL AS VARCHAR) AS objects, CAST(NULL AS VARCHAR) AS operation, 0 AS logins,
        0 AS failed_logins, 0 AS calls, 0 AS limit_calls, 0 AS call_errors, 0 AS rows_read, 0 AS rows_unknown,
        0 AS bytes, 0 AS deletes, 0 AS hard_deletes, 0 AS exports
    FROM elf_composite_api
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username,
        CAST(NULL AS VARCHAR) AS user_type, 'api' AS source, 'MetadataApiOperation' AS event_type,
        CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network, CAST(NULL AS VARCHAR) AS country,
        CAST(NULL AS VARCHAR) AS agent, client_id AS client, api_version, CAST(NULL AS VARCHAR) AS path,
        CAST(NULL AS VARCHAR) AS objects, CAST(NULL AS VARCHAR) AS operation, 0 AS logins, 0 AS failed_logins,
        0 AS calls, 0 AS limit_calls, 0 AS call_errors, 0 AS rows_read, 0 AS rows_unknown, 0 AS bytes,
        0 AS deletes, 0 AS hard_deletes, 0 AS exports
    FROM elf_metadata_api_operation
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    -- One export may be told by both logs under one REQUEST_ID; the same id on many rows of one
    -- log, which a client can bring about, makes them no fewer.
    SELECT
        min(occurred_at) AS occurred_at, user_id AS user_key, user_id, CAST(NULL AS VARCHAR) AS username,
        max(user_type) AS user_type, CAST(NULL AS VARCHAR) AS source, 'ReportExport' AS event_type,
        CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app_name, CAST(NULL AS VARCHAR) AS network,
        CAST(NULL AS VARCHAR) AS country, CAST(NULL AS VARCHAR) AS agent, CAST(NULL AS VARCHAR) AS client,
        CAST(NULL AS VARCHAR) AS api_version, CAST(NULL AS VARCHAR) AS path, CAST(NULL AS VARCHAR) AS objects,
        CAST(NULL AS VARCHAR) AS operation, 0 AS logins, 0 AS failed_logins, 0 AS calls, 0 AS limit_calls,
        0 AS call_errors, 0 AS rows_read, 0 AS rows_unknown, 0 AS bytes, 0 AS deletes, 0 AS hard_deletes,
        greatest(sum(of_exports), sum(of_reports)) AS exports
    FROM (
        SELECT
            occurred_at, day, user_id, CAST(NULL AS VARCHAR) AS user_type,
            coalesce(request_id, concat(file_id, ':', line_no)) AS request, 1 AS of_exports, 0 AS of_reports
        FROM elf_report_export
        WHERE occurred_at >= $from AND occurred_at < $to
        UNION ALL
        SELECT
            occurred_at, day, user_id, user_type,
            coalesce(request_id, concat(file_id, ':', line_no)) AS request, 0 AS of_exports, 1 AS of_reports
        FROM elf_report
        WHERE occurred_at >= $from AND occurred_at < $to
          -- Printable view, Excel, CSV; Lightning tells it by the origin alone.
          AND (upper(rendering_type) IN ('P', 'X', 'C') OR lower(origin) LIKE '%reportexport%')
    ) AS told
    GROUP BY user_id, day, request
),
-- What ingest made of texts that are not kept. A user with pages of their own shows hundreds of
-- actions a day, which nobody compares with anything: guests only.
shapes AS (
    SELECT
        occurred_at, user_id, user_type, app_id, 'query_class' AS kind,
        unnest(string_to_array(query_classes, ';')) AS shape
    FROM (
        SELECT occurred_at, user_id, user_type, connected_app_id AS app_id, query_classes
        FROM elf_rest_api
        UNION ALL
        SELECT occurred_at, user_id, user_type, connected_app_id AS app_id, query_classes
        FROM elf_apex_rest_api
        UNION ALL
        SELECT
            occurred_at, user_id, user_type, CAST(NULL AS VARCHAR) AS app_id, query_classes
        FROM elf_api
        UNION ALL
        SELECT
            occurred_at, user_id, user_type, CAST(NULL AS VARCHAR) AS app_id, query_classes
        FROM elf_apex_soap
        UNION ALL
        SELECT
            occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_type, CAST(NULL AS VARCHAR) AS app_id,
            query_classes
        FROM elf_unique_query
    ) AS queried
    WHERE occurred_at >= $from AND occurred_at < $to AND query_classes IS NOT NULL
    UNION ALL
    SELECT
        occurred_at, user_id, user_type, CAST(NULL AS VARCHAR) AS app_id, 'aura_action' AS kind,
        unnest(string_to_array(actions, ';')) AS shape
    FROM elf_aura_request
    WHERE occurred_at >= $from AND occurred_at < $to AND actions IS NOT NULL
      AND coalesce(upper(user_type), 'GUEST') IN ('GUEST', 'G')
)
