//! The session as a whole, over small lakes.

use serde_json::json;

use super::fixture::{Fixture, shown};
use super::{EngineError, Params, text_filters_tests};

const ERP: &str = "005000000000001AAA";

fn one_login() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.add(
        "Login",
        &[
            json!({"at": "2026-01-15T10:00:00.250Z", "user_id": ERP, "user_name": "erp@example.com",
            "ip": "198.51.100.3", "login_status": "LOGIN_NO_ERROR", "login_type": "i",
            "login_key": "~k1"}),
        ],
    );
    fixture
}

#[test]
fn every_table_and_view_answers_in_an_empty_lake() {
    let session = Fixture::new().session("");
    let tables = session.tables();
    for name in [
        "elf_login",
        "login_history",
        "logins",
        "api_calls",
        "files",
        "registry_users",
    ] {
        assert!(tables.iter().any(|t| t == name), "{name}");
    }
    for table in tables {
        let rows = session.query(&format!("SELECT * FROM {table}"), &Params::new());
        let rows: usize = rows
            .unwrap_or_else(|e| panic!("{table}: {e}"))
            .iter()
            .map(|b| b.num_rows())
            .sum();
        assert!(rows == 0 || table == "runs", "{table}");
    }
}

#[test]
fn a_view_has_the_same_columns_whichever_logs_the_lake_holds() {
    let columns = |fixture: &Fixture, view: &str| -> Vec<String> {
        let sql = format!("SELECT * FROM {view}");
        let schema = fixture.session("").plan(&sql, &Params::new()).unwrap();
        let fields = schema.fields().iter();
        fields
            .map(|f| format!("{} {}", f.name(), f.data_type()))
            .collect()
    };
    let empty = Fixture::new();
    for (view, _) in super::views::VIEWS {
        let all = columns(&empty, view);
        for event in [
            "CompositeApi",
            "BulkApiRequest",
            "UITracking",
            "Logout",
            "Login",
            "LoginHistory",
        ] {
            let mut one = Fixture::new();
            one.add(
                event,
                &[json!({"at": "2026-01-15T10:00:00Z", "user_id": ERP})],
            );
            assert_eq!(columns(&one, view), all, "{view} with {event}");
        }
    }
}

#[test]
fn headings_are_found_under_their_own_names() {
    let fixture = one_login();
    let rows = fixture.ask(
        "",
        "SELECT event_type, timestamp = occurred_at, timestamp_derived = occurred_at,
                user_id_derived, login_type, day FROM elf_login",
    );
    assert_eq!(rows, [format!("Login|true|true|{ERP}|i|2026-01-15")]);
}

#[test]
fn an_event_type_that_the_catalogue_does_not_know_becomes_a_table() {
    let mut fixture = Fixture::new();
    fixture.add(
        "NewThing",
        &[json!({"at": "2026-01-15T10:00:00Z", "user_id": ERP, "ip": ""})],
    );
    let rows = fixture.ask("", "SELECT event_type, user_id, ip_kind FROM elf_new_thing");
    assert_eq!(rows, [format!("NewThing|{ERP}|missing")]);
}

#[test]
fn calls_are_counted_once_and_rows_measured_where_they_are_told() {
    let mut fixture = Fixture::new();
    let at = "2026-01-15T10:00:00Z";
    fixture.add(
        "ApiTotalUsage",
        &[json!({"at": at, "user_id": ERP, "api_family": "Rest", "status_code": 200})],
    );
    fixture.add(
        "RestApi",
        &[json!({"at": at, "user_id": ERP, "rows_processed": 50, "status_code": 500, "request_size": -1})],
    );
    let rows = fixture.ask(
        "",
        "SELECT event_type, calls, api_family, rows_processed, request_size, is_error FROM api_calls
         ORDER BY event_type",
    );
    assert_eq!(
        rows,
        ["ApiTotalUsage|1|REST|-|-|false", "RestApi|0|REST|50|-|true"]
    );
}

