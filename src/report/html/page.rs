//! What the page shows, section by section, as the templates take it.

mod findings;
mod standing;
mod users;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::ReportError;
use super::content::{Capped, Content, Suppression};
use super::health::{Account, Delivery, FileTrouble, Health, RuleCounts, RunLine};
use super::severity::Shown;
use super::sight::Dark;
use crate::config::Severity;
use crate::words::{counted, grouped};
use findings::{CaseView, cases};
use standing::{ControlsView, DriftView};
use users::{UserView, users};

/// Longest text of one field, in characters.
const MAX_TEXT: usize = 600;
const MAX_NAME: usize = 200;
const MAX_RESOLVED: usize = 50;
const MAX_DAYS: usize = 31;
/// Logs that are older than this are late.
const FRESH_DAYS: i64 = 3;

#[derive(Serialize)]
pub struct Page<'a> {
    title: String,
    verdict: String,
    /// The gravest open finding's.
    severity: Option<Shown>,
    org: Option<&'a str>,
    user: Option<&'a str>,
    period: String,
    made: String,
    data_day: Option<NaiveDate>,
    /// What to know before believing the rest.
    cautions: Vec<String>,
    tally: Vec<(Shown, usize)>,
    cases: Vec<CaseView<'a>>,
    more_findings: usize,
    resolved: Capped<PastView<'a>>,
    suppressed: usize,
    suppressions: &'a [Suppression],
    health: HealthView<'a>,
    users: Vec<UserView<'a>>,
    more_users: usize,
    drift: Option<DriftView<'a>>,
    dark: &'a [Dark],
    unseen_days: Capped<NaiveDate>,
    damaged: &'a [String],
    controls: ControlsView<'a>,
    report_command: &'a str,
    list_command: &'a str,
}

#[derive(Serialize)]
struct PastView<'a> {
    severity: Shown,
    title: &'a str,
    who: String,
    last_seen: String,
}

#[derive(Serialize)]
struct HealthView<'a> {
    last: Option<LastView<'a>>,
    files: u64,
    rows: Account,
    adds_up: bool,
    canaries_fired: usize,
    canaries_silent: &'a [(String, String)],
    runs: Vec<(String, &'a RunLine)>,
    more_runs: usize,
    deliveries: Vec<(String, &'a Delivery)>,
    more_deliveries: usize,
    waiting: usize,
    troubles: &'a Capped<FileTrouble>,
}

#[derive(Serialize)]
struct LastView<'a> {
    run_id: i64,
    kind: &'a str,
    at: String,
    state: &'a str,
    exit_code: Option<i64>,
    exit_reasons: &'a [String],
    files_read: u64,
    files_known: u64,
    files_rejected: u64,
    rows: Account,
    adds_up: bool,
    rules: RuleCounts,
    remarks: &'a [String],
}

impl<'a> Page<'a> {
    pub fn of(content: &'a Content) -> Result<Self, ReportError> {
        let (cases, more_findings) = cases(&content.findings);
        let verdict = verdict(content);
        let resolved = content.resolved.iter().map(|past| PastView {
            severity: past.severity.into(),
            title: &past.title,
            who: who(past.who.as_deref(), None),
            last_seen: instant(past.last_seen),
        });
        Ok(Self {
            title: format!("{verdict} - orgwatch report of {}", content.at.date_naive()),
            verdict,
            severity: gravest(content).map(Shown::from),
            org: content.org.as_deref(),
            user: content.user.as_deref(),
            period: format!("{} to {}", content.period.first, content.period.last),
            made: instant(content.at),
            data_day: content.data_day,
            cautions: cautions(content),
            tally: Severity::ALL
                .iter()
                .rev()
                .map(|s| (Shown::from(*s), content.open.get(s).copied().unwrap_or(0)))
                .collect(),
            cases,
            more_findings,
            resolved: Capped::of(resolved.collect(), MAX_RESOLVED),
            suppressed: content.suppressed,
            suppressions: &content.suppressions,
            health: HealthView::of(&content.health),
            users: users(content)?,
            more_users: content.users.more,
            drift: content.drift.as_ref().map(DriftView::of),
            dark: &content.unseen.dark,
            unseen_days: Capped::of(content.unseen.days.clone(), MAX_DAYS),
            damaged: &content.unseen.damaged,
            controls: ControlsView::of(content),
            report_command: &content.report_command,
            list_command: &content.list_command,
        })
    }
}

