//! Salesforce's own Threat Detection: the events that it stores in objects of its own
//! (`ApiAnomalyEventStore`, …), and how an export of one is told by its headings.
//!
//! Kept are score, subject and the names of what made the score. Queries, reports' contents and
//! the values behind a score are record data and dropped.

use super::load::{self, ExportRow};
use super::lookup::{self, Catalog};
use super::{EventType, LogFamily};

const COLUMNS: &str = include_str!("data/threat_events.csv");

/// In `threat_events.csv`, for all objects.
const ALL: &str = "*";

/// An object and the headings that only it has, its own running number first.
struct Store {
    name: &'static str,
    /// The message of the same content on the event bus.
    streamed: &'static str,
    own: &'static [&'static str],
}

/// The more telling headings first: the first object that owns a heading of a file is it.
const STORES: [Store; 8] = [
    Store {
        name: "UniversalAnomalyEventStore",
        streamed: "UniversalAnomalyEvent",
        own: &["UniversalAnomalyEventNumber", "AnomalySubType"],
    },
    Store {
        name: "SessionHijackingEventStore",
        streamed: "SessionHijackingEvent",
        own: &[
            "SessionHijackingEventNumber",
            "CurrentIp",
            "PreviousIp",
            "CurrentUserAgent",
            "PreviousUserAgent",
            "CurrentPlatform",
            "PreviousPlatform",
        ],
    },
    Store {
        name: "CredentialStuffingEventStore",
        streamed: "CredentialStuffingEvent",
        own: &[
            "CredentialStuffingEventNumber",
            "AcceptLanguage",
            "LoginUrl",
        ],
    },
    Store {
        name: "GuestUserAnomalyEventStore",
        streamed: "GuestUserAnomalyEvent",
        own: &[
            "GuestUserAnomalyEventNumber",
            "RequestedEntities",
            "SoqlCommands",
            "TotalControllerEvents",
        ],
    },
    Store {
        name: "ApiAnomalyEventStore",
        streamed: "ApiAnomalyEvent",
        own: &[
            "ApiAnomalyEventNumber",
            "QueriedEntities",
            "RequestIdentifier",
            "RowsProcessed",
        ],
    },
    Store {
        name: "ReportAnomalyEventStore",
        streamed: "ReportAnomalyEvent",
        own: &["ReportAnomalyEventNumber", "Report"],
    },
    Store {
        name: "LoginAnomalyEventStore",
        streamed: "LoginAnomalyEvent",
        own: &[
            "LoginAnomalyEventNumber",
            "FeatureName",
            "FeatureContribution",
        ],
    },
    Store {
        name: "PermissionSetEventStore",
        streamed: "PermissionSetEvent",
        own: &[
            "PermissionSetEventNumber",
            "PermissionList",
            "ParentNameList",
            "ParentIdList",
        ],
    },
];

/// An export that has a score and nothing that says of which detection.
const UNTOLD: &str = "ThreatEventStore";

/// Headings that only a judged event has.
const JUDGED: [&str; 2] = ["Score", "SecurityEventData"];

/// The event types of this module.
pub(super) fn event_types() -> Vec<EventType> {
    let names: Vec<&str> = STORES.iter().map(|s| s.name).chain([UNTOLD]).collect();
    let mut rows: Vec<ExportRow> = load::rows(COLUMNS);
    for row in rows.iter_mut().filter(|row| row.event == ALL) {
        row.event = names.join(" ");
    }
    names
        .into_iter()
        .map(|name| {
            let table = lookup::snake_case("", name);
            let mut event = load::export_type(&rows, name, &table, LogFamily::ThreatDetection);
            let streamed = STORES.iter().find(|s| s.name == name).map(|s| s.streamed);
            event.aliases.extend(streamed.map(str::to_owned));
            event
        })
        .collect()
}

