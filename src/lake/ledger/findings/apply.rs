//! What an evaluation does to the findings: one transaction from the rows that rules produced
//! to the changed findings and the mails that tell of them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::correlation::{Correlate, apply_correlation};
use super::hold::{Reopened, comes_back, reopen_overtaken};
use super::status::{Change, PROGRAM, record_change};
use super::{
    COLUMNS, Correlation, EvaluatedWindow, Finding, FindingChanges, FindingRow, Status, finding_of,
    to_ms,
};
use crate::config::{Family, Severity};
use crate::lake::error::{LakeError, Result};
use crate::lake::ledger::Ledger;
use crate::lake::ledger::outbox::{OutboxMail, insert_mail};
use crate::lake::ledger::values::{int, ms, opt_ms};
use crate::lake::model::RunId;

/// Where in time an evaluation happens.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub run_id: RunId,
    pub at: DateTime<Utc>,
}

impl Ledger {
    /// Brings the findings up to date with what the rules produced, as one transaction:
    /// - a row of a known id is merged: earliest first and latest last sight, highest severity,
    ///   the count of the wider view; the rest as the row says;
    /// - an open finding of an evaluated rule and time that was not produced again is resolved;
    ///   a standing one (no bucket) if the evaluation reached beyond its last sight;
    /// - `correlate` judges all findings that are not resolved in the light of one another, those
    ///   of other rules and nights with them, so that the result is the same whatever was
    ///   evaluated tonight;
    /// - what a person had closed is open again where there is more to see than they saw;
    /// - the mails that `mail` makes of the changes go to the outbox. If it fails, nothing has
    ///   happened.
    pub fn apply_findings(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        rows: &[FindingRow],
        evaluated: &[EvaluatedWindow],
        correlate: &Correlate<'_>,
        mail: impl FnOnce(
            &FindingChanges,
        ) -> Result<Vec<OutboxMail>, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<FindingChanges> {
        let now = Moment { run_id, at };
        let mut changes = FindingChanges::default();
        let tx = self.write()?;
        age(&tx, now)?;
        let mut before = HashMap::new();
        for row in rows {
            apply_row(&tx, now, row, evaluated, &mut before, &mut changes)?;
        }
        let produced: HashSet<&str> = rows.iter().map(|r| r.finding_id.as_str()).collect();
        resolve(&tx, now, evaluated, &produced, &mut changes)?;
        apply_correlation(&tx, now, &before, correlate, &mut changes)?;
        reopen_overtaken(&tx, now, &produced, &mut changes)?;
        let mails = mail(&changes).map_err(|source| LakeError::Mail { source })?;
        for mail in &mails {
            insert_mail(&tx, run_id, at, mail)?;
        }
        tx.commit()?;
        Ok(changes)
    }
}

/// What was new in an earlier run is not new any more.
fn age(conn: &Connection, now: Moment) -> Result<()> {
    let mut statement = conn.prepare_cached(
        "UPDATE findings SET status = 'ongoing'
         WHERE status = 'new' AND max(new_in_run, coalesce(reopened_after + 1, 0)) < ?1
         RETURNING finding_id",
    )?;
    let aged = statement.query_map([now.run_id], |row| row.get(0))?;
    for finding_id in aged.collect::<rusqlite::Result<Vec<String>>>()? {
        let change = Change {
            finding_id: &finding_id,
            run_id: Some(now.run_id),
            at: now.at,
            from: Some(Status::New),
            to: Status::Ongoing,
            who: PROGRAM,
            why: "told in an earlier run",
        };
        record_change(conn, &change)?;
    }
    Ok(())
}

fn apply_row(
    conn: &Connection,
    now: Moment,
    row: &FindingRow,
    evaluated: &[EvaluatedWindow],
    before: &mut HashMap<String, Severity>,
    changes: &mut FindingChanges,
) -> Result<()> {
    let row = as_stored(row);
    let known = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM findings WHERE finding_id = ?1"
        ))?
        .query_row([&row.finding_id], finding_of)
        .optional()?;
    let Some(known) = known else {
        let status = match row.suppressed_by {
            Some(_) => Status::Suppressed,
            None => Status::New,
        };
        let finding = Finding {
            row,
            status,
            hold: None,
            reopened: None,
            first_run: now.run_id,
            last_run: now.run_id,
            new_in_run: now.run_id,
        };
        store(conn, now, &finding, None, "first seen")?;
        match status {
            Status::New => changes.new.push(finding.row),
            _ => changes.quiet.push(finding.row),
        }
        return Ok(());
    };
    let merged = merge(&known.row, row);
    if merged.severity != known.row.severity {
        before.insert(merged.finding_id.clone(), known.row.severity);
    }
    let (status, why, reopened) = next_status(&known, &merged, evaluated, now);
    let becomes_new = status == Status::New && known.status != Status::New;
    // A hand-set status goes with the decision that set it.
    let keeps_hold = status == known.status;
    let same_content = same_content(&known.row, &merged);
    let finding = Finding {
        row: merged,
        status,
        hold: known.hold.filter(|_| keeps_hold),
        reopened,
        first_run: known.first_run,
        last_run: now.run_id,
        new_in_run: match becomes_new {
            true => now.run_id,
            false => known.new_in_run,
        },
    };
    store(conn, now, &finding, Some(known.status), &why)?;
    if let (true, Some(_)) = (becomes_new, &finding.reopened) {
        changes.reopened.insert(finding.row.finding_id.clone());
    }
    let list = match status {
        _ if becomes_new => &mut changes.new,
        Status::Resolved => &mut changes.quiet,
        _ if same_content => &mut changes.unchanged,
        Status::New | Status::Ongoing => &mut changes.updated,
        _ => &mut changes.quiet,
    };
    list.push(finding.row);
    Ok(())
}

