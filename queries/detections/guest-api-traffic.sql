/*
id = "guest-api-traffic"
title = "Guest user appears in API traffic"
family = "identity"
severity = "high"
status = "active"
version = 1
control = ["S0.26", "S0.27", "S0.28"]
attack = ["T1190", "T1213.004"]
description = """
The guest user of a public site is everybody on the internet. It has no business in the standard API. Custom \
endpoints (Apex REST, Apex SOAP) may be meant to be public: they are reported at medium, and at high when the \
registry declares a gateway (gateway_networks of the guest user) and the call did not come through it."""
false_positives = [
  "A public endpoint without gateway (booking, status): accept by suppression with an end, and keep a ceiling on its rate",
  "Pages of the site itself (Aura, API_CLIENT_CATEGORY LIGHTNING_UI) are left out",
]
response = [
  "Standard API: take API access away from the guest user's profile at once; check its object permissions and sharing",
  "Past the gateway: restrict the endpoint to the gateway's addresses",
  "Read what was called and how much came back",
]
references = [
  "https://attack.mitre.org/techniques/T1190/",
  "https://help.salesforce.com/s/articleView?id=sf.networks_public_access_guest_user.htm",
]
inputs = ["api_calls | Sites"]
dedupe = ["user_key", "api_kind"]
bucket = "day"

[params.custom_families]
type = "text_list"
default = ["APEXREST", "DIRECTAPEXREST", "APEXSOAP", "SITES"]
meaning = "API families (upper case, without blanks and underscores) that lead to the org's own code"

[params.page_families]
type = "text_list"
default = ["DIRECTAURA", "AURA", "LIGHTNING", "UI"]
meaning = "API families (upper case, without blanks and underscores) that the site's own pages use"
*/
WITH calls AS (
    SELECT
        occurred_at, day, user_key, user_id, username, role, role_source, system, owner, ip, ip_kind,
        event_type, upper(regexp_replace(coalesce(api_family, 'unknown'), '[ _]', '', 'g')) AS family,
        resource AS endpoint, CAST(status_code AS VARCHAR) AS status_code, calls, file_id, line_no
    FROM api_calls
    WHERE occurred_at >= $window_start AND occurred_at < $window_end
      AND role = 'guest'
      -- An absent category is not LIGHTNING_UI: older files have none.
      AND coalesce(upper(client_category), '') <> 'LIGHTNING_UI'
    UNION ALL
    SELECT
        s.occurred_at, CAST(s.occurred_at AS DATE) AS day, s.user_id AS user_key, s.user_id,
        coalesce(n.username, u.username) AS username,
        'guest' AS role, CASE WHEN u.user_key IS NULL THEN 'inferred' ELSE 'registry' END AS role_source,
        u.system, u.owner, s.ip, s.ip_kind,
        'Sites' AS event_type, 'SITES' AS family,
        CAST(NULL AS VARCHAR) AS endpoint, CAST(NULL AS VARCHAR) AS status_code, 0 AS calls, s.file_id, s.line_no
    FROM elf_sites s
    LEFT JOIN usernames n ON n.user_id = s.user_id
    LEFT JOIN registry_users u
      ON u.user_key = s.user_id AND u.role = 'guest'
     AND (u.valid_from IS NULL OR s.occurred_at >= u.valid_from)
     AND (u.valid_to IS NULL OR s.occurred_at < u.valid_to)
    WHERE s.occurred_at >= $window_start AND s.occurred_at < $window_end
      AND s.is_guest AND s.is_api
),
-- The gateways of a guest user: declared as such, or simply as its networks.
gateways AS (
    SELECT user_key, network, valid_from, valid_to FROM registry_gateways
    UNION ALL
    SELECT user_key, network, valid_from, valid_to FROM registry_networks
),
through AS (
    SELECT c.user_key, c.ip, c.occurred_at, coalesce(bool_or(ip_in(c.ip, g.network)), false) AS by_gateway
    FROM (SELECT DISTINCT user_key, ip, occurred_at FROM calls WHERE ip IS NOT NULL) c
    JOIN gateways g
      ON g.user_key = c.user_key
     AND (g.valid_from IS NULL OR c.occurred_at >= g.valid_from)
     AND (g.valid_to IS NULL OR c.occurred_at < g.valid_to)
    GROUP BY c.user_key, c.ip, c.occurred_at
),
judged AS (
    SELECT
        c.*,
        CASE
            WHEN array_has($custom_families, family) OR event_type IN ('ApexRestApi', 'ApexSoap', 'Sites')
            THEN 'custom' ELSE 'standard'
        END AS api_kind,
        coalesce(NOT t.by_gateway, false) AS past_gateway
    FROM calls c
    LEFT JOIN through t ON t.user_key = c.user_key AND t.ip = c.ip AND t.occurred_at = c.occurred_at
    WHERE NOT array_has($page_families, family)
),
by_day AS (
    SELECT
        user_key, day, api_kind,
        max(user_id) AS user_id, max(username) AS username,
        max(role) AS role, max(role_source) AS role_source, max(system) AS system, max(owner) AS owner,
        min(occurred_at) AS first_at, max(occurred_at) AS last_at,
        -- One call is written to ApiTotalUsage and to a detail type: the larger count of the two.
        greatest(sum(calls), count(*) - sum(calls)) AS calls,
        bool_or(past_gateway) AS past_gateway,
        array_agg(DISTINCT family ORDER BY family) AS families,
        array_agg(DISTINCT event_type ORDER BY event_type) AS event_types,
        array_slice(array_agg(DISTINCT printable(endpoint) ORDER BY printable(endpoint))
            FILTER (WHERE endpoint IS NOT NULL), 1, 20) AS endpoints,
        array_agg(DISTINCT printable(status_code) ORDER BY printable(status_code))
            FILTER (WHERE status_code IS NOT NULL) AS status_codes,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        count(DISTINCT ip) AS distinct_ips,
        array_slice(array_agg(file_id || ':' || line_no ORDER BY occurred_at, file_id, line_no), 1, 20) AS proof
    FROM judged
    GROUP BY user_key, day, api_kind
)
SELECT
    first_at AS occurred_at,
    user_key, user_id, username,
    CASE WHEN api_kind = 'standard' OR past_gateway THEN 'high' ELSE 'medium' END AS severity,
    calls AS event_count,
    last_at,
    CASE api_kind
        WHEN 'standard' THEN 'No call to the standard API by a public site''s guest user'
        ELSE 'Public endpoints of the org''s own are called through the declared gateway only, or not at all'
    END AS expected,
    calls || CASE WHEN calls = 1 THEN ' call' ELSE ' calls' END
        || CASE api_kind WHEN 'standard' THEN ' to the standard API (' ELSE ' to custom endpoints (' END
        || array_to_string(families, ', ') || ') from '
        || CASE
               WHEN distinct_ips = 0 THEN 'no usable address'
               ELSE array_to_string(array_slice(ips, 1, 5), ', ')
                    || CASE WHEN distinct_ips > 5 THEN ' and ' || (distinct_ips - 5) || ' more' ELSE '' END
           END
        || CASE WHEN past_gateway THEN ', past the declared gateway' ELSE '' END AS observed,
    role, role_source, system, owner,
    api_kind, past_gateway, families, event_types, endpoints, status_codes, ips, distinct_ips,
    proof
FROM by_day
ORDER BY occurred_at, user_key, api_kind
