//! What rules would have raised: the nights of the past judged again, one after the other, with
//! the windows that each had. Nothing is written.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};

use super::inputs::Coverage;
use super::rule::{Rule, RuleSet};
use super::runner::{Answers, RunOptions, run};
use super::suppress::Suppressions;
use super::windows::{Windows, midnight};
use crate::config::{RuleStatus, Severity};
use crate::lake::{FindingRow, RuleStatus as RunStatus};

/// When a night's run is taken to have started, after the end of its day.
const STARTED: TimeDelta = TimeDelta::hours(3);

/// One run of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    /// The day that it judges.
    pub day: NaiveDate,
    pub now: DateTime<Utc>,
    pub windows: Windows,
}

/// The nights after the days from `first` to `last`, both inclusive, that brought rows; none of
/// them later than `now`.
pub fn nights(
    coverage: &Coverage,
    (first, last): (NaiveDate, NaiveDate),
    lookback_days: u32,
    now: DateTime<Utc>,
) -> Vec<Night> {
    first
        .iter_days()
        .take_while(|day| *day <= last)
        .filter(|day| coverage.has_day(*day) || coverage.has_snapshot(*day))
        .map(|day| {
            let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
            let mut windows = Windows::of_night(day, lookback_days);
            if !coverage.has_day(day) {
                // A day with a snapshot and no log is a day for rules that read the roster.
                windows.ranges.clear();
            }
            Night {
                day,
                now: (midnight(next) + STARTED).min(now),
                windows,
            }
        })
        .collect()
}

/// What a rule is judged by, besides its nights.
pub struct Conditions<'a> {
    pub coverage: &'a Coverage,
    pub org_id: &'a str,
    pub blind_days: u32,
    pub suppressions: &'a Suppressions,
}

/// What a rule would have raised.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backtest {
    /// As the ledger would hold them after the last night, by id; suppressed ones included.
    pub findings: Vec<FindingRow>,
    /// Nights on which it failed, or lacked an input, and why on the last of them.
    pub failed: u64,
    pub blind: u64,
    pub reason: Option<String>,
}

impl Backtest {
    /// Judges every night in turn. A rule in staging is judged as if it were active.
    pub fn of(
        rule: &Rule,
        answers: &dyn Answers,
        nights: &[Night],
        conditions: &Conditions<'_>,
        mut watch: impl FnMut(),
    ) -> Self {
        let mut rule = rule.clone();
        rule.status = RuleStatus::Active;
        let mut rules = RuleSet::default();
        // The first rule of a set is never a second one.
        let _ = rules.add(rule);
        let mut found = BTreeMap::new();
        let mut past = Self::default();
        for night in nights {
            let options = RunOptions {
                org_id: conditions.org_id,
                now: night.now,
                blind_days: conditions.blind_days,
                only: None,
                suppressions: conditions.suppressions,
                stage: None,
            };
            let report = run(
                answers,
                &rules,
                &night.windows,
                conditions.coverage,
                &options,
                &mut |_| {},
            );
            for outcome in report.rules {
                match outcome.status {
                    RunStatus::Ok => continue,
                    RunStatus::Failed => past.failed += 1,
                    RunStatus::Blind | RunStatus::NeverHadInput => past.blind += 1,
                }
                past.reason = outcome.reason;
            }
            for finding in report.findings {
                keep(&mut found, finding);
            }
            watch();
        }
        past.findings = found.into_values().collect();
        past
    }

    /// Those that would have been mailed.
    pub fn alerts(&self) -> impl Iterator<Item = &FindingRow> {
        self.findings.iter().filter(|f| f.suppressed_by.is_none())
    }
}

/// A finding that comes again is the same one, grown: as the ledger has it.
fn keep(found: &mut BTreeMap<String, FindingRow>, mut finding: FindingRow) {
    if let Some(known) = found.get(&finding.finding_id) {
        finding.first_seen = finding.first_seen.min(known.first_seen);
        finding.last_seen = finding.last_seen.max(known.last_seen);
        finding.count = finding.count.max(known.count);
        finding.severity = finding.severity.max(known.severity);
    }
    found.insert(finding.finding_id.clone(), finding);
}

/// The Monday of the week to which a finding counts.
pub fn week_of(finding: &FindingRow) -> NaiveDate {
    let at = finding.bucket_start.unwrap_or(finding.first_seen);
    let day = at.date_naive();
    let past = u64::from(day.weekday().num_days_from_monday());
    day.checked_sub_days(Days::new(past)).unwrap_or(day)
}

/// What a changed parameter does to one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    New,
    Gone,
    Severity { before: Severity, after: Severity },
}

