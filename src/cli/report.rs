//! `orgwatch report`: what the lake and its ledger tell of some days, as one page, or its findings
//! in the formats of other programs.

mod facts;
mod told;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, Utc};
use clap::Args;

use super::detect::parse_day;
use super::exit::Exit;
use super::failure::UsageError;
use super::findings::print_list;
use super::output::{Destination, Format};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, RuleFlags};
use crate::catalog::Catalog;
use crate::config::UserRef;
use crate::detect::RuleSet;
use crate::lake::{Finding, Lake};
use crate::registry::{Registry, Resolution};
use crate::report::html::{self, Period, Tonight};
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch report --format html --output report.html
  orgwatch report --days 7 --output week.html
  orgwatch report --since 2026-01-01 --until 2026-01-31 --output january.html
  orgwatch report --user erp@example.com --output erp.html
  orgwatch report > report.html
  orgwatch report --format ocsf --days 7 --output week.ocsf.jsonl
                                               findings of these days: ocsf, sarif, jsonl, json, csv,
                                               markdown, parquet, arrow

`orgwatch run` writes the page each night where the config names a file (`html` in [report]).

Exit codes: 0 it is written, whatever it tells; 2 usage or configuration; 3 a file of the lake is
damaged; 70 it could not be written. Where it is not written, what was there before is still there.";

/// Days of a report where nobody says which.
const DEFAULT_DAYS: u32 = 30;
/// Days that a chart has room for.
const MAX_DAYS: u32 = 366;

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// First day (UTC)
    #[arg(long, value_name = "DAY", value_parser = parse_day, conflicts_with = "days")]
    pub since: Option<NaiveDate>,
    /// Last day (UTC), inclusive; otherwise the last day that has rows
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub until: Option<NaiveDate>,
    /// Days up to the last one
    #[arg(long, value_name = "DAYS", default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    pub days: u32,
    /// Only this user, by username or id, whatever its role
    #[arg(long, value_name = "USER")]
    pub user: Option<UserRef>,
    /// Write to this file, whole or not at all, instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &ReportArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let format = global.format.unwrap_or(Format::Html);
    if matches!(format, Format::Table | Format::Junit) {
        return Err(UsageError::new(
            "`report` writes a page, as `html`, or findings for other programs",
            "choose html, ocsf, sarif, jsonl, json, csv, markdown, parquet or arrow; `orgwatch findings list` has a table",
        )
        .into());
    }
    if format == Format::Html && args.output.is_none() && terminal.out_is_terminal() {
        return Err(UsageError::new(
            "a page is not for a terminal",
            "name a file with `--output`, or send the page on with `>`",
        )
        .into());
    }
    let flags = Flags {
        engine: Some(&args.engine),
        rules: Some(&args.rules),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    let rules = place.rules()?;
    let lake = Lake::open_reader(place.data_dir())?;
    let subject = Subject {
        lake: &lake,
        place: &place,
        catalog: &catalog,
        registry: &registry,
        rules: &rules,
    };
    let scope = Scope {
        period: period(args, &subject)?,
        is_open: args.until.is_none(),
        user: args.user.as_ref(),
    };
    if format != Format::Html {
        let listed = findings(&subject, &scope)?;
        terminal.say(&counted(listed.len(), "finding"));
        print_list(&listed, &lake, &place, global, args.output.as_deref())?;
        return Ok(Exit::Done);
    }
    // A result that cannot be written is found before the work, not after it.
    let destination = Destination::open(args.output.as_deref(), Format::Html, terminal)?;
    let page = html::render(&facts::content(&subject, &scope, None)?)?;
    write(destination, &page, terminal)?;
    Ok(Exit::Done)
}

