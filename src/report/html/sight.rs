//! What could not be seen: rules without their input and since when, days without a log, damage.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::ReportError;
use super::content::Period;
use super::rows::Rows;
use crate::lake::{Lake, LedgerTable};

/// Rules that did not see in the last run that asked them, and what is missing.
#[derive(Debug, Clone, Default)]
pub struct Unseen {
    pub dark: Vec<Dark>,
    /// Days of the period without a row of any log.
    pub days: Vec<NaiveDate>,
    /// Files of the lake that can no longer be read.
    pub damaged: Vec<String>,
}

/// Rules that share one reason for not seeing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dark {
    /// `failed`, `blind`, `never had input`.
    pub status: &'static str,
    pub reason: String,
    pub rules: Vec<String>,
    /// When a run first said so, of those that said nothing else since.
    pub since: DateTime<Utc>,
    /// How many runs have said so in a row.
    pub runs: usize,
}

struct Told {
    at: DateTime<Utc>,
    status: String,
    reason: String,
}

impl Unseen {
    /// `days` are those that have rows of any log, `asked` the rules that are asked.
    pub fn of(
        lake: &Lake,
        period: &Period,
        days: &BTreeSet<NaiveDate>,
        asked: &BTreeSet<String>,
    ) -> Result<Self, ReportError> {
        let (Some(first), Some(last)) = (days.first(), days.last()) else {
            return Ok(Self {
                dark: dark(lake, asked)?,
                ..Self::default()
            });
        };
        // Before the first log there was nothing to miss; what comes after the last is not due yet.
        let missing = period
            .days()
            .filter(|day| first < day && day < last && !days.contains(day));
        Ok(Self {
            dark: dark(lake, asked)?,
            days: missing.collect(),
            damaged: damaged(lake),
        })
    }
}

fn damaged(lake: &Lake) -> Vec<String> {
    let shown = |d: &crate::lake::Damage| format!("{}: {}", d.part.path.display(), d.detail);
    lake.damaged().iter().map(shown).collect()
}

fn dark(lake: &Lake, asked: &BTreeSet<String>) -> Result<Vec<Dark>, ReportError> {
    let started: BTreeMap<_, _> = lake
        .ledger()
        .runs()?
        .into_iter()
        .map(|run| (run.run_id, run.started_at))
        .collect();
    let rows = Rows::of(lake, LedgerTable::RuleRuns)?;
    let (run, rule) = (rows.number("run_id")?, rows.text("rule_id")?);
    let (status, reason) = (rows.text("status")?, rows.text("reason")?);
    let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for row in 0..rows.len() {
        let (Some(rule), Some(status)) = (rule(row), status(row)) else {
            continue;
        };
        let Some(at) = run(row).and_then(|run| started.get(&run).copied()) else {
            continue;
        };
        told.entry(rule).or_default().push(Told {
            at,
            status,
            reason: reason(row).unwrap_or_default(),
        });
    }
    let mut groups: BTreeMap<(u8, String), Dark> = BTreeMap::new();
    for (rule, runs) in told {
        // A rule that is no longer there, or switched off, misses nothing.
        let Some(last) = runs.last().filter(|_| asked.contains(&rule)) else {
            continue;
        };
        let Some((rank, status)) = status_of(&last.status) else {
            continue;
        };
        let mut streak = runs.iter().rev().take_while(|t| t.status == last.status);
        let streak: Vec<_> = streak.by_ref().collect();
        let since = streak.last().map_or(last.at, |first| first.at);
        let reason = last.reason.strip_prefix(status).unwrap_or(&last.reason);
        let reason = reason.trim_start_matches(": ").to_owned();
        let group = groups.entry((rank, reason.clone())).or_insert(Dark {
            status,
            reason,
            rules: vec![],
            since,
            runs: streak.len(),
        });
        group.since = group.since.min(since);
        group.runs = group.runs.max(streak.len());
        group.rules.push(rule);
    }
    Ok(groups.into_values().collect())
}

/// What is worse comes first.
fn status_of(word: &str) -> Option<(u8, &'static str)> {
    match word {
        "failed" => Some((0, "failed")),
        "blind" => Some((1, "blind")),
        "never_had_input" => Some((2, "never had input")),
        _ => None,
    }
}
