/*
id = "shared-user-many-systems"
title = "One integration user serves several systems"
family = "identity"
severity = "medium"
status = "active"
version = 1
control = ["S0.2", "S0.8", "S1.10", "S4.2"]
attack = ["T1078.004", "T1552"]
description = """
One integration, one user: otherwise nobody can say which system did what, each holds the rights of all, and \
one that is breached cannot be switched off alone. A system is an app (its id beats its name), else the \
client name of calls that belong to no app, else the kind of client of logins that belong to none. It counts with \
min_calls calls or min_logins logins, on min_days days of the period; one try does not. A finding when a user has at \
least two systems of which one is not declared for it (app or tool), or two that the registry gives to different \
systems. High for three systems, or where an own system and a vendor's share the user. The catalogue compares the \
number of systems with the number of declared apps; a declared app that is not in use would then let a stranger \
in, so what is declared is compared by name. Calls without app and client name are counted to nobody here."""
false_positives = [
  "Two apps of one system during a migration: declare the second with valid_to and a ticket",
  "Several users for one system (cursor limits, load) are the other way round and never meant",
]
response = [
  "Ask the owner which systems hold this credential, and where each of them keeps it",
  "Give every system a user, an app and a credential of its own; then rotate the shared one",
  "Until then declare what is accepted (apps, tools) with an end",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1552/",
]
inputs = ["logins | api_calls"]
dedupe = ["user_key"]
bucket = "none"

[params.period]
type = "duration"
default = "7d"
meaning = "time before the end of the last day that is looked at"

[params.min_calls]
type = "int"
default = 20
meaning = "API calls from which a system counts"

[params.min_logins]
type = "int"
default = 3
meaning = "logins from which a system counts"

[params.min_days]
type = "int"
default = 2
meaning = "different days from which a system counts"
*/
WITH
-- One row per user, day and way of calling itself. A client name counts up to its slash and without
-- its version; a library is a library in every version, and of what is none the first word is taken.
traces AS (
    SELECT
        user_key, day, network_of(ip) AS network,
        CAST(NULL AS VARCHAR) AS app_id,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A', 'BROWSER') THEN trim(app) END AS app_name,
        CAST(NULL AS VARCHAR) AS client,
        CASE
            WHEN ua_family = 'other' THEN regexp_replace(split_part(browser, '/', 1), '[ .0-9]+$', '')
            WHEN ua_family NOT IN ('missing', 'code') THEN ua_family
        END AS client_kind,
        count(*) AS logins, 0 AS counted_calls, 0 AS detail_calls,
        max(role_source) AS role_source, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        min(file_id || ':' || line_no) AS proof
    FROM logins
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND role = 'integration' AND outcome = 'success'
      -- What an ambiguous merge guessed is not held against the user.
      AND coalesce(merge_quality, '') <> 'ambiguous'
    GROUP BY user_key, day, network, app_name, client_kind
    UNION ALL
    SELECT
        user_key, day, network_of(ip) AS network,
        coalesce(sf_id18(trim(app_id)), nullif(nullif(upper(trim(app_id)), ''), 'N/A')) AS app_id,
        CASE WHEN coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') THEN trim(app) END AS app_name,
        regexp_replace(split_part(client_name, '/', 1), '[ .0-9]+$', '') AS client,
        CAST(NULL AS VARCHAR) AS client_kind,
        0 AS logins, sum(calls) AS counted_calls, count(*) - sum(calls) AS detail_calls,
        max(role_source) AS role_source, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        min(file_id || ':' || line_no) AS proof
    FROM api_calls
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND role = 'integration'
      -- The platform's own calls on behalf of the user.
      AND coalesce(lower(client_name), '') NOT LIKE 'sfdcinternal%'
    GROUP BY user_key, day, network, app_id, app_name, client
),
-- Letters and digits only, so that blanks, case and punctuation make no other system.
worded AS (
    SELECT
        *,
        nullif(regexp_replace(app_name_key(app_name), '[^\p{L}\p{N}]+', '', 'g'), '') AS app_word,
        nullif(regexp_replace(app_name_key(client), '[^\p{L}\p{N}]+', '', 'g'), '') AS client_word,
        nullif(regexp_replace(app_name_key(client_kind), '[^\p{L}\p{N}]+', '', 'g'), '') AS kind_word
    FROM traces
),
org_ids AS (
    SELECT app_word, min(app_id) AS app_id
    FROM (
        SELECT
            regexp_replace(app_name_key(app_name), '[^\p{L}\p{N}]+', '', 'g') AS app_word,
            coalesce(sf_id18(trim(app_id)), trim(app_id)) AS app_id
        FROM registry_apps
        UNION ALL
        SELECT regexp_replace(app_name_key(name), '[^\p{L}\p{N}]+', '', 'g'), coalesce(sf_id18(trim(id)), trim(id))
        FROM registry_org_apps
    ) a
    GROUP BY app_word
),
-- Rows that name an app belong to the id that other rows of the user, or the registry, give that name.
apps AS (
    SELECT
        *,
        CASE
            WHEN resolved_id IS NOT NULL THEN resolved_id
            WHEN app_word IS NOT NULL THEN 'app ' || app_word
        END AS app_key
    FROM (
        SELECT
            w.*,
            coalesce(
                w.app_id,
                CASE WHEN w.app_word IS NOT NULL THEN max(w.app_id) OVER (PARTITION BY w.user_key, w.app_word) END,
                o.app_id) AS resolved_id
        FROM worded w
        LEFT JOIN org_ids o ON o.app_word = w.app_word
    ) r
),
-- Rows without an app belong to the app that calls itself so elsewhere: an External Client App
-- leaves its name out of some rows.
keyed AS (
    SELECT
        *,
        CASE
            WHEN app_key IS NOT NULL THEN app_key
            WHEN client_word IS NOT NULL THEN coalesce(app_of_client, 'client ' || client_word)
            WHEN kind_word IS NOT NULL THEN 'logins by ' || kind_word
        END AS system_key,
        CASE
            WHEN app_key IS NULL AND client_word IS NULL THEN 'login'
            WHEN app_key IS NULL AND app_of_client IS NULL THEN 'client'
            ELSE 'app'
        END AS seen_as
    FROM (
        SELECT
            *,
            CASE WHEN client_word IS NOT NULL THEN max(app_key) OVER (PARTITION BY user_key, client_word) END
                AS app_of_client
        FROM apps
    ) a
),
systems AS (
    SELECT
        user_key, system_key, seen_as,
        max(resolved_id) AS app_id,
        max(CASE seen_as WHEN 'app' THEN app_word WHEN 'client' THEN client_word END) AS word,
        printable(max(CASE seen_as WHEN 'app' THEN coalesce(app_name, resolved_id) WHEN 'client' THEN client ELSE client_kind END))
            AS name,
        max(role_source) AS role_source,
        sum(logins) AS logins,
        -- One call is written to ApiTotalUsage and to a detail type: the larger count of the two.
        greatest(sum(counted_calls), sum(detail_calls)) AS calls,
        count(DISTINCT day) AS days,
        array_to_string(array_slice(array_agg(DISTINCT network ORDER BY network) FILTER (WHERE network IS NOT NULL), 1, 3), ', ')
            AS networks,
        min(first_at) AS first_at, max(last_at) AS last_at, min(proof) AS proof
    FROM keyed
    WHERE system_key IS NOT NULL
    GROUP BY user_key, system_key, seen_as
    HAVING count(DISTINCT day) >= $min_days
       AND (greatest(sum(counted_calls), sum(detail_calls)) >= $min_calls OR sum(logins) >= $min_logins)
),
-- What the registry says of apps and tools: whose they are, and to which system they belong.
directory AS (
    SELECT
        a.user_key, coalesce(sf_id18(trim(a.app_id)), trim(a.app_id)) AS app_id,
        regexp_replace(app_name_key(a.app_name), '[^\p{L}\p{N}]+', '', 'g') AS word,
        max(u.system) AS user_system, CAST(NULL AS VARCHAR) AS app_system, CAST(NULL AS VARCHAR) AS vendor
    FROM registry_apps a
    JOIN registry_users u ON u.user_key = a.user_key AND u.valid_from < $window_end AND u.valid_to > $window_end - $period
    WHERE a.valid_from < $window_end AND a.valid_to > $window_end - $period
    GROUP BY a.user_key, a.app_id, a.app_name
    UNION ALL
    SELECT
        user_key, NULL, regexp_replace(app_name_key(tool), '[^\p{L}\p{N}]+', '', 'g'), NULL, NULL, NULL
    FROM registry_tools
    WHERE valid_from < $window_end AND valid_to > $window_end - $period
    UNION ALL
    SELECT
        NULL, coalesce(sf_id18(trim(id)), trim(id)), regexp_replace(app_name_key(name), '[^\p{L}\p{N}]+', '', 'g'),
        NULL, system, CASE WHEN lower(trim(vendor)) = 'own' THEN 'own' ELSE nullif(trim(vendor), '') END
    FROM registry_org_apps
    WHERE valid_from < $window_end AND valid_to > $window_end - $period
),
judged AS (
    SELECT
        s.user_key, s.system_key, s.seen_as, s.name, s.role_source, s.logins, s.calls, s.days, s.networks,
        s.first_at, s.last_at, s.proof,
        coalesce(bool_or(d.user_key = s.user_key), false) AS declared,
        -- The app's own entry first, then the user for whom it is declared, if that is one system.
        coalesce(
            max(d.app_system),
            max(d.user_system) FILTER (WHERE d.user_key = s.user_key),
            CASE WHEN count(DISTINCT d.user_system) = 1 THEN max(d.user_system) END) AS system,
        max(d.vendor) AS vendor
    FROM systems s
    LEFT JOIN directory d
      -- The id decides; the name only where one side has no id.
      ON CASE WHEN s.app_id IS NOT NULL AND d.app_id IS NOT NULL THEN s.app_id = d.app_id ELSE s.word = d.word END
    GROUP BY
        s.user_key, s.system_key, s.seen_as, s.name, s.role_source, s.logins, s.calls, s.days, s.networks,
        s.first_at, s.last_at, s.proof
),
by_user AS (
    SELECT
        user_key, max(role_source) AS role_source,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(logins) AS logins, sum(calls) AS calls,
        count(*) FILTER (WHERE seen_as <> 'login') AS apps_and_clients,
        count(*) FILTER (WHERE seen_as = 'login') AS login_clients,
        count(*) FILTER (WHERE seen_as <> 'login' AND NOT declared) AS undeclared,
        count(DISTINCT system) AS owner_systems,
        count(DISTINCT coalesce(system, system_key)) FILTER (WHERE seen_as <> 'login') AS systems,
        coalesce(bool_or(vendor = 'own') AND bool_or(vendor <> 'own'), false) AS own_and_vendor,
        array_slice(array_agg(
            name || ': calls ' || calls || ', logins ' || logins || ', days ' || days
                || coalesce(', from ' || networks, '') || CASE WHEN declared THEN '' ELSE ' (not declared)' END
            ORDER BY calls + logins DESC, system_key), 1, 20) AS used_by,
        array_agg(DISTINCT printable(system) ORDER BY printable(system)) FILTER (WHERE system IS NOT NULL) AS system_names,
        array_slice(array_agg(proof ORDER BY calls + logins DESC, system_key), 1, 20) AS proof
    FROM judged
    GROUP BY user_key
),
declared_apps AS (
    SELECT user_key, count(DISTINCT app_name_key(app_name)) AS apps
    FROM registry_apps
    WHERE valid_from < $window_end AND valid_to > $window_end - $period
    GROUP BY user_key
),
shared AS (
    SELECT
        u.*,
        -- Logins that name no app cannot be matched with the apps of the calls: they may be the same.
        greatest(u.systems, u.login_clients) AS system_count
    FROM by_user u
    LEFT JOIN declared_apps a ON a.user_key = u.user_key
    WHERE (u.apps_and_clients >= 2 AND u.undeclared >= 1)
       OR u.owner_systems >= 2
       OR (u.login_clients >= 2 AND u.login_clients > coalesce(a.apps, 0))
)
SELECT
    s.first_at AS occurred_at,
    s.user_key, sf_id18(s.user_key) AS user_id, coalesce(known_username(s.user_key), r.username) AS username,
    -- 2 medium, 3 high; an account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN s.system_count >= 3 OR s.own_and_vendor THEN 3 ELSE 2 END
        - CASE WHEN s.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    s.logins + s.calls AS event_count,
    s.last_at,
    'One user for one system' || coalesce(': ' || r.system, '') AS expected,
    'Used by ' || greatest(s.apps_and_clients, s.login_clients) || ' apps or clients'
        || CASE WHEN s.owner_systems >= 2 THEN ' of the systems ' || array_to_string(s.system_names, ' and ') ELSE '' END
        || CASE WHEN s.own_and_vendor THEN ', own and a vendor''s' ELSE '' END
        || ': ' || array_to_string(array_slice(s.used_by, 1, 4), '; ') AS observed,
    'integration' AS role, s.role_source, r.system, r.owner,
    s.used_by, s.system_count, s.system_names, s.own_and_vendor, s.undeclared, s.calls, s.logins,
    s.proof
FROM shared s
LEFT JOIN registry_users r ON r.user_key = s.user_key AND s.last_at >= r.valid_from AND s.last_at < r.valid_to
ORDER BY occurred_at, user_key
