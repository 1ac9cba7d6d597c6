//! Reads the compiled-in data files into event types.

use std::collections::HashMap;

use serde::Deserialize;

use super::lookup::{self, Catalog};
use super::{Column, ColumnKind, EventType, LogFamily, PrivacyClass, Treatment};
use super::{roster, threat_events};

const COLUMNS: &str = include_str!("data/columns.csv");
const EVENT_TYPES: &str = include_str!("data/event_types.toml");
const EXPORTS: &str = include_str!("data/exports.csv");

/// Headings that every event type may have, and all that is kept of an unknown one.
const COMMON: [&str; 14] = [
    "EVENT_TYPE",
    "TIMESTAMP",
    "REQUEST_ID",
    "ORGANIZATION_ID",
    "USER_ID",
    "RUN_TIME",
    "CPU_TIME",
    "SESSION_KEY",
    "LOGIN_KEY",
    "USER_TYPE",
    "REQUEST_STATUS",
    "TIMESTAMP_DERIVED",
    "USER_ID_DERIVED",
    "CLIENT_IP",
];

/// Never part of a row's identity: constant in a file, or the same value written differently.
const NEVER_IDENTITY: [&str; 2] = ["EVENT_TYPE", "ORGANIZATION_ID"];

/// Headings that came to older types later, whatever the type.
const LATE_EVERYWHERE: [&str; 1] = ["USER_TYPE"];

/// Heading of the change's code in Setup's own download, which has no such column.
const NO_ACTION_CODE: &str = "Action (code)";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventTypesFile {
    event: Vec<EventRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventRow {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    header: Vec<String>,
    #[serde(default)]
    also: Vec<String>,
    #[serde(default)]
    later: Vec<String>,
}

#[derive(Deserialize, Clone)]
struct ColumnRow {
    column: String,
    kind: ColumnKind,
    class: PrivacyClass,
    treatment: Treatment,
    /// Event types for which this row holds, separated by blanks; empty = all others.
    types: String,
    description: String,
    unit: String,
}

#[derive(Deserialize)]
pub(super) struct ExportRow {
    /// The event types that have this column, separated by blanks.
    pub(super) event: String,
    column: String,
    aliases: String,
    name: String,
    kind: ColumnKind,
    class: PrivacyClass,
    treatment: Treatment,
    identity: String,
    description: String,
    /// Only where a log measures anything.
    #[serde(default)]
    unit: String,
}

struct Glossary {
    general: HashMap<String, ColumnRow>,
    by_type: HashMap<(String, String), ColumnRow>,
}

impl Glossary {
    fn column(&self, event: &str, heading: &str, identity: bool) -> Column {
        let special = self.by_type.get(&(event.to_owned(), heading.to_owned()));
        let Some(row) = special.or_else(|| self.general.get(heading)) else {
            // Fail closed; a test keeps this from happening to any compiled-in type.
            return dropped(heading);
        };
        Column {
            heading: heading.to_owned(),
            aliases: vec![],
            name: heading.to_ascii_lowercase(),
            class: row.class,
            kind: row.kind,
            treatment: row.treatment,
            identity: identity
                && !heading.ends_with("_DERIVED")
                && !NEVER_IDENTITY.contains(&heading)
                && !LATE_EVERYWHERE.contains(&heading),
            description: row.description.clone(),
            unit: row.unit.clone(),
        }
    }
}

/// A column of which nothing is kept.
fn dropped(heading: &str) -> Column {
    Column {
        heading: heading.to_owned(),
        aliases: vec![],
        name: heading.to_ascii_lowercase(),
        class: PrivacyClass::RecordData,
        kind: ColumnKind::Text,
        treatment: Treatment::Drop,
        identity: false,
        description: String::new(),
        unit: String::new(),
    }
}

pub(super) fn embedded() -> Catalog {
    let glossary = glossary(rows(COLUMNS));
    // The text is compiled in and parsed by this module's tests.
    let types: EventTypesFile =
        toml::from_str(EVENT_TYPES).expect("compiled-in event_types.toml is valid");
    let common: Vec<Column> = COMMON
        .iter()
        .map(|h| glossary.column("", h, true))
        .collect();
    let mut events: Vec<EventType> = types
        .event
        .into_iter()
        .map(|row| elf_type(row, &glossary, &common))
        .collect();

    let exports: Vec<ExportRow> = rows(EXPORTS);
    let history = export_type(
        &exports,
        lookup::LOGIN_HISTORY,
        "login_history",
        LogFamily::LoginHistory,
    );
    let audit = export_type(
        &exports,
        lookup::SETUP_AUDIT_TRAIL,
        "setup_audit_trail",
        LogFamily::SetupAuditTrail,
    );
    let audit_page = audit_page(&audit);
    events.extend([history, audit]);
    events.extend(roster::event_types());
    events.extend(threat_events::event_types());
    Catalog::assemble(events, audit_page, common)
}

pub(super) fn rows<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    csv::Reader::from_reader(text.as_bytes())
        .into_deserialize()
        // The text is compiled in and parsed by this module's tests.
        .map(|row| row.expect("compiled-in CSV is valid"))
        .collect()
}

