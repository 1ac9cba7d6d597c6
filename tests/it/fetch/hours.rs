//! Hours and days of the same logs: what is in a day that is there is not fetched by the hour, and nothing
//! else waits for a day.

use chrono::TimeDelta;
use orgwatch::lake::OrgFileState;

use super::night::{Nights, day, empty};
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::{Blob, Fault};

/// Log files in the order in which the org was asked for them.
fn asked(nights: &Nights) -> Vec<String> {
    let journal = nights.org.journal().into_iter();
    let asked = journal.filter(|entry| entry.path.ends_with("/LogFile"));
    let ids = asked.map(|entry| entry.path.split('/').rev().nth(1).unwrap().to_owned());
    ids.collect()
}

/// The same file once more, with five rows more.
fn issue_again(nights: &Nights, id: &str, made: &str) {
    nights.org.with(|state| {
        let mut more = String::from_utf8(state.log_file_mut(id).body.whole()).unwrap();
        let others = generated(state, "Login", day("29T20:00"), 5).whole();
        let others = String::from_utf8(others).unwrap();
        more.push_str(others.split_once('\n').unwrap().1);
        state.reissue(id, day(made), Blob::text(more));
    });
}

#[test]
fn an_hour_waits_for_its_own_day_and_for_no_other() {
    let mut nights = empty();
    nights.settings.downloads = 1;
    let other_type = nights.add("RestApi", "29T05:00", 1, "29T10:00", 3);
    nights.add("Login", "29T05:00", 1, "29T09:00", 10);
    let whole = nights.add("Login", "29T00:00", 0, "30T02:00", 40);
    let other_day = nights.add("Login", "28T23:00", 1, "30T01:00", 2);
    let late = nights.add("Login", "29T06:00", 2, "30T09:00", 7);
    let report = nights.whole_night();
    assert_eq!(asked(&nights), [other_type, other_day, whole, late]);
    assert_eq!(report.log_files.fetched, 4);
    assert_eq!(nights.in_state(OrgFileState::Superseded), 1);
    assert_eq!(nights.rows()["Login"], 2 + 40 + 7);
}

#[test]
fn an_hour_whose_day_could_not_be_had_is_fetched_in_the_same_night() {
    let nights = empty();
    let hour = nights.add("Login", "29T05:00", 1, "29T09:00", 10);
    let whole = nights.add("Login", "29T00:00", 0, "30T02:00", 40);
    let young = nights.add("RestApi", "30T00:00", 0, "31T02:55", 3);
    let its_hour = nights.add("RestApi", "30T05:00", 1, "30T09:00", 3);
    nights.org.fault(Fault::on(&whole).status(404));
    let files = nights.night().log_files;
    assert_eq!((files.fetched, files.failed), (2, 1));
    assert_eq!((files.settling, files.left), (1, 0));
    let asked = asked(&nights);
    assert!(asked.contains(&hour) && asked.contains(&its_hour));
    assert!(!asked.contains(&young));
    nights.pass(TimeDelta::minutes(10));
    nights.whole_night();
    assert_eq!(nights.in_state(OrgFileState::Ingested), 4);
}

#[test]
fn each_file_counts_once_whether_it_failed_had_to_stay_or_was_asked_for_by_its_day() {
    let mut nights = empty();
    let alone = nights.add("RestApi", "29T05:00", 1, "29T10:00", 3);
    nights.add("Login", "29T05:00", 1, "29T09:00", 10);
    nights.add("Login", "29T00:00", 0, "30T02:00", 40);
    nights.settings.time_budget_minutes = 0;
    let files = nights.night().log_files;
    assert_eq!((files.left, files.fetched, files.failed), (3, 0, 0));
    nights.settings.time_budget_minutes = 60;

    nights.org.fault(Fault::on(&alone).status(404).forever());
    let files = nights.night().log_files;
    assert_eq!((files.left, files.fetched, files.failed), (0, 1, 1));
    assert_eq!(asked(&nights).len(), 2);
    nights.org.with(|state| state.faults.clear());
    nights.whole_night();

    let before = asked(&nights).len();
    nights.since = Some(day("29T00:00"));
    assert_eq!(nights.whole_night().log_files.fetched, 3);
    assert_eq!(asked(&nights).len() - before, 3);
    let rows = nights.rows();
    assert_eq!((rows["RestApi"], rows["Login"]), (3, 50));
}

#[test]
fn an_hour_that_comes_late_and_a_day_that_is_issued_again_add_what_is_new_and_nothing_twice() {
    // F50, F51
    let nights = empty();
    nights.add("Login", "30T05:00", 1, "30T09:00", 10);
    let daily = nights.add("Login", "29T00:00", 0, "30T02:00", 40);
    nights.whole_night();
    assert_eq!(nights.rows()["Login"], 50);
    nights.pass(TimeDelta::hours(24));
    nights.add("Login", "30T05:00", 2, "31T20:00", 7);
    issue_again(&nights, &daily, "31T21:00");
    let report = nights.whole_night();
    assert_eq!(report.log_files.fetched, 2);
    assert_eq!(nights.rows()["Login"], 62);
}

// F52
#[test]
fn a_day_that_is_issued_again_between_list_and_download_is_whole_at_once_and_counts_once() {
    let nights = empty();
    let daily = nights.add("Login", "29T00:00", 0, "30T02:00", 40);
    issue_again(&nights, &daily, "31T03:02");
    // The clock of the org stands at 03:00 when it lists, and at 03:05 when it is asked once more.
    let busy = Fault::on("LogFile$").answer(503, &[("retry-after", "300")], "");
    nights.org.fault(busy);
    let report = nights.whole_night();
    let files = report.log_files;
    assert_eq!((files.listed, files.fetched, files.settling), (1, 1, 0));
    let mut remarks = report.remarks.iter();
    assert!(
        remarks.any(|remark| remark.contains("as the org's list says")),
        "{:?}",
        report.remarks
    );
    assert_eq!(nights.rows()["Login"], 45);
    nights.pass(TimeDelta::hours(24));
    let files = nights.whole_night().log_files;
    assert_eq!((files.listed, files.fetched), (1, 1));
    assert_eq!(nights.rows()["Login"], 45);
    assert_eq!(nights.in_state(OrgFileState::Ingested), 2);
    assert_eq!(nights.whole_night().log_files.fetched, 0);

    // As if it had been issued again before anybody looked.
    let calm = empty();
    let daily = calm.add("Login", "29T00:00", 0, "30T02:00", 40);
    issue_again(&calm, &daily, "30T21:00");
    calm.whole_night();
    assert_eq!(calm.rows(), nights.rows());
}
