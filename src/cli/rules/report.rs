//! A backtest as tables for people and as one JSON object.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::cli::output::{Format, Rows, escape_markdown};
use crate::cli::terminal::Terminal;
use crate::cli::{Global, print_rows};
use crate::config::Severity;
use crate::detect::{Backtest, Change, ChangeKind, Rule, changes, rfc3339, to_json, week_of};
use crate::lake::FindingRow;
use crate::privacy::printable;

/// Subjects that are listed.
const TOP_SUBJECTS: usize = 10;

/// A rule, what it would have raised, and what it would have raised otherwise.
pub struct Judged<'r> {
    pub rule: &'r Rule,
    pub before: Backtest,
    pub after: Option<Backtest>,
}

/// What was judged.
pub struct Span {
    pub since: NaiveDate,
    pub until: NaiveDate,
    pub nights: usize,
}

impl Span {
    fn weeks(&self) -> f64 {
        ((self.until - self.since).num_days() + 1) as f64 / 7.0
    }
}

/// Alerts of one rule and severity.
struct Tally<'r> {
    rule: &'r Rule,
    /// None where the rule raised nothing.
    severity: Option<Severity>,
    alerts: u64,
    suppressed: u64,
    /// By the Monday of the week.
    weeks: BTreeMap<NaiveDate, u64>,
    problem: Option<String>,
}

/// One account and what was raised about it.
struct Subject {
    who: String,
    alerts: u64,
    highest: Severity,
    rules: Vec<String>,
}

pub fn show(
    judged: &[Judged<'_>],
    span: &Span,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let tallies: Vec<Tally> = judged.iter().flat_map(tallies).collect();
    let subjects = subjects(judged);
    let changed: Vec<(&Rule, Vec<Change>)> = judged
        .iter()
        .filter_map(|j| Some((j.rule, changes(&j.before, j.after.as_ref()?))))
        .collect();
    let format = global.format.unwrap_or_default();
    if format == Format::Json {
        let document = document(judged, span, &tallies, &subjects, &changed);
        return Ok(terminal.data(|out| {
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        })?);
    }
    let weekly = weekly(&tallies, span)?;
    if !matches!(format, Format::Table | Format::Markdown) {
        return print_rows(&weekly, global, terminal);
    }
    let section = |title: &str, batch: &RecordBatch| -> anyhow::Result<()> {
        heading(title, format, terminal)?;
        print_rows(batch, global, terminal)?;
        Ok(terminal.data(|out| writeln!(out))?)
    };
    let title = format!("Alerts, {} to {}", span.since, span.until);
    section(&title, &weekly)?;
    section("Subjects", &subject_rows(&subjects)?)?;
    if !changed.is_empty() {
        section("Before and after", &compared_rows(judged)?)?;
        section("What changes", &change_rows(&changed)?)?;
    }
    Ok(())
}

fn heading(title: &str, format: Format, terminal: &Terminal) -> std::io::Result<()> {
    terminal.data(|out| match format {
        Format::Markdown => writeln!(out, "## {}\n", escape_markdown(title)),
        _ => writeln!(out, "{}", terminal.bold(title)),
    })
}

fn tallies<'r>(judged: &Judged<'r>) -> Vec<Tally<'r>> {
    let past = &judged.before;
    let problem = match (past.failed, past.blind) {
        (0, 0) => None,
        (0, nights) => Some(format!("no input on {nights} nights")),
        (nights, _) => Some(format!("failed on {nights} nights")),
    };
    let empty = |severity| Tally {
        rule: judged.rule,
        severity,
        alerts: 0,
        suppressed: 0,
        weeks: BTreeMap::new(),
        problem: problem.clone(),
    };
    let mut by_severity: BTreeMap<Reverse<Severity>, Tally> = BTreeMap::new();
    for finding in &past.findings {
        let place = by_severity.entry(Reverse(finding.severity));
        let tally = place.or_insert_with(|| empty(Some(finding.severity)));
        if finding.suppressed_by.is_some() {
            tally.suppressed += 1;
            continue;
        }
        tally.alerts += 1;
        *tally.weeks.entry(week_of(finding)).or_default() += 1;
    }
    match by_severity.is_empty() {
        true => vec![empty(None)],
        false => by_severity.into_values().collect(),
    }
}

fn who(finding: &FindingRow) -> String {
    let names = [&finding.username, &finding.user_id, &finding.user_key];
    let name = names.into_iter().flatten().next();
    name.cloned().unwrap_or_else(|| "no single user".to_owned())
}

