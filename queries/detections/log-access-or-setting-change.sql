/*
id = "log-access-or-setting-change"
title = "Somebody else reads or deletes the event logs, or changes what is logged"
family = "coverage"
severity = "critical"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1562.008", "T1070"]
description = """
The event logs are read by the few users that the registry names in `log_readers`, and nobody deletes them. \
Whoever else reads EventLogFile sees whom we watch and from where; whoever deletes it, or changes the settings of \
Event Monitoring or Transaction Security, may be about to hide. Settings are read from the Setup Audit Trail: its \
action codes are not published as a list, so every entry counts whose section or code speaks of event monitoring, \
event log files or transaction security policies. While the registry names no reader at all, a read is medium: \
the first reader of such an org is most likely its collector, and it should be declared."""
false_positives = [
  "The collector of a SIEM: name it in `log_readers` of [org] in the registry",
  "An administrator sets up Event Monitoring, with a ticket",
  "Tools that describe every object touch EventLogFile too: a describe alone is info",
]
response = [
  "Settings: ask the administrator now; set them back; note from when to when logs may be missing",
  "Delete: fetch what is left of the logs at once; take the permission Delete Event Monitoring Records away",
  "Read: find out which tool it is; take View Event Log Files away, or declare the user as a reader",
]
references = [
  "https://attack.mitre.org/techniques/T1562/008/",
  "https://attack.mitre.org/techniques/T1070/",
]
inputs = ["api_calls | setup_audit_trail"]
dedupe = ["user_key", "deed"]
bucket = "day"

[params.setting_words]
type = "text"
default = "event ?monitoring|event ?log ?(file|data|record)|eventlog|transaction ?security|txnsecurity"
meaning = "regular expression (case does not count) that marks an entry of the Setup Audit Trail by its section or action code"
*/
WITH
readers AS (
    SELECT DISTINCT user_key FROM registry_log_readers
),
calls AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        ip, app, client_name, event_type, calls, is_error, file_id, line_no,
        CASE
            WHEN upper(method) = 'DELETE' THEN 'delete'
            WHEN lower(coalesce(resource, '')) LIKE '%/describe%' THEN 'describe'
            ELSE 'read'
        END AS deed
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND (
          -- A list of objects, compared name by name: EventLogFileArchive__c is another object.
          array_has(string_to_array(regexp_replace(lower(coalesce(entity_name, '')), '[^a-z0-9_]+', ',', 'g'), ','), 'eventlogfile')
          OR lower(coalesce(resource, '')) LIKE '%/sobjects/eventlogfile'
          OR lower(coalesce(resource, '')) LIKE '%/sobjects/eventlogfile/%'
      )
),
deeds AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        ip, app, client_name, event_type, is_error, file_id, line_no, deed,
        CAST(NULL AS VARCHAR) AS setting
    FROM calls
    WHERE deed <> 'read' OR NOT EXISTS (SELECT 1 FROM readers r WHERE r.user_key = calls.user_key)
    UNION ALL
    SELECT
        a.occurred_at, a.day,
        coalesce(a.user_id, known_user_id(a.username), lower(a.username)) AS user_key,
        coalesce(a.user_id, known_user_id(a.username)) AS user_id,
        coalesce(a.username, known_username(a.user_id), r.username) AS username,
        coalesce(r.role, 'human') AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        r.system, r.owner,
        CAST(NULL AS VARCHAR) AS ip, CAST(NULL AS VARCHAR) AS app, CAST(NULL AS VARCHAR) AS client_name,
        'SetupAuditTrail' AS event_type, false AS is_error, a.file_id, a.line_no,
        'setting' AS deed,
        coalesce(printable(a.section), '') || coalesce(': ' || printable(a.action), '') AS setting
    FROM setup_audit_trail a
    LEFT JOIN registry_users r
      ON r.user_key = coalesce(a.user_id, known_user_id(a.username), lower(a.username))
     AND a.occurred_at >= r.valid_from AND a.occurred_at < r.valid_to
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND (regexp_like(coalesce(a.section, ''), $setting_words, 'i')
           OR regexp_like(coalesce(a.action, ''), $setting_words, 'i'))
),
by_day AS (
    SELECT
        user_key, deed, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS times,
        count(*) FILTER (WHERE is_error) AS refused,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_agg(DISTINCT setting ORDER BY setting) FILTER (WHERE setting IS NOT NULL) AS settings,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL AND app <> '') AS apps,
        array_agg(DISTINCT printable(client_name) ORDER BY printable(client_name))
            FILTER (WHERE client_name IS NOT NULL AND client_name <> '') AS clients,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM deeds
    GROUP BY user_key, deed, day
),
judged AS (
    SELECT d.*, (SELECT count(*) FROM readers) > 0 AS readers_declared
    FROM by_day d
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE
        WHEN deed = 'setting' THEN 'critical'
        WHEN deed = 'delete' THEN 'high'
        WHEN deed = 'describe' THEN 'info'
        -- Somebody who was refused has not seen anything.
        WHEN refused = times THEN 'medium'
        WHEN readers_declared THEN 'high'
        ELSE 'medium'
    END AS severity,
    times AS event_count,
    last_at,
    CASE deed
        WHEN 'setting' THEN 'Settings of Event Monitoring and Transaction Security stay as they are'
        WHEN 'delete' THEN 'Nobody deletes event log files'
        WHEN 'describe' THEN 'Only the declared log readers touch EventLogFile'
        ELSE CASE WHEN readers_declared THEN 'Only the log readers that the registry names read EventLogFile'
                  ELSE 'Readers of EventLogFile are named in the registry (log_readers); none is yet' END
    END AS expected,
    CASE deed
        WHEN 'setting' THEN times || CASE WHEN times = 1 THEN ' change: ' ELSE ' changes: ' END
             || coalesce(array_to_string(array_slice(settings, 1, 5), ', '), '')
        WHEN 'delete' THEN times || CASE WHEN times = 1 THEN ' delete of EventLogFile' ELSE ' deletes of EventLogFile' END
        WHEN 'describe' THEN times || CASE WHEN times = 1 THEN ' describe of EventLogFile (its columns, no logs)' ELSE ' describes of EventLogFile (its columns, no logs)' END
        ELSE times || CASE WHEN times = 1 THEN ' read of EventLogFile' ELSE ' reads of EventLogFile' END
             || CASE WHEN refused > 0 THEN ' (' || refused || ' refused)' ELSE '' END
    END
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || coalesce(', by ' || array_to_string(array_slice(coalesce(apps, clients), 1, 3), ', '), '') AS observed,
    role, role_source, system, owner,
    deed, times, refused, settings, event_types, apps, clients, ips,
    proof
FROM judged
ORDER BY occurred_at, user_key, deed
