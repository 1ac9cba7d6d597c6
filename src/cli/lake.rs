//! `orgwatch lake`: what the lake holds, whether it is sound, and its upkeep.

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::failure::UsageError;
use super::output::Rows;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{Global, HiddenNow, print_rows};
use crate::lake::{Depth, Lake};
use crate::privacy::printable;
use crate::rollup;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch lake info --data-dir data
  orgwatch lake verify                 proves files and accounts against the ledger
  orgwatch lake verify --quick         sizes and footers only
  orgwatch lake compact                joins the files of each day
  orgwatch lake prune --keep-days 400";

#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Rows, days and bytes of each event type
    #[command(after_help = EXAMPLES)]
    Info(HiddenNow),
    /// Proves the lake against its ledger, and the accounts' history against the raw rows
    #[command(after_help = EXAMPLES)]
    Verify(VerifyArgs),
    /// Joins the files of each event type and day
    #[command(after_help = EXAMPLES)]
    Compact(CompactArgs),
    /// Drops days beyond the retention
    #[command(after_help = EXAMPLES)]
    Prune(PruneArgs),
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Sizes and footers only, in milliseconds
    #[arg(long)]
    pub quick: bool,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct CompactArgs {
    /// Leave days with fewer files alone
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub min_parts: usize,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Days to keep; otherwise `retention_days` of the config
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: Option<u32>,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(command: &LakeCommand, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let now = match command {
        LakeCommand::Info(now) => now.now,
        LakeCommand::Verify(args) => args.now.now,
        LakeCommand::Compact(args) => args.now.now,
        LakeCommand::Prune(args) => args.now.now,
    };
    let place = Workplace::open(terminal, global, now, &Flags::default())?;
    match command {
        LakeCommand::Info(_) => info(&place, global),
        LakeCommand::Verify(args) => verify(args, &place),
        LakeCommand::Compact(args) => compact(args, &place),
        LakeCommand::Prune(args) => prune(args, &place),
    }
}

fn info(place: &Workplace<'_>, global: &Global) -> anyhow::Result<Exit> {
    let info = Lake::open_reader(place.data_dir())?.info()?;
    let each = || info.event_types.iter();
    let batch = Rows::new()
        .text("event_type", each().map(|e| Some(e.event_type.clone())))
        .number("rows", each().map(|e| e.rows))
        .number("days", each().map(|e| e.days))
        .text("first_day", each().map(|e| Some(e.first_day.to_string())))
        .text("last_day", each().map(|e| Some(e.last_day.to_string())))
        .number("parts", each().map(|e| e.parts))
        .number("bytes", each().map(|e| e.bytes))
        .batch()?;
    print_rows(&batch, global, place.terminal)?;
    let data = printable(&place.data_dir().display().to_string(), 1000);
    place.terminal.say(&format!(
        "{data}: {} input files, {} runs",
        info.files, info.runs
    ));
    Ok(Exit::Done)
}

fn verify(args: &VerifyArgs, place: &Workplace<'_>) -> anyhow::Result<Exit> {
    let lake = Lake::open_reader(place.data_dir())?;
    let depth = if args.quick {
        Depth::Quick
    } else {
        Depth::Full
    };
    let mut report = lake.verify(depth)?;
    if depth == Depth::Full && report.damaged.is_empty() {
        let options = place.engine_options(lake.data_dir());
        let differences = rollup::check_history(&lake, &place.catalog()?, &options)?;
        report.accounts.extend(differences);
    }
    for damage in &report.damaged {
        let path = printable(&damage.part.path.display().to_string(), 1000);
        place
            .terminal
            .error(&format!("{path}: {}", printable(&damage.detail, 1000)), &[]);
    }
    for line in report.accounts.iter().chain(&report.ledger) {
        place.terminal.error(&printable(line, 1000), &[]);
    }
    let verdict = if report.is_sound() {
        "sound"
    } else {
        "NOT sound"
    };
    let line = format!(
        "{verdict}: {} parts, {} rows, {} bytes, {} input files",
        report.parts, report.rows, report.bytes, report.files
    );
    place.terminal.data(|out| writeln!(out, "{line}"))?;
    if !report.damaged.is_empty() {
        place
            .terminal
            .say("hint: `orgwatch run` sets damaged files aside; give their inputs again");
    }
    Ok(if report.is_sound() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

fn compact(args: &CompactArgs, place: &Workplace<'_>) -> anyhow::Result<Exit> {
    let mut lake = open_existing(place)?;
    let at = place.clock.now();
    let run_id = lake.ledger_mut().start_run("compact", at)?;
    let done = lake.compact(run_id, at, args.min_parts)?;
    for (event_type, day, why) in &done.skipped {
        place.terminal.warn(&format!(
            "{event_type} of {day} left alone: {}",
            printable(why, 1000)
        ));
    }
    let exit = if done.skipped.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    };
    let summary = serde_json::json!({"days": done.days, "rows": done.rows});
    lake.ledger_mut().finish_run(
        run_id,
        place.clock.now(),
        i32::from(exit.code()),
        &summary.to_string(),
    )?;
    let line = format!(
        "{} joined from {} files: {} rows, {} bytes instead of {}",
        counted(done.days, "day"),
        done.parts_before,
        done.rows,
        done.bytes_after,
        done.bytes_before
    );
    place.terminal.data(|out| writeln!(out, "{line}"))?;
    Ok(exit)
}

fn prune(args: &PruneArgs, place: &Workplace<'_>) -> anyhow::Result<Exit> {
    let keep_days = args
        .keep_days
        .or(*place.settings.store.retention_days)
        .ok_or_else(|| {
            UsageError::new(
                "nothing says how many days to keep",
                "give --keep-days, or set `retention_days` in [store]",
            )
        })?;
    let catalog = place.catalog()?;
    let mut lake = open_existing(place)?;
    let at = place.clock.now();
    let run_id = lake.ledger_mut().start_run("prune", at)?;
    let is_roster = |event_type: &str| catalog.is_roster(event_type);
    let pruned = lake.prune(run_id, at, at.date_naive(), u64::from(keep_days), is_roster)?;
    let summary = serde_json::json!({"keep_days": keep_days, "rows": pruned.rows});
    lake.ledger_mut()
        .finish_run(run_id, place.clock.now(), 0, &summary.to_string())?;
    let line = match pruned.before {
        Some(before) => format!(
            "{} rows in {} files ({} bytes) from before {before} are gone",
            pruned.rows, pruned.parts, pruned.bytes
        ),
        None => "nothing is that old".to_owned(),
    };
    place.terminal.data(|out| writeln!(out, "{line}"))?;
    Ok(Exit::Done)
}

/// The writer of a lake that is there: upkeep never makes one.
fn open_existing(place: &Workplace<'_>) -> anyhow::Result<Lake> {
    drop(Lake::open_reader(place.data_dir())?);
    Ok(Lake::open_writer(place.data_dir())?)
}