/// The status of a known finding that is produced again, why if it changes, and why it is open
/// again if a person had closed it.
fn next_status(
    known: &Finding,
    merged: &FindingRow,
    evaluated: &[EvaluatedWindow],
    now: Moment,
) -> (Status, String, Option<Reopened>) {
    let stays = |status| (status, String::new(), known.reopened.clone());
    let becomes = |status, why: &str| (status, why.to_owned(), None);
    match (known.status, merged.suppressed_by.is_some()) {
        (Status::Resolved, false) if known.hold.is_some() => {
            let windows = evaluated.iter().filter(|w| w.rule_id == merged.rule_id);
            match comes_back(known, merged, windows) {
                Some(because) => {
                    let reopened = Reopened::tonight(because.clone(), now);
                    (Status::New, because, Some(reopened))
                }
                None => stays(Status::Resolved),
            }
        }
        (status, _) if known.hold.is_some() && status != Status::Resolved => stays(status),
        (Status::Suppressed, true) => stays(Status::Suppressed),
        (_, true) => becomes(
            Status::Suppressed,
            "a suppression of the configuration matches",
        ),
        (Status::Suppressed, false) => becomes(Status::New, "no suppression matches any more"),
        (Status::Resolved, false) => becomes(Status::New, "seen again"),
        (status, false) => stays(status),
    }
}

fn merge(known: &FindingRow, row: FindingRow) -> FindingRow {
    let sees_it_all = row.first_seen <= known.first_seen && row.last_seen >= known.last_seen;
    let own = row.severity.max(known.own_severity());
    // Its place among the others stands until they are looked at again.
    let (severity, correlation) = match own == known.own_severity() {
        true => (known.severity, known.correlation.clone()),
        false => (own, Correlation::default()),
    };
    FindingRow {
        severity,
        correlation,
        first_seen: row.first_seen.min(known.first_seen),
        last_seen: row.last_seen.max(known.last_seen),
        count: match sees_it_all {
            true => row.count,
            false => row.count.max(known.count),
        },
        ..row
    }
}

/// Whether there is anything to tell of it by itself; another version or group of the rule alone
/// is not news.
fn same_content(known: &FindingRow, merged: &FindingRow) -> bool {
    let same_version = FindingRow {
        rule_version: merged.rule_version,
        family: merged.family,
        ..known.clone()
    };
    same_version.alone() == merged.clone().alone()
}

fn as_stored(row: &FindingRow) -> FindingRow {
    FindingRow {
        bucket_start: row.bucket_start.map(to_ms),
        first_seen: to_ms(row.first_seen),
        last_seen: to_ms(row.last_seen),
        ..row.clone()
    }
}

