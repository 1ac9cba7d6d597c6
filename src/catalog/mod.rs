//! What the logs are: event types, their columns, each column's type and privacy class, the
//! login-path map and the lists of known codes. The facts are data files compiled in
//! (`src/catalog/data/`); a user's own file can extend them (see [`extension`]).
//!
//! | data file | what it says |
//! |---|---|
//! | `event_types.toml` | EventLogFile types and their headings, newest order |
//! | `columns.csv` | every heading of those types: type, privacy class, treatment |
//! | `exports.csv` | LoginHistory and SetupAuditTrail columns in all spellings of their headings |
//! | `threat_events.csv` | the same of the events of Salesforce's own Threat Detection |
//! | `roster.csv` | the same of the org's users, permissions and apps, and of VerificationHistory |
//! | `login_types.csv`, `login_sub_types.csv` | login codes, API names and labels |
//! | `login_paths.csv` | which of them, with which other facts, mean which login path |
//! | `login_statuses.csv` | login outcomes as codes and texts |
//! | `codes.csv` | values known of other coded fields |
//! | `uri_words.txt`, `standard_objects.txt` | what a path may keep in clear |

use serde::Deserialize;

pub mod codes;
pub mod extension;
mod id;
mod identify;
mod ip;
mod load;
pub mod login_path;
mod lookup;
mod name;
mod roster;
mod schema;
mod threat_events;
pub mod uri;

pub use id::{has_own_suffix, sf_id18, sf_id18_bytes};
pub use identify::Identified;
pub use ip::{IpKind, classify, ip_key, ip_of_key, parse_ip};
pub use lookup::{Catalog, CatalogError, LOGIN_HISTORY, SETUP_AUDIT_TRAIL};
pub use name::app_name_key;
pub use schema::{DESCRIPTION, UNIT, lake_schema, timestamp_ms};

/// Which export a file comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogFamily {
    EventLogFile,
    LoginHistory,
    SetupAuditTrail,
    VerificationHistory,
    /// Salesforce's own detections, as exports of its `…EventStore` objects.
    ThreatDetection,
    /// What the org says of itself: users, permissions, apps. A file is a snapshot, whose rows
    /// have no time of their own but that of the snapshot.
    Roster,
}

/// Privacy class of a column. A column that the catalogue does not know is `RecordData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyClass {
    Metadata,
    Identifier,
    Token,
    RecordData,
}

/// Type of a stored column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Arrow `Utf8View`
    Text,
    /// Arrow `Int64`
    Integer,
    /// Arrow `Float64`
    Decimal,
    /// Arrow `Boolean`
    Boolean,
    /// Arrow `Timestamp(ms, UTC)`: a time that is not the row's own
    Time,
}

/// What ingest does with a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treatment {
    /// Kept as it is, by `kind`.
    Keep,
    /// Text chosen by the caller: kept up to [`CUT_CHARS`] characters.
    Cut,
    /// A URL of which only the host is kept.
    Host,
    /// A Salesforce id: kept in 18 characters.
    Id18,
    /// The acting user's id (USER_ID, USER_ID_DERIVED, UserId): together they make `user_id`.
    UserId,
    /// A username: kept when it has the form `name@domain` or the login succeeded, else a digest.
    Username,
    /// TIMESTAMP, TIMESTAMP_DERIVED, LoginTime …: together they make `occurred_at`.
    OccurredAt,
    /// An address: stored canonically, and a source of `ip`, `ip_key`, `ip_kind`.
    Address,
    /// FORWARDED_FOR_IP: only the addresses in it are kept.
    AddressList,
    /// A secret that only has to join: kept as a keyed digest.
    Digest,
    /// A URI or resource: kept as its template.
    UriTemplate,
    /// The path of an Apex REST call, with or without `/services/apexrest`: kept as its template.
    ApexTemplate,
    /// A sentence: of it only the usernames (`name@domain`), each as a keyed digest.
    Mentions,
    /// SOQL text: kept as `query_object`, `query_shape` (keyed digest) and `query_classes`.
    QueryShape,
    /// What somebody typed into a search: kept as `query_classes` and in no other form. A digest of
    /// a word or two would be guessed.
    QueryClasses,
    /// ACTION_MESSAGE: kept as `actions`, a tally of the names of code in it, with `action_count`
    /// and `actions_malformed`.
    ActionTally,
    /// SecurityEventData: of its JSON the names of what contributed, never a value.
    Contributors,
    /// Never kept.
    Drop,
}

/// Longest caller-chosen text kept, in characters.
pub const CUT_CHARS: usize = 200;

/// One column of one event type.
#[derive(Debug, Clone)]
pub struct Column {
    /// Heading in the CSV, canonical spelling (`LOGIN_TYPE`, `LoginType`).
    pub heading: String,
    /// Other headings of the same column (Setup page labels, Data Loader spelling …).
    pub aliases: Vec<String>,
    /// SQL name: lower case.
    pub name: String,
    pub class: PrivacyClass,
    pub kind: ColumnKind,
    pub treatment: Treatment,
    /// Part of the row's identity, by which a row counts once across overlapping files: columns
    /// that every known release of the file carries.
    pub identity: bool,
    pub description: String,
    /// Of a number (`ms`, `bytes`); empty where it has none.
    pub unit: String,
}

/// One kind of log file.
#[derive(Debug, Clone)]
pub struct EventType {
    /// `Login`, `ApiTotalUsage`, `LoginHistory`, `SetupAuditTrail`, …: value of EVENT_TYPE and
    /// of the lake's `event=` folder.
    pub name: String,
    /// Other spellings of `name` (compared without case).
    pub aliases: Vec<String>,
    /// SQL table: `elf_login`, `login_history`, `setup_audit_trail`.
    pub table: String,
    pub family: LogFamily,
    pub columns: Vec<Column>,
}

impl EventType {
    /// The column of a heading, by canonical spelling or alias, without regard to case or to
    /// blanks and a byte order mark around it.
    pub fn column(&self, heading: &str) -> Option<&Column> {
        let heading = trimmed_heading(heading);
        self.columns.iter().find(|c| {
            c.heading.eq_ignore_ascii_case(heading)
                || c.aliases.iter().any(|a| a.eq_ignore_ascii_case(heading))
        })
    }

    /// Whether a file of this type is a snapshot of the org, rather than a log.
    pub fn is_roster(&self) -> bool {
        self.family == LogFamily::Roster
    }

    pub fn has(&self, treatment: Treatment) -> bool {
        self.columns.iter().any(|c| c.treatment == treatment)
    }
}

/// A heading without a byte order mark and blanks around it.
fn trimmed_heading(heading: &str) -> &str {
    heading.trim_start_matches('\u{feff}').trim()
}
