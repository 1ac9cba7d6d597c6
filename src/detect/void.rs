//! Suppressions that do not hold: what an operator accepted of an account's design is no longer
//! acceptable while somebody misuses the account.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::runner::{DetectReport, STAGING};
use super::subject::names_of;
use crate::config::{Family, Severity};
use crate::lake::{EvaluatedWindow, Finding, FindingRow, Status};

/// Evidence column that says why a suppression does not hold.
const COLUMN: &str = "suppression_void";

/// Takes the suppression off each finding of family `identity` whose user has an open,
/// unsuppressed finding of family `misuse` or `attack`, in this run or in the ledger. The finding
/// says so in its evidence.
pub fn void_suppressions(report: &mut DetectReport, in_ledger: &[Finding]) {
    let open = incidents(report, in_ledger);
    let mut voided = BTreeSet::new();
    for finding in &mut report.findings {
        let Some(label) = finding.suppressed_by.as_ref().filter(|l| *l != STAGING) else {
            continue;
        };
        if finding.family != Some(Family::Identity) {
            continue;
        }
        let names = names_of(finding);
        let Some(why) = names.iter().find_map(|name| open.get(name)) else {
            continue;
        };
        let why = format!("{label} does not hold while {why} of the same user is open");
        finding.evidence_json = with_reason(&finding.evidence_json, why);
        finding.suppressed_by = None;
        voided.insert(finding.finding_id.clone());
        let outcome = report.rules.iter_mut();
        for outcome in outcome.filter(|rule| rule.rule_id == finding.rule_id) {
            outcome.suppressed = outcome.suppressed.saturating_sub(1);
        }
    }
    report.matches.retain(|(id, _)| !voided.contains(id));
}

/// Names of users with open incidents, each with the gravest of them in words.
fn incidents(report: &DetectReport, in_ledger: &[Finding]) -> BTreeMap<String, String> {
    let produced: BTreeSet<&str> = report
        .findings
        .iter()
        .map(|f| f.finding_id.as_str())
        .collect();
    let earlier = in_ledger
        .iter()
        .filter(|f| matches!(f.status, Status::New | Status::Ongoing))
        .map(|f| &f.row)
        .filter(|row| !produced.contains(row.finding_id.as_str()))
        .filter(|row| !report.evaluated.iter().any(|window| is_over(row, window)));
    let tonight = report.findings.iter().filter(|f| f.suppressed_by.is_none());
    let mut gravest: BTreeMap<String, (Severity, &str, &FindingRow)> = BTreeMap::new();
    for row in earlier.chain(tonight) {
        if !matches!(row.family, Some(Family::Misuse | Family::Attack)) {
            continue;
        }
        for name in names_of(row) {
            let rank = (row.severity, row.finding_id.as_str(), row);
            let known = gravest.entry(name).or_insert(rank);
            if (known.0, known.1) < (rank.0, rank.1) {
                *known = rank;
            }
        }
    }
    let in_words = |row: &FindingRow| {
        let id: String = row.finding_id.chars().take(12).collect();
        format!("{} (finding {id})", row.rule_id)
    };
    gravest
        .into_iter()
        .map(|(name, (.., row))| (name, in_words(row)))
        .collect()
}

/// Whether an evaluation that did not produce the finding again ends it.
fn is_over(row: &FindingRow, window: &EvaluatedWindow) -> bool {
    row.rule_id == window.rule_id
        && match row.bucket_start {
            Some(start) => window.from <= start && start < window.to,
            None => row.last_seen < window.to,
        }
}

