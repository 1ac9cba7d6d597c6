/*
Controller actions of Lightning pages and sites: one row per AuraRequest and action. A request of
which no part is an action has one row without an action. The columns of the subject are those of
`logins`; of a guest the user tells the site, for each site has a guest user of its own.

action             Controller.method without packages (HostConfigController.getConfigData).
                   `{name}` stands for what is no name of code, `{other}` for the 101st and further
                   names of one request
count              how often it stands in this request; NULL without an action
actions_in_request all actions of the request
malformed          parts of the request's message that are no action: skipped
message_length     length of the message as it was before Salesforce cut it
page               template of the path
ua, ua_family      the client's name for itself, and its kind
user_type          word or letter, as written: Guest
request_status     S success, F failure, …
*/
WITH messages AS (
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, string_to_array(actions, ';') AS listed, action_count,
        actions_malformed, action_message_length, uri, user_agent, user_type, request_status, login_key, session_key,
        request_id, file_id, line_no, day
    FROM elf_aura_request
    WHERE action_count IS NOT NULL
), parts AS (
    SELECT
        occurred_at, user_id, ip, ip_key, ip_kind, unnest(coalesce(listed, [CAST(NULL AS VARCHAR)])) AS part,
        action_count, actions_malformed, action_message_length, uri, user_agent, user_type, request_status, login_key,
        session_key, request_id, file_id, line_no, day
    FROM messages
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
    split_part(p.part, '=', 1) AS action,
    CAST(split_part(p.part, '=', 2) AS BIGINT) AS count,
    p.action_count AS actions_in_request,
    p.actions_malformed AS malformed,
    p.action_message_length AS message_length,
    p.uri AS page,
    trim(BOTH '"' FROM p.user_agent) AS ua,
    ua_family(trim(BOTH '"' FROM p.user_agent)) AS ua_family,
    p.user_type,
    p.request_status,
    p.login_key,
    p.session_key,
    p.request_id,
    p.file_id,
    p.line_no,
    p.day
FROM parts AS p
LEFT JOIN registry_users AS r
    ON r.user_key = p.user_id
    AND p.occurred_at >= r.valid_from
    AND p.occurred_at < r.valid_to
