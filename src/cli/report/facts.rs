//! The content of a report: what the ledger, the lake, the registry and the rules tell of its days.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::told::{Told, told};
use super::{Scope, Subject};
use crate::cli::failure::UsageError;
use crate::cli::night::BLIND_DAYS;
use crate::cli::registry::{examine, registry_file};
use crate::config::{RuleStatus, UserRef};
use crate::detect::{Enforcement, Seen, enforcement};
use crate::lake::Lake;
use crate::registry::{Registry, Resolution};
use crate::report::html::{
    Capped, Content, Drift, Ending, Health, Question, Statement, Timeline, Tonight, Unseen,
    suppressions, timelines,
};

/// Users whose days are drawn.
const MAX_USERS: usize = 30;
/// What ends within these days is told.
const SOON_DAYS: i64 = 14;

pub fn content(
    subject: &Subject<'_>,
    scope: &Scope<'_>,
    tonight: Option<&Tonight>,
) -> anyhow::Result<Content> {
    let (lake, place) = (subject.lake, subject.place);
    let now = place.clock.now();
    let resolution = Resolution::new(subject.registry, lake.ledger().usernames()?);
    let keys = scope.user.map(|user| resolution.keys_of(user));
    let Told {
        open,
        findings,
        resolved,
        suppressed,
        of_users,
    } = told(subject, scope, keys.as_deref())?;

    let session = place.session(lake, subject.catalog, subject.registry)?;
    let mut users = timelines(
        &session,
        &Question {
            period: scope.period,
            only: keys.as_deref(),
            registry: subject.registry,
            resolution: &resolution,
        },
    )?;
    drop(session);
    for user in &mut users {
        if let Some((days, n)) = of_users.get(&user.account.user_key) {
            user.findings = days.clone();
            user.finding_count = *n;
        }
    }
    users.sort_by_cached_key(gravity);
    if let Some(user) = scope.user
        && users.is_empty()
        && findings.is_empty()
    {
        check_known(user, lake, &resolution)?;
    }

    let coverage = place.coverage(lake, subject.catalog)?;
    let today = now.date_naive();
    let last_day = coverage.last_day(today);
    let period = scope.period;
    let days: BTreeSet<_> = period
        .days()
        .filter(|day| coverage.has_day(*day))
        .chain(coverage.first_day())
        .chain(last_day)
        .collect();
    let seen = Seen {
        coverage: &coverage,
        last_day: last_day.unwrap_or(today),
        blind_days: BLIND_DAYS,
    };
    let asked = subject.rules.iter().filter(|r| r.status != RuleStatus::Off);
    let asked = asked.map(|rule| rule.id.clone()).collect();
    let invocation = place.invocation();
    Ok(Content {
        org: place.settings.org.name.value.clone(),
        at: now,
        period,
        data_day: last_day,
        user: scope.user.map(|user| user.as_str().to_owned()),
        health: Health::of(lake, &period, tonight)?,
        open,
        findings,
        resolved,
        suppressed,
        suppressions: suppressions(lake)?,
        users: Capped::of(users, MAX_USERS),
        drift: drift(subject, scope, &resolution, keys.as_deref())?,
        unseen: Unseen::of(lake, &period, &days, &asked)?,
        controls: enforcement(subject.rules, Some(&seen))
            .into_iter()
            .map(statement)
            .collect(),
        report_command: invocation.command("report"),
        list_command: invocation.command("findings list"),
    })
}

/// A slip of the pen must not read as a user of whom there is nothing to tell.
pub fn check_known(user: &UserRef, lake: &Lake, resolution: &Resolution) -> anyhow::Result<()> {
    let aliases = resolution.aliases(&resolution.keys_of(user));
    let mut known = lake.ledger().usernames()?.into_iter();
    if known.any(|(id, name)| aliases.contains(&id) || aliases.contains(&name.to_lowercase())) {
        return Ok(());
    }
    Err(UsageError::new(
        format!("the logs do not know {}", user.as_str()),
        "check the spelling; `orgwatch sql \"SELECT DISTINCT username FROM logins\"` lists names",
    )
    .into())
}

