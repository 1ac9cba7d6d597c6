//! What stands by itself, whatever happened: the registry's drift and the controls' coverage.

use std::collections::BTreeMap;

use serde::Serialize;

use super::instant;
use crate::detect::State;
use crate::report::html::content::{Content, Drift, Ending};
use crate::words::counted;

/// What it is about, its line of the registry, and what is wrong.
type Problem<'a> = (&'a str, u32, &'a str);

#[derive(Serialize)]
pub struct DriftView<'a> {
    file: &'a str,
    line: String,
    problems: Vec<(&'static str, Vec<Problem<'a>>)>,
    endings: Vec<(String, &'a Ending)>,
}

#[derive(Serialize)]
pub struct ControlsView<'a> {
    counts: Vec<(&'static str, usize)>,
    open: Vec<StatementView<'a>>,
    met: Vec<StatementView<'a>>,
}

#[derive(Serialize)]
pub struct StatementView<'a> {
    id: &'a str,
    text: &'a str,
    state: &'static str,
    rules: String,
    note: Option<&'a str>,
}

impl<'a> DriftView<'a> {
    pub fn of(drift: &'a Drift) -> Self {
        let mut kinds: BTreeMap<&str, Vec<Problem<'_>>> = BTreeMap::new();
        for (kind, line, subject, message) in &drift.problems {
            kinds
                .entry(kind)
                .or_default()
                .push((subject, *line, message));
        }
        let mut line = format!(
            "{}, {} and {}, held against {} of logs",
            counted(drift.users, "user"),
            counted(drift.apps, "app"),
            counted(drift.windows, "window"),
            counted(drift.covered_days, "day")
        );
        if drift.undeclared > 0 {
            line.push_str(&format!(
                "; {} working like a machine and declared nowhere",
                counted(drift.undeclared, "account")
            ));
        }
        Self {
            file: &drift.file,
            line,
            problems: kinds
                .into_iter()
                .map(|(kind, list)| (problem_heading(kind), list))
                .collect(),
            endings: drift.endings.iter().map(|e| (instant(e.ends), e)).collect(),
        }
    }
}

/// What a kind of problem is called above a list of it.
fn problem_heading(kind: &str) -> &'static str {
    match kind {
        "unresolved_user" => "Users that no log has shown",
        "ambiguous_user" => "Usernames of several ids",
        "same_user_twice" => "Users with two entries",
        "expired_user" => "Entries that hold no longer",
        "expired_window" => "Windows that are over",
        "unregistered_user" => "Windows of users without entry",
        "no_owner" => "No owner",
        "no_networks" => "No networks",
        "no_apps" => "No apps",
        "no_flows" => "No login paths",
        "every_address" => "Networks of every address",
        "no_ticket" => "No ticket",
        "review_passed" => "Review is overdue",
        "expired_value" => "Values that hold no longer",
        "gone_user" => "Users that the roster does not know",
        "deactivated_user" => "Users that are no longer active",
        "silent_user" => "Users without a sign of life",
        "unused_network" => "Networks that are declared and unused",
        "unused_app" => "Apps that are declared and unused",
        "unused_flow" => "Login paths that are declared and unused",
        "undeclared_address" => "Addresses that are used and undeclared",
        "undeclared_app" => "Apps that are used and undeclared",
        "undeclared_flow" => "Login paths that are used and undeclared",
        _ => "Worth a look",
    }
}

impl<'a> ControlsView<'a> {
    pub fn of(content: &'a Content) -> Self {
        let mut counts: BTreeMap<State, usize> = BTreeMap::new();
        let (mut open, mut met) = (vec![], vec![]);
        for statement in &content.controls {
            *counts.entry(statement.state).or_default() += 1;
            let list = match statement.state {
                State::Enforced | State::Noted => &mut met,
                _ => &mut open,
            };
            list.push(StatementView {
                id: &statement.id,
                text: &statement.text,
                state: statement.state.as_str(),
                rules: statement.rules.join(", "),
                note: statement.note.as_deref(),
            });
        }
        let counts = counts.into_iter().map(|(state, n)| (state.as_str(), n));
        Self {
            counts: counts.collect(),
            open,
            met,
        }
    }
}
