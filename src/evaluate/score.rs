//! What the orgs show together.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::Serialize;

use super::judge::{JudgedFinding, JudgedLabel, Verdict};
use super::labels::Kind;
use super::org::Org;
use super::peers::{PeerScore, peers};
use super::ratio::{Ratio, round};
use crate::config::{Family, Severity};

/// At most so many findings of `high` and above per 100 integration users and clean night.
pub const BUDGET: f64 = 1.0;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    pub orgs: u64,
    pub nights: u64,
    pub clean_nights: u64,
    pub integrations: u64,
    pub suppressed: u64,
    pub precision: Precision,
    pub recall: Recall,
    pub stories: Stories,
    pub clean: Clean,
    /// Labels of which nothing was told that had to be.
    pub missed: Vec<Missed>,
    /// Of these, the ones that evaded, and of which nobody said that something could not be seen.
    pub silent: Vec<Missed>,
    pub false_alarms: Vec<FalseAlarm>,
    pub comparators: Vec<PeerScore>,
}

/// How many of the findings are right. Look-alikes are told apart: `strict` counts them as wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Precision {
    /// Of the families that claim an attack: misuse, attack, behaviour.
    pub claims: Tally,
    /// Of these, high and critical.
    pub high: Tally,
    pub by_family: Vec<Tally>,
    /// Of the families that claim an attack.
    pub by_severity: Vec<Tally>,
    pub by_rule: Vec<Tally>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    pub name: String,
    pub findings: u64,
    pub answers: u64,
    pub look_alikes: u64,
    pub hygiene: u64,
    pub false_alarms: u64,
    pub precision: Ratio,
    pub strict: Ratio,
}

/// How many of the attacks are told. A campaign is one attack on one org: told when one of its
/// labels is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recall {
    /// Attacks that evade nothing.
    pub plain: Found,
    pub evading: Found,
    pub by_attack: Vec<Found>,
    pub by_attack_evading: Vec<Found>,
    pub by_mutation: Vec<Found>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    pub name: String,
    pub labels: Ratio,
    pub free: Ratio,
    pub shield: Ratio,
    pub campaigns: Ratio,
    /// Campaigns that were told by the logs of their first promised night.
    pub first_night: Ratio,
    /// Nights from the first promised event of a campaign that was told.
    pub nights_median: Option<f64>,
    pub nights_max: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stories {
    pub told: u64,
    /// Those of which something too grave was told.
    pub above: Vec<Missed>,
}

