//! The workbench: rules are made, tested, linted, judged over the past and accounted for.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{expect, orgwatch, stderr};

const LOGINS: &str = r#""EVENT_TYPE","TIMESTAMP_DERIVED","USER_ID","USER_NAME","LOGIN_TYPE","LOGIN_SUB_TYPE","LOGIN_STATUS","SOURCE_IP"
"Login","2026-01-13T10:00:00.000Z","005000000000001AAA","int_erp@example.com","A","UsernamePasswordUiLogin","LOGIN_NO_ERROR","198.51.100.3"
"Login","2026-01-14T10:00:00.000Z","005000000000001AAA","int_erp@example.com","i","","LOGIN_ERROR_INVALID_PASSWORD","192.0.2.66"
"Login","2026-01-14T10:01:00.000Z","005000000000001AAA","int_erp@example.com","i","","LOGIN_ERROR_INVALID_PASSWORD","192.0.2.66"
"Login","2026-01-14T10:02:00.000Z","005000000000001AAA","int_erp@example.com","i","","LOGIN_ERROR_INVALID_PASSWORD","192.0.2.66"
"Login","2026-01-20T23:59:59.999Z","005000000000001AAA","int_erp@example.com","A","UsernamePasswordUiLogin","LOGIN_NO_ERROR","192.0.2.66"
"#;

const SETTINGS: &str = r#"
[store]
data_dir = "data"
[registry]
file = "registry.toml"
[detect]
fail_on = "never"
"#;

const REGISTRY: &str = r#"
[[user]]
username = "int_erp@example.com"
id = "005000000000001AAA"
role = "integration"
networks = ["198.51.100.0/28"]
"#;

/// A folder with settings, a registry and a lake of eight days.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    fs::write(dir.join("orgwatch.toml"), SETTINGS).unwrap();
    fs::write(dir.join("registry.toml"), REGISTRY).unwrap();
    fs::write(dir.join("Login.csv"), LOGINS).unwrap();
    expect(0, orgwatch(dir, &["ingest", "Login.csv"]));
    let asked = ["detect", "--rule", "integration-ui-login", "--now", NOW];
    expect(0, orgwatch(dir, &asked));
    folder
}

