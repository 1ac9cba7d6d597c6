/*
id = "integration-profile-not-baseline"
title = "Integration user is not on the agreed locked-down profile"
family = "identity"
severity = "low"
status = "active"
version = 1
control = ["S0.22"]
attack = ["T1078.004"]
description = """
One base profile that allows next to nothing, cloned where another set of login addresses is needed, and permission \
sets for the objects: then a look at the profile's name is enough to know what an integration user cannot do. The \
registry lists the base profiles and their clones (`base_profiles` of [org]); an active integration user on any \
other profile is a finding. Without such a list nothing is judged."""
false_positives = ["A new clone of the base profile: add it to `base_profiles`"]
response = [
  "Move the user to a base profile, and what it needs into permission sets",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["users", "registry_base_profiles"]
dedupe = ["user_key"]
bucket = "none"
*/
SELECT
    CAST(u.day AS TIMESTAMPTZ) AS occurred_at,
    u.user_key, u.user_id, u.username,
    'low' AS severity,
    1 AS event_count,
    CAST(u.day AS TIMESTAMPTZ) AS last_at,
    'A profile that the registry lists as base profile' AS expected,
    'On profile ' || coalesce(printable(u.profile_name), '(unknown)') AS observed,
    u.role, u.role_source, u.system, u.owner,
    printable(u.profile_name) AS profile, printable(u.licence) AS licence,
    [u.file_id || ':' || u.line_no] AS proof
FROM users u
WHERE CAST($now AS DATE) >= u.day AND CAST($now AS DATE) < u.next_day
  AND u.role = 'integration'
  AND coalesce(u.is_active, true)
  AND EXISTS (SELECT 1 FROM registry_base_profiles)
  -- A profile whose name the roster does not tell is on no list.
  AND NOT EXISTS (
      SELECT 1 FROM registry_base_profiles b
      WHERE lower(trim(b.profile)) = lower(trim(u.profile_name))
  )
ORDER BY occurred_at, u.user_key
