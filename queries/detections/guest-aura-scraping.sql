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
inputs = ["aura_actions"]
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
WITH requests AS (
    SELECT
        occurred_at, day, date_trunc('day', occurred_at) AS day_start, user_key, user_id, username, role_source, system,
        owner, coalesce(ip, '') AS address, action, count, actions_in_request, malformed, page, ua, ua_family,
        file_id, line_no,
        array_has($list_actions, action) AS is_list,
        array_has($scouting_actions, split_part(action, '.', 2)) OR array_has($list_actions, action) AS is_scouting
    FROM aura_actions
    -- A quarter of an hour to count, and another to see that a walk is the end of an older one.
    WHERE occurred_at >= $window_start - INTERVAL '30 minutes' AND occurred_at < $window_end
      AND (role = 'guest' OR upper(user_type) IN ('GUEST', 'G'))
      AND action IS NOT NULL
      AND NOT in_window(user_key, ip, occurred_at, 'maintenance')
),
-- Each day has its own past: a window may hold many days.
asked AS (
    SELECT user_key, action, day
    FROM requests
    WHERE user_key IS NOT NULL
    GROUP BY user_key, action, day
),
-- On how many of the 30 days before guests of the site used the action, and how often a day.
past AS (
    SELECT a.user_key, a.action, a.day, count(*) AS days, median(CAST(s.events AS DOUBLE)) AS usual_day
    FROM asked a
    JOIN (
        SELECT user_key, value, day, sum(events) AS events
        FROM sightings
        WHERE day >= CAST($window_start AS DATE) - INTERVAL '31 days' AND day < CAST($window_end AS DATE)
          AND kind = 'aura_action'
        GROUP BY user_key, value, day
    ) s
      ON s.user_key = a.user_key AND s.value = a.action
     AND s.day < a.day AND s.day >= a.day - INTERVAL '30 days'
    GROUP BY a.user_key, a.action, a.day
),
-- Days before which the lake holds too little of this log to tell what is usual.
young AS (
    SELECT d.day, count(c.day) < $known_days AS is_young
    FROM (SELECT DISTINCT day FROM requests) d
    LEFT JOIN (
        SELECT DISTINCT CAST(day AS DATE) AS day
        FROM covered_days
        WHERE event_type = 'AuraRequest'
    ) c ON c.day < d.day AND c.day >= d.day - INTERVAL '30 days'
    GROUP BY d.day
),
-- While that is so: what the addresses of the site do on that day.
crowds AS (
    SELECT user_key, action, day, median(calls) AS usual_calls
    FROM (
        SELECT user_key, action, day, address, sum(count) AS calls
        FROM requests
        WHERE address <> ''
        GROUP BY user_key, action, day, address
    ) visitors
    GROUP BY user_key, action, day
    HAVING count(*) >= $crowd AND median(calls) <= $crowd_calls
),
-- What of an action is usual in a quarter of an hour; NULL: nothing is.
judged AS (
    SELECT
        r.*,
        CASE
            -- Visitors come by day: a usual quarter of an hour is that of a day of 6 hours.
            WHEN p.days >= $known_days THEN p.usual_day / 24
            WHEN y.is_young AND c.user_key IS NOT NULL THEN CAST(c.usual_calls AS DOUBLE)
        END AS usual,
        sum(r.count) OVER (
            PARTITION BY r.user_key, r.address, r.action ORDER BY r.occurred_at
            RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW) AS calls_15
    FROM requests r
    JOIN young y ON y.day = r.day
    LEFT JOIN past p ON p.user_key = r.user_key AND p.action = r.action AND p.day = r.day
    LEFT JOIN crowds c ON c.user_key = r.user_key AND c.action = r.action AND c.day = r.day
),
counted AS (
    SELECT
        *,
        sum(CASE WHEN is_list THEN count ELSE 0 END) OVER last_15 AS list_15,
        count(DISTINCT CASE WHEN is_scouting AND is_unusual THEN action END) OVER last_15 AS scouting_15,
        sum(CASE WHEN is_unusual THEN count ELSE 0 END) OVER (PARTITION BY file_id, line_no) AS in_request
    FROM (SELECT *, usual IS NULL OR calls_15 >= $ratio * usual AS is_unusual FROM judged) flagged
    WINDOW last_15 AS (
        PARTITION BY user_key, address ORDER BY occurred_at
        RANGE BETWEEN INTERVAL '15 minutes' PRECEDING AND CURRENT ROW)
),
-- The moments at which it is enough, in walks: a pause of more than a quarter of an hour ends one.
moments AS (
    SELECT
        *,
        sum(CASE WHEN occurred_at <= before + INTERVAL '15 minutes' THEN 0 ELSE 1 END) OVER (
            PARTITION BY user_key, address ORDER BY occurred_at, file_id, line_no, action
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS walk
    FROM (
        SELECT
            user_key, address, occurred_at, day_start, file_id, line_no, action, list_15, scouting_15, in_request,
            lag(occurred_at) OVER (
                PARTITION BY user_key, address ORDER BY occurred_at, file_id, line_no, action) AS before
        FROM counted
        WHERE is_unusual
          AND ((is_list AND list_15 >= $list_calls) OR (is_scouting AND scouting_15 >= $different) OR in_request >= $boxcar)
    ) enough
),
walks AS (
    SELECT
        user_key, address, day_start, min(first_at) AS first_at, max(last_at) AS last_at,
        max(list_15) AS list_15, max(scouting_15) AS scouting_15, max(in_request) AS in_request
    FROM (
        SELECT
            user_key, address, walk, day_start, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
            max(list_15) AS list_15, max(scouting_15) AS scouting_15, max(in_request) AS in_request,
            min(min(occurred_at)) OVER (PARTITION BY user_key, address, walk) AS began
        FROM moments
        GROUP BY user_key, address, walk, day_start
    ) pieces
    -- What began yesterday was told yesterday, unless it goes on.
    WHERE began >= day_start OR last_at >= day_start + INTERVAL '15 minutes'
    GROUP BY user_key, address, day_start
),
-- What each of these addresses did, from a quarter of an hour before.
done AS (
    SELECT
        w.user_key, w.day_start, w.first_at, w.last_at, w.address, w.list_15, w.scouting_15, w.in_request,
        r.occurred_at, r.user_id, r.username, r.role_source, r.system, r.owner, r.action, r.count, r.malformed,
        r.page, r.ua, r.ua_family, r.file_id, r.line_no
    FROM walks w
    JOIN requests r
      ON (r.user_key IS NOT DISTINCT FROM w.user_key) AND r.address = w.address
     AND r.occurred_at >= w.first_at - INTERVAL '15 minutes' AND r.occurred_at <= w.last_at
    WHERE w.first_at >= $window_start
),
by_action AS (
    SELECT
        user_key, day_start, action, sum(count) AS calls,
        row_number() OVER (PARTITION BY user_key, day_start ORDER BY sum(count) DESC, action) AS place
    FROM done
    GROUP BY user_key, day_start, action
),
actions_of_day AS (
    SELECT
        user_key, day_start, count(*) AS different_actions,
        array_agg(action || ' ' || calls ORDER BY place) FILTER (WHERE place <= 20) AS actions
    FROM by_action
    GROUP BY user_key, day_start
),
by_day AS (
    SELECT
        user_key, day_start, min(first_at) AS first_at, max(last_at) AS last_at,
        max(user_id) AS user_id, max(username) AS username, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner,
        sum(count) AS calls, max(list_15) AS list_15, max(scouting_15) AS scouting_15, max(in_request) AS in_request,
        count(DISTINCT address) AS addresses,
        array_slice(array_agg(DISTINCT address ORDER BY address) FILTER (WHERE address <> ''), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT printable(ua) ORDER BY printable(ua)) FILTER (WHERE ua <> ''), 1, 10) AS clients,
        array_agg(DISTINCT ua_family ORDER BY ua_family) AS ua_families,
        array_slice(array_agg(DISTINCT page ORDER BY page) FILTER (WHERE page IS NOT NULL), 1, 10) AS pages,
        max(malformed) AS malformed,
        array_slice(array_agg(DISTINCT file_id || ':' || line_no ORDER BY file_id || ':' || line_no), 1, 20) AS proof
    FROM done
    GROUP BY user_key, day_start
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, d.user_id, d.username,
    'high' AS severity,
    d.calls AS event_count,
    d.last_at,
    'Guests use the actions of the site''s own pages, as often as a person clicks: fewer than '
        || CAST($different AS VARCHAR) || ' different scouting actions and ' || CAST($list_calls AS VARCHAR)
        || ' calls for list records in 15 minutes, and fewer than ' || CAST($boxcar AS VARCHAR)
        || ' actions in one request' AS expected,
    d.calls || ' actions by ' || coalesce(array_to_string(array_slice(d.ips, 1, 5), ', '), 'no usable address')
        || CASE WHEN d.addresses > 5 THEN ' and ' || (d.addresses - 5) || ' more' ELSE '' END
        || ' (' || array_to_string(d.ua_families, ', ') || '): '
        || array_to_string(array_slice(a.actions, 1, 5), ', ')
        || CASE WHEN a.different_actions > 5 THEN ' and ' || (a.different_actions - 5) || ' other actions' ELSE '' END
        || CASE WHEN d.in_request >= $boxcar THEN '; up to ' || d.in_request || ' in one request' ELSE '' END AS observed,
    'guest' AS role, d.role_source, d.system, d.owner,
    array_remove_all([
        CASE WHEN d.scouting_15 >= $different THEN 'scouting' ELSE '' END,
        CASE WHEN d.list_15 >= $list_calls THEN 'list records' ELSE '' END,
        CASE WHEN d.in_request >= $boxcar THEN 'boxcar' ELSE '' END
    ], '') AS reasons,
    a.actions, a.different_actions, d.scouting_15 AS scouting_actions_15_minutes, d.list_15 AS list_calls_15_minutes,
    d.in_request AS most_in_one_request, d.addresses, d.ips, d.clients, d.ua_families, d.pages,
    d.malformed AS most_malformed, d.proof
FROM by_day d
JOIN actions_of_day a ON (a.user_key IS NOT DISTINCT FROM d.user_key) AND a.day_start = d.day_start
ORDER BY occurred_at, user_key
