//! What may be proposed of what was seen. A log may hold an attack, and an attack must not become
//! a rule: what came on one day alone, or came up in the last nights only, is shown and not
//! proposed.

use chrono::{Days as DayCount, NaiveDate};

use super::model::{Account, Days, Sight};

/// Days on which a thing must have been seen.
const MIN_DAYS: usize = 2;
/// The last nights: what is new in them proves nothing.
const RECENT_DAYS: u64 = 7;
/// Without a sight for so long, while the machine went on working, a thing was given up.
const IDLE_DAYS: u64 = 14;
/// Days of work in that time that show that the machine went on.
const MIN_WORKDAYS_SINCE: usize = 7;

/// Whether a thing may be proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Proven,
    /// On too few days, none of them lately.
    Rare,
    /// On too few days, and lately.
    RareAndRecent,
    /// New in the last nights, in a machine that worked before.
    New,
}

/// The scale of one account.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    days: Days,
    recent_from: NaiveDate,
    is_young: bool,
}

impl Scale {
    /// `last` is the last day that the logs cover.
    pub fn of(account: &Account, last: NaiveDate) -> Self {
        let days = account.days();
        let recent_from = back(last, RECENT_DAYS - 1);
        // Of a machine that is itself new, everything is.
        let is_young = days.first().is_none_or(|first| *first >= recent_from);
        Self {
            days,
            recent_from,
            is_young,
        }
    }

    pub fn judge(&self, sight: &Sight) -> Trust {
        let recent = sight.last().is_some_and(|last| last >= self.recent_from);
        let new = sight.first().is_some_and(|first| first >= self.recent_from);
        match sight.days.len() >= MIN_DAYS {
            false if recent => Trust::RareAndRecent,
            false => Trust::Rare,
            true if new && !self.is_young => Trust::New,
            true => Trust::Proven,
        }
    }

    pub fn is_proven(&self, sight: &Sight) -> bool {
        self.judge(sight) == Trust::Proven
    }

    /// The first day on which a thing no longer holds: the machine gave it up and went on.
    pub fn given_up(&self, sight: &Sight) -> Option<NaiveDate> {
        let seen = sight.last()?;
        let gone = seen.succ_opt()?;
        let last = *self.days.last()?;
        let workdays = self.days.range(gone..).count();
        (back(last, IDLE_DAYS) >= seen && workdays >= MIN_WORKDAYS_SINCE).then_some(gone)
    }
}

/// Why a thing is not proposed, in words.
pub(super) fn why_not(trust: Trust, sight: &Sight) -> String {
    let day = |day: Option<NaiveDate>| day.map(|d| d.to_string()).unwrap_or_default();
    match trust {
        Trust::Proven => String::new(),
        Trust::Rare | Trust::RareAndRecent => format!("one day only ({})", day(sight.last())),
        Trust::New => format!("new since {}", day(sight.first())),
    }
}

fn back(day: NaiveDate, days: u64) -> NaiveDate {
    day.checked_sub_days(DayCount::new(days)).unwrap_or(day)
}
