//! The history in the course of time: late rows, older releases, damage, retention, its proof.

use serde_json::{Value, json};

use super::proof::made_anew;
use super::tests::{ERP, call, login, rest, state};
use super::{ROWS, SUMMED};
use crate::engine::fixture::{Fixture, now, shown};
use crate::engine::{EngineError, EngineOptions, Params, Session};
use crate::rollup::RollupError;
use crate::rollup::days::Span;
use crate::rollup::tests::refresh;

fn differences(fixture: &Fixture) -> Vec<String> {
    super::check(&fixture.lake, &fixture.catalog, &fixture.options(2)).unwrap()
}

#[test]
fn late_rows_replace_the_day_and_leave_the_others() {
    let mut fixture = Fixture::new();
    fixture.add(
        "ApiTotalUsage",
        &[call("2026-01-15T11:00:00Z"), call("2026-01-14T11:00:00Z")],
    );
    refresh(&mut fixture);
    let before = fixture.lake.parts("rollup_activity").unwrap();
    fixture.add("ApiTotalUsage", &[call("2026-01-15T09:00:00Z")]);
    let report = refresh(&mut fixture);
    assert_eq!(report.history.len(), 1);
    let after = fixture.lake.parts("rollup_activity").unwrap();
    assert_eq!((before.len(), after.len()), (2, 2));
    assert_eq!(before[0], after[0]);
    assert_eq!(
        fixture.ask("", "SELECT sum(calls) FROM activity_hourly"),
        ["3"]
    );
}

#[test]
fn days_that_an_older_release_left_without_history_are_made_up_for() {
    let mut fixture = Fixture::new();
    fixture.add("ApiTotalUsage", &[call("2026-01-15T11:00:00Z")]);
    let options = fixture.options(1);
    let run = fixture.run;
    let catalog = std::sync::Arc::clone(&fixture.catalog);
    let older = crate::rollup::of_cases(&catalog);
    older(&mut fixture.lake, &options, run, now(), false).unwrap();
    assert!(fixture.lake.parts("rollup_activity").unwrap().is_empty());
    assert_eq!(refresh(&mut fixture).history.len(), 1);
    assert!(refresh(&mut fixture).history.is_empty());
}

#[test]
fn threads_and_the_order_of_files_do_not_change_the_history() {
    let mut results = vec![];
    for (threads, reversed) in [(1, false), (2, true)] {
        let mut fixture = Fixture::new();
        let mut files: Vec<Vec<Value>> = (0..4)
            .map(|file| {
                (0..60)
                    .map(|n| {
                        let mut row = call(&format!(
                            "2026-01-1{}T{:02}:{n:02}:00Z",
                            4 + file % 2,
                            3 * file
                        ));
                        row["user_id"] = json!(format!("00500000000000{}AAA", n % 5));
                        row["client_name"] = json!(format!("c{}", n % 7));
                        row
                    })
                    .collect()
            })
            .collect();
        if reversed {
            files.reverse();
        }
        for file in files {
            fixture.add("ApiTotalUsage", &file);
        }
        let options = fixture.options(threads);
        let run = fixture.run;
        crate::rollup::refresh(&mut fixture.lake, &fixture.catalog, &options, run, now()).unwrap();
        let all = ["rollup_sightings", "rollup_activity"].map(|t| {
            let mut rows = fixture.ask("", &format!("SELECT * FROM {t}"));
            rows.sort();
            rows
        });
        results.push(all);
    }
    assert!(results[0][0].len() > 100);
    assert!(results[0] == results[1]);
}

