//! The rules that come with orgwatch: each is well made and does what its cases say.

use std::sync::Arc;

use orgwatch::catalog::Catalog;
use orgwatch::detect::{CaseResult, CaseRunner, Rule, RuleSet, lint};
use orgwatch::engine::{EngineOptions, Session};
use orgwatch::lake::Lake;
use orgwatch::registry::Registry;
use orgwatch::rollup;

fn run_cases<'r>(rules: &RuleSet, of: impl IntoIterator<Item = &'r Rule>) -> Vec<CaseResult> {
    let catalog = Arc::new(Catalog::embedded());
    let runner = CaseRunner {
        catalog: &catalog,
        rules,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        refresh_rollups: &rollup::of_cases(&catalog),
    };
    runner.run(of).unwrap()
}

#[test]
fn every_case_of_every_rule_passes() {
    let rules = RuleSet::embedded().unwrap();
    let results = run_cases(&rules, rules.iter());
    let failed: Vec<String> = results
        .iter()
        .filter(|result| !result.passed())
        .map(|r| {
            format!(
                "{}:{} {}\n    {}",
                r.file,
                r.line,
                r.name,
                r.differences.join("\n    ")
            )
        })
        .collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases fail\n{}",
        failed.len(),
        results.len(),
        failed.join("\n")
    );
}

#[test]
fn every_rule_passes_lint() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open_scratch(&folder.path().join("data")).unwrap();
    let catalog = Arc::new(Catalog::embedded());
    let options = EngineOptions {
        memory_bytes: 256 << 20,
        threads: 1,
        temp_dir: folder.path().join("spill"),
    };
    let session = Session::open(&lake, &catalog, &Registry::empty(), &options).unwrap();
    let rules = RuleSet::embedded().unwrap();
    let faults: Vec<String> = rules
        .iter()
        .flat_map(|rule| lint(rule, &session, &catalog))
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const RULE: &str = r#"/*
id = "own-rule"
title = "A rule of the operator's own"
family = "misuse"
severity = "low"
status = "off"
version = 1
control = ["S0.17"]
attack = ["T1078.004"]
description = "Fires on every UI login of an integration"
false_positives = "None"
response = "Ask"
references = []
inputs = ["Login | LoginHistory"]
dedupe = ["user_key"]
[params.paths]
type = "text_list"
default = ["ui_password"]
meaning = "login paths that count"
*/
SELECT occurred_at, user_key, user_id, username, role, ip, login_path
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
  AND role = 'integration' AND array_has($paths, login_path)
ORDER BY occurred_at, user_key
"#;

const CASES: &str = r#"
[defaults]
now = 2026-01-16T03:00:00Z
registry = "cast"
[[case]]
name = "three logins are one finding"
kind = "positive"
[[case.file]]
event = "Login"
repeat = 3
step_seconds = 60
rows = [ { TIMESTAMP_DERIVED = "2026-01-15T10:00:00.000Z", USER_ID = "005000000000001AAA", LOGIN_TYPE = "A", LOGIN_SUB_TYPE = "UsernamePasswordUiLogin", LOGIN_STATUS = "LOGIN_NO_ERROR", SOURCE_IP = "198.51.100.3" } ]
[[case.expect]]
user = "int_erp@example.com"
severity = "low"
count = 3
user_kind = "integration"
first_seen = 2026-01-15T10:00:00Z
last_seen = 2026-01-15T10:02:00Z
evidence = { ip = "198.51.100.3" }
[[case]]
name = "a parameter of the case is in force"
kind = "negative"
params = { paths = [] }
[[case.file]]
event = "Login"
rows = [ { TIMESTAMP_DERIVED = "2026-01-15T10:00:00.000Z", USER_ID = "005000000000001AAA", LOGIN_TYPE = "A", LOGIN_SUB_TYPE = "UsernamePasswordUiLogin", LOGIN_STATUS = "LOGIN_NO_ERROR", SOURCE_IP = "198.51.100.3" } ]
[[case]]
name = "raw CSV text"
kind = "negative"
[[case.file]]
event = "Login"
raw = """"EVENT_TYPE","TIMESTAMP_DERIVED","USER_ID","LOGIN_TYPE","LOGIN_STATUS"
"Login","2026-01-15T10:00:00.000Z","005000000000999AAA","A","LOGIN_NO_ERROR"
"Login","no time","005000000000999AAA","A","LOGIN_NO_ERROR"
"""
"#;

fn own_rules(cases: &str) -> Vec<CaseResult> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own-rule.sql"), RULE).unwrap();
    std::fs::write(folder.path().join("own-rule.cases.toml"), cases).unwrap();
    let all = RuleSet::embedded()
        .unwrap()
        .with_dir(folder.path())
        .unwrap();
    run_cases(&all, all.get("own-rule"))
}

#[test]
fn the_cases_of_an_operators_own_rule_run_even_while_it_is_off() {
    let results = own_rules(CASES);
    assert_eq!(results.len(), 3);
    for result in results {
        assert_eq!(result.differences, Vec::<String>::new(), "{}", result.name);
    }
}

#[test]
fn a_case_also_runs_the_other_rules_that_it_names() {
    let named = |rule: &str, severity: &str| {
        let more = format!(
            "[[case.expect]]\nrule = \"{rule}\"\nseverity = \"{severity}\"\n[[case]]\nname = \"a parameter"
        );
        let cases = CASES.replacen("[[case]]\nname = \"a parameter", &more, 1);
        own_rules(&cases).swap_remove(0).differences.join("\n")
    };
    assert_eq!(named("integration-ui-login", "high"), "");
    assert!(named("integration-ui-login", "info").starts_with("integration-ui-login: "));
    assert!(named("guest-api-traffic", "high").starts_with("guest-api-traffic: "));
    assert!(
        named("integration-ui-logins", "high").contains("did you mean `integration-ui-login`?")
    );
}

#[test]
fn a_case_that_proves_nothing_fails() {
    let differs = |from: &str, to: &str| {
        let cases = CASES.replacen(from, to, 1);
        assert_ne!(cases, CASES);
        own_rules(&cases)
            .into_iter()
            .flat_map(|result| result.differences)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(differs("count = 3", "count = 2").contains("count 3 instead of 2"));
    assert!(differs("params = { paths = [] }", "").contains("0 findings expected, 1 came"));
    assert!(differs("params = { paths = [] }", "params = { path = [] }").contains("no parameter"));
    // A slip in a cell or in the event's name must not make a negative case quiet.
    let negative = "params = { paths = [] }\n[[case.file]]\nevent = \"Login\"\nrows = [ { TIMESTAMP_DERIVED = \"2026-01-15T10:00:00.000Z\"";
    let slip = negative.replace("2026-01-15T10", "2026-13-15T10");
    assert!(differs(negative, &slip).contains("quarantine"));
    let other = negative.replace("\"Login\"", "\"Logout\"");
    assert!(differs(negative, &other).contains("never had input"));
    assert!(differs("registry = \"cast\"", "registry = \"caste\"").contains("caste.registry.toml"));
}