fn resolve(
    conn: &Connection,
    now: Moment,
    evaluated: &[EvaluatedWindow],
    produced: &HashSet<&str>,
    changes: &mut FindingChanges,
) -> Result<()> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM findings
         WHERE rule_id = ?1 AND status <> 'resolved'
           AND NOT (status = 'suppressed' AND held_by IS NOT NULL
                    AND (held_until IS NULL OR held_until > ?4))
           AND CASE WHEN bucket_start IS NULL THEN last_seen < ?3
                    ELSE bucket_start >= ?2 AND bucket_start < ?3 END"
    ))?;
    let mut gone: Vec<Finding> = Vec::new();
    for window in evaluated {
        let bounds = params![window.rule_id, ms(window.from), ms(window.to), ms(now.at)];
        for finding in statement.query_map(bounds, finding_of)? {
            let finding = finding?;
            if !produced.contains(finding.row.finding_id.as_str()) {
                gone.push(finding);
            }
        }
    }
    gone.sort_by(|a, b| a.row.finding_id.cmp(&b.row.finding_id));
    gone.dedup_by(|a, b| a.row.finding_id == b.row.finding_id);
    for known in gone {
        let from = known.status;
        let finding = Finding {
            status: Status::Resolved,
            hold: None,
            reopened: None,
            ..known
        };
        store(
            conn,
            now,
            &finding,
            Some(from),
            "evaluated again, not seen again",
        )?;
        match from {
            Status::Suppressed => changes.quiet.push(finding.row),
            _ => changes.resolved.push(finding.row),
        }
    }
    Ok(())
}

/// Writes a finding, and its change of status if it has changed.
fn store(
    conn: &Connection,
    now: Moment,
    finding: &Finding,
    from: Option<Status>,
    why: &str,
) -> Result<()> {
    let row = &finding.row;
    let (hold, reopened) = (finding.hold.as_ref(), finding.reopened.as_ref());
    conn.prepare_cached(&format!(
        "INSERT INTO findings ({COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35,
                 ?36)
         ON CONFLICT (finding_id) DO UPDATE SET
             dedupe_key = excluded.dedupe_key, rule_id = excluded.rule_id,
             rule_version = excluded.rule_version, severity = excluded.severity,
             title = excluded.title, user_key = excluded.user_key, user_id = excluded.user_id,
             username = excluded.username, user_kind = excluded.user_kind,
             bucket_start = excluded.bucket_start, first_seen = excluded.first_seen,
             last_seen = excluded.last_seen, count = excluded.count,
             expected = excluded.expected, observed = excluded.observed,
             evidence_json = excluded.evidence_json, attack = excluded.attack,
             suppressed_by = excluded.suppressed_by, status = excluded.status,
             held_by = excluded.held_by, last_run = excluded.last_run,
             new_in_run = excluded.new_in_run, family = excluded.family,
             case_id = excluded.case_id, case_subject = excluded.case_subject,
             raised_from = excluded.raised_from, raised_because = excluded.raised_because,
             gathered_by = excluded.gathered_by, held_at = excluded.held_at,
             held_severity = excluded.held_severity, held_count = excluded.held_count,
             held_until = excluded.held_until, reopened_because = excluded.reopened_because,
             reopened_after = excluded.reopened_after"
    ))?
    .execute(params![
        row.finding_id,
        row.dedupe_key,
        row.rule_id,
        row.rule_version,
        row.severity.as_str(),
        row.title,
        row.user_key,
        row.user_id,
        row.username,
        row.user_kind,
        opt_ms(row.bucket_start),
        ms(row.first_seen),
        ms(row.last_seen),
        int(row.count),
        row.expected,
        row.observed,
        row.evidence_json,
        row.attack.join(","),
        row.suppressed_by,
        finding.status.as_str(),
        hold.map(|h| &h.by),
        finding.first_run,
        finding.last_run,
        finding.new_in_run,
        row.family.map(Family::as_str),
        row.correlation.case_id,
        row.correlation.case_subject,
        row.correlation.raised_from.map(Severity::as_str),
        row.correlation.raised_because,
        row.correlation.gathered_by,
        hold.map(|h| ms(h.at)),
        hold.map(|h| h.severity.as_str()),
        hold.map(|h| int(h.count)),
        hold.and_then(|h| opt_ms(h.until)),
        reopened.map(|r| &r.because),
        reopened.map(|r| r.after_run),
    ])?;
    if from == Some(finding.status) {
        return Ok(());
    }
    let change = Change {
        finding_id: &row.finding_id,
        run_id: Some(now.run_id),
        at: now.at,
        from,
        to: finding.status,
        who: PROGRAM,
        why,
    };
    record_change(conn, &change)
}
