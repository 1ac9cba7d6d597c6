//! The command line: one file per subcommand, each with its arguments and a `run` that reads
//! like a table of contents. Data goes to stdout, everything else to stderr.

mod account;
mod alert;
mod cases;
mod checks;
mod completions;
mod delivery;
mod detect;
mod doctor;
mod evaluate;
mod exit;
mod explain;
mod failure;
mod fetch;
mod fetched;
mod findings;
mod gathering;
mod glance;
mod hunts;
mod ingest;
mod interrupt;
mod lake;
mod log;
mod login;
mod mailing;
mod man;
mod metrics;
mod night;
pub mod output;
mod record;
mod registry;
mod report;
mod rules;
mod run;
mod simulate;
mod sql;
mod suggest;
mod summary;
mod telling;
mod terminal;
mod told;
mod watch;
mod workplace;
mod xdg;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use exit::Exit;
use glance::{glance_at, usage};
use metrics::Watched;
use output::{Destination, Format};
use terminal::{ColourChoice, Talk, Terminal};

use crate::clock::Clock;
use crate::config::{
    ByteSize, Glance, LogFormat, Severity, parse_fail_on, parse_log_format, parse_memory,
    parse_timezone,
};

const EXAMPLES: &str = "\
Examples:
  orgwatch run --config orgwatch.toml
  orgwatch sql --from logs/ \"SELECT login_path, count(*) AS n FROM logins GROUP BY 1\"
  orgwatch findings list --severity high";

/// Watches a Salesforce org's logs for misuse of its integration users
#[derive(Debug, Parser)]
#[command(name = "orgwatch", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file; otherwise ORGWATCH_CONFIG, otherwise ./orgwatch.toml if it exists
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder that holds the lake and its ledger
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Format of the data on stdout
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    /// Say more on stderr; twice and thrice for the log
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// How the log on stderr is written; json is one object per line, for machines
    #[arg(long, global = true, value_name = "FORMAT", value_parser = log_formats())]
    pub log_format: Option<LogFormat>,
    /// Show no progress bar
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// When to use colour (NO_COLOR is honoured)
    #[arg(
        long,
        alias = "colour",
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub color: ColourChoice,
}

/// Flags of the commands that read log files.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading logs")]
pub struct InputFlags {
    /// Zone of local times in exports from the Setup pages, as in Europe/Berlin
    #[arg(long, value_name = "ZONE", value_parser = parse_timezone)]
    pub timezone: Option<chrono_tz::Tz>,
    /// In such exports, 02/01/2026 is the second of January
    #[arg(long)]
    pub day_first: bool,
    /// Your own extension of the catalogue of event types and columns
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
}

/// Flags of the commands that ask the lake.
#[derive(Debug, Args)]
#[command(next_help_heading = "Asking")]
pub struct EngineFlags {
    /// What you declare about your machine users
    #[arg(long, value_name = "FILE")]
    pub registry: Option<PathBuf>,
    /// Memory for all of the process, as in 512MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<ByteSize>,
    /// Threads
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<usize>,
}

/// Flags of the commands that run rules.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleFlags {
    /// A folder with your own rules; one with the id of a built-in rule replaces it
    #[arg(long, value_name = "FOLDER")]
    pub rules_dir: Option<PathBuf>,
    /// Days before the last one that late rows may still re-open
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub lookback_days: Option<u32>,
    /// Exit with 1 for findings of this severity and above: info, low, medium, high, critical, never
    #[arg(long, value_name = "SEVERITY", value_parser = fail_on)]
    pub fail_on: Option<FailOn>,
}

/// A threshold, or `never`.
#[derive(Debug, Clone, Copy)]
pub struct FailOn(pub Option<Severity>);

