/*
id = "integration-not-api-only"
title = "API-only is missing on a non-human user"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.17", "S1.8"]
attack = ["T1078.004"]
description = """
The permission API Only User keeps an account out of the user interface, whoever holds its password. Every active \
integration user and every internal system user should have it, by profile or permission set. High when the account \
was seen in the user interface within 90 days: then the permission would have stopped somebody. Users of the \
platform itself (Automated Process and the like) are left out. The catalogue asks of every active account; a frozen \
one, which nobody can use, is left out as well until it is opened again."""
false_positives = [
  "A web-server consent needs the user interface once: open a consent window, and set API-only afterwards",
]
response = [
  "Grant API Only User by the user's profile or a permission set (the profile Minimum Access - API Only Integrations has it)",
  "Seen in the user interface: find out who signed in before you close the door",
]
references = ["https://attack.mitre.org/techniques/T1078/004/"]
inputs = ["users", "permissions", "logins?", "ui_activity?"]
dedupe = ["user_key"]
bucket = "none"

[params.ui_reach]
type = "duration"
default = "90d"
meaning = "how far back a sign of the user interface counts"
*/
WITH
machines AS (
    SELECT
        u.day, u.next_day, u.user_key, u.user_id, u.username, u.role, u.role_source, u.system, u.owner,
        u.profile_name, u.licence, u.file_id, u.line_no,
        p.user_key IS NOT NULL AS api_only
    FROM users u
    LEFT JOIN (SELECT DISTINCT user_key, day FROM permissions WHERE permission = 'ApiUserOnly') p
      ON p.user_key = u.user_key AND p.day = u.day
    WHERE u.role IN ('integration', 'internal_system')
      AND coalesce(u.is_active, true) AND NOT coalesce(u.is_frozen, false)
      AND NOT u.is_platform_user
      AND CAST($now AS DATE) >= u.day
),
-- Since when: the first roster day after the last one on which the permission was there.
timed AS (
    SELECT
        *,
        min(CASE WHEN NOT api_only AND (had_day IS NULL OR day > had_day) THEN day END)
            OVER (PARTITION BY user_key) AS since_day
    FROM (
        SELECT *, max(CASE WHEN api_only THEN day END) OVER (PARTITION BY user_key) AS had_day
        FROM machines
    ) m
),
missing_now AS (
    SELECT * FROM timed WHERE CAST($now AS DATE) < next_day AND NOT api_only AND since_day IS NOT NULL
),
ui AS (
    SELECT user_key, max(occurred_at) AS last_ui_at
    FROM (
        SELECT user_key, max(occurred_at) AS occurred_at
        FROM logins
        WHERE occurred_at >= $now - $ui_reach AND occurred_at < $now AND outcome = 'success' AND is_ui
        GROUP BY user_key
        UNION ALL
        SELECT user_key, max(occurred_at) AS occurred_at
        FROM ui_activity
        WHERE occurred_at >= $now - $ui_reach AND occurred_at < $now AND ip_kind = 'public'
        GROUP BY user_key
    ) seen
    GROUP BY user_key
),
judged AS (
    SELECT m.*, u.last_ui_at, CASE WHEN u.last_ui_at IS NOT NULL THEN 3 ELSE 2 END AS level
    FROM missing_now m
    LEFT JOIN ui u ON u.user_key = m.user_key
)
SELECT
    CAST(since_day AS TIMESTAMPTZ) AS occurred_at,
    user_key, user_id, username,
    -- An account that is only inferred to be a machine's counts one level lower.
    ['low', 'medium', 'high'][
        greatest(1, level - CASE WHEN role_source = 'inferred' AND role = 'integration' THEN 1 ELSE 0 END)
    ] AS severity,
    1 AS event_count,
    CAST(day AS TIMESTAMPTZ) AS last_at,
    'The permission API Only User, which keeps the account out of the user interface' AS expected,
    'No API Only User, by profile ' || coalesce(printable(profile_name), '(unknown)') || ' or permission set'
        || CASE WHEN last_ui_at IS NOT NULL THEN '; last in the user interface on ' || to_char(last_ui_at, '%Y-%m-%d') ELSE '' END
        AS observed,
    role, role_source, system, owner,
    printable(profile_name) AS profile, printable(licence) AS licence,
    since_day, date_part('day', CAST($now AS TIMESTAMPTZ) - CAST(since_day AS TIMESTAMPTZ)) AS age_days,
    last_ui_at,
    [file_id || ':' || line_no] AS proof
FROM judged
ORDER BY occurred_at, user_key
