/*
id = "secret-store-entity-read"
title = "Somebody reads objects that hold tokens, credentials, logs or code"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S3.5", "S3.9", "S4.3", "S4.4"]
attack = ["T1552", "T1528", "T1654"]
description = """
Some objects hold what opens other doors: tokens and sessions, named credentials, sign-in settings, the org's own \
store of tokens (name it in `own_stores`), its logs, and Apex code with what was written into it. Few users have a \
reason to read them by API: the log readers that the registry names, and `readers`. They are excused from their \
declared networks only. Names are compared whole: OauthTokenLog__c is not OauthToken. A describe is no read. The \
finding is high; medium where every call was refused; and for logs and code, medium where the user read the same \
object on several of the last days, or where the registry names no log reader at all (the first reader of such an \
org is most likely its collector). Where this leaves the catalogue: that habit; and Apex classes are what deployment \
accounts and administrators work with, so those are left out."""
false_positives = [
  "A security or backup tool that nobody declared: name it in `log_readers` of [org], or in this rule's `readers`",
  "The system that owns the token store: name it in `readers`",
]
response = [
  "Ask the owner what the user needs the object for; no answer counts as no",
  "Credentials or tokens were read: rotate them all, starting with those that lead to other systems",
  "Look at the address and at what the user did before: a client that never read them may be stolen",
  "Take the object away: View Setup, View Event Log Files, Author Apex, or the permission set of the token store",
]
references = [
  "https://attack.mitre.org/techniques/T1552/",
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1654/",
]
inputs = ["api_calls", "sightings?"]
dedupe = ["user_key", "what"]
bucket = "day"

[params.credential_entities]
type = "text_list"
default = [
  "OauthToken", "AuthSession", "NamedCredential", "NamedCredentialParameter", "ExternalCredential",
  "ExternalCredentialParameter", "UserExternalCredential", "ExternalDataUserAuth", "AuthProvider",
  "ConnectedApplication", "ExternalClientApplication", "Certificate", "SamlSsoConfig", "TwoFactorInfo",
]
meaning = "objects that hold or describe tokens, credentials and keys"

[params.own_stores]
type = "text_list"
default = []
meaning = "the org's own objects that hold tokens or secrets, as in \"Token_Store__c\""

[params.log_entities]
type = "text_list"
default = ["EventLogFile", "LoginHistory", "VerificationHistory", "SetupAuditTrail"]
meaning = "objects that hold logs"

[params.code_entities]
type = "text_list"
default = ["ApexClass"]
meaning = "objects that hold code; not told of administrators and deployment accounts"

[params.readers]
type = "text_list"
default = []
meaning = "user names or 18-character ids that may read all of these, besides the registry's log_readers"

[params.habit_period]
type = "duration"
default = "30d"
meaning = "how far back a user's reading of logs and code is looked for"

[params.habit_days]
type = "int"
default = 3
meaning = "days in that time on which the user read the same object, from which it is a habit"
*/
WITH
-- Few groups stand for many calls.
calls AS (
    SELECT
        user_key, day, entity_name, resource, ip, role, role_source, coalesce(nullif(trim(app), ''), nullif(trim(app_id), '')) AS app,
        client_name, event_type,
        max(user_id) AS user_id, max(username) AS username, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        sum(calls) AS counted, count(*) AS events, count(*) FILTER (WHERE is_error) AS refused,
        sum(rows_processed) AS rows, min(file_id || ':' || line_no) AS proof
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND user_key IS NOT NULL
      AND (entity_name IS NOT NULL OR resource LIKE '%sobjects/%')
      AND lower(coalesce(method, '')) NOT IN (
          'delete', 'patch', 'put', 'insert', 'create', 'update', 'upsert', 'undelete', 'merge', 'harddelete')
      AND lower(coalesce(resource, '')) NOT LIKE '%/describe%'
    GROUP BY user_key, day, entity_name, resource, ip, role, role_source,
        coalesce(nullif(trim(app), ''), nullif(trim(app_id), '')), client_name, event_type
),
-- A cell may hold a list of objects; each is compared as a whole.
objects AS (
    SELECT
        *,
        unnest(array_distinct(array_remove(string_to_array(
            regexp_replace(lower(coalesce(entity_name, '') || ',' || coalesce(split_part(resource, 'sobjects/', 2), '')),
                '[^a-z0-9_]+', ',', 'g'), ','), ''))) AS entity
    FROM calls
),
reads AS (
    SELECT *
    FROM (
        SELECT
            *,
            CASE
                WHEN array_has(string_to_array(lower(array_to_string($credential_entities, ',')), ','), entity) THEN 'credentials'
                WHEN array_has(string_to_array(lower(array_to_string($own_stores, ',')), ','), entity) THEN 'own store'
                WHEN array_has(string_to_array(lower(array_to_string($log_entities, ',')), ','), entity) THEN 'logs'
                WHEN array_has(string_to_array(lower(array_to_string($code_entities, ',')), ','), entity) THEN 'code'
            END AS what
        FROM objects
    ) o
    WHERE what IS NOT NULL AND NOT (what = 'code' AND role IN ('ci', 'human_admin'))
      -- A reader is one where it is expected to be.
      AND NOT (
          (array_has($readers, o.user_key) OR coalesce(array_has($readers, o.username), false)
           OR EXISTS (SELECT 1 FROM registry_log_readers r WHERE r.user_key = o.user_key))
          AND coalesce(in_networks(o.user_key, o.ip, o.first_at), true))
),
-- On which earlier days the user called the same object.
habits AS (
    SELECT r.user_key, r.entity, r.day, count(DISTINCT s.day) AS days
    FROM (SELECT DISTINCT user_key, entity, day FROM reads WHERE what IN ('logs', 'code')) r
    JOIN (
        SELECT user_key, value, day FROM sightings
        WHERE day >= CAST($window_start - $habit_period AS DATE) AND day < CAST($window_end AS DATE) AND kind = 'object'
    ) s ON s.user_key = r.user_key AND s.value = r.entity
    WHERE s.day < r.day AND s.day >= r.day - CAST($habit_period AS INTERVAL)
    GROUP BY r.user_key, r.entity, r.day
),
by_day AS (
    SELECT
        r.user_key, r.what, r.day,
        max(r.user_id) AS user_id, max(r.username) AS username, max(r.role) AS role, max(r.role_source) AS role_source,
        max(r.system) AS system, max(r.owner) AS owner,
        min(r.first_at) AS first_at, max(r.last_at) AS last_at,
        -- One call is written to ApiTotalUsage and to a detail type: the larger count of the two.
        greatest(sum(r.counted), sum(r.events) - sum(r.counted)) AS calls,
        sum(r.refused) = sum(r.events) AS all_refused,
        coalesce(sum(r.rows), 0) AS rows_read,
        bool_and(coalesce(h.days >= $habit_days, false)) AS is_habit,
        array_agg(DISTINCT r.entity ORDER BY r.entity) AS entities,
        array_slice(array_agg(DISTINCT printable(r.app) ORDER BY printable(r.app)) FILTER (WHERE r.app IS NOT NULL), 1, 20) AS apps,
        array_slice(array_agg(DISTINCT printable(r.client_name) ORDER BY printable(r.client_name))
            FILTER (WHERE coalesce(r.client_name, '') <> ''), 1, 20) AS clients,
        array_slice(array_agg(DISTINCT r.ip ORDER BY r.ip) FILTER (WHERE r.ip IS NOT NULL), 1, 20) AS ips,
        array_agg(DISTINCT r.event_type ORDER BY r.event_type) AS event_types,
        array_slice(array_agg(r.proof ORDER BY r.first_at, r.proof), 1, 20) AS proof
    FROM reads r
    LEFT JOIN habits h ON h.user_key = r.user_key AND h.entity = r.entity AND h.day = r.day
    GROUP BY r.user_key, r.what, r.day
),
judged AS (
    SELECT *, (SELECT count(*) FROM registry_log_readers) > 0 AS readers_declared
    FROM by_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE
            WHEN all_refused OR (what IN ('logs', 'code') AND is_habit) OR (what = 'logs' AND NOT readers_declared) THEN 2
            ELSE 3
        END - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    calls AS event_count,
    last_at,
    CASE what
        WHEN 'logs' THEN CASE WHEN readers_declared THEN 'Only the log readers that the registry names read logs, from their networks'
                         ELSE 'Readers of logs are named in the registry (log_readers); none is yet' END
        WHEN 'code' THEN 'Only administrators and deployment accounts read Apex code'
        WHEN 'own store' THEN 'Only the system that owns the token store reads it'
        ELSE 'Nobody but declared readers reads objects that hold tokens and credentials'
    END AS expected,
    calls || CASE WHEN calls = 1 THEN ' call' ELSE ' calls' END
        || CASE WHEN all_refused THEN ' (all refused)' ELSE '' END
        || ' on ' || array_to_string(array_slice(entities, 1, 5), ', ')
        || CASE WHEN rows_read > 0 THEN ', ' || rows_read || ' rows' ELSE '' END
        || coalesce(', by way of ' || array_to_string(array_slice(coalesce(apps, clients), 1, 3), ', '), '')
        || coalesce(', from ' || array_to_string(array_slice(ips, 1, 5), ', '), '')
        || CASE WHEN is_habit THEN '; it did so on earlier days, too' ELSE '' END AS observed,
    role, role_source, system, owner,
    what, entities, rows_read, all_refused, is_habit, apps, clients, event_types, ips,
    proof
FROM judged
ORDER BY occurred_at, user_key, what
