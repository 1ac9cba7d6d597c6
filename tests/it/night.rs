//! A night from end to end: what it finds, what it mails, and that doing it again changes nothing.

use std::collections::BTreeMap;
use std::fs;

use mail_parser::{MessageParser, MimeHeaders};
use serde_json::Value;

use crate::program::{expect, orgwatch, stdout};
use crate::sample::{self, WholeNight, mails};

/// Rule, user, day and severity of findings, counted.
type Incidents = BTreeMap<(String, String, String, String), usize>;

fn planted() -> Incidents {
    let mut planted = Incidents::new();
    let mut expected = csv::Reader::from_path(sample::folder().join("expected.csv")).unwrap();
    for row in expected.deserialize() {
        *planted.entry(row.unwrap()).or_default() += 1;
    }
    planted
}

fn text(finding: &Value, field: &str) -> String {
    finding[field].as_str().unwrap_or_default().to_owned()
}

/// The findings at high or above, with their day where the incident has one.
fn serious(findings: &str, planted: &Incidents) -> Incidents {
    let mut seen = Incidents::new();
    for line in findings.lines() {
        let finding: Value = serde_json::from_str(line).unwrap();
        let severity = text(&finding, "severity");
        if !["high", "critical"].contains(&severity.as_str()) || finding["status"] == "suppressed" {
            continue;
        }
        let rule = text(&finding, "rule_id");
        let standing = planted
            .keys()
            .any(|(r, _, day, _)| *r == rule && day.is_empty());
        let day = if standing {
            String::new()
        } else {
            text(&finding, "first_seen")[..10].to_owned()
        };
        *seen
            .entry((rule, text(&finding, "username"), day, severity))
            .or_default() += 1;
    }
    seen
}

#[test]
fn the_sample_org_gives_the_planted_incidents_and_no_others_at_high_or_above() {
    let planted = planted();
    assert!(planted.len() > 40);
    assert_eq!(serious(&WholeNight::get().findings, &planted), planted);
}

#[test]
fn a_night_accounts_for_every_row_and_says_what_it_found() {
    let summary = &WholeNight::get().summary;
    let rows = summary.lines().find(|l| l.starts_with("Rows ")).unwrap();
    let n: Vec<u64> = rows
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(n[0], n[1] + n[2] + n[3], "{rows}");
    assert!(n[2] > 0 && n[3] == 8, "{rows}");
    for words in [
        "who ",
        "expected ",
        "seen ",
        "where ",
        "when ",
        "orgwatch sql ",
    ] {
        assert!(summary.contains(words), "no {words:?} in\n{summary}");
    }
    assert!(
        summary.contains("Exit      1: 53 findings at or above high"),
        "{summary}"
    );
}

