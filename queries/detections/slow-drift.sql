/*
id = "slow-drift"
title = "A machine reads or calls more from week to week, below the daily alarm"
family = "behaviour"
severity = "low"
status = "active"
version = 1
control = ["S1.11"]
attack = ["T1030"]
description = """
Who takes a little more each day moves the usual day along with him, and no daily alarm ever rings. So the weeks of \
each integration and CI account are held against older ones that do not move along: of the last 26 weeks with logs the \
newer thirteen against the median of the older thirteen, for calls, rows read, and different objects. Told are weeks of \
which three of the last four are above twice that median, or above one and a half times it while a one-sided cumulative \
sum of the weekly deviations (robust spread, k = 0.5, h = 4) has run up. Medium if the work on sensitive objects has \
itself doubled, or is new. The catalogue tells the cumulative sum alone, which makes a finding of each lasting growth \
by a fifth; and one loud week (counted as three spreads at most here) or a back-fill of two would do for it, or for a \
plain median of four weeks. Weeks end with the last day judged; one counts with logs of five of its days and is scaled \
to seven. Hours in a maintenance window do not count. Less than 26 weeks with that log, or an account that was active \
in fewer than ten of the older thirteen: no judgement. The finding lasts until the older weeks have caught up."""
false_positives = [
  "Business growth, more users, a larger sync: acknowledge the finding; it ends when the reference has caught up",
  "A season of four weeks and more",
]
response = [
  "Ask the owner what grew: more records, more tenants, a new mapping, or a shorter interval",
  "Compare objects, hours and clients of the last month with those of half a year ago (`orgwatch sql` over sightings)",
  "Nobody can explain it: rotate the credential and watch whether the growth comes back",
]
references = [
  "https://attack.mitre.org/techniques/T1030/",
]
inputs = ["activity_hourly", "sightings", "covered_days"]
dedupe = ["user_key"]
bucket = "none"

[params.k]
type = "float"
default = 0.5
meaning = "spreads above the older weeks that the cumulative sum forgives each week"

[params.h]
type = "float"
default = 4.0
meaning = "cumulative sum from which it has run up"

[params.growth]
type = "float"
default = 2.0
meaning = "times the older median that three of the last four weeks must be above"

[params.drift_growth]
type = "float"
default = 1.5
meaning = "the same where the cumulative sum has run up"

[params.min_calls]
type = "int"
default = 200
meaning = "calls of a week below which growth is not told"

[params.min_rows]
type = "int"
default = 5000
meaning = "rows of a week below which growth is not told"

[params.min_more_objects]
type = "int"
default = 4
meaning = "how many different objects a week must have more than before"

[params.min_active_weeks]
type = "int"
default = 10
meaning = "of the older thirteen weeks, how many must have activity"

[params.min_days]
type = "int"
default = 5
meaning = "days with logs from which a week counts"

[params.look_back]
type = "duration"
default = "210d"
meaning = "how far back the 26 weeks with logs may lie"

[params.sensitive]
type = "text_list"
default = ["user", "contact", "lead", "account", "case", "contract", "opportunity", "individual", "emailmessage", "attachment", "contentversion", "document", "userlogin", "loginhistory", "authsession", "oauthtoken", "permissionset", "permissionsetassignment", "setupentityaccess", "profile", "connectedapplication"]
meaning = "objects whose own growth makes it medium, in lower case"
*/
WITH
-- What each machine did in each week back from the last day judged; week 0 is the newest.
amounts AS (
    SELECT
        user_key, week, m.metric,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        sum(CASE WHEN m.metric = 'calls' THEN calls ELSE rows_read END) AS amount
    FROM (
        SELECT *, (CAST(CAST($window_end AS DATE) AS INT) - 1 - CAST(CAST(day AS DATE) AS INT)) / 7 AS week
        FROM activity_hourly
        WHERE day >= CAST($window_end - $look_back AS DATE) AND day < CAST($window_end AS DATE)
          AND role IN ('integration', 'ci') AND user_key IS NOT NULL AND (calls > 0 OR rows_read > 0)
    ) a
    CROSS JOIN (SELECT 'calls' AS metric UNION ALL SELECT 'rows' AS metric) m
    WHERE in_window(user_key, CAST(NULL AS VARCHAR), hour, 'maintenance') IS NOT TRUE
    GROUP BY user_key, week, m.metric
    UNION ALL
    SELECT
        user_key, week, m.metric,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        sum(CASE WHEN m.metric = 'objects' THEN 1 WHEN array_has($sensitive, value) THEN events ELSE 0 END) AS amount
    FROM (
        SELECT
            user_key, week, value, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
            max(system) AS system, max(owner) AS owner, sum(events) AS events
        FROM (
            SELECT *, (CAST(CAST($window_end AS DATE) AS INT) - 1 - CAST(CAST(day AS DATE) AS INT)) / 7 AS week
            FROM sightings
            WHERE day >= CAST($window_end - $look_back AS DATE) AND day < CAST($window_end AS DATE)
              AND kind = 'object' AND value <> '(more)'
              AND role IN ('integration', 'ci') AND user_key IS NOT NULL
        ) s
        WHERE in_window(user_key, CAST(NULL AS VARCHAR), first_at, 'maintenance') IS NOT TRUE
        GROUP BY user_key, week, value
    ) o
    CROSS JOIN (SELECT 'objects' AS metric UNION ALL SELECT 'sensitive' AS metric) m
    GROUP BY user_key, week, m.metric
),
-- Weeks whose log is there, counted through: 1 is the newest, 14 to 26 are the older ones.
weeks AS (
    SELECT metric, week, days, CAST(row_number() OVER (PARTITION BY metric ORDER BY week) AS BIGINT) AS n, count(*) OVER (PARTITION BY metric) AS weeks
    FROM (
        SELECT m.metric, c.week, count(DISTINCT c.day) AS days
        FROM (
            SELECT event_type, day, (CAST(CAST($window_end AS DATE) AS INT) - 1 - CAST(CAST(day AS DATE) AS INT)) / 7 AS week
            FROM covered_days
            WHERE day >= CAST($window_end - $look_back AS DATE) AND day < CAST($window_end AS DATE)
        ) c
        JOIN (
            SELECT 'calls' AS metric UNION ALL SELECT 'rows' AS metric UNION ALL SELECT 'objects' AS metric
            UNION ALL SELECT 'sensitive' AS metric
        ) m
          ON (m.metric = 'rows' AND c.event_type IN ('RestApi', 'API', 'ApexRestApi', 'BulkApi', 'BulkApi2', 'BulkApiRequest'))
          -- The names of objects come from the free log, too.
          OR (m.metric <> 'rows' AND c.event_type = 'ApiTotalUsage')
        GROUP BY m.metric, c.week
    ) d
    WHERE days >= $min_days
),
series AS (
    SELECT
        a.user_key, a.metric, w.n, w.week, a.username, a.role, a.role_source, a.system, a.owner,
        CASE WHEN a.metric = 'objects' THEN CAST(a.amount AS DOUBLE) ELSE a.amount * 7.0 / w.days END AS amount
    FROM amounts a
    JOIN weeks w ON w.metric = a.metric AND w.week = a.week
    WHERE w.weeks >= 26 AND w.n <= 26 AND a.amount > 0
),
centred AS (
    SELECT
        *, ln(1.0 + amount) AS y,
        median(CASE WHEN n > 13 THEN ln(1.0 + amount) END) OVER (PARTITION BY user_key, metric) AS centre,
        sum(CASE WHEN n > 13 THEN 1 ELSE 0 END) OVER (PARTITION BY user_key, metric) AS old_weeks
    FROM series
),
-- One loud week counts as three spreads.
steps AS (
    SELECT *, least(3.0, (y - centre) / greatest(0.2, least(0.5, 1.4826 * spread))) - $k AS step
    FROM (
        SELECT *, median(CASE WHEN n > 13 THEN abs(y - centre) END) OVER (PARTITION BY user_key, metric) AS spread
        FROM centred
    ) c
    WHERE n <= 13
),
-- The cumulative sum that never falls below zero: how far the plain sum lies above its lowest point.
sums AS (
    SELECT *, least(0.0, min(total) OVER (PARTITION BY user_key, metric)) AS lowest
    FROM (
        SELECT *, sum(step) OVER (PARTITION BY user_key, metric ORDER BY n DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS total
        FROM steps
    ) t
),
judged AS (
    SELECT
        user_key, metric,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        max(old_weeks) AS old_weeks, max(CASE WHEN old_weeks >= $min_active_weeks THEN exp(centre) - 1 ELSE 0 END) AS before,
        exp(median(y) FILTER (WHERE n <= 4)) - 1 AS now,
        coalesce(last_value(total - lowest ORDER BY n DESC), 0) AS run_up,
        -- The week after the lowest point, and the three newest at least.
        greatest(4, coalesce(min(n) FILTER (WHERE total <= lowest), 14) - 1) AS growing_weeks,
        max(week) AS oldest_week,
        exp(regr_slope(y, -n)) - 1 AS slope,
        count(*) FILTER (WHERE n <= 4 AND amount > $growth * CASE WHEN old_weeks >= $min_active_weeks THEN exp(centre) - 1 ELSE 0 END) AS doubled,
        count(*) FILTER (WHERE n <= 4 AND amount > $drift_growth * (exp(centre) - 1)) AS grown,
        array_agg(CAST(round(amount) AS BIGINT) ORDER BY n DESC) AS weekly
    FROM sums
    GROUP BY user_key, metric
),
marked AS (
    SELECT
        *,
        metric <> 'sensitive' AND old_weeks >= $min_active_weeks
            AND now >= CASE metric WHEN 'calls' THEN $min_calls WHEN 'rows' THEN $min_rows ELSE before + $min_more_objects END
            AND (doubled >= 3 OR (grown >= 3 AND run_up >= $h)) AS told,
        metric = 'sensitive' AND doubled >= 3 AS sensitive_grown
    FROM judged
),
found AS (
    SELECT
        user_key,
        max(username) AS username, max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        max(growing_weeks) FILTER (WHERE told) AS growing_weeks,
        bool_or(sensitive_grown) AS sensitive,
        array_agg(metric ORDER BY metric) FILTER (WHERE told) AS metrics,
        array_agg(metric || ' ' || CAST(round(before) AS BIGINT) || ' a week' ORDER BY metric) FILTER (WHERE told) AS usual,
        array_agg(metric || ' ' || CAST(round(now) AS BIGINT) || ' a week, '
            || CASE WHEN slope >= 0 THEN '+' ELSE '' END || CAST(round(100 * slope) AS BIGINT) || ' % from week to week' ORDER BY metric)
            FILTER (WHERE told) AS seen,
        max(round(now / greatest(before, 1), 2)) FILTER (WHERE told) AS times,
        max(round(run_up, 1)) FILTER (WHERE told) AS run_up,
        max(round(slope, 3)) FILTER (WHERE told) AS slope,
        first_value(weekly ORDER BY now / greatest(before, 1) DESC, metric) FILTER (WHERE told) AS weekly
    FROM marked
    GROUP BY user_key
    HAVING bool_or(told)
),
-- Of the last day, what shows the account at work.
last_day AS (
    SELECT
        user_key, count(*) AS events, max(occurred_at) AS last_at,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT file_id || ':' || line_no ORDER BY file_id || ':' || line_no), 1, 20) AS proof
    FROM api_calls
    WHERE occurred_at >= $window_end - INTERVAL '1 day' AND occurred_at < $window_end AND role IN ('integration', 'ci')
    GROUP BY user_key
)
SELECT
    arrow_cast($window_end, 'Timestamp(Millisecond, Some("UTC"))') - CAST((7 * f.growing_weeks) || ' days' AS INTERVAL) AS occurred_at,
    f.user_key, sf_id18(f.user_key) AS user_id, f.username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['info', 'low', 'medium'][
        CASE WHEN f.sensitive THEN 3 ELSE 2 END
        - CASE WHEN f.role = 'integration' AND f.role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    1 AS event_count,
    coalesce(l.last_at, arrow_cast($window_end, 'Timestamp(Millisecond, Some("UTC"))') - INTERVAL '1 millisecond') AS last_at,
    'About as in the thirteen weeks before the last thirteen: ' || array_to_string(f.usual, ', ') AS expected,
    array_to_string(f.seen, '; ') || ' (growing for ' || f.growing_weeks || ' weeks)'
        || CASE WHEN f.sensitive THEN '; sensitive objects are among what grew' ELSE '' END AS observed,
    f.role, f.role_source, f.system, f.owner,
    f.metrics, f.times, f.slope, f.run_up, f.growing_weeks, f.sensitive, f.weekly, l.ips,
    l.proof
FROM found f
LEFT JOIN last_day l ON l.user_key = f.user_key
ORDER BY occurred_at, user_key
