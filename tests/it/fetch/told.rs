//! What the org did not give, or gave otherwise than the night before, becomes a finding.

use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::run::configure;
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::{CLIENT_ID, FakeSf, Scenario, ids, time};
use crate::program::{expect, orgwatch, stderr, stdout};

const REGISTRY: &str = "[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"\n";

/// An org, a lake, and a rule that is asked after each fetch.
struct Watch {
    org: FakeSf,
    dir: tempfile::TempDir,
    rule: &'static str,
}

impl Watch {
    fn new(scenario: Scenario, rule: &'static str) -> Self {
        let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
        configure(dir.path(), &org, CLIENT_ID);
        let config = dir.path().join("orgwatch.toml");
        let text = fs::read_to_string(&config).unwrap();
        let text = format!("{text}\n[registry]\nfile = \"registry.toml\"\n");
        fs::write(&config, text).unwrap();
        fs::write(dir.path().join("registry.toml"), REGISTRY).unwrap();
        Self { org, dir, rule }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A fetch at the org's time, and the rule's judgement of all that is there.
    fn night(&self) -> String {
        let now = self.org.clock().now().to_rfc3339();
        let fetched = orgwatch(self.path(), &["fetch", "--now", &now]);
        assert_eq!(fetched.status.code(), Some(0), "{}", stderr(&fetched));
        let ask = ["detect", "--rule", self.rule, "--now", &now];
        let judged = orgwatch(self.path(), &ask);
        stdout(&judged) + &stderr(&judged)
    }

    /// Its findings, those that have ended too.
    fn findings(&self) -> Vec<Value> {
        let list = ["findings", "list", "--format", "jsonl"];
        let found = expect(0, orgwatch(self.path(), &list));
        let all = found
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        all.filter(|finding: &Value| finding["rule_id"] == self.rule)
            .collect()
    }
}

/// An org with the files of these days alone, each made at its hour.
fn with_days(days: impl Iterator<Item = u32>) -> Watch {
    let no_files = Scenario::org().set(|state| state.log_files.clear());
    let watch = Watch::new(no_files, "missing-log-file");
    days.for_each(|day| add_day(&watch, day, TimeDelta::zero(), 20));
    watch
}

fn add_day(watch: &Watch, day: u32, late: TimeDelta, rows: u64) {
    watch.org.with(|state| {
        let start = time(&format!("2026-01-{day:02}T00:00:00Z"));
        let body = generated(state, "Login", start, rows);
        let made = start + TimeDelta::hours(26) + late;
        state.add_log_file("Login", start, 0, made, body);
    });
}

// F58
#[test]
fn a_day_whose_file_the_org_never_made_is_a_gap_until_it_comes() {
    let watch = with_days((3..=29).filter(|day| *day != 27));
    let said = watch.night();
    let found = watch.findings();
    assert_eq!(found.len(), 1, "{found:?}\n{said}");
    assert_eq!(found[0]["status"], "new");
    let evidence = &found[0]["evidence"];
    assert_eq!(evidence["event_type"], "Login");
    assert_eq!(evidence["missing_slots"], json!(["2026-01-27"]));

    watch.org.clock().advance(TimeDelta::hours(24));
    add_day(&watch, 27, TimeDelta::days(3), 20);
    add_day(&watch, 30, TimeDelta::zero(), 20);
    let said = watch.night();
    let found = watch.findings();
    assert_eq!(found.len(), 1, "{found:?}\n{said}");
    assert_eq!(found[0]["status"], "resolved", "{said}");
}

// F59
#[test]
fn a_day_whose_file_has_no_events_is_there_and_no_gap() {
    let watch = with_days((3..=29).filter(|day| *day != 27));
    add_day(&watch, 27, TimeDelta::zero(), 0);
    let said = watch.night();
    assert_eq!(watch.findings(), Vec::<Value>::new(), "{said}");
    let sql = |query: &str| {
        let ask = ["sql", "--format", "csv", query];
        expect(0, orgwatch(watch.path(), &ask))
    };
    let states = "SELECT state, count(*) AS n FROM org_log_files GROUP BY 1";
    assert_eq!(sql(states), "state,n\r\ningested,27\r\n");
    let empty = "SELECT state, rows_read FROM files
         WHERE name LIKE '%EventLogFile_Login_daily_2026-01-27%'";
    assert_eq!(sql(empty), "state,rows_read\r\ningested,0\r\n");
    let asked = watch.org.asked("/LogFile");
    let said = watch.night();
    assert_eq!(watch.org.asked("/LogFile"), asked, "{said}");
}

/// An org whose audit trail is silent, after a first and an equal second night.
fn after_calm_nights() -> Watch {
    let quiet = Scenario::org().set(|state| {
        state.rows.remove("SetupAuditTrail");
    });
    let watch = Watch::new(quiet, "privilege-change-on-integration-user");
    watch.night();
    next_night(&watch);
    assert_eq!(watch.findings(), Vec::<Value>::new());
    watch
}

fn next_night(watch: &Watch) -> String {
    watch.org.clock().advance(TimeDelta::hours(24));
    watch.night()
}

/// What the one finding, about this user, says that changed.
fn changed(watch: &Watch) -> Vec<String> {
    let found = watch.findings();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["username"], "erp@example.com");
    let changed = found[0]["evidence"]["changed"].as_array().unwrap();
    changed
        .iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect()
}

