//! The life of a finding.

use super::*;
use crate::config::Severity;

pub(super) fn row(id: &str, on: u32, count: u64) -> FindingRow {
    FindingRow {
        finding_id: id.to_owned(),
        dedupe_key: format!("dedupe {id}"),
        rule_id: "integration-ui-login".to_owned(),
        rule_version: 1,
        severity: Severity::High,
        title: "UI login of an integration user".to_owned(),
        user_key: Some("005000000000001AAA".to_owned()),
        user_id: Some("005000000000001AAA".to_owned()),
        username: Some("erp@example.com".to_owned()),
        user_kind: Some("integration".to_owned()),
        bucket_start: Some(at(on, 0)),
        first_seen: at(on, 8),
        last_seen: at(on, 9),
        count,
        expected: "API only".to_owned(),
        observed: "a browser".to_owned(),
        evidence_json: r#"{"ip":"192.0.2.1"}"#.to_owned(),
        attack: vec!["T1078.004".to_owned()],
        suppressed_by: None,
        family: None,
        correlation: Default::default(),
    }
}

/// Findings that make nothing of one another.
pub(super) fn alone(findings: &[Finding]) -> Vec<Placed> {
    let place = |finding: &Finding| Placed {
        severity: finding.row.own_severity(),
        correlation: Correlation::default(),
    };
    findings.iter().map(place).collect()
}

pub(super) fn window(from: u32, to: u32) -> EvaluatedWindow {
    EvaluatedWindow {
        rule_id: "integration-ui-login".to_owned(),
        from: at(from, 0),
        to: at(to, 0),
    }
}

pub(super) struct Nights {
    pub lake: Lake,
    pub night: u32,
    _dir: tempfile::TempDir,
}

impl Nights {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open_writer(dir.path()).unwrap();
        Self {
            lake,
            night: 1,
            _dir: dir,
        }
    }

    pub fn night(&mut self, rows: &[FindingRow], windows: &[EvaluatedWindow]) -> FindingChanges {
        self.night += 1;
        let at = at(self.night, 3);
        let ledger = self.lake.ledger_mut();
        let run = ledger.start_run("run", at).unwrap();
        ledger
            .apply_findings(run, at, rows, windows, &alone, |_| Ok(vec![]))
            .unwrap()
    }

    pub fn status(&self, id: &str) -> Status {
        self.lake.ledger().finding(id).unwrap().status
    }

    pub fn decide(&mut self, id: &str, what: ByHand) {
        let decision = Decision {
            what,
            who: "ann",
            why: "known",
            at: at(self.night, 9),
        };
        let ledger = self.lake.ledger_mut();
        ledger.decide(&[id.to_owned()], &decision).unwrap();
    }

    pub fn history(&self, id: &str) -> Vec<Status> {
        let events = self.lake.ledger().finding_history(id).unwrap();
        events.into_iter().map(|e| e.to).collect()
    }
}

#[test]
fn a_finding_is_new_then_ongoing_then_resolved_then_new_again() {
    let mut nights = Nights::new();
    let rows = [row("a1", 1, 3)];
    assert_eq!(nights.night(&rows, &[window(1, 2)]).new, rows);
    assert_eq!(nights.status("a1"), Status::New);
    let second = nights.night(&rows, &[window(1, 2)]);
    assert_eq!(
        (
            second.unchanged.len(),
            second.new.len(),
            second.updated.len()
        ),
        (1, 0, 0)
    );
    assert_eq!(nights.status("a1"), Status::Ongoing);
    assert_eq!(nights.night(&[], &[window(1, 2)]).resolved, rows);
    assert_eq!(nights.status("a1"), Status::Resolved);
    assert_eq!(
        nights.night(&[], &[window(1, 2)]),
        FindingChanges::default()
    );
    assert_eq!(nights.night(&rows, &[window(1, 2)]).new, rows);
    let expected = [Status::New, Status::Ongoing, Status::Resolved, Status::New];
    assert_eq!(nights.history("a1"), expected);
}

#[test]
fn only_what_was_evaluated_resolves() {
    let mut nights = Nights::new();
    let mut other_rule = row("b2", 1, 1);
    other_rule.rule_id = "internal-user-login".to_owned();
    nights.night(
        &[row("a1", 1, 1), row("a2", 2, 1), other_rule],
        &[window(1, 3)],
    );
    let changes = nights.night(&[], &[window(2, 3)]);
    assert_eq!(changes.resolved[0].finding_id, "a2");
    assert_eq!(
        (nights.status("a1"), nights.status("b2")),
        (Status::Ongoing, Status::Ongoing)
    );
}

#[test]
fn a_standing_condition_resolves_only_when_looked_at_beyond_its_last_sight() {
    let mut nights = Nights::new();
    let standing = FindingRow {
        bucket_start: None,
        ..row("s1", 10, 1)
    };
    nights.night(&[standing], &[window(10, 11)]);
    assert!(nights.night(&[], &[window(3, 4)]).resolved.is_empty());
    assert_eq!(nights.night(&[], &[window(11, 12)]).resolved.len(), 1);
}

