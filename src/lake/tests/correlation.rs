//! What the ledger does with what findings make of one another.

use super::findings::row;
use super::*;
use crate::config::Severity;

/// Each finding is a step graver where a finding of another rule is there.
fn in_company(findings: &[Finding]) -> Vec<Placed> {
    let place = |finding: &Finding| {
        let own = finding.row.own_severity();
        let takes_part = |f: &&Finding| f.status != Status::Suppressed;
        let mut others = findings.iter().filter(takes_part);
        let other = others.find(|f| f.row.rule_id != finding.row.rule_id);
        let raised = other.filter(|_| takes_part(&finding) && own < Severity::Critical);
        Placed {
            severity: raised.map_or(own, |_| own.one_step_up()),
            correlation: Correlation {
                case_id: Some("case".to_owned()),
                case_subject: Some("erp@example.com".to_owned()),
                raised_from: raised.map(|_| own),
                raised_because: raised.map(|other| format!("beside {}", other.row.finding_id)),
                gathered_by: None,
            },
        }
    };
    findings.iter().map(place).collect()
}

fn other_rule(id: &str) -> FindingRow {
    FindingRow {
        rule_id: "session-hijack-suspected".to_owned(),
        ..row(id, 1, 1)
    }
}

fn window(rule_id: &str) -> EvaluatedWindow {
    EvaluatedWindow {
        rule_id: rule_id.to_owned(),
        from: at(1, 0),
        to: at(2, 0),
    }
}

struct Nights {
    lake: Lake,
    night: u32,
    _dir: tempfile::TempDir,
}

impl Nights {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            lake: Lake::open_writer(dir.path()).unwrap(),
            night: 1,
            _dir: dir,
        }
    }

    fn night(&mut self, rows: &[FindingRow], evaluated: &[EvaluatedWindow]) -> FindingChanges {
        self.night += 1;
        let at = at(self.night, 3);
        let ledger = self.lake.ledger_mut();
        let run = ledger.start_run("run", at).unwrap();
        ledger
            .apply_findings(run, at, rows, evaluated, &in_company, |_| Ok(vec![]))
            .unwrap()
    }

    fn severities(&self, id: &str) -> (Severity, Option<Severity>) {
        let row = self.lake.ledger().finding(id).unwrap().row;
        assert_eq!(
            row.correlation.raised_from.is_some(),
            row.correlation.raised_because.is_some()
        );
        (row.severity, row.correlation.raised_from)
    }
}

fn ids(rows: &[FindingRow]) -> Vec<&str> {
    rows.iter().map(|row| row.finding_id.as_str()).collect()
}

use Severity::{Critical, High};

#[test]
fn a_finding_that_was_told_is_news_once_when_a_later_one_raises_it() {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 3)], &[]);
    assert_eq!(nights.severities("a1"), (High, None));

    let changes = nights.night(&[other_rule("b1")], &[]);
    assert_eq!(
        (ids(&changes.new), ids(&changes.updated)),
        (vec!["b1"], vec!["a1"])
    );
    assert_eq!(changes.updated[0].severity, Critical);
    assert_eq!(
        changes.new[0].correlation.raised_because.as_deref(),
        Some("beside a1")
    );
    assert_eq!(nights.severities("a1"), (Critical, Some(High)));
    let history = nights.lake.ledger().finding_history("a1").unwrap();
    let raise = history.last().unwrap();
    assert_eq!(
        (raise.from, raise.to),
        (Some(Status::Ongoing), Status::Ongoing)
    );
    assert_eq!(raise.why, "raised from high to critical");

    // The same findings again, together and one by one: nothing to tell.
    for rows in [
        vec![row("a1", 1, 3), other_rule("b1")],
        vec![row("a1", 1, 3)],
        vec![],
    ] {
        let changes = nights.night(&rows, &[]);
        assert_eq!(changes.unchanged.len(), rows.len());
        assert_eq!(
            FindingChanges {
                unchanged: vec![],
                ..changes
            },
            FindingChanges::default()
        );
    }
    assert_eq!(
        nights.lake.ledger().finding_history("a1").unwrap().len(),
        history.len()
    );
}

#[test]
fn findings_that_come_together_come_raised() {
    let mut nights = Nights::new();
    let changes = nights.night(&[row("a1", 1, 3), other_rule("b1")], &[]);
    let told: Vec<_> = changes.new.iter().map(|row| row.severity).collect();
    assert_eq!(told, [Critical, Critical]);
    assert_eq!(nights.lake.ledger().finding_history("a1").unwrap().len(), 1);
}

