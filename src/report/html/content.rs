//! What a report tells, as plain values. Texts are as rules, logs and people gave them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::health::Health;
use super::sight::Unseen;
use super::timeline::Timeline;
use crate::config::Severity;
use crate::detect::State;

/// All that one page tells.
#[derive(Debug, Clone)]
pub struct Content {
    pub org: Option<String>,
    /// When it was made.
    pub at: DateTime<Utc>,
    pub period: Period,
    /// The last day that has rows of any log.
    pub data_day: Option<NaiveDate>,
    /// The one user that it is about, where it is about one.
    pub user: Option<String>,
    pub health: Health,
    /// How many are open of each severity, those told as a number under others included.
    pub open: BTreeMap<Severity, usize>,
    /// Open findings, the findings of one case side by side, the gravest case first.
    pub findings: Vec<Finding>,
    /// Findings that are over, the latest first.
    pub resolved: Vec<Past>,
    /// Findings that a suppression hides.
    pub suppressed: usize,
    pub suppressions: Vec<Suppression>,
    /// The gravest first, as far as the page has room: the rest is counted.
    pub users: Capped<Timeline>,
    /// None where no registry is configured.
    pub drift: Option<Drift>,
    pub unseen: Unseen,
    pub controls: Vec<Statement>,
    /// `orgwatch report`, `orgwatch findings list` with the options that lead to the same lake.
    pub report_command: String,
    pub list_command: String,
}

/// UTC days, all inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub first: NaiveDate,
    pub last: NaiveDate,
    /// Runs, alerts and files up to this day are about the period: they come after its events.
    pub told_until: NaiveDate,
}

impl Period {
    /// Every day of it.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let last = self.last;
        self.first.iter_days().take_while(move |day| *day <= last)
    }
}

/// As many as the page has room for, and how many there are beyond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capped<T> {
    pub shown: Vec<T>,
    pub more: usize,
}

impl<T> Capped<T> {
    pub fn of(mut all: Vec<T>, most: usize) -> Self {
        let more = all.len().saturating_sub(most);
        all.truncate(most);
        Self { shown: all, more }
    }
}

impl<T> Default for Capped<T> {
    fn default() -> Self {
        Self {
            shown: vec![],
            more: 0,
        }
    }
}

/// One subject's finding, with its other days.
#[derive(Debug, Clone)]
pub struct Finding {
    pub finding_id: String,
    pub rule_id: String,
    pub rule_version: i64,
    pub severity: Severity,
    pub title: String,
    /// `new`, `ongoing`, `acknowledged`.
    pub status: &'static str,
    pub user_key: Option<String>,
    /// Nothing where it is about no single user.
    pub who: Option<String>,
    pub user_kind: Option<String>,
    /// Nothing where an older release wrote it.
    pub case_id: Option<String>,
    pub case_subject: Option<String>,
    /// The days on which it was found, in order.
    pub days: Vec<NaiveDate>,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    pub count: u64,
    pub expected: String,
    pub observed: String,
    /// From which severity, and why.
    pub raised: Option<(Severity, String)>,
    pub gathers: Option<Gathers>,
    /// Names of evidence columns and what they say.
    pub evidence: Vec<(String, String)>,
    pub description: String,
    /// Ids and texts of the statements that the rule enforces.
    pub controls: Vec<(String, String)>,
    pub response: Vec<String>,
    pub false_positives: Vec<String>,
    pub attack: Vec<String>,
    /// Command lines: one shows the rows, the other the finding.
    pub rows_command: String,
    pub show_command: String,
}

/// Findings that are told as a number under another.
#[derive(Debug, Clone, Serialize)]
pub struct Gathers {
    pub summary: String,
    pub details: String,
}

/// A finding that is over.
#[derive(Debug, Clone)]
pub struct Past {
    pub severity: Severity,
    pub title: String,
    pub who: Option<String>,
    pub last_seen: DateTime<Utc>,
}

/// A suppression of the configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Suppression {
    pub rule: String,
    pub user: Option<String>,
    pub conditions: String,
    pub reason: String,
    pub owner: String,
    pub until: Option<NaiveDate>,
    pub is_expired: bool,
    pub matched: u64,
}

/// The registry held against what the logs show.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    pub file: String,
    pub users: usize,
    pub apps: usize,
    pub windows: usize,
    /// Days of logs that it was held against.
    pub covered_days: usize,
    /// Accounts that work like a machine and are declared nowhere.
    pub undeclared: usize,
    /// Problem, line of the file, subject, message.
    pub problems: Vec<(&'static str, u32, String, String)>,
    pub endings: Vec<Ending>,
}

/// Something declared that ends soon.
#[derive(Debug, Clone, Serialize)]
pub struct Ending {
    /// `user`, `consent window` …
    pub what: String,
    pub subject: String,
    pub ticket: Option<String>,
    pub ends: DateTime<Utc>,
    pub line: u32,
}

/// A statement of the guidance, and what is done about it.
#[derive(Debug, Clone)]
pub struct Statement {
    pub id: String,
    pub text: String,
    pub state: State,
    pub rules: Vec<String>,
    /// What the rules lack, or how it is met without one.
    pub note: Option<String>,
}
