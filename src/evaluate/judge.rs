//! Holds what was told of an org against what is known of it.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::claim::{About, Claim, Span};
use super::labels::{Kind, Label};
use crate::config::{Family, Severity};

/// What a finding turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Says what an attack's label says.
    Answer,
    /// Told of what only looks like an attack, no graver than it may be.
    LookAlike,
    /// A true statement about how the org is laid out, kept or logged: no claim of an attack.
    Hygiene,
    FalseAlarm,
}

/// A finding and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedFinding {
    pub rule: String,
    pub family: String,
    pub severity: Severity,
    pub day: NaiveDate,
    pub subject_kind: String,
    pub subject: Option<String>,
    pub verdict: Verdict,
    /// The label that it answers, whose story it is told of, or beside whose attack it stands.
    pub label: Option<String>,
    /// Whether it is of the subject and the days of an attack, be it a right answer or not.
    pub beside_attack: bool,
    /// Whether its day is one on which no attack goes on.
    pub clean: bool,
}

/// A label and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedLabel {
    pub id: String,
    pub kind: Kind,
    pub name: String,
    pub variant: String,
    pub mutation: String,
    pub tier: String,
    pub night: NaiveDate,
    pub subject: Option<String>,
    /// Whether something has to be told of it.
    pub promised: bool,
    /// Rules that told what had to be told, as gravely as it had to be.
    pub told_by: Vec<String>,
    /// Nights from its first event to the night by whose logs it was told.
    pub nights: Option<i64>,
    /// Whether anything at all was told of its subject in its time.
    pub told_at_all: bool,
    /// Of one that was missed: rules of the family `coverage` that said that something could not
    /// be seen.
    pub blind_by: Vec<String>,
    /// The gravest of what was told of a story, where that is too grave.
    pub above: Option<Severity>,
}

/// The findings and labels of one org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    pub labels: Vec<JudgedLabel>,
    pub findings: Vec<JudgedFinding>,
}

/// Families whose findings say that somebody does what he should not: precision is about them.
pub fn claims_an_attack(family: Option<Family>) -> bool {
    !matches!(
        family,
        Some(Family::Credential | Family::Identity | Family::Coverage)
    )
}

/// A label with what matching needs of it.
struct Known<'a> {
    label: &'a Label,
    about: About,
    span: Span,
    /// Whether it names a subject at all.
    named: bool,
}

impl Known<'_> {
    fn allows(&self, rule: &str) -> bool {
        self.label.rules.contains(rule) || self.label.must.contains(rule)
    }

    fn is_attack(&self) -> bool {
        self.label.kind == Kind::Attack
    }
}

/// Days on which an attack goes on, with the day after.
pub fn attacked_days(labels: &[Label]) -> impl Fn(NaiveDate) -> bool {
    let attacks = labels.iter().filter(|label| label.kind == Kind::Attack);
    let spans: Vec<Span> = attacks.map(Span::of).collect();
    move |day| spans.iter().any(|span| span.holds(day))
}

pub fn judge(labels: &[Label], claims: &[Claim]) -> Judged {
    let known: Vec<Known<'_>> = labels.iter().map(known).collect();
    let answers = answers(&known, claims);
    let attacked = attacked_days(labels);
    let findings = claims
        .iter()
        .zip(&answers)
        .map(|(claim, answers)| verdict(&known, claim, answers, attacked(claim.day)))
        .collect();
    let unanswering = claims.iter().zip(&answers);
    let unanswering = unanswering.filter(|(_, answers)| answers.is_empty());
    let unanswering: Vec<&Claim> = unanswering.map(|(claim, _)| claim).collect();
    let labels = known
        .iter()
        .enumerate()
        .map(|(n, label)| {
            let answering = claims.iter().zip(&answers);
            let answering = answering.filter(|(_, answers)| answers.contains(&n));
            let answering: Vec<&Claim> = answering.map(|(claim, _)| claim).collect();
            told(label, &answering, &unanswering, claims, &known)
        })
        .collect();
    Judged { labels, findings }
}

fn known(label: &Label) -> Known<'_> {
    let about = About::of_label(label);
    Known {
        label,
        named: about != About::default(),
        about,
        span: Span::of(label),
    }
}

