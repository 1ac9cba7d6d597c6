//! Runs rules over windows and turns their rows into findings. Rules are independent: one that
//! fails or cannot see is reported with its reason, and the others run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::scalar::ScalarValue;

use super::ahead::{Planned, plan_ahead};
use super::correlate::Privileged;
use super::coverage::Coverage;
use super::finding::{Judged, Merger};
use super::front_matter::Bucket;
use super::past;
use super::rows::read_rows;
use super::rule::{Rule, RuleSet};
use super::sight::Sight;
use super::suppress::{Mark, Suppressions};
use super::windows::{Window, Windows};
use crate::config::RuleStatus;
use crate::lake::{
    EvaluatedWindow, FindingRow, RuleRun, RuleStatus as RunStatus, RunId, SuppressionState,
};
use crate::privacy::printable;

/// Mark of findings of a rule in staging: they are kept and never mailed.
pub const STAGING: &str = "staging";

/// Longest reason kept, in characters.
const REASON_CHARS: usize = 500;

/// Values bound to a query by name, without `$`.
pub type Bindings = BTreeMap<String, ScalarValue>;

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub reason: String,
    /// Less to ask of at once may be answered.
    pub out_of_memory: bool,
}

impl From<String> for Unanswered {
    fn from(reason: String) -> Self {
        Self {
            reason,
            out_of_memory: false,
        }
    }
}

/// A query that has only to be answered.
pub type Ready<'a> = Box<dyn FnOnce() -> Result<Vec<RecordBatch>, Unanswered> + Send + 'a>;

/// Who answers a rule's query: the engine's session, or a test.
pub trait Answers: Sync {
    /// The result of a query, or why there is none.
    fn answer(&self, sql: &str, bindings: &Bindings) -> Result<Vec<RecordBatch>, Unanswered>;

    /// Does what can be done of a query without an answer, while others may be answered.
    fn ready<'a>(&'a self, sql: &'a str, bindings: Bindings) -> Ready<'a> {
        Box::new(move || self.answer(sql, &bindings))
    }

    /// Hears which days are judged from now on: what is expected of a day is told of these.
    fn judge_days(&self, _days: &BTreeSet<NaiveDate>) {}
}

/// What a run of the rules needs besides the rules.
pub struct RunOptions<'a> {
    /// Part of every dedupe key.
    pub org_id: &'a str,
    pub now: DateTime<Utc>,
    /// A rule is blind when its input is missing for this many days.
    pub blind_days: u32,
    /// Only these rules; none means all.
    pub only: Option<&'a BTreeSet<String>>,
    pub suppressions: &'a Suppressions,
    /// Only rules of this stage; none means all.
    pub stage: Option<Stage>,
}

/// Rules about the run itself come after the others, so that they see what became of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Logs,
    Run,
}

/// Tables that a run writes after the rules about logs.
const WRITTEN_BY_THE_RUN: [&str; 3] = ["suppressions", "canaries", "rule_runs"];

impl Rule {
    /// Whether the rule compares the logs with indicators: a new one is asked of the whole archive.
    fn asks_indicators(&self) -> bool {
        let mut names = self.inputs.iter().flat_map(|input| &input.alternatives);
        names.any(|name| name.eq_ignore_ascii_case("indicators"))
    }

    pub fn stage(&self) -> Stage {
        let mut names = self.inputs.iter().flat_map(|input| &input.alternatives);
        match names.any(|name| WRITTEN_BY_THE_RUN.contains(&name.to_lowercase().as_str())) {
            true => Stage::Run,
            false => Stage::Logs,
        }
    }
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOutcome {
    pub rule_id: String,
    pub version: i64,
    pub status: RunStatus,
    /// Why it failed or cannot see.
    pub reason: Option<String>,
    pub rows: u64,
    /// Rows that the query gave for a time outside the window: the rule's mistake, not judged.
    pub rows_outside_window: u64,
    /// Findings, those suppressed included.
    pub findings: u64,
    pub suppressed: u64,
    /// Of planning and of answering; while one rule is answered the next is planned.
    pub elapsed_ms: u64,
}

/// What a run found.
#[derive(Debug, Clone, Default)]
pub struct DetectReport {
    /// By rule, bucket and id; suppressed ones included.
    pub findings: Vec<FindingRow>,
    /// Where a finding that is open and was not produced again is over.
    pub evaluated: Vec<EvaluatedWindow>,
    /// One per rule that is not off, by id.
    pub rules: Vec<RuleOutcome>,
    /// Not all rules were asked to run.
    pub partial: bool,
    /// Finding and suppression (by position) that hides it, or that has expired and would.
    pub matches: Vec<(String, usize)>,
    /// The suppressions and how many of these findings each hides; empty until somebody counts.
    pub suppressions: Vec<SuppressionState>,
    /// The people whose findings weigh more.
    pub privileged: Privileged,
    /// What else the reader should know.
    pub remarks: Vec<String>,
}

impl DetectReport {
    /// Whether the judged days are done with. Days stay dirty as long as a rule fails on them.
    pub fn may_clear_dirty_days(&self) -> bool {
        !self.partial && self.count_of(RunStatus::Failed) == 0
    }

