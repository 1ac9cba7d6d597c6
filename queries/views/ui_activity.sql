/*
Traces of the user interface: pages, Lightning requests, reports. Everything that the logs hold is
here, also what a rule will want to leave out (service paths in URI, scheduled reports, guest
pages, login-as sessions). The columns of the subject are those of `logins`.

event_type         URI, LightningPageView, AuraRequest, VisualforceRequest, Report, ReportExport
page               template of the page's path, or the page's type; never an id
ua_family          kind of client: browser, curl, java, python, …, other, missing; user_agent its own words
origin             how a report was run
login_key          digest of the login behind it; session_key the session's
user_type          word or letter, as written
*/
WITH pages AS (
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, 'URI' AS event_type, uri AS page,
        CAST(NULL AS VARCHAR) AS user_agent, CAST(NULL AS VARCHAR) AS origin, login_key, session_key, user_type AS user_type,
        file_id, line_no, day
    FROM elf_uri
    UNION ALL
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, 'LightningPageView' AS event_type, coalesce(page_url, page_entity_type, page_context, app_name) AS page,
        user_agent AS user_agent, CAST(NULL AS VARCHAR) AS origin, login_key, session_key, user_type AS user_type,
        file_id, line_no, day
    FROM elf_lightning_page_view
    UNION ALL
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, 'AuraRequest' AS event_type, uri AS page,
        user_agent AS user_agent, CAST(NULL AS VARCHAR) AS origin, login_key, session_key, user_type AS user_type,
        file_id, line_no, day
    FROM elf_aura_request
    UNION ALL
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, 'VisualforceRequest' AS event_type, coalesce(uri, page_name) AS page,
        user_agent AS user_agent, CAST(NULL AS VARCHAR) AS origin, login_key, session_key, user_type AS user_type,
        file_id, line_no, day
    FROM elf_visualforce_request
    UNION ALL
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, 'Report' AS event_type, uri AS page,
        CAST(NULL AS VARCHAR) AS user_agent, origin AS origin, login_key, session_key, user_type AS user_type,
        file_id, line_no, day
    FROM elf_report
    UNION ALL
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, 'ReportExport' AS event_type, uri AS page,
        client_info AS user_agent, CAST(NULL AS VARCHAR) AS origin, login_key, session_key, CAST(NULL AS VARCHAR) AS user_type,
        file_id, line_no, day
    FROM elf_report_export
)
SELECT
    p.occurred_at,
    p.user_id AS user_key,
    p.user_id,
    coalesce(known_username(p.user_id), r.username) AS username,
    coalesce(r.role, inferred_role(p.user_type, known_username(p.user_id), p.user_id, p.occurred_at)) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    p.ip,
    p.ip_key,
    p.ip_kind,
    p.event_type,
    p.page,
    ua_family(p.user_agent) AS ua_family,
    p.user_agent,
    p.origin,
    p.login_key,
    p.session_key,
    p.user_type,
    p.file_id,
    p.line_no,
    p.day
FROM pages AS p
LEFT JOIN registry_users AS r
    ON r.user_key = p.user_id
    AND p.occurred_at >= r.valid_from
    AND p.occurred_at < r.valid_to
