/*
id = "password-spray"
title = "One source tries passwords on many users"
family = "attack"
severity = "critical"
status = "active"
version = 1
control = ["S4.9"]
attack = ["T1110.003"]
description = """
One source is refused for many users, and hardly lets anybody in: a few common passwords are tried on every account, so \
that none of them is locked. Fast: within one hour; slow: within a day. Both windows slide on event time. The source is \
an address, or the network (/24, /48) around it where the tries come from several addresses. High; critical when one of \
the tries, or the same source within the window after it, got in. A finding belongs to the day on which the threshold \
is reached; the next day tells it again only if it reaches it by itself, and a login that follows is told on its own day. \
Where this leaves the catalogue: (1) the share of refusals is counted in users, not in tries, or an attacker would hide \
behind many logins of one account of its own; (2) besides the median of tries per user, as many lightly tried users as \
the threshold asks for are enough, or a few noisy clients behind the same address would hide a spray; where most users \
are tried often, it is one level lower each (medium, high) and not silent: it may be clients with old passwords, and \
it may be a slow guess on each of them; (3) a login from a network that the registry declares for that user never \
counts as a hit. Tries without any address, from inside Salesforce (unattributable-traffic), or without a user's name \
are not counted."""
false_positives = [
  "An office on the day on which passwords expire: the many others who get in keep it out, unless the office is small",
  "An outage of single sign-on is no refused password",
  "A load test of the login page: from a known address, with a ticket",
]
response = [
  "Critical: freeze the users that got in, end their sessions, reset their passwords, go through their calls",
  "Block the source in the org's network access or at the identity provider; it is a source, never a person",
  "Tell the users that were tried; look for the same tries from neighbouring networks",
  "Right passwords that a second factor stopped: reset them, too (control-held-near-miss)",
]
references = [
  "https://attack.mitre.org/techniques/T1110/003/",
]
inputs = ["Login | LoginHistory"]
dedupe = ["source"]
bucket = "day"

[params.fast_users]
type = "int"
default = 10
meaning = "users refused within 60 minutes from which a source sprays"

[params.slow_users]
type = "int"
default = 20
meaning = "users refused within 24 hours from which a source sprays"

[params.refused_share]
type = "float"
default = 0.8
meaning = "least share of refused users among refused and signed-in users of the source in that time"

[params.tries_per_user]
type = "int"
default = 3
meaning = "tries of a user within an hour up to which it is lightly tried"
*/
WITH
-- A day for the slow count, and a day before that to know what was told already.
attempts AS (
    SELECT
        occurred_at, day, user_key, username, ip, network_of(ip) AS network, browser, ua_family, country,
        outcome, fail_class, in_networks(user_key, ip, occurred_at) AS inside,
        fail_class IS NOT NULL AND fail_class IN ('bad_credential', 'unknown_user') AS is_refusal,
        file_id || ':' || line_no AS proof
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '48 hours' AND occurred_at < $window_end
      AND ip IS NOT NULL AND coalesce(ip_kind, '') <> 'salesforce'
      AND user_key IS NOT NULL
),
suspects AS (
    SELECT network
    FROM attempts
    WHERE is_refusal
    GROUP BY network
    HAVING count(DISTINCT user_key) >= least($fast_users, $slow_users)
),
-- Each attempt counts for its address and for its network.
by_source AS (
    SELECT
        a.*, l.level, CASE l.level WHEN 'address' THEN a.ip ELSE a.network END AS source,
        CASE WHEN a.is_refusal THEN a.user_key END AS refused_user,
        CASE WHEN a.outcome = 'success' THEN a.user_key END AS signed_in_user
    FROM attempts a
    JOIN suspects s ON s.network = a.network
    CROSS JOIN (VALUES ('address'), ('network')) AS l (level)
),
counted AS (
    SELECT
        *,
        count(DISTINCT refused_user) OVER last_hour AS users_hour,
        count(DISTINCT signed_in_user) OVER last_hour AS signed_in_hour,
        count(DISTINCT refused_user) OVER last_day AS users_day,
        count(DISTINCT signed_in_user) OVER last_day AS signed_in_day,
        count(DISTINCT refused_user) OVER (
            PARTITION BY level, source, day ORDER BY occurred_at
            RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS users_since_midnight,
        count(refused_user) OVER (
            PARTITION BY level, source, user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) AS tries_hour
    FROM by_source
    WINDOW
        last_hour AS (PARTITION BY level, source ORDER BY occurred_at RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW),
        last_day AS (PARTITION BY level, source ORDER BY occurred_at RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW)
),
-- Refusals at which a threshold stands, and since when it does.
reached AS (
    SELECT
        *,
        min(CASE WHEN is_fast THEN occurred_at END) OVER (
            PARTITION BY level, source ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) AS fast_since,
        min(CASE WHEN is_slow THEN occurred_at END) OVER (
            PARTITION BY level, source ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW) AS slow_since
    FROM (
        SELECT
            *, arrow_cast(day, 'Timestamp(Millisecond, Some("UTC"))') AS midnight,
            is_refusal AND users_hour >= $fast_users
                AND users_hour >= $refused_share * (users_hour + signed_in_hour) AS is_fast,
            is_refusal AND users_day >= $slow_users
                AND users_day >= $refused_share * (users_day + signed_in_day) AS is_slow
        FROM counted
    ) c
),
-- The day that tells it: what the day before has told is told again only as far as it is this day's alone.
told AS (
    SELECT
        *,
        CASE WHEN is_fast AND (fast_since >= midnight OR occurred_at >= midnight + INTERVAL '60 minutes') THEN day END AS fast_day,
        CASE WHEN is_slow AND (slow_since >= midnight OR users_since_midnight >= $slow_users) THEN day END AS slow_day
    FROM reached
),
-- The days of the sprays that an attempt is part of: those whose threshold it helped to reach, and
-- for a login also the one that it follows.
of_sprays AS (
    SELECT
        *,
        unnest(array_distinct(make_array(
            fast_first, fast_last, slow_first, slow_last,
            CASE WHEN NOT is_refusal THEN fast_before END, CASE WHEN NOT is_refusal THEN slow_before END
        ))) AS spray_day
    FROM (
        SELECT
            *,
            min(fast_day) OVER next_hour AS fast_first, max(fast_day) OVER next_hour AS fast_last,
            min(slow_day) OVER next_day AS slow_first, max(slow_day) OVER next_day AS slow_last,
            max(fast_day) OVER last_hour AS fast_before, max(slow_day) OVER last_day AS slow_before
        FROM told
        WINDOW
            next_hour AS (PARTITION BY level, source ORDER BY occurred_at RANGE BETWEEN CURRENT ROW AND INTERVAL '60 minutes' FOLLOWING),
            next_day AS (PARTITION BY level, source ORDER BY occurred_at RANGE BETWEEN CURRENT ROW AND INTERVAL '24 hours' FOLLOWING),
            last_hour AS (PARTITION BY level, source ORDER BY occurred_at RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW),
            last_day AS (PARTITION BY level, source ORDER BY occurred_at RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW)
    ) spread
),
-- Who got in, or had the right password: from an address of the spray, as one of its users, or with
-- its client.
marked AS (
    SELECT
        *,
        (outcome IN ('success', 'challenge') OR fail_class IS NOT DISTINCT FROM 'valid_credential_blocked')
            -- Somebody at home in the same place is no hit.
            AND inside IS NOT TRUE
            AND (bool_or(is_refusal) OVER (PARTITION BY level, source, spray_day, ip)
                 OR bool_or(is_refusal) OVER (PARTITION BY level, source, spray_day, user_key)
                 OR (browser IS NOT NULL AND bool_or(is_refusal) OVER (PARTITION BY level, source, spray_day, browser)))
            AS is_hit
    FROM of_sprays
    WHERE spray_day IS NOT NULL
),
-- A login that follows on the next day is told there, with the refusals before it.
reported AS (
    SELECT DISTINCT
        level, source, network, occurred_at, day, user_key, username, ip, browser, ua_family, country,
        is_refusal, is_hit AND outcome = 'success' AS is_login, is_hit, is_fast, is_slow, tries_hour, proof,
        unnest(make_array(
            CASE WHEN is_refusal OR day <= spray_day THEN spray_day END,
            CASE WHEN login_next_day AND (is_refusal OR day > spray_day) THEN spray_day + INTERVAL '1 day' END
        )) AS report_day
    FROM (
        SELECT
            *,
            bool_or(is_hit AND outcome = 'success' AND day > spray_day) OVER (PARTITION BY level, source, spray_day) AS login_next_day
        FROM marked
    ) m
),
sprays AS (
    SELECT
        level, source, report_day, max(network) AS network,
        bool_or(is_fast) AS is_fast, bool_or(is_slow) AS is_slow,
        min(occurred_at) FILTER (WHERE is_refusal) AS first_try_at, max(occurred_at) FILTER (WHERE is_refusal) AS last_try_at,
        min(occurred_at) FILTER (WHERE (is_refusal OR is_login) AND day = report_day) AS first_of_day,
        count(*) FILTER (WHERE is_refusal) AS refusals,
        count(DISTINCT user_key) FILTER (WHERE is_refusal) AS users,
        count(DISTINCT user_key) FILTER (WHERE is_refusal AND tries_hour > $tries_per_user) AS users_tried_often,
        count(DISTINCT ip) FILTER (WHERE is_refusal) AS addresses,
        array_slice(array_agg(DISTINCT coalesce(printable(username), user_key) ORDER BY coalesce(printable(username), user_key))
            FILTER (WHERE is_refusal), 1, 20) AS users_tried,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE is_refusal), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT printable(browser) ORDER BY printable(browser))
            FILTER (WHERE is_refusal AND browser IS NOT NULL), 1, 5) AS clients,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE is_refusal AND ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE is_refusal AND country IS NOT NULL) AS countries,
        min(occurred_at) FILTER (WHERE is_login) AS success_at, max(occurred_at) FILTER (WHERE is_login) AS last_success_at,
        array_agg(DISTINCT coalesce(printable(username), user_key) ORDER BY coalesce(printable(username), user_key))
            FILTER (WHERE is_login) AS users_in,
        array_agg(DISTINCT coalesce(printable(username), user_key) ORDER BY coalesce(printable(username), user_key))
            FILTER (WHERE is_hit AND NOT is_login) AS right_passwords,
        array_slice(array_agg(proof ORDER BY is_hit DESC, occurred_at, proof) FILTER (WHERE is_refusal OR is_hit), 1, 20) AS proof
    FROM reported
    WHERE report_day >= CAST($window_start AS DATE) AND report_day < CAST($window_end AS DATE)
    GROUP BY level, source, report_day
),
-- One spray is one finding: the network where it knows of more than the one address in it.
widest AS (
    SELECT
        *,
        users - users_tried_often >= CASE WHEN is_fast THEN $fast_users ELSE $slow_users END
            OR users_tried_often * 2 <= users AS is_light
    FROM (
        SELECT
            *,
            max(CASE level WHEN 'address' THEN users END) OVER network_day AS users_of_address,
            max(CASE level WHEN 'network' THEN users END) OVER network_day AS users_of_network
        FROM sprays
        WINDOW network_day AS (PARTITION BY network, report_day)
    ) both
    WHERE CASE level
        WHEN 'network' THEN users > coalesce(users_of_address, 0)
        ELSE coalesce(users_of_network, 0) <= users_of_address
      END
)
SELECT
    first_of_day AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key, CAST(NULL AS VARCHAR) AS user_id, CAST(NULL AS VARCHAR) AS username,
    ['medium', 'high', 'critical'][
        1 + CASE WHEN is_light THEN 1 ELSE 0 END + CASE WHEN success_at IS NOT NULL THEN 1 ELSE 0 END
    ] AS severity,
    refusals AS event_count,
    greatest(last_try_at, coalesce(last_success_at, last_try_at)) AS last_at,
    'Fewer than ' || $fast_users || ' users of one source refused within an hour and ' || $slow_users
        || ' within a day, or many more that get in' AS expected,
    users || ' users tried from ' || source
        || CASE WHEN level = 'network' THEN ' (' || addresses || CASE WHEN addresses = 1 THEN ' address)' ELSE ' addresses)' END ELSE '' END
        || coalesce(' (' || array_to_string(array_slice(countries, 1, 3), ', ') || ')', '')
        || ', ' || refusals || ' refusals from ' || to_char(first_try_at, '%Y-%m-%d %H:%M')
        || ' to ' || to_char(last_try_at, '%Y-%m-%d %H:%M') || ' UTC'
        || CASE WHEN is_light THEN '' ELSE ', most of them often: maybe clients with old passwords' END
        || CASE WHEN success_at IS NULL THEN '; nobody got in'
                ELSE '; got in: ' || array_to_string(array_slice(users_in, 1, 5), ', ')
                     || CASE WHEN array_length(users_in) > 5 THEN ' and ' || (array_length(users_in) - 5) || ' more' ELSE '' END
                     || ', first at ' || to_char(success_at, '%Y-%m-%d %H:%M') || ' UTC'
           END
        || coalesce('; right password, stopped by another control: ' || array_to_string(array_slice(right_passwords, 1, 5), ', '), '')
        AS observed,
    source, level, CASE WHEN is_fast AND is_slow THEN 'fast and slow' WHEN is_fast THEN 'fast' ELSE 'slow' END AS pace,
    CASE WHEN addresses = 1 THEN ips[1] END AS ip,
    users AS users_count, users_tried_often, users_tried, users_in, right_passwords, success_at,
    refusals, first_try_at, last_try_at,
    addresses AS address_count, ips, countries, clients, ua_families,
    proof
FROM widest
ORDER BY occurred_at, source
