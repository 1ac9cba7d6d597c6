//! The job as those see it who watch it from outside: its log, its metrics, its exit code.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::logs::{Org, login, login_file};
use crate::other_tools::{call, python};
use crate::program::{command, expect, orgwatch, stderr};

const NOW: &str = "2026-01-16T03:00:00Z";
const CONFIG: &str = "[store]\ndata_dir = \"data\"\n[limits]\nquarantine_ratio = 0.9\n[registry]\nfile = \"registry.toml\"\n";
const REGISTRY: &str = "[[user]]\nusername = \"user1@example.com\"\nrole = \"integration\"\nflows = [\"oauth_bearer\"]\n";

/// An org whose user 1 signs in through the UI once, with a row that cannot be read.
fn org() -> Org {
    let org = Org::new();
    let mut rows: Vec<_> = (0..3).map(|minute| login(1, minute)).collect();
    rows[2].retain(|(name, _)| *name != "LOGIN_TYPE");
    rows[2].push(("LOGIN_TYPE", "A".into()));
    rows[2].push(("LOGIN_SUB_TYPE", "UsernamePasswordUiLogin".into()));
    let text = login_file(&rows) + "\"one field\"\n";
    org.file("logs/logins.csv", text);
    org.file("orgwatch.toml", CONFIG);
    org.file("registry.toml", REGISTRY);
    org
}

/// Every line of stderr as the object that it must be.
fn records(output: &Output) -> Vec<Value> {
    let said = stderr(output);
    let read = |line: &str| -> Value {
        let plain = |c: char| !c.is_control() && c != '\u{202e}';
        assert!(line.chars().all(plain), "{line:?}");
        let record: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        for key in ["time", "level", "target", "message"] {
            assert!(record[key].is_string(), "no {key} in {line}");
        }
        let time = record["time"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
        let level = record["level"].as_str().unwrap();
        assert!(
            ["trace", "debug", "info", "warn", "error"].contains(&level),
            "{line}"
        );
        record
    };
    said.lines().map(read).collect()
}

fn with_message<'a>(records: &'a [Value], message: &str) -> Vec<&'a Value> {
    let found = records.iter().filter(|r| r["message"] == message);
    found.collect()
}

#[test]
fn a_json_log_tells_a_night_in_records_and_leaves_stdout_as_it_is() {
    let org = org();
    let refused = "logs/no\u{1b}]0;log\r\n\u{202e}.csv";
    org.file(refused, "not,a,log\n1,2,3\n");
    let night = ["run", "logs", "--now", NOW, "--log-format", "json"];
    let output = orgwatch(&org.path(""), &night);
    let summary = expect(3, output.clone());
    assert!(summary.starts_with("Run 1 at "), "{summary}");

    let told = records(&output);
    assert!(
        told.iter().all(|r| r["time"] == "2026-01-16T03:00:00.000Z"),
        "{told:?}"
    );
    let finished = with_message(&told, "run finished");
    assert_eq!(finished.len(), 1);
    let (level, fields) = (&finished[0]["level"], &finished[0]["fields"]);
    assert_eq!(level, "warn");
    assert_eq!(fields["exit_code"], 3);
    assert_eq!(fields["rows"]["read"], 4);
    assert_eq!(fields["rows"]["quarantined"], 1);
    assert_eq!(fields["files"]["rejected"], 1);
    assert!(fields["exit_reasons"][0].is_string());
    let rejected = with_message(&told, "input file rejected");
    assert_eq!(rejected.len(), 1);
    assert!(
        rejected[0]["fields"]["file"]
            .as_str()
            .unwrap()
            .contains(".csv")
    );
    assert_eq!(
        with_message(&told, "rows quarantined")[0]["fields"]["rows"],
        1
    );
    assert!(!with_message(&told, "rule never had input").is_empty());
}

