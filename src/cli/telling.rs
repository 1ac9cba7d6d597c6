//! A finding in words on the terminal.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};

use super::terminal::Terminal;
use crate::alert::{GatheredWords, News, wrap};
use crate::privacy::printable;
use crate::words::counted;

/// Width of wrapped text.
const WIDTH: usize = 100;
const MAX_TEXT: usize = 600;

/// One subject: who, what was expected, what was seen, where and when, and how to see the rows.
pub fn write_news(out: &mut String, news: &News, terminal: &Terminal) -> std::fmt::Result {
    let finding = &news.finding;
    let text = |t: &str| wrap(&printable(t, MAX_TEXT), WIDTH, 12);
    let severity = terminal.severity(news.severity());
    writeln!(out, "{severity}  {}", terminal.bold(&text(&finding.title)))?;
    let who = match (&finding.who, &finding.user_kind) {
        (Some(who), Some(kind)) => format!("{who} ({kind})"),
        (Some(who), None) => who.clone(),
        (None, _) => "no single user".to_owned(),
    };
    writeln!(out, "  who       {}", text(&who))?;
    writeln!(out, "  expected  {}", text(&finding.expected))?;
    writeln!(out, "  seen      {}", text(&finding.observed))?;
    if let Some(place) = place_of(&finding.evidence) {
        writeln!(out, "  where     {}", text(&place))?;
    }
    let (first, last) = (instant(news.first_seen()), instant(news.last_seen()));
    let when = if first == last {
        first
    } else {
        format!("{first} to {last}")
    };
    let days = news.days().len();
    let on = if days > 1 {
        format!(" on {days} days")
    } else {
        String::new()
    };
    writeln!(
        out,
        "  when      {when}{on}, {}",
        counted(news.count(), "event")
    )?;
    if let Some((from, because)) = &finding.raised {
        writeln!(
            out,
            "  raised    {}",
            text(&format!("from {from}: {because}"))
        )?;
    }
    if let Some(gathers) = GatheredWords::of(news) {
        let line = format!("{}: {}", gathers.summary, gathers.details);
        writeln!(out, "  gathers   {}", wrap(&line, WIDTH, 12))?;
    }
    writeln!(
        out,
        "  rule      {} (finding {})",
        text(&finding.rule_id),
        short(&finding.finding_id)
    )?;
    writeln!(
        out,
        "  rows      {}",
        printable(&finding.rows_command, 4 * MAX_TEXT)
    )
}

/// The evidence that says where from: addresses, countries, apps, ways in.
fn place_of(evidence: &[String]) -> Option<String> {
    const PLACES: [&str; 8] = [
        "ip",
        "ips",
        "source_ip",
        "country",
        "countries",
        "app",
        "apps",
        "login_paths",
    ];
    let found: Vec<&str> = evidence
        .iter()
        .filter(|line| {
            line.split_once(": ")
                .is_some_and(|(name, _)| PLACES.contains(&name))
        })
        .map(String::as_str)
        .collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// RFC 3339 in UTC, with a fraction only where there is one.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub fn short(finding_id: &str) -> String {
    printable(finding_id, 400).chars().take(12).collect()
}