fn subjects(judged: &[Judged<'_>]) -> Vec<Subject> {
    let mut by_name: BTreeMap<String, Subject> = BTreeMap::new();
    for finding in judged.iter().flat_map(|j| j.before.alerts()) {
        let subject = by_name.entry(who(finding)).or_insert_with(|| Subject {
            who: who(finding),
            alerts: 0,
            highest: finding.severity,
            rules: vec![],
        });
        subject.alerts += 1;
        subject.highest = subject.highest.max(finding.severity);
        if !subject.rules.contains(&finding.rule_id) {
            subject.rules.push(finding.rule_id.clone());
        }
    }
    let mut subjects: Vec<Subject> = by_name.into_values().collect();
    // The sort is stable: equals stay in the order of their names.
    subjects.sort_by_key(|s| Reverse((s.alerts, s.highest)));
    subjects.truncate(TOP_SUBJECTS);
    subjects
}

fn weekly(tallies: &[Tally<'_>], span: &Span) -> anyhow::Result<RecordBatch> {
    let each = || tallies.iter();
    let weeks = |t: &Tally| {
        let weeks: Vec<String> = t
            .weeks
            .iter()
            .map(|(week, n)| format!("{week}: {n}"))
            .collect();
        (!weeks.is_empty()).then(|| weeks.join(", "))
    };
    Ok(Rows::new()
        .text("rule", each().map(|t| Some(t.rule.id.clone())))
        .text("severity", each().map(|t| t.severity.map(|s| s.as_str())))
        .number("alerts", each().map(|t| t.alerts))
        .number("suppressed", each().map(|t| t.suppressed))
        .text("per_week", each().map(|t| Some(per_week(t.alerts, span))))
        .text("weeks", each().map(weeks))
        .text("problem", each().map(|t| t.problem.clone()))
        .batch()?)
}

fn per_week(alerts: u64, span: &Span) -> String {
    format!("{:.1}", alerts as f64 / span.weeks())
}

fn subject_rows(subjects: &[Subject]) -> anyhow::Result<RecordBatch> {
    let each = || subjects.iter();
    Ok(Rows::new()
        .text("who", each().map(|s| Some(s.who.clone())))
        .number("alerts", each().map(|s| s.alerts))
        .text("highest", each().map(|s| Some(s.highest.as_str())))
        .text("rules", each().map(|s| Some(s.rules.join(", "))))
        .batch()?)
}

/// Alerts of each changed rule and severity, before and after.
fn compared<'r>(judged: &[Judged<'r>]) -> Vec<(&'r str, Severity, u64, u64)> {
    let mut rows = vec![];
    for one in judged {
        let Some(after) = &one.after else {
            continue;
        };
        let mut counts: BTreeMap<Reverse<Severity>, (u64, u64)> = BTreeMap::new();
        for finding in one.before.alerts() {
            counts.entry(Reverse(finding.severity)).or_default().0 += 1;
        }
        for finding in after.alerts() {
            counts.entry(Reverse(finding.severity)).or_default().1 += 1;
        }
        rows.extend(
            counts.into_iter().map(|(severity, (before, after))| {
                (one.rule.id.as_str(), severity.0, before, after)
            }),
        );
    }
    rows
}

fn compared_rows(judged: &[Judged<'_>]) -> anyhow::Result<RecordBatch> {
    let rows = compared(judged);
    Ok(Rows::new()
        .text("rule", rows.iter().map(|r| Some(r.0)))
        .text("severity", rows.iter().map(|r| Some(r.1.as_str())))
        .number("before", rows.iter().map(|r| r.2))
        .number("after", rows.iter().map(|r| r.3))
        .batch()?)
}

fn change_rows(changed: &[(&Rule, Vec<Change>)]) -> anyhow::Result<RecordBatch> {
    let each = || changed.iter().flat_map(|(_, changes)| changes);
    let severity = |change: &Change| match change.kind {
        ChangeKind::Severity { before, after } => {
            format!("{} to {}", before.as_str(), after.as_str())
        }
        _ => change.finding.severity.as_str().to_owned(),
    };
    Ok(Rows::new()
        .text("change", each().map(|c| Some(word(c.kind))))
        .text("severity", each().map(|c| Some(severity(c))))
        .text("who", each().map(|c| Some(who(&c.finding))))
        .time("first_seen", each().map(|c| Some(c.finding.first_seen)))
        .text(
            "observed",
            each().map(|c| Some(printable(&c.finding.observed, 300))),
        )
        .text("rule", each().map(|c| Some(c.finding.rule_id.clone())))
        .text(
            "finding_id",
            each().map(|c| Some(c.finding.finding_id.clone())),
        )
        .batch()?)
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::New => "new",
        ChangeKind::Gone => "gone",
        ChangeKind::Severity { .. } => "severity",
    }
}

fn document(
    judged: &[Judged<'_>],
    span: &Span,
    tallies: &[Tally<'_>],
    subjects: &[Subject],
    changed: &[(&Rule, Vec<Change>)],
) -> Value {
    let tally = |t: &Tally| {
        let weeks: serde_json::Map<String, Value> = t
            .weeks
            .iter()
            .map(|(week, n)| (week.to_string(), json!(n)))
            .collect();
        json!({
            "rule": t.rule.id, "severity": t.severity.map(Severity::as_str), "alerts": t.alerts,
            "suppressed": t.suppressed, "per_week": t.alerts as f64 / span.weeks(),
            "weeks": weeks, "problem": t.problem,
        })
    };
    let subject = |s: &Subject| json!({"who": s.who, "alerts": s.alerts, "highest": s.highest.as_str(), "rules": s.rules});
    let change = |c: &Change| {
        let before = match c.kind {
            ChangeKind::Severity { before, .. } => Some(before.as_str()),
            _ => None,
        };
        json!({
            "change": word(c.kind), "severity_before": before, "rule": c.finding.rule_id,
            "severity": c.finding.severity.as_str(), "who": who(&c.finding),
            "first_seen": rfc3339(c.finding.first_seen), "finding_id": c.finding.finding_id,
            "observed": c.finding.observed,
        })
    };
    let alerts = judged.iter().flat_map(|j| j.before.alerts());
    let compared: Vec<Value> = compared(judged)
        .into_iter()
        .map(|(rule, severity, before, after)| {
            json!({"rule": rule, "severity": severity.as_str(), "before": before, "after": after})
        })
        .collect();
    let changed = changed.iter().flat_map(|(_, changes)| changes);
    json!({
        "since": span.since.to_string(),
        "until": span.until.to_string(),
        "nights": span.nights,
        "rules": tallies.iter().map(tally).collect::<Vec<_>>(),
        "subjects": subjects.iter().map(subject).collect::<Vec<_>>(),
        "compared": compared,
        "changes": changed.map(change).collect::<Vec<_>>(),
        "findings": alerts.map(|f| to_json(f, "new")).collect::<Vec<_>>(),
    })
}
