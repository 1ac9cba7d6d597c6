//! A finding: the verdict of one rule on one subject in one bucket of time. Its ids depend on
//! nothing but that, so a night judged again updates it and never repeats it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveTime, Timelike, Utc};
use serde_json::{Map, Value, json};

use super::evidence::rfc3339;
use super::front_matter::Bucket;
use super::ids::{dedupe_key, finding_id};
use super::rows::ResultRow;
use super::rule::Rule;
use super::suppress::Mark;
use crate::config::{Family, Severity};
use crate::lake::{Correlation, FindingRow};

/// Start of the bucket that holds a time, in UTC.
pub fn bucket_start(bucket: Bucket, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let day = at.date_naive();
    match bucket {
        Bucket::None => None,
        Bucket::Day => Some(day.and_time(NaiveTime::MIN).and_utc()),
        Bucket::Hour => day.and_hms_opt(at.hour(), 0, 0).map(|hour| hour.and_utc()),
    }
}

/// Merges rows to findings; the result does not depend on the order of the rows.
pub struct Merger<'a> {
    rule: &'a Rule,
    org_id: &'a str,
    groups: BTreeMap<String, Group>,
}

struct Group {
    dedupe_key: String,
    bucket_start: Option<DateTime<Utc>>,
    open: Option<Merged>,
    suppressed: Option<(Merged, String)>,
    /// Suppressions that hide one of its rows.
    hidden_by: BTreeSet<usize>,
    /// Expired ones that match every row that nothing hides.
    would_hide: Option<BTreeSet<usize>>,
}

/// A finding, and the suppressions (by position) that have to do with it.
pub struct Judged {
    pub finding: FindingRow,
    /// Those that hide it, or that have expired and would.
    pub suppressions: BTreeSet<usize>,
}

struct Merged {
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    count: u64,
    /// The row that speaks for all: the most severe, then the earliest.
    speaker: ResultRow,
    speaker_json: String,
}

impl<'a> Merger<'a> {
    pub fn new(rule: &'a Rule, org_id: &'a str) -> Self {
        Self {
            rule,
            org_id,
            groups: BTreeMap::new(),
        }
    }

    /// Adds a row; `mark` says what hides it. A finding counts as suppressed only where every row
    /// of it is: one accepted address hides no other.
    pub fn add(&mut self, row: ResultRow, mark: Mark) {
        let dedupe_key = dedupe_key(&self.rule.id, self.org_id, &row.dedupe);
        let bucket_start = bucket_start(self.rule.bucket, row.occurred_at);
        let group = self
            .groups
            .entry(finding_id(&dedupe_key, bucket_start))
            .or_insert_with(|| Group {
                dedupe_key,
                bucket_start,
                open: None,
                suppressed: None,
                hidden_by: BTreeSet::new(),
                would_hide: None,
            });
        group.hidden_by.extend(mark.hidden_by);
        match mark.label {
            None => {
                let would_hide: BTreeSet<usize> = mark.would_hide.into_iter().collect();
                match &mut group.would_hide {
                    Some(known) => known.retain(|position| would_hide.contains(position)),
                    none => *none = Some(would_hide),
                }
                match &mut group.open {
                    Some(merged) => merged.absorb(row),
                    none => *none = Some(Merged::of(row)),
                }
            }
            Some(label) => match &mut group.suppressed {
                Some((merged, known)) => {
                    merged.absorb(row);
                    if label < *known {
                        *known = label;
                    }
                }
                none => *none = Some((Merged::of(row), label)),
            },
        }
    }

    /// The findings, by bucket and id.
    pub fn finish(self) -> Vec<Judged> {
        let mut findings = vec![];
        for (id, group) in self.groups {
            let (merged, suppressed_by, suppressions) = match (group.open, group.suppressed) {
                (Some(merged), _) => (merged, None, group.would_hide.unwrap_or_default()),
                (None, Some((merged, label))) => (merged, Some(label), group.hidden_by),
                (None, None) => continue,
            };
            let row = merged.speaker;
            let finding = FindingRow {
                finding_id: id,
                dedupe_key: group.dedupe_key,
                rule_id: self.rule.id.clone(),
                rule_version: self.rule.version,
                severity: row.severity,
                title: self.rule.title.clone(),
                user_key: row.user_key,
                user_id: row.user_id,
                username: row.username,
                user_kind: row.user_kind,
                bucket_start: group.bucket_start,
                first_seen: merged.first_seen,
                last_seen: merged.last_seen,
                count: merged.count,
                expected: row.expected,
                observed: row.observed,
                evidence_json: merged.speaker_json,
                attack: self.rule.attack.clone(),
                suppressed_by,
                family: Some(self.rule.family),
                correlation: Correlation::default(),
            };
            findings.push(Judged {
                finding,
                suppressions,
            });
        }
        findings.sort_by(|Judged { finding: a, .. }, Judged { finding: b, .. }| {
            (a.bucket_start, &a.finding_id).cmp(&(b.bucket_start, &b.finding_id))
        });
        findings
    }
}