/// Flags of the commands that a timer starts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Watching the job")]
pub struct WatchFlags {
    /// Write metrics to this file for Prometheus (node_exporter's textfile collector); its name
    /// should end in .prom
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

/// The clock of commands on which it changes little.
#[derive(Debug, Args)]
pub struct HiddenNow {
    #[arg(long, value_name = "TIME", hide = true)]
    pub now: Option<DateTime<Utc>>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The nightly job: reads logs, asks the rules, writes findings and a mail
    #[command(after_help = run::EXAMPLES)]
    Run(Box<run::RunArgs>),
    /// Reads log files into the lake
    #[command(after_help = ingest::EXAMPLES)]
    Ingest(ingest::IngestArgs),
    /// Downloads what is new from the org: Event Log Files, histories and the roster
    #[command(after_help = fetch::EXAMPLES)]
    Fetch(Box<fetch::FetchArgs>),
    /// Signs a person in to the org through the browser and says what that user may read
    #[command(after_help = login::EXAMPLES)]
    Login(login::LoginArgs),
    /// Asks the rules of what the lake holds and prints the findings
    #[command(after_help = detect::EXAMPLES)]
    Detect(detect::DetectArgs),
    /// Asks in SQL, of the lake or of log files; without a query, a shell
    #[command(after_help = sql::EXAMPLES)]
    Sql(Box<sql::SqlArgs>),
    /// Lists and shows findings
    #[command(subcommand, after_help = findings::EXAMPLES)]
    Findings(findings::FindingsCommand),
    /// Shows, sends, tests and lists mails
    #[command(subcommand, after_help = alert::EXAMPLES)]
    Alert(alert::AlertCommand),
    /// Lists, shows, tests and lints the detections
    #[command(subcommand, after_help = rules::EXAMPLES)]
    Rules(rules::RulesCommand),
    /// Inspects and tends the lake
    #[command(subcommand, after_help = lake::EXAMPLES)]
    Lake(lake::LakeCommand),
    /// Checks and shows the registry of machine users
    #[command(subcommand, after_help = registry::EXAMPLES)]
    Registry(registry::RegistryCommand),
    /// Writes what was found, and how the watch went, as one HTML page
    #[command(after_help = report::EXAMPLES)]
    Report(Box<report::ReportArgs>),
    /// Checks the installation: PASS, WARN, FAIL or SKIP, each with the fix
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::DoctorArgs),
    /// Writes a synthetic org: logs with attacks and look-alikes of which the answer is known
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(Box<simulate::SimulateArgs>),
    /// Says how good the detections are on synthetic orgs: precision, recall, nights, false alarms
    #[command(after_help = evaluate::EXAMPLES)]
    Evaluate(Box<evaluate::EvaluateArgs>),
    /// Prints tab completion for a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Prints the manual page
    #[command(after_help = man::EXAMPLES)]
    Man(man::ManArgs),
}

/// The whole program: parses, dispatches, and says with which code to exit.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let began = Instant::now();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &arguments),
    };
    let seen = cli.glance();
    let terminal = Terminal::open(cli.talk(seen.log_format));
    terminal::hide_panic_payloads(&terminal);
    interrupt::watch();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cli.run(&terminal)));
    let exit = match outcome {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => failure::report(&error, &terminal),
        Err(_) => Exit::Internal,
    };
    match cli.watched() {
        Some(watched) => metrics::leave(watched, &seen, exit, began.elapsed(), &terminal),
        None => exit,
    }
}

/// With pages of two megabytes whatever the allocator has touched of one stays whole, and a detect
/// over months holds half as much again for no gain in speed. A kernel that does not know how does
/// nothing worse than before.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn keep_pages_small() {}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let colour = if terminal::no_colour() {
        ColorChoice::Never
    } else {
        ColorChoice::Auto
    };
    let matches = Cli::command()
        .color(colour)
        .try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

impl Cli {
    fn glance(&self) -> Glance {
        let global = &self.global;
        glance_at(global.config.as_deref(), |flags| {
            flags.log_format = global.log_format;
            flags.data_dir.clone_from(&global.data_dir);
            flags.metrics_file = match &self.command {
                Command::Run(args) => args.watch.metrics_file.clone(),
                Command::Ingest(args) => args.watch.metrics_file.clone(),
                Command::Fetch(args) => args.watch.metrics_file.clone(),
                Command::Detect(args) => args.watch.metrics_file.clone(),
                _ => None,
            };
        })
    }

    /// Which command leaves metrics, and by which clock.
    fn watched(&self) -> Option<Watched> {
        let (command, now) = match &self.command {
            Command::Run(args) => ("run", args.now),
            Command::Ingest(args) => ("ingest", args.now.now),
            Command::Fetch(args) => ("fetch", args.now.now),
            Command::Detect(args) => ("detect", args.now),
            _ => return None,
        };
        let clock = now.map_or(Clock::System, Clock::Fixed);
        Some(Watched { command, clock })
    }

    fn talk(&self, format: LogFormat) -> Talk {
        Talk {
            verbose: self.global.verbose,
            quiet: self.global.quiet,
            no_progress: self.global.no_progress,
            colour: self.global.color,
            format,
        }
    }

    fn run(&self, terminal: &Terminal) -> anyhow::Result<Exit> {
        let global = &self.global;
        // An analyst's question is over before it has held much, and is quicker with large pages.
        if !matches!(self.command, Command::Sql(_)) {
            keep_pages_small();
        }
        match &self.command {
            Command::Run(args) => run::run(args, global, terminal),
            Command::Ingest(args) => ingest::run(args, global, terminal),
            Command::Fetch(args) => fetch::run(args, global, terminal),
            Command::Login(args) => login::run(args, global, terminal),
            Command::Detect(args) => detect::run(args, global, terminal),
            Command::Sql(args) => sql::run(args, global, terminal),
            Command::Findings(command) => findings::run(command, global, terminal),
            Command::Alert(command) => alert::run(command, global, terminal),
            Command::Rules(command) => rules::run(command, global, terminal),
            Command::Lake(command) => lake::run(command, global, terminal),
            Command::Registry(command) => registry::run(command, global, terminal),
            Command::Report(args) => report::run(args, global, terminal),
            Command::Doctor(args) => doctor::run(args, global, terminal),
            Command::Simulate(args) => simulate::run(args, global, terminal),
            Command::Evaluate(args) => evaluate::run(args, global, terminal),
            Command::Completions(args) => completions::run(args, terminal),
            Command::Man(args) => man::run(args, terminal),
        }
    }
}

