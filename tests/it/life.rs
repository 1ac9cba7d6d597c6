//! What people decide about findings: who and why are kept, nothing is told again without a
//! reason, and nothing that grew is hidden.

use std::fs;
use std::path::Path;

use orgwatch::lake::Lake;
use serde_json::Value;

use crate::findings_lake::{at, night, row};
use crate::program::{expect, orgwatch, stderr};

fn lake() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("orgwatch.toml"),
        "[store]\ndata_dir = \"data\"\n",
    )
    .unwrap();
    let mut lake = Lake::open_writer(&dir.path().join("data")).unwrap();
    let rows = [row(1, 10), row(2, 11), row(0x12, 12)];
    night(&mut lake, at(20, 3), &rows, true);
    drop(lake);
    dir
}

fn findings(dir: &Path, arguments: &[&str]) -> std::process::Output {
    let mut all = vec!["findings"];
    all.extend(arguments);
    orgwatch(dir, &all)
}

fn statuses(dir: &Path) -> Vec<String> {
    let list = expect(
        0,
        findings(dir, &["list", "--order", "oldest", "--format", "jsonl"]),
    );
    list.lines()
        .map(|line| {
            let finding: Value = serde_json::from_str(line).unwrap();
            finding["status"].as_str().unwrap().to_owned()
        })
        .collect()
}

fn id(n: u32) -> String {
    row(n, 1).finding_id
}

#[test]
fn a_decision_is_kept_with_who_and_why() {
    let dir = lake();
    let done = findings(
        dir.path(),
        &["ack", &id(1), "--why", "asked\nthe owner", "--by", "ann"],
    );
    assert!(stderr(&done).contains("1 finding acknowledged by ann"));
    assert!(expect(0, done).contains("acknowledged"));
    assert_eq!(statuses(dir.path()), ["acknowledged", "new", "new"]);
    let shown = expect(0, findings(dir.path(), &["show", &id(1)]));
    for said in [
        "new -> acknowledged ann: asked\\u{a}the owner",
        "by ann at 20",
        "until graver than high or 8 events",
        "control   ",
    ] {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    let query = "SELECT who, why, to_status FROM finding_events WHERE by_hand";
    let asked = expect(0, orgwatch(dir.path(), &["sql", "--format", "csv", query]));
    assert_eq!(
        asked.lines().nth(1),
        Some("ann,asked\\u{a}the owner,acknowledged")
    );
    let shown = expect(
        0,
        findings(dir.path(), &["show", &id(1), "--format", "jsonl"]),
    );
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["history"][1]["who"], "ann");
    assert_eq!(shown["held"]["count"], 4);
    assert!(
        shown["rows_command"]
            .as_str()
            .unwrap()
            .contains("orgwatch sql")
    );
}

#[test]
fn several_ids_are_taken_by_what_of_their_beginning_is_unique_and_all_or_none() {
    let dir = lake();
    let ambiguous = findings(dir.path(), &["resolve", &id(2), "0000", "--why", "x"]);
    let said = stderr(&ambiguous);
    assert_eq!(ambiguous.status.code(), Some(2), "{said}");
    assert!(
        said.contains("3 findings have an id that begins with `0000`"),
        "{said}"
    );
    assert!(said.contains("integration-ui-login"), "{said}");
    let none = findings(dir.path(), &["resolve", &id(2), "zz", "--why", "x"]);
    assert_eq!(none.status.code(), Some(2));
    assert_eq!(statuses(dir.path()), ["new", "new", "new"]);
    let prefix = id(1);
    let both = findings(
        dir.path(),
        &["resolve", &prefix, &id(2), &prefix, "--why", "x"],
    );
    assert!(
        stderr(&both).contains("2 findings resolved"),
        "{}",
        stderr(&both)
    );
    expect(0, both);
    assert_eq!(statuses(dir.path()), ["resolved", "resolved", "new"]);
    let again = findings(dir.path(), &["resolve", &prefix, "--why", "x"]);
    assert!(
        stderr(&again).contains("1 finding so already"),
        "{}",
        stderr(&again)
    );
    expect(0, again);
    let refused = findings(dir.path(), &["ack", &prefix, "--why", "x"]);
    assert!(
        stderr(&refused).contains("findings reopen"),
        "{}",
        stderr(&refused)
    );
    expect(2, refused);
}

