/*
Which app holds OAuth tokens for which user: one row per roster day, user and app. The tokens
themselves are never read. The columns of the subject are those of `users`.

app_name           the app
app_id             its id (0H4), where exported
use_count          how often the token was used
last_used_at       when last
file_id, line_no   the row that proves it
*/
SELECT
    a.day,
    a.previous_day,
    a.next_day,
    coalesce(t.user_id, lower(t.username)) AS user_key,
    t.user_id,
    coalesce(u.username, lower(t.username), r.username) AS username,
    coalesce(u.role, r.role, inferred_role(
        NULL, t.username, coalesce(t.user_id, lower(t.username)), a.as_of
    )) AS role,
    CASE
        WHEN u.role_source = 'registry' OR r.role IS NOT NULL THEN 'registry'
        ELSE 'inferred'
    END AS role_source,
    coalesce(u.system, r.system) AS system,
    coalesce(u.owner, r.owner) AS owner,
    u.is_active,
    coalesce(u.is_platform_user, false) AS is_platform_user,
    t.appname AS app_name,
    t.applicationid AS app_id,
    t.usecount AS use_count,
    t.lastuseddate AS last_used_at,
    t.file_id,
    t.line_no
FROM roster_as_of AS a
INNER JOIN roster_oauth_token AS t ON t.file_id = a.file_id AND t.day = a.snapshot_day
LEFT JOIN users AS u ON u.day = a.day AND u.user_id = t.user_id
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(t.user_id, lower(t.username))
    AND a.as_of >= r.valid_from
    AND a.as_of < r.valid_to
WHERE a.data_set = 'OauthToken'