#[test]
fn a_run_of_one_rule_lowers_nothing_that_another_raised() {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 3), other_rule("b1")], &[]);
    let changes = nights.night(&[row("a1", 1, 3)], &[window("integration-ui-login")]);
    assert_eq!(ids(&changes.unchanged), ["a1"]);
    assert_eq!(nights.severities("a1"), (Critical, Some(High)));
    assert_eq!(nights.severities("b1"), (Critical, Some(High)));
}

#[test]
fn what_raised_it_is_over_and_it_falls_back_without_a_word() {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 3), other_rule("b1")], &[]);
    let changes = nights.night(&[row("a1", 1, 3)], &[window("session-hijack-suspected")]);
    assert_eq!(
        (ids(&changes.resolved), ids(&changes.unchanged)),
        (vec!["b1"], vec!["a1"])
    );
    assert!(changes.updated.is_empty() && changes.moved.is_empty());
    assert_eq!(nights.severities("a1"), (High, None));
    // What is over keeps what was last said of it.
    assert_eq!(nights.severities("b1"), (Critical, Some(High)));
    let history = nights.lake.ledger().finding_history("a1").unwrap();
    assert_eq!(history.last().unwrap().why, "no longer critical: high");
}

#[test]
fn a_finding_that_nobody_produced_tonight_falls_back_too() {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 3), other_rule("b1")], &[]);
    let changes = nights.night(&[], &[window("session-hijack-suspected")]);
    assert_eq!(
        (ids(&changes.resolved), ids(&changes.moved)),
        (vec!["b1"], vec!["a1"])
    );
    assert_eq!(changes.moved[0].severity, High);
}

#[test]
fn the_rules_own_severity_may_rise_under_a_raise_and_is_news_where_the_sum_grows() {
    let mut nights = Nights::new();
    let low = FindingRow {
        severity: Severity::Low,
        ..row("a1", 1, 3)
    };
    nights.night(&[low, other_rule("b1")], &[]);
    assert_eq!(
        nights.severities("a1"),
        (Severity::Medium, Some(Severity::Low))
    );
    let changes = nights.night(&[row("a1", 1, 3)], &[]);
    assert_eq!(ids(&changes.updated), ["a1"]);
    assert_eq!(nights.severities("a1"), (Critical, Some(High)));
    let now_critical = FindingRow {
        severity: Critical,
        ..row("a1", 1, 3)
    };
    nights.night(&[now_critical], &[]);
    assert_eq!(nights.severities("a1"), (Critical, None));
}

#[test]
fn a_finding_seen_again_after_it_was_over_is_judged_by_its_rule_first() {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 3), other_rule("b1")], &[]);
    nights.night(
        &[],
        &[
            window("integration-ui-login"),
            window("session-hijack-suspected"),
        ],
    );
    assert_eq!(nights.severities("a1"), (Critical, Some(High)));
    let changes = nights.night(&[row("a1", 1, 3)], &[]);
    assert_eq!(changes.new[0].severity, High);
    assert_eq!(nights.severities("a1"), (High, None));
}

#[test]
fn cases_are_a_table_with_one_row_for_each() {
    let mut nights = Nights::new();
    let hidden = FindingRow {
        suppressed_by: Some("planned".to_owned()),
        severity: Critical,
        rule_id: "hidden".to_owned(),
        ..row("c1", 1, 1)
    };
    nights.night(&[row("a1", 2, 3), other_rule("b1"), hidden], &[]);
    nights.night(&[], &[window("session-hijack-suspected")]);
    let cases = nights.lake.ledger().snapshot(LedgerTable::Cases).unwrap();
    let shown = arrow::util::pretty::pretty_format_batches(&[cases])
        .unwrap()
        .to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    let cells: Vec<&str> = lines[3].split('|').map(str::trim).collect();
    assert_eq!(
        cells[1..11],
        [
            "case",
            "2026-01-01",
            "erp@example.com",
            "high",
            "2",
            "integration-ui-login,session-hijack-suspected",
            "2026-01-01T08:00:00Z",
            "2026-01-02T09:00:00Z",
            "ongoing",
            "0",
        ],
        "{shown}"
    );
}