    /// Adds what a later stage of the same run found.
    pub fn join(&mut self, later: Self) {
        self.findings.extend(later.findings);
        self.evaluated.extend(later.evaluated);
        self.rules.extend(later.rules);
        self.rules.sort_by(|a, b| a.rule_id.cmp(&b.rule_id));
        self.matches.extend(later.matches);
    }

    /// Counts what each suppression hides, or would hide.
    pub fn count_suppressed(&mut self, suppressions: &Suppressions, now: DateTime<Utc>) {
        let mut matched = vec![0; suppressions.len()];
        for (_, position) in &self.matches {
            if let Some(count) = matched.get_mut(*position) {
                *count += 1;
            }
        }
        self.suppressions = suppressions.states(&matched, now);
    }

    pub fn count_of(&self, status: RunStatus) -> usize {
        self.rules.iter().filter(|r| r.status == status).count()
    }
}

impl RuleOutcome {
    /// The outcome as the ledger keeps it.
    pub fn to_rule_run(&self, run_id: RunId) -> RuleRun {
        RuleRun {
            run_id,
            rule_id: self.rule_id.clone(),
            version: self.version,
            status: self.status,
            reason: self.reason.clone(),
            findings: self.findings,
            elapsed_ms: self.elapsed_ms,
        }
    }
}

/// Runs every rule of the stage that is not off, in the order of their ids. `watch` hears of each rule before
/// it runs (for a progress bar).
pub fn run(
    answers: &dyn Answers,
    rules: &RuleSet,
    windows: &Windows,
    coverage: &Coverage,
    options: &RunOptions,
    watch: &mut dyn FnMut(&Rule),
) -> DetectReport {
    let mut report = DetectReport {
        partial: options.only.is_some(),
        ..DetectReport::default()
    };
    answers.judge_days(&windows.days());
    let due = rules.iter().filter(|rule| {
        let is_asked = options.only.is_none_or(|only| only.contains(&rule.id));
        let is_due = options.stage.is_none_or(|stage| stage == rule.stage());
        rule.status != RuleStatus::Off && is_asked && is_due
    });
    let due: Vec<Due> = due
        .map(|rule| Due::of(rule, windows, coverage, options))
        .collect();
    let questions = due.iter().flat_map(|due| {
        let windows = due.windows.iter();
        windows.map(|window| {
            (
                due.rule.sql.as_str(),
                bindings(due.rule, *window, options.now),
            )
        })
    });
    plan_ahead(answers, questions.collect(), |planned| {
        for due in due {
            watch(due.rule);
            due.run(answers, planned, options, &mut report);
        }
    });
    // Rules about the run itself need no past.
    let judged = windows.last_day.filter(|_| !windows.ranges.is_empty());
    if let (Some(last_day), None | Some(Stage::Logs)) = (judged, options.stage) {
        let remark = past::too_short(rules, &report.rules, coverage, last_day);
        report.remarks.extend(remark);
    }
    report
}

/// A rule that is to run, and over what.
struct Due<'a> {
    rule: &'a Rule,
    outcome: RuleOutcome,
    windows: Vec<Window>,
}

