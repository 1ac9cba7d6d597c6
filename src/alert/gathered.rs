//! Many findings told as one number: how many, by which rules, of whom.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::digest::News;
use crate::config::Severity;
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
    /// The users, those with the gravest findings first, then how many findings there are of each
    /// rule and severity: `ann@example.com, … + 630 more (session-hijack-suspected 650, ioc-match
    /// 51; critical 2, medium 699)`.
    pub details: String,
}

impl GatheredWords {
    /// None where the news gathers nothing.
    pub fn of(news: &News) -> Option<Self> {
        let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
        let mut severities: BTreeMap<Severity, usize> = BTreeMap::new();
        let mut users: BTreeMap<&str, Severity> = BTreeMap::new();
        let mut all = 0_usize;
        for gathered in news.gathered() {
            all += 1;
            *rules.entry(&gathered.rule_id).or_default() += 1;
            *severities.entry(gathered.severity).or_default() += 1;
            if let Some(who) = &gathered.who {
                let gravest = users.entry(who).or_insert(gathered.severity);
                *gravest = gathered.severity.max(*gravest);
            }
        }
        if all == 0 {
            return None;
        }
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|(rule, n)| (Reverse(*n), *rule));
        let rules = rules
            .iter()
            .map(|(rule, n)| format!("{} {n}", printable(rule, MAX_NAME)));
        let severities: Vec<_> = severities
            .iter()
            .rev()
            .map(|(s, n)| format!("{s} {n}"))
            .collect();
        let mut names: Vec<_> = users.iter().collect();
        names.sort_by_key(|(who, gravest)| (Reverse(**gravest), **who));
        let names = names.iter().map(|(who, _)| printable(who, MAX_NAME));
        Some(Self {
            summary: format!(
                "{} of {}",
                counted(all, "finding"),
                counted(users.len(), "user")
            ),
            details: format!(
                "{} ({}; {})",
                capped(names, MAX_NAMED),
                capped(rules, MAX_RULES),
                severities.join(", ")
            ),
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
