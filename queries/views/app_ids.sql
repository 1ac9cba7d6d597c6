/*
App names that stand for exactly one id, by everything the lake's last days (from $first on), the
registry and the roster know.

name_key           the name as app_name_key gives it
app_id             the one id, in 18 characters
*/
WITH known AS (
    SELECT app_name AS name_key, app_id FROM rollup_activity WHERE day >= $first AND app_name IS NOT NULL AND app_id IS NOT NULL
    UNION
    SELECT app_name_key(app_name), coalesce(sf_id18(trim(app_id)), trim(app_id)) FROM registry_apps
    WHERE app_name IS NOT NULL AND trim(app_id) <> ''
    UNION
    SELECT app_name_key(name), coalesce(sf_id18(trim(id)), trim(id)) FROM registry_org_apps
    WHERE name IS NOT NULL AND trim(id) <> ''
    UNION
    SELECT app_name_key(name), id FROM roster_connected_application WHERE name IS NOT NULL AND id IS NOT NULL
)
SELECT name_key, min(app_id) AS app_id
FROM known
GROUP BY name_key
HAVING count(DISTINCT app_id) = 1
