//! `orgwatch sql`: one question, over the lake or over log files as they are.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::account::{ingest_troubles, quarantine_reasons, write_quarantine};
use super::exit::Exit;
use super::failure::UsageError;
use super::hunts;
use super::interrupt::Leftover;
use super::night::{read_inputs, refresh_rollups};
use super::output::{Destination, writer};
use super::question::Question;
use super::rules::ParamFlag;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, InputFlags};
use crate::catalog::Catalog;
use crate::engine::{Params, Session};
use crate::ingest::Input;
use crate::lake::Lake;
use crate::privacy::printable;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch sql \"SELECT user_key, count(*) AS n FROM logins GROUP BY 1 ORDER BY 2 DESC LIMIT 10\"
  orgwatch sql --from logs/ \"SELECT login_path, count(*) FROM logins GROUP BY 1\"
  orgwatch sql --from 'LoginHistory*.csv' --timezone Europe/Berlin --format csv --file question.sql
  orgwatch sql --param who=erp@example.com 'SELECT * FROM logins WHERE username = $who'
  orgwatch sql --rule integration-ui-login --param window_start=2026-01-01 --param window_end=2026-02-01
  orgwatch sql --hunts
  orgwatch sql --hunt who-used-address --param address=192.0.2.0/24
  orgwatch sql --hunt timeline-of-user --param user=erp@example.com --param window_start=2026-01-30
  echo 'SELECT * FROM files' | orgwatch sql - --format jsonl
  orgwatch sql --format parquet --output logins.parquet \"SELECT * FROM logins\"

Tables: logins, logouts, api_calls, bulk_jobs, ui_activity, login_key_apps, unmapped_values,
queries (what SOQL and searches were about, by classes), aura_actions (a row per request and
action), threat_events (what Salesforce's own Threat Detection found, from its exports),
sightings, first_seen, activity_hourly, expected_activity, covered_days,
users, permissions, permission_assignments, apps, oauth_tokens, login_ip_ranges, roster_snapshots,
registry_users, registry_networks, registry_apps, registry_flows, registry_windows, files, runs,
quarantine, findings, rule_runs, alerts, parts, indicators, network_lists, and one per event type
(elf_login, login_history …).";

#[derive(Debug, Args)]
pub struct SqlArgs {
    /// The query, or `-` to read it from standard input
    #[arg(
        value_name = "QUERY",
        required_unless_present_any = ["file", "rule", "hunt", "hunts"],
        conflicts_with_all = ["file", "rule", "hunt", "hunts"]
    )]
    pub query: Option<String>,
    /// Read the query from a file; of a rule's or a hunt's file the parameters have their defaults
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["rule", "hunt", "hunts"])]
    pub file: Option<PathBuf>,
    /// Ask the query of this rule, as your settings tune it
    #[arg(long, value_name = "ID", conflicts_with_all = ["hunt", "hunts"])]
    pub rule: Option<String>,
    /// Ask a ready question; `--hunts` lists them
    #[arg(long, value_name = "NAME", conflicts_with = "hunts")]
    pub hunt: Option<String>,
    /// List the ready questions, what they need and over which days they ask
    #[arg(long, conflicts_with_all = ["params", "from"])]
    pub hunts: bool,
    /// Hunts of your own: every .sql file of this folder
    #[arg(long, value_name = "DIR", env = "ORGWATCH_HUNTS_DIR")]
    pub hunts_dir: Option<PathBuf>,
    /// A value for `$NAME` in the query: a number, true, a day or time, ['a', 'b'], or text; may be
    /// repeated. A rule or a hunt also takes window_start and window_end; otherwise a rule asks
    /// about the last day with rows, a hunt about the days that `--hunts` shows
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<ParamFlag>,
    /// Ask these log files instead of the lake; may be repeated
    #[arg(long, value_name = "INPUT")]
    pub from: Vec<String>,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub input: InputFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &SqlArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        input: Some(&args.input),
        engine: Some(&args.engine),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    if args.hunts {
        return hunts::list(args.hunts_dir.as_deref(), global, terminal);
    }
    let question = Question::read(args, &place)?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    // A result that cannot be written is found before the work, not after it.
    let format = global.format.unwrap_or_default();
    let destination = Destination::open(args.output.as_deref(), format, terminal)?;

    let source = Source::open(args, &place, &catalog)?;
    let session = place.session(source.lake(), &catalog, &registry)?;
    let params = question.params(&args.params, &session, source.lake(), &catalog, &place)?;
    let query = question.sql();
    let rows = answer(&session, query, &params, &destination, global, terminal)?;
    destination.finish().context("cannot finish the output")?;
    terminal.detail(&counted(rows, "row"));
    Ok(source.exit())
}

