//! `orgwatch detect`: asks the rules of what the lake holds and prints the findings.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};
use clap::Args;

use super::exit::Exit;
use super::failure::UsageError;
use super::findings::print_findings;
use super::gathering::Gathering;
use super::mailing::Teller;
use super::night::{
    Judges, apply, ask_rules, refresh_rollups, set_damaged_aside, unknown_machines,
};
use super::record::level_of;
use super::terminal::Terminal;
use super::watch::{write_suppressed, write_times};
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, RuleFlags, WatchFlags};
use crate::detect::{Coverage, DetectReport, RuleSet, Windows};
use crate::lake::{Finding, FindingFilter, FindingRow, Lake, RuleStatus, Status};
use crate::privacy::printable;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch detect --data-dir data --format jsonl
  orgwatch detect --since 2026-01-01 --until 2026-01-31
  orgwatch detect --rule integration-ui-login --registry registry.toml";

#[derive(Debug, Args)]
pub struct DetectArgs {
    /// First day to judge (UTC); otherwise the look-back before the last day that has rows
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub since: Option<NaiveDate>,
    /// Last day to judge (UTC), inclusive; otherwise the last day that has rows
    #[arg(long, value_name = "DAY", value_parser = parse_day)]
    pub until: Option<NaiveDate>,
    /// Only this rule; may be repeated
    #[arg(long = "rule", value_name = "ID")]
    pub only: Vec<String>,
    /// Judge as if it were this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub now: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub watch: WatchFlags,
}

/// A day, or the day of a time.
pub fn parse_day(text: &str) -> Result<NaiveDate, String> {
    let day = text.parse::<NaiveDate>();
    let of_time = || text.parse::<DateTime<Utc>>().map(|at| at.date_naive());
    day.or_else(|_| of_time())
        .map_err(|_| "write a day as 2026-01-31".to_owned())
}

pub fn run(args: &DetectArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        engine: Some(&args.engine),
        rules: Some(&args.rules),
        metrics_file: args.watch.metrics_file.as_ref(),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now, &flags)?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    let rules = place.rules()?;
    let only = only_known(&args.only, &rules)?;
    place.enrichment()?;

    // A lake is made by `run` and `ingest`; a mistyped folder must not become an empty one.
    drop(Lake::open_reader(place.data_dir())?);
    let mut lake = Lake::open_writer(place.data_dir())?;
    let at = place.clock.now();
    let run_id = lake.ledger_mut().start_run("detect", at)?;
    let notes = set_damaged_aside(&mut lake, run_id, &place)?;
    refresh_rollups(&mut lake, &catalog, run_id, &place)?;
    let coverage = place.coverage(&lake, &catalog)?;
    let windows = windows(args, &coverage, at, *place.settings.detect.lookback_days)?;
    let judges = Judges {
        rules: &rules,
        registry: &registry,
        catalog: &catalog,
        only: only.as_ref(),
    };
    let report = ask_rules(&mut lake, &judges, &windows, &coverage, run_id, &place)?;
    // No mail from here: the next `run` tells of what nobody was told yet. The days stay
    // marked for it.
    apply(&mut lake, run_id, at, &report, &place, |_| Ok(Vec::new()))?;

    let listed = listed(&lake, &report)?;
    let exit = exit_of(&listed, &report, &place, notes.is_empty());
    lake.ledger_mut().finish_run(
        run_id,
        place.clock.now(),
        i32::from(exit.code()),
        &serde_json::json!({"findings": listed.len()}).to_string(),
    )?;
    tell(&report, &listed, terminal);
    if let Some(remark) = unknown_machines(&lake, &registry, &place)? {
        terminal.warn(&remark);
    }
    notes
        .iter()
        .for_each(|note| terminal.warn(&printable(note, 1000)));
    report
        .remarks
        .iter()
        .for_each(|remark| terminal.warn(remark));
    let fields = serde_json::json!({
        "run_id": run_id,
        "exit_code": exit.code(),
        "findings": listed.len(),
        "rules_ok": report.count_of(RuleStatus::Ok),
        "rules_failed": report.count_of(RuleStatus::Failed),
        "rules_blind": report.count_of(RuleStatus::Blind),
    });
    terminal.record(level_of(exit), "detect finished", &fields);
    let teller = Teller::new(&lake, &rules, place.invocation())?;
    let stored = lake.ledger().findings(&FindingFilter::default())?;
    let gathering = Gathering::of(stored.iter());
    print_findings(&listed, &lake, &teller, &gathering, global, &place)?;
    Ok(exit)
}

