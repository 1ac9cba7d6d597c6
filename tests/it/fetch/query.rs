//! Whatever pages an org sends, each record counts once, or the query ends with a reason.

use std::path::{Path, PathBuf};

use orgwatch::salesforce::{Class, Exported, LOGIN_HISTORY, SalesforceError, Window};
use serde_json::{Value, json};

use super::connection::{client, column, names, table, wait};
use crate::fake_salesforce::journal::Listener;
use crate::fake_salesforce::quirks::NextUrl;
use crate::fake_salesforce::{Action, FakeSf, Fault, Scenario, time};

/// The fake org has a login in each of 48 hours.
const LOGINS: u64 = 48;
const NEXT: &str = "/services/data/v66.0/query/0r8";

struct Try {
    folder: tempfile::TempDir,
    to: PathBuf,
}

impl Try {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("LoginHistory.csv");
        Self { folder, to }
    }

    fn of(&self, org: &FakeSf) -> Result<Exported, SalesforceError> {
        wait(client(org).export(&LOGIN_HISTORY, None, &self.to))
    }

    /// Nothing is left of a query that failed.
    fn fails(&self, org: &FakeSf) -> SalesforceError {
        let fault = self.of(org).unwrap_err();
        assert_eq!(names(self.folder.path()), Vec::<String>::new());
        fault
    }
}

fn ids(path: &Path) -> Vec<String> {
    column(path, "Id")
}

fn all_ids(org: &FakeSf) -> Vec<String> {
    org.with(|state| {
        let rows = state.rows["LoginHistory"].iter();
        rows.map(|row| row.fields["Id"].as_str().unwrap().to_owned())
            .collect()
    })
}

fn org(change: impl FnOnce(&mut crate::fake_salesforce::state::State)) -> FakeSf {
    FakeSf::start(Scenario::org().set(change))
}

// F40
#[test]
fn pages_may_be_shorter_than_asked_for_and_even_empty() {
    let ragged = org(|state| {
        state.quirks.page_cap = Some(9);
        state.quirks.ragged_pages = true;
    });
    let empty = org(|state| state.quirks.empty_first_page = true);
    for org in [ragged, empty] {
        let file = Try::new();
        let exported = file.of(&org).unwrap();
        assert_eq!(exported.rows, LOGINS);
        assert_eq!(exported.remarks, Vec::<String>::new());
        assert_eq!(ids(&file.to), all_ids(&org));
        assert!(org.asked(NEXT) > 0);
    }
}

// F40
#[test]
fn an_answer_that_is_not_done_and_names_no_next_page_is_refused() {
    let org = org(|state| {
        state.quirks.page_cap = Some(20);
        state.quirks.next_url = NextUrl::Missing;
    });
    assert_eq!(Try::new().fails(&org).class(), Class::Protocol);
}

// F40
#[test]
fn an_answer_that_is_done_is_done_whatever_page_it_names() {
    let org = org(|state| state.quirks.next_url = NextUrl::AfterTheEnd);
    assert_eq!(Try::new().of(&org).unwrap().rows, LOGINS);
    assert_eq!(org.asked(NEXT), 0);
}

// F40
#[test]
fn the_same_page_over_and_over_is_refused() {
    let org = org(|state| state.quirks.next_url = NextUrl::Repeated);
    assert_eq!(Try::new().fails(&org).class(), Class::Protocol);
    assert_eq!(org.asked(NEXT), 1);
}

// F40
#[test]
fn ever_new_pages_without_a_row_are_refused() {
    let org = org(|_| ());
    for page in 0..200 {
        let body = json!({"totalSize": 5, "done": false, "records": [],
            "nextRecordsUrl": format!("{NEXT}-{page}")});
        let does = Action::Status {
            code: 200,
            headers: vec![],
            body: body.to_string(),
        };
        org.fault(Fault::on("/query").does(does));
    }
    assert_eq!(Try::new().fails(&org).class(), Class::Protocol);
    assert!(org.asked(NEXT) < 60);
}

