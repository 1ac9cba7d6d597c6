//! Which spans of time a run judges: the days that received rows since the last run, and the day
//! after each, because rules look back 24 hours.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::inputs::Coverage;

/// A half-open span `[from, to)` of whole UTC days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Window {
    /// Both days inclusive.
    pub fn of_days(first: NaiveDate, last: NaiveDate) -> Self {
        Self {
            from: midnight(first),
            to: midnight(next(last)),
        }
    }

    /// The first and the second half, in whole days; none where it is one day.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let days = (self.to - self.from).num_days();
        let middle = self.from + TimeDelta::days(days / 2);
        let halves = (
            Self {
                to: middle,
                ..*self
            },
            Self {
                from: middle,
                ..*self
            },
        );
        (days > 1).then_some(halves)
    }

    /// The days that lie in it, wholly or in part.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let end = self.to;
        let days = self.from.date_naive().iter_days();
        days.take_while(move |day| midnight(*day) < end)
    }

    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.from <= at && at < self.to
    }
}

/// The windows of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windows {
    /// In order, apart from each other by at least a day.
    pub ranges: Vec<Window>,
    /// The same for rules that read the roster: also the days with a snapshot and no log, which
    /// for any other rule would be a day without events.
    pub roster_ranges: Vec<Window>,
    /// Where standing conditions are judged: the look-back up to the last day that has rows.
    pub standing: Option<Window>,
    /// Last day that brought rows (or was asked for): the day by which blindness is judged.
    pub last_day: Option<NaiveDate>,
    /// Days that received rows but lie before the look-back: not judged, to be reported.
    pub beyond_lookback: Vec<NaiveDate>,
    /// Where rules about indicators judge instead of `ranges`: all days that the lake holds, when
    /// the indicators are not those of the last run.
    pub archive: Option<Window>,
}

impl Windows {
    /// Windows of the days that received rows. Days are measured back from the last day up to
    /// `now` that has any rows, not from `now` itself, so that an archive is judged whenever it
    /// is read; a row from the future is judged on its own day and moves nothing else.
    pub fn of_dirty_days(
        dirty: &[NaiveDate],
        coverage: &Coverage,
        now: DateTime<Utc>,
        lookback_days: u32,
    ) -> Self {
        let today = now.date_naive();
        let dirty: BTreeSet<NaiveDate> = dirty.iter().copied().collect();
        // Snapshots are taken after the day's logs: they move neither the look-back nor the day
        // by which blindness is judged.
        let only_snapshots =
            |day: &NaiveDate| !coverage.has_day(*day) && coverage.has_snapshot(*day);
        let logged: BTreeSet<NaiveDate> = dirty
            .iter()
            .copied()
            .filter(|d| !only_snapshots(d))
            .collect();
        let last_with_rows = coverage
            .last_day(today)
            .into_iter()
            .chain(logged.range(..=today).next_back().copied())
            .max()
            .or_else(|| coverage.last_snapshot(today));
        let anchor = last_with_rows.unwrap_or(today);
        let earliest = back(anchor, lookback_days);

        let mut days = BTreeSet::new();
        let mut roster_days = BTreeSet::new();
        let mut beyond_lookback = vec![];
        for day in &dirty {
            if *day < earliest {
                beyond_lookback.push(*day);
                continue;
            }
            roster_days.insert(*day);
            if coverage.has_day(next(*day)) || coverage.has_snapshot(next(*day)) {
                roster_days.insert(next(*day));
            }
            if only_snapshots(day) {
                continue;
            }
            days.insert(*day);
            if coverage.has_day(next(*day)) {
                days.insert(next(*day));
            }
        }
        let last_day = logged
            .range(..=today)
            .next_back()
            .or(logged.last())
            .copied()
            .or(last_with_rows);
        Self {
            ranges: contiguous(&days),
            roster_ranges: contiguous(&roster_days),
            standing: last_with_rows.map(|last| Window::of_days(earliest, last)),
            last_day,
            beyond_lookback,
            archive: None,
        }
    }

    /// Windows of the night after a day that brought its rows in time.
    pub fn of_night(day: NaiveDate, lookback_days: u32) -> Self {
        let window = Window::of_days(day, day);
        Self {
            ranges: vec![window],
            roster_ranges: vec![window],
            standing: Some(Window::of_days(back(day, lookback_days), day)),
            last_day: Some(day),
            beyond_lookback: vec![],
            archive: None,
        }
    }

    /// The days that are judged.
    pub fn days(&self) -> BTreeSet<NaiveDate> {
        self.ranges.iter().flat_map(Window::days).collect()
    }

    /// The same, with rules that read the roster asked up to this day.
    pub fn with_snapshots_until(mut self, last: NaiveDate) -> Self {
        if let Some(range) = self.roster_ranges.last_mut() {
            range.to = range.to.max(midnight(next(last)));
        }
        self
    }

    /// The same, with rules about indicators asked of all that the lake holds.
    pub fn with_archive(mut self, coverage: &Coverage, now: DateTime<Utc>) -> Self {
        let last = coverage.last_day(now.date_naive());
        let span = coverage.first_day().zip(last);
        self.archive = span.map(|(first, last)| Window::of_days(first, last.max(first)));
        if let (Some(archive), Some(range)) = (&mut self.archive, self.ranges.last()) {
            // A row from the future is judged on its own day.
            archive.to = archive.to.max(range.to);
        }
        self
    }

    /// Windows of the days that the operator asks for, both inclusive.
    pub fn between(first: NaiveDate, last: NaiveDate) -> Self {
        let window = Window::of_days(first, last.max(first));
        Self {
            ranges: vec![window],
            roster_ranges: vec![window],
            standing: Some(window),
            last_day: Some(last.max(first)),
            beyond_lookback: vec![],
            archive: None,
        }
    }
}

