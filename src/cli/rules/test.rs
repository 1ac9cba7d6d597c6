//! `orgwatch rules test`: the cases of the rules, and how long each took.

use std::path::Path;
use std::sync::Arc;

use super::{SomeRules, chosen, junit, open};
use crate::catalog::Catalog;
use crate::cli::exit::Exit;
use crate::cli::output::{Format, Rows};
use crate::cli::terminal::Terminal;
use crate::cli::workplace::Workplace;
use crate::cli::{Global, print_rows};
use crate::detect::{
    CaseKind, CasePick, CaseResult, CaseRunner, Rule, RuleError, RuleSet, Suppressions,
};
use crate::privacy::printable;
use crate::rollup;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules test
  orgwatch rules test --rules-dir my-rules my-rule -v    the slowest cases too
  orgwatch rules test --format junit > rules.xml
  orgwatch rules test --format jsonl --rules-dir my-rules

A rule is tested as it is written: settings neither switch it off nor tune it.

Exit codes:
  0  every case passed
  2  a rule, its cases or a setting cannot be read
  3  a case failed, or there was none";

/// Cases that `-v` lists.
const SLOWEST: usize = 10;

pub fn run(args: &SomeRules, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    // A name that the settings give to no rule is a mistake here too.
    let (place, _) = open(args, global, terminal)?;
    let rules = place.rules_as_written()?;
    let chosen = chosen(&rules, &args.ids)?;
    let catalog = place.catalog()?;
    let none = Suppressions::default();
    let results = results(&place, &catalog, &rules, &chosen, CasePick::All, &none)?;
    show(&chosen, &results, global, terminal)?;

    let failed: Vec<_> = results.iter().filter(|r| !r.passed()).collect();
    failed.iter().for_each(|case| tell(case, terminal));
    for rule in chosen.iter().filter(|r| r.cases.is_none()) {
        terminal.warn(&format!("rule {} has no cases", rule.id));
    }
    if terminal.verbose() > 0 {
        let mut slowest: Vec<&CaseResult> = results.iter().collect();
        slowest.sort_by_key(|r| std::cmp::Reverse(r.elapsed_ms));
        terminal.say("slowest:");
        for case in slowest.iter().take(SLOWEST) {
            let name = printable(&case.name, 100);
            terminal.say(&format!(
                "  {:>6} ms  {}: {name}",
                case.elapsed_ms, case.rule_id
            ));
        }
    }
    terminal.say(&format!("{} cases, {} failed", results.len(), failed.len()));
    Ok(if failed.is_empty() && !results.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

/// Runs cases on as many threads as the settings allow.
pub fn results(
    place: &Workplace<'_>,
    catalog: &Arc<Catalog>,
    rules: &RuleSet,
    chosen: &[&Rule],
    pick: CasePick,
    suppressions: &Suppressions,
) -> Result<Vec<CaseResult>, RuleError> {
    let runner = CaseRunner {
        catalog,
        rules,
        threads: *place.settings.limits.threads,
        refresh_rollups: &rollup::of_cases(catalog),
    };
    runner.run_some(chosen.iter().copied(), pick, suppressions)
}

fn show(
    rules: &[&Rule],
    results: &[CaseResult],
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let format = global.format.unwrap_or_default();
    if format == Format::Junit {
        let ids: Vec<&str> = rules.iter().map(|r| r.id.as_str()).collect();
        return Ok(terminal.data(|out| junit::write(out, &ids, results))?);
    }
    let each = || results.iter();
    let kind = |kind| match kind {
        CaseKind::Positive => "positive",
        CaseKind::Negative => "negative",
    };
    let mut rows = Rows::new()
        .text("rule", each().map(|r| Some(r.rule_id.clone())))
        .text("case", each().map(|r| Some(r.name.clone())))
        .text("kind", each().map(|r| Some(kind(r.kind))))
        .text(
            "result",
            each().map(|r| Some(if r.passed() { "passed" } else { "FAILED" })),
        )
        .number("ms", each().map(|r| r.elapsed_ms));
    // Where people read, the differences stand below the table.
    if format != Format::Table {
        let differences = |r: &CaseResult| (!r.passed()).then(|| r.differences.join("\n"));
        rows = rows
            .text("file", each().map(|r| Some(r.file.clone())))
            .number("line", each().map(|r| r.line as u64))
            .text("differences", each().map(differences));
    }
    print_rows(&rows.batch()?, global, terminal)
}

/// A failed case with its place and what differs.
pub fn tell(case: &CaseResult, terminal: &Terminal) {
    let file = Path::new(&case.file).display();
    let name = printable(&case.name, 300);
    terminal.error(&format!("{file}:{}: {name}", case.line), &[]);
    case.differences
        .iter()
        .for_each(|d| terminal.say(&format!("  {}", printable(d, 2000))));
}
