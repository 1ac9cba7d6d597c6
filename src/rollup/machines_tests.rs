//! Who counts as a machine, from when on, and that no order of files changes it.

use serde_json::{Value, json};

use super::*;
use crate::engine::fixture::{Fixture, now};
use crate::lake::LedgerTable;
use crate::rollup::tests::refresh;

const BOT: &str = "005000000000020AAA";
const BOB: &str = "005000000000008AAA";

fn start(day: u32) -> DateTime<Utc> {
    let first = NaiveDate::from_ymd_opt(2025, 12, 1).unwrap();
    let day = first + Days::new(u64::from(day));
    day.and_time(NaiveTime::MIN).and_utc()
}

fn login(user: &str, day: u32, minute: u32, sub_type: &str) -> Value {
    let at = start(day) + chrono::TimeDelta::minutes(i64::from(minute));
    let (kind, uri) = match sub_type {
        "UsernamePasswordUiLogin" => ("A", "/index.jsp"),
        _ => ("i", "/services/oauth2/token"),
    };
    json!({"at": at.to_rfc3339(), "user_id": user, "user_name": format!("{user}@example.com"),
        "ip": "198.51.100.7", "login_status": "LOGIN_NO_ERROR", "login_type": kind,
        "login_sub_type": sub_type, "uri": uri, "user_type": "Standard"})
}

/// `per_day` logins on each of these days, spread over 24 hours.
fn machine(user: &str, days: std::ops::Range<u32>, per_day: u32) -> Vec<Value> {
    let day = |day| (0..per_day).map(move |n| (day, n * 1440 / per_day));
    days.flat_map(day)
        .map(|(day, minute)| login(user, day, minute, "OauthRefreshToken"))
        .collect()
}

/// One UI login on each of these days.
fn person(user: &str, days: std::ops::Range<u32>) -> Vec<Value> {
    days.map(|day| login(user, day, 540, "UsernamePasswordUiLogin"))
        .collect()
}

fn roles(fixture: &mut Fixture) -> Vec<InferredRole> {
    refresh(fixture);
    fixture.lake.ledger().inferred_roles().unwrap()
}

fn roles_of(rows: &[Value]) -> Vec<InferredRole> {
    let mut fixture = Fixture::new();
    fixture.add("Login", rows);
    roles(&mut fixture)
}

#[test]
fn the_criteria_are_those_of_the_rule_about_unregistered_machines() {
    let rule = include_str!("../../queries/detections/unregistered-integration-user.sql");
    for (name, value) in [
        ("period", format!("\"{PERIOD_DAYS}d\"")),
        ("min_logins", MIN_LOGINS.to_string()),
        ("min_calls", MIN_CALLS.to_string()),
        ("max_ui_share", MAX_UI_SHARE.to_string()),
        ("max_ui_day_share", MAX_UI_DAY_SHARE.to_string()),
        ("min_hours_of_day", MIN_HOURS_OF_DAY.to_string()),
        ("min_weekdays", MIN_WEEKDAYS.to_string()),
    ] {
        let (_, rest) = rule.split_once(&format!("[params.{name}]\n")).unwrap();
        let default = rest.lines().find(|l| l.starts_with("default")).unwrap();
        assert_eq!(default, format!("default = {value}"), "{name}");
    }
}

#[test]
fn a_machine_has_its_role_from_the_day_that_completes_the_evidence() {
    // 24 logins a day: 48 after two days, 72 after three.
    let found = roles_of(&machine(BOT, 0..10, 24));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].user_key.as_str(), found[0].role.as_str()),
        (BOT, "integration")
    );
    assert_eq!((found[0].since, found[0].until), (start(2), None));
    assert!(
        found[0]
            .reason
            .contains("72 logins, 0 of them through the UI")
    );
    // One below, and at, the minimum of logins.
    assert_eq!(roles_of(&machine(BOT, 0..1, 49)), []);
    assert_eq!(roles_of(&machine(BOT, 0..1, 50)).len(), 1);
}