/// Findings of nights on which no attack goes on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clean {
    /// Clean nights × integration users.
    pub integration_nights: u64,
    pub by_severity: Vec<Rate>,
    pub by_rule: Vec<Rate>,
    /// Of all families, high and critical: what the budget is about.
    pub high: Rate,
    /// Of these, the families that claim an attack.
    pub high_claims: Rate,
    pub budget: f64,
    /// `within`, `exceeded`, or `unknown` where there is no clean night or no integration.
    pub verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    pub name: String,
    pub findings: u64,
    pub high: u64,
    pub per_100: Option<f64>,
    pub high_per_100: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missed {
    pub org: String,
    pub label: String,
    pub name: String,
    pub mutation: String,
    pub tier: String,
    pub night: NaiveDate,
    pub subject: Option<String>,
    /// Whether anything else was told of its subject in its time.
    pub told_at_all: bool,
    pub blind_by: Vec<String>,
    pub above: Option<Severity>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalseAlarm {
    pub org: String,
    pub day: NaiveDate,
    pub rule: String,
    pub severity: Severity,
    pub subject_kind: String,
    pub subject: Option<String>,
    /// The story of which it is told, or the attack beside which it stands.
    pub beside: Option<String>,
}

pub fn score(orgs: &[Org]) -> Score {
    let sum = |count: fn(&Org) -> u64| orgs.iter().map(count).sum::<u64>();
    let integration_nights = sum(|org| org.clean_nights.saturating_mul(org.integrations));
    let missed: Vec<Missed> = labels(orgs)
        .filter(|(_, label)| label.promised && label.told_by.is_empty())
        .map(self::missed)
        .collect();
    let above = labels(orgs).filter(|(_, label)| label.above.is_some());
    let above = above.map(self::missed).collect();
    Score {
        orgs: orgs.len() as u64,
        nights: sum(|org| org.nights),
        clean_nights: sum(|org| org.clean_nights),
        integrations: sum(|org| org.integrations),
        suppressed: sum(|org| org.suppressed),
        precision: precision(orgs),
        recall: recall(orgs),
        stories: Stories {
            told: labels(orgs).filter(|(_, l)| l.kind == Kind::Story).count() as u64,
            above,
        },
        clean: clean(orgs, integration_nights),
        silent: missed.iter().filter(|m| is_silent(m)).cloned().collect(),
        missed,
        false_alarms: false_alarms(orgs),
        comparators: peers(orgs),
    }
}

fn labels(orgs: &[Org]) -> impl Iterator<Item = (&Org, &JudgedLabel)> {
    fn of(org: &Org) -> impl Iterator<Item = (&Org, &JudgedLabel)> {
        std::iter::repeat(org).zip(&org.judged.labels)
    }
    orgs.iter().flat_map(of)
}

fn findings(orgs: &[Org]) -> impl Iterator<Item = &JudgedFinding> + Clone {
    orgs.iter().flat_map(|org| &org.judged.findings)
}

fn missed((org, label): (&Org, &JudgedLabel)) -> Missed {
    Missed {
        org: org.name.clone(),
        label: label.id.clone(),
        name: label.name.clone(),
        mutation: label.mutation.clone(),
        tier: label.tier.clone(),
        night: label.night,
        subject: label.subject.clone(),
        told_at_all: label.told_at_all,
        blind_by: label.blind_by.clone(),
        above: label.above,
    }
}

fn is_silent(missed: &Missed) -> bool {
    !missed.mutation.is_empty() && missed.blind_by.is_empty()
}

fn false_alarms(orgs: &[Org]) -> Vec<FalseAlarm> {
    let mut alarms = vec![];
    for org in orgs {
        for finding in &org.judged.findings {
            if finding.verdict == Verdict::FalseAlarm {
                alarms.push(FalseAlarm {
                    org: org.name.clone(),
                    day: finding.day,
                    rule: finding.rule.clone(),
                    severity: finding.severity,
                    subject_kind: finding.subject_kind.clone(),
                    subject: finding.subject.clone(),
                    beside: finding.label.clone(),
                });
            }
        }
    }
    // The gravest first; the sort keeps orgs and days in their order.
    alarms.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity));
    alarms
}

pub fn is_claim(finding: &JudgedFinding) -> bool {
    super::judge::claims_an_attack(Family::from_word(&finding.family))
}

fn is_high(finding: &JudgedFinding) -> bool {
    finding.severity >= Severity::High
}

fn precision(orgs: &[Org]) -> Precision {
    let claims = || findings(orgs).filter(|f| is_claim(f));
    let by_severity = Severity::ALL.iter().rev().map(|severity| {
        tally(
            severity.as_str(),
            claims().filter(|f| f.severity == *severity),
        )
    });
    let by_family = Family::ALL.iter().map(|family| {
        tally(
            family.as_str(),
            findings(orgs).filter(|f| f.family == family.as_str()),
        )
    });
    let mut rules: BTreeMap<&str, Vec<&JudgedFinding>> = BTreeMap::new();
    for finding in findings(orgs) {
        rules.entry(&finding.rule).or_default().push(finding);
    }
    let by_rule = rules
        .iter()
        .map(|(rule, of)| tally(rule, of.iter().copied()));
    Precision {
        claims: tally("claims", claims()),
        high: tally("high", claims().filter(|f| is_high(f))),
        by_family: by_family.collect(),
        by_severity: by_severity.collect(),
        by_rule: by_rule.collect(),
    }
}

fn tally<'a>(name: &str, findings: impl Iterator<Item = &'a JudgedFinding>) -> Tally {
    let mut of = [0u64; 4];
    for finding in findings {
        of[finding.verdict as usize] += 1;
    }
    let [answers, look_alikes, hygiene, false_alarms] = of;
    Tally {
        name: name.to_owned(),
        findings: answers + look_alikes + hygiene + false_alarms,
        answers,
        look_alikes,
        hygiene,
        false_alarms,
        precision: Ratio::new(answers, answers + false_alarms),
        strict: Ratio::new(answers, answers + false_alarms + look_alikes),
    }
}