#[test]
fn a_bulk_job_is_one_row_with_its_totals() {
    let mut fixture = Fixture::new();
    let state = |at: &str, state: &str, records: i64| {
        json!({"at": at, "user_id": ERP, "job_id": "750000000000001AAA", "job_status": state,
            "records_processed": records, "operation_type": "query"})
    };
    fixture.add(
        "BulkApi2",
        &[
            state("2026-01-15T10:00:00Z", "InProgress", 10),
            state("2026-01-15T10:05:00Z", "JobComplete", 90),
        ],
    );
    let batch = |batch: &str| {
        json!({"at": "2026-01-15T11:00:00Z", "user_id": ERP, "job_id": "750000000000002AAA",
            "batch_id": batch, "rows_processed": 100, "number_failures": 1})
    };
    fixture.add(
        "BulkApi",
        &[batch("751000000000001AAA"), batch("751000000000002AAA")],
    );
    let rows = fixture.ask(
        "",
        "SELECT job_id, job_status, records_processed, records_failed, batches FROM bulk_jobs
         ORDER BY job_id",
    );
    assert_eq!(
        rows,
        [
            "750000000000001AAA|JobComplete|90|-|-",
            "750000000000002AAA|-|200|2|2"
        ]
    );
}

#[test]
fn a_missing_or_damaged_file_is_named_and_never_means_fewer_rows() {
    for damage in ["missing", "damaged", "long"] {
        let mut fixture = one_login();
        fixture.add(
            "Login",
            &[json!({"at": "2026-01-16T10:00:00Z", "user_id": ERP})],
        );
        let path = fixture.lake.parts("Login").unwrap()[1].path.clone();
        match damage {
            "missing" => std::fs::remove_file(&path).unwrap(),
            "damaged" => {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[4..200].fill(0xee);
                std::fs::write(&path, bytes).unwrap();
            }
            _ => std::fs::write(&path, b"PAR1").unwrap(),
        }
        let session = fixture.session("");
        let error = session
            .query("SELECT * FROM elf_login", &Params::new())
            .unwrap_err();
        let shown = error.to_string();
        assert!(
            matches!(error, EngineError::DamagedPart { .. }),
            "{damage}: {shown}"
        );
        assert!(
            shown.contains("day=2026-01-16") && shown.contains(damage),
            "{shown}"
        );
    }
}

#[test]
fn nothing_but_reading_is_possible() {
    let session = one_login().session("");
    for sql in [
        "CREATE TABLE x AS SELECT 1",
        "DROP TABLE elf_login",
        "INSERT INTO files VALUES (1)",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO files SELECT * FROM files",
        "DELETE FROM files",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    ] {
        let error = session.query(sql, &Params::new()).unwrap_err();
        assert!(
            matches!(error, EngineError::ReadOnly { .. }),
            "{sql}: {error:?}"
        );
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM information_schema.tables",
    ] {
        assert!(session.query(sql, &Params::new()).is_err(), "{sql}");
    }
}

#[test]
fn a_slip_of_the_pen_is_answered_with_the_place_and_the_right_name() {
    let session = one_login().session("");
    let told = |sql: &str| session.query(sql, &Params::new()).unwrap_err().to_string();
    assert_eq!(
        told("SELECT 1 FROM login"),
        "there is no table login; did you mean logins? (line 1, column 15)"
    );
    assert_eq!(
        told("SELECT login_typ\nFROM elf_login"),
        "there is no column login_typ; did you mean login_type? (line 1, column 8)"
    );
    assert!(told("SELECT $who").starts_with("the query needs a value for $who\nhint: "));
}

#[test]
fn parts_of_a_release_that_told_no_shapes_still_read() {
    let mut fixture = Fixture::new();
    let query =
        |at: &str| json!({"at": at, "user_id": ERP, "query_shape": "~s", "ip": "198.51.100.3"});
    fixture.add_without(
        "RestApi",
        &["query_classes"],
        &[query("2026-01-15T10:00:00Z")],
    );
    let mut newer = query("2026-01-15T11:00:00Z");
    newer["query_classes"] = json!("aws_key;count");
    fixture.add("RestApi", &[newer]);
    let lacking = ["actions", "action_count", "actions_malformed"];
    let request = json!({"at": "2026-01-15T10:00:00Z", "user_id": ERP, "user_type": "Guest"});
    fixture.add_without("AuraRequest", &lacking, &[request]);
    let sql = "SELECT query_object, query_classes FROM queries ORDER BY occurred_at";
    assert_eq!(fixture.ask("", sql), ["-|-", "-|aws_key;count"]);
    assert_eq!(fixture.ask("", "SELECT count(*) FROM aura_actions"), ["0"]);
    assert_eq!(
        fixture.ask("", "SELECT actions FROM elf_aura_request"),
        ["-"]
    );
}

