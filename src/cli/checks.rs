//! What checks came to: lines for people, rows for machines, and the exit code.

use super::exit::Exit;
use super::output::{Format, Rows};
use super::terminal::Terminal;
use super::{Global, print_rows_as};
use crate::doctor::{Check, Verdict};
use crate::privacy::printable;

/// Longest text shown of a check, in characters.
const SHOWN_CHARS: usize = 1000;

/// Prints them, and says whether one failed.
pub fn report(
    checks: &[Check],
    is_json: bool,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let format = match is_json {
        true => Some(Format::Json),
        false => global.format,
    };
    match format {
        None | Some(Format::Table) => show(checks, terminal)?,
        Some(format) => print(checks, format, terminal)?,
    }
    let failed = checks.iter().any(|c| c.verdict == Verdict::Fail);
    Ok(if failed { Exit::Partial } else { Exit::Done })
}

fn show(checks: &[Check], terminal: &Terminal) -> anyhow::Result<()> {
    let name_width = checks.iter().map(|c| c.name.chars().count()).max();
    let name_width = name_width.unwrap_or(0).min(40);
    terminal.data(|out| {
        for check in checks {
            let verdict = terminal.verdict(check.verdict);
            let name = printable(&check.name, SHOWN_CHARS);
            let detail = printable(&check.detail, SHOWN_CHARS);
            writeln!(
                out,
                "{verdict}  {:<8}  {name:<name_width$}  {detail}",
                check.area
            )?;
            if !check.fix.is_empty() && check.verdict != Verdict::Pass {
                writeln!(out, "      fix: {}", printable(&check.fix, SHOWN_CHARS))?;
            }
        }
        Ok(())
    })?;
    let count = |verdict| checks.iter().filter(|c| c.verdict == verdict).count();
    terminal.say(&format!(
        "{} checks: {} passed, {} to look at, {} failed, {} skipped",
        checks.len(),
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        count(Verdict::Skip)
    ));
    Ok(())
}

fn print(checks: &[Check], format: Format, terminal: &Terminal) -> anyhow::Result<()> {
    let each = || checks.iter();
    let batch = Rows::new()
        .text("verdict", each().map(|c| Some(c.verdict.as_str())))
        .text("area", each().map(|c| Some(c.area)))
        .text("check", each().map(|c| Some(c.name.clone())))
        .text("detail", each().map(|c| Some(c.detail.clone())))
        .text(
            "fix",
            each().map(|c| (!c.fix.is_empty()).then(|| c.fix.clone())),
        )
        .batch()?;
    print_rows_as(format, &batch, terminal)
}
