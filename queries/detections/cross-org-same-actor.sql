/*
id = "cross-org-same-actor"
title = "The same unapproved address is at work in several orgs"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S4.2"]
attack = ["T1199"]
description = """
Who steals a vendor's tokens has them for many orgs, and calls them all from a few addresses. This rule compares the orgs \
whose logs are in one lake, by the ORGANIZATION_ID of each row: give the files of all orgs as inputs to one \
installation. In a lake of a single org it finds nothing, by its nature. High: within 48 hours machines' users of \
two or more orgs signed in, called the API, or were stopped with a good credential from one public address that the \
registry declares for nobody. Medium: that in one org, and refusals in another. Low: refusals only, as a scanner or a \
Tor exit leaves them. The window slides on event time; a finding belongs to the day on which another org joins, and the \
next day tells it again only if several orgs are touched on it. Accounts that are only inferred to be machines count one \
level lower. LoginHistory names no org: only the event log files of logins and of API calls are read. \
The catalogue also compares user agent and provider; common clients from a big provider say nothing about one actor, so \
addresses alone are compared here."""
false_positives = [
  "A central integration hub or a vendor's egress: declare its networks for its users in the registry",
  "A sandbox and its production org, used from the same place by the same team: declare that place",
]
response = [
  "Treat it as a vendor's breach: which app or vendor do the users have in common? Revoke its tokens in all orgs",
  "Freeze the users, end their sessions, and read with the other rules what was taken in each org",
  "Tell the vendor and the teams of the other orgs the address",
]
references = [
  "https://attack.mitre.org/techniques/T1199/",
]
inputs = ["Login | ApiTotalUsage"]
dedupe = ["ip"]
bucket = "day"

[params.least_orgs]
type = "int"
default = 2
meaning = "orgs that one address has to touch"
*/
WITH
touched AS (
    SELECT
        occurred_at, day, ip, organization_id AS org, user_id, lower(trim(user_name)) AS username, user_type,
        CASE
            WHEN outcome(login_status) = 'success' THEN 'login'
            WHEN outcome(login_status) = 'challenge' OR fail_class(login_status) = 'valid_credential_blocked' THEN 'near miss'
            ELSE 'refusal'
        END AS deed,
        CAST(NULL AS VARCHAR) AS app, browser_type AS client, file_id || ':' || line_no AS proof
    FROM elf_login
    WHERE occurred_at >= $window_start - INTERVAL '48 hours' AND occurred_at < $window_end
      AND ip_kind = 'public' AND organization_id IS NOT NULL
    UNION ALL
    SELECT
        occurred_at, day, ip, organization_id AS org, user_id, lower(trim(user_name)) AS username, NULL AS user_type,
        CASE WHEN status_code >= 400 THEN 'refusal' ELSE 'call' END AS deed,
        connected_app_name AS app, client_name AS client, file_id || ':' || line_no AS proof
    FROM elf_api_total_usage
    WHERE occurred_at >= $window_start - INTERVAL '48 hours' AND occurred_at < $window_end
      AND ip_kind = 'public' AND organization_id IS NOT NULL
),
-- Few addresses are in several orgs, and most of those are declared.
suspects AS (
    SELECT s.ip
    FROM (
        SELECT ip
        FROM (SELECT DISTINCT ip, org FROM touched) pairs
        GROUP BY ip
        HAVING count(DISTINCT org) >= $least_orgs
    ) s
    LEFT JOIN registry_networks n
      ON ip_in(s.ip, n.network) AND n.valid_from < $window_end AND n.valid_to > $window_start - INTERVAL '48 hours'
    WHERE n.network IS NULL
),
machines AS (
    SELECT
        t.occurred_at, t.day, t.ip, t.org, t.deed, t.app, t.client, t.proof,
        coalesce(t.user_id, known_user_id(t.username), t.username) AS user_key,
        coalesce(known_username(t.user_id), t.username, r.username) AS username,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        t.deed <> 'refusal' AS is_hit
    FROM touched t
    LEFT JOIN registry_users r
      ON r.user_key = coalesce(t.user_id, known_user_id(t.username), t.username)
     AND t.occurred_at >= r.valid_from AND t.occurred_at < r.valid_to
    WHERE coalesce(r.role, inferred_role(
        t.user_type, coalesce(known_username(t.user_id), t.username),
        coalesce(t.user_id, known_user_id(t.username), t.username), t.occurred_at)) IN ('integration', 'internal_system')
),
-- The left side of a join is held in memory: the few addresses, and not a night's rows.
by_machines AS (
    SELECT m.*
    FROM suspects s
    JOIN machines m ON m.ip = s.ip
),
counted AS (
    SELECT
        *,
        count(DISTINCT org) OVER last_48h AS orgs,
        count(DISTINCT CASE WHEN is_hit THEN org END) OVER last_48h AS orgs_hit,
        count(DISTINCT org) OVER that_day AS orgs_today,
        count(DISTINCT CASE WHEN is_hit THEN org END) OVER that_day AS orgs_hit_today,
        min(occurred_at) OVER org_48h AS org_since,
        min(CASE WHEN is_hit THEN occurred_at END) OVER org_48h AS org_hit_since
    FROM by_machines
    WINDOW
        last_48h AS (PARTITION BY ip ORDER BY occurred_at RANGE BETWEEN INTERVAL '48 hours' PRECEDING AND CURRENT ROW),
        that_day AS (PARTITION BY ip, day ORDER BY occurred_at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
        org_48h AS (PARTITION BY ip, org ORDER BY occurred_at RANGE BETWEEN INTERVAL '48 hours' PRECEDING AND CURRENT ROW)
),
-- Moments at which another org joined, or which are a day's own.
days AS (
    SELECT
        ip, day,
        min(occurred_at) AS from_at,
        max(orgs_hit) AS orgs_hit
    FROM counted
    WHERE occurred_at >= $window_start
      AND ((orgs >= $least_orgs AND (org_since = occurred_at OR orgs_today >= $least_orgs))
           OR (is_hit AND orgs_hit >= $least_orgs AND (org_hit_since = occurred_at OR orgs_hit_today >= $least_orgs)))
    GROUP BY ip, day
),
by_day AS (
    SELECT
        d.ip, d.day, max(d.orgs_hit) AS orgs_hit,
        min(m.occurred_at) AS first_at, min(m.occurred_at) FILTER (WHERE m.day = d.day) AS first_of_day, max(m.occurred_at) AS last_at,
        count(*) AS events, count(*) FILTER (WHERE m.is_hit) AS hits,
        count(*) FILTER (WHERE m.deed = 'login') AS logins, count(*) FILTER (WHERE m.deed = 'call') AS calls,
        count(*) FILTER (WHERE m.deed = 'near miss') AS near_misses, count(*) FILTER (WHERE m.deed = 'refusal') AS refusals,
        bool_and(m.role_source = 'inferred') AS all_inferred,
        array_agg(DISTINCT m.org ORDER BY m.org) AS orgs,
        array_agg(DISTINCT m.org ORDER BY m.org) FILTER (WHERE m.is_hit) AS orgs_in,
        array_slice(array_agg(DISTINCT coalesce(printable(m.username), m.user_key) ORDER BY coalesce(printable(m.username), m.user_key)), 1, 20) AS users,
        array_slice(array_agg(DISTINCT printable(m.app) ORDER BY printable(m.app)) FILTER (WHERE m.app IS NOT NULL AND m.app <> ''), 1, 20) AS apps,
        array_slice(array_agg(DISTINCT printable(m.client) ORDER BY printable(m.client)) FILTER (WHERE m.client IS NOT NULL AND m.client <> ''), 1, 5) AS clients,
        array_slice(array_agg(m.proof ORDER BY m.is_hit DESC, m.occurred_at, m.proof), 1, 20) AS proof
    FROM days d
    JOIN by_machines m
      ON m.ip = d.ip AND m.occurred_at >= d.from_at - INTERVAL '48 hours' AND m.day <= d.day
    GROUP BY d.ip, d.day
)
SELECT
    first_of_day AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key, CAST(NULL AS VARCHAR) AS user_id, CAST(NULL AS VARCHAR) AS username,
    ['low', 'medium', 'high'][greatest(1,
        CASE WHEN orgs_hit >= $least_orgs THEN 3 WHEN orgs_hit > 0 THEN 2 ELSE 1 END
        - CASE WHEN all_inferred THEN 1 ELSE 0 END)] AS severity,
    events AS event_count,
    last_at,
    'An address that is declared for nobody is at work in one org at most' AS expected,
    ip || ' in ' || array_length(orgs) || ' orgs (' || array_to_string(array_slice(orgs, 1, 5), ', ') || ') since '
        || to_char(first_at, '%Y-%m-%d %H:%M') || ' UTC: '
        || array_to_string([
            CASE WHEN logins > 0 THEN 'logins: ' || logins END,
            CASE WHEN calls > 0 THEN 'API calls: ' || calls END,
            CASE WHEN near_misses > 0 THEN 'stopped with a good credential: ' || near_misses END,
            CASE WHEN refusals > 0 THEN 'refused: ' || refusals END], ', ')
        || ', as ' || array_to_string(array_slice(users, 1, 5), ', ')
        || coalesce(' by ' || array_to_string(array_slice(apps, 1, 3), ', '), '') AS observed,
    ip, orgs, orgs_in, users, apps, clients,
    logins, calls, near_misses, refusals, first_at AS since,
    proof
FROM by_day
ORDER BY occurred_at, ip
