/*
id = "registry-stale"
title = "What the operator declared is out of date"
family = "coverage"
severity = "low"
status = "active"
version = 1
control = ["S4.10"]
attack = ["T1562.001"]
description = """
Declarations age: a network that nobody uses any more is a door left open for whoever gets an address in it; \
an exception that was meant for a week stays because nobody looks. Reported are suppressions past their end \
(medium while findings still match them: what they hid is open again), suppressions that hide more findings in \
a night than anybody can have meant, networks from which their user did not come for 90 days while it came from \
elsewhere, users whose review is overdue, and users whose registry entry has ended. Networks are judged only \
where the logs reach back that far, and never for a user whose cadence is longer. A suppression without end, \
reason, owner, or a condition besides its user is refused when the configuration is read. The catalogue's list of \
known bad addresses does not exist here, so its age is not judged."""
false_positives = [
  "A network kept for a disaster: say so at its next review, or give it valid_from when it was tested last",
  "A network written into the registry yesterday without valid_from: the registry does not say since when it holds",
]
response = [
  "Suppression: remove it, or renew it with a new reason; first look at the findings that it no longer hides",
  "Network: ask the owner of the system, and remove it",
  "Review or ended entry: hold the account against its declaration (`orgwatch registry check`), then renew or remove it",
]
references = ["https://attack.mitre.org/techniques/T1562/001/"]
inputs = ["suppressions", "registry_users", "registry_networks", "parts", "logins?", "api_calls?"]
dedupe = ["kind", "user_key", "entry"]
bucket = "none"

[params.unused_period]
type = "duration"
default = "90d"
meaning = "time without a login or call from a network after which it counts as unused"

[params.min_covered_days]
type = "int"
default = 80
meaning = "days of that time with login logs, below which nothing is called unused"

[params.max_hidden]
type = "int"
default = 50
meaning = "findings of one night that a suppression may hide without being questioned"

[params.long_cadences]
type = "text_list"
default = ["annual"]
meaning = "cadences of users who rightly come less often than that"

[params.ended_shown]
type = "duration"
default = "30d"
meaning = "how long an ended entry is reported when its user stays silent"
*/
WITH
now_declared AS (
    SELECT user_key, user_id, username, role, system, owner, cadence, review_date
    FROM registry_users
    WHERE valid_from <= $now AND valid_to > $now
),
coverage AS (
    SELECT
        count(DISTINCT day) AS days,
        -- Rows of the first day of that time, or of one before it.
        coalesce(min(day) <= CAST($window_end - $unused_period AS DATE), false) AS reaches_back
    FROM parts
    WHERE event_type IN ('Login', 'LoginHistory')
      AND day < CAST($window_end AS DATE)
),
recent_coverage AS (
    SELECT count(DISTINCT day) AS days
    FROM parts
    WHERE event_type IN ('Login', 'LoginHistory')
      AND day >= CAST($window_end - $unused_period AS DATE) AND day < CAST($window_end AS DATE)
),
ended AS (
    SELECT
        r.user_key, max(r.user_id) AS user_id, max(r.username) AS username,
        first_value(r.role ORDER BY r.valid_to DESC, r.role) AS role,
        first_value(r.system ORDER BY r.valid_to DESC, r.system) AS system,
        first_value(r.owner ORDER BY r.valid_to DESC, r.owner) AS owner,
        max(r.valid_to) AS ended_at
    FROM registry_users r
    GROUP BY r.user_key
    HAVING max(r.valid_to) <= $now
),
-- What is asked of the past: of a network whether its user came from it, of an ended entry whether its user
-- still comes.
asked AS (
    SELECT
        'network_unused' AS kind, n.user_key, n.network, u.user_id, u.username, u.role, u.system, u.owner,
        n.valid_to AS ended_at
    FROM registry_networks n
    JOIN now_declared u ON u.user_key = n.user_key
    CROSS JOIN coverage c
    CROSS JOIN recent_coverage rc
    WHERE n.valid_from <= $window_end - $unused_period AND n.valid_to > $now
      AND c.reaches_back AND rc.days >= $min_covered_days
      AND NOT coalesce(array_has($long_cadences, u.cadence), false)
    UNION ALL
    SELECT 'entry_ended', user_key, CAST(NULL AS VARCHAR), user_id, username, role, system, owner, ended_at
    FROM ended
),
-- Where they came from, in one pass over the logs: what stands here twice is read twice.
visits AS (
    SELECT v.user_key, v.ip, max(v.last_at) AS last_at, sum(v.events) AS events
    FROM (
        SELECT user_key, ip, max(occurred_at) AS last_at, count(*) AS events
        FROM logins
        WHERE occurred_at >= $window_end - $unused_period AND occurred_at < $window_end
          AND outcome <> 'failure'
        GROUP BY user_key, ip
        UNION ALL
        SELECT user_key, ip, max(occurred_at) AS last_at, count(*) AS events
        FROM api_calls
        WHERE occurred_at >= $window_end - $unused_period AND occurred_at < $window_end
        GROUP BY user_key, ip
    ) v
    GROUP BY v.user_key, v.ip
),
answered AS (
    SELECT
        a.kind, a.user_key, a.network, a.user_id, a.username, a.role, a.system, a.owner, a.ended_at,
        max(v.last_at) AS last_seen, sum(v.events) AS events,
        coalesce(bool_or(ip_in(v.ip, a.network)), false) AS came
    FROM asked a
    LEFT JOIN visits v ON v.user_key = a.user_key
    GROUP BY a.kind, a.user_key, a.network, a.user_id, a.username, a.role, a.system, a.owner, a.ended_at
),
stale AS (
    SELECT
        CASE WHEN is_expired THEN 'suppression_expired' ELSE 'suppression_hides_many' END AS kind,
        -- As the configuration names the user: a name or an id.
        coalesce(known_user_id(user_ref), user_ref) AS user_key,
        coalesce(known_user_id(user_ref), CASE WHEN user_ref NOT LIKE '%@%' THEN user_ref END) AS user_id,
        coalesce(CASE WHEN user_ref LIKE '%@%' THEN user_ref END, known_username(user_ref)) AS username,
        CAST(NULL AS VARCHAR) AS role, CAST(NULL AS VARCHAR) AS system, owner,
        rule || coalesce(' for ' || user_ref, '') || coalesce(' where ' || conditions, '') AS entry,
        CASE WHEN is_expired THEN to_timestamp_millis(greatest(0, CAST(until AS BIGINT))) END AS since,
        greatest(1, matched) AS events, matched, reason,
        CASE WHEN is_expired AND matched > 0 THEN 2 ELSE 1 END AS level,
        CASE
            WHEN is_expired AND matched > 0
                THEN 'Ended, and still matches ' || matched || CASE WHEN matched = 1 THEN ' finding' ELSE ' findings' END || ' of this run'
            WHEN is_expired THEN 'Ended, and matches nothing in this run'
            ELSE 'Hides ' || matched || ' findings of this run'
        END AS what
    FROM suppressions
    WHERE is_expired OR matched > $max_hidden
    UNION ALL
    SELECT
        kind, user_key, user_id, username, role, system, owner,
        CASE WHEN kind = 'entry_ended' THEN 'entry of ' || coalesce(username, user_key) ELSE network END,
        CASE WHEN kind = 'entry_ended' THEN to_timestamp_millis(greatest(0, CAST(ended_at AS BIGINT))) END,
        CASE WHEN kind = 'entry_ended' THEN 1 ELSE events END,
        CAST(NULL AS BIGINT), CAST(NULL AS VARCHAR), 1,
        CASE
            WHEN kind = 'network_unused' THEN 'No login or call from ' || network || ', but ' || events || ' from elsewhere'
            WHEN last_seen >= ended_at
            THEN 'The entry ended, and the account was used after it: its networks and apps hold no more'
            ELSE 'The entry ended'
        END
    FROM answered
    -- A user who came from nowhere at all is another finding.
    WHERE (kind = 'network_unused' AND last_seen IS NOT NULL AND NOT came)
       OR (kind = 'entry_ended' AND (ended_at > $now - $ended_shown OR last_seen >= ended_at))
    UNION ALL
    SELECT
        'review_overdue', user_key, user_id, username, role, system, owner, 'review of ' || coalesce(username, user_key),
        to_timestamp_millis(86400000 * greatest(0, CAST(CAST(review_date AS INT) AS BIGINT))), 1, CAST(NULL AS BIGINT), CAST(NULL AS VARCHAR), 1,
        'The review of the entry was due on ' || CAST(review_date AS VARCHAR)
    FROM now_declared
    WHERE review_date < CAST($now AS DATE)
)
SELECT
    least(coalesce(since, CAST($window_start AS TIMESTAMP)), CAST($window_end AS TIMESTAMP) - INTERVAL '1 millisecond')
        AS occurred_at,
    user_key, user_id, printable(username) AS username,
    ['low', 'medium'][level] AS severity,
    events AS event_count,
    CAST($window_end AS TIMESTAMP) - INTERVAL '1 millisecond' AS last_at,
    CASE
        WHEN kind = 'suppression_expired' THEN 'Suppressions are removed or renewed when they end'
        WHEN kind = 'suppression_hides_many' THEN 'A suppression hides at most ' || $max_hidden || ' findings in a night'
        WHEN kind = 'network_unused' THEN 'The registry names only networks that are used'
        WHEN kind = 'review_overdue' THEN 'Every entry with a review date is reviewed by then'
        ELSE 'An account that lives has an entry that holds'
    END AS expected,
    printable(what) || CASE WHEN kind LIKE 'suppression%' THEN ': ' || printable(entry) ELSE '' END AS observed,
    role, CASE WHEN role IS NOT NULL THEN 'registry' END AS role_source,
    system, printable(owner) AS owner,
    kind, printable(entry) AS entry, since, matched, printable(reason) AS reason
FROM stale
ORDER BY occurred_at, kind, user_key, entry
