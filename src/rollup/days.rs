//! Days and the time around them that can matter to their logins.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::lake::Part;

/// Logins this close to midnight may have their second account on the other side.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// Half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

pub(super) fn whole_day(day: NaiveDate) -> Span {
    let from = day.and_time(NaiveTime::MIN).and_utc();
    Span {
        from,
        to: from + TimeDelta::days(1),
    }
}

/// The day and what may reach over its midnights.
pub(super) fn with_margin(day: NaiveDate) -> Span {
    let Span { from, to } = whole_day(day);
    Span {
        from: from - MARGIN,
        to: to + MARGIN,
    }
}

/// The dirty days, and those of their neighbours that a row near midnight touches.
/// `parts` are the login files of at least the dirty days.
pub(super) fn with_neighbours(dirty: &BTreeSet<NaiveDate>, parts: &[Part]) -> BTreeSet<NaiveDate> {
    let mut days = dirty.clone();
    for part in parts.iter().filter(|part| dirty.contains(&part.day)) {
        let Span { from, to } = whole_day(part.day);
        if part.first_event_at < from + MARGIN {
            days.extend(part.day.checked_sub_days(Days::new(1)));
        }
        if part.last_event_at >= to - MARGIN {
            days.extend(part.day.checked_add_days(Days::new(1)));
        }
    }
    days
}

/// Days so small that their rows are read at once, in runs; a large day is a run of its own.
/// A run counts the rows from the day before its first to the day after its last, wanted or not.
pub(super) fn asked_together(days: &BTreeSet<NaiveDate>, parts: &[Part]) -> Vec<Vec<NaiveDate>> {
    const ROWS_AT_ONCE: u64 = 50_000;
    let mut rows: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for part in parts {
        *rows.entry(part.day).or_default() += part.rows;
    }
    let around = |first: NaiveDate, last: NaiveDate| -> u64 {
        let from = first.pred_opt().unwrap_or(first);
        let to = last.succ_opt().unwrap_or(last);
        rows.range(from..=to).map(|(_, rows)| rows).sum()
    };
    let mut runs: Vec<Vec<NaiveDate>> = vec![];
    for &day in days {
        match runs.last_mut() {
            Some(run) if around(run[0], day) <= ROWS_AT_ONCE => run.push(day),
            _ => runs.push(vec![day]),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn part(first: &str, last: &str) -> Part {
        let first: DateTime<Utc> = first.parse().unwrap();
        Part {
            part_id: 1,
            path: Default::default(),
            event_type: "Login".into(),
            day: first.date_naive(),
            rows: 1,
            bytes: 1,
            first_event_at: first,
            last_event_at: last.parse().unwrap(),
        }
    }

    #[test]
    fn a_row_near_midnight_makes_the_neighbour_dirty() {
        let dirty = BTreeSet::from([day("2026-01-15")]);
        let early = part("2026-01-15T00:00:03Z", "2026-01-15T10:00:00Z");
        let both = BTreeSet::from([day("2026-01-14"), day("2026-01-15")]);
        assert_eq!(with_neighbours(&dirty, &[early]), both);
        let noon = part("2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z");
        assert_eq!(with_neighbours(&dirty, &[noon]), dirty);
    }

    #[test]
    fn small_days_are_asked_for_together_and_a_large_one_alone() {
        let sized = |text: &str, rows: u64| Part {
            rows,
            ..part(&format!("{text}T10:00:00Z"), &format!("{text}T11:00:00Z"))
        };
        let names = [
            "2026-01-10",
            "2026-01-12",
            "2026-01-13",
            "2026-01-14",
            "2026-02-20",
        ];
        let days: BTreeSet<NaiveDate> = names.iter().map(|text| day(text)).collect();
        let parts = names.map(|text| sized(text, if text.ends_with("10") { 60_000 } else { 10 }));
        let runs: Vec<usize> = asked_together(&days, &parts).iter().map(Vec::len).collect();
        assert_eq!(runs, [1, 4]);
        let small = names.map(|text| sized(text, 10));
        assert_eq!(asked_together(&days, &small).len(), 1);
        // What lies between two wanted days is read as well.
        let ends = BTreeSet::from([day("2026-01-10"), day("2026-02-20")]);
        assert_eq!(asked_together(&ends, &parts).len(), 2);
    }

    #[test]
    fn the_margin_reaches_over_both_midnights() {
        let span = with_margin(day("2026-01-15"));
        assert_eq!(
            span.from,
            "2026-01-14T23:59:50Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(
            span.to,
            "2026-01-16T00:00:10Z".parse::<DateTime<Utc>>().unwrap()
        );
    }
}