#[test]
fn all_of_a_filter_need_a_yes_and_are_counted() {
    let dir = lake();
    let all = ["ack", "--rule", "integration-ui-login", "--why", "x"];
    let asked = findings(dir.path(), &all);
    assert!(
        stderr(&asked).contains("3 findings would be acknowledged"),
        "{}",
        stderr(&asked)
    );
    expect(2, asked);
    assert_eq!(statuses(dir.path()), ["new", "new", "new"]);
    let one = [
        "ack",
        "--user",
        "USER2@example.com",
        "--severity",
        "high",
        "--why",
        "x",
        "--yes",
    ];
    expect(0, findings(dir.path(), &one));
    assert_eq!(statuses(dir.path()), ["new", "acknowledged", "new"]);
    let rest = findings(dir.path(), &[&all[..], &["--yes"]].concat());
    assert!(
        stderr(&rest).contains("2 findings acknowledged"),
        "{}",
        stderr(&rest)
    );
    expect(0, rest);
    let slip = findings(
        dir.path(),
        &[
            "ack",
            "--rule",
            "integration-ui-logn",
            "--why",
            "x",
            "--yes",
        ],
    );
    assert!(
        stderr(&slip).contains("did you mean `integration-ui-login`"),
        "{}",
        stderr(&slip)
    );
    expect(2, slip);
}

#[test]
fn a_decision_needs_a_reason_and_a_person() {
    let dir = lake();
    for arguments in [
        &["ack", "0"][..],
        &["ack", "0", "--why", " "],
        &["ack", "--why", "x"],
        &["ack", "", "--why", "x"],
        &["ack", "0", "--why", "x", "--by", "orgwatch"],
        &["ack", "0", "--rule", "r", "--why", "x"],
    ] {
        assert_eq!(
            findings(dir.path(), arguments).status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
    assert_eq!(statuses(dir.path()), ["new", "new", "new"]);
    let nowhere = orgwatch(
        dir.path(),
        &["findings", "ack", "0", "--why", "x", "--data-dir", "no"],
    );
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(!dir.path().join("no").exists());
}

#[test]
fn suppress_hides_the_finding_and_prints_an_entry_that_the_configuration_takes() {
    let dir = lake();
    let config = dir.path().join("orgwatch.toml");
    let before = fs::read_to_string(&config).unwrap();
    let arguments = [
        "suppress",
        &id(1),
        "--why",
        "a \"drill\"",
        "--owner",
        "soc@example.com",
        "--until",
        "2026-03-01",
        "--now",
        "2026-01-20T09:00:00Z",
    ];
    let entry = expect(0, findings(dir.path(), &arguments));
    assert_eq!(
        fs::read_to_string(&config).unwrap(),
        before,
        "the file is the operator's"
    );
    assert_eq!(statuses(dir.path()), ["suppressed", "new", "new"]);
    let read: toml::Table = entry.parse().unwrap();
    let suppress = &read["suppress"][0];
    assert_eq!(suppress["rule"].as_str(), Some("integration-ui-login"));
    assert_eq!(suppress["user"].as_str(), Some("user1@example.com"));
    assert_eq!(suppress["where"]["ip"].as_str(), Some("203.0.113.7"));
    assert_eq!(suppress["owner"].as_str(), Some("soc@example.com"));
    fs::write(&config, before + &entry).unwrap();
    let list = ["list", "--format", "jsonl", "--now", "2026-01-20T10:00:00Z"];
    expect(0, findings(dir.path(), &list));
    let show = ["show", &id(1), "--now", "2026-01-20T10:00:00Z"];
    assert!(expect(0, findings(dir.path(), &show)).contains("until 2026-03-01T00:00:00Z"));
    let too_long = ["suppress", &id(2), "--why", "x", "--until", "2030-01-01"];
    expect(2, findings(dir.path(), &too_long));
}

#[test]
fn a_list_is_narrowed_ordered_and_cut() {
    let dir = lake();
    let ids = |arguments: &[&str]| -> Vec<String> {
        let all = [&["list", "--format", "jsonl"], arguments].concat();
        let list = expect(0, findings(dir.path(), &all));
        let id = |line: &str| {
            let finding: Value = serde_json::from_str(line).unwrap();
            finding["finding_id"].as_str().unwrap().to_owned()
        };
        list.lines().map(id).collect()
    };
    assert_eq!(ids(&["--order", "oldest"]), [id(1), id(2), id(0x12)]);
    assert_eq!(ids(&["--order", "newest", "--limit", "1"]), [id(0x12)]);
    assert_eq!(
        ids(&["--since", "2026-01-11", "--until", "2026-01-11"]),
        [id(2)]
    );
    assert_eq!(ids(&["--family", "misuse"]).len(), 3);
    assert!(ids(&["--family", "attack"]).is_empty());
    let cut = findings(dir.path(), &["list", "--limit", "2"]);
    assert!(stderr(&cut).contains("2 of 3 findings"), "{}", stderr(&cut));
}