fn verdict(content: &Content) -> String {
    let whose = match (&content.user, &content.org) {
        (Some(user), _) => format!(" of {}", cut(user, MAX_NAME)),
        (None, Some(org)) => format!(" in {}", cut(org, MAX_NAME)),
        (None, None) => String::new(),
    };
    let Some(gravest) = gravest(content) else {
        return format!("Nothing open{whose}");
    };
    let open: usize = content.open.values().sum();
    format!(
        "{}: {}{whose}",
        gravest.as_str().to_uppercase(),
        counted(open, "open finding")
    )
}

fn gravest(content: &Content) -> Option<Severity> {
    let open = content.open.iter().filter(|(_, n)| **n > 0);
    open.map(|(severity, _)| *severity).max()
}

/// A quiet page is only as good as the watch behind it.
fn cautions(content: &Content) -> Vec<String> {
    let (health, unseen) = (&content.health, &content.unseen);
    let mut told = vec![];
    if let Some(day) = content.data_day {
        let age = (content.at.date_naive() - day).num_days();
        if age > FRESH_DAYS {
            told.push(format!(
                "The newest row of any log is of {day}, {age} days before this page was made."
            ));
        }
    }
    match &health.last {
        None => told.push("No run has been made yet: nothing was judged.".to_owned()),
        Some(last) if last.state != "finished" => told.push(format!(
            "The last {} ({}) did not finish: {}.",
            if last.kind == "run" {
                "nightly run"
            } else {
                "run"
            },
            instant(last.at),
            last.state
        )),
        Some(last) if !last.rows.adds_up() => told.push(
            "The last run lost count of its rows: read is not kept + duplicate + quarantined."
                .to_owned(),
        ),
        Some(_) => {}
    }
    for (status, what) in [
        ("failed", "failed"),
        ("blind", "is blind: the input that it had is missing"),
    ] {
        let dark = unseen.dark.iter().filter(|dark| dark.status == status);
        let rules: usize = dark.map(|dark| dark.rules.len()).sum();
        if rules > 0 {
            let what = match rules {
                1 => what.to_owned(),
                _ => what.replace(
                    "is blind: the input that it had",
                    "are blind: the input that they had",
                ),
            };
            told.push(format!("{} {what}.", counted(rules, "rule")));
        }
    }
    if !unseen.days.is_empty() {
        told.push(format!(
            "{} of the period without a row of any log.",
            counted(unseen.days.len(), "day")
        ));
    }
    if !unseen.damaged.is_empty() {
        told.push(format!(
            "{} of the lake cannot be read.",
            counted(unseen.damaged.len(), "file")
        ));
    }
    if health.waiting > 0 {
        told.push(format!(
            "{} not delivered yet.",
            counted(health.waiting, "alert")
        ));
    }
    if !health.canaries_silent.is_empty() {
        told.push(format!(
            "{} did not find its own example.",
            counted(health.canaries_silent.len(), "rule")
        ));
    }
    told
}

impl<'a> HealthView<'a> {
    fn of(health: &'a Health) -> Self {
        Self {
            last: health.last.as_ref().map(|last| LastView {
                run_id: last.run_id,
                kind: &last.kind,
                at: instant(last.at),
                state: last.state,
                exit_code: last.exit_code,
                exit_reasons: &last.exit_reasons,
                files_read: last.files_read,
                files_known: last.files_known,
                files_rejected: last.files_rejected,
                rows: last.rows,
                adds_up: last.rows.adds_up(),
                rules: last.rules,
                remarks: &last.remarks,
            }),
            files: health.files,
            rows: health.rows,
            adds_up: health.rows.adds_up(),
            canaries_fired: health.canaries_fired,
            canaries_silent: &health.canaries_silent,
            runs: health
                .runs
                .shown
                .iter()
                .map(|run| (instant(run.at), run))
                .collect(),
            more_runs: health.runs.more,
            deliveries: health
                .deliveries
                .shown
                .iter()
                .map(|mail| (instant(mail.at), mail))
                .collect(),
            more_deliveries: health.deliveries.more,
            waiting: health.waiting,
            troubles: &health.troubles,
        }
    }
}

/// A name and what it is, or that there is none.
fn who(name: Option<&str>, kind: Option<&str>) -> String {
    match (name, kind) {
        (Some(name), Some(kind)) => format!("{} ({})", cut(name, MAX_NAME), cut(kind, MAX_NAME)),
        (Some(name), None) => cut(name, MAX_NAME),
        (None, _) => "no single user".to_owned(),
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn number_of(n: u64) -> String {
    grouped(i64::try_from(n).unwrap_or(i64::MAX))
}