const NOW: &str = "2026-01-21T03:00:00Z";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn ids(findings: &Value) -> Vec<String> {
    let list = findings.as_array().unwrap();
    let mut ids: Vec<String> = list
        .iter()
        .map(|f| f["finding_id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

fn new_rule(dir: &Path) {
    expect(0, orgwatch(dir, &["rules", "new", "own", "--dir", "rules"]));
}

#[test]
fn a_new_rule_passes_lint_and_its_cases_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    new_rule(dir);
    for command in ["test", "lint"] {
        let line = ["rules", command, "--rules-dir", "rules", "own"];
        expect(0, orgwatch(dir, &line));
    }
    let text = fs::read_to_string(dir.join("rules/own.sql")).unwrap();
    fs::write(dir.join("rules/own.sql"), text.clone() + "-- mine\n").unwrap();
    let again = orgwatch(dir, &["rules", "new", "own", "--dir", "rules"]);
    assert!(stderr(&again).contains("own.sql` exists already"));
    expect(2, again);
    fs::remove_file(dir.join("rules/own.sql")).unwrap();
    expect(2, orgwatch(dir, &["rules", "new", "own", "--dir", "rules"]));
    assert!(!dir.join("rules/own.sql").exists());
    for id in ["../own", "Own", "integration-ui-login"] {
        expect(2, orgwatch(dir, &["rules", "new", id, "--dir", "rules"]));
    }
}

#[test]
fn a_failing_case_shows_its_differences_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    new_rule(dir);
    let path = dir.join("rules/own.cases.toml");
    let cases = fs::read_to_string(&path).unwrap();
    let failing = cases.replacen("count = 5", "count = 6", 1).replacen(
        "Five failures",
        "Five <&\\\"> failures",
        1,
    );
    fs::write(&path, failing).unwrap();
    let run = |format: &str| {
        let line = [
            "rules",
            "test",
            "--rules-dir",
            "rules",
            "own",
            "--format",
            format,
            "-v",
        ];
        orgwatch(dir, &line)
    };
    let told = run("table");
    let said = stderr(&told);
    assert!(
        said.contains("count 5 instead of 6") && said.contains("slowest:"),
        "{said}"
    );
    expect(3, told);
    let results = json(&expect(3, run("json")));
    assert_eq!(results.as_array().unwrap().len(), 4);
    assert_eq!(results[0]["result"], "FAILED");
    assert!(
        results[0]["differences"]
            .as_str()
            .unwrap()
            .contains("count 5 instead of 6")
    );
    assert!(results[1]["differences"].is_null());
    let xml = expect(3, run("junit"));
    assert!(
        xml.contains("<testsuite name=\"own\" tests=\"4\" failures=\"1\""),
        "{xml}"
    );
    assert!(
        xml.contains("name=\"Five &lt;&amp;&quot;&gt; failures"),
        "{xml}"
    );
    expect(2, orgwatch(dir, &["rules", "list", "--format", "junit"]));
}

#[test]
fn settings_neither_break_the_cases_of_a_rule_nor_hide_that_it_was_silenced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    new_rule(dir);
    let config = |suppress: &str| {
        let text = format!(
            "[detect]\nrules_dir = \"rules\"\n[rules.\"own\"]\nstatus = \"off\"\nparams = {{ least_failures = 50 }}\n{suppress}"
        );
        fs::write(dir.join("orgwatch.toml"), text).unwrap();
    };
    let entry = |condition: &str| {
        let reason = "reason = \"r\"\nowner = \"o@example.com\"\nuntil = 2026-02-01\n";
        format!("[[suppress]]\nrule = \"own\"\n{condition}\n{reason}")
    };
    let lint = || orgwatch(dir, &["rules", "lint", "own", "--now", NOW]);
    config("");
    expect(0, orgwatch(dir, &["rules", "test", "own"]));
    expect(0, lint());
    config(&entry(
        "user = \"int_erp@example.com\"\nwhere = { network = \"198.51.100.0/24\" }",
    ));
    expect(0, lint());
    config(&entry("where = { network = \"192.0.2.0/24\" }"));
    let silenced = lint();
    assert!(
        stderr(&silenced).contains("hides all that the positive case"),
        "{}",
        stderr(&silenced)
    );
    expect(2, silenced);
}

#[test]
fn a_backtest_finds_what_the_nights_found_and_writes_nothing() {
    let folder = folder();
    let dir = folder.path();
    let listed = json(&expect(
        0,
        orgwatch(dir, &["findings", "list", "--format", "json"]),
    ));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let before = fs::read(dir.join("data/ledger.sqlite")).unwrap();
    let line = [
        "rules",
        "backtest",
        "integration-ui-login",
        "--since",
        "2026-01-10",
        "--now",
        NOW,
        "--format",
        "json",
    ];
    let past = json(&expect(0, orgwatch(dir, &line)));
    assert_eq!(ids(&past["findings"]), ids(&listed));
    assert_eq!(
        (&past["nights"], &past["until"]),
        (&3.into(), &"2026-01-20".into())
    );
    assert_eq!(past["rules"][0]["severity"], "critical");
    assert_eq!(past["rules"][1]["weeks"]["2026-01-12"], 1);
    assert_eq!(past["subjects"][0]["alerts"], 2);
    assert_eq!(fs::read(dir.join("data/ledger.sqlite")).unwrap(), before);
}

