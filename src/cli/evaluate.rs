//! `orgwatch evaluate`: how good the detections are, on orgs of which the answer is known.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::exit::Exit;
use super::failure::UsageError;
use super::output::{Destination, Format, Layout, Rows, writer};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{Global, HiddenNow};
use crate::evaluate::{
    Comparator, EvaluateError, Org, Score, Section, ask, evaluate, read_labels, read_result, score,
    sections, to_result,
};
use crate::lake::Lake;
use crate::privacy::escape_json;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch evaluate synthetic/labels.csv
  orgwatch evaluate synthetic/labels.csv --format json --output synthetic.json
  orgwatch evaluate one.json two.json --format markdown

Beside each labels.csv stand the orgwatch.toml and the lake of the org, as `orgwatch simulate` and
`orgwatch run` leave them.";

/// Largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// labels.csv of a synthetic org whose logs were judged, or a result of this command as JSON;
    /// several are pooled
    #[arg(value_name = "LABELS", required = true)]
    pub labels: Vec<PathBuf>,
    /// Do not ask the logic that others have published
    #[arg(long)]
    pub no_comparators: bool,
    /// Longest time for one comparator and org, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub comparator_time: u64,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &EvaluateArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    if args.labels.len() > 1 && (global.config.is_some() || global.data_dir.is_some()) {
        return Err(UsageError::new(
            "--config and --data-dir are for one LABELS",
            "leave them out: the configuration of each org is the `orgwatch.toml` beside its labels",
        )
        .into());
    }
    let format = global.format.unwrap_or_default();
    if format == Format::Junit {
        return Err(super::output::OutputError::JunitElsewhere.into());
    }
    // A result that cannot be written is found before the work, not after it.
    let destination = Destination::open(args.output.as_deref(), format, terminal)?;
    let comparators = match args.no_comparators {
        true => vec![],
        false => Comparator::embedded()?,
    };
    let mut orgs = vec![];
    let progress = terminal.steps(args.labels.len() as u64);
    for path in &args.labels {
        progress.set_message(crate::privacy::printable(&path.display().to_string(), 200));
        orgs.extend(orgs_of(path, &comparators, args, global, terminal)?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let score = score(&orgs);
    print(&orgs, &score, format, &destination, terminal)?;
    destination.finish().context("cannot finish the output")?;
    Ok(Exit::Done)
}

/// The org of a labels.csv, or those of an earlier result.
fn orgs_of(
    path: &Path,
    comparators: &[Comparator],
    args: &EvaluateArgs,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Vec<Org>> {
    let text = text_of(path)?;
    if text.trim_start().starts_with('{') {
        return Ok(read_result(path, &text)?);
    }
    let name = path.display().to_string();
    let labels = read_labels(&name, &text)?;
    let mut global = global.clone();
    if global.config.is_none() {
        global.config = Some(path.with_file_name("orgwatch.toml"));
    }
    let place = Workplace::open(terminal, &global, args.now.now, &Flags::default())?;
    let lake = Lake::open_reader(place.data_dir())?;
    let (catalog, registry) = (place.catalog()?, place.registry()?);
    let mut org = evaluate(&name, &labels, &lake, &catalog, &registry)?;
    if !comparators.is_empty() {
        let limit = Duration::from_secs(args.comparator_time);
        let session = place.session(&lake, &catalog, &registry)?;
        for comparator in comparators {
            terminal.detail(&format!("{name}: asking {}", comparator.id));
            org.comparators
                .push(ask(comparator, &session, &labels, limit));
        }
    }
    if org.unasked_nights > 0 {
        terminal.warn(&format!(
            "{name}: no rule has been asked of {} yet; `orgwatch detect` does",
            counted(org.unasked_nights, "night")
        ));
    }
    for failed in org.comparators.iter().filter(|peer| peer.failed.is_some()) {
        let why = failed.failed.as_deref().unwrap_or_default();
        terminal.warn(&format!("the comparator {} failed: {why}", failed.id));
    }
    Ok(vec![org])
}

fn text_of(path: &Path) -> Result<String, EvaluateError> {
    let wrong = |source| EvaluateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(wrong)?;
    let mut file = file.take(LARGEST + 1);
    file.read_to_string(&mut text).map_err(wrong)?;
    match text.len() as u64 > LARGEST {
        true => Err(EvaluateError::TooLarge {
            path: path.to_owned(),
            limit: LARGEST,
        }),
        false => Ok(text),
    }
}

fn print(
    orgs: &[Org],
    score: &Score,
    format: Format,
    destination: &Destination,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut sink = destination.sink(terminal)?;
    match format {
        Format::Json | Format::Jsonl => {
            let result = to_result(orgs, score)?;
            writeln!(sink, "{}", escape_json(&result))?;
            sink.flush()?;
        }
        Format::Table | Format::Markdown => {
            let layout = destination.layout(terminal);
            for section in sections(score) {
                write_section(&mut sink, &section, format, layout, terminal)?;
            }
            sink.flush()?;
        }
        _ => {
            let batch = measures(score)?;
            let mut rows = writer(format, batch.schema(), destination.layout(terminal), sink)?;
            rows.write(&batch)?;
            rows.finish()?;
        }
    }
    Ok(())
}

fn write_section(
    sink: &mut (dyn Write + Send),
    section: &Section,
    format: Format,
    layout: Layout,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    match format {
        Format::Markdown => writeln!(sink, "### {}\n", section.title)?,
        _ => writeln!(sink, "{}", terminal.bold(section.title))?,
    }
    if !section.remark.is_empty() {
        writeln!(sink, "{}", section.remark)?;
        if format == Format::Markdown {
            writeln!(sink)?;
        }
    }
    let batch = table(section)?;
    let mut text = Vec::new();
    {
        let mut rows = writer(format, batch.schema(), layout, Box::new(&mut text))?;
        rows.write(&batch)?;
        rows.finish()?;
    }
    sink.write_all(&text)?;
    writeln!(sink)?;
    Ok(())
}

fn table(section: &Section) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut rows = Rows::new();
    for (n, heading) in section.headings.iter().enumerate() {
        rows = rows.text(heading, section.rows.iter().map(|row| row.get(n).cloned()));
    }
    rows.batch()
}

/// The tables one below the other, cell by cell: for formats that hold one table.
fn measures(score: &Score) -> Result<RecordBatch, arrow::error::ArrowError> {
    let mut cells: Vec<[String; 4]> = vec![];
    for section in sections(score) {
        for row in &section.rows {
            let name = row.first().cloned().unwrap_or_default();
            for (heading, cell) in section.headings.iter().zip(row).skip(1) {
                let cell = cell.clone();
                cells.push([section.title.into(), name.clone(), (*heading).into(), cell]);
            }
        }
    }
    let column = |n: usize| cells.iter().map(move |row| Some(row[n].clone()));
    Rows::new()
        .text("section", column(0))
        .text("name", column(1))
        .text("measure", column(2))
        .text("value", column(3))
        .batch()
}
