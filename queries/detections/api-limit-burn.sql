/*
id = "api-limit-burn"
title = "One account uses up the org's API allowance"
family = "behaviour"
severity = "medium"
status = "active"
version = 1
control = ["S0.27"]
attack = ["T1499.003", "T1496"]
description = """
All integrations live on one allowance of API calls per 24 hours; when it is gone, all of them stop. Told is an \
account that took 30 % of it within 24 hours (a guest: 20 %), and, when more than 90 % are gone, the account that made \
at least half of the rise over the same day of the week before. High from 50 % on and for guests, because everybody \
can be one. The 24 hours slide, as the limit does. Each level is told once: who still is where he was yesterday is not \
told again, and who took as much on three of the last 28 days is known for it. Salesforce's logs do not say how large \
the allowance is: set `daily_limit`. Without it the smallest allowance of an Enterprise org is assumed, all counts one \
level lower, and a total of 90 % is not judged. The catalogue projects the day's total; here the night's logs hold the \
whole day, so what was really used counts. Only calls that Salesforce marks as counting are counted."""
false_positives = [
  "A back-fill or a first full load: declare a maintenance window of the user",
  "A heavy loader that is known: learned after three days",
  "`daily_limit` is not set, or was not raised after licences were bought",
]
response = [
  "Compare with Setup, System Overview (API requests, last 24 hours): how long does the allowance last?",
  "Ask the owner for the reason; a retry storm shows as errors (error-ratio-anomaly), a theft as rows (rows-volume-anomaly)",
  "A guest: put the endpoint behind a cache or the CDN's bot protection, or take it offline (guest-endpoint-flood)",
  "Nobody knows the reason: revoke the tokens of the user before the other integrations stop",
]
references = [
  "https://attack.mitre.org/techniques/T1499/003/",
  "https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm",
]
inputs = ["ApiTotalUsage"]
dedupe = ["user_key"]
bucket = "day"

[params.daily_limit]
type = "int"
default = 0
meaning = "the org's API calls per 24 hours (Setup, Company Information); 0: not known, `assumed_limit` counts"

[params.assumed_limit]
type = "int"
default = 100000
meaning = "allowance that is assumed where `daily_limit` is not set"

[params.share]
type = "float"
default = 0.3
meaning = "share of the allowance from which an account is told"

[params.guest_share]
type = "float"
default = 0.2
meaning = "the same of a guest"

[params.high_share]
type = "float"
default = 0.5
meaning = "share from which it is high"

[params.total_share]
type = "float"
default = 0.9
meaning = "share of all accounts together above which the one that made the rise is told"

[params.rise_share]
type = "float"
default = 0.5
meaning = "share of that rise which one account must have made"

[params.learn_period]
type = "duration"
default = "28d"
meaning = "how far back it is looked for who usually takes that much"

[params.learn_days]
type = "int"
default = 3
meaning = "days of that time from which it is usual"
*/
WITH
-- Nothing but the days that a night is compared with.
hours AS (
    SELECT
        -- Calls of nobody known are one account. Joined by plain equality: on IS NOT DISTINCT FROM, every
        -- account of a day would be paired with every row of it.
        coalesce(user_key, '') AS user_key, hour, day, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner, sum(limit_calls) AS calls
    FROM activity_hourly
    WHERE day >= CAST($window_start - $learn_period AS DATE) - INTERVAL '2 days' AND day < CAST($window_end AS DATE) + INTERVAL '1 day'
      AND limit_calls > 0
    GROUP BY coalesce(user_key, ''), hour, day
),
-- The night, the day before it, the same days a week ago, and the 24 hours before those.
lately AS (
    SELECT * FROM hours WHERE day >= CAST($window_start AS DATE) - INTERVAL '10 days'
),
org_days AS (
    SELECT
        day, max(used) AS used,
        max(max(used)) OVER (ORDER BY day RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '7 days' PRECEDING)
            AS used_a_week_ago
    FROM (
        SELECT
            day, hour,
            sum(calls) OVER (ORDER BY hour RANGE BETWEEN INTERVAL '23 hours' PRECEDING AND CURRENT ROW) AS used
        FROM (SELECT day, hour, sum(calls) AS calls FROM lately GROUP BY day, hour) h
    ) r
    GROUP BY day
),
-- By the 24 hours that end with each hour.
user_days AS (
    SELECT
        user_key, day, max(username) AS username,
        first_value(role ORDER BY hour DESC) AS role, first_value(role_source ORDER BY hour DESC) AS role_source,
        max(system) AS system, max(owner) AS owner,
        max(used) AS used, sum(calls) AS calls_of_day,
        first_value(hour ORDER BY used DESC, hour) AS at_hour, min(hour) AS first_hour
    FROM (
        SELECT
            *,
            sum(CASE WHEN in_window(nullif(user_key, ''), CAST(NULL AS VARCHAR), hour, 'maintenance') IS TRUE THEN 0 ELSE calls END)
                OVER (PARTITION BY user_key ORDER BY hour RANGE BETWEEN INTERVAL '23 hours' PRECEDING AND CURRENT ROW) AS used
        FROM lately
    ) r
    GROUP BY user_key, day
),
shares AS (
    SELECT
        u.*, o.used AS used_of_all,
        CASE WHEN $daily_limit > 0 THEN $daily_limit ELSE $assumed_limit END AS allowance,
        o.used - o.used_a_week_ago AS rise_of_all,
        -- A week ago the account did nothing, or the org's day is not known.
        CASE WHEN o.used_a_week_ago IS NOT NULL THEN u.used - coalesce(u.used_a_week_ago, 0) END AS rise
    FROM (
        SELECT
            *,
            max(used) OVER (
                PARTITION BY user_key ORDER BY day
                RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '7 days' PRECEDING) AS used_a_week_ago
        FROM user_days
    ) u
    JOIN org_days o ON o.day = u.day
),
levels AS (
    SELECT
        *,
        CASE
            WHEN used >= $high_share * allowance THEN 2
            WHEN role = 'guest' AND used >= $guest_share * allowance THEN 2
            WHEN used >= $share * allowance THEN 1
            WHEN $daily_limit > 0 AND used_of_all > $total_share * allowance
                 AND rise_of_all > 0 AND rise >= $rise_share * rise_of_all THEN 1
            ELSE 0
        END AS level,
        coalesce($daily_limit > 0 AND used_of_all > $total_share * allowance
            AND rise_of_all > 0 AND rise >= $rise_share * rise_of_all, false) AS made_the_rise
    FROM shares
),
judged AS (
    SELECT *
    FROM (
        SELECT
            *,
            max(level) OVER (
                PARTITION BY user_key ORDER BY day
                RANGE BETWEEN INTERVAL '1 day' PRECEDING AND INTERVAL '1 day' PRECEDING) AS level_before
        FROM levels
    ) l
    WHERE day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
      AND level > coalesce(level_before, 0)
),
told AS (
    SELECT *, CAST(used AS DOUBLE) / allowance AS share
    FROM (
        SELECT
            j.user_key, j.day, j.username, j.role, j.role_source, j.system, j.owner, j.used, j.calls_of_day, j.at_hour,
            j.used_of_all, j.allowance, j.rise_of_all, j.rise, j.level, j.made_the_rise,
            -- Guests never earn a habit: theirs is anybody's.
            count(DISTINCT h.day) FILTER (WHERE j.role IS DISTINCT FROM 'guest') AS days_as_much
        FROM judged j
        LEFT JOIN (
            SELECT user_key, day, max(used) AS used FROM (
                SELECT
                    user_key, day,
                    sum(CASE WHEN in_window(nullif(user_key, ''), CAST(NULL AS VARCHAR), hour, 'maintenance') IS TRUE THEN 0 ELSE calls END)
                        OVER (PARTITION BY user_key ORDER BY hour RANGE BETWEEN INTERVAL '23 hours' PRECEDING AND CURRENT ROW) AS used
                FROM hours
            ) r
            GROUP BY user_key, day
        ) h
          ON h.user_key = j.user_key AND h.day < j.day
         AND h.day >= j.day - CAST($learn_period AS INTERVAL) AND h.used >= 0.8 * j.used
        GROUP BY
            j.user_key, j.day, j.username, j.role, j.role_source, j.system, j.owner, j.used, j.calls_of_day, j.at_hour,
            j.used_of_all, j.allowance, j.rise_of_all, j.rise, j.level, j.made_the_rise
    ) t
    WHERE days_as_much < $learn_days OR made_the_rise
),
-- By which apps, of the nights that are told.
apps_of_the_night AS (
    SELECT user_key, day, array_slice(array_agg(DISTINCT name ORDER BY name), 1, 20) AS apps
    FROM (
        SELECT coalesce(user_key, '') AS user_key, day, arrow_cast(coalesce(app_name, app_key), 'Utf8') AS name
        FROM activity_hourly
        WHERE day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
          AND limit_calls > 0 AND app_key IS NOT NULL
    ) a
    GROUP BY user_key, day
),
counted AS (
    SELECT
        t.user_key, t.day, min(a.occurred_at) AS first_at, max(a.occurred_at) AS last_at,
        count(DISTINCT a.ip) AS sources,
        array_slice(array_agg(DISTINCT a.ip ORDER BY a.ip) FILTER (WHERE a.ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(a.file_id || ':' || a.line_no ORDER BY a.occurred_at DESC, a.file_id, a.line_no), 1, 20) AS proof
    FROM told t
    JOIN (
        SELECT coalesce(known_user_id(user_id), user_id, known_user_id(lower(trim(user_name))), lower(trim(user_name)), '') AS user_key,
            CAST(occurred_at AS DATE) AS day, occurred_at, ip, file_id, line_no
        FROM elf_api_total_usage
        WHERE occurred_at >= $window_start AND occurred_at < $window_end AND counts_against_api_limit
    ) a
      ON a.user_key = t.user_key AND a.day = t.day
    GROUP BY t.user_key, t.day
)
SELECT
    c.first_at AS occurred_at,
    nullif(t.user_key, '') AS user_key, sf_id18(nullif(t.user_key, '')) AS user_id, t.username,
    -- An assumed allowance counts one level lower, and so does an account that is only inferred to be an integration.
    ['info', 'low', 'medium', 'high'][
        t.level + 2 - CASE WHEN $daily_limit > 0 THEN 0 ELSE 1 END
        - CASE WHEN t.role = 'integration' AND t.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    t.calls_of_day AS event_count,
    c.last_at,
    'One account takes less than ' || CAST(round(100 * CASE WHEN t.role = 'guest' THEN $guest_share ELSE $share END) AS BIGINT)
        || ' % of the ' || t.allowance || ' API calls '
        || CASE WHEN $daily_limit > 0 THEN 'that the org has per 24 hours' ELSE 'that are assumed per 24 hours (`daily_limit` is not set)' END
        || '; it took as much on ' || t.days_as_much || ' of the earlier days' AS expected,
    t.used || ' calls within 24 hours: ' || CAST(round(100 * t.share) AS BIGINT) || ' % of the allowance'
        || ' (all accounts: ' || t.used_of_all || ', ' || CAST(round(100 * CAST(t.used_of_all AS DOUBLE) / t.allowance) AS BIGINT) || ' %)'
        || CASE WHEN t.made_the_rise THEN '; it made ' || t.rise || ' of the ' || t.rise_of_all || ' calls more than a week before' ELSE '' END
        || coalesce(', by way of ' || array_to_string(array_slice(a.apps, 1, 3), ', '), '')
        || coalesce(', from ' || array_to_string(array_slice(c.ips, 1, 5), ', '), '') AS observed,
    t.role, t.role_source, t.system, t.owner,
    t.share, t.used AS calls_24_hours, t.used_of_all AS calls_24_hours_of_all, t.allowance,
    $daily_limit <= 0 AS allowance_assumed, t.made_the_rise, t.rise, t.rise_of_all, t.days_as_much,
    t.at_hour, a.apps, c.sources, c.ips,
    c.proof
FROM told t
JOIN counted c ON c.user_key = t.user_key AND c.day = t.day
LEFT JOIN apps_of_the_night a ON a.user_key = t.user_key AND a.day = t.day
ORDER BY occurred_at, user_key
