/*
id = "salesforce-threat-event"
title = "Salesforce's own Threat Detection fired"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S0.32", "S4.8"]
attack = ["T1078.004"]
description = """
Threat Detection (part of Shield and of Event Monitoring) compares each user with its own past and stores what stands \
out in objects of its own, where nobody looks. This passes its events on: high from a score of 0.8, medium from 0.5, \
low from 0.3, one level higher where the account is no person's, for machines do not change their ways. An event \
without a score is low: the detection found something and does not say how much. Scores run from 0 to 1; one outside \
is told by `unmapped-value`, for then the scale has changed and the levels here mean nothing. Of what made the score \
the names are shown, never a value. Events of the same user and kind on a day are one finding; what our own rules \
found about the user stands in the same case. Changes of permission sets, which have no score, are left to \
`privilege-change-on-integration-user`."""
false_positives = [
  "A user with a new task or on a journey: Salesforce learns it within weeks",
  "A new integration: its past is empty, and all it does is new",
]
response = [
  "Open the event in Setup (Threat Detection) and read its details; they stay in Salesforce on purpose",
  "Read what the user did from that address and in that session (`login_keys` join the events with the logs)",
  "Not explained: end its sessions, revoke its tokens, freeze the user, rotate the credential",
  "Answer it in Setup (Provide Feedback), so that the model learns",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://help.salesforce.com/s/articleView?id=sf.real_time_em_threat_detection.htm",
]
inputs = ["threat_events?"]
dedupe = ["user_key", "threat"]
bucket = "day"

[params.high_score]
type = "float"
default = 0.8
meaning = "score from which an event is high"

[params.medium_score]
type = "float"
default = 0.5
meaning = "score from which it is medium"

[params.low_score]
type = "float"
default = 0.3
meaning = "score from which it is reported at all"
*/
WITH by_day AS (
    SELECT
        user_key, threat, date_trunc('day', occurred_at) AS day_start,
        max(user_id) AS user_id, max(username) AS username, max(role) AS role, max(role_source) AS role_source,
        max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        -- One event may have come in two exports.
        count(DISTINCT coalesce(event_identifier, file_id || ':' || line_no)) AS events,
        max(score) AS score,
        first_value(contributors ORDER BY score DESC NULLS LAST, contributors)
            FILTER (WHERE contributors IS NOT NULL) AS contributors,
        array_agg(DISTINCT policy_outcome ORDER BY policy_outcome) FILTER (WHERE policy_outcome IS NOT NULL)
            AS policy_outcomes,
        array_slice(array_agg(DISTINCT printable(entities) ORDER BY printable(entities))
            FILTER (WHERE entities IS NOT NULL), 1, 10) AS objects,
        max(rows_processed) AS most_rows,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_slice(array_agg(DISTINCT previous_ip ORDER BY previous_ip) FILTER (WHERE previous_ip IS NOT NULL), 1, 20)
            AS previous_ips,
        coalesce(bool_or(NOT in_networks(user_key, ip, occurred_at)), false) AS outside_networks,
        array_slice(array_agg(DISTINCT login_key ORDER BY login_key) FILTER (WHERE login_key IS NOT NULL), 1, 20)
            AS login_keys,
        array_slice(array_agg(DISTINCT printable(event_identifier) ORDER BY printable(event_identifier))
            FILTER (WHERE event_identifier IS NOT NULL), 1, 20) AS event_identifiers,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM threat_events
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND threat <> 'PermissionSet'
      AND (score IS NULL OR (score >= $low_score AND score <= 1))
    GROUP BY user_key, threat, date_trunc('day', occurred_at)
),
levels AS (
    SELECT
        *,
        CASE WHEN score >= $high_score THEN 3 WHEN score >= $medium_score THEN 2 ELSE 1 END
        -- Non-human, as the registry says; who is only inferred to be a machine counts one lower.
        + CASE
              WHEN role = 'internal_system' OR (role = 'integration' AND role_source = 'registry') THEN 1
              ELSE 0
          END AS level
    FROM by_day
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    ['low', 'medium', 'high', 'critical'][level] AS severity,
    events AS event_count,
    last_at,
    'Salesforce''s Threat Detection finds nothing unusual about this account' AS expected,
    printable(threat) || CASE WHEN events = 1 THEN '' ELSE ' ' || events || ' times' END
        || coalesce(', score ' || CAST(round(score, 2) AS VARCHAR) || ' of 1', ', without a score')
        || coalesce(', because of ' || replace(contributors, ';', ', '), '')
        || coalesce(', on ' || array_to_string(array_slice(objects, 1, 3), ', '), '')
        || ', from ' || coalesce(array_to_string(array_slice(ips, 1, 5), ', '), 'no usable address')
        || CASE WHEN outside_networks THEN ', outside the declared networks' ELSE '' END
        || coalesce(' (before: ' || array_to_string(array_slice(previous_ips, 1, 3), ', ') || ')', '') AS observed,
    role, role_source, system, owner,
    threat, score, contributors, policy_outcomes, objects, most_rows, ips, previous_ips, login_keys,
    event_identifiers, proof
FROM levels
ORDER BY occurred_at, user_key, threat