#[test]
fn retention_leaves_the_history_and_a_late_row_of_its_days_does_not_undo_it() {
    let mut fixture = Fixture::new();
    fixture.add(
        "ApiTotalUsage",
        &[call("2026-01-15T11:00:00Z"), call("2026-01-15T12:00:00Z")],
    );
    refresh(&mut fixture);
    let today = now().date_naive();
    fixture
        .lake
        .prune(fixture.run, now(), today, 3, |_| false)
        .unwrap();
    assert!(fixture.lake.parts("ApiTotalUsage").unwrap().is_empty());
    let calls = "SELECT sum(calls) FROM activity_hourly";
    assert_eq!(fixture.ask("", calls), ["2"]);
    fixture.add("ApiTotalUsage", &[call("2026-01-15T13:00:00Z")]);
    assert!(refresh(&mut fixture).history.is_empty());
    assert_eq!(fixture.ask("", calls), ["2"]);
    let covered = "SELECT * FROM covered_days WHERE event_type = 'ApiTotalUsage'";
    assert_eq!(fixture.ask("", covered), ["ApiTotalUsage|2026-01-15"]);
}

#[test]
fn a_damaged_file_holds_back_its_own_day_of_the_history_only() {
    let mut fixture = Fixture::new();
    fixture.add(
        "ApiTotalUsage",
        &[call("2026-01-15T11:00:00Z"), call("2026-01-17T11:00:00Z")],
    );
    let damaged = fixture.lake.parts("ApiTotalUsage").unwrap()[0].path.clone();
    std::fs::write(&damaged, b"PAR1").unwrap();
    let report = refresh(&mut fixture);
    assert_eq!(report.history.len(), 1);
    assert!(!report.failed.is_empty());
    assert_eq!(
        fixture.ask("", "SELECT DISTINCT day FROM sightings"),
        ["2026-01-17"]
    );
    assert_eq!(refresh(&mut fixture).history.len(), 0);
}

#[test]
fn what_is_expected_is_a_table_of_the_last_days_or_of_the_days_asked_about() {
    let mut fixture = Fixture::new();
    let mut rows: Vec<Value> = vec![];
    for day in 1..=31 {
        rows.push(call(&format!("2026-01-{day:02}T11:00:00Z")));
    }
    rows.extend((0..20).map(|n| call(&format!("2026-01-31T12:00:{n:02}Z"))));
    fixture.add("ApiTotalUsage", &rows);
    refresh(&mut fixture);
    let session = fixture.session("");
    let sql = "SELECT day, user_key, app_key, metric, actual, round(expected), reference, history, unusual
        FROM expected_activity WHERE day >= '2026-01-30' ORDER BY day";
    let ask = || shown(&session.query(sql, &Params::new()).unwrap());
    let of = |day: u32, actual: i64, unusual: bool| {
        format!(
            "2026-01-{day}|{ERP}|0H4000000000001CAA|calls|{actual}|1.0|last 28 days|enough|{unusual}"
        )
    };
    assert_eq!(ask(), [of(30, 1, false), of(31, 21, true)]);
    session.judge_days(&["2026-01-31".parse().unwrap()].into());
    assert_eq!(ask(), [of(31, 21, true)]);
    session.judge_days(&Default::default());
    assert!(ask().is_empty());
}

#[test]
fn the_proof_finds_history_that_is_not_what_the_raw_rows_come_to() {
    let mut fixture = Fixture::new();
    fixture.add(
        "Login",
        &[login("2026-01-14T10:00:00Z"), login("2026-01-16T10:00:00Z")],
    );
    let state_16 = state("2026-01-16T00:10:00Z", 50);
    fixture.add("BulkApi2", &[state("2026-01-15T23:00:00Z", 10), state_16]);
    refresh(&mut fixture);
    assert!(differences(&fixture).is_empty());
    // Rows that the rollups never heard of.
    fixture.add("ApiTotalUsage", &[call("2026-01-16T11:00:00Z")]);
    let dirty = fixture.lake.ledger().dirty("rollup").unwrap();
    assert!(
        differences(&fixture).is_empty(),
        "a day that is due is not judged"
    );
    fixture
        .lake
        .ledger_mut()
        .clear_dirty("rollup", &dirty.days, dirty.marker)
        .unwrap();
    let told = differences(&fixture);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|line| line.contains("2026-01-16")),
        "{told:?}"
    );
}