/// Those with the gravest findings first, then those with most of them, then those beyond the usual,
/// then the busiest.
fn gravity(user: &Timeline) -> impl Ord + use<> {
    let gravest = user.findings.values().max().copied();
    let unusual = user.days.values().filter(|day| !day.unusual.is_empty());
    let calls: u64 = user.days.values().map(|day| day.calls).sum();
    Reverse((
        gravest,
        user.finding_count,
        unusual.count(),
        calls,
        Reverse(user.account.user_key.clone()),
    ))
}

fn drift(
    subject: &Subject<'_>,
    scope: &Scope<'_>,
    resolution: &Resolution,
    keys: Option<&[String]>,
) -> anyhow::Result<Option<Drift>> {
    let (place, registry) = (subject.place, subject.registry);
    if place.settings.registry_file.value.is_none() {
        return Ok(None);
    }
    let days = u32::try_from(scope.period.days().count()).unwrap_or(u32::MAX);
    let examined = examine(subject.lake, place, days, registry, resolution)?;
    let names: Option<BTreeSet<String>> =
        keys.map(|keys| resolution.aliases(keys).into_iter().collect());
    let is_meant = |name: &str| names.as_ref().is_none_or(|names| names.contains(name));
    let problems = examined
        .problems
        .into_iter()
        .filter(|problem| is_meant(&problem.subject))
        .map(|p| (p.kind.as_str(), line(p.at.line), p.subject, p.message));
    let mut endings = endings(registry, place.clock.now());
    endings.retain(|ending| is_meant(&ending.subject));
    Ok(Some(Drift {
        file: registry_file(place),
        users: registry.users.len(),
        apps: registry.apps.len(),
        windows: registry.windows.len(),
        covered_days: examined.covered,
        undeclared: examined.undeclared,
        problems: problems.collect(),
        endings,
    }))
}

/// Entries and windows that hold now and end soon, the first to end first.
fn endings(registry: &Registry, now: chrono::DateTime<chrono::Utc>) -> Vec<Ending> {
    let soon = (now + TimeDelta::days(SOON_DAYS)).timestamp_millis();
    let now = now.timestamp_millis();
    let users = registry.users.iter().map(|user| {
        let what = "entry".to_owned();
        (what, user.name(), &user.ticket, user.valid, user.at)
    });
    let windows = registry.windows.iter().map(|window| {
        let what = format!("{} window", window.kind.as_str());
        (
            what,
            window.user.as_str(),
            &window.ticket,
            window.valid,
            window.at,
        )
    });
    let mut all: Vec<Ending> = users
        .chain(windows)
        .filter(|(.., valid, _)| now < valid.to_ms && valid.to_ms <= soon)
        .filter_map(|(what, subject, ticket, valid, at)| {
            Some(Ending {
                what,
                subject: subject.to_owned(),
                ticket: ticket.clone(),
                ends: chrono::DateTime::from_timestamp_millis(valid.to_ms)?,
                line: line(at.line),
            })
        })
        .collect();
    all.sort_by_key(|ending| (ending.ends, ending.line));
    all
}

fn line(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

fn statement(enforcement: Enforcement) -> Statement {
    let lacks: BTreeSet<&str> = enforcement
        .rules
        .iter()
        .filter_map(|rule| rule.lacks.as_deref())
        .collect();
    let note = match lacks.is_empty() {
        true => enforcement.statement.note.clone(),
        false => Some(lacks.into_iter().collect::<Vec<_>>().join("; ")),
    };
    Statement {
        state: enforcement.state,
        rules: enforcement
            .rules
            .iter()
            .map(|r| r.rule_id.clone())
            .collect(),
        note,
        id: enforcement.statement.id,
        text: enforcement.statement.text,
    }
}
