//! `orgwatch rules lint`: whether each rule is fit for use.

use std::sync::Arc;

use super::{SomeRules, chosen, open, test};
use crate::catalog::Catalog;
use crate::cli::Global;
use crate::cli::exit::Exit;
use crate::cli::interrupt::Leftover;
use crate::cli::terminal::Terminal;
use crate::cli::workplace::Workplace;
use crate::config::Suppression;
use crate::detect::{CasePick, CaseResult, Rule, RuleError, Suppressions, lint};
use crate::lake::Lake;
use crate::privacy::printable;
use crate::registry::Registry;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules lint
  orgwatch rules lint --rules-dir my-rules my-rule
  orgwatch rules lint --config orgwatch.toml    with your suppressions in force

Checks that the query can be planned, its result has the promised columns and a total order, its
window and parameters are used, front matter and `control` are complete, one positive and two
negative cases are beside it, and the positive really fires.

Exit codes:
  0  no fault
  2  a rule has a fault or cannot be read";

pub fn run(args: &SomeRules, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (place, _) = open(args, global, terminal)?;
    let rules = place.rules_as_written()?;
    let chosen = chosen(&rules, &args.ids)?;
    let catalog = place.catalog()?;
    let mut faults = vec![];
    let mut sound = vec![];
    for (rule, found) in chosen.iter().zip(linted(&place, &catalog, &chosen)?) {
        if found.is_empty() {
            sound.push(*rule);
        }
        faults.extend(found);
    }

    let now = place.clock.now();
    let in_force = |s: &&Suppression| s.is_active(now);
    let said: Vec<_> = place
        .settings
        .suppressions
        .iter()
        .filter(in_force)
        .cloned()
        .collect();
    let suppressions = Suppressions::new(&said);
    let pick = match said.is_empty() {
        true => CasePick::FirstPositive,
        false => CasePick::Positives,
    };
    let fired = test::results(&place, &catalog, &rules, &sound, pick, &suppressions)?;
    faults.extend(fired.iter().filter_map(fault_of));

    for fault in &faults {
        let text = fault.to_string();
        let (what, hints) = match text.split_once("\nhint: ") {
            Some((what, hint)) => (what, vec![printable(hint, 1000)]),
            None => (text.as_str(), vec![]),
        };
        terminal.error(&printable(what, 2000), &hints);
    }
    terminal.say(&format!("{} rules, {} faults", chosen.len(), faults.len()));
    Ok(if faults.is_empty() {
        Exit::Done
    } else {
        Exit::Usage
    })
}

/// The faults of each rule, planned against the real tables; none of its cases is run.
pub fn linted(
    place: &Workplace<'_>,
    catalog: &Arc<Catalog>,
    rules: &[&Rule],
) -> anyhow::Result<Vec<Vec<RuleError>>> {
    // The real schema needs a lake, not its rows.
    let folder = Leftover::new(
        tempfile::Builder::new()
            .prefix("orgwatch-")
            .tempdir()?
            .keep(),
    );
    let lake = Lake::open_scratch(&folder.path().join("data"))?;
    let session = place.session(&lake, catalog, &Registry::empty())?;
    Ok(rules
        .iter()
        .map(|rule| lint(rule, &session, catalog))
        .collect())
}

/// A positive case that does not fire, or that nobody would hear of.
fn fault_of(case: &CaseResult) -> Option<RuleError> {
    let name = &case.name;
    if let Some(first) = case.differences.first() {
        let what = format!("the positive case {name:?} does not come out: {first}");
        let error = RuleError::new(&case.file, case.line, what);
        return Some(error.hint(format!("orgwatch rules test {}", case.rule_id)));
    }
    case.silenced.then(|| {
        let what = format!("a suppression hides all that the positive case {name:?} finds");
        RuleError::new(&case.file, case.line, what)
            .hint("narrow the [[suppress]] entry with `user` or `where`")
    })
}
