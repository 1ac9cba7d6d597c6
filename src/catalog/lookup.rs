//! The catalogue as the other parts ask it: which event type has this name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Column, EventType, LogFamily, load};

/// Name of the LoginHistory event type.
pub const LOGIN_HISTORY: &str = "LoginHistory";
/// Name of the VerificationHistory event type.
pub const VERIFICATION_HISTORY: &str = "VerificationHistory";
/// Name of the SetupAuditTrail event type.
pub const SETUP_AUDIT_TRAIL: &str = "SetupAuditTrail";

/// Longest name of an event type: it becomes a folder and a table.
const NAME_CHARS_MAX: usize = 64;

/// All event types and their columns.
#[derive(Debug, Clone)]
pub struct Catalog {
    events: Vec<EventType>,
    /// Lower-case name or alias → index in `events`.
    by_name: HashMap<String, usize>,
    /// SetupAuditTrail as Setup's own download writes it.
    pub(super) audit_page: EventType,
    common: Vec<Column>,
}

/// Why the catalogue's data, or a user's extension of it, cannot be used.
#[derive(Debug, Error)]
pub enum CatalogError {
    #[error("cannot read the catalogue extension `{path}`: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{file}` line {line}: {problem}\nhint: {hint}")]
    Invalid {
        file: PathBuf,
        line: usize,
        problem: String,
        hint: String,
    },
}

impl Catalog {
    /// The catalogue that is compiled in.
    pub fn embedded() -> Self {
        load::embedded()
    }

    /// The compiled-in catalogue and a user's own file on top of it; see
    /// [`extension`](super::extension) for the file's form.
    pub fn with_extension(path: &Path) -> Result<Self, CatalogError> {
        let text = std::fs::read_to_string(path).map_err(|source| CatalogError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::embedded().extended(&text, path)
    }

    pub(super) fn assemble(
        events: Vec<EventType>,
        audit_page: EventType,
        common: Vec<Column>,
    ) -> Self {
        let mut catalog = Self {
            events: Vec::with_capacity(events.len()),
            by_name: HashMap::new(),
            audit_page,
            common,
        };
        for event in events {
            catalog.put(event);
        }
        catalog
    }

    /// Adds an event type, or replaces the one of the same name.
    pub(super) fn put(&mut self, event: EventType) {
        let at = match self.by_name.get(&event.name.to_ascii_lowercase()) {
            Some(&at) => at,
            None => self.events.len(),
        };
        for name in std::iter::once(&event.name).chain(&event.aliases) {
            self.by_name.insert(name.to_ascii_lowercase(), at);
        }
        match self.events.get_mut(at) {
            Some(place) => *place = event,
            None => self.events.push(event),
        }
    }

    /// Every event type, LoginHistory and SetupAuditTrail included.
    pub fn event_types(&self) -> &[EventType] {
        &self.events
    }

    /// The event type of a name or alias, without regard to case.
    pub fn event_type(&self, name: &str) -> Option<&EventType> {
        let at = *self.by_name.get(&name.trim().to_ascii_lowercase())?;
        self.events.get(at)
    }

    /// LoginHistory's columns in all its spellings.
    pub fn login_history(&self) -> &EventType {
        self.event_type(LOGIN_HISTORY)
            // Compiled in (tested), and an extension can add to a type but not remove one.
            .expect("LoginHistory is in the compiled-in catalogue")
    }

    /// The EventLogFile type that a row's EVENT_TYPE names: a known one, or one with the common
    /// columns only. `None` when the text cannot be an event type, or names something that is
    /// not an EventLogFile type: the file is to be refused.
    pub fn elf_event_type(&self, value: &str) -> Option<EventType> {
        match self.event_type(value) {
            Some(event) if event.family == LogFamily::EventLogFile => Some(event.clone()),
            Some(_) => None,
            None => self.unknown_event_type(value),
        }
    }

    /// An EventLogFile type that the catalogue does not know: its common columns only.
    /// `None` unless the name is fit for a folder and a table: letters, digits and underscores
    /// in ASCII, a letter first, at most 64, and not beginning with `rollup_`, which is ours. Nor
    /// is `EVENT_TYPE` one: that is a header row met again.
    pub fn unknown_event_type(&self, name: &str) -> Option<EventType> {
        let name = name.trim();
        is_event_name(name).then(|| EventType {
            name: name.to_owned(),
            aliases: vec![],
            table: table_name(name),
            family: LogFamily::EventLogFile,
            columns: self.common.clone(),
        })
    }

    /// Whether some log has this heading as record data.
    pub(super) fn is_record_data_anywhere(&self, heading: &str) -> bool {
        self.events
            .iter()
            .filter(|e| !e.is_roster())
            .filter_map(|e| e.column(heading))
            .any(|c| c.class == super::PrivacyClass::RecordData)
    }
}

/// Whether a name may become an event type, and with it a folder and a table.
pub(super) fn is_event_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.to_ascii_lowercase().starts_with("rollup_")
        && !name.eq_ignore_ascii_case("EVENT_TYPE")
}

