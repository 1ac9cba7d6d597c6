//! The merge as a whole, over small lakes.

use serde_json::{Value, json};

use super::RollupReport;
use crate::engine::fixture::{Fixture, now, shown};
use crate::engine::{Params, Session};

const ERP: &str = "005000000000001AAA";
const HOME: &str = "198.51.100.3";

fn elf(at: &str) -> Value {
    json!({"at": at, "user_id": ERP, "user_name": "ERP@example.com", "ip": HOME,
        "source_ip": HOME, "login_status": "LOGIN_NO_ERROR", "login_type": "i",
        "login_key": format!("~{at}")})
}

/// As a SOQL export tells it: by id.
fn soql(at: &str, app: &str) -> Value {
    json!({"at": at, "id": "0Ya000000000001AAA", "user_id": ERP, "ip": HOME, "sourceip": HOME,
        "status": "Success", "logintype": "Remote Access 2.0", "application": app})
}

/// As the Setup page's download tells it: by username.
fn page(at: &str, app: &str) -> Value {
    json!({"at": at, "username": "erp@example.com", "ip": HOME, "sourceip": HOME,
        "status": "Success", "logintype": "Remote Access 2.0", "application": app,
        "location": "Germany"})
}

/// Merges what is new.
pub(super) fn refresh(fixture: &mut Fixture) -> RollupReport {
    let options = fixture.options(2);
    super::refresh(
        &mut fixture.lake,
        &fixture.catalog,
        &options,
        fixture.run,
        now(),
    )
    .unwrap()
}

fn merged(fixture: &Fixture, sql: &str) -> Vec<String> {
    let session =
        Session::with_raw_tables(&fixture.lake, &fixture.catalog, &fixture.options(2)).unwrap();
    shown(&session.query(sql, &Params::new()).unwrap())
}

const QUALITY: &str =
    "SELECT source, merge_quality, app, user_key FROM rollup_logins ORDER BY occurred_at, app";

#[test]
fn the_two_logs_of_one_login_give_one_row_with_key_and_app() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &[elf("2026-01-15T10:00:00.900Z")]);
    fixture.add("LoginHistory", &[soql("2026-01-15T10:00:00Z", "ERP Sync")]);
    let report = refresh(&mut fixture);
    assert_eq!((report.attempts, report.usernames), (1, 1));
    assert_eq!(
        merged(&fixture, QUALITY),
        [format!("both|exact|ERP Sync|{ERP}")]
    );
    let row = merged(
        &fixture,
        "SELECT occurred_at, login_type, lh_login_type, login_key, ip, outcome, username
         FROM rollup_logins",
    );
    let at = "2026-01-15T10:00:00.900Z";
    assert_eq!(
        row,
        [format!(
            "{at}|i|Remote Access 2.0|~{at}|{HOME}|success|erp@example.com"
        )]
    );
}

#[test]
fn one_login_in_two_spellings_of_login_history_is_one_row() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &[elf("2026-01-15T09:00:00Z")]);
    fixture.add("LoginHistory", &[soql("2026-01-15T10:00:00Z", "ERP Sync")]);
    fixture.add("LoginHistory", &[page("2026-01-15T10:00:00Z", "ERP Sync")]);
    refresh(&mut fixture);
    let rows = merged(
        &fixture,
        "SELECT source, merge_quality, app, country FROM rollup_logins WHERE source <> 'elf'",
    );
    assert_eq!(rows, ["login_history|lh_only|ERP Sync|Germany"]);
}

#[test]
fn a_failure_does_not_merge_with_a_success() {
    let mut fixture = Fixture::new();
    let mut failed = soql("2026-01-15T10:00:00Z", "ERP Sync");
    failed["status"] = json!("Invalid Password");
    fixture.add("Login", &[elf("2026-01-15T10:00:00Z")]);
    fixture.add("LoginHistory", &[failed]);
    refresh(&mut fixture);
    assert_eq!(
        merged(&fixture, "SELECT count(*) FROM rollup_logins"),
        ["2"]
    );
}

#[test]
fn candidates_that_name_different_apps_leave_the_app_open() {
    let mut fixture = Fixture::new();
    fixture.add(
        "Login",
        &[elf("2026-01-15T10:00:00.1Z"), elf("2026-01-15T10:00:00.2Z")],
    );
    let at = "2026-01-15T10:00:00Z";
    fixture.add(
        "LoginHistory",
        &[soql(at, "ERP Sync"), soql(at, "My Ticket Portal")],
    );
    refresh(&mut fixture);
    let row = format!("both|ambiguous|-|{ERP}");
    assert_eq!(merged(&fixture, QUALITY), [row.clone(), row]);
}

