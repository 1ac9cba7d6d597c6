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

// F58
#[test]
fn a_day_whose_file_the_org_never_made_is_a_gap_until_it_comes() {
    let add = |watch: &Watch, day: u32, late: TimeDelta| {
        watch.org.with(|state| {
            let start = time(&format!("2026-01-{day:02}T00:00:00Z"));
            let body = generated(state, "Login", start, 20);
            let made = start + TimeDelta::hours(26) + late;
            state.add_log_file("Login", start, 0, made, body);
        });
    };
    let watch = Watch::new(
        Scenario::org().set(|state| state.log_files.clear()),
        "missing-log-file",
    );
    for day in (3..=29).filter(|day| *day != 27) {
        add(&watch, day, TimeDelta::zero());
    }
    let said = watch.night();
    let found = watch.findings();
    assert_eq!(found.len(), 1, "{found:?}\n{said}");
    assert_eq!(found[0]["status"], "new");
    let evidence = &found[0]["evidence"];
    assert_eq!(evidence["event_type"], "Login");
    assert_eq!(evidence["missing_slots"], json!(["2026-01-27"]));

    watch.org.clock().advance(TimeDelta::hours(24));
    add(&watch, 27, TimeDelta::days(3));
    add(&watch, 30, TimeDelta::zero());
    let said = watch.night();
    let found = watch.findings();
    assert_eq!(found.len(), 1, "{found:?}\n{said}");
    assert_eq!(found[0]["status"], "resolved", "{said}");
}

// F74
#[test]
fn a_roster_that_differs_from_the_night_before_is_told_and_the_same_one_is_not() {
    let rule = "privilege-change-on-integration-user";
    let quiet = Scenario::org().set(|state| {
        state.rows.remove("SetupAuditTrail");
    });
    let watch = Watch::new(quiet, rule);
    watch.night();
    watch.org.clock().advance(TimeDelta::hours(24));
    let said = watch.night();
    assert_eq!(watch.findings(), Vec::<Value>::new(), "{said}");

    watch.org.with(|state| {
        let users = state.rows.get_mut("User").unwrap();
        let erp = &mut users[2].fields;
        assert_eq!(erp["Username"], "erp@example.com");
        erp["ProfileId"] = json!(ids::id("00e", 2));
        erp["Profile.Name"] = json!("System Administrator");
    });
    watch.org.clock().advance(TimeDelta::hours(24));
    let said = watch.night();
    let found = watch.findings();
    assert_eq!(found.len(), 1, "{found:?}\n{said}");
    assert_eq!(found[0]["username"], "erp@example.com");
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
