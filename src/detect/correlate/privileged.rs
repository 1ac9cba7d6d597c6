//! Which people hold permissions that open the whole org, and from when to when.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Date32Type;
use datafusion::scalar::ScalarValue;

use crate::config::Family;
use crate::detect::runner::{Answers, Bindings};
use crate::detect::subject::{day_of, names_of};
use crate::lake::FindingRow;

const QUERY: &str = include_str!("../data/privileged.sql");

/// Users with administrator-class permissions, and the days on which they held them.
#[derive(Debug, Clone, Default)]
pub struct Privileged {
    /// Name in lower case → first day, and first day no longer.
    spans: HashMap<String, Vec<(NaiveDate, NaiveDate)>>,
}

/// The days of findings that a permission of their user could raise; None where there are none,
/// and nobody need be asked.
pub fn may_be_privileged<'a>(
    findings: impl Iterator<Item = &'a FindingRow>,
) -> Option<(NaiveDate, NaiveDate)> {
    let mut users: HashMap<String, (BTreeSet<&str>, NaiveDate, NaiveDate)> = HashMap::new();
    for row in findings {
        if !matches!(row.family, Some(Family::Misuse | Family::Attack)) {
            continue;
        }
        let day = day_of(row);
        for name in names_of(row) {
            let none = || (BTreeSet::new(), day, day);
            let (rules, first, last) = users.entry(name).or_insert_with(none);
            rules.insert(&row.rule_id);
            (*first, *last) = ((*first).min(day), (*last).max(day));
        }
    }
    users
        .into_values()
        .filter(|(rules, ..)| rules.len() > 1)
        .map(|(_, first, last)| (first, last))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

impl Privileged {
    /// Asks the roster of these days. Of days before the first snapshot it tells what that says.
    pub fn ask(
        answers: &dyn Answers,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<Self, String> {
        let day = |day: NaiveDate| ScalarValue::Date32(Some(day.to_epoch_days()));
        let bindings = Bindings::from([
            ("first_day".to_owned(), day(first)),
            ("last_day".to_owned(), day(last)),
        ]);
        let answer = answers.answer(QUERY, &bindings);
        let mut privileged = Self::default();
        for batch in answer.map_err(|why| why.reason)? {
            let [names, from, to] = [0, 1, 2].map(|n| batch.column(n));
            let names = names.as_string_view();
            let (from, to) = (
                from.as_primitive::<Date32Type>(),
                to.as_primitive::<Date32Type>(),
            );
            for row in (0..batch.num_rows()).filter(|row| names.is_valid(*row)) {
                let day = |days| NaiveDate::from_epoch_days(days);
                let (Some(from), Some(to)) = (day(from.value(row)), day(to.value(row))) else {
                    continue;
                };
                privileged.add(names.value(row), from, to);
            }
        }
        Ok(privileged)
    }

    /// Lets a user hold such a permission from a day until before another.
    pub fn add(&mut self, name: &str, from: NaiveDate, to: NaiveDate) {
        let name = name.trim().to_lowercase();
        self.spans.entry(name).or_default().push((from, to));
    }

    /// Whether a user of one of these names held one on the day.
    pub fn holds(&self, names: &BTreeSet<String>, day: NaiveDate) -> bool {
        let spans = names.iter().filter_map(|name| self.spans.get(name));
        spans.flatten().any(|(from, to)| *from <= day && day < *to)
    }
}
