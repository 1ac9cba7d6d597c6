/*
id = "login-logging-limited"
title = "Login records are being cut or throttled"
family = "coverage"
severity = "high"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1499.003", "T1562.008"]
description = """
Salesforce refuses further logins of a user above a rate, and the EventLogFile may then hold fewer logins than \
happened. Two signs: refusals because of the rate (ten or more within one hour of event time), and a LoginHistory \
with far more logins than the EventLogFile has for the same user. Whatever is counted from logins of that user \
and day is a lower bound, and an attack can hide in the flood. Only hours for which both logs hold rows of \
anybody are compared, so that a missing or late file is not taken for throttling: that is `missing-log-file`. \
The catalogue's ratio has no such guard and fired on every file that was late."""
false_positives = [
  "A client that logs in for every call because it does not keep its token: a fault of its design, and still blinding",
]
response = [
  "Ask the owner why the client logs in so often; let it keep its token until that expires",
  "Unknown to the owner: somebody floods the user's logins. Look at the addresses, and freeze the user if need be",
  "Read every count of logins of this user and day as `at least`; look at API calls instead",
]
references = [
  "https://attack.mitre.org/techniques/T1499/003/",
  "https://attack.mitre.org/techniques/T1562/008/",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key"]
bucket = "day"

[params.refusals_per_hour]
type = "int"
default = 10
meaning = "refusals because of the login rate within one hour from which it is reported"

[params.ratio]
type = "float"
default = 1.5
meaning = "rows of LoginHistory for one row of the EventLogFile above which the EventLogFile counts as cut"

[params.min_rows]
type = "int"
default = 100
meaning = "rows of LoginHistory of a user and day below which the ratio does not matter"
*/
WITH
tries AS (
    SELECT
        occurred_at, day, date_trunc('hour', occurred_at) AS hour,
        user_key, user_id, username, role, role_source, system, owner, ip, app, login_path,
        source IN ('elf', 'both') AS in_elf,
        source IN ('login_history', 'both') AS in_login_history,
        -- The code in EventLogFile, the sentence in LoginHistory.
        coalesce(
            upper(trim(status)) IN ('LOGIN_ERROR_RATE_EXCEEDED', 'LOGIN_RATE_EXCEEDED', 'LOGIN_ERROR_LOGINS_EXCEEDED')
            OR regexp_like(status, '(login rate|maximum logins) exceeded', 'i'), false) AS refused,
        file_id, line_no
    FROM logins
    -- An hour more, because a flood does not stop at midnight.
    WHERE occurred_at >= $window_start - INTERVAL '1 hour' AND occurred_at < $window_end
),
refusals AS (
    SELECT
        user_key, day, occurred_at,
        count(*) OVER (
            PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS last_hour
    FROM tries
    WHERE refused
),
flooded AS (
    SELECT user_key, day, max(last_hour) AS worst_hour
    FROM refusals
    WHERE occurred_at >= $window_start
    GROUP BY user_key, day
    HAVING max(last_hour) >= $refusals_per_hour
),
-- Hours that both logs have seen: elsewhere a file is missing and not a row.
both_logs AS (
    SELECT hour FROM tries GROUP BY hour HAVING bool_or(in_elf) AND bool_or(in_login_history)
),
cut AS (
    SELECT
        t.user_key, t.day,
        count(*) FILTER (WHERE t.in_login_history) AS login_history_rows,
        count(*) FILTER (WHERE t.in_elf) AS elf_rows
    FROM tries t
    JOIN both_logs b ON b.hour = t.hour
    WHERE t.occurred_at >= $window_start
    GROUP BY t.user_key, t.day
    HAVING count(*) FILTER (WHERE t.in_login_history) >= $min_rows
       AND count(*) FILTER (WHERE t.in_login_history) > $ratio * count(*) FILTER (WHERE t.in_elf)
),
limited AS (
    SELECT
        coalesce(f.user_key, c.user_key) AS user_key, coalesce(f.day, c.day) AS day,
        f.worst_hour, c.login_history_rows, c.elf_rows
    FROM flooded f
    -- A try that names nobody has no user key, and counts as well.
    FULL JOIN cut c ON (c.user_key IS NOT DISTINCT FROM f.user_key) AND c.day = f.day
),
by_day AS (
    SELECT
        l.user_key, l.day, l.worst_hour, l.login_history_rows, l.elf_rows,
        max(t.user_id) AS user_id, max(t.username) AS username,
        max(t.role) AS role, max(t.role_source) AS role_source, max(t.system) AS system, max(t.owner) AS owner,
        min(t.occurred_at) AS first_at, max(t.occurred_at) AS last_at,
        count(*) AS logins, count(*) FILTER (WHERE t.refused) AS refusals,
        array_slice(array_agg(DISTINCT printable(t.app) ORDER BY printable(t.app))
            FILTER (WHERE t.app IS NOT NULL), 1, 10) AS apps,
        array_agg(DISTINCT t.login_path ORDER BY t.login_path) FILTER (WHERE t.login_path IS NOT NULL) AS login_paths,
        array_slice(array_agg(DISTINCT t.ip ORDER BY t.ip) FILTER (WHERE t.ip IS NOT NULL), 1, 20) AS ips,
        count(DISTINCT t.ip) AS distinct_ips,
        array_slice(array_agg(t.file_id || ':' || t.line_no ORDER BY t.refused DESC, t.occurred_at, t.file_id, t.line_no),
            1, 20) AS proof
    FROM limited l
    JOIN tries t ON (t.user_key IS NOT DISTINCT FROM l.user_key) AND t.day = l.day
    WHERE t.occurred_at >= $window_start
    GROUP BY l.user_key, l.day, l.worst_hour, l.login_history_rows, l.elf_rows
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    'high' AS severity,
    logins AS event_count,
    last_at,
    'Every login is recorded, and no login is refused because there are too many' AS expected,
    logins || CASE WHEN logins = 1 THEN ' login row' ELSE ' login rows' END
        || CASE
               WHEN refusals > 0 THEN ', ' || refusals || ' refused because of the login rate'
                    || coalesce(' (' || worst_hour || ' within one hour)', '')
               ELSE ''
           END
        || coalesce('; LoginHistory has ' || login_history_rows || ', the EventLogFile ' || elf_rows
                    || ' of the same hours', '')
        || '. Counts of logins of this user and day are lower bounds' AS observed,
    role, role_source, system, owner,
    CASE
        WHEN login_history_rows IS NULL THEN ['rate_exceeded']
        WHEN worst_hour IS NULL THEN ['rows_cut']
        ELSE ['rate_exceeded', 'rows_cut']
    END AS reasons,
    refusals, worst_hour, login_history_rows, elf_rows,
    -- NULL where the EventLogFile has none at all.
    round(CAST(login_history_rows AS DOUBLE) / nullif(elf_rows, 0), 2) AS ratio,
    apps, login_paths, ips, distinct_ips,
    proof
FROM by_day
ORDER BY occurred_at, user_key
