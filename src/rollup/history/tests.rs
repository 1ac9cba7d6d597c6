//! Sightings and activity, over small lakes.

use serde_json::{Value, json};

use crate::engine::fixture::Fixture;
use crate::rollup::tests::refresh;

pub(super) const ERP: &str = "005000000000001AAA";
const HOME: &str = "198.51.100.3";

pub(super) fn login(at: &str) -> Value {
    json!({"at": at, "user_id": ERP, "user_name": "ERP@example.com", "ip": HOME, "source_ip": HOME,
        "login_status": "LOGIN_NO_ERROR", "login_type": "i", "browser_type": "python-requests/2.32.4",
        "country_code": "uk", "api_version": "9998.0"})
}

pub(super) fn call(at: &str) -> Value {
    json!({"at": at, "user_id": ERP, "user_name": "erp@example.com", "ip": HOME,
        "connected_app_id": "0H4000000000001", "connected_app_name": "ERP  Sync", "client_name": "ERP\u{1b}",
        "entity_name": "Account;Contact", "api_version": "64", "status_code": 200,
        "counts_against_api_limit": true, "request_id": "same"})
}

pub(super) fn rest(at: &str, more: &Value) -> Value {
    let mut row = json!({"at": at, "user_id": ERP, "ip": "10.0.0.1", "method": "GET",
        "uri": "/services/data/v59.0/query"});
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

pub(super) fn state(at: &str, records: i64) -> Value {
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
