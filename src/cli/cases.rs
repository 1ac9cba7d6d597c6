//! Findings by their cases: a line for each case, and what else belongs to the case of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use super::output::Rows;
use super::telling::{instant, short};
use crate::alert::wrap;
use crate::detect::{day_of, rfc3339};
use crate::lake::{Finding, FindingFilter, FindingRow, Lake, LakeError, Status};
use crate::privacy::printable;
use crate::words::counted;

/// Findings of a case that are listed beside one of them.
const MAX_RELATED: usize = 10;

/// Findings that share a case, the gravest first.
pub struct CaseOf<'a> {
    findings: Vec<&'a Finding>,
}

/// The cases of findings that are listed, in the order of their gravest. A finding that an older
/// release wrote is by itself.
pub fn by_case(listed: &[Finding]) -> Vec<CaseOf<'_>> {
    let mut cases: Vec<CaseOf<'_>> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for item in listed {
        let id = item.row.correlation.case_id.as_deref();
        let place = *places
            .entry(id.unwrap_or(&item.row.finding_id))
            .or_insert(cases.len());
        match cases.get_mut(place) {
            Some(case) => case.findings.push(item),
            None => cases.push(CaseOf {
                findings: vec![item],
            }),
        }
    }
    cases
}

impl CaseOf<'_> {
    /// The gravest of them.
    fn row(&self) -> &FindingRow {
        &self.findings[0].row
    }

    /// One that is of the case's own subject: what is gathered came from elsewhere.
    fn own(&self) -> &FindingRow {
        let rows = self.findings.iter().map(|item| &item.row);
        let mut own = rows.filter(|row| row.correlation.gathered_by.is_none());
        own.next().unwrap_or_else(|| self.row())
    }

    fn id(&self) -> Option<&str> {
        self.row().correlation.case_id.as_deref()
    }

    fn subject(&self) -> Option<String> {
        self.row().correlation.case_subject.clone()
    }

    /// The liveliest of them.
    fn status(&self) -> Status {
        let statuses = self.findings.iter().map(|item| item.status);
        statuses
            .min_by_key(|status| rank(*status))
            .unwrap_or(Status::New)
    }

    fn rules(&self) -> Vec<&str> {
        let rules = self.findings.iter().map(|item| item.row.rule_id.as_str());
        rules.collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn gathered(&self) -> usize {
        let gathered = |item: &&&Finding| item.row.correlation.gathered_by.is_some();
        self.findings.iter().filter(gathered).count()
    }

    fn first_at(&self) -> chrono::DateTime<chrono::Utc> {
        let times = self.findings.iter().map(|item| item.row.first_seen);
        times.min().unwrap_or(self.row().first_seen)
    }

    fn last_at(&self) -> chrono::DateTime<chrono::Utc> {
        let times = self.findings.iter().map(|item| item.row.last_seen);
        times.max().unwrap_or(self.row().last_seen)
    }

    /// As one JSON object, its fields in a fixed order.
    pub fn to_json(&self) -> Value {
        json!({
            "case_id": self.id(),
            "day": day_of(self.own()).to_string(),
            "subject": self.subject(),
            "severity": self.row().severity.as_str(),
            "status": self.status().as_str(),
            "rules": self.rules(),
            "first_at": rfc3339(self.first_at()),
            "last_at": rfc3339(self.last_at()),
            "gathered": self.gathered(),
            "findings": self.findings.iter().map(|item| &item.row.finding_id).collect::<Vec<_>>(),
        })
    }
}

fn rank(status: Status) -> usize {
    match status {
        Status::New => 0,
        Status::Ongoing => 1,
        Status::Acknowledged => 2,
        Status::Resolved => 3,
        Status::Suppressed => 4,
    }
}

fn subject(case: &CaseOf<'_>) -> Option<String> {
    Some(
        case.subject()
            .unwrap_or_else(|| "(the org itself)".to_owned()),
    )
}

/// One row for each case; short ones for people.
pub fn case_rows(cases: &[CaseOf<'_>], for_people: bool) -> Rows {
    let id = |case: &CaseOf<'_>| match for_people {
        true => case.id().map(short),
        false => case.id().map(str::to_owned),
    };
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let rows = Rows::new()
        .text(
            if for_people { "case" } else { "case_id" },
            cases.iter().map(id),
        )
        .text(
            "day",
            cases
                .iter()
                .map(|case| Some(day_of(case.own()).to_string())),
        )
        .text(
            "severity",
            cases.iter().map(|case| Some(case.row().severity.as_str())),
        )
        .text(
            "status",
            cases.iter().map(|case| Some(case.status().as_str())),
        )
        .text(
            "subject",
            cases.iter().map(|case| match for_people {
                true => subject(case),
                false => case.subject(),
            }),
        )
        .number(
            "findings",
            cases.iter().map(|case| number(case.findings.len())),
        )
        .number("gathered", cases.iter().map(|case| number(case.gathered())));
    let rules = rows.text(
        "rules",
        cases.iter().map(|case| Some(case.rules().join(", "))),
    );
    match for_people {
        true => rules.time("last_at", cases.iter().map(|case| Some(case.last_at()))),
        false => rules
            .time("first_at", cases.iter().map(|case| Some(case.first_at())))
            .time("last_at", cases.iter().map(|case| Some(case.last_at()))),
    }
}

/// The other findings of a finding's case, the gravest first.
pub fn related(lake: &Lake, row: &FindingRow) -> Result<Vec<Finding>, LakeError> {
    let Some(case_id) = row.correlation.case_id.clone() else {
        return Ok(Vec::new());
    };
    let filter = FindingFilter {
        case_id: Some(case_id),
        ..FindingFilter::default()
    };
    let mut found = lake.ledger().findings(&filter)?;
    found.retain(|other| other.row.finding_id != row.finding_id);
    Ok(found)
}

/// The case of a finding, who gathers it, and what else belongs to the case.
pub fn write_case(out: &mut String, row: &FindingRow, related: &[Finding]) -> std::fmt::Result {
    let place = &row.correlation;
    if let Some(leader) = &place.gathered_by {
        writeln!(
            out,
            "  gathered  by finding {}: alerts count it there",
            short(leader)
        )?;
    }
    let Some(id) = &place.case_id else {
        return Ok(());
    };
    let subject = place.case_subject.as_deref().unwrap_or("the org itself");
    let line = format!(
        "{} of {} on {}, {}",
        short(id),
        printable(subject, 200),
        case_day(row, related),
        counted(related.len() + 1, "finding")
    );
    writeln!(out, "  case      {}", wrap(&line, 100, 12))?;
    if related.is_empty() {
        return Ok(());
    }
    writeln!(out, "  related")?;
    for other in related.iter().take(MAX_RELATED) {
        let row = &other.row;
        writeln!(
            out,
            "    {}  {} {}, {}, {}",
            short(&row.finding_id),
            row.severity,
            printable(&row.rule_id, 100),
            other.status.as_str(),
            instant(row.first_seen),
        )?;
    }
    match related.len().saturating_sub(MAX_RELATED) {
        0 => Ok(()),
        more => writeln!(
            out,
            "    + {more} more: orgwatch findings list --case {}",
            short(id)
        ),
    }
}

/// The case's day: what is gathered may be of another.
fn case_day(row: &FindingRow, related: &[Finding]) -> chrono::NaiveDate {
    let leader = row.correlation.gathered_by.as_ref().and_then(|leader| {
        let mut rows = related.iter().map(|other| &other.row);
        rows.find(|row| row.finding_id == *leader)
    });
    day_of(leader.unwrap_or(row))
}
