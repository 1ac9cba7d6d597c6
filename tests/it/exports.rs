//! What leaves the program as findings is what other tools read: each format after its published
//! rules, and nothing in it acts on whoever opens it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::findings_lake::{HOSTILE, make};
use crate::other_tools::{call, python};
use crate::program::{expect, orgwatch, stderr};
use crate::sample::WholeNight;

fn export(dir: &Path, format: &str) -> String {
    let arguments = ["findings", "list", "--format", format];
    expect(0, orgwatch(dir, &arguments))
}

fn lake() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    dir
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What is wrong with each document, by a validator that knows nothing of orgwatch.
fn faults(schema: &str, documents: &[Value]) -> Vec<Option<String>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("documents.jsonl");
    let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let mut check = Command::new(python());
    check.arg(tests.join("check_schema.py"));
    check.arg(tests.join("it/schemas").join(schema)).arg(file);
    serde_json::from_str(&call(&mut check)).unwrap()
}

fn check(schema: &str, documents: &[Value]) {
    let faults = faults(schema, documents);
    assert_eq!(faults.len(), documents.len());
    for (fault, document) in faults.iter().zip(documents) {
        assert!(fault.is_none(), "{fault:?} in {document:#}");
    }
}

const OCSF: &str = "ocsf-1.8.0-detection-finding.json";
const SARIF: &str = "sarif-2.1.0-log.json";

#[test]
fn every_line_of_ocsf_is_a_detection_finding_as_the_schema_has_it() {
    let dir = lake();
    let crafted = lines(&export(dir.path(), "ocsf"));
    assert_eq!(crafted.len(), 8);
    let night = lines(&export(&WholeNight::get().dir, "ocsf"));
    assert!(night.len() > 80);
    let all = [crafted.clone(), night].concat();
    check(OCSF, &all);
    for event in &all {
        let activity = event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], 200_400 + activity);
    }
    // The schema refuses what it should.
    let wrong = [
        ("severity_id", Value::from(9)),
        ("type_uid", Value::from(200_499)),
        ("finding_info", Value::from("x")),
        ("evil", Value::from(1)),
    ];
    let wrong = wrong.map(|(key, value)| {
        let mut event = crafted[0].clone();
        event[key] = value;
        event
    });
    assert!(faults(OCSF, &wrong).iter().all(Option::is_some));
}

#[test]
fn ocsf_tells_the_life_of_a_finding_under_one_id() {
    let dir = lake();
    let events = lines(&export(dir.path(), "ocsf"));
    let by_number: BTreeMap<u64, &Value> = events
        .iter()
        .map(|event| {
            let uid = event["finding_info"]["uid"].as_str().unwrap();
            (u64::from_str_radix(uid, 16).unwrap() & 0xff, event)
        })
        .collect();
    let life = |n: u64| {
        let event = by_number[&n];
        ["activity_id", "status_id", "severity_id"].map(|key| event[key].as_u64().unwrap())
    };
    // Told for the first time; acknowledged; resolved; suppressed by hand and by configuration;
    // reopened.
    assert_eq!(life(1), [1, 1, 1]);
    assert_eq!(life(2), [2, 2, 2]);
    assert_eq!(life(3), [3, 4, 3]);
    assert_eq!(life(4), [2, 3, 4]);
    assert_eq!(life(5), [1, 3, 5]);
    assert_eq!(life(6), [2, 1, 4]);
    let first = by_number[&1];
    let attack = &first["finding_info"]["attacks"][0];
    assert_eq!(attack["tactic"]["name"], "Initial Access");
    assert_eq!(attack["technique"]["name"], "Valid Accounts");
    assert_eq!(attack["sub_technique"]["uid"], "T1078.004");
    let evidence = &first["evidences"][0];
    assert_eq!(evidence["src_endpoint"]["ip"], "203.0.113.7");
    assert_eq!(evidence["actor"]["user"]["type"], "Service");
    assert_eq!(evidence["data"]["n"], 1);
    assert!(first["remediation"]["desc"].as_str().unwrap().len() > 20);
}

#[test]
fn ocsf_says_what_was_usual_and_what_was_seen() {
    let night = lines(&export(&WholeNight::get().dir, "ocsf"));
    let of_habits: Vec<&Value> = night
        .iter()
        .filter(|event| event["finding_info"]["analytic"]["type_id"] == 3)
        .collect();
    assert!(!of_habits.is_empty());
    for event in of_habits {
        let analysis = &event["anomaly_analyses"][0];
        let number = |side: &str| -> f64 {
            let value = &analysis[side][0]["observations"][0]["value"];
            value.as_str().unwrap().parse().unwrap()
        };
        assert!(
            number("anomalies") > 3.0 * number("baselines"),
            "{analysis:#}"
        );
    }
    // Without a series there are the words of the finding.
    let dir = lake();
    let events = lines(&export(dir.path(), "ocsf"));
    let in_words = events
        .iter()
        .find(|event| event["anomaly_analyses"].is_array())
        .unwrap();
    let anomaly = &in_words["anomaly_analyses"][0]["anomalies"][0];
    assert_eq!(anomaly["observations"][0]["value"], "4 logins");
}

