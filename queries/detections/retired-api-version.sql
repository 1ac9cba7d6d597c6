/*
id = "retired-api-version"
title = "Client uses an API version that is retired or has a retirement date"
family = "credential"
severity = "low"
status = "active"
version = 1
control = ["P.1"]
attack = ["T1078.004"]
description = """
Old API versions are switched off on known dates, and the integration that still calls one stops on that day. \
It also tells of a client that nobody maintains. Low while the date is far, medium in its last 180 days, high \
where the version is retired or the platform refused a login because of it. One finding for each user, app and \
version as long as it was used in the last 30 days. Days are counted from the end of the logs, so that an \
archive reads the same in any year. Where this leaves the catalogue: calls to custom Apex REST and SOAP \
classes are left out, because Salesforce retires versions of its own APIs only; the logs of details \
(RestApi, API, BulkApiRequest, MetadataApiOperation) count only where ApiTotalUsage does not tell of the same \
user and version, because they often do not name the app. SOAP login() has a date of its own and a rule of its \
own (soap-login-call)."""
false_positives = [
  "None: the date comes for everybody; accept it by a suppression with the date of the migration",
]
response = [
  "Ask the owner of the client (user, app, client name) for a version that speaks a supported API version",
  "Refused or retired: the integration stands still; look at what it should have delivered since",
  "Nobody knows the client: treat it as an unknown program that holds this user's credential",
]
references = [
  "https://help.salesforce.com/s/articleView?id=000354473&type=1",
  "https://help.salesforce.com/s/articleView?id=005321531&type=1",
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["api_calls | logins"]
dedupe = ["user_key", "app_key", "api_version"]
bucket = "none"

[params.period]
type = "duration"
default = "30d"
meaning = "how long after its last use a version is still reported"

[params.warn_before]
type = "duration"
default = "180d"
meaning = "time before its retirement from which a version is medium"
*/
WITH
-- Salesforce's API end-of-life notices: 7.0-20.0 retired with Summer '22, 21.0-30.0 with Summer '25 (article
-- 000354473), 31.0-40.0 with Summer '28 (article 005321531). A release goes live in weekends from May to June:
-- the first of June stands for it. Add a line when Salesforce names the next date.
version_deadlines AS (
    SELECT version_from, version_to, retired_on, release
    FROM (VALUES
        (1.0, 20.0, DATE '2022-06-01', 'Summer ''22'),
        (21.0, 30.0, DATE '2025-06-01', 'Summer ''25'),
        (31.0, 40.0, DATE '2028-06-01', 'Summer ''28')
    ) AS d (version_from, version_to, retired_on, release)
),
-- Most rows end at the pattern: a number of at most two digits that is 40 at most. 9998.0 says that there is none.
call_rows AS (
    SELECT
        'total' AS source, occurred_at, user_id, user_name, connected_app_name AS app, connected_app_id AS app_id,
        client_name AS client, upper(trim(api_family)) AS api_family, api_version, status_code, ip, file_id, line_no
    FROM elf_api_total_usage
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND regexp_like(trim(api_version), '^v?0*([1-9]|[123][0-9]|40)([.]0*)?$')
      AND upper(coalesce(trim(api_family), '')) NOT IN ('APEXREST', 'DIRECTAPEXREST', 'APEXSOAP', 'DIRECTAURA')
    UNION ALL
    SELECT
        'detail', occurred_at, user_id, NULL, NULL, connected_app_id,
        client_name, 'REST', substr(uri, 17, strpos(substr(uri, 17), '.') + 1), status_code, ip, file_id, line_no
    FROM elf_rest_api
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND regexp_like(uri, '^/services/data/v([1-9]|[123][0-9]|40)[.]0(/|$)')
    UNION ALL
    SELECT
        'detail', occurred_at, user_id, NULL, NULL, NULL,
        client_name, 'SOAP', api_version, NULL, ip, file_id, line_no
    FROM elf_api
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND regexp_like(trim(api_version), '^v?0*([1-9]|[123][0-9]|40)([.]0*)?$')
    UNION ALL
    SELECT
        'detail', occurred_at, user_id, NULL, NULL, connected_app_id,
        client_name, 'BULK', api_version, status_code, ip, file_id, line_no
    FROM elf_bulk_api_request
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND regexp_like(trim(api_version), '^v?0*([1-9]|[123][0-9]|40)([.]0*)?$')
    UNION ALL
    SELECT
        'detail', occurred_at, user_id, NULL, NULL, NULL,
        client_id, 'METADATA', api_version, NULL, ip, file_id, line_no
    FROM elf_metadata_api_operation
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND regexp_like(trim(api_version), '^v?0*([1-9]|[123][0-9]|40)([.]0*)?$')
),
-- One row for each file, so that a machine with a million old calls stays one line of proof a file.
calls AS (
    SELECT
        source, coalesce(user_id, known_user_id(user_name), lower(trim(user_name))) AS user_key,
        max(user_id) AS user_id, max(lower(trim(user_name))) AS username,
        app, app_id, api_family, CAST(replace(trim(api_version), 'v', '') AS DOUBLE) AS version,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS events, count(*) FILTER (WHERE status_code >= 400) AS failed,
        min(printable(client)) AS client, min(ip) AS ip, file_id, min(line_no) AS line_no
    FROM call_rows
    GROUP BY source, coalesce(user_id, known_user_id(user_name), lower(trim(user_name))), app, app_id, api_family,
        CAST(replace(trim(api_version), 'v', '') AS DOUBLE), file_id
),
-- Logins that name their version, and those that were refused because of it, whatever they name.
login_rows AS (
    SELECT
        *,
        CASE
            WHEN regexp_like(trim(api_version), '^v?[0-9]{1,3}([.][0-9]*)?$')
                THEN CAST(replace(trim(api_version), 'v', '') AS DOUBLE)
        END AS version,
        upper(trim(status)) = 'LOGIN_ERROR_API_TOO_OLD'
            OR regexp_like(status, '^ *(failed:)? *api version removed', 'i') AS refused
    FROM logins
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND outcome <> 'challenge'
),
uses AS (
    SELECT
        source, user_key, user_id, username, app, app_id, api_family, version, first_at, last_at,
        events AS calls, 0 AS logins, 0 AS refused, failed, client, ip, file_id, line_no
    FROM calls
    UNION ALL
    SELECT
        'login', user_key, max(user_id), max(username), app, NULL, 'LOGIN', version, min(occurred_at), max(occurred_at),
        0, count(*), count(*) FILTER (WHERE refused), 0,
        min(printable(browser)), min(ip), file_id, min(line_no)
    FROM login_rows
    WHERE refused OR (outcome = 'success' AND version >= 1 AND version <= 40)
    GROUP BY user_key, app, version, file_id
),
keyed AS (
    SELECT
        u.*,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A', 'BROWSER') THEN app END AS app_name,
        max(CASE WHEN source = 'total' THEN 1 ELSE 0 END) OVER (PARTITION BY user_key, version) AS told_by_total
    FROM uses u
),
by_client AS (
    SELECT
        user_key,
        -- The name first: a login knows no id of its app.
        coalesce(app_name_key(app_name), sf_id18(app_id), 'no app recorded') AS app_key,
        coalesce(CAST(version AS VARCHAR), 'not recorded') AS api_version,
        version,
        max(user_id) AS user_id, max(username) AS username,
        min(first_at) AS first_at, max(last_at) AS last_at,
        sum(calls) AS calls, sum(logins) AS logins, sum(refused) AS refused, sum(failed) AS failed,
        max(printable(app_name)) AS app, max(sf_id18(app_id)) AS app_id,
        array_agg(DISTINCT api_family ORDER BY api_family) FILTER (WHERE api_family IS NOT NULL) AS api_families,
        array_agg(DISTINCT client ORDER BY client) FILTER (WHERE client IS NOT NULL AND client <> '') AS clients,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_slice(array_agg(DISTINCT file_id || ':' || line_no ORDER BY file_id || ':' || line_no), 1, 20) AS proof
    FROM keyed
    WHERE source <> 'detail' OR told_by_total = 0
    GROUP BY user_key, coalesce(app_name_key(app_name), sf_id18(app_id), 'no app recorded'), version
),
judged AS (
    SELECT
        b.*, d.retired_on, d.release,
        date_part('epoch', CAST(d.retired_on AS TIMESTAMP) - CAST(CAST($window_end AS DATE) AS TIMESTAMP)) / 86400
            AS days_left,
        r.username AS registered_name, r.role, r.system, r.owner
    FROM by_client b
    LEFT JOIN version_deadlines d ON b.version >= d.version_from AND b.version < d.version_to + 1
    LEFT JOIN registry_users r
      ON r.user_key = b.user_key AND b.last_at >= r.valid_from AND b.last_at < r.valid_to
)
SELECT
    first_at AS occurred_at,
    user_key, user_id,
    coalesce(known_username(user_id), username, registered_name) AS username,
    CASE
        WHEN refused > 0 OR days_left <= 0 THEN 'high'
        WHEN retired_on <= CAST($window_end + CAST($warn_before AS INTERVAL) AS DATE) THEN 'medium'
        ELSE 'low'
    END AS severity,
    calls + logins AS event_count,
    last_at,
    'API versions that Salesforce supports and has set no end to' AS expected,
    'API version ' || api_version || coalesce(' by ' || app, ' by a client that names no app')
        || CASE WHEN calls > 0 THEN ', calls: ' || calls ELSE '' END
        || CASE WHEN logins > refused THEN ', logins: ' || (logins - refused) ELSE '' END
        || CASE WHEN refused > 0 THEN ', logins refused because the version is too old: ' || refused ELSE '' END
        || CASE
               WHEN days_left <= 0 THEN '. It is retired since ' || release
               WHEN days_left > 0 THEN '. It ends with ' || release || ', in ' || CAST(days_left AS BIGINT) || ' days'
               ELSE ''
           END AS observed,
    coalesce(role, inferred_role(NULL, coalesce(known_username(user_id), username), user_key, last_at)) AS role,
    CASE WHEN role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    system, owner,
    app_key, app, app_id, api_version,
    calls, logins, refused, failed,
    CAST(days_left AS BIGINT) AS days_left, CAST(retired_on AS VARCHAR) AS retired_on,
    api_families, clients, ips,
    proof
FROM judged
ORDER BY occurred_at, user_key, app_key, api_version
