/*
id = "{id}"
title = "{title}"
severity = "medium"
family = "attack"
status = "staging"
version = 1
control = ["S0.15", "S4.9"]
attack = ["T1110"]
description = """
A machine does not mistype. Failed logins of one integration user from one network within a day are a \
secret that changed on one side only, or somebody who tries. Say here what the rule watches, why it \
matters, and what it cannot see."""
false_positives = [
  "A secret was rotated and one system still uses the old one",
]
response = [
  "Ask the owner of the system whether its secret was changed",
  "If not: find out whose address it is, and have the secret rotated",
]
references = ["https://attack.mitre.org/techniques/T1110/"]
inputs = ["Login | LoginHistory"]
dedupe = ["user_key", "network"]
bucket = "day"

[params.least_failures]
type = "int"
default = 5
meaning = "failed logins of one user from one network within a day from which it is a finding"
*/
WITH failures AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip,
        coalesce(network_of(ip), 'no usable address') AS network,
        coalesce(fail_class, 'other') AS fail_class
    FROM logins
    -- The window is half-open, and a rule judges nothing outside it.
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND outcome = 'failure'
      AND role = 'integration'
)
SELECT
    min(occurred_at) AS occurred_at,
    user_key,
    max(user_id) AS user_id,
    max(username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    CASE WHEN max(role_source) = 'inferred' THEN 'low' ELSE 'medium' END AS severity,
    count(*) AS event_count,
    max(occurred_at) AS last_at,
    'Fewer than ' || $least_failures || ' failed logins a day from one network' AS expected,
    count(*) || ' failed logins from ' || network AS observed,
    max(role) AS role,
    max(system) AS system,
    max(owner) AS owner,
    network,
    array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL) AS ips,
    array_agg(DISTINCT fail_class ORDER BY fail_class) AS fail_classes
FROM failures
GROUP BY day, user_key, network
HAVING count(*) >= $least_failures
ORDER BY occurred_at, user_key, network
