/*
API traffic: the free count of every call (ApiTotalUsage) and, where Event Monitoring is licensed,
the detail types beside it. One call may show in several types, so calls are counted in
ApiTotalUsage only and rows are measured in the detail types only. The columns of the subject are
those of `logins`.

event_type         which log told it
calls              1 for a row of ApiTotalUsage, else 0: sum(calls) counts calls once
api_family         REST, SOAP, BULK, APEXREST, APEXSOAP, COMPOSITE, METADATA, … in capitals
method             HTTP verb, SOAP verb or bulk/metadata operation
resource           template of the path or name of the Apex class; never an id or a query. The name of an Apex REST
                   endpoint is a digest as uri_template() makes it: /services/apexrest/{name:~…}/{id}
entity_name        object(s), as written
status_code        HTTP status; is_error is NULL where the log does not tell
rows_processed     rows of a detail type; sizes in bytes; NULL where unknown. BulkApi2 writes a row for
                   each state of a job with the count so far: sum those by `bulk_jobs` instead
app_id, app        connected app; an External Client App leaves them empty or writes 888…
client_name        the caller's own claim; client_category Salesforce's judgement
login_key          digest of the login behind it; session_key the session's; request_id as written
user_type          word or letter, as written
*/
WITH calls AS (
    SELECT
        occurred_at, user_id, user_name AS user_name, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'ApiTotalUsage' AS event_type, 1 AS calls, upper(api_family) AS api_family, http_method AS method,
        api_resource AS resource, entity_name AS entity_name, status_code AS status_code,
        status_code >= 400 AS is_error, CAST(NULL AS BIGINT) AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, connected_app_id AS app_id, connected_app_name AS app,
        client_name AS client_name, api_client_category AS client_category,
        CAST(NULL AS VARCHAR) AS login_key, CAST(NULL AS VARCHAR) AS session_key, request_id, file_id, line_no, day
    FROM elf_api_total_usage
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, user_type AS user_type, ip, ip_key, ip_kind,
        'RestApi' AS event_type, 0 AS calls, 'REST' AS api_family, method AS method,
        uri AS resource, entity_name AS entity_name, status_code AS status_code,
        status_code >= 400 AS is_error, rows_processed AS rows_processed, request_size AS request_size,
        response_size AS response_size, connected_app_id AS app_id, CAST(NULL AS VARCHAR) AS app,
        client_name AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_rest_api
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, user_type AS user_type, ip, ip_key, ip_kind,
        'API' AS event_type, 0 AS calls, 'SOAP' AS api_family, method_name AS method,
        uri AS resource, entity_name AS entity_name, CAST(NULL AS BIGINT) AS status_code,
        CASE WHEN request_status IN ('F', 'A', 'N') THEN true WHEN request_status = 'S' THEN false END AS is_error, rows_processed AS rows_processed, request_size AS request_size,
        response_size AS response_size, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app,
        client_name AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_api
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, user_type AS user_type, ip, ip_key, ip_kind,
        'ApexRestApi' AS event_type, 0 AS calls, 'APEXREST' AS api_family, method AS method,
        uri AS resource, entity_name AS entity_name, status_code AS status_code,
        status_code >= 400 AS is_error, rows_processed AS rows_processed, request_size AS request_size,
        response_size AS response_size, connected_app_id AS app_id, CAST(NULL AS VARCHAR) AS app,
        client_name AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_apex_rest_api
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, user_type AS user_type, ip, ip_key, ip_kind,
        'ApexSoap' AS event_type, 0 AS calls, 'APEXSOAP' AS api_family, method_name AS method,
        class_name AS resource, CAST(NULL AS VARCHAR) AS entity_name, CAST(NULL AS BIGINT) AS status_code,
        CASE WHEN request_status IN ('F', 'A', 'N') THEN true WHEN request_status = 'S' THEN false END AS is_error, CAST(NULL AS BIGINT) AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app,
        client_name AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_apex_soap
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'BulkApi' AS event_type, 0 AS calls, 'BULK' AS api_family, operation_type AS method,
        uri AS resource, entity_type AS entity_name, CAST(NULL AS BIGINT) AS status_code,
        NOT success AS is_error, rows_processed AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app,
        CAST(NULL AS VARCHAR) AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_bulk_api
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'BulkApi2' AS event_type, 0 AS calls, 'BULK' AS api_family, operation_type AS method,
        uri AS resource, entity_type AS entity_name, CAST(NULL AS BIGINT) AS status_code,
        job_status = 'Failed' AS is_error, records_processed AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app,
        CAST(NULL AS VARCHAR) AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_bulk_api2
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'BulkApiRequest' AS event_type, 0 AS calls, 'BULK' AS api_family, operation_type AS method,
        request_path AS resource, CAST(NULL AS VARCHAR) AS entity_name, status_code AS status_code,
        coalesce(NOT success, status_code >= 400) AS is_error, CAST(NULL AS BIGINT) AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, connected_app_id AS app_id, CAST(NULL AS VARCHAR) AS app,
        client_name AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_bulk_api_request
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'CompositeApi' AS event_type, 0 AS calls, 'COMPOSITE' AS api_family, CAST(NULL AS VARCHAR) AS method,
        uri AS resource, CAST(NULL AS VARCHAR) AS entity_name, CAST(NULL AS BIGINT) AS status_code,
        CAST(NULL AS BOOLEAN) AS is_error, CAST(NULL AS BIGINT) AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app,
        CAST(NULL AS VARCHAR) AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_composite_api
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_name, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'MetadataApiOperation' AS event_type, 0 AS calls, 'METADATA' AS api_family, operation AS method,
        uri AS resource, CAST(NULL AS VARCHAR) AS entity_name, CAST(NULL AS BIGINT) AS status_code,
        CAST(NULL AS BOOLEAN) AS is_error, CAST(NULL AS BIGINT) AS rows_processed, CAST(NULL AS BIGINT) AS request_size,
        CAST(NULL AS BIGINT) AS response_size, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS app,
        client_id AS client_name, CAST(NULL AS VARCHAR) AS client_category,
        login_key AS login_key, session_key AS session_key, request_id, file_id, line_no, day
    FROM elf_metadata_api_operation
)
SELECT
    c.occurred_at,
    coalesce(c.user_id, known_user_id(c.user_name), lower(c.user_name)) AS user_key,
    c.user_id,
    coalesce(known_username(c.user_id), lower(c.user_name), r.username) AS username,
    coalesce(r.role, inferred_role(
        c.user_type, coalesce(known_username(c.user_id), c.user_name),
        coalesce(c.user_id, known_user_id(c.user_name), lower(c.user_name)), c.occurred_at
    )) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    c.ip,
    c.ip_key,
    c.ip_kind,
    c.event_type,
    c.calls,
    c.api_family,
    c.method,
    c.resource,
    c.entity_name,
    c.status_code,
    c.is_error,
    CASE WHEN c.rows_processed >= 0 THEN c.rows_processed END AS rows_processed,
    CASE WHEN c.request_size >= 0 THEN c.request_size END AS request_size,
    CASE WHEN c.response_size >= 0 THEN c.response_size END AS response_size,
    c.app_id,
    c.app,
    c.client_name,
    c.client_category,
    c.login_key,
    c.session_key,
    c.request_id,
    c.user_type,
    c.file_id,
    c.line_no,
    c.day
FROM calls AS c
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(c.user_id, known_user_id(c.user_name), lower(c.user_name))
    AND c.occurred_at >= r.valid_from
    AND c.occurred_at < r.valid_to