/// A finding that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub kind: ChangeKind,
    /// As it is afterwards; where it is gone, as it was.
    pub finding: FindingRow,
}

/// What differs between the alerts before and after, by finding id.
pub fn changes(before: &Backtest, after: &Backtest) -> Vec<Change> {
    fn by_id(past: &Backtest) -> BTreeMap<&str, &FindingRow> {
        past.alerts().map(|f| (f.finding_id.as_str(), f)).collect()
    }
    let (before, after) = (by_id(before), by_id(after));
    let gone = before
        .iter()
        .filter(|(id, _)| !after.contains_key(*id))
        .map(|(_, finding)| (ChangeKind::Gone, *finding));
    let others = after.iter().filter_map(|(id, finding)| {
        let kind = match before.get(id) {
            None => ChangeKind::New,
            Some(old) if old.severity != finding.severity => ChangeKind::Severity {
                before: old.severity,
                after: finding.severity,
            },
            Some(_) => return None,
        };
        Some((kind, *finding))
    });
    let mut changes: Vec<Change> = gone
        .chain(others)
        .map(|(kind, finding)| Change {
            kind,
            finding: finding.clone(),
        })
        .collect();
    changes.sort_by(|a, b| {
        let key = |c: &Change| (c.kind, c.finding.first_seen);
        key(a)
            .cmp(&key(b))
            .then_with(|| a.finding.finding_id.cmp(&b.finding.finding_id))
    });
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(id: &str, severity: Severity, at: &str) -> FindingRow {
        let at = at.parse().unwrap();
        FindingRow {
            finding_id: id.into(),
            dedupe_key: String::new(),
            rule_id: "r".into(),
            rule_version: 1,
            severity,
            family: None,
            correlation: Default::default(),
            title: "t".into(),
            user_key: None,
            user_id: None,
            username: None,
            user_kind: None,
            bucket_start: None,
            first_seen: at,
            last_seen: at,
            count: 1,
            expected: String::new(),
            observed: String::new(),
            evidence_json: "{}".into(),
            attack: vec![],
            suppressed_by: None,
        }
    }

    fn past(findings: Vec<FindingRow>) -> Backtest {
        Backtest {
            findings,
            ..Backtest::default()
        }
    }

    #[test]
    fn only_days_with_rows_are_judged_and_no_night_lies_in_the_future() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let mut coverage = Coverage::default();
        for text in ["2026-01-14", "2026-01-16", "2026-01-20"] {
            coverage.add("Login", day(text));
        }
        let now = "2026-01-17T01:00:00Z".parse().unwrap();
        let span = (day("2026-01-15"), day("2026-01-19"));
        let found = nights(&coverage, span, 7, now);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].day, found[0].now), (day("2026-01-16"), now));
        let standing = found[0].windows.standing.unwrap();
        assert_eq!(standing.from, midnight(day("2026-01-09")));
        assert_eq!(standing.to, midnight(day("2026-01-17")));
    }

    #[test]
    fn a_finding_that_comes_again_is_one_finding_grown() {
        let mut found = BTreeMap::new();
        keep(
            &mut found,
            finding("a", Severity::High, "2026-01-15T10:00:00Z"),
        );
        keep(
            &mut found,
            finding("a", Severity::Low, "2026-01-16T10:00:00Z"),
        );
        let kept = &found["a"];
        assert_eq!(kept.severity, Severity::High);
        assert!(kept.first_seen < kept.last_seen);
    }

    #[test]
    fn a_week_begins_on_monday() {
        let sunday = finding("a", Severity::Low, "2026-01-18T23:59:59Z");
        assert_eq!(week_of(&sunday).to_string(), "2026-01-12");
    }

    #[test]
    fn new_gone_and_changed_alerts_are_told_apart_and_suppressed_ones_left_out() {
        let at = "2026-01-15T10:00:00Z";
        let mut hidden = finding("d", Severity::Low, at);
        hidden.suppressed_by = Some("suppress-1".into());
        let before = past(vec![
            finding("a", Severity::Low, at),
            finding("b", Severity::Low, at),
            hidden,
        ]);
        let after = past(vec![
            finding("b", Severity::High, at),
            finding("c", Severity::Low, at),
        ]);
        let kinds: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|c| (c.finding.finding_id, c.kind))
            .collect();
        let changed = ChangeKind::Severity {
            before: Severity::Low,
            after: Severity::High,
        };
        assert_eq!(
            kinds,
            [
                ("c".to_owned(), ChangeKind::New),
                ("a".to_owned(), ChangeKind::Gone),
                ("b".to_owned(), changed)
            ]
        );
    }
}
