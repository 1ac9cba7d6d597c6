/*
id = "control-held-near-miss"
title = "A valid credential was stopped by one last control"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S0.16", "S0.17", "S0.18", "S0.19", "S4.9"]
attack = ["T1078.004", "T1621"]
description = """
The platform refused a sign-in although, by the order of its checks (our inference), the credential was good: \
an address range, permitted hours, a security token, a certificate, a country, a policy or a second factor \
held. Somebody holds the credential, and one setting is all that is left. High for a machine's user from an \
address that is not its own; critical when the same address gets in within days, because then the control \
was relaxed. A prompt for a second factor counts once the time to answer it is over. \
Where this leaves the catalogue: (1) a success from another country does not answer a prompt, or the \
user's own morning login would hide the thief; (2) a later success is critical only where it shows a \
relaxed control: from a declared address it is a repair, and a person without declared networks who waits \
for permitted hours, appends the token or answers the next prompt has met the control, not passed it by \
(a password login without any second factor is mfa-absent-password-login); \
(3) the finding of the refusal keeps its level, and the later success raises a critical one on its own day, \
so that a night gives the same result whenever it is judged."""
false_positives = [
  "The system's own scheduler outside its permitted hours: tagged 'operational: schedule', change hours or schedule",
  "A system that moved to another address before its profile range was changed: declare the network, with a ticket",
  "A person who travels, or gives up at the prompt for the second factor: ask; medium at most",
]
response = [
  "Rotate the credential: take it as known to whoever called from this address",
  "Critical: find who relaxed the control (Setup Audit Trail: login ranges, app policy, permissions), undo it, end the user's sessions",
  "Many prompts for a second factor: call the user, tell them to deny, reset the password",
  "Look for the same address against other users, and for successes of this user from other new addresses",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1621/",
]
inputs = ["Login | LoginHistory"]
# One credential may be held off by several controls, and each address is a lead of its own.
dedupe = ["user_key", "control", "ip"]
bucket = "day"

[params.challenge_wait]
type = "duration"
default = "15m"
meaning = "time to answer a prompt for a second factor before it counts as unanswered"

[params.escalate_period]
type = "duration"
default = "7d"
meaning = "how long after a refusal a success from the same address shows that the control was relaxed"
*/
WITH
-- LOGIN_STATUS and the texts of LoginHistory, without case, a leading "Failed:" and a full stop at the end.
controls AS (
    SELECT status_key, control, held_by, without_it, success_is_relaxed
    FROM (VALUES
        ('login_error_restricted_domain', 'login ranges', 'the login ranges of its profile', 'an unapproved address would be signed in', true),
        ('restricted ip', 'login ranges', 'the login ranges of its profile', 'an unapproved address would be signed in', true),
        ('login_oauth_invalid_ip', 'app ranges', 'the address ranges of the connected app', 'an unapproved address would hold an access token', true),
        ('ip address not allowed', 'app ranges', 'the address ranges of the connected app', 'an unapproved address would hold an access token', true),
        ('login_error_restricted_time', 'login hours', 'the permitted login hours', 'the caller would be signed in at a forbidden hour', false),
        ('restricted time', 'login hours', 'the permitted login hours', 'the caller would be signed in at a forbidden hour', false),
        ('login_error_must_use_api_token', 'security token', 'the missing security token', 'the password alone would open the API', false),
        ('api security token required', 'security token', 'the missing security token', 'the password alone would open the API', false),
        ('security token required', 'security token', 'the missing security token', 'the password alone would open the API', false),
        ('login_error_mutual_authentication', 'mutual TLS', 'the client certificate', 'the credential alone would open the API', false),
        ('mutual authentication failed', 'mutual TLS', 'the client certificate', 'the credential alone would open the API', false),
        ('login_error_export_restricted', 'country', 'the block of its country', 'the caller would be signed in from an embargoed country', true),
        ('restricted country', 'country', 'the block of its country', 'the caller would be signed in from an embargoed country', true),
        ('login_end_session_txn_security_policy', 'transaction policy', 'a transaction security policy', 'the caller would be signed in', false),
        ('login_oauth_api_disabled', 'API access', 'the missing API permission', 'the caller would hold an access token', true),
        ('oauth api access disabled', 'API access', 'the missing API permission', 'the caller would hold an access token', true)
    ) AS c (status_key, control, held_by, without_it, success_is_relaxed)
),
stopped_users AS (
    SELECT DISTINCT user_key
    FROM logins
    WHERE occurred_at >= $window_start - $escalate_period - $challenge_wait AND occurred_at < $window_end
      AND (fail_class = 'valid_credential_blocked' OR outcome = 'challenge')
),
tries AS (
    SELECT
        l.occurred_at, l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        -- What is no address cannot lie in a declared network, so it stands for one that lies in none.
        CASE
            WHEN l.ip_kind = 'salesforce' AND r.allow_salesforce_ip THEN true
            WHEN l.role = 'internal_system' AND l.role_source = 'registry' THEN false
            ELSE in_networks(
                l.user_key, CASE WHEN l.ip_kind IN ('public', 'private') THEN l.ip ELSE '0.0.0.0' END, l.occurred_at)
        END AS ip_allowed,
        l.ip, l.country, l.app, l.ua_family, l.login_path, l.use_api_token,
        l.outcome = 'success' AS is_success,
        l.outcome = 'challenge' AS is_challenge,
        trim(regexp_replace(rtrim(lower(trim(l.status)), '.'), '^failed:', '')) AS status_key,
        -- Refusals of a user and address up to its next success, and that success, make one run.
        sum(CASE WHEN l.outcome = 'success' THEN 1 ELSE 0 END) OVER (
            PARTITION BY l.user_key, l.ip
            ORDER BY l.occurred_at, CASE WHEN l.outcome = 'success' THEN 1 ELSE 0 END, l.file_id, l.line_no
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            - CASE WHEN l.outcome = 'success' THEN 1 ELSE 0 END AS run,
        l.file_id || ':' || l.line_no AS proof
    FROM logins l
    -- Only users who were stopped at all: most logins end here. A refusal may name no user.
    JOIN stopped_users u ON u.user_key IS NOT DISTINCT FROM l.user_key
    LEFT JOIN registry_users r
      ON r.user_key = l.user_key AND l.occurred_at >= r.valid_from AND l.occurred_at < r.valid_to
    WHERE l.occurred_at >= $window_start - $escalate_period - $challenge_wait AND l.occurred_at < $window_end
      AND (l.fail_class = 'valid_credential_blocked' OR l.outcome IN ('challenge', 'success'))
),
near_misses AS (
    SELECT
        s.*,
        CASE WHEN s.is_challenge THEN s.occurred_at + CAST($challenge_wait AS INTERVAL) ELSE s.occurred_at END AS held_at,
        CASE
            WHEN NOT s.is_challenge THEN coalesce(c.control, 'another control')
            WHEN s.status_key LIKE '%activation%' OR s.status_key LIKE 'login\_challenge%' THEN 'device activation'
            ELSE 'second factor'
        END AS control,
        CASE
            WHEN NOT s.is_challenge THEN coalesce(c.held_by, 'a control that follows the check of the credential')
            WHEN s.status_key LIKE '%activation%' OR s.status_key LIKE 'login\_challenge%' THEN 'the activation of its device'
            ELSE 'the second factor'
        END AS held_by,
        CASE
            WHEN s.is_challenge THEN 'the password alone would open the account'
            ELSE coalesce(c.without_it, 'the caller would be signed in')
        END AS without_it,
        coalesce(c.success_is_relaxed, false) AS success_is_relaxed
    FROM tries s
    LEFT JOIN controls c ON c.status_key = s.status_key
    WHERE NOT s.is_success
      AND NOT EXISTS (
          SELECT 1 FROM tries a
          WHERE a.is_success AND s.is_challenge
            AND a.user_key = s.user_key
            AND a.occurred_at >= s.occurred_at AND a.occurred_at <= s.occurred_at + CAST($challenge_wait AS INTERVAL)
            -- Another network may be a phone that changed from one to the other; another country is not.
            AND coalesce(a.country = s.country, true)
      )
),
-- The address that was stopped got in: the success that ends the run, where it shows a relaxed control.
judged AS (
    SELECT n.*, s.occurred_at AS relaxed_at, s.proof AS success_proof
    FROM near_misses n
    LEFT JOIN tries s
      ON s.user_key = n.user_key AND s.ip = n.ip AND s.run = n.run AND s.is_success
     AND s.occurred_at >= $window_start AND n.occurred_at >= s.occurred_at - $escalate_period
     AND (n.ip_allowed IS FALSE
          OR (n.ip_allowed IS NULL
              AND (n.success_is_relaxed
                   OR (n.control = 'security token' AND upper(trim(s.use_api_token)) = 'P'))))
),
events AS (
    SELECT
        j.*, e.event,
        CASE e.event WHEN 'refused' THEN j.held_at ELSE j.relaxed_at END AS at,
        CASE e.event WHEN 'refused' THEN j.proof ELSE j.success_proof END AS event_proof
    FROM judged j
    CROSS JOIN (VALUES ('refused'), ('relaxed')) AS e (event)
),
by_day AS (
    SELECT
        user_key, control, ip, CAST(at AS DATE) AS day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(at) AS first_at, max(at) AS last_at,
        count(*) FILTER (WHERE event = 'refused') AS attempts,
        count(*) FILTER (WHERE event = 'relaxed') AS attempts_before,
        min(occurred_at) AS first_attempt_at,
        min(relaxed_at) FILTER (WHERE event = 'relaxed') AS relaxed_at,
        coalesce(bool_or(NOT ip_allowed), false) AS outside_networks,
        bool_and(coalesce(ip_allowed, false)) AS inside_networks,
        max(held_by) AS held_by, max(without_it) AS without_it,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE country IS NOT NULL) AS countries,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT login_path ORDER BY login_path) FILTER (WHERE login_path IS NOT NULL) AS login_paths,
        array_slice(array_agg(DISTINCT event_proof ORDER BY event_proof), 1, 20) AS proof
    FROM events
    WHERE at >= $window_start AND at < $window_end
    GROUP BY user_key, control, ip, CAST(at AS DATE)
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        CASE
            WHEN relaxed_at IS NOT NULL THEN 4
            WHEN role IN ('integration', 'internal_system', 'ci') AND outside_networks THEN 3
            ELSE 2
        END
        - CASE WHEN role = 'integration' AND role_source = 'inferred' AND (relaxed_at IS NOT NULL OR outside_networks)
               THEN 1 ELSE 0 END
    ] AS severity,
    greatest(attempts, 1) AS event_count,
    last_at,
    'Who holds this user''s credential passes every control; nobody else holds it' AS expected,
    CASE
        WHEN attempts = 0 THEN ''
        ELSE attempts || CASE WHEN attempts = 1 THEN ' sign-in' ELSE ' sign-ins' END
            || ' with an accepted credential stopped only by ' || held_by
            || ', from ' || coalesce(ip, 'no usable address')
            || coalesce(' (' || array_to_string(array_slice(countries, 1, 5), ', ') || ')', '')
            || CASE WHEN outside_networks THEN ', which is not in its declared networks' ELSE '' END
            || ', the first at ' || to_char(first_attempt_at, '%Y-%m-%d %H:%M') || ' UTC'
            || '. Without it ' || without_it
    END
        || CASE
               WHEN relaxed_at IS NULL THEN ''
               ELSE CASE WHEN attempts = 0 THEN '' ELSE '. ' END
                   || 'On ' || to_char(relaxed_at, '%Y-%m-%d %H:%M') || ' UTC ' || ip || ' got in, after '
                   || held_by || ' had stopped it ' || attempts_before
                   || CASE WHEN attempts_before = 1 THEN ' time' ELSE ' times' END
                   || ' since ' || to_char(first_attempt_at, '%Y-%m-%d %H:%M') || ' UTC: the control no longer holds'
           END AS observed,
    role, role_source, system, owner,
    control, ip,
    CASE WHEN outside_networks THEN false WHEN inside_networks THEN true END AS ip_allowed,
    attempts, attempts_before, first_attempt_at,
    relaxed_at IS NOT NULL AS later_success, relaxed_at,
    without_it,
    CASE WHEN control = 'login hours' AND inside_networks THEN 'operational: schedule' ELSE 'none' END AS tag,
    countries, apps, ua_families, login_paths,
    proof
FROM by_day
ORDER BY occurred_at, user_key, control, ip
