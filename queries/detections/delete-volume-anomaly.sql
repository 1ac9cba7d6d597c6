/*
id = "delete-volume-anomaly"
title = "An account deletes far more records than ever, or beyond the recycle bin"
family = "behaviour"
severity = "high"
status = "active"
version = 1
control = ["S0.23"]
attack = ["T1485"]
description = """
Who may modify all data may delete it, too. Told is an account that deleted at least 200 records on a day and three \
times as many as on any of the 35 days before (high), and any hard delete, which leaves nothing in the recycle bin \
(critical). Deletes of all APIs count: bulk jobs by their records, REST DELETE, SOAP delete. A DELETE of a bulk job is \
none (rapid-job-deletion). Accounts whose work it is, as for retention, are named in `retention_users`. Where this \
leaves the catalogue: the day is compared with the largest of the last 35 and not with the median, which is stricter \
and needs no long history; and the registry does not know who may hard-delete, so that is a setting of the rule."""
false_positives = [
  "A retention or clean-up job: name its account in `retention_users`, or declare a maintenance window",
]
response = [
  "Stop the account at once (freeze, revoke its tokens): deleting goes on as long as it lives",
  "Deleted records are in the recycle bin for 15 days and can be restored; after a hard delete only from a backup",
  "Find out what was read before: deletes follow thefts",
]
references = [
  "https://attack.mitre.org/techniques/T1485/",
  "https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/asynch_api_bulk_delete.htm",
]
inputs = ["activity_hourly", "RestApi | API | BulkApi | BulkApi2"]
dedupe = ["user_key"]
bucket = "day"

[params.floor]
type = "int"
default = 200
meaning = "deleted records of a day below which nothing but a hard delete is told"

[params.ratio]
type = "float"
default = 3.0
meaning = "how many times the largest day of the last 35 must have been reached"

[params.retention_users]
type = "text_list"
default = []
meaning = "user names, in lower case, whose work it is to delete, hard or not"
*/
WITH
days AS (
    SELECT
        user_key, day, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner, min(hour) AS first_hour, max(hour) AS last_hour,
        sum(deletes) AS deletes, sum(hard_deletes) AS hard_deletes
    FROM activity_hourly
    WHERE day >= CAST($window_start AS DATE) - INTERVAL '35 days' AND day < CAST($window_end AS DATE) + INTERVAL '1 day'
      AND deletes > 0 AND user_key IS NOT NULL
      AND in_window(user_key, CAST(NULL AS VARCHAR), hour, 'maintenance') IS NOT TRUE
    GROUP BY user_key, day
),
told AS (
    SELECT *
    FROM (
        SELECT *, coalesce(max(deletes) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '35 days' PRECEDING AND INTERVAL '1 day' PRECEDING), 0) AS most_in_35_days
        FROM days
    ) d
    WHERE day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
      AND (hard_deletes > 0 OR (deletes >= $floor AND deletes >= $ratio * most_in_35_days))
      AND array_has($retention_users, coalesce(username, '')) IS NOT TRUE
),
rows_of AS (
    SELECT
        user_key, CAST(occurred_at AS DATE) AS day, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        array_slice(array_agg(DISTINCT printable(entity_name) ORDER BY printable(entity_name)) FILTER (WHERE entity_name IS NOT NULL), 1, 20)
            AS objects,
        array_slice(array_agg(DISTINCT event_type ORDER BY event_type), 1, 20) AS logs,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at DESC, file_id, line_no), 1, 20) AS proof
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND event_type IN ('RestApi', 'API', 'BulkApi', 'BulkApi2')
      AND lower(replace(method, '_', '')) IN ('delete', 'harddelete')
      AND coalesce(resource, '') NOT LIKE CASE event_type WHEN 'RestApi' THEN '%/jobs/%' ELSE '-' END
    GROUP BY user_key, CAST(occurred_at AS DATE)
)
SELECT
    coalesce(r.first_at, t.first_hour) AS occurred_at,
    t.user_key, sf_id18(t.user_key) AS user_id, t.username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['medium', 'high', 'critical'][
        CASE WHEN t.hard_deletes > 0 THEN 3 ELSE 2 END
        - CASE WHEN t.role = 'integration' AND t.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    t.deletes AS event_count,
    coalesce(r.last_at, t.last_hour) AS last_at,
    CASE WHEN t.hard_deletes > 0 THEN 'Nobody but the accounts in `retention_users` deletes beyond the recycle bin'
         ELSE 'Fewer than ' || greatest($floor, CAST(ceil($ratio * t.most_in_35_days) AS BIGINT))
              || ' deleted records a day: at most ' || t.most_in_35_days || ' on any of the last 35 days' END AS expected,
    t.deletes || ' records deleted'
        || CASE WHEN t.hard_deletes > 0 THEN ', ' || t.hard_deletes || ' of them beyond the recycle bin' ELSE '' END
        || coalesce(': ' || array_to_string(array_slice(r.objects, 1, 5), ', '), '')
        || coalesce(', from ' || array_to_string(array_slice(r.ips, 1, 5), ', '), '') AS observed,
    t.role, t.role_source, t.system, t.owner,
    t.hard_deletes, t.most_in_35_days, r.objects, r.logs, r.ips,
    r.proof
FROM told t
LEFT JOIN rows_of r ON r.user_key = t.user_key AND r.day = t.day
ORDER BY occurred_at, user_key
