//! The findings of a report, in the words of their rules.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{Scope, Subject, midnight};
use crate::alert::{GatheredWords, News, gather_news};
use crate::cli::gathering::Gathering;
use crate::cli::mailing::{Teller, who};
use crate::cli::telling::short;
use crate::config::Severity;
use crate::detect::controls;
use crate::lake::{Finding as Stored, FindingFilter, FindingRow, LakeError, Status};
use crate::report::html::{Finding, Gathers, Past};

/// What was found of a period.
pub struct Told {
    pub open: BTreeMap<Severity, usize>,
    /// Those that are open, case by case.
    pub findings: Vec<Finding>,
    pub resolved: Vec<Past>,
    pub suppressed: usize,
    /// By account: the gravest of each day, and how many in all.
    pub of_users: BTreeMap<String, (BTreeMap<NaiveDate, Severity>, usize)>,
}

/// The findings of a period, whatever became of them, the gravest first.
pub fn stored(
    subject: &Subject<'_>,
    scope: &Scope<'_>,
    keys: Option<&[String]>,
) -> Result<Vec<Stored>, LakeError> {
    let until = match scope.is_open {
        true => scope.period.told_until.max(scope.period.last),
        false => scope.period.last,
    };
    let mut stored = subject.lake.ledger().findings(&FindingFilter {
        since: Some(midnight(scope.period.first)),
        until: until.succ_opt().map(midnight),
        ..FindingFilter::default()
    })?;
    if let Some(keys) = keys {
        stored.retain(|finding| is_of(&finding.row, keys));
    }
    Ok(stored)
}

pub fn told(
    subject: &Subject<'_>,
    scope: &Scope<'_>,
    keys: Option<&[String]>,
) -> anyhow::Result<Told> {
    let stored = stored(subject, scope, keys)?;
    let is_open = |f: &&Stored| !matches!(f.status, Status::Resolved | Status::Suppressed);
    let open: BTreeMap<&str, &Stored> = stored
        .iter()
        .filter(is_open)
        .map(|f| (f.row.finding_id.as_str(), f))
        .collect();
    let teller = Teller::new(subject.lake, subject.rules, subject.place.invocation())?;
    let gathering = Gathering::of(stored.iter());
    let rows: Vec<&FindingRow> = open.values().map(|f| &f.row).collect();
    let to_tell = gathering.to_tell(&rows, Severity::Info, &teller);
    // As if nothing had been told: a report shows all that is open.
    let at = subject.place.clock.now();
    let (news, _) = gather_news(to_tell.findings, |_| None, at, 0);
    let statements: BTreeMap<String, String> =
        controls().into_iter().map(|c| (c.id, c.text)).collect();
    let mut resolved: Vec<&Stored> = stored
        .iter()
        .filter(|f| f.status == Status::Resolved)
        .collect();
    resolved.sort_by(|a, b| {
        (b.row.last_seen, &a.row.finding_id).cmp(&(a.row.last_seen, &b.row.finding_id))
    });
    let mut by_severity: BTreeMap<Severity, usize> = BTreeMap::new();
    for row in &rows {
        *by_severity.entry(row.severity).or_default() += 1;
    }
    Ok(Told {
        open: by_severity,
        findings: news
            .iter()
            .map(|news| {
                finding(
                    news,
                    open.get(news.finding.finding_id.as_str()),
                    subject,
                    &statements,
                )
            })
            .collect(),
        resolved: resolved
            .into_iter()
            .map(|f| Past {
                severity: f.row.severity,
                title: f.row.title.clone(),
                who: who(&f.row),
                last_seen: f.row.last_seen,
            })
            .collect(),
        suppressed: stored
            .iter()
            .filter(|f| f.status == Status::Suppressed)
            .count(),
        of_users: of_users(open.values().map(|f| &f.row)),
    })
}

fn is_of(row: &FindingRow, keys: &[String]) -> bool {
    let of = [&row.user_key, &row.user_id, &row.username];
    of.into_iter()
        .flatten()
        .any(|name| keys.contains(name) || keys.contains(&name.to_lowercase()))
}

fn of_users<'a>(
    rows: impl Iterator<Item = &'a FindingRow>,
) -> BTreeMap<String, (BTreeMap<NaiveDate, Severity>, usize)> {
    let mut all: BTreeMap<String, (BTreeMap<NaiveDate, Severity>, usize)> = BTreeMap::new();
    for row in rows {
        let Some(key) = row.user_key.as_ref().or(row.user_id.as_ref()) else {
            continue;
        };
        let (days, n) = all.entry(key.clone()).or_default();
        let day = row.bucket_start.unwrap_or(row.first_seen).date_naive();
        let gravest = days.entry(day).or_insert(row.severity);
        *gravest = row.severity.max(*gravest);
        *n += 1;
    }
    all
}

fn finding(
    news: &News,
    stored: Option<&&Stored>,
    subject: &Subject<'_>,
    statements: &BTreeMap<String, String>,
) -> Finding {
    let told = &news.finding;
    let rule = subject.rules.get(&told.rule_id);
    let show = subject.place.invocation().command("findings show");
    let ids: BTreeSet<&String> = rule.into_iter().flat_map(|rule| &rule.control).collect();
    let lines = told.evidence.iter();
    Finding {
        finding_id: told.finding_id.clone(),
        rule_id: told.rule_id.clone(),
        rule_version: told.rule_version,
        severity: news.severity(),
        title: told.title.clone(),
        status: stored.map_or(Status::New, |f| f.status).as_str(),
        user_key: stored.and_then(|f| f.row.user_key.clone()),
        who: told.who.clone(),
        user_kind: told.user_kind.clone(),
        case_id: told.case_id.clone(),
        case_subject: told.case_subject.clone(),
        days: news.days(),
        first_seen: news.first_seen(),
        last_seen: news.last_seen(),
        count: news.count(),
        expected: told.expected.clone(),
        observed: told.observed.clone(),
        raised: told.raised.clone(),
        gathers: GatheredWords::of(news).map(|words| Gathers {
            summary: words.summary,
            details: words.details,
        }),
        evidence: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        description: told.description.clone(),
        controls: ids
            .into_iter()
            .map(|id| (id.clone(), statements.get(id).cloned().unwrap_or_default()))
            .collect(),
        response: rule.map(|rule| rule.response.clone()).unwrap_or_default(),
        false_positives: rule
            .map(|rule| rule.false_positives.clone())
            .unwrap_or_default(),
        attack: told.attack.clone(),
        rows_command: told.rows_command.clone(),
        show_command: format!("{show} {}", short(&told.finding_id)),
    }
}
