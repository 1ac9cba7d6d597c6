/*
Both accounts of every login attempt between $from and $to, in one form. Nothing is merged or sorted
here: that is done user by user, so that a day of any size fits into memory.

account            elf | lh
second             whole seconds since 1970: LoginHistory knows no finer
spelling           which of its identifying columns a LoginHistory row has: exports of different
                   kinds may tell the same login, two rows of one kind never do
account_path       the door that this account alone names
user_key           user id, else the username in lower case; a known username stands for its id
*/
WITH accounts AS (
    SELECT
        'elf' AS account, occurred_at, user_id, lower(trim(user_name)) AS username,
        ip, ip_key, ip_kind, login_status AS status, login_type, login_sub_type,
        CAST(NULL AS VARCHAR) AS app, source_ip, client_ip, forwarded_for_ip, login_url,
        browser_type AS browser, CAST(NULL AS VARCHAR) AS platform, uri, api_type, api_version,
        use_api_token, tls_protocol, cipher_suite, country_code AS country,
        authentication_method_reference AS auth_method,
        authentication_service_id AS auth_service_id,
        login_key, session_key, request_id, user_type, run_time,
        0 AS spelling, file_id, line_no, row_key
    FROM elf_login
    WHERE occurred_at >= $from AND occurred_at < $to
    UNION ALL
    SELECT
        'lh' AS account, occurred_at, user_id, lower(trim(username)) AS username,
        ip, ip_key, ip_kind, status, logintype AS login_type, loginsubtype AS login_sub_type,
        application AS app, sourceip AS source_ip, CAST(NULL AS VARCHAR) AS client_ip,
        forwardedforip AS forwarded_for_ip, loginurl AS login_url,
        browser, platform, CAST(NULL AS VARCHAR) AS uri, apitype AS api_type,
        apiversion AS api_version, CAST(NULL AS VARCHAR) AS use_api_token,
        tlsprotocol AS tls_protocol, ciphersuite AS cipher_suite,
        coalesce(countryiso, location) AS country,
        authmethodreference AS auth_method, authenticationserviceid AS auth_service_id,
        CAST(NULL AS VARCHAR) AS login_key, CAST(NULL AS VARCHAR) AS session_key,
        CAST(NULL AS VARCHAR) AS request_id, CAST(NULL AS VARCHAR) AS user_type,
        CAST(NULL AS BIGINT) AS run_time,
        CASE WHEN id IS NULL THEN 0 ELSE 1 END
            + CASE WHEN user_id IS NULL THEN 0 ELSE 2 END
            + CASE WHEN username IS NULL THEN 0 ELSE 4 END AS spelling,
        file_id, line_no, row_key
    FROM login_history
    WHERE occurred_at >= $from AND occurred_at < $to
)
SELECT
    a.account,
    a.occurred_at,
    CAST(floor(to_unixtime(a.occurred_at)) AS BIGINT) AS second,
    a.spelling,
    outcome(a.status) AS outcome,
    login_path(
        a.login_type, a.login_sub_type, a.uri, a.api_type, a.use_api_token, a.app, a.browser
    ) AS account_path,
    coalesce(a.user_id, known_user_id(a.username), a.username) AS user_key,
    coalesce(a.user_id, known_user_id(a.username)) AS user_id,
    a.username,
    a.ip,
    a.ip_key,
    a.ip_kind,
    a.status,
    a.login_type,
    a.login_sub_type,
    a.app,
    a.source_ip,
    a.client_ip,
    a.forwarded_for_ip,
    a.login_url,
    a.browser,
    a.platform,
    a.uri,
    a.api_type,
    a.api_version,
    a.use_api_token,
    a.tls_protocol,
    a.cipher_suite,
    a.country,
    a.auth_method,
    a.auth_service_id,
    a.login_key,
    a.session_key,
    a.request_id,
    a.user_type,
    a.run_time,
    a.file_id,
    a.line_no,
    a.row_key
FROM accounts AS a
