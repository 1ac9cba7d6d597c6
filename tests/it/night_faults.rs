//! What goes wrong at night: mistakes in what the operator wrote, a rule that fails, two runs at
//! once, a power cut at any moment.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::logs::{Org, login, login_file};
use crate::program::{command, expect, orgwatch, stderr, stdout};
use crate::sample::{self, mails};

const NOW: &str = "2026-01-16T03:00:00Z";
const CONFIG: &str = "[store]\ndata_dir = \"data\"\n\n[registry]\nfile = \"registry.toml\"\n";
const REGISTRY: &str = "[[user]]\nusername = \"user1@example.com\"\nrole = \"integration\"\nflows = [\"oauth_bearer\"]\n";

const RULE: &str = r#"/*
id = "own-rule"
title = "A rule of the operator's own"
family = "misuse"
severity = "low"
status = "active"
version = 1
control = ["S0.17"]
attack = ["T1078.004"]
description = "Fires on every login"
false_positives = "None"
response = "Ask"
references = []
inputs = ["Login"]
dedupe = ["user_key"]
*/
SELECT occurred_at, user_key, user_id, username, run_time AS spare
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
ORDER BY occurred_at, user_key, line_no
"#;

/// An org whose user 1 signs in through the UI once, with everything as it should be.
fn org() -> Org {
    let org = Org::new();
    let mut rows: Vec<_> = (0..3).map(|minute| login(1, minute)).collect();
    rows[2].retain(|(name, _)| *name != "LOGIN_TYPE");
    rows[2].push(("LOGIN_TYPE", "A".into()));
    rows[2].push(("LOGIN_SUB_TYPE", "UsernamePasswordUiLogin".into()));
    org.file("logins.csv", login_file(&rows));
    org.file("orgwatch.toml", CONFIG);
    org.file("registry.toml", REGISTRY);
    org.file("rules/own-rule.sql", RULE);
    org
}

const RUN: [&str; 6] = ["run", "logins.csv", "--rules-dir", "rules", "--now", NOW];

#[test]
fn a_mistake_in_what_the_operator_wrote_is_told_with_its_line_and_nothing_is_begun() {
    let line_of =
        |text: &str, from: &str| 1 + text[..text.find(from).unwrap()].matches('\n').count();
    // File, its text, what to replace by what, and what the message must say.
    for (file, text, from, to, says) in [
        (
            "orgwatch.toml",
            CONFIG,
            "data_dir",
            "data_dri",
            "did you mean `data_dir`",
        ),
        (
            "orgwatch.toml",
            CONFIG,
            "[store]",
            "[storr]",
            "did you mean",
        ),
        (
            "orgwatch.toml",
            CONFIG,
            "file = \"registry.toml\"",
            "file = 7",
            "text in quotes",
        ),
        (
            "registry.toml",
            REGISTRY,
            "flows",
            "networks = [\"198.51.100.0/33\"]\nflows",
            "0 to 32",
        ),
        (
            "registry.toml",
            REGISTRY,
            "flows",
            "networks = [\"198.51.100.\"]\nflows",
            "198.51.100.",
        ),
        (
            "registry.toml",
            REGISTRY,
            "oauth_bearer",
            "oauth_beerer",
            "did you mean `oauth_bearer`",
        ),
        (
            "registry.toml",
            REGISTRY,
            "flows",
            "flow",
            "did you mean `flows`",
        ),
        (
            "registry.toml",
            REGISTRY,
            "\"integration\"",
            "\"robot\"",
            "integration",
        ),
        (
            "rules/own-rule.sql",
            RULE,
            "severity",
            "severty",
            "`severity`",
        ),
        ("rules/own-rule.sql", RULE, "\"low\"", "\"grave\"", "medium"),
        (
            "rules/own-rule.sql",
            RULE,
            "FROM logins",
            "FORM logins",
            "found: ",
        ),
        (
            "rules/own-rule.sql",
            RULE,
            "SELECT occurred_at",
            "DELETE",
            "found: ",
        ),
    ] {
        let org = org();
        let wrong = text.replacen(from, to, 1);
        org.file(file, &wrong);
        let output = orgwatch(&org.path(""), &RUN);
        let said = stderr(&output);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{to}: {}{said}",
            stdout(&output)
        );
        assert!(output.stdout.is_empty(), "{to}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        let place = format!("{file}:{}", line_of(text, from));
        assert!(said.contains(&place), "no {place} in {said}");
        assert!(said.contains(says), "no {says:?} in {said}");
        assert!(!org.path("data").exists(), "{to}: the lake was begun");
    }
}

