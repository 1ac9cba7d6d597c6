/*
id = "entity-breadth-anomaly"
title = "An integration touches objects that it never touched"
family = "behaviour"
severity = "medium"
status = "active"
version = 1
control = ["S1.11", "S4.7"]
attack = ["T1213.004", "T1087.004"]
description = """
An integration works with the few objects it was built for; who holds its token looks at all the others, too. An \
object is new when the account did not touch it in the 60 days before. Told is one new sensitive object, five new ones \
within 24 hours, or a day with four objects more than on any of the 28 days before. High with a sensitive object or \
five new ones. Accounts with fewer than 14 active days in these 60 are still learning and are not judged. History and \
share objects (AccountHistory, AccountShare) are objects of their own, as in the logs. It judges the user and not user \
and app as the catalogue has it: bulk jobs and SOAP calls name no app, and a new app on an old account is another \
rule's (integration-wrong-connected-app). Names come from ENTITY_NAME of the free log, too; where only queries tell \
them, they are not seen."""
false_positives = [
  "A release that brings new objects: declare a maintenance window of the user for the first run",
  "An object that is touched less often than every 60 days",
]
response = [
  "Ask the owner whether a release or a new mapping explains the objects",
  "Compare address, app and hour with earlier days; see whether rows and bulk jobs rose at the same time",
  "Not explained: revoke the token, and take the objects out of the account's permission sets: it did without them",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1087/004/",
]
inputs = ["sightings"]
dedupe = ["user_key"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "time in which an object must not have been touched to be new"

[params.min_active_days]
type = "int"
default = 14
meaning = "days with objects in that time below which the account is still learning"

[params.many_new]
type = "int"
default = 5
meaning = "new objects within 24 hours from which it is told, and high"

[params.more_than_ever]
type = "int"
default = 3
meaning = "how many objects a day may have more than any of the 28 days before"

[params.sensitive]
type = "text_list"
default = ["user", "contact", "lead", "account", "case", "contract", "opportunity", "individual", "emailmessage", "attachment", "contentversion", "document", "userlogin", "loginhistory", "authsession", "oauthtoken", "permissionset", "permissionsetassignment", "setupentityaccess", "profile", "connectedapplication"]
meaning = "objects of which a single new one is told, in lower case"
*/
WITH
touched AS (
    SELECT
        user_key, day, value AS object, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner, min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period AS DATE) - INTERVAL '1 day' AND day < CAST($window_end AS DATE) + INTERVAL '1 day'
      AND kind = 'object' AND value <> '(more)'
      AND role IN ('integration', 'ci') AND user_key IS NOT NULL
    GROUP BY user_key, day, value
),
-- Not touched since the learning period began, seen from its own day.
marked AS (
    SELECT
        *,
        (coalesce(day - CAST($learn_period AS INTERVAL) > before, true)
            AND in_window(user_key, CAST(NULL AS VARCHAR), first_at, 'maintenance') IS NOT TRUE) AS is_new
    FROM (SELECT *, lag(day) OVER (PARTITION BY user_key, object ORDER BY day) AS before FROM touched) t
),
counted AS (
    SELECT
        *,
        sum(CASE WHEN is_new THEN 1 ELSE 0 END) OVER (
            PARTITION BY user_key ORDER BY first_at RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW) AS new_24_hours
    FROM marked
),
days AS (
    SELECT
        user_key, day,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        count(*) AS objects,
        count(*) FILTER (WHERE is_new) AS new_objects,
        coalesce(max(new_24_hours) FILTER (WHERE is_new), 0) AS new_24_hours,
        count(*) FILTER (WHERE is_new AND array_has($sensitive, object)) AS new_sensitive,
        min(first_at) FILTER (WHERE is_new) AS first_at, max(last_at) FILTER (WHERE is_new) AS last_at,
        sum(events) FILTER (WHERE is_new) AS events,
        array_slice(array_agg(printable(object) ORDER BY CASE WHEN array_has($sensitive, object) THEN 0 ELSE 1 END, object)
            FILTER (WHERE is_new), 1, 30) AS new_names
    FROM counted
    GROUP BY user_key, day
),
-- The days before each day.
judged AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '60 days' PRECEDING AND INTERVAL '1 day' PRECEDING) AS active_days,
        max(objects) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '28 days' PRECEDING AND INTERVAL '1 day' PRECEDING) AS most_objects,
        -- Five new ones over midnight belong to the day on which the fifth came.
        max(new_24_hours) OVER (PARTITION BY user_key ORDER BY day
            RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '1 day' PRECEDING) AS new_24_hours_before
    FROM days
),
told AS (
    SELECT
        *,
        new_24_hours >= $many_new AND (new_objects >= $many_new OR coalesce(new_24_hours_before, 0) < $many_new) AS many,
        coalesce(objects > most_objects + $more_than_ever, false) AS broad
    FROM judged
    WHERE active_days >= $min_active_days AND new_objects > 0
      AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
),
calls AS (
    SELECT
        user_key, day,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL), 1, 20) AS apps,
        array_slice(array_agg(proof ORDER BY first_at, proof), 1, 20) AS proof
    FROM (
        SELECT c.user_key, c.day, c.ip, c.app, min(c.first_at) AS first_at, min(c.proof) AS proof, c.object
        FROM (
            SELECT
                user_key, CAST(occurred_at AS DATE) AS day, ip, coalesce(app, app_id) AS app,
                trim(unnest(string_to_array(replace(lower(entity_name), ',', ';'), ';'))) AS object,
                min(occurred_at) AS first_at, min(file_id || ':' || line_no) AS proof
            FROM api_calls
            WHERE occurred_at >= $window_start AND occurred_at < $window_end
              AND role IN ('integration', 'ci') AND entity_name IS NOT NULL
            GROUP BY user_key, CAST(occurred_at AS DATE), ip, coalesce(app, app_id), lower(entity_name)
        ) c
        JOIN marked m ON m.user_key = c.user_key AND m.day = c.day AND m.object = c.object AND m.is_new
        GROUP BY c.user_key, c.day, c.ip, c.app, c.object
    ) o
    GROUP BY user_key, day
)
SELECT
    t.first_at AS occurred_at,
    t.user_key, sf_id18(t.user_key) AS user_id, t.username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN t.new_sensitive > 0 OR t.many THEN 3 ELSE 2 END
        - CASE WHEN t.role = 'integration' AND t.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    t.events AS event_count,
    t.last_at,
    'Only objects that it touched in the last 60 days (' || t.active_days || ' of them active, at most '
        || coalesce(CAST(t.most_objects AS VARCHAR), 'unknown') || ' objects a day in the last 28)' AS expected,
    t.new_objects || CASE WHEN t.new_objects = 1 THEN ' new object: ' ELSE ' new objects: ' END
        || array_to_string(array_slice(t.new_names, 1, 8), ', ') || ' (' || t.objects || ' objects on this day)'
        || coalesce(', from ' || array_to_string(array_slice(c.ips, 1, 5), ', '), '') AS observed,
    t.role, t.role_source, t.system, t.owner,
    t.new_names AS new_objects, t.new_objects AS new_count, t.new_24_hours, t.new_sensitive, t.objects AS objects_of_day,
    t.most_objects, t.active_days,
    array_remove_all([
        CASE WHEN t.new_sensitive > 0 THEN 'sensitive' ELSE '' END,
        CASE WHEN t.many THEN 'many new' ELSE '' END,
        CASE WHEN t.broad THEN 'more than ever' ELSE '' END], '') AS reasons,
    c.apps, c.ips,
    c.proof
FROM told t
LEFT JOIN calls c ON c.user_key = t.user_key AND c.day = t.day
WHERE t.new_sensitive > 0 OR t.many OR t.broad
ORDER BY occurred_at, user_key