// F40
#[test]
fn a_next_page_elsewhere_is_refused_and_never_asked_for() {
    let org = org(|state| state.quirks.page_cap = Some(20));
    let evil = org.evil_url().to_owned();
    org.with(|state| state.quirks.next_url = NextUrl::Foreign(evil));
    let fault = Try::new().fails(&org);
    assert_eq!(fault.class(), Class::Protocol);
    assert!(org.with(|state| state.journal.at(Listener::Evil).is_empty()));
    assert_eq!(org.asked(NEXT), 0);
}

// F40
#[test]
fn a_query_whose_cursor_is_forgotten_begins_anew_and_nothing_is_doubled() {
    let org = org(|state| state.quirks.page_cap = Some(20));
    for times in [1, 2] {
        let lost = Fault::on(NEXT).nth(2).times(times);
        org.fault(lost.api_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"));
        let file = Try::new();
        let exported = file.of(&org).unwrap();
        assert_eq!((exported.rows, exported.remarks), (LOGINS, vec![]));
        assert_eq!(ids(&file.to), all_ids(&org));
    }
    let lost = Fault::on(NEXT).forever();
    org.fault(lost.api_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"));
    let fault = Try::new().fails(&org);
    assert_eq!(fault.code(), Some("INVALID_QUERY_LOCATOR"));
}

// F40
#[test]
fn fewer_or_more_rows_than_announced_are_told() {
    for (off, announced) in [(3, "51"), (-3, "45")] {
        let org = org(|state| state.quirks.total_off = off);
        let exported = Try::new().of(&org).unwrap();
        assert_eq!(exported.rows, LOGINS);
        assert_eq!(exported.remarks.len(), 1);
        assert!(
            exported.remarks[0].contains(announced) && exported.remarks[0].contains("48"),
            "{:?}",
            exported.remarks
        );
    }
}

fn login(id: u64) -> Value {
    json!({
        "attributes": {"type": "LoginHistory", "url": "/services/data/v66.0/sobjects/LoginHistory/x"},
        "Id": format!("0Ya{id:012}AAA"), "UserId": "005000000000001AAA",
        "LoginTime": "2026-01-30T10:00:00.000+0000", "LoginType": "Application",
        "Status": "Success", "SourceIp": "198.51.100.7",
    })
}

fn page(org: &FakeSf, path: &str, next: Option<&str>, records: &[Value]) {
    let mut body = json!({"totalSize": 4, "done": next.is_none(), "records": records});
    if let Some(next) = next {
        body["nextRecordsUrl"] = json!(format!("{NEXT}{next}"));
    }
    let does = Action::Status {
        code: 200,
        headers: vec![],
        body: body.to_string(),
    };
    org.fault(Fault::on(path).does(does));
}

// F41
#[test]
fn a_row_that_moves_to_the_next_page_counts_once() {
    let org = org(|_| ());
    // A row was added in front, so that the last of the first page came again.
    page(&org, "/query", Some("-2"), &[login(1), login(2)]);
    page(&org, NEXT, None, &[login(2), login(3)]);
    let file = Try::new();
    let exported = file.of(&org).unwrap();
    assert_eq!(exported.rows, 3);
    assert_eq!(ids(&file.to).len(), 3);
    assert!(
        exported.remarks[0].contains("more than once"),
        "{exported:?}"
    );
}

// F41
#[test]
fn a_row_that_vanishes_between_pages_is_told() {
    let org = org(|_| ());
    page(&org, "/query", Some("-2"), &[login(1), login(2)]);
    page(&org, NEXT, None, &[login(4)]);
    let exported = Try::new().of(&org).unwrap();
    assert_eq!(exported.rows, 3);
    assert!(exported.remarks[0].contains("announced 4"), "{exported:?}");
}

// F43
#[test]
fn unknown_keys_nulls_and_floats_change_nothing() {
    let org = org(|_| ());
    let mut odd = login(1);
    odd["Status"] = json!(null);
    odd["ApiVersion"] = json!(66.0);
    odd["OptionsIsGet"] = json!(true);
    odd["Newest"] = json!({"of": ["all"]});
    odd["Browser"] = json!("a\u{0}\u{1b}[31m\r\n\"b\",\u{202e}");
    page(&org, "/query", None, &[odd, login(2)]);
    let file = Try::new();
    let exported = file.of(&org).unwrap();
    assert_eq!(exported.rows, 2);
    let (header, rows) = table(&file.to);
    assert!(!header.contains(&"Newest".to_owned()));
    assert!(rows.iter().all(|row| row.len() == header.len()));
    let cell = |name: &str| column(&file.to, name).swap_remove(0);
    assert_eq!(
        (cell("Status"), cell("ApiVersion")),
        (String::new(), "66.0".to_owned())
    );
    assert_eq!(cell("OptionsIsGet"), "true");
    assert_eq!(cell("Browser"), "a\u{0}\u{1b}[31m\r\n\"b\",\u{202e}");
}

// F5, F40: the session ends while pages come.
#[test]
fn a_session_that_ends_between_two_pages_doubles_nothing() {
    let org = org(|state| state.quirks.page_cap = Some(10));
    org.fault(Fault::on(NEXT).nth(3).does(Action::ExpireToken));
    let file = Try::new();
    assert_eq!(file.of(&org).unwrap().rows, LOGINS);
    assert_eq!(ids(&file.to), all_ids(&org));
    assert_eq!(org.logins(), 2);
}

fn night() -> Window {
    Window {
        from: time("2026-01-29T00:00:00Z"),
        to: time("2026-01-31T00:00:00Z"),
    }
}

// F33
#[test]
fn a_window_that_takes_too_long_is_halved_without_gap_or_loss() {
    let org = org(|state| {
        state.quirks.slow.insert("LoginHistory".to_owned());
        state.quirks.slow_minutes = 200;
    });
    let folder = tempfile::tempdir().unwrap();
    let client = client(&org);
    let files = wait(client.export_windows(&LOGIN_HISTORY, night(), folder.path())).unwrap();
    assert_eq!(files.len(), 16);
    let spans: Vec<Window> = files.iter().map(|(_, span, _)| *span).collect();
    assert_eq!((spans[0].from, spans[15].to), (night().from, night().to));
    assert!(spans.windows(2).all(|pair| pair[0].to == pair[1].from));
    let found: Vec<String> = files.iter().flat_map(|(path, ..)| ids(path)).collect();
    assert_eq!(found, all_ids(&org));
    let rows: u64 = files.iter().map(|(_, _, exported)| exported.rows).sum();
    assert_eq!(rows, LOGINS);
    assert_eq!(names(folder.path()).len(), 16);
}

// F33: it took too long only at the third page, and by its other code.
#[test]
fn a_window_that_fails_in_its_middle_leaves_nothing_and_is_halved() {
    for code in ["QUERY_TIMEOUT", "OPERATION_TOO_LARGE"] {
        let org = org(|state| state.quirks.page_cap = Some(5));
        let late = Fault::on(NEXT).nth(3);
        org.fault(late.api_error(500, code, "Your query request was running for too long."));
        let folder = tempfile::tempdir().unwrap();
        let client = client(&org);
        let files = wait(client.export_windows(&LOGIN_HISTORY, night(), folder.path())).unwrap();
        assert_eq!(files.len(), 3);
        let found: Vec<String> = files.iter().flat_map(|(path, ..)| ids(path)).collect();
        assert_eq!(found, all_ids(&org));
        assert_eq!(names(folder.path()).len(), 3);
    }
}

// F33
#[test]
fn ten_minutes_that_take_too_long_are_told() {
    let org = org(|_| ());
    let slow = Fault::on("/query").soql("LoginHistory").forever();
    org.fault(slow.api_error(
        400,
        "QUERY_TIMEOUT",
        "Your query request was running for too long.",
    ));
    let folder = tempfile::tempdir().unwrap();
    let client = client(&org);
    let fault = wait(client.export_windows(&LOGIN_HISTORY, night(), folder.path())).unwrap_err();
    assert_eq!(fault.class(), Class::TooLarge);
    assert_eq!(
        org.asked("/query"),
        9,
        "a day in halves down to ten minutes"
    );
    assert_eq!(names(folder.path()), Vec::<String>::new());
}