#[test]
fn a_backtest_shows_what_another_parameter_would_do() {
    let folder = folder();
    let dir = folder.path();
    new_rule(dir);
    let run = |format: &str, param: &str| {
        let line = [
            "rules",
            "backtest",
            "--rules-dir",
            "rules",
            "--since",
            "2026-01-10",
            "--now",
            NOW,
            "--param",
            param,
            "--format",
            format,
        ];
        orgwatch(dir, &line)
    };
    let past = json(&expect(0, run("json", "own.least_failures=3")));
    assert_eq!(past["rules"].as_array().unwrap().len(), 1);
    assert_eq!(past["rules"][0]["alerts"], 0);
    assert_eq!(
        (
            &past["compared"][0]["before"],
            &past["compared"][0]["after"]
        ),
        (&0.into(), &1.into())
    );
    assert_eq!(past["changes"][0]["change"], "new");
    let page = expect(0, run("markdown", "own.least_failures=3"));
    assert!(
        page.contains("## What changes") && page.contains("| new |"),
        "{page}"
    );
    assert!(expect(0, run("table", "own.least_failures=3")).contains("Before and after"));
    for wrong in [
        "own.least=3",
        "least_failures=3",
        "none.x=1",
        "own.least_failures=many",
    ] {
        expect(2, run("json", wrong));
    }
}

#[test]
fn coverage_names_every_statement_and_what_its_rules_lack() {
    let folder = folder();
    let dir = folder.path();
    let table = json(&expect(
        0,
        orgwatch(
            dir,
            &["rules", "coverage", "--format", "json", "--now", NOW],
        ),
    ));
    let of = |id: &str| {
        let rows = table.as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap().clone()
    };
    assert_eq!(of("S0.17")["state"], "enforced");
    assert_eq!(of("S0.26")["state"], "no input");
    assert!(
        of("S0.26")["lacks"]
            .as_str()
            .unwrap()
            .contains("never had input")
    );
    assert_eq!(of("S2.9")["state"], "noted");
    let page = expect(
        0,
        orgwatch(dir, &["rules", "coverage", "--format", "markdown"]),
    );
    assert!(page.starts_with("| id | statement |"), "{page}");
}

#[test]
fn a_rule_is_asked_by_hand_with_its_defaults_and_with_other_values() {
    let folder = folder();
    let dir = folder.path();
    new_rule(dir);
    let rows = |more: &[&str]| {
        let line = [&["sql", "--format", "json", "--now", NOW], more].concat();
        json(&expect(0, orgwatch(dir, &line)))
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(rows(&["--rule", "integration-ui-login"]), 1);
    let from = "window_start=2026-01-10";
    assert_eq!(
        rows(&["--rule", "integration-ui-login", "--param", from]),
        2
    );
    let file = ["--file", "rules/own.sql", "--param", from];
    assert_eq!(rows(&file), 0);
    assert_eq!(
        rows(&[&file[..], &["--param", "least_failures=3"]].concat()),
        1
    );
    let plain = "SELECT * FROM logins WHERE username = $who AND ip = $ip";
    let who = [
        "--param",
        "who=int_erp@example.com",
        "--param",
        "ip=192.0.2.66",
    ];
    assert_eq!(rows(&[&who[..], &[plain]].concat()), 4);
    let hostile = ["--param", "who=x' OR '1'='1", "--param", "ip=192.0.2.66"];
    assert_eq!(rows(&[&hostile[..], &[plain]].concat()), 0);
    for wrong in [
        &["--param", "whom=x", plain][..],
        &["--param", "who=x", plain],
        &[
            "--rule",
            "integration-ui-login",
            "--param",
            "window_start=soon",
        ],
        &["--rule", "integration-ui-login", "--param", "nothing=1"],
        &["--rule", "integration-ui-logins"],
    ] {
        expect(2, orgwatch(dir, &[&["sql"], wrong].concat()));
    }
}

#[test]
fn every_command_of_the_page_about_queries_works() {
    let folder = folder();
    let dir = folder.path();
    let page = include_str!("../../queries/README.md");
    let mut tried = 0;
    for line in page.lines().filter(|line| line.starts_with("orgwatch ")) {
        let mut words = vec![];
        for (n, piece) in line.split('\'').enumerate() {
            match n % 2 {
                0 => words.extend(piece.split_whitespace()),
                _ => words.push(piece),
            }
        }
        expect(0, orgwatch(dir, &words[1..]));
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}