#[test]
fn calls_alone_make_a_machine_unless_a_page_made_them() {
    let calls = |category: &str| {
        let mut fixture = Fixture::new();
        let rows: Vec<Value> = (0..500)
            .map(|n| {
                let at = start(0) + chrono::TimeDelta::minutes(2 * n);
                json!({"at": at.to_rfc3339(), "user_id": BOT, "user_name": "svc@example.com",
                    "api_client_category": category})
            })
            .collect();
        fixture.add("ApiTotalUsage", &rows);
        roles(&mut fixture)
    };
    // 1000 minutes: 17 hours of one day, on one weekday.
    assert_eq!(calls("").len(), 0);
    let mut fixture = Fixture::new();
    let rows: Vec<Value> = (0..500)
        .map(|n| {
            let at = start(0) + chrono::TimeDelta::minutes(3 * n - 60);
            json!({"at": at.to_rfc3339(), "user_id": BOT, "user_name": "svc@example.com"})
        })
        .collect();
    fixture.add("ApiTotalUsage", &rows);
    assert_eq!(roles(&mut fixture).len(), 1);
    assert_eq!(calls("LIGHTNING_UI").len(), 0);
}

#[test]
fn people_guests_and_the_platform_are_no_machines() {
    let mut bob = machine(BOB, 0..28, 24);
    bob.extend(person(BOB, 0..28));
    assert_eq!(roles_of(&bob), []);

    let typed = |user_type: &str| {
        let mut rows = machine(BOT, 0..10, 24);
        rows[0]["user_type"] = json!(user_type);
        roles_of(&rows)
    };
    assert_eq!(typed("Guest"), []);
    assert_eq!(typed("A"), []);
    assert_eq!(typed("Standard").len(), 1);

    let mut victim = machine(BOT, 0..10, 24);
    for row in &mut victim {
        row["login_status"] = json!("LOGIN_ERROR_INVALID_PASSWORD");
    }
    assert_eq!(roles_of(&victim), []);
}

#[test]
fn the_role_outlives_silence_and_a_few_visits_but_not_a_person() {
    let mut rows = machine(BOT, 0..5, 24);
    rows.extend(person(BOT, 60..62));
    let found = roles_of(&rows);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].since, found[0].until), (start(2), None));

    rows.extend(person(BOT, 62..63));
    let found = roles_of(&rows);
    assert_eq!(found[0].until, Some(start(62)));
}

#[test]
fn nights_one_by_one_files_in_any_order_and_all_at_once_come_to_the_same() {
    let mut rows = machine(BOT, 0..20, 24);
    rows.extend(machine(BOB, 3..20, 30));
    rows.extend(person(BOB, 10..20));
    let at_once = roles_of(&rows);
    assert_eq!(at_once.len(), 2);
    assert!(at_once.iter().any(|r| r.until.is_some()));

    let mut nights = Fixture::new();
    for day in 0..20 {
        let tonight: Vec<Value> = rows
            .iter()
            .filter(|r| {
                r["at"]
                    .as_str()
                    .unwrap()
                    .starts_with(&start(day).date_naive().to_string())
            })
            .cloned()
            .collect();
        nights.add("Login", &tonight);
        let known = roles(&mut nights);
        let until_now: Vec<_> = at_once.iter().filter(|r| r.since <= start(day)).collect();
        assert_eq!(known.len(), until_now.len(), "night {day}");
        assert!(known.iter().zip(until_now).all(|(a, b)| a.since == b.since));
    }
    assert_eq!(nights.lake.ledger().inferred_roles().unwrap(), at_once);

    let mut split = Fixture::new();
    let (even, odd): (Vec<_>, Vec<_>) = rows
        .iter()
        .cloned()
        .enumerate()
        .partition(|(n, _)| n % 2 == 0);
    for half in [odd, even] {
        let half: Vec<Value> = half.into_iter().map(|(_, row)| row).rev().collect();
        split.add("Login", &half);
    }
    assert_eq!(roles(&mut split), at_once);
    // Nothing new: nothing changes.
    assert_eq!(roles(&mut split), at_once);
}

