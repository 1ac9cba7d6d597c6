//! `orgwatch rules coverage`: what is watched, by which rule, and what by none.

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::night::BLIND_DAYS;
use crate::cli::output::Rows;
use crate::cli::terminal::Terminal;
use crate::cli::workplace::{Flags, Workplace};
use crate::cli::{Global, HiddenNow, RuleFlags, print_rows};
use crate::config::RuleStatus;
use crate::detect::{Enforcement, Enforcer, Seen, State, enforcement};
use crate::lake::{Lake, LakeError};

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules coverage
  orgwatch rules coverage --data-dir data --format json    and which inputs are missing
  orgwatch rules coverage --format markdown > coverage.md

States: enforced, blind (its rules had input and have none now), no input (it never came), staging,
off, noted (met in another way, or not visible in logs), gap (no rule). Inputs are judged where the
data folder holds a lake.";

#[derive(Debug, Args)]
pub struct CoverageArgs {
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &CoverageArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        rules: Some(&args.rules),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let rules = place.rules()?;
    let coverage = match Lake::open_reader(place.data_dir()) {
        Ok(lake) => Some(place.coverage(&lake, &*place.catalog()?)?),
        Err(LakeError::Missing { .. }) => {
            terminal.detail("no lake: nothing is said of inputs");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let today = place.clock.now().date_naive();
    let seen = coverage.as_ref().map(|coverage| Seen {
        coverage,
        last_day: coverage.last_day(today).unwrap_or(today),
        blind_days: BLIND_DAYS,
    });
    let table = enforcement(&rules, seen.as_ref());

    let each = || table.iter();
    let batch = Rows::new()
        .text("id", each().map(|e| Some(e.statement.id.clone())))
        .text("statement", each().map(|e| Some(e.statement.text.clone())))
        .text("state", each().map(|e| Some(e.state.as_str())))
        .text("rules", each().map(rules_of))
        .text("lacks", each().map(lacks))
        .text("note", each().map(|e| e.statement.note.clone()))
        .text("source", each().map(|e| Some(e.statement.source.clone())))
        .batch()?;
    print_rows(&batch, global, terminal)?;
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for enforcement in &table {
        *counts.entry(enforcement.state).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(state, n)| format!("{n} {}", state.as_str()))
        .collect();
    terminal.say(&format!(
        "{} statements: {}",
        table.len(),
        counts.join(", ")
    ));
    Ok(Exit::Done)
}

/// `a, b (staging)`.
fn rules_of(enforcement: &Enforcement) -> Option<String> {
    let name = |rule: &Enforcer| match rule.status {
        RuleStatus::Active => rule.rule_id.clone(),
        status => format!("{} ({})", rule.rule_id, status.as_str()),
    };
    let names: Vec<String> = enforcement.rules.iter().map(name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn lacks(enforcement: &Enforcement) -> Option<String> {
    let lack = |rule: &Enforcer| Some(format!("{}: {}", rule.rule_id, rule.lacks.as_ref()?));
    let lacks: Vec<String> = enforcement.rules.iter().filter_map(lack).collect();
    (!lacks.is_empty()).then(|| lacks.join("; "))
}
