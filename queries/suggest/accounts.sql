/*
Accounts that work like a machine, with what speaks for it; and those named in $keys, whatever they do.
The criteria are those of the rule `unregistered-integration-user`, over $behaviour_since to $until; besides
them, an account that keeps logging in by a path that only programs take ($machine_paths) is one, however
seldom it works. Successes only: a password spray must not turn its victims into machines.

user_key, user_id, username
is_wanted              named in $keys
works_like_a_machine   the criteria of the rule
takes_machine_paths    logins by $machine_paths on $min_machine_path_days days, hardly ever through the UI
is_inferred            the roster or the night's own judgement says integration
logins, calls          in the whole time; ui_logins of the logins; bulk_jobs
active_days, ui_days   days with any of these, and with a UI login
hours_of_day, weekdays different ones, in the time of the criteria
first_at, last_at
*/
WITH wanted AS (
    SELECT DISTINCT k.user_key FROM (SELECT unnest(CAST($keys AS VARCHAR[])) AS user_key) k
),
events AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, 1 AS login, 0 AS call, 0 AS job,
        CASE WHEN is_ui THEN 1 ELSE 0 END AS ui_login,
        CASE WHEN array_has($machine_paths, login_path) THEN 1 ELSE 0 END AS machine_path
    FROM logins
    WHERE occurred_at >= $since AND occurred_at < $until
      AND outcome = 'success'
      AND role IN ('human', 'integration')
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, 0 AS login, 1 AS call, 0 AS job, 0 AS ui_login,
        0 AS machine_path
    FROM api_calls
    WHERE occurred_at >= $since AND occurred_at < $until
      AND calls = 1
      AND role IN ('human', 'integration')
      -- The pages of a person make calls, too.
      AND coalesce(upper(client_category), '') <> 'LIGHTNING_UI'
    UNION ALL
    SELECT
        occurred_at, day, user_key, user_id, username, role, 0 AS login, 0 AS call, 1 AS job, 0 AS ui_login,
        0 AS machine_path
    FROM bulk_jobs
    WHERE occurred_at >= $since AND occurred_at < $until
      AND role IN ('human', 'integration')
),
behaviour AS (
    SELECT
        user_key, max(user_id) AS user_id, max(username) AS username,
        bool_or(role = 'integration') AS is_inferred,
        sum(login) AS logins, sum(call) AS calls, sum(job) AS bulk_jobs, sum(ui_login) AS ui_logins,
        count(DISTINCT day) AS active_days,
        count(DISTINCT day) FILTER (WHERE ui_login = 1) AS ui_days,
        count(DISTINCT day) FILTER (WHERE machine_path = 1) AS machine_path_days,
        coalesce(sum(login) FILTER (WHERE occurred_at >= $behaviour_since), 0) AS late_logins,
        coalesce(sum(call) FILTER (WHERE occurred_at >= $behaviour_since), 0) AS late_calls,
        coalesce(sum(ui_login) FILTER (WHERE occurred_at >= $behaviour_since), 0) AS late_ui_logins,
        count(DISTINCT day) FILTER (WHERE occurred_at >= $behaviour_since) AS late_days,
        count(DISTINCT day) FILTER (WHERE ui_login = 1 AND occurred_at >= $behaviour_since) AS late_ui_days,
        count(DISTINCT extract(hour FROM occurred_at)) FILTER (WHERE occurred_at >= $behaviour_since) AS hours_of_day,
        count(DISTINCT extract(dow FROM occurred_at)) FILTER (WHERE occurred_at >= $behaviour_since) AS weekdays,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at
    FROM events
    WHERE user_key IS NOT NULL
    GROUP BY user_key
),
judged AS (
    SELECT
        b.*,
        w.user_key IS NOT NULL AS is_wanted,
        (b.late_logins >= $min_logins OR b.late_calls >= $min_calls)
            AND b.late_ui_logins <= $max_ui_share * b.late_logins
            AND b.late_ui_days <= $max_ui_day_share * b.late_days
            AND (b.hours_of_day >= $min_hours_of_day OR b.weekdays >= $min_weekdays) AS works_like_a_machine,
        b.machine_path_days >= $min_machine_path_days
            AND b.ui_logins <= $max_ui_share * b.logins
            AND b.ui_days <= $max_ui_day_share * b.active_days AS takes_machine_paths
    FROM behaviour b
    LEFT JOIN wanted w ON w.user_key = b.user_key
)
SELECT
    user_key, user_id, username, is_wanted, works_like_a_machine, takes_machine_paths, is_inferred,
    logins, calls, bulk_jobs, ui_logins, active_days, ui_days, hours_of_day, weekdays, first_at, last_at
FROM judged
WHERE is_wanted OR works_like_a_machine OR takes_machine_paths OR is_inferred
ORDER BY user_key
