//! Rules that call something new, and a lake that is itself too new for that: until it holds enough
//! days they say nothing, which is no quiet night.

use chrono::NaiveDate;

use super::coverage::Coverage;
use super::params::ParamValue;
use super::rule::{Rule, RuleSet};
use super::runner::RuleOutcome;
use crate::baseline;
use crate::lake::RuleStatus;
use crate::words::counted;

/// The parameter of a rule that says how many earlier days with logs it takes.
const MIN_COVERED_DAYS: &str = "min_covered_days";
/// The table that says what is usual, which takes as many days as the baseline does.
const EXPECTED_ACTIVITY: &str = "expected_activity";
/// Rules named.
const MAX_NAMED: usize = 10;

/// What the reader should know of the rules that were asked and lack a past on this day; none where
/// all have theirs.
pub(super) fn too_short(
    rules: &RuleSet,
    asked: &[RuleOutcome],
    coverage: &Coverage,
    last_day: NaiveDate,
) -> Option<String> {
    let days = coverage.days_before(last_day);
    let sees = |rule: &&Rule| {
        let mut asked = asked.iter();
        asked.any(|r| r.rule_id == rule.id && r.status == RuleStatus::Ok)
    };
    let mut lack: Vec<(i64, &str)> = rules
        .iter()
        .filter(sees)
        .map(|rule| (days_needed(rule), rule.id.as_str()))
        .filter(|(needed, _)| *needed > days as i64)
        .collect();
    if lack.is_empty() {
        return None;
    }
    lack.sort_unstable();
    let mut named: Vec<String> = lack
        .iter()
        .take(MAX_NAMED)
        .map(|(needed, id)| format!("{id} (needs {needed})"))
        .collect();
    if lack.len() > MAX_NAMED {
        named.push(format!("+ {} more", lack.len() - MAX_NAMED));
    }
    Some(format!(
        "{} cannot tell yet what is new or unusual, with logs of {} before {last_day}: {}",
        counted(lack.len(), "rule"),
        counted(days, "day"),
        named.join(", ")
    ))
}

fn days_needed(rule: &Rule) -> i64 {
    let own = match rule.params.get(MIN_COVERED_DAYS).map(|param| &param.value) {
        Some(ParamValue::Int(days)) => *days,
        _ => 0,
    };
    match rule.sql.contains(EXPECTED_ACTIVITY) {
        true => own.max(baseline::MIN_COVERED_DAYS),
        false => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Origin, test_rule};

    fn day(n: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, n).unwrap()
    }

    fn rules(each: &[(&str, Option<u32>)]) -> RuleSet {
        let mut set = RuleSet::default();
        for (id, days) in each {
            let text = match days {
                None => test_rule(id, ""),
                Some(days) => {
                    let declared =
                        format!("type = \"int\"\ndefault = {days}\nmeaning = \"days\"\n");
                    let text = test_rule(id, &format!("[params.min_covered_days]\n{declared}"));
                    text.replace("WHERE ", "WHERE $min_covered_days > 0 AND ")
                }
            };
            let file = format!("{id}.sql");
            set.add(Rule::read(&text, Origin::Embedded { file }).unwrap())
                .unwrap();
        }
        set
    }

    fn asked(each: &[(&str, RuleStatus)]) -> Vec<RuleOutcome> {
        let outcome = |(id, status): &(&str, RuleStatus)| RuleOutcome {
            rule_id: (*id).to_owned(),
            version: 1,
            status: *status,
            reason: None,
            rows: 0,
            rows_outside_window: 0,
            findings: 0,
            suppressed: 0,
            elapsed_ms: 0,
        };
        each.iter().map(outcome).collect()
    }

    #[test]
    fn rules_that_need_more_days_than_the_lake_holds_are_named_with_what_they_need() {
        let rules = rules(&[
            ("a", Some(5)),
            ("b", Some(30)),
            ("c", Some(3)),
            ("d", None),
            ("e", Some(9)),
        ]);
        let mut coverage = Coverage::default();
        for (event, n) in [
            ("Login", 1),
            ("Login", 2),
            ("API", 2),
            ("API", 4),
            ("Login", 6),
            ("Login", 8),
        ] {
            coverage.add(event, day(n));
        }
        let asked = asked(&[
            ("a", RuleStatus::Ok),
            ("b", RuleStatus::Ok),
            ("c", RuleStatus::Ok),
            ("d", RuleStatus::Ok),
            ("e", RuleStatus::NeverHadInput),
        ]);
        let told = too_short(&rules, &asked, &coverage, day(8)).unwrap();
        let wanted = "2 rules cannot tell yet what is new or unusual, with logs of 4 days before \
                      2026-01-08: a (needs 5), b (needs 30)";
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_lake_with_enough_days_has_nothing_to_be_told() {
        let rules = rules(&[("a", Some(2)), ("b", None)]);
        let mut coverage = Coverage::default();
        (1..=3).for_each(|n| coverage.add("Login", day(n)));
        let asked = asked(&[("a", RuleStatus::Ok), ("b", RuleStatus::Ok)]);
        assert_eq!(too_short(&rules, &asked, &coverage, day(3)), None);
    }
}