fn glossary(rows: Vec<ColumnRow>) -> Glossary {
    let mut glossary = Glossary {
        general: HashMap::new(),
        by_type: HashMap::new(),
    };
    for row in rows {
        if row.types.is_empty() {
            glossary.general.insert(row.column.clone(), row);
            continue;
        }
        for event in row.types.split_whitespace() {
            let key = (event.to_owned(), row.column.clone());
            glossary.by_type.insert(key, row.clone());
        }
    }
    glossary
}

fn elf_type(row: EventRow, glossary: &Glossary, common: &[Column]) -> EventType {
    let columns = if row.header.is_empty() {
        common.to_vec()
    } else {
        let in_all_releases = row
            .header
            .iter()
            .map(|h| glossary.column(&row.name, h, !row.later.contains(h)));
        let in_some = row
            .also
            .iter()
            .map(|h| glossary.column(&row.name, h, false));
        in_all_releases.chain(in_some).collect()
    };
    EventType {
        table: lookup::table_name(&row.name),
        name: row.name,
        aliases: row.aliases,
        family: LogFamily::EventLogFile,
        columns,
    }
}

pub(super) fn export_type(
    rows: &[ExportRow],
    name: &str,
    table: &str,
    family: LogFamily,
) -> EventType {
    let columns = rows
        .iter()
        .filter(|r| r.event.split_whitespace().any(|event| event == name))
        .map(|r| Column {
            heading: r.column.clone(),
            aliases: r
                .aliases
                .split('|')
                .filter(|a| !a.is_empty())
                .map(str::to_owned)
                .collect(),
            name: r.name.clone(),
            class: r.class,
            kind: r.kind,
            treatment: r.treatment,
            identity: r.identity == "yes",
            description: r.description.clone(),
            unit: r.unit.clone(),
        })
        .collect();
    EventType {
        name: name.to_owned(),
        aliases: vec![],
        table: table.to_owned(),
        family,
        columns,
    }
}

