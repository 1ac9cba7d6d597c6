/*
id = "internal-user-has-credentials"
title = "Internal system user still has usable credentials"
family = "identity"
severity = "medium"
status = "active"
version = 1
control = ["S0.29", "S0.30"]
attack = ["T1078.004"]
description = """
An internal system user owns records and automation, and nobody signs in as it: it needs no password, no token and \
no address. Found is an active one that has a password (the roster tells when it was last changed), that has ever \
logged in, for which OAuth tokens exist, or whose profile does not restrict logins to 0.0.0.0 - 0.0.0.0, an address \
from which nobody comes. Tokens and login ranges are judged where the roster has those data sets; users of the \
platform itself are left out."""
false_positives = [
  "A new internal user whose first password was set with the account: reset it, and throw the link away",
]
response = [
  "Revoke its tokens, end its sessions, and set its profile's login range to 0.0.0.0 - 0.0.0.0",
  "It has logged in: find out who it was and what it was for before you close it",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["users", "oauth_tokens?", "login_ip_ranges?"]
dedupe = ["user_key"]
bucket = "none"
*/
WITH
internal AS (
    SELECT *
    FROM users
    WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
      AND role = 'internal_system' AND NOT is_platform_user AND coalesce(is_active, true)
),
tokens AS (
    SELECT t.user_key, count(*) AS tokens,
           array_agg(DISTINCT printable(t.app_name) ORDER BY printable(t.app_name)) FILTER (WHERE t.app_name IS NOT NULL) AS apps
    FROM oauth_tokens t
    JOIN internal i ON i.user_key = t.user_key
    WHERE CAST($now AS DATE) >= t.day AND CAST($now AS DATE) < t.next_day
    GROUP BY t.user_key
),
ranges AS (
    SELECT * FROM login_ip_ranges WHERE CAST($now AS DATE) >= day AND CAST($now AS DATE) < next_day
),
-- Closed: there are ranges, and none but the one from which nobody comes.
profiles AS (
    SELECT i.user_key,
           count(r.start_ip) > 0 AND bool_and(coalesce(r.start_ip = '0.0.0.0' AND r.end_ip = '0.0.0.0', true)) AS closed
    FROM internal i
    LEFT JOIN ranges r
      ON r.profile_id = i.profile_id OR (r.profile_id IS NULL AND lower(r.profile_name) = lower(i.profile_name))
    GROUP BY i.user_key
),
judged AS (
    SELECT
        i.*, coalesce(t.tokens, 0) AS tokens, t.apps,
        string_to_array(nullif(array_to_string([
            CASE WHEN i.last_password_change_at IS NOT NULL
                 THEN 'has a password (of ' || to_char(i.last_password_change_at, '%Y-%m-%d') || ')' END,
            CASE WHEN i.last_login_at IS NOT NULL THEN 'has logged in (last ' || to_char(i.last_login_at, '%Y-%m-%d') || ')' END,
            CASE WHEN coalesce(t.tokens, 0) > 0 THEN 'has OAuth tokens (' || t.tokens || ')' END,
            CASE WHEN k.ranges > 0 AND NOT coalesce(p.closed, false)
                 THEN 'its profile lets logins in from other addresses than 0.0.0.0' END
        ], '|'), ''), '|') AS reasons
    FROM internal i
    CROSS JOIN (SELECT count(*) AS ranges FROM ranges) k
    LEFT JOIN tokens t ON t.user_key = i.user_key
    LEFT JOIN profiles p ON p.user_key = i.user_key
)
SELECT
    CAST(day AS TIMESTAMPTZ) AS occurred_at,
    user_key, user_id, username,
    'medium' AS severity,
    array_length(reasons) AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    'No password, no token, and no address from which to log in' AS expected,
    'The account ' || array_to_string(reasons, '; ') AS observed,
    role, role_source, system, owner,
    reasons, tokens, apps, printable(profile_name) AS profile, last_password_change_at, last_login_at,
    [file_id || ':' || line_no] AS proof
FROM judged
WHERE array_length(reasons) > 0
ORDER BY occurred_at, user_key
