//! `orgwatch rules`: the detections, their text, their tests.

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::failure::UsageError;
use super::interrupt::Leftover;
use super::output::Rows;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, RuleFlags, print_rows};
use crate::catalog::Catalog;
use crate::detect::{CaseKind, CaseRunner, Origin, Rule, RuleSet, lint};
use crate::lake::Lake;
use crate::privacy::printable;
use crate::registry::Registry;
use crate::rollup;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules list
  orgwatch rules show integration-ui-login
  orgwatch rules test                          the cases of every rule
  orgwatch rules test --rules-dir my-rules my-rule
  orgwatch rules lint --rules-dir my-rules";

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// All rules with severity, status and origin
    #[command(after_help = EXAMPLES)]
    List(SomeRules),
    /// A rule's file: front matter and query
    #[command(after_help = EXAMPLES)]
    Show(OneRule),
    /// Runs the cases beside the rules: rows in, findings out
    #[command(after_help = EXAMPLES)]
    Test(SomeRules),
    /// Plans every rule against the real schema and checks its front matter and cases
    #[command(after_help = EXAMPLES)]
    Lint(SomeRules),
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

pub fn run(command: &RulesCommand, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    match command {
        RulesCommand::List(args) => list(args, global, terminal),
        RulesCommand::Show(args) => show(args, global, terminal),
        RulesCommand::Test(args) => test(args, global, terminal),
        RulesCommand::Lint(args) => lint_rules(args, global, terminal),
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

fn one<'r>(rules: &'r RuleSet, id: &str) -> anyhow::Result<&'r Rule> {
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

fn test(args: &SomeRules, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (place, rules) = open(args, global, terminal)?;
    let chosen = chosen(&rules, &args.ids)?;
    let catalog = place.catalog()?;
    let refresh = |lake: &mut Lake, options: &_, run_id, at| {
        rollup::refresh(lake, &catalog, options, run_id, at)
            .map(drop)
            .map_err(|e| e.to_string())
    };
    let runner = CaseRunner {
        catalog: &catalog,
        rules: &rules,
        threads: *place.settings.limits.threads,
        refresh_rollups: &refresh,
    };
    let results = runner.run(chosen.iter().copied())?;
    let each = || results.iter();
    let batch = Rows::new()
        .text("rule", each().map(|r| Some(r.rule_id.clone())))
        .text("case", each().map(|r| Some(r.name.clone())))
        .text(
            "kind",
            each().map(|r| {
                Some(if r.kind == CaseKind::Positive {
                    "positive"
                } else {
                    "negative"
                })
            }),
        )
        .text(
            "result",
            each().map(|r| Some(if r.passed() { "passed" } else { "FAILED" })),
        )
        .number("ms", each().map(|r| r.elapsed_ms))
        .batch()?;
    print_rows(&batch, global, terminal)?;
    let failed: Vec<_> = results.iter().filter(|r| !r.passed()).collect();
    for case in &failed {
        terminal.error(
            &format!(
                "{}:{}: {}",
                case.file,
                case.line,
                printable(&case.name, 300)
            ),
            &[],
        );
        case.differences
            .iter()
            .for_each(|d| terminal.say(&format!("  {}", printable(d, 2000))));
    }
    let untested: Vec<_> = chosen.iter().filter(|r| r.cases.is_none()).collect();
    untested
        .iter()
        .for_each(|r| terminal.warn(&format!("rule {} has no cases", r.id)));
    terminal.say(&format!("{} cases, {} failed", results.len(), failed.len()));
    Ok(if failed.is_empty() && !results.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

fn lint_rules(args: &SomeRules, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (place, rules) = open(args, global, terminal)?;
    let chosen = chosen(&rules, &args.ids)?;
    let catalog: Arc<Catalog> = place.catalog()?;
    // The real schema needs a lake, not its rows.
    let folder = Leftover::new(
        tempfile::Builder::new()
            .prefix("orgwatch-")
            .tempdir()?
            .keep(),
    );
    let lake = Lake::open_scratch(&folder.path().join("data"))?;
    let session = place.session(&lake, &catalog, &Registry::empty())?;
    let mut faults = 0;
    for rule in &chosen {
        for fault in lint(rule, &session, &catalog) {
            faults += 1;
            let text = fault.to_string();
            let (what, hints) = text
                .split_once("\nhint: ")
                .map_or((text.as_str(), vec![]), |(w, h)| {
                    (w, vec![printable(h, 1000)])
                });
            terminal.error(&printable(what, 2000), &hints);
        }
    }
    terminal.say(&format!("{} rules, {faults} faults", chosen.len()));
    Ok(if faults == 0 { Exit::Done } else { Exit::Usage })
}
