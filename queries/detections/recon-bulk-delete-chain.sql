/*
id = "recon-bulk-delete-chain"
title = "Stock-taking, then an export, then the job is deleted"
family = "attack"
severity = "critical"
status = "active"
version = 1
control = ["S1.11", "S4.8"]
attack = ["T1526", "T1213.004", "T1567", "T1070"]
description = """
The published thefts by stolen tokens took days: first a look around (list of objects, COUNT(), Organization, users \
by last login, limits), then one large export, then the job was deleted. Told is a user with two kinds of such signs \
in the seven days before an export (a bulk query job, or ten thousand rows from one address), if the export of a \
machine went to a new address, or if the bulk job was deleted or aborted within half an hour, whoever did it and from \
wherever. Evidence must be in this order. A sign counts only where it is none of the user's habits: classes of \
queries and Organization by the sightings of the last weeks, paths (list of objects, description, limits) by the day \
before; three objects that the user never touched are a sign, too. New is an address outside the declared networks, \
or, where none are declared, a network that the user did not use before the first sign. The finding belongs to the \
day on which the chain is complete, and is told once. Where this leaves the catalogue: paths are looked back at for \
one day and not for seven (no roll-up holds them); people change their address every day, so for them the job must \
be deleted; clients that always delete their jobs are learned as in rapid-job-deletion."""
false_positives = [
  "A new system in its first days that looks around, exports and cleans up: ask its owner",
]
response = [
  "Revoke all tokens of the app for this user now, freeze the user, and look for the same addresses with other users",
  "The records of the jobs below have left the org: object and count are for the report of the breach",
  "Search the exported objects for secrets (keys, passwords in case texts) and rotate them: that is what these thieves look for",
  "Keep the logs: deleting a job does not delete them",
]
references = [
  "https://attack.mitre.org/techniques/T1526/",
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1567/",
  "https://attack.mitre.org/techniques/T1070/",
]
inputs = ["BulkApi2 | RestApi | API", "sightings"]
dedupe = ["user_key"]
bucket = "day"

[params.span]
type = "duration"
default = "7d"
meaning = "how long before the export a sign of stock-taking belongs to it"

[params.min_kinds]
type = "int"
default = 2
meaning = "kinds of signs from which it is stock-taking"

[params.min_new_objects]
type = "int"
default = 3
meaning = "objects that the user never touched before, from which they are a sign"

[params.min_rows]
type = "int"
default = 10000
meaning = "rows of a day read from one address from which calls are an export; a bulk query job always is"

[params.soon]
type = "duration"
default = "30m"
meaning = "time after completion in which a deletion belongs to the chain"

[params.habit_period]
type = "duration"
default = "30d"
meaning = "how far back before that habits are looked at, and the share of jobs that the user deletes"

[params.habit_days]
type = "int"
default = 3
meaning = "earlier days from which a class of queries is a habit"

[params.known_period]
type = "duration"
default = "14d"
meaning = "how long a user must be known before an object or a network can be new to it"

[params.learn_jobs]
type = "int"
default = 20
meaning = "jobs in the habit period before deleting them can be a habit"

[params.learn_share]
type = "float"
default = 0.9
meaning = "share of its jobs that a client which cleans up deletes"
*/
WITH
jobs AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY user_key) >= $learn_jobs
            AND count(gone_at) OVER (PARTITION BY user_key) >= $learn_share * count(*) OVER (PARTITION BY user_key)
            AND max(CAST(began_at AS DATE)) OVER (PARTITION BY user_key)
                >= min(CAST(began_at AS DATE)) OVER (PARTITION BY user_key) + INTERVAL '2 days' AS cleans_up
    FROM (
        SELECT
            job_id, min(user_id) AS user_key, min(occurred_at) AS began_at,
            min(occurred_at) FILTER (WHERE state IN ('jobcomplete', 'complete', 'completed')) AS complete_at,
            max(occurred_at) FILTER (WHERE state IN ('deleted', 'aborted')) AS gone_at,
            max(records_processed) FILTER (WHERE records_processed >= 0) AS records,
            max(lower(operation_type)) AS operation, max(entity_type) AS entity,
            first_value(ip ORDER BY CASE WHEN ip IS NULL THEN 1 ELSE 0 END, occurred_at, line_no) AS ip,
            array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at DESC, file_id, line_no), 1, 3) AS proof
        FROM (SELECT *, lower(replace(trim(job_status), ' ', '')) AS state FROM elf_bulk_api2) b
        WHERE occurred_at >= $window_start - $habit_period AND occurred_at < $window_end
          AND job_id IS NOT NULL AND user_id IS NOT NULL
        GROUP BY job_id
    ) j
),
-- What was taken: the job, or the rows of a day from one address.
exports AS (
    SELECT
        user_key, complete_at AS taken_at, ip, records, job_id || ' ' || coalesce(printable(entity), '') AS what,
        CASE WHEN gone_at >= complete_at AND gone_at <= complete_at + CAST($soon AS INTERVAL) AND NOT cleans_up THEN gone_at END
            AS gone_at,
        proof
    FROM jobs
    WHERE complete_at >= $window_start - $soon AND complete_at < $window_end
      AND coalesce(operation, 'query') LIKE 'query%'
    UNION ALL
    SELECT
        user_key, max(occurred_at) AS taken_at, ip, sum(rows_processed) AS records, 'queries' AS what,
        CAST(NULL AS TIMESTAMP) AS gone_at,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY rows_processed DESC, occurred_at, file_id, line_no), 1, 3) AS proof
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND event_type NOT IN ('ApiTotalUsage', 'BulkApi2') AND rows_processed > 0 AND user_key IS NOT NULL
      AND lower(coalesce(method, '')) NOT IN (
          'insert', 'create', 'update', 'upsert', 'delete', 'harddelete', 'undelete', 'merge', 'patch', 'put')
    GROUP BY user_key, ip, day
    HAVING sum(rows_processed) >= $min_rows
),
-- What the user showed on each day of the span and of the weeks before.
shown AS (
    SELECT
        user_key, kind, value, day, first_at,
        row_number() OVER (PARTITION BY user_key, kind, value ORDER BY day) - 1 AS earlier_days,
        min(day) OVER (PARTITION BY user_key) AS known_since
    FROM (
        SELECT user_key, kind, value, day, min(first_at) AS first_at
        FROM sightings
        WHERE day >= CAST($window_start - $span - $habit_period AS DATE) AND day < CAST($window_end AS DATE)
          AND kind IN ('query_class', 'object')
          AND user_key IN (SELECT user_key FROM exports)
        GROUP BY user_key, kind, value, day
    ) d
),
-- Paths of the last days; a client that asks every day is left out.
paths AS (
    SELECT user_key, sign, day, first_at, lag(day) OVER (PARTITION BY user_key, sign ORDER BY day) AS day_before
    FROM (
        SELECT user_key, sign, day, min(occurred_at) AS first_at
        FROM (
            SELECT
                user_key, occurred_at, day,
                CASE
                    WHEN regexp_like(lower(resource), '/limits(/.*)?$') THEN 'limits'
                    WHEN (regexp_like(lower(resource), '/sobjects/?$') AND upper(coalesce(method, '')) IN ('GET', 'HEAD', ''))
                         OR lower(resource) LIKE '%describeglobal%'
                         OR replace(lower(coalesce(method, '')), '_', '') = 'describeglobal' THEN 'list of all objects'
                    WHEN lower(resource) LIKE '%/describe%' OR lower(coalesce(method, '')) LIKE 'describe%' THEN 'description'
                END AS sign
            FROM api_calls
            WHERE occurred_at >= $window_start - INTERVAL '2 days' AND occurred_at < $window_end
              AND (resource ILIKE '%sobjects%' OR resource ILIKE '%limits%' OR resource ILIKE '%describe%' OR method ILIKE 'describe%')
        ) p
        WHERE sign IS NOT NULL
        GROUP BY user_key, sign, day
    ) d
),
signs AS (
    SELECT
        user_key, first_at,
        CASE value WHEN 'count' THEN 'COUNT()' WHEN 'users_by_last_login' THEN 'users by last login'
             WHEN 'organization' THEN 'Organization' ELSE 'FIELDS()' END AS sign,
        CAST(NULL AS VARCHAR) AS object, false AS is_path
    FROM shown
    WHERE earlier_days < $habit_days
      AND ((kind = 'query_class' AND value IN ('count', 'users_by_last_login', 'fields_all', 'fields_standard'))
           OR (kind = 'object' AND value = 'organization'))
    UNION ALL
    SELECT user_key, first_at, 'new objects' AS sign, value AS object, false AS is_path
    FROM shown
    WHERE kind = 'object' AND earlier_days = 0 AND known_since <= day - CAST($known_period AS INTERVAL)
    UNION ALL
    SELECT user_key, first_at, sign, CAST(NULL AS VARCHAR) AS object, true AS is_path
    FROM paths
    WHERE day_before IS NULL OR day_before < day - INTERVAL '1 day'
),
chains AS (
    SELECT
        user_key, taken_at, ip, what,
        max(records) AS records, max(gone_at) AS gone_at, first_value(proof ORDER BY what) AS proof,
        min(sign_at) AS signs_since, max(sign_at) AS last_sign_at,
        count(DISTINCT sign) AS kind_count,
        array_agg(DISTINCT sign ORDER BY sign) AS signs
    FROM (
        SELECT
            e.*, s.sign, s.first_at AS sign_at,
            count(s.object) OVER (PARTITION BY e.user_key, e.taken_at, e.ip, e.what) AS new_objects
        FROM exports e
        JOIN signs s
          ON s.user_key = e.user_key AND s.first_at < e.taken_at AND s.first_at >= e.taken_at - CAST($span AS INTERVAL)
         AND (NOT s.is_path OR CAST(s.first_at AS DATE) >= CAST(e.taken_at AS DATE) - INTERVAL '1 day')
    ) c
    WHERE sign <> 'new objects' OR new_objects >= $min_new_objects
    GROUP BY user_key, taken_at, ip, what
    HAVING count(DISTINCT sign) >= $min_kinds
),
networks AS (
    SELECT user_key, value AS network, min(day) AS first_day, min(min(day)) OVER (PARTITION BY user_key) AS known_since
    FROM sightings
    WHERE day >= CAST($window_start - $span - $habit_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'network'
      AND user_key IN (SELECT user_key FROM exports)
    GROUP BY user_key, value
),
judged AS (
    SELECT
        c.*,
        in_networks(c.user_key, c.ip, c.taken_at) IS FALSE
            OR (in_networks(c.user_key, c.ip, c.taken_at) IS NULL
                AND n.first_day >= CAST(c.signs_since AS DATE)
                AND n.known_since <= CAST(c.signs_since AS DATE) - CAST($known_period AS INTERVAL)) AS new_address,
        coalesce(r.role, inferred_role(NULL, known_username(c.user_key), c.user_key, c.taken_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        coalesce(known_username(c.user_key), r.username) AS username, r.system, r.owner
    FROM chains c
    LEFT JOIN networks n ON n.user_key = c.user_key AND n.network = network_of(c.ip)
    LEFT JOIN registry_users r
      ON r.user_key = c.user_key AND c.taken_at >= r.valid_from AND c.taken_at < r.valid_to
),
complete AS (
    SELECT
        *,
        CASE WHEN coalesce(new_address, false) AND role IN ('integration', 'internal_system', 'ci') THEN taken_at ELSE gone_at END
            AS complete_at
    FROM judged
),
by_day AS (
    SELECT
        user_key, CAST(complete_at AS DATE) AS day,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(complete_at) AS first_at, max(greatest(complete_at, coalesce(gone_at, complete_at))) AS last_at, count(*) AS exports,
        min(signs_since) AS signs_since, min(taken_at) AS exported_at, min(gone_at) AS deleted_at,
        count(gone_at) AS jobs_deleted, sum(records) AS records,
        min(CAST(date_part('epoch', gone_at) - date_part('epoch', taken_at) AS BIGINT)) AS seconds_to_delete,
        bool_or(coalesce(new_address, false)) AS new_address,
        array_distinct(flatten(array_agg(arrow_cast(signs, 'List(Utf8)') ORDER BY taken_at, what))) AS signs,
        array_slice(array_agg(what ORDER BY taken_at, what), 1, 20) AS what,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY taken_at, what)), 1, 20) AS proof
    FROM complete
    WHERE complete_at >= $window_start AND complete_at < $window_end
    GROUP BY user_key, CAST(complete_at AS DATE)
)
SELECT
    first_at AS occurred_at,
    user_key, sf_id18(user_key) AS user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 'high' ELSE 'critical' END AS severity,
    exports AS event_count,
    last_at,
    'Who exports knows what he wants: no look around the org in the days before, and the job stays' AS expected,
    'Since ' || to_char(signs_since, '%m-%d %H:%M') || ' ' || array_to_string(signs, ', ')
        || '; ' || to_char(exported_at, '%m-%d %H:%M:%S') || ' ' || exports || CASE WHEN exports = 1 THEN ' export' ELSE ' exports' END
        || coalesce(' of ' || records || ' rows', ' of unknown size')
        || coalesce(' from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || CASE WHEN new_address THEN ' (new for this user)' ELSE '' END
        || coalesce('; job deleted ' || seconds_to_delete || ' s later', '') AS observed,
    role, role_source, system, owner,
    signs, signs_since, exported_at, deleted_at, seconds_to_delete, jobs_deleted, records, new_address, what, ips,
    proof
FROM by_day
ORDER BY occurred_at, user_key
