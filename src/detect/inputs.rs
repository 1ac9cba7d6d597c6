//! What a rule reads, and whether that was there: a rule without its input is blind, which is
//! not the same as having found nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Days, NaiveDate};

use super::known::{KNOWLEDGE, Known};
use crate::catalog::Catalog;
use crate::enrich::Enrichment;
use crate::lake::{Lake, LakeError};

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
const ROSTER_TABLES: [&str; 2] = ["roster_snapshots", "roster_as_of"];

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

/// The days for which the lake holds each event type.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    days: BTreeMap<String, BTreeSet<NaiveDate>>,
    /// Days of the snapshots of each roster data set.
    snapshots: BTreeMap<String, BTreeSet<NaiveDate>>,
    /// Raw table → event type.
    tables: BTreeMap<String, String>,
    /// Names of the roster data sets.
    data_sets: BTreeSet<String>,
    known: Known,
}

/// Verdict on a rule's inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    Sees,
    /// Had input before, has none now; the text says which and since when.
    Blind(String),
    NeverHadInput(String),
}

impl Coverage {
    /// What the lake holds now.
    pub fn of_lake(lake: &Lake, catalog: &Catalog) -> Result<Self, LakeError> {
        let mut coverage = Self::default();
        for event_type in lake.event_types()? {
            // Rollups are no logs, and some outlive theirs.
            if !catalog.is_roster(&event_type) && !event_type.starts_with("rollup_") {
                for part in lake.parts(&event_type)? {
                    coverage.add(&event_type, part.day);
                }
            }
        }
        let mut whole: BTreeSet<String> = BTreeSet::new();
        for reading in lake.ledger().readings()? {
            // As in the view `roster_snapshots`: what was cut off tells nothing new once there
            // was a whole snapshot.
            if !catalog.is_roster(&reading.event_type)
                || !reading.is_complete && whole.contains(&reading.event_type)
            {
                continue;
            }
            coverage.add_snapshot(&reading.event_type, reading.day);
            if reading.is_complete {
                whole.insert(reading.event_type);
            }
        }
        let tables = catalog
            .event_types()
            .iter()
            .map(|e| (e.table.clone(), e.name.clone()));
        coverage.tables = tables.collect();
        coverage.data_sets = catalog.roster().map(|e| e.name.clone()).collect();
        Ok(coverage)
    }

    /// The same with what is known of addresses and indicators.
    pub fn enriched(mut self, enrichment: &Enrichment) -> Self {
        self.known = Known::of(enrichment);
        self
    }

    pub fn add(&mut self, event_type: &str, day: NaiveDate) {
        self.days
            .entry(event_type.to_owned())
            .or_default()
            .insert(day);
    }

    pub fn add_snapshot(&mut self, data_set: &str, day: NaiveDate) {
        self.snapshots
            .entry(data_set.to_owned())
            .or_default()
            .insert(day);
    }

    /// Whether a day has a snapshot of any roster data set.
    pub fn has_snapshot(&self, day: NaiveDate) -> bool {
        self.snapshots.values().any(|days| days.contains(&day))
    }

    /// Latest day up to `limit` that has a snapshot of any roster data set.
    pub fn last_snapshot(&self, limit: NaiveDate) -> Option<NaiveDate> {
        self.snapshots
            .values()
            .filter_map(|days| days.range(..=limit).next_back())
            .max()
            .copied()
    }

    /// Whether a rule of these inputs is about snapshots of the org: then it is also asked about
    /// the days on which there is a snapshot and no log. Optional inputs tell only where a rule
    /// has no other.
    pub fn reads_roster(&self, inputs: &[Input]) -> bool {
        let only_optional = inputs.iter().all(|input| input.optional);
        inputs
            .iter()
            .filter(|input| only_optional || !input.optional)
            .flat_map(|input| &input.alternatives)
            .any(|name| {
                ROSTER_TABLES.contains(&name.to_lowercase().as_str())
                    || matches!(self.source_of(name), Source::Roster(_))
            })
    }

    /// What a name stands for in this lake.
    fn source_of(&self, name: &str) -> Source {
        let raw_table = |table: &str| self.tables.get(table).cloned();
        match source_of(name, raw_table) {
            Source::Logs(types) if types.iter().any(|t| self.data_sets.contains(t)) => {
                Source::Roster(vec![types])
            }
            source => source,
        }
    }

