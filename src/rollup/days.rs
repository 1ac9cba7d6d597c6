//! Days and the time around them that can matter to their logins.

use std::collections::BTreeSet;

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
