//! Many findings told as one number: how many, by which rules, of whom.

use std::collections::{BTreeMap, BTreeSet};

use super::digest::News;
use crate::privacy::printable;
use crate::words::counted;

/// Users that are named.
const MAX_NAMED: usize = 20;
/// Rules that are named.
const MAX_RULES: usize = 8;
/// Longest name, in characters.
const MAX_NAME: usize = 80;

/// What a piece of news gathers, in printable words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatheredWords {
    /// `701 findings of 650 users`
    pub summary: String,
    /// `session-hijack-suspected 650, ioc-match 51`
    pub rules: String,
    /// `ann@example.com, bob@example.com, … + 630 more`
    pub users: String,
}

impl GatheredWords {
    /// None where the news gathers nothing.
    pub fn of(news: &News) -> Option<Self> {
        let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
        let mut users: BTreeSet<&str> = BTreeSet::new();
        let mut all = 0_usize;
        for gathered in news.gathered() {
            all += 1;
            *rules.entry(&gathered.rule_id).or_default() += 1;
            users.extend(gathered.who.as_deref());
        }
        if all == 0 {
            return None;
        }
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        let rules = rules
            .iter()
            .map(|(rule, n)| format!("{} {n}", printable(rule, MAX_NAME)));
        Some(Self {
            summary: format!(
                "{} of {}",
                counted(all, "finding"),
                counted(users.len(), "user")
            ),
            rules: capped(rules, MAX_RULES),
            users: capped(users.iter().map(|who| printable(who, MAX_NAME)), MAX_NAMED),
        })
    }
}

fn capped(words: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let hidden = words.len().saturating_sub(most);
    let mut shown: Vec<_> = words.take(most).collect();
    if hidden > 0 {
        shown.push(format!("+ {hidden} more"));
    }
    shown.join(", ")
}
