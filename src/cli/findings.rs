//! `orgwatch findings`: what was found, one finding in full, and what people decide about it.

mod decide;
mod print;
mod show;

use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use clap::{Args, Subcommand, ValueEnum};

use super::cases::by_case;
use super::detect::parse_day;
use super::exit::Exit;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{Global, HiddenNow};
use crate::config::{Family, Severity, UserRef};
use crate::lake::{Finding, FindingFilter, Lake, Status};
use crate::words::counted;

pub use decide::{EXAMPLES as DECIDE_EXAMPLES, SUPPRESS_EXAMPLES};
pub use print::{print_findings, print_list};

pub const EXAMPLES: &str = "\
Examples:
  orgwatch findings list --severity high
  orgwatch findings list --status new,ongoing --format jsonl
  orgwatch findings list --user erp@example.com --format csv --output erp.csv
  orgwatch findings list --since 2026-01-24 --family misuse --order newest --limit 20
  orgwatch findings list --format ocsf --output findings.ocsf.jsonl
  orgwatch findings list --by-case --severity high
  orgwatch findings list --case 0b1f7e24c9aa
  orgwatch findings show 3f2a91c04b7d
  orgwatch findings ack 3f2a91c04b7d --why \"the owner is asked, CHG-77\"";

#[derive(Debug, Subcommand)]
pub enum FindingsCommand {
    /// Findings, the gravest first
    #[command(after_help = EXAMPLES)]
    List(Box<ListArgs>),
    /// One finding in full, with its history and the line that shows its rows
    #[command(after_help = EXAMPLES)]
    Show(ShowArgs),
    /// Acknowledges findings: no mail tells of them until they are graver or twice as large
    #[command(after_help = DECIDE_EXAMPLES)]
    Ack(decide::DecideArgs),
    /// Resolves findings: they come back as news with the first thing that was not there before
    #[command(after_help = DECIDE_EXAMPLES)]
    Resolve(decide::DecideArgs),
    /// Opens findings again: the next mail tells of them
    #[command(after_help = DECIDE_EXAMPLES)]
    Reopen(decide::DecideArgs),
    /// Hides findings for a while, and prints the [[suppress]] entry that hides their like
    #[command(after_help = SUPPRESS_EXAMPLES)]
    Suppress(decide::SuppressArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// This severity and above
    #[arg(long, value_name = "SEVERITY", value_parser = parse_severity)]
    pub severity: Option<Severity>,
    /// Only these statuses, comma-separated: new, ongoing, resolved, acknowledged, suppressed
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = parse_status)]
    pub status: Vec<Status>,
    /// Only this rule
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// Only this family of rules: misuse, credential, identity, attack, behaviour, coverage
    #[arg(long, value_name = "FAMILY", value_parser = parse_family)]
    pub family: Option<Family>,
    /// Only this user, by id or username
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    pub user: Option<String>,
    /// Only this case, by its id or as much of its beginning as is unique
    #[arg(long, value_name = "CASE")]
    pub case: Option<String>,
    /// Last seen on this day (UTC) or after
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub since: Option<NaiveDate>,
    /// First seen on this day (UTC) or before
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub until: Option<NaiveDate>,
    /// What comes first
    #[arg(long, value_name = "ORDER", value_enum, default_value_t)]
    pub order: Order,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// A line for each case: the findings of one subject and day
    #[arg(long)]
    pub by_case: bool,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub now: HiddenNow,
}

/// What comes first in a list. Ties go to the gravest, then the latest, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Order {
    /// The gravest
    #[default]
    Severity,
    /// What was seen last
    Newest,
    /// What was seen first
    Oldest,
    /// What has the most events
    Count,
    /// By rule, in the order of the alphabet
    Rule,
    /// By user, in the order of the alphabet
    User,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The finding's id, or as much of its beginning as is unique
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub id: String,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn parse_severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(&word.to_lowercase())
        .ok_or_else(|| "one of info, low, medium, high, critical".to_owned())
}

fn parse_status(word: &str) -> Result<Status, String> {
    Status::from_word(&word.to_lowercase())
        .ok_or_else(|| "one of new, ongoing, resolved, acknowledged, suppressed".to_owned())
}

fn parse_family(word: &str) -> Result<Family, String> {
    Family::from_word(&word.to_lowercase()).ok_or_else(|| {
        "one of misuse, credential, identity, attack, behaviour, coverage".to_owned()
    })
}

/// A user as findings name it: an id has 18 characters, whatever was typed.
fn parse_user(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(match UserRef::from_str(text) {
        Ok(user) => user.as_str().to_owned(),
        Err(_) => text.trim().to_owned(),
    })
}

pub fn run(
    command: &FindingsCommand,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        FindingsCommand::List(args) => list(args, global, terminal),
        FindingsCommand::Show(args) => show::run(args, global, terminal),
        FindingsCommand::Ack(args) => decide::acknowledge(args, global, terminal),
        FindingsCommand::Resolve(args) => decide::resolve(args, global, terminal),
        FindingsCommand::Reopen(args) => decide::reopen(args, global, terminal),
        FindingsCommand::Suppress(args) => decide::suppress(args, global, terminal),
    }
}

fn list(args: &ListArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let place = Workplace::open(terminal, global, args.now.now, &Flags::default())?;
    let lake = Lake::open_reader(place.data_dir())?;
    let filter = FindingFilter {
        statuses: args.status.clone(),
        rule_id: args.rule.clone(),
        min_severity: args.severity,
        family: args.family,
        user: args.user.clone(),
        since: args.since.map(midnight),
        until: args
            .until
            .map(|day| midnight(day.checked_add_days(Days::new(1)).unwrap_or(day))),
        case_id: args.case.clone(),
        ..FindingFilter::default()
    };
    let mut listed = lake.ledger().findings(&filter)?;
    args.order.sort(&mut listed);
    let all = listed.len();
    let limit = args.limit.unwrap_or(usize::MAX);
    let of_all = |shown: usize, what: &str, all: usize| match shown < all {
        true => format!("{shown} of {}", counted(all, what)),
        false => counted(all, what),
    };
    if args.by_case {
        let mut cases = by_case(&listed);
        let all_cases = cases.len();
        cases.truncate(limit);
        terminal.say(&format!(
            "{} in {}",
            counted(all, "finding"),
            of_all(cases.len(), "case", all_cases)
        ));
        print::print_cases(&cases, global, args.output.as_deref(), terminal)?;
        return Ok(Exit::Done);
    }
    listed.truncate(limit);
    terminal.say(&of_all(listed.len(), "finding", all));
    print_list(&listed, &lake, &place, global, args.output.as_deref())?;
    Ok(Exit::Done)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

impl Order {
    /// Sorts findings that come as the ledger gives them, the gravest first.
    fn sort(self, findings: &mut [Finding]) {
        use std::cmp::Reverse;
        match self {
            Order::Severity => {}
            Order::Newest => findings.sort_by_key(|f| Reverse(f.row.last_seen)),
            Order::Oldest => findings.sort_by_key(|f| f.row.first_seen),
            Order::Count => findings.sort_by_key(|f| Reverse(f.row.count)),
            Order::Rule => findings.sort_by(|a, b| a.row.rule_id.cmp(&b.row.rule_id)),
            Order::User => {
                let name = |f: &Finding| f.row.username.clone().or_else(|| f.row.user_key.clone());
                findings.sort_by_cached_key(|f| {
                    let name = name(f).map(|name| name.to_lowercase());
                    (name.is_none(), name)
                });
            }
        }
    }
}
