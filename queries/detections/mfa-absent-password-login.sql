/*
id = "mfa-absent-password-login"
title = "Password sign-in without any sign of a second factor"
family = "credential"
severity = "medium"
status = "active"
version = 1
control = ["S0.14"]
attack = ["T1078.004", "T1556.006"]
description = """
Somebody typed a password into the login page and was in, and nothing shows that a second factor was asked \
for: no prompt before, no verification around that time, no method of an identity provider, no session of \
high assurance. High for a person who may change users, data or set-up (role human_admin, or such a \
permission in the roster); info for an integration, whose UI login is a finding of integration-ui-login \
anyway. A login is judged once its evidence is in: with VerificationHistory of that day, when the time for a \
verification is over; else when its session ends and the Logout file tells its level. Until then it is \
pending, and a login for which neither ever comes is not judged. Single sign-on is left out: the factor is \
with the identity provider. Where this leaves the catalogue: a failed or denied verification is no second \
factor, nor is a verification by password; and the finding carries the time at which the login could be \
judged, so that it does not depend on which nights are run together."""
false_positives = [
  "A trusted address range or an activated browser in an org without MFA: that is the gap; turn MFA on",
  "VerificationHistory exported for a part of the users only: export all, or none",
]
response = [
  "The finding's time is when the login could be judged; the login itself is at first_login_at, in the rows of proof",
  "Ask the user whether it was they; if not: freeze, end the sessions, reset the password",
  "Turn on MFA for all UI logins (Setup, Identity Verification); look for a permission that waives it (mfa_waived)",
  "Privileged: look at the set-up changes since that login in the Setup Audit Trail",
]
references = [
  "https://attack.mitre.org/techniques/T1556/006/",
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_verificationhistory.htm",
]
inputs = ["Login | LoginHistory", "Logout | VerificationHistory", "permissions?"]
dedupe = ["user_key"]
bucket = "day"

[params.evidence_window]
type = "duration"
default = "10m"
meaning = "how far from the login a prompt (before it) or a verification (before or after it) counts as its own"

[params.longest_session]
type = "duration"
default = "7d"
meaning = "how long after a login its Logout row is still waited for"

[params.privileged_permissions]
type = "text_list"
default = [
  "ManageUsers", "ManageInternalUsers", "ModifyAllData", "ViewAllData", "CustomizeApplication", "AuthorApex",
  "ModifyMetadata", "ManageProfilesPermissionsets", "AssignPermissionSets", "ResetPasswords",
  "FreezeUsers", "ManageSharing", "ManageRoles", "ManageIpAddresses", "ManageLoginAccessPolicies",
  "ManagePasswordPolicies", "ManageEncryptionKeys", "ManageCertificates", "ManageRemoteAccess", "ManageAuthProviders",
  "ManageTwoFactor", "InstallPackaging",
]
meaning = "permissions (of the roster) that make a user privileged"

[params.factor_methods]
type = "text"
default = "mfa|otp|hwk|fido|pop|multipleauthn"
meaning = "pattern of the methods of an identity provider that are a second factor"
*/
WITH
-- A login opens several sessions: any of high assurance shows a second factor, and only the end of the session
-- that the person works in ends the wait.
session_ends AS (
    SELECT
        login_key,
        min(occurred_at) FILTER (
            WHERE session_type NOT IN (
                'API', 'APIOnlyUser', 'ChatterNetworksAPIOnly', 'WDC_API', 'Oauth2', 'OauthApprovalUI',
                'Visualforce', 'Content', 'SiteStudio', 'SitePreview',
                'TempContentExchange', 'TempVisualforceExchange', 'TempUIFrontdoor', 'TempOauthAccessTokenFrontdoor')
        ) AS ended_at,
        bool_or(regexp_like(trim(session_level), '^(10|high_assurance.*)$', 'i')) AS high_assurance
    FROM logouts
    WHERE occurred_at >= $window_start - $longest_session AND occurred_at < $window_end
      AND login_key IS NOT NULL AND trim(session_level) <> ''
    GROUP BY login_key
),
passwords AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip, country, ua_family,
        path_certainty, login_key,
        coalesce(regexp_like(auth_method, $factor_methods, 'i'), false) AS told_by_provider,
        file_id, line_no
    FROM logins
    WHERE occurred_at >= $window_start - $longest_session AND occurred_at < $window_end
      AND outcome = 'success' AND login_path = 'ui_password'
),
prompts AS (
    SELECT user_key, occurred_at
    FROM logins
    WHERE occurred_at >= $window_start - $longest_session - $evidence_window AND occurred_at < $window_end
      AND outcome = 'challenge'
),
verifications AS (
    SELECT user_id, occurred_at
    FROM verification_history
    WHERE occurred_at >= $window_start - $longest_session - $evidence_window AND occurred_at < $window_end
      -- Succeeded and AutomatedSuccess; an export without the column shows at least that a factor was asked for.
      AND coalesce(status, 'succeeded') ILIKE '%succe%'
      AND coalesce(verificationmethod, '') NOT ILIKE 'password'
),
-- Days on which a missing row says something: rows came, and they name their user.
verification_days AS (
    SELECT DISTINCT CAST(occurred_at AS DATE) AS day
    FROM verification_history
    WHERE occurred_at >= $window_start - $longest_session AND occurred_at < $window_end
      AND user_id IS NOT NULL
),
-- The roster of the night after the login, or the last one before.
privileged AS (
    SELECT user_key, day, next_day, permission
    FROM permissions
    WHERE (array_has($privileged_permissions, permission) OR permission = 'BypassMFAForUiLogins')
      AND next_day > CAST($window_start - $longest_session AS DATE) AND day <= CAST($window_end AS DATE)
),
unproven AS (
    SELECT
        p.*,
        d.day IS NOT NULL AS verification_loaded,
        e.ended_at IS NOT NULL AS level_known,
        CASE
            WHEN d.day IS NOT NULL THEN p.occurred_at + CAST($evidence_window AS INTERVAL)
            WHEN e.ended_at <= p.occurred_at + CAST($longest_session AS INTERVAL) THEN e.ended_at
        END AS judged_at
    FROM passwords p
    LEFT JOIN verification_days d ON d.day = p.day
    LEFT JOIN session_ends e ON e.login_key = p.login_key
    WHERE NOT p.told_by_provider
      AND coalesce(NOT e.high_assurance, true)
      AND NOT EXISTS (
          SELECT 1 FROM prompts c
          WHERE c.user_key = p.user_key
            AND c.occurred_at <= p.occurred_at AND c.occurred_at >= p.occurred_at - $evidence_window
      )
      AND NOT EXISTS (
          SELECT 1 FROM verifications v
          WHERE v.user_id = p.user_id
            AND v.occurred_at >= p.occurred_at - $evidence_window
            AND v.occurred_at <= p.occurred_at + CAST($evidence_window AS INTERVAL)
      )
),
judged AS (
    SELECT u.*, r.permission
    FROM unproven u
    LEFT JOIN privileged r
      ON r.user_key = u.user_key AND r.day <= u.day + INTERVAL '1 day' AND r.next_day > u.day + INTERVAL '1 day'
    WHERE u.judged_at >= $window_start AND u.judged_at < $window_end
),
by_day AS (
    SELECT
        user_key, CAST(judged_at AS DATE) AS day,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(judged_at) AS first_at, max(judged_at) AS last_at,
        count(DISTINCT file_id || ':' || line_no) AS logins,
        min(occurred_at) AS first_login_at, max(occurred_at) AS last_login_at,
        bool_or(verification_loaded) AS verification_loaded, bool_or(level_known) AS level_known,
        array_agg(DISTINCT permission ORDER BY permission)
            FILTER (WHERE array_has($privileged_permissions, permission)) AS permissions,
        coalesce(bool_or(permission = 'BypassMFAForUiLogins'), false) AS mfa_waived,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE country IS NOT NULL) AS countries,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT path_certainty ORDER BY path_certainty) AS path_certainties,
        array_slice(array_agg(DISTINCT file_id || ':' || line_no ORDER BY file_id || ':' || line_no), 1, 20) AS proof
    FROM judged
    GROUP BY user_key, CAST(judged_at AS DATE)
),
levelled AS (
    SELECT *, role = 'human_admin' OR permissions IS NOT NULL AS is_privileged
    FROM by_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN role = 'integration' THEN 'info' WHEN is_privileged THEN 'high' ELSE 'medium' END AS severity,
    logins AS event_count,
    last_at,
    'Every sign-in with a password at the login page is followed by a second factor' AS expected,
    logins || CASE WHEN logins = 1 THEN ' sign-in' ELSE ' sign-ins' END || ' by password'
        || CASE WHEN is_privileged AND role <> 'integration' THEN ' of a privileged user' ELSE '' END
        || ' without any sign of a second factor, from '
        || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || coalesce(' (' || array_to_string(array_slice(countries, 1, 5), ', ') || ')', '')
        || ', first at ' || to_char(first_login_at, '%Y-%m-%d %H:%M') || ' UTC; looked at: prompts'
        || CASE WHEN verification_loaded THEN ', verification history' ELSE '' END
        || CASE WHEN level_known THEN ', session level' ELSE '' END
        || CASE WHEN mfa_waived THEN '. A permission waives MFA for this user' ELSE '' END AS observed,
    role, role_source, system, owner,
    is_privileged, permissions, mfa_waived,
    array_remove(
        ['prompts', 'provider methods',
         CASE WHEN verification_loaded THEN 'verification history' ELSE '' END,
         CASE WHEN level_known THEN 'session level' ELSE '' END], '') AS evidence_checked,
    first_login_at, last_login_at, path_certainties, ips, countries, ua_families,
    proof
FROM levelled
ORDER BY occurred_at, user_key
