/*
id = "secret-hunting-query"
title = "Queries look for secrets in records"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S4.4"]
attack = ["T1552", "T1213.004"]
description = """
Who holds a copy of a CRM searches it for what opens the next door: access keys, passwords, tokens, VPN addresses \
that somebody wrote into a case or a note. The text of a query is never kept: when a log is read, its literals \
(LIKE '%…%', FIND {…}, a search box) are held against a list of words and marks, and the class alone is kept. Names \
of fields never count, and words count as a whole. One look for a key is enough (`aws_key`, `private_key`); a look \
for a password, a secret, Snowflake or a VPN is an everyday word, so two different ones within 60 minutes are needed. \
Beyond the catalogue: words that a person typed into a search box are one level lower, for a help desk searches for \
"password" and "vpn" all day. A hunt is told on the day on which it began to show; the end of one that is over within \
the first hour of the next day is not told again."""
false_positives = [
  "A compliance scanner that looks for secrets itself: suppress it by user and network, with an end",
  "A help desk that searches for cases about passwords and VPN: medium, from the search box only",
]
response = [
  "Ask who ran the queries; look at the address, the client and the app beside them",
  "Nobody, or not that: revoke the tokens of user and app, and read with `orgwatch sql` over `queries` what else they asked",
  "Find what the same query finds (aws_key: LIKE '%AKIA%' on the objects named), and rotate each secret in it",
  "Move secrets out of records; encrypt or mask what must stay",
]
references = [
  "https://attack.mitre.org/techniques/T1552/",
  "https://attack.mitre.org/techniques/T1213/004/",
  "https://cloud.google.com/blog/topics/threat-intelligence/data-theft-salesforce-instances-via-salesloft-drift",
]
inputs = ["queries", "logins?"]
dedupe = ["user_key"]
bucket = "day"

[params.strong]
type = "text_list"
default = ["aws_key", "private_key"]
meaning = "classes of which one is enough"

[params.weak]
type = "text_list"
default = ["password_word", "secret_word", "snowflake_word", "vpn_sso_word"]
meaning = "classes of which several different ones within 60 minutes are needed"

[params.different]
type = "int"
default = 2
meaning = "how many different weak classes"

[params.session_length]
type = "duration"
default = "48h"
meaning = "how long before the window a login may have been made whose app is shown"
*/
WITH
-- One row for each secret that a query looked for. Without a user (UniqueQuery may have none) it is
-- the session's, so that strangers are not added up.
looks AS (
    SELECT
        occurred_at, user_key, coalesce(user_key, login_key, session_key, request_id) AS who, user_id, username, role,
        role_source, system, owner, ip, event_type, query_object, query_shape, app_id, client_name, login_key,
        request_id, file_id, line_no, class, array_has($strong, class) AS is_strong
    FROM (
        SELECT *, unnest(string_to_array(query_classes, ';')) AS class
        FROM queries
        -- An hour for the pairs, and an hour to see that a hunt is the end of an older one.
        WHERE occurred_at >= $window_start - INTERVAL '2 hours' AND occurred_at < $window_end
          AND array_has_any(string_to_array(query_classes, ';'), array_concat($strong, $weak))
    ) classed
    WHERE array_has($strong, class) OR array_has($weak, class)
),
counted AS (
    SELECT
        *,
        count(DISTINCT CASE WHEN NOT is_strong THEN class END) OVER (
            PARTITION BY who ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) AS weak_60
    FROM looks
),
-- The moments at which it is enough, in hunts: a pause of more than an hour ends one.
moments AS (
    SELECT
        *,
        sum(CASE WHEN occurred_at <= before + INTERVAL '60 minutes' THEN 0 ELSE 1 END) OVER (
            PARTITION BY who ORDER BY occurred_at, file_id, line_no, class
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS hunt
    FROM (
        SELECT
            who, occurred_at, file_id, line_no, class, date_trunc('day', occurred_at) AS day_start,
            lag(occurred_at) OVER (PARTITION BY who ORDER BY occurred_at, file_id, line_no, class) AS before
        FROM counted
        WHERE is_strong OR weak_60 >= $different
    ) enough
),
hunts AS (
    SELECT who, day_start, min(first_at) AS first_at, max(last_at) AS last_at
    FROM (
        SELECT
            who, hunt, day_start, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
            min(min(occurred_at)) OVER (PARTITION BY who, hunt) AS began
        FROM moments
        GROUP BY who, hunt, day_start
    ) pieces
    -- What began yesterday was told yesterday, unless it goes on.
    WHERE began >= day_start OR last_at >= day_start + INTERVAL '60 minutes'
    GROUP BY who, day_start
),
apps AS (
    SELECT login_key, max(app) AS app
    FROM login_key_apps
    WHERE first_at >= $window_start - $session_length AND first_at < $window_end
    GROUP BY login_key
),
-- All looks of the day around these moments, from an hour before the first: a pair began with the
-- first of the two.
by_day AS (
    SELECT
        h.who, h.day_start, h.first_at, max(l.occurred_at) AS last_at,
        max(l.user_key) AS user_key, max(l.user_id) AS user_id, max(l.username) AS username, max(l.role) AS role,
        max(l.role_source) AS role_source, max(l.system) AS system, max(l.owner) AS owner,
        bool_or(l.is_strong) AS any_strong,
        bool_and(l.event_type = 'Search') AS search_box_only,
        -- One query may stand in several logs.
        count(DISTINCT coalesce(l.request_id, l.file_id || ':' || l.line_no)) AS queries,
        array_agg(DISTINCT l.class ORDER BY l.class) AS classes,
        array_slice(array_agg(DISTINCT l.query_object ORDER BY l.query_object)
            FILTER (WHERE l.query_object IS NOT NULL), 1, 20) AS objects,
        array_slice(array_agg(DISTINCT l.query_shape ORDER BY l.query_shape)
            FILTER (WHERE l.query_shape IS NOT NULL), 1, 10) AS shapes,
        array_agg(DISTINCT l.event_type ORDER BY l.event_type) AS logs,
        array_slice(array_agg(DISTINCT l.ip ORDER BY l.ip) FILTER (WHERE l.ip IS NOT NULL), 1, 20) AS ips,
        bool_or(in_networks(l.user_key, l.ip, l.occurred_at)) AS any_ip_allowed,
        coalesce(bool_or(NOT in_networks(l.user_key, l.ip, l.occurred_at)), false) AS outside_networks,
        array_slice(array_agg(DISTINCT printable(coalesce(a.app, l.app_id))
            ORDER BY printable(coalesce(a.app, l.app_id)))
            FILTER (WHERE coalesce(a.app, l.app_id) IS NOT NULL), 1, 10) AS apps,
        array_slice(array_agg(DISTINCT printable(l.client_name) ORDER BY printable(l.client_name))
            FILTER (WHERE l.client_name IS NOT NULL), 1, 10) AS clients,
        array_slice(array_agg(DISTINCT l.file_id || ':' || l.line_no ORDER BY l.file_id || ':' || l.line_no), 1, 20)
            AS proof
    FROM hunts h
    JOIN looks l
      ON l.who = h.who AND l.occurred_at >= h.first_at - INTERVAL '60 minutes' AND l.occurred_at <= h.last_at + INTERVAL '60 minutes'
     AND l.occurred_at < h.day_start + INTERVAL '1 day'
    LEFT JOIN apps a ON a.login_key = l.login_key
    GROUP BY h.who, h.day_start, h.first_at
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- Words in a search box are a person's daily work; an account in no registry that works like a
    -- machine counts one level lower.
    ['low', 'medium', 'high'][
        3
        - CASE WHEN search_box_only AND NOT any_strong AND role IN ('human', 'human_admin') THEN 1 ELSE 0 END
        - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    queries AS event_count,
    last_at,
    'No query looks for keys, passwords or tokens in the contents of records' AS expected,
    queries || CASE WHEN queries = 1 THEN ' query' ELSE ' queries' END || ' looked for '
        || replace(array_to_string(classes, ', '), '_word', ' words')
        || coalesce(' in ' || array_to_string(array_slice(objects, 1, 5), ', '), '')
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'an address that these logs do not tell')
        || CASE WHEN outside_networks THEN ', outside the declared networks' ELSE '' END
        || coalesce('; app ' || array_to_string(array_slice(apps, 1, 3), ', '), '') AS observed,
    role, role_source, system, owner,
    classes, objects, queries, shapes, logs, apps, clients, ips,
    CASE WHEN outside_networks THEN false ELSE any_ip_allowed END AS ip_allowed,
    proof
FROM by_day
WHERE first_at >= $window_start
ORDER BY occurred_at, user_key
