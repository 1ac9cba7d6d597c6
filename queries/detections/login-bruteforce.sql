/*
id = "login-bruteforce"
title = "Many bad passwords for one user"
family = "attack"
severity = "critical"
status = "active"
version = 1
control = ["S4.9"]
attack = ["T1110.001"]
description = """
Somebody tries passwords against one account: as many refusals of the password within half an hour as no careful \
caller produces, at any time and over any files (a window that slides on event time). Critical when a login follows \
within half an hour from an address that is not the user's own: the password was found. Medium without that. Low, \
tagged 'credential rot', when all refusals come from the user's own addresses, by one client and app, at a steady beat: \
a job that kept its old password. A finding belongs to the day on which the threshold is reached; a burst over midnight \
is told once, the next day tells it again only if it goes on for more than half an hour there, and a login that \
follows is told on its own day. \
Own are the declared networks; for users without any, networks that the user came from on earlier days. \
Where this leaves the catalogue: a login that follows from one of the user's own addresses is not critical, even if that \
address had produced refusals; people who forget and jobs that are repaired do exactly this, every week. Refusals \
that name no user cannot be counted by user: password-spray and credential-stuffing count them by their source."""
false_positives = [
  "A person who forgot the password: medium, and from the usual address",
  "A mobile client or a job with an old password: tagged 'credential rot' when it is steady",
  "A password that was changed in all nodes of a system but one",
]
response = [
  "Critical: freeze the user, end its sessions, change the password, and go through all calls since the login",
  "Medium: ask the owner; look for the same addresses against other users (password-spray)",
  "Tagged 'credential rot': give the job its new password before the account is locked",
  "Integration: move it from a password to the JWT bearer flow, and restrict its login addresses",
]
references = [
  "https://attack.mitre.org/techniques/T1110/001/",
]
inputs = ["Login | LoginHistory", "sightings?"]
# To accept a job's noise must not hide an attack on the same user.
dedupe = ["user_key", "tag"]
bucket = "day"

[params.human_failures]
type = "int"
default = 10
meaning = "refused passwords within half an hour from which a person's account is under attack"

[params.machine_failures]
type = "int"
default = 5
meaning = "the same for integration, internal system and ci users, which make no typing errors"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network counts as known for users without declared ones"

[params.steady]
type = "float"
default = 0.2
meaning = "how much the gaps between refusals may vary (median deviation by median) for a job's steady beat"
*/
WITH
-- Half an hour for the count, and half an hour before that to know what was told the day before.
attempts AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        ip, coalesce(ip_kind, 'missing') AS ip_kind, CASE WHEN ip_kind = 'public' THEN network_of(ip) END AS network,
        country, app, browser, ua_family, login_path,
        outcome = 'success' AS is_login,
        file_id || ':' || line_no AS proof
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '60 minutes' AND occurred_at < $window_end
      AND (fail_class = 'bad_credential' OR outcome = 'success')
      AND user_key IS NOT NULL
),
suspects AS (
    SELECT user_key
    FROM attempts
    WHERE NOT is_login
    GROUP BY user_key
    HAVING count(*) >= least($machine_failures, $human_failures)
),
-- Networks that they came from before, and since when.
networks_of_user AS (
    SELECT h.user_key, h.value AS network, min(h.day) AS first_day
    FROM sightings h
    JOIN suspects s ON s.user_key = h.user_key
    WHERE h.day >= CAST($window_start - $learn_period AS DATE) AND h.day < CAST($window_end AS DATE)
      AND h.kind = 'network'
    GROUP BY h.user_key, h.value
),
placed AS (
    SELECT
        a.*, arrow_cast(a.day, 'Timestamp(Millisecond, Some("UTC"))') AS midnight,
        CASE WHEN a.role IN ('integration', 'internal_system', 'ci') THEN $machine_failures ELSE $human_failures END AS threshold,
        -- An address that cannot be judged is never taken for the user's own, and the day itself never teaches.
        CASE
            WHEN a.ip_kind = 'salesforce' THEN coalesce(r.allow_salesforce_ip, false)
            ELSE coalesce(in_networks(a.user_key, a.ip, a.occurred_at), n.first_day < a.day, false)
        END AS is_own,
        -- Nothing is new to a user without declared networks and without a past.
        in_networks(a.user_key, a.ip, a.occurred_at) IS NOT NULL OR a.ip_kind <> 'public'
            OR coalesce(min(n.first_day) OVER (PARTITION BY a.user_key) < a.day, false) AS can_be_new
    FROM attempts a
    JOIN suspects s ON s.user_key = a.user_key
    LEFT JOIN networks_of_user n ON n.user_key = a.user_key AND n.network = a.network
    LEFT JOIN registry_users r
      ON r.user_key = a.user_key AND a.occurred_at >= r.valid_from AND a.occurred_at < r.valid_to
),
counted AS (
    SELECT
        *,
        count(CASE WHEN NOT is_login THEN 1 END) OVER (
            PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '30 minutes' PRECEDING AND CURRENT ROW) AS in_half_hour,
        count(CASE WHEN NOT is_login THEN 1 END) OVER (
            PARTITION BY user_key, coalesce(network, ip, ip_kind) ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) > 0 AS was_refused_there
    FROM placed
),
-- Since when the threshold stands.
reached AS (
    SELECT
        *,
        min(CASE WHEN NOT is_login AND in_half_hour >= threshold THEN occurred_at END) OVER (
            PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '30 minutes' PRECEDING AND CURRENT ROW) AS reached_at
    FROM counted
),
told AS (
    SELECT
        *,
        -- What the day before has told is told again only as far as it is this day's alone.
        CASE WHEN NOT is_login AND in_half_hour >= threshold
                  AND (reached_at >= midnight OR occurred_at >= midnight + INTERVAL '30 minutes') THEN day END AS burst_day,
        CASE WHEN is_login AND reached_at IS NOT NULL AND NOT is_own AND (can_be_new OR was_refused_there)
             THEN day END AS break_in_day
    FROM reached
),
-- The days that a refusal is told on: those whose threshold it helped to reach, and those of logins that followed.
of_days AS (
    SELECT
        *,
        unnest(CASE
            WHEN is_login THEN make_array(break_in_day)
            ELSE array_distinct(make_array(burst_first, burst_last, break_in_first, break_in_last))
        END) AS report_day
    FROM (
        SELECT
            *,
            min(burst_day) OVER half_hour AS burst_first, max(burst_day) OVER half_hour AS burst_last,
            min(break_in_day) OVER hour AS break_in_first, max(break_in_day) OVER hour AS break_in_last
        FROM told
        WINDOW
            half_hour AS (PARTITION BY user_key ORDER BY occurred_at RANGE BETWEEN CURRENT ROW AND INTERVAL '30 minutes' FOLLOWING),
            hour AS (PARTITION BY user_key ORDER BY occurred_at RANGE BETWEEN CURRENT ROW AND INTERVAL '60 minutes' FOLLOWING)
    ) ahead
),
beats AS (
    SELECT *, median(gap) OVER (PARTITION BY user_key, report_day) AS usual_gap
    FROM (
        SELECT
            *,
            CASE WHEN NOT is_login THEN date_part('epoch', occurred_at) - date_part('epoch', lag(occurred_at) OVER (
                PARTITION BY user_key, report_day, is_login ORDER BY occurred_at, proof)) END AS gap
        FROM of_days
        WHERE report_day IS NOT NULL
    ) gaps
),
attacks AS (
    SELECT
        user_key, report_day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) FILTER (WHERE NOT is_login) AS first_refusal_at,
        max(occurred_at) FILTER (WHERE NOT is_login) AS last_refusal_at,
        min(occurred_at) FILTER (WHERE day = report_day) AS first_of_day, max(occurred_at) AS last_at,
        count(*) FILTER (WHERE NOT is_login) AS refusals, max(in_half_hour) AS most_in_half_hour, max(threshold) AS threshold,
        bool_and(is_own) AS all_own,
        count(DISTINCT coalesce(browser, '')) FILTER (WHERE NOT is_login) AS clients,
        count(DISTINCT app) FILTER (WHERE NOT is_login) AS app_count,
        max(usual_gap) AS usual_gap,
        CASE WHEN max(usual_gap) > 0 THEN median(abs(gap - usual_gap)) / max(usual_gap) END AS gap_variation,
        count(DISTINCT ip) FILTER (WHERE NOT is_login) AS address_count,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE NOT is_login AND ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL AND app <> '') AS apps,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT login_path ORDER BY login_path) FILTER (WHERE login_path IS NOT NULL) AS login_paths,
        min(occurred_at) FILTER (WHERE is_login) AS success_at, count(*) FILTER (WHERE is_login) AS successes,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE is_login AND ip IS NOT NULL) AS success_ips,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE is_login AND country IS NOT NULL) AS success_countries,
        array_slice(array_agg(proof ORDER BY is_login DESC, occurred_at, proof), 1, 20) AS proof
    FROM beats
    WHERE report_day >= CAST($window_start AS DATE) AND report_day < CAST($window_end AS DATE)
    GROUP BY user_key, report_day
),
tagged AS (
    SELECT
        *,
        CASE
            WHEN NOT all_own THEN 'none'
            WHEN clients = 1 AND app_count <= 1 AND gap_variation <= $steady THEN 'credential rot'
            ELSE 'own addresses'
        END AS tag
    FROM attacks
)
SELECT
    first_of_day AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        greatest(1,
            CASE WHEN success_at IS NOT NULL THEN 4 WHEN tag = 'credential rot' THEN 1 ELSE 2 END
            - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    refusals AS event_count,
    last_at,
    'Fewer than ' || threshold || ' refused passwords within half an hour'
        || CASE WHEN role IN ('integration', 'internal_system', 'ci') THEN ': a machine makes no typing errors' ELSE '' END AS expected,
    refusals || ' refused passwords from ' || to_char(first_refusal_at, '%Y-%m-%d %H:%M') || ' to '
        || to_char(last_refusal_at, '%Y-%m-%d %H:%M') || ' UTC (' || most_in_half_hour || ' within half an hour), from '
        || CASE
               WHEN address_count = 0 THEN 'no usable address'
               ELSE array_to_string(array_slice(ips, 1, 5), ', ')
                    || CASE WHEN address_count > 5 THEN ' and ' || (address_count - 5) || ' more' ELSE '' END
           END
        || CASE WHEN all_own THEN ', own addresses of the user' ELSE '' END
        || CASE WHEN tag = 'credential rot' THEN '; one every ' || CAST(round(usual_gap) AS BIGINT)
                    || ' seconds by one client: probably a job with an old password' ELSE '' END
        || CASE
               WHEN success_at IS NULL THEN '; no login from elsewhere followed within half an hour'
               ELSE '; then a login at ' || to_char(success_at, '%Y-%m-%d %H:%M') || ' UTC from '
                    || coalesce(array_to_string(array_slice(success_ips, 1, 3), ', '), 'no usable address')
                    || coalesce(' (' || array_to_string(array_slice(success_countries, 1, 3), ', ') || ')', '')
                    || ', which is not the user''s own: the password was found'
           END AS observed,
    role, role_source, system, owner,
    tag, refusals, most_in_half_hour, first_refusal_at, last_refusal_at,
    all_own AS own_addresses_only, gap_variation,
    success_at, successes, success_ips,
    ips, address_count, apps, ua_families, login_paths,
    proof
FROM tagged
ORDER BY occurred_at, user_key, tag
