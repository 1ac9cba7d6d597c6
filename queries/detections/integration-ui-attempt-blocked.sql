/*
id = "integration-ui-attempt-blocked"
title = "UI sign-in with an integration user was stopped by API-only"
family = "misuse"
severity = "medium"
status = "active"
version = 1
control = ["S0.17", "S4.9"]
attack = ["T1078.004", "T1110"]
description = """
The platform refused a UI login because the user may only use the API. It normally says so after the \
credential was accepted: this is our inference, but take the password as known to the caller. Users that \
are in no registry are included, because the platform itself says that they are API-only."""
false_positives = [
  "A developer who tries the login page: suppress by user and network, with an end",
  "An uptime probe of the login page: register it as a system of its own",
]
response = [
  "Rotate the credential: treat the password as known",
  "Ask the owner who tried; look for other users tried from the same address",
  "Check API logins and API calls of the user from the same address in the days before",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key"]
bucket = "day"

[params.repeat_threshold]
type = "int"
default = 3
meaning = "attempts within 24 hours from which it is more than a slip"

[params.address_threshold]
type = "int"
default = 2
meaning = "different addresses within 24 hours from which it is more than one person's slip"
*/
WITH attempts AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        ip, ua_family, in_networks(user_key, ip, occurred_at) AS ip_allowed,
        file_id || ':' || line_no AS proof,
        -- Counted over 24 hours and not over the day: midnight must not halve a series.
        count(*) OVER last_24h AS attempts_24h,
        count(DISTINCT ip) OVER last_24h AS ips_24h
    FROM logins
    WHERE occurred_at >= $window_start - INTERVAL '24 hours' AND occurred_at < $window_end
      AND outcome <> 'success'
      -- The code in EventLogFile, the sentence in LoginHistory.
      AND (upper(status) LIKE '%USER\_API\_ONLY%'
           OR regexp_like(status, 'api[- ]only user', 'i'))
      AND (role IN ('integration', 'internal_system')
           OR (role_source = 'inferred' AND role <> 'guest'))
    WINDOW last_24h AS (
        PARTITION BY user_key ORDER BY occurred_at
        RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW)
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        count(*) AS attempts, max(attempts_24h) AS attempts_24h, max(ips_24h) AS ips_24h,
        bool_or(ip_allowed) AS any_ip_allowed,
        coalesce(bool_or(NOT ip_allowed), false) AS outside_networks,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(proof ORDER BY occurred_at, proof), 1, 20) AS proof
    FROM attempts
    WHERE occurred_at >= $window_start
    GROUP BY user_key, day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account in no registry counts one level lower.
    ['low', 'medium', 'high'][
        CASE
            WHEN outside_networks OR attempts_24h >= $repeat_threshold OR ips_24h >= $address_threshold THEN 3
            ELSE 2
        END
        - CASE WHEN role_source = 'inferred' AND role <> 'internal_system' THEN 1 ELSE 0 END
    ] AS severity,
    attempts AS event_count,
    last_at,
    'No attempt to sign in through the user interface: the user is API-only' AS expected,
    attempts || CASE WHEN attempts = 1 THEN ' UI login' ELSE ' UI logins' END
        || ' refused because the user is API-only, from '
        || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE WHEN outside_networks THEN ', outside its declared networks' ELSE '' END
        || CASE
               WHEN attempts_24h > attempts THEN '; within 24 hours: ' || attempts_24h
               ELSE ''
           END
        || '. The refusal normally comes after the password was accepted: rotate the credential' AS observed,
    role, role_source, system, owner,
    attempts_24h, ips_24h, ips,
    CASE WHEN outside_networks THEN false ELSE any_ip_allowed END AS ip_allowed,
    ua_families,
    'rotate the credential' AS next_action,
    proof
FROM by_day
ORDER BY occurred_at, user_key
