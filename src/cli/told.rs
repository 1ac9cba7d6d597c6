//! What earlier mails told, group by group, and what nobody was told yet.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use chrono::{DateTime, NaiveDate, Utc};

use super::gathering::Gathering;
use crate::alert::Mailed;
use crate::config::Severity;
use crate::lake::{
    Finding, FindingChanges, FindingFilter, FindingRow, Lake, LakeError, LedgerTable, RunId, Status,
};

/// Each word on each dedupe key, the latest last.
type Words = BTreeMap<String, Vec<Mailed>>;

/// The state before tonight's changes.
pub struct MailHistory {
    /// By group.
    mailed: BTreeMap<String, Words>,
    open: Vec<FindingRow>,
    nights: BTreeMap<String, BTreeSet<NaiveDate>>,
    gathering: Gathering,
}

impl MailHistory {
    pub fn read(lake: &Lake) -> anyhow::Result<Self> {
        let findings = lake.ledger().findings(&FindingFilter::default())?;
        let mailed = mailed(lake, &reopened(&findings))?;
        let gathering = Gathering::of(findings.iter());
        let mut nights: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
        let mut open = Vec::new();
        for finding in findings {
            let row = finding.row;
            let day = row.bucket_start.unwrap_or(row.first_seen).date_naive();
            nights
                .entry(row.dedupe_key.clone())
                .or_default()
                .insert(day);
            if matches!(finding.status, Status::New | Status::Ongoing) {
                open.push(row);
            }
        }
        Ok(Self {
            mailed,
            open,
            nights,
            gathering,
        })
    }

    /// The same, as if no mail had ever told anything.
    pub fn forget_mails(&mut self) {
        self.mailed.clear();
    }

    /// Findings that were open before tonight.
    pub fn open(&self) -> &[FindingRow] {
        &self.open
    }

    /// What is gathered after tonight's changes.
    pub fn gathering(&self, changes: &FindingChanges) -> Gathering {
        self.gathering.after(changes)
    }

    /// What one group was told.
    pub fn of(&self, audience: &str) -> Told<'_> {
        Told {
            words: self.mailed.get(audience),
            history: self,
        }
    }
}

/// What one group was told.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    words: Option<&'a Words>,
    history: &'a MailHistory,
}

impl Told<'_> {
    /// Whether any mail told of a dedupe key.
    pub fn knows(&self, key: &str) -> bool {
        self.words.is_some_and(|words| words.contains_key(key))
    }

    /// Whether no mail has told of an open finding, or not that it is so grave: found or raised
    /// by `detect`, below a threshold that has changed since, or in a mail that was refused.
    pub fn is_untold(&self, row: &FindingRow) -> bool {
        self.gravest(row).is_none_or(|told| row.severity > told)
    }

    /// The gravest that mails called a finding: those after its first event, which may have told
    /// of it; none of these, then any of its key.
    fn gravest(&self, row: &FindingRow) -> Option<Severity> {
        let words = self.words?.get(&row.dedupe_key)?;
        let since = words.iter().filter(|word| word.at >= row.first_seen);
        let gravest = since.map(|word| word.severity).max();
        gravest.or_else(|| words.iter().map(|word| word.severity).max())
    }

    /// The last word on a dedupe key, with the nights on which it was found, tonight included.
    /// None where tonight opens again what a person had closed.
    pub fn mailed(&self, key: &str, changes: &FindingChanges) -> Option<Mailed> {
        if changes.reopens(key) {
            return None;
        }
        let last = self.words?.get(key)?.last()?;
        let mut nights = self.history.nights.get(key).cloned().unwrap_or_default();
        let tonight = changes
            .new
            .iter()
            .chain(&changes.updated)
            .filter(|r| r.dedupe_key == key);
        nights.extend(tonight.map(|r| r.bucket_start.unwrap_or(r.first_seen).date_naive()));
        let nights = u32::try_from(nights.len()).unwrap_or(u32::MAX);
        Some(Mailed { nights, ..*last })
    }
}

/// The last run, of each dedupe key that is open again after a person had closed it, whose mails
/// told of the time before.
fn reopened(findings: &[Finding]) -> BTreeMap<&str, RunId> {
    let mut reopened: BTreeMap<&str, RunId> = BTreeMap::new();
    for finding in findings {
        if let Some(again) = &finding.reopened {
            let after = reopened.entry(&finding.row.dedupe_key).or_default();
            *after = again.after_run.max(*after);
        }
    }
    reopened
}

/// Reads the references of the outbox. A mail that every recipient refused told nobody anything;
/// words up to the run of `reopened` are of another time.
fn mailed(
    lake: &Lake,
    reopened: &BTreeMap<&str, RunId>,
) -> Result<BTreeMap<String, Words>, LakeError> {
    let alerts = lake.ledger().snapshot(LedgerTable::Alerts)?;
    let mut mailed: BTreeMap<String, Words> = BTreeMap::new();
    let column = |name: &str| alerts.column_by_name(name);
    let (
        Some(runs),
        Some(created),
        Some(references),
        Some(audiences),
        Some(states),
        Some(responses),
    ) = (
        column("run_id"),
        column("created_at"),
        column("reference"),
        column("audience"),
        column("state"),
        column("response"),
    )
    else {
        return Ok(mailed);
    };
    let runs = runs.as_primitive::<Int64Type>();
    let created = created.as_primitive::<TimestampMillisecondType>();
    let (references, audiences) = (references.as_string_view(), audiences.as_string_view());
    let states = states.as_string_view();
    for row in (0..alerts.num_rows()).filter(|row| references.is_valid(*row)) {
        let reached_nobody = states.value(row) == "failed" && responses.is_null(row);
        let at = DateTime::<Utc>::from_timestamp_millis(created.value(row));
        let (Some(at), false) = (at, reached_nobody) else {
            continue;
        };
        let words = mailed.entry(audiences.value(row).to_owned()).or_default();
        for line in references.value(row).split(", ") {
            if let Some((key, severity, count)) = told(line)
                && reopened
                    .get(key)
                    .is_none_or(|after| runs.value(row) > *after)
            {
                words.entry(key.to_owned()).or_default().push(Mailed {
                    at,
                    severity,
                    count,
                    nights: 1,
                });
            }
        }
    }
    Ok(mailed)
}

/// One piece of a reference, as the outbox entry of a digest writes it.
fn told(line: &str) -> Option<(&str, Severity, u64)> {
    let mut words = line.split(' ');
    let (key, severity, count) = (words.next()?, words.next()?, words.next()?);
    Some((key, Severity::from_word(severity)?, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mail_told_is_read_back() {
        assert_eq!(told("ab12 high 7"), Some(("ab12", Severity::High, 7)));
        assert_eq!(told("a digest's run"), None);
        assert_eq!(told(""), None);
    }
}
