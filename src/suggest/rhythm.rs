//! Hours and cadence from when a machine worked.

use std::collections::BTreeMap;

use super::model::Account;
use crate::registry::{Cadence, Hours};

/// Days of work from which hours are a habit.
const MIN_DAYS_FOR_HOURS: usize = 14;
/// Weeks of work from which free weekdays are a habit.
const MIN_DAYS_FOR_WEEKDAYS: usize = 28;
/// A machine that rests for less, in hours, keeps no hours.
const LEAST_REST_HOURS: u8 = 6;
/// Pauses from which their length says something.
const MIN_PAUSES: u64 = 10;

/// The part of the week that the account keeps to, an hour of slack at both ends; none where it
/// keeps to none, or nobody can say yet.
pub(super) fn hours(account: &Account, covered_days: usize) -> Option<Hours> {
    if account.days().len() < MIN_DAYS_FOR_HOURS {
        return None;
    }
    // An hour that was used once may be somebody else's.
    let habits = || account.slots.iter().filter(|(_, days)| **days >= 2);
    let mut used = [false; 24];
    let mut days = [false; 7];
    for ((weekday, hour), _) in habits() {
        days[usize::from(weekday.saturating_sub(1)).min(6)] = true;
        used[usize::from(*hour).min(23)] = true;
    }
    if covered_days < MIN_DAYS_FOR_WEEKDAYS {
        days = [true; 7];
    }
    let (from, to) = working_hours(&used)?;
    if to <= from && days != [true; 7] {
        // The night belongs to the day on which it began, and slots do not tell which.
        days = [true; 7];
    }
    Hours::new(days, from * 60, to * 60)
}

/// First hour and the hour after the last, around the clock where the rest is too short.
fn working_hours(used: &[bool; 24]) -> Option<(u16, u16)> {
    if !used.contains(&true) {
        return None;
    }
    let rest_from = |start: usize| (0..24).take_while(|n| !used[(start + n) % 24]).count();
    let (rest, start) = (0..24)
        .map(|start| (rest_from(start), start))
        .max_by_key(|(rest, start)| (*rest, std::cmp::Reverse(*start)))?;
    let rest = u16::try_from(rest).ok()?;
    let start = u16::try_from(start).ok()?;
    if rest < u16::from(LEAST_REST_HOURS) + 2 {
        return None;
    }
    // Working hours begin where the rest ends.
    let from = (start + rest + 24 - 1) % 24;
    let to = (start + 1) % 24;
    Some((from, if to == 0 { 24 } else { to }))
}

/// How often the account works: by the length that 95 of 100 pauses do not exceed.
pub(super) fn cadence(account: &Account) -> Option<Cadence> {
    let total: u64 = account.pauses.values().sum();
    // A few long pauses say as much as many short ones.
    let long = total >= 3 && account.pauses.keys().all(|minutes| *minutes > 3 * 24 * 60);
    if total < MIN_PAUSES && !long {
        return None;
    }
    let usual = percentile(&account.pauses, 95)?;
    Some(match usual {
        0..=15 => Cadence::Continuous,
        16..=120 => Cadence::Hourly,
        121..=2_160 => Cadence::Daily,
        2_161..=11_520 => Cadence::Weekly,
        11_521..=50_400 => Cadence::Monthly,
        50_401..=144_000 => Cadence::Quarterly,
        _ => Cadence::Annual,
    })
}

/// The longest pause, in minutes.
pub(super) fn longest_pause(account: &Account) -> Option<u64> {
    account.pauses.keys().next_back().copied()
}

fn percentile(pauses: &BTreeMap<u64, u64>, share: u64) -> Option<u64> {
    let total: u64 = pauses.values().sum();
    let rank = (total * share).div_ceil(100);
    let mut passed = 0;
    pauses.iter().find_map(|(minutes, n)| {
        passed += n;
        (passed >= rank).then_some(*minutes)
    })
}
