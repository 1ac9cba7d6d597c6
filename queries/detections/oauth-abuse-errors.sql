/*
id = "oauth-abuse-errors"
title = "OAuth or SAML errors that honest clients rarely produce"
family = "attack"
severity = "high"
status = "active"
version = 1
control = ["S4.5", "S4.9"]
attack = ["T1528", "T1550.001", "T1606.002"]
description = """
Four kinds of refusals, each of which tells of a token, an app or an assertion that somebody should not have. \
'replay': a nonce or a SAML assertion was used a second time, which no client does: high at once. 'app gone': a token of \
an app that was deleted or whose package is not installed. High ('blocked app') from an address that is not the \
user's own, or for a person who never used the app: this is how an attack through a new app looks that the platform \
stopped; else medium ('revoked app still knocking'). 'broken': invalid tokens, nonces, signatures, code verifiers, \
consumer keys or too many token requests, `per_hour` or more within any hour of one user, or of one address over several \
users: medium. 'saml': assertions with a wrong signature or certificate, `saml_per_hour` or more within any hour: \
medium. Own addresses are the declared networks; for users without any, networks that they came from on earlier \
days, and for people and rows without a user any network that the registry declares for somebody: a vendor's server \
renews their tokens. Hourly windows slide on event time; a finding belongs to the day that reaches the threshold, and the next day \
tells it again only if it goes on for more than an hour there."""
false_positives = [
  "A certificate or key that was rolled over: many 'broken' or 'saml' refusals from the own address; renew the other side",
  "A double click on the consent page: one invalid nonce, far below the threshold",
  "An app that was deleted on purpose: its vendor's servers knock for days, from their own networks ('revoked app still knocking')",
]
response = [
  "replay: end the user's sessions and revoke its tokens; whoever replays has seen the traffic or the assertion",
  "blocked app: ask the user what was approved; look for device-code approvals and logins from the address; keep the app blocked",
  "broken: revoke the user's tokens for the app, look for successes from the same address (app-token-burst-new-ip)",
  "saml: compare the certificate of the identity provider; if nobody rolled it over, somebody forges assertions",
]
references = [
  "https://attack.mitre.org/techniques/T1528/",
  "https://attack.mitre.org/techniques/T1550/001/",
  "https://attack.mitre.org/techniques/T1606/002/",
]
inputs = ["Login | LoginHistory", "sightings?"]
# Where the row names no user, the address stands for it. A tolerated kind must not hide another.
dedupe = ["user_key", "source", "kind"]
bucket = "day"

[params.per_hour]
type = "int"
default = 5
meaning = "refusals of the kind 'broken' within an hour, of one user or one address, from which they are reported"

[params.learn_period]
type = "duration"
default = "60d"
meaning = "how far back a network or an app counts as known for a user"

[params.saml_per_hour]
type = "int"
default = 3
meaning = "the same for the kind 'saml'"
*/
WITH
-- LOGIN_STATUS and the texts of LoginHistory, without case, a leading "Failed:" and a full stop at the end.
kinds AS (
    SELECT status_key, kind
    FROM (VALUES
        ('login_oauth_nonce_replay', 'replay'), ('nonce replay detected', 'replay'),
        ('login_saml_replay_attempted', 'replay'), ('replay detected', 'replay'),
        ('login_oauth_consumer_deleted', 'app gone'), ('consumer deleted', 'app gone'),
        ('login_oauth_package_missing', 'app gone'),
        ('package for this consumer is not installed in your organization', 'app gone'),
        ('login_oauth_invalid_token', 'broken'), ('invalid token', 'broken'),
        ('login_oauth_invalid_nonce', 'broken'), ('invalid nonce', 'broken'),
        ('login_oauth_invalid_dsig', 'broken'), ('signature invalid', 'broken'),
        ('login_oauth_invalid_code_verifier', 'broken'), ('invalid code verifier', 'broken'),
        ('login_oauth_no_consumer', 'broken'), ('missing consumer key parameter', 'broken'),
        ('login_oauth_exceed_get_at_lmt', 'broken'), ('get access token limit exceeded', 'broken'),
        ('login_saml_invalid_signature', 'saml'),
        ('login_saml_mismatch_cert', 'saml'), ('signature invalid/configured certificate mismatch', 'saml')
    ) AS k (status_key, kind)
),
-- An hour for the count, and an hour before that to know what was told the day before.
refusals AS (
    SELECT
        l.occurred_at, l.day, arrow_cast(l.day, 'Timestamp(Millisecond, Some("UTC"))') AS midnight,
        l.user_key, l.user_id, l.username, l.role, l.role_source, l.system, l.owner,
        l.ip, l.ip_kind, CASE WHEN l.ip_kind = 'public' THEN network_of(l.ip) END AS network,
        nullif(trim(l.app), '') AS app, l.ua_family, l.country, l.status, k.kind,
        CASE k.kind WHEN 'broken' THEN $per_hour WHEN 'saml' THEN $saml_per_hour ELSE 1 END AS threshold,
        l.file_id || ':' || l.line_no AS proof
    FROM logins l
    JOIN kinds k ON k.status_key = trim(regexp_replace(rtrim(lower(trim(l.status)), '.'), '^failed:', ''))
    WHERE l.occurred_at >= $window_start - INTERVAL '2 hours' AND l.occurred_at < $window_end
      AND l.outcome <> 'success'
),
-- What the users of apps that are gone had before: networks and apps of earlier days.
past AS (
    SELECT h.user_key, h.kind, CASE h.kind WHEN 'app' THEN h.app_name ELSE h.value END AS value, min(h.day) AS first_day
    FROM sightings h
    JOIN (SELECT DISTINCT user_key FROM refusals WHERE kind = 'app gone') u ON u.user_key = h.user_key
    WHERE h.day >= CAST($window_start - $learn_period AS DATE) AND h.day < CAST($window_end AS DATE)
      AND h.kind IN ('network', 'app')
    GROUP BY h.user_key, h.kind, CASE h.kind WHEN 'app' THEN h.app_name ELSE h.value END
),
-- A vendor's server renews the tokens of people, too: then it comes from a network declared for the vendor's user.
declared AS (
    SELECT DISTINCT r.ip, r.occurred_at
    FROM (SELECT DISTINCT ip, occurred_at FROM refusals WHERE kind = 'app gone' AND ip IS NOT NULL) r
    JOIN registry_networks n
      ON ip_in(r.ip, n.network) AND r.occurred_at >= n.valid_from AND r.occurred_at < n.valid_to
),
judged AS (
    SELECT
        r.*,
        CASE
            WHEN r.ip_kind = 'salesforce' THEN coalesce(u.allow_salesforce_ip, false)
            ELSE coalesce(in_networks(r.user_key, r.ip, r.occurred_at), n.first_day < r.day OR d.ip IS NOT NULL, d.ip IS NOT NULL)
        END AS is_own_address,
        r.role NOT IN ('integration', 'internal_system', 'ci', 'guest')
            AND r.app IS NOT NULL AND coalesce(a.first_day >= r.day, true) AS is_new_app
    FROM refusals r
    LEFT JOIN past n ON n.kind = 'network' AND n.user_key = r.user_key AND n.value = r.network
    LEFT JOIN past a ON a.kind = 'app' AND a.user_key = r.user_key AND a.value = app_name_key(r.app)
    LEFT JOIN declared d ON d.ip = r.ip AND d.occurred_at = r.occurred_at
    LEFT JOIN registry_users u
      ON u.user_key = r.user_key AND r.occurred_at >= u.valid_from AND r.occurred_at < u.valid_to
),
-- First by user …
by_user AS (
    SELECT
        *,
        min(CASE WHEN is_over THEN occurred_at END) OVER (
            PARTITION BY kind, user_key ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) AS over_since
    FROM (
        SELECT
            *,
            user_key IS NOT NULL AND count(*) OVER (
                PARTITION BY kind, user_key ORDER BY occurred_at
                RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) >= threshold AS is_over
        FROM judged
    ) counted
),
of_users AS (
    SELECT
        *,
        count(CASE WHEN is_over THEN 1 END) OVER next_hour > 0 AS is_of_user,
        min(told_on) OVER next_hour AS user_first, max(told_on) OVER next_hour AS user_last
    FROM (
        SELECT
            *,
            -- What the day before has told is told again only as far as it is this day's alone.
            CASE WHEN is_over AND (threshold = 1 OR over_since >= midnight OR occurred_at >= midnight + INTERVAL '60 minutes')
                 THEN day END AS told_on
        FROM by_user
    ) told
    -- Where one refusal is enough, each is told on its own day.
    WINDOW next_hour AS (
        PARTITION BY kind, user_key, CASE WHEN threshold = 1 THEN proof END ORDER BY occurred_at
        RANGE BETWEEN CURRENT ROW AND INTERVAL '60 minutes' FOLLOWING)
),
-- … then what is left by address: many users with few refusals each, or rows that name nobody.
by_address AS (
    SELECT
        *,
        min(CASE WHEN is_address_over THEN occurred_at END) OVER (
            PARTITION BY kind, ip, is_of_user ORDER BY occurred_at
            RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) AS address_over_since
    FROM (
        SELECT
            *,
            NOT is_of_user AND (ip IS NOT NULL OR user_key IS NULL) AND count(*) OVER (
                PARTITION BY kind, ip, is_of_user ORDER BY occurred_at
                RANGE BETWEEN INTERVAL '60 minutes' PRECEDING AND CURRENT ROW) >= threshold AS is_address_over
        FROM of_users
    ) counted
),
of_addresses AS (
    SELECT
        *,
        min(address_told_on) OVER next_hour AS address_first, max(address_told_on) OVER next_hour AS address_last
    FROM (
        SELECT
            *,
            CASE WHEN is_address_over
                      AND (threshold = 1 OR address_over_since >= midnight OR occurred_at >= midnight + INTERVAL '60 minutes')
                 THEN day END AS address_told_on
        FROM by_address
    ) told
    WINDOW next_hour AS (
        PARTITION BY kind, ip, is_of_user, CASE WHEN threshold = 1 THEN proof END ORDER BY occurred_at
        RANGE BETWEEN CURRENT ROW AND INTERVAL '60 minutes' FOLLOWING)
),
reported AS (
    SELECT
        *,
        CASE WHEN NOT is_of_user THEN coalesce(ip, 'no address') END AS source,
        CASE WHEN is_of_user THEN user_key END AS subject,
        unnest(array_distinct(make_array(
            CASE WHEN is_of_user THEN user_first ELSE address_first END,
            CASE WHEN is_of_user THEN user_last ELSE address_last END))) AS report_day
    FROM of_addresses
),
by_day AS (
    SELECT
        subject, source, kind, report_day,
        max(user_id) FILTER (WHERE subject IS NOT NULL) AS user_id, max(username) FILTER (WHERE subject IS NOT NULL) AS username,
        max(role) FILTER (WHERE subject IS NOT NULL) AS role,
        max(role_source) FILTER (WHERE subject IS NOT NULL) AS role_source,
        max(system) FILTER (WHERE subject IS NOT NULL) AS system, max(owner) FILTER (WHERE subject IS NOT NULL) AS owner,
        min(occurred_at) AS first_at, min(occurred_at) FILTER (WHERE day = report_day) AS first_of_day, max(occurred_at) AS last_at,
        count(*) AS refusals, max(threshold) AS threshold,
        coalesce(bool_or(kind = 'app gone' AND NOT is_own_address), false) AS from_elsewhere,
        coalesce(bool_or(kind = 'app gone' AND is_new_app), false) AS new_app,
        bool_and(is_own_address) AS own_addresses_only,
        count(DISTINCT user_key) AS user_count,
        array_slice(array_agg(DISTINCT coalesce(printable(username), user_key) ORDER BY coalesce(printable(username), user_key))
            FILTER (WHERE user_key IS NOT NULL), 1, 20) AS users,
        array_agg(DISTINCT printable(status) ORDER BY printable(status)) AS statuses,
        array_agg(DISTINCT printable(app) ORDER BY printable(app)) FILTER (WHERE app IS NOT NULL) AS apps,
        count(DISTINCT ip) AS address_count,
        array_slice(array_agg(DISTINCT ip ORDER BY ip) FILTER (WHERE ip IS NOT NULL), 1, 20) AS ips,
        array_agg(DISTINCT country ORDER BY country) FILTER (WHERE country IS NOT NULL) AS countries,
        array_agg(DISTINCT ua_family ORDER BY ua_family) FILTER (WHERE ua_family IS NOT NULL) AS ua_families,
        array_slice(array_agg(proof ORDER BY occurred_at, proof), 1, 20) AS proof
    FROM reported
    WHERE report_day >= CAST($window_start AS DATE) AND report_day < CAST($window_end AS DATE)
    GROUP BY subject, source, kind, report_day
)
SELECT
    first_of_day AS occurred_at,
    subject AS user_key, user_id, username,
    -- An account that is only inferred to be an integration counts one level lower.
    ['low', 'medium', 'high'][
        CASE WHEN kind = 'replay' OR from_elsewhere OR new_app THEN 3 ELSE 2 END
        - CASE WHEN role = 'integration' AND role_source = 'inferred' THEN 1 ELSE 0 END
    ] AS severity,
    refusals AS event_count,
    last_at,
    CASE kind
        WHEN 'replay' THEN 'A nonce or an assertion is used once'
        WHEN 'app gone' THEN 'Nobody signs in through an app that was deleted or is not installed'
        WHEN 'broken' THEN 'Fewer than ' || threshold || ' refused tokens, nonces or signatures within an hour: an honest client''s are valid'
        ELSE 'Fewer than ' || threshold || ' assertions with a wrong signature or certificate within an hour'
    END AS expected,
    refusals || CASE WHEN refusals = 1 THEN ' refusal' ELSE ' refusals' END
        || ' (' || array_to_string(array_slice(statuses, 1, 3), ', ') || ')'
        || CASE WHEN subject IS NULL AND user_count > 0 THEN ' of ' || user_count || CASE WHEN user_count = 1 THEN ' user' ELSE ' users' END ELSE '' END
        || coalesce(' by ' || array_to_string(array_slice(apps, 1, 3), ', '), '')
        || ' from ' || CASE
               WHEN address_count = 0 THEN 'no usable address'
               ELSE array_to_string(array_slice(ips, 1, 5), ', ')
                    || CASE WHEN address_count > 5 THEN ' and ' || (address_count - 5) || ' more' ELSE '' END
           END
        || coalesce(' (' || array_to_string(array_slice(countries, 1, 3), ', ') || ')', '')
        || CASE
               WHEN kind = 'replay' THEN ': somebody holds a copy'
               WHEN kind = 'app gone' AND (from_elsewhere OR new_app)
               THEN ': blocked app, '
                    || array_to_string([
                        CASE WHEN from_elsewhere THEN 'not from an address of the user' END,
                        CASE WHEN new_app THEN 'which this person never used before' END], ', ')
               WHEN kind = 'app gone' THEN ': a revoked app still knocks, from where it always did'
               WHEN own_addresses_only THEN ', own addresses: maybe a certificate or key was rolled over'
               ELSE ''
           END AS observed,
    role, role_source, system, owner,
    kind, source,
    CASE WHEN kind <> 'app gone' THEN 'none' WHEN from_elsewhere OR new_app THEN 'blocked app' ELSE 'revoked app still knocking' END AS tag,
    statuses, apps, new_app, own_addresses_only,
    CASE WHEN address_count = 1 THEN ips[1] END AS ip, ips, address_count, countries, ua_families,
    user_count, users, refusals, first_at AS first_refusal_at,
    proof
FROM by_day
ORDER BY occurred_at, user_key, source, kind
