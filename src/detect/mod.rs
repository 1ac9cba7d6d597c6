//! Detections: rule files and their tests, the runner, findings and suppression.
//!
//! ```text
//! queries/detections/*.sql ─► RuleSet ─┐
//! settings, suppressions ──────────────┼─► run(session, windows) ─► DetectReport ─► ledger
//! days that received rows ─► Windows ──┘
//! ```
//! A rule is one SQL file with TOML front matter ([`rule`]). The runner binds its parameters, one
//! window at a time, and merges its rows to findings whose ids are the same on every re-run
//! ([`runner`], [`finding`]). A rule that fails or cannot see says so and silences no other. After
//! all rules, findings are judged in the light of one another ([`correlate`]).

mod ahead;
mod backtest;
mod cases;
mod controls;
mod correlate;
mod coverage;
mod error;
mod evidence;
mod finding;
mod folder;
mod front_matter;
mod head;
mod ids;
mod inputs;
mod known;
mod lint;
#[cfg(test)]
mod older_lakes_tests;
mod params;
mod past;
mod rows;
mod rule;
mod runner;
mod scaffold;
mod session;
mod sight;
mod statement;
mod subject;
mod suppress;
mod suppress_entry;
mod void;
mod windows;

pub use backtest::{Backtest, Change, ChangeKind, Conditions, Night, changes, nights, week_of};
pub use cases::{
    Case, CaseFile, CaseKind, CasePick, CaseResult, CaseRunner, Expected, RefreshRollups,
};
pub use controls::{Control, Enforcement, Enforcer, Seen, State, controls, enforcement};
pub use correlate::{GATHERING_RULE, Privileged, correlate, may_be_privileged};
pub use coverage::Coverage;
pub use error::RuleError;
pub use evidence::rfc3339;
pub use finding::{to_json, to_jsonl};
pub use folder::{entries_of, is_query_file, read_file};
pub use front_matter::Bucket;
pub use head::{BUILT_IN_PARAMS, DeclaredParam, Head, WrittenParams, declared_params, is_query_id};
pub use inputs::{Input, ROSTER_DAYS};
pub use lint::{Plans, lint};
pub use params::{Param, ParamType, ParamValue, RuleParams};
pub use rule::{CasesText, Origin, Rule, RuleSet};
pub use runner::{
    Answers, Bindings, DetectReport, RuleOutcome, RunOptions, STAGING, Stage, Unanswered, bindings,
    run,
};
pub use scaffold::{Scaffold, scaffold};
pub use sight::Sight;
pub use statement::{Order, Statement, undeclared};
pub use subject::{Evidence, Subject, day_of, names_of};
pub use suppress::Suppressions;
pub use suppress_entry::{Acceptance, suppress_entry, suppressed_by};
pub use void::void_suppressions;
pub use windows::{Window, Windows};

/// A small well-formed rule for tests; `extra` goes to the end of its front matter.
#[cfg(test)]
fn test_rule(id: &str, extra: &str) -> String {
    format!(
        r#"/*
id = "{id}"
title = "A test rule"
family = "misuse"
severity = "high"
status = "active"
version = 1
control = ["S0.1"]
attack = ["T1078.004"]
description = "For tests"
false_positives = "None"
response = "None"
references = []
inputs = ["Login"]
dedupe = ["user_key"]
{extra}*/
SELECT occurred_at, user_key, user_id, username FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end
ORDER BY occurred_at, user_key
"#
    )
}
