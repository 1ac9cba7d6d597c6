/*
id = "impossible-travel"
title = "Two sign-ins too far apart for the time"
family = "attack"
severity = "medium"
status = "active"
version = 1
control = ["S4.9"]
attack = ["T1078.004"]
description = """
Two successful sign-ins of one user, one after the other, lie farther apart than anybody travels in the time between: \
two people use the account. The distance is what is left after the accuracy radii of both addresses, and must exceed \
`min_km` at more than `max_kmh`; less than a minute counts as a minute. Medium; high under an account with \
administrator-class permissions, and under a machine without declared networks, for then no other rule knows where it \
belongs. Not judged, because they do not say where anybody is: addresses of the network lists' classes egress, vpn, \
tor and proxy (they are left out, so that what comes before and after is still compared), addresses without a \
location, and two addresses of one autonomous system in one country (a mobile carrier's gateways). Under an \
integration with declared networks two of those networks are as it should be, and a hosting network is for \
`integration-unexpected-ip-login` to judge. A pair that flaps is told once, on the day on which it began; a pair over \
midnight belongs to the day of its second sign-in."""
false_positives = [
  "A VPN that is switched on or off: name its networks in a list with class egress or vpn",
  "A satellite or mobile network whose gateway is far away: list it with class egress",
  "An address that the database misplaces: compare with its maker's page, and report it there",
]
response = [
  "Ask the user, by another way than e-mail, which of the two sign-ins is theirs",
  "Not both: freeze the user, end its sessions, revoke its tokens, reset the credential, and go through what the foreign session did",
  "Look at the app and the login path of the second sign-in: a token that travels points to the app's vendor",
]
references = [
  "https://attack.mitre.org/techniques/T1078/004/",
]
inputs = ["locations", "Login | LoginHistory", "asn?", "network_lists?", "permissions?"]
dedupe = ["user_key", "route"]
bucket = "day"

[params.min_km]
type = "float"
default = 500.0
meaning = "least distance in kilometres, after the accuracy of both locations is taken off"

[params.max_kmh]
type = "float"
default = 900.0
meaning = "speed in kilometres per hour above which nobody travels"

[params.unknown_radius_km]
type = "float"
default = 100.0
meaning = "accuracy of a location for which the database states none"

[params.reach]
type = "duration"
default = "24h"
meaning = "longest time between the two sign-ins: the way around half the Earth at that speed; also how long a pair is quiet before it is told anew"

[params.privileged_permissions]
type = "text_list"
default = [
  "ModifyAllData", "ViewAllData", "ManageUsers", "ManageInternalUsers", "CustomizeApplication", "AuthorApex",
  "ManageSharing", "ManageAuthProviders",
]
meaning = "permissions that make an account privileged"
*/
WITH
points AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip, app, login_path,
        ip_latitude(ip) AS latitude,
        ip_longitude(ip) AS longitude,
        coalesce(ip_radius_km(ip), $unknown_radius_km) AS radius,
        ip_asn(ip) AS asn,
        origin_of(ip) AS origin,
        ip_country(ip) AS ip_country,
        -- As Salesforce has it, else as the database does.
        coalesce(CASE WHEN trim(country) <> '' THEN printable(country) END, ip_country(ip)) AS country,
        in_networks(user_key, ip, occurred_at) AS inside,
        coalesce(array_has(classes, 'hosting'), false) AS is_hosting,
        file_id, line_no
    FROM (
        SELECT *, ip_classes(ip, occurred_at) AS classes
        FROM logins
        -- Twice the reach: for the sign-in before, and for the pair before.
        WHERE occurred_at >= $window_start - $reach - $reach AND occurred_at < $window_end
          AND outcome = 'success' AND ip_kind = 'public' AND user_key IS NOT NULL
    ) l
    WHERE ip_latitude(ip) IS NOT NULL
      AND NOT coalesce(array_has_any(classes, ['egress', 'vpn', 'tor', 'proxy']), false)
),
neighbours AS (
    SELECT
        *,
        lag(occurred_at) OVER user_time AS from_at,
        lag(ip) OVER user_time AS from_ip,
        lag(latitude) OVER user_time AS from_latitude,
        lag(longitude) OVER user_time AS from_longitude,
        lag(radius) OVER user_time AS from_radius,
        lag(asn) OVER user_time AS from_asn,
        lag(origin) OVER user_time AS from_origin,
        lag(ip_country) OVER user_time AS from_ip_country,
        lag(country) OVER user_time AS from_country,
        lag(inside) OVER user_time AS from_inside,
        lag(is_hosting) OVER user_time AS from_hosting,
        lag(file_id) OVER user_time AS from_file_id,
        lag(line_no) OVER user_time AS from_line_no
    FROM points
    WINDOW user_time AS (PARTITION BY user_key ORDER BY occurred_at, ip, file_id, line_no)
),
measured AS (
    SELECT
        *,
        km_between(from_latitude, from_longitude, latitude, longitude) AS km,
        km_between(from_latitude, from_longitude, latitude, longitude) - radius - from_radius AS sure_km,
        greatest(date_part('epoch', occurred_at) - date_part('epoch', from_at), 60.0) / 3600.0 AS hours,
        inside IS NOT NULL OR from_inside IS NOT NULL AS has_networks
    FROM neighbours
    WHERE ip <> from_ip AND occurred_at - CAST($reach AS INTERVAL) <= from_at
),
journeys AS (
    SELECT
        *,
        least(origin || ' ' || coalesce(ip_country, '?'), from_origin || ' ' || coalesce(from_ip_country, '?'))
            || ' / '
            || greatest(origin || ' ' || coalesce(ip_country, '?'), from_origin || ' ' || coalesce(from_ip_country, '?'))
            AS route
    FROM measured
    WHERE sure_km > $min_km
      AND sure_km / hours > $max_kmh
      -- A carrier's gateways; NULL is another system, or another country.
      AND NOT coalesce(asn = from_asn AND ip_country = from_ip_country, false)
      AND NOT (
          role = 'integration' AND has_networks
          AND (is_hosting OR from_hosting OR coalesce(inside AND from_inside, false))
      )
),
-- A pair that flaps is one matter: it is told where it begins.
begun AS (
    SELECT
        *,
        lag(occurred_at) OVER (PARTITION BY user_key, route ORDER BY occurred_at, ip, file_id, line_no) AS earlier_at
    FROM journeys
),
by_day AS (
    SELECT
        user_key, day, route,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at, count(*) AS journeys,
        bool_and(has_networks) AS has_networks,
        bool_or(earlier_at >= occurred_at - CAST($reach AS INTERVAL) AND earlier_at < date_trunc('day', occurred_at)) AS goes_on,
        first_value(from_at ORDER BY occurred_at, ip, file_id, line_no) AS from_at,
        first_value(from_ip ORDER BY occurred_at, ip, file_id, line_no) AS from_ip,
        first_value(ip ORDER BY occurred_at, ip, file_id, line_no) AS to_ip,
        first_value(from_country ORDER BY occurred_at, ip, file_id, line_no) AS from_country,
        first_value(country ORDER BY occurred_at, ip, file_id, line_no) AS to_country,
        first_value(from_origin ORDER BY occurred_at, ip, file_id, line_no) AS from_origin,
        first_value(origin ORDER BY occurred_at, ip, file_id, line_no) AS to_origin,
        first_value(km ORDER BY occurred_at, ip, file_id, line_no) AS km,
        first_value(sure_km ORDER BY occurred_at, ip, file_id, line_no) AS sure_km,
        first_value(sure_km / hours ORDER BY occurred_at, ip, file_id, line_no) AS kmh,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app <> '') AS apps,
        array_agg(DISTINCT login_path ORDER BY login_path) FILTER (WHERE login_path IS NOT NULL) AS login_paths,
        first_value(from_file_id || ':' || from_line_no ORDER BY occurred_at, ip, file_id, line_no) AS from_proof,
        array_agg(file_id || ':' || line_no ORDER BY occurred_at, ip, file_id, line_no) AS to_proof
    FROM begun
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
    GROUP BY user_key, day, route
),
-- As the roster has them on the day, or had them last.
privileged AS (
    SELECT DISTINCT b.user_key, b.day
    FROM by_day b
    JOIN permissions p
      ON p.user_key = b.user_key AND p.day <= b.day AND b.day < p.next_day
    WHERE array_has($privileged_permissions, p.permission)
),
told AS (
    SELECT
        b.*,
        b.role = 'human_admin' OR p.user_key IS NOT NULL AS is_privileged,
        b.role IN ('integration', 'internal_system', 'ci') AND NOT b.has_networks AS is_unbounded_machine
    FROM by_day b
    LEFT JOIN privileged p ON p.user_key = b.user_key AND p.day = b.day
    WHERE b.goes_on IS NOT TRUE
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    -- 2 medium, 3 high; an account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE
            WHEN is_privileged THEN 3
            WHEN is_unbounded_machine THEN 3 - CASE WHEN role_source = 'inferred' THEN 1 ELSE 0 END
            ELSE 2
        END
    ] AS severity,
    journeys AS event_count,
    last_at,
    'Sign-ins of one account no farther apart than a person travels in the time between' AS expected,
    'signed in from ' || coalesce(from_country || ', ', '') || from_origin || ' (' || from_ip || ') at '
        || to_char(from_at, '%Y-%m-%d %H:%M') || ' UTC and from '
        || coalesce(to_country || ', ', '') || to_origin || ' (' || to_ip || ') at ' || to_char(first_at, '%Y-%m-%d %H:%M')
        || ' UTC: ' || CAST(round(km) AS BIGINT) || ' km, at least ' || CAST(round(kmh) AS BIGINT) || ' km/h'
        || CASE WHEN journeys > 1 THEN '; ' || journeys || ' times on that day' ELSE '' END
        || CASE
               WHEN is_privileged THEN '; the account is privileged'
               WHEN is_unbounded_machine THEN '; a machine without declared networks'
               ELSE ''
           END AS observed,
    role, role_source, system, owner,
    route, from_ip, to_ip, from_country, to_country, from_origin, to_origin,
    round(km) AS km, round(sure_km) AS sure_km, round(kmh) AS km_per_hour,
    is_privileged, apps, login_paths,
    array_concat([from_proof], array_slice(to_proof, 1, 19)) AS proof
FROM told
ORDER BY occurred_at, user_key, route
