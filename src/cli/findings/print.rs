//! Findings on stdout or in a file, in every format.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::alert::News;
use crate::cli::Global;
use crate::cli::cases::{CaseOf, case_rows};
use crate::cli::explain::deviations_of;
use crate::cli::gathering::Gathering;
use crate::cli::mailing::Teller;
use crate::cli::output::{Destination, Format, Rows, writer};
use crate::cli::telling::{short, write_news};
use crate::cli::terminal::Terminal;
use crate::cli::workplace::Workplace;
use crate::detect::to_json;
use crate::lake::{Finding, FindingRow, Lake, RunId, Status};
use crate::privacy::{escape_json, printable};
use crate::report::{ExportContext, Exported, ocsf, sarif};

/// The findings of an evaluation: in full for people, as a list in the other formats.
pub fn print_findings(
    listed: &[Finding],
    lake: &Lake,
    teller: &Teller<'_>,
    gathering: &Gathering,
    global: &Global,
    place: &Workplace<'_>,
) -> anyhow::Result<()> {
    if global.format.unwrap_or_default() != Format::Table {
        return print_list(listed, lake, place, global, None);
    }
    let mut text = String::new();
    let open = |l: &&Finding| matches!(l.status, Status::New | Status::Ongoing);
    let shown: BTreeSet<&str> = listed
        .iter()
        .filter(open)
        .map(|l| l.row.finding_id.as_str())
        .collect();
    for item in listed.iter().filter(open) {
        let leader = gathering.leader_of(&item.row);
        if leader.is_some_and(|leader| shown.contains(leader.finding_id.as_str())) {
            continue;
        }
        let finding = gathering.tell(&item.row, &shown, teller);
        write_news(
            &mut text,
            &News {
                finding,
                others: Vec::new(),
            },
            place.terminal,
        )?;
        text.push('\n');
    }
    place.terminal.data(|out| out.write_all(text.as_bytes()))?;
    Ok(())
}

/// Findings as a list: short columns for people, all of them for programs.
pub fn print_list(
    listed: &[Finding],
    lake: &Lake,
    place: &Workplace<'_>,
    global: &Global,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let format = global.format.unwrap_or_default();
    let destination = Destination::open(output, format, place.terminal)?;
    match format {
        Format::Json | Format::Jsonl => {
            let items = listed.iter();
            let items = items.map(|item| to_json(&item.row, item.status.as_str()));
            write_json(&destination, items.collect(), format, place.terminal)?;
        }
        Format::Ocsf | Format::Sarif => {
            let mut sink = destination.sink(place.terminal)?;
            export(listed, lake, place, format, &mut sink)?;
            sink.flush()?;
        }
        Format::Table => write_rows(&destination, short_rows(listed), format, place.terminal)?,
        _ => write_rows(&destination, all_columns(listed), format, place.terminal)?,
    }
    destination.finish().context("cannot finish the output")
}

