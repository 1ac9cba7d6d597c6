/*
What each account that may be a machine did on each day between $from and $to, counted as the rule
`unregistered-integration-user` counts: successful logins, and calls of the ApiTotalUsage log that no
page of a person made. Accounts with fewer than $min_logins logins and $min_calls calls in all are
left out: they cannot reach that in a part of the time. So are guests and the platform's own users,
whichever log says that they are.

user_key           18-character user id
day                UTC
logins, ui_logins  ui_logins are those through the user interface
calls              API calls
hours              bit n is set when the account was active in hour n (UTC)
last_at            its last event of the day
*/
WITH no_people AS (
    SELECT DISTINCT user_id
    FROM (
        SELECT user_id, user_type, username FROM rollup_logins
        WHERE occurred_at >= $from AND occurred_at < $to
        UNION ALL
        SELECT user_id, user_type, CAST(NULL AS VARCHAR) AS username FROM elf_logout
        WHERE occurred_at >= $from AND occurred_at < $to
        UNION ALL
        SELECT user_id, user_type, CAST(NULL AS VARCHAR) AS username FROM elf_rest_api
        WHERE occurred_at >= $from AND occurred_at < $to
        UNION ALL
        SELECT user_id, CAST(NULL AS VARCHAR) AS user_type, user_name AS username FROM elf_api_total_usage
        WHERE occurred_at >= $from AND occurred_at < $to
        UNION ALL
        SELECT user_id, CASE WHEN is_guest THEN 'Guest' END AS user_type, CAST(NULL AS VARCHAR) AS username
        FROM elf_sites
        WHERE occurred_at >= $from AND occurred_at < $to
    )
    WHERE user_id IS NOT NULL
      AND inferred_role(user_type, coalesce(known_username(user_id), username)) <> 'human'
),
events AS (
    -- Successes only: a password spray must not turn its victims into machines.
    SELECT
        user_id, day, occurred_at, 1 AS login, CASE WHEN is_ui THEN 1 ELSE 0 END AS ui_login, 0 AS call
    FROM rollup_logins
    WHERE occurred_at >= $from AND occurred_at < $to
      AND outcome = 'success'
      AND user_id IS NOT NULL
    UNION ALL
    SELECT user_id, day, occurred_at, 0 AS login, 0 AS ui_login, 1 AS call
    FROM elf_api_total_usage
    WHERE occurred_at >= $from AND occurred_at < $to
      AND user_id IS NOT NULL
      -- The pages of a person make calls, too.
      AND coalesce(upper(api_client_category), '') <> 'LIGHTNING_UI'
),
candidates AS (
    SELECT user_id
    FROM events
    GROUP BY user_id
    HAVING sum(login) >= $min_logins OR sum(call) >= $min_calls
),
accounts AS (
    SELECT user_id FROM candidates AS c
    WHERE NOT EXISTS (SELECT 1 FROM no_people AS n WHERE n.user_id = c.user_id)
)
SELECT
    e.user_id AS user_key,
    e.day,
    sum(e.login) AS logins,
    sum(e.ui_login) AS ui_logins,
    sum(e.call) AS calls,
    bit_or(CAST(1 AS BIGINT) << CAST(extract(hour FROM e.occurred_at) AS BIGINT)) AS hours,
    max(e.occurred_at) AS last_at
-- The few first: a join holds its first side in memory.
FROM accounts AS a
JOIN events AS e ON e.user_id = a.user_id
GROUP BY e.user_id, e.day
ORDER BY e.user_id, e.day
