//! The findings as the page shows them: case by case, the gravest in full.

use serde::Serialize;

use super::{MAX_NAME, MAX_TEXT, cut, instant, number_of, who};
use crate::report::html::content::{Finding, Gathers};
use crate::report::html::severity::Shown;

/// Findings that are told in full.
const MAX_FINDINGS: usize = 200;
const MAX_EVIDENCE: usize = 20;

#[derive(Serialize)]
pub struct CaseView<'a> {
    heading: String,
    severity: Shown,
    id: Option<String>,
    findings: Vec<FindingView<'a>>,
}

#[derive(Serialize)]
pub struct FindingView<'a> {
    number: usize,
    severity: Shown,
    title: String,
    status: &'a str,
    who: String,
    when: String,
    events: String,
    expected: String,
    observed: String,
    raised: Option<String>,
    gathers: Option<&'a Gathers>,
    why: String,
    evidence: Vec<(&'a str, String)>,
    more_evidence: usize,
    controls: &'a [(String, String)],
    response: &'a [String],
    false_positives: &'a [String],
    attack: &'a [String],
    rule: String,
    finding_id: &'a str,
    rows_command: &'a str,
    show_command: &'a str,
    last_seen: String,
}

/// The gravest findings in their order, case by case, and how many there are beyond.
pub fn cases(findings: &[Finding]) -> (Vec<CaseView<'_>>, usize) {
    let mut ranked: Vec<usize> = (0..findings.len()).collect();
    ranked.sort_by_key(|n| std::cmp::Reverse(findings[*n].severity));
    ranked.truncate(MAX_FINDINGS);
    ranked.sort_unstable();
    let mut cases: Vec<(&Finding, Vec<&Finding>)> = vec![];
    for finding in ranked.into_iter().map(|n| &findings[n]) {
        let case = |f: &Finding| f.case_id.clone().unwrap_or_else(|| f.finding_id.clone());
        match cases.last_mut() {
            Some((first, of_case)) if case(first) == case(finding) => of_case.push(finding),
            _ => cases.push((finding, vec![finding])),
        }
    }
    let mut number = 0;
    let shown = cases.into_iter().map(|(first, of_case)| {
        let gravest = of_case.iter().map(|f| f.severity).max();
        let views = of_case.into_iter().map(|finding| {
            number += 1;
            FindingView::of(number, finding)
        });
        CaseView {
            heading: case_heading(first),
            severity: gravest.unwrap_or(first.severity).into(),
            id: first
                .case_id
                .as_ref()
                .map(|id| id.chars().take(12).collect()),
            findings: views.collect(),
        }
    });
    let shown: Vec<_> = shown.collect();
    (shown, findings.len().saturating_sub(MAX_FINDINGS))
}

fn case_heading(finding: &Finding) -> String {
    let name = match (&finding.who, &finding.case_subject) {
        (None, Some(subject)) => cut(subject, MAX_NAME),
        (None, None) => "The org itself".to_owned(),
        (Some(name), _) => who(Some(name), finding.user_kind.as_deref()),
    };
    match finding.days.last() {
        Some(day) => format!("{name}, {day}"),
        None => name,
    }
}

impl<'a> FindingView<'a> {
    fn of(number: usize, finding: &'a Finding) -> Self {
        let (first, last) = (instant(finding.first_seen), instant(finding.last_seen));
        let mut when = match first == last {
            true => first,
            false => format!("{first} to {last}"),
        };
        if finding.days.len() > 1 {
            when.push_str(&format!(", on {} days", finding.days.len()));
        }
        let evidence = finding.evidence.iter().take(MAX_EVIDENCE);
        Self {
            number,
            severity: finding.severity.into(),
            title: cut(&finding.title, MAX_TEXT),
            status: finding.status,
            who: who(finding.who.as_deref(), finding.user_kind.as_deref()),
            when,
            events: format!(
                "{} event{}",
                number_of(finding.count),
                if finding.count == 1 { "" } else { "s" }
            ),
            expected: cut(&finding.expected, MAX_TEXT),
            observed: cut(&finding.observed, MAX_TEXT),
            raised: finding
                .raised
                .as_ref()
                .map(|(from, because)| format!("from {from}: {}", cut(because, MAX_TEXT))),
            gathers: finding.gathers.as_ref(),
            why: finding
                .description
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            evidence: evidence
                .map(|(name, value)| (name.as_str(), cut(value, MAX_TEXT)))
                .collect(),
            more_evidence: finding.evidence.len().saturating_sub(MAX_EVIDENCE),
            controls: &finding.controls,
            response: &finding.response,
            false_positives: &finding.false_positives,
            attack: &finding.attack,
            rule: format!("{} version {}", finding.rule_id, finding.rule_version),
            finding_id: &finding.finding_id,
            rows_command: &finding.rows_command,
            show_command: &finding.show_command,
            last_seen: finding.last_seen.format("%Y-%m-%d %H:%M").to_string(),
        }
    }
}
