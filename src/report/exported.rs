//! What an export tells of a finding, whatever its format.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value};

use crate::detect::Rule;
use crate::lake::{Finding, Status};

/// A finding with what is known around it.
#[derive(Debug, Clone)]
pub struct Exported<'a> {
    pub finding: &'a Finding,
    /// None where the rule is not there any more.
    pub rule: Option<&'a Rule>,
    /// When the run that found it first began, and the last that produced it.
    pub found_at: Option<DateTime<Utc>>,
    pub changed_at: Option<DateTime<Utc>>,
    /// The command line that shows its rows.
    pub rows_command: String,
    /// What sticks out from what is usual of the account.
    pub deviations: Vec<Deviation>,
}

/// A series of an account's activity on a day, against its own past. Counts are of events, rows or
/// bytes, as the metric says.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    pub metric: String,
    pub app_key: Option<String>,
    pub day: Option<NaiveDate>,
    pub actual: i64,
    /// None where nothing is known of the days before.
    pub expected: Option<f64>,
    /// `same weekday`, `active days`, …
    pub reference: Option<String>,
    pub reference_days: u64,
    pub reference_first: Option<NaiveDate>,
    pub reference_last: Option<NaiveDate>,
    /// Most of the last 35 days.
    pub highest_35: Option<i64>,
    /// Spreads above the usual.
    pub z: Option<f64>,
    /// Days that do not count, because the account had open findings.
    pub held_out: u64,
    /// Most of this time of the month before, where the day lies in a season.
    pub season_highest: Option<i64>,
    /// The same of the one earlier month that has logs, where that was about as high.
    pub month_before_highest: Option<i64>,
    /// Too short a history for a verdict.
    pub is_cold_start: bool,
}

/// Where and when an export is made.
#[derive(Debug, Clone, Copy)]
pub struct ExportContext<'a> {
    pub org_id: Option<&'a str>,
    pub org_name: Option<&'a str>,
    pub at: DateTime<Utc>,
}

impl Exported<'_> {
    /// The evidence columns in the order of the rule's query.
    pub(super) fn evidence(&self) -> Map<String, Value> {
        // Evidence was written by us; a damaged ledger must still be told.
        serde_json::from_str(&self.finding.row.evidence_json).unwrap_or_default()
    }

    /// Whether one run has produced it and nobody has touched it.
    pub(super) fn is_first_told(&self) -> bool {
        let finding = self.finding;
        matches!(finding.status, Status::New | Status::Suppressed)
            && finding.first_run == finding.last_run
            && finding.hold.is_none()
            && finding.reopened.is_none()
    }
}

/// The texts of the first of these columns that has any.
pub(super) fn texts_of<'e>(evidence: &'e Map<String, Value>, columns: &[&str]) -> Vec<&'e str> {
    let texts = |column: &&str| -> Vec<&'e str> {
        match evidence.get(*column) {
            Some(Value::String(text)) if !text.is_empty() => vec![text.as_str()],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        }
    };
    columns
        .iter()
        .map(texts)
        .find(|texts| !texts.is_empty())
        .unwrap_or_default()
}