#[test]
fn every_command_and_every_fault_keeps_to_json() {
    let org = org();
    let dir = org.path("");
    org.file("broken.toml", "[log]\nformat = \"json\"\n[storr]\n");
    let ingest = orgwatch(&dir, &["ingest", "logs", "--log-format=json", "-vvv"]);
    let told = records(&ingest);
    assert!(ingest.stdout.is_empty());
    assert_eq!(
        with_message(&told, "ingest finished")[0]["fields"]["rows_kept"],
        3
    );
    assert!(!with_message(&told, "reading").is_empty(), "{told:?}");

    for (code, arguments) in [
        (0, &["findings", "list"][..]),
        (0, &["sql", "SELECT 1"]),
        (0, &["rules", "coverage"]),
        (0, &["lake", "verify"]),
        (2, &["sql", "SELECT\n\u{1b}[2J nothing FROM nowhere"]),
        (2, &["run", "--config", "gone.toml"]),
        (2, &["run", "--config", "broken.toml"]),
        (2, &["run", "--no-such-flag"]),
        (2, &["ingest", "gone\u{202e}.csv"]),
    ] {
        let json = [&["--log-format", "json", "-v"], arguments].concat();
        let output = orgwatch(&dir, &json);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            stderr(&output)
        );
        let told = records(&output);
        if code == 0 {
            continue;
        }
        let last = told.last().unwrap();
        assert_eq!(last["level"], "error", "{arguments:?}");
        assert_eq!(last["fields"]["exit_code"], 2, "{arguments:?}");
        // Without asking for it: in words, as ever.
        let said = stderr(&orgwatch(&dir, arguments));
        if !arguments.contains(&"broken.toml") {
            assert!(said.starts_with("error: "), "{said}");
        }
    }
}

#[test]
fn the_form_of_the_log_follows_flag_environment_and_file_in_this_order() {
    let org = org();
    let dir = org.path("");
    let config = |format: &str| {
        org.file(
            "orgwatch.toml",
            format!("{CONFIG}[log]\nformat = \"{format}\"\n"),
        );
    };
    let call = |env: &str, arguments: &[&str]| {
        let all = [arguments, &["findings", "list"]].concat();
        command(&dir, &all)
            .env("ORGWATCH_LOG_FORMAT", env)
            .output()
            .unwrap()
    };
    let is_json = |output: Output| stderr(&output).starts_with("{\"time\":");
    expect(0, orgwatch(&dir, &["ingest", "logs"]));
    config("json");
    assert!(is_json(call("", &[])));
    assert!(!is_json(call("text", &[])));
    assert!(is_json(call("text", &["--log-format", "json"])));
    config("text");
    assert!(!is_json(call("", &[])));
    assert!(is_json(call("json", &[])));
    let refused = call("jsno", &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("did you mean `json`"),
        "{}",
        stderr(&refused)
    );
    config("yaml");
    let refused = call("", &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("orgwatch.toml:8:10"),
        "{}",
        stderr(&refused)
    );
}

/// Families by name, as Prometheus' own parser reads them: type, help, samples.
fn metrics(file: &Path) -> BTreeMap<String, Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_metrics.py");
    let read = call(Command::new(python()).arg(script).arg(file));
    let families: Vec<Value> = serde_json::from_str(&read).unwrap();
    let by_name = families
        .into_iter()
        .map(|f| (f["name"].as_str().unwrap().to_owned(), f));
    by_name.collect()
}

/// The value of the one sample with these labels.
fn value(families: &BTreeMap<String, Value>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let family = families.get(name).unwrap_or_else(|| panic!("no {name}"));
    let samples = family["samples"].as_array().unwrap().iter();
    let mut found = samples.filter(|s| labels.iter().all(|(name, value)| s[1][*name] == *value));
    let sample = found
        .next()
        .unwrap_or_else(|| panic!("no {name} {labels:?}"));
    assert!(found.next().is_none(), "two of {name} {labels:?}");
    sample[2].as_f64().unwrap()
}

const RUN: (&str, &str) = ("command", "run");
/// Seconds of 2026-01-16T03:00:00Z.
const NOW_SECONDS: f64 = 1_768_532_400.0;

