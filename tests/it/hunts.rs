//! The ready questions of `orgwatch sql`.

use std::collections::BTreeMap;
use std::fs;

use orgwatch::hunt::HuntSet;

use crate::program::{expect, orgwatch, stderr};
use crate::sample::WholeNight;

/// Values for what a hunt cannot guess.
const NEEDED: [(&str, &str); 3] = [
    ("user", "ipaas.hub@example.com"),
    ("address", "192.0.2.0/24"),
    ("app", "ERP Sync"),
];

/// Of the sample org there is nothing to tell here.
const EMPTY: [&str; 3] = ["back-after-silence", "old-api-versions", "report-exports"];

fn asked(name: &str, more: &[&str]) -> String {
    let mut words = vec!["sql", "--hunt", name, "--format", "csv"];
    words.extend(more);
    expect(0, orgwatch(&WholeNight::get().dir, &words))
}

#[test]
fn every_ready_question_answers_and_in_the_same_order_whatever_the_threads() {
    let mut rows = BTreeMap::new();
    for hunt in HuntSet::embedded().unwrap().iter() {
        let params: Vec<String> = NEEDED
            .iter()
            .filter(|(name, _)| hunt.params.get(*name).is_some_and(|p| p.default.is_none()))
            .map(|(name, value)| format!("--param={name}={value}"))
            .collect();
        let mut words: Vec<&str> = params.iter().map(String::as_str).collect();
        let one = asked(&hunt.id, &[&words[..], &["--threads", "1"]].concat());
        words.extend(["--threads", "2"]);
        assert_eq!(one, asked(&hunt.id, &words), "{}", hunt.id);
        rows.insert(hunt.id.clone(), one.lines().count() - 1);
    }
    let silent = rows.iter().filter(|(_, rows)| **rows == 0);
    let silent: Vec<&str> = silent.map(|(id, _)| id.as_str()).collect();
    assert_eq!(silent, EMPTY);
}

#[test]
fn what_one_has_to_know_to_read_an_answer_stands_in_the_list_and_beside_the_answer() {
    let dir = &WholeNight::get().dir;
    let note = "the same digest stands in every table";
    let listed = orgwatch(dir, &["sql", "--hunts", "--format", "jsonl"]);
    let listed = expect(0, listed);
    let mut lines = listed.lines();
    let line = lines.find(|line| line.contains("token-in-two-networks"));
    assert!(line.unwrap().contains(note), "{listed}");
    let for_people = orgwatch(dir, &["sql", "--hunts"]);
    assert!(stderr(&for_people).contains(note));
    let asked = orgwatch(dir, &["sql", "--hunt", "token-in-two-networks"]);
    assert!(stderr(&asked).contains(note), "{}", stderr(&asked));
    assert!(!expect(0, asked).contains(note));
}

#[test]
fn a_hunt_asks_about_its_own_days_or_those_given() {
    let days = |text: &str| -> Vec<String> {
        let days = text.lines().skip(1).map(|line| line[..10].to_owned());
        let mut days: Vec<String> = days.collect();
        days.dedup();
        days
    };
    let week = days(&asked("api-volume-by-hour", &[]));
    assert_eq!(week.first().map(String::as_str), Some("2026-01-24"));
    assert_eq!(week.len(), 7);
    let given = [
        "--param=window_start=2026-01-10",
        "--param=window_end=2026-01-12",
    ];
    assert_eq!(
        days(&asked("api-volume-by-hour", &given)),
        ["2026-01-10", "2026-01-11"]
    );
}

#[test]
fn what_a_hunt_needs_is_said_and_a_slip_is_answered_with_the_right_name() {
    let dir = &WholeNight::get().dir;
    let refused = |words: &[&str]| {
        let output = orgwatch(dir, &[&["sql", "--hunt"], words].concat());
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    assert!(refused(&["timeline-of-user"]).contains("--param user="));
    assert!(refused(&["timeline-of-usr"]).contains("did you mean `timeline-of-user`?"));
    let slip = refused(&["timeline-of-user", "--param", "usr=a@example.com"]);
    assert!(slip.contains("did you mean `user`?"), "{slip}");
    let wrong = refused(&["old-api-versions", "--param", "below=many"]);
    assert!(wrong.contains("expected a number"), "{wrong}");
    let list = expect(0, orgwatch(dir, &["sql", "--hunts", "--format", "csv"]));
    assert!(list.contains("timeline-of-user") && list.contains("user (needed)"));
}

#[test]
fn a_value_is_data_whatever_it_holds() {
    let hostile = "--param=user=x' OR '1'='1'; DROP TABLE logins --";
    assert_eq!(asked("timeline-of-user", &[hostile]).lines().count(), 1);
}

#[test]
fn a_folder_of_ones_own_adds_hunts_and_a_file_is_asked_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let own = "/*\nid = \"by-door\"\ntitle = \"Logins by door\"\ndays = 0\n[params.least]\ntype = \"int\"\ndefault = 1\nmeaning = \"logins\"\n*/\nSELECT login_path, count(*) AS logins FROM logins WHERE occurred_at < $window_end GROUP BY login_path HAVING count(*) >= $least ORDER BY login_path\n";
    let path = folder.path().join("by-door.sql");
    fs::write(&path, own).unwrap();
    let dir = folder.path().display().to_string();
    let by_name = asked("by-door", &["--hunts-dir", &dir]);
    assert!(by_name.lines().count() > 3, "{by_name}");
    let file = path.display().to_string();
    let words = ["sql", "--file", &file, "--format", "csv"];
    assert_eq!(by_name, expect(0, orgwatch(&WholeNight::get().dir, &words)));
    assert_eq!(
        asked("by-door", &["--hunts-dir", &dir, "--param=least=1000000"])
            .lines()
            .count(),
        1
    );
}