fn with_reason(evidence_json: &str, why: String) -> String {
    let mut evidence: Map<String, Value> = serde_json::from_str(evidence_json).unwrap_or_default();
    evidence.insert(COLUMN.to_owned(), Value::String(why));
    Value::Object(evidence).to_string()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn finding(id: &str, family: Family, user: &str, suppressed_by: Option<&str>) -> FindingRow {
        FindingRow {
            finding_id: id.into(),
            dedupe_key: id.into(),
            rule_id: format!("rule-{id}"),
            rule_version: 1,
            severity: Severity::High,
            title: "t".into(),
            user_key: Some(user.into()),
            user_id: None,
            username: None,
            user_kind: None,
            bucket_start: Some(at("2026-01-15T00:00:00Z")),
            first_seen: at("2026-01-15T10:00:00Z"),
            last_seen: at("2026-01-15T10:00:00Z"),
            count: 1,
            expected: String::new(),
            observed: String::new(),
            evidence_json: r#"{"ip":"192.0.2.1"}"#.into(),
            attack: vec![],
            suppressed_by: suppressed_by.map(str::to_owned),
            family: Some(family),
            correlation: Default::default(),
        }
    }

    fn stored(row: FindingRow, status: Status) -> Finding {
        Finding {
            row,
            status,
            hold: None,
            reopened: None,
            first_run: 1,
            last_run: 1,
            new_in_run: 1,
        }
    }

    /// Whether the suppression of an identity finding of user U holds.
    fn holds(tonight: Vec<FindingRow>, in_ledger: &[Finding], evaluated: &[&str]) -> bool {
        let mut report = DetectReport {
            findings: tonight,
            matches: vec![("accepted".into(), 0)],
            ..DetectReport::default()
        };
        report.evaluated = evaluated
            .iter()
            .map(|rule| EvaluatedWindow {
                rule_id: (*rule).to_owned(),
                from: at("2026-01-15T00:00:00Z"),
                to: at("2026-01-16T00:00:00Z"),
            })
            .collect();
        let accepted = finding("accepted", Family::Identity, "U", Some("suppress-1"));
        report.findings.push(accepted);
        void_suppressions(&mut report, in_ledger);
        let accepted = report.findings.pop().unwrap();
        let holds = accepted.suppressed_by.is_some();
        assert_eq!(holds, !accepted.evidence_json.contains("does not hold"));
        assert_eq!(holds, !report.matches.is_empty());
        holds
    }

    #[test]
    fn an_open_incident_of_the_same_user_voids_what_was_accepted_of_its_design() {
        for family in [Family::Misuse, Family::Attack] {
            assert!(!holds(vec![finding("x", family, "u", None)], &[], &[]));
            let old = stored(finding("x", family, "U", None), Status::Ongoing);
            assert!(!holds(vec![], &[old], &[]));
        }
        assert!(holds(vec![], &[], &[]));
    }

    #[test]
    fn what_is_no_open_incident_of_that_user_voids_nothing() {
        let misuse = |user: &str, by| finding("x", Family::Misuse, user, by);
        assert!(holds(vec![misuse("v", None)], &[], &[]));
        assert!(holds(vec![misuse("u", Some("suppress-2"))], &[], &[]));
        let other = finding("x", Family::Credential, "u", None);
        assert!(holds(vec![other], &[], &[]));
        for status in [Status::Resolved, Status::Suppressed, Status::Acknowledged] {
            assert!(holds(vec![], &[stored(misuse("u", None), status)], &[]));
        }
        // Judged again tonight and not found again: it is over.
        let old = [stored(misuse("u", None), Status::Ongoing)];
        assert!(holds(vec![], &old, &["rule-x"]));
        assert!(!holds(vec![], &old, &["rule-y"]));
    }

    #[test]
    fn findings_of_other_families_and_of_staged_rules_stay_hidden() {
        let misuse = || finding("x", Family::Misuse, "u", None);
        let kept = |row: FindingRow| {
            let mut report = DetectReport {
                findings: vec![misuse(), row],
                ..DetectReport::default()
            };
            void_suppressions(&mut report, &[]);
            report.findings[1].suppressed_by.is_some()
        };
        assert!(kept(finding("y", Family::Misuse, "u", Some("suppress-1"))));
        assert!(kept(finding("y", Family::Identity, "u", Some(STAGING))));
        assert!(!kept(finding(
            "y",
            Family::Identity,
            "u",
            Some("suppress-1")
        )));
    }
}
