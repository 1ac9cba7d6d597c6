/*
id = "apps-in-use"
title = "Apps by users, networks and calls, with those that no registry declares"
days = 30
*/
SELECT
    coalesce(s.app_name, s.app_key) AS app, s.app_key, count(DISTINCT s.user_key) AS users,
    count(DISTINCT CASE WHEN s.kind = 'network' THEN s.value END) AS networks,
    sum(CASE WHEN s.kind = 'app' THEN s.events ELSE 0 END) AS events,
    min(s.first_at) AS first_at, max(s.last_at) AS last_at,
    bool_or(r.name IS NOT NULL) AS in_registry
FROM sightings s
LEFT JOIN (SELECT DISTINCT name, id FROM registry_org_apps) r
  ON sf_id18(r.id) = s.app_key OR app_name_key(r.name) = s.app_name
WHERE s.day >= CAST($window_start AS DATE) AND s.day < CAST($window_end AS DATE)
  AND s.app_key IS NOT NULL
GROUP BY coalesce(s.app_name, s.app_key), s.app_key
ORDER BY users DESC, app, s.app_key, networks, events, first_at, last_at, in_registry
