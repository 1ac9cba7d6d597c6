/*
id = "api-login-without-security-token"
title = "Password API login accepted without security token"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S0.11", "S0.15"]
attack = ["T1078.004"]
description = """
A password opened the API and no security token was sent (USE_API_TOKEN = P). Salesforce asks for the token \
unless the address lies in a trusted range of the org or the profile (our inference): from there a password \
that is in a sheet or a script is all it takes. High where the address is not one of the user's declared \
networks: then the trusted range is wider than the systems that need it, and somebody stands in it. An \
address that cannot be judged counts as not declared; where nothing is declared it stays medium. The level does \
not depend on the role, so an account that is only inferred to be an integration is not lower than a person. LoginHistory \
and older Login files do not tell the token: their logins are not judged."""
false_positives = [
  "A declared system in a trusted range: medium until it signs in by an OAuth flow without a password",
]
response = [
  "High: find out whose address it is; if nobody knows it, freeze the user and rotate the password",
  "Narrow the trusted ranges (Setup, Network Access) to the systems that need them",
  "Move the system to the JWT bearer or client credentials flow, then forbid password logins for the user",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://help.salesforce.com/s/articleView?id=sf.user_security_token.htm",
]
inputs = ["Login"]
dedupe = ["user_key"]
bucket = "day"
*/
WITH passwords_alone AS (
    SELECT
        l.occurred_at, l.day, l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        l.ip, l.country, l.app, l.login_path, l.ua_family,
        -- What is no address cannot lie in a declared network, so it stands for one that lies in none.
        CASE
            WHEN l.ip_kind = 'salesforce' AND r.allow_salesforce_ip THEN true
            ELSE in_networks(
                l.user_key, CASE WHEN l.ip_kind IN ('public', 'private') THEN l.ip ELSE '0.0.0.0' END, l.occurred_at)
        END AS in_registry,
        l.file_id, l.line_no
    FROM logins l
    LEFT JOIN registry_users r
      ON r.user_key = l.user_key AND l.occurred_at >= r.valid_from AND l.occurred_at < r.valid_to
    WHERE l.occurred_at >= $window_start AND l.occurred_at < $window_end
      AND l.outcome = 'success'
      AND l.login_path IN ('soap_login', 'oauth_username_password')
      AND upper(trim(l.use_api_token)) = 'P'
),
by_day AS (
    SELECT
        user_key, day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        count(*) FILTER (WHERE in_registry) = count(*) AS inside_networks,
        count(*) FILTER (WHERE NOT in_registry) > 0 AS outside_networks,
        count(*) FILTER (WHERE NOT in_registry) AS logins_outside,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL AND NOT in_registry) AS ips_outside,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE country IS NOT NULL) AS countries,
        array_agg(DISTINCT login_path ORDER BY login_path) AS login_paths,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM passwords_alone
    GROUP BY user_key, day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN outside_networks THEN 'high' ELSE 'medium' END AS severity,
    logins AS event_count,
    last_at,
    'No API login by password; where one is unavoidable, with the security token and from a declared network'
        AS expected,
    logins || CASE WHEN logins = 1 THEN ' API login' ELSE ' API logins' END || ' (' || array_to_string(login_paths, ', ')
        || ') by password without security token, from '
        || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE
               WHEN outside_networks THEN '; outside its declared networks: ' || logins_outside
                    || coalesce(' from ' || array_to_string(array_slice(ips_outside, 1, 5), ', '), '')
               WHEN inside_networks THEN ', all in its declared networks'
               ELSE '; no networks are declared for it'
           END
        || '. The address is trusted, so the password alone opens the API' AS observed,
    role, role_source, system, owner,
    CASE WHEN outside_networks THEN false WHEN inside_networks THEN true END AS in_registry,
    logins_outside, login_paths, ips, ips_outside, countries, apps, ua_families,
    proof
FROM by_day
ORDER BY occurred_at, user_key
