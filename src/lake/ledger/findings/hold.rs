//! What a person decided about a finding, and when that no longer holds: nobody agreed to more
//! than they saw.
//!
//! | decided | holds until |
//! |---|---|
//! | acknowledged | it is graver, or has twice the events; ends as well when it is not seen again |
//! | suppressed | it is graver, or its time is over and it is seen again |
//! | resolved | it is seen again with anything that was not there: a later event, more events, graver, or a standing condition that a later day still shows |
//!
//! What no longer holds is news: `new` again, with the reason.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};

use super::apply::Moment;
use super::status::{Change, PROGRAM, record_change};
use super::{COLUMNS, EvaluatedWindow, Finding, FindingChanges, FindingRow, Status, finding_of};
use crate::config::Severity;
use crate::lake::error::Result;
use crate::lake::ledger::values::{count_at, opt_time_at};
use crate::lake::model::RunId;

/// Times the events that somebody has seen from which the same finding is another matter.
pub const GROWTH: u64 = 2;

/// A person's decision about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub by: String,
    pub at: DateTime<Utc>,
    /// What there was to see.
    pub severity: Severity,
    pub count: u64,
    /// End of a suppression.
    pub until: Option<DateTime<Utc>>,
}

/// A finding that is open again after a person had closed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopened {
    pub because: String,
    /// Mails of runs up to this one told of the time before.
    pub after_run: RunId,
}

impl Hold {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let by: Option<String> = row.get("held_by")?;
        let Some(by) = by else { return Ok(None) };
        let severity: Option<String> = row.get("held_severity")?;
        // An older release did not say what there was to see: what there is, then.
        let severity = severity.unwrap_or(row.get("severity")?);
        let count: Option<i64> = row.get("held_count")?;
        Ok(Some(Self {
            by,
            at: opt_time_at(row, "held_at")?.unwrap_or_default(),
            severity: Severity::from_word(&severity)
                .ok_or_else(|| super::unknown_word("severity"))?,
            count: match count.map(u64::try_from) {
                Some(Ok(count)) => count,
                _ => count_at(row, "count")?,
            },
            until: opt_time_at(row, "held_until")?,
        }))
    }

    /// Why the decision on a finding, as it now is, does not hold; None while it does.
    fn overtaken(
        &self,
        finding: &Finding,
        is_produced: bool,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let (row, by) = (&finding.row, &self.by);
        let since = match finding.status {
            Status::Acknowledged => format!("since {by} acknowledged it"),
            Status::Suppressed => format!("since {by} suppressed it"),
            _ => return None,
        };
        if row.severity > self.severity {
            return Some(format!("{}, {} {since}", row.severity, self.severity));
        }
        let grown = row.count >= self.count.max(1).saturating_mul(GROWTH);
        if finding.status == Status::Acknowledged && grown {
            return Some(format!("{} events, {} {since}", row.count, self.count));
        }
        let is_over = self.until.is_some_and(|until| until <= now);
        (is_over && is_produced).then(|| format!("the suppression by {by} has ended"))
    }
}

impl Reopened {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let because: Option<String> = row.get("reopened_because")?;
        let after_run: Option<RunId> = row.get("reopened_after")?;
        Ok(because
            .zip(after_run)
            .map(|(because, after_run)| Self { because, after_run }))
    }

    pub(super) fn tonight(because: String, now: Moment) -> Self {
        Self {
            because,
            after_run: now.run_id - 1,
        }
    }
}

/// Why a finding that a person had resolved is open again; None where it shows nothing that was
/// not there before. `evaluated` are the windows of its rule.
pub(super) fn comes_back<'a>(
    known: &Finding,
    merged: &FindingRow,
    mut evaluated: impl Iterator<Item = &'a EvaluatedWindow>,
) -> Option<String> {
    let hold = known.hold.as_ref()?;
    let since = format!("since {} resolved it", hold.by);
    if merged.own_severity() > known.row.own_severity() {
        return Some(format!("graver {since}"));
    }
    if merged.last_seen > known.row.last_seen || merged.count > known.row.count {
        return Some(format!("seen again {since}"));
    }
    let is_standing = merged.bucket_start.is_none();
    let still = is_standing && evaluated.any(|window| window.to > hold.at);
    still.then(|| format!("still so {since}"))
}

/// Opens again what is another matter by now than what a person decided about, in the light of
/// the other findings too. `produced` are the ids that rules produced this time.
pub(super) fn reopen_overtaken(
    conn: &Connection,
    now: Moment,
    produced: &HashSet<&str>,
    changes: &mut FindingChanges,
) -> Result<()> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM findings
         WHERE held_by IS NOT NULL AND status IN ('acknowledged', 'suppressed')
         ORDER BY finding_id"
    ))?;
    let held = statement
        .query_map([], finding_of)?
        .collect::<rusqlite::Result<Vec<Finding>>>()?;
    for finding in held {
        let Some(hold) = &finding.hold else { continue };
        let is_produced = produced.contains(finding.row.finding_id.as_str());
        let Some(because) = hold.overtaken(&finding, is_produced, now.at) else {
            continue;
        };
        let id = finding.row.finding_id.clone();
        for list in [
            &mut changes.updated,
            &mut changes.unchanged,
            &mut changes.quiet,
            &mut changes.moved,
        ] {
            list.retain(|row| row.finding_id != id);
        }
        // What a suppression of the configuration hides by now stays hidden.
        let status = match finding.row.suppressed_by {
            Some(_) => Status::Suppressed,
            None => Status::New,
        };
        let reopened = (status == Status::New).then(|| Reopened::tonight(because.clone(), now));
        conn.prepare_cached(
            "UPDATE findings SET status = ?2, held_by = NULL, held_at = NULL, held_severity = NULL,
                 held_count = NULL, held_until = NULL, reopened_because = ?3, reopened_after = ?4,
                 new_in_run = iif(?2 = 'new', ?5, new_in_run)
             WHERE finding_id = ?1",
        )?
        .execute(params![
            id,
            status.as_str(),
            reopened.as_ref().map(|r| &r.because),
            reopened.as_ref().map(|r| r.after_run),
            now.run_id,
        ])?;
        let change = Change {
            finding_id: &id,
            run_id: Some(now.run_id),
            at: now.at,
            from: Some(finding.status),
            to: status,
            who: PROGRAM,
            why: match status {
                Status::New => &because,
                _ => "a suppression of the configuration matches",
            },
        };
        record_change(conn, &change)?;
        match status {
            Status::New => {
                changes.reopened.insert(id);
                changes.new.push(finding.row);
            }
            _ => changes.quiet.push(finding.row),
        }
    }
    Ok(())
}