fn recall(orgs: &[Org]) -> Recall {
    let promised = || labels(orgs).filter(|(_, label)| label.promised);
    let of = |evading: bool| {
        let labels = promised().filter(move |(_, label)| label.mutation.is_empty() != evading);
        labels.collect::<Vec<_>>()
    };
    let (plain, evading) = (of(false), of(true));
    let grouped = |labels: &[(&Org, &JudgedLabel)], key: fn(&JudgedLabel) -> &str| {
        let mut groups: BTreeMap<String, Vec<(&Org, &JudgedLabel)>> = BTreeMap::new();
        for (org, label) in labels {
            groups
                .entry(key(label).to_owned())
                .or_default()
                .push((org, label));
        }
        let groups = groups.iter().map(|(name, of)| found(name, of));
        groups.collect::<Vec<_>>()
    };
    Recall {
        plain: found("plain", &plain),
        evading: found("evading", &evading),
        by_attack: grouped(&plain, |label| &label.name),
        by_attack_evading: grouped(&evading, |label| &label.name),
        by_mutation: grouped(&evading, |label| &label.mutation),
    }
}

fn found(name: &str, labels: &[(&Org, &JudgedLabel)]) -> Found {
    let told = |label: &JudgedLabel| !label.told_by.is_empty();
    let of_tier = |tier: &str| {
        let of_tier = labels.iter().filter(|(_, label)| label.tier == tier);
        Ratio::count(of_tier, |(_, label)| told(label))
    };
    // Labels of one attack on one org; an org is one row of the pool, whatever its name.
    let mut campaigns: BTreeMap<(usize, &str, &str), Vec<&JudgedLabel>> = BTreeMap::new();
    for (org, label) in labels {
        let org = std::ptr::from_ref::<Org>(org) as usize;
        let campaign = (org, label.name.as_str(), label.variant.as_str());
        campaigns.entry(campaign).or_default().push(label);
    }
    let nights: Vec<Option<i64>> = campaigns.values().map(|of| nights_of(of)).collect();
    let mut told_after: Vec<i64> = nights.iter().copied().flatten().collect();
    told_after.sort_unstable();
    Found {
        name: name.to_owned(),
        labels: Ratio::count(labels, |(_, label)| told(label)),
        free: of_tier("free"),
        shield: of_tier("shield"),
        campaigns: Ratio::count(&nights, |nights| nights.is_some()),
        first_night: Ratio::count(&nights, |nights| **nights == Some(0)),
        nights_median: median(&told_after),
        nights_max: told_after.last().copied(),
    }
}

/// Nights from a campaign's first promised event to the first night that told of it.
fn nights_of(campaign: &[&JudgedLabel]) -> Option<i64> {
    let first = campaign.iter().map(|label| label.night).min()?;
    let told = campaign.iter().filter_map(|label| {
        let nights = u64::try_from(label.nights?).ok()?;
        label.night.checked_add_days(Days::new(nights))
    });
    Some((told.min()? - first).num_days())
}

fn median(sorted: &[i64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)? as f64;
    Some(match sorted.len() % 2 {
        1 => upper,
        _ => (upper + sorted[middle - 1] as f64) / 2.0,
    })
}

fn clean(orgs: &[Org], integration_nights: u64) -> Clean {
    let clean = || findings(orgs).filter(|finding| finding.clean);
    let rate = |name: &str, of: Vec<&JudgedFinding>| {
        let high = of.iter().filter(|f| is_high(f)).count() as u64;
        let findings = of.len() as u64;
        Rate {
            name: name.to_owned(),
            findings,
            high,
            per_100: per_100(findings, integration_nights),
            high_per_100: per_100(high, integration_nights),
        }
    };
    let by_severity = Severity::ALL.iter().rev().map(|severity| {
        let of = clean().filter(|f| f.severity == *severity);
        rate(severity.as_str(), of.collect())
    });
    let mut rules: BTreeMap<&str, Vec<&JudgedFinding>> = BTreeMap::new();
    for finding in clean() {
        rules.entry(&finding.rule).or_default().push(finding);
    }
    let mut by_rule: Vec<Rate> = rules.into_iter().map(|(rule, of)| rate(rule, of)).collect();
    by_rule.sort_by_key(|rate| std::cmp::Reverse((rate.high, rate.findings)));
    let high = rate("high and above", clean().filter(|f| is_high(f)).collect());
    Clean {
        integration_nights,
        by_severity: by_severity.collect(),
        by_rule,
        high_claims: rate(
            "high and above, of misuse, attack and behaviour",
            clean().filter(|f| is_high(f) && is_claim(f)).collect(),
        ),
        budget: BUDGET,
        verdict: match high.high_per_100 {
            None => "unknown",
            Some(rate) if rate <= BUDGET => "within",
            Some(_) => "exceeded",
        },
        high,
    }
}

/// Per 100 integration users and clean night.
pub fn per_100(findings: u64, integration_nights: u64) -> Option<f64> {
    let nights = integration_nights as f64;
    (integration_nights > 0).then(|| round(findings as f64 * 100.0 / nights))
}
