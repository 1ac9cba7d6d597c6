/*
id = "unattributable-traffic"
title = "Traffic we cannot tie to user, app, login or address"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S0.1"]
attack = ["T1562"]
description = """
Whoever acts without user, address, app or login key is judged by no rule that asks for one. Per log, day and \
what is missing, the share of such rows is taken: of each machine with at least 100 rows and a fifth of them \
unattributed (low while that is its habit, which is told once in four weeks; medium when it rises), and of the whole \
log when the share rises against the median of the last four weeks (three times its spread, and five points) or the \
log is new. A log whose share is higher because those who always lack something were a larger part of the day, as on \
a weekend without people, does not rise. An app \
counts as known when the row names it or the login behind its key does: External Client Apps leave it out. \
Logins are asked for their app only on days for which LoginHistory is there, else that is `missing-log-file`. \
Addresses inside Salesforce say nothing about the caller; they count, unless the registry allows them for the \
user. Columns that a log does not have by its nature (the login key of ApiTotalUsage) and guests without login are not asked for."""
false_positives = [
  "External Client Apps and MCP clients whose login lies before the look-back: fetch LoginHistory",
  "A new integration that works from inside Salesforce: set allow_salesforce_ip",
]
response = [
  "Look at the rows by `proof`: which calls, which client, since when?",
  "Address missing all at once: ask Salesforce, and judge the user by its other logs meanwhile",
  "App missing: find the login of the same user; an unknown one is a stolen session until shown otherwise",
]
references = ["https://attack.mitre.org/techniques/T1562/"]
inputs = ["api_calls | logins"]
dedupe = ["log", "missing", "user_key"]
bucket = "day"

[params.min_rows]
type = "int"
default = 100
meaning = "rows of a user, or of a log, on a day below which no share matters"

[params.user_share]
type = "float"
default = 0.2
meaning = "share of a machine's rows from which it is reported"

[params.min_rise]
type = "float"
default = 0.05
meaning = "how far above its usual value a share must lie to be a rise"

[params.min_history_days]
type = "int"
default = 7
meaning = "earlier days with rows before anything is usual"

[params.report_every_days]
type = "int"
default = 28
meaning = "days of a period in which a habit is told once"

[params.login_lookback]
type = "duration"
default = "14d"
meaning = "how far back the login behind a login key is looked for"
*/
WITH
-- Login keys whose login tells an app, or by its door needs none.
explained_keys AS (
    SELECT login_key
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '28 days' - CAST($login_lookback AS INTERVAL)
      AND occurred_at < $window_end
      AND login_key IS NOT NULL AND outcome = 'success'
      AND ((coalesce(upper(trim(app)), '') NOT IN ('', 'N/A') AND coalesce(merge_quality, '') <> 'ambiguous')
           OR is_connected_app IS NOT TRUE)
    GROUP BY login_key
),
login_history_days AS (
    SELECT DISTINCT CAST(day AS DATE) AS day FROM parts WHERE event_type = 'LoginHistory'
),
-- One row per log, day and user, with how many of its rows lack what; NULL where nobody asks for it.
daily AS (
    SELECT
        c.event_type AS log, c.day, c.user_key,
        max(c.username) AS username, max(c.role) AS role, max(c.role_source) AS role_source,
        max(c.system) AS system, max(c.owner) AS owner,
        count(*) AS rows,
        count(*) FILTER (WHERE c.user_key IS NULL) AS no_user,
        count(*) FILTER (WHERE coalesce(c.ip_kind, 'missing') IN ('missing', 'unparsed')) AS no_address,
        count(*) FILTER (WHERE c.ip_kind = 'salesforce') AS salesforce_address,
        -- Salesforce's own pages need no app.
        count(*) FILTER (WHERE coalesce(upper(trim(c.app_id)), '') IN ('', 'N/A')
            AND coalesce(upper(trim(c.app)), '') IN ('', 'N/A')
            AND coalesce(upper(c.client_category), '') <> 'LIGHTNING_UI'
            AND k.login_key IS NULL) AS no_app,
        CASE WHEN c.event_type = 'ApiTotalUsage' THEN 0 ELSE count(*) FILTER (WHERE c.login_key IS NULL) END
            AS no_login_key,
        min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at,
        -- One row for each is enough to begin with.
        max(c.file_id || ':' || c.line_no) FILTER (WHERE c.ip_kind NOT IN ('public', 'private')) AS address_row,
        max(c.file_id || ':' || c.line_no) FILTER (WHERE c.login_key IS NULL) AS key_row,
        max(c.file_id || ':' || c.line_no) FILTER (WHERE coalesce(upper(trim(c.app_id)), '') IN ('', 'N/A')
            AND coalesce(upper(trim(c.app)), '') IN ('', 'N/A') AND k.login_key IS NULL) AS app_row
    FROM api_calls c
    LEFT JOIN explained_keys k ON k.login_key = c.login_key
    WHERE c.occurred_at >= $window_start - INTERVAL '28 days' AND c.occurred_at < $window_end
    GROUP BY c.event_type, c.day, c.user_key
    UNION ALL
    SELECT
        'logins' AS log, l.day, l.user_key,
        max(l.username) AS username, max(l.role) AS role, max(l.role_source) AS role_source,
        max(l.system) AS system, max(l.owner) AS owner,
        count(*) AS rows,
        count(*) FILTER (WHERE l.user_key IS NULL) AS no_user,
        count(*) FILTER (WHERE coalesce(l.ip_kind, 'missing') IN ('missing', 'unparsed')) AS no_address,
        count(*) FILTER (WHERE l.ip_kind = 'salesforce') AS salesforce_address,
        count(*) FILTER (WHERE l.is_connected_app AND h.day IS NOT NULL
            AND coalesce(upper(trim(l.app)), '') IN ('', 'N/A')) AS no_app,
        0 AS no_login_key,
        min(l.occurred_at) AS first_at, max(l.occurred_at) AS last_at,
        max(l.file_id || ':' || l.line_no) FILTER (WHERE l.ip_kind NOT IN ('public', 'private')) AS address_row,
        max(l.file_id || ':' || l.line_no) FILTER (WHERE l.user_key IS NULL) AS key_row,
        max(l.file_id || ':' || l.line_no) FILTER (WHERE l.is_connected_app
            AND coalesce(upper(trim(l.app)), '') IN ('', 'N/A')) AS app_row
    FROM logins l
    LEFT JOIN login_history_days h ON h.day = l.day
    WHERE l.occurred_at >= $window_start - INTERVAL '28 days' AND l.occurred_at < $window_end
    GROUP BY l.day, l.user_key
),
-- What each of them lacks.
lacks AS (
    SELECT
        d.log, d.day, d.user_key, d.username, d.role, d.role_source, d.system, d.owner, d.rows, d.first_at, d.last_at,
        m.missing,
        CASE
            WHEN m.missing = 'address'
            THEN d.no_address + CASE WHEN a.user_key IS NULL THEN d.salesforce_address ELSE 0 END
            WHEN m.missing = 'user' THEN d.no_user
            -- A guest never logs in, and has neither app nor key.
            WHEN d.role = 'guest' THEN 0
            WHEN m.missing = 'app' THEN d.no_app
            ELSE d.no_login_key
        END AS lacking,
        CASE m.missing WHEN 'address' THEN d.address_row WHEN 'app' THEN d.app_row ELSE d.key_row END AS sample_row
    FROM daily d
    CROSS JOIN (
        SELECT 'user' AS missing UNION ALL SELECT 'address' AS missing
        UNION ALL SELECT 'app' AS missing UNION ALL SELECT 'login key' AS missing
    ) m
    LEFT JOIN (SELECT DISTINCT user_key FROM registry_users WHERE allow_salesforce_ip) a ON a.user_key = d.user_key
),
-- Machines one by one, and each log as a whole (without user), with the share that was usual for each of its users.
subjects AS (
    SELECT
        *,
        CAST(sum(lacking) OVER before AS DOUBLE) / sum(rows) OVER before AS usual_of_user
    FROM lacks
    WINDOW before AS (
        PARTITION BY log, missing, user_key ORDER BY day
        RANGE BETWEEN INTERVAL '28 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    )
),
shares AS (
    SELECT
        log, day, missing, user_key, 'user' AS scope, username, role, role_source, system, owner,
        rows, lacking, first_at, last_at, sample_row, 1 AS users,
        CAST(NULL AS DOUBLE) AS expected_of_known, CAST(NULL AS BIGINT) AS rows_of_known
    FROM subjects
    WHERE role IN ('integration', 'internal_system') AND user_key IS NOT NULL AND missing <> 'user'
    UNION ALL
    SELECT
        log, day, missing, CAST(NULL AS VARCHAR) AS user_key, 'log' AS scope, CAST(NULL AS VARCHAR) AS username,
        CAST(NULL AS VARCHAR) AS role, CAST(NULL AS VARCHAR) AS role_source, CAST(NULL AS VARCHAR) AS system,
        CAST(NULL AS VARCHAR) AS owner,
        sum(rows) AS rows, sum(lacking) AS lacking, min(first_at) AS first_at, max(last_at) AS last_at,
        max(sample_row) AS sample_row, count(DISTINCT user_key) FILTER (WHERE lacking > 0) AS users,
        sum(rows * usual_of_user) AS expected_of_known,
        coalesce(sum(rows) FILTER (WHERE usual_of_user IS NOT NULL), 0) AS rows_of_known
    FROM subjects
    GROUP BY log, day, missing
),
-- What is usual: median and spread of the shares of the four weeks before the day.
usual AS (
    SELECT
        t.log, t.day, t.missing, t.scope, t.user_key,
        max(t.rows) AS rows, max(t.lacking) AS lacking, max(t.username) AS username, max(t.role) AS role,
        max(t.role_source) AS role_source, max(t.system) AS system, max(t.owner) AS owner,
        max(t.first_at) AS first_at, max(t.last_at) AS last_at, max(t.sample_row) AS sample_row, max(t.users) AS users,
        max(t.expected_of_known) AS expected_of_known, max(t.rows_of_known) AS rows_of_known,
        count(p.day) AS history_days,
        -- In the same period, on a day that had enough rows to tell it.
        count(p.day) FILTER (
            WHERE p.rows >= $min_rows AND CAST(p.lacking AS DOUBLE) / p.rows >= $user_share
              AND CAST(p.day AS INT) / $report_every_days = CAST(t.day AS INT) / $report_every_days) AS told_days,
        median(CAST(p.lacking AS DOUBLE) / p.rows) AS usual_share,
        -- Half of the distance between the quartiles; as large as the mean absolute deviation where values are even.
        (percentile_cont(0.75) WITHIN GROUP (ORDER BY CAST(p.lacking AS DOUBLE) / p.rows)
            - percentile_cont(0.25) WITHIN GROUP (ORDER BY CAST(p.lacking AS DOUBLE) / p.rows)) / 2 AS spread
    FROM shares t
    LEFT JOIN shares p
      ON p.log = t.log AND p.missing = t.missing AND p.scope = t.scope
     AND (p.user_key IS NOT DISTINCT FROM t.user_key)
     AND p.day < t.day AND p.day >= t.day - INTERVAL '28 days'
    WHERE t.first_at >= $window_start AND t.rows >= $min_rows AND t.lacking > 0
    GROUP BY t.log, t.day, t.missing, t.scope, t.user_key
),
org_days AS (
    SELECT count(DISTINCT day) AS days FROM parts WHERE event_type NOT LIKE 'rollup%'
),
judged AS (
    SELECT
        u.*,
        CAST(u.lacking AS DOUBLE) / u.rows AS share,
        u.history_days >= $min_history_days
            AND CAST(u.lacking AS DOUBLE) / u.rows
                >= greatest(u.usual_share, u.usual_of_mix) + greatest($min_rise, 3 * 1.4826 * coalesce(u.spread, 0)) AS rising,
        -- The log came for the first time, in an org that has a history.
        u.scope = 'log' AND u.history_days = 0 AND o.days > 2 * $min_history_days
            AND CAST(u.lacking AS DOUBLE) / u.rows >= $user_share AS new_log
    FROM (
        -- What the log would lack if each of its users lacked what is usual for it.
        SELECT *, (coalesce(expected_of_known, 0) + usual_share * (rows - coalesce(rows_of_known, 0))) / rows AS usual_of_mix
        FROM usual
    ) u
    CROSS JOIN org_days o
),
kept AS (
    SELECT
        *,
        -- The user that is reported explains its log.
        max(CASE WHEN scope = 'user' AND share >= $user_share AND rising THEN lacking ELSE 0 END)
            OVER (PARTITION BY log, day, missing) AS explained_rows
    FROM judged
    WHERE (scope = 'user' AND share >= $user_share) OR (scope = 'log' AND (rising OR new_log))
)
SELECT
    first_at AS occurred_at,
    user_key, CASE WHEN user_key LIKE '005%' THEN user_key END AS user_id, username,
    CASE
        WHEN NOT rising AND NOT new_log THEN 'low'
        -- An account that is only inferred to be an integration counts one level lower.
        WHEN role = 'integration' AND role_source = 'inferred' THEN 'low'
        ELSE 'medium'
    END AS severity,
    lacking AS event_count,
    last_at,
    CASE WHEN history_days >= $min_history_days
         THEN 'About ' || CAST(round(100 * usual_share) AS BIGINT) || ' % of the ' || log || ' rows lack the ' || missing
              || ', as in the weeks before'
         ELSE 'The ' || log || ' rows tell the ' || missing END AS expected,
    lacking || ' of ' || rows || ' rows (' || CAST(round(100 * share) AS BIGINT) || ' %) of ' || log
        || ' lack the ' || missing
        || CASE WHEN rising THEN ', and that is new' WHEN new_log THEN '; the log came for the first time'
                ELSE ', as usual or without a history' END AS observed,
    role, role_source, system, owner,
    log, missing, scope, rows, lacking, round(share, 4) AS share, round(usual_share, 4) AS usual_share, history_days,
    coalesce(rising, false) AS rising, users,
    [sample_row] AS proof
FROM kept
WHERE NOT (scope = 'log' AND explained_rows * 2 >= lacking)
  AND NOT (scope = 'user' AND NOT rising AND told_days > 0)
ORDER BY occurred_at, log, missing, user_key
