//! Sightings and activity, over small lakes.

use serde_json::{Value, json};

use crate::engine::Params;
use crate::engine::fixture::{Fixture, now, shown};
use crate::rollup::tests::refresh;

const ERP: &str = "005000000000001AAA";
const HOME: &str = "198.51.100.3";

fn login(at: &str) -> Value {
    json!({"at": at, "user_id": ERP, "user_name": "ERP@example.com", "ip": HOME, "source_ip": HOME,
        "login_status": "LOGIN_NO_ERROR", "login_type": "i", "browser_type": "python-requests/2.32.4",
        "country_code": "uk", "api_version": "9998.0"})
}

fn call(at: &str) -> Value {
    json!({"at": at, "user_id": ERP, "user_name": "erp@example.com", "ip": HOME,
        "connected_app_id": "0H4000000000001", "connected_app_name": "ERP  Sync", "client_name": "ERP\u{1b}",
        "entity_name": "Account;Contact", "api_version": "64", "status_code": 200,
        "counts_against_api_limit": true, "request_id": "same"})
}

fn rest(at: &str, more: &Value) -> Value {
    let mut row = json!({"at": at, "user_id": ERP, "ip": "10.0.0.1", "method": "GET",
        "uri": "/services/data/v59.0/query"});
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

fn state(at: &str, records: i64) -> Value {
    json!({"at": at, "user_id": ERP, "job_id": "750000000000001AAA", "operation_type": "query",
        "entity_type": "Contact", "job_status": "InProgress", "records_processed": records})
}

const SHOWN: &str =
    "SELECT kind, value, app_key, events FROM sightings ORDER BY kind, value, app_key";

#[test]
fn a_login_and_a_call_are_sightings_of_all_that_they_show() {
    let mut fixture = Fixture::new();
    // 2026-01-15 is a Thursday.
    fixture.add("Login", &[login("2026-01-15T10:00:00Z")]);
    fixture.add(
        "ApiTotalUsage",
        &[call("2026-01-15T11:00:00Z"), call("2026-01-15T11:00:01Z")],
    );
    refresh(&mut fixture);
    let app = "0H4000000000001CAA";
    assert_eq!(
        fixture.ask("", SHOWN),
        [
            format!("api_version|64.0|{app}|2"),
            format!("app|{app}|{app}|2"),
            "client|name:ERP\\u{1b}|0H4000000000001CAA|2".to_owned(),
            "client|python|-|1".to_owned(),
            "country|GB|-|1".to_owned(),
            format!("event_type|ApiTotalUsage|{app}|2"),
            "hour|82|-|1".to_owned(),
            format!("hour|83|{app}|2"),
            "login_path|oauth_bearer|-|1".to_owned(),
            format!("network|198.51.100.0/24|{app}|2"),
            "network|198.51.100.0/24|-|1".to_owned(),
            format!("object|account|{app}|2"),
            format!("object|contact|{app}|2"),
            format!("source|api|{app}|2"),
            "source|login|-|1".to_owned(),
            "user_agent|python-requests/2.32.4|-|1".to_owned(),
        ]
    );
    let times =
        "SELECT first_at, last_at, day, username, role FROM sightings WHERE value = 'account'";
    assert_eq!(
        fixture.ask("", times),
        ["2026-01-15T11:00:00Z|2026-01-15T11:00:01Z|2026-01-15|erp@example.com|human"]
    );
}

#[test]
fn a_name_that_stands_for_one_id_is_that_app_and_a_shared_name_is_none() {
    let mut fixture = Fixture::new();
    let at = "2026-01-15T10:00:00Z";
    let by_name = json!({"at": at, "user_id": ERP, "ip": HOME, "sourceip": HOME, "status": "Success",
        "logintype": "Remote Access 2.0", "application": "erp sync"});
    fixture.add("LoginHistory", &[by_name]);
    fixture.add("ApiTotalUsage", &[call("2026-01-15T11:00:00Z")]);
    refresh(&mut fixture);
    let apps = "SELECT DISTINCT app_key, source FROM (
        SELECT app_key, value AS source FROM sightings WHERE kind = 'source') ORDER BY 2";
    assert_eq!(
        fixture.ask("", apps),
        ["0H4000000000001CAA|api", "0H4000000000001CAA|login"]
    );
    let other = "[[user]]\nusername = \"x@example.com\"\nrole = \"integration\"\n\
        apps = [{ id = \"0H4000000000009\", name = \"ERP Sync\" }]\n";
    assert_eq!(
        fixture.ask(other, apps),
        ["0H4000000000001CAA|api", "erp sync|login"]
    );
}