fn answer(
    session: &Session,
    query: &str,
    params: &Params,
    destination: &Destination,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<usize> {
    let batches = session.stream(query, params)?;
    let layout = destination.layout(terminal);
    let format = global.format.unwrap_or_default();
    let mut writer = writer(
        format,
        batches.schema(),
        layout,
        destination.sink(terminal)?,
    )?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(rows)
}

/// What is asked: the lake of the settings, or one made of log files for this question only.
/// The fields are dropped in order: the lake before its folder.
enum Source {
    Lake(Box<Lake>),
    Files {
        lake: Box<Lake>,
        _folder: Leftover,
        exit: Exit,
    },
}

impl Source {
    fn open(args: &SqlArgs, place: &Workplace<'_>, catalog: &Arc<Catalog>) -> anyhow::Result<Self> {
        if args.from.is_empty() {
            let lake = Lake::open_reader(place.data_dir())?;
            if !lake.ledger().dirty_days("rollup")?.is_empty() {
                place
                    .terminal
                    .warn("`logins` lacks the latest rows; `orgwatch detect` brings it up to date");
            }
            return Ok(Source::Lake(Box::new(lake)));
        }
        let inputs = Input::expand(&args.from)?;
        if inputs.is_empty() {
            return Err(UsageError::new(
                "--from names no log file",
                "a folder is searched for .csv, .json and .jsonl, also with .gz, and .zip",
            )
            .into());
        }
        // Made with mode 0700, and gone with this process however it ends.
        let folder = tempfile::Builder::new()
            .prefix("orgwatch-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let folder = Leftover::new(folder.keep());
        let mut lake = Lake::open_scratch(&folder.path().join("data"))?;
        let run_id = lake.ledger_mut().start_run("sql", place.clock.now())?;
        let report = read_inputs(&mut lake, catalog, &inputs, run_id, place)?;
        refresh_rollups(&mut lake, catalog, run_id, place)?;
        for file in &report.files {
            if let Some(reason) = &file.reason {
                let (name, reason) = (printable(&file.name, 300), printable(reason, 1000));
                place.terminal.warn(&format!("{name}: {reason}"));
            }
        }
        let (read, kept) = (report.total(|f| f.rows_read), report.total(|f| f.rows_kept));
        place.terminal.detail(&format!(
            "{}, {kept} of {read} rows kept",
            counted(report.files.len(), "file")
        ));
        let troubles = ingest_troubles(&report, *place.settings.limits.quarantine_ratio);
        troubles
            .iter()
            .for_each(|trouble| place.terminal.warn(trouble));
        let mut quarantine = String::new();
        write_quarantine(&mut quarantine, &quarantine_reasons(&lake, &report)?)?;
        quarantine
            .lines()
            .for_each(|line| place.terminal.say(line.trim_start()));
        let exit = if troubles.is_empty() {
            Exit::Done
        } else {
            Exit::Partial
        };
        Ok(Source::Files {
            lake: Box::new(lake),
            _folder: folder,
            exit,
        })
    }

    fn lake(&self) -> &Lake {
        match self {
            Source::Lake(lake) | Source::Files { lake, .. } => lake,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Source::Lake(_) => Exit::Done,
            Source::Files { exit, .. } => *exit,
        }
    }
}