/// The object of which these headings are an export; an error says what it lacks. None: of none.
pub(super) fn recognise<'a>(
    catalog: &'a Catalog,
    headings: &[&str],
) -> Option<Result<&'a EventType, String>> {
    let untold = catalog.event_type(UNTOLD)?;
    let has = |event: &EventType, name: &str| {
        headings
            .iter()
            .any(|h| event.column(h).is_some_and(|c| c.heading == name))
    };
    let judged = JUDGED.iter().any(|name| has(untold, name));
    let event = STORES
        .iter()
        .find_map(|store| {
            let event = catalog.event_type(store.name)?;
            let (number, others) = store.own.split_first()?;
            // What it shares with other logs tells nothing without a score; permission sets
            // have none.
            let scored = judged || store.name == "PermissionSetEventStore";
            let its_own = has(event, number) || scored && others.iter().any(|o| has(event, o));
            its_own.then_some(event)
        })
        .or((judged && has(untold, "EventDate")).then_some(untold))?;
    let lacking = if !has(event, "EventDate") {
        "EventDate"
    } else if ["UserId", "Username", "SourceIp"]
        .iter()
        .all(|who| !has(event, who))
    {
        "UserId, Username or SourceIp"
    } else {
        return Some(Ok(event));
    };
    Some(Err(format!(
        "it looks like an export of {} without {lacking}: add that to what is exported",
        event.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Identified, Treatment};

    fn found(headings: &[&str]) -> Result<String, String> {
        match Catalog::embedded().identify(headings) {
            Identified::Export(event) => Ok(event.name.clone()),
            Identified::Refused { reason } => Err(reason),
            Identified::EventLogFile => Err("EventLogFile".into()),
        }
    }

    #[test]
    fn every_object_is_known_by_its_whole_header_in_either_case() {
        for event in event_types() {
            let plain: Vec<&str> = event.columns.iter().map(|c| c.heading.as_str()).collect();
            assert_eq!(found(&plain), Ok(event.name.clone()));
            let upper: Vec<String> = plain.iter().map(|h| h.to_uppercase()).collect();
            let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
            assert_eq!(found(&upper), Ok(event.name.clone()));
        }
    }

    #[test]
    fn every_object_is_known_by_what_people_select() {
        for (name, select) in [
            (
                "ApiAnomalyEventStore",
                "EventDate UserId Score QueriedEntities",
            ),
            (
                "ApiAnomalyEventStore",
                "ApiAnomalyEventNumber EventDate UserId",
            ),
            (
                "ReportAnomalyEventStore",
                "EventDate Username Report Score SecurityEventData",
            ),
            (
                "SessionHijackingEventStore",
                "EventDate UserId CurrentIp PreviousIp Score",
            ),
            (
                "CredentialStuffingEventStore",
                "EventDate Username LoginUrl Score SourceIp",
            ),
            (
                "GuestUserAnomalyEventStore",
                "EventDate UserId SoqlCommands Score",
            ),
            (
                "LoginAnomalyEventStore",
                "EventDate UserId LoginAnomalyEventNumber Score",
            ),
            (
                "PermissionSetEventStore",
                "EventDate UserId PermissionList Operation",
            ),
            (
                "UniversalAnomalyEventStore",
                "EventDate UserId AnomalySubType Score",
            ),
            ("ThreatEventStore", "EventDate UserId Score Summary"),
        ] {
            let headings: Vec<&str> = select.split(' ').collect();
            assert_eq!(found(&headings), Ok(name.to_owned()), "{select}");
        }
    }

    #[test]
    fn an_export_that_tells_neither_when_nor_whom_is_refused() {
        let reason = found(&["UserId", "Score", "QueriedEntities"]).unwrap_err();
        assert!(
            reason.contains("ApiAnomalyEventStore without EventDate"),
            "{reason}"
        );
        let reason = found(&["EventDate", "Score"]).unwrap_err();
        assert!(reason.contains("UserId, Username or SourceIp"), "{reason}");
    }

    #[test]
    fn other_logs_with_the_same_headings_are_not_taken_for_threats() {
        for select in [
            "EventDate EventIdentifier UserId Username SourceIp Report RowsProcessed",
            "EventDate UserId QueriedEntities RowsProcessed",
        ] {
            let headings: Vec<&str> = select.split(' ').collect();
            assert!(found(&headings).is_err(), "{select}");
        }
    }

    #[test]
    fn queries_and_values_behind_a_score_are_dropped() {
        for event in event_types() {
            for column in &event.columns {
                let free = ["Summary", "SoqlCommands", "FeatureValue", "ParentNameList"];
                if free.contains(&column.heading.as_str()) {
                    assert_eq!(column.treatment, Treatment::Drop, "{}", column.heading);
                }
                if column.heading == "SecurityEventData" {
                    assert_eq!(column.treatment, Treatment::Contributors);
                }
            }
        }
    }
}