fn only_known(ids: &[String], rules: &RuleSet) -> anyhow::Result<Option<BTreeSet<String>>> {
    if let Some(id) = ids.iter().find(|id| rules.get(id).is_none()) {
        let near = crate::config::nearest(id, rules.iter().map(|r| r.id.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`orgwatch rules list` shows the rules".to_owned(),
        };
        return Err(UsageError::new(format!("there is no rule `{id}`"), hint).into());
    }
    Ok((!ids.is_empty()).then(|| ids.iter().cloned().collect()))
}

/// The days that were asked for; otherwise the whole look-back, so that the answer does not
/// depend on what was judged before.
fn windows(
    args: &DetectArgs,
    coverage: &Coverage,
    now: DateTime<Utc>,
    lookback_days: u32,
) -> anyhow::Result<Windows> {
    let today = now.date_naive();
    let last = args
        .until
        .or_else(|| coverage.last_day(today))
        .unwrap_or(today);
    let back = || last.checked_sub_days(Days::new(u64::from(lookback_days)));
    let first = args.since.or_else(back).unwrap_or(NaiveDate::MIN);
    if first > last {
        return Err(UsageError::new(
            format!("nothing lies between {first} and {last}"),
            "--since is the first day and --until the last",
        )
        .into());
    }
    let windows = Windows::between(first, last);
    // Snapshots taken after the last day with logs are judged, too, unless an end was asked for.
    Ok(match coverage.last_snapshot(today) {
        Some(day) if args.until.is_none() && day > last => windows.with_snapshots_until(day),
        _ => windows,
    })
}

/// What the evaluation produced, as it stands in the ledger, the gravest first.
fn listed(lake: &Lake, report: &DetectReport) -> anyhow::Result<Vec<Finding>> {
    let ids: Vec<String> = report
        .findings
        .iter()
        .map(|f| f.finding_id.clone())
        .collect();
    // As the rules gave them in this window, as grave as the ledger takes them.
    let stored = lake.ledger().findings_by_id(&ids)?;
    let mut stored: BTreeMap<String, Finding> = stored
        .into_iter()
        .map(|finding| (finding.row.finding_id.clone(), finding))
        .collect();
    // Each was stored just now.
    let mut listed: Vec<Finding> = report
        .findings
        .iter()
        .filter_map(|row| {
            let known = stored.remove(&row.finding_id)?;
            let row = FindingRow {
                severity: known.row.severity,
                correlation: known.row.correlation,
                ..row.clone()
            };
            Some(Finding { row, ..known })
        })
        .collect();
    listed.sort_by(|a, b| {
        let key = |l: &Finding| (l.row.severity, l.row.last_seen);
        key(b)
            .cmp(&key(a))
            .then_with(|| a.row.finding_id.cmp(&b.row.finding_id))
    });
    Ok(listed)
}

fn exit_of(listed: &[Finding], report: &DetectReport, place: &Workplace<'_>, sound: bool) -> Exit {
    let open = |l: &&Finding| matches!(l.status, Status::New | Status::Ongoing);
    let threshold = *place.settings.detect.fail_on;
    let grave = threshold.is_some_and(|t| listed.iter().filter(open).any(|l| l.row.severity >= t));
    let partial =
        !sound || report.count_of(RuleStatus::Failed) > 0 || report.count_of(RuleStatus::Blind) > 0;
    let reasons = [(grave, Exit::Findings), (partial, Exit::Partial)];
    Exit::merge(
        reasons
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, exit)| exit),
    )
}

/// Which rules could not see: a rule that was not asked has no findings either.
fn tell(report: &DetectReport, listed: &[Finding], terminal: &Terminal) {
    for rule in report.rules.iter().filter(|r| r.status != RuleStatus::Ok) {
        let why = printable(rule.reason.as_deref().unwrap_or("no reason given"), 1000);
        let line = match rule.status {
            // Its reason begins with what it is.
            RuleStatus::Blind | RuleStatus::NeverHadInput => {
                format!("rule {}: {why}", rule.rule_id)
            }
            _ => format!("rule {} {}: {why}", rule.rule_id, rule.status.as_str()),
        };
        match rule.status {
            RuleStatus::NeverHadInput => terminal.say(&line),
            _ => terminal.warn(&line),
        }
    }
    let suppressed = listed
        .iter()
        .filter(|l| l.status == Status::Suppressed)
        .count();
    terminal.say(&format!(
        "{} rules asked, {} could see; {}, {suppressed} of them suppressed",
        report.rules.len(),
        report.count_of(RuleStatus::Ok),
        counted(listed.len(), "finding"),
    ));
    let verbose = terminal.verbose() > 0;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_suppressed(&mut text, report, verbose);
    if verbose {
        let _ = write_times(&mut text, report);
    }
    text.lines().for_each(|line| terminal.say(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_as_a_day_or_a_time() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 31);
        assert_eq!(parse_day("2026-01-31").ok(), day);
        assert_eq!(parse_day("2026-01-31T23:30:00Z").ok(), day);
        assert!(parse_day("31.01.2026").is_err());
    }
}
