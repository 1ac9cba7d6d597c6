//! The mails of one digest: what is critical must not be found on the second page of another.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::digest::{Digest, DigestFinding, News, case_of};
use crate::config::Severity;

impl Digest {
    /// The mails of it, the most urgent first: what is critical stands in a mail of its own, with
    /// what is news of the same subjects in the nights next to it, so that one story is one mail.
    /// None where there is nothing to tell.
    pub fn into_mails(self) -> Vec<Digest> {
        if !self.is_worth_a_mail() {
            return Vec::new();
        }
        let is_critical = |news: &News| news.severity() == Severity::Critical;
        let mut stories: BTreeMap<String, Vec<NaiveDate>> = BTreeMap::new();
        for news in self.news.iter().filter(|news| is_critical(news)) {
            let nights = stories.entry(story_of(&news.finding)).or_default();
            nights.extend(news.days());
        }
        let is_urgent = |news: &News| {
            let story = stories.get(&story_of(&news.finding));
            is_critical(news) || story.is_some_and(|nights| is_near(news, nights))
        };
        let (urgent, others): (Vec<_>, Vec<_>) = self.news.iter().cloned().partition(is_urgent);
        if urgent.is_empty() || (others.is_empty() && self.resolved.is_empty()) {
            return vec![self];
        }
        let number = |news: &[News]| news.iter().map(|news| news.all().count()).sum();
        let first = Digest {
            org: self.org.clone(),
            audience: self.audience.clone(),
            health: self.health.clone(),
            elsewhere: number(&others),
            news: urgent,
            still_active: Vec::new(),
            resolved: Vec::new(),
            below_threshold: 0,
            ..self
        };
        let second = Digest {
            elsewhere: number(&first.news),
            news: others,
            ..self
        };
        vec![first, second]
    }
}

/// What findings of several nights have in common: the subject of their cases, else the case.
fn story_of(finding: &DigestFinding) -> String {
    let subject = finding.case_subject.clone();
    subject.unwrap_or_else(|| case_of(finding).to_owned())
}

/// Whether some of it is of one of these nights, of the one before or of the one after.
fn is_near(news: &News, nights: &[NaiveDate]) -> bool {
    let days = news.days();
    let mut pairs = days
        .iter()
        .flat_map(|day| nights.iter().map(move |night| *day - *night));
    pairs.any(|apart| apart.num_days().abs() <= 1)
}