    /// Latest day up to `limit` that has rows of any log.
    pub fn last_day(&self, limit: NaiveDate) -> Option<NaiveDate> {
        self.days
            .values()
            .filter_map(|days| days.range(..=limit).next_back())
            .max()
            .copied()
    }

    /// Earliest day that has rows of any log.
    pub fn first_day(&self) -> Option<NaiveDate> {
        self.days
            .values()
            .filter_map(BTreeSet::first)
            .min()
            .copied()
    }

    pub fn has_day(&self, day: NaiveDate) -> bool {
        self.days.values().any(|days| days.contains(&day))
    }

    /// Judges required inputs over the `blind_days` days that end with `last_day`; snapshots of
    /// the org hold for [`ROSTER_DAYS`].
    pub fn judge(&self, inputs: &[Input], last_day: NaiveDate, blind_days: u32) -> Sight {
        let mut blind = None;
        for input in inputs.iter().filter(|input| !input.optional) {
            let mut events = vec![];
            let mut sights = vec![];
            for name in &input.alternatives {
                match self.source_of(name) {
                    Source::AlwaysThere => sights.push(Sight::Sees),
                    Source::Knowledge => {
                        sights.push(self.known.judge(&name.to_lowercase(), last_day));
                    }
                    Source::Logs(types) => events.extend(types),
                    Source::Roster(groups) => sights.push(self.judge_snapshots(&groups, last_day)),
                }
            }
            if !events.is_empty() {
                // A view of a few logs is told by these: it is they that are to be delivered.
                let shown = match events.len() {
                    ..=3 => events.join(" or "),
                    _ => input.alternatives.join(" or "),
                };
                sights.push(self.judge_logs(&events, &shown, last_day, blind_days));
            }
            // The best of the alternatives: to be blind is to have seen before.
            match sights.into_iter().min_by_key(Sight::darkness) {
                Some(Sight::Blind(reason)) => {
                    blind.get_or_insert(reason);
                }
                Some(Sight::NeverHadInput(reason)) => return Sight::NeverHadInput(reason),
                Some(Sight::Sees) | None => {}
            }
        }
        blind.map_or(Sight::Sees, Sight::Blind)
    }

    /// Judges logs: any of these event types will do.
    fn judge_logs(
        &self,
        events: &[String],
        shown: &str,
        last_day: NaiveDate,
        blind_days: u32,
    ) -> Sight {
        let days = || events.iter().filter_map(|event| self.days.get(event));
        let Some(seen) = days().filter_map(BTreeSet::last).max() else {
            let reason = format!("never had input: no {shown} files in the lake");
            return Sight::NeverHadInput(reason);
        };
        let first = last_day
            .checked_sub_days(Days::new(u64::from(blind_days.max(1)) - 1))
            .unwrap_or(last_day);
        if *seen >= first {
            return Sight::Sees;
        }
        let missing = (last_day - *seen).num_days();
        Sight::Blind(format!(
            "blind: no {shown} files since {seen} ({missing} days)"
        ))
    }

    /// Judges snapshots: of each group one data set must have one that is not too old.
    fn judge_snapshots(&self, groups: &[Vec<String>], last_day: NaiveDate) -> Sight {
        let oldest = last_day
            .checked_sub_days(Days::new(ROSTER_DAYS))
            .unwrap_or(last_day);
        let mut stale = None;
        for group in groups {
            let newest = group
                .iter()
                .filter_map(|data_set| self.snapshots.get(data_set)?.last())
                .max();
            let shown = group.join(" or ");
            match newest {
                None => {
                    let reason = format!("never had input: no {shown} snapshot in the lake");
                    return Sight::NeverHadInput(reason);
                }
                Some(day) if *day < oldest => {
                    let age = (last_day - *day).num_days();
                    let reason = format!("blind: the newest {shown} snapshot is {age} days old");
                    stale.get_or_insert(reason);
                }
                Some(_) => {}
            }
        }
        stale.map_or(Sight::Sees, Sight::Blind)
    }
}

impl Sight {
    fn darkness(&self) -> u8 {
        match self {
            Sight::Sees => 0,
            Sight::Blind(_) => 1,
            Sight::NeverHadInput(_) => 2,
        }
    }
}

#[cfg(test)]
#[path = "inputs_tests.rs"]
mod tests;