#[test]
fn the_metrics_of_a_night_are_what_the_ledger_says_and_prometheus_reads_them() {
    let org = org();
    let dir = org.path("");
    org.file("logs/refused.csv", "not,a,log\n1,2,3\n");
    let night = ["run", "logs", "--now", NOW, "--metrics-file", "m.prom"];
    // Whatever the umask, node_exporter may read it.
    let mut private = Command::new("sh");
    private
        .args([
            "-c",
            "umask 077; exec \"$0\" \"$@\"",
            env!("CARGO_BIN_EXE_orgwatch"),
        ])
        .args(night)
        .env("ORGWATCH_CANARIES", "false")
        .current_dir(&dir);
    expect(3, private.output().unwrap());
    let file = dir.join("m.prom");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    let litter = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name());
    assert!(
        litter
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with(".orgwatch"))
    );

    let found = metrics(&file);
    for (name, family) in &found {
        assert!(name.starts_with("orgwatch_"), "{name}");
        assert!(!family["help"].as_str().unwrap().is_empty(), "{name}");
        let samples = family["samples"].as_array().unwrap();
        assert!(!samples.is_empty(), "{name}");
        let is_counter = family["type"] == "counter";
        let is_total = samples
            .iter()
            .all(|s| s[0].as_str().unwrap().ends_with("_total"));
        assert!(is_counter || family["type"] == "gauge", "{name}");
        assert_eq!(is_counter, is_total, "{name}");
    }
    let of = |name: &str, labels: &[(&str, &str)]| value(&found, name, labels);
    assert_eq!(of("orgwatch_last_run_exit_code", &[RUN]), 3.0);
    assert_eq!(
        of("orgwatch_last_run_timestamp_seconds", &[RUN]),
        NOW_SECONDS
    );
    assert!(of("orgwatch_last_run_duration_seconds", &[RUN]) > 0.0);
    assert!(!found.contains_key("orgwatch_last_success_timestamp_seconds"));
    for (outcome, n) in [("kept", 3.0), ("duplicate", 0.0), ("quarantined", 1.0)] {
        assert_eq!(of("orgwatch_rows", &[("outcome", outcome)]), n);
        assert_eq!(
            of("orgwatch_last_run_rows", &[RUN, ("outcome", outcome)]),
            n
        );
    }
    for (outcome, n) in [
        ("ingested", 1.0),
        ("rejected", 1.0),
        ("torn", 0.0),
        ("lost", 0.0),
    ] {
        assert_eq!(of("orgwatch_files", &[("outcome", outcome)]), n);
    }
    // 2026-01-15, the day of the logins.
    assert_eq!(
        of("orgwatch_newest_data_timestamp_seconds", &[]),
        1_768_435_200.0
    );
    assert_eq!(of("orgwatch_outbox_messages", &[("state", "sent")]), 1.0);
    assert_eq!(of("orgwatch_outbox_messages", &[("state", "pending")]), 0.0);

    let ask = |query: &str| {
        let rows = expect(0, orgwatch(&dir, &["sql", "--format", "jsonl", query]));
        let rows = rows.lines().map(|l| serde_json::from_str(l).unwrap());
        rows.collect::<Vec<Value>>()
    };
    let rows = ask("SELECT severity, status, count(*) AS n FROM findings GROUP BY 1, 2");
    assert!(!rows.is_empty());
    let mut open = 0.0;
    for row in &rows {
        let (severity, status) = (
            row["severity"].as_str().unwrap(),
            row["status"].as_str().unwrap(),
        );
        let labels = [("severity", severity), ("status", status)];
        assert_eq!(of("orgwatch_findings", &labels), row["n"].as_f64().unwrap());
        open += row["n"].as_f64().unwrap();
    }
    let sum = |name: &str| -> f64 {
        let samples = found[name]["samples"].as_array().unwrap().iter();
        samples.map(|s| s[2].as_f64().unwrap()).sum()
    };
    assert_eq!(sum("orgwatch_findings"), open);
    assert_eq!(sum("orgwatch_last_run_new_findings"), open);
    let rules = ask("SELECT status, count(*) AS n FROM rule_runs GROUP BY 1");
    for row in &rules {
        let labels = [("status", row["status"].as_str().unwrap())];
        assert_eq!(of("orgwatch_rules", &labels), row["n"].as_f64().unwrap());
    }
    assert_eq!(
        sum("orgwatch_rules"),
        found["orgwatch_rule_duration_seconds"]["samples"]
            .as_array()
            .unwrap()
            .len() as f64
    );
}

