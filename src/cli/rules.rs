//! `orgwatch rules`: the detections, their text, their tests.

mod backtest;
mod coverage;
mod junit;
mod lint;
mod new;
pub mod param;
mod report;
mod test;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::failure::UsageError;
use super::output::Rows;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, RuleFlags, print_rows};
use crate::detect::{Origin, Rule, RuleSet};
use crate::privacy::printable;

pub use lint::linted;
pub use param::ParamFlag;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules list
  orgwatch rules show integration-ui-login
  orgwatch rules new my-rule --dir my-rules    a rule to start from, with its cases
  orgwatch rules test                          the cases of every rule
  orgwatch rules test --rules-dir my-rules my-rule
  orgwatch rules lint --rules-dir my-rules
  orgwatch rules backtest integration-ui-login --since 2026-01-01
  orgwatch rules coverage                      what is watched, and what is not";

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// All rules with severity, status and origin
    #[command(after_help = EXAMPLES)]
    List(SomeRules),
    /// A rule's file: front matter and query
    #[command(after_help = EXAMPLES)]
    Show(OneRule),
    /// Runs the cases beside the rules: rows in, findings out
    #[command(after_help = test::EXAMPLES)]
    Test(SomeRules),
    /// Plans every rule against the real schema and checks its front matter, cases and positives
    #[command(after_help = lint::EXAMPLES)]
    Lint(SomeRules),
    /// What rules would have raised on the nights of the past, and what another setting would do
    #[command(after_help = backtest::EXAMPLES)]
    Backtest(backtest::BacktestArgs),
    /// Writes a new rule and its cases to start from
    #[command(after_help = new::EXAMPLES)]
    New(new::NewArgs),
    /// Which statement of the guidance is enforced by which rule, and which by none
    #[command(after_help = coverage::EXAMPLES)]
    Coverage(coverage::CoverageArgs),
}

#[derive(Debug, Args)]
pub struct SomeRules {
    /// Only these rules
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct OneRule {
    /// The rule's id
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub rules: RuleFlags,
}

/// What the subcommands show as examples.
#[cfg(test)]
pub const MORE_EXAMPLES: [&str; 5] = [
    test::EXAMPLES,
    lint::EXAMPLES,
    backtest::EXAMPLES,
    new::EXAMPLES,
    coverage::EXAMPLES,
];

pub fn run(command: &RulesCommand, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    match command {
        RulesCommand::List(args) => list(args, global, terminal),
        RulesCommand::Show(args) => show(args, global, terminal),
        RulesCommand::Test(args) => test::run(args, global, terminal),
        RulesCommand::Lint(args) => lint::run(args, global, terminal),
        RulesCommand::Backtest(args) => backtest::run(args, global, terminal),
        RulesCommand::New(args) => new::run(args, terminal),
        RulesCommand::Coverage(args) => coverage::run(args, global, terminal),
    }
}

fn open<'t>(
    args: &SomeRules,
    global: &Global,
    terminal: &'t Terminal,
) -> anyhow::Result<(Workplace<'t>, RuleSet)> {
    let flags = Flags {
        rules: Some(&args.rules),
        engine: Some(&args.engine),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let rules = place.rules()?;
    Ok((place, rules))
}

fn chosen<'r>(rules: &'r RuleSet, ids: &[String]) -> anyhow::Result<Vec<&'r Rule>> {
    if ids.is_empty() {
        return Ok(rules.iter().collect());
    }
    ids.iter().map(|id| one(rules, id)).collect()
}

pub fn one<'r>(rules: &'r RuleSet, id: &str) -> anyhow::Result<&'r Rule> {
    rules.get(id).ok_or_else(|| {
        let near = crate::config::nearest(id, rules.iter().map(|r| r.id.as_str()));
        let hint = near.map_or("`orgwatch rules list` shows the rules".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
        UsageError::new(format!("there is no rule `{id}`"), hint).into()
    })
}

fn list(args: &SomeRules, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (_, rules) = open(args, global, terminal)?;
    let rules = chosen(&rules, &args.ids)?;
    let each = || rules.iter();
    let batch = Rows::new()
        .text("id", each().map(|r| Some(r.id.clone())))
        .text("family", each().map(|r| Some(r.family.as_str())))
        .text(
            "severity",
            each().map(|r| Some(r.severity_of(r.severity).as_str())),
        )
        .text("status", each().map(|r| Some(r.status.as_str())))
        .number(
            "version",
            each().map(|r| u64::try_from(r.version).unwrap_or(0)),
        )
        .text("origin", each().map(|r| Some(origin(r))))
        .text("attack", each().map(|r| Some(r.attack.join(" "))))
        .text("title", each().map(|r| Some(r.title.clone())))
        .batch()?;
    print_rows(&batch, global, terminal)?;
    Ok(Exit::Done)
}

fn origin(rule: &Rule) -> String {
    match &rule.origin {
        Origin::Embedded { .. } => "built in".to_owned(),
        Origin::File {
            path,
            overrides: true,
        } => format!("{} (overrides)", path.display()),
        Origin::File { path, .. } => path.display().to_string(),
    }
}

fn show(args: &OneRule, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        rules: Some(&args.rules),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, None, &flags)?;
    let rules = place.rules()?;
    let rule = one(&rules, &args.id)?;
    let to_terminal = terminal.out_is_terminal();
    terminal.data(|out| {
        for line in rule.sql.lines() {
            let shown = if to_terminal {
                printable(line, 10_000)
            } else {
                line.to_owned()
            };
            writeln!(out, "{shown}")?;
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
