/*
id = "integration-unexpected-ip-login"
title = "Integration user logged in from an address outside its approved ranges"
family = "misuse"
severity = "critical"
status = "active"
version = 1
control = ["S0.15", "S0.16", "S1.6"]
attack = ["T1078.004", "T1090.003"]
description = """
The calling system of an integration is known, and so are its addresses. Declared mode: the registry names \
the user's networks, and a login from any other address is a finding. Learned mode, for users without \
declared networks: the network (/24, /48; for the catalogue's ASN, which no log tells) was not seen in the \
user's logins of the last 60 days. An address \
that cannot be judged (none, private, unreadable) is reported and never passed over. X-Forwarded-For is \
written by the caller: it is shown and never believed."""
false_positives = [
  "The system moved to another egress address: change its networks in the registry, with a ticket",
  "An integration platform with shared ranges: declare the published range and know that it is a weak control",
  "Calls between Salesforce orgs or AppExchange packages: set allow_salesforce_ip for the user",
]
response = [
  "Call the owner: has the system moved? No answer counts as no",
  "If not: freeze the user, revoke its tokens, rotate its credential, and look for API calls from the same address",
  "Restrict login addresses on the user's profile and on the connected app, so that the platform refuses next time",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1090/003/",
]
inputs = ["Login | LoginHistory"]
# A user's failed tries are a finding of their own: accepting that noise must not hide a success.
dedupe = ["user_key", "result"]
bucket = "day"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network counts as known in learned mode"

[params.min_covered_days]
type = "int"
default = 14
meaning = "earlier days with any login files before learned mode judges"

[params.min_logins]
type = "int"
default = 20
meaning = "earlier logins of the user before learned mode judges"

[params.prefix_v4]
type = "int"
default = 24
meaning = "size of an IPv4 network in learned mode"

[params.prefix_v6]
type = "int"
default = 48
meaning = "size of an IPv6 network in learned mode"
*/
WITH
-- Logins from a declared network are as they should be: nearly all are out here.
tries AS (
    SELECT
        *,
        CASE WHEN outcome IN ('success', 'challenge') THEN 'signed in' ELSE 'failed' END AS result,
        nearest_network(user_key, ip, occurred_at) AS nearest,
        CASE WHEN ip_kind = 'public' THEN network_of(ip, $prefix_v4, $prefix_v6) END AS network
    FROM (
        SELECT
            occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
            ip, coalesce(ip_kind, 'missing') AS ip_kind, country, app, login_path, outcome,
            -- NULL where the address is unusable or no network is declared and valid at that time.
            in_networks(user_key, ip, occurred_at) AS inside,
            forwarded_for_ip IS NOT NULL AND forwarded_for_ip <> '' AS forwarded_for_present,
            file_id, line_no
        FROM logins
        WHERE occurred_at >= $window_start AND occurred_at < $window_end
          AND role = 'integration'
    ) l
    WHERE inside IS NOT TRUE
),
-- Which tries can only be judged by what is normal for the user.
learners AS (
    SELECT DISTINCT user_key FROM tries WHERE inside IS NULL AND ip_kind = 'public'
),
past AS (
    SELECT l.user_key, l.day, network_of(l.ip, $prefix_v4, $prefix_v6) AS network, count(*) AS logins
    FROM logins l
    -- The user's whole past counts, also from before it was registered.
    JOIN learners u ON u.user_key = l.user_key
    WHERE l.occurred_at >= $window_start - $learn_period AND l.occurred_at < $window_end
      AND l.outcome = 'success' AND l.ip_kind = 'public'
    GROUP BY l.user_key, l.day, network_of(l.ip, $prefix_v4, $prefix_v6)
),
covered AS (
    SELECT d.day, count(*) AS covered_days
    FROM (SELECT DISTINCT day FROM tries) d
    JOIN (
        SELECT DISTINCT CAST(day AS DATE) AS day FROM parts WHERE event_type IN ('Login', 'LoginHistory')
    ) c ON c.day < d.day AND c.day >= d.day - CAST($learn_period AS INTERVAL)
    GROUP BY d.day
),
-- For each user, network and day that has to be judged: was the network known before that day, and
-- is the past long enough to say so? The day itself never teaches.
judged_days AS (
    SELECT
        t.user_key, t.network, t.day,
        coalesce(sum(p.logins), 0) AS earlier_logins,
        coalesce(sum(p.logins) FILTER (WHERE p.network = t.network), 0) AS earlier_from_network
    FROM (SELECT DISTINCT user_key, network, day FROM tries WHERE network IS NOT NULL AND inside IS NULL) t
    LEFT JOIN past p
      ON p.user_key = t.user_key AND p.day < t.day AND p.day >= t.day - CAST($learn_period AS INTERVAL)
    GROUP BY t.user_key, t.network, t.day
),
-- What the registry said of the user at the time of the login.
allowed_then AS (
    SELECT
        t.user_key, t.occurred_at,
        coalesce(bool_or(r.allow_salesforce_ip), false) AS salesforce_allowed,
        count(n.network) > 0 AS declared
    FROM (SELECT DISTINCT user_key, occurred_at FROM tries) t
    LEFT JOIN registry_users r
      ON r.user_key = t.user_key
     AND (r.valid_from IS NULL OR t.occurred_at >= r.valid_from)
     AND (r.valid_to IS NULL OR t.occurred_at < r.valid_to)
    LEFT JOIN registry_networks n
      ON n.user_key = t.user_key
     AND (n.valid_from IS NULL OR t.occurred_at >= n.valid_from)
     AND (n.valid_to IS NULL OR t.occurred_at < n.valid_to)
    GROUP BY t.user_key, t.occurred_at
),
judged AS (
    SELECT
        t.*,
        CASE
            WHEN t.inside IS TRUE THEN NULL
            WHEN t.ip_kind IN ('private', 'unparsed', 'missing') THEN 'ip_unusable'
            WHEN t.ip_kind = 'salesforce' AND NOT a.salesforce_allowed THEN 'salesforce_address'
            WHEN t.ip_kind = 'public' AND t.inside IS FALSE THEN 'outside_declared'
            WHEN t.ip_kind = 'public' AND c.covered_days >= $min_covered_days
                 AND j.earlier_logins >= $min_logins AND j.earlier_from_network = 0 THEN 'network_never_seen'
        END AS reason,
        a.declared
    FROM tries t
    LEFT JOIN judged_days j ON j.user_key = t.user_key AND j.network = t.network AND j.day = t.day
    LEFT JOIN covered c ON c.day = t.day
    JOIN allowed_then a ON a.user_key = t.user_key AND a.occurred_at = t.occurred_at
),
levelled AS (
    SELECT
        *,
        -- 1 low, 2 medium, 3 high, 4 critical
        CASE
            WHEN result = 'failed' THEN 1
            WHEN reason = 'ip_unusable' THEN 2
            WHEN outcome = 'success' AND declared AND reason <> 'network_never_seen' THEN 4
            ELSE 3
        END AS level
    FROM judged
    WHERE reason IS NOT NULL
),
by_day AS (
    SELECT
        user_key, day, result,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        max(level) AS level,
        bool_or(declared) AS declared,
        array_agg(DISTINCT reason ORDER BY reason) AS reasons,
        bool_or(reason = 'ip_unusable') AS unusable,
        bool_or(reason = 'salesforce_address') AS by_salesforce,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        count(DISTINCT ip) AS distinct_ips,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE country IS NOT NULL) AS countries,
        array_agg(DISTINCT nearest ORDER BY nearest) FILTER (WHERE nearest IS NOT NULL) AS nearest_networks,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT login_path ORDER BY login_path) FILTER (WHERE login_path IS NOT NULL) AS login_paths,
        bool_or(forwarded_for_present) AS forwarded_for_present,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM levelled
    GROUP BY user_key, day, result
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        greatest(1, level - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    logins AS event_count,
    last_at,
    CASE
        WHEN declared THEN 'Logins only from the networks that the registry declares for this user'
            || coalesce(' (nearest: ' || array_to_string(array_slice(nearest_networks, 1, 3), ', ') || ')', '')
        ELSE 'Logins from the networks that this user came from before'
    END AS expected,
    logins
        || CASE result
               WHEN 'failed' THEN CASE WHEN logins = 1 THEN ' failed login' ELSE ' failed logins' END
               ELSE CASE WHEN logins = 1 THEN ' login' ELSE ' logins' END
           END
        || ' from '
        || CASE
               WHEN distinct_ips > 0 THEN array_to_string(array_slice(ips, 1, 5), ', ')
                    || CASE WHEN distinct_ips > 5 THEN ' and ' || (distinct_ips - 5) || ' more' ELSE '' END
               WHEN by_salesforce THEN 'an address inside Salesforce'
               ELSE 'no usable address'
           END
        || coalesce(' (' || array_to_string(array_slice(countries, 1, 5), ', ') || ')', '')
        || coalesce(' by ' || array_to_string(login_paths, ', '), '')
        || CASE WHEN unusable THEN '; the address of at least one cannot be judged' ELSE '' END
        || CASE WHEN forwarded_for_present THEN '; X-Forwarded-For was sent and is not believed' ELSE '' END
        AS observed,
    role, role_source, system, owner,
    result,
    CASE WHEN declared THEN 'declared' ELSE 'learned' END AS mode,
    reasons, ips, countries, nearest_networks, apps, login_paths, forwarded_for_present,
    proof
FROM by_day
ORDER BY occurred_at, user_key, result
