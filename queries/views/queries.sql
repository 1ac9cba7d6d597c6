/*
SOQL and SOSL queries and searches: what they read and what kind of query they were, never their
text. One row per row of a log that tells a query. The columns of the subject are those of `logins`.

event_type         API, RestApi, ApexRestApi, ApexSoap, UniqueQuery (the org's own list of distinct
                   queries, with values replaced), Search (typed into a search box)
query_object       the object read first; NULL where it is none that is known
query_shape        keyed digest of the query without its values: equal queries have equal ones
query_classes      what the query was about, joined by `;`, sorted; NULL: none of these.
                   How it is built: count, fields_all, fields_standard, users_by_last_login,
                   small_limit. What its literals look for: aws_key, private_key (one is enough to
                   worry), password_word, secret_word, snowflake_word, vpn_sso_word (weaker signs).
                   array_has(string_to_array(query_classes, ';'), 'aws_key') asks for one
app_id, app        connected app; no log that tells a query tells the app's name: app is NULL, and
                   `login_key_apps` knows it for many a login_key
client_name        the caller's own claim
rows_processed     rows, or hits of a search; NULL where unknown
login_key          digest of the login behind it; session_key the session's
*/
WITH told AS (
    SELECT
        occurred_at, user_id, user_type, ip, ip_key, ip_kind, 'RestApi' AS event_type, query_object, query_shape,
        query_classes, connected_app_id AS app_id, client_name, rows_processed, login_key, session_key, request_id,
        file_id, line_no, day
    FROM elf_rest_api
    UNION ALL
    SELECT
        occurred_at, user_id, user_type, ip, ip_key, ip_kind, 'API' AS event_type, query_object, query_shape,
        query_classes, CAST(NULL AS VARCHAR) AS app_id, client_name, rows_processed, login_key, session_key, request_id,
        file_id, line_no, day
    FROM elf_api
    UNION ALL
    SELECT
        occurred_at, user_id, user_type, ip, ip_key, ip_kind, 'ApexRestApi' AS event_type, query_object, query_shape,
        query_classes, connected_app_id AS app_id, client_name, rows_processed, login_key, session_key, request_id,
        file_id, line_no, day
    FROM elf_apex_rest_api
    UNION ALL
    SELECT
        occurred_at, user_id, user_type, ip, ip_key, ip_kind, 'ApexSoap' AS event_type, query_object, query_shape,
        query_classes, CAST(NULL AS VARCHAR) AS app_id, client_name, CAST(NULL AS BIGINT) AS rows_processed,
        login_key, session_key, request_id, file_id, line_no, day
    FROM elf_apex_soap
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_type, CAST(NULL AS VARCHAR) AS ip,
        ip_key(CAST(NULL AS VARCHAR)) AS ip_key, 'missing' AS ip_kind, 'UniqueQuery' AS event_type, query_object,
        query_shape, query_classes, CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS client_name,
        CAST(NULL AS BIGINT) AS rows_processed, login_key, session_key, request_id, file_id, line_no, day
    FROM elf_unique_query
    UNION ALL
    SELECT
        occurred_at, user_id, CAST(NULL AS VARCHAR) AS user_type, CAST(NULL AS VARCHAR) AS ip,
        ip_key(CAST(NULL AS VARCHAR)) AS ip_key, 'missing' AS ip_kind, 'Search' AS event_type,
        CAST(NULL AS VARCHAR) AS query_object, CAST(NULL AS VARCHAR) AS query_shape, query_classes,
        CAST(NULL AS VARCHAR) AS app_id, CAST(NULL AS VARCHAR) AS client_name, num_results AS rows_processed,
        CAST(NULL AS VARCHAR) AS login_key, CAST(NULL AS VARCHAR) AS session_key, request_id, file_id, line_no, day
    FROM elf_search
)
SELECT
    q.occurred_at,
    q.user_id AS user_key,
    q.user_id,
    coalesce(known_username(q.user_id), r.username) AS username,
    coalesce(r.role, inferred_role(q.user_type, known_username(q.user_id), q.user_id, q.occurred_at)) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    q.ip,
    q.ip_key,
    q.ip_kind,
    q.event_type,
    q.query_object,
    q.query_shape,
    q.query_classes,
    q.app_id,
    CAST(NULL AS VARCHAR) AS app,
    q.client_name,
    CASE WHEN q.rows_processed >= 0 THEN q.rows_processed END AS rows_processed,
    q.login_key,
    q.session_key,
    q.request_id,
    q.file_id,
    q.line_no,
    q.day
FROM told AS q
LEFT JOIN registry_users AS r
    ON r.user_key = q.user_id
    AND q.occurred_at >= r.valid_from
    AND q.occurred_at < r.valid_to
WHERE q.query_shape IS NOT NULL OR q.query_classes IS NOT NULL OR q.event_type = 'Search'
