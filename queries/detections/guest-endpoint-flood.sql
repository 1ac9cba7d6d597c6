/*
id = "guest-endpoint-flood"
title = "Public endpoint is flooded or eats the API allowance"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.27"]
attack = ["T1499.003"]
description = """
A public endpoint can be called by everybody, and each call may count against the API allowance that the \
integrations live on. Two signs, for each guest user (a public site has its own): more calls within five minutes \
than the floor and than ten times what is usual at that hour of the week, and guests that take more than a fifth \
of the day's counted calls. One request may be written to several logs, so each log is counted by itself and the \
busiest one is reported. Salesforce does not log the org's daily limit: set `daily_limit`, else the share is \
taken of all calls of the day that count, and only from a minimum on. `usual` is the median over the covered \
ones of the last four weeks of the mean of that hour; without any, the floor alone decides."""
false_positives = [
  "A campaign or an event: declare a maintenance window of the guest user; calls inside it are not counted",
  "A health probe stays far below the floor",
]
response = [
  "Single source: block the address at the site's CDN, gateway or firewall",
  "Distributed: switch on the CDN's bot protection, cache the answer, or take the endpoint offline for the time",
  "Check the org's API usage against its limit (Setup, System Overview): at the limit the integrations stop",
  "Read with `guest-api-traffic` what was called and how much came back",
]
references = [
  "https://attack.mitre.org/techniques/T1499/003/",
  "https://help.salesforce.com/s/articleView?id=sf.networks_public_access_guest_user.htm",
]
inputs = ["api_calls | Sites"]
dedupe = ["user_key"]
bucket = "day"

[params.floor]
type = "int"
default = 300
meaning = "calls within five minutes up to which no flood is reported"

[params.ratio]
type = "float"
default = 10.0
meaning = "how many times the usual rate of that hour of the week must be passed"

[params.share]
type = "float"
default = 0.2
meaning = "share of the day's counted API calls that all guests together may take"

[params.min_share_calls]
type = "int"
default = 1000
meaning = "counted calls of a guest user and day below which its share does not matter"

[params.daily_limit]
type = "int"
default = 0
meaning = "the org's API calls a day; 0: not known, the share is taken of the day's counted calls"

[params.single_source]
type = "float"
default = 0.6
meaning = "share of one address from which the flood has a single source"
*/
WITH
-- ApiTotalUsage does not say who is a guest: whoever is one in the registry or in another log.
guests AS (
    SELECT user_key FROM registry_users WHERE role = 'guest'
    UNION
    SELECT user_id AS user_key FROM elf_sites
    WHERE occurred_at >= $window_start AND occurred_at < $window_end AND is_guest
    UNION
    SELECT user_id AS user_key FROM elf_apex_rest_api
    WHERE occurred_at >= $window_start AND occurred_at < $window_end AND upper(user_type) IN ('GUEST', 'G')
    UNION
    SELECT user_id AS user_key FROM elf_rest_api
    WHERE occurred_at >= $window_start AND occurred_at < $window_end AND upper(user_type) IN ('GUEST', 'G')
    UNION
    SELECT user_id AS user_key FROM elf_aura_request
    WHERE occurred_at >= $window_start AND occurred_at < $window_end AND upper(user_type) IN ('GUEST', 'G')
),
-- The days that are judged, and those of the four weeks before that say what is usual.
requests AS (
    SELECT
        c.occurred_at, c.day, date_trunc('hour', c.occurred_at) AS hour, c.user_key, c.event_type AS log,
        c.ip, c.resource AS endpoint, c.is_error, c.file_id, c.line_no
    FROM api_calls c
    JOIN guests g ON g.user_key = c.user_key
    WHERE c.occurred_at >= $window_start - INTERVAL '28 days' AND c.occurred_at < $window_end
      -- What is compared: the night, and the same hours one to four weeks before it.
      AND (c.occurred_at >= $window_start - INTERVAL '5 minutes'
           OR (c.occurred_at >= $window_start - INTERVAL '7 days' AND c.occurred_at < $window_end - INTERVAL '7 days')
           OR (c.occurred_at >= $window_start - INTERVAL '14 days' AND c.occurred_at < $window_end - INTERVAL '14 days')
           OR (c.occurred_at >= $window_start - INTERVAL '21 days' AND c.occurred_at < $window_end - INTERVAL '21 days')
           OR c.occurred_at < $window_end - INTERVAL '28 days')
      AND NOT in_window(c.user_key, c.ip, c.occurred_at, 'maintenance')
    UNION ALL
    SELECT
        s.occurred_at, CAST(s.occurred_at AS DATE) AS day, date_trunc('hour', s.occurred_at) AS hour,
        s.user_id AS user_key, 'Sites' AS log,
        s.ip, s.uri AS endpoint, s.is_error, s.file_id, s.line_no
    FROM elf_sites s
    WHERE s.occurred_at >= $window_start - INTERVAL '28 days' AND s.occurred_at < $window_end
      AND (s.occurred_at >= $window_start - INTERVAL '5 minutes'
           OR (s.occurred_at >= $window_start - INTERVAL '7 days' AND s.occurred_at < $window_end - INTERVAL '7 days')
           OR (s.occurred_at >= $window_start - INTERVAL '14 days' AND s.occurred_at < $window_end - INTERVAL '14 days')
           OR (s.occurred_at >= $window_start - INTERVAL '21 days' AND s.occurred_at < $window_end - INTERVAL '21 days')
           OR s.occurred_at < $window_end - INTERVAL '28 days')
      AND s.is_guest
      AND NOT in_window(s.user_id, s.ip, s.occurred_at, 'maintenance')
),
hours AS (
    SELECT user_key, log, day, hour, count(*) AS calls, max(last_5_minutes) AS peak
    FROM (
        SELECT
            user_key, log, day, hour,
            count(*) OVER (
                PARTITION BY user_key, log ORDER BY occurred_at
                RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND CURRENT ROW) AS last_5_minutes
        FROM requests
    ) sliding
    GROUP BY user_key, log, day, hour
),
-- What is usual: the same hour of the last four weeks, where its day is covered; no row is no call.
floods AS (
    SELECT
        h.user_key, h.log, h.day, h.hour, h.peak,
        median(CAST(coalesce(p.calls, 0) AS DOUBLE) / 12) FILTER (WHERE covered.day IS NOT NULL) AS usual
    FROM hours h
    CROSS JOIN (
        SELECT INTERVAL '7 days' AS back UNION ALL SELECT INTERVAL '14 days' AS back
        UNION ALL SELECT INTERVAL '21 days' AS back UNION ALL SELECT INTERVAL '28 days' AS back
    ) weeks
    LEFT JOIN (SELECT DISTINCT event_type, CAST(day AS DATE) AS day FROM parts) covered
      ON covered.event_type = h.log AND covered.day = CAST(h.hour - weeks.back AS DATE)
    LEFT JOIN hours p
      ON (p.user_key IS NOT DISTINCT FROM h.user_key) AND p.log = h.log AND p.hour = h.hour - weeks.back
    WHERE h.hour >= $window_start AND h.peak > $floor
    GROUP BY h.user_key, h.log, h.day, h.hour, h.peak
    HAVING h.peak > $ratio * coalesce(
        median(CAST(coalesce(p.calls, 0) AS DOUBLE) / 12) FILTER (WHERE covered.day IS NOT NULL), 0)
),
-- The allowance: only ApiTotalUsage knows which call counts. Older files do not say: it counts then.
counted AS (
    SELECT
        CAST(a.occurred_at AS DATE) AS day, g.user_key,
        count(*) AS counted,
        sum(count(*)) OVER (PARTITION BY CAST(a.occurred_at AS DATE)) AS counted_of_all
    FROM elf_api_total_usage a
    LEFT JOIN guests g
      ON g.user_key = a.user_id AND NOT in_window(a.user_id, a.ip, a.occurred_at, 'maintenance')
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
      AND coalesce(a.counts_against_api_limit, true)
    GROUP BY CAST(a.occurred_at AS DATE), g.user_key
),
shares AS (
    SELECT user_key, day, counted, CAST(of_guests AS DOUBLE) / allowance AS share
    FROM (
        SELECT
            user_key, day, counted,
            sum(counted) OVER (PARTITION BY day) AS of_guests,
            CASE WHEN $daily_limit > 0 THEN $daily_limit ELSE counted_of_all END AS allowance
        FROM counted
        WHERE user_key IS NOT NULL
    ) guests_only
    WHERE counted >= $min_share_calls AND of_guests > $share * allowance
),
-- What is reported of each day: the hours with a flood, or all of ApiTotalUsage for a share.
reported AS (
    SELECT user_key, log, day, hour, peak, usual, CAST(NULL AS DOUBLE) AS share FROM floods
    UNION ALL
    SELECT
        user_key, 'ApiTotalUsage' AS log, day, CAST(NULL AS TIMESTAMPTZ) AS hour,
        CAST(NULL AS BIGINT) AS peak, CAST(NULL AS DOUBLE) AS usual, share
    FROM shares
),
rows_of AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY user_key, log, day, ip) AS calls_of_ip
    FROM (
        SELECT
            r.user_key, r.log, r.day, r.file_id, r.line_no, r.occurred_at, r.ip, r.endpoint, r.is_error,
            max(p.peak) AS peak, max(p.usual) AS usual, max(p.share) AS share
        FROM requests r
        JOIN reported p
          ON (p.user_key IS NOT DISTINCT FROM r.user_key) AND p.log = r.log AND p.day = r.day
         AND (p.hour IS NULL OR p.hour = r.hour)
        WHERE r.occurred_at >= $window_start
        -- A row of a flooded hour may be told by the share, too.
        GROUP BY r.user_key, r.log, r.day, r.file_id, r.line_no, r.occurred_at, r.ip, r.endpoint, r.is_error
    ) once
),
by_log AS (
    SELECT
        user_key, log, day,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS calls,
        max(peak) AS peak, max(usual) AS usual, max(share) AS share,
        CAST(count(*) FILTER (WHERE is_error) AS DOUBLE) / nullif(count(is_error), 0) AS error_ratio,
        count(DISTINCT ip) AS sources,
        first_value(ip ORDER BY calls_of_ip DESC, ip) FILTER (WHERE ip IS NOT NULL) AS top_ip,
        CAST(max(calls_of_ip) FILTER (WHERE ip IS NOT NULL) AS DOUBLE) / count(*) AS top_share,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT printable(endpoint) ORDER BY printable(endpoint))
            FILTER (WHERE endpoint IS NOT NULL), 1, 10) AS endpoints,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM rows_of
    GROUP BY user_key, log, day
),
-- The busiest log speaks for the day; the share is known from ApiTotalUsage alone.
by_day AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY user_key, day ORDER BY peak DESC NULLS LAST, calls DESC, log) AS place,
        max(share) OVER (PARTITION BY user_key, day) AS share_of_day
    FROM by_log
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, CASE WHEN d.user_key LIKE '005%' THEN d.user_key END AS user_id,
    coalesce(n.username, u.username) AS username,
    'high' AS severity,
    d.calls AS event_count,
    d.last_at,
    'At most ' || greatest($floor, CAST(round($ratio * coalesce(d.usual, 0)) AS BIGINT))
        || ' guest calls in five minutes'
        || coalesce(' (usual at that hour: ' || CAST(round(d.usual) AS BIGINT) || ')', '')
        || ', and guests take at most ' || CAST(round(100 * $share) AS BIGINT) || ' % of the API allowance' AS expected,
    CASE WHEN d.peak IS NULL THEN d.calls || ' guest calls' ELSE 'Up to ' || d.peak || ' guest calls in five minutes' END
        || ' (' || d.log || ')'
        || coalesce('; guests took ' || CAST(round(100 * d.share_of_day) AS BIGINT) || ' % of the '
            || CASE WHEN $daily_limit > 0 THEN 'daily limit' ELSE 'day''s counted calls' END, '')
        || CASE
               WHEN d.top_ip IS NULL THEN '; no usable address'
               WHEN d.top_share >= $single_source
               THEN '; single source ' || d.top_ip || ' (' || CAST(round(100 * d.top_share) AS BIGINT) || ' %)'
               ELSE '; distributed over ' || d.sources || ' addresses'
           END
        || coalesce('; ' || CAST(round(100 * d.error_ratio) AS BIGINT) || ' % errors', '') AS observed,
    'guest' AS role, CASE WHEN u.user_key IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    u.system, u.owner,
    CASE
        WHEN d.peak IS NULL THEN ['allowance']
        WHEN d.share_of_day IS NULL THEN ['flood']
        ELSE ['flood', 'allowance']
    END AS reasons,
    d.log, d.peak AS peak_5_minutes, d.usual AS usual_5_minutes, d.share_of_day AS share,
    CASE
        WHEN d.top_ip IS NULL THEN 'unknown'
        WHEN d.top_share >= $single_source THEN 'single source'
        ELSE 'distributed'
    END AS spread,
    d.sources, d.ips, d.top_share, d.error_ratio, d.endpoints,
    d.proof
FROM by_day d
LEFT JOIN usernames n ON n.user_id = d.user_key
LEFT JOIN registry_users u
  ON u.user_key = d.user_key AND d.first_at >= u.valid_from AND d.first_at < u.valid_to
WHERE d.place = 1
ORDER BY occurred_at, user_key
