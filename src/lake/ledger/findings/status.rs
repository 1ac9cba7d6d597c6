//! Changes of a finding's status, by hand or by an evaluation, with their history.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::{Finding, Status};
use crate::lake::error::Result;
use crate::lake::ledger::Ledger;
use crate::lake::ledger::values::ms;
use crate::lake::model::RunId;

/// Who the program says it is in the history.
pub(super) const PROGRAM: &str = "orgwatch";

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

impl Ledger {
    /// Sets the status of the finding whose id begins with `id_prefix` by hand. `Acknowledged`
    /// and `Suppressed` last until they are changed by hand again (an acknowledged finding may
    /// still resolve); any other status hands it back to the evaluations.
    pub fn set_status(
        &mut self,
        id_prefix: &str,
        to: Status,
        who: &str,
        why: &str,
        at: DateTime<Utc>,
    ) -> Result<Finding> {
        let mut finding = self.finding(id_prefix)?;
        let held = matches!(to, Status::Acknowledged | Status::Suppressed);
        let held_by = held.then(|| who.to_owned());
        let tx = self.write()?;
        tx.execute(
            "UPDATE findings SET status = ?2, held_by = ?3 WHERE finding_id = ?1",
            params![finding.row.finding_id, to.as_str(), held_by],
        )?;
        let change = Change {
            finding_id: &finding.row.finding_id,
            run_id: None,
            at,
            from: Some(finding.status),
            to,
            who,
            why,
        };
        record_change(&tx, &change)?;
        tx.commit()?;
        finding.status = to;
        finding.held_by = held_by;
        Ok(finding)
    }
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
