/*
id = "integration-changes-setup"
title = "A non-human user changed the configuration"
family = "attack"
severity = "critical"
status = "active"
version = 1
control = ["S0.17", "S0.20"]
attack = ["T1098", "T1556", "T1562.008"]
description = """
A machine moves data; it does not change Setup. An integration or internal system user that does is over-privileged at \
best, and is used to stay in at worst. Four witnesses: the Setup Audit Trail, PermissionUpdate events, operations of the \
Metadata API, and writes to the objects that grant access (permission sets, their assignments, connected apps), which \
the free log of API calls shows, too. Critical: connected and external client apps, address ranges, permissions, users, \
credentials and remote sites, log and transaction security settings. High: any other entry of the audit trail, and \
whatever the Metadata API writes (an operation that is not named counts as a write). Reading metadata is info where the \
registry foresees it (an endpoint that begins with /services/Soap/m, or the tool by its name), else medium. Users with the role \
ci are left out, and so is what falls into a maintenance or breakglass window of the user. \
Where this leaves the catalogue: an entry that an administrator made while logged in as the user is medium here and names \
the administrator; loginas-onto-integration-user tells it, too, but only where LoginAs logs come in. A write that was \
refused is medium. Entries by the users of the platform itself (Automated Process and the like), which no registry \
names, are two levels lower: packages and licences are changed in their name."""
false_positives = [
  "User provisioning by an identity provider: suppress by user and area, and give its user only the right to manage users",
  "A managed package that works inside the integration's session: its namespace is shown",
  "A deployment pipeline: give its user the role ci in the registry",
]
response = [
  "Ask the owner; no ticket means no: freeze the user and revoke its tokens",
  "Undo the change (Setup, View Setup Audit Trail), and look for what was done with it since",
  "Take the administrative permissions away from the user: see integration-overprivileged",
]
references = [
  "https://attack.mitre.org/techniques/T1098/",
  "https://attack.mitre.org/techniques/T1556/",
  "https://attack.mitre.org/techniques/T1562/008/",
]
inputs = ["setup_audit_trail | MetadataApiOperation | PermissionUpdate | ApiTotalUsage | RestApi"]
# To accept that a provisioning system makes users must not hide that it changes an app.
dedupe = ["user_key", "area"]
bucket = "day"

[params.access_objects]
type = "text_list"
default = [
  "permissionset", "permissionsetassignment", "permissionsetgroup", "permissionsetgroupcomponent",
  "permissionsetlicenseassign", "mutingpermissionset", "objectpermissions", "fieldpermissions", "setupentityaccess",
  "connectedapplication", "externalclientapplication", "namedcredential", "externalcredential", "authprovider",
]
meaning = "objects, in lower case, whose records give access: a write to one is a change of the configuration"
*/
WITH
-- What an entry of the audit trail is about: by its action code, or by its section where the export has no code.
areas AS (
    SELECT place, area, action_words, section_words
    FROM (VALUES
        (1, 'log settings', 'event ?monitoring|event ?log|transaction ?security|txnsecurity', 'event monitoring|event log|transaction security'),
        (2, 'apps', 'connectedapp|externalclient|extlclnt|oauthpolic|consumersecret|oauthtoken', 'connected app|external client app|oauth'),
        (3, 'addresses', 'iprange|trustedip|networkaccess|iprelax', 'network access|ip range'),
        (4, 'credentials', 'certificate|namedcred|externalcred|authprovider|saml|singlesignon|remotesite|cspsite|csptrusted|keymanagement|tenantsecret',
            'certificate|named credential|external credential|auth\\. ?provider|single sign-on|remote site|trusted'),
        (5, 'permissions', '^permset|permissionset|^muting|profileforuser|userperm|^profile|permsetgroup|adminperm', 'permission set|profile'),
        (6, 'users', 'createduser|activateduser|frozeuser|frozenuser|password|changedemail|changedusername|userlicense|delegatedadmin|changedroleforuser', 'manage users|^users')
    ) AS a (place, area, action_words, section_words)
),
audit AS (
    SELECT
        a.occurred_at, a.day,
        -- The download of the Setup page names users only, also those that no other log has named yet.
        coalesce(a.user_id, known_user_id(a.username), r.user_key, lower(a.username)) AS user_key,
        coalesce(a.user_id, known_user_id(a.username), r.user_id) AS user_id,
        coalesce(known_username(a.user_id), lower(a.username), r.username) AS username,
        coalesce(r.role, inferred_role(
            NULL, coalesce(a.username, known_username(a.user_id)),
            coalesce(a.user_id, known_user_id(a.username), lower(a.username)), a.occurred_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        r.system, r.owner,
        nullif(trim(a.action), '') AS action, nullif(trim(a.section), '') AS section,
        nullif(trim(a.delegateuser), '') AS delegate,
        nullif(trim(a.responsiblenamespaceprefix), '') AS namespace,
        a.file_id, a.line_no
    FROM setup_audit_trail a
    LEFT JOIN registry_users r
      ON (r.user_key = coalesce(a.user_id, known_user_id(a.username), lower(a.username))
          OR (a.user_id IS NULL AND lower(r.username) = lower(a.username)))
     AND a.occurred_at >= r.valid_from AND a.occurred_at < r.valid_to
    WHERE a.occurred_at >= $window_start AND a.occurred_at < $window_end
),
entries AS (
    SELECT
        a.occurred_at, a.day, a.user_key, a.user_id, a.username, a.role, a.role_source, a.system, a.owner,
        'SetupAuditTrail' AS event_type, a.file_id, a.line_no, a.action, a.section, a.delegate, a.namespace,
        -- The code tells more than the section.
        first_value(x.area ORDER BY CASE WHEN regexp_like(a.action, x.action_words, 'i') THEN x.place ELSE 10 + x.place END) AS area
    FROM audit a
    LEFT JOIN areas x
      ON regexp_like(a.action, x.action_words, 'i') OR regexp_like(a.section, x.section_words, 'i')
    WHERE a.role IN ('integration', 'internal_system')
    GROUP BY a.occurred_at, a.day, a.user_key, a.user_id, a.username, a.role, a.role_source, a.system, a.owner,
        a.file_id, a.line_no, a.action, a.section, a.delegate, a.namespace
),
calls AS (
    SELECT
        *,
        regexp_like(lower(method), 'describe|list|retrieve|read|check|status') AS reads
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role IN ('integration', 'internal_system')
      AND (event_type = 'MetadataApiOperation'
           OR (lower(method) IN ('post', 'patch', 'put', 'delete', 'create', 'update', 'upsert', 'insert', 'harddelete')
               -- In SOAP every call is a POST.
               AND NOT (api_family = 'SOAP' AND lower(method) = 'post')
               AND entity_name IS NOT NULL
               AND array_has_any(
                   string_to_array(regexp_replace(lower(entity_name), '[^a-z0-9_]+', ',', 'g'), ','), $access_objects)))
),
foreseen AS (
    SELECT DISTINCT c.file_id, c.line_no
    FROM calls c
    LEFT JOIN registry_endpoints e
      ON e.user_key = c.user_key AND c.occurred_at >= e.valid_from AND c.occurred_at < e.valid_to
     AND lower(c.resource) LIKE replace(replace(lower(e.endpoint), '_', '\_'), '*', '%')
    LEFT JOIN registry_tools t
      ON t.user_key = c.user_key AND c.occurred_at >= t.valid_from AND c.occurred_at < t.valid_to
     AND starts_with(app_name_key(c.client_name), app_name_key(t.tool))
    WHERE c.reads AND (e.endpoint IS NOT NULL OR t.tool IS NOT NULL)
),
deeds AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner,
        event_type, file_id, line_no,
        coalesce(area, 'other settings') AS area,
        coalesce(printable(section), '') || coalesce(CASE WHEN section IS NULL THEN '' ELSE ': ' END || printable(action), '') AS deed,
        CAST(NULL AS VARCHAR) AS target, delegate, namespace, CAST(NULL AS VARCHAR) AS ip, CAST(NULL AS BOOLEAN) AS inside,
        CASE WHEN delegate IS NOT NULL THEN 2 WHEN area IS NULL THEN 3 ELSE 4 END AS level
    FROM entries
    UNION ALL
    SELECT
        e.occurred_at, e.day, e.user_id AS user_key, e.user_id, coalesce(known_username(e.user_id), r.username) AS username,
        coalesce(r.role, inferred_role(NULL, known_username(e.user_id), e.user_id, e.occurred_at)) AS role,
        CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source, r.system, r.owner,
        'PermissionUpdate' AS event_type, e.file_id, e.line_no,
        'permissions' AS area, 'PermissionUpdate' || coalesce(': ' || printable(nullif(trim(e.update_type), '')), '') AS deed,
        e.feature_id AS target, NULL AS delegate, NULL AS namespace, NULL AS ip, NULL AS inside, 4 AS level
    FROM elf_permission_update e
    LEFT JOIN registry_users r
      ON r.user_key = e.user_id AND e.occurred_at >= r.valid_from AND e.occurred_at < r.valid_to
    WHERE e.occurred_at >= $window_start AND e.occurred_at < $window_end
    UNION ALL
    SELECT
        c.occurred_at, c.day, c.user_key, c.user_id, c.username, c.role, c.role_source, c.system, c.owner,
        c.event_type, c.file_id, c.line_no,
        CASE
            WHEN c.event_type <> 'MetadataApiOperation' THEN
                CASE WHEN regexp_like(lower(c.entity_name), 'connectedapp|clientapp') THEN 'apps'
                     WHEN regexp_like(lower(c.entity_name), 'credential|authprovider') THEN 'credentials'
                     ELSE 'permissions' END
            WHEN c.reads THEN 'metadata read'
            ELSE 'metadata'
        END AS area,
        coalesce(printable(c.method), 'operation not named')
            || CASE WHEN c.event_type = 'MetadataApiOperation' THEN '' ELSE ' ' || printable(lower(c.entity_name)) END
            || coalesce(' (' || printable(nullif(trim(c.client_name), '')) || ')', '') AS deed,
        NULL AS target, NULL AS delegate, NULL AS namespace, c.ip, in_networks(c.user_key, c.ip, c.occurred_at) AS inside,
        CASE
            WHEN c.event_type <> 'MetadataApiOperation' THEN CASE WHEN c.is_error THEN 2 ELSE 4 END
            WHEN NOT c.reads OR c.reads IS NULL THEN 3
            WHEN f.file_id IS NOT NULL THEN 0
            ELSE 2
        END AS level
    FROM calls c
    LEFT JOIN foreseen f ON f.file_id = c.file_id AND f.line_no = c.line_no
),
by_day AS (
    SELECT
        d.user_key, d.area, d.day,
        max(d.user_id) AS user_id, max(d.username) AS username,
        max(d.role) AS role, max(d.role_source) AS role_source, max(d.system) AS system, max(d.owner) AS owner,
        min(d.occurred_at) AS first_at, max(d.occurred_at) AS last_at,
        count(*) AS changes, max(d.level) AS level,
        array_agg(DISTINCT d.event_type ORDER BY d.event_type) AS event_types,
        array_agg(DISTINCT d.deed ORDER BY d.deed) AS deeds,
        array_agg(DISTINCT sf_id18(d.target) ORDER BY sf_id18(d.target)) FILTER (WHERE d.target IS NOT NULL) AS targets,
        array_agg(DISTINCT printable(d.delegate) ORDER BY printable(d.delegate)) FILTER (WHERE d.delegate IS NOT NULL) AS logged_in_as,
        bool_and(d.delegate IS NOT NULL) AS by_delegate_only,
        array_agg(DISTINCT printable(d.namespace) ORDER BY printable(d.namespace)) FILTER (WHERE d.namespace IS NOT NULL) AS namespaces,
        array_agg(DISTINCT d.ip ORDER BY d.ip) FILTER (WHERE d.ip IS NOT NULL) AS ips,
        coalesce(bool_or(NOT d.inside), false) AS outside_networks,
        array_slice(array_agg(d.file_id || ':' || d.line_no ORDER BY d.occurred_at, d.file_id, d.line_no), 1, 20) AS proof
    FROM deeds d
    WHERE d.role IN ('integration', 'internal_system')
      AND NOT EXISTS (
          SELECT 1 FROM registry_windows w
          WHERE w.user_key = d.user_key AND w.kind IN ('maintenance', 'breakglass')
            AND w.from_at <= d.occurred_at AND w.to_at > d.occurred_at)
    GROUP BY d.user_key, d.area, d.day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower, the platform's own two.
    ['info', 'low', 'medium', 'high', 'critical'][
        1 + greatest(0, level - CASE WHEN role_source = 'registry' THEN 0 WHEN role = 'internal_system' THEN 2 ELSE 1 END)
    ] AS severity,
    changes AS event_count,
    last_at,
    CASE area
        WHEN 'metadata read' THEN 'A machine reads metadata only where the registry names the endpoint or the tool'
        ELSE 'A machine changes nothing in Setup; pipelines have the role ci, planned work has a window'
    END AS expected,
    area || ': ' || array_to_string(array_slice(deeds, 1, 5), '; ')
        || CASE WHEN array_length(deeds) > 5 THEN ' and ' || (array_length(deeds) - 5) || ' more' ELSE '' END
        || ' (' || changes || CASE WHEN changes = 1 THEN ' entry' ELSE ' entries' END || ')'
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 3), ', '), '')
        || CASE WHEN outside_networks THEN ', outside its declared networks' ELSE '' END
        || coalesce('; ' || CASE WHEN by_delegate_only THEN 'made' ELSE 'partly made' END || ' by '
            || array_to_string(logged_in_as, ', ') || ' logged in as this user', '') AS observed,
    role, role_source, system, owner,
    area, deeds, targets, event_types, logged_in_as, namespaces, ips, outside_networks,
    proof
FROM by_day
ORDER BY occurred_at, user_key, area
