/*
id = "integration-wrong-connected-app"
title = "Integration user used through an app that is not its own"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.8", "S0.18", "S1.5", "S4.5"]
attack = ["T1036.005", "T1671", "T1528"]
description = """
One integration, one user, one app. Another app on the same user means a shared credential, a second \
system, or a consent that somebody was talked into. The id beats the name: an app's label is chosen by its \
maker. An app that the registry does not know at all, or whose name imitates a known one, is critical. For a \
user without declared apps nothing can be called wrong: each of its apps is reported at medium, until it is \
declared. Where the account is in no registry at all, `unregistered-integration-user` names its apps once, and \
only apps that imitate others are told here. Same id with a new name is an info row. Names are compared without \
regard to blanks and case; letters that only look alike are not folded into one (the catalogue's NFKC would make a \
full-width imitation equal to the real name)."""
false_positives = [
  "A vendor renames its app: same id, new name, an info row only",
  "A second app during a migration: declare it with valid_to",
]
response = [
  "Unknown or imitating app: block it (Connected Apps OAuth Usage, Block), revoke its tokens, then ask who approved it",
  "Read what the app called since it appeared: objects, rows, addresses",
  "Known app of another system: give that system a user of its own",
]
references = [
  "https://attack.mitre.org/techniques/T1671/",
  "https://attack.mitre.org/techniques/T1036/005/",
]
inputs = ["logins | api_calls"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.lookalike_max_distance]
type = "int"
default = 2
meaning = "changed characters up to which a name imitates another; only for names at least three times as long as that"

[params.well_known_names]
type = "text_list"
default = [
  "Data Loader", "Salesforce CLI", "Workbench", "Salesforce Inspector", "Salesforce Inspector Reloaded",
  "Salesforce for Outlook", "Salesforce Mobile Dashboards", "Chatter Desktop", "Force.com IDE", "dataloader.io",
  "Dataloader Bulk", "Dataloader Partner",
]
meaning = "names that impostors like to wear"
*/
WITH
raw_sightings AS (
    -- LoginHistory has names only. Where the merge is ambiguous, it is open which of two logins an app
    -- belongs to, but not that this user was used through it.
    SELECT
        l.occurred_at, l.day, l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        CAST(NULL AS VARCHAR) AS app_id, coalesce(l.app, h.application) AS app_name, 'login' AS seen_in, 0 AS calls,
        l.ip, coalesce(h.file_id, l.file_id) AS file_id, coalesce(h.line_no, l.line_no) AS line_no
    FROM logins l
    LEFT JOIN (
        SELECT file_id, line_no, application
        FROM login_history
        WHERE occurred_at >= $window_start - INTERVAL '1 minute'
          AND occurred_at < $window_end + INTERVAL '1 minute'
    ) h ON l.merge_quality = 'ambiguous' AND h.file_id = l.lh_file_id AND h.line_no = l.lh_line_no
    WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end
      AND l.role = 'integration'
      AND l.outcome = 'success'
      -- `Browser` stands for no app: UI logins have a rule of their own.
      AND coalesce(upper(trim(coalesce(l.app, h.application))), '') NOT IN ('', 'N/A', 'BROWSER')
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        -- One form of an id; what is no Salesforce id is compared as it is.
        coalesce(sf_id18(trim(app_id)), nullif(nullif(trim(app_id), ''), 'N/A')) AS app_id,
        nullif(nullif(trim(app), ''), 'N/A') AS app_name,
        'api' AS seen_in, calls, ip, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'integration'
      AND (coalesce(upper(trim(app_id)), '') NOT IN ('', 'N/A') OR coalesce(upper(trim(app)), '') NOT IN ('', 'N/A'))
),
sightings AS (
    -- Blanks and case do not make another name; letters that only look alike do.
    SELECT *, lower(trim(regexp_replace(app_name, '\s+', ' ', 'g'))) AS plain_name
    FROM raw_sightings
),
-- The user's own apps, each with the time in which it may be used.
own AS (
    SELECT
        user_key, coalesce(sf_id18(trim(app_id)), nullif(trim(app_id), '')) AS app_id,
        lower(trim(regexp_replace(app_name, '\s+', ' ', 'g'))) AS plain_name,
        app_name, valid_from, valid_to
    FROM registry_apps
),
-- The id decides; the name decides only where one side has no id. An id alone cannot be told from
-- a declared app that has none.
not_own AS (
    SELECT s.*
    FROM sightings s
    WHERE NOT EXISTS (
        SELECT 1 FROM own o
        WHERE o.user_key = s.user_key
          AND (o.valid_from IS NULL OR s.occurred_at >= o.valid_from)
          AND (o.valid_to IS NULL OR s.occurred_at < o.valid_to)
          AND ((o.app_id = s.app_id
                AND (s.plain_name IS NULL OR o.plain_name IS NULL OR s.plain_name = o.plain_name))
               OR ((s.app_id IS NULL OR o.app_id IS NULL)
                   AND (s.plain_name IS NULL OR s.plain_name = o.plain_name))))
),
-- One row per user, day and app as it was written.
apps AS (
    SELECT
        user_key, day, app_id, app_name, plain_name,
        app_name_key(app_name) AS name_key,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) FILTER (WHERE seen_in = 'login') AS logins,
        coalesce(sum(calls), 0) AS counted_calls,
        count(*) FILTER (WHERE seen_in = 'api') - coalesce(sum(calls), 0) AS detailed_calls,
        min(ip) AS an_ip, count(DISTINCT ip) AS distinct_ips,
        min(file_id || ':' || line_no) AS proof
    FROM not_own
    GROUP BY user_key, day, app_id, app_name, plain_name
),
against_own AS (
    SELECT
        a.user_key, a.day, a.app_id, a.app_name,
        count(o.user_key) > 0 AS any_declared,
        coalesce(bool_or(o.app_id = a.app_id
                         AND (o.valid_from IS NULL OR a.first_at >= o.valid_from)
                         AND (o.valid_to IS NULL OR a.last_at < o.valid_to)), false) AS renamed,
        coalesce(bool_or(o.app_id <> a.app_id AND o.plain_name = a.plain_name), false) AS name_reused,
        coalesce(bool_or(o.app_id = a.app_id
                         OR ((o.app_id IS NULL OR a.app_id IS NULL) AND o.plain_name = a.plain_name)), false)
            AS outside_validity,
        array_agg(DISTINCT printable(o.app_name) ORDER BY printable(o.app_name))
            FILTER (WHERE o.app_name IS NOT NULL) AS own_apps
    FROM apps a
    LEFT JOIN own o ON o.user_key = a.user_key
    GROUP BY a.user_key, a.day, a.app_id, a.app_name
),
-- Every app that the registry knows, of whatever user, and the names that impostors like to wear.
known AS (
    SELECT
        app_id, name, org,
        lower(trim(regexp_replace(name, '\s+', ' ', 'g'))) AS plain_name,
        app_name_key(name) AS name_key
    FROM (
        SELECT coalesce(sf_id18(trim(app_id)), nullif(trim(app_id), '')) AS app_id, app_name AS name, true AS org FROM registry_apps
        UNION
        SELECT coalesce(sf_id18(trim(id)), nullif(trim(id), '')) AS app_id, name, true AS org FROM registry_org_apps
        UNION
        SELECT CAST(NULL AS VARCHAR) AS app_id, w.name, false AS org
        FROM (SELECT unnest(CAST($well_known_names AS VARCHAR[])) AS name) w
    )
),
against_known AS (
    SELECT
        a.user_key, a.day, a.app_id, a.app_name,
        coalesce(bool_or(k.org AND (k.app_id = a.app_id
                                    OR ((k.app_id IS NULL OR a.app_id IS NULL) AND k.plain_name = a.plain_name))), false)
            AS known_to_org,
        coalesce(bool_or(k.plain_name = a.plain_name), false) AS exact_name,
        -- The same letters to the eye, or a slip of the finger away. Short names differ by little
        -- without meaning anything.
        min(k.name) FILTER (
            WHERE k.plain_name <> a.plain_name
              AND (skeleton(k.name) = skeleton(a.app_name)
                   OR (character_length(a.name_key) >= 3 * $lookalike_max_distance
                       AND levenshtein(k.name_key, a.name_key) <= $lookalike_max_distance))
        ) AS looks_like
    FROM apps a
    CROSS JOIN known k
    GROUP BY a.user_key, a.day, a.app_id, a.app_name
),
judged AS (
    SELECT
        a.*,
        -- Rows that carry the id alone belong to the app whose name other rows of the day give.
        coalesce(a.name_key, max(a.name_key) OVER (PARTITION BY a.user_key, a.day, a.app_id), a.app_id) AS app_key,
        o.any_declared, o.own_apps, o.outside_validity,
        CASE WHEN k.exact_name THEN NULL ELSE k.looks_like END AS lookalike_of,
        o.name_reused, coalesce(k.known_to_org, false) AS known_to_org,
        o.renamed,
        -- 1 info, 3 medium, 4 high, 5 critical
        CASE
            WHEN o.renamed THEN 1
            WHEN o.name_reused OR (k.looks_like IS NOT NULL AND NOT k.exact_name) THEN 5
            WHEN NOT o.any_declared THEN 3
            WHEN NOT coalesce(k.known_to_org, false) THEN 5
            ELSE 4
        END AS level
    FROM apps a
    JOIN against_own o
      ON o.user_key = a.user_key AND o.day = a.day
     AND (o.app_id IS NOT DISTINCT FROM a.app_id) AND (o.app_name IS NOT DISTINCT FROM a.app_name)
    LEFT JOIN against_known k
      ON k.user_key = a.user_key AND k.day = a.day
     AND (k.app_id IS NOT DISTINCT FROM a.app_id) AND (k.app_name IS NOT DISTINCT FROM a.app_name)
),
by_app AS (
    SELECT
        user_key, day, app_key,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(first_at) AS first_at, max(last_at) AS last_at,
        sum(logins) AS logins,
        -- One call is written to ApiTotalUsage and to a detail type, which has the id alone: the larger
        -- count of the two.
        greatest(sum(counted_calls), sum(detailed_calls)) AS calls,
        max(level) AS level, bool_or(any_declared) AS any_declared,
        max(printable(coalesce(app_name, app_id))) AS app,
        array_agg(DISTINCT printable(app_id) ORDER BY printable(app_id)) FILTER (WHERE app_id IS NOT NULL) AS app_ids,
        max(array_to_string(own_apps, ', ')) AS own_apps,
        max(printable(lookalike_of)) AS lookalike_of,
        bool_or(name_reused) AS name_reused, bool_or(known_to_org) AS known_to_org,
        bool_and(renamed) AS renamed, bool_or(outside_validity) AS outside_validity,
        min(an_ip) AS an_ip, max(distinct_ips) AS distinct_ips,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof
    FROM judged
    GROUP BY user_key, day, app_key
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['info', 'low', 'medium', 'high', 'critical'][
        greatest(1, level - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    greatest(1, logins + calls) AS event_count,
    last_at,
    CASE
        WHEN own_apps IS NOT NULL THEN 'Only the apps that the registry declares for this user: ' || own_apps
        WHEN any_declared THEN 'Only the apps that the registry declares for this user'
        ELSE 'The registry names the apps of each integration user; it names none for this one'
    END AS expected,
    CASE
        WHEN renamed THEN 'The user''s own app now calls itself "' || app || '"'
        ELSE 'The user was used through "' || app || '"'
    END
        || coalesce(' (id ' || array_to_string(app_ids, ', ') || ')', '')
        || ': logins ' || logins || ', API calls ' || calls
        || coalesce(', from ' || an_ip, '') || CASE WHEN distinct_ips > 1 THEN ' and others' ELSE '' END
        || CASE
               WHEN renamed THEN ''
               WHEN name_reused THEN '; it bears the name of the user''s own app and has another id'
               WHEN lookalike_of IS NOT NULL THEN '; the name imitates "' || lookalike_of || '"'
               WHEN outside_validity THEN '; the app is declared, but not for that time'
               WHEN NOT known_to_org THEN '; the registry does not know this app at all'
               ELSE '; it belongs to another system'
           END AS observed,
    role, role_source, system, owner,
    printable(app_key) AS app_key, app, app_ids, own_apps, lookalike_of, name_reused, known_to_org, renamed,
    outside_validity, logins, calls, an_ip AS ip, distinct_ips,
    proof
FROM by_app
-- In no registry: its app is no news each day.
WHERE NOT (role_source = 'inferred' AND NOT any_declared AND level = 3)
ORDER BY occurred_at, user_key, app_key
