/*
id = "bulk-job-anomaly"
title = "A bulk job that is unlike this account: first use, new operation, new object or size"
family = "behaviour"
severity = "high"
status = "active"
version = 1
control = ["S0.23"]
attack = ["T1213.004", "T1485"]
description = """
One bulk job moves what other calls need hours for, so it is what thieves use who have time for one thing only. Told \
is the job of an account that ran none in the 60 days before; an operation that the account did not use in these days \
(query and queryAll are one: both read); a sensitive object that it did not touch by any API in these days, if it has \
14 active ones; and a day on which its bulk jobs read or deleted far more than the account does (`expected_activity`: \
three spreads, three times the usual, above the highest of 35 days, not the month's season). Critical for a hard \
delete, high for reading and deleting, and medium for inserts, updates and upserts, which take nothing away (the \
catalogue names no level for them). A hard delete that is new to the account needs no history; all else needs 14 \
earlier days with logs. A job counts from its first row that tells of records, or of an unknown number; one that was \
aborted or failed before it did anything is none. Version 1 jobs are added up over their batches, of version 2 jobs \
the largest state counts; trace rows of version 1 are no jobs. The size of writing jobs is not compared: the history \
keeps what is read and what is deleted. Where size is all, and the one earlier month that has logs was as high at \
this place, it counts one level lower: two make a season. Told once a day and account, on the day on which the job began; what is far \
too large, on the day on which it ended."""
false_positives = [
  "A new load job, or one that runs less often than every 60 days: declare a maintenance window of its user",
  "The first night of the bulk logs in an org whose other logs are older: every user of bulk jobs is new",
  "A month-end load in the first two months of logs (medium in the second): later it is known as a season",
]
response = [
  "Read and not known: freeze the user or revoke the app's tokens; results of a job can be fetched for 7 days",
  "Delete or hard delete: stop the account at once; records are in the recycle bin for 15 days, after a hard delete only in a backup",
  "Ask the owner for the job and its ticket; compare address, hour and app with earlier jobs",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1485/",
  "https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/asynch_api_intro.htm",
]
inputs = ["BulkApi | BulkApi2", "BulkApiRequest?", "sightings?"]
dedupe = ["user_key"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "time in which an operation or object must not have been used to be new"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with logs before anything but a hard delete is called new"

[params.min_active_days]
type = "int"
default = 14
meaning = "the account's earlier days with objects before an object is called new"

[params.min_records]
type = "int"
default = 10000
meaning = "records read by bulk jobs of a day below which their size tells nothing"

[params.min_deletes]
type = "int"
default = 200
meaning = "the same of deleted records"

[params.min_z]
type = "float"
default = 3.0
meaning = "spreads above the usual day from which it is far out"

[params.times]
type = "float"
default = 3.0
meaning = "times the usual day that it must be"

[params.over_highest]
type = "float"
default = 1.2
meaning = "times the highest day of the last 35 that it must be"

[params.sensitive]
type = "text_list"
default = ["user", "contact", "lead", "account", "case", "contract", "opportunity", "individual", "emailmessage", "attachment", "contentversion", "document", "userlogin", "loginhistory", "authsession", "oauthtoken", "permissionset", "permissionsetassignment", "setupentityaccess", "profile", "connectedapplication"]
meaning = "objects whose first bulk job is told, in lower case"
*/
WITH
states AS (
    SELECT
        2 AS generation, coalesce(job_id, concat(file_id, ':', line_no)) AS job, job_id, user_id, occurred_at, ip,
        lower(replace(trim(operation_type), '_', '')) AS verb, trim(lower(coalesce(entity_type, ''))) AS object,
        CASE WHEN records_processed >= 0 THEN records_processed END AS records, lower(replace(trim(job_status), ' ', '')) AS state,
        file_id, line_no
    FROM elf_bulk_api2
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
    UNION ALL
    SELECT
        1 AS generation, coalesce(job_id, concat(file_id, ':', line_no)) AS job, job_id, user_id, occurred_at, ip,
        lower(replace(trim(operation_type), '_', '')) AS verb, trim(lower(coalesce(entity_type, ''))) AS object,
        CASE WHEN rows_processed >= 0 THEN rows_processed END AS records,
        CASE WHEN NOT success THEN 'failed' WHEN success THEN 'complete' END AS state,
        file_id, line_no
    FROM elf_bulk_api
    WHERE occurred_at >= $window_start - INTERVAL '1 day' AND occurred_at < $window_end
      AND (operation_type IS NOT NULL OR rows_processed > 0)
),
-- When each job first did something.
begun AS (
    SELECT
        *, CAST(occurred_at AS DATE) AS day,
        max(verb) OVER job_rows AS operation, min(CAST(occurred_at AS DATE)) OVER job_rows AS seen_day,
        min(CASE
                WHEN records > 0 OR state IN ('jobcomplete', 'complete', 'completed')
                    OR (records IS NULL AND coalesce(state, '') NOT IN ('aborted', 'failed', 'deleted'))
                THEN occurred_at
            END) OVER job_rows AS began_at
    FROM states
    WHERE user_id IS NOT NULL
    WINDOW job_rows AS (PARTITION BY generation, job, user_id)
),
-- A job on one day: what it did until that day's end.
jobs AS (
    SELECT
        generation, job, user_id AS user_key, day, operation,
        max(job_id) AS job_id, max(object) AS object, min(began_at) AS began_at, min(seen_day) AS seen_day,
        CASE generation WHEN 2 THEN max(records) ELSE sum(records) END AS records,
        -- Ended with nothing done, as far as the log tells; a job that was deleted when complete was not.
        coalesce(last_value(state ORDER BY occurred_at, file_id, line_no) IN ('aborted', 'failed', 'deleted'), false)
            AND NOT coalesce(bool_or(state IN ('jobcomplete', 'complete', 'completed')), false)
            AND coalesce(max(records), 0) = 0 AS is_empty,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        min(ip) FILTER (WHERE ip IS NOT NULL) AS ip,
        coalesce(bool_or(in_window(user_id, ip, occurred_at, 'maintenance')), false) AS in_maintenance,
        first_value(file_id || ':' || line_no ORDER BY coalesce(records, 0) DESC, occurred_at, file_id, line_no) AS proof
    FROM begun
    WHERE began_at IS NOT NULL
    GROUP BY generation, job, user_id, day, operation
),
-- Of an account and day, the jobs of one operation on one object.
loads AS (
    SELECT
        user_key, day, object, operation,
        CASE
            WHEN operation IN ('query', 'queryall') THEN 'read'
            WHEN operation IN ('insert', 'update', 'upsert') THEN 'write'
            ELSE coalesce(operation, 'unknown')
        END AS kind,
        bool_or(CAST(began_at AS DATE) = day) AS begins,
        -- What a job itself left the evening before is no past.
        coalesce(min(CASE WHEN CAST(began_at AS DATE) = day THEN seen_day END), day) AS since,
        count(*) AS jobs, sum(records) AS records, count(*) FILTER (WHERE records IS NULL) AS jobs_of_unknown_size,
        min(greatest(began_at, first_at)) AS first_at, max(last_at) AS last_at,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(job_id ORDER BY first_at, job_id) FILTER (WHERE job_id IS NOT NULL), 1, 20) AS job_ids,
        array_slice(array_agg(proof ORDER BY records DESC NULLS FIRST, proof), 1, 10) AS proof
    FROM jobs
    WHERE NOT in_maintenance AND NOT is_empty
    GROUP BY user_key, day, object, operation
),
past AS (
    SELECT user_key, day, kind, CASE kind WHEN 'bulk_operation' THEN replace(value, '_', '') ELSE value END AS value
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
      AND (kind IN ('bulk_operation', 'object') OR (kind = 'event_type' AND value IN ('BulkApi', 'BulkApi2')))
      AND user_key IS NOT NULL
    GROUP BY user_key, day, kind, CASE kind WHEN 'bulk_operation' THEN replace(value, '_', '') ELSE value END
),
covered AS (
    SELECT l.day, count(*) AS covered_days
    FROM (SELECT DISTINCT day FROM loads) l
    JOIN (
        SELECT DISTINCT day
        FROM covered_days
        WHERE day >= CAST($window_start - $learn_period AS DATE) AND day < CAST($window_end AS DATE)
    ) c ON c.day < l.day AND c.day >= l.day - CAST($learn_period AS INTERVAL)
    GROUP BY l.day
),
histories AS (
    SELECT
        l.user_key, l.day, l.object, coalesce(l.operation, '') AS operation, max(c.covered_days) AS covered_days,
        count(DISTINCT CASE WHEN p.kind IN ('bulk_operation', 'event_type') THEN p.day END) AS bulk_days,
        count(DISTINCT CASE
            WHEN p.kind = 'bulk_operation' AND (p.value = l.operation
                OR (l.kind = 'read' AND p.value IN ('query', 'queryall'))) THEN p.day END) AS operation_days,
        count(DISTINCT CASE WHEN p.kind = 'object' AND p.value = l.object THEN p.day END) AS object_days,
        count(DISTINCT CASE WHEN p.kind = 'object' THEN p.day END) AS active_days
    FROM loads l
    LEFT JOIN past p ON p.user_key = l.user_key AND p.day < l.since AND p.day >= l.day - CAST($learn_period AS INTERVAL)
    LEFT JOIN covered c ON c.day = l.day
    GROUP BY l.user_key, l.day, l.object, coalesce(l.operation, '')
),
-- Days far out for what bulk jobs read (their logs name no app) or for what is deleted.
far_out AS (
    SELECT
        day, user_key, metric, max(actual) AS actual, max(expected) AS expected, max(highest_35) AS highest_35,
        bool_and(maybe_season) AS maybe_season, max(season_highest) AS season_highest
    FROM expected_activity
    WHERE ((metric = 'rows' AND app_key IS NULL AND actual >= $min_records) OR (metric = 'deletes' AND actual >= $min_deletes))
      AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
      AND history = 'enough' AND NOT in_season
      AND z >= $min_z AND actual >= $times * expected AND actual > $over_highest * coalesce(highest_35, 0)
    GROUP BY day, user_key, metric
),
judged AS (
    SELECT
        l.*, h.bulk_days, h.operation_days, h.object_days, h.active_days, f.actual, f.expected AS usual, f.highest_35,
        f.maybe_season, f.season_highest,
        l.begins AND h.bulk_days = 0 AND (coalesce(h.covered_days, 0) >= $min_covered_days OR l.kind = 'harddelete') AS first_use,
        l.begins AND h.bulk_days > 0 AND h.operation_days = 0
            AND (coalesce(h.covered_days, 0) >= $min_covered_days OR l.kind = 'harddelete') AS new_operation,
        l.begins AND h.object_days = 0 AND h.active_days >= $min_active_days AND array_has($sensitive, l.object) AS new_object,
        -- The larger part of what made the day far out.
        f.actual IS NOT NULL AND 2 * sum(l.records) OVER (
            PARTITION BY l.user_key, l.day, CASE l.kind WHEN 'harddelete' THEN 'delete' ELSE l.kind END) >= f.actual AS too_large
    FROM loads l
    JOIN histories h
      ON h.user_key = l.user_key AND h.day = l.day AND h.object = l.object AND h.operation = coalesce(l.operation, '')
    LEFT JOIN far_out f
      ON f.user_key = l.user_key AND f.day = l.day
     AND f.metric = CASE WHEN l.kind = 'read' THEN 'rows' WHEN l.kind IN ('delete', 'harddelete') THEN 'deletes' END
),
told AS (
    SELECT *
    FROM judged
    WHERE (first_use OR new_operation OR new_object OR too_large)
      AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
),
days AS (
    SELECT
        user_key, day, min(first_at) AS occurred_at, max(last_at) AS last_at, sum(jobs) AS jobs, sum(records) AS records,
        sum(jobs_of_unknown_size) AS jobs_of_unknown_size,
        max(CASE kind WHEN 'harddelete' THEN 3 WHEN 'write' THEN 1 ELSE 2 END) AS level,
        bool_or(first_use) AS first_use, bool_or(new_operation) AS new_operation, bool_or(new_object) AS new_object,
        bool_or(too_large) AS too_large, max(actual) FILTER (WHERE too_large) AS actual, max(usual) FILTER (WHERE too_large) AS usual,
        max(highest_35) FILTER (WHERE too_large) AS highest_35,
        -- Size alone, and it may be a season.
        bool_and(too_large AND maybe_season AND NOT (first_use OR new_operation OR new_object)) AS maybe_season,
        max(season_highest) FILTER (WHERE too_large) AS season_highest, max(bulk_days) AS bulk_days,
        array_slice(array_agg(printable(coalesce(operation, 'unknown operation'))
            || CASE WHEN object = '' THEN '' ELSE ' ' || printable(object) END || ': '
            || CASE WHEN records IS NULL THEN 'unknown' ELSE CAST(records AS VARCHAR) END || ' records'
            ORDER BY records DESC NULLS FIRST, coalesce(operation, ''), object), 1, 20) AS job_list,
        array_slice(array_agg(DISTINCT printable(coalesce(operation, 'unknown')) ORDER BY printable(coalesce(operation, 'unknown'))), 1, 20)
            AS operations,
        array_slice(array_agg(DISTINCT printable(object) ORDER BY printable(object)) FILTER (WHERE object <> ''), 1, 20) AS objects,
        array_slice(array_sort(array_distinct(flatten(array_agg(arrow_cast(ips, 'List(Utf8)') ORDER BY first_at, object)))), 1, 20) AS ips,
        array_slice(flatten(array_agg(arrow_cast(job_ids, 'List(Utf8)') ORDER BY first_at, object)), 1, 20) AS job_ids,
        array_slice(flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY first_at, object)), 1, 20) AS proof
    FROM told
    GROUP BY user_key, day
),
-- The only log of the Bulk API that names an app.
requests AS (
    SELECT
        user_id AS user_key, CAST(occurred_at AS DATE) AS day,
        array_slice(array_agg(DISTINCT sf_id18(connected_app_id) ORDER BY sf_id18(connected_app_id)), 1, 5) AS apps
    FROM elf_bulk_api_request
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND connected_app_id IS NOT NULL AND job_id IS NOT NULL
    GROUP BY user_id, CAST(occurred_at AS DATE)
),
named AS (
    SELECT
        d.*, q.apps,
        coalesce(known_username(d.user_key), r.username) AS username,
        coalesce(r.role, inferred_role(NULL, known_username(d.user_key), d.user_key, d.occurred_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source, r.system, r.owner
    FROM days d
    LEFT JOIN requests q ON q.user_key = d.user_key AND q.day = d.day
    LEFT JOIN registry_users r
      ON r.user_key = d.user_key AND d.occurred_at >= r.valid_from AND d.occurred_at < r.valid_to
)
SELECT
    occurred_at, user_key, sf_id18(user_key) AS user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        level + 1 - CASE WHEN maybe_season THEN 1 ELSE 0 END
          - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    jobs AS event_count,
    last_at,
    CASE
        WHEN first_use THEN 'No bulk jobs: this account ran none in the time before'
        WHEN new_operation THEN 'Bulk jobs of operations that this account knows'
        WHEN new_object THEN 'Bulk jobs on objects that this account knows'
        ELSE 'About ' || CAST(round(coalesce(usual, 0)) AS BIGINT) || ' records a day, most of the last 35 days: '
            || coalesce(highest_35, 0)
            || CASE WHEN maybe_season THEN '; at this time of the month before: ' || season_highest ELSE '' END
    END AS expected,
    array_to_string(array_slice(job_list, 1, 5), '; ') || ' in ' || jobs || CASE WHEN jobs = 1 THEN ' job' ELSE ' jobs' END
        || CASE WHEN first_use THEN ', the first of this account' ELSE '' END
        || CASE WHEN new_operation THEN ', a new operation' ELSE '' END
        || CASE WHEN new_object THEN ', a new sensitive object' ELSE '' END
        || CASE WHEN too_large THEN ', on a day of ' || actual || ' records' ELSE '' END
        || coalesce('; from ' || array_to_string(array_slice(ips, 1, 5), ', '), '') AS observed,
    role, role_source, system, owner,
    array_remove_all([
        CASE WHEN first_use THEN 'first bulk use' ELSE '' END,
        CASE WHEN new_operation THEN 'new operation' ELSE '' END,
        CASE WHEN new_object THEN 'new sensitive object' ELSE '' END,
        CASE WHEN too_large THEN 'size' ELSE '' END], '') AS reasons,
    job_list, job_ids, operations, objects, records, jobs_of_unknown_size, bulk_days, apps, ips,
    proof
FROM named
ORDER BY occurred_at, user_key
