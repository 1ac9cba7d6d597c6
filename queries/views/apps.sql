/*
The org's connected apps and External Client Apps: one row per roster day and app. NULL in a policy
column: the exports do not say, which is not the same as no.

app_id             0H4…; NULL where only the app's settings were exported
app_name           its label, else its API name
kind               connected | external
admin_approved_only                 true: only users whom an administrator approved; false: every
                   user may approve it for himself
ip_relaxation      enforce: login IP ranges hold for it; relax: they do not, or not always
refresh_policy     infinite: until revoked; immediate; lifetime: so long after it was given;
                   inactivity: so long after it was last used
refresh_period_hours                how long, where the unit is known
scopes             what its tokens may be used for, in OAuth's own words (api refresh_token full …)
secret_required    false: refreshing, or the web server flow, works without the app's secret
pkce_required      authorization codes need a proof key
user_agent_flow    tokens may be handed to a browser
created_at         when it was made or installed
file_id, line_no   the row that proves it
*/
WITH listed AS (
    SELECT
        a.day, a.previous_day, a.next_day, c.id AS app_id, c.name AS app_name,
        app_name_key(replace(c.name, '_', ' ')) AS name_key,
        coalesce(c.optionsallowadminapprovedusersonly, c.is_admin_approved, CASE
            WHEN lower(c.permitteduserspolicytype) LIKE 'admin%' THEN true
            WHEN lower(c.permitteduserspolicytype) LIKE 'all%' THEN false
        END) AS admin_approved_only,
        lower(regexp_replace(c.ip_relaxation, '[^A-Za-z]+', '', 'g')) AS ip_policy,
        lower(c.refresh_token_policy) AS refresh_policy,
        c.refreshtokenvalidityperiod AS refresh_period,
        lower(c.refreshtokenvalidityunit) AS refresh_unit,
        c.optionsrefreshtokenvaliditymetric AS refresh_by_inactivity,
        c.scopes,
        CASE
            WHEN NOT c.is_secret_required_for_refresh_token OR c.is_consumer_secret_optional
                THEN false
            WHEN c.is_secret_required_for_refresh_token OR NOT c.is_consumer_secret_optional
                THEN true
        END AS secret_required,
        c.is_pkce_required AS pkce_required,
        c.is_user_agent_flow_enabled AS user_agent_flow,
        c.createddate AS created_at, c.file_id, c.line_no
    FROM roster_as_of AS a
    INNER JOIN roster_connected_application AS c ON c.file_id = a.file_id AND c.day = a.snapshot_day
    WHERE a.data_set = 'ConnectedApplication'
),
-- Settings come one app at a time: all files of their day count together.
settings_files AS (
    SELECT
        a.day, a.previous_day, a.next_day, 'connected' AS kind, m.id AS app_id,
        coalesce(m.label, m.fullname) AS app_name,
        m.is_admin_approved, m.permitteduserspolicytype, m.ip_relaxation, m.refresh_token_policy,
        m.refreshtokenvalidityperiod, m.refreshtokenvalidityunit, m.scopes,
        m.is_secret_required_for_refresh_token, m.is_consumer_secret_optional,
        m.is_pkce_required, m.is_user_agent_flow_enabled,
        arrow_cast(NULL, 'Timestamp(Millisecond, Some("UTC"))') AS created_at, m.file_id, m.line_no
    FROM roster_as_of AS a
    INNER JOIN roster_connected_app AS m ON m.day = a.snapshot_day
    WHERE a.data_set = 'ConnectedApp'
    UNION ALL
    SELECT
        a.day, a.previous_day, a.next_day, 'external' AS kind,
        CASE WHEN e.id LIKE '0H4%' OR e.externalclientapplication IS NULL THEN e.id END AS app_id,
        coalesce(e.externalclientapplication, e.label, e.fullname) AS app_name,
        e.is_admin_approved, e.permitteduserspolicytype, e.ip_relaxation, e.refresh_token_policy,
        e.refreshtokenvalidityperiod, e.refreshtokenvalidityunit, e.scopes,
        e.is_secret_required_for_refresh_token, e.is_consumer_secret_optional,
        e.is_pkce_required, e.is_user_agent_flow_enabled,
        e.createddate AS created_at, e.file_id, e.line_no
    FROM roster_as_of AS a
    INNER JOIN roster_external_client_application AS e ON e.day = a.snapshot_day
    WHERE a.data_set = 'ExternalClientApplication'
),
settings_rows AS (
    SELECT
        day, previous_day, next_day, kind, app_id, app_name,
        coalesce(is_admin_approved, CASE
            WHEN lower(permitteduserspolicytype) LIKE 'admin%' THEN true
            WHEN lower(permitteduserspolicytype) LIKE 'all%' THEN false
        END) AS admin_approved_only,
        lower(regexp_replace(ip_relaxation, '[^A-Za-z]+', '', 'g')) AS ip_policy,
        lower(refresh_token_policy) AS refresh_policy,
        refreshtokenvalidityperiod AS refresh_period,
        lower(refreshtokenvalidityunit) AS refresh_unit,
        CAST(NULL AS BOOLEAN) AS refresh_by_inactivity,
        scopes,
        CASE
            WHEN NOT is_secret_required_for_refresh_token OR is_consumer_secret_optional
                THEN false
            WHEN is_secret_required_for_refresh_token OR NOT is_consumer_secret_optional
                THEN true
        END AS secret_required,
        is_pkce_required AS pkce_required,
        is_user_agent_flow_enabled AS user_agent_flow,
        created_at, file_id, line_no
    FROM settings_files
),
settings AS (
    SELECT
        day, previous_day, next_day, kind,
        app_name_key(replace(app_name, '_', ' ')) AS name_key,
        max(app_id) AS app_id,
        first_value(app_name ORDER BY file_id DESC, line_no) AS app_name,
        first_value(admin_approved_only ORDER BY admin_approved_only IS NULL, file_id DESC, line_no) AS admin_approved_only,
        first_value(ip_policy ORDER BY ip_policy IS NULL, file_id DESC, line_no) AS ip_policy,
        first_value(refresh_policy ORDER BY refresh_policy IS NULL, file_id DESC, line_no) AS refresh_policy,
        first_value(refresh_period ORDER BY refresh_period IS NULL, file_id DESC, line_no) AS refresh_period,
        first_value(refresh_unit ORDER BY refresh_unit IS NULL, file_id DESC, line_no) AS refresh_unit,
        first_value(refresh_by_inactivity ORDER BY refresh_by_inactivity IS NULL, file_id DESC, line_no) AS refresh_by_inactivity,
        first_value(scopes ORDER BY scopes IS NULL, file_id DESC, line_no) AS scopes,
        first_value(secret_required ORDER BY secret_required IS NULL, file_id DESC, line_no) AS secret_required,
        first_value(pkce_required ORDER BY pkce_required IS NULL, file_id DESC, line_no) AS pkce_required,
        first_value(user_agent_flow ORDER BY user_agent_flow IS NULL, file_id DESC, line_no) AS user_agent_flow,
        max(created_at) AS created_at,
        first_value(file_id ORDER BY file_id DESC, line_no) AS file_id,
        first_value(line_no ORDER BY file_id DESC, line_no) AS line_no
    FROM settings_rows
    GROUP BY day, previous_day, next_day, kind, app_name_key(replace(app_name, '_', ' '))
),
known AS (
    SELECT
        c.day, c.previous_day, c.next_day, 'connected' AS kind, c.app_id, c.app_name,
        coalesce(c.admin_approved_only, p.admin_approved_only) AS admin_approved_only,
        coalesce(c.ip_policy, p.ip_policy) AS ip_policy,
        coalesce(c.refresh_policy, p.refresh_policy) AS refresh_policy,
        coalesce(c.refresh_period, p.refresh_period) AS refresh_period,
        coalesce(c.refresh_unit, p.refresh_unit) AS refresh_unit,
        coalesce(c.refresh_by_inactivity, p.refresh_by_inactivity) AS refresh_by_inactivity,
        coalesce(c.scopes, p.scopes) AS scopes,
        coalesce(c.secret_required, p.secret_required) AS secret_required,
        coalesce(c.pkce_required, p.pkce_required) AS pkce_required,
        coalesce(c.user_agent_flow, p.user_agent_flow) AS user_agent_flow,
        c.created_at, c.file_id, c.line_no
    FROM listed AS c
    LEFT JOIN settings AS p
        ON p.kind = 'connected' AND p.day = c.day AND p.name_key = c.name_key
    UNION ALL
    SELECT
        p.day, p.previous_day, p.next_day, p.kind, p.app_id, p.app_name,
        p.admin_approved_only,
        p.ip_policy,
        p.refresh_policy,
        p.refresh_period,
        p.refresh_unit,
        p.refresh_by_inactivity,
        p.scopes,
        p.secret_required,
        p.pkce_required,
        p.user_agent_flow,
        p.created_at, p.file_id, p.line_no
    FROM settings AS p
    LEFT ANTI JOIN listed AS c
        ON p.kind = 'connected' AND c.day = p.day AND c.name_key = p.name_key
)
SELECT
    day,
    previous_day,
    next_day,
    app_id,
    app_name,
    kind,
    admin_approved_only,
    CASE
        WHEN ip_policy IN ('enforce', 'enforceiprestrictions') THEN 'enforce'
        WHEN ip_policy LIKE 'bypass%' OR ip_policy LIKE '%relax%' THEN 'relax'
    END AS ip_relaxation,
    CASE
        WHEN refresh_policy LIKE '%infinite%' OR refresh_policy LIKE '%revoked%' THEN 'infinite'
        WHEN refresh_policy LIKE '%immediate%' OR refresh_policy LIKE 'zero%' THEN 'immediate'
        WHEN refresh_policy LIKE '%inactiv%' OR refresh_policy LIKE '%not%used%' THEN 'inactivity'
        WHEN refresh_policy LIKE '%lifetime%' THEN 'lifetime'
        WHEN refresh_period = 0 THEN 'immediate'
        WHEN refresh_period > 0 AND refresh_by_inactivity THEN 'inactivity'
        WHEN refresh_period > 0 AND NOT refresh_by_inactivity THEN 'lifetime'
    END AS refresh_policy,
    coalesce(TRY_CAST(nullif(split_part(refresh_policy, ':', 2), '') AS BIGINT), refresh_period)
        * CASE
            WHEN coalesce(nullif(split_part(refresh_policy, ':', 3), ''), refresh_unit) LIKE 'hour%' THEN 1
            WHEN coalesce(nullif(split_part(refresh_policy, ':', 3), ''), refresh_unit) LIKE 'day%' THEN 24
            WHEN coalesce(nullif(split_part(refresh_policy, ':', 3), ''), refresh_unit) LIKE 'month%' THEN 720
        END AS refresh_period_hours,
    -- `RefreshToken;Api` of the Metadata API and `refresh_token api` of OAuth are one list.
    nullif(trim(replace(regexp_replace(
        lower(regexp_replace(scopes, '([a-z])([A-Z])', '\1_\2', 'g')),
        '[^a-z0-9_]+', ' ', 'g'
    ), 'open_id', 'openid')), '') AS scopes,
    secret_required,
    pkce_required,
    user_agent_flow,
    created_at,
    file_id,
    line_no
FROM known
