//! What suppressions promise, seen from outside.

use super::*;

const LINES: [&str; 7] = [
    "[[suppress]]",
    "rule = \"a-rule\"",
    "user = \"erp@example.com\"",
    "where = { ip = \"192.0.2.1\" }",
    "reason = \"r\"",
    "owner = \"o\"",
    "until = 2026-07-30",
];

/// A valid suppression with `line` in the place of the one for the same key.
fn with(line: &str) -> String {
    let key = line.split(' ').next().unwrap();
    LINES
        .map(|own| if own.starts_with(key) { line } else { own })
        .join("\n")
}

fn without(key: &str) -> String {
    LINES
        .map(|own| if own.starts_with(key) { "" } else { own })
        .join("\n")
}

#[test]
fn a_suppression_has_subject_reason_owner_and_a_near_end() {
    assert!(resolve(&LINES.join("\n")).is_ok());
    for (text, message, hint) in [
        (
            without("where"),
            "1:1: a suppression of all that a rule says of a user",
            "`where`",
        ),
        (
            without("where").replace("user = \"erp@example.com\"", ""),
            "1:1: a suppression of a whole rule",
            "`where`",
        ),
        (
            with("where = {}"),
            "1:1: a suppression of all that a rule says of a user",
            "`where`",
        ),
        (with("reason = \" \""), "5:10: `reason` is empty", "give"),
        (
            without("rule"),
            "1:1: `rule` is missing in [[suppress]]",
            "id of the rule",
        ),
        (without("reason"), "1:1: `reason` is missing", "why"),
        (without("owner"), "1:1: `owner` is missing", "who"),
        (without("until"), "1:1: `until` is missing", "until ="),
        (
            with("until = 2026-08-01"),
            "7:9: `until` is more than 180 days away",
            "2026-07-30",
        ),
        (
            with("until = 09:00:00"),
            "7:9: `until` is no moment",
            "2026-01-15",
        ),
        (
            with("user = \"erp\""),
            "3:8: \"erp\" is no Salesforce id",
            "15 or 18",
        ),
        (
            with("rule = \"*\""),
            "2:8: \"*\" is no rule id",
            "lower-case",
        ),
        (
            with("where = { ip = [\"x\"] }"),
            "4:16: `ip` must be one",
            "each value",
        ),
    ] {
        let refused = refusal(&text);
        assert!(
            refused.0.contains(message) && refused.1.contains(hint),
            "{text}: {refused:?}"
        );
    }
}

#[test]
fn a_condition_is_subject_enough() {
    assert_eq!(
        resolve(&without("user")).unwrap().suppressions[0].user,
        None
    );
}

#[test]
fn a_suppression_past_its_end_is_kept_without_effect() {
    let s = resolve(&with("until = 2026-01-30")).unwrap();
    assert!(!s.suppressions[0].is_active(now()));
}

#[test]
fn a_suppressions_id_depends_on_what_it_suppresses_only() {
    let id = |line| resolve(&with(line)).unwrap().suppressions[0].id.clone();
    assert_eq!(id("reason = \"r\""), id("reason = \"other\""));
    assert_ne!(id("reason = \"r\""), id("user = \"crm@example.com\""));
}
