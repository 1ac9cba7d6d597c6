/*
id = "loginas-then-export"
title = "Data was exported in a session that somebody opened as another user"
family = "attack"
severity = "medium"
status = "active"
version = 1
control = ["S0.6"]
attack = ["T1213.004", "T1078.004"]
description = """
With Login-As an administrator works as another user, and what he takes carries that user's name. Support looks at \
pages; it seldom needs a report as a file or thousands of rows by API. Told is a session with a report export, or \
with many rows in reports and API calls; high from ten thousand rows. Rows belong to the session by their login key \
and the impersonated user; exports whose log has no login key (usual for ReportExport) by user, address and time. \
The finding belongs to the day on which the session first reached the level; if it goes on after midnight it is told \
again only where it rises from medium to high. In LoginAs rows USER_ID is the impersonated user (the finding's) and \
DELEGATED_USER_ID the actor. Where this leaves the catalogue: reports that a dashboard refreshes by itself are not \
counted, nor rows that were written; a formatted export, which ReportExport does not tell, is taken from Report."""
false_positives = [
  "Support reproduces a customer's report: the ticket says so, and the rows are few",
  "The user himself exports from the same address while support is in his account, and the log has no login key",
]
response = [
  "Ask the actor which ticket it was for, and where the file is now",
  "Look at the actor's own login before it: address, client, second factor",
  "No ticket: end his sessions, take Manage Users away, and list the objects and rows taken as a disclosure",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://help.salesforce.com/s/articleView?id=sf.logging_in_as_another_user.htm",
]
# LoginAs files come on the days when somebody used it: that the UI logs come shows that one would.
inputs = ["LoginAs | ui_activity", "ReportExport | Report | RestApi | API | BulkApi | BulkApi2"]
dedupe = ["user_key", "actor_key"]
bucket = "day"

[params.rows]
type = "int"
default = 1000
meaning = "rows in reports and API calls of a session from which it counts as an export; one report export always does"

[params.high_rows]
type = "int"
default = 10000
meaning = "rows of a session from which it is high"

[params.session_limit]
type = "duration"
default = "24h"
meaning = "how long after the first LoginAs row what happens under its login key belongs to the session"

[params.keyless_reach]
type = "duration"
default = "30m"
meaning = "how long after a LoginAs row an export without a login key, of the same user and address, belongs to the session"
*/
WITH
login_as AS (
    SELECT
        a.occurred_at, a.user_id AS target_key, a.login_key, a.ip,
        coalesce(a.delegated_user_id, a.delegated_user_id_derived, n.user_id, lower(trim(a.delegated_user_name)))
            AS actor_key,
        lower(trim(a.delegated_user_name)) AS actor_name,
        a.file_id, a.line_no
    FROM elf_login_as a
    LEFT JOIN usernames n ON n.username = lower(trim(a.delegated_user_name))
    WHERE a.occurred_at >= $window_start - $session_limit AND a.occurred_at < $window_end
      AND a.user_id IS NOT NULL
),
-- One row for each address of a session; nearly always there is one.
doors AS (
    SELECT
        target_key, actor_key, login_key, ip, max(actor_name) AS actor_name,
        min(occurred_at) AS began_at, max(occurred_at) AS last_at, min(file_id || ':' || line_no) AS proof
    FROM login_as
    GROUP BY target_key, actor_key, login_key, ip
),
sessions AS (
    SELECT
        target_key, actor_key, login_key, max(actor_name) AS actor_name, min(began_at) AS began_at,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 5) AS ips, min(proof) AS proof
    FROM doors
    GROUP BY target_key, actor_key, login_key
),
-- What leaves the org, by whomever. A report tells its rows, its export only that it was.
takings AS (
    SELECT
        occurred_at, user_id, login_key, ip, coalesce(request_id, file_id || ':' || line_no) AS export,
        CAST(NULL AS BIGINT) AS rows, 'ReportExport' AS event_type, CAST(NULL AS VARCHAR) AS entity, file_id, line_no
    FROM elf_report_export
    WHERE occurred_at >= $window_start - $session_limit AND occurred_at < $window_end
    UNION ALL
    SELECT
        occurred_at, user_id, login_key, ip,
        CASE WHEN origin = 'ReportExported' OR upper(rendering_type) IN ('X', 'C', 'P') THEN coalesce(request_id, file_id || ':' || line_no) END
            AS export,
        row_count AS rows, 'Report' AS event_type, CAST(NULL AS VARCHAR) AS entity, file_id, line_no
    FROM elf_report
    WHERE occurred_at >= $window_start - $session_limit AND occurred_at < $window_end
      AND coalesce(origin, '') NOT LIKE 'Dashboard%' AND coalesce(upper(display_type), '') <> 'D'
    UNION ALL
    SELECT
        occurred_at, user_id, login_key, ip, CAST(NULL AS VARCHAR) AS export,
        rows_processed AS rows, event_type, entity_name AS entity, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start - $session_limit AND occurred_at < $window_end
      AND event_type NOT IN ('ApiTotalUsage', 'BulkApi2')
      AND rows_processed > 0
      AND lower(coalesce(method, '')) NOT IN (
          'insert', 'create', 'update', 'upsert', 'delete', 'harddelete', 'undelete', 'merge', 'patch', 'put')
    UNION ALL
    -- A job of Bulk API 2.0 writes its count so far in each row.
    SELECT
        min(occurred_at) AS occurred_at, user_id, login_key, min(ip) AS ip, CAST(NULL AS VARCHAR) AS export,
        max(records_processed) AS rows, 'BulkApi2' AS event_type, max(entity_type) AS entity,
        min(file_id) AS file_id, min(line_no) AS line_no
    FROM elf_bulk_api2
    WHERE occurred_at >= $window_start - $session_limit AND occurred_at < $window_end
      AND records_processed > 0 AND coalesce(operation_type, 'query') ILIKE 'query%'
    GROUP BY user_id, login_key, day, coalesce(job_id, file_id || ':' || line_no)
),
taken AS (
    SELECT
        s.target_key, s.actor_key, s.login_key, false AS by_address,
        t.occurred_at, t.export, t.rows, t.event_type, t.entity, t.file_id, t.line_no
    FROM takings t
    JOIN sessions s ON s.login_key = t.login_key AND s.target_key = t.user_id
    WHERE t.occurred_at >= s.began_at AND t.occurred_at < s.began_at + CAST($session_limit AS INTERVAL)
    UNION ALL
    SELECT
        d.target_key, d.actor_key, d.login_key, true AS by_address,
        t.occurred_at, t.export, t.rows, t.event_type, t.entity, t.file_id, t.line_no
    FROM takings t
    JOIN doors d ON d.target_key = t.user_id AND d.ip = t.ip
    WHERE t.login_key IS NULL AND t.event_type IN ('ReportExport', 'Report')
      AND t.occurred_at >= d.began_at AND t.occurred_at < d.last_at + CAST($keyless_reach AS INTERVAL)
),
by_day AS (
    SELECT
        target_key, actor_key, login_key, CAST(occurred_at AS DATE) AS day,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(DISTINCT export) AS exports, coalesce(sum(rows) FILTER (WHERE rows > 0), 0) AS rows_read,
        bool_or(by_address) AS by_address,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_slice(array_agg(DISTINCT printable(entity) ORDER BY printable(entity)) FILTER (WHERE entity IS NOT NULL), 1, 20)
            AS entities,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 19) AS proof
    FROM taken
    GROUP BY target_key, actor_key, login_key, CAST(occurred_at AS DATE)
),
-- The level that a session has reached on a day, and the one that was told before.
levels AS (
    SELECT
        *,
        CASE WHEN rows_so_far >= $high_rows THEN 2 WHEN exports_so_far > 0 OR rows_so_far >= $rows THEN 1 ELSE 0 END AS level,
        CASE WHEN rows_so_far - rows_read >= $high_rows THEN 2
             WHEN exports_so_far - exports > 0 OR rows_so_far - rows_read >= $rows THEN 1 ELSE 0 END AS told_level
    FROM (
        SELECT
            *,
            sum(rows_read) OVER so_far AS rows_so_far, sum(exports) OVER so_far AS exports_so_far
        FROM by_day
        WINDOW so_far AS (PARTITION BY target_key, actor_key, login_key ORDER BY day)
    ) c
),
told AS (
    SELECT
        l.target_key, l.actor_key, l.day,
        max(s.actor_name) AS actor_name, min(s.began_at) AS session_began_at, count(*) AS sessions,
        min(l.first_at) AS first_at, max(l.last_at) AS last_at, sum(l.events) AS events,
        max(l.level) AS level, sum(l.exports_so_far) AS exports, sum(l.rows_so_far) AS rows_read,
        bool_or(l.by_address) AS by_address,
        array_distinct(flatten(array_agg(arrow_cast(l.event_types, 'List(Utf8)') ORDER BY l.first_at, l.login_key))) AS event_types,
        array_slice(array_distinct(flatten(array_agg(arrow_cast(l.entities, 'List(Utf8)') ORDER BY l.first_at, l.login_key))), 1, 20) AS entities,
        array_slice(array_distinct(flatten(array_agg(arrow_cast(s.ips, 'List(Utf8)') ORDER BY l.first_at, l.login_key))), 1, 20) AS ips,
        array_slice(flatten(array_agg(arrow_cast(array_concat([s.proof], l.proof), 'List(Utf8)') ORDER BY l.first_at, l.login_key)), 1, 20) AS proof
    FROM levels l
    JOIN sessions s
      ON s.target_key = l.target_key AND (s.actor_key IS NOT DISTINCT FROM l.actor_key)
     AND (s.login_key IS NOT DISTINCT FROM l.login_key)
    WHERE l.level > l.told_level
      AND l.first_at >= $window_start AND l.first_at < $window_end
    GROUP BY l.target_key, l.actor_key, l.day
),
named AS (
    SELECT
        t.*, r.system, r.owner,
        coalesce(known_username(t.target_key), r.username) AS username,
        coalesce(r.role, inferred_role(NULL, known_username(t.target_key), t.target_key, t.first_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        coalesce(a.role, inferred_role(NULL, known_username(t.actor_key), t.actor_key, t.first_at)) AS actor_role
    FROM told t
    LEFT JOIN registry_users r
      ON r.user_key = t.target_key AND t.first_at >= r.valid_from AND t.first_at < r.valid_to
    LEFT JOIN registry_users a
      ON a.user_key = t.actor_key AND t.first_at >= a.valid_from AND t.first_at < a.valid_to
)
SELECT
    first_at AS occurred_at,
    target_key AS user_key, target_key AS user_id, username,
    CASE WHEN level = 2 THEN 'high' ELSE 'medium' END AS severity,
    events AS event_count,
    last_at,
    'Who logs in as another user looks at pages and takes no data along' AS expected,
    coalesce(printable(actor_name), printable(actor_key), 'An unnamed actor')
        || ' as ' || coalesce(printable(username), target_key) || ': '
        || exports || CASE WHEN exports = 1 THEN ' report export, ' ELSE ' report exports, ' END
        || rows_read || ' rows in reports and API calls'
        || coalesce(', from ' || array_to_string(ips, ', '), '')
        || coalesce(', objects: ' || array_to_string(nullif(array_slice(entities, 1, 5), []), ', '), '')
        || CASE WHEN by_address THEN '; matched by address and time, for the log has no login key' ELSE '' END
        || CASE WHEN session_began_at < date_trunc('day', first_at) THEN '; the session began the day before' ELSE '' END
        AS observed,
    role, role_source, system, owner,
    actor_key, printable(actor_name) AS actor_name, actor_role,
    sessions, session_began_at, exports, rows_read, event_types, entities, ips,
    CASE WHEN by_address THEN 'inferred' ELSE 'observed' END AS confidence,
    proof
FROM named
ORDER BY occurred_at, user_key, actor_key