#[test]
fn failed_logins_count_and_are_no_sightings() {
    let mut fixture = Fixture::new();
    let mut failed = login("2026-01-15T10:00:00Z");
    failed["login_status"] = json!("LOGIN_ERROR_INVALID_PASSWORD");
    let mut challenge = login("2026-01-15T10:01:00Z");
    challenge["login_status"] = json!("LOGIN_TWOFACTOR_REQ");
    let mut nobody = failed.clone();
    nobody["user_id"] = Value::Null;
    nobody["user_name"] = Value::Null;
    fixture.add(
        "Login",
        &[failed, challenge, nobody, login("2026-01-15T11:00:00Z")],
    );
    refresh(&mut fixture);
    let counts =
        "SELECT hour, user_key, logins, failed_logins, networks FROM activity_hourly ORDER BY 1, 2";
    assert_eq!(
        fixture.ask("", counts),
        [
            format!("2026-01-15T10:00:00Z|{ERP}|0|1|1"),
            "2026-01-15T10:00:00Z|-|0|1|1".to_owned(),
            format!("2026-01-15T11:00:00Z|{ERP}|1|0|1"),
        ]
    );
    assert_eq!(
        fixture.ask(
            "",
            "SELECT sum(events) FROM sightings WHERE kind = 'source'"
        ),
        ["1"]
    );
}

#[test]
fn an_hour_adds_up_what_the_logs_say_of_it() {
    let mut fixture = Fixture::new();
    let mut refused = call("2026-01-15T11:30:00Z");
    refused["status_code"] = json!(403);
    refused["counts_against_api_limit"] = json!(false);
    fixture.add("ApiTotalUsage", &[call("2026-01-15T11:00:00Z"), refused]);
    let at = "2026-01-15T11:10:00Z";
    fixture.add(
        "RestApi",
        &[
            rest(at, &json!({"rows_processed": 200, "response_size": 1000})),
            rest(at, &json!({"rows_processed": -1, "response_size": -1})),
            rest(
                at,
                &json!({"method": "DELETE", "uri": "/services/data/v59.0/sobjects/Account/{id}"}),
            ),
            rest(
                at,
                &json!({"method": "DELETE", "uri": "/services/data/v59.0/jobs/query/{id}"}),
            ),
            rest(at, &json!({"method": "PATCH", "rows_processed": 7})),
        ],
    );
    let soap = |method: &str, rows: i64| json!({"at": at, "user_id": ERP, "method_name": method, "rows_processed": rows, "response_size": 50});
    fixture.add(
        "API",
        &[
            soap("query_more", 2000),
            soap("delete", 20),
            soap("upsert", 5),
        ],
    );
    let batch = |operation: &str, id: &str, rows: i64| {
        json!({"at": at, "user_id": ERP, "job_id": "750000000000002AAA", "batch_id": id,
            "operation_type": operation, "rows_processed": rows})
    };
    fixture.add(
        "BulkApi",
        &[
            batch("query", "1", 10),
            batch("query", "2", 30),
            batch("hardDelete", "3", 4),
        ],
    );
    refresh(&mut fixture);
    let counts = "SELECT sum(calls), sum(limit_calls), sum(call_errors), sum(rows_read), sum(rows_unknown),
        sum(bytes), sum(deletes), sum(hard_deletes), max(networks), max(objects) FROM activity_hourly";
    assert_eq!(fixture.ask("", counts), ["2|1|1|2240|1|1150|25|4|1|2"]);
}