#[test]
fn sarif_is_one_run_as_the_schema_has_it() {
    let dir = lake();
    for (dir, at_least) in [(dir.path(), 8), (WholeNight::get().dir.as_path(), 80)] {
        let log: Value = serde_json::from_str(&export(dir, "sarif")).unwrap();
        check(SARIF, std::slice::from_ref(&log));
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let results = run["results"].as_array().unwrap();
        assert!(results.len() >= at_least);
        for result in results {
            let place = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(rules[place]["id"], result["ruleId"]);
            assert!(result["partialFingerprints"]["dedupe"].is_string());
        }
        let mut wrong = log.clone();
        wrong["runs"][0]["results"][0]["level"] = Value::from("bad");
        assert!(faults(SARIF, &[wrong])[0].is_some());
    }
    let log: Value = serde_json::from_str(&export(dir.path(), "sarif")).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let hidden = results.iter().filter(|r| r["suppressions"].is_array());
    assert_eq!(hidden.count(), 2);
    let empty = ["findings", "list", "--format", "sarif", "--rule", "none"];
    let log: Value = serde_json::from_str(&expect(0, orgwatch(dir.path(), &empty))).unwrap();
    check(SARIF, &[log]);
}

/// Characters that would act on a terminal, hide, or turn the direction of a text.
pub fn acting(text: &str) -> Vec<char> {
    text.chars()
        .filter(|c| {
            (c.is_control() && !matches!(c, '\n' | '\r')) || ('\u{202a}'..='\u{202e}').contains(c)
        })
        .collect()
}

#[test]
fn what_an_attacker_wrote_is_text_in_every_format() {
    let dir = lake();
    for format in ["table", "markdown", "json", "jsonl", "ocsf", "sarif"] {
        let text = export(dir.path(), format);
        assert_eq!(acting(&text), Vec::<char>::new(), "{format}");
    }
    // The value is whole where the format can carry it.
    let found = lines(&export(dir.path(), "jsonl"));
    let whole = |value: &Value| value == HOSTILE;
    assert_eq!(found.iter().filter(|f| whole(&f["username"])).count(), 1);
    let events = lines(&export(dir.path(), "ocsf"));
    let users = events
        .iter()
        .map(|e| &e["evidences"][0]["actor"]["user"]["name"]);
    assert_eq!(users.filter(|name| whole(name)).count(), 1);

    let log: Value = serde_json::from_str(&export(dir.path(), "sarif")).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let hostile = |r: &&Value| whole(&r["properties"]["username"]);
    let message = &results.iter().find(hostile).unwrap()["message"];
    let message = message["text"].as_str().unwrap();
    assert!(
        message.contains(r"\[a\](javascript") && message.contains("{{0}}"),
        "{message}"
    );

    let mut csv = csv::ReaderBuilder::new()
        .from_reader(export(dir.path(), "csv").into_bytes().leak() as &[u8]);
    let mut cells = 0;
    for record in csv.records() {
        for cell in record.unwrap().iter() {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
                "{cell:?}"
            );
            cells += usize::from(cell == format!("'{HOSTILE}"));
        }
    }
    assert!(cells >= 3, "{cells}");

    let markdown = export(dir.path(), "markdown");
    let walls = |line: &str| {
        let escaped = line.matches("\\|").count();
        line.matches('|').count() - escaped
    };
    let rows: Vec<usize> = markdown.lines().map(walls).collect();
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|n| *n == rows[0]), "{rows:?}");
    assert!(!markdown.contains("<b>") && !markdown.contains("](javascript"));
}

#[test]
fn duckdb_reads_the_findings_of_every_format_that_it_knows() {
    let dir = lake();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_findings_with_duckdb.py");
    for (format, file, type_of_time) in [
        ("csv", "f.csv", "VARCHAR"),
        ("parquet", "f.parquet", "TIMESTAMP WITH TIME ZONE"),
        ("jsonl", "f.jsonl", "TIMESTAMP WITH TIME ZONE"),
    ] {
        let arguments = ["findings", "list", "--format", format, "--output", file];
        expect(0, orgwatch(dir.path(), &arguments));
        let read = call(
            Command::new(python())
                .arg(&script)
                .arg(dir.path().join(file)),
        );
        let rows: Vec<Vec<Value>> = serde_json::from_str(&read).unwrap();
        assert_eq!(rows.len(), 8, "{format}");
        for row in &rows {
            assert_eq!(
                (row[3].as_str(), row[4].as_str()),
                (Some("4"), Some(type_of_time))
            );
        }
        let guard = if format == "csv" { "'" } else { "" };
        assert_eq!(rows[6][1], format!("{guard}{HOSTILE}"), "{format}");
    }
}

#[test]
fn an_export_appears_whole_or_not_at_all() {
    let dir = lake();
    let to = |file: &str| {
        orgwatch(
            dir.path(),
            &["findings", "list", "--format", "ocsf", "-o", file],
        )
    };
    expect(0, to("findings.jsonl"));
    let before = fs::read(dir.path().join("findings.jsonl")).unwrap();
    assert_eq!(before.iter().filter(|b| **b == b'\n').count(), 8);
    fs::create_dir(dir.path().join("folder")).unwrap();
    expect(2, to("folder"));
    expect(2, to("nowhere/findings.jsonl"));
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn other_commands_say_that_these_formats_are_of_findings() {
    let dir = lake();
    for format in ["ocsf", "sarif"] {
        let refused = orgwatch(dir.path(), &["sql", "--format", format, "SELECT 1 AS n"]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            stderr(&refused).contains("only findings"),
            "{}",
            stderr(&refused)
        );
    }
}
