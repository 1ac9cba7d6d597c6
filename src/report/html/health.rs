//! How the runs went: files, rows, rules, canaries, deliveries, and what was left out of the lake.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::ReportError;
use super::content::{Capped, Period, Suppression};
use super::rows::Rows;
use crate::lake::{Lake, LedgerTable, Run, RunState};

/// Runs, deliveries, files and reasons that are listed.
const MAX_RUNS: usize = 31;
const MAX_DELIVERIES: usize = 20;
const MAX_FILES: usize = 100;
const MAX_REASONS: usize = 5;

/// How the watch itself went.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// The last nightly job, else the last run of any kind.
    pub last: Option<LastRun>,
    /// Runs of the period, the latest first.
    pub runs: Capped<RunLine>,
    /// Of the files with events of the period.
    pub files: u64,
    pub rows: Account,
    /// Each rule's own example, at its last try: how many were found, and what of the others.
    pub canaries_fired: usize,
    pub canaries_silent: Vec<(String, String)>,
    /// The latest first.
    pub deliveries: Capped<Delivery>,
    pub waiting: usize,
    /// Files that were refused or cut off, or of which rows are in quarantine.
    pub troubles: Capped<FileTrouble>,
}

/// `read = kept + duplicate + quarantined`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    pub read: u64,
    pub kept: u64,
    pub duplicate: u64,
    pub quarantined: u64,
}

impl Account {
    pub fn adds_up(&self) -> bool {
        self.read == self.kept + self.duplicate + self.quarantined
    }
}

/// One run, as it told of itself.
#[derive(Debug, Clone, Default)]
pub struct LastRun {
    pub run_id: i64,
    pub kind: String,
    pub at: DateTime<Utc>,
    pub state: &'static str,
    pub exit_code: Option<i64>,
    pub exit_reasons: Vec<String>,
    pub files_read: u64,
    pub files_known: u64,
    pub files_rejected: u64,
    pub rows: Account,
    pub rules: RuleCounts,
    pub remarks: Vec<String>,
}

/// What became of the rules of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RuleCounts {
    pub asked: u64,
    pub ok: u64,
    pub blind: u64,
    pub failed: u64,
    pub never: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct RunLine {
    pub run_id: i64,
    pub kind: String,
    pub at: DateTime<Utc>,
    pub state: &'static str,
    pub exit_code: Option<i64>,
    pub rows: Option<Account>,
    pub rules: RuleCounts,
}

#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    pub at: DateTime<Utc>,
    pub subject: String,
    /// `pending`, `sent`, `failed`.
    pub state: String,
    pub sent_at: Option<DateTime<Utc>>,
    pub error: Option<String>,
}

/// A file that did not come into the lake as a whole.
#[derive(Debug, Clone, Serialize)]
pub struct FileTrouble {
    pub file: String,
    pub event_type: String,
    /// `ingested`, `torn`, `rejected`.
    pub state: String,
    /// Why it was refused or is cut off.
    pub reason: Option<String>,
    pub rows: Account,
    /// Reason, how many rows, the first line.
    pub reasons: Capped<(String, u64, u64)>,
}

/// A run that is not yet in the ledger with its account: that of tonight.
#[derive(Debug, Clone)]
pub struct Tonight {
    pub run_id: i64,
    pub summary: Value,
}

impl Health {
    pub fn of(
        lake: &Lake,
        period: &Period,
        tonight: Option<&Tonight>,
    ) -> Result<Self, ReportError> {
        let rules = rule_counts(lake)?;
        let mut runs = lake.ledger().runs()?;
        runs.retain(|run| run.started_at.date_naive() <= period.told_until);
        runs.reverse();
        let account = |run: &Run| match tonight {
            Some(tonight) if tonight.run_id == run.run_id => Some(tonight.summary.clone()),
            _ => serde_json::from_str(run.summary.as_deref()?).ok(),
        };
        let state = |run: &Run| match tonight {
            Some(tonight) if tonight.run_id == run.run_id => RunState::Finished.as_str(),
            _ => run.state.as_str(),
        };
        let nightly = runs.iter().find(|run| run.kind == "run");
        let last = nightly.or(runs.first()).map(|run| {
            let counts = rules.get(&run.run_id).copied().unwrap_or_default();
            LastRun::of(run, state(run), &account(run).unwrap_or_default(), counts)
        });
        let lines = runs
            .iter()
            .filter(|run| run.started_at.date_naive() >= period.first)
            .map(|run| {
                let told = account(run);
                RunLine {
                    run_id: run.run_id,
                    kind: run.kind.clone(),
                    at: run.started_at,
                    state: state(run),
                    exit_code: exit_code(run, told.as_ref()),
                    rows: told.as_ref().and_then(rows_told),
                    rules: rules.get(&run.run_id).copied().unwrap_or_default(),
                }
            });
        let mut health = Self {
            last,
            runs: Capped::of(lines.collect(), MAX_RUNS),
            ..Self::default()
        };
        health.read_canaries(lake)?;
        health.read_deliveries(lake, period)?;
        health.read_files(lake, period)?;
        Ok(health)
    }