/// In Setup's own download the heading `Action` is over the sentence, which is record data and
/// elsewhere called `Display`. Same columns, so that both are stored alike.
fn audit_page(audit: &EventType) -> EventType {
    let mut page = audit.clone();
    for column in &mut page.columns {
        match column.heading.as_str() {
            "Action" => column.heading = NO_ACTION_CODE.to_owned(),
            "Display" => column.aliases.push("Action".to_owned()),
            _ => {}
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{DESCRIPTION, UNIT, lake_schema};

    #[test]
    fn every_column_of_every_type_is_classified() {
        let glossary = glossary(rows(COLUMNS));
        let types: EventTypesFile = toml::from_str(EVENT_TYPES).unwrap();
        for event in &types.event {
            for heading in event.header.iter().chain(&event.also) {
                assert!(
                    glossary.general.contains_key(heading),
                    "{}.{heading}",
                    event.name
                );
            }
            for heading in &event.later {
                assert!(event.header.contains(heading), "{}.{heading}", event.name);
            }
        }
    }

    #[test]
    fn record_data_is_never_kept() {
        let catalog = embedded();
        let all = catalog.event_types().iter().chain([&catalog.audit_page]);
        for (event, column) in all.flat_map(|e| e.columns.iter().map(move |c| (e, c))) {
            if column.class == PrivacyClass::RecordData {
                assert!(
                    matches!(
                        column.treatment,
                        Treatment::Drop
                            | Treatment::UriTemplate
                            | Treatment::ApexTemplate
                            | Treatment::QueryShape
                            | Treatment::QueryClasses
                            | Treatment::ActionTally
                            | Treatment::Contributors
                            | Treatment::Mentions
                    ),
                    "{}.{}",
                    event.name,
                    column.heading
                );
            }
        }
    }

    #[test]
    fn tokens_are_kept_as_digests_and_only_tokens_are() {
        for column in embedded().event_types().iter().flat_map(|e| &e.columns) {
            assert_eq!(
                column.class == PrivacyClass::Token,
                column.treatment == Treatment::Digest,
                "{}",
                column.heading
            );
        }
    }

    #[test]
    fn urls_that_hold_a_query_are_not_taken_for_soql() {
        let catalog = embedded();
        let treatment = |event: &str| {
            catalog
                .event_type(event)
                .unwrap()
                .column("QUERY")
                .unwrap()
                .treatment
        };
        assert_eq!(treatment("Sites"), Treatment::Drop);
        assert_eq!(treatment("VisualforceRequest"), Treatment::Drop);
        assert_eq!(treatment("ApexSoap"), Treatment::QueryShape);
    }

    #[test]
    fn no_stored_name_occurs_twice_in_a_type() {
        for event in embedded().event_types() {
            let schema = lake_schema(event);
            let mut names: Vec<_> = schema.fields().iter().map(|f| f.name().clone()).collect();
            names.sort();
            let before = names.len();
            names.dedup();
            assert_eq!(names.len(), before, "{}", event.name);
        }
    }

    #[test]
    fn every_column_of_the_lake_says_what_it_means() {
        for event in embedded().event_types() {
            for field in lake_schema(event).fields() {
                let meaning = field.metadata().get(DESCRIPTION);
                assert!(meaning.is_some(), "{}.{}", event.name, field.name());
            }
        }
    }

    #[test]
    fn a_column_that_measures_says_in_which_unit() {
        let catalog = embedded();
        let unit = |event: &str, column: &str| {
            let schema = lake_schema(catalog.event_type(event).unwrap());
            let field = schema.field_with_name(column).unwrap();
            field.metadata().get(UNIT).cloned()
        };
        assert_eq!(unit("Login", "run_time").as_deref(), Some("ms"));
        assert_eq!(unit("Login", "db_total_time").as_deref(), Some("ns"));
        assert_eq!(unit("RestApi", "request_size").as_deref(), Some("bytes"));
        assert_eq!(unit("RestApi", "status_code"), None);
    }

    #[test]
    fn every_type_has_a_time() {
        for event in embedded().event_types() {
            // A snapshot's rows are of the time at which it was taken.
            assert_ne!(
                event.has(Treatment::OccurredAt),
                event.is_roster(),
                "{}",
                event.name
            );
        }
    }

    #[test]
    fn what_login_gained_since_2020_is_no_part_of_a_rows_identity() {
        let catalog = embedded();
        let login = catalog.event_type("Login").unwrap();
        let identity: Vec<_> = login
            .columns
            .iter()
            .filter(|c| c.identity)
            .map(|c| c.heading.as_str())
            .collect();
        assert_eq!(
            identity,
            [
                "TIMESTAMP",
                "REQUEST_ID",
                "USER_ID",
                "RUN_TIME",
                "CPU_TIME",
                "URI",
                "SESSION_KEY",
                "LOGIN_KEY",
                "REQUEST_STATUS",
                "DB_TOTAL_TIME",
                "BROWSER_TYPE",
                "API_TYPE",
                "API_VERSION",
                "USER_NAME",
                "TLS_PROTOCOL",
                "CIPHER_SUITE",
                "CLIENT_IP",
                "LOGIN_STATUS",
                "SOURCE_IP",
            ]
        );
    }

    #[test]
    fn both_forms_of_the_audit_trail_are_stored_alike() {
        let catalog = embedded();
        let audit = catalog.event_type("SetupAuditTrail").unwrap();
        assert_eq!(lake_schema(audit), lake_schema(&catalog.audit_page));
    }
}
