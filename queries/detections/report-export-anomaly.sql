/*
id = "report-export-anomaly"
title = "Reports are exported by a machine, or far more of them than usual"
family = "behaviour"
severity = "medium"
status = "active"
version = 1
control = ["S0.17"]
attack = ["T1213.004"]
description = """
Reports are for people: a machine that exports one was signed in to the user interface, or its session was. Any export \
by an integration, an internal system user, a guest or a deployment user is high. A person is told (medium) who \
exported at least five on a day and three times as many as on any of the 35 days before. ReportExport leaves out \
formatted exports (XLSX), which only Report has: both are read, and an export that both tell counts once. What a \
dashboard runs is no export. Where this leaves the catalogue: a person's day is compared with the largest of the last \
35 days and not with the median, which is stricter and needs no long history; rows are told where the Report row has \
them, and are not judged. A day without exports has no file of them: any licensed log shows that they \
would be seen."""
false_positives = [
  "End of a quarter: a person exports many reports on one day",
  "A report tool that runs under an integration user: give it a user of its own",
]
response = [
  "Machine: treat the session as taken over; end it, and see integration-ui-login and integration-ui-activity for how it came in",
  "Person: ask for the reason; which reports, how many rows, and from which address",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_eventlogfile_reportexport.htm",
]
inputs = ["ReportExport | Report | RestApi | API | URI | LightningPageView", "activity_hourly?"]
dedupe = ["user_key"]
bucket = "day"

[params.floor]
type = "int"
default = 5
meaning = "exports of a person and day below which nothing is told"

[params.ratio]
type = "float"
default = 3.0
meaning = "how many times the largest day of the last 35 a person must have reached"
*/
WITH
told_by_logs AS (
    SELECT
        user_id, CAST(NULL AS VARCHAR) AS user_type, occurred_at, coalesce(request_id, file_id || ':' || line_no) AS request,
        1 AS of_exports, 0 AS of_reports, CAST(NULL AS VARCHAR) AS report_id, CAST(NULL AS BIGINT) AS rows,
        ip, file_id, line_no
    FROM elf_report_export
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    UNION ALL
    SELECT
        user_id, user_type, occurred_at, coalesce(request_id, file_id || ':' || line_no) AS request,
        0 AS of_exports, 1 AS of_reports, report_id, row_count AS rows, ip, file_id, line_no
    FROM elf_report
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      -- Printable view, Excel, CSV; Lightning tells it by the origin alone.
      AND (upper(rendering_type) IN ('P', 'X', 'C') OR lower(origin) LIKE '%reportexport%')
      AND coalesce(lower(origin), '') NOT LIKE 'dashboard%' AND coalesce(upper(display_type), '') <> 'D'
),
-- The same id on many rows of one log, which a client can bring about, makes them no fewer.
exports AS (
    SELECT
        user_id, CAST(occurred_at AS DATE) AS day, request, max(user_type) AS user_type,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        greatest(sum(of_exports), sum(of_reports)) AS exports, max(report_id) AS report_id, sum(rows) AS rows,
        min(ip) AS ip, min(file_id || ':' || line_no) AS proof
    FROM told_by_logs
    GROUP BY user_id, CAST(occurred_at AS DATE), request
),
days AS (
    SELECT
        user_id, day, max(user_type) AS user_type, min(first_at) AS first_at, max(last_at) AS last_at,
        sum(exports) AS exports, sum(rows) AS rows,
        array_slice(array_agg(DISTINCT report_id ORDER BY report_id) FILTER (WHERE report_id IS NOT NULL), 1, 20) AS reports,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof
    FROM exports
    GROUP BY user_id, day
),
past AS (
    SELECT user_key, day, sum(exports) AS exports
    FROM activity_hourly
    WHERE day >= CAST($window_start AS DATE) - INTERVAL '35 days' AND day < CAST($window_end AS DATE) AND exports > 0
    GROUP BY user_key, day
),
named AS (
    SELECT
        d.user_id, d.day, d.first_at, d.last_at, d.exports, d.rows, d.reports, d.ips, d.proof,
        coalesce(known_username(d.user_id), r.username) AS username,
        coalesce(r.role, inferred_role(d.user_type, known_username(d.user_id), d.user_id, d.first_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source, r.system, r.owner,
        coalesce(p.most, 0) AS most_in_35_days
    FROM days d
    LEFT JOIN registry_users r
      ON r.user_key = d.user_id AND d.first_at >= r.valid_from AND d.first_at < r.valid_to
    LEFT JOIN (
        SELECT d.user_id, d.day, max(p.exports) AS most
        FROM (SELECT DISTINCT user_id, day FROM exports) d
        JOIN past p ON p.user_key = d.user_id AND p.day < d.day AND p.day >= d.day - INTERVAL '35 days'
        GROUP BY d.user_id, d.day
    ) p ON p.user_id = d.user_id AND p.day = d.day
)
SELECT
    first_at AS occurred_at,
    user_id AS user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 'medium'
         WHEN role IN ('integration', 'internal_system', 'guest', 'ci') THEN 'high' ELSE 'medium' END AS severity,
    exports AS event_count,
    last_at,
    CASE WHEN role IN ('integration', 'internal_system', 'guest', 'ci') THEN 'A machine exports no reports'
         ELSE 'Fewer than ' || greatest($floor, CAST(ceil($ratio * most_in_35_days) AS BIGINT))
              || ' exports a day: at most ' || most_in_35_days || ' on any of the last 35 days' END AS expected,
    exports || CASE WHEN exports = 1 THEN ' report' ELSE ' reports' END || ' exported'
        || coalesce(', ' || rows || ' rows as far as known', '')
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '') AS observed,
    role, role_source, system, owner,
    most_in_35_days, rows, reports, ips,
    proof
FROM named
WHERE role IN ('integration', 'internal_system', 'guest', 'ci')
   OR (exports >= $floor AND exports >= $ratio * most_in_35_days)
ORDER BY occurred_at, user_key
