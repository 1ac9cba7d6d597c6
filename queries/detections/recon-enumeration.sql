/*
id = "recon-enumeration"
title = "Somebody takes stock of the org: lists its objects, counts their rows, reads its limits"
family = "attack"
severity = "medium"
status = "active"
version = 1
control = ["S1.11"]
attack = ["T1526", "T1087.004", "T1069.003"]
description = """
Who has a stolen token does not know the org. He lists all objects (global describe), describes many, counts their \
rows with COUNT(), asks for /limits and the Organization, lists users by their last login, or reads whole objects \
with FIELDS(). Told are three of these kinds within half an hour; descriptions of twenty objects; COUNT() on ten; or \
a global describe with FIELDS() on five. Clients that do so as a matter of course are learned per user and app: each \
kind that is there was there on several of the last days. High for a machine that never did the same before. The \
finding belongs to the day on which the burst first reached this, and a burst is told once. Where this leaves the \
catalogue: kinds are gathered per user and not per address, because thieves come through many exits within minutes \
(addresses and apps are told); one description counts as a kind beside five COUNT()s; and what was described on \
earlier days no roll-up holds, so a client is taken to describe habitually when it touched nearly as many objects on \
those days."""
false_positives = [
  "A new tool that reads the whole schema when it starts (ETL, CLI, backup): learned after three days",
]
response = [
  "Ask the owner whether a tool was added or changed; compare client, address and API version with earlier days",
  "Nobody knows it: revoke the app's tokens of this user before the export follows (often within days)",
  "Watch the user for bulk jobs and large queries: recon-bulk-delete-chain tells when they come",
]
references = [
  "https://attack.mitre.org/techniques/T1526/",
  "https://attack.mitre.org/techniques/T1087/004/",
  "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_describeGlobal.htm",
]
inputs = ["api_calls", "queries?", "sightings?"]
dedupe = ["user_key"]
bucket = "day"

[params.period]
type = "duration"
default = "30m"
meaning = "time in which the kinds are gathered"

[params.min_kinds]
type = "int"
default = 3
meaning = "kinds of stock-taking from which it is told"

[params.min_objects]
type = "int"
default = 5
meaning = "objects that must be described, counted or read with FIELDS() for it to be a kind"

[params.many_describes]
type = "int"
default = 20
meaning = "described objects that alone are enough"

[params.many_counts]
type = "int"
default = 10
meaning = "objects with COUNT() that alone are enough"

[params.habit_period]
type = "duration"
default = "30d"
meaning = "how far back the user and app are looked at for doing the same"

[params.habit_days]
type = "int"
default = 3
meaning = "days in that time from which it is a habit"

[params.habit_share]
type = "float"
default = 0.8
meaning = "share of the burst's objects that such a day must have had"
*/
WITH
-- Twice the period: a burst that goes on since before midnight was told yesterday.
calls AS (
    SELECT
        user_key, date_trunc('minute', occurred_at) AS minute, coalesce(sf_id18(app_id), app_name_key(app)) AS app_key,
        coalesce(app, app_id) AS app, ip, lower(coalesce(resource, '')) AS path, upper(coalesce(method, '')) AS verb,
        lower(coalesce(entity_name, '')) AS entity, role, role_source,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events, min(file_id || ':' || line_no) AS proof
    FROM api_calls
    WHERE occurred_at >= $window_start - $period - $period AND occurred_at < $window_end
      AND user_key IS NOT NULL
      AND (resource ILIKE '%sobjects%' OR resource ILIKE '%limits%' OR resource ILIKE '%describe%' OR resource ILIKE '%object-info%'
           OR method ILIKE '%describe%' OR entity_name ILIKE '%organization%' OR entity_name ILIKE '%entitydefinition%')
    GROUP BY user_key, date_trunc('minute', occurred_at), coalesce(sf_id18(app_id), app_name_key(app)), coalesce(app, app_id),
        ip, lower(coalesce(resource, '')), upper(coalesce(method, '')), lower(coalesce(entity_name, '')), role, role_source
),
asked AS (
    SELECT
        user_key, minute, app_key, app, ip, role, role_source, first_at, last_at, events, proof,
        CASE
            WHEN regexp_like(path, '/limits(/.*)?$') THEN 'limits'
            WHEN (regexp_like(path, '/sobjects/?$') AND verb IN ('GET', 'HEAD', ''))
                 OR path LIKE '%describeglobal%' OR replace(verb, '_', '') = 'DESCRIBEGLOBAL'
                 OR regexp_like(entity, '(^|[^a-z0-9_])entitydefinition([^a-z0-9_]|$)') THEN 'global describe'
            WHEN path LIKE '%/describe%' OR path LIKE '%object-info/%' OR path LIKE 'describe%' OR verb LIKE 'DESCRIBE%'
                 OR (regexp_like(path, '/sobjects/[^/]+/?$') AND verb IN ('GET', 'HEAD')) THEN 'describe'
            WHEN regexp_like(entity, '(^|[^a-z0-9_])organization([^a-z0-9_]|$)') THEN 'organization'
        END AS kind,
        -- The object of the path; a name that was not kept there stands in the entity.
        coalesce(
            nullif(nullif(split_part(split_part(path, CASE WHEN path LIKE '%object-info/%' THEN 'object-info/' ELSE 'sobjects/' END, 2), '/', 1), ''), '{name}'),
            nullif(entity, ''), 'unnamed') AS object
    FROM calls
    UNION ALL
    SELECT
        user_key, minute, app_key, app, ip, role, role_source, first_at, last_at, events, proof,
        CASE class WHEN 'count' THEN 'count' WHEN 'users_by_last_login' THEN 'users by last login'
             WHEN 'fields_all' THEN 'fields()' WHEN 'fields_standard' THEN 'fields()' END AS kind,
        object
    FROM (
        SELECT
            user_key, date_trunc('minute', occurred_at) AS minute, sf_id18(app_id) AS app_key, app_id AS app, ip,
            role, role_source,
            coalesce(lower(query_object), query_shape, 'unnamed') AS object, unnest(string_to_array(query_classes, ';')) AS class,
            min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events, min(file_id || ':' || line_no) AS proof
        FROM queries
        WHERE occurred_at >= $window_start - $period - $period AND occurred_at < $window_end
          AND user_key IS NOT NULL AND query_classes IS NOT NULL
        GROUP BY user_key, date_trunc('minute', occurred_at), sf_id18(app_id), app_id, ip, role, role_source,
            coalesce(lower(query_object), query_shape, 'unnamed'), query_classes
    ) q
),
-- How much each user asked for at all: most never come near, and are out before windows are made.
totals AS (
    SELECT
        *,
        sum(CASE WHEN kind = 'describe' AND nth = 1 THEN 1 ELSE 0 END) OVER of_user AS all_describes,
        sum(CASE WHEN kind = 'count' AND nth = 1 THEN 1 ELSE 0 END) OVER of_user AS all_counts,
        sum(CASE WHEN kind = 'fields()' AND nth = 1 THEN 1 ELSE 0 END) OVER of_user AS all_fields,
        sum(CASE WHEN nth_of_kind = 1 THEN 1 ELSE 0 END) OVER of_user AS all_kinds
    FROM (
        SELECT
            *,
            row_number() OVER (PARTITION BY user_key, kind, object ORDER BY minute, proof) AS nth,
            row_number() OVER (PARTITION BY user_key, kind ORDER BY minute, proof) AS nth_of_kind
        FROM asked
        WHERE kind IS NOT NULL
    ) n
    WINDOW of_user AS (PARTITION BY user_key)
),
-- The period that ends with each minute.
in_reach AS (
    SELECT
        *,
        unnest(generate_series(minute, minute + CAST($period AS INTERVAL) - INTERVAL '1 minute', INTERVAL '1 minute')) AS until
    FROM totals
    WHERE all_describes >= $many_describes OR all_counts >= $many_counts OR all_kinds >= $min_kinds
       OR all_fields >= $min_objects
),
periods AS (
    SELECT
        -- A series comes in nanoseconds, in which the open ends of the registry do not fit.
        user_key, arrow_cast(until, 'Timestamp(Millisecond, Some("UTC"))') AS until,
        max(role) AS role, max(role_source) AS role_source,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events,
        count(DISTINCT object) FILTER (WHERE kind = 'describe') AS describes,
        count(DISTINCT object) FILTER (WHERE kind = 'count') AS counts,
        count(DISTINCT object) FILTER (WHERE kind = 'fields()') AS fields,
        count(DISTINCT object) FILTER (WHERE kind IN ('describe', 'count', 'fields()')) AS objects_asked,
        bool_or(kind = 'global describe') AS global_describe, bool_or(kind = 'limits') AS limits,
        bool_or(kind = 'organization') AS organization, bool_or(kind = 'users by last login') AS user_list,
        array_slice(array_agg(DISTINCT printable(object) ORDER BY printable(object))
            FILTER (WHERE kind IN ('describe', 'count', 'fields()')), 1, 20) AS objects,
        array_agg(DISTINCT app_key ORDER BY app_key) FILTER (WHERE app_key IS NOT NULL) AS app_keys,
        array_slice(array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL), 1, 20) AS apps,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT proof ORDER BY proof), 1, 20) AS proof
    FROM in_reach
    GROUP BY user_key, until
),
kinds AS (
    SELECT
        *,
        describes >= $min_objects OR (describes > 0 AND counts >= $min_objects) AS describing,
        counts >= $min_objects AS counting, fields >= $min_objects AS reading_all
    FROM periods
),
reached AS (
    SELECT *, lag(until) OVER (PARTITION BY user_key ORDER BY until) AS reached_before
    FROM (
        SELECT
            *,
            CASE WHEN global_describe THEN 1 ELSE 0 END + CASE WHEN describing THEN 1 ELSE 0 END
                + CASE WHEN counting THEN 1 ELSE 0 END + CASE WHEN reading_all THEN 1 ELSE 0 END
                + CASE WHEN limits THEN 1 ELSE 0 END + CASE WHEN organization THEN 1 ELSE 0 END
                + CASE WHEN user_list THEN 1 ELSE 0 END AS kind_count
        FROM kinds
    ) k
    WHERE kind_count >= $min_kinds OR describes >= $many_describes OR counts >= $many_counts
       OR (global_describe AND reading_all)
),
-- The burst that ends a pause, and its fullest period.
bursts AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY user_key, burst_at ORDER BY kind_count DESC, objects_asked DESC, until) AS fullest
    FROM (
        SELECT
            *,
            max(CASE WHEN reached_before IS NULL OR reached_before < until - CAST($period AS INTERVAL) THEN until END)
                OVER (PARTITION BY user_key ORDER BY until) AS burst_at
        FROM reached
    ) b
),
told AS (
    SELECT *, CAST(burst_at AS DATE) AS day
    FROM bursts
    WHERE fullest = 1 AND burst_at >= $window_start AND burst_at < $window_end
),
-- Each earlier day of the user and an app of the burst: which of its kinds were there?
earlier AS (
    SELECT
        user_key, app_key, day,
        count(DISTINCT value) FILTER (WHERE kind = 'object') AS objects,
        bool_or(kind = 'object' AND value = 'organization') AS organization,
        bool_or(kind = 'query_class' AND value = 'count') AS counting,
        bool_or(kind = 'query_class' AND value = 'users_by_last_login') AS user_list,
        bool_or(kind = 'query_class' AND value IN ('fields_all', 'fields_standard')) AS reading_all
    FROM sightings
    WHERE day >= CAST($window_start - $habit_period AS DATE) AND day < CAST($window_end AS DATE)
      AND kind IN ('object', 'query_class')
    GROUP BY user_key, app_key, day
),
judged AS (
    SELECT
        t.user_key, t.burst_at,
        count(DISTINCT e.day) FILTER (WHERE
            (NOT (t.describing OR t.global_describe OR t.limits OR t.counting OR t.reading_all)
                OR e.objects >= greatest($habit_share * t.objects_asked, $min_objects))
            AND (NOT t.counting OR e.counting) AND (NOT t.reading_all OR e.reading_all)
            AND (NOT t.organization OR e.organization) AND (NOT t.user_list OR e.user_list)) AS same_days
    FROM told t
    LEFT JOIN earlier e
      ON e.user_key = t.user_key AND e.day < CAST(t.first_at AS DATE) AND e.day >= t.day - CAST($habit_period AS INTERVAL)
     -- Some logs name no app: then the user's calls without one.
     AND CASE WHEN t.app_keys IS NULL THEN e.app_key IS NULL ELSE coalesce(array_has(t.app_keys, e.app_key), false) END
    GROUP BY t.user_key, t.burst_at
)
SELECT
    greatest(t.first_at, arrow_cast($window_start, 'Timestamp(Millisecond, Some("UTC"))'), date_trunc('day', t.burst_at)) AS occurred_at,
    t.user_key, sf_id18(t.user_key) AS user_id, coalesce(known_username(t.user_key), r.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN t.role IN ('integration', 'internal_system', 'ci') AND j.same_days = 0 THEN 3 ELSE 2 END
        - CASE WHEN t.role = 'integration' AND t.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    t.events AS event_count,
    t.last_at,
    'A client knows the few objects that it works with; this one did the same on ' || j.same_days || ' of the earlier days' AS expected,
    'Within ' || CAST(greatest(1, CAST(date_part('epoch', t.last_at) - date_part('epoch', t.first_at) AS BIGINT)) AS VARCHAR) || ' s: '
        || array_to_string(
            [
                CASE WHEN t.global_describe THEN 'list of all objects' END,
                CASE WHEN t.describes > 0 THEN 'objects described: ' || t.describes END,
                CASE WHEN t.counts > 0 THEN 'objects counted: ' || t.counts END,
                CASE WHEN t.fields > 0 THEN 'objects read with FIELDS(): ' || t.fields END,
                CASE WHEN t.limits THEN 'limits' END,
                CASE WHEN t.organization THEN 'Organization' END,
                CASE WHEN t.user_list THEN 'users by last login' END
            ], ', ')
        || coalesce(', by way of ' || array_to_string(array_slice(t.apps, 1, 3), ', '), '')
        || coalesce(', from ' || array_to_string(array_slice(t.ips, 1, 5), ', '), '') AS observed,
    t.role, t.role_source, r.system, r.owner,
    t.kind_count, t.global_describe, t.describes, t.counts, t.fields, t.limits, t.organization, t.user_list,
    j.same_days, t.objects, t.apps, t.ips,
    t.proof
FROM told t
JOIN judged j ON j.user_key = t.user_key AND j.burst_at = t.burst_at
LEFT JOIN registry_users r
  ON r.user_key = t.user_key AND t.burst_at >= r.valid_from AND t.burst_at < r.valid_to
WHERE j.same_days < $habit_days
ORDER BY occurred_at, user_key
