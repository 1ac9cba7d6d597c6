//! Which series are judged on which days, and the days that lie at the same place of a month.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use chrono::{Datelike, Months, NaiveDate, TimeDelta};

use super::read::{Covered, Totals, user_days};
use super::{MAX_HELD_OUT, REFERENCE_DAYS};

/// Earlier months that are looked at.
const MONTHS: u32 = 3;

/// A series, by its place in [`Totals`], and a day to judge it on (since 1970).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub series: u32,
    pub judged: i32,
}

pub(super) struct Pairs;

impl Pairs {
    /// Day by day: each series that was active within the reference before that day or on it,
    /// where the day is covered.
    pub(super) fn of(totals: &Totals, covered: &Covered, days: &[i32]) -> Vec<Pair> {
        let mut pairs = vec![];
        for &judged in days {
            let reach = judged.saturating_sub(REFERENCE_DAYS)..=judged;
            for (place, values) in totals.values.iter().enumerate() {
                let from = values.partition_point(|value| value.day < *reach.start());
                let mut near = values[from..].iter().take_while(|v| reach.contains(&v.day));
                let is_active = near.any(|value| value.value > 0);
                if is_active
                    && covered.has(totals.series[place].metric, judged)
                    && let Ok(series) = u32::try_from(place)
                {
                    pairs.push(Pair { series, judged });
                }
            }
        }
        pairs
    }
}

/// Days with an open finding, by series.
#[derive(Debug, Default)]
pub(super) struct HeldOut(BTreeMap<u32, BTreeSet<i32>>);

/// Days that are held out of the reference of a pair, and how many are not for want of others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct HeldOutDays {
    pub days: Vec<(Pair, i32)>,
    pub let_in: Vec<(Pair, i64)>,
}

impl HeldOut {
    pub(super) fn read(batches: &[RecordBatch], totals: &Totals) -> Result<Self, ArrowError> {
        let mut by_user: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for batch in batches {
            for (user_key, day) in user_days(batch)? {
                by_user.entry(user_key).or_default().insert(day);
            }
        }
        let mut held = Self::default();
        for (place, series) in (0..).zip(&totals.series) {
            if let Some(days) = by_user.get(&series.user_key) {
                held.0.insert(place, days.clone());
            }
        }
        Ok(held)
    }

    /// The newest findings' days first, and no more than the share that may be held out.
    pub(super) fn of(&self, pairs: &[Pair], totals: &Totals, covered: &Covered) -> HeldOutDays {
        let mut out = HeldOutDays::default();
        for pair in pairs {
            let Some(days) = self.0.get(&pair.series) else {
                continue;
            };
            let metric = totals.series[pair.series as usize].metric;
            let first = pair.judged.saturating_sub(REFERENCE_DAYS);
            let reference: BTreeSet<i32> = covered.between(metric, first, pair.judged).collect();
            let most = (reference.len() as f64 * MAX_HELD_OUT).floor() as usize;
            let found = days.range(..pair.judged).rev();
            let found: Vec<i32> = found
                .filter(|day| reference.contains(day))
                .copied()
                .collect();
            let held = found.len().min(most);
            out.days
                .extend(found[..held].iter().map(|day| (*pair, *day)));
            if let Ok(more) = i64::try_from(found.len() - held)
                && more > 0
            {
                out.let_in.push((*pair, more));
            }
        }
        out
    }
}

/// A day of an earlier month at the place in the month of a judged day, a day to either side
/// included. The place is counted from the month's beginning (`from_end` 0) and from its end (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub judged: i32,
    pub from_end: i32,
    pub month: i32,
    pub day: i32,
}

/// The positions of all judged days of the pairs.
pub(super) fn month_positions(pairs: &[Pair]) -> Vec<Position> {
    let judged: BTreeSet<i32> = pairs.iter().map(|pair| pair.judged).collect();
    let mut positions = vec![];
    for judged in judged {
        let Some(date) = NaiveDate::from_epoch_days(judged) else {
            continue;
        };
        for month in 1..=MONTHS {
            for (from_end, centre) in (0..).zip(same_places(date, month)) {
                let Some(centre) = centre else { continue };
                positions.extend((-1..=1).filter_map(|beside| {
                    let day = centre.checked_add_signed(TimeDelta::days(beside))?;
                    Some(Position {
                        judged,
                        from_end,
                        month: i32::try_from(month).ok()?,
                        day: day.to_epoch_days(),
                    })
                }));
            }
        }
    }
    positions
}

/// The same day of an earlier month, counted from its beginning and from its end; none where that
/// month is too short.
fn same_places(date: NaiveDate, months_ago: u32) -> [Option<NaiveDate>; 2] {
    let first = date.with_day(1);
    let earlier = first.and_then(|first| first.checked_sub_months(Months::new(months_ago)));
    let last_of = |first: NaiveDate| first.checked_add_months(Months::new(1))?.pred_opt();
    let from_start = earlier.and_then(|earlier| earlier.with_day(date.day()));
    let from_end = first
        .and_then(last_of)
        .zip(earlier)
        .and_then(|(last, earlier)| {
            let day = last_of(earlier)?.checked_sub_signed(last - date)?;
            (day >= earlier).then_some(day)
        });
    [from_start, from_end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_end_is_compared_with_month_ends_and_a_tenth_with_tenths() {
        let places =
            |date, months| same_places(day(date), months).map(|d| d.map(|d| d.to_string()));
        let shown =
            |start: Option<&str>, end: Option<&str>| [start, end].map(|d| d.map(str::to_owned));
        assert_eq!(places("2026-03-31", 1), shown(None, Some("2026-02-28")));
        assert_eq!(
            places("2026-03-31", 2),
            shown(Some("2026-01-31"), Some("2026-01-31"))
        );
        assert_eq!(
            places("2026-03-10", 1),
            shown(Some("2026-02-10"), Some("2026-02-07"))
        );
        assert_eq!(places("2026-03-01", 1), shown(Some("2026-02-01"), None));
    }
}
