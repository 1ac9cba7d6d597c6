//! What findings make of one another: the case that they form, a severity that their company
//! raises, the finding under which an alert counts them. The ledger keeps it; who works it out
//! sees every finding that is not resolved, so that the answer depends on nothing but them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, params};

use super::apply::Moment;
use super::status::{Change, PROGRAM, record_change};
use super::{COLUMNS, Finding, FindingChanges, FindingRow, Status, finding_of};
use crate::config::Severity;
use crate::lake::error::Result;

/// What the other findings make of a finding. No rule sets it; a resolved finding keeps the last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correlation {
    /// The findings of one subject and UTC day share it. None where an older release wrote the
    /// finding.
    pub case_id: Option<String>,
    /// What the case's subject is called, if it has one.
    pub case_subject: Option<String>,
    /// The rule's own severity, where it was raised.
    pub raised_from: Option<Severity>,
    /// A sentence that names the findings that raised it.
    pub raised_because: Option<String>,
    /// Id of the finding under which an alert counts it.
    pub gathered_by: Option<String>,
}

/// A finding in the light of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub severity: Severity,
    pub correlation: Correlation,
}

/// Judges findings in the light of one another: one answer for each, in their order.
pub type Correlate<'a> = dyn Fn(&[Finding]) -> Vec<Placed> + 'a;

impl FindingRow {
    /// The severity that its rule gave.
    pub fn own_severity(&self) -> Severity {
        self.correlation.raised_from.unwrap_or(self.severity)
    }

    /// The finding as if no other were there.
    pub fn alone(self) -> Self {
        Self {
            severity: self.own_severity(),
            correlation: Correlation::default(),
            ..self
        }
    }
}

/// Correlates all that is not resolved, and brings the changes up to date with it. `before` holds
/// the severities, up to this evaluation, of findings that it has stored with another.
pub(super) fn apply_correlation(
    conn: &Connection,
    now: Moment,
    before: &HashMap<String, Severity>,
    correlate: &Correlate<'_>,
    changes: &mut FindingChanges,
) -> Result<()> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM findings WHERE status <> 'resolved' ORDER BY finding_id"
    ))?;
    let alive = statement
        .query_map([], finding_of)?
        .collect::<rusqlite::Result<Vec<Finding>>>()?;
    let places = correlate(&alive);
    let mut moved = BTreeMap::new();
    // Open ones that grew graver.
    let mut raised = BTreeSet::new();
    for (mut finding, place) in alive.into_iter().zip(places) {
        let known = before.get(&finding.row.finding_id).copied();
        let known = known.unwrap_or(finding.row.severity);
        if place.severity == finding.row.severity && place.correlation == finding.row.correlation {
            continue;
        }
        finding.row.severity = place.severity;
        finding.row.correlation = place.correlation;
        store_place(conn, &finding.row)?;
        if finding.new_in_run < now.run_id {
            tell_history(conn, now, &finding, known)?;
        }
        let is_open = matches!(finding.status, Status::New | Status::Ongoing);
        if is_open && finding.row.severity > known {
            raised.insert(finding.row.finding_id.clone());
        }
        moved.insert(finding.row.finding_id.clone(), finding);
    }
    enter(changes, moved, &raised);
    Ok(())
}

fn store_place(conn: &Connection, row: &FindingRow) -> Result<()> {
    let place = &row.correlation;
    conn.prepare_cached(
        "UPDATE findings SET severity = ?2, case_id = ?3, case_subject = ?4, raised_from = ?5,
             raised_because = ?6, gathered_by = ?7
         WHERE finding_id = ?1",
    )?
    .execute(params![
        row.finding_id,
        row.severity.as_str(),
        place.case_id,
        place.case_subject,
        place.raised_from.map(Severity::as_str),
        place.raised_because,
        place.gathered_by,
    ])?;
    Ok(())
}

/// Enters a change of severity that comes of the other findings alone.
fn tell_history(conn: &Connection, now: Moment, finding: &Finding, known: Severity) -> Result<()> {
    let severity = finding.row.severity;
    let why = match (finding.row.correlation.raised_from, severity.cmp(&known)) {
        (Some(own), std::cmp::Ordering::Greater) => format!("raised from {own} to {severity}"),
        (_, std::cmp::Ordering::Less) => format!("no longer {known}: {severity}"),
        _ => return Ok(()),
    };
    let change = Change {
        finding_id: &finding.row.finding_id,
        run_id: Some(now.run_id),
        at: now.at,
        from: Some(finding.status),
        to: finding.status,
        who: PROGRAM,
        why: &why,
    };
    record_change(conn, &change)
}

/// A finding that grew graver is news; any other move is none.
fn enter(
    changes: &mut FindingChanges,
    mut moved: BTreeMap<String, Finding>,
    raised: &BTreeSet<String>,
) {
    for list in [
        &mut changes.new,
        &mut changes.updated,
        &mut changes.unchanged,
        &mut changes.quiet,
    ] {
        for row in list {
            if let Some(finding) = moved.remove(&row.finding_id) {
                *row = finding.row;
            }
        }
    }
    let unchanged = std::mem::take(&mut changes.unchanged);
    let (graver, same): (Vec<_>, Vec<_>) = unchanged
        .into_iter()
        .partition(|row| raised.contains(&row.finding_id));
    changes.unchanged = same;
    let mut news = graver;
    for (id, finding) in moved {
        match raised.contains(&id) {
            true => news.push(finding.row),
            false => changes.moved.push(finding.row),
        }
    }
    news.sort_by(|a, b| a.finding_id.cmp(&b.finding_id));
    changes.updated.extend(news);
}
