//! `orgwatch rules backtest`: what rules would have raised, and what another parameter would do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use clap::Args;

use super::report::{self, Span};
use super::{ParamFlag, one};
use crate::cli::detect::parse_day;
use crate::cli::exit::Exit;
use crate::cli::failure::UsageError;
use crate::cli::night::BLIND_DAYS;
use crate::cli::terminal::Terminal;
use crate::cli::workplace::{Flags, Workplace};
use crate::cli::{EngineFlags, Global, HiddenNow, RuleFlags};
use crate::config::RuleStatus;
use crate::detect::{Backtest, Conditions, Rule, RuleSet, Suppressions, nights};
use crate::engine::Session;
use crate::lake::Lake;
use crate::privacy::printable;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch rules backtest --since 2026-01-01
  orgwatch rules backtest integration-ui-login --since 2026-01-01 --until 2026-01-31 --format json
  orgwatch rules backtest --since 2026-01-01 --param integration-ui-login.session_length=6h

Each day is judged as the night after it would have, with your registry, settings and suppressions
of today; findings have the ids that they would have. Nothing is written. With --param the rules
that it names are judged twice: as they are set, and with the other value. The ledger's tables
(files, runs, …) are asked as they are today, not as they were.

Exit codes:
  0  done
  2  the command line, a rule or a setting is wrong, or there is no lake
  3  a rule failed on some night";

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Only these rules; otherwise those that --param names, otherwise all that are not off
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// First day to judge (UTC)
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub since: NaiveDate,
    /// Last day to judge (UTC), inclusive; otherwise the last day that has rows
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub until: Option<NaiveDate>,
    /// Judge a rule with another value as well, as in integration-ui-login.session_length=6h; may
    /// be repeated
    #[arg(long = "param", value_name = "ID.NAME=VALUE")]
    pub params: Vec<ParamFlag>,
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

/// A rule as it is set, and as --param would have it.
struct Pair {
    before: Rule,
    after: Option<Rule>,
}

pub fn run(args: &BacktestArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        engine: Some(&args.engine),
        rules: Some(&args.rules),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    let pairs = pairs(args, &place.rules()?)?;

    let lake = Lake::open_reader(place.data_dir())?;
    if !lake.ledger().dirty_days("rollup")?.is_empty() {
        terminal.warn("`logins` lacks the latest rows; `orgwatch detect` brings it up to date");
    }
    let coverage = place.coverage(&lake, &catalog)?;
    let now = place.clock.now();
    let today = now.date_naive();
    let last = args
        .until
        .or_else(|| coverage.last_day(today))
        .unwrap_or(today);
    if args.since > last {
        return Err(UsageError::new(
            format!("nothing lies between {} and {last}", args.since),
            "--since is the first day and --until the last",
        )
        .into());
    }
    let lookback_days = *place.settings.detect.lookback_days;
    let nights = nights(&coverage, (args.since, last), lookback_days, now);
    let session = place.session(&lake, &catalog, &registry)?;
    let suppressions = Suppressions::new(&place.settings.suppressions);
    let conditions = Conditions {
        coverage: &coverage,
        org_id: place.settings.org.id.as_deref().unwrap_or_default(),
        blind_days: BLIND_DAYS,
        suppressions: &suppressions,
    };

    let jobs: Vec<&Rule> = pairs
        .iter()
        .flat_map(|p| std::iter::once(&p.before).chain(&p.after))
        .collect();
    let bar = terminal.steps((jobs.len() * nights.len()) as u64);
    let threads = *place.settings.limits.threads;
    let past = judge_all(&session, &jobs, threads, |rule| {
        bar.set_message(rule.id.clone());
        Backtest::of(rule, &session, &nights, &conditions, || bar.inc(1))
    });
    bar.finish_and_clear();

    let mut results = past.into_iter();
    let judged: Vec<report::Judged> = pairs
        .iter()
        .map(|pair| report::Judged {
            rule: &pair.before,
            before: results.next().unwrap_or_default(),
            after: pair.after.as_ref().and_then(|_| results.next()),
        })
        .collect();
    let mut failed = false;
    for one in &judged {
        let pasts = std::iter::once(&one.before).chain(&one.after);
        for past in pasts.filter(|past| past.failed > 0) {
            failed = true;
            let why = printable(past.reason.as_deref().unwrap_or_default(), 1000);
            terminal.warn(&format!("rule {} failed: {why}", one.rule.id));
        }
    }
    let span = Span {
        since: args.since,
        until: last,
        nights: nights.len(),
    };
    report::show(&judged, &span, global, terminal)?;
    let alerts: usize = judged.iter().map(|j| j.before.alerts().count()).sum();
    terminal.say(&format!(
        "{} on {}: {}",
        counted(judged.len(), "rule"),
        counted(nights.len(), "night"),
        counted(alerts, "alert")
    ));
    Ok(if failed { Exit::Partial } else { Exit::Done })
}

fn pairs(args: &BacktestArgs, rules: &RuleSet) -> anyhow::Result<Vec<Pair>> {
    let mut named = BTreeSet::new();
    for flag in &args.params {
        let (id, _) = flag.of_rule()?;
        named.insert(one(rules, id)?.id.clone());
    }
    let mut ids: BTreeSet<String> = args.ids.iter().cloned().collect();
    if let Some(id) = named
        .iter()
        .find(|id| !ids.is_empty() && !ids.contains(*id))
    {
        return Err(UsageError::new(
            format!("--param changes `{id}`, which is not among the rules to judge"),
            format!("add {id} to the command line"),
        )
        .into());
    }
    if ids.is_empty() {
        ids = named.clone();
    }
    let chosen: Vec<&Rule> = match ids.is_empty() {
        true => rules
            .iter()
            .filter(|r| r.status != RuleStatus::Off)
            .collect(),
        false => ids
            .iter()
            .map(|id| one(rules, id))
            .collect::<Result<_, _>>()?,
    };
    chosen
        .into_iter()
        .map(|rule| {
            let mut after = rule.clone();
            for flag in &args.params {
                let (id, name) = flag.of_rule()?;
                if id == rule.id {
                    flag.set(&mut after, name)?;
                }
            }
            Ok(Pair {
                after: named.contains(&rule.id).then_some(after),
                before: rule.clone(),
            })
        })
        .collect()
}

/// The rules side by side on the session's threads; the results in the rules' order.
fn judge_all(
    session: &Session,
    rules: &[&Rule],
    threads: usize,
    judge: impl Fn(&Rule) -> Backtest + Sync,
) -> Vec<Backtest> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; rules.len()]);
    let workers = threads.min(session.threads()).clamp(1, rules.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(rule) = rules.get(n) else {
                        break;
                    };
                    let past = judge(rule);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[n] = Some(past);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().map(Option::unwrap_or_default).collect()
}
