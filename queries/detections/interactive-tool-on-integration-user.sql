/*
id = "interactive-tool-on-integration-user"
title = "A person's tool is used with an integration user"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.5", "S0.11", "S1.2"]
attack = ["T1078.004", "T1213.004"]
description = """
Workbench, Data Loader, Postman and their like are worked by hand. With an integration's credential they mean that a \
person has it, and that what the person does is written down under the name of a machine. Intruders bring the same \
tools. The tool is known by the app, by the client name before its slash, or by the first word of the user agent; only \
the whole name counts (`Workbench/` is the tool, `WorkbenchSync/2.1` is not). API calls that name nobody count for the \
tool that made their login. The list of tools stands in the query. Allowed is what the registry declares for the user \
as a tool or, beyond the catalogue, as an app: who writes `apps = ["Jitterbit"]` means it. A maintenance window covers \
its time and networks. Refused logins are no use of the credential and are left to the rules about attempts. The names \
are the caller's own claim: a tool that calls itself otherwise is not seen here."""
false_positives = [
  "A deployment user that runs the Salesforce CLI: give it the role ci",
  "An approved migration: open a maintenance window, or declare the tool with valid_to and ticket",
  "A shell script with curl is a system: declare curl as the user's tool, or better give it a name of its own",
]
response = [
  "Ask the owner who worked with the credential, and why not with a named user",
  "Nobody: freeze the user, revoke its tokens, rotate its credential, and read which objects were touched",
  "Block the tool's app for integration profiles (API access control), and keep the credential where people cannot read it",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
  "https://attack.mitre.org/techniques/T1213/004/",
]
inputs = ["logins | api_calls"]
dedupe = ["user_key", "tool"]
bucket = "day"

[params.session_period]
type = "duration"
default = "24h"
meaning = "how long after a tool's login calls under its login key belong to the tool"
*/
WITH
-- Names in letters and digits only, without version; each spelling that is known of a tool.
tools (word, tool) AS (
    VALUES
        ('workbench', 'Workbench'),
        ('dataloader', 'Data Loader'), ('dataloaderui', 'Data Loader'), ('dataloaderbatch', 'Data Loader'),
        ('dataloaderbulk', 'Data Loader'), ('dataloaderbulkui', 'Data Loader'), ('dataloaderbulkbatch', 'Data Loader'),
        ('dataloaderbulkv2', 'Data Loader'), ('dataloaderbulkv2ui', 'Data Loader'),
        ('dataloaderbulkv2batch', 'Data Loader'), ('dataloaderpartner', 'Data Loader'),
        ('dataloaderpartnerui', 'Data Loader'), ('dataloaderpartnerbatch', 'Data Loader'),
        ('salesforcedataloader', 'Data Loader'),
        ('dataloaderio', 'dataloader.io'),
        ('salesforceinspector', 'Salesforce Inspector'), ('salesforceinspectorreloaded', 'Salesforce Inspector'),
        ('salesforcecli', 'Salesforce CLI'), ('platformcli', 'Salesforce CLI'), ('sfcli', 'Salesforce CLI'),
        ('sfdx', 'Salesforce CLI'), ('sfdxcli', 'Salesforce CLI'), ('sfdxtoolbelt', 'Salesforce CLI'),
        ('salesforcedx', 'Salesforce CLI'),
        ('vscode', 'VS Code'), ('visualstudiocode', 'VS Code'), ('salesforcevscode', 'VS Code'),
        ('salesforceextensionsforvscode', 'VS Code'), ('salesforceextensionsforvisualstudiocode', 'VS Code'),
        ('postman', 'Postman'), ('postmanruntime', 'Postman'), ('insomnia', 'Insomnia'),
        ('soqlxplorer', 'SoqlXplorer'),
        ('developerconsole', 'Developer Console'),
        ('gearset', 'Gearset'),
        ('jitterbit', 'Jitterbit'), ('jitterbitdataloader', 'Jitterbit'),
        ('curl', 'curl'), ('wget', 'wget'), ('httpie', 'HTTPie')
),
app_names AS (
    SELECT coalesce(sf_id18(trim(id)), trim(id)) AS app_id, min(name) AS name
    FROM registry_org_apps
    WHERE id IS NOT NULL
    GROUP BY coalesce(sf_id18(trim(id)), trim(id))
),
-- Every spelling that names an app, a client or a user agent, once: words are made of names and not
-- of rows. Absent and empty are one here.
spellings AS (
    SELECT DISTINCT
        'login' AS kind, coalesce(app, '') AS app, '' AS app_id, '' AS client_name, coalesce(browser, '') AS browser
    FROM logins
    WHERE occurred_at >= $window_start - $session_period AND occurred_at < $window_end
    UNION ALL
    SELECT DISTINCT
        'call' AS kind, coalesce(app, '') AS app, coalesce(app_id, '') AS app_id, coalesce(client_name, '') AS client_name,
        '' AS browser
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
),
worded AS (
    SELECT
        s.*, coalesce(nullif(trim(s.app), ''), n.name) AS app_name,
        regexp_replace(regexp_replace(app_name_key(coalesce(nullif(trim(s.app), ''), n.name)),
            '[ _-]v?[ .0-9]+$', ''), '[^a-z0-9]+', '', 'g') AS app_word,
        regexp_replace(regexp_replace(app_name_key(split_part(split_part(s.client_name, '/', 1), ':', 1)),
            '[ _-]v?[ .0-9]+$', ''), '[^a-z0-9]+', '', 'g') AS client_word,
        regexp_replace(regexp_replace(app_name_key(split_part(split_part(s.browser, '/', 1), ':', 1)),
            '[ _-]v?[ .0-9]+$', ''), '[^a-z0-9]+', '', 'g') AS browser_word
    FROM spellings s
    LEFT JOIN app_names n ON n.app_id = coalesce(sf_id18(trim(s.app_id)), trim(s.app_id))
),
-- Those that are a tool, and those that name nobody (without a tool).
named AS (
    SELECT
        w.kind, w.app, w.app_id, w.client_name, w.browser, coalesce(a.tool, c.tool, b.tool) AS tool,
        CASE
            WHEN a.tool IS NOT NULL THEN w.app_name
            WHEN c.tool IS NOT NULL THEN w.client_name
            WHEN b.tool IS NOT NULL THEN w.browser
        END AS seen_name
    FROM worded w
    LEFT JOIN tools a ON a.word = w.app_word
    LEFT JOIN tools c ON c.word = w.client_word
    LEFT JOIN tools b ON b.word = w.browser_word
    WHERE coalesce(a.tool, c.tool, b.tool) IS NOT NULL
       OR (coalesce(w.app_word, '') IN ('', 'na') AND coalesce(w.client_word, '') = '')
),
tool_logins AS (
    SELECT
        l.user_key, l.day, l.occurred_at, l.login_key, l.ip, l.role_source, n.tool, n.seen_name, l.file_id, l.line_no
    FROM named n
    JOIN logins l
      ON n.kind = 'login' AND n.app = coalesce(l.app, '') AND n.browser = coalesce(l.browser, '')
     AND n.tool IS NOT NULL
    WHERE l.occurred_at >= $window_start - $session_period AND l.occurred_at < $window_end
      AND l.role = 'integration' AND l.outcome = 'success'
),
used AS (
    SELECT
        user_key, day, occurred_at, ip, role_source, tool, seen_name, CAST(NULL AS VARCHAR) AS entity_name,
        1 AS logins, 0 AS counted_calls, 0 AS detail_calls, file_id, line_no
    FROM tool_logins
    WHERE occurred_at >= $window_start
    UNION ALL
    SELECT
        c.user_key, c.day, c.occurred_at, c.ip, c.role_source,
        -- The call names nobody: it belongs to the tool of its login.
        coalesce(c.tool, k.login_tool) AS tool, c.seen_name, c.entity_name,
        0 AS logins, c.calls AS counted_calls, 1 - c.calls AS detail_calls, c.file_id, c.line_no
    -- What is small stands on the left of each join: that side is held in memory, the calls pass by.
    -- The planner takes the calls for few, and would turn that round: of what unnest gives it supposes nothing.
    FROM (
        SELECT user_key, login_key, max(tool) AS login_tool
        FROM tool_logins
        WHERE login_key IS NOT NULL
        GROUP BY user_key, login_key
    ) k
    RIGHT JOIN (
        SELECT c.*, n.tool, n.seen_name
        FROM named n
        JOIN (
            SELECT
                user_key, day, occurred_at, ip, role_source, entity_name, login_key, app, app_id, client_name, file_id, line_no,
                unnest([calls]) AS calls
            FROM api_calls
            WHERE occurred_at >= $window_start AND occurred_at < $window_end AND role = 'integration'
        ) c
          ON n.kind = 'call' AND n.app = coalesce(c.app, '') AND n.app_id = coalesce(c.app_id, '')
         AND n.client_name = coalesce(c.client_name, '')
    ) c ON c.user_key = k.user_key AND c.login_key = k.login_key
    WHERE c.tool IS NOT NULL OR k.login_tool IS NOT NULL
),
-- What the registry allows the user, by whatever spelling.
allowed AS (
    SELECT a.user_key, t.tool, a.valid_from, a.valid_to, true AS is_allowed
    FROM (
        SELECT user_key, tool AS name, valid_from, valid_to FROM registry_tools
        UNION ALL
        SELECT user_key, app_name AS name, valid_from, valid_to FROM registry_apps
    ) a
    JOIN tools t
      ON t.word = regexp_replace(regexp_replace(app_name_key(a.name), '[ _-]v?[ .0-9]+$', ''), '[^a-z0-9]+', '', 'g')
),
-- Hour by hour, so that a tool that is called all night stays a few rows.
by_hour AS (
    SELECT
        u.user_key, u.day, u.tool, u.ip, u.seen_name, u.entity_name, max(u.role_source) AS role_source,
        min(u.occurred_at) AS first_at, max(u.occurred_at) AS last_at,
        sum(u.logins) AS logins, sum(u.counted_calls) AS counted_calls, sum(u.detail_calls) AS detail_calls,
        min(u.file_id || ':' || u.line_no) AS proof
    FROM allowed a
    RIGHT JOIN used u
      ON u.user_key = a.user_key AND u.tool = a.tool AND u.occurred_at >= a.valid_from AND u.occurred_at < a.valid_to
    WHERE a.is_allowed IS NULL AND NOT in_window(u.user_key, u.ip, u.occurred_at, 'maintenance')
    GROUP BY u.user_key, u.day, u.tool, u.ip, u.seen_name, u.entity_name, date_trunc('hour', u.occurred_at)
),
by_day AS (
    SELECT
        u.user_key, u.day, u.tool, max(u.role_source) AS role_source,
        min(u.first_at) AS first_at, max(u.last_at) AS last_at,
        sum(u.logins) AS logins,
        -- One call is written to ApiTotalUsage and to a detail type: the larger count of the two.
        greatest(sum(u.counted_calls), sum(u.detail_calls)) AS calls,
        count(DISTINCT u.entity_name) AS entities,
        coalesce(bool_or(NOT in_networks(u.user_key, u.ip, u.first_at)), false) AS outside_networks,
        bool_or(in_networks(u.user_key, u.ip, u.first_at)) AS any_ip_allowed,
        array_slice(array_agg(DISTINCT printable(u.seen_name) ORDER BY printable(u.seen_name))
            FILTER (WHERE u.seen_name IS NOT NULL), 1, 20) AS names,
        array_agg(DISTINCT u.ip ORDER BY u.ip) FILTER (WHERE u.ip IS NOT NULL) AS ips,
        array_slice(array_agg(u.proof ORDER BY u.first_at, u.proof), 1, 20) AS proof
    FROM by_hour u
    GROUP BY u.user_key, u.day, u.tool
)
SELECT
    d.first_at AS occurred_at,
    d.user_key, sf_id18(d.user_key) AS user_id, coalesce(known_username(d.user_key), r.username) AS username,
    -- An account that is only inferred to be an integration counts one level lower.
    CASE WHEN d.role_source = 'inferred' THEN 'medium' ELSE 'high' END AS severity,
    d.logins + d.calls AS event_count,
    d.last_at,
    'Only the integration''s own software uses this user; people work with users of their own' AS expected,
    d.tool
        || CASE WHEN d.names IS NULL THEN '' ELSE ' (as "' || array_to_string(array_slice(d.names, 1, 3), '", "') || '")' END
        || ': logins ' || d.logins || ', API calls ' || d.calls
        || CASE WHEN d.entities > 0 THEN ', different objects ' || d.entities ELSE '' END
        || ', from ' || coalesce(array_to_string(array_slice(d.ips, 1, 5), ', '), 'no usable address')
        || CASE WHEN d.outside_networks THEN ', outside the declared networks' ELSE '' END AS observed,
    'integration' AS role, d.role_source, r.system, r.owner,
    d.tool, d.names, d.logins, d.calls, d.entities, d.ips,
    CASE WHEN d.outside_networks THEN false ELSE d.any_ip_allowed END AS ip_allowed,
    d.proof
FROM by_day d
LEFT JOIN registry_users r ON r.user_key = d.user_key AND d.first_at >= r.valid_from AND d.first_at < r.valid_to
ORDER BY occurred_at, user_key, tool
