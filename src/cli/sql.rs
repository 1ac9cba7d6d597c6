//! `orgwatch sql`: one question, over the lake or over log files as they are.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use super::account::{ingest_troubles, quarantine_reasons, write_quarantine};
use super::exit::Exit;
use super::failure::UsageError;
use super::interrupt::Leftover;
use super::night::{read_inputs, refresh_rollups};
use super::output::{Destination, writer};
use super::rules::{ParamFlag, one, param::moment};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, InputFlags};
use crate::catalog::Catalog;
use crate::detect::{Coverage, Origin, Rule, Window, bindings, rfc3339};
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
  echo 'SELECT * FROM files' | orgwatch sql - --format jsonl
  orgwatch sql --format parquet --output logins.parquet \"SELECT * FROM logins\"

Tables: logins, logouts, api_calls, bulk_jobs, ui_activity, login_key_apps, unmapped_values,
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
        required_unless_present_any = ["file", "rule"],
        conflicts_with_all = ["file", "rule"]
    )]
    pub query: Option<String>,
    /// Read the query from a file; of a rule's file the parameters have their defaults
    #[arg(long, short, value_name = "FILE", conflicts_with = "rule")]
    pub file: Option<PathBuf>,
    /// Ask the query of this rule, as your settings tune it
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// A value for `$NAME` in the query: a number, true, a day or time, ['a', 'b'], or text; may be
    /// repeated. A rule also takes window_start and window_end, otherwise the last day with rows
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

/// What is asked: a query as it stands, or a rule's.
enum Question {
    Plain(String),
    Rule(Box<Rule>),
}

impl Question {
    fn read(args: &SqlArgs, place: &Workplace<'_>) -> anyhow::Result<Self> {
        if let Some(id) = &args.rule {
            let rules = place.rules()?;
            return Ok(Question::Rule(Box::new(one(&rules, id)?.clone())));
        }
        let text = query(args)?;
        let rule = args.file.as_ref().and_then(|path| {
            let origin = Origin::File {
                path: path.clone(),
                overrides: false,
            };
            Rule::read(&text, origin).ok()
        });
        Ok(match rule {
            Some(rule) => Question::Rule(Box::new(rule)),
            None => Question::Plain(text),
        })
    }

    fn sql(&self) -> &str {
        match self {
            Question::Plain(sql) => sql,
            Question::Rule(rule) => &rule.sql,
        }
    }

    /// The values to bind.
    fn params(
        &self,
        given: &[ParamFlag],
        session: &Session,
        lake: &Lake,
        catalog: &Catalog,
        place: &Workplace<'_>,
    ) -> anyhow::Result<Params> {
        let mut params = Params::new();
        let Question::Rule(rule) = self else {
            let sql = self.sql().to_lowercase();
            for flag in given {
                if !sql.contains(&format!("${}", flag.name.to_lowercase())) {
                    return Err(UsageError::new(
                        format!("the query has no ${}", flag.name),
                        "names are written as they stand in the query",
                    )
                    .into());
                }
                params.set(flag.name.clone(), flag.scalar());
            }
            return Ok(params);
        };
        let mut now = place.clock.now();
        let coverage = Coverage::of_lake(lake, catalog)?;
        let today = now.date_naive();
        let last = coverage.last_day(today).unwrap_or(today);
        let mut window = Window::of_days(last, last);
        let mut rule = rule.as_ref().clone();
        for flag in given {
            let place = match flag.name.as_str() {
                "window_start" => &mut window.from,
                "window_end" => &mut window.to,
                "now" => &mut now,
                name => {
                    flag.set(&mut rule, name)?;
                    continue;
                }
            };
            *place = moment(&flag.value).ok_or_else(|| {
                UsageError::new(
                    format!("`{}` is no time", flag.name),
                    "write a day or a time in UTC, as in 2026-01-15 or 2026-01-15T10:00:00Z",
                )
            })?;
        }
        for (name, value) in bindings(&rule, window, now) {
            params.set(name, value);
        }
        session.judge_days(&window.days().collect());
        let (from, to) = (rfc3339(window.from), rfc3339(window.to));
        place
            .terminal
            .say(&format!("rule {}, {from} to {to}", rule.id));
        Ok(params)
    }
}

fn query(args: &SqlArgs) -> anyhow::Result<String> {
    let unreadable = |what: String| {
        move |error: std::io::Error| {
            UsageError::new(
                format!("cannot read the query from {what}: {error}"),
                "check the path",
            )
        }
    };
    let text = match (&args.file, args.query.as_deref()) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(unreadable(format!("`{}`", path.display())))?
        }
        (None, Some("-")) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(unreadable("standard input".to_owned()))?;
            text
        }
        (None, Some(query)) => query.to_owned(),
        (None, None) => String::new(),
    };
    if text.trim().is_empty() {
        return Err(
            UsageError::new("the query is empty", "write it as one argument in quotes").into(),
        );
    }
    Ok(text)
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
