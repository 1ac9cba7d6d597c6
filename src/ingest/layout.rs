//! A file's header held against the catalogue: which column is read how.

use std::collections::HashSet;

use arrow::datatypes::SchemaRef;

use crate::catalog::{
    Catalog, ColumnKind, EventType, Identified, LogFamily, Treatment, lake_schema,
};
use crate::privacy::printable;

/// Longest heading that is reported by name, in characters.
const HEADING_CHARS: usize = 80;

/// Where the time of a row is read from.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeColumns {
    /// TIMESTAMP_DERIVED, or the one time column of an export.
    pub first: Option<usize>,
    /// TIMESTAMP, for rows whose first is empty or unreadable.
    pub fallback: Option<usize>,
}

/// One stored column and where its cells stand in the file.
#[derive(Debug, Clone)]
pub struct Slot {
    pub treatment: Treatment,
    pub kind: ColumnKind,
    /// Place in the file; none where the file lacks the column (all NULL).
    pub column: Option<usize>,
}

/// How to read the rows below one header.
#[derive(Debug)]
pub struct Layout {
    pub event: EventType,
    pub schema: SchemaRef,
    pub headings: Vec<String>,
    pub time: TimeColumns,
    pub event_type: Option<usize>,
    /// USER_ID before USER_ID_DERIVED.
    pub user_ids: Vec<usize>,
    /// SOURCE_IP before CLIENT_IP: the first that parses is the row's address.
    pub addresses: Vec<usize>,
    /// LOGIN_STATUS or Status: a username is kept as typed only where the login succeeded.
    pub status: Option<usize>,
    pub slots: Vec<Slot>,
    /// An export's own row id: the one identity that is promised to be unique.
    pub own_id: Option<(usize, u64)>,
    /// Columns of the identity of a row without id of its own, with the seed of each.
    pub identity: Vec<(usize, u64)>,
    pub unknown: Vec<String>,
    pub missing: Vec<String>,
    /// Headings that some release of the type has and this file lacks; of logs only.
    pub absent: Vec<String>,
}

impl Layout {
    /// Reads a header. `first_event_type` is the EVENT_TYPE cell of the first row below it.
    ///
    /// The error is the reason for which the file is refused.
    pub fn new(
        catalog: &Catalog,
        headings: &[String],
        first_event_type: Option<&str>,
        row_seed: u64,
    ) -> Result<Self, String> {
        refuse_odd_header(headings)?;
        let names: Vec<&str> = headings.iter().map(String::as_str).collect();
        let event = match catalog.identify(&names) {
            Identified::Refused { reason } => return Err(reason),
            Identified::Export(event) => event.clone(),
            Identified::EventLogFile => {
                let name = first_event_type.unwrap_or_default();
                catalog.elf_event_type(name).ok_or(
                    "EVENT_TYPE of the first row is not the name of an event type (letters, \
                     digits and underscores)",
                )?
            }
        };
        Self::of_event(event, headings, row_seed)
    }