/// The findings that the page of these days tells of, and those that it counts.
fn findings(subject: &Subject<'_>, scope: &Scope<'_>) -> anyhow::Result<Vec<Finding>> {
    let lake = subject.lake;
    let resolution = Resolution::new(subject.registry, lake.ledger().usernames()?);
    let keys = scope.user.map(|user| resolution.keys_of(user));
    let findings = told::stored(subject, scope, keys.as_deref())?;
    if let (Some(user), true) = (scope.user, findings.is_empty()) {
        facts::check_known(user, lake, &resolution)?;
    }
    Ok(findings)
}

/// What a report is made from.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub lake: &'a Lake,
    pub place: &'a Workplace<'a>,
    pub catalog: &'a Arc<Catalog>,
    pub registry: &'a Registry,
    pub rules: &'a RuleSet,
}

/// What a report is about.
#[derive(Clone, Copy)]
struct Scope<'a> {
    period: Period,
    /// What was found after the period's last day belongs to it as well: nobody asked for a last
    /// day, and conditions without an event are found when the night comes.
    is_open: bool,
    user: Option<&'a UserRef>,
}

/// Writes the page that the config wants each night, and says where; None where it wants none.
/// `tonight` is the run that asks, which has not ended yet.
pub fn nightly(subject: &Subject<'_>, tonight: &Tonight) -> Option<anyhow::Result<PathBuf>> {
    let path = subject.place.settings.report_html.value.as_deref()?;
    Some(write_nightly(subject, tonight, path).map(|()| path.to_owned()))
}

fn write_nightly(subject: &Subject<'_>, tonight: &Tonight, path: &Path) -> anyhow::Result<()> {
    let last = last_day(subject)?;
    let scope = Scope {
        period: up_to(last, DEFAULT_DAYS, told_until(None, subject)),
        is_open: true,
        user: None,
    };
    let terminal = subject.place.terminal;
    let destination = Destination::open(Some(path), Format::Html, terminal)?;
    let page = html::render(&facts::content(subject, &scope, Some(tonight))?)?;
    write(destination, &page, terminal)
}

fn write(destination: Destination, page: &str, terminal: &Terminal) -> anyhow::Result<()> {
    let mut sink = destination.sink(terminal)?;
    sink.write_all(page.as_bytes())?;
    sink.flush()?;
    drop(sink);
    destination.finish().context("cannot finish the output")
}

fn period(args: &ReportArgs, subject: &Subject<'_>) -> anyhow::Result<Period> {
    let last = match args.until {
        Some(until) => until,
        None => last_day(subject)?,
    };
    let told_until = told_until(args.until, subject);
    let Some(first) = args.since else {
        return Ok(up_to(last, args.days, told_until));
    };
    let days = (last - first).num_days() + 1;
    if days < 1 {
        return Err(UsageError::new(
            format!("{first} comes after {last}, the last day"),
            "give --since a day that comes before, or --until one that comes after",
        )
        .into());
    }
    if days > i64::from(MAX_DAYS) {
        return Err(UsageError::new(
            format!("{first} to {last} are {days} days, and a report has room for {MAX_DAYS}"),
            "give fewer days",
        )
        .into());
    }
    Ok(Period {
        first,
        last,
        told_until,
    })
}

fn up_to(last: NaiveDate, days: u32, told_until: NaiveDate) -> Period {
    let back = Days::new(u64::from(days.max(1)) - 1);
    Period {
        first: last.checked_sub_days(back).unwrap_or(last),
        last,
        told_until,
    }
}

/// The night over a day that was asked for comes on the day after. Where nobody asked for one, all
/// that is known belongs to the report: logs that stopped coming are the worst news.
fn told_until(until: Option<NaiveDate>, subject: &Subject<'_>) -> NaiveDate {
    let today = subject.place.clock.now().date_naive();
    until.map_or(today, |day| day.succ_opt().unwrap_or(day))
}

/// The last day of the logs; today, where there is none.
fn last_day(subject: &Subject<'_>) -> anyhow::Result<NaiveDate> {
    let today = subject.place.clock.now().date_naive();
    let coverage = subject.place.coverage(subject.lake, subject.catalog)?;
    Ok(coverage.last_day(today).unwrap_or(today))
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}