/// For each claim the attacks that it answers. What an alert counts under another finding answers
/// what that one answers, if it is a right answer to it.
fn answers(known: &[Known<'_>], claims: &[Claim]) -> Vec<BTreeSet<usize>> {
    let attacks = || known.iter().enumerate().filter(|(_, k)| k.is_attack());
    let may =
        |claim: &Claim, known: &Known<'_>| known.allows(&claim.rule) && claim.overlaps(&known.span);
    let mut found: Vec<BTreeSet<usize>> = claims
        .iter()
        .map(|claim| {
            let answered = attacks().filter(|(_, known)| may(claim, known));
            let answered = answered.filter(|(_, known)| claim.concerns(&known.about));
            answered.map(|(n, _)| n).collect()
        })
        .collect();
    let leaders: std::collections::HashMap<&str, BTreeSet<usize>> = claims
        .iter()
        .zip(&found)
        .map(|(claim, answered)| (claim.id.as_str(), answered.clone()))
        .collect();
    for (claim, answered) in claims.iter().zip(&mut found) {
        let leader = claim.gathered_by.as_deref();
        let Some(led) = leader.and_then(|leader| leaders.get(leader)) else {
            continue;
        };
        answered.extend(led.iter().filter(|n| may(claim, &known[**n])));
    }
    found
}

fn verdict(
    known: &[Known<'_>],
    claim: &Claim,
    answers: &BTreeSet<usize>,
    attacked: bool,
) -> JudgedFinding {
    let stories = known.iter().filter(|known| !known.is_attack());
    let mut stories = stories.filter(|story| is_of_story(story, claim));
    let beside = known.iter().find(|known| {
        known.is_attack()
            && claim.overlaps(&known.span)
            && (claim.about.agrees(&known.about) || !known.named)
    });
    let (verdict, label) = if let Some(n) = answers.first() {
        (Verdict::Answer, Some(known[*n].label))
    } else if let Some(story) = stories.next() {
        // Of two stories at a time the more lenient one explains it.
        let lenient = stories.fold(story, |a, b| {
            if b.label.max_severity > a.label.max_severity {
                b
            } else {
                a
            }
        });
        match claim.severity > lenient.label.max_severity {
            true => (Verdict::FalseAlarm, Some(lenient.label)),
            false => (Verdict::LookAlike, Some(lenient.label)),
        }
    } else {
        let verdict = match claims_an_attack(claim.family) {
            true => Verdict::FalseAlarm,
            false => Verdict::Hygiene,
        };
        (
            verdict,
            beside.filter(|known| known.named).map(|known| known.label),
        )
    };
    JudgedFinding {
        rule: claim.rule.clone(),
        family: claim.family.map_or("", Family::as_str).to_owned(),
        severity: claim.severity,
        day: claim.day,
        subject_kind: claim.subject_kind.to_owned(),
        subject: claim.subject.clone(),
        verdict,
        label: label.map(|label| label.id.clone()),
        beside_attack: !answers.is_empty() || beside.is_some(),
        clean: !attacked,
    }
}

/// Whether a claim is told of a story: of its subject in its time. A story that names nobody
/// explains the rules that it names; none explains how an org is laid out, unless it says so.
fn is_of_story(story: &Known<'_>, claim: &Claim) -> bool {
    let about = match story.named {
        true => {
            claim.about.agrees(&story.about)
                || story.allows(&claim.rule) && claim.concerns(&story.about)
        }
        false => story.allows(&claim.rule),
    };
    let is_told = claims_an_attack(claim.family) || story.allows(&claim.rule);
    is_told && about && claim.overlaps(&story.span)
}

fn told(
    known: &Known<'_>,
    answering: &[&Claim],
    unanswering: &[&Claim],
    claims: &[Claim],
    all: &[Known<'_>],
) -> JudgedLabel {
    let label = known.label;
    let first = known.span.first;
    let right = answering.iter().filter(|claim| {
        label.must.contains(&claim.rule)
            && claim.severity >= label.min_severity
            // What stood there before tells nothing of it.
            && claim.told >= first
    });
    let right: Vec<&&Claim> = right.collect();
    let nights = right
        .iter()
        .map(|claim| (claim.told - label.night).num_days().max(0));
    let promised = known.is_attack() && !label.must.is_empty();
    let of_it = || {
        let told = claims.iter().filter(|claim| claim.overlaps(&known.span));
        told.filter(|claim| claim.about.agrees(&known.about) || !known.named)
    };
    // What tells of an attack on the same subject is not told of the story.
    let above = || {
        let told = unanswering.iter();
        let told = told.filter(|claim| is_of_story(known, claim));
        let told = told.map(|claim| claim.severity);
        told.filter(|severity| *severity > label.max_severity).max()
    };
    let mut told_by: Vec<String> = right.iter().map(|claim| claim.rule.clone()).collect();
    told_by.sort();
    told_by.dedup();
    JudgedLabel {
        id: label.id.clone(),
        kind: label.kind,
        name: label.name.clone(),
        variant: label.variant.clone(),
        mutation: label.mutation.clone(),
        tier: label.tier.clone(),
        night: label.night,
        subject: [&label.username, &label.user_id, &label.app, &label.ip]
            .into_iter()
            .flatten()
            .next()
            .cloned(),
        promised,
        nights: nights.min(),
        told_at_all: of_it().any(|claim| claims_an_attack(claim.family)),
        blind_by: match promised && told_by.is_empty() {
            true => blind_by(known, claims, all),
            false => vec![],
        },
        told_by,
        above: match known.is_attack() {
            true => None,
            false => above(),
        },
    }
}

/// Rules of the family `coverage` that said, of this time and of nobody else, that something could
/// not be seen, and that no story explains.
fn blind_by(known: &Known<'_>, claims: &[Claim], all: &[Known<'_>]) -> Vec<String> {
    let explained = |claim: &Claim| {
        let mut stories = all.iter().filter(|known| !known.is_attack());
        stories.any(|story| is_of_story(story, claim))
    };
    let blind = claims.iter().filter(|claim| {
        claim.family == Some(Family::Coverage)
            && known.span.holds(claim.day)
            && (claim.about.names.is_empty() || claim.about.agrees(&known.about))
            && !explained(claim)
    });
    let rules: BTreeSet<String> = blind.map(|claim| claim.rule.clone()).collect();
    rules.into_iter().collect()
}