#[test]
fn accounts_on_both_sides_of_midnight_meet_whichever_comes_first() {
    let early = elf("2026-01-15T23:59:59.800Z");
    let late = soql("2026-01-16T00:00:01Z", "ERP Sync");
    for elf_first in [true, false] {
        let mut fixture = Fixture::new();
        let steps = [("Login", &early), ("LoginHistory", &late)];
        let order = if elf_first { [0, 1] } else { [1, 0] };
        for step in order {
            let (event, row) = steps[step];
            fixture.add(event, std::slice::from_ref(row));
            refresh(&mut fixture);
        }
        assert_eq!(
            merged(&fixture, QUALITY),
            [format!("both|nearest|ERP Sync|{ERP}")]
        );
    }
}

#[test]
fn a_username_whose_id_is_learned_later_is_merged_then() {
    let mut fixture = Fixture::new();
    fixture.add("LoginHistory", &[page("2026-01-10T10:00:00Z", "ERP Sync")]);
    refresh(&mut fixture);
    assert_eq!(
        merged(&fixture, QUALITY),
        ["login_history|lh_only|ERP Sync|erp@example.com"]
    );
    fixture.add("Login", &[elf("2026-01-15T10:00:00Z")]);
    let report = refresh(&mut fixture);
    assert_eq!(report.days.len(), 2);
    assert_eq!(
        merged(&fixture, QUALITY)[0],
        format!("login_history|lh_only|ERP Sync|{ERP}")
    );
}

#[test]
fn nothing_new_means_nothing_done() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &[elf("2026-01-15T10:00:00Z")]);
    refresh(&mut fixture);
    let parts = fixture.lake.parts("rollup_logins").unwrap();
    assert!(refresh(&mut fixture).days.is_empty());
    assert_eq!(fixture.lake.parts("rollup_logins").unwrap(), parts);
}

#[test]
fn late_rows_replace_the_day() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &[elf("2026-01-15T10:00:00Z")]);
    refresh(&mut fixture);
    fixture.add("Login", &[elf("2026-01-15T11:00:00Z")]);
    fixture.add(
        "RestApi",
        &[json!({"at": "2026-01-17T11:00:00Z", "user_id": ERP})],
    );
    let report = refresh(&mut fixture);
    assert_eq!((report.days.len(), report.attempts), (1, 2));
    assert_eq!(fixture.lake.parts("rollup_logins").unwrap().len(), 1);
    assert_eq!(
        merged(&fixture, "SELECT count(*) FROM rollup_logins"),
        ["2"]
    );
}

#[test]
fn threads_and_the_order_of_files_do_not_change_the_result() {
    let mut rows = vec![];
    for n in 0..400 {
        let at = format!("2026-01-15T10:{:02}:{:02}.{:03}Z", n / 60, n % 60, n);
        rows.push(("Login", n, elf(&at)));
        let app = if n % 3 == 0 {
            "ERP Sync"
        } else {
            "Data Loader"
        };
        rows.push(("LoginHistory", n, soql(&format!("{}Z", &at[..19]), app)));
    }
    let mut results = vec![];
    for (threads, reversed) in [(1, false), (2, false), (2, true)] {
        let mut fixture = Fixture::new();
        let mut files: Vec<Vec<_>> = rows.chunks(100).map(<[_]>::to_vec).collect();
        if reversed {
            files.reverse();
        }
        for file in files {
            for event in ["Login", "LoginHistory"] {
                let of_event: Vec<Value> = file
                    .iter()
                    .filter(|(e, ..)| *e == event)
                    .map(|(_, n, row)| {
                        let mut row = row.clone();
                        row["row_key"] = json!(n);
                        row
                    })
                    .collect();
                fixture.add(event, &of_event);
            }
        }
        let options = fixture.options(threads);
        let run = fixture.run;
        super::refresh(&mut fixture.lake, &fixture.catalog, &options, run, now()).unwrap();
        let sql = "SELECT occurred_at, source, merge_quality, app, lh_login_type, row_key
                   FROM rollup_logins";
        results.push(merged(&fixture, sql));
    }
    assert_eq!(results[0].len(), 400);
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0], results[2]);
}

#[test]
fn a_damaged_file_holds_back_its_own_day_only() {
    let mut fixture = Fixture::new();
    fixture.add(
        "Login",
        &[elf("2026-01-15T10:00:00Z"), elf("2026-01-17T10:00:00Z")],
    );
    let damaged = fixture.lake.parts("Login").unwrap()[0].path.clone();
    std::fs::write(&damaged, b"PAR1").unwrap();
    let report = refresh(&mut fixture);
    assert_eq!(report.days.len(), 1);
    assert!(report.failed[0].1.to_string().contains("day=2026-01-15"));
    let again = refresh(&mut fixture);
    assert_eq!((again.days.len(), again.failed.len()), (0, 1));
}

#[test]
fn a_damaged_rollup_is_made_anew() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &[elf("2026-01-15T10:00:00Z")]);
    refresh(&mut fixture);
    let part = fixture.lake.parts("rollup_logins").unwrap()[0].path.clone();
    std::fs::remove_file(&part).unwrap();
    assert_eq!(refresh(&mut fixture).days.len(), 1);
    assert_eq!(
        merged(&fixture, "SELECT count(login_key) FROM rollup_logins"),
        ["1"]
    );
}
