/*
id = "paging-exfiltration"
title = "An object is read page after page, each page full"
family = "behaviour"
severity = "high"
status = "active"
version = 1
control = ["S1.11"]
attack = ["T1213.004", "T1030", "T1020"]
description = """
Who copies an org reads each object from its first page to its last: a query, then its cursor (`/query/<cursor>`, \
query_more) hundreds of times. Told is an account with 50 full pages within 60 minutes, by REST or SOAP, whatever else \
it does in between. A page of a cursor is full from 0.9 times the smallest size that a client can ask for (200 rows): \
there is a next page only because the one before was full, so one page of 2 000 makes the others no smaller (with the \
catalogue's \"observed max\" it would). An answer without a cursor counts from 0.9 times 2 000 rows, for those who turn \
the pages by WHERE and LIMIT. Polling a bulk job is no paging. Nightly copies are learned: a page is expected if the \
account read much of this object on 3 of the last 14 days, or on 3 of these weekdays in 60 days, or if the load belongs \
to the month's season (the one earlier month that has logs, as high at this place, makes it one level lower); and at least a tenth as much as now; and network, app and client are not new, that is declared \
or seen on 3 days. Outside the declared networks nothing is learned. Pages of all addresses of an account count \
together (the catalogue counts by address, which a thief with many of them stays below). A flood over midnight is told \
on the day on which the limit was reached, and again only if it goes on for more than an hour. Rows beyond what a \
learned loader reads are rows-volume-anomaly's. Where the log tells no rows they are judged by the size of the \
answer; where it tells neither, it counts, one level lower. So it does from a known network while the log itself is \
younger than a week: nothing can be learned of a lake that has just begun."""
false_positives = [
  "The first nights of a new full copy: declare a maintenance window of its user; learned after three",
  "An administrator who exports with a desktop loader",
  "A loader that moves to a network or app that the registry does not have yet",
]
response = [
  "Is it still running? Freeze the user or revoke the app's tokens first if nobody knows the copy",
  "See which objects, from which addresses and how many rows: that is what is lost",
  "Ask the owner for the job and its ticket; look for the same addresses under other users",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1030/",
  "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_query.htm",
]
inputs = ["RestApi | API", "sightings?", "activity_hourly?"]
dedupe = ["user_key"]
bucket = "day"

[params.pages]
type = "int"
default = 50
meaning = "full pages within 60 minutes"

[params.page_size]
type = "int"
default = 2000
meaning = "rows of a full answer that has no cursor"

[params.min_page_size]
type = "int"
default = 200
meaning = "rows of a full page of a cursor: the smallest that a client can ask for"

[params.page_share]
type = "float"
default = 0.9
meaning = "share of these rows from which a page is full"

[params.min_history_days]
type = "int"
default = 7
meaning = "of the 14 days before, how many must have the log; with fewer, a load from a known network is one level lower"

[params.learn_days]
type = "int"
default = 3
meaning = "earlier days on which a loader, its network, app and client must have been seen"

[params.learn_period]
type = "duration"
default = "14d"
meaning = "how far back a nightly loader is learned"

[params.learn_times]
type = "float"
default = 10.0
meaning = "how many times its earlier rows a learned loader may read"
*/
WITH
answers AS (
    SELECT
        occurred_at, CAST(occurred_at AS DATE) AS day, user_key, user_id, username, role, role_source, system, owner, ip,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network,
        coalesce(sf_id18(trim(app_id)), '') AS app_key, coalesce(client_name, '') AS client,
        -- The product without its version.
        regexp_replace(lower(coalesce(client_name, '')), '[^a-z]+', '', 'g') AS product,
        -- What is queried is named first.
        trim(split_part(replace(lower(coalesce(entity_name, '')), ',', ';'), ';', 1)) AS object, rows_processed AS rows, response_size AS bytes,
        CASE event_type
            WHEN 'API' THEN coalesce(lower(replace(method, '_', '')) = 'querymore', false)
            ELSE coalesce(regexp_like(lower(resource), '/query(all)?/\{') AND lower(resource) NOT LIKE '%/jobs/%', false)
        END AS has_cursor,
        CASE event_type
            WHEN 'API' THEN coalesce(lower(replace(method, '_', '')) IN ('create', 'insert', 'update', 'upsert', 'delete', 'undelete',
                'merge', 'emptyrecyclebin', 'convertlead'), false)
            ELSE coalesce(upper(method) IN ('DELETE', 'PATCH', 'PUT')
                OR (upper(method) = 'POST' AND lower(resource) LIKE '%/sobjects%') OR lower(resource) LIKE '%/jobs/%', false)
        END AS is_other,
        file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start - INTERVAL '3 hours' AND occurred_at < $window_end
      AND event_type IN ('RestApi', 'API')
      AND is_error IS NOT TRUE
),
pages AS (
    SELECT
        *,
        rows IS NULL AND coalesce(bytes, 0) = 0 AS size_unknown,
        count(*) OVER (PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '3599999 milliseconds' PRECEDING AND CURRENT ROW) AS in_hour,
        sum(rows) OVER (PARTITION BY user_key, object ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '3599999 milliseconds' PRECEDING AND CURRENT ROW) AS object_rows
    FROM answers
    WHERE NOT is_other
      AND CASE
              WHEN NOT has_cursor THEN coalesce(rows >= $page_share * $page_size, false)
              WHEN rows IS NOT NULL THEN rows >= $page_share * $min_page_size
              -- A record takes a hundred bytes at least.
              WHEN coalesce(bytes, 0) > 0 THEN bytes >= 100 * $page_share * $min_page_size
              ELSE true
          END
),
-- Of accounts that reach the limit at all.
flood AS (
    SELECT *, max(object_rows) OVER (PARTITION BY user_key, day, object) AS most_rows
    FROM (SELECT *, max(in_hour) OVER (PARTITION BY user_key) AS most_in_hour FROM pages) p
    WHERE most_in_hour >= $pages
),
ways AS (
    SELECT DISTINCT
        f.user_key, f.day, f.object, f.network, f.app_key, f.product, f.most_rows,
        bool_and(in_networks(f.user_key, f.ip, f.occurred_at)) OVER way AS inside,
        bool_or(NOT in_networks(f.user_key, f.ip, f.occurred_at)) OVER way AS outside
    FROM flood f
    WHERE f.user_key IS NOT NULL
    WINDOW way AS (PARTITION BY f.user_key, f.day, f.object, f.network, f.app_key, f.product)
),
busiest AS (
    SELECT user_key, day, max(rows_read) AS rows_read
    FROM (
        SELECT user_key, day, hour, sum(rows_read) AS rows_read
        FROM activity_hourly
        WHERE day >= CAST($window_start AS DATE) - INTERVAL '61 days' AND day < CAST($window_end AS DATE)
          AND rows_read > 0
        GROUP BY user_key, day, hour
    ) h
    GROUP BY user_key, day
),
habits AS (
    SELECT
        s.user_key, s.day, s.kind,
        CASE s.kind WHEN 'client' THEN regexp_replace(lower(substr(s.value, 6)), '[^a-z]+', '', 'g') ELSE s.value END AS value,
        sum(s.events) AS events, max(b.rows_read) AS rows_read
    FROM sightings s
    LEFT JOIN busiest b ON b.user_key = s.user_key AND b.day = s.day
    WHERE s.day >= CAST($window_start AS DATE) - INTERVAL '61 days' AND s.day < CAST($window_end AS DATE)
      AND (s.kind IN ('object', 'network', 'app') OR (s.kind = 'event_type' AND s.value IN ('RestApi', 'API')) OR (s.kind = 'client' AND starts_with(s.value, 'name:')))
    GROUP BY s.user_key, s.day, s.kind,
        CASE s.kind WHEN 'client' THEN regexp_replace(lower(substr(s.value, 6)), '[^a-z]+', '', 'g') ELSE s.value END
),
seasons AS (
    SELECT user_key, day, bool_or(in_season) AS in_season
    FROM expected_activity
    WHERE metric = 'rows' AND (in_season OR maybe_season) AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
    GROUP BY user_key, day
),
known AS (
    SELECT
        w.user_key, w.day, w.object, w.network, w.app_key, w.product,
        (count(DISTINCT CASE WHEN h.day >= w.day - CAST($learn_period AS INTERVAL) AND h.loads THEN h.day END) >= $learn_days
            OR count(DISTINCT CASE WHEN date_part('dow', h.day) = date_part('dow', w.day) AND h.loads THEN h.day END) >= $learn_days
            OR coalesce(bool_or(s.in_season), false)) AS object_known,
        (w.network IS NULL OR coalesce(bool_or(w.inside), false)
            OR count(DISTINCT CASE WHEN h.kind = 'network' AND h.value = w.network THEN h.day END) >= $learn_days)
            AND NOT coalesce(bool_or(w.outside), false) AS network_known,
        (w.app_key = '' OR bool_or(a.user_key IS NOT NULL)
            OR count(DISTINCT CASE WHEN h.kind = 'app' AND h.value = w.app_key THEN h.day END) >= $learn_days) AS app_known,
        (w.product = ''
            OR count(DISTINCT CASE WHEN h.kind = 'client' AND h.value = w.product THEN h.day END) >= $learn_days) AS client_known
    FROM ways w
    LEFT JOIN (
        SELECT w.user_key AS w_user, w.day AS w_day, w.object AS w_object, h.day, h.kind, h.value,
            -- Of pages that name no object, all calls of a day are the habit.
            h.kind = CASE WHEN w.object = '' THEN 'event_type' ELSE 'object' END AND h.events * 2 >= $pages
                AND h.rows_read * $learn_times >= coalesce(w.most_rows, 0) AS loads
        FROM (SELECT DISTINCT user_key, day, object, most_rows FROM ways) w
        JOIN habits h
          ON h.user_key = w.user_key AND h.day < w.day AND h.day >= w.day - INTERVAL '60 days'
        WHERE h.kind <> 'object' OR h.value = w.object
    ) h ON h.w_user = w.user_key AND h.w_day = w.day AND h.w_object = w.object
    LEFT JOIN seasons s ON s.user_key = w.user_key AND s.day = w.day
    LEFT JOIN registry_apps a
      ON a.user_key = w.user_key AND coalesce(sf_id18(trim(a.app_id)) = w.app_key, true)
     AND CAST(a.valid_from AS DATE) <= w.day AND CAST(a.valid_to AS DATE) > w.day
    GROUP BY w.user_key, w.day, w.object, w.network, w.app_key, w.product
),
unexpected AS (
    SELECT
        f.*, k.object_known, k.network_known, k.app_known, k.client_known,
        count(*) OVER (PARTITION BY f.user_key ORDER BY f.occurred_at
            RANGE BETWEEN INTERVAL '3599999 milliseconds' PRECEDING AND CURRENT ROW) AS now_in_hour
    FROM flood f
    LEFT JOIN known k
      ON k.user_key = f.user_key AND k.day = f.day AND k.object = f.object AND coalesce(k.network, '') = coalesce(f.network, '')
     AND k.app_key = f.app_key AND k.product = f.product
    WHERE NOT coalesce(k.object_known AND k.network_known AND k.app_known AND k.client_known, false)
      AND in_window(f.user_key, f.ip, f.occurred_at, 'maintenance') IS NOT TRUE
),
-- The limit is reached anew, or still exceeded by pages of this day alone.
reached AS (
    SELECT
        *,
        now_in_hour >= $pages
            AND (coalesce(before, 0) < $pages OR occurred_at >= date_trunc('day', occurred_at) + INTERVAL '1 hour') AS tells
    FROM (
        SELECT *, max(now_in_hour) OVER (PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND INTERVAL '1 millisecond' PRECEDING) AS before
        FROM unexpected
    ) u
),
told AS (
    SELECT
        user_key, day, max(user_id) AS user_id, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner,
        min(occurred_at) FILTER (WHERE tells) AS occurred_at, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS pages, max(now_in_hour) AS most_in_hour, sum(rows) AS rows_read, sum(bytes) AS bytes,
        count(*) FILTER (WHERE size_unknown) AS pages_of_unknown_size,
        count(*) FILTER (WHERE has_cursor) AS cursor_pages,
        bool_or(NOT object_known) AS new_object, bool_or(NOT network_known) AS new_network,
        bool_or(NOT app_known) AS new_app, bool_or(NOT client_known) AS new_client,
        array_slice(array_agg(DISTINCT printable(object) ORDER BY printable(object)) FILTER (WHERE object <> ''), 1, 20) AS objects,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT app_key ORDER BY app_key) FILTER (WHERE app_key <> ''), 1, 5) AS apps,
        array_slice(array_agg(DISTINCT printable(client) ORDER BY printable(client)) FILTER (WHERE client <> ''), 1, 5) AS clients,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM reached
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    GROUP BY user_key, day
    HAVING count(*) FILTER (WHERE tells) > 0
),
history AS (
    SELECT w.day, count(DISTINCT c.day) AS days
    FROM (
        SELECT DISTINCT day FROM covered_days
        WHERE event_type IN ('RestApi', 'API')
          AND day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
    ) w
    JOIN covered_days c ON c.day < w.day AND c.day >= w.day - INTERVAL '14 days'
    WHERE c.event_type IN ('RestApi', 'API')
    GROUP BY w.day
)
SELECT
    occurred_at, t.user_key, user_id, username,
    -- Unknown size counts one level lower; so does an account that is only inferred to be an integration, a
    -- log that has just begun, and what may be a season.
    ['low', 'low', 'low', 'medium', 'high'][
        5 - CASE WHEN s.day IS NULL OR new_network OR new_app OR new_client THEN 0 ELSE 1 END
          - CASE WHEN pages_of_unknown_size * 2 > pages THEN 1 ELSE 0 END
          - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
          - CASE WHEN new_network OR coalesce(days, 0) >= $min_history_days THEN 0 ELSE 1 END
    ] AS severity,
    pages AS event_count,
    last_at,
    'Fewer than ' || $pages || ' full pages within 60 minutes, or a copy that this account made on '
        || $learn_days || ' earlier days from the same network, by the same app and client' AS expected,
    pages || CASE WHEN pages = 1 THEN ' full page' ELSE ' full pages' END
        || coalesce(' of ' || array_to_string(array_slice(objects, 1, 5), ', '), '')
        || coalesce(', ' || rows_read || ' rows', ', rows unknown')
        || ', up to ' || most_in_hour || ' pages within 60 minutes'
        || coalesce('; from ' || array_to_string(array_slice(ips, 1, 5), ', '), '') AS observed,
    role, role_source, system, owner,
    objects, pages, cursor_pages, most_in_hour, rows_read, bytes, pages_of_unknown_size,
    CAST(round((date_part('epoch', last_at) - date_part('epoch', first_at)) / 60) AS BIGINT) AS minutes,
    CASE WHEN pages_of_unknown_size * 2 > pages THEN 'unknown-size' ELSE 'observed' END AS confidence,
    array_remove_all([
        CASE WHEN coalesce(new_object, true) THEN 'new load' ELSE '' END,
        CASE WHEN new_network THEN 'new network' ELSE '' END,
        CASE WHEN new_app THEN 'new app' ELSE '' END,
        CASE WHEN new_client THEN 'new client' ELSE '' END], '') AS reasons,
    apps, clients, ips,
    proof
FROM told t
LEFT JOIN history h ON h.day = t.day
LEFT JOIN seasons s ON s.user_key = t.user_key AND s.day = t.day AND NOT s.in_season
ORDER BY occurred_at, user_key