/// Midnight UTC at which a day begins.
pub fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

fn next(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(day)
}

fn back(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_sub_days(Days::new(u64::from(days)))
        .unwrap_or(NaiveDate::MIN)
}

fn contiguous(days: &BTreeSet<NaiveDate>) -> Vec<Window> {
    let mut spans: Vec<(NaiveDate, NaiveDate)> = vec![];
    for day in days {
        match spans.last_mut() {
            Some((_, last)) if next(*last) == *day => *last = *day,
            _ => spans.push((*day, *day)),
        }
    }
    spans
        .into_iter()
        .map(|(first, last)| Window::of_days(first, last))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, n).unwrap()
    }

    fn windows(dirty: &[u32], covered: std::ops::RangeInclusive<u32>, lookback: u32) -> Windows {
        let mut coverage = Coverage::default();
        for n in covered {
            coverage.add("Login", day(n));
        }
        let dirty: Vec<_> = dirty.iter().map(|n| day(*n)).collect();
        let now = midnight(day(31)) + chrono::Duration::hours(3);
        Windows::of_dirty_days(&dirty, &coverage, now, lookback)
    }

    #[test]
    fn dirty_days_and_the_day_after_each_make_contiguous_windows() {
        let found = windows(&[3, 5, 6, 20], 1..=25, 35);
        let spans = [(3, 7), (20, 21)];
        let expected: Vec<_> = spans
            .iter()
            .map(|(a, b)| Window::of_days(day(*a), day(*b)))
            .collect();
        assert_eq!(found.ranges, expected);
        assert_eq!(found.last_day, Some(day(20)));
    }

    #[test]
    fn a_snapshot_after_the_last_log_is_judged_by_roster_rules_only_and_moves_nothing() {
        let mut coverage = Coverage::default();
        coverage.add("Login", day(15));
        coverage.add_snapshot("User", day(16));
        let now = midnight(day(16)) + chrono::Duration::hours(3);
        let found = Windows::of_dirty_days(&[day(15), day(16)], &coverage, now, 7);
        assert_eq!(found.ranges, [Window::of_days(day(15), day(15))]);
        assert_eq!(found.roster_ranges, [Window::of_days(day(15), day(16))]);
        assert_eq!(found.last_day, Some(day(15)));
        assert_eq!(found.standing, Some(Window::of_days(day(8), day(15))));

        let only_roster = Windows::of_dirty_days(&[day(16)], &coverage, now, 7);
        assert_eq!(only_roster.ranges, []);
        assert_eq!(
            only_roster.roster_ranges,
            [Window::of_days(day(16), day(16))]
        );
        assert_eq!(only_roster.last_day, Some(day(15)));
    }

    #[test]
    fn a_lake_of_snapshots_only_is_judged_as_well() {
        let mut coverage = Coverage::default();
        coverage.add_snapshot("User", day(16));
        let found = Windows::of_dirty_days(&[day(16)], &coverage, midnight(day(17)), 7);
        assert_eq!(found.roster_ranges, [Window::of_days(day(16), day(16))]);
        assert_eq!(found.standing, Some(Window::of_days(day(9), day(16))));
        assert_eq!(found.last_day, Some(day(16)));
    }

    #[test]
    fn the_day_after_the_last_one_with_rows_is_not_judged() {
        let found = windows(&[25], 1..=25, 35);
        assert_eq!(found.ranges, [Window::of_days(day(25), day(25))]);
    }

    #[test]
    fn days_beyond_the_look_back_are_reported_and_not_judged() {
        let found = windows(&[2, 30], 1..=30, 7);
        assert_eq!(found.ranges, [Window::of_days(day(30), day(30))]);
        assert_eq!(found.beyond_lookback, [day(2)]);
    }

    #[test]
    fn an_archive_is_judged_whatever_the_clock_says() {
        let mut coverage = Coverage::default();
        coverage.add("Login", day(10));
        let years_later = midnight(NaiveDate::from_ymd_opt(2031, 1, 1).unwrap());
        let found = Windows::of_dirty_days(&[day(10)], &coverage, years_later, 7);
        assert_eq!(found.ranges, [Window::of_days(day(10), day(10))]);
    }

    #[test]
    fn a_row_from_the_future_is_judged_and_hides_nothing() {
        let future = NaiveDate::from_ymd_opt(2099, 1, 1).unwrap();
        let mut coverage = Coverage::default();
        coverage.add("Login", day(10));
        coverage.add("Login", future);
        let now = midnight(day(11));
        let found = Windows::of_dirty_days(&[day(10), future], &coverage, now, 7);
        let expected = [
            Window::of_days(day(10), day(10)),
            Window::of_days(future, future),
        ];
        assert_eq!(found.ranges, expected);
        assert_eq!(found.last_day, Some(day(10)));
        assert_eq!(found.standing.unwrap().to, midnight(day(11)));
    }

    #[test]
    fn the_last_day_of_the_calendar_does_not_panic() {
        let mut coverage = Coverage::default();
        coverage.add("Login", day(1));
        let dirty = [NaiveDate::MAX, NaiveDate::MIN];
        let found = Windows::of_dirty_days(&dirty, &coverage, midnight(day(1)), 3);
        assert_eq!(found.beyond_lookback, [NaiveDate::MIN]);
    }

    #[test]
    fn a_standing_condition_is_judged_even_when_nothing_is_new() {
        let found = windows(&[], 1..=25, 7);
        assert!(found.ranges.is_empty());
        assert_eq!(found.standing, Some(Window::of_days(day(18), day(25))));
        assert_eq!(found.last_day, Some(day(25)));
    }
}
