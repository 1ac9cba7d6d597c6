/*
id = "legacy-login-type"
title = "Obsolete login type on any account"
family = "credential"
severity = "low"
status = "active"
version = 1
control = ["S4.1"]
attack = ["T1078.004"]
description = """
OAuth 1.0 (Remote Access Client), the Self-Service portal and the old customer and partner portals are doors \
of another age: tokens without expiry, passwords without second factor, settings that nobody has looked at for \
years. Whoever still comes through one keeps it open for others. Logins to Experience Cloud sites are today's \
and are left out. One finding for each user and type as long as it was used in the last week; medium for the \
user of a machine, whose one secret opens everything."""
false_positives = [
  "An old portal that is still in use: accept it by a suppression with the date of its end",
]
response = [
  "OAuth 1.0: find the client (app, address), move it to an OAuth 2.0 flow, revoke its old tokens",
  "Portal: move its users to an Experience Cloud site and switch the old portal off",
  "Nobody knows the client: end its sessions and treat the credential as known to others",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_loginhistory.htm",
]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key", "legacy_type"]
bucket = "none"

[params.period]
type = "duration"
default = "7d"
meaning = "how long after its last use a login type is still reported"

[params.legacy_types]
type = "text_list"
default = [
  "Oauth", "SelfService", "Portal", "PortalThirdPartySso", "PrmPortal", "PrmPortalThirdPartySso",
  "SamlCspPortal", "SamlPrmPortal",
]
meaning = "login types that are obsolete, by the names of LoginHistory's API; a type that has none, as written in the log"
*/
WITH
-- Letter of the Login file, name and label of LoginHistory. Only for letters does case matter: I is not i.
spellings AS (
    SELECT written, name
    FROM (VALUES
        ('6', 'Oauth'), ('oauth', 'Oauth'), ('remote access client', 'Oauth'), ('oauth, remote access client', 'Oauth'),
        ('E', 'SelfService'), ('selfservice', 'SelfService'), ('self-service', 'SelfService'), ('self service', 'SelfService'),
        ('3', 'Portal'), ('portal', 'Portal'), ('customer service portal', 'Portal'),
        ('portalthirdpartysso', 'PortalThirdPartySso'), ('customer service portal third-party sso', 'PortalThirdPartySso'),
        ('9', 'PrmPortal'), ('prmportal', 'PrmPortal'), ('partner portal', 'PrmPortal'),
        ('q', 'PrmPortalThirdPartySso'), ('prmportalthirdpartysso', 'PrmPortalThirdPartySso'),
        ('partner portal third-party sso', 'PrmPortalThirdPartySso'),
        ('b', 'SamlCspPortal'), ('samlcspportal', 'SamlCspPortal'), ('saml customer service portal sso', 'SamlCspPortal'),
        ('c', 'SamlPrmPortal'), ('samlprmportal', 'SamlPrmPortal'), ('saml partner portal sso', 'SamlPrmPortal')
    ) AS s (written, name)
),
successes AS (
    SELECT
        *,
        -- A Login file of before 2023 has no login type; LoginHistory has one.
        coalesce(nullif(trim(login_type), ''), trim(lh_login_type)) AS as_written
    FROM logins
    WHERE occurred_at >= $window_end - $period AND occurred_at < $window_end
      AND outcome = 'success'
),
legacy AS (
    SELECT l.*, coalesce(s.name, l.as_written) AS legacy_type
    FROM successes l
    LEFT JOIN spellings s
      ON s.written = CASE WHEN character_length(l.as_written) = 1 THEN l.as_written ELSE lower(l.as_written) END
    WHERE array_has($legacy_types, coalesce(s.name, l.as_written))
),
by_user AS (
    SELECT
        user_key, legacy_type,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS logins,
        count(DISTINCT day) AS active_days,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_agg(DISTINCT login_path ORDER BY login_path) AS login_paths,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM legacy
    GROUP BY user_key, legacy_type
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    CASE
        WHEN role IN ('integration', 'internal_system', 'ci') AND role_source = 'registry' THEN 'medium'
        ELSE 'low'
    END AS severity,
    logins AS event_count,
    last_at,
    'No login by an obsolete type: OAuth 2.0 for systems, Experience Cloud or the org''s login page for people' AS expected,
    logins || CASE WHEN logins = 1 THEN ' login' ELSE ' logins' END || ' of the obsolete type '
        || CASE legacy_type WHEN 'Oauth' THEN 'Remote Access Client (OAuth 1.0)' ELSE printable(legacy_type) END
        || ' on ' || active_days || CASE WHEN active_days = 1 THEN ' day' ELSE ' days' END
        || coalesce(', app ' || array_to_string(array_slice(apps, 1, 5), ', '), '')
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address') AS observed,
    role, role_source, system, owner,
    printable(legacy_type) AS legacy_type, active_days, apps, ips, ua_families, login_paths,
    proof
FROM by_user
ORDER BY occurred_at, user_key, legacy_type
