/*
id = "dormant-account-wakes"
title = "An account that was silent for long becomes active"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S4.10"]
attack = ["T1078.004"]
description = """
Accounts and tokens that nobody uses are missed by nobody when somebody else uses them; in the Klue thefts tokens \
woke that had been forgotten. A successful login or a call of an integration, internal system, CI or administrator \
account whose last one is 45 days with logs ago is told, if at least 90 % of the days between have logs: what our own \
archive lacks is not silence. An account that was never seen counts as dormant where a snapshot of the users says \
that it was made more than 45 days ago. For machines the same holds for each app: an app of an active account that \
was silent so long. The registry's cadence `annual` raises the limit to 400 days. Machines are high (medium where the \
role is only inferred), administrators medium; other people come back from leave. An app that the account never used \
is left to `first-seen-app` and `integration-wrong-connected-app`."""
false_positives = [
  "Yearly jobs: set cadence = \"annual\" for the account",
  "An administrator who is back from leave: one finding, on the first day",
]
response = [
  "Ask the owner who started the account again, and why; compare address and client with those of its last days",
  "Nobody did: deactivate it, revoke its tokens, go through what it read and changed since",
  "Wanted: review its permissions first; an account that was not missed for weeks needs few",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["sightings", "logins | api_calls", "covered_days", "users?"]
dedupe = ["user_key", "app_key"]
bucket = "day"

[params.idle_days]
type = "int"
default = 45
meaning = "days with logs and without the account (or the app) that are silence"

[params.idle_days_annual]
type = "int"
default = 400
meaning = "the same for accounts whose cadence is annual"

[params.min_coverage]
type = "float"
default = 0.9
meaning = "part of the silent days that must have logs"

[params.lookback]
type = "duration"
default = "800d"
meaning = "how far back the last activity is looked for"
*/
WITH
-- Of two years no more than who was active with what app on which day.
active AS (
    SELECT user_key, coalesce(app_key, '') AS app, day
    FROM sightings
    WHERE day >= CAST($window_start - $lookback AS DATE) AND day < CAST($window_end AS DATE)
      AND kind = 'source'
    GROUP BY user_key, coalesce(app_key, ''), day
),
gaps AS (
    SELECT
        user_key, app, day,
        max(day) OVER (
            PARTITION BY user_key ORDER BY day
            RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 day' PRECEDING
        ) AS user_day_before,
        lag(day) OVER (PARTITION BY user_key, app ORDER BY day) AS app_day_before
    FROM active
),
-- The days judged, one row each for account and app.
awake AS (
    SELECT *, row_number() OVER (PARTITION BY user_key, day ORDER BY first_at, app) AS turn
    FROM (
        SELECT
            user_key, coalesce(app_key, '') AS app, day,
            max(user_id) AS user_id, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
            max(system) AS system, max(owner) AS owner,
            min(first_at) AS first_at, max(last_at) AS last_at, sum(events) AS events
        FROM sightings
        WHERE day >= CAST($window_start AS DATE) AND day < CAST($window_end AS DATE)
          AND kind = 'source'
        GROUP BY user_key, coalesce(app_key, ''), day
    ) d
),
-- Days with logs, counted through.
covered AS (
    SELECT day, row_number() OVER (ORDER BY day) AS number, min(day) OVER () AS first_day
    FROM (
        SELECT DISTINCT day
        FROM covered_days
        WHERE day >= CAST($window_start - $lookback AS DATE) AND day < CAST($window_end AS DATE)
          AND event_type IN ('Login', 'LoginHistory', 'ApiTotalUsage', 'RestApi', 'API', 'ApexRestApi', 'ApexSoap',
                             'BulkApi', 'BulkApi2', 'BulkApiRequest', 'CompositeApi', 'MetadataApiOperation')
    ) d
),
-- The account as a whole, told with the app it woke by; or one app of an account that is awake.
woken AS (
    SELECT
        a.*, NOT coalesce(g.user_day_before > g.app_day_before, false) AS is_account,
        CASE WHEN g.user_day_before > g.app_day_before THEN g.app_day_before ELSE g.user_day_before END AS day_before
    FROM awake a
    JOIN gaps g ON g.user_key = a.user_key AND g.app = a.app AND g.day = a.day
    WHERE a.role IN ('integration', 'internal_system', 'ci', 'human_admin')
      AND (
        -- By another app the account was not silent, or this app is new to it.
        (g.user_day_before > g.app_day_before AND a.app <> '' AND a.role <> 'human_admin')
        OR (a.turn = 1 AND (g.app_day_before IS NULL OR g.user_day_before = g.app_day_before))
      )
),
judged AS (
    SELECT
        w.user_key, w.app, w.day, w.user_id, w.username, w.role, w.role_source, w.system, w.owner,
        w.first_at, w.last_at, w.events, w.day_before, w.is_account,
        CAST(u.created_at AS DATE) AS created_on,
        CASE WHEN r.cadence = 'annual' THEN $idle_days_annual ELSE $idle_days END AS idle_limit,
        r.cadence,
        -- Of an account that was never seen, the days since the logs begin, or since it was made.
        CAST(w.day AS INT) - CAST(coalesce(w.day_before, greatest(c.first_day, CAST(u.created_at AS DATE))) AS INT)
            - CASE WHEN w.day_before IS NULL THEN 0 ELSE 1 END AS silent_days,
        CAST(c.number AS BIGINT) - coalesce(CAST(b.number AS BIGINT), 0) - 1 AS covered_days
    FROM woken w
    JOIN covered c ON c.day = w.day
    LEFT JOIN covered b ON b.day = w.day_before
    LEFT JOIN registry_users r
      ON r.user_key = w.user_key AND w.first_at >= r.valid_from AND w.first_at < r.valid_to
    LEFT JOIN users u
      ON u.user_key = w.user_key AND CAST($now AS DATE) >= u.day AND CAST($now AS DATE) < u.next_day
    WHERE w.day_before IS NOT NULL OR u.created_at IS NOT NULL
),
told AS (
    SELECT *
    FROM judged
    WHERE least(covered_days, silent_days) >= idle_limit
      AND covered_days >= $min_coverage * silent_days
      AND first_at >= $window_start AND first_at < $window_end
),
raw_rows AS (
    SELECT user_key, occurred_at, app AS name, ip, file_id, line_no FROM logins
    WHERE occurred_at >= $window_start AND occurred_at < $window_end AND outcome = 'success'
    UNION ALL
    SELECT user_key, occurred_at, app AS name, ip, file_id, line_no FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
),
proved AS (
    SELECT
        t.user_key, t.app, t.day, t.user_id, t.username, t.role, t.role_source, t.system, t.owner, t.first_at, t.last_at,
        t.events, t.day_before, t.is_account, t.created_on, t.idle_limit, t.cadence, t.silent_days, t.covered_days,
        max(printable(r.name)) AS name, min(r.ip) AS ip,
        array_slice(array_agg(DISTINCT r.file_id || ':' || r.line_no ORDER BY r.file_id || ':' || r.line_no), 1, 20) AS proof
    FROM told t
    LEFT JOIN raw_rows r ON r.user_key = t.user_key AND r.occurred_at = t.first_at
    GROUP BY t.user_key, t.app, t.day, t.user_id, t.username, t.role, t.role_source, t.system, t.owner, t.first_at, t.last_at,
        t.events, t.day_before, t.is_account, t.created_on, t.idle_limit, t.cadence, t.silent_days, t.covered_days
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE
        WHEN role = 'human_admin' OR role_source = 'inferred' THEN 'medium'
        ELSE 'high'
    END AS severity,
    events AS event_count,
    last_at,
    CASE WHEN is_account THEN 'An account' ELSE 'An app of an account' END
        || ' that was silent for ' || idle_limit || ' days stays so, or its owner announces its return' AS expected,
    CASE WHEN is_account THEN 'The account is active' ELSE 'The app "' || coalesce(name, printable(app)) || '" is active' END
        || coalesce(' from ' || ip, '') || ' after ' || silent_days || ' days of silence'
        || CASE WHEN day_before IS NULL THEN ' since it was made or the logs begin'
                ELSE '; last seen ' || to_char(day_before, '%Y-%m-%d') END
        || '; ' || covered_days || ' of these days have logs' AS observed,
    role, role_source, system, owner,
    nullif(printable(app), '') AS app_key, coalesce(name, nullif(printable(app), '')) AS app,
    CASE WHEN is_account THEN 'account' ELSE 'app' END AS what_woke,
    silent_days AS idle_days, covered_days, day_before AS last_seen_before, created_on, cadence, ip,
    proof
FROM proved
ORDER BY occurred_at, user_key, app_key