impl Merged {
    fn of(row: ResultRow) -> Self {
        Self {
            first_seen: row.occurred_at,
            last_seen: row.last_at,
            count: row.count,
            speaker_json: Value::Object(row.evidence.clone()).to_string(),
            speaker: row,
        }
    }

    fn absorb(&mut self, row: ResultRow) {
        let mut other = Self::of(row);
        if other.rank() < self.rank() {
            std::mem::swap(self, &mut other);
        }
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.count = self.count.saturating_add(other.count);
    }

    /// Smallest speaks. Every field that a finding shows takes part, so that a tie is between
    /// rows that say the same.
    #[allow(clippy::type_complexity)]
    fn rank(
        &self,
    ) -> (
        std::cmp::Reverse<Severity>,
        DateTime<Utc>,
        &str,
        (&str, &str),
        (&Option<String>, &Option<String>, &Option<String>),
    ) {
        let row = &self.speaker;
        (
            std::cmp::Reverse(row.severity),
            row.occurred_at,
            &self.speaker_json,
            (&row.expected, &row.observed),
            (&row.user_key, &row.user_id, &row.username),
        )
    }
}

/// A finding as one JSON object, its fields in a fixed order; `status` is its place in life
/// (new, ongoing, resolved, acknowledged, suppressed). Times are RFC 3339 in UTC.
pub fn to_json(finding: &FindingRow, status: &str) -> Value {
    // Evidence was written by us; a damaged ledger must still be listed.
    let evidence: Value =
        serde_json::from_str(&finding.evidence_json).unwrap_or_else(|_| Value::Object(Map::new()));
    let place = &finding.correlation;
    json!({
        "finding_id": finding.finding_id,
        "dedupe_key": finding.dedupe_key,
        "rule_id": finding.rule_id,
        "rule_version": finding.rule_version,
        "severity": finding.severity.as_str(),
        "title": finding.title,
        "user_id": finding.user_id,
        "username": finding.username,
        "user_kind": finding.user_kind,
        "bucket_start": finding.bucket_start.map(rfc3339),
        "first_seen": rfc3339(finding.first_seen),
        "last_seen": rfc3339(finding.last_seen),
        "count": finding.count,
        "status": status,
        "suppressed_by": finding.suppressed_by,
        "evidence": evidence,
        "expected": finding.expected,
        "observed": finding.observed,
        "attack": finding.attack,
        "family": finding.family.map(Family::as_str),
        "case_id": place.case_id,
        "case_subject": place.case_subject,
        "raised_from": place.raised_from.map(Severity::as_str),
        "raised_because": place.raised_because,
        "gathered_by": place.gathered_by,
    })
}

