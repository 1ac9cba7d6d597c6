/*
Everything that an account was ever seen with, over all of `sightings`. To ask what is new against
the N days before a night, read `sightings` with bounds on `day` instead.

user_key, app_key, kind, value      as in `sightings`
first_at, last_at  first and last time
days               distinct days
events             rows of the logs
*/
SELECT
    user_key,
    app_key,
    kind,
    value,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    count(DISTINCT day) AS days,
    sum(events) AS events
FROM sightings
GROUP BY user_key, app_key, kind, value
