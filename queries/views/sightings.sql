/*
What each account showed on each UTC day: one row per day, account, app, kind and value. Made of
successful logins and of API calls; failed logins are no sightings. It outlives the raw rows. To read
the past of a night, give `day` plain bounds (`day >= … AND day < …`): other days are not read then.

day                UTC day
user_key … owner   the subject, as in `logins`; the role is that of last_at
app_id             18 characters; NULL where the row names no app, or names it by its name only
app_name           as app_name_key gives it; NULL where the row gives no name
app_key            app_id; or the one id that goes by app_name, as far as the logs, the registry or the
                   roster know it; else app_name. NULL: the row tells no app
kind               what is told of, value what was seen:
  app              app_key
  network          /24 or /48 around the address; public ones only
  country          as the log has it: two capitals, or a name where an export has names
  client           kind of client by the user agent (browser, curl, java, python, …), and `name:…` as the
                   caller of an API names himself
  user_agent       the login's user agent, at most 120 characters
  api_version      64.0
  login_path       the door
  object           objects of a call, in lower case
  bulk_operation   of bulk jobs, in lower case
  event_type       the log that tells of a call
  query_class      what queries were about; see `queries`
  aura_action      controller actions of guests; `events` says how often
  hour             hour of the week, 0 (Monday 00 UTC) to 167
  source           login | api
                   An account that shows more than 5,000 values of a kind in a day has `(more)` for the rest
events             rows of the logs
first_at, last_at  first and last of them on that day
*/
SELECT
    s.day,
    coalesce(s.user_id, known_user_id(s.user_key), s.user_key) AS user_key,
    coalesce(s.user_id, known_user_id(s.user_key)) AS user_id,
    coalesce(known_username(coalesce(s.user_id, known_user_id(s.user_key))), s.username, r.username) AS username,
    coalesce(r.role, inferred_role(
        s.user_type, coalesce(known_username(coalesce(s.user_id, known_user_id(s.user_key))), s.username),
        coalesce(s.user_id, known_user_id(s.user_key), s.user_key), s.last_at
    )) AS role,
    CASE WHEN r.role IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
    r.system,
    r.owner,
    s.app_id,
    s.app_name,
    coalesce(s.app_id, a.app_id, s.app_name) AS app_key,
    s.kind,
    CASE WHEN s.kind = 'app' THEN coalesce(s.app_id, a.app_id, s.app_name) ELSE s.value END AS value,
    s.events,
    s.occurred_at AS first_at,
    s.last_at
FROM rollup_sightings AS s
LEFT JOIN app_ids AS a
    ON a.name_key = s.app_name
LEFT JOIN registry_users AS r
    ON r.user_key = coalesce(s.user_id, known_user_id(s.user_key), s.user_key)
    AND s.last_at >= r.valid_from
    AND s.last_at < r.valid_to