#[test]
fn a_path_that_does_not_exist_is_told_and_nothing_is_begun() {
    for (arguments, says) in [
        (&["run", "logins.csv", "gone.csv"][..], "gone.csv"),
        (&["ingest", "gone/"], "gone/"),
        (&["run", "logins.csv", "--config", "gone.toml"], "gone.toml"),
        (
            &["run", "logins.csv", "--registry", "gone.toml"],
            "gone.toml",
        ),
        (&["run", "logins.csv", "--rules-dir", "gone"], "gone"),
        (&["run"], "no input"),
    ] {
        let org = org();
        let output = orgwatch(&org.path(""), arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains(says), "{said}");
        assert!(
            !org.path("data").exists(),
            "{arguments:?}: the lake was begun"
        );
    }
}

#[test]
fn a_mistake_made_later_adds_no_file_to_the_lake() {
    let org = org();
    expect(1, orgwatch(&org.path(""), &RUN));
    let files = || {
        let list = ["sql", "--format", "csv", "SELECT count(*) FROM files, runs"];
        expect(0, orgwatch(&org.path(""), &list))
    };
    let before = files();
    org.file("more.csv", login_file(&[login(2, 9)]));
    let config = |text: &str| org.file("orgwatch.toml", text);
    config(&CONFIG.replace("[registry]", "[registery]"));
    let output = orgwatch(&org.path(""), &["run", "more.csv", "--now", NOW]);
    assert_eq!(output.status.code(), Some(2));
    config(CONFIG);
    assert_eq!(files(), before);
}

#[test]
fn a_rule_that_fails_while_it_runs_silences_no_other_and_is_named() {
    let org = org();
    let broken = RULE.replace("run_time AS spare", "1 / (run_time - run_time) AS spare");
    org.file("rules/own-rule.sql", broken);
    let output = orgwatch(&org.path(""), &RUN);
    let summary = expect(3, output);
    assert!(summary.contains("1 failed"), "{summary}");
    assert!(summary.contains("failed: own-rule: "), "{summary}");
    assert!(summary.contains("1 rule failed (3)"), "{summary}");
    let list = ["findings", "list", "--format", "jsonl"];
    let found = expect(0, orgwatch(&org.path(""), &list));
    assert!(
        found.contains("\"rule_id\":\"integration-ui-login\""),
        "{found}"
    );
    let mail = fs::read_to_string(&mails(&org.path("data"))[0]).unwrap();
    assert!(
        mail.contains("own-rule"),
        "the mail does not name the failed rule"
    );

    // Mended, it judges the days that it missed.
    org.file("rules/own-rule.sql", RULE);
    let summary = expect(0, orgwatch(&org.path(""), &RUN));
    assert!(summary.contains("0 failed"), "{summary}");
    let found = expect(0, orgwatch(&org.path(""), &list));
    assert_eq!(
        found.matches("\"rule_id\":\"own-rule\"").count(),
        1,
        "{found}"
    );
}

/// A run that holds the lock and waits for its standard input.
fn waiting_run(org: &Org) -> Child {
    let run = command(&org.path(""), &["run", "-", "--now", NOW])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let holder = || fs::read_to_string(org.path("data/lock")).unwrap_or_default();
    while holder().is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "the lock is never taken"
        );
        sleep(Duration::from_millis(10));
    }
    run
}

#[test]
fn of_two_runs_at_once_the_second_gives_way() {
    let org = org();
    let mut first = waiting_run(&org);
    for arguments in [&RUN[..], &["ingest", "logins.csv"], &["detect"]] {
        let second = orgwatch(&org.path(""), arguments);
        assert_eq!(
            second.status.code(),
            Some(75),
            "{arguments:?}: {}",
            stderr(&second)
        );
        assert!(
            stderr(&second).contains(&first.id().to_string()),
            "{}",
            stderr(&second)
        );
    }
    // Readers are not kept waiting.
    expect(0, orgwatch(&org.path(""), &["findings", "list"]));
    let bytes = fs::read(org.path("logins.csv")).unwrap();
    first.stdin.take().unwrap().write_all(&bytes).unwrap();
    let summary = expect(1, first.wait_with_output().unwrap());
    assert!(summary.contains("Rows      3 read = 3 kept"), "{summary}");
}

