//! Canaries: each night every rule's own first positive case goes the way of the real logs. A
//! rule that stays silent on what it was written for cannot see anything.

use chrono::{DateTime, Utc};

use super::compare::is_user;
use super::format::{Case, CaseFile, CaseKind, Expected};
use super::run::CaseRunner;
use crate::config::RuleStatus;
use crate::detect::rule::{Rule, RuleSet};
use crate::detect::suppress::Suppressions;
use crate::lake::{Canary, CanaryState, FindingRow, RuleStatus as RunStatus};
use crate::privacy::printable;

/// Longest reason kept, in characters.
const REASON_CHARS: usize = 300;

impl CaseRunner<'_> {
    /// The canary of every rule that is not off, by rule. `rules` are those in force, with the
    /// operator's settings. A rule without a positive case has none: `rules lint` asks for one.
    pub fn canaries(&self, rules: &RuleSet, at: DateTime<Utc>) -> Vec<Canary> {
        let on = rules.iter().filter(|rule| rule.status != RuleStatus::Off);
        let jobs: Vec<_> = on
            .filter_map(|rule| Some((rule, first_positive(rule)?)))
            .collect();
        self.each(&jobs, |(rule, case)| {
            let (case_name, (state, reason)) = match case {
                Ok(case) => (case.name.as_str(), self.state_or_panic(rule, case)),
                Err(why) => ("", (CanaryState::Failed, Some(why.clone()))),
            };
            Canary {
                rule_id: rule.id.clone(),
                case_name: printable(case_name, REASON_CHARS),
                state,
                reason: reason.map(|why| printable(&why, REASON_CHARS)),
                checked_at: at,
            }
        })
    }

    /// Names all that the canaries depend on beside the program and the catalogue: rules, their
    /// cases and settings, and the registries of the cases.
    pub fn canaries_of(&self, rules: &RuleSet) -> String {
        let mut hash = blake3::Hasher::new();
        let mut part = |text: &str| {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        for rule in rules.iter().filter(|rule| rule.status != RuleStatus::Off) {
            part(&rule.sql);
            part(rule.cases.as_ref().map_or("", |cases| &cases.text));
            part(&format!("{:?}", rule.params));
        }
        for (name, text) in rules.registries() {
            part(name);
            part(text);
        }
        hash.finalize().to_hex().to_string()
    }

    /// A canary must not end the night that it is there to watch.
    fn state_or_panic(&self, rule: &Rule, case: &Case) -> (CanaryState, Option<String>) {
        let state = std::panic::AssertUnwindSafe(|| self.state(rule, case));
        std::panic::catch_unwind(state).unwrap_or_else(|_| {
            let why = "the program failed over it; its message is on standard error";
            (CanaryState::Failed, Some(why.to_owned()))
        })
    }

    fn state(&self, rule: &Rule, case: &Case) -> (CanaryState, Option<String>) {
        let (as_written, in_force) = match versions(rule, case) {
            Ok(versions) => versions,
            Err(why) => return (CanaryState::Failed, Some(why)),
        };
        let tuned = as_written.params != in_force.params;
        match self.fires(&in_force, case) {
            Ok(None) => (CanaryState::Fired, None),
            Err(why) if !tuned => (CanaryState::Failed, Some(why)),
            Ok(Some(silence)) if !tuned => (CanaryState::Silent, Some(silence)),
            tuned => match (self.fires(&as_written, case), tuned) {
                (Ok(None), _) => (
                    CanaryState::SilencedBySettings,
                    Some(format!(
                        "fires with the rule's own defaults, not with the params of [rules.\"{}\"]",
                        rule.id
                    )),
                ),
                (Ok(Some(silence)), _) => (CanaryState::Silent, Some(silence)),
                (Err(why), _) => (CanaryState::Failed, Some(why)),
            },
        }
    }

    /// What did not come out; None where each user that is expected has a finding. How grave it
    /// is and what it says may be tuned.
    fn fires(&self, rule: &Rule, case: &Case) -> Result<Option<String>, String> {
        let none = Suppressions::default();
        let evaluated = self.evaluate(std::slice::from_ref(rule), case, &none)?;
        for outcome in &evaluated.report.rules {
            let reason = outcome.reason.as_deref().unwrap_or_default();
            match outcome.status {
                RunStatus::Failed => return Err(format!("the rule failed: {reason}")),
                RunStatus::NeverHadInput => return Err(format!("nothing was judged: {reason}")),
                RunStatus::Ok | RunStatus::Blind => {}
            }
        }
        let findings = &evaluated.report.findings;
        let mut own = case
            .expect
            .iter()
            .filter(|e| e.rule.as_ref().is_none_or(|id| *id == rule.id));
        let missing = own.find(|wanted| !came(wanted, findings));
        Ok(missing.map(|wanted| {
            let misread = evaluated.misreadings.first();
            match (misread, &wanted.user) {
                (Some(misread), _) => format!("no finding: {misread}"),
                (None, Some(user)) if !user.is_empty() => format!("no finding for {user}"),
                (None, _) => "no finding".to_owned(),
            }
        }))
    }
}

fn came(wanted: &Expected, findings: &[FindingRow]) -> bool {
    let user = wanted.user.as_deref();
    findings
        .iter()
        .any(|finding| user.is_none_or(|user| is_user(user, finding)))
}

/// None where the rule has no positive case; an error where its cases cannot be read.
fn first_positive(rule: &Rule) -> Option<Result<Case, String>> {
    match CaseFile::read(rule.cases.as_ref()?) {
        Err(error) => Some(Err(error.to_string())),
        Ok(file) => {
            let mut cases = file.cases.into_iter();
            cases.find(|case| case.kind == CaseKind::Positive).map(Ok)
        }
    }
}

/// The rule as it was written and as the operator tuned it, both with the params of the case
/// where the operator set none.
fn versions(rule: &Rule, case: &Case) -> Result<(Rule, Rule), String> {
    let mut as_written =
        Rule::read(&rule.sql, rule.origin.clone()).map_err(|error| error.to_string())?;
    as_written.status = RuleStatus::Active;
    let defaults = as_written.params.clone();
    for (name, value) in &case.params {
        as_written.set_param(name, value)?;
    }
    let mut in_force = as_written.clone();
    for (name, param) in &rule.params {
        if defaults.get(name) != Some(param) {
            in_force.head.params.insert(name.clone(), param.clone());
        }
    }
    Ok((as_written, in_force))
}