#[test]
fn a_night_writes_what_is_critical_and_the_rest_as_mails_that_a_mail_client_opens() {
    let night = WholeNight::get();
    let written = mails(&night.dir.join("out"));
    let bytes: Vec<Vec<u8>> = written.iter().map(|path| fs::read(path).unwrap()).collect();
    let parsed: Vec<_> = bytes
        .iter()
        .map(|bytes| MessageParser::default().parse(bytes).unwrap())
        .collect();
    let urgent = |mail: &&mail_parser::Message<'_>| mail.header_raw("Importance").is_some();
    let (first, second) = (
        parsed.iter().find(urgent).unwrap(),
        parsed.iter().find(|mail| !urgent(mail)).unwrap(),
    );
    assert_eq!(parsed.len(), 2);
    let subject = first.subject().unwrap();
    assert!(
        subject.starts_with("[orgwatch CRITICAL] 41 new findings"),
        "{subject}"
    );
    let subject = second.subject().unwrap();
    assert!(
        subject.starts_with("[orgwatch HIGH] 45 new findings"),
        "{subject}"
    );
    let addresses = |list: &mail_parser::Address<'_>| -> Vec<String> {
        list.iter()
            .map(|a| a.address().unwrap().to_owned())
            .collect()
    };
    let serious: Vec<String> = night
        .findings
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|finding| ["high", "critical"].contains(&text(finding, "severity").as_str()))
        .map(|finding| text(&finding, "username"))
        .collect();
    assert!(serious.len() > 50);
    for mail in [first, second] {
        assert_eq!(addresses(mail.to().unwrap()), ["security@example.com"]);
        assert_eq!(addresses(mail.from().unwrap()), ["orgwatch@example.com"]);
        assert!(mail.cc().is_none() && mail.bcc().is_none());
        assert_eq!(mail.date().unwrap().to_rfc3339(), "2026-01-31T03:00:00Z");
        assert_eq!((mail.text_body_count(), mail.html_body_count()), (1, 1));
        assert_eq!(mail.attachment_count(), 0);
        let html = mail.html_part(0).unwrap().content_type().unwrap();
        assert_eq!(html.subtype(), Some("html"));
    }
    // Each part of a mail names the same accounts.
    let bodies = [first, second].map(|mail| {
        let (plain, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
        for user in &serious {
            assert_eq!(plain.contains(user), html.contains(user), "{user}");
        }
        plain
    });
    let is_named = |user: &&String| bodies.iter().any(|body| body.contains(user.as_str()));
    let named = serious.iter().filter(is_named).count();
    assert!(named >= 50, "{named}");
}

#[test]
fn the_same_night_again_reads_raises_and_mails_nothing_and_says_so() {
    let night = WholeNight::get();
    for words in [
        "Files     0 read, ",
        "Rows      0 read = 0 kept + 0 duplicate + 0 quarantined",
        "Findings  nothing new, 87 ongoing, 0 resolved, 0 suppressed",
        "Mail      none: nothing new",
        "Exit      0: ",
    ] {
        let summary = &night.second_summary;
        assert!(summary.contains(words), "no {words:?} in\n{summary}");
    }
    assert_eq!(mails(&night.dir.join("out")).len(), 2);
    let what = |findings: &str| -> Vec<(String, Value)> {
        let all = findings.lines().map(|l| serde_json::from_str(l).unwrap());
        all.map(|f: Value| (text(&f, "finding_id"), f["count"].clone()))
            .collect()
    };
    assert_eq!(what(&night.second_findings), what(&night.findings));
}

/// What a run says on stdout, its findings, and its mail to the last byte.
fn outputs(threads: &str, inputs: &[String]) -> [String; 3] {
    let dir = tempfile::tempdir().unwrap();
    sample::desk(dir.path());
    let mut arguments = vec!["run", "--threads", threads, "--now", "2026-01-10T03:00:00Z"];
    arguments.extend(inputs.iter().map(String::as_str));
    let run = orgwatch(dir.path(), &arguments);
    assert_eq!(run.status.code(), Some(1));
    let list = orgwatch(dir.path(), &["findings", "list", "--format", "jsonl"]);
    let here = dir.path().canonicalize().unwrap().display().to_string();
    let mails = mails(&dir.path().join("out"));
    assert!(!mails.is_empty());
    let mails = mails.iter().map(|path| fs::read_to_string(path).unwrap());
    [
        stdout(&run)
            .replace(&here, "HERE")
            .replace(&dir.path().display().to_string(), "HERE"),
        expect(0, list),
        mails.collect(),
    ]
}

#[test]
fn the_number_of_threads_and_the_order_of_inputs_change_no_byte_of_the_output() {
    let mut inputs = sample::days(5..=9);
    let [summary, findings, mail] = outputs("1", &inputs);
    assert!(findings.lines().count() >= 5, "{findings}");
    inputs.reverse();
    let reversed = outputs("2", &inputs);
    assert_eq!(reversed[0], summary);
    assert_eq!(reversed[1], findings);
    assert_eq!(reversed[2], mail);
}
