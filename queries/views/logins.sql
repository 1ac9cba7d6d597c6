/*
One row per login attempt, from the EventLogFile, from LoginHistory, or merged from both.

occurred_at        when (UTC)
user_key           18-character user id, else the username in lower case: the name to group by
user_id, username  as far as known
role               what the registry says of the user at that time; else guest or internal_system by the
                   row, integration where the account worked like a machine at that time (table
                   inferred_roles) or the org marks it as one, else human
role_source        registry | inferred
system, owner      from the registry
ip, ip_key         effective address: SOURCE_IP if it is one, else CLIENT_IP; 16 comparable bytes
ip_kind            public | private | salesforce | unparsed | missing
source             elf | login_history | both
merge_quality      exact | nearest | ambiguous | elf_only | lh_only
outcome            success | challenge | failure
fail_class         bad_credential, valid_credential_blocked, …; NULL for a success
status             LOGIN_STATUS, else LoginHistory's Status, as written
login_type, login_sub_type          as written in the EventLogFile, else in LoginHistory
login_path         the door; path_certainty says how sure: sure | likely | guess
is_ui, is_connected_app, is_password_based, is_deprecated           properties of the door
app                LoginHistory's Application; NULL where unknown or ambiguous, never "no app"
lh_login_type, lh_login_sub_type    as written in LoginHistory
source_ip, client_ip                address cells; forwarded_for_ip is the caller's claim only
login_url          host where the login was made
browser            User-Agent, else LoginHistory's Browser; ua_family is its kind
platform           LoginHistory's Platform
uri                template of the path that received the login
api_type, api_version, use_api_token, tls_protocol, cipher_suite    as written
country            as Salesforce derived it from the address
auth_method        methods reported by the identity provider
auth_service_id    SAML configuration or auth provider
login_key, session_key              digests that join with the other views
request_id, user_type, run_time     as written; run_time in milliseconds
file_id, line_no   the row that proves it; lh_file_id, lh_line_no its LoginHistory twin
day                UTC day of the row (prunes whole files)
*/
SELECT
    l.occurred_at,
    l.user_key,
    l.user_id,
    coalesce(known_username(l.user_id), l.username, r.username) AS username,
    coalesce(r.role, inferred_role(l.user_type, coalesce(l.username, known_username(l.user_id)), l.user_key, l.occurred_at)) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    l.ip,
    l.ip_key,
    l.ip_kind,
    l.source,
    l.merge_quality,
    l.outcome,
    l.fail_class,
    l.status,
    l.login_type,
    l.login_sub_type,
    l.login_path,
    l.path_certainty,
    l.is_ui,
    l.is_connected_app,
    l.is_password_based,
    l.is_deprecated,
    l.app,
    l.lh_login_type,
    l.lh_login_sub_type,
    l.source_ip,
    l.client_ip,
    l.forwarded_for_ip,
    l.login_url,
    l.browser,
    l.ua_family,
    l.platform,
    l.uri,
    l.api_type,
    l.api_version,
    l.use_api_token,
    l.tls_protocol,
    l.cipher_suite,
    l.country,
    l.auth_method,
    l.auth_service_id,
    l.login_key,
    l.session_key,
    l.request_id,
    l.user_type,
    l.run_time,
    l.file_id,
    l.line_no,
    l.lh_file_id,
    l.lh_line_no,
    l.day
FROM rollup_logins AS l
LEFT JOIN registry_users AS r
    ON r.user_key = l.user_key
    AND l.occurred_at >= r.valid_from
    AND l.occurred_at < r.valid_to
