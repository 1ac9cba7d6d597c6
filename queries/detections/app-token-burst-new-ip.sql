/*
id = "app-token-burst-new-ip"
title = "Many users' tokens of one app are used from one network that the app never used"
family = "attack"
severity = "critical"
status = "active"
version = 2
control = ["S3.4", "S3.5"]
attack = ["T1199", "T1528", "T1550.001"]
description = """
Who steals the tokens that a vendor keeps for his customers uses them all from his own machine: users who have \
nothing in common but the app come from one network within hours (Salesloft Drift, Klue, Gainsight). Per app: within \
24 hours, from one /24 or /48 on which the app was not seen in the 60 days before, distinct users of at least a fifth \
of those of the last 30 days, at least 3 and at most 25. The finding belongs to the UTC day on which that number is \
reached and names the users until that day's end; it is told once, however long the network stays, and again when the \
network comes back after a day on which as many users used the app, and none of them from there. A thief who tries \
one token some days before is not known by that: what was first seen within the last 7 days is still new. Nor do his \
waves make him known: a network from which only bursts came, on fewer than 5 days, stays new. Networks that the \
registry declares for a user do not count for that user. Where on a later day the new network has carried at least 90 \
% of the app for two whole days and the old ones 5 % at most, a second finding says so at medium; the first one stays \
critical, for attackers work beside the vendor as well as after him. Networks, not autonomous systems, are compared. \
An app that was not in use more than 7 days ago is new itself and left to `first-seen-app`; two users on a new \
address are left to `integration-unexpected-ip-api`."""
false_positives = [
  "The vendor moves his way out: let him confirm it by another way than e-mail, then declare the new range for the users",
  "A new office or gateway, and an app that people use: declare the network, or wait for it to be seven days old",
  "A place where the app's people meet once in some weeks: declare the network",
]
response = [
  "Block the app and revoke its tokens of all users now (Connected Apps OAuth Usage), then ask the vendor whether the network is his",
  "Go through what the named users' sessions read and changed from that network since the span began; look for the network under other apps",
  "Vendor denies or does not know: rotate every secret that is stored in records those users can read",
]
references = [
  "https://attack.mitre.org/techniques/T1199/",
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1550/001/",
]
inputs = ["sightings", "logins | api_calls", "covered_days"]
dedupe = ["app_key", "network", "kind"]
bucket = "day"

[params.min_users]
type = "int"
default = 3
meaning = "fewest users that are a burst, however small the app"

[params.share]
type = "float"
default = 0.2
meaning = "part of the app's users of the last 30 days that is a burst"

[params.max_users]
type = "int"
default = 25
meaning = "so many users are a burst, however large the app"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network counts as one of the app's"

[params.settle_period]
type = "duration"
default = "7d"
meaning = "how long a network that shows up is still new, and a burst from it not told again"

[params.known_days]
type = "int"
default = 5
meaning = "days with a burst from a network after which it counts as one of the app's all the same"

[params.user_period]
type = "duration"
default = "30d"
meaning = "time in which the app's users are counted"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with logs before a network can be called new"

[params.new_share]
type = "float"
default = 0.9
meaning = "part of the app's events from the new network that looks like a move"

[params.old_share]
type = "float"
default = 0.05
meaning = "part of the app's events that may still come from the old networks after a move"
*/
WITH
-- Who used which app from which network, by day. First and last time are enough: 24 hours that end with
-- a user's first event of a day hold another's events of that day from the first one on, and those of
-- the day before up to the last one.
seen AS (
    SELECT
        app_key, value AS network, day, user_key,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events
    FROM sightings
    WHERE day >= CAST($window_start - $learn_period - $settle_period AS DATE)
      AND day < CAST($window_end AS DATE)
      AND kind = 'network' AND value <> '(more)'
      AND app_key IS NOT NULL
    GROUP BY app_key, value, day, user_key
),
-- Days before which there are enough others to call a network new.
covered AS (
    SELECT DISTINCT day
    FROM covered_days
    WHERE day >= CAST($window_start - $learn_period - $settle_period AS DATE)
      AND day < CAST($window_end AS DATE)
      AND event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage', 'RestApi', 'ApexRestApi', 'BulkApiRequest')
),
judged_days AS (
    SELECT d.day
    FROM covered d
    JOIN covered v ON v.day < d.day AND v.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.day
    HAVING count(*) >= $min_covered_days
),
-- After so long a silence a network is new again: each spell has a first day, and a first one without a burst.
spells AS (
    SELECT
        *,
        min(day) OVER (PARTITION BY app_key, network, spell) AS first_day,
        min(CASE WHEN day_users < $min_users THEN day END) OVER (PARTITION BY app_key, network, spell) AS first_calm_day,
        dense_rank() OVER (PARTITION BY app_key, network, spell ORDER BY day) - 1 AS days_before
    FROM (
        SELECT
            *,
            sum(CASE WHEN day - CAST($learn_period AS INTERVAL) > day_before THEN 1 ELSE 0 END)
                OVER (PARTITION BY app_key, network ORDER BY day, user_key) AS spell
        FROM (
            SELECT
                *,
                lag(day) OVER (PARTITION BY app_key, network ORDER BY day, user_key) AS day_before,
                count(*) OVER (PARTITION BY app_key, network, day) AS day_users
            FROM seen
        ) l
    ) n
),
-- How many users the last 24 hours brought to a network that is new.
counted AS (
    SELECT
        app_key, network, day, first_day, at,
        count(DISTINCT user_key) OVER (
            PARTITION BY app_key, network ORDER BY at
            RANGE BETWEEN INTERVAL '86399999 milliseconds' PRECEDING AND CURRENT ROW
        ) AS users_now
    FROM (
        SELECT s.app_key, s.network, s.day, s.first_day, s.user_key, unnest(make_array(s.first_at, s.last_at)) AS at
        FROM spells s
        LEFT JOIN judged_days j ON j.day = s.first_day
        WHERE s.day >= CAST($window_start - $settle_period AS DATE) - INTERVAL '1 day'
          AND (s.day <= s.first_day + CAST($settle_period AS INTERVAL)
               -- Its first burst could be told, and nothing else came from there.
               OR j.day IS NOT NULL AND s.days_before < $known_days
                  AND coalesce(s.first_calm_day >= s.day - CAST($settle_period AS INTERVAL), true))
    ) p
),
candidates AS (
    SELECT app_key, network, day, first_day, users_now, min(at) AS at
    FROM counted
    WHERE users_now >= $min_users
    GROUP BY app_key, network, day, first_day, users_now
),
-- The app without that network: its users, its networks, and what these still do.
before AS (
    SELECT
        c.app_key, c.network, c.day,
        count(DISTINCT s.user_key) FILTER (
            WHERE s.day >= c.day - CAST($user_period AS INTERVAL) AND s.day < c.day
        ) AS users_before,
        count(DISTINCT s.network) FILTER (WHERE s.network <> c.network AND s.day < c.first_day) AS known_networks,
        coalesce(bool_or(s.network <> c.network AND s.day < c.first_day - CAST($settle_period AS INTERVAL)), false)
            AS is_old_app,
        coalesce(sum(s.events) FILTER (WHERE s.network <> c.network AND s.day = c.day), 0) AS old_events,
        max(s.last_at) FILTER (WHERE s.network <> c.network) AS old_last_at
    FROM (SELECT DISTINCT app_key, network, day, first_day FROM candidates) c
    JOIN seen s
      ON s.app_key = c.app_key
     AND s.day >= c.day - CAST($learn_period AS INTERVAL) AND s.day <= c.day
    GROUP BY c.app_key, c.network, c.day
),
-- Each moment at which there were enough; the first one is told.
crossings AS (
    SELECT
        c.app_key, c.network, c.day, c.at, b.threshold, b.users_before, b.known_networks, b.old_events, b.old_last_at,
        lag(c.at) OVER (PARTITION BY c.app_key, c.network ORDER BY c.at, c.day, c.users_now) AS told_before,
        CAST(lag(c.day) OVER (PARTITION BY c.app_key, c.network ORDER BY c.at, c.day, c.users_now) AS DATE) AS day_told_before
    FROM candidates c
    JOIN (
        SELECT *, greatest($min_users, least($max_users, CAST(ceil($share * users_before) AS BIGINT))) AS threshold
        FROM before
        WHERE is_old_app
    ) b ON b.app_key = c.app_key AND b.network = c.network AND b.day = c.day
    JOIN judged_days j ON j.day = c.day
    WHERE c.users_now >= b.threshold
),
-- Between two of them the network may have been away while the app was in use as before.
away AS (
    SELECT DISTINCT c.app_key, c.network, c.at
    FROM crossings c
    JOIN (SELECT app_key, day, count(DISTINCT user_key) AS users FROM seen GROUP BY app_key, day) u
      ON u.app_key = c.app_key AND u.day > c.day_told_before AND u.day < c.day AND u.users >= c.threshold
    LEFT JOIN (SELECT DISTINCT app_key, network, day FROM seen) n
      ON n.app_key = c.app_key AND n.network = c.network AND n.day = u.day
    WHERE n.day IS NULL
),
-- Who carries the app, day by day: the new network, or those that were there before it?
shares AS (
    SELECT
        *,
        sum(events) OVER (PARTITION BY app_key, day) AS all_events,
        sum(events) OVER (PARTITION BY app_key, day ORDER BY first_day)
            - sum(events) OVER (PARTITION BY app_key, day, first_day) AS old_events,
        min(first_day) OVER (PARTITION BY app_key) AS app_first_day
    FROM (
        SELECT
            app_key, network, day, first_day,
            count(*) AS users, sum(events) AS events, min(first_at) AS first_at, max(last_at) AS last_at
        FROM spells
        GROUP BY app_key, network, day, first_day
    ) n
),
-- The first day that ends two such days, two days or more after the new network's first.
moves AS (
    SELECT *
    FROM (
        SELECT *, row_number() OVER (PARTITION BY app_key, network, first_day ORDER BY day) AS turn
        FROM (
            SELECT
                app_key, network, day, first_day, app_first_day, first_at, users,
                lag(day) OVER two AS day_before,
                events + lag(events) OVER two AS events,
                old_events + lag(old_events) OVER two AS old_events,
                all_events + lag(all_events) OVER two AS all_events
            FROM shares
            WINDOW two AS (PARTITION BY app_key, network ORDER BY day)
        ) p
        WHERE day_before = day - INTERVAL '1 day'
          AND day >= first_day + INTERVAL '2 days' AND day <= first_day + CAST($settle_period AS INTERVAL)
          AND app_first_day < first_day - CAST($settle_period AS INTERVAL)
          AND users >= $min_users
          AND events >= $new_share * all_events AND old_events <= $old_share * all_events
    ) q
    WHERE turn = 1 AND first_at >= $window_start AND first_at < $window_end
      AND first_day IN (SELECT day FROM judged_days)
),
told AS (
    SELECT
        'burst' AS kind, c.app_key, c.network, c.day, c.at AS occurred_at,
        c.at - INTERVAL '86399999 milliseconds' AS from_at,
        c.threshold, c.users_before, c.known_networks, c.old_events, c.old_last_at, CAST(NULL AS DATE) AS since
    FROM crossings c
    LEFT JOIN away w ON w.app_key = c.app_key AND w.network = c.network AND w.at = c.at
    WHERE c.at >= $window_start AND c.at < $window_end
      AND (c.told_before IS NULL OR c.told_before < c.at - CAST($settle_period AS INTERVAL) OR w.at IS NOT NULL)
    UNION ALL
    SELECT
        'move' AS kind, app_key, network, day, first_at AS occurred_at, first_at AS from_at,
        $min_users AS threshold, CAST(NULL AS BIGINT) AS users_before, CAST(NULL AS BIGINT) AS known_networks,
        old_events, CAST(NULL AS TIMESTAMP) AS old_last_at, first_day AS since
    FROM moves
),
-- The rows themselves.
raw_rows AS (
    SELECT
        l.occurred_at, l.user_key, l.username, l.role, l.ip, network_of(l.ip) AS network, l.app,
        coalesce(i.app_id, app_name_key(l.app)) AS app_key, l.file_id, l.line_no
    FROM logins l
    LEFT JOIN app_ids i ON i.name_key = app_name_key(l.app)
    WHERE l.occurred_at >= $window_start - INTERVAL '1 day' AND l.occurred_at < $window_end
      AND l.outcome = 'success' AND l.ip_kind = 'public' AND trim(l.app) <> ''
    UNION ALL
    SELECT
        a.occurred_at, a.user_key, a.username, a.role, a.ip, network_of(a.ip) AS network, a.app,
        coalesce(
            CASE WHEN upper(trim(a.app_id)) NOT IN ('', 'N/A') THEN coalesce(sf_id18(trim(a.app_id)), trim(a.app_id)) END,
            i.app_id, app_name_key(a.app)
        ) AS app_key,
        a.file_id, a.line_no
    FROM api_calls a
    LEFT JOIN app_ids i ON i.name_key = app_name_key(a.app)
    WHERE a.occurred_at >= $window_start - INTERVAL '1 day' AND a.occurred_at < $window_end
      AND a.ip_kind = 'public'
),
by_user AS (
    SELECT
        t.kind, t.app_key, t.network, t.occurred_at, t.threshold, t.users_before, t.known_networks,
        t.old_events, t.old_last_at, t.since, r.user_key,
        max(r.username) AS username, bool_or(r.role IN ('integration', 'internal_system')) AS is_machine,
        max(r.app) AS app,
        min(r.occurred_at) AS first_at, max(r.occurred_at) AS last_at, count(*) AS events,
        min(r.file_id || ':' || r.line_no) AS proof
    FROM told t
    JOIN raw_rows r
      ON r.app_key = t.app_key AND r.network = t.network
     AND r.occurred_at >= t.from_at AND r.occurred_at < CAST(t.day + INTERVAL '1 day' AS TIMESTAMP)
    WHERE r.user_key IS NOT NULL
      AND in_networks(r.user_key, r.ip, r.occurred_at) IS NOT TRUE
    GROUP BY t.kind, t.app_key, t.network, t.occurred_at, t.threshold, t.users_before, t.known_networks,
        t.old_events, t.old_last_at, t.since, r.user_key
),
by_network AS (
    SELECT
        kind, app_key, network, occurred_at, threshold, users_before, known_networks, old_events, old_last_at, since,
        count(*) AS user_count,
        count(*) FILTER (WHERE is_machine) AS machine_users,
        array_slice(array_agg(coalesce(username, user_key) ORDER BY first_at, user_key), 1, 20) AS users,
        coalesce(max(printable(app)), printable(app_key)) AS app,
        min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events,
        coalesce(old_last_at >= min(first_at), false) AS old_active,
        array_slice(array_agg(proof ORDER BY first_at, user_key), 1, 20) AS proof
    FROM by_user
    GROUP BY kind, app_key, network, occurred_at, threshold, users_before, known_networks, old_events, old_last_at, since
    HAVING count(*) >= threshold
)
SELECT
    occurred_at,
    CAST(NULL AS VARCHAR) AS user_key, CAST(NULL AS VARCHAR) AS user_id, CAST(NULL AS VARCHAR) AS username,
    CASE kind WHEN 'burst' THEN 'critical' ELSE 'medium' END AS severity,
    events AS event_count,
    last_at,
    CASE kind
        WHEN 'burst' THEN 'The app comes from the networks that it used before: ' || known_networks
            || ' in the last weeks, and this one is none of them'
        ELSE 'A vendor who changes his network says so before, and the new one is declared'
    END AS expected,
    CASE kind
        WHEN 'burst' THEN user_count || ' users of "' || app || '" came from ' || network
            || ' between ' || to_char(first_at, '%Y-%m-%d %H:%M') || ' and ' || to_char(last_at, '%Y-%m-%d %H:%M')
            || ' UTC; the app''s other networks '
            || CASE WHEN old_active THEN 'were active beside it' ELSE 'have been silent since' END
        ELSE 'Vendor migration suspected: since ' || to_char(since, '%Y-%m-%d') || ' "' || app || '" comes from '
            || network || '; of the old networks the last two days have ' || old_events || ' events'
    END AS observed,
    kind, printable(app_key) AS app_key, app, network, users, user_count, machine_users, threshold, users_before,
    known_networks, first_at AS span_from, last_at AS span_to,
    CASE kind WHEN 'burst' THEN old_active ELSE old_events > 0 END AS old_network_active,
    old_events AS old_network_events, old_last_at AS old_network_last_at, since AS new_network_since,
    proof
FROM by_network
ORDER BY occurred_at, app_key, network, kind
