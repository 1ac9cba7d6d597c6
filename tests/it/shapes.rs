//! What is kept of texts that may not be kept: classes of queries and searches, names of code in
//! Aura requests, and Salesforce's own detections by what contributed to them.

use crate::logs::{Org, log, quoted};
use orgwatch::lake::FileState;

const REST: &[&str] = &[
    "EVENT_TYPE",
    "TIMESTAMP_DERIVED",
    "REQUEST_ID",
    "USER_ID",
    "URI",
    "CLIENT_IP",
    "QUERY",
];

type Cells<'a> = &'a [(&'a str, &'a str)];

fn read(header: &[&str], rows: &[Cells]) -> (Org, orgwatch::ingest::IngestReport) {
    let org = Org::new();
    let report = org.ingest(&[&org.file("log.csv", quoted(&log(header, rows)))]);
    (org, report)
}

#[test]
fn of_a_query_its_object_its_shape_and_its_classes_are_kept() {
    let query =
        "SELECT Id FROM Case WHERE Description LIKE '%AKIA%' OR Subject LIKE '%o\\'pw%' LIMIT 5";
    let (org, _) = read(
        REST,
        &[&[
            ("EVENT_TYPE", "RestApi"),
            ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
            ("QUERY", query),
        ]],
    );
    let row = &org.rows("RestApi")[0];
    assert_eq!(row.get("query_object"), "Case");
    assert_eq!(row.get("query_classes"), "aws_key;small_limit");
    assert!(row.get("query_shape").starts_with('~'));
    assert!(row.0.iter().all(|(_, cell)| !cell.contains("AKIA")));
}

#[test]
fn of_a_search_the_classes_are_kept_and_no_digest_that_could_be_guessed() {
    let header = [
        "EVENT_TYPE",
        "TIMESTAMP_DERIVED",
        "USER_ID",
        "NUM_RESULTS",
        "SEARCH_QUERY",
    ];
    let row: Cells = &[
        ("EVENT_TYPE", "Search"),
        ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
        ("SEARCH_QUERY", "\"\"\"snowflake password*\"\"\""),
    ];
    let (org, report) = read(&header, &[row]);
    assert_eq!(report.files[0].rows_quarantined, 0);
    let row = &org.rows("Search")[0];
    assert_eq!(row.get("query_classes"), "password_word;snowflake_word");
    let names: Vec<&str> = row.0.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!names.contains(&"search_query") && !names.contains(&"query_shape"));
    assert!(row.0.iter().all(|(_, cell)| !cell.starts_with('~')));
}

#[test]
fn an_action_message_of_megabytes_becomes_a_tally_of_all_its_actions() {
    let action =
        "1$serviceComponent://ui.force.SelectableListDataProviderController/ACTION$getItems=12;";
    let message = format!(
        "1$aura://HostConfigController/ACTION$getConfigData=3;{}garbage;1$apex://Jane Doe/ACTION$x=1",
        action.repeat(20_000)
    );
    let header = [
        "EVENT_TYPE",
        "TIMESTAMP_DERIVED",
        "USER_ID",
        "USER_TYPE",
        "ACTION_MESSAGE",
    ];
    let base: Cells = &[
        ("EVENT_TYPE", "AuraRequest"),
        ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
        ("USER_TYPE", "Guest"),
        ("ACTION_MESSAGE", &message),
    ];
    let none: Cells = &base[..3];
    let (org, _) = read(&header, &[base, none]);
    let rows = org.rows("AuraRequest");
    assert_eq!(
        rows[0].get("actions"),
        "HostConfigController.getConfigData=1;SelectableListDataProviderController.getItems=20000;\
         {name}.x=1"
    );
    assert_eq!(
        (
            rows[0].get("action_count"),
            rows[0].get("actions_malformed")
        ),
        ("20002", "1")
    );
    assert_eq!(
        (rows[1].get("actions"), rows[1].get("action_count")),
        ("", "")
    );
}

#[test]
fn rows_that_differ_in_a_dropped_text_alone_are_different_rows_as_ever() {
    let row = |message: &'static str| {
        vec![
            ("EVENT_TYPE", "AuraRequest"),
            ("TIMESTAMP_DERIVED", "2026-01-15T10:00:00.000Z"),
            ("REQUEST_ID", "r1"),
            ("ACTION_MESSAGE", message),
        ]
    };
    let header = [
        "EVENT_TYPE",
        "TIMESTAMP_DERIVED",
        "REQUEST_ID",
        "ACTION_MESSAGE",
    ];
    let file = |rows: &[Vec<(&str, &str)>]| {
        let rows: Vec<Cells> = rows.iter().map(Vec::as_slice).collect();
        quoted(&log(&header, &rows))
    };
    let org = Org::new();
    let (one, other) = (
        row("1$apex://A b/ACTION$x=1"),
        row("1$apex://A c/ACTION$x=1"),
    );
    org.ingest(&[&org.file("1.csv", file(std::slice::from_ref(&one)))]);
    let again = org.ingest(&[&org.file("2.csv", file(&[other, one]))]);
    assert_eq!(
        (again.files[0].rows_kept, again.files[0].rows_duplicate),
        (1, 1)
    );
}

#[test]
fn a_threat_is_kept_with_its_score_and_the_names_of_what_made_it() {
    let org = Org::new();
    let csv = "\"Id\",\"EventDate\",\"UserId\",\"Username\",\"SourceIp\",\"Score\",\"SecurityEventData\",\
               \"Summary\",\"QueriedEntities\",\"LoginKey\"\n\
               \"0Xx000000000001AAA\",\"2026-01-15T10:00:00.000+0000\",\"005000000000001AAA\",\
               \"int_mkt@example.com\",\"192.0.2.66\",\"0.8355\",\
               \"[{\"\"featureName\"\":\"\"rowCount\"\",\"\"featureValue\"\":\"\"31.4159\"\"}]\",\"Jane ran it\",\
               \"Account\",\"lUqjLPQTWRdvRG4\"\n";
    let report = org.ingest(&[&org.file("ApiAnomalyEventStore.csv", csv)]);
    assert_eq!(report.files[0].state, FileState::Ingested);
    let row = &org.rows("ApiAnomalyEventStore")[0];
    assert_eq!(row.get("score"), "0.8355");
    assert_eq!(row.get("contributors"), "rowCount");
    assert_eq!(
        (row.get("ip"), row.get("entities")),
        ("192.0.2.66", "Account")
    );
    assert!(row.get("login_key").starts_with('~'));
    assert!(
        row.0
            .iter()
            .all(|(_, cell)| !cell.contains("Jane") && !cell.contains("31.4159"))
    );
}

#[test]
fn a_threat_that_tells_the_day_only_is_kept_on_that_day() {
    let org = Org::new();
    let csv = "EventDate,Username,LoginAnomalyEventNumber,Score\n2026-01-15,p4ssw0rd,LA-1,0.9\n";
    let report = org.ingest(&[&org.file("x.csv", csv)]);
    assert_eq!(report.files[0].rows_kept, 1);
    let row = &org.rows("LoginAnomalyEventStore")[0];
    assert_eq!(row.get("occurred_at"), "2026-01-15T00:00:00Z");
    assert!(
        row.get("username").starts_with('~'),
        "what was typed may be a password"
    );
}
