//! A lake with findings that nobody had to look for: of every status and severity, and with what
//! an attacker would write into a log.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use orgwatch::config::{Family, Severity};
use orgwatch::lake::{
    ByHand, Correlation, Decision, EvaluatedWindow, Finding, FindingRow, Lake, Placed,
};

/// What cells must not do: a formula, line ends, an escape sequence, a table's wall, markup, a
/// link, a placeholder, a reversed direction, quotes.
pub const HOSTILE: &str = "=cmd|'/C calc'!A0\r\n\u{1b}[31m| <b>\"x\"</b> [a](javascript:alert(1)) \
                           {0} `c` \u{202e}\u{0}\\";

pub fn at(day: i64, hour: i64) -> DateTime<Utc> {
    let january: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
    january + TimeDelta::days(day - 1) + TimeDelta::hours(hour)
}

/// Number `n` of January `day`, of a rule that exists.
pub fn row(n: u32, day: i64) -> FindingRow {
    FindingRow {
        finding_id: format!("{:032x}", 0xf000_0000_u32 + n),
        dedupe_key: format!("{:032x}", 0xd000_0000_u32 + n),
        rule_id: "integration-ui-login".to_owned(),
        rule_version: 1,
        severity: Severity::High,
        title: "Integration user logged in through the user interface".to_owned(),
        user_key: Some(format!("00500000000000{n}AAA")),
        user_id: Some(format!("00500000000000{n}AAA")),
        username: Some(format!("user{n}@example.com")),
        user_kind: Some("integration".to_owned()),
        bucket_start: Some(at(day, 0)),
        first_seen: at(day, 8),
        last_seen: at(day, 9),
        count: 4,
        expected: "no login through the user interface".to_owned(),
        observed: "4 logins".to_owned(),
        evidence_json:
            r#"{"ip":"203.0.113.7","app":"ERP Sync","objects":["contact"],"n":1,"none":null}"#
                .to_owned(),
        attack: vec!["T1078.004".to_owned()],
        suppressed_by: None,
        family: Some(Family::Misuse),
        correlation: Correlation::default(),
    }
}

fn alone(findings: &[Finding]) -> Vec<Placed> {
    let place = |finding: &Finding| Placed {
        severity: finding.row.own_severity(),
        correlation: Correlation::default(),
    };
    findings.iter().map(place).collect()
}

/// One night that gives these rows, judged for all of January up to `until`.
pub fn night(lake: &mut Lake, now: DateTime<Utc>, rows: &[FindingRow], judged: bool) {
    let window = EvaluatedWindow {
        rule_id: "integration-ui-login".to_owned(),
        from: at(1, 0),
        to: at(31, 0),
    };
    let windows = if judged { vec![window] } else { vec![] };
    let ledger = lake.ledger_mut();
    let run = ledger.start_run("run", now).unwrap();
    ledger
        .apply_findings(run, now, rows, &windows, &alone, |_| Ok(vec![]))
        .unwrap();
    ledger.finish_run(run, now, 0, "{}").unwrap();
}

/// Findings of every status and severity, one of them hostile in all its texts.
pub fn make(dir: &Path) {
    fs::write(
        dir.join("orgwatch.toml"),
        "[store]\ndata_dir = \"data\"\n[org]\nname = \"Example\"\nid = \"00D000000000001\"\n",
    )
    .unwrap();
    let mut lake = Lake::open_writer(&dir.join("data")).unwrap();
    let mut rows: Vec<FindingRow> = (1..=6).map(|n| row(n, 10)).collect();
    for (row, severity) in rows.iter_mut().zip(Severity::ALL) {
        row.severity = severity;
    }
    rows[4].suppressed_by = Some("suppress-0123456789ab".to_owned());
    rows[5].family = None;
    let evidence = serde_json::json!({"ip": HOSTILE, "app": HOSTILE, "list": [HOSTILE]});
    rows.push(FindingRow {
        username: Some(HOSTILE.to_owned()),
        user_id: None,
        user_kind: Some(HOSTILE.to_owned()),
        observed: HOSTILE.to_owned(),
        expected: HOSTILE.to_owned(),
        title: HOSTILE.to_owned(),
        evidence_json: evidence.to_string(),
        attack: vec!["T9999.001".to_owned()],
        rule_id: "a-rule-that-is-gone".to_owned(),
        ..row(7, 11)
    });
    // About habits, with no day behind it that the lake knows.
    rows.push(FindingRow {
        family: Some(Family::Behaviour),
        rule_id: "api-call-volume-anomaly".to_owned(),
        user_id: None,
        username: None,
        user_kind: None,
        bucket_start: None,
        evidence_json: "{}".to_owned(),
        attack: vec![],
        ..row(8, 11)
    });
    night(&mut lake, at(20, 3), &rows, true);
    let mut decide = |n: u32, what| {
        let decision = Decision {
            what,
            who: "ann",
            why: "known",
            at: at(20, 9),
        };
        let id = row(n, 10).finding_id;
        lake.ledger_mut().decide(&[id], &decision).unwrap();
    };
    decide(2, ByHand::Acknowledge);
    decide(3, ByHand::Resolve);
    decide(4, ByHand::Suppress { until: at(90, 0) });
    decide(6, ByHand::Resolve);
    decide(6, ByHand::Reopen);
}