    fn read_canaries(&mut self, lake: &Lake) -> Result<(), ReportError> {
        let rows = Rows::of(lake, LedgerTable::Canaries)?;
        let (rule, state, reason) = (
            rows.text("rule_id")?,
            rows.text("state")?,
            rows.text("reason")?,
        );
        for row in 0..rows.len() {
            match state(row).unwrap_or_default().as_str() {
                "fired" => self.canaries_fired += 1,
                other => {
                    let why = reason(row).unwrap_or_else(|| "no reason given".to_owned());
                    let why = format!("{}: {why}", other.replace('_', " "));
                    self.canaries_silent
                        .push((rule(row).unwrap_or_default(), why));
                }
            }
        }
        Ok(())
    }

    fn read_deliveries(&mut self, lake: &Lake, period: &Period) -> Result<(), ReportError> {
        let rows = Rows::of(lake, LedgerTable::Alerts)?;
        let (created, sent) = (rows.time("created_at")?, rows.time("sent_at")?);
        let (subject, state, error) = (
            rows.text("subject")?,
            rows.text("state")?,
            rows.text("last_error")?,
        );
        let mut all = vec![];
        for row in (0..rows.len()).rev() {
            let Some(at) = created(row) else { continue };
            let state = state(row).unwrap_or_default();
            if state != "sent" {
                self.waiting += 1;
            } else if !(period.first..=period.told_until).contains(&at.date_naive()) {
                continue;
            }
            all.push(Delivery {
                at,
                subject: subject(row).unwrap_or_default(),
                sent_at: sent(row),
                error: error(row).filter(|_| state != "sent"),
                state,
            });
        }
        self.deliveries = Capped::of(all, MAX_DELIVERIES);
        Ok(())
    }

    fn read_files(&mut self, lake: &Lake, period: &Period) -> Result<(), ReportError> {
        let mut reasons = quarantine(lake)?;
        let rows = Rows::of(lake, LedgerTable::Files)?;
        let (id, name, event_type) = (
            rows.number("file_id")?,
            rows.text("name")?,
            rows.text("event_type")?,
        );
        let (state, reason) = (rows.text("state")?, rows.text("reason")?);
        let (first, last, read_at) = (
            rows.time("first_event_at")?,
            rows.time("last_event_at")?,
            rows.time("ingested_at")?,
        );
        let (read, kept, duplicate, quarantined) = (
            rows.count("rows_read")?,
            rows.count("rows_kept")?,
            rows.count("rows_duplicate")?,
            rows.count("rows_quarantined")?,
        );
        let mut troubles = vec![];
        for row in 0..rows.len() {
            // A file without events counts on the day on which it came.
            let day = |at: Option<DateTime<Utc>>| at.or(read_at(row)).map(|at| at.date_naive());
            let is_of_the_period = day(last(row)).is_some_and(|day| day >= period.first)
                && day(first(row)).is_some_and(|day| day <= period.told_until);
            if !is_of_the_period {
                continue;
            }
            let account = Account {
                read: read(row),
                kept: kept(row),
                duplicate: duplicate(row),
                quarantined: quarantined(row),
            };
            self.files += 1;
            self.rows.read += account.read;
            self.rows.kept += account.kept;
            self.rows.duplicate += account.duplicate;
            self.rows.quarantined += account.quarantined;
            let state = state(row).unwrap_or_default();
            if state == "ingested" && account.quarantined == 0 {
                continue;
            }
            let reasons = id(row).and_then(|id| reasons.remove(&id));
            troubles.push(FileTrouble {
                file: name(row).unwrap_or_default(),
                event_type: event_type(row).unwrap_or_default(),
                state,
                reason: reason(row),
                rows: account,
                reasons: Capped::of(reasons.unwrap_or_default(), MAX_REASONS),
            });
        }
        // Whole files first, then the files with most rows.
        troubles.sort_by(|a, b| {
            let rank = |t: &FileTrouble| (t.state != "rejected", t.state != "torn");
            (rank(a), b.rows.quarantined, &a.file).cmp(&(rank(b), a.rows.quarantined, &b.file))
        });
        self.troubles = Capped::of(troubles, MAX_FILES);
        Ok(())
    }
}

