//! The statements that rules enforce (`control` of a rule), and which rules enforce each: what is
//! watched, and what is not.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::coverage::Coverage;
use super::rule::{Rule, RuleSet};
use super::sight::Sight;
use crate::config::RuleStatus;

const STATEMENTS: &str = include_str!("data/controls.toml");

/// One statement of the guidance that the rules are made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// `S0.17`: the source, and the statement's place in it.
    pub id: String,
    pub text: String,
    /// Title of the source.
    pub source: String,
    /// How it is met where no rule can or need watch it.
    pub note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    statement: Vec<Control>,
}

/// All statements, in the order of their sources.
pub fn controls() -> Vec<Control> {
    toml::from_str::<Written>(STATEMENTS)
        .map(|written| written.statement)
        // The text is compiled in and read by a test.
        .unwrap_or_default()
}

/// What is done about a statement. The first that holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A rule is active and, as far as is known, sees its inputs.
    Enforced,
    /// Every active rule lacks an input today that it had before.
    Blind,
    /// Every active rule lacks an input that never came.
    NoInput,
    /// Rules exist, but none is active.
    Staging,
    Off,
    /// No rule, and the reason is known.
    Noted,
    /// No rule.
    Gap,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Blind => "blind",
            Self::NoInput => "no input",
            Self::Staging => "staging",
            Self::Off => "off",
            Self::Noted => "noted",
            Self::Gap => "gap",
        }
    }
}

/// A rule beside a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcer {
    pub rule_id: String,
    pub status: RuleStatus,
    /// Which input it lacks; none where it sees, or where no lake was asked.
    pub lacks: Option<String>,
    never: bool,
}

/// A statement and those that enforce it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    pub statement: Control,
    pub state: State,
    pub rules: Vec<Enforcer>,
}

/// What a lake tells of the rules' inputs.
pub struct Seen<'a> {
    pub coverage: &'a Coverage,
    /// The day by which blindness is judged.
    pub last_day: chrono::NaiveDate,
    pub blind_days: u32,
}

/// The whole table. Without a lake nothing is said of inputs.
pub fn enforcement(rules: &RuleSet, seen: Option<&Seen<'_>>) -> Vec<Enforcement> {
    let mut by_statement: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in rules.iter() {
        for id in &rule.control {
            by_statement.entry(id).or_default().push(rule);
        }
    }
    controls()
        .into_iter()
        .map(|statement| {
            let rules = by_statement.get(statement.id.as_str());
            let rules: Vec<Enforcer> = rules
                .into_iter()
                .flatten()
                .map(|rule| enforcer(rule, seen))
                .collect();
            Enforcement {
                state: state_of(&rules, statement.note.is_some()),
                statement,
                rules,
            }
        })
        .collect()
}

fn enforcer(rule: &Rule, seen: Option<&Seen<'_>>) -> Enforcer {
    let sight = seen.map(|seen| {
        let Seen {
            coverage,
            last_day,
            blind_days,
        } = seen;
        coverage.judge(&rule.inputs, *last_day, *blind_days)
    });
    let (lacks, never) = match sight {
        None | Some(Sight::Sees) => (None, false),
        Some(Sight::Blind(reason)) => (Some(reason), false),
        Some(Sight::NeverHadInput(reason)) => (Some(reason), true),
    };
    Enforcer {
        rule_id: rule.id.clone(),
        status: rule.status,
        lacks,
        never,
    }
}

fn state_of(rules: &[Enforcer], noted: bool) -> State {
    let of_rule = |rule: &Enforcer| match (rule.status, &rule.lacks) {
        (RuleStatus::Off, _) => State::Off,
        (RuleStatus::Staging, _) => State::Staging,
        (RuleStatus::Active, None) => State::Enforced,
        (RuleStatus::Active, Some(_)) if rule.never => State::NoInput,
        (RuleStatus::Active, Some(_)) => State::Blind,
    };
    let none = if noted { State::Noted } else { State::Gap };
    rules.iter().map(of_rule).min().unwrap_or(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Origin, test_rule};

    fn rules(each: &[(&str, &str, RuleStatus)]) -> RuleSet {
        let mut set = RuleSet::default();
        for (id, input, status) in each {
            let text = test_rule(id, "").replace("[\"Login\"]", &format!("[\"{input}\"]"));
            let file = format!("{id}.sql");
            let mut rule = Rule::read(&text, Origin::Embedded { file }).unwrap();
            rule.status = *status;
            set.add(rule).unwrap();
        }
        set
    }

    fn state(rules: &RuleSet, seen: Option<&Seen<'_>>, id: &str) -> State {
        let all = enforcement(rules, seen);
        all.iter().find(|e| e.statement.id == id).unwrap().state
    }

    #[test]
    fn the_table_is_whole_and_each_statement_has_one_number() {
        let all = controls();
        let mut ids: Vec<&str> = all.iter().map(|s| s.id.as_str()).collect();
        assert_eq!((ids.first(), ids.len()), (Some(&"S0.1"), 76));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all.len());
        assert!(
            all.iter()
                .all(|s| !s.text.is_empty() && !s.source.is_empty())
        );
    }

    #[test]
    fn every_rule_names_statements_that_exist() {
        let known: Vec<String> = controls().into_iter().map(|s| s.id).collect();
        for rule in RuleSet::embedded().unwrap().iter() {
            for id in &rule.control {
                assert!(known.contains(id), "{}: {id}", rule.id);
            }
        }
    }

    #[test]
    fn a_statement_without_a_rule_is_a_gap_and_one_with_a_reason_is_told_apart() {
        let none = RuleSet::default();
        assert_eq!(state(&none, None, "S0.1"), State::Gap);
        assert_eq!(state(&none, None, "S2.9"), State::Noted);
    }

    #[test]
    fn the_best_placed_rule_decides() {
        let active = RuleStatus::Active;
        let staged = [
            ("a", "Login", RuleStatus::Staging),
            ("b", "Login", RuleStatus::Off),
        ];
        assert_eq!(state(&rules(&staged), None, "S0.1"), State::Staging);
        let day = |text: &str| text.parse().unwrap();
        let mut coverage = Coverage::default();
        coverage.add("Login", day("2026-01-20"));
        coverage.add("Logout", day("2026-01-01"));
        let seen = Seen {
            coverage: &coverage,
            last_day: day("2026-01-20"),
            blind_days: 3,
        };
        let of = |inputs: &[&str]| {
            let each: Vec<_> = ["a", "b"]
                .into_iter()
                .zip(inputs)
                .map(|(id, i)| (id, *i, active))
                .collect();
            state(&rules(&each), Some(&seen), "S0.1")
        };
        assert_eq!(of(&["Login", "RestApi"]), State::Enforced);
        assert_eq!(of(&["Logout", "RestApi"]), State::Blind);
        assert_eq!(of(&["RestApi"]), State::NoInput);
    }
}
