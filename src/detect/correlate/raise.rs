//! What the company of other findings makes of a finding's severity.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::privileged::Privileged;
use super::{in_words, takes_part};
use crate::config::{Family, Severity};
use crate::detect::subject::{day_of, names_of};
use crate::lake::{Finding, FindingRow};

/// The rule of which a single day of many calls is critical beside misuse or an attack.
const VOLUME: &str = "api-call-volume-anomaly";

/// How far apart findings may lie and still speak of one thing.
const REACH: TimeDelta = TimeDelta::hours(24);

/// Rules that the reason of a raise names.
const MAX_NAMED: usize = 5;

/// A severity above the rule's own, and the sentence that says why.
pub(super) struct Raise {
    pub to: Severity,
    pub because: String,
}

/// The findings of misuse and attack, by user and rule, in the order of time.
pub(super) struct Company<'a> {
    by_name: HashMap<String, BTreeMap<&'a str, Vec<Sight<'a>>>>,
}

/// When a finding was certainly there: at its first event and at its last.
type Sight<'a> = (DateTime<Utc>, &'a str, &'a FindingRow);

impl<'a> Company<'a> {
    pub fn of(findings: &'a [Finding]) -> Self {
        let mut by_name: HashMap<String, BTreeMap<&str, Vec<Sight<'_>>>> = HashMap::new();
        for finding in findings.iter().filter(|f| takes_part(f)) {
            let row = &finding.row;
            if !tells_of_an_intruder(row) || row.own_severity() < Severity::Medium {
                continue;
            }
            for name in names_of(row) {
                let rules = by_name.entry(name).or_default();
                let sights = rules.entry(&row.rule_id).or_default();
                sights.push((row.first_seen, &row.finding_id, row));
                if row.last_seen != row.first_seen {
                    sights.push((row.last_seen, &row.finding_id, row));
                }
            }
        }
        for sights in by_name.values_mut().flat_map(BTreeMap::values_mut) {
            sights.sort_by_key(|(at, id, _)| (*at, *id));
        }
        Self { by_name }
    }

    /// Whether and why the finding is graver than its rule says.
    pub fn raise(&self, finding: &Finding, privileged: &Privileged) -> Option<Raise> {
        let row = &finding.row;
        let own = row.own_severity();
        let of_volume = row.rule_id == VOLUME;
        if !takes_part(finding) || !(of_volume || tells_of_an_intruder(row)) {
            return None;
        }
        let to = match of_volume {
            true => Severity::Critical,
            false => own.one_step_up(),
        };
        let others = self.beside(row);
        if to <= own || others.is_empty() {
            return None;
        }
        let who = match of_volume {
            true => "user",
            false => identity(row, others.values().copied(), privileged)?,
        };
        Some(Raise {
            to,
            because: sentence(who, &others),
        })
    }

    /// One finding of each other rule of the same user within reach: the earliest.
    fn beside(&self, row: &FindingRow) -> BTreeMap<&'a str, &'a FindingRow> {
        let mut found: BTreeMap<&str, Sight<'_>> = BTreeMap::new();
        for rules in names_of(row)
            .iter()
            .filter_map(|name| self.by_name.get(name))
        {
            for (rule, sights) in rules.iter().filter(|(rule, _)| **rule != row.rule_id) {
                let near = [row.first_seen, row.last_seen]
                    .into_iter()
                    .filter_map(|at| nearby(sights, at));
                for sight in near {
                    let known = found.entry(rule).or_insert(sight);
                    if (sight.0, sight.1) < (known.0, known.1) {
                        *known = sight;
                    }
                }
            }
        }
        found
            .into_iter()
            .map(|(rule, sight)| (rule, sight.2))
            .collect()
    }
}

/// The earliest sight within reach of a moment.
fn nearby<'a>(sights: &[Sight<'a>], at: DateTime<Utc>) -> Option<Sight<'a>> {
    let from = at
        .checked_sub_signed(REACH)
        .unwrap_or(DateTime::<Utc>::MIN_UTC);
    let to = at
        .checked_add_signed(REACH)
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    let first = sights.partition_point(|(sight, ..)| *sight < from);
    sights
        .get(first)
        .copied()
        .filter(|(sight, ..)| *sight <= to)
}

fn tells_of_an_intruder(row: &FindingRow) -> bool {
    matches!(row.family, Some(Family::Misuse | Family::Attack))
        && row.own_severity() > Severity::Info
}

/// What makes the account worth a raise. A rule that does not say what the account is may stand
/// beside one that does.
fn identity<'a>(
    row: &'a FindingRow,
    others: impl Iterator<Item = &'a FindingRow>,
    privileged: &Privileged,
) -> Option<&'static str> {
    let kinds: Vec<&str> = std::iter::once(row)
        .chain(others)
        .filter_map(|row| row.user_kind.as_deref())
        .collect();
    let known = [
        ("integration", "integration user"),
        ("internal_system", "internal system user"),
        ("human_admin", "administrator"),
    ];
    let by_role = known.into_iter().find(|(kind, _)| kinds.contains(kind));
    let by_permission = || privileged.holds(&names_of(row), day_of(row));
    match by_role {
        Some((_, words)) => Some(words),
        None => by_permission().then_some("privileged user"),
    }
}

fn sentence(who: &str, others: &BTreeMap<&str, &FindingRow>) -> String {
    let mut named: Vec<String> = others
        .values()
        .take(MAX_NAMED)
        .map(|row| in_words(row))
        .collect();
    if others.len() > MAX_NAMED {
        named.push(format!("{} more", others.len() - MAX_NAMED));
    }
    let told = match others.len() {
        1 => "another rule tells",
        _ => "other rules tell",
    };
    format!(
        "within 24 hours {told} of the same {who}: {}",
        named.join(", ")
    )
}