impl LastRun {
    fn of(run: &Run, state: &'static str, told: &Value, rules: RuleCounts) -> Self {
        let texts = |list: &Value| -> Vec<String> {
            let items = list.as_array().into_iter().flatten();
            items.filter_map(|t| Some(t.as_str()?.to_owned())).collect()
        };
        Self {
            run_id: run.run_id,
            kind: run.kind.clone(),
            at: run.started_at,
            state,
            exit_code: exit_code(run, Some(told)),
            exit_reasons: texts(&told["exit_reasons"]),
            files_read: told["files"]["read"].as_u64().unwrap_or(0),
            files_known: told["files"]["known"].as_u64().unwrap_or(0),
            files_rejected: told["files"]["rejected"]
                .as_array()
                .map_or(0, |list| list.len() as u64),
            rows: rows_told(told).unwrap_or_default(),
            rules,
            remarks: texts(&told["remarks"]),
        }
    }
}

/// The suppressions of the configuration, as the last run saw them.
pub fn suppressions(lake: &Lake) -> Result<Vec<Suppression>, ReportError> {
    let rows = Rows::of(lake, LedgerTable::Suppressions)?;
    let (rule, user, conditions) = (
        rows.text("rule")?,
        rows.text("user_ref")?,
        rows.text("conditions")?,
    );
    let (reason, owner, until) = (
        rows.text("reason")?,
        rows.text("owner")?,
        rows.time("until")?,
    );
    let (is_expired, matched) = (rows.flag("is_expired")?, rows.count("matched")?);
    let all = (0..rows.len()).map(|row| Suppression {
        rule: rule(row).unwrap_or_default(),
        user: user(row),
        conditions: conditions(row).unwrap_or_default(),
        reason: reason(row).unwrap_or_default(),
        owner: owner(row).unwrap_or_default(),
        until: until(row).map(|at| at.date_naive()),
        is_expired: is_expired(row) == Some(true),
        matched: matched(row),
    });
    Ok(all.collect())
}

fn exit_code(run: &Run, told: Option<&Value>) -> Option<i64> {
    let told = || told.and_then(|told| told["exit_code"].as_i64());
    run.exit_code.map(i64::from).or_else(told)
}

fn rows_told(told: &Value) -> Option<Account> {
    let rows = told.get("rows")?;
    Some(Account {
        read: rows["read"].as_u64()?,
        kept: rows["kept"].as_u64()?,
        duplicate: rows["duplicate"].as_u64()?,
        quarantined: rows["quarantined"].as_u64()?,
    })
}

fn rule_counts(lake: &Lake) -> Result<BTreeMap<i64, RuleCounts>, ReportError> {
    let rows = Rows::of(lake, LedgerTable::RuleRuns)?;
    let (run, status) = (rows.number("run_id")?, rows.text("status")?);
    let mut counts: BTreeMap<i64, RuleCounts> = BTreeMap::new();
    for row in 0..rows.len() {
        let Some(run) = run(row) else { continue };
        let counts = counts.entry(run).or_default();
        counts.asked += 1;
        match status(row).unwrap_or_default().as_str() {
            "ok" => counts.ok += 1,
            "blind" => counts.blind += 1,
            "failed" => counts.failed += 1,
            _ => counts.never += 1,
        }
    }
    Ok(counts)
}

/// A reason, how many rows have it, and the first line of these.
type Reason = (String, u64, u64);

/// By file: its reasons, the most frequent first.
fn quarantine(lake: &Lake) -> Result<BTreeMap<i64, Vec<Reason>>, ReportError> {
    let rows = Rows::of(lake, LedgerTable::Quarantine)?;
    let (file, line, column, reason) = (
        rows.number("file_id")?,
        rows.count("line_no")?,
        rows.text("column_name")?,
        rows.text("reason")?,
    );
    let mut found: BTreeMap<i64, BTreeMap<String, (u64, u64)>> = BTreeMap::new();
    for row in 0..rows.len() {
        let Some(file) = file(row) else { continue };
        let mut why = reason(row).unwrap_or_default();
        if let Some(column) = column(row).filter(|c| !c.is_empty()) {
            why = format!("{column}: {why}");
        }
        let line = line(row);
        let (n, first) = found
            .entry(file)
            .or_default()
            .entry(why)
            .or_insert((0, line));
        *n += 1;
        *first = line.min(*first);
    }
    let sorted = found.into_iter().map(|(file, reasons)| {
        let mut reasons: Vec<_> = reasons
            .into_iter()
            .map(|(why, (n, first))| (why, n, first))
            .collect();
        reasons.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        (file, reasons)
    });
    Ok(sorted.collect())
}
