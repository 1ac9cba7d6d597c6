/*
id = "large-bulk-jobs"
title = "Bulk jobs by records, with operation and object"
days = 30

[params.user]
type = "text"
default = ""
meaning = "username or id of one user; empty: all"

[params.rows]
type = "int"
default = 100
meaning = "rows shown"
*/
SELECT
    started_at, ended_at, username, role, operation, entity, job_status, records_processed, records_failed, batches, ip, job_id
FROM bulk_jobs
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND ($user = '' OR user_key = sf_id18($user) OR lower(username) = lower($user))
ORDER BY records_processed DESC NULLS LAST, started_at, job_id
LIMIT $rows
