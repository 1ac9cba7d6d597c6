//! `orgwatch sql`: questions, over the lake or over log files as they are: one, those of a file or
//! of standard input, or a shell full of them.

mod answer;
mod bridge;
mod cache;
mod excerpt;
mod question;
mod shell;
mod source;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use super::exit::Exit;
use super::failure::{self, UsageError};
use super::hunts;
use super::output::{Destination, Format, writer};
use super::rules::ParamFlag;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, InputFlags};
use crate::config::{ByteSize, parse_memory};
use crate::engine::script::ScriptStatement;
use crate::engine::{Params, Session};
use crate::lake::Lake;
use crate::words::counted;
use answer::{Answered, LimitFlags, Unanswered, answer};
use question::Question;
use source::Source;

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
  orgwatch sql --timeout 30s --max-rows 1000 --file questions.sql
  orgwatch sql --from logs/
  orgwatch sql --duckdb --output lake.sql

Without a query on a terminal it is a shell: statements end with `;`, Tab completes, Ctrl-C stops the
query, \\? lists its commands. Otherwise the query is read from standard input. Statements of one
text are answered in turn; one that fails is named with its line, and the others still run.

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
    /// The query, or several, each ended by `;`. `-` reads them from standard input; without any, on
    /// a terminal, there is a shell
    #[arg(value_name = "QUERY", conflicts_with_all = ["file", "rule", "hunt", "hunts"])]
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
    /// Print the SQL that opens the lake's files in DuckDB
    #[arg(long, conflicts_with_all = ["query", "file", "rule", "hunt", "hunts", "from", "polars"])]
    pub duckdb: bool,
    /// Print the Python that opens the lake's files in Polars
    #[arg(long, conflicts_with_all = ["query", "file", "rule", "hunt", "hunts", "from"])]
    pub polars: bool,
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
    /// Read the files of --from anew, and keep nothing of them
    #[arg(long, requires = "from")]
    pub no_cache: bool,
    /// How much may be kept of files that were read, in all; what was not used for long goes first
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, default_value = "2GiB")]
    pub cache_size: ByteSize,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub input: InputFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub limits: LimitFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

impl SqlArgs {
    /// Whether nothing says what is asked.
    fn asks_nothing(&self) -> bool {
        self.query.is_none() && self.file.is_none() && self.rule.is_none() && self.hunt.is_none()
    }
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
    if args.duckdb || args.polars {
        return open_elsewhere(args, &place);
    }
    if args.asks_nothing() && terminal.is_for_people() {
        return shell::run(args, global, &place);
    }
    let question = Question::read(args, &place)?;
    let statements = question.checked()?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    // A result that cannot be written is found before the work, not after it.
    let format = global.format.unwrap_or_default();
    if format.is_binary() && statements.len() > 1 {
        return Err(UsageError::new(
            "a file of this format holds one result, and here are several statements",
            "ask them one by one, or choose another --format",
        )
        .into());
    }
    let destination = Destination::open(args.output.as_deref(), format, terminal)?;

    let source = Source::open(args, &place, &catalog)?;
    let session = place.session(source.lake(), &catalog, &registry)?;
    let params = question.params(&args.params, &session, source.lake(), &catalog, &place)?;
    let asking = Asking {
        session: &session,
        params: &params,
        limits: args.limits,
        format,
        destination: &destination,
        terminal,
    };
    let failed = asking.all(question.sql(), &statements)?;
    if failed != Exit::Done {
        return Ok(failed);
    }
    destination.finish().context("cannot finish the output")?;
    Ok(source.exit())
}

fn open_elsewhere(args: &SqlArgs, place: &Workplace<'_>) -> anyhow::Result<Exit> {
    let lake = Lake::open_reader(place.data_dir())?;
    let catalog = place.catalog()?;
    let text = match args.duckdb {
        true => bridge::duckdb(&lake, &catalog)?,
        false => bridge::polars(&lake, &catalog)?,
    };
    let destination = Destination::open(args.output.as_deref(), Format::Table, place.terminal)?;
    destination
        .sink(place.terminal)?
        .write_all(text.as_bytes())?;
    destination.finish().context("cannot finish the output")?;
    Ok(Exit::Done)
}

/// What all statements of one call share.
struct Asking<'a> {
    session: &'a Session,
    params: &'a Params,
    limits: LimitFlags,
    format: Format,
    destination: &'a Destination,
    terminal: &'a Terminal,
}

impl Asking<'_> {
    /// Asks one after the other. Of several, one that fails is told and the others still run.
    fn all(&self, text: &str, statements: &[ScriptStatement]) -> anyhow::Result<Exit> {
        if let [only] = statements {
            self.one(text, only, None)?;
            return Ok(Exit::Done);
        }
        let mut failed = Exit::Done;
        for (n, statement) in statements.iter().enumerate() {
            if n > 0 && matches!(self.format, Format::Table | Format::Markdown) {
                let sink = self.destination.sink(self.terminal);
                sink.and_then(|mut sink| writeln!(sink).and_then(|()| sink.flush()))?;
            }
            match self.one(text, statement, Some((n + 1, statements.len()))) {
                Ok(()) => {}
                Err(error) if failure::is_broken_pipe(&error) => return Err(error),
                Err(error) => failed = Exit::merge([failed, failure::tell(&error, self.terminal)]),
            }
        }
        Ok(failed)
    }

    fn one(
        &self,
        text: &str,
        statement: &ScriptStatement,
        number: Option<(usize, usize)>,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let sink = self.destination.sink(self.terminal)?;
        let layout = self.destination.layout(self.terminal);
        let answered = answer(
            self.session,
            &statement.sql,
            self.params,
            self.limits,
            |schema| writer(self.format, schema, layout, sink),
        );
        match answered {
            Ok(answered) => tell_rows(answered, started.elapsed(), self.terminal),
            Err(Unanswered::Output(error)) => return Err(error.into()),
            Err(Unanswered::Engine(error)) => {
                return Err(excerpt::failed(error, text, statement, number));
            }
        }
        Ok(())
    }
}

fn tell_rows(answered: Answered, took: Duration, terminal: &Terminal) {
    let rows = counted(answered.rows, "row");
    match answered.cut {
        true => terminal.warn(&format!("only the first {rows}: --max-rows")),
        false => terminal.detail(&format!("{rows} in {:.3} s", took.as_secs_f64())),
    }
}