impl<'a> Due<'a> {
    fn of(rule: &'a Rule, windows: &Windows, coverage: &Coverage, options: &RunOptions) -> Self {
        let last_day = windows.last_day.unwrap_or_else(|| options.now.date_naive());
        let (status, reason) = match coverage.judge(&rule.inputs, last_day, options.blind_days) {
            Sight::Sees => (RunStatus::Ok, None),
            Sight::Blind(reason) => (RunStatus::Blind, Some(reason)),
            Sight::NeverHadInput(reason) => (RunStatus::NeverHadInput, Some(reason)),
        };
        let windows = match (status, rule.bucket) {
            (RunStatus::NeverHadInput, _) => vec![],
            (_, Bucket::None) => match (windows.standing, rule.stage()) {
                (Some(standing), _) => vec![standing],
                // What a run knows of itself is there without any log.
                (None, Stage::Run) => vec![Window::of_days(last_day, last_day)],
                (None, Stage::Logs) => vec![],
            },
            _ if rule.asks_indicators() && windows.archive.is_some() => {
                windows.archive.into_iter().collect()
            }
            _ if coverage.reads_roster(&rule.inputs) => windows.roster_ranges.clone(),
            _ => windows.ranges.clone(),
        };
        let outcome = RuleOutcome {
            rule_id: rule.id.clone(),
            version: rule.version,
            status,
            reason,
            rows: 0,
            rows_outside_window: 0,
            findings: 0,
            suppressed: 0,
            elapsed_ms: 0,
        };
        Self {
            rule,
            outcome,
            windows,
        }
    }

    /// Judges the windows. `planned` has a question for each, of this rule and then of the next.
    fn run<'q>(
        self,
        answers: &dyn Answers,
        planned: &mut dyn FnMut() -> Option<Planned<'q>>,
        options: &RunOptions,
        report: &mut DetectReport,
    ) {
        let Self {
            rule,
            mut outcome,
            windows,
        } = self;
        if outcome.status == RunStatus::NeverHadInput {
            report.rules.push(outcome);
            return;
        }
        let mut elapsed = Duration::ZERO;
        let mut merger = Merger::new(rule, options.org_id);
        for window in windows {
            let mut ready = planned().map(|(ready, planning)| {
                elapsed += planning;
                ready
            });
            let started = Instant::now();
            let mut pending = vec![window];
            while let Some(window) = pending.pop() {
                let batches = match ready.take() {
                    Some(ready) => ready(),
                    None => answers.answer(&rule.sql, &bindings(rule, window, options.now)),
                };
                let rows = match batches.and_then(|batches| Ok(read_rows(rule, &batches)?)) {
                    Ok(rows) => rows,
                    Err(why) => {
                        // Findings are of days: many days at once and one by one come to the same.
                        let halves = window.halves().filter(|_| rule.bucket != Bucket::None);
                        if let (true, Some((first, second))) = (why.out_of_memory, halves) {
                            pending.extend([second, first]);
                            continue;
                        }
                        outcome.status = RunStatus::Failed;
                        outcome.reason = Some(printable(&why.reason, REASON_CHARS));
                        continue;
                    }
                };
                outcome.rows += rows.len() as u64;
                for row in rows {
                    if rule.bucket != Bucket::None && !window.contains(row.occurred_at) {
                        outcome.rows_outside_window += 1;
                        continue;
                    }
                    let mark = match rule.status {
                        RuleStatus::Staging => Mark::labelled(STAGING),
                        _ => options.suppressions.mark(&rule.id, &row, options.now),
                    };
                    merger.add(row, mark);
                }
                // A blind rule has not seen that a finding is over.
                if outcome.status != RunStatus::Blind {
                    report.evaluated.push(EvaluatedWindow {
                        rule_id: rule.id.clone(),
                        from: window.from,
                        to: window.to,
                    });
                }
            }
            elapsed += started.elapsed();
        }
        if outcome.rows_outside_window > 0 {
            tracing::warn!(
                rule = rule.id,
                rows = outcome.rows_outside_window,
                "the rule gave rows outside its window, which are not judged"
            );
        }
        for Judged {
            finding,
            suppressions,
        } in merger.finish()
        {
            outcome.findings += 1;
            outcome.suppressed += u64::from(finding.suppressed_by.is_some());
            let id = &finding.finding_id;
            let matches = suppressions.into_iter().map(|n| (id.clone(), n));
            report.matches.extend(matches);
            report.findings.push(finding);
        }
        outcome.elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        report.rules.push(outcome);
    }
}

/// The values of the parameters that the rule's query uses.
pub fn bindings(rule: &Rule, window: Window, now: DateTime<Utc>) -> Bindings {
    let time = |at: DateTime<Utc>| {
        ScalarValue::TimestampMillisecond(Some(at.timestamp_millis()), Some("UTC".into()))
    };
    let built_in = [
        ("window_start", time(window.from)),
        ("window_end", time(window.to)),
        ("now", time(now)),
    ];
    built_in
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(
            rule.params
                .iter()
                .map(|(name, param)| (name.clone(), param.value.to_scalar())),
        )
        .filter(|(name, _)| rule.statement.params.contains(name))
        .collect()
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
