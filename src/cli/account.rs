//! The account of an ingest: files and rows, what was refused and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;

use super::terminal::Terminal;
use crate::alert::wrap;
use crate::ingest::IngestReport;
use crate::lake::{FileState, Lake, LakeError, LedgerTable};
use crate::privacy::printable;
use crate::words::counted;

const MAX_LISTED: usize = 20;
const MAX_REASONS: usize = 3;
/// Width of wrapped text.
const WIDTH: usize = 100;
const MAX_TEXT: usize = 600;

/// Reasons for which an ingest counts as partial.
pub fn ingest_troubles(ingest: &IngestReport, quarantine_ratio: f64) -> Vec<String> {
    let mut troubles = Vec::new();
    let rejected = ingest.rejected().count();
    if rejected > 0 {
        troubles.push(format!("{} rejected", counted(rejected, "file")));
    }
    let torn = ingest
        .files
        .iter()
        .filter(|f| f.state == FileState::Torn)
        .count();
    if torn > 0 {
        troubles.push(format!(
            "{} cut off in the middle of a row",
            counted(torn, "file")
        ));
    }
    let (read, quarantined) = (
        ingest.total(|f| f.rows_read),
        ingest.total(|f| f.rows_quarantined),
    );
    #[allow(clippy::cast_precision_loss)]
    if read > 0 && quarantined as f64 / read as f64 > quarantine_ratio {
        troubles.push(format!(
            "{quarantined} of {read} rows quarantined, more than the limit of {quarantine_ratio}"
        ));
    }
    troubles
}

/// Files and rows; per event type under `-v`.
pub fn write_ingest(
    out: &mut String,
    ingest: &IngestReport,
    has_no_input: bool,
    terminal: &Terminal,
) -> std::fmt::Result {
    let rejected = ingest.rejected().count();
    let read = ingest.files.len() - rejected;
    write!(
        out,
        "Files     {read} read, {} known already, {rejected} rejected",
        ingest.known.len()
    )?;
    writeln!(
        out,
        "{}",
        if has_no_input {
            " (no input file was found)"
        } else {
            ""
        }
    )?;
    write_reasons(out, "rejected", &reasons_of(ingest, FileState::Rejected))?;
    write_reasons(out, "cut off", &reasons_of(ingest, FileState::Torn))?;
    let total = |count: fn(&crate::lake::SourceFile) -> u64| ingest.total(count);
    writeln!(
        out,
        "Rows      {} read = {} kept + {} duplicate + {} quarantined",
        total(|f| f.rows_read),
        total(|f| f.rows_kept),
        total(|f| f.rows_duplicate),
        total(|f| f.rows_quarantined),
    )?;
    write_unknown(out, ingest)?;
    if terminal.verbose() == 0 {
        return Ok(());
    }
    let mut types: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    for file in ingest
        .files
        .iter()
        .filter(|f| f.state != FileState::Rejected)
    {
        let sums = types.entry(file.event_type.as_str()).or_default();
        let row = [
            1,
            file.rows_read,
            file.rows_kept,
            file.rows_duplicate,
            file.rows_quarantined,
        ];
        sums.iter_mut().zip(row).for_each(|(sum, n)| *sum += n);
    }
    for (event_type, [files, read, kept, duplicate, quarantined]) in types {
        let name = printable(event_type, 80);
        writeln!(
            out,
            "          {name}: {}, {read} read = {kept} kept + {duplicate} duplicate + {quarantined} quarantined",
            counted(files, "file")
        )?;
    }
    Ok(())
}

/// What the catalogue does not know, by name: it was dropped, and nobody should learn that late.
fn write_unknown(out: &mut String, ingest: &IngestReport) -> std::fmt::Result {
    let mut columns: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in &ingest.files {
        let names = file.unknown_columns.iter().map(String::as_str);
        columns.entry(&file.event_type).or_default().extend(names);
    }
    columns.retain(|_, names| !names.is_empty());
    for (event_type, names) in columns.iter().take(MAX_LISTED) {
        let listed: Vec<String> = names
            .iter()
            .take(MAX_LISTED)
            .map(|name| printable(name, 80))
            .collect();
        let more = match names.len().saturating_sub(MAX_LISTED) {
            0 => String::new(),
            more => format!(" + {more} more"),
        };
        let line = format!(
            "not in the catalogue, dropped: {} of {}: {}{more}",
            counted(names.len(), "column"),
            printable(event_type, 80),
            listed.join(", ")
        );
        writeln!(out, "          {}", wrap(&line, WIDTH, 12))?;
    }
    match columns.len().saturating_sub(MAX_LISTED) {
        0 => Ok(()),
        more => writeln!(
            out,
            "          + {more} more types: SELECT name, unknown_columns FROM files"
        ),
    }
}

/// Why rows were quarantined in this ingest, the most frequent reason first.
pub fn quarantine_reasons(
    lake: &Lake,
    ingest: &IngestReport,
) -> Result<Vec<(String, u64)>, LakeError> {
    if ingest.total(|f| f.rows_quarantined) == 0 {
        return Ok(Vec::new());
    }
    let files: BTreeSet<_> = ingest.files.iter().map(|f| f.file_id).collect();
    let rows = lake.ledger().snapshot(LedgerTable::Quarantine)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    if let (Some(ids), Some(reasons), Some(columns)) = (
        rows.column_by_name("file_id"),
        rows.column_by_name("reason"),
        rows.column_by_name("column_name"),
    ) {
        let (ids, reasons) = (ids.as_primitive::<Int64Type>(), reasons.as_string_view());
        let columns = columns.as_string_view();
        for row in (0..rows.num_rows()).filter(|row| files.contains(&ids.value(*row))) {
            let reason = match columns.is_valid(row) {
                true => format!("{}: {}", columns.value(row), reasons.value(row)),
                false => reasons.value(row).to_owned(),
            };
            *counts.entry(reason).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(counts)
}

pub fn write_quarantine(out: &mut String, reasons: &[(String, u64)]) -> std::fmt::Result {
    for (reason, n) in reasons.iter().take(MAX_REASONS) {
        let line = format!(
            "quarantined: {}: {}",
            counted(*n, "row"),
            printable(reason, MAX_TEXT)
        );
        writeln!(out, "          {}", wrap(&line, WIDTH, 12))?;
    }
    match reasons.len().saturating_sub(MAX_REASONS) {
        0 => Ok(()),
        more => writeln!(
            out,
            "          + {more} more reasons: SELECT * FROM quarantine"
        ),
    }
}

pub fn reasons_of(ingest: &IngestReport, state: FileState) -> Vec<(String, String)> {
    let files = ingest.files.iter().filter(|f| f.state == state);
    files
        .map(|f| (f.name.clone(), f.reason.clone().unwrap_or_default()))
        .collect()
}

pub fn write_reasons(out: &mut String, what: &str, list: &[(String, String)]) -> std::fmt::Result {
    for (name, why) in list.iter().take(MAX_LISTED) {
        let line = format!(
            "{what}: {}: {}",
            printable(name, 200),
            printable(why, MAX_TEXT)
        );
        writeln!(out, "          {}", wrap(&line, WIDTH, 12))?;
    }
    if list.len() > MAX_LISTED {
        writeln!(out, "          + {} more {what}", list.len() - MAX_LISTED)?;
    }
    Ok(())
}
