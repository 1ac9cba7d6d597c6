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
Own are the declared networks; for users without any, networks that the user signed in from on earlier days. \
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
inputs = ["Login | LoginHistory"]
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

[params.steady]
type = "float"
default = 0.2
meaning = "how much the gaps between refusals may vary (median deviation by median) for a job's steady beat"
*/
WITH
refusals AS (
    SELECT
        l.occurred_at, l.day, arrow_cast(l.day, 'Timestamp(Millisecond, Some("UTC"))') AS midnight,
        l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        l.ip, l.ip_kind, l.app, l.browser, l.ua_family, l.login_path,
        l.file_id || ':' || l.line_no AS proof,
        CASE WHEN l.role IN ('integration', 'internal_system', 'ci') THEN $machine_failures ELSE $human_failures END AS threshold
    FROM logins l
    -- Half an hour for the count, and half an hour before that to know whether it was told the day before.
    WHERE l.occurred_at >= $window_start - INTERVAL '60 minutes' AND l.occurred_at < $window_end
      AND l.fail_class = 'bad_credential'
      AND l.user_key IS NOT NULL
),
counted AS (
    SELECT
        *,
        count(*) OVER half_hour AS in_half_hour,
        min(occurred_at) OVER half_hour AS since
    FROM refusals
    WINDOW half_hour AS (
        PARTITION BY user_key ORDER BY occurred_at
        RANGE BETWEEN INTERVAL '30 minutes' PRECEDING AND CURRENT ROW)
),
-- Refusals at which the threshold stands, and when it was first reached in the half hour before.
reached AS (
    SELECT
        *,
        min(CASE WHEN in_half_hour >= threshold THEN occurred_at END) OVER (
            PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '30 minutes' PRECEDING AND CURRENT ROW) AS first_reached
    FROM counted
),
bursts AS (
    SELECT user_key, day, min(since) AS from_at, max(occurred_at) AS to_at
    FROM reached
    WHERE occurred_at >= $window_start AND in_half_hour >= threshold
      -- What the day before has told is told again only as far as it is this day's alone.
      AND (first_reached >= midnight OR occurred_at >= midnight + INTERVAL '30 minutes')
    GROUP BY user_key, day
),
attacked AS (
    SELECT DISTINCT user_key FROM counted WHERE in_half_hour >= threshold
),
-- Logins of the attacked users, and when their last refusals above the threshold were.
timeline AS (
    SELECT
        *,
        max(over_at) OVER (
            PARTITION BY user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '30 minutes' PRECEDING AND CURRENT ROW) AS attack_at,
        max(refused_at) OVER (
            PARTITION BY user_key, place ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) IS NOT NULL AS place_refused
    FROM (
        SELECT
            user_key, occurred_at, day, ip, ip_kind,
            coalesce(CASE WHEN ip_kind = 'public' THEN network_of(ip) ELSE ip END, ip_kind, 'missing') AS place,
            CASE WHEN in_half_hour >= threshold THEN occurred_at END AS over_at,
            occurred_at AS refused_at, false AS is_login, NULL AS country, proof
        FROM counted
        UNION ALL
        SELECT
            l.user_key, l.occurred_at, l.day, l.ip, l.ip_kind,
            coalesce(CASE WHEN l.ip_kind = 'public' THEN network_of(l.ip) ELSE l.ip END, l.ip_kind, 'missing') AS place,
            NULL AS over_at, NULL AS refused_at, true AS is_login, l.country, l.file_id || ':' || l.line_no AS proof
        FROM logins l
        JOIN attacked a ON a.user_key = l.user_key
        WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end AND l.outcome = 'success'
    ) both
),
logins_after AS (
    SELECT * FROM timeline WHERE is_login AND attack_at IS NOT NULL
),
spans AS (
    SELECT user_key, day, min(from_at) AS from_at, max(to_at) AS to_at, bool_or(is_burst) AS is_burst
    FROM (
        SELECT user_key, day, from_at, to_at, true AS is_burst FROM bursts
        UNION ALL
        SELECT user_key, day, attack_at - INTERVAL '30 minutes' AS from_at, attack_at AS to_at, false AS is_burst
        FROM logins_after
    ) each_span
    GROUP BY user_key, day
),
-- Networks that the user signed in from on earlier days.
known AS (
    SELECT DISTINCT s.user_key, s.day, network_of(l.ip) AS network
    FROM spans s
    JOIN logins l ON l.user_key = s.user_key AND l.day < s.day
    WHERE l.occurred_at >= $window_start - INTERVAL '2 days' AND l.occurred_at < $window_end
      AND l.outcome = 'success' AND l.ip_kind = 'public'
),
with_past AS (
    SELECT DISTINCT user_key, day FROM known
),
-- Each refusal of a span, and whether it came from one of the user's own addresses.
of_span AS (
    SELECT
        s.day AS span_day, s.is_burst, c.*,
        CASE
            WHEN c.ip_kind = 'salesforce' THEN coalesce(r.allow_salesforce_ip, false)
            ELSE coalesce(in_networks(c.user_key, c.ip, c.occurred_at), k.network IS NOT NULL)
        END AS is_own,
        date_part('epoch', c.occurred_at) - date_part('epoch', lag(c.occurred_at) OVER (
            PARTITION BY c.user_key, s.day ORDER BY c.occurred_at, c.proof)) AS gap
    FROM spans s
    JOIN counted c ON c.user_key = s.user_key AND c.occurred_at >= s.from_at AND c.occurred_at <= s.to_at
    LEFT JOIN known k ON k.user_key = s.user_key AND k.day = s.day AND k.network = network_of(c.ip)
    LEFT JOIN registry_users r
      ON r.user_key = c.user_key AND c.occurred_at >= r.valid_from AND c.occurred_at < r.valid_to
),
beats AS (
    SELECT user_key, span_day, median(gap) AS usual_gap
    FROM of_span
    GROUP BY user_key, span_day
),
attacks AS (
    SELECT
        o.user_key, o.span_day AS day,
        bool_or(o.is_burst) AS is_burst,
        max(o.user_id) AS user_id, max(o.username) AS username,
        max(o.role) AS role, max(o.role_source) AS role_source, max(o.system) AS system, max(o.owner) AS owner,
        min(o.occurred_at) AS first_refusal_at, max(o.occurred_at) AS last_refusal_at,
        min(o.occurred_at) FILTER (WHERE o.day = o.span_day) AS first_of_day,
        count(*) AS refusals, max(o.in_half_hour) AS most_in_half_hour, max(o.threshold) AS threshold,
        bool_and(o.is_own) AS all_own,
        count(DISTINCT coalesce(o.browser, '')) AS clients, count(DISTINCT o.app) AS app_count,
        CASE WHEN max(b.usual_gap) > 0 THEN median(abs(o.gap - b.usual_gap)) / max(b.usual_gap) END AS gap_variation,
        max(b.usual_gap) AS usual_gap,
        count(DISTINCT o.ip) AS address_count,
        array_agg(DISTINCT o.ip ORDER BY o.ip) FILTER (WHERE o.ip IS NOT NULL) AS ips,
        array_agg(DISTINCT printable(o.app) ORDER BY printable(o.app)) FILTER (WHERE o.app IS NOT NULL AND o.app <> '') AS apps,
        array_agg(DISTINCT o.ua_family ORDER BY o.ua_family) FILTER (WHERE o.ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT o.login_path ORDER BY o.login_path) FILTER (WHERE o.login_path IS NOT NULL) AS login_paths,
        array_slice(array_agg(o.proof ORDER BY o.occurred_at, o.proof), 1, 18) AS proof
    FROM of_span o
    JOIN beats b ON b.user_key = o.user_key AND b.span_day = o.span_day
    GROUP BY o.user_key, o.span_day
),
-- Logins after the refusals that are not the user's own.
break_ins AS (
    SELECT
        l.user_key, l.day, min(l.occurred_at) AS success_at, max(l.occurred_at) AS last_success_at, count(*) AS successes,
        array_agg(DISTINCT l.ip ORDER BY l.ip) FILTER (WHERE l.ip IS NOT NULL) AS success_ips,
        array_agg(DISTINCT l.country ORDER BY l.country) FILTER (WHERE l.country IS NOT NULL) AS success_countries,
        array_slice(array_agg(l.proof ORDER BY l.occurred_at, l.proof), 1, 2) AS proof
    FROM logins_after l
    LEFT JOIN known k ON k.user_key = l.user_key AND k.day = l.day AND k.network = l.place
    LEFT JOIN with_past p ON p.user_key = l.user_key AND p.day = l.day
    LEFT JOIN registry_users r
      ON r.user_key = l.user_key AND l.occurred_at >= r.valid_from AND l.occurred_at < r.valid_to
    WHERE CASE
        WHEN l.ip_kind = 'salesforce' AND r.allow_salesforce_ip THEN false
        -- An address that cannot be judged is never taken for the user's own.
        WHEN coalesce(l.ip_kind, 'missing') <> 'public' THEN in_networks(l.user_key, l.ip, l.occurred_at) IS NOT TRUE
        WHEN in_networks(l.user_key, l.ip, l.occurred_at) IS NOT NULL THEN NOT in_networks(l.user_key, l.ip, l.occurred_at)
        WHEN k.network IS NOT NULL THEN false
        -- Without a past nothing is new: then only a place that had been refused counts.
        ELSE l.place_refused OR p.user_key IS NOT NULL
      END
    GROUP BY l.user_key, l.day
),
judged AS (
    SELECT
        a.*, b.success_at, b.last_success_at, b.successes, b.success_ips, b.success_countries, b.proof AS success_proof,
        CASE
            WHEN b.success_at IS NOT NULL OR NOT a.all_own THEN 'none'
            WHEN a.clients = 1 AND a.app_count <= 1 AND a.gap_variation <= $steady THEN 'credential rot'
            ELSE 'own addresses'
        END AS tag
    FROM attacks a
    LEFT JOIN break_ins b ON b.user_key = a.user_key AND b.day = a.day
    WHERE a.is_burst OR b.success_at IS NOT NULL
)
SELECT
    least(coalesce(first_of_day, success_at), coalesce(success_at, first_of_day)) AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        greatest(1,
            CASE WHEN success_at IS NOT NULL THEN 4 WHEN tag = 'credential rot' THEN 1 ELSE 2 END
            - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END)
    ] AS severity,
    refusals AS event_count,
    greatest(last_refusal_at, coalesce(last_success_at, last_refusal_at)) AS last_at,
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
    CASE WHEN success_proof IS NULL THEN proof ELSE array_concat(success_proof, proof) END AS proof
FROM judged
ORDER BY occurred_at, user_key, tag