// F74
#[test]
fn a_permission_set_that_a_machine_is_given_overnight_is_told() {
    let watch = after_calm_nights();
    watch.org.with(|state| {
        let mut set = Value::Object(state.rows["PermissionSet"][2].fields.clone());
        let id = ids::id("0PS", 9);
        set["Id"] = json!(id);
        set["Name"] = json!("Export");
        set["Label"] = json!("Export");
        set["Type"] = json!("Regular");
        set["IsOwnedByProfile"] = json!(false);
        set["IsCustom"] = json!(true);
        set["ProfileId"] = Value::Null;
        set["Profile.Name"] = Value::Null;
        set["PermissionsViewAllData"] = json!(true);
        state.add_rows("PermissionSet", [set]);
        let mut held = Value::Object(state.rows["PermissionSetAssignment"][2].fields.clone());
        held["Id"] = json!(ids::id("0Pa", 9));
        held["PermissionSetId"] = json!(id);
        state.add_rows("PermissionSetAssignment", [held]);
    });
    next_night(&watch);
    let changed = changed(&watch);
    assert_eq!(
        changed,
        [
            "permission ViewAllData added",
            "permission set Export added"
        ]
    );
}

// F74
#[test]
fn a_profile_of_a_machine_that_is_given_a_permission_overnight_is_told() {
    let watch = after_calm_nights();
    watch.org.with(|state| {
        for object in ["Profile", "PermissionSet"] {
            let profile = &mut state.rows.get_mut(object).unwrap()[2].fields;
            profile["PermissionsModifyAllData"] = json!(true);
        }
    });
    next_night(&watch);
    assert_eq!(changed(&watch), ["permission ModifyAllData added"]);
}

// F74
#[test]
fn the_hidden_set_of_a_profile_comes_with_the_profile_and_is_no_change_of_its_own() {
    let watch = after_calm_nights();
    // Nobody can assign it. It moves alone where the profile changes between two lists of a night.
    watch.org.with(|state| {
        let held = &mut state.rows.get_mut("PermissionSetAssignment").unwrap()[2].fields;
        assert_eq!(held["PermissionSetId"], json!(ids::id("0PS", 3)));
        held["PermissionSetId"] = json!(ids::id("0PS", 2));
    });
    let said = next_night(&watch);
    assert_eq!(watch.findings(), Vec::<Value>::new(), "{said}");
    watch.org.with(|state| {
        let erp = &mut state.rows.get_mut("User").unwrap()[2].fields;
        erp["ProfileId"] = json!(ids::id("00e", 2));
        erp["Profile.Name"] = json!("System Administrator");
    });
    next_night(&watch);
    let changed = changed(&watch);
    assert!(
        changed.contains(&"profile API Base erp -> System Administrator".to_owned()),
        "{changed:?}"
    );
    assert!(
        !changed.iter().any(|it| it.starts_with("permission set ")),
        "{changed:?}"
    );
}

// F74
#[test]
fn a_roster_that_differs_from_the_night_before_is_told_and_the_same_one_is_not() {
    let watch = after_calm_nights();
    watch.org.with(|state| {
        let users = state.rows.get_mut("User").unwrap();
        let erp = &mut users[2].fields;
        assert_eq!(erp["Username"], "erp@example.com");
        erp["ProfileId"] = json!(ids::id("00e", 2));
        erp["Profile.Name"] = json!("System Administrator");
    });
    next_night(&watch);
    assert!(!changed(&watch).is_empty());
}

// F70
#[test]
fn a_rule_whose_data_set_is_denied_says_so_and_finds_nothing_silently() {
    let denied = Scenario::org().without("ViewSetup");
    let watch = Watch::new(denied, "app-policy-weak");
    let said = watch.night();
    assert!(said.contains("app-policy-weak"), "{said}");
    assert!(
        said.contains("never had input") || said.contains("blind"),
        "{said}"
    );
}