    fn of_event(event: EventType, headings: &[String], row_seed: u64) -> Result<Self, String> {
        let places: Vec<Option<String>> = headings
            .iter()
            .map(|h| event.column(h).map(|c| c.heading.clone()))
            .collect();
        let place = |heading: &str| places.iter().position(|p| p.as_deref() == Some(heading));
        let mut seen = HashSet::new();
        if let Some(twice) = places.iter().flatten().find(|h| !seen.insert(h.as_str())) {
            return Err(format!("two headings stand for the column {twice}"));
        }
        let all = |treatment: Treatment| -> Vec<usize> {
            event
                .columns
                .iter()
                .filter(|c| c.treatment == treatment)
                .filter_map(|c| place(&c.heading))
                .collect()
        };
        let times: Vec<usize> = all(Treatment::OccurredAt);
        let derived = times
            .iter()
            .copied()
            .find(|&t| ends_with_derived(&headings[t]));
        let time = TimeColumns {
            first: derived.or(times.first().copied()),
            fallback: derived.and(times.iter().copied().find(|t| Some(*t) != derived)),
        };
        let mut user_ids = all(Treatment::UserId);
        user_ids.sort_by_key(|&at| ends_with_derived(&headings[at]));
        let mut addresses = all(Treatment::Address);
        addresses.sort_by_key(|&at| !headings[at].to_ascii_lowercase().starts_with("source"));
        let slots = event
            .columns
            .iter()
            .filter(|c| {
                !matches!(
                    c.treatment,
                    Treatment::OccurredAt | Treatment::UserId | Treatment::Drop
                )
            })
            .map(|c| Slot {
                treatment: c.treatment,
                kind: c.kind,
                column: place(&c.heading),
            })
            .collect();
        let own_id = (event.family != LogFamily::EventLogFile)
            .then(|| place("Id"))
            .flatten()
            .map(|id| (id, row_seed));
        let identity = event
            .columns
            .iter()
            .filter(|c| c.identity)
            .filter_map(|c| Some((place(&c.heading)?, seed_of(row_seed, &c.name))))
            .collect();
        Ok(Self {
            schema: lake_schema(&event),
            time,
            event_type: place("EVENT_TYPE"),
            user_ids,
            addresses,
            status: place("LOGIN_STATUS").or(place("Status")),
            slots,
            own_id,
            identity,
            unknown: headings
                .iter()
                .zip(&places)
                .filter(|(_, known)| known.is_none())
                .map(|(h, _)| printable(h, HEADING_CHARS))
                .collect(),
            missing: event
                .columns
                .iter()
                .filter(|c| c.identity && place(&c.heading).is_none())
                .map(|c| c.heading.clone())
                .collect(),
            absent: event
                .columns
                .iter()
                .filter(|c| event.family != LogFamily::Roster && place(&c.heading).is_none())
                .map(|c| c.heading.clone())
                .collect(),
            headings: headings.to_vec(),
            event,
        })
    }

    pub fn width(&self) -> usize {
        self.headings.len()
    }
}

fn ends_with_derived(heading: &str) -> bool {
    heading.to_ascii_uppercase().ends_with("_DERIVED")
}

/// Bound to the column's name, so that the order of columns in a file does not matter.
fn seed_of(row_seed: u64, name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), row_seed)
}

fn refuse_odd_header(headings: &[String]) -> Result<(), String> {
    if headings.len() == 1 {
        let one = &headings[0];
        for (delimiter, name) in [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")] {
            if one.contains(delimiter) {
                return Err(format!(
                    "the header is separated by {name}; only commas are read: export it anew"
                ));
            }
        }
    }
    let mut seen = HashSet::new();
    for (at, heading) in headings.iter().enumerate() {
        if !heading.is_empty() && !seen.insert(heading.to_ascii_lowercase()) {
            return Err(format!(
                "column {} of the header repeats the heading of an earlier column; each heading \
                 may stand once",
                at + 1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(headings: &[&str], event: &str) -> Result<Layout, String> {
        let headings: Vec<String> = headings.iter().map(|h| h.to_string()).collect();
        Layout::new(&Catalog::embedded(), &headings, Some(event), 1)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_spelling() {
        let layout = layout(
            &[
                "login_type",
                "EVENT_TYPE",
                "TIMESTAMP",
                "USER_ID_DERIVED",
                "USER_ID",
            ],
            "Login",
        )
        .unwrap();
        assert!(layout.slots.iter().any(|s| s.column == Some(0)));
        assert_eq!(layout.user_ids, [4, 3]);
        assert_eq!(layout.time.first, Some(2));
    }

    #[test]
    fn a_repeated_heading_refuses_the_file() {
        let refused = layout(&["EVENT_TYPE", "TIMESTAMP", "Timestamp"], "Login").unwrap_err();
        assert!(refused.contains("column 3"), "{refused}");
    }

    #[test]
    fn another_delimiter_refuses_the_file_by_name() {
        let refused = layout(&["EVENT_TYPE;TIMESTAMP"], "Login").unwrap_err();
        assert!(refused.contains("semicolons"), "{refused}");
    }

    #[test]
    fn an_unknown_column_is_reported_by_name_and_not_stored() {
        let layout = layout(&["EVENT_TYPE", "TIMESTAMP", "SECRET\u{1b}_STUFF"], "Login").unwrap();
        assert_eq!(layout.unknown, ["SECRET\\u{1b}_STUFF"]);
        assert!(layout.slots.iter().all(|s| s.column != Some(2)));
    }
}
