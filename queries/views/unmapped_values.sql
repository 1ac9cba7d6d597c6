/*
Coded fields whose value the catalogue does not know: one row per event and field. Nobody hides
behind an odd value. The columns of the subject are those of `logins`.

source_table       the view that has the row
field              which coded field
value              as written (show it through printable())
outcome            of the login; NULL where the row is no login
*/
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'login_type' AS field, login_type AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('login_type', login_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'login_type' AS field, lh_login_type AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('login_type', lh_login_type) AND lh_login_type IS DISTINCT FROM login_type
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'login_sub_type' AS field, login_sub_type AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('login_sub_type', login_sub_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'login_sub_type' AS field, lh_login_sub_type AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('login_sub_type', lh_login_sub_type) AND lh_login_sub_type IS DISTINCT FROM login_sub_type
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'login_status' AS field, status AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('login_status', status)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'user_type' AS field, user_type AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('user_type', user_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'api_type' AS field, api_type AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('api_type', api_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logins' AS source_table, 'tls_protocol' AS field, tls_protocol AS value, outcome AS outcome,
    file_id, line_no, day
FROM logins
WHERE NOT known_code('tls_protocol', tls_protocol)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logouts' AS source_table, 'session_type' AS field, session_type_raw AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM logouts
WHERE NOT known_code('session_type', session_type_raw)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'logouts' AS source_table, 'user_type' AS field, user_type AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM logouts
WHERE NOT known_code('user_type', user_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'api_calls' AS source_table, 'api_family' AS field, api_family AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM api_calls
WHERE NOT known_code('api_family', api_family) AND event_type = 'ApiTotalUsage'
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'api_calls' AS source_table, 'user_type' AS field, user_type AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM api_calls
WHERE NOT known_code('user_type', user_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'ui_activity' AS source_table, 'user_type' AS field, user_type AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM ui_activity
WHERE NOT known_code('user_type', user_type)
UNION ALL
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'bulk_jobs' AS source_table, 'job_status' AS field, job_status AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM bulk_jobs
WHERE NOT known_code('job_status', job_status)
UNION ALL
-- Scores run from 0 to 1: another number is another scale.
SELECT
    occurred_at, user_key, user_id, username, role, role_source, system, owner, ip, ip_key, ip_kind,
    'threat_events' AS source_table, 'score' AS field, CAST(score AS VARCHAR) AS value, CAST(NULL AS VARCHAR) AS outcome,
    file_id, line_no, day
FROM threat_events
WHERE score < 0 OR score > 1
