//! The views that rules and people ask: SQL files, compiled in, in dependency order.

/// `(name, SELECT)`; a view may use the raw tables and the views before it.
pub(super) const VIEWS: &[(&str, &str)] = &[
    ("logins", include_str!("../../queries/views/logins.sql")),
    ("logouts", include_str!("../../queries/views/logouts.sql")),
    (
        "api_calls",
        include_str!("../../queries/views/api_calls.sql"),
    ),
    (
        "bulk_jobs",
        include_str!("../../queries/views/bulk_jobs.sql"),
    ),
    (
        "ui_activity",
        include_str!("../../queries/views/ui_activity.sql"),
    ),
    ("queries", include_str!("../../queries/views/queries.sql")),
    (
        "aura_actions",
        include_str!("../../queries/views/aura_actions.sql"),
    ),
    (
        "threat_events",
        include_str!("../../queries/views/threat_events.sql"),
    ),
    (
        "login_key_apps",
        include_str!("../../queries/views/login_key_apps.sql"),
    ),
    (
        "unmapped_values",
        include_str!("../../queries/views/unmapped_values.sql"),
    ),
    (
        "sightings",
        include_str!("../../queries/views/sightings.sql"),
    ),
    (
        "first_seen",
        include_str!("../../queries/views/first_seen.sql"),
    ),
    (
        "activity_hourly",
        include_str!("../../queries/views/activity_hourly.sql"),
    ),
    (
        "covered_days",
        include_str!("../../queries/views/covered_days.sql"),
    ),
    ("users", include_str!("../../queries/views/users.sql")),
    (
        "permission_assignments",
        include_str!("../../queries/views/permission_assignments.sql"),
    ),
    (
        "permissions",
        include_str!("../../queries/views/permissions.sql"),
    ),
    ("apps", include_str!("../../queries/views/apps.sql")),
    (
        "oauth_tokens",
        include_str!("../../queries/views/oauth_tokens.sql"),
    ),
    (
        "login_ip_ranges",
        include_str!("../../queries/views/login_ip_ranges.sql"),
    ),
];

/// Small views that many others use several times each: their rows are made once, when the session
/// opens, and not anew in each place of each plan. In dependency order, before [`VIEWS`].
pub(super) const MADE_ONCE: &[(&str, &str)] = &[
    (
        "roster_snapshots",
        include_str!("../../queries/views/roster_snapshots.sql"),
    ),
    (
        "roster_as_of",
        include_str!("../../queries/views/roster_as_of.sql"),
    ),
];

/// Made once as well, from the last [`NAMED_DAYS`] of the accounts' history: `app_ids`.
pub(super) const APP_IDS: &str = include_str!("../../queries/views/app_ids.sql");

/// Days of the history that say which app a name stands for: what is older costs and tells nothing.
pub(super) const NAMED_DAYS: u64 = 400;

/// The inferred roles of accounts that the registry did not declare when they were last seen.
pub(super) const INFERRED_ROLES: &str = "
    SELECT i.* FROM inferred_roles AS i
    WHERE NOT EXISTS (
        SELECT 1 FROM registry_users AS r
        WHERE r.user_key = i.user_key AND i.last_seen >= r.valid_from AND i.last_seen < r.valid_to)
    ORDER BY i.user_key, i.since";
