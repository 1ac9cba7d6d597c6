/*
id = "unmapped-value"
title = "A coded field carries a value our maps do not know"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.3"]
attack = ["T1562", "T1036"]
description = """
A new release, or something odd. The rules treat an unknown login type as UI; this finding says which value \
it was, so that somebody decides. Codes are compared with regard to case (`i` is OAuth 2, `I` a SOAP login), \
labels without. High when the row is a success or the user is no person. The catalogue also asks for numbers out of \
range (a score, an API version): they are no coded fields; versions too old or too new for their door are told by \
retired-api-version and soap-login-call."""
false_positives = ["A new release of Salesforce adds a code: add it to your own catalogue file, with the date"]
response = [
  "Look the value up in Salesforce's release notes and object reference",
  "Known and harmless: add it to your own catalogue file",
  "Unknown: look at the users and addresses that carry it",
]
references = ["https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_eventlogfile.htm"]
inputs = ["logins | Logout | api_calls | threat_events"]
dedupe = ["field", "value"]
bucket = "day"
*/
WITH by_value AS (
    SELECT
        day, field,
        -- Escaped, so that an odd value plays no tricks, and cut, so that it fills no screen.
        printable(substr(trim(value), 1, 64)) AS value,
        min(source_table) AS source_table,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS events,
        count(DISTINCT user_key) AS users,
        max(user_key) AS user_key, max(user_id) AS user_id, max(username) AS username,
        bool_or(coalesce(outcome = 'success', false)) AS any_success,
        -- An account that is only inferred to be an integration counts one level lower.
        bool_or(coalesce(role = 'internal_system' OR (role = 'integration' AND role_source = 'registry'), false))
            AS any_machine,
        array_agg(DISTINCT role ORDER BY role) FILTER (WHERE role IS NOT NULL) AS roles,
        array_agg(DISTINCT outcome ORDER BY outcome) FILTER (WHERE outcome IS NOT NULL) AS outcomes,
        array_slice(array_agg(DISTINCT printable(username) ORDER BY printable(username))
            FILTER (WHERE username IS NOT NULL), 1, 20) AS usernames,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM unmapped_values
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND trim(coalesce(value, '')) <> ''
    GROUP BY day, field, printable(substr(trim(value), 1, 64))
)
SELECT
    first_at AS occurred_at,
    -- The finding is about the value; where one user alone carries it, it is about that user, too.
    CASE WHEN users = 1 THEN user_key END AS user_key,
    CASE WHEN users = 1 THEN user_id END AS user_id,
    CASE WHEN users = 1 THEN username END AS username,
    CASE WHEN any_success OR any_machine THEN 'high' ELSE 'medium' END AS severity,
    events AS event_count,
    last_at,
    'Only values of ' || field || ' that the catalogue knows' AS expected,
    '"' || value || '" in ' || events || CASE WHEN events = 1 THEN ' row' ELSE ' rows' END
        || ' of ' || users || CASE WHEN users = 1 THEN ' user' ELSE ' users' END
        || CASE WHEN any_success THEN ', in a successful login' ELSE '' END
        || CASE WHEN any_machine THEN ', under the account of a machine' ELSE '' END AS observed,
    CASE WHEN users = 1 THEN array_to_string(roles, ', ') END AS role,
    source_table, field, value, users, usernames, roles, outcomes, ips,
    proof
FROM by_value
ORDER BY occurred_at, field, value