#[test]
fn a_known_finding_is_merged_and_told_as_updated_only_if_it_changed() {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 3)], &[window(1, 2)]);
    let mut wider = row("a1", 1, 5);
    wider.first_seen = at(1, 7);
    wider.severity = Severity::Low;
    let changes = nights.night(&[wider], &[window(1, 2)]);
    let merged = &changes.updated[0];
    assert_eq!((merged.count, merged.severity), (5, Severity::High));
    assert_eq!((merged.first_seen, merged.last_seen), (at(1, 7), at(1, 9)));
    let narrower = row("a1", 1, 2);
    assert_eq!(nights.night(&[narrower], &[]).unchanged[0].count, 5);
    let mut newer_rule = row("a1", 1, 2);
    newer_rule.rule_version = 2;
    assert_eq!(nights.night(&[newer_rule], &[]).unchanged.len(), 1);
}

#[test]
fn suppressed_and_acknowledged_findings_are_quiet() {
    let mut nights = Nights::new();
    let suppressed = FindingRow {
        suppressed_by: Some("planned".to_owned()),
        ..row("a1", 1, 1)
    };
    let changes = nights.night(&[suppressed.clone(), row("a2", 1, 1)], &[window(1, 2)]);
    assert_eq!((changes.new.len(), changes.quiet.len()), (1, 1));
    assert_eq!(nights.status("a1"), Status::Suppressed);
    nights.decide("a2", ByHand::Acknowledge);
    let changes = nights.night(&[suppressed, row("a2", 1, 1)], &[window(1, 2)]);
    assert_eq!((changes.unchanged.len(), changes.new.len()), (2, 0));
    assert_eq!(nights.status("a2"), Status::Acknowledged);
    let history = nights.lake.ledger().finding_history("a2").unwrap();
    assert_eq!(
        (history[1].who.as_str(), history[1].why.as_str()),
        ("ann", "known")
    );
    let changes = nights.night(&[row("a1", 1, 1), row("a2", 1, 1)], &[window(1, 2)]);
    assert_eq!(changes.new[0].finding_id, "a1", "its suppression has ended");
}

#[test]
fn mails_are_written_with_the_findings_or_not_at_all() {
    let mut nights = Nights::new();
    let ledger = nights.lake.ledger_mut();
    let run = ledger.start_run("run", at(2, 0)).unwrap();
    let rows = [row("a1", 1, 1)];
    let failed = ledger.apply_findings(run, at(2, 0), &rows, &[], &alone, |_| {
        Err("no template".into())
    });
    assert!(matches!(failed, Err(LakeError::Mail { .. })));
    assert!(
        ledger
            .findings(&FindingFilter::default())
            .unwrap()
            .is_empty()
    );
    let told = ledger.apply_findings(run, at(2, 0), &rows, &[], &alone, |changes| {
        Ok(vec![OutboxMail {
            audience: "default".to_owned(),
            message_id: "<1@example.com>".to_owned(),
            recipients: vec!["soc@example.com".to_owned()],
            subject: format!("{} new", changes.new.len()),
            body: vec![],
            reference: None,
        }])
    });
    assert_eq!(told.unwrap().new.len(), 1);
    assert_eq!(ledger.outbox_pending().unwrap()[0].mail.subject, "1 new");
}

#[test]
fn findings_are_listed_by_severity_and_found_by_the_start_of_their_id() {
    let mut nights = Nights::new();
    let critical = FindingRow {
        severity: Severity::Critical,
        ..row("ab12", 1, 1)
    };
    nights.night(&[row("ab34", 2, 1), critical, row("cd56", 3, 1)], &[]);
    let ledger = nights.lake.ledger();
    let ids = |filter: FindingFilter| -> Vec<String> {
        let found = ledger.findings(&filter).unwrap();
        found.into_iter().map(|f| f.row.finding_id).collect()
    };
    assert_eq!(ids(FindingFilter::default()), ["ab12", "cd56", "ab34"]);
    let critical = FindingFilter {
        min_severity: Some(Severity::Critical),
        user: Some("ERP@example.com".to_owned()),
        statuses: vec![Status::New],
        ..FindingFilter::default()
    };
    assert_eq!(ids(critical), ["ab12"]);
    let later = FindingFilter {
        since: Some(at(2, 12)),
        ..FindingFilter::default()
    };
    assert_eq!(ids(later), ["cd56"]);
    assert_eq!(ledger.finding("cd").unwrap().row.finding_id, "cd56");
    assert!(matches!(
        ledger.finding("ab"),
        Err(LakeError::AmbiguousFinding { count: 2, .. })
    ));
    assert!(matches!(
        ledger.finding("%"),
        Err(LakeError::NoFinding { .. })
    ));
}