#[test]
fn history_that_was_set_aside_as_damaged_is_made_anew() {
    for rollup in ["rollup_sightings", "rollup_activity", "rollup_logins"] {
        let mut fixture = Fixture::new();
        fixture.add("Login", &[login("2026-01-15T10:00:00Z")]);
        refresh(&mut fixture);
        let part = fixture.lake.parts(rollup).unwrap().remove(0);
        fixture
            .lake
            .set_aside(fixture.run, now(), &[part.part_id])
            .unwrap();
        assert!(fixture.lake.parts(rollup).unwrap().is_empty());
        refresh(&mut fixture);
        assert_eq!(fixture.lake.parts(rollup).unwrap().len(), 1, "{rollup}");
    }
}

#[test]
fn a_day_that_cannot_be_summed_up_in_memory_comes_to_the_same_row_by_row() {
    let mut fixture = Fixture::new();
    fixture.add(
        "Login",
        &[login("2026-01-14T10:00:00Z"), login("2026-01-15T10:00:00Z")],
    );
    let other =
        json!({"client_name": "x", "rows_processed": 7, "query_classes": "count;fields_all"});
    let rows = ["2026-01-15T10:00:00Z", "2026-01-15T10:00:05Z"].map(|at| rest(at, &other));
    fixture.add("RestApi", &rows);
    fixture.add(
        "ApiTotalUsage",
        &[call("2026-01-15T10:00:00Z"), call("2026-01-15T10:20:00Z")],
    );
    fixture.add(
        "BulkApi2",
        &[
            state("2026-01-15T22:00:00Z", 5),
            state("2026-01-15T23:00:00Z", 9),
        ],
    );
    let aura = json!({"at": "2026-01-15T12:00:00Z", "user_id": ERP, "user_type": "Guest", "actions": "A.b=3;C.d=1"});
    fixture.add("AuraRequest", &[aura]);
    refresh(&mut fixture);
    let options = fixture.options(2);
    let session = Session::with_raw_tables(&fixture.lake, &fixture.catalog, &options).unwrap();
    let span = Span {
        from: "2026-01-14T00:00:00Z".parse().unwrap(),
        to: "2026-01-16T00:00:00Z".parse().unwrap(),
    };
    let [summed, rows] = [SUMMED, ROWS].map(|form| made_anew(&session, form, span).unwrap());
    assert_eq!(summed.len(), 2);
    assert_eq!(summed, rows);

    let out_of_memory = || {
        RollupError::Engine(EngineError::OutOfMemory {
            message: "full".into(),
        })
    };
    let asked = super::within_memory(|form| match form == ROWS {
        true => Ok("rows"),
        false => Err(out_of_memory()),
    });
    assert_eq!(asked.unwrap(), "rows");
}

#[test]
fn a_day_of_many_logs_far_larger_than_the_memory_is_made_row_by_row() {
    let mut fixture = Fixture::new();
    for event in ["ApiTotalUsage", "RestApi", "API", "ApexRestApi", "ApexSoap"] {
        let rows: Vec<Value> = (0..25_000)
            .map(|n| {
                let at = format!("2026-01-15T{:02}:{:02}:00Z", n % 24, n % 60);
                let client = format!("{event} {n:0>160}");
                json!({"at": at, "user_id": ERP, "client_name": client})
            })
            .collect();
        fixture.add(event, &rows);
    }
    let options = EngineOptions {
        memory_bytes: 0,
        ..fixture.options(2)
    };
    let session = Session::with_raw_tables(&fixture.lake, &fixture.catalog, &options).unwrap();
    let span = Span {
        from: "2026-01-15T00:00:00Z".parse().unwrap(),
        to: "2026-01-16T00:00:00Z".parse().unwrap(),
    };
    assert_eq!(made_anew(&session, ROWS, span).unwrap().len(), 1);
}
