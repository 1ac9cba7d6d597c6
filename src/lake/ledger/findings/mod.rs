//! Findings and their life.
//!
//! ```text
//!            produced again, later run            not produced again
//!   new ────────────────────────────► ongoing ──────────────────────► resolved
//!    ▲                                                                   │
//!    └───────────────────────── produced again ──────────────────────────┘
//! ```
//! People may set `acknowledged`, `suppressed` or `resolved` by hand, which holds as long as there
//! is no more to see than they saw; a suppression of the configuration sets `suppressed` for as
//! long as it matches. Each change is kept in the history.

mod apply;
mod correlation;
mod hold;
mod status;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Row, params_from_iter};

use super::Ledger;
use super::values::{count_at, ms, opt_time_at, time_at, unreadable};
use crate::config::{Family, Severity};
use crate::lake::error::{LakeError, Result};
use crate::lake::model::RunId;

pub use correlation::{Correlate, Correlation, Placed};
pub use hold::{GROWTH, Hold, Reopened};
pub use status::{ByHand, Decision, PROGRAM};

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// First produced by the latest evaluation, or produced again after it was resolved.
    New,
    /// Produced by an earlier run already.
    Ongoing,
    /// Its rule and time were evaluated again, and it was not produced.
    Resolved,
    /// Somebody knows; it stays visible and is no news.
    Acknowledged,
    /// Wanted: no news, not shown unless asked for.
    Suppressed,
}

impl Status {
    pub const ALL: [Status; 5] = [
        Status::New,
        Status::Ongoing,
        Status::Resolved,
        Status::Acknowledged,
        Status::Suppressed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::New => "new",
            Status::Ongoing => "ongoing",
            Status::Resolved => "resolved",
            Status::Acknowledged => "acknowledged",
            Status::Suppressed => "suppressed",
        }
    }

    /// The status of a lower-case word, if it is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// A finding as a rule produces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// Hash of `dedupe_key` and the start of the bucket.
    pub finding_id: String,
    /// Hash of rule, org and dedupe columns.
    pub dedupe_key: String,
    pub rule_id: String,
    pub rule_version: i64,
    /// The rule's, or what the company of other findings raised it to.
    pub severity: Severity,
    pub title: String,
    pub user_key: Option<String>,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub user_kind: Option<String>,
    /// None for a standing condition.
    pub bucket_start: Option<DateTime<Utc>>,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    /// Events.
    pub count: u64,
    /// In words.
    pub expected: String,
    /// In words.
    pub observed: String,
    /// The evidence columns as a JSON object.
    pub evidence_json: String,
    /// MITRE ATT&CK ids.
    pub attack: Vec<String>,
    /// The suppression of the configuration that matches it.
    pub suppressed_by: Option<String>,
    /// Group of the rule. None where an older release wrote the finding.
    pub family: Option<Family>,
    /// What other findings make of it; nothing, as long as it comes from a rule.
    pub correlation: Correlation,
}

/// A finding with its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub row: FindingRow,
    pub status: Status,
    /// Set while a person's decision holds.
    pub hold: Option<Hold>,
    /// Set while it is open after a person had closed it.
    pub reopened: Option<Reopened>,
    pub first_run: RunId,
    pub last_run: RunId,
    /// The run that made it new, the last time that it was.
    pub new_in_run: RunId,
}

/// One step in the life of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingEvent {
    pub run_id: Option<RunId>,
    pub at: DateTime<Utc>,
    /// None for its birth.
    pub from: Option<Status>,
    pub to: Status,
    pub who: String,
    pub why: String,
}

/// A rule that was evaluated, for events in `[from, to)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatedWindow {
    pub rule_id: String,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

/// What an evaluation changed. Rows are as stored now; each list is ordered as the rows were
/// given, `resolved` by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingChanges {
    /// News: never seen before, or seen again after it was resolved or its suppression ended.
    pub new: Vec<FindingRow>,
    /// Known and open; its content differs from what was stored, or other findings made it graver.
    /// Those that no rule produced this time come last, by id.
    pub updated: Vec<FindingRow>,
    /// Known, nothing to tell.
    pub unchanged: Vec<FindingRow>,
    pub resolved: Vec<FindingRow>,
    /// New or changed, but suppressed or acknowledged: not to be told.
    pub quiet: Vec<FindingRow>,
    /// Not produced this time, and in another place among the other findings than before: no news.
    pub moved: Vec<FindingRow>,
    /// Ids of those in `new` that a person had closed: news, whatever earlier mails told.
    pub reopened: BTreeSet<String>,
}

impl FindingChanges {
    /// Whether a finding of this dedupe key is open again after a person had closed it: what
    /// earlier mails told of the key does not count.
    pub fn reopens(&self, dedupe_key: &str) -> bool {
        let mut new = self.new.iter();
        !self.reopened.is_empty()
            && new
                .any(|row| row.dedupe_key == dedupe_key && self.reopened.contains(&row.finding_id))
    }
}

