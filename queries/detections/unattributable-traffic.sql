/*
id = "unattributable-traffic"
title = "Traffic we cannot tie to user, app, login or address"
family = "coverage"
severity = "medium"
status = "active"
version = 2
control = ["S0.1"]
attack = ["T1562"]
description = """
Whoever acts without user, address, app or login key is judged by no rule that asks for one. Per log, day and what \
is missing, the share of such rows is taken: of each machine with at least 100 rows and a fifth of them unattributed \
(low while that is its habit, which is told once in four weeks; medium when it rises), and of the whole log when the \
share rises against the median of the last four weeks (three times its spread, three times what chance makes of as \
many rows, and five points) or the log is new. A log whose share is higher because those who always lack something \
were a larger part of the day, as on a weekend without people, does not rise. A thief who makes few calls drowns in \
such shares. So more is told at medium, however small the share: the first row without address or app of a machine, or \
of the people in a log, where 300 rows on 14 days or more of the last four weeks had it and none lacked it; and later \
days, while those with any are a fifth at most, for a thief's first night must not make his next ones usual: with ten or \
more such rows that are five points above the usual share and three times those of the day before; of a machine in the two weeks \
since the first such day, after a day that lacked none or while most of its rows have it; of people who call the API, where somebody \
lacks it who lacked none before, while days with any are half at most, and there are two of them or ten rows; and ten or more users of a log who lack it on one day, more than three times as many as on any day of the \
last four weeks. The people of a log are not told beside the log itself, nor a log beside those who explain half of \
what it lacks. An app counts as known when the row names it or the login behind its key does: External Client Apps \
leave it out. Logins are asked for their app only on days for which LoginHistory is there, else that is \
`missing-log-file`, and a row of LoginHistory that could not be paired stands for one login of the same user that \
day. Addresses inside Salesforce say nothing about the caller; they count, unless the registry allows them for the \
user. Columns that a log does not have by its nature (the login key of ApiTotalUsage) and guests without login are \
not asked for."""
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

[params.rows_before]
type = "int"
default = 300
meaning = "earlier rows of a machine, or of the people in a log, that all had it before a first row without is told"

[params.rare_share]
type = "float"
default = 0.2
meaning = "part of the earlier days that may have lacked it while a day that lacks it is still told"

[params.rows_again]
type = "int"
default = 10
meaning = "rows without it from which such a later day is told"

[params.again_period]
type = "duration"
default = "14d"
meaning = "how long after a machine's first row without it each return is told, however few the rows"

[params.first_share]
type = "float"
default = 0.5
meaning = "part of the earlier days that may have lacked it while people who never lacked it are still told"

[params.first_users]
type = "int"
default = 2
meaning = "people who lack it for the first time in four weeks from which such a later day is told, however few the rows"

[params.many_users]
type = "int"
default = 10
meaning = "users of a log who lack it on a day from which their number matters"

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
        count(*) FILTER (WHERE coalesce(upper(c.client_category), '') <> 'LIGHTNING_UI') AS asked_for_app,
        CASE WHEN c.event_type = 'ApiTotalUsage' THEN 0 ELSE count(*) FILTER (WHERE c.login_key IS NULL) END
            AS no_login_key,
        min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at,
        -- One row for each is enough to begin with.
        max(c.file_id || ':' || c.line_no) FILTER (WHERE c.ip_kind NOT IN ('public', 'private')) AS address_row,
        max(c.file_id || ':' || c.line_no) FILTER (WHERE c.login_key IS NULL) AS key_row,
        max(c.file_id || ':' || c.line_no) FILTER (WHERE coalesce(upper(trim(c.app_id)), '') IN ('', 'N/A')
            AND coalesce(upper(trim(c.app)), '') IN ('', 'N/A')
            AND coalesce(upper(c.client_category), '') <> 'LIGHTNING_UI' AND k.login_key IS NULL) AS app_row
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
        -- Where the two accounts of a login could not be told to be one, LoginHistory's still names the app.
        count(*) FILTER (WHERE l.is_connected_app AND h.day IS NOT NULL AND coalesce(l.merge_quality, '') <> 'elf_only'
            AND coalesce(upper(trim(l.app)), '') IN ('', 'N/A'))
        + greatest(0,
            count(*) FILTER (WHERE l.is_connected_app AND h.day IS NOT NULL AND l.merge_quality = 'elf_only'
                AND coalesce(upper(trim(l.app)), '') IN ('', 'N/A'))
            - count(*) FILTER (WHERE l.is_connected_app AND l.merge_quality = 'lh_only'
                AND coalesce(upper(trim(l.app)), '') NOT IN ('', 'N/A'))) AS no_app,
        count(*) FILTER (WHERE l.is_connected_app AND h.day IS NOT NULL) AS asked_for_app,
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
        CASE WHEN m.missing = 'app' THEN d.asked_for_app ELSE d.rows END AS asked,
        CASE m.missing WHEN 'address' THEN d.address_row WHEN 'app' THEN d.app_row ELSE d.key_row END AS sample_row
    FROM daily d
    CROSS JOIN (
        SELECT 'user' AS missing UNION ALL SELECT 'address' AS missing
        UNION ALL SELECT 'app' AS missing UNION ALL SELECT 'login key' AS missing
    ) m
    LEFT JOIN (SELECT DISTINCT user_key FROM registry_users WHERE allow_salesforce_ip) a ON a.user_key = d.user_key
),
-- With the share that was usual for each of them.
subjects AS (
    SELECT
        *,
        CAST(sum(lacking) OVER before AS DOUBLE) / sum(rows) OVER before AS usual_of_user,
        lacking > 0 AND coalesce(sum(lacking) OVER before, 0) = 0 AS is_first
    FROM lacks
    WINDOW before AS (
        PARTITION BY log, missing, user_key ORDER BY day
        RANGE BETWEEN INTERVAL '28 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    )
),
-- Machines one by one; the people of a log, of whom few call the API, and a thief of their tokens is among them; and
-- each log as a whole.
scoped AS (
    SELECT s.*, c.scope, CASE WHEN c.scope = 'user' THEN s.user_key END AS machine
    FROM subjects s
    CROSS JOIN (
        SELECT 'user' AS scope UNION ALL SELECT 'people' AS scope UNION ALL SELECT 'log' AS scope
    ) c
    WHERE c.scope = 'log'
       OR (c.scope = 'user' AND s.role IN ('integration', 'internal_system')
           AND s.user_key IS NOT NULL AND s.missing <> 'user')
       OR (c.scope = 'people' AND coalesce(s.role, 'human') NOT IN ('integration', 'internal_system', 'guest')
           AND s.user_key IS NOT NULL AND s.missing IN ('address', 'app'))
),
-- Who lacks it is told where it is one user alone.
shares AS (
    SELECT
        log, day, missing, scope, machine,
        CASE WHEN scope <> 'log' THEN max(CASE WHEN lacking > 0 THEN user_key END) END AS user_key,
        CASE WHEN scope <> 'log' THEN max(CASE WHEN lacking > 0 THEN username END) END AS username,
        CASE WHEN scope <> 'log' THEN max(CASE WHEN lacking > 0 THEN role END) END AS role,
        CASE WHEN scope <> 'log' THEN max(CASE WHEN lacking > 0 THEN role_source END) END AS role_source,
        CASE WHEN scope = 'user' THEN max(system) END AS system,
        CASE WHEN scope = 'user' THEN max(owner) END AS owner,
        sum(rows) AS rows, sum(lacking) AS lacking, sum(asked) AS asked,
        min(CASE WHEN scope <> 'people' OR lacking > 0 THEN first_at END) AS first_at,
        max(CASE WHEN scope <> 'people' OR lacking > 0 THEN last_at END) AS last_at,
        max(CASE WHEN lacking > 0 THEN sample_row END) AS sample_row,
        count(user_key) FILTER (WHERE lacking > 0) AS users,
        count(user_key) FILTER (WHERE is_first) AS first_users,
        sum(rows * usual_of_user) AS expected_of_known,
        coalesce(sum(rows) FILTER (WHERE usual_of_user IS NOT NULL), 0) AS rows_of_known,
        CAST(sum(lacking) AS DOUBLE) / sum(rows) AS share
    FROM scoped
    GROUP BY log, day, missing, scope, machine
),
-- What is usual: median and spread of the shares of the four weeks before the day.
usual AS (
    SELECT
        *,
        count(*) OVER before AS history_days,
        sum(asked) OVER before AS rows_before,
        max(users) OVER before AS most_users,
        coalesce(sum(CASE WHEN lacking > 0 THEN 1 ELSE 0 END) OVER before, 0) AS lacking_days,
        min(CASE WHEN lacking > 0 THEN day END) OVER before AS first_lacking,
        lag(lacking) OVER (PARTITION BY log, missing, scope, machine ORDER BY day) AS lacked_last,
        -- In the same period, on a day that had enough rows to tell it.
        coalesce(sum(CASE WHEN rows >= $min_rows AND share >= $user_share THEN 1 ELSE 0 END) OVER (
            PARTITION BY log, missing, scope, machine, CAST(day AS INT) / $report_every_days ORDER BY day
            RANGE BETWEEN INTERVAL '28 days' PRECEDING AND INTERVAL '1 day' PRECEDING), 0) AS told_days,
        median(share) OVER before AS usual_share,
        -- Half of the distance between the quartiles; as large as the mean absolute deviation where values are even.
        (percentile_cont(share, 0.75) OVER before - percentile_cont(share, 0.25) OVER before) / 2 AS spread
    FROM shares
    WINDOW before AS (
        PARTITION BY log, missing, scope, machine ORDER BY day
        RANGE BETWEEN INTERVAL '28 days' PRECEDING AND INTERVAL '1 day' PRECEDING
    )
),
org_days AS (
    SELECT count(DISTINCT day) AS days FROM parts WHERE event_type NOT LIKE 'rollup%'
),
judged AS (
    SELECT
        u.*,
        u.rows >= $min_rows AND u.history_days >= $min_history_days
            AND u.share >= u.expected_share + greatest(
                $min_rise, 3 * 1.4826 * coalesce(u.spread, 0),
                3 * sqrt(greatest(u.expected_share * (1 - u.expected_share), 0) / u.rows)) AS rising,
        -- The log came for the first time, in an org that has a history.
        u.rows >= $min_rows AND u.scope = 'log' AND u.history_days = 0 AND o.days > 2 * $min_history_days
            AND u.share >= $user_share AS new_log,
        -- It was always there, and now it is not: one row is enough.
        u.scope IN ('user', 'people') AND u.missing IN ('address', 'app')
            AND u.history_days >= 2 * $min_history_days AND u.rows_before >= $rows_before
            AND (u.lacking_days = 0
                 -- Nor does it come to be usual by the few days that lacked it since; but what stays is told once.
                 OR u.lacking_days <= $rare_share * u.history_days
                    AND (u.lacking > 3 * u.lacked_last AND u.lacking >= $rows_again AND u.share >= u.expected_share + $min_rise
                         -- Beside a machine's own rows, that have it, those of a thief.
                         OR u.scope = 'user' AND (u.lacked_last = 0 OR u.share < $user_share)
                            AND u.first_lacking >= u.day - CAST($again_period AS INTERVAL))
                 -- Other people than on the days before.
                 OR u.scope = 'people' AND u.log <> 'logins' AND u.first_users > 0
                    AND u.lacking_days <= $first_share * u.history_days
                    AND (u.lacking >= $rows_again OR u.first_users >= $first_users)) AS is_rare,
        u.scope = 'log' AND u.missing IN ('address', 'app') AND u.history_days >= 2 * $min_history_days
            AND u.users >= $many_users AND u.users > 3 * u.most_users AS more_users
    FROM (
        -- Of a log no less than it would lack if each of its users lacked what is usual for it.
        SELECT
            *,
            CASE
                WHEN scope = 'log'
                THEN greatest(usual_share, (coalesce(expected_of_known, 0) + usual_share * (rows - rows_of_known)) / rows)
                ELSE usual_share
            END AS expected_share
        FROM usual
        WHERE first_at >= $window_start AND lacking > 0
    ) u
    CROSS JOIN org_days o
),
kept AS (
    SELECT
        *,
        -- The user that is reported explains its log.
        max(CASE WHEN scope = 'user' AND ((share >= $user_share AND rising) OR is_rare)
                   OR scope = 'people' AND users = 1 AND is_rare THEN lacking ELSE 0 END)
            OVER (PARTITION BY log, day, missing) AS explained_rows
    FROM judged
    WHERE (scope = 'user' AND ((rows >= $min_rows AND share >= $user_share) OR is_rare))
       OR (scope = 'log' AND (rising OR new_log OR more_users))
       OR (scope = 'people' AND is_rare)
),
told AS (
    SELECT
        *,
        rising OR new_log OR is_rare OR more_users AS is_new,
        -- Where the whole log is told, its people are not told besides.
        bool_or(scope = 'log') OVER (PARTITION BY log, day, missing) AS log_is_told
    FROM kept
    WHERE NOT (scope = 'log' AND explained_rows * 2 >= lacking)
)
SELECT
    first_at AS occurred_at,
    CASE WHEN users = 1 THEN user_key END AS user_key,
    CASE WHEN users = 1 AND user_key LIKE '005%' THEN user_key END AS user_id,
    CASE WHEN users = 1 THEN username END AS username,
    CASE
        WHEN NOT is_new THEN 'low'
        -- An account that is only inferred to be an integration counts one level lower.
        WHEN role = 'integration' AND role_source = 'inferred' THEN 'low'
        ELSE 'medium'
    END AS severity,
    lacking AS event_count,
    last_at,
    CASE WHEN history_days >= $min_history_days
         THEN 'About ' || CAST(round(100 * expected_share) AS BIGINT) || ' % of the ' || log || ' rows lack the ' || missing
              || ', as in the weeks before'
         ELSE 'The ' || log || ' rows tell the ' || missing END AS expected,
    lacking || ' of ' || rows || ' rows (' || CAST(round(100 * share) AS BIGINT) || ' %) of ' || log
        || CASE WHEN scope = 'people' THEN ' that people made' ELSE '' END
        || ' lack the ' || missing
        || CASE WHEN more_users THEN '; ' || users || ' users do, where ' || most_users || ' did on any day before'
                ELSE '' END
        || CASE WHEN is_rare AND lacking_days = 0 THEN ', for the first time after ' || rows_before || ' rows that had it'
                WHEN is_rare THEN ', as on ' || lacking_days || ' of the ' || history_days || ' days before'
                WHEN rising THEN ', and that is new'
                WHEN more_users THEN ''
                WHEN new_log THEN '; the log came for the first time'
                ELSE ', as usual or without a history' END AS observed,
    CASE WHEN users = 1 THEN role END AS role, CASE WHEN users = 1 THEN role_source END AS role_source, system, owner,
    log, missing, scope, rows, lacking, round(share, 4) AS share, round(usual_share, 4) AS usual_share, history_days,
    rising, is_rare AND lacking_days = 0 AS first_time, lacking_days, users,
    [sample_row] AS proof
FROM told
WHERE NOT (scope = 'people' AND log_is_told AND users > 1)
  AND (is_new OR scope <> 'user' OR told_days = 0)
ORDER BY occurred_at, log, missing, scope, user_key