#[test]
fn a_row_from_the_future_moves_nothing() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &machine(BOT, 0..10, 24));
    let mut late = login(BOT, 0, 0, "OauthRefreshToken");
    late["at"] = json!("2038-01-19T03:14:07Z");
    fixture.add("Login", &[late]);
    assert_eq!(roles(&mut fixture).len(), 1);
}

#[test]
fn views_give_the_role_from_its_beginning_on_and_the_registry_goes_before_it() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &machine(BOT, 0..10, 24));
    refresh(&mut fixture);
    let sql =
        "SELECT role, role_source, count(*), min(occurred_at) FROM logins GROUP BY ALL ORDER BY 1";
    assert_eq!(
        fixture.ask("", sql),
        [
            "human|inferred|48|2025-12-01T00:00:00Z",
            "integration|inferred|192|2025-12-03T00:00:00Z"
        ]
    );
    let listed = "SELECT user_key, role FROM inferred_roles";
    assert_eq!(fixture.ask("", listed), [format!("{BOT}|integration")]);

    let registry = format!("[[user]]\nid = \"{BOT}\"\nrole = \"ci\"\n");
    assert_eq!(
        fixture.ask(&registry, "SELECT DISTINCT role, role_source FROM logins"),
        ["ci|registry"]
    );
    assert_eq!(fixture.ask(&registry, listed), Vec::<String>::new());
    // A declaration that ended does not hide the account.
    let ended = format!("{registry}valid_to = 2025-12-05T00:00:00Z\n");
    let sql = "SELECT DISTINCT role, role_source FROM logins ORDER BY 1";
    assert_eq!(
        fixture.ask(&ended, sql),
        ["ci|registry", "integration|inferred"]
    );
    assert_eq!(fixture.ask(&ended, listed), [format!("{BOT}|integration")]);
}

#[test]
fn roles_inferred_by_older_criteria_are_inferred_anew() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &machine(BOT, 0..10, 24));
    let found = roles(&mut fixture);
    let ledger = fixture.lake.ledger_mut();
    ledger.replace_inferred_roles(&[], "0").unwrap();
    assert_eq!(roles(&mut fixture), found);
    let rows = fixture
        .lake
        .ledger()
        .snapshot(LedgerTable::InferredRoles)
        .unwrap();
    assert_eq!(rows.num_rows(), 1);
    let _ = now();
}

#[test]
fn joins_hold_accounts_in_memory_and_never_the_events_of_a_year() {
    let mut fixture = Fixture::new();
    fixture.add("Login", &machine(BOT, 0..10, 24));
    let call = json!({"at": start(1).to_rfc3339(), "user_id": BOT, "user_name": "svc@example.com"});
    fixture.add("ApiTotalUsage", &[call]);
    refresh(&mut fixture);
    let options = fixture.options(2);
    let session = Session::with_raw_tables(&fixture.lake, &fixture.catalog, &options).unwrap();
    let params = Params::new()
        .with_time("from", start(0))
        .with_time("to", start(20))
        .with("min_logins", ScalarValue::Int64(Some(MIN_LOGINS)))
        .with("min_calls", ScalarValue::Int64(Some(MIN_CALLS)));
    let plan = session.physical_plan(ACCOUNT_DAYS, &params).unwrap();
    let lines: Vec<&str> = plan.lines().collect();
    let depth = |n: usize| lines[n].len() - lines[n].trim_start().len();
    let parent = |n: usize| (0..n).rev().find(|&above| depth(above) < depth(n));
    let joins = (0..lines.len()).filter(|&n| lines[n].contains("HashJoinExec"));
    let joins: Vec<usize> = joins.collect();
    assert!(!joins.is_empty(), "{plan}");
    for join in joins {
        // The side that is held comes first, as deep as the other.
        let first = join + 1;
        let end = (first + 1..lines.len()).find(|&n| depth(n) <= depth(first));
        let held = first..end.unwrap_or(lines.len());
        for read in held.filter(|&n| lines[n].contains("UnionExec")) {
            let above = std::iter::successors(Some(read), |&n| parent(n));
            let mut within = above.take_while(|&n| n > join);
            let is_counted = within.any(|n| lines[n].contains("AggregateExec"));
            assert!(is_counted, "{plan}");
        }
    }
}
