//! Changes of a finding's status, by hand or by an evaluation, with their history.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::hold::{Hold, Reopened};
use super::{Finding, Status};
use crate::lake::error::{LakeError, Result};
use crate::lake::ledger::Ledger;
use crate::lake::ledger::values::{int, ms, opt_ms};
use crate::lake::model::RunId;

/// Who the program says it is in the history. Nobody else may be called so.
pub const PROGRAM: &str = "orgwatch";

/// A change of status for the history.
pub(super) struct Change<'a> {
    pub finding_id: &'a str,
    pub run_id: Option<RunId>,
    pub at: DateTime<Utc>,
    pub from: Option<Status>,
    pub to: Status,
    pub who: &'a str,
    pub why: &'a str,
}

/// What a person may do with a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    /// It is known; it stays open and is not mailed again.
    Acknowledge,
    /// It is dealt with.
    Resolve,
    /// It is wanted, until then.
    Suppress { until: DateTime<Utc> },
    /// It is not dealt with after all: the next mail tells of it again.
    Reopen,
}

impl ByHand {
    /// The status that it leads to.
    pub fn status(self) -> Status {
        match self {
            ByHand::Acknowledge => Status::Acknowledged,
            ByHand::Resolve => Status::Resolved,
            ByHand::Suppress { .. } => Status::Suppressed,
            ByHand::Reopen => Status::New,
        }
    }

    /// What was done to a finding, in a word.
    pub fn done(self) -> &'static str {
        match self {
            ByHand::Acknowledge => "acknowledged",
            ByHand::Resolve => "resolved",
            ByHand::Suppress { .. } => "suppressed",
            ByHand::Reopen => "reopened",
        }
    }

    /// Whether it would change anything about a finding. The error says why it is not possible.
    pub fn changes(self, finding: &Finding) -> Result<bool> {
        let refused = |state: &str, hint| {
            Err(LakeError::FindingState {
                id: finding.row.finding_id.chars().take(12).collect(),
                state: state.to_owned(),
                wanted: self.done(),
                hint,
            })
        };
        let by_configuration = finding.status == Status::Suppressed && finding.hold.is_none();
        match (finding.status, self) {
            _ if by_configuration => refused(
                "hidden by the configuration",
                "`findings show` names the [[suppress]] entry, or the rule is in staging; change that",
            ),
            (Status::Resolved, ByHand::Resolve) => Ok(false),
            (Status::New | Status::Ongoing, ByHand::Reopen) => Ok(false),
            (Status::Resolved, ByHand::Acknowledge | ByHand::Suppress { .. }) => {
                refused("resolved", "`findings reopen` opens it again first")
            }
            _ => Ok(true),
        }
    }
}

/// A person's decision about findings.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    pub what: ByHand,
    pub who: &'a str,
    pub why: &'a str,
    pub at: DateTime<Utc>,
}

impl Ledger {
    /// Carries out a decision about the findings of these ids, in full, as one transaction.
    /// Returns those that it changed, as they are now, in the order of the ids; one that is so
    /// already stays as it is. Where it is not possible for one, nothing has happened.
    pub fn decide(&mut self, ids: &[String], decision: &Decision<'_>) -> Result<Vec<Finding>> {
        let mut changed = Vec::with_capacity(ids.len());
        for id in ids {
            let finding = self.finding(id)?;
            if decision.what.changes(&finding)? {
                changed.push(finding);
            }
        }
        let tx = self.write()?;
        let last_run: RunId =
            tx.query_row("SELECT coalesce(max(run_id), 0) FROM runs", [], |row| {
                row.get(0)
            })?;
        for finding in &mut changed {
            carry_out(&tx, finding, decision, last_run)?;
        }
        tx.commit()?;
        Ok(changed)
    }
}

fn carry_out(
    conn: &Connection,
    finding: &mut Finding,
    decision: &Decision<'_>,
    last_run: RunId,
) -> Result<()> {
    let from = finding.status;
    finding.status = decision.what.status();
    let hold = || Hold {
        by: decision.who.to_owned(),
        at: decision.at,
        severity: finding.row.severity,
        count: finding.row.count,
        until: match decision.what {
            ByHand::Suppress { until } => Some(until),
            _ => None,
        },
    };
    let is_reopened = decision.what == ByHand::Reopen;
    finding.hold = (!is_reopened).then(hold);
    finding.reopened = is_reopened.then(|| Reopened {
        because: format!("{}: {}", decision.who, decision.why),
        after_run: last_run,
    });
    let (hold, reopened) = (finding.hold.as_ref(), finding.reopened.as_ref());
    conn.prepare_cached(
        "UPDATE findings SET status = ?2, held_by = ?3, held_at = ?4, held_severity = ?5,
             held_count = ?6, held_until = ?7, reopened_because = ?8, reopened_after = ?9
         WHERE finding_id = ?1",
    )?
    .execute(params![
        finding.row.finding_id,
        finding.status.as_str(),
        hold.map(|h| &h.by),
        hold.map(|h| ms(h.at)),
        hold.map(|h| h.severity.as_str()),
        hold.map(|h| int(h.count)),
        hold.and_then(|h| opt_ms(h.until)),
        reopened.map(|r| &r.because),
        reopened.map(|r| r.after_run),
    ])?;
    let change = Change {
        finding_id: &finding.row.finding_id,
        run_id: None,
        at: decision.at,
        from: Some(from),
        to: finding.status,
        who: decision.who,
        why: decision.why,
    };
    record_change(conn, &change)
}

pub(super) fn record_change(conn: &Connection, change: &Change<'_>) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO finding_events (finding_id, run_id, at, from_status, to_status, who, why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        change.finding_id,
        change.run_id,
        ms(change.at),
        change.from.map(Status::as_str),
        change.to.as_str(),
        change.who,
        change.why,
    ])?;
    Ok(())
}
