/*
id = "error-ratio-anomaly"
title = "The share of refused calls or logins of an account jumps"
family = "behaviour"
severity = "medium"
status = "active"
version = 1
control = ["S2.5", "S4.3", "S4.9"]
attack = ["T1526", "T1078.004"]
description = """
Whoever tries what a token may do gets refusals: 403 for forbidden objects, 404 and 400 for guessed ones, 401 once it \
was revoked. Told is, per account and app, an hour with at least 30 calls of which surely (lower bound of the 95 % \
interval by Wilson) more than a fifth were refused, and more than three times the account's median share of the last \
28 days; the same for logins. High ("probing") when most refusals are 400, 403 or 404 and they met at least five \
objects. The hour slides, and what goes on after midnight is told on the day on which it began. Errors from 500 on \
are the platform's and no refusals: they count as calls only. When half of all accounts with enough calls are refused \
in the same night, and at least three, it is hardly one account's doing: each is told one level lower, where the \
catalogue has one row for the org. The median is the account's over all its apps, and InsufficientAccess rows are not \
added: they have no share."""
false_positives = [
  "A change of permissions or of the data model on one side only",
  "A token that was revoked or a password that was changed on purpose: the client keeps trying",
]
response = [
  "401: was the token revoked on purpose? Then stop the client. If not: who revoked it, and why?",
  "403, 404 or 400 on many objects: compare address and client with earlier days; revoke the token if they are new",
  "Logins: see login-bruteforce and password-spray",
]
references = [
  "https://attack.mitre.org/techniques/T1526/",
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm",
]
inputs = ["ApiTotalUsage | Login | LoginHistory", "activity_hourly?"]
dedupe = ["user_key", "series"]
bucket = "day"

[params.min_events]
type = "int"
default = 30
meaning = "calls or logins within an hour below which no share is judged"

[params.min_share]
type = "float"
default = 0.2
meaning = "share that is never reported"

[params.ratio]
type = "float"
default = 3.0
meaning = "how many times the median share of the last 28 days must be passed"

[params.learn_days]
type = "int"
default = 5
meaning = "active days of these 28 below which the account has no usual share"

[params.probing_objects]
type = "int"
default = 5
meaning = "objects with refusals from which it is probing"

[params.together]
type = "int"
default = 3
meaning = "accounts that must be refused in the same night for it to be no single account's doing"
*/
WITH
-- The hour that ends with each five minutes.
hours AS (
    SELECT user_key, series, slot,
        sum(events) OVER past_hour AS n, sum(refused) OVER past_hour AS refused
    FROM (
        SELECT
            user_key, coalesce(sf_id18(app_id), app_name_key(app), 'api') AS series,
            date_bin(INTERVAL '5 minutes', occurred_at) AS slot,
            count(*) AS events, count(*) FILTER (WHERE status_code >= 400 AND status_code < 500) AS refused
        FROM api_calls
        WHERE occurred_at >= $window_start - INTERVAL '3 hours' AND occurred_at < $window_end
          AND event_type = 'ApiTotalUsage' AND user_key IS NOT NULL
        GROUP BY user_key, coalesce(sf_id18(app_id), app_name_key(app), 'api'), date_bin(INTERVAL '5 minutes', occurred_at)
        UNION ALL
        SELECT
            user_key, 'logins' AS series, date_bin(INTERVAL '5 minutes', occurred_at) AS slot,
            count(*) AS events, count(*) FILTER (WHERE outcome = 'failure') AS refused
        FROM logins
        WHERE occurred_at >= $window_start - INTERVAL '3 hours' AND occurred_at < $window_end
          AND outcome IN ('success', 'failure') AND user_key IS NOT NULL
        GROUP BY user_key, date_bin(INTERVAL '5 minutes', occurred_at)
    ) s
    WINDOW past_hour AS (PARTITION BY user_key, series ORDER BY slot RANGE BETWEEN INTERVAL '55 minutes' PRECEDING AND CURRENT ROW)
),
sure AS (
    SELECT *,
        -- Lower bound of Wilson's interval for the share, z = 1.96.
        (refused / CAST(n AS DOUBLE) + 1.9208 / n
            - 1.96 * sqrt(refused / CAST(n AS DOUBLE) * (1 - refused / CAST(n AS DOUBLE)) / n + 0.9604 / (CAST(n AS DOUBLE) * n)))
            / (1 + 3.8416 / n) AS surely
    FROM hours
    WHERE n >= $min_events
),
days AS (
    SELECT user_key, day,
        sum(call_errors) / CAST(nullif(sum(calls), 0) AS DOUBLE) AS call_share,
        sum(failed_logins) / CAST(nullif(sum(logins) + sum(failed_logins), 0) AS DOUBLE) AS login_share
    FROM activity_hourly
    WHERE day >= CAST($window_start AS DATE) - INTERVAL '28 days' AND day < CAST($window_end AS DATE) + INTERVAL '1 day'
      AND user_key IS NOT NULL
    GROUP BY user_key, day
),
usual AS (
    SELECT d.user_key, d.day, median(h.call_share) AS call_share, median(h.login_share) AS login_share
    FROM days d
    JOIN days h ON h.user_key = d.user_key AND h.day < d.day AND h.day >= d.day - INTERVAL '28 days'
    WHERE d.day >= CAST($window_start AS DATE)
    GROUP BY d.user_key, d.day
    -- Of a few days it would be the burst's own yesterday.
    HAVING count(*) >= $learn_days
),
over AS (
    SELECT *, lag(slot) OVER (PARTITION BY user_key, series ORDER BY slot) AS slot_before
    FROM (
        SELECT s.*, coalesce(CASE s.series WHEN 'logins' THEN u.login_share ELSE u.call_share END, 0) AS usual_share
        FROM sure s
        LEFT JOIN usual u ON u.user_key = s.user_key AND u.day = CAST(s.slot AS DATE)
    ) j
    WHERE surely > greatest($min_share, $ratio * usual_share)
),
-- One row per burst and day; what began yesterday was told yesterday.
told AS (
    SELECT
        user_key, series, CAST(slot AS DATE) AS day, min(slot) AS began, max(slot) AS ended,
        max(surely) AS surely, max(usual_share) AS usual_share
    FROM over
    GROUP BY user_key, series, CAST(slot AS DATE)
    HAVING min(slot) >= $window_start AND min(slot) < $window_end
       AND (min(slot) FILTER (WHERE coalesce(slot - INTERVAL '65 minutes' > slot_before, true)) IS NOT NULL)
),
-- How many have enough events to be judged at all, and how many of them are told.
night AS (
    SELECT s.day, count(DISTINCT s.user_key) AS accounts, count(DISTINCT t.user_key) AS accounts_told
    FROM (SELECT DISTINCT user_key, CAST(slot AS DATE) AS day FROM sure) s
    LEFT JOIN told t ON t.user_key = s.user_key AND t.day = s.day
    GROUP BY s.day
),
-- What was refused, and on what: of the few who are told only.
events AS (
    SELECT
        user_key, coalesce(sf_id18(app_id), app_name_key(app), 'api') AS series,
        date_bin(INTERVAL '5 minutes', occurred_at) AS slot,
        CASE WHEN status_code >= 400 AND status_code < 500 THEN status_code END AS refusal,
        lower(coalesce(nullif(entity_name, ''), resource)) AS object, ip, role, role_source, occurred_at, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start - INTERVAL '3 hours' AND occurred_at < $window_end
      AND event_type = 'ApiTotalUsage' AND user_key IS NOT NULL
    UNION ALL
    SELECT
        user_key, 'logins' AS series, date_bin(INTERVAL '5 minutes', occurred_at) AS slot,
        CASE WHEN outcome = 'failure' THEN 0 END AS refusal, CAST(NULL AS VARCHAR) AS object, ip, role, role_source,
        occurred_at, file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '3 hours' AND occurred_at < $window_end
      AND outcome IN ('success', 'failure') AND user_key IS NOT NULL
),
by_object AS (
    SELECT
        t.user_key, t.series, t.day, t.surely, t.usual_share, e.slot, e.refusal, e.object, e.ip, e.role, e.role_source,
        count(*) AS events, min(e.occurred_at) AS first_at, max(e.occurred_at) AS last_at, min(e.file_id || ':' || e.line_no) AS proof
    FROM told t
    JOIN events e
      ON e.user_key = t.user_key AND e.series = t.series AND e.slot > t.began - INTERVAL '1 hour' AND e.slot <= t.ended
    GROUP BY t.user_key, t.series, t.day, t.surely, t.usual_share, e.slot, e.refusal, e.object, e.ip, e.role, e.role_source
),
found AS (
    SELECT
        e.user_key, e.series, e.day, max(e.surely) AS surely, max(e.usual_share) AS usual_share,
        max(e.role) AS role, max(e.role_source) AS role_source,
        min(e.first_at) FILTER (WHERE e.refusal IS NOT NULL) AS first_at,
        max(e.last_at) FILTER (WHERE e.refusal IS NOT NULL) AS last_at,
        sum(e.events) AS events, sum(e.events) FILTER (WHERE e.refusal IS NOT NULL) AS refused,
        coalesce(sum(e.events) FILTER (WHERE e.refusal = 401), 0) AS refused_401,
        coalesce(sum(e.events) FILTER (WHERE e.refusal = 403), 0) AS refused_403,
        coalesce(sum(e.events) FILTER (WHERE e.refusal IN (400, 404)), 0) AS refused_400_404,
        count(DISTINCT e.object) FILTER (WHERE e.refusal IN (400, 403, 404)) AS objects,
        array_slice(array_agg(DISTINCT printable(e.object) ORDER BY printable(e.object))
            FILTER (WHERE e.refusal IS NOT NULL AND e.object IS NOT NULL), 1, 20) AS object_names,
        array_slice(array_agg(DISTINCT e.ip ORDER BY e.ip) FILTER (WHERE e.refusal IS NOT NULL AND e.ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(e.proof ORDER BY e.first_at, e.proof) FILTER (WHERE e.refusal IS NOT NULL), 1, 20) AS proof
    FROM by_object e
    GROUP BY e.user_key, e.series, e.day
)
SELECT
    greatest(f.first_at, arrow_cast(f.day, 'Timestamp(Millisecond, Some("UTC"))')) AS occurred_at,
    f.user_key, sf_id18(f.user_key) AS user_id, coalesce(known_username(f.user_key), r.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower, and so does one of many.
    ['info', 'low', 'medium', 'high'][
        CASE WHEN f.objects >= $probing_objects AND f.refused_403 + f.refused_400_404 > 0.5 * f.refused THEN 4 ELSE 3 END
        - CASE WHEN f.role = 'integration' AND f.role_source = 'inferred' THEN 1 ELSE 0 END
        - CASE WHEN n.accounts_told >= $together AND 2 * n.accounts_told >= n.accounts THEN 1 ELSE 0 END
    ] AS severity,
    f.refused AS event_count,
    f.last_at,
    'Less than ' || CAST(round(100 * greatest($min_share, $ratio * f.usual_share)) AS BIGINT) || ' % refused (usual: '
        || CAST(round(100 * f.usual_share) AS BIGINT) || ' %)' AS expected,
    f.refused || ' of ' || f.events || CASE f.series WHEN 'logins' THEN ' logins' ELSE ' calls' END || ' refused'
        || CASE WHEN f.series = 'logins' THEN ''
                ELSE ' (401: ' || f.refused_401 || ', 403: ' || f.refused_403 || ', 400 and 404: ' || f.refused_400_404 || ')' END
        || CASE WHEN f.objects > 0 THEN ' on ' || f.objects || ' objects' ELSE '' END
        || coalesce(', from ' || array_to_string(array_slice(f.ips, 1, 5), ', '), '')
        || CASE WHEN n.accounts_told >= $together AND 2 * n.accounts_told >= n.accounts
                THEN '; so were ' || n.accounts_told || ' of ' || n.accounts || ' accounts in this night' ELSE '' END AS observed,
    f.role, f.role_source, r.system, r.owner,
    printable(f.series) AS series,
    CASE WHEN f.series = 'logins' THEN 'logins'
         WHEN f.refused_401 > 0.5 * f.refused THEN 'token refused'
         WHEN f.objects >= $probing_objects AND f.refused_403 + f.refused_400_404 > 0.5 * f.refused THEN 'probing'
         ELSE 'refusals' END AS pattern,
    f.surely AS share_at_least, f.usual_share, f.events, f.refused_401, f.refused_403, f.refused_400_404,
    f.object_names AS objects, f.ips, n.accounts_told AS accounts_refused, n.accounts,
    f.proof
FROM found f
JOIN night n ON n.day = f.day
LEFT JOIN registry_users r
  ON r.user_key = f.user_key AND f.first_at >= r.valid_from AND f.first_at < r.valid_to
ORDER BY occurred_at, user_key, series