/// Which findings to list; empty fields do not restrict.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    pub statuses: Vec<Status>,
    pub rule_id: Option<String>,
    pub min_severity: Option<Severity>,
    pub family: Option<Family>,
    /// Matches user key, id or username, without regard to case.
    pub user: Option<String>,
    /// Last seen at or after.
    pub since: Option<DateTime<Utc>>,
    /// First seen before.
    pub until: Option<DateTime<Utc>>,
    /// Produced for the first time (or anew) by this run.
    pub new_in_run: Option<RunId>,
    /// Of the case whose id begins so.
    pub case_id: Option<String>,
}

pub(super) const COLUMNS: &str = "finding_id, dedupe_key, rule_id, rule_version, severity, title, \
    user_key, user_id, username, user_kind, bucket_start, first_seen, last_seen, count, expected, \
    observed, evidence_json, attack, suppressed_by, status, held_by, first_run, last_run, \
    new_in_run, family, case_id, case_subject, raised_from, raised_because, gathered_by, held_at, \
    held_severity, held_count, held_until, reopened_because, reopened_after";

/// Columns that came with a version after the first.
const LATER_COLUMNS: [(i64, &[&str]); 3] = [
    (2, &["family"]),
    (
        3,
        &[
            "case_id",
            "case_subject",
            "raised_from",
            "raised_because",
            "gathered_by",
        ],
    ),
    (
        4,
        &[
            "held_at",
            "held_severity",
            "held_count",
            "held_until",
            "reopened_because",
            "reopened_after",
        ],
    ),
];

/// [`COLUMNS`] of a ledger of this version.
pub(super) fn columns(version: i64) -> String {
    let is_missing = |column: &str| {
        let mut later = LATER_COLUMNS.iter();
        later.any(|(since, columns)| version < *since && columns.contains(&column))
    };
    let columns = COLUMNS.split(", ").map(|column| match is_missing(column) {
        true => format!("NULL AS {column}"),
        false => column.to_owned(),
    });
    columns.collect::<Vec<_>>().join(", ")
}

impl Ledger {
    /// Findings that match, the most severe first, then the latest, then by id.
    pub fn findings(&self, filter: &FindingFilter) -> Result<Vec<Finding>> {
        let columns = columns(self.version);
        let mut statement = self
            .conn
            .prepare(&format!("SELECT {columns} FROM findings"))?;
        let all = statement.query_map([], finding_of)?;
        let mut found = all
            .filter(|f| f.as_ref().map_or(true, |f| filter.matches(f)))
            .collect::<rusqlite::Result<Vec<Finding>>>()?;
        found.sort_by(|a, b| {
            (b.row.severity, b.row.last_seen, &a.row.finding_id).cmp(&(
                a.row.severity,
                a.row.last_seen,
                &b.row.finding_id,
            ))
        });
        Ok(found)
    }

    /// The one finding whose id begins with `id_prefix`; an id in full is always its own.
    pub fn finding(&self, id_prefix: &str) -> Result<Finding> {
        let columns = columns(self.version);
        let mut statement = self.conn.prepare(&format!(
            "SELECT {columns} FROM findings WHERE substr(finding_id, 1, length(?1)) = ?1
             ORDER BY finding_id"
        ))?;
        let found = statement.query_map([id_prefix], finding_of)?;
        let mut found = found.collect::<rusqlite::Result<Vec<Finding>>>()?;
        let prefix = || crate::privacy::printable(id_prefix, 80);
        match (
            found.len(),
            found.iter().position(|f| f.row.finding_id == id_prefix),
        ) {
            (0, _) => Err(LakeError::NoFinding { prefix: prefix() }),
            (_, Some(exact)) => Ok(found.swap_remove(exact)),
            (1, None) => Ok(found.swap_remove(0)),
            (count, None) => Err(LakeError::AmbiguousFinding {
                prefix: prefix(),
                count,
                candidates: candidates(&found),
            }),
        }
    }

    /// The life of a finding, oldest step first.
    pub fn finding_history(&self, finding_id: &str) -> Result<Vec<FindingEvent>> {
        let mut statement = self.conn.prepare(
            "SELECT run_id, at, from_status, to_status, who, why FROM finding_events
             WHERE finding_id = ?1 ORDER BY event_id",
        )?;
        let events = statement.query_map([finding_id], |row| {
            let from: Option<String> = row.get("from_status")?;
            let to: String = row.get("to_status")?;
            Ok(FindingEvent {
                run_id: row.get("run_id")?,
                at: time_at(row, "at")?,
                from: from.as_deref().map(status).transpose()?,
                to: status(&to)?,
                who: row.get("who")?,
                why: row.get("why")?,
            })
        })?;
        Ok(events.collect::<rusqlite::Result<_>>()?)
    }

