/*
id = "cross-source-mismatch"
title = "Two records of the same thing disagree"
family = "coverage"
severity = "high"
status = "active"
version = 2
control = ["S4.8"]
attack = ["T1562.008", "T1070"]
description = """
Most things are written down twice: a login in the EventLogFile and in LoginHistory, a call in its detail log and \
in ApiTotalUsage, a user in the roster. Where both records are there and one lacks what the other has, rows were \
cut, dropped or never written. Judged for each user and day, and only inside the time that both sources cover, so \
that a file which did not come yet is a matter for `missing-log-file`. High: calls from outside begin after a day \
of silence although no login of the user was seen in the two days before. Medium: logins or calls without partner \
(more than a share and a number), a login that is of one type in the EventLogFile and of another in LoginHistory, \
and a successful login of a user that the roster taken on that day or later does not have. Types are told apart by \
the door they open, and `Application` opens several: a password sent to the token endpoint is written so. Users are never deleted in Salesforce, so such a user is a ghost. Detail logs that ApiTotalUsage does not \
count row by row (job states of Bulk API 2.0, Apex REST and SOAP services, batches) are not compared."""
false_positives = [
  "One of the files was exported while its day was still being written: give the complete file",
  "A roster that was exported with a filter lacks users: export it whole",
  "Salesforce cuts the EventLogFile of a client that logs in too often: see `login-logging-limited`",
]
response = [
  "Fetch both files of the day again and let the night run again: real gaps stay",
  "A call without login: find the token (OAuth usage of the user) and revoke it",
  "Two types: believe neither before you know the client; `i` and `I` differ in one letter and open different doors",
  "A ghost: look the id up in Setup; ask Salesforce support if nobody knows it",
]
references = ["https://attack.mitre.org/techniques/T1562/008/", "https://attack.mitre.org/techniques/T1070/"]
inputs = ["logins | api_calls", "users?"]
dedupe = ["user_key", "mismatch"]
bucket = "day"

[params.min_share]
type = "float"
default = 0.05
meaning = "share of a user's rows of the day without partner above which they count"

[params.min_rows]
type = "int"
default = 10
meaning = "rows without partner from which they count"

[params.login_reach]
type = "duration"
default = "48h"
meaning = "how long before a call its login may lie"

[params.silence]
type = "duration"
default = "24h"
meaning = "silence of a user after which no session can still be alive"

[params.pair_reach]
type = "duration"
default = "10s"
meaning = "how near another login of the user may have given its record to this one"
*/
WITH
tries AS (
    SELECT occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
           outcome, source, merge_quality, login_type, lh_login_type,
           -- A type by itself: the other columns are of the login, and the same for both.
           login_path(login_type, NULL, NULL, NULL, NULL, NULL, NULL) AS type_path,
           login_path(lh_login_type, NULL, NULL, NULL, NULL, NULL, NULL) AS lh_type_path,
           file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - $login_reach - $silence AND occurred_at < $window_end
),
-- The time of each day in which both kinds of login record were being written.
both_written AS (
    SELECT
        day,
        greatest(min(occurred_at) FILTER (WHERE source IN ('elf', 'both')),
                 min(occurred_at) FILTER (WHERE source IN ('login_history', 'both'))) AS from_at,
        least(max(occurred_at) FILTER (WHERE source IN ('elf', 'both')),
              max(occurred_at) FILTER (WHERE source IN ('login_history', 'both'))) AS to_at
    FROM tries
    GROUP BY day
    HAVING count(*) FILTER (WHERE source IN ('elf', 'both')) > 0
       AND count(*) FILTER (WHERE source IN ('login_history', 'both')) > 0
),
logins_alone AS (
    SELECT
        t.user_key, t.day,
        max(t.user_id) AS user_id, max(t.username) AS username,
        max(t.role) AS role, max(t.role_source) AS role_source, max(t.system) AS system, max(t.owner) AS owner,
        'login without partner' AS mismatch,
        count(*) AS seen,
        count(*) FILTER (WHERE t.merge_quality IN ('elf_only', 'lh_only')) AS alone,
        count(*) FILTER (WHERE t.merge_quality = 'elf_only') AS only_elf,
        count(*) FILTER (WHERE t.merge_quality = 'lh_only') AS only_history,
        min(t.occurred_at) FILTER (WHERE t.merge_quality IN ('elf_only', 'lh_only')) AS first_at,
        max(t.occurred_at) FILTER (WHERE t.merge_quality IN ('elf_only', 'lh_only')) AS last_at
    FROM both_written b
    JOIN tries t ON t.day = b.day AND t.occurred_at >= b.from_at AND t.occurred_at <= b.to_at
    WHERE t.occurred_at >= $window_start AND t.occurred_at < $window_end
      -- Without id a user is known by what was typed, which the two sources write differently.
      AND t.user_id IS NOT NULL
    GROUP BY t.user_key, t.day
    HAVING count(*) FILTER (WHERE t.merge_quality IN ('elf_only', 'lh_only')) >= $min_rows
       AND count(*) FILTER (WHERE t.merge_quality IN ('elf_only', 'lh_only')) > $min_share * count(*)
),
calls AS (
    SELECT occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
           event_type, request_id, ip_kind, client_category, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start - $silence AND occurred_at < $window_end
),
counted AS (
    SELECT day, count(*) AS rows FROM calls WHERE event_type = 'ApiTotalUsage' GROUP BY day
),
-- Calls that stand in a detail log which ApiTotalUsage counts row by row.
detailed AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        count(*) AS seen
    FROM calls
    WHERE event_type IN ('RestApi', 'API') AND request_id IS NOT NULL
      AND occurred_at >= $window_start AND coalesce(ip_kind, 'missing') = 'public'
    GROUP BY user_key, day
    HAVING count(*) >= $min_rows
),
-- Requests of which only such a log tells. Its rows and the counted ones meet in groups: a join would
-- hold a whole night of them. A request over midnight is one of its first day.
uncounted AS (
    SELECT user_key, day, sum(rows) AS alone, min(first_at) AS first_at, max(last_at) AS last_at
    FROM (
        SELECT
            user_key, request_id, min(day) AS day, count(*) AS rows, min(occurred_at) AS first_at, max(occurred_at) AS last_at
        FROM calls
        WHERE request_id IS NOT NULL
          AND (event_type = 'ApiTotalUsage' AND user_key IS NOT NULL
               OR event_type IN ('RestApi', 'API')
                  AND occurred_at >= $window_start AND coalesce(ip_kind, 'missing') = 'public')
        GROUP BY user_key, request_id
        HAVING count(*) FILTER (WHERE event_type = 'ApiTotalUsage') = 0
    ) requests
    GROUP BY user_key, day
    HAVING sum(rows) >= $min_rows
),
calls_alone AS (
    SELECT
        d.user_key, d.day, d.user_id, d.username, d.role, d.role_source, d.system, d.owner,
        'call not counted' AS mismatch,
        d.seen, least(u.alone, d.seen) AS alone,
        CAST(0 AS BIGINT) AS only_elf, CAST(0 AS BIGINT) AS only_history,
        u.first_at, u.last_at
    FROM uncounted u
    JOIN detailed d ON (d.user_key IS NOT DISTINCT FROM u.user_key) AND d.day = u.day
    JOIN counted c ON c.day = d.day
    WHERE u.alone > $min_share * d.seen
),
-- Days on which login records of any kind exist: without them nothing can be said of a missing login.
login_days AS (
    SELECT DISTINCT CAST(day AS DATE) AS day FROM parts WHERE event_type IN ('Login', 'LoginHistory')
),
first_calls AS (
    SELECT user_key, day, min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS calls,
           max(user_id) AS user_id, max(username) AS username,
           max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner
    FROM calls
    WHERE ip_kind = 'public' AND role NOT IN ('guest', 'internal_system') AND user_id IS NOT NULL
      -- Pages of a person call the API within the login of the page.
      AND coalesce(client_category, '') <> 'LIGHTNING_UI'
    GROUP BY user_key, day
),
without_login AS (
    SELECT
        f.user_key, f.day, f.user_id, f.username, f.role, f.role_source, f.system, f.owner,
        'call without login' AS mismatch,
        f.calls AS seen, f.calls AS alone, CAST(0 AS BIGINT) AS only_elf, CAST(0 AS BIGINT) AS only_history,
        f.first_at, f.last_at
    FROM first_calls f
    WHERE f.first_at >= $window_start
      AND EXISTS (SELECT 1 FROM login_days l WHERE l.day = f.day)
      AND EXISTS (SELECT 1 FROM login_days l WHERE l.day = f.day - INTERVAL '1 day')
      AND EXISTS (SELECT 1 FROM login_days l WHERE l.day = f.day - INTERVAL '2 days')
      -- Calls were recorded on the day before, and none of this user.
      AND EXISTS (SELECT 1 FROM counted c WHERE c.day = f.day - INTERVAL '1 day')
      AND NOT EXISTS (
          SELECT 1 FROM calls c
          WHERE c.user_key = f.user_key AND c.occurred_at < f.first_at AND c.occurred_at >= f.first_at - $silence)
      AND NOT EXISTS (
          SELECT 1 FROM tries t
          WHERE t.user_key = f.user_key AND t.outcome = 'success'
            AND t.occurred_at <= f.first_at + INTERVAL '5 minutes' AND t.occurred_at >= f.first_at - $login_reach)
),
roster AS (
    SELECT user_key, min(day) AS first_day FROM users GROUP BY user_key
),
newest_roster AS (
    SELECT max(day) AS day FROM roster_snapshots WHERE data_set = 'User'
),
ghosts AS (
    SELECT
        t.user_key, t.day,
        max(t.user_id) AS user_id, max(t.username) AS username,
        max(t.role) AS role, max(t.role_source) AS role_source, max(t.system) AS system, max(t.owner) AS owner,
        'user not in the roster' AS mismatch,
        count(*) AS seen, count(*) AS alone, CAST(0 AS BIGINT) AS only_elf, CAST(0 AS BIGINT) AS only_history,
        min(t.occurred_at) AS first_at, max(t.occurred_at) AS last_at
    FROM tries t
    CROSS JOIN newest_roster n
    WHERE t.occurred_at >= $window_start AND t.outcome = 'success'
      AND t.user_id IS NOT NULL AND t.role NOT IN ('guest', 'internal_system')
      AND n.day >= t.day
      AND NOT EXISTS (SELECT 1 FROM roster r WHERE r.user_key = t.user_key)
    GROUP BY t.user_key, t.day
),
-- An odd value opens no door, and is told by `unmapped-value`. Of logins within seconds the records may be
-- paired crosswise: where LoginHistory has the type of this one beside it, nothing disagrees.
two_typed AS (
    SELECT *
    FROM tries t
    WHERE t.occurred_at >= $window_start AND t.merge_quality IN ('exact', 'nearest')
      AND t.type_path <> 'unmapped' AND t.lh_type_path <> 'unmapped' AND t.type_path <> t.lh_type_path
      AND NOT EXISTS (
          SELECT 1 FROM tries o
          WHERE o.user_key = t.user_key AND o.lh_type_path = t.type_path
            AND o.occurred_at >= t.occurred_at - CAST($pair_reach AS INTERVAL)
            AND o.occurred_at <= t.occurred_at + CAST($pair_reach AS INTERVAL))
),
two_types AS (
    SELECT
        t.user_key, t.day,
        max(t.user_id) AS user_id, max(t.username) AS username,
        max(t.role) AS role, max(t.role_source) AS role_source, max(t.system) AS system, max(t.owner) AS owner,
        'login of two types' AS mismatch,
        count(*) AS seen, count(*) AS alone, CAST(0 AS BIGINT) AS only_elf, CAST(0 AS BIGINT) AS only_history,
        min(t.occurred_at) AS first_at, max(t.occurred_at) AS last_at
    FROM two_typed t
    GROUP BY t.user_key, t.day
),
mismatches AS (
    SELECT * FROM logins_alone
    UNION ALL SELECT * FROM calls_alone
    UNION ALL SELECT * FROM without_login
    UNION ALL SELECT * FROM ghosts
    UNION ALL SELECT * FROM two_types
),
-- Rows are gathered for what was found only: a night has millions of them.
behind AS (
    SELECT m.*, r.occurred_at, r.file_id, r.line_no
    FROM mismatches m
    LEFT JOIN (
        SELECT user_key, occurred_at, file_id, line_no, false AS is_call,
            merge_quality IN ('elf_only', 'lh_only') AS is_alone, outcome = 'success' AS is_success,
            false AS has_two_types
        FROM tries
        UNION ALL
        SELECT user_key, occurred_at, file_id, line_no, true, false, false, false
        FROM calls
        UNION ALL
        SELECT user_key, occurred_at, file_id, line_no, false, false, false, true
        FROM two_typed
    ) r
      ON r.user_key = m.user_key AND r.occurred_at >= m.first_at AND r.occurred_at <= m.last_at
     AND CASE m.mismatch
             WHEN 'login without partner' THEN r.is_alone
             WHEN 'user not in the roster' THEN r.is_success
             WHEN 'login of two types' THEN r.has_two_types
             ELSE r.is_call
         END
),
told AS (
    SELECT
        user_key, day, user_id, username, role, role_source, system, owner, mismatch, seen, alone, only_elf, only_history,
        first_at, last_at,
        array_agg(file_id || ':' || line_no ORDER BY n) FILTER (WHERE file_id IS NOT NULL) AS proof
    FROM (
        SELECT *, row_number() OVER (
            PARTITION BY user_key, mismatch, first_at ORDER BY occurred_at, file_id, line_no) AS n
        FROM behind
    ) b
    WHERE n <= 20
    GROUP BY
        user_key, day, user_id, username, role, role_source, system, owner, mismatch, seen, alone, only_elf, only_history,
        first_at, last_at
)
SELECT
    m.first_at AS occurred_at,
    m.user_key, m.user_id, m.username,
    CASE m.mismatch WHEN 'call without login' THEN 'high' ELSE 'medium' END AS severity,
    m.alone AS event_count,
    m.last_at,
    CASE m.mismatch
        WHEN 'login without partner' THEN 'Each login stands in the EventLogFile and in LoginHistory'
        WHEN 'call not counted' THEN 'Each call of a detail log stands in ApiTotalUsage'
        WHEN 'call without login' THEN 'Calls begin with a login'
        WHEN 'login of two types' THEN 'EventLogFile and LoginHistory name the same type of login'
        ELSE 'Whoever logs in is in the roster'
    END AS expected,
    CASE m.mismatch
        WHEN 'login without partner' THEN
            alone || ' of ' || seen || ' logins stand in one record only: '
            || array_to_string([
                   CASE WHEN only_elf > 0 THEN only_elf || ' not in LoginHistory' END,
                   CASE WHEN only_history > 0 THEN only_history || ' not in the EventLogFile' END], ', ')
        WHEN 'call not counted' THEN alone || ' of ' || seen || ' calls are missing in ApiTotalUsage'
        WHEN 'call without login' THEN alone || ' calls after a silence, with no login before them'
        WHEN 'login of two types' THEN
            alone || CASE WHEN alone = 1 THEN ' login is' ELSE ' logins are' END
            || ' of one type in the EventLogFile and of another in LoginHistory'
        ELSE alone || CASE WHEN alone = 1 THEN ' login' ELSE ' logins' END || ' of a user that the roster does not have'
    END AS observed,
    m.role, m.role_source, m.system, m.owner,
    m.mismatch, m.seen, m.alone, m.only_elf, m.only_history,
    m.proof
FROM told m
ORDER BY occurred_at, m.user_key, m.mismatch