#[test]
fn an_interrupted_run_says_so_by_its_exit_code_and_blocks_nobody() {
    let org = org();
    let mut run = waiting_run(&org);
    let mut stdin = run.stdin.take().unwrap();
    stdin
        .write_all(&fs::read(org.path("logins.csv")).unwrap())
        .unwrap();
    let interrupt = Command::new("kill")
        .args(["-INT", &run.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    drop(stdin);
    let summary = expect(1, orgwatch(&org.path(""), &RUN));
    assert!(summary.contains("Rows      3 read = 3 kept"), "{summary}");
    assert_eq!(mails(&org.path("data")).len(), 1);
}

/// Findings and row counts, without what names runs and files by number.
fn state(org: &Org) -> (Vec<Value>, String) {
    let dir = org.path("");
    let found = expect(
        0,
        orgwatch(&dir, &["findings", "list", "--format", "jsonl"]),
    );
    let mut found: Vec<Value> = found
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for finding in &mut found {
        finding["status"] = Value::Null;
        finding["evidence"]["proof"] = Value::Null;
    }
    let counts = "SELECT event_type, count(*) AS files, sum(rows_read) AS read, \
                  sum(rows_kept) AS kept, sum(rows_duplicate) AS duplicate, \
                  (SELECT count(*) FROM logins) AS logins, \
                  (SELECT count(*) FROM api_calls) AS calls, \
                  (SELECT count(*) FROM ui_activity) AS pages \
                  FROM files GROUP BY 1 ORDER BY 1";
    (
        found,
        expect(0, orgwatch(&dir, &["sql", "--format", "csv", counts])),
    )
}

#[test]
fn a_night_killed_again_and_again_ends_as_if_it_had_not_been() {
    let inputs = sample::days(6..=7);
    let mut arguments = vec!["run", "--now", "2026-01-08T03:00:00Z"];
    arguments.extend(inputs.iter().map(String::as_str));
    let desk = || {
        let org = Org::new();
        sample::desk(&org.path(""));
        org
    };
    let calm = desk();
    let started = Instant::now();
    expect(1, orgwatch(&calm.path(""), &arguments));
    let night = started.elapsed().as_secs_f64();
    let wanted = state(&calm);
    assert!(wanted.0.len() >= 3, "{:?}", wanted.0);
    // What is critical, and the rest.
    let told = mails(&calm.path("out")).len();
    assert_eq!(told, 2);

    // A fixed sequence of moments, spread evenly by the golden ratio. What a killed run has done
    // is not done again, so that later kills strike later steps.
    let mut moments = (1..).map(|n: u32| (f64::from(n) * 0.618_034).fract() * night * 0.6);
    let mut killed = 0;
    for life in 0..4 {
        let org = desk();
        for _ in 0..3 {
            let mut run = command(&org.path(""), &arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            sleep(Duration::from_secs_f64(moments.next().unwrap()));
            run.kill().unwrap();
            match run.wait().unwrap().code() {
                None => killed += 1,
                Some(_) => break,
            }
        }
        let last = orgwatch(&org.path(""), &arguments);
        let code = last.status.code();
        assert!(
            [Some(0), Some(1)].contains(&code),
            "{code:?} {}",
            stderr(&last)
        );
        let verdict = expect(0, orgwatch(&org.path(""), &["lake", "verify"]));
        assert_eq!(state(&org), wanted, "after life {life}: {verdict}");
        assert_eq!(mails(&org.path("out")).len(), told, "after life {life}");
        let staged = fs::read_dir(org.path("out/staging")).unwrap().count();
        assert_eq!(staged, 0, "after life {life}");
    }
    assert!(
        killed >= 5,
        "only {killed} runs were still at work when they were killed"
    );
}
