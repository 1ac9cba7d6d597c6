/*
id = "rapid-job-deletion"
title = "A bulk job was deleted or aborted right after it was complete"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1070", "T1567"]
description = """
Thieves of tokens exported with Bulk API 2.0 and deleted the job seconds after it was complete (24 seconds in one \
published timeline): the job list of the org then shows nothing. The log keeps every state of a job. A finding is a \
job that was deleted or aborted within minutes of its completion and had many records; a job whose size the log does \
not tell counts as large, one level lower. Clients that always clean up after themselves are learned: they delete \
nearly all of their jobs, and have done so on more than one night. The finding belongs to the day of the deletion. \
Where this leaves the catalogue: the rows of a job name no client, so the habit is the user's (the app is told, \
through BulkApiRequest or the login behind the key); and a habit must be older than one night, or a thief who deletes \
twenty jobs would teach it himself."""
false_positives = [
  "A new client that cleans up after each job, on its first nights: learned after twenty jobs on three days",
]
response = [
  "Ask the owner whether his system deletes its jobs; from which address was this one?",
  "If not his: revoke the app's tokens for this user, freeze it, and keep the logs of the last days",
  "The records of these jobs have left the org: object and count below are for the report of the breach",
]
references = [
  "https://attack.mitre.org/techniques/T1070/",
  "https://attack.mitre.org/techniques/T1567/",
  "https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/query_delete_job.htm",
]
inputs = ["BulkApi2", "BulkApiRequest?", "logins?"]
dedupe = ["user_key"]
bucket = "day"

[params.soon]
type = "duration"
default = "300s"
meaning = "time after completion in which a deletion is rapid"

[params.min_records]
type = "int"
default = 1000
meaning = "records of a job from which its deletion matters"

[params.learn_period]
type = "duration"
default = "30d"
meaning = "how far back a user's jobs tell whether it always cleans up"

[params.learn_jobs]
type = "int"
default = 20
meaning = "jobs in that time before a habit can be seen"

[params.learn_span]
type = "duration"
default = "2d"
meaning = "shortest time between the first and the last day of a habit"

[params.learn_share]
type = "float"
default = 0.9
meaning = "share of its jobs that a client which cleans up deletes"
*/
WITH
-- The log has a row for each state of a job. All of the learning period: it is a small log.
jobs AS (
    SELECT
        job_id,
        min(occurred_at) AS began_at,
        min(occurred_at) FILTER (WHERE state IN ('jobcomplete', 'complete', 'completed')) AS complete_at,
        min(occurred_at) FILTER (WHERE state IN ('deleted', 'aborted')) AS first_gone_at,
        max(occurred_at) FILTER (WHERE state IN ('deleted', 'aborted')) AS last_gone_at,
        first_value(state ORDER BY CASE WHEN state IN ('deleted', 'aborted') THEN 0 ELSE 1 END, occurred_at, file_id, line_no)
            AS end_state,
        -- Who deleted it; of a job that lives, who made it.
        first_value(user_id ORDER BY CASE WHEN state IN ('deleted', 'aborted') THEN 0 ELSE 1 END, occurred_at, file_id, line_no)
            AS user_id,
        max(records_processed) FILTER (WHERE records_processed >= 0) AS records,
        max(operation_type) AS operation, max(entity_type) AS entity,
        max(login_key) AS login_key,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at DESC, file_id, line_no), 1, 3) AS proof
    FROM (SELECT *, lower(replace(trim(job_status), ' ', '')) AS state FROM elf_bulk_api2) b
    WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
      AND job_id IS NOT NULL
    GROUP BY job_id
),
habits AS (
    SELECT
        *,
        -- An abort before the job was complete is none after it.
        CASE WHEN first_gone_at >= complete_at THEN first_gone_at ELSE last_gone_at END AS gone_at,
        count(*) OVER (PARTITION BY user_id) AS jobs_seen,
        count(first_gone_at) OVER (PARTITION BY user_id) AS jobs_deleted,
        max(CAST(began_at AS DATE)) OVER (PARTITION BY user_id) AS last_job_day,
        min(CAST(began_at AS DATE)) OVER (PARTITION BY user_id) AS first_job_day
    FROM jobs
),
rapid AS (
    SELECT
        *,
        CAST(gone_at AS DATE) AS day,
        CAST(date_part('epoch', gone_at) - date_part('epoch', complete_at) AS BIGINT) AS seconds,
        records IS NULL AS size_unknown
    FROM habits
    WHERE gone_at >= $window_start AND gone_at < $window_end
      AND gone_at >= complete_at AND gone_at <= complete_at + CAST($soon AS INTERVAL)
      AND coalesce(records >= $min_records, true)
      AND NOT (jobs_seen >= $learn_jobs AND jobs_deleted >= $learn_share * jobs_seen
               AND last_job_day >= first_job_day + CAST($learn_span AS INTERVAL))
),
-- The only log of the Bulk API that names an app.
requests AS (
    SELECT job_id, max(connected_app_id) AS app_id
    FROM elf_bulk_api_request
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
      AND job_id IS NOT NULL AND connected_app_id IS NOT NULL
    GROUP BY job_id
),
key_apps AS (
    SELECT login_key, max(app) AS app
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '2 days' AND occurred_at < $window_end
      AND login_key IS NOT NULL AND app IS NOT NULL AND outcome = 'success'
    GROUP BY login_key
),
named AS (
    SELECT
        j.*,
        coalesce(k.app, o.name, q.app_id) AS app,
        coalesce(r.role, inferred_role(NULL, known_username(j.user_id), j.user_id, j.gone_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        coalesce(known_username(j.user_id), r.username) AS username, r.system, r.owner
    FROM rapid j
    LEFT JOIN requests q ON q.job_id = j.job_id
    LEFT JOIN key_apps k ON k.login_key = j.login_key
    LEFT JOIN (SELECT id, max(name) AS name FROM registry_org_apps WHERE id IS NOT NULL GROUP BY id) o
      ON o.id = sf_id18(q.app_id)
    LEFT JOIN registry_users r
      ON r.user_key = j.user_id AND j.gone_at >= r.valid_from AND j.gone_at < r.valid_to
),
by_day AS (
    SELECT
        user_id, day,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner,
        min(gone_at) AS first_at, max(gone_at) AS last_at, count(*) AS jobs,
        min(seconds) AS fastest_seconds, sum(records) AS records, max(records) AS largest,
        count(*) FILTER (WHERE size_unknown) AS jobs_of_unknown_size,
        max(jobs_seen) AS jobs_seen, max(jobs_deleted) AS jobs_deleted,
        array_slice(array_agg(
            job_id || ' ' || coalesce(printable(operation), '') || ' ' || coalesce(printable(entity), '')
                || ': ' || coalesce(CAST(records AS VARCHAR), 'unknown') || ' records, ' || end_state || ' after '
                || seconds || ' s'
            ORDER BY gone_at, job_id), 1, 20) AS job_list,
        array_slice(array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL), 1, 20) AS apps,
        array_slice(array_agg(DISTINCT printable(entity) ORDER BY printable(entity)) FILTER (WHERE entity IS NOT NULL), 1, 20)
            AS entities,
        array_slice(array_distinct(flatten(array_agg(arrow_cast(ips, 'List(Utf8)') ORDER BY gone_at, job_id))), 1, 20) AS ips,
        array_slice(flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY gone_at, job_id)), 1, 20) AS proof
    FROM named
    GROUP BY user_id, day
)
SELECT
    first_at AS occurred_at,
    user_id AS user_key, user_id, username,
    -- Unknown size counts one level lower, and so does an account that is only inferred to be an integration.
    ['low', 'medium', 'high'][
        3 - CASE WHEN jobs_of_unknown_size = jobs THEN 1 ELSE 0 END
          - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    jobs AS event_count,
    last_at,
    'A bulk job stays in the list after it is complete, for this user: it deleted ' || jobs_deleted || ' of '
        || jobs_seen || ' jobs, these included' AS expected,
    jobs || CASE WHEN jobs = 1 THEN ' job' ELSE ' jobs' END || ' deleted or aborted right after completion'
        || coalesce(' by way of ' || array_to_string(array_slice(apps, 1, 3), ', '), '')
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || ': ' || array_to_string(array_slice(job_list, 1, 3), '; ') AS observed,
    role, role_source, system, owner,
    fastest_seconds, records, largest, jobs_of_unknown_size,
    CASE WHEN jobs_of_unknown_size = jobs THEN 'unknown-size' ELSE 'observed' END AS confidence,
    job_list, entities, apps, ips, jobs_seen, jobs_deleted,
    proof
FROM by_day
ORDER BY occurred_at, user_key