    /// Findings of these ids, in no particular order.
    pub fn findings_by_id(&self, ids: &[String]) -> Result<Vec<Finding>> {
        // SQLite binds at most 32766 parameters in one statement.
        let columns = columns(self.version);
        let mut found = Vec::with_capacity(ids.len());
        for ids in ids.chunks(10_000) {
            let marks = vec!["?"; ids.len()].join(",");
            let mut statement = self.conn.prepare(&format!(
                "SELECT {columns} FROM findings WHERE finding_id IN ({marks})"
            ))?;
            let some = statement.query_map(params_from_iter(ids), finding_of)?;
            for finding in some {
                found.push(finding?);
            }
        }
        Ok(found)
    }
}

/// Some of the findings that a prefix may mean, one to a line.
fn candidates(found: &[Finding]) -> String {
    const SHOWN: usize = 10;
    let line = |finding: &Finding| {
        let id: String = finding.row.finding_id.chars().take(16).collect();
        format!("\n  {id}  {}", finding.row.rule_id)
    };
    let mut lines: String = found.iter().take(SHOWN).map(line).collect();
    if found.len() > SHOWN {
        lines.push_str(&format!("\n  + {} more", found.len() - SHOWN));
    }
    lines
}

impl FindingFilter {
    fn matches(&self, finding: &Finding) -> bool {
        let row = &finding.row;
        let is_user = |user: &String| {
            [&row.user_key, &row.user_id, &row.username]
                .into_iter()
                .flatten()
                .any(|name| name.to_lowercase() == user.to_lowercase())
        };
        (self.statuses.is_empty() || self.statuses.contains(&finding.status))
            && self
                .rule_id
                .as_ref()
                .is_none_or(|rule| *rule == row.rule_id)
            && self.min_severity.is_none_or(|least| row.severity >= least)
            && self.family.is_none_or(|family| row.family == Some(family))
            && self.user.as_ref().is_none_or(is_user)
            && self.since.is_none_or(|since| row.last_seen >= since)
            && self.until.is_none_or(|until| row.first_seen < until)
            && self.new_in_run.is_none_or(|run| finding.new_in_run == run)
            && self.case_id.as_ref().is_none_or(|id| {
                let case = row.correlation.case_id.as_ref();
                case.is_some_and(|case| case.starts_with(id.as_str()))
            })
    }
}

pub(super) fn finding_of(row: &Row<'_>) -> rusqlite::Result<Finding> {
    let severity: String = row.get("severity")?;
    let status_word: String = row.get("status")?;
    let attack: String = row.get("attack")?;
    let family: Option<String> = row.get("family")?;
    let raised_from: Option<String> = row.get("raised_from")?;
    Ok(Finding {
        row: FindingRow {
            finding_id: row.get("finding_id")?,
            dedupe_key: row.get("dedupe_key")?,
            rule_id: row.get("rule_id")?,
            rule_version: row.get("rule_version")?,
            severity: Severity::from_word(&severity).ok_or_else(|| unknown_word("severity"))?,
            title: row.get("title")?,
            user_key: row.get("user_key")?,
            user_id: row.get("user_id")?,
            username: row.get("username")?,
            user_kind: row.get("user_kind")?,
            bucket_start: opt_time_at(row, "bucket_start")?,
            first_seen: time_at(row, "first_seen")?,
            last_seen: time_at(row, "last_seen")?,
            count: count_at(row, "count")?,
            expected: row.get("expected")?,
            observed: row.get("observed")?,
            evidence_json: row.get("evidence_json")?,
            attack: attack
                .split(',')
                .filter(|a| !a.is_empty())
                .map(str::to_owned)
                .collect(),
            suppressed_by: row.get("suppressed_by")?,
            family: family.as_deref().and_then(Family::from_word),
            correlation: Correlation {
                case_id: row.get("case_id")?,
                case_subject: row.get("case_subject")?,
                raised_from: raised_from.as_deref().and_then(Severity::from_word),
                raised_because: row.get("raised_because")?,
                gathered_by: row.get("gathered_by")?,
            },
        },
        status: status(&status_word)?,
        hold: Hold::of(row)?,
        reopened: Reopened::of(row)?,
        first_run: row.get("first_run")?,
        last_run: row.get("last_run")?,
        new_in_run: row.get("new_in_run")?,
    })
}

fn status(word: &str) -> rusqlite::Result<Status> {
    Status::from_word(word).ok_or_else(|| unknown_word("status"))
}

pub(super) fn unknown_word(what: &str) -> rusqlite::Error {
    unreadable(Type::Text, std::io::Error::other(format!("unknown {what}")))
}

/// The precision in which the ledger keeps times.
fn to_ms(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms(at)).unwrap_or(at)
}
