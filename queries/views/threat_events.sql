/*
What Salesforce's own Threat Detection found: one row per event, from exports of its `…EventStore`
objects. The columns of the subject are those of `logins`; of a session that was taken over `ip` is
the address now.

event_type         the object exported
threat             which detection: ApiAnomaly, ReportAnomaly, SessionHijacking, CredentialStuffing,
                   GuestUserAnomaly, LoginAnomaly, PermissionSet (a change of permissions, unscored),
                   or what a UniversalAnomalyEventStore says; 'untold' where the export does not say
score              as written: 0 to 1, how far from the user's past; NULL where there is none
contributors       names of what made the score, the largest first, joined by `;`; never a value
policy_outcome     what a transaction security policy did about it
entities, operation, rows_processed    of the request, where the event is about one
previous_ip        of a session that was taken over: the address before
ua, page           the client's name for itself; template of the path
event_identifier   Salesforce's id of the event
request_id         REQUEST_ID of the logs, where the event is about one request
login_key          digest of the login behind it; session_key the session's
*/
WITH events AS (
    SELECT
        occurred_at, user_id, username, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'ApiAnomalyEventStore' AS event_type, 'ApiAnomaly' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        entities AS entities, operation AS operation,
        CAST(rowsprocessed AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, useragent AS ua,
        uri AS page, eventidentifier AS event_identifier,
        request_id AS request_id, login_key, session_key, file_id, line_no, day
    FROM api_anomaly_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'ReportAnomalyEventStore' AS event_type, 'ReportAnomaly' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        CAST(NULL AS VARCHAR) AS entities, CAST(NULL AS VARCHAR) AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, CAST(NULL AS VARCHAR) AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM report_anomaly_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'SessionHijackingEventStore' AS event_type, 'SessionHijacking' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        CAST(NULL AS VARCHAR) AS entities, CAST(NULL AS VARCHAR) AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        previousip AS previous_ip, currentuseragent AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM session_hijacking_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'CredentialStuffingEventStore' AS event_type, 'CredentialStuffing' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        CAST(NULL AS VARCHAR) AS entities, CAST(NULL AS VARCHAR) AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, useragent AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM credential_stuffing_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, usertype AS user_type, ip, ip_key, ip_kind,
        'GuestUserAnomalyEventStore' AS event_type, 'GuestUserAnomaly' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        entities AS entities, CAST(NULL AS VARCHAR) AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, useragent AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM guest_user_anomaly_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, usertype AS user_type, ip, ip_key, ip_kind,
        'LoginAnomalyEventStore' AS event_type, 'LoginAnomaly' AS threat, score,
        coalesce(contributors, featurename) AS contributors, policyoutcome AS policy_outcome,
        CAST(NULL AS VARCHAR) AS entities, CAST(NULL AS VARCHAR) AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, useragent AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM login_anomaly_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'PermissionSetEventStore' AS event_type, 'PermissionSet' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        CAST(NULL AS VARCHAR) AS entities, operation AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, CAST(NULL AS VARCHAR) AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM permission_set_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, usertype AS user_type, ip, ip_key, ip_kind,
        'UniversalAnomalyEventStore' AS event_type, coalesce(anomalysubtype, 'untold') AS threat, score,
        coalesce(contributors, featurename) AS contributors, policyoutcome AS policy_outcome,
        coalesce(entities, requestedentities) AS entities, operation AS operation,
        CAST(rowsprocessed AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, useragent AS ua,
        uri AS page, eventidentifier AS event_identifier,
        request_id AS request_id, login_key, session_key, file_id, line_no, day
    FROM universal_anomaly_event_store
    UNION ALL
    SELECT
        occurred_at, user_id, username, CAST(NULL AS VARCHAR) AS user_type, ip, ip_key, ip_kind,
        'ThreatEventStore' AS event_type, 'untold' AS threat, score,
        contributors AS contributors, policyoutcome AS policy_outcome,
        CAST(NULL AS VARCHAR) AS entities, CAST(NULL AS VARCHAR) AS operation,
        CAST(NULL AS BIGINT) AS rows_processed,
        CAST(NULL AS VARCHAR) AS previous_ip, useragent AS ua,
        CAST(NULL AS VARCHAR) AS page, eventidentifier AS event_identifier,
        CAST(NULL AS VARCHAR) AS request_id, login_key, session_key, file_id, line_no, day
    FROM threat_event_store
)
SELECT
    e.occurred_at,
    coalesce(e.user_id, known_user_id(e.username), lower(e.username)) AS user_key,
    e.user_id,
    coalesce(known_username(e.user_id), lower(e.username), r.username) AS username,
    coalesce(r.role, inferred_role(
        coalesce(e.user_type, CASE WHEN e.threat = 'GuestUserAnomaly' THEN 'Guest' END),
        coalesce(known_username(e.user_id), e.username),
        coalesce(e.user_id, known_user_id(e.username), lower(e.username)), e.occurred_at
    )) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    e.ip,
    e.ip_key,
    e.ip_kind,
    e.event_type,
    e.threat,
    e.score,
    e.contributors,
    e.policy_outcome,
    e.entities,
    e.operation,
    CASE WHEN e.rows_processed >= 0 THEN e.rows_processed END AS rows_processed,
    e.previous_ip,
    e.ua,
    e.page,
    e.event_identifier,
    e.request_id,
    e.login_key,
    e.session_key,
    e.user_type,
    e.file_id,
    e.line_no,
    e.day
FROM events AS e
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(e.user_id, known_user_id(e.username), lower(e.username))
    AND e.occurred_at >= r.valid_from
    AND e.occurred_at < r.valid_to
