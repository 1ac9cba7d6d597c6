/*
id = "transport-or-mtls-refused"
title = "Login over an insecure channel, or mutual TLS failed"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S0.19", "S1.4", "S1.9"]
attack = ["T1040", "T1078.004"]
description = """
A login that came without TLS, without the client certificate, or with a signature that does not fit was \
refused; or a site answered an API request that was not encrypted. What travelled in the clear may have been \
read. For a user whose certificate the registry demands (mtls = true), such a row means that somebody holds \
the credential and not the certificate: high, unless it comes from a declared address, where an expired \
certificate is the likely cause. An address that cannot be judged is not taken for a declared one. Many \
failures from one declared address with one client are tagged 'operational: certificate' and stay medium."""
false_positives = [
  "An expired or exchanged certificate: many failures from the declared address with one client, tagged 'operational: certificate'",
  "A test of the mutual TLS set-up: from a declared address, with a ticket",
]
response = [
  "Tagged operational: renew the certificate or the key, and upload it to the org and to the connected app",
  "Foreign address: rotate the credential at once; the certificate is all that kept the caller out",
  "Insecure channel: find the client, change its URL to https, and change the password that it sent",
  "Site: require secure connections (HTTPS) in the site's or domain's settings",
]
references = [
  "https://attack.mitre.org/techniques/T1040/",
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["Login | LoginHistory", "Sites?"]
dedupe = ["user_key", "ip"]
bucket = "day"

[params.operational_min]
type = "int"
default = 10
meaning = "failures in a day from one declared address with one client from which an expired certificate is the likely cause"
*/
WITH refused AS (
    SELECT
        l.occurred_at, l.day, l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        l.ip, l.ip_kind,
        -- LOGIN_STATUS and the texts of LoginHistory, without case, a leading "Failed:" and a full stop at the end.
        trim(regexp_replace(rtrim(lower(trim(l.status)), '.'), '^failed:', '')) AS status_key,
        l.app, l.ua_family, l.browser, l.tls_protocol, l.file_id, l.line_no
    FROM logins l
    WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end
      AND l.outcome <> 'success'
),
faults AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip, ip_kind,
        CASE
            WHEN status_key IN ('login_error_insecure_login', 'login over insecure channel') THEN 'insecure channel'
            WHEN status_key IN ('login_error_mutual_authentication', 'mutual authentication failed')
                THEN 'mutual TLS failed'
            WHEN status_key IN ('login_oauth_invalid_dsig', 'signature invalid') THEN 'signature invalid'
        END AS fault,
        app, ua_family, browser, tls_protocol, file_id, line_no
    FROM refused
    UNION ALL
    -- Only what the row says itself: an empty IS_SECURE is no insecure request.
    SELECT
        s.occurred_at, s.day, s.user_id AS user_key, s.user_id,
        coalesce(r.username, known_username(s.user_id)) AS username,
        coalesce(
            r.role,
            CASE
                WHEN s.is_guest THEN 'guest'
                ELSE inferred_role(s.user_type, known_username(s.user_id), s.user_id, s.occurred_at)
            END) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        r.system, r.owner, s.ip, s.ip_kind,
        'insecure site API call' AS fault,
        NULL AS app, NULL AS ua_family, NULL AS browser, NULL AS tls_protocol, s.file_id, s.line_no
    FROM elf_sites s
    LEFT JOIN registry_users r
      ON r.user_key = s.user_id AND s.occurred_at >= r.valid_from AND s.occurred_at < r.valid_to
    WHERE s.occurred_at >= $window_start AND s.occurred_at < $window_end
      AND s.is_api AND NOT s.is_secure
),
judged AS (
    SELECT
        f.*,
        coalesce(r.mtls, false) AS mtls,
        -- What is no address cannot lie in a declared network, so it stands for one that lies in none.
        CASE
            WHEN f.ip_kind = 'salesforce' AND r.allow_salesforce_ip THEN true
            ELSE in_networks(
                f.user_key, CASE WHEN f.ip_kind IN ('public', 'private') THEN f.ip ELSE '0.0.0.0' END, f.occurred_at)
        END AS ip_allowed
    FROM faults f
    LEFT JOIN registry_users r
      ON r.user_key = f.user_key AND f.occurred_at >= r.valid_from AND f.occurred_at < r.valid_to
    WHERE f.fault IS NOT NULL
),
by_day AS (
    SELECT
        user_key, ip, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS attempts,
        array_agg(DISTINCT fault ORDER BY fault) AS faults,
        bool_or(mtls) AS mtls,
        bool_and(coalesce(ip_allowed, false)) AS inside_networks,
        coalesce(bool_or(NOT ip_allowed), false) AS outside_networks,
        bool_and(fault IN ('mutual TLS failed', 'signature invalid')) AS by_certificate,
        count(DISTINCT coalesce(browser, '')) AS clients,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT printable(tls_protocol) ORDER BY printable(tls_protocol))
            FILTER (WHERE tls_protocol IS NOT NULL AND tls_protocol <> '') AS tls_protocols,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM judged
    GROUP BY user_key, ip, day
),
tagged AS (
    SELECT
        *,
        CASE
            WHEN inside_networks AND by_certificate AND clients = 1 AND attempts >= $operational_min
                THEN 'operational: certificate'
            ELSE 'none'
        END AS tag
    FROM by_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN mtls AND NOT inside_networks THEN 'high' ELSE 'medium' END AS severity,
    attempts AS event_count,
    last_at,
    CASE
        WHEN mtls THEN 'Every login over TLS, with the client certificate that the registry demands for this user'
        ELSE 'Every login and API request over TLS, with a certificate or signature that fits'
    END AS expected,
    array_to_string(faults, ', ') || ': ' || attempts || CASE WHEN attempts = 1 THEN ' time' ELSE ' times' END
        || ' from ' || coalesce(ip, 'no usable address')
        || CASE
               WHEN inside_networks THEN ', one of its declared networks'
               WHEN outside_networks THEN ', which is not in its declared networks'
               ELSE ''
           END
        || CASE
               WHEN tag <> 'none' THEN ', all with one client: probably an expired certificate'
               WHEN mtls AND NOT inside_networks THEN '. The caller holds the credential and not the certificate'
               ELSE ''
           END AS observed,
    role, role_source, system, owner,
    faults, ip,
    CASE WHEN inside_networks THEN true WHEN outside_networks THEN false END AS ip_allowed,
    mtls, tag, clients, ua_families, apps, tls_protocols,
    proof
FROM tagged
ORDER BY occurred_at, user_key, ip
