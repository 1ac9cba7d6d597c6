/*
Which app stands behind a login key: the EventLogFile's Login has the key and no app,
LoginHistory the app and no key, and only their merge has both.

login_key          digest, joins with api_calls, ui_activity and logouts
user_id            whose login
app                Application; NULL where unknown or ambiguous
login_path         the door of the login
merge_quality      how sure the app is: exact | nearest | ambiguous | elf_only
ip                 effective address of the login
first_at           when the key was first logged in with
*/
SELECT
    login_key,
    user_id,
    app,
    login_path,
    merge_quality,
    ip,
    min(occurred_at) AS first_at
FROM rollup_logins
WHERE login_key IS NOT NULL AND outcome = 'success'
GROUP BY login_key, user_id, app, login_path, merge_quality, ip
