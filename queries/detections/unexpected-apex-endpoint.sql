/*
id = "unexpected-apex-endpoint"
title = "Integration user calls an Apex class or Visualforce page it has no business with"
family = "identity"
severity = "medium"
status = "active"
version = 2
control = ["S0.24"]
attack = ["T1213.004", "T1190"]
description = """
An integration needs few Apex classes and no Visualforce page. Declared mode: the registry names the user's endpoints \
(the path under `/services/apexrest/` with a star for ids, a class `CaseService`, or a method `CaseService.create`), and any other is a finding. Learned mode, for \
users without declared endpoints: the endpoint was not called by the user in learn_period, although it was active on \
min_active_days of that time. Ids, case and slashes at the end make no other endpoint. Any Visualforce page is a finding, \
declared or not: a page is made for a browser. High for a Visualforce page, and for an unexpected endpoint from an address \
outside the user's networks (or, without declared networks, from one that it did not use before). \
An Apex REST endpoint is its first segment after `/services/apexrest/` (and a version before that, `v1`): what follows, and \
the classes of a package behind its namespace, are not told apart. Callers put record data into paths, so the lake keeps the \
name as a digest with its own key, which is compared with digests of what the registry declares; the finding shows the name \
where some user's declaration has it. Calls without a name in the log are judged as a whole: unexpected when no Apex REST \
endpoint at all is declared, or none was called before. So are the days of a lake that were written before names were digested; \
in learned mode they make every endpoint of the user known, until they have left learn_period. Apex SOAP is judged by class."""
false_positives = [
  "A new release of the integration: declare the endpoint, or open a maintenance window",
  "The first night with Apex log files: in learned mode every endpoint is new once",
  "A class mapped to a lone star that is logged by the paths called: every first segment is an endpoint. Declare `/services/apexrest/` as a whole",
  "An administrator who looks at pages while logged in as the user: that is a matter for the rule about Login-As",
]
response = [
  "An Apex REST endpoint shown as a digest: ask the owner for the names in use and compare each, `orgwatch sql \"SELECT uri_template('/services/apexrest/AdminTools')\"`: it equals `endpoint` for the right name alone",
  "Ask the owner whether the integration was changed, and for the ticket",
  "Nobody knows: look at what else the user called from that address, and freeze it if the address is not its own",
  "Take Apex class and Visualforce page access that is not needed from the user's profile and permission sets",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1190/",
]
inputs = ["ApexRestApi | ApexSoap | VisualforceRequest"]
dedupe = ["user_key", "endpoint"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "learned mode: how far back a call makes an endpoint known"

[params.min_active_days]
type = "int"
default = 14
meaning = "learned mode: earlier days with logins or Apex calls of the user before an endpoint can be new"
*/
WITH
named AS (
    SELECT
        occurred_at, day, user_key, role_source, ip, file_id, line_no, method, status_code, is_error, event_type,
        CASE event_type
            WHEN 'ApexRestApi' THEN
                -- /services/apexrest/{name:~…}/{id} is /{name:~…}/{id}.
                regexp_replace(trim(coalesce(resource, '')), '^(\{host\})?/*(services/apexrest(/|$))?/*', '/', 'i')
            ELSE lower(trim(coalesce(resource, '')))
        END AS path
    FROM api_calls
    WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
      AND event_type IN ('ApexRestApi', 'ApexSoap')
      AND role = 'integration'
),
apex AS (
    SELECT
        occurred_at, day, user_key, role_source, ip, file_id, line_no, method, status_code, is_error,
        CASE event_type WHEN 'ApexRestApi' THEN 'Apex REST' ELSE 'Apex SOAP' END AS kind,
        CASE
            WHEN event_type = 'ApexSoap' THEN path
            -- Apex REST as a whole. '': an older lake had a name here, which may be any. '/': there is none.
            WHEN regexp_like(path, '^/(v?[0-9.]+/+)?\{name\}', 'i') THEN ''
            WHEN regexp_like(path, '^/(v?[0-9.]+/+)?(\{(id|n)\}|$)', 'i') THEN '/'
            ELSE
                -- Version and name only: /{name:~…}. The words that older lakes kept get their digests now.
                regexp_replace(
                    CASE
                        WHEN regexp_like(path, '^/(v?[0-9.]+/)?\{', 'i') THEN path
                        ELSE substr(uri_template('/services/apexrest' || regexp_replace(path, '/+', '/', 'g')), 19)
                    END,
                    '^((/[v0-9.]+)?(/\{[^}]*\})?).*$', '\1')
        END AS path
    FROM named
),
calls AS (
    SELECT
        user_key, day, kind, path, network_of(ip) AS network, lower(trim(method)) AS method,
        CASE
            WHEN kind = 'Apex SOAP' THEN lower(trim(method))
            ELSE coalesce(CAST(status_code AS VARCHAR), 'no status')
        END AS detail,
        in_window(user_key, ip, occurred_at, 'maintenance') AS in_maintenance,
        max(role_source) AS role_source,
        bool_or(NOT in_networks(user_key, ip, occurred_at)) AS outside_networks,
        bool_or(in_networks(user_key, ip, occurred_at) IS NULL) AS networks_unknown,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS events, count(*) FILTER (WHERE is_error) AS errors,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        min(file_id || ':' || line_no) AS proof
    FROM apex
    -- By the hour, so that a declaration holds from the hour in which it begins.
    GROUP BY
        user_key, day, date_trunc('hour', occurred_at), kind, path, network_of(ip), lower(trim(method)), detail, in_maintenance
),
-- The day itself never teaches. A call without a name is known by any other; one that lost its name
-- (older lakes) may have been any.
dated AS (
    SELECT
        *,
        CASE
            WHEN kind = 'Apex SOAP' THEN same_before
            WHEN path IN ('', '/') THEN any_before
            ELSE coalesce(same_before, unnamed_before)
        END AS called_before
    FROM (
        SELECT
            *,
            max(day) OVER (
                PARTITION BY user_key, kind, path ORDER BY day
                RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING) AS same_before,
            max(day) OVER (
                PARTITION BY user_key, kind ORDER BY day
                RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING) AS any_before,
            max(CASE WHEN path = '' THEN day END) OVER (
                PARTITION BY user_key, kind ORDER BY day
                RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING) AS unnamed_before
        FROM calls
    ) c
),
-- When and from where the user was active before.
past AS (
    SELECT user_key, day, network_of(ip) AS network
    FROM logins
    WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end AND outcome = 'success'
    GROUP BY user_key, day, network_of(ip)
    UNION
    SELECT user_key, day, network_of(ip) AS network
    FROM api_calls
    WHERE occurred_at >= $window_start - $learn_period AND occurred_at < $window_end
      AND event_type IN ('ApexRestApi', 'ApexSoap')
    GROUP BY user_key, day, network_of(ip)
),
with_past AS (
    SELECT
        c.user_key, c.day, c.kind, c.path, c.method, c.detail, c.network, c.role_source, c.outside_networks,
        c.networks_unknown, c.first_at, c.last_at, c.events, c.errors, c.ips, c.proof, c.called_before,
        count(DISTINCT p.day) AS active_days,
        coalesce(bool_or(p.network = c.network), false) AS network_known
    FROM dated c
    LEFT JOIN past p
      ON p.user_key = c.user_key AND p.day < c.day AND p.day >= c.day - CAST($learn_period AS INTERVAL)
    WHERE c.first_at >= $window_start
      -- An approved change from its own networks is expected.
      AND NOT c.in_maintenance
    GROUP BY
        c.user_key, c.day, c.kind, c.path, c.method, c.detail, c.network, c.role_source, c.outside_networks,
        c.networks_unknown, c.first_at, c.last_at, c.events, c.errors, c.ips, c.proof, c.called_before
),
-- `/services/Soap/class/X` and a bare name are Apex SOAP; every other path is Apex REST.
written AS (
    SELECT
        user_key, valid_from, valid_to,
        CASE WHEN soap THEN 'Apex SOAP' ELSE 'Apex REST' END AS kind,
        CASE
            WHEN soap THEN
                replace(regexp_replace(regexp_replace(lower(endpoint), '^/*services/soap/class/', ''), '([./]\*|/)+$', ''), '/', '.')
            ELSE regexp_replace(regexp_replace(endpoint, '/+', '/', 'g'), '^/?(services/apexrest(/|$))?', '/', 'i')
        END AS path
    FROM (
        SELECT
            user_key, valid_from, valid_to, trim(endpoint) AS endpoint,
            lower(trim(endpoint)) LIKE '%services/soap/class/%' OR trim(endpoint) NOT LIKE '%/%' AS soap
        FROM registry_endpoints
    ) e
),
declared AS (
    SELECT
        user_key, valid_from, valid_to, kind,
        CASE
            WHEN kind = 'Apex SOAP' THEN path
            -- Version and name, as the log has them.
            ELSE regexp_replace(substr(uri_template('/services/apexrest' || path), 19), '^((/[v0-9.]+)?(/\{name:[^}]*\})?).*$', '\1')
        END AS path,
        -- No name: /*, or /v1/*
        kind = 'Apex REST' AND regexp_like(path, '^/(v?[0-9.]+/)?(\*(/|$)|$)', 'i') AS with_all_below,
        regexp_replace(path, '^((/v?[0-9.]+)?/[^/]*).*$', '\1', 'i') AS shown
    FROM written
),
-- What a digest stands for, whoever may call it and whenever.
known_names AS (
    SELECT path, min(shown) AS name
    FROM declared
    WHERE kind = 'Apex REST' AND path LIKE '%{name:%'
    GROUP BY path
),
against_declared AS (
    SELECT
        c.user_key, c.day, c.kind, c.path, c.method, c.detail, c.network, c.role_source, c.outside_networks,
        c.networks_unknown, c.first_at, c.last_at, c.events, c.errors, c.ips, c.proof, c.called_before,
        c.active_days, c.network_known,
        count(d.user_key) > 0 AS any_declared,
        coalesce(bool_or(
            d.kind = c.kind
            AND CASE
                    WHEN c.kind = 'Apex SOAP' THEN d.path IN (c.path, c.path || '.' || coalesce(c.method, ''))
                    -- The log has no name to compare.
                    ELSE c.path IN ('', '/') OR c.path = d.path OR (d.with_all_below AND starts_with(c.path, d.path || '/'))
                END), false) AS allowed
    FROM with_past c
    LEFT JOIN declared d ON d.user_key = c.user_key AND c.first_at >= d.valid_from AND c.first_at < d.valid_to
    GROUP BY
        c.user_key, c.day, c.kind, c.path, c.method, c.detail, c.network, c.role_source, c.outside_networks,
        c.networks_unknown, c.first_at, c.last_at, c.events, c.errors, c.ips, c.proof, c.called_before,
        c.active_days, c.network_known
),
unexpected AS (
    SELECT
        user_key, day, role_source, kind,
        CASE
            WHEN kind = 'Apex REST' AND path IN ('', '/') THEN kind || ', not named in the log'
            WHEN kind = 'Apex REST' THEN '/services/apexrest' || path
            ELSE path
        END AS endpoint,
        first_at, last_at, events, errors, ips, outside_networks, any_declared,
        method, detail, proof,
        -- 2 medium, 3 high
        CASE WHEN outside_networks OR (networks_unknown AND network IS NOT NULL AND NOT network_known) THEN 3 ELSE 2 END
            AS level
    FROM against_declared
    WHERE CASE
              WHEN any_declared THEN NOT allowed
              ELSE called_before IS NULL AND active_days >= $min_active_days
          END
    UNION ALL
    SELECT
        a.user_key, a.day, a.role_source, 'Visualforce' AS kind,
        lower(coalesce(nullif(trim(v.page_name), ''), a.page, 'a page without a name')) AS endpoint,
        a.occurred_at AS first_at, a.occurred_at AS last_at, 1 AS events, 0 AS errors,
        CASE WHEN a.ip IS NOT NULL THEN [a.ip] END AS ips,
        NOT in_networks(a.user_key, a.ip, a.occurred_at) AS outside_networks, false AS any_declared,
        lower(v.http_method) AS method, coalesce(v.request_type, 'page') AS detail,
        a.file_id || ':' || a.line_no AS proof, 3 AS level
    FROM ui_activity a
    -- The page's own name is in the raw row only.
    JOIN elf_visualforce_request v
      ON v.file_id = a.file_id AND v.line_no = a.line_no
     AND v.occurred_at >= $window_start AND v.occurred_at < $window_end
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND a.event_type = 'VisualforceRequest'
      AND a.role = 'integration'
),
by_detail AS (
    SELECT
        user_key, day, kind, endpoint, detail,
        max(role_source) AS role_source, min(first_at) AS first_at, max(last_at) AS last_at,
        sum(events) AS events, sum(errors) AS errors, max(level) AS level,
        bool_or(outside_networks) AS outside_networks, bool_or(any_declared) AS any_declared,
        array_agg(DISTINCT method ORDER BY method) FILTER (WHERE method IS NOT NULL) AS methods,
        array_distinct(flatten(array_agg(arrow_cast(ips, 'List(Utf8)') ORDER BY first_at, proof) FILTER (WHERE ips IS NOT NULL))) AS ips,
        min(proof) AS proof
    FROM unexpected
    GROUP BY user_key, day, kind, endpoint, detail
),
by_day AS (
    SELECT
        user_key, day, kind, endpoint,
        max(role_source) AS role_source, min(first_at) AS first_at, max(last_at) AS last_at,
        sum(events) AS events, sum(errors) AS errors, max(level) AS level,
        bool_or(outside_networks) AS outside_networks, bool_or(any_declared) AS any_declared,
        array_slice(array_sort(array_distinct(flatten(array_agg(arrow_cast(methods, 'List(Utf8)') ORDER BY detail)
            FILTER (WHERE methods IS NOT NULL)))), 1, 20) AS methods,
        array_slice(array_sort(array_distinct(flatten(array_agg(arrow_cast(ips, 'List(Utf8)') ORDER BY detail) FILTER (WHERE ips IS NOT NULL)))), 1, 20)
            AS ips,
        array_slice(array_agg(printable(detail) || ': ' || events ORDER BY events DESC, detail), 1, 20) AS details,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof
    FROM by_detail
    GROUP BY user_key, day, kind, endpoint
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, sf_id18(d.user_key) AS user_id, coalesce(known_username(d.user_key), r.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][d.level - CASE WHEN d.role_source = 'inferred' THEN 1 ELSE 0 END] AS severity,
    d.events AS event_count,
    d.last_at,
    CASE
        WHEN d.kind = 'Visualforce' THEN 'No Visualforce page at all: pages are made for browsers'
        WHEN d.any_declared THEN 'Only the Apex endpoints that the registry declares for this user'
        ELSE 'Only the Apex endpoints that this user called before'
    END AS expected,
    d.kind
        || CASE
               WHEN k.name IS NOT NULL THEN ' "' || printable(k.name) || '" (in the registry, not for this user at this time)'
               WHEN d.endpoint LIKE '%{name:~%' THEN
                   ' endpoint that the registry does not name (digest '
                   || regexp_replace(d.endpoint, '^.*(~[^}]{8})[^}]*\}.*$', '\1') || '…)'
               ELSE ' "' || printable(d.endpoint) || '"'
           END
        || ' called '
        || CASE WHEN d.events = 1 THEN 'once' ELSE d.events || ' times' END
        || CASE WHEN d.errors > 0 THEN ', with errors ' || d.errors ELSE '' END
        || coalesce(' (' || array_to_string(array_slice(d.details, 1, 5), ', ') || ')', '')
        || ' from ' || coalesce(array_to_string(array_slice(d.ips, 1, 5), ', '), 'no usable address')
        || CASE
               WHEN d.outside_networks THEN ', outside the declared networks'
               WHEN d.level = 3 AND d.kind <> 'Visualforce' THEN ', a network that the user did not use before'
               ELSE ''
           END AS observed,
    'integration' AS role, d.role_source, r.system, r.owner,
    d.kind, printable(d.endpoint) AS endpoint,
    -- Only a declaration knows the name behind a digest.
    CASE WHEN d.endpoint LIKE '%{name:~%' THEN coalesce(printable(k.name), 'not declared for anybody') END AS endpoint_name, d.methods, d.details, d.errors, d.ips,
    CASE WHEN d.kind = 'Visualforce' THEN 'any page' WHEN d.any_declared THEN 'declared' ELSE 'learned' END AS mode,
    d.proof
FROM by_day d
LEFT JOIN known_names k ON d.kind = 'Apex REST' AND '/services/apexrest' || k.path = d.endpoint
LEFT JOIN registry_users r ON r.user_key = d.user_key AND d.first_at >= r.valid_from AND d.first_at < r.valid_to
ORDER BY occurred_at, user_key, endpoint