/// A line for each case.
pub fn print_cases(
    cases: &[CaseOf<'_>],
    global: &Global,
    output: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let format = global.format.unwrap_or_default();
    let destination = Destination::open(output, format, terminal)?;
    match format {
        Format::Json | Format::Jsonl => {
            let items = cases.iter().map(CaseOf::to_json).collect();
            write_json(&destination, items, format, terminal)?;
        }
        _ => {
            let rows = case_rows(cases, format == Format::Table);
            write_rows(&destination, rows, format, terminal)?;
        }
    }
    destination.finish().context("cannot finish the output")
}

fn write_rows(
    destination: &Destination,
    rows: Rows,
    format: Format,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let batch = rows.batch()?;
    let (layout, sink) = (destination.layout(terminal), destination.sink(terminal)?);
    let mut rows = writer(format, batch.schema(), layout, sink)?;
    rows.write(&batch)?;
    Ok(rows.finish()?)
}

/// The formats of other tools.
fn export(
    listed: &[Finding],
    lake: &Lake,
    place: &Workplace<'_>,
    format: Format,
    sink: &mut dyn Write,
) -> anyhow::Result<()> {
    let rules = place.rules()?;
    let teller = Teller::new(lake, &rules, place.invocation())?;
    let runs = lake.ledger().runs()?;
    let mut deviations = deviations_of(listed, lake, place).unwrap_or_else(|error| {
        // What was found is told even where the days behind it can no longer be read.
        place
            .terminal
            .warn(&printable(&format!("no baselines: {error:#}"), 1000));
        BTreeMap::new()
    });
    let began = |run_id: RunId| runs.iter().find(|run| run.run_id == run_id);
    let exported: Vec<Exported<'_>> = listed
        .iter()
        .map(|finding| Exported {
            finding,
            rule: rules.get(&finding.row.rule_id),
            found_at: began(finding.first_run).map(|run| run.started_at),
            changed_at: began(finding.last_run).map(|run| run.started_at),
            rows_command: teller.finding(&finding.row).rows_command,
            deviations: deviations
                .remove(&finding.row.finding_id)
                .unwrap_or_default(),
        })
        .collect();
    let context = ExportContext {
        org_id: place.settings.org.id.as_deref(),
        org_name: place.settings.org.name.as_deref(),
        at: place.clock.now(),
    };
    match format {
        Format::Sarif => sarif::write(&exported, &context, sink)?,
        _ => ocsf::write(&exported, &context, sink)?,
    }
    Ok(())
}

fn write_json(
    destination: &Destination,
    items: Vec<Value>,
    format: Format,
    terminal: &Terminal,
) -> std::io::Result<()> {
    let mut sink = destination.sink(terminal)?;
    if format == Format::Jsonl {
        for item in items {
            writeln!(sink, "{}", escape_json(&item.to_string()))?;
        }
    } else {
        let all = Value::from(items);
        writeln!(sink, "{}", escape_json(&all.to_string()))?;
    }
    sink.flush()
}

fn short_rows(listed: &[Finding]) -> Rows {
    let rows = || listed.iter().map(|l| &l.row);
    let short_rows = Rows::new()
        .text("finding", rows().map(|r| Some(short(&r.finding_id))))
        .text("severity", rows().map(|r| Some(r.severity.as_str())))
        .text("status", listed.iter().map(|l| Some(l.status.as_str())))
        .text("rule", rows().map(|r| Some(r.rule_id.clone())))
        .text(
            "user",
            rows().map(|r| r.username.clone().or_else(|| r.user_key.clone())),
        )
        .time("last_seen", rows().map(|r| Some(r.last_seen)))
        .number("count", rows().map(|r| r.count))
        .text("observed", rows().map(|r| Some(r.observed.clone())));
    // What hides, raises or gathers a finding is of interest where something does.
    let mut short_rows = short_rows;
    if rows().any(|r| r.suppressed_by.is_some()) {
        short_rows = short_rows.text("suppressed_by", rows().map(|r| r.suppressed_by.clone()));
    }
    if rows().any(|r| r.correlation.raised_from.is_some()) {
        let from = |r: &FindingRow| r.correlation.raised_from.map(|s| s.as_str());
        short_rows = short_rows.text("raised_from", rows().map(from));
    }
    if rows().any(|r| r.correlation.gathered_by.is_some()) {
        let by = |r: &FindingRow| r.correlation.gathered_by.as_deref().map(short);
        short_rows = short_rows.text("gathered_by", rows().map(by));
    }
    short_rows
}

fn all_columns(listed: &[Finding]) -> Rows {
    let rows = || listed.iter().map(|l| &l.row);
    Rows::new()
        .text("finding_id", rows().map(|r| Some(r.finding_id.clone())))
        .text("dedupe_key", rows().map(|r| Some(r.dedupe_key.clone())))
        .text("rule_id", rows().map(|r| Some(r.rule_id.clone())))
        .number(
            "rule_version",
            rows().map(|r| u64::try_from(r.rule_version).unwrap_or(0)),
        )
        .text("severity", rows().map(|r| Some(r.severity.as_str())))
        .text("title", rows().map(|r| Some(r.title.clone())))
        .text("user_id", rows().map(|r| r.user_id.clone()))
        .text("username", rows().map(|r| r.username.clone()))
        .text("user_kind", rows().map(|r| r.user_kind.clone()))
        .time("bucket_start", rows().map(|r| r.bucket_start))
        .time("first_seen", rows().map(|r| Some(r.first_seen)))
        .time("last_seen", rows().map(|r| Some(r.last_seen)))
        .number("count", rows().map(|r| r.count))
        .text("status", listed.iter().map(|l| Some(l.status.as_str())))
        .text("suppressed_by", rows().map(|r| r.suppressed_by.clone()))
        .text("evidence", rows().map(|r| Some(r.evidence_json.clone())))
        .text("expected", rows().map(|r| Some(r.expected.clone())))
        .text("observed", rows().map(|r| Some(r.observed.clone())))
        .text("attack", rows().map(|r| Some(r.attack.join(" "))))
        .text("family", rows().map(|r| r.family.map(|f| f.as_str())))
        .text("case_id", rows().map(|r| r.correlation.case_id.clone()))
        .text(
            "case_subject",
            rows().map(|r| r.correlation.case_subject.clone()),
        )
        .text(
            "raised_from",
            rows().map(|r| r.correlation.raised_from.map(|s| s.as_str())),
        )
        .text(
            "raised_because",
            rows().map(|r| r.correlation.raised_because.clone()),
        )
        .text(
            "gathered_by",
            rows().map(|r| r.correlation.gathered_by.clone()),
        )
}