#[test]
fn a_job_of_bulk_api_2_counts_once_however_many_states_and_over_midnight() {
    let rows = "SELECT hour, rows_read FROM activity_hourly WHERE rows_read > 0 ORDER BY 1";
    let late = ["2026-01-15T22:00:00Z|0", "2026-01-16T00:00:00Z|5000"];
    for reversed in [false, true] {
        let mut fixture = Fixture::new();
        let mut files = [
            vec![
                state("2026-01-15T22:00:00Z", 0),
                state("2026-01-15T23:59:00Z", 4000),
            ],
            vec![
                state("2026-01-16T00:10:00Z", 5000),
                state("2026-01-16T00:20:00Z", 5000),
            ],
        ];
        if reversed {
            files.reverse();
        }
        for file in files {
            fixture.add("BulkApi2", &file);
            refresh(&mut fixture);
        }
        assert_eq!(fixture.ask("", rows), late[1..], "reversed: {reversed}");
    }
}

#[test]
fn an_export_that_two_logs_tell_is_one() {
    let mut fixture = Fixture::new();
    let at = "2026-01-15T10:00:00Z";
    fixture.add(
        "ReportExport",
        &[json!({"at": at, "user_id": ERP, "request_id": "a"})],
    );
    let report = |request: Option<&str>, rendering: &str, origin: &str| json!({"at": at, "user_id": ERP, "request_id": request, "rendering_type": rendering, "origin": origin});
    fixture.add(
        "Report",
        &[
            report(Some("a"), "C", "ReportExported"),
            report(Some("b"), "X", ""),
            report(None, "", "ReportExported"),
            report(None, "", "ReportExported"),
            report(Some("c"), "W", "ReportRunFromLightning"),
            report(Some("d"), "", "DashboardComponentUpdated"),
        ],
    );
    refresh(&mut fixture);
    assert_eq!(
        fixture.ask("", "SELECT sum(exports) FROM activity_hourly"),
        ["4"]
    );
}

#[test]
fn a_guest_is_a_guest_in_every_log_of_the_day() {
    let mut fixture = Fixture::new();
    let mut guest = rest("2026-01-15T10:00:00Z", &json!({"user_type": "Guest"}));
    guest["ip"] = json!(HOME);
    fixture.add("RestApi", &[guest]);
    fixture.add("ApiTotalUsage", &[call("2026-01-15T11:00:00Z")]);
    refresh(&mut fixture);
    let roles =
        "SELECT DISTINCT role FROM sightings UNION ALL SELECT DISTINCT role FROM activity_hourly";
    assert_eq!(fixture.ask("", roles), ["guest", "guest"]);
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
fn classes_of_queries_and_actions_of_guests_are_sightings_and_count_nowhere() {
    let mut fixture = Fixture::new();
    let at = "2026-01-15T10:00:00Z";
    fixture.add(
        "UniqueQuery",
        &[json!({"at": at, "user_id": ERP, "query_classes": "aws_key;count"})],
    );
    let request = |at: &str, user_type: &str| {
        json!({"at": at, "user_id": ERP, "user_type": user_type, "actions": "A.b=40;C.d=1",
            "action_count": 41, "actions_malformed": 0, "ip": HOME})
    };
    let requests = [
        request(at, "Guest"),
        request("2026-01-15T11:00:00Z", "Guest"),
        request("2026-01-15T12:00:00Z", "Standard"),
    ];
    fixture.add("AuraRequest", &requests);
    refresh(&mut fixture);
    assert_eq!(
        fixture.ask("", SHOWN),
        [
            "aura_action|A.b|-|80",
            "aura_action|C.d|-|2",
            "query_class|aws_key|-|1",
            "query_class|count|-|1",
        ]
    );
    assert_eq!(
        fixture.ask("", "SELECT count(*) FROM activity_hourly"),
        ["0"]
    );
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

fn differences(fixture: &Fixture) -> Vec<String> {
    super::check(&fixture.lake, &fixture.catalog, &fixture.options(2)).unwrap()
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
