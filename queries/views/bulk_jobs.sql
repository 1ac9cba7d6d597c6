/*
One row per bulk job. Bulk API 2.0 writes a row per state with running totals, so the largest is
the total; Bulk API 1.0 writes a row per batch, so the sum is. A row without a job id is a job of
its own. The columns of the subject are those of `logins`, taken from the job's first row.

job_id             as written
operation, entity  insert, query, hardDelete, …; object
job_status         last state of a 2.0 job; NULL for 1.0
records_processed, records_failed     NULL where the log does not tell
batches            batches seen of a 1.0 job; NULL for 2.0
started_at, ended_at                  first and last row; occurred_at is started_at
*/
WITH events AS (
    SELECT
        2 AS generation, coalesce(job_id, concat(file_id, ':', line_no)) AS job, job_id,
        occurred_at, user_id, ip, ip_key, ip_kind, operation_type, entity_type, job_status,
        records_processed, records_failed, CAST(NULL AS VARCHAR) AS batch,
        file_id, line_no, day
    FROM elf_bulk_api2
    UNION ALL
    SELECT
        1 AS generation, coalesce(job_id, concat(file_id, ':', line_no)) AS job, job_id,
        occurred_at, user_id, ip, ip_key, ip_kind, operation_type, entity_type,
        CAST(NULL AS VARCHAR) AS job_status,
        rows_processed AS records_processed, number_failures AS records_failed,
        coalesce(batch_id, concat(file_id, ':', line_no)) AS batch,
        file_id, line_no, day
    FROM elf_bulk_api
),
jobs AS (
    SELECT
        generation,
        job,
        min(job_id) AS job_id,
        min(occurred_at) AS started_at,
        max(occurred_at) AS ended_at,
        user_id,
        first_value(ip ORDER BY occurred_at, file_id, line_no) AS ip,
        first_value(ip_key ORDER BY occurred_at, file_id, line_no) AS ip_key,
        first_value(ip_kind ORDER BY occurred_at, file_id, line_no) AS ip_kind,
        max(operation_type) AS operation,
        max(entity_type) AS entity,
        last_value(job_status ORDER BY occurred_at, file_id, line_no) AS job_status,
        CASE generation WHEN 2 THEN max(records_processed) ELSE sum(records_processed) END
            AS records_processed,
        CASE generation WHEN 2 THEN max(records_failed) ELSE sum(records_failed) END
            AS records_failed,
        CASE generation WHEN 1 THEN count(DISTINCT batch) END AS batches,
        first_value(file_id ORDER BY occurred_at, file_id, line_no) AS file_id,
        first_value(line_no ORDER BY occurred_at, file_id, line_no) AS line_no,
        min(day) AS day
    FROM events
    GROUP BY generation, job, user_id
)
SELECT
    j.started_at AS occurred_at,
    j.user_id AS user_key,
    j.user_id,
    coalesce(known_username(j.user_id), r.username) AS username,
    coalesce(r.role, inferred_role(NULL, known_username(j.user_id), j.user_id, j.started_at)) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    j.ip,
    j.ip_key,
    j.ip_kind,
    j.job_id,
    j.operation,
    j.entity,
    j.job_status,
    j.records_processed,
    j.records_failed,
    j.batches,
    j.started_at,
    j.ended_at,
    j.file_id,
    j.line_no,
    j.day
FROM jobs AS j
LEFT JOIN registry_users AS r
    ON r.user_key = j.user_id
    AND j.started_at >= r.valid_from
    AND j.started_at < r.valid_to