#[test]
fn a_request_has_a_row_for_each_action_and_one_without_where_there_is_none() {
    let mut fixture = Fixture::new();
    let request = |second: u32, actions: Option<&str>, count: i64, malformed: i64| {
        json!({"at": format!("2026-01-15T10:00:{second:02}Z"), "user_id": ERP, "user_type": "Guest",
               "ip": "192.0.2.66", "user_agent": "\"python-requests/2.32.4\"", "actions": actions,
               "action_count": count, "actions_malformed": malformed})
    };
    fixture.add(
        "AuraRequest",
        &[
            request(0, Some("A.b=40;C.d=1"), 41, 2),
            request(1, None, 0, 3),
        ],
    );
    let sql = "SELECT action, count, actions_in_request, malformed, role, ua, ua_family FROM aura_actions \
               ORDER BY occurred_at, action";
    assert_eq!(
        fixture.ask("", sql),
        [
            "A.b|40|41|2|guest|python-requests/2.32.4|python",
            "C.d|1|41|2|guest|python-requests/2.32.4|python",
            "-|-|0|3|guest|python-requests/2.32.4|python",
        ]
    );
}

#[test]
fn small_files_are_read_whole_and_large_ones_by_their_bounds_with_the_same_answer() {
    let login = |n: u32| {
        json!({"at": "2026-01-15T10:00:00Z", "user_id": ERP, "login_key": format!("~{n}"),
            "ip": format!("198.51.{}.{}", n / 200, n % 200)})
    };
    let mut fixture = Fixture::new();
    fixture.add("Login", &[login(1), login(2)]);
    let sql = "SELECT login_key FROM elf_login WHERE ip = '198.51.0.2'";
    let plan = |fixture: &Fixture| fixture.ask("", &format!("EXPLAIN {sql}")).join("\n");
    let small = plan(&fixture);
    assert!(
        small.contains("FilterExec") && !small.contains("predicate="),
        "{small}"
    );
    assert_eq!(fixture.ask("", sql), ["~2"]);

    let mut fixture = Fixture::new();
    let many: Vec<_> = (0..20_000).map(login).collect();
    fixture.add("Login", &many);
    let large = plan(&fixture);
    assert!(large.contains("predicate="), "{large}");
    assert_eq!(fixture.ask("", sql), ["~2"]);
}

/// A file that cannot change one of them may still change another.
#[test]
fn each_of_several_extremes_is_of_all_files() {
    let fixture = text_filters_tests::lake();
    let session = fixture.session("");
    let ask = |sql: &str| shown(&session.query(sql, &Params::new()).unwrap());
    for (asked, extreme) in [
        (
            "min(occurred_at)",
            "max(line_no) FILTER (WHERE day = '2026-01-14')",
        ),
        ("min(occurred_at)", "max(date_trunc('hour', occurred_at))"),
        ("min(occurred_at)", "max(upper(login_key))"),
        ("max(occurred_at)", "min(line_no + 1)"),
        ("max(occurred_at)", "min(substr(login_key, 2))"),
    ] {
        let both = ask(&format!("SELECT {asked}, {extreme} FROM elf_login"));
        let alone = [asked, extreme].map(|it| ask(&format!("SELECT {it} FROM elf_login")).concat());
        assert_eq!(both, [alone.join("|")], "{extreme}");
    }
}

#[test]
fn no_file_of_the_lake_is_named_for_another() {
    let mut fixture = Fixture::new();
    for day in ["13", "14"] {
        let at = format!("2026-01-{day}T10:00:00Z");
        fixture.add("Login", &[json!({"at": at, "user_id": ERP})]);
    }
    let asked = fixture.session("").query(
        "SELECT DISTINCT input_file_name() FROM elf_login",
        &Params::new(),
    );
    assert!(asked.is_err());
}
