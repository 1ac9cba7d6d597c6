//! What the comparators told of all orgs, beside the program itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::comparators::JudgedComparator;
use super::judge::{JudgedFinding, Verdict};
use super::org::Org;
use super::ratio::Ratio;
use super::score::{is_claim, per_100};
use crate::config::Severity;

/// What one comparator, or the program itself, told of all orgs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerScore {
    pub id: String,
    pub title: String,
    pub tier: String,
    pub alerts: u64,
    pub precision: Ratio,
    pub look_alikes: u64,
    /// Of the labels of which something has to be told.
    pub labels: Ratio,
    /// Attacks on an org of which one such label was told.
    pub campaigns: Ratio,
    /// By attack, of campaigns.
    pub by_attack: Vec<(String, Ratio)>,
    /// Per 100 integration users and clean night.
    pub clean_per_100: Option<f64>,
    pub clean_high_per_100: Option<f64>,
    /// Orgs on which it failed, and why it did on the first of them.
    pub failed: u64,
    pub why: Option<String>,
}

/// The program itself, then each comparator over the orgs on which it was asked; nothing where none
/// was.
pub fn peers(orgs: &[Org]) -> Vec<PeerScore> {
    let ids: BTreeSet<&str> = orgs
        .iter()
        .flat_map(|org| &org.comparators)
        .map(|peer| peer.id.as_str())
        .collect();
    if ids.is_empty() {
        return vec![];
    }
    let mut all = vec![own(orgs, false), own(orgs, true)];
    all.extend(ids.into_iter().filter_map(|id| peer(id, orgs)));
    all
}

/// The program's own claims of an attack; `generous`: scored as the comparators are, by which any
/// claim of a label's subject and days tells of it.
fn own(orgs: &[Org], generous: bool) -> PeerScore {
    let findings = || orgs.iter().flat_map(|org| &org.judged.findings);
    let claims = || findings().filter(|finding| is_claim(finding));
    let count = |passes: &dyn Fn(&&JudgedFinding) -> bool| claims().filter(passes).count() as u64;
    let told = orgs.iter().map(|org| {
        let labels = &org.judged.labels;
        promised(org, |n| match generous {
            true => labels[n].told_at_all || !labels[n].told_by.is_empty(),
            false => !labels[n].told_by.is_empty(),
        })
    });
    let told: Vec<Vec<Campaign<'_>>> = told.collect();
    let told: Vec<&Campaign<'_>> = told.iter().flatten().collect();
    let answers = count(&|f| f.verdict == Verdict::Answer || generous && f.beside_attack);
    let wrong = count(&|f| f.verdict == Verdict::FalseAlarm && !(generous && f.beside_attack));
    let nights = orgs
        .iter()
        .map(|org| org.clean_nights.saturating_mul(org.integrations))
        .sum();
    PeerScore {
        id: if generous {
            "orgwatch-as-peers"
        } else {
            "orgwatch"
        }
        .to_owned(),
        title: match generous {
            true => "This program, scored as the others are",
            false => "This program",
        }
        .to_owned(),
        tier: "free".to_owned(),
        alerts: claims().count() as u64,
        precision: Ratio::new(answers, answers + wrong),
        look_alikes: count(&|f| f.verdict == Verdict::LookAlike),
        labels: labels_of(&told),
        campaigns: Ratio::count(&told, |of| of.told > 0),
        by_attack: by_attack(&told),
        clean_per_100: per_100(count(&|f| f.clean), nights),
        clean_high_per_100: per_100(count(&|f| f.clean && f.severity >= Severity::High), nights),
        failed: 0,
        why: None,
    }
}

fn labels_of(campaigns: &[&Campaign<'_>]) -> Ratio {
    let sum = |count: fn(&Campaign<'_>) -> u64| campaigns.iter().map(|of| count(of)).sum();
    Ratio::new(sum(|of| of.told), sum(|of| of.labels))
}

fn peer(id: &str, orgs: &[Org]) -> Option<PeerScore> {
    let mut asked: Vec<(&Org, &JudgedComparator)> = vec![];
    for org in orgs {
        let one = org.comparators.iter().find(|peer| peer.id == id);
        asked.extend(one.map(|peer| (org, peer)));
    }
    let any = asked.first()?.1;
    let failures = || asked.iter().filter_map(|(_, peer)| peer.failed.as_ref());
    let answered: Vec<_> = asked
        .iter()
        .filter(|(_, peer)| peer.failed.is_none())
        .collect();
    let sum = |count: fn(&JudgedComparator) -> u64| {
        answered.iter().map(|(_, peer)| count(peer)).sum::<u64>()
    };
    let nights = answered
        .iter()
        .map(|(org, _)| org.clean_nights.saturating_mul(org.integrations));
    let nights = nights.sum();
    let told = answered.iter().map(|(org, peer)| {
        let told = |n: usize| peer.told.contains(&n);
        promised(org, told)
    });
    let told: Vec<Vec<Campaign<'_>>> = told.collect();
    let told: Vec<&Campaign<'_>> = told.iter().flatten().collect();
    let answers = sum(|peer| peer.answers);
    Some(PeerScore {
        id: id.to_owned(),
        title: any.title.clone(),
        tier: any.tier.clone(),
        alerts: sum(|peer| peer.alerts),
        precision: Ratio::new(answers, answers + sum(|peer| peer.false_alarms)),
        look_alikes: sum(|peer| peer.look_alikes),
        labels: labels_of(&told),
        campaigns: Ratio::count(&told, |of| of.told > 0),
        by_attack: by_attack(&told),
        clean_per_100: per_100(sum(|peer| peer.clean), nights),
        clean_high_per_100: per_100(sum(|peer| peer.clean_high), nights),
        failed: failures().count() as u64,
        why: failures().next().cloned(),
    })
}

/// One attack on one org: how many of its promised labels were told.
struct Campaign<'a> {
    name: &'a str,
    labels: u64,
    told: u64,
}

/// The campaigns of an org that have a promised label.
fn promised<'a>(org: &'a Org, told: impl Fn(usize) -> bool) -> Vec<Campaign<'a>> {
    let mut campaigns: BTreeMap<(&str, &str), Campaign<'a>> = BTreeMap::new();
    for (n, label) in org.judged.labels.iter().enumerate() {
        if !label.promised {
            continue;
        }
        let campaign = campaigns
            .entry((&label.name, &label.variant))
            .or_insert(Campaign {
                name: &label.name,
                labels: 0,
                told: 0,
            });
        campaign.labels += 1;
        campaign.told += u64::from(told(n));
    }
    campaigns.into_values().collect()
}

fn by_attack(campaigns: &[&Campaign<'_>]) -> Vec<(String, Ratio)> {
    let names: BTreeSet<&str> = campaigns.iter().map(|campaign| campaign.name).collect();
    let of = |name: &str| {
        let of = campaigns.iter().filter(|campaign| campaign.name == name);
        Ratio::count(of, |campaign| campaign.told > 0)
    };
    names
        .into_iter()
        .map(|name| (name.to_owned(), of(name)))
        .collect()
}
