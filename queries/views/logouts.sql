/*
One row per end of a session. An ordinary row of the type Logout; the columns of the subject are
those of `logins`.

session_type       canonical name (UI, TempUIFrontdoor, Oauth2, …), or unmapped
session_type_raw   as written: a letter, or the older text form
session_level      as written: 1 standard, 10 high assurance, or the older text form
login_key          digest of the login that began it; session_key the session's
user_initiated     true: the user logged out; false: time-out or revocation
user_type          letter or word, as written
*/
SELECT
    e.occurred_at,
    e.user_id AS user_key,
    e.user_id,
    coalesce(known_username(e.user_id), r.username) AS username,
    coalesce(r.role, inferred_role(e.user_type, known_username(e.user_id), e.user_id, e.occurred_at)) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    e.ip,
    e.ip_key,
    e.ip_kind,
    session_type(e.session_type) AS session_type,
    e.session_type AS session_type_raw,
    e.session_level,
    e.login_key,
    e.session_key,
    e.user_initiated_logout AS user_initiated,
    e.user_type,
    e.file_id,
    e.line_no,
    e.day
FROM elf_logout AS e
LEFT JOIN registry_users AS r
    ON r.user_key = e.user_id
    AND e.occurred_at >= r.valid_from
    AND e.occurred_at < r.valid_to
