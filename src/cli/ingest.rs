//! `orgwatch ingest`: log files into the lake, without asking any rule.

use clap::Args;

use super::account::{ingest_troubles, quarantine_reasons, write_ingest, write_quarantine};
use super::exit::Exit;
use super::night::{read_inputs, refresh_rollups, set_damaged_aside};
use super::record::{level_of, record_input};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, InputFlags, WatchFlags};
use crate::lake::Lake;
use crate::privacy::printable;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch ingest logs/ --data-dir data
  orgwatch ingest 'logs/2026-01-*_Login.csv' archive.zip --data-dir data
  orgwatch ingest User_2026-01-15.json roster_2026-01-15.zip --data-dir data
  curl … | orgwatch ingest - --data-dir data

A roster file (User, Profile, PermissionSet, PermissionSetAssignment, ConnectedApplication …) is a
snapshot of the date in its name; without one, of this run.";

#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Log and roster files (CSV or JSON), folders or globs, or `-` for standard input; otherwise
    /// those of the config
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,
    #[command(flatten)]
    pub input: InputFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub watch: WatchFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &IngestArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        input: Some(&args.input),
        engine: Some(&args.engine),
        inputs: &args.inputs,
        metrics_file: args.watch.metrics_file.as_ref(),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let catalog = place.catalog()?;
    let inputs = place.inputs()?;

    let mut lake = Lake::open_writer(place.data_dir())?;
    let run_id = lake.ledger_mut().start_run("ingest", place.clock.now())?;
    let notes = set_damaged_aside(&mut lake, run_id, &place)?;
    let report = read_inputs(&mut lake, &catalog, &inputs, run_id, &place)?;
    refresh_rollups(&mut lake, &catalog, run_id, &place)?;

    let mut troubles = ingest_troubles(&report, *place.settings.limits.quarantine_ratio);
    if inputs.is_empty() {
        troubles.push("no input file was found".to_owned());
    }
    if !notes.is_empty() {
        troubles.push("a damaged lake file was set aside".to_owned());
    }
    let exit = if troubles.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    };
    let summary = serde_json::json!({
        "exit_code": exit.code(),
        "files_read": report.files.len(),
        "files_known": report.known.len(),
        "rows_read": report.total(|f| f.rows_read),
        "rows_kept": report.total(|f| f.rows_kept),
        "rows_duplicate": report.total(|f| f.rows_duplicate),
        "rows_quarantined": report.total(|f| f.rows_quarantined),
        "troubles": troubles,
    });
    lake.ledger_mut().finish_run(
        run_id,
        place.clock.now(),
        i32::from(exit.code()),
        &summary.to_string(),
    )?;

    // No data asked for, so stdout stays empty: the account is a remark.
    let quarantine = quarantine_reasons(&lake, &report)?;
    let mut text = String::new();
    write_ingest(&mut text, &report, inputs.is_empty(), terminal)?;
    write_quarantine(&mut text, &quarantine)?;
    terminal.for_people(&text);
    record_input(terminal, &report, &quarantine);
    notes
        .iter()
        .for_each(|note| terminal.warn(&printable(note, 1000)));
    troubles.iter().for_each(|trouble| terminal.warn(trouble));
    terminal.record(level_of(exit), "ingest finished", &summary);
    Ok(exit)
}