/// Prints one batch in the format that was asked for.
fn print_rows(batch: &RecordBatch, global: &Global, terminal: &Terminal) -> anyhow::Result<()> {
    print_rows_as(global.format.unwrap_or_default(), batch, terminal)
}

fn print_rows_as(format: Format, batch: &RecordBatch, terminal: &Terminal) -> anyhow::Result<()> {
    let destination = Destination::open(None, format, terminal)?;
    let layout = destination.layout(terminal);
    let mut rows = output::writer(format, batch.schema(), layout, destination.sink(terminal)?)?;
    rows.write(batch)?;
    rows.finish()?;
    Ok(())
}

fn fail_on(text: &str) -> Result<FailOn, crate::config::BadValue> {
    parse_fail_on(text).map(FailOn)
}

fn log_formats() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(LogFormat::ALL.map(LogFormat::as_str))
        .try_map(|word| parse_log_format(&word))
}

fn parse_threads(text: &str) -> Result<usize, String> {
    let threads = text
        .parse::<usize>()
        .ok()
        .filter(|n| (1..=1024).contains(n));
    threads.ok_or_else(|| "give a number from 1 to 1024".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_every_command_has_examples() {
        fn check(command: &mut clap::Command, path: &str) {
            let help = command.render_long_help().to_string();
            assert!(
                help.contains("Examples:\n  orgwatch "),
                "{path} has no examples"
            );
            for sub in command
                .get_subcommands_mut()
                .filter(|s| s.get_name() != "help")
            {
                let path = format!("{path} {}", sub.get_name());
                check(sub, &path);
            }
        }
        check(&mut Cli::command(), "orgwatch");
    }

    /// A command line as a shell would split it: words, and quotes around some.
    fn words(line: &str) -> Vec<OsString> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars() {
            match (quote, c) {
                (Some(q), c) if c == q => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, ' ') => words.push(std::mem::take(&mut word).into()),
                _ => word.push(c),
            }
        }
        words.push(word.into());
        words.retain(|w: &OsString| !w.is_empty());
        words
    }

    #[test]
    fn every_example_parses() {
        let all = [
            EXAMPLES,
            run::EXAMPLES,
            ingest::EXAMPLES,
            fetch::EXAMPLES,
            login::EXAMPLES,
            detect::EXAMPLES,
            sql::EXAMPLES,
            findings::EXAMPLES,
            findings::DECIDE_EXAMPLES,
            findings::SUPPRESS_EXAMPLES,
            alert::EXAMPLES,
            rules::EXAMPLES,
            lake::EXAMPLES,
            registry::EXAMPLES,
            registry::CHECK_EXAMPLES,
            suggest::EXAMPLES,
            report::EXAMPLES,
            doctor::EXAMPLES,
            simulate::EXAMPLES,
            evaluate::EXAMPLES,
            completions::EXAMPLES,
            man::EXAMPLES,
        ];
        let mut tried = 0;
        let all = all.iter().chain(&rules::MORE_EXAMPLES);
        for line in all.flat_map(|text| text.lines()) {
            let Some(start) = line.find("orgwatch ").filter(|_| line.starts_with("  ")) else {
                continue;
            };
            // Two blanks begin a remark; pipes and redirections belong to the shell.
            let line = line[start..].split("   ").next().unwrap_or_default();
            let line = line.split(" | ").next().unwrap_or_default();
            let line = line.split(" > ").next().unwrap_or_default();
            if let Err(error) = parse(&words(line.trim())) {
                panic!("{line}: {error}");
            }
            tried += 1;
        }
        assert!(tried > 25, "{tried}");
    }

    #[test]
    fn the_clock_is_visible_on_run_and_detect_only() {
        for sub in Cli::command().get_subcommands() {
            let shown = sub
                .get_arguments()
                .any(|a| a.get_id() == "now" && !a.is_hide_set());
            assert_eq!(
                shown,
                ["run", "detect"].contains(&sub.get_name()),
                "{}",
                sub.get_name()
            );
        }
    }

    #[test]
    fn a_mistake_on_the_command_line_is_a_usage_error() {
        let code = |line: &str| {
            let words = words(line);
            parse(&words).map_or_else(|e| usage(&e, &words), |_| Exit::Done)
        };
        assert_eq!(code("orgwatch run --no-such-flag"), Exit::Usage);
        assert_eq!(code("orgwatch findings show"), Exit::Usage);
        assert_eq!(code("orgwatch --version"), Exit::Done);
    }
}