/// `elf_` and the name in snake case: `CSPViolation` → `elf_csp_violation`.
pub(super) fn table_name(name: &str) -> String {
    snake_case("elf_", name)
}

/// A name in snake case behind `prefix`.
pub(super) fn snake_case(prefix: &str, name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut table = String::from(prefix);
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|b| chars.get(b));
        let word_begins = match (before, chars.get(at + 1)) {
            (Some(b), _) if b.is_ascii_lowercase() || b.is_ascii_digit() => true,
            (Some(b), Some(after)) => b.is_ascii_uppercase() && after.is_ascii_lowercase(),
            _ => false,
        };
        if c.is_ascii_uppercase() && word_begins {
            table.push('_');
        }
        table.push(c.to_ascii_lowercase());
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_in_snake_case() {
        for (name, table) in [
            ("Login", "elf_login"),
            ("API", "elf_api"),
            ("URI", "elf_uri"),
            ("ApiTotalUsage", "elf_api_total_usage"),
            ("BulkApi2", "elf_bulk_api2"),
            ("CSPViolation", "elf_csp_violation"),
            ("LoginAs", "elf_login_as"),
        ] {
            assert_eq!(table_name(name), table);
        }
    }

    #[test]
    fn event_types_are_found_in_every_spelling() {
        let catalog = Catalog::embedded();
        for (spelling, name) in [
            ("CspViolation", "CSPViolation"),
            ("AsynchronousReportRun", "AsyncReportRun"),
            ("DocumentAttachmentDownoads", "DocumentAttachmentDownloads"),
            ("login", "Login"),
            (" loginhistory ", "LoginHistory"),
        ] {
            assert_eq!(catalog.event_type(spelling).unwrap().name, name);
        }
        assert!(catalog.event_type("AuthSession").is_none());
    }

    #[test]
    fn an_unknown_event_type_keeps_its_common_columns_only() {
        let event = Catalog::embedded().elf_event_type("NewThing").unwrap();
        assert_eq!(
            (event.name.as_str(), event.table.as_str()),
            ("NewThing", "elf_new_thing")
        );
        assert!(event.column("CLIENT_IP").is_some() && event.column("TIMESTAMP").is_some());
        assert!(event.column("URI").is_none() && event.column("QUERY").is_none());
    }

    #[test]
    fn an_event_type_that_is_no_safe_folder_name_is_refused() {
        let catalog = Catalog::embedded();
        for name in [
            "",
            "../up",
            "a/b",
            "a b",
            "rollup_logins",
            "Rollup_x",
            "EVENT_TYPE",
            "1x",
            "é",
            "event=x",
        ] {
            assert!(catalog.elf_event_type(name).is_none(), "{name}");
        }
        assert!(catalog.elf_event_type(&"x".repeat(65)).is_none());
    }

    #[test]
    fn an_event_log_file_cannot_pose_as_login_history() {
        assert!(Catalog::embedded().elf_event_type("LoginHistory").is_none());
        assert!(Catalog::embedded().elf_event_type("User").is_none());
    }
}