#[test]
fn a_run_that_fails_leaves_its_exit_code_and_the_time_of_the_last_success() {
    const INGEST: (&str, &str) = ("command", "ingest");
    let org = org();
    let dir = org.path("");
    let config = |more: &str| org.file("orgwatch.toml", format!("{CONFIG}{more}"));
    let watched = "[metrics]\nfile = \"m.prom\"\n";
    config(watched);
    let read = |what, now| orgwatch(&dir, &["ingest", what, "--now", now]);
    let file = dir.join("m.prom");
    // Exit code and last success.
    let left = || {
        let found = metrics(&file);
        (
            value(&found, "orgwatch_last_run_exit_code", &[INGEST]),
            value(&found, "orgwatch_last_success_timestamp_seconds", &[INGEST]),
        )
    };
    expect(0, read("logs", NOW));
    assert_eq!(left(), (0.0, NOW_SECONDS));
    // A mistake: nothing is begun, and the ledger hears nothing of it.
    let later = "2026-01-17T03:00:00Z";
    expect(2, read("gone", later));
    assert_eq!(left(), (2.0, NOW_SECONDS));
    assert_eq!(
        value(
            &metrics(&file),
            "orgwatch_last_run_timestamp_seconds",
            &[INGEST]
        ),
        NOW_SECONDS + 86_400.0
    );
    // The configuration itself is wrong.
    config(&format!("{watched}[storr]\n"));
    fs::remove_file(&file).unwrap();
    expect(2, read("logs", later));
    assert_eq!(left(), (2.0, NOW_SECONDS));
    // Another run holds the lock.
    config(watched);
    let lock = fs::File::options().write(true).open(dir.join("data/lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    expect(75, read("logs", later));
    assert_eq!(left(), (75.0, NOW_SECONDS));
    drop(lock);
    // Input is lost, so it is no success; and another command keeps what the ledger knows.
    org.file("logs/refused.csv", "not,a,log\n1,2,3\n");
    expect(3, read("logs", later));
    assert_eq!(left(), (3.0, NOW_SECONDS));
    let rule = ["detect", "--rule", "integration-ui-login", "--now", later];
    expect(1, orgwatch(&dir, &rule));
    assert_eq!(left(), (3.0, NOW_SECONDS));
    let detect = value(
        &metrics(&file),
        "orgwatch_last_run_exit_code",
        &[("command", "detect")],
    );
    assert_eq!(detect, 1.0);
}

#[test]
fn metrics_that_cannot_be_written_cost_the_run_nothing_but_its_good_name() {
    let org = org();
    let dir = org.path("");
    let output = orgwatch(&dir, &["ingest", "logs", "--metrics-file", "gone/m.prom"]);
    assert_eq!(output.status.code(), Some(3));
    let said = stderr(&output);
    assert!(said.contains("Rows      4 read = 3 kept"), "{said}");
    assert!(
        said.contains("error: cannot write the metrics file `gone/m.prom`"),
        "{said}"
    );
    // A mistake on the way to it does not count for less.
    let wrong = ["ingest", "gone.csv", "--metrics-file", "gone/m.prom"];
    expect(2, orgwatch(&dir, &wrong));
    // A folder in the file's place stays, and nothing is left beside it.
    fs::create_dir(dir.join("m.prom")).unwrap();
    expect(
        3,
        orgwatch(&dir, &["ingest", "logs", "--metrics-file", "m.prom"]),
    );
    assert!(dir.join("m.prom").is_dir());
    let litter = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name());
    assert!(
        litter
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with(".orgwatch"))
    );
}
