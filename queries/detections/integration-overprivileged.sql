/*
id = "integration-overprivileged"
title = "Integration or internal user holds administrator-class permissions"
family = "identity"
severity = "critical"
status = "active"
version = 1
control = ["S0.20", "S0.23", "S1.11", "S1.12", "S4.7"]
attack = ["T1078.004", "T1098.003"]
description = """
A machine's account is a prize: whoever has its credential can do what it may do. It should hold the few \
permissions of its task and none that opens the whole org. The effective permissions are those of the profile and \
of all permission sets and groups assigned and not expired; what a group mutes is not counted, because the group's \
own calculated set lacks it. Critical: an administrator's profile, known by what it grants (all of the permissions \
in `admin_mark`) and not by its name, so that a clone with a harmless name is found and a harmless profile with a \
grand name is not; the standard name counts only together with a dangerous permission. Critical too: the account \
was used from an address outside its declared networks within 30 days. View All and Modify All on single objects \
are not judged: the roster does not hold object permissions."""
false_positives = [
  "An export job with an approved View All Data: suppress it for that permission with an end date; the acceptance is void while an address or app finding is open for the user",
]
response = [
  "Take the permission away where the row says it comes from: profile, permission set or group",
  "System Administrator: give the account a copy of the locked-down base profile and permission sets for its objects",
  "Used from an unapproved address as well: treat it as a breach first, and tidy up after",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1098/003/",
]
inputs = ["users", "permissions | Profile | PermissionSet", "logins?", "api_calls?"]
dedupe = ["user_key"]
bucket = "none"

[params.danger_perms]
type = "text_list"
default = [
  "ModifyAllData", "ViewAllData", "ManageUsers", "ManageInternalUsers", "CustomizeApplication", "AuthorApex",
  "ManageSharing", "ManageAuthProviders", "BulkApiHardDelete", "UseAnyApiClient", "UseAnyApiAuth",
  "ApproveUninstalledConnectedApps", "TransactionSecurityExempt", "ViewAllUsers", "QueryAllFiles",
  "ManageEncryptionKeys",
]
meaning = "permissions that no integration or internal user should hold"

[params.admin_mark]
type = "text_list"
default = ["ModifyAllData", "ManageUsers", "CustomizeApplication"]
meaning = "a profile that grants all of these is an administrator's"

[params.use_reach]
type = "duration"
default = "30d"
meaning = "how far back a use from an unapproved address counts"
*/
WITH
holders AS (
    SELECT
        p.user_key, p.user_id, p.username, p.role, p.role_source, p.system, p.owner,
        p.day, p.permission, p.source_kind, p.source_name, p.file_id, p.line_no
    FROM permissions p
    WHERE CAST($now AS DATE) >= p.day AND CAST($now AS DATE) < p.next_day
      AND p.role IN ('integration', 'internal_system')
      -- An account that nobody can use is a matter for orphan-integration.
      AND coalesce(p.is_active, true)
      AND NOT p.is_platform_user
      AND (array_has($danger_perms, p.permission) OR array_has($admin_mark, p.permission))
),
by_user AS (
    SELECT
        user_key,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        max(day) AS day,
        array_agg(DISTINCT permission ORDER BY permission) FILTER (WHERE array_has($danger_perms, permission)) AS permissions,
        count(DISTINCT permission) FILTER (WHERE array_has($danger_perms, permission)) AS permission_count,
        array_agg(DISTINCT printable(permission || ' by ' || replace(source_kind, '_', ' ') || ' ' || coalesce(source_name, '(no name)'))
                  ORDER BY printable(permission || ' by ' || replace(source_kind, '_', ' ') || ' ' || coalesce(source_name, '(no name)')))
            FILTER (WHERE array_has($danger_perms, permission)) AS granted_by,
        count(DISTINCT permission) FILTER (WHERE source_kind = 'profile' AND array_has($admin_mark, permission))
            = array_length($admin_mark) AS admin_by_grants,
        coalesce(bool_or(source_kind = 'profile' AND lower(trim(source_name)) = 'system administrator'
                         AND array_has($danger_perms, permission)), false) AS admin_by_name,
        array_slice(array_agg(DISTINCT file_id || ':' || line_no ORDER BY file_id || ':' || line_no), 1, 20) AS proof
    FROM holders
    GROUP BY user_key
    HAVING count(*) FILTER (WHERE array_has($danger_perms, permission)) > 0
),
uses AS (
    SELECT user_key, ip, occurred_at
    FROM logins
    WHERE occurred_at >= $now - $use_reach AND occurred_at < $now AND outcome = 'success'
    UNION ALL
    SELECT user_key, ip, occurred_at
    FROM api_calls
    WHERE occurred_at >= $now - $use_reach AND occurred_at < $now
      -- A refused token is no use of the account.
      AND coalesce(status_code, 0) <> 401
),
-- Each holder with its uses, in one pass: who stands here twice is worked out twice.
used AS (
    SELECT
        b.user_key, b.user_id, b.username, b.role, b.role_source, b.system, b.owner, b.day,
        b.permissions, b.permission_count, b.granted_by, b.admin_by_grants, b.admin_by_name, b.proof,
        max(u.occurred_at) AS last_use_at,
        count(u.occurred_at) FILTER (WHERE in_networks(u.user_key, u.ip, u.occurred_at) IS FALSE) AS unapproved_uses
    FROM by_user b
    LEFT JOIN uses u ON u.user_key = b.user_key
    GROUP BY
        b.user_key, b.user_id, b.username, b.role, b.role_source, b.system, b.owner, b.day,
        b.permissions, b.permission_count, b.granted_by, b.admin_by_grants, b.admin_by_name, b.proof
),
judged AS (
    SELECT
        *,
        admin_by_grants OR admin_by_name AS is_admin_profile,
        -- 3 high, 4 critical
        CASE WHEN admin_by_grants OR admin_by_name OR unapproved_uses > 0 THEN 4 ELSE 3 END AS level
    FROM used
)
SELECT
    CAST(day AS TIMESTAMPTZ) AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be a machine's counts one level lower.
    ['low', 'medium', 'high', 'critical'][
        greatest(1, level - CASE WHEN role_source = 'inferred' AND role = 'integration' THEN 1 ELSE 0 END)
    ] AS severity,
    permission_count AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    'Only the permissions of its task; none of ' || array_to_string(array_slice($danger_perms, 1, 4), ', ') || ' and the like' AS expected,
    CASE WHEN is_admin_profile THEN 'An administrator''s profile: ' ELSE 'Holds ' END
        || array_to_string(array_slice(granted_by, 1, 5), ', ')
        || CASE WHEN array_length(granted_by) > 5 THEN ' and ' || (array_length(granted_by) - 5) || ' more' ELSE '' END
        || CASE WHEN unapproved_uses > 0
                THEN '; used ' || unapproved_uses || ' times from outside its networks in the last weeks' ELSE '' END AS observed,
    role, role_source, system, owner,
    permissions, granted_by, is_admin_profile, unapproved_uses, last_use_at,
    day AS roster_day,
    proof
FROM judged
ORDER BY occurred_at, user_key