/// [`to_json`] on one line, without the line's end.
pub fn to_jsonl(finding: &FindingRow, status: &str) -> String {
    to_json(finding, status).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Origin, test_rule};

    fn rule() -> Rule {
        let file = "r.sql".to_owned();
        Rule::read(&test_rule("r", ""), Origin::Embedded { file }).unwrap()
    }

    fn row(user: &str, at: &str, severity: Severity, app: &str) -> ResultRow {
        let at: DateTime<Utc> = at.parse().unwrap();
        let mut evidence = Map::new();
        evidence.insert("zeta".into(), json!(app));
        evidence.insert("alpha".into(), json!(1));
        ResultRow {
            occurred_at: at,
            last_at: at,
            user_key: Some(user.into()),
            user_id: None,
            username: Some(user.into()),
            user_kind: Some("integration".into()),
            severity,
            count: 2,
            expected: "e".into(),
            observed: "o".into(),
            dedupe: vec![Some(user.into())],
            evidence,
        }
    }

    fn merged(rows: Vec<ResultRow>) -> Vec<FindingRow> {
        let rule = rule();
        let mut merger = Merger::new(&rule, "00D1");
        for row in rows {
            merger.add(row, Mark::default());
        }
        rows_of(merger)
    }

    fn rows_of(merger: Merger) -> Vec<FindingRow> {
        merger.finish().into_iter().map(|j| j.finding).collect()
    }

    #[test]
    fn rows_of_one_subject_and_day_are_one_finding() {
        let found = merged(vec![
            row("u", "2026-01-15T12:00:00Z", Severity::Medium, "late"),
            row("u", "2026-01-15T09:00:00Z", Severity::Medium, "early"),
            row("u", "2026-01-15T23:59:59.999Z", Severity::High, "worst"),
            row("u", "2026-01-16T00:00:00Z", Severity::Low, "next day"),
            row("v", "2026-01-15T09:00:00Z", Severity::Low, "other"),
        ]);
        assert_eq!(found.len(), 3);
        let worst = found.iter().find(|f| f.count == 6).unwrap();
        assert_eq!(worst.severity, Severity::High);
        assert_eq!(rfc3339(worst.first_seen), "2026-01-15T09:00:00.000Z");
        assert_eq!(rfc3339(worst.last_seen), "2026-01-15T23:59:59.999Z");
        assert_eq!(worst.evidence_json, r#"{"zeta":"worst","alpha":1}"#);
    }

    #[test]
    fn the_order_of_rows_does_not_matter() {
        let rows = vec![
            row("u", "2026-01-15T09:00:00Z", Severity::High, "b"),
            row("u", "2026-01-15T09:00:00Z", Severity::High, "a"),
            row("u", "2026-01-15T10:00:00Z", Severity::High, "0"),
        ];
        let mut reversed = rows.clone();
        reversed.reverse();
        let shown = |rows| {
            let lines: Vec<_> = merged(rows).iter().map(|f| to_jsonl(f, "new")).collect();
            lines
        };
        assert_eq!(shown(rows), shown(reversed));
    }

    #[test]
    fn a_finding_is_suppressed_only_where_every_row_of_it_is() {
        let rule = rule();
        let first = row("u", "2026-01-15T09:00:00Z", Severity::High, "accepted");
        let second = row("u", "2026-01-15T10:00:00Z", Severity::Low, "not accepted");
        let mut merger = Merger::new(&rule, "o");
        merger.add(first.clone(), Mark::labelled("s"));
        let all = rows_of(merger);
        assert_eq!(all[0].suppressed_by.as_deref(), Some("s"));

        let mut merger = Merger::new(&rule, "o");
        merger.add(first, Mark::labelled("s"));
        merger.add(second, Mark::default());
        let some = rows_of(merger);
        assert_eq!(some[0].suppressed_by, None);
        assert_eq!((some[0].count, some[0].severity), (2, Severity::Low));
    }

    #[test]
    fn an_expired_suppression_counts_where_it_would_hide_the_whole_finding() {
        let rule = rule();
        let rows = [
            row("u", "2026-01-15T09:00:00Z", Severity::High, "a"),
            row("u", "2026-01-15T10:00:00Z", Severity::High, "b"),
        ];
        let judged = |marks: [Mark; 2]| {
            let mut merger = Merger::new(&rule, "o");
            for (row, mark) in rows.clone().into_iter().zip(marks) {
                merger.add(row, mark);
            }
            let judged = merger.finish().remove(0);
            let suppressions: Vec<_> = judged.suppressions.into_iter().collect();
            (judged.finding.suppressed_by.is_some(), suppressions)
        };
        let expired = |positions: &[usize]| Mark {
            would_hide: positions.to_vec(),
            ..Mark::default()
        };
        let active = |position| Mark {
            label: Some("s".into()),
            hidden_by: Some(position),
            would_hide: vec![7],
        };
        assert_eq!(judged([expired(&[1, 2]), expired(&[2])]), (false, vec![2]));
        assert_eq!(judged([expired(&[1]), expired(&[])]), (false, vec![]));
        // What an active one hides needs no other; both together would hide all.
        assert_eq!(judged([active(0), active(3)]), (true, vec![0, 3]));
        assert_eq!(judged([active(0), expired(&[1])]), (false, vec![1]));
    }

    #[test]
    fn a_finding_is_one_line_of_json_with_its_fields_in_order() {
        let found = merged(vec![row(
            "u\n",
            "2026-01-15T09:00:00Z",
            Severity::High,
            "a",
        )]);
        let line = to_jsonl(&found[0], "new");
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        let promised = [
            "finding_id",
            "dedupe_key",
            "rule_id",
            "rule_version",
            "severity",
            "title",
            "user_id",
            "username",
            "user_kind",
            "first_seen",
            "last_seen",
            "count",
            "status",
            "evidence",
            "expected",
            "observed",
            "attack",
        ];
        let kept: Vec<_> = keys
            .iter()
            .filter(|k| promised.contains(&k.as_str()))
            .collect();
        assert_eq!(kept, promised.iter().collect::<Vec<_>>());
        assert_eq!(value["first_seen"], json!("2026-01-15T09:00:00.000Z"));
    }

    #[test]
    fn buckets_are_days_hours_or_none() {
        let at: DateTime<Utc> = "2026-01-15T09:59:59.999Z".parse().unwrap();
        let shown = |bucket| bucket_start(bucket, at).map(rfc3339);
        assert_eq!(shown(Bucket::Day).unwrap(), "2026-01-15T00:00:00.000Z");
        assert_eq!(shown(Bucket::Hour).unwrap(), "2026-01-15T09:00:00.000Z");
        assert_eq!(shown(Bucket::None), None);
    }
}
