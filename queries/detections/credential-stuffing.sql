/*
id = "credential-stuffing"
title = "A wave of logins with leaked pairs of names and passwords"
family = "attack"
severity = "critical"
status = "active"
version = 1
control = ["S4.9"]
attack = ["T1110.004"]
description = """
Lists of leaked names and passwords are tried from many addresses at once, each pair once. No single user and no single \
address stands out, so the org is looked at as a whole: within any hour (the window slides on event time) many more \
refused credentials than at this hour of the week, from many addresses, for many names, a good part of which are no \
users of the org. Usual is the median of the failed logins of the same hour in the weeks before, as far as those days \
are covered; the higher of the two hours that a window touches counts, so that a busy morning does not begin a wave. \
High; critical when somebody got in during the wave, or within the hour after it, from one of its addresses or with its \
client. A finding belongs to the day on which the wave is reached; the next day tells it again \
only if it goes on for more than an hour there, and a login that follows is told on its own day. \
Where this leaves the catalogue: (1) a client marks a login as the wave's only if four in five of its tries in the wave \
were refused, or with a common browser every colleague would be a hit; (2) a login of a user from a network that \
is its own (declared, or known from earlier days) is no hit. Salesforce's own CredentialStuffingEvent is told by \
salesforce-threat-event. LoginHistory has no rows without a user: on it alone only names that SAML or its texts call \
unknown count as such."""
false_positives = [
  "A migration with wrong usernames: it comes from few addresses",
  "An outage: its refusals are no refused credentials",
]
response = [
  "Critical: freeze the users that got in, end their sessions, reset their passwords, go through their calls",
  "Ask for a second factor and for single sign-on; restrict login addresses on the profiles of machines",
  "Look with password-spray and login-bruteforce for single sources and users; block what repeats",
]
references = [
  "https://attack.mitre.org/techniques/T1110/004/",
]
inputs = ["Login | LoginHistory", "activity_hourly?", "sightings?"]
dedupe = ["scope"]
bucket = "day"

[params.least_refusals]
type = "int"
default = 50
meaning = "refused credentials within an hour below which there is no wave"

[params.ratio]
type = "float"
default = 8.0
meaning = "how many times the usual failures of that hour of the week a wave has"

[params.least_addresses]
type = "int"
default = 10
meaning = "addresses that a wave comes from"

[params.least_names]
type = "int"
default = 20
meaning = "names that a wave tries"

[params.unknown_share]
type = "float"
default = 0.3
meaning = "least share of refusals whose name is no user of the org"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network counts as known for users without declared ones"
*/
WITH
-- An hour for the count, and an hour before that to know what was told the day before.
attempts AS (
    SELECT
        occurred_at, day, date_trunc('hour', occurred_at) AS hour, user_key, username, ip, browser, country,
        CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network,
        fail_class IS NOT NULL AND fail_class IN ('bad_credential', 'unknown_user') AS is_refusal,
        outcome = 'success' AS is_login,
        user_id IS NULL OR coalesce(fail_class, '') = 'unknown_user'
            OR coalesce(upper(trim(status)), '') = 'LOGIN_ERROR_INVALID_USERNAME' AS is_unknown,
        in_networks(user_key, ip, occurred_at) AS inside,
        file_id || ':' || line_no AS proof
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '2 hours' AND occurred_at < $window_end
      AND (fail_class IN ('bad_credential', 'unknown_user', 'valid_credential_blocked') OR outcome IN ('success', 'challenge'))
),
-- On most nights there is no such hour, and nothing more is read.
busy AS (
    SELECT hour
    FROM attempts
    WHERE is_refusal
    GROUP BY hour
    HAVING count(*) >= $least_refusals / 2
),
around AS (
    SELECT DISTINCT b.hour + a.apart AS hour
    FROM busy b
    CROSS JOIN (
        SELECT INTERVAL '-2 hours' AS apart UNION ALL SELECT INTERVAL '-1 hours' AS apart UNION ALL SELECT INTERVAL '0 hours' AS apart
        UNION ALL SELECT INTERVAL '1 hours' AS apart UNION ALL SELECT INTERVAL '2 hours' AS apart
    ) a
),
-- What is usual at those hours: the same hours of the eight weeks before, 0 where a covered day has no failure.
past AS (
    SELECT a.hour, median(CAST(coalesce(f.failures, 0) AS DOUBLE)) AS usual
    FROM around a
    CROSS JOIN (
        SELECT INTERVAL '7 days' AS back UNION ALL SELECT INTERVAL '14 days' AS back
        UNION ALL SELECT INTERVAL '21 days' AS back UNION ALL SELECT INTERVAL '28 days' AS back
        UNION ALL SELECT INTERVAL '35 days' AS back UNION ALL SELECT INTERVAL '42 days' AS back
        UNION ALL SELECT INTERVAL '49 days' AS back UNION ALL SELECT INTERVAL '56 days' AS back
    ) weeks
    JOIN (SELECT DISTINCT day FROM covered_days WHERE event_type IN ('Login', 'LoginHistory')) c
      ON c.day = CAST(a.hour - weeks.back AS DATE)
    LEFT JOIN (
        SELECT hour, sum(failed_logins) AS failures
        FROM activity_hourly
        WHERE day >= CAST($window_start AS DATE) - INTERVAL '57 days' AND day < CAST($window_end AS DATE)
          AND failed_logins > 0
        GROUP BY hour
    ) f ON f.hour = a.hour - weeks.back
    GROUP BY a.hour
),
known_networks AS (
    SELECT s.user_key, s.value AS network, min(s.day) AS first_day
    FROM (SELECT DISTINCT a.user_key FROM attempts a JOIN around h ON h.hour = a.hour) u
    JOIN sightings s ON s.user_key = u.user_key
    WHERE s.day >= CAST($window_start - $learn_period AS DATE) AND s.day < CAST($window_end AS DATE)
      AND s.kind = 'network'
    GROUP BY s.user_key, s.value
),
counted AS (
    SELECT
        a.*, arrow_cast(a.day, 'Timestamp(Millisecond, Some("UTC"))') AS midnight,
        greatest(coalesce(p.usual, 0), coalesce(before.usual, 0)) AS usual,
        coalesce(a.inside, k.first_day < a.day, false) AS is_at_home,
        count(CASE WHEN a.is_refusal THEN 1 END) OVER last_hour AS in_hour,
        count(DISTINCT CASE WHEN a.is_refusal THEN a.ip END) OVER last_hour AS addresses,
        count(DISTINCT CASE WHEN a.is_refusal THEN a.user_key END) OVER last_hour AS names,
        count(CASE WHEN a.is_refusal AND a.is_unknown THEN 1 END) OVER last_hour AS unknown
    FROM attempts a
    JOIN around h ON h.hour = a.hour
    LEFT JOIN past p ON p.hour = a.hour
    LEFT JOIN past before ON before.hour = a.hour - INTERVAL '1 hours'
    LEFT JOIN known_networks k ON k.user_key = a.user_key AND k.network = a.network
    WINDOW last_hour AS (ORDER BY a.occurred_at RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW)
),
reached AS (
    SELECT
        *,
        min(CASE WHEN is_wave THEN occurred_at END) OVER (
            ORDER BY occurred_at RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) AS wave_since
    FROM (
        SELECT
            *,
            is_refusal AND in_hour >= greatest($least_refusals, $ratio * usual)
                AND addresses >= $least_addresses AND names >= $least_names
                AND unknown >= $unknown_share * in_hour AS is_wave
        FROM counted
    ) judged
),
-- What the day before has told is told again only as far as it is this day's alone.
told AS (
    SELECT
        *,
        CASE WHEN is_wave AND (wave_since >= midnight OR occurred_at >= midnight + INTERVAL '60 minutes') THEN day END AS told_on
    FROM reached
),
-- The days of the waves that an attempt is part of, and for a login also the one that it follows.
of_waves AS (
    SELECT
        *,
        unnest(array_distinct(make_array(wave_first, wave_last, CASE WHEN NOT is_refusal THEN wave_before END))) AS wave_day
    FROM (
        SELECT
            *,
            min(told_on) OVER next_hour AS wave_first, max(told_on) OVER next_hour AS wave_last,
            max(told_on) OVER last_hour AS wave_before
        FROM told
        WINDOW
            next_hour AS (ORDER BY occurred_at RANGE BETWEEN CURRENT ROW AND INTERVAL '60 minutes' FOLLOWING),
            last_hour AS (ORDER BY occurred_at RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW)
    ) spread
),
-- Who got in, or had the right password, from an address of the wave or with its client.
marked AS (
    SELECT
        *,
        NOT is_refusal AND NOT is_at_home
            AND ((ip IS NOT NULL AND count(CASE WHEN is_refusal THEN 1 END) OVER of_address > 0)
                 OR (browser IS NOT NULL AND count(CASE WHEN is_refusal THEN 1 END) OVER of_client > 0
                     AND 5 * count(CASE WHEN is_refusal THEN 1 END) OVER of_client >= 4 * count(*) OVER of_client))
            AS is_hit
    FROM of_waves
    WHERE wave_day IS NOT NULL
    WINDOW of_address AS (PARTITION BY wave_day, ip), of_client AS (PARTITION BY wave_day, browser)
),
-- A login that follows on the next day is told there, with the refusals before it.
reported AS (
    SELECT DISTINCT
        occurred_at, day, user_key, username, ip, network, browser, country, is_refusal, is_unknown, is_hit,
        is_hit AND is_login AS is_hit_login, in_hour, usual, proof,
        unnest(make_array(
            CASE WHEN is_refusal OR day <= wave_day THEN wave_day END,
            CASE WHEN login_next_day AND (is_refusal OR day > wave_day) THEN wave_day + INTERVAL '1 day' END
        )) AS report_day
    FROM (
        SELECT *, bool_or(is_hit AND is_login AND day > wave_day) OVER (PARTITION BY wave_day) AS login_next_day
        FROM marked
    ) m
    WHERE is_refusal OR is_hit
),
by_day AS (
    SELECT
        report_day,
        min(occurred_at) FILTER (WHERE is_refusal) AS first_try_at, max(occurred_at) FILTER (WHERE is_refusal) AS last_try_at,
        min(occurred_at) FILTER (WHERE (is_refusal OR is_hit_login) AND day = report_day) AS first_of_day,
        count(*) FILTER (WHERE is_refusal) AS refusals,
        max(in_hour) AS most_in_hour, max(usual) AS usual,
        count(DISTINCT ip) FILTER (WHERE is_refusal) AS addresses, count(DISTINCT user_key) FILTER (WHERE is_refusal) AS names,
        CAST(count(*) FILTER (WHERE is_refusal AND is_unknown) AS DOUBLE) / count(*) FILTER (WHERE is_refusal) AS unknown_share,
        array_slice(array_agg(DISTINCT network ORDER BY network) FILTER (WHERE is_refusal AND network IS NOT NULL), 1, 20) AS networks,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE is_refusal AND ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT printable(browser) ORDER BY printable(browser))
            FILTER (WHERE is_refusal AND browser IS NOT NULL), 1, 5) AS clients,
        array_slice(array_agg(DISTINCT country ORDER BY country) FILTER (WHERE is_refusal AND country IS NOT NULL), 1, 10) AS countries,
        min(occurred_at) FILTER (WHERE is_hit_login) AS success_at, max(occurred_at) FILTER (WHERE is_hit_login) AS last_success_at,
        array_agg(DISTINCT coalesce(printable(username), user_key) ORDER BY coalesce(printable(username), user_key))
            FILTER (WHERE is_hit_login) AS users_in,
        array_agg(DISTINCT coalesce(printable(username), user_key) ORDER BY coalesce(printable(username), user_key))
            FILTER (WHERE is_hit AND NOT is_hit_login) AS right_passwords,
        array_slice(array_agg(proof ORDER BY is_hit DESC, occurred_at, proof), 1, 20) AS proof
    FROM reported
    WHERE report_day >= CAST($window_start AS DATE) AND report_day < CAST($window_end AS DATE)
    GROUP BY report_day
)
SELECT
    first_of_day AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key, CAST(NULL AS VARCHAR) AS user_id, CAST(NULL AS VARCHAR) AS username,
    CASE WHEN success_at IS NOT NULL THEN 'critical' ELSE 'high' END AS severity,
    refusals AS event_count,
    greatest(last_try_at, coalesce(last_success_at, last_try_at)) AS last_at,
    'Fewer than ' || CAST(greatest($least_refusals, CAST(round($ratio * usual) AS BIGINT)) AS VARCHAR)
        || ' refused credentials within an hour (usual at that hour: ' || CAST(round(usual) AS BIGINT) || ')' AS expected,
    refusals || ' refusals from ' || addresses || ' addresses for ' || names || ' names, '
        || CAST(round(100 * unknown_share) AS BIGINT) || ' % of them no users, from '
        || to_char(first_try_at, '%Y-%m-%d %H:%M') || ' to ' || to_char(last_try_at, '%Y-%m-%d %H:%M')
        || ' UTC (up to ' || most_in_hour || ' within an hour)'
        || CASE WHEN success_at IS NULL THEN '; nobody got in'
                ELSE '; got in: ' || array_to_string(array_slice(users_in, 1, 5), ', ')
                     || CASE WHEN array_length(users_in) > 5 THEN ' and ' || (array_length(users_in) - 5) || ' more' ELSE '' END
                     || ', first at ' || to_char(success_at, '%Y-%m-%d %H:%M') || ' UTC'
           END
        || coalesce('; right password, stopped by another control: ' || array_to_string(array_slice(right_passwords, 1, 5), ', '), '')
        AS observed,
    'org' AS scope,
    refusals, most_in_hour, usual, names AS name_count, unknown_share,
    users_in, right_passwords, success_at,
    first_try_at, last_try_at,
    addresses AS address_count, ips, networks, countries, clients,
    proof
FROM by_day
ORDER BY occurred_at, scope
