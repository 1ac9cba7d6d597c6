//! The views that stand on the rollup, and what of a question reaches the files.

use serde_json::json;

use super::tests::refresh;
use crate::engine::Params;
use crate::engine::fixture::{Fixture, shown};

const ERP: &str = "005000000000001AAA";
const BOB: &str = "005000000000002AAA";

const REGISTRY: &str = r#"
[[user]]
id = "005000000000001AAA"
role = "integration"
system = "ERP"
networks = ["198.51.100.0/28"]
"#;

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
fn logins_exist_when_only_the_event_log_file_does() {
    let mut fixture = one_login();
    refresh(&mut fixture);
    let rows = fixture.ask(
        REGISTRY,
        "SELECT user_key, username, role, role_source, system, outcome, source, merge_quality, app,
                in_networks(user_key, ip, occurred_at) FROM logins",
    );
    let row = format!("{ERP}|erp@example.com|integration|registry|ERP|success|elf|elf_only|-|true");
    assert_eq!(rows, [row]);
}

#[test]
fn an_unregistered_user_has_a_role_and_never_vanishes() {
    let mut fixture = one_login();
    fixture.add(
        "Login",
        &[
            json!({"at": "2026-01-15T11:00:00Z", "user_id": BOB, "login_status": "LOGIN_NO_ERROR"}),
            json!({"at": "2026-01-15T12:00:00Z", "login_status": "LOGIN_NO_ERROR"}),
        ],
    );
    refresh(&mut fixture);
    let sql = "SELECT user_key, role, role_source FROM logins ORDER BY occurred_at";
    let human = format!("{BOB}|human|inferred");
    assert_eq!(
        fixture.ask(REGISTRY, sql)[1..],
        [human, "-|human|inferred".to_owned()]
    );
}

#[test]
fn the_registry_entry_valid_at_the_time_of_the_row_holds() {
    let mut fixture = one_login();
    refresh(&mut fixture);
    let registry = r#"
[[user]]
id = "005000000000001AAA"
role = "ci"
valid_to = 2026-01-15T10:00:00Z
[[user]]
id = "005000000000001AAA"
role = "integration"
valid_from = 2026-01-15T10:00:00Z
"#;
    assert_eq!(
        fixture.ask(registry, "SELECT role FROM logins"),
        ["integration"]
    );
}

#[test]
fn filters_on_time_and_user_reach_the_files() {
    let mut fixture = one_login();
    let later = "2026-01-20T10:00:00Z";
    for event in ["Login", "Logout", "ApiTotalUsage", "RestApi", "URI"] {
        fixture.add(event, &[json!({"at": later, "user_id": ERP})]);
        fixture.add(
            event,
            &[json!({"at": "2026-01-10T10:00:00Z", "user_id": ERP})],
        );
    }
    refresh(&mut fixture);
    let session = fixture.session(REGISTRY);
    let params = Params::new()
        .with_time("from", "2026-01-20T00:00:00Z".parse().unwrap())
        .with_time("to", "2026-01-21T00:00:00Z".parse().unwrap())
        .with("user", ERP.into());
    for view in ["logins", "logouts", "api_calls", "ui_activity"] {
        let sql = format!(
            "SELECT user_key, role FROM {view}
             WHERE occurred_at >= $from AND occurred_at < $to AND user_id = $user"
        );
        let plan = session.physical_plan(&sql, &params).unwrap();
        assert!(
            plan.contains("day=2026-01-20") && !plan.contains("day=2026-01-10"),
            "{plan}"
        );
        // Below the joins, right above the files.
        let (_, below) = plan.rsplit_once("FilterExec").unwrap();
        assert!(below.contains(ERP), "{plan}");
        assert_eq!(
            shown(&session.query(&sql, &params).unwrap()).len(),
            match view {
                "api_calls" => 2,
                _ => 1,
            }
        );
    }
}

#[test]
fn values_that_no_list_knows_are_shown_with_their_field() {
    let mut fixture = Fixture::new();
    fixture.add(
        "Login",
        &[
            json!({"at": "2026-01-15T10:00:00Z", "user_id": ERP, "login_type": "Q9",
            "login_status": "LOGIN_NO_ERROR"}),
            json!({"at": "2026-01-15T10:01:00Z", "user_id": ERP, "login_type": "i",
            "login_status": "LOGIN_NO_ERROR"}),
        ],
    );
    refresh(&mut fixture);
    let rows = fixture.ask(
        "",
        "SELECT source_table, field, value, outcome FROM unmapped_values",
    );
    assert_eq!(rows, ["logins|login_type|Q9|success"]);
}
