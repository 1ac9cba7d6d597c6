//! The machines as the page shows them: charts of their days, networks and apps.

use chrono::NaiveDate;
use minijinja::value::Value;
use serde::Serialize;

use super::{MAX_NAME, cut};
use crate::config::Severity;
use crate::report::html::ReportError;
use crate::report::html::content::Content;
use crate::report::html::figure::{Figure, figures};
use crate::report::html::severity::Shown;
use crate::report::html::timeline::{Place, Seen, Timeline};
use crate::words::counted;

#[derive(Serialize)]
pub struct UserView<'a> {
    name: String,
    facts: Vec<(&'static str, &'a str)>,
    severity: Option<Shown>,
    summary: String,
    is_open: bool,
    figures: Vec<FigureView>,
    networks: Vec<SeenView<'a>>,
    more_networks: usize,
    apps: Vec<SeenView<'a>>,
    more_apps: usize,
}

#[derive(Serialize)]
pub struct FigureView {
    id: String,
    svg: Value,
    #[serde(flatten)]
    figure: Figure,
}

#[derive(Serialize)]
pub struct SeenView<'a> {
    name: &'a str,
    place: Option<&'static str>,
    logins: u64,
    calls: u64,
    days: usize,
    first: Option<NaiveDate>,
    last: Option<NaiveDate>,
}

pub fn users(content: &Content) -> Result<Vec<UserView<'_>>, ReportError> {
    let all = content.users.shown.iter().enumerate();
    all.map(|(n, timeline)| user(n, timeline, content))
        .collect()
}

fn user<'a>(
    n: usize,
    timeline: &'a Timeline,
    content: &Content,
) -> Result<UserView<'a>, ReportError> {
    let account = &timeline.account;
    let gravest = timeline.findings.values().max().copied();
    let unusual = timeline
        .days
        .values()
        .filter(|day| !day.unusual.is_empty())
        .count();
    let figures = figures(timeline, content.period)?;
    let figures = figures
        .into_iter()
        .enumerate()
        .map(|(place, mut figure)| FigureView {
            id: format!("chart-{}-{}", n + 1, place + 1),
            // Drawn here, of dates and numbers only.
            svg: Value::from_safe_string(std::mem::take(&mut figure.svg)),
            figure,
        });
    let role = match (account.role.as_deref(), account.role_source.as_deref()) {
        (role, Some("registry")) => role,
        (_, _) => Some("works like a machine, not in the registry"),
    };
    let facts = [
        ("role", role),
        ("system", account.system.as_deref()),
        ("owner", account.owner.as_deref()),
        (
            "id",
            account.username.as_ref().map(|_| account.user_key.as_str()),
        ),
    ];
    Ok(UserView {
        name: cut(
            account.username.as_deref().unwrap_or(&account.user_key),
            MAX_NAME,
        ),
        facts: facts
            .into_iter()
            .filter_map(|(what, is)| Some((what, is?)))
            .collect(),
        severity: gravest.map(Shown::from),
        summary: match (timeline.finding_count, unusual) {
            (0, 0) => "no open finding".to_owned(),
            (0, days) => format!("no open finding, {} beyond the usual", counted(days, "day")),
            (findings, 0) => counted(findings, "open finding"),
            (findings, days) => format!(
                "{}, {} beyond the usual",
                counted(findings, "open finding"),
                counted(days, "day")
            ),
        },
        is_open: gravest.is_some_and(|gravest| gravest >= Severity::High) || content.user.is_some(),
        figures: figures.collect(),
        networks: timeline.networks.shown.iter().map(seen).collect(),
        more_networks: timeline.networks.more,
        apps: timeline.apps.shown.iter().map(seen).collect(),
        more_apps: timeline.apps.more,
    })
}

fn seen(seen: &Seen) -> SeenView<'_> {
    SeenView {
        name: &seen.name,
        place: seen.place.map(|place| match place {
            Place::Declared => "declared",
            Place::Beside => "partly declared",
            Place::Elsewhere => "not declared",
            Place::Unknown => "nothing is declared",
        }),
        logins: seen.logins,
        calls: seen.calls,
        days: seen.days,
        first: seen.first_at.map(|at| at.date_naive()),
        last: seen.last_at.map(|at| at.date_naive()),
    }
}
