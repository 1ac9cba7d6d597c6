//! What a rule reads: event types, raw tables, views and what stands behind each of these names.

use super::known::KNOWLEDGE;

/// One input of a rule: `"Login | LoginHistory"` (either will do), `"ApiTotalUsage?"` (used
/// where it exists). A name is an event type, a raw table, or a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub alternatives: Vec<String>,
    pub optional: bool,
}

impl Input {
    /// Reads one entry of `inputs`.
    pub fn read(written: &str) -> Result<Self, String> {
        let mut optional = false;
        let mut alternatives = vec![];
        for name in written.split('|') {
            let name = name.trim();
            let bare = name.strip_suffix('?').unwrap_or(name).trim();
            optional |= bare.len() < name.len();
            let plain =
                !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !plain {
                return Err(format!("`{written}` is no input (an event type or a view)"));
            }
            alternatives.push(bare.to_owned());
        }
        Ok(Self {
            alternatives,
            optional,
        })
    }
}

/// Event types behind each view; a view that is not listed here is itself no log (the registry,
/// the ledger) and always there.
const VIEWS: &[(&str, &[&str])] = &[
    ("logins", &["Login", "LoginHistory"]),
    ("logouts", &["Logout"]),
    (
        "api_calls",
        &[
            "ApiTotalUsage",
            "RestApi",
            "API",
            "ApexRestApi",
            "ApexSoap",
            "BulkApi",
            "BulkApi2",
            "BulkApiRequest",
            "CompositeApi",
            "MetadataApiOperation",
        ],
    ),
    ("bulk_jobs", &["BulkApi", "BulkApi2", "BulkApiRequest"]),
    (
        "ui_activity",
        &[
            "URI",
            "LightningPageView",
            "LightningInteraction",
            "LightningError",
            "LightningPerformance",
            "AuraRequest",
            "VisualforceRequest",
            "Report",
            "ReportExport",
            "Dashboard",
            "ListViewEvent",
            "UITracking",
            "Search",
            "SearchClick",
            "Console",
        ],
    ),
    (
        "queries",
        &[
            "RestApi",
            "API",
            "ApexRestApi",
            "ApexSoap",
            "UniqueQuery",
            "Search",
        ],
    ),
    ("aura_actions", &["AuraRequest"]),
    (
        "threat_events",
        &[
            "ApiAnomalyEventStore",
            "ReportAnomalyEventStore",
            "SessionHijackingEventStore",
            "CredentialStuffingEventStore",
            "GuestUserAnomalyEventStore",
            "LoginAnomalyEventStore",
            "PermissionSetEventStore",
            "UniversalAnomalyEventStore",
            "ThreatEventStore",
        ],
    ),
    ("login_key_apps", &["Login", "LoginHistory"]),
    ("sightings", HISTORY),
    ("first_seen", HISTORY),
    ("activity_hourly", HISTORY),
    ("expected_activity", HISTORY),
];

/// What the accounts' history is made from.
const HISTORY: &[&str] = &[
    "Login",
    "LoginHistory",
    "ApiTotalUsage",
    "RestApi",
    "API",
    "ApexRestApi",
    "ApexSoap",
    "BulkApi",
    "BulkApi2",
    "BulkApiRequest",
    "CompositeApi",
    "MetadataApiOperation",
    "ReportExport",
    "Report",
    "AuraRequest",
    "UniqueQuery",
];

/// Data sets behind each view of the roster: of each group one at least, for what lacks one of
/// them shows too little and would look like no risk.
const ROSTER_VIEWS: &[(&str, &[&[&str]])] = &[
    ("users", &[&["User"]]),
    (
        "permission_assignments",
        &[&["User"], &["PermissionSetAssignment"]],
    ),
    (
        "permissions",
        &[&["User"], &["PermissionSetAssignment"], &["PermissionSet"]],
    ),
    (
        "apps",
        &[&[
            "ConnectedApplication",
            "ConnectedApp",
            "ExternalClientApplication",
        ]],
    ),
    ("oauth_tokens", &[&["OauthToken"]]),
    ("login_ip_ranges", &[&["LoginIpRange"]]),
];

/// A snapshot of the org holds until the next one, but not for longer than this many days.
pub const ROSTER_DAYS: u64 = 8;

/// Tables that hold no log: what the operator or the program itself wrote.
const ALWAYS_THERE: &[&str] = &[
    "registry_users",
    "registry_networks",
    "registry_apps",
    "registry_flows",
    "registry_windows",
    "registry_org_apps",
    "registry_gateways",
    "registry_ui_paths",
    "registry_tools",
    "registry_endpoints",
    "registry_hours",
    "registry_app_subjects",
    "registry_base_profiles",
    "registry_log_readers",
    "unmapped_values",
    "files",
    "runs",
    "quarantine",
    "findings",
    "rule_runs",
    "alerts",
    "parts",
    ROSTER_TABLES[0],
    ROSTER_TABLES[1],
    "suppressions",
    "canaries",
    "inferred_roles",
    "departed_rows",
    "covered_days",
];

/// Views that tell which snapshots there are.
pub(super) const ROSTER_TABLES: [&str; 2] = ["roster_snapshots", "roster_as_of"];

/// What an input's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    AlwaysThere,
    /// What others know of addresses and indicators.
    Knowledge,
    /// Any of these event types.
    Logs(Vec<String>),
    /// Snapshots of the org: of each group any.
    Roster(Vec<Vec<String>>),
}

/// Resolves a name; `raw_table` gives the event type of a raw table (`elf_login` → `Login`).
pub fn source_of(name: &str, raw_table: impl Fn(&str) -> Option<String>) -> Source {
    let lower = name.to_lowercase();
    if ALWAYS_THERE.contains(&lower.as_str()) {
        return Source::AlwaysThere;
    }
    if KNOWLEDGE.contains(&lower.as_str()) {
        return Source::Knowledge;
    }
    // `logins` is the view, `Login` the event type: no event type has a view's name.
    if let Some((_, events)) = VIEWS.iter().find(|(view, _)| *view == lower) {
        return Source::Logs(events.iter().map(|e| (*e).to_owned()).collect());
    }
    if let Some((_, groups)) = ROSTER_VIEWS.iter().find(|(view, _)| *view == lower) {
        let owned = |group: &&[&str]| group.iter().map(|set| (*set).to_owned()).collect();
        return Source::Roster(groups.iter().map(owned).collect());
    }
    Source::Logs(vec![raw_table(name).unwrap_or_else(|| name.to_owned())])
}

/// Whether a name is a view or a table of ours that is no raw log.
pub fn is_known_view(name: &str) -> bool {
    let lower = name.to_lowercase();
    ALWAYS_THERE.contains(&lower.as_str())
        || KNOWLEDGE.contains(&lower.as_str())
        || VIEWS.iter().any(|(view, _)| *view == lower)
        || ROSTER_VIEWS.iter().any(|(view, _)| *view == lower)
}
