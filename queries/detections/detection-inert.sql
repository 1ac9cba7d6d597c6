/*
id = "detection-inert"
title = "A detection cannot see anything"
family = "coverage"
severity = "medium"
status = "active"
version = 1
control = ["S4.8"]
attack = ["T1562.001"]
description = """
A rule that cannot see looks like a quiet night. High: an enabled rule whose input came before and comes no \
more, one finding for each missing input with all its rules, and a rule whose query fails. Medium: a rule that \
stays silent when its own first example is pushed through the program (the canary, once a night), because a \
mapping, a view or the program changed under it. Low: a rule that only finds its example with its own \
defaults, not with the params of the configuration: perhaps meant so. A rule whose input never came is not in \
error: an org without Event Monitoring lacks it by design, and the run's summary lists it. Counting the rows \
that pass each predicate, as the catalogue proposes, is left to the canary: it proves the whole way from the \
file to the finding, also for events so rare that no count of past rows says anything."""
false_positives = [
  "Event Monitoring was given up on purpose: switch the rules that need it off",
  "A threshold raised on purpose beyond what the rule's example reaches (low)",
]
response = [
  "Input missing: see the finding of missing-log-file, the download job and the Event Monitoring settings",
  "Silent or failed: `orgwatch rules test ID` shows what differs; report it where the rule is built in",
  "Until then treat what the rule watches as unwatched",
]
references = ["https://attack.mitre.org/techniques/T1562/001/"]
inputs = ["rule_runs", "canaries", "runs"]
dedupe = ["kind", "subject"]
bucket = "none"

[params.recent]
type = "duration"
default = "2d"
meaning = "how long the last word on a rule counts; a rule that was switched off is forgotten then"

[params.rules_shown]
type = "int"
default = 20
meaning = "rules that a finding names"
*/
WITH
-- A run of kind `run` asks every rule that is on: what it did not ask is off.
last_night AS (
    SELECT coalesce(max(r.run_id), 0) AS run_id
    FROM rule_runs r
    JOIN runs n ON n.run_id = r.run_id
    WHERE n.kind = 'run' AND n.started_at <= $now
),
verdicts AS (
    SELECT
        r.rule_id, r.status, r.reason, n.started_at,
        row_number() OVER (PARTITION BY r.rule_id ORDER BY r.run_id DESC) AS nth
    FROM rule_runs r
    JOIN runs n ON n.run_id = r.run_id
    CROSS JOIN last_night l
    WHERE r.run_id >= l.run_id AND n.started_at <= $now AND n.started_at > $now - $recent
),
blind AS (
    SELECT
        'no_input' AS kind,
        -- The same input blinds many rules: one finding. How long it has been so is no part of it.
        printable(regexp_replace(regexp_replace(reason, '^blind: ', ''), ' since .*$', '')) AS subject,
        min(substr(regexp_match(reason, ' since ([0-9]{4}-[0-9]{2}-[0-9]{2})')[1], 1, 10)) AS since,
        min(started_at) AS at, count(*) AS rules,
        array_slice(array_agg(printable(rule_id) ORDER BY rule_id), 1, $rules_shown) AS rule_ids,
        CAST(NULL AS VARCHAR) AS case_name, min(printable(reason)) AS reason,
        3 AS level
    FROM verdicts
    WHERE nth = 1 AND status = 'blind'
    GROUP BY printable(regexp_replace(regexp_replace(reason, '^blind: ', ''), ' since .*$', ''))
),
failed AS (
    SELECT
        'failed' AS kind, printable(rule_id) AS subject, CAST(NULL AS VARCHAR) AS since,
        started_at AS at, 1 AS rules, [printable(rule_id)] AS rule_ids,
        CAST(NULL AS VARCHAR) AS case_name, printable(reason) AS reason,
        3 AS level
    FROM verdicts
    WHERE nth = 1 AND status = 'failed'
),
canary AS (
    SELECT
        CASE c.state
            WHEN 'silenced_by_settings' THEN 'silenced_by_settings'
            WHEN 'failed' THEN 'canary_failed'
            ELSE 'canary_silent'
        END AS kind,
        printable(c.rule_id) AS subject, CAST(NULL AS VARCHAR) AS since,
        c.checked_at AS at, 1 AS rules, [printable(c.rule_id)] AS rule_ids,
        printable(c.case_name) AS case_name, printable(c.reason) AS reason,
        CASE WHEN c.state = 'silenced_by_settings' THEN 1 ELSE 2 END AS level
    FROM canaries c
    -- A state that nobody knows is no proof of life.
    WHERE (c.state IS DISTINCT FROM 'fired')
      AND (c.checked_at > $now - $recent
           OR EXISTS (SELECT 1 FROM verdicts v WHERE v.rule_id = c.rule_id))
),
inert AS (
    SELECT * FROM blind
    UNION ALL
    SELECT * FROM failed
    UNION ALL
    SELECT * FROM canary
)
SELECT
    least(
        coalesce(CAST(CAST(since AS DATE) AS TIMESTAMP), CAST(at AS TIMESTAMP), CAST($now AS TIMESTAMP)),
        CAST($window_end AS TIMESTAMP) - INTERVAL '1 millisecond'
    ) AS occurred_at,
    CAST(NULL AS VARCHAR) AS user_key,
    CAST(NULL AS VARCHAR) AS user_id,
    CAST(NULL AS VARCHAR) AS username,
    ['low', 'medium', 'high'][level] AS severity,
    rules AS event_count,
    CAST($window_end AS TIMESTAMP) - INTERVAL '1 millisecond' AS last_at,
    CASE kind
        WHEN 'no_input' THEN 'The input of every enabled rule keeps coming'
        WHEN 'failed' THEN 'The query of every enabled rule can be answered'
        ELSE 'Every enabled rule finds its own example each night'
    END AS expected,
    CASE kind
        WHEN 'no_input' THEN subject || coalesce(' since ' || since, '') || ': '
            || rules || CASE WHEN rules = 1 THEN ' rule sees nothing: ' ELSE ' rules see nothing: ' END
            || array_to_string(array_slice(rule_ids, 1, 5), ', ')
            || CASE WHEN rules > 5 THEN ' + ' || (rules - 5) || ' more' ELSE '' END
        WHEN 'failed' THEN subject || ' failed: ' || coalesce(reason, 'no reason given')
        WHEN 'canary_failed' THEN 'The example of ' || subject || ' could not be tried: ' || coalesce(reason, 'no reason given')
        WHEN 'silenced_by_settings' THEN subject || ' finds its own example with its defaults only, not with the params of the configuration'
        ELSE subject || ' stays silent on its own example: ' || coalesce(reason, 'no reason given')
    END AS observed,
    kind, subject, since, rules, rule_ids, case_name, reason
FROM inert
ORDER BY occurred_at, kind, subject
