/*
id = "guest-aura-scraping"
title = "Guest enumerates records through a site's Aura endpoint"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S0.27"]
attack = ["T1190", "T1213.004", "T1595"]
description = """
A public site answers anybody who calls its Aura endpoint, also with actions that its own pages never use: the list \
of all objects, the records of a list, a GraphQL query, whether one may register. Tools that walk through sites ask \
for several of these, for the same list again and again, or for dozens of actions in one request. Counted are the \
actions of guests within 15 minutes, for each site (a site has a guest user of its own) and address: two different \
scouting actions, many calls for list records, or one request of many actions. A site whose own pages use an action \
is known by its past: seen from guests of the site on enough of the last 30 days, an action counts only where there \
is ten times more of it than in a usual quarter of an hour. Beyond the catalogue: while the lake knows less than \
those days, an action that many addresses of the site use, few times each, belongs to its pages, too. One finding \
for each site and day names all its addresses; the end of what began the evening before is not told again."""
false_positives = [
  "A page with list components went live today: quiet after ten days, or raise `known_days` for the time",
  "Your own scan of the site: suppress it by network, with an end",
]
response = [
  "Read the objects and fields that the site's guest user may see (its profile, sharing rules for guests), and close them",
  "Block the address at the site's CDN or firewall; many addresses: switch on its bot protection",
  "Switch off self-registration and public access to the API for guests where nobody needs it",
  "GraphQL or list records with answers: take the records that guests can read as copied",
]
references = [
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://attack.mitre.org/techniques/T1595/",
  "https://help.salesforce.com/s/articleView?id=sf.networks_public_access_guest_user.htm",
]
inputs = ["AuraRequest", "sightings?"]
dedupe = ["user_key"]
bucket = "day"

[params.scouting_actions]
type = "text_list"
default = [
  "getConfigData", "getInitialListViews", "getAppBootstrapData", "getIsSelfRegistrationEnabled",
  "getSelfRegistrationUrl", "executeGraphQL",
]
meaning = "methods of any controller that tell what there is to take"

[params.list_actions]
type = "text_list"
default = ["SelectableListDataProviderController.getItems", "ListViewDataManagerController.getItems"]
meaning = "Controller.method that give records of a list; they count as scouting, too"

[params.different]
type = "int"
default = 2
meaning = "different scouting actions of one address within 15 minutes"

[params.list_calls]
type = "int"
default = 50
meaning = "calls for list records of one address within 15 minutes"

[params.boxcar]
type = "int"
default = 10
meaning = "actions in one request"

[params.known_days]
type = "int"
default = 10
meaning = "on how many of the last 30 days guests must have used an action for it to belong to the site"

[params.ratio]
type = "float"
default = 10.0
meaning = "how many times the usual number of such an action is too many"

[params.crowd]
type = "int"
default = 10
meaning = "addresses that use an action of a site of which the lake does not yet know its past"

[params.crowd_calls]
type = "int"
default = 20
meaning = "median number of calls of each of them up to which they are visitors"
*/
WITH
-- What guests asked for, by request. Straight from the log: a busy site has a million of them a night,
-- and who is a guest is told by the row itself or by the registry.
requests AS (
    SELECT
        occurred_at, day, date_trunc('day', occurred_at) AS day_start, coalesce(user_id, '') AS site,
        coalesce(ip, '') AS address, unnest(string_to_array(actions, ';')) AS part, action_count, actions_malformed,
        uri, user_agent, file_id, line_no
    FROM elf_aura_request
    -- A quarter of an hour to count, and another to see that a walk is the end of an older one.
    WHERE occurred_at >= $window_start - INTERVAL '30 minutes' AND occurred_at < $window_end
      AND actions IS NOT NULL
      AND (upper(user_type) IN ('GUEST', 'G')
           OR user_id IN (SELECT user_key FROM registry_users WHERE role = 'guest'))
),
actions AS (
    SELECT
        occurred_at, day, day_start, site, address, split_part(part, '=', 1) AS action,
        CAST(split_part(part, '=', 2) AS BIGINT) AS times, action_count, actions_malformed, uri, user_agent, file_id,
        line_no
    FROM requests
),
-- Those that can be too much: what scouts, and what stands in a long request.
telling AS (
    SELECT
        occurred_at, day, day_start, site, address, action, times, action_count, file_id, line_no,
        array_has($list_actions, action) AS is_list,
        array_has($scouting_actions, split_part(action, '.', 2)) OR array_has($list_actions, action) AS is_scouting
    FROM actions
    WHERE action_count >= $boxcar
       OR array_has($scouting_actions, split_part(action, '.', 2)) OR array_has($list_actions, action)
),
days AS (
    SELECT CAST(unnest(range(
        CAST($window_start - INTERVAL '1 day' AS DATE), CAST($window_end + INTERVAL '1 day' AS DATE),
        INTERVAL '1 day')) AS DATE) AS day
),
-- Each day has its own past: on how many of the 30 days before guests of the site used the action, and
-- how often a day.
past AS (
    SELECT s.user_key AS site, s.value AS action, d.day, count(*) AS days, median(CAST(s.events AS DOUBLE)) AS usual_day
    FROM days d
    JOIN (
        SELECT user_key, value, day, sum(events) AS events
        FROM sightings
        WHERE day >= CAST($window_start AS DATE) - INTERVAL '31 days' AND day < CAST($window_end AS DATE)
          AND kind = 'aura_action'
        GROUP BY user_key, value, day
    ) s ON s.day < d.day AND s.day >= d.day - INTERVAL '30 days'
    GROUP BY s.user_key, s.value, d.day
),
-- Days before which the lake holds too little of this log to tell what is usual.
young AS (
    SELECT d.day, count(c.day) < $known_days AS is_young
    FROM days d
    LEFT JOIN (
        SELECT DISTINCT CAST(day AS DATE) AS day
        FROM covered_days
        WHERE event_type = 'AuraRequest'
    ) c ON c.day < d.day AND c.day >= d.day - INTERVAL '30 days'
    GROUP BY d.day
),
-- What each address did with an action on a day, beside what is usual in a quarter of an hour of it;
-- NULL: nothing is.
visits AS (
    SELECT
        v.site, v.address, v.day, v.action, v.is_list, v.is_scouting, v.calls, v.most_in_request,
        CASE
            -- Visitors come by day: a usual quarter of an hour is that of a day of 6 hours.
            WHEN p.days >= $known_days THEN p.usual_day / 24
            -- While the past is too short: what many addresses do a few times each.
            WHEN y.is_young AND v.addresses >= $crowd AND v.usual_calls <= $crowd_calls
            THEN CAST(v.usual_calls AS DOUBLE)
        END AS usual
    FROM young y
    JOIN (
        SELECT
            site, address, day, action, is_list, is_scouting, sum(times) AS calls, max(action_count) AS most_in_request,
            count(nullif(address, '')) OVER (PARTITION BY site, action, day) AS addresses,
            median(sum(times)) OVER (PARTITION BY site, action, day) AS usual_calls
        FROM telling
        GROUP BY site, address, day, action, is_list, is_scouting
    ) v ON v.day = y.day
    LEFT JOIN past p ON p.site = v.site AND p.action = v.action AND p.day = v.day
),
-- The addresses that may have done too much: all others are spared the count by minutes. Half of it
-- is enough here, for a quarter of an hour may lie on two days.
suspects AS (
    SELECT site, address
    FROM visits
    WHERE usual IS NULL OR 2 * calls >= $ratio * usual OR is_list
    GROUP BY site, address
    HAVING sum(CASE WHEN is_list THEN calls ELSE 0 END) >= $list_calls
        OR count(DISTINCT CASE WHEN is_scouting THEN action END) >= $different
        OR max(most_in_request) >= $boxcar
),
judged AS (
    SELECT
        a.occurred_at, a.day_start, a.site, a.address, a.action, a.times, a.file_id, a.line_no, a.is_list, a.is_scouting,
        v.usual,
        sum(a.times) OVER (
            PARTITION BY a.site, a.address, a.action ORDER BY a.occurred_at
            RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW) AS calls_15
    FROM suspects s
    JOIN visits v ON v.site = s.site AND v.address = s.address
    JOIN telling a ON a.site = v.site AND a.address = v.address AND a.action = v.action AND a.day = v.day
    WHERE NOT in_window(a.site, a.address, a.occurred_at, 'maintenance')
),
counted AS (
    SELECT
        *,
        sum(CASE WHEN is_list THEN times ELSE 0 END) OVER last_15 AS list_15,
        count(DISTINCT CASE WHEN is_scouting AND is_unusual THEN action END) OVER last_15 AS scouting_15,
        sum(CASE WHEN is_unusual THEN times ELSE 0 END) OVER (PARTITION BY file_id, line_no) AS in_request
    FROM (SELECT *, usual IS NULL OR calls_15 >= $ratio * usual AS is_unusual FROM judged) flagged
    WINDOW last_15 AS (
        PARTITION BY site, address ORDER BY occurred_at
        RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW)
),
-- The moments at which it is enough, in walks: a pause of more than a quarter of an hour ends one.
moments AS (
    SELECT
        *,
        sum(CASE WHEN occurred_at <= before + INTERVAL '15 minutes' THEN 0 ELSE 1 END) OVER (
            PARTITION BY site, address ORDER BY occurred_at, file_id, line_no, action
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS walk
    FROM (
        SELECT
            site, address, occurred_at, day_start, file_id, line_no, action, list_15, scouting_15, in_request,
            lag(occurred_at) OVER (
                PARTITION BY site, address ORDER BY occurred_at, file_id, line_no, action) AS before
        FROM counted
        WHERE is_unusual
          AND ((is_list AND list_15 >= $list_calls) OR (is_scouting AND scouting_15 >= $different) OR in_request >= $boxcar)
    ) enough
),
walks AS (
    SELECT
        site, address, day_start, min(first_at) AS first_at, max(last_at) AS last_at,
        max(list_15) AS list_15, max(scouting_15) AS scouting_15, max(in_request) AS in_request
    FROM (
        SELECT
            site, address, walk, day_start, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
            max(list_15) AS list_15, max(scouting_15) AS scouting_15, max(in_request) AS in_request,
            min(min(occurred_at)) OVER (PARTITION BY site, address, walk) AS began
        FROM moments
        GROUP BY site, address, walk, day_start
    ) pieces
    -- What began yesterday was told yesterday, unless it goes on.
    WHERE began >= day_start OR last_at >= day_start + INTERVAL '15 minutes'
    GROUP BY site, address, day_start
),
-- What each of these addresses did, from a quarter of an hour before; by action, the most frequent first.
by_action AS (
    SELECT
        w.site, w.day_start, a.action, sum(a.times) AS calls,
        min(w.first_at) AS first_at, max(w.last_at) AS last_at,
        max(w.list_15) AS list_15, max(w.scouting_15) AS scouting_15, max(w.in_request) AS in_request,
        array_agg(DISTINCT w.address ORDER BY w.address) AS addresses,
        array_slice(array_agg(DISTINCT printable(trim(BOTH '"' FROM a.user_agent))
            ORDER BY printable(trim(BOTH '"' FROM a.user_agent)))
            FILTER (WHERE trim(BOTH '"' FROM a.user_agent) <> ''), 1, 10) AS clients,
        array_agg(DISTINCT ua_family(trim(BOTH '"' FROM a.user_agent))
            ORDER BY ua_family(trim(BOTH '"' FROM a.user_agent))) AS ua_families,
        array_slice(array_agg(DISTINCT a.uri ORDER BY a.uri) FILTER (WHERE a.uri IS NOT NULL), 1, 10) AS pages,
        max(a.actions_malformed) AS malformed,
        array_slice(array_agg(DISTINCT a.file_id || ':' || a.line_no ORDER BY a.file_id || ':' || a.line_no), 1, 20)
            AS proof,
        row_number() OVER (PARTITION BY w.site, w.day_start ORDER BY sum(a.times) DESC, a.action) AS place
    FROM walks w
    JOIN actions a
      ON a.site = w.site AND a.address = w.address
     AND a.occurred_at >= w.first_at - INTERVAL '15 minutes' AND a.occurred_at <= w.last_at
    WHERE w.first_at >= $window_start
    GROUP BY w.site, w.day_start, a.action
),
by_day AS (
    SELECT
        nullif(site, '') AS user_key, min(first_at) AS first_at, max(last_at) AS last_at, sum(calls) AS calls,
        max(list_15) AS list_15, max(scouting_15) AS scouting_15, max(in_request) AS in_request,
        count(*) AS different_actions,
        array_agg(action || ' ' || calls ORDER BY place) FILTER (WHERE place <= 20) AS actions,
        array_sort(array_distinct(flatten(array_agg(arrow_cast(addresses, 'List(Utf8)') ORDER BY action)))) AS addresses,
        array_slice(array_sort(array_distinct(flatten(array_agg(arrow_cast(clients, 'List(Utf8)') ORDER BY action)))), 1, 10) AS clients,
        array_sort(array_distinct(flatten(array_agg(arrow_cast(ua_families, 'List(Utf8)') ORDER BY action)))) AS ua_families,
        array_slice(array_sort(array_distinct(flatten(array_agg(arrow_cast(pages, 'List(Utf8)') ORDER BY action)))), 1, 10) AS pages,
        max(malformed) AS malformed,
        array_slice(array_sort(array_distinct(flatten(array_agg(arrow_cast(proof, 'List(Utf8)') ORDER BY action)))), 1, 20) AS proof
    FROM by_action
    GROUP BY site, day_start
),
told AS (
    SELECT *, array_length(addresses) AS from_addresses, array_slice(array_remove_all(addresses, ''), 1, 20) AS ips
    FROM by_day
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, d.user_key AS user_id, coalesce(known_username(d.user_key), r.username) AS username,
    'high' AS severity,
    d.calls AS event_count,
    d.last_at,
    'Guests use the actions of the site''s own pages, as often as a person clicks: fewer than '
        || CAST($different AS VARCHAR) || ' different scouting actions and ' || CAST($list_calls AS VARCHAR)
        || ' calls for list records in 15 minutes, and fewer than ' || CAST($boxcar AS VARCHAR)
        || ' actions in one request' AS expected,
    d.calls || ' actions by '
        || CASE
               WHEN array_length(d.ips) > 0 THEN array_to_string(array_slice(d.ips, 1, 5), ', ')
               ELSE 'no usable address'
           END
        || CASE WHEN d.from_addresses > 5 THEN ' and ' || (d.from_addresses - 5) || ' more' ELSE '' END
        || ' (' || array_to_string(d.ua_families, ', ') || '): '
        || array_to_string(array_slice(d.actions, 1, 5), ', ')
        || CASE WHEN d.different_actions > 5 THEN ' and ' || (d.different_actions - 5) || ' other actions' ELSE '' END
        || CASE WHEN d.in_request >= $boxcar THEN '; up to ' || d.in_request || ' in one request' ELSE '' END AS observed,
    'guest' AS role, CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source, r.system, r.owner,
    array_remove_all([
        CASE WHEN d.scouting_15 >= $different THEN 'scouting' ELSE '' END,
        CASE WHEN d.list_15 >= $list_calls THEN 'list records' ELSE '' END,
        CASE WHEN d.in_request >= $boxcar THEN 'boxcar' ELSE '' END
    ], '') AS reasons,
    d.actions, d.different_actions, d.scouting_15 AS scouting_actions_15_minutes, d.list_15 AS list_calls_15_minutes,
    d.in_request AS most_in_one_request, d.from_addresses AS addresses,
    CASE WHEN array_length(d.ips) > 0 THEN d.ips END AS ips,
    d.clients, d.ua_families, d.pages, d.malformed AS most_malformed, d.proof
FROM told d
LEFT JOIN registry_users r ON r.user_key = d.user_key AND d.first_at >= r.valid_from AND d.first_at < r.valid_to
ORDER BY occurred_at, user_key
