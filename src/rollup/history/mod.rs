//! `rollup_sightings` and `rollup_activity`: what each account was seen with and how much it did,
//! day by day. Both come from one pass over a day's rows, account by account, so that memory holds
//! one account at a time.
//!
//! A day's files depend on the rows of that day, and of bulk jobs on those of the day after. They
//! outlive the raw rows: once retention has taken those, the day stays as it is.

mod account;
mod proof;
mod row;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upkeep_tests;

use std::collections::BTreeSet;
use std::fs;

use chrono::{Days, NaiveDate};

use super::days::{Span, asked_together, whole_day};
use super::{RollupError, with_text_views, writer};
use crate::engine::{Params, ROLLUP_ACTIVITY, ROLLUP_LOGINS, ROLLUP_SIGHTINGS, Session};
use crate::lake::{Lake, LakeError, Part, PartId, StagedPart};
use account::Account;
pub use proof::check;
use row::Rows;
use table::DayTables;

/// The day's activity, summed up as far as it goes.
const SUMMED: &str = concat!(
    include_str!("../../../queries/rollups/activity.sql"),
    include_str!("../../../queries/rollups/activity_summed.sql")
);
/// The same row by row: what it takes of memory does not depend on the rows.
const ROWS: &str = concat!(
    include_str!("../../../queries/rollups/activity.sql"),
    include_str!("../../../queries/rollups/activity_rows.sql")
);

/// Two rows of one of its jobs may lie on two days.
const BULK_API_2: &str = "BulkApi2";

/// What the rollups are made from. Each of its rows is counted in `rollup_activity`, but for those
/// of [`SELECTED`].
const SOURCES: [&str; 15] = [
    ROLLUP_LOGINS,
    "ApiTotalUsage",
    "RestApi",
    "API",
    "ApexRestApi",
    "ApexSoap",
    "BulkApi",
    BULK_API_2,
    "BulkApiRequest",
    "CompositeApi",
    "MetadataApiOperation",
    "ReportExport",
    "Report",
    "UniqueQuery",
    "AuraRequest",
];

/// Event types of which some rows only are counted, or none: what they show is not counted.
const SELECTED: [&str; 3] = ["Report", "UniqueQuery", "AuraRequest"];

/// The days to make anew, and what they are made from.
pub(super) struct Plan {
    days: BTreeSet<NaiveDate>,
    sources: Vec<Part>,
    old: Vec<Part>,
}

/// What came of a [`Plan`].
#[derive(Default)]
pub(super) struct Made {
    /// The days that were made, ascending.
    pub days: Vec<NaiveDate>,
    pub add: Vec<StagedPart>,
    /// Parts that `add` replaces.
    pub remove: Vec<PartId>,
    /// Days that a damaged file kept from being made.
    pub failed: Vec<(NaiveDate, RollupError)>,
}

/// The parts that the rollups are made from, and the days of them on which there is a row of
/// `rollup_activity` for certain.
fn sources(lake: &Lake) -> Result<(Vec<Part>, BTreeSet<NaiveDate>), LakeError> {
    let mut sources = vec![];
    let mut whole: BTreeSet<NaiveDate> = BTreeSet::new();
    for event_type in SOURCES {
        let parts = lake.parts(event_type)?;
        if !SELECTED.contains(&event_type) {
            whole.extend(parts.iter().map(|part| part.day));
        }
        sources.extend(parts);
    }
    Ok((sources, whole))
}

/// Which days have to be made anew: those that changed, those that another release wrote, and
/// those that have none of the rollups yet. A day whose raw rows retention has taken keeps what it
/// has.
pub(super) fn plan(lake: &Lake, changed: &BTreeSet<NaiveDate>) -> Result<Plan, LakeError> {
    let (sources, whole) = sources(lake)?;
    let mut old = lake.parts(ROLLUP_ACTIVITY)?;
    let there: BTreeSet<NaiveDate> = old.iter().map(|part| part.day).collect();
    let mut days = changed.clone();
    // One release writes both.
    let of_others = old.iter().filter(|part| !writer::is_ours(part));
    days.extend(of_others.map(|part| part.day));
    old.extend(lake.parts(ROLLUP_SIGHTINGS)?);
    days.extend(whole.difference(&there));
    for part in sources.iter().filter(|part| part.event_type == BULK_API_2) {
        if changed.contains(&part.day) {
            days.extend(part.day.checked_sub_days(Days::new(1)));
        }
    }
    let with_rows: BTreeSet<NaiveDate> = sources.iter().chain(&old).map(|part| part.day).collect();
    days.retain(|day| with_rows.contains(day));
    if !days.is_empty() {
        let pruned: BTreeSet<NaiveDate> = lake.ledger().pruned_days()?.into_iter().collect();
        days.retain(|day| !(pruned.contains(day) && there.contains(day)));
    }
    Ok(Plan { days, sources, old })
}

impl Plan {
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Makes the days' files. A damaged file holds back its own day only.
    pub(super) fn make(self, lake: &Lake, session: &Session) -> Result<Made, RollupError> {
        let mut made = Made::default();
        for run in asked_together(&self.days, &self.sources) {
            if run.len() > 1 {
                match make_days(lake, session, &run) {
                    Err(error) if error.is_damage() => {}
                    parts => {
                        made.add.extend(parts?);
                        continue;
                    }
                }
            }
            for day in run {
                match make_days(lake, session, &[day]) {
                    Err(error) if error.is_damage() => made.failed.push((day, error)),
                    parts => made.add.extend(parts?),
                }
            }
        }
        let failed: BTreeSet<NaiveDate> = made.failed.iter().map(|(day, _)| *day).collect();
        made.days = self.days.difference(&failed).copied().collect();
        made.remove = self
            .old
            .iter()
            .filter(|part| made.days.binary_search(&part.day).is_ok())
            .map(|part| part.part_id)
            .collect();
        Ok(made)
    }
}

/// The files of these days, from one question over all of them.
fn make_days(
    lake: &Lake,
    session: &Session,
    days: &[NaiveDate],
) -> Result<Vec<StagedPart>, RollupError> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return Ok(vec![]);
    };
    let span = Span {
        from: whole_day(*first).from,
        to: whole_day(*last).to,
    };
    within_memory(|activity| {
        let mut writing = Writing {
            lake,
            wanted: days.iter().copied().collect(),
            day: None,
            finished: Finished::default(),
        };
        for_each_account(session, activity, span, |day, account| {
            writing.add(day, account)
        })?;
        writing.finish()
    })
}

/// Asks for the activity summed up, and once more row by row where the sums do not fit: callers
/// choose some of what the rows differ in, and must not be able to stop the night by it.
fn within_memory<T>(mut ask: impl FnMut(&str) -> Result<T, RollupError>) -> Result<T, RollupError> {
    match ask(SUMMED) {
        Err(error) if error.is_out_of_memory() => ask(ROWS),
        answer => answer,
    }
}

/// Hands over each account of each day between two midnights, day by day.
fn for_each_account(
    session: &Session,
    activity: &str,
    span: Span,
    mut each: impl FnMut(NaiveDate, &Account) -> Result<(), RollupError>,
) -> Result<(), RollupError> {
    let params = Params::new()
        .with_time("from", span.from)
        .with_time("to", span.to);
    let mut current: Option<(NaiveDate, Account)> = None;
    for batch in session.stream_of_present(activity, &params)? {
        let batch = with_text_views(&batch?)?;
        for row in Rows::of(&batch)?.iter() {
            let Some(day) = day_of_hour(row.hour) else {
                continue;
            };
            let same = |(of, account): &(NaiveDate, Account)| {
                *of == day && account.user_key.as_deref() == row.user_key
            };
            if !current.as_ref().is_some_and(same)
                && let Some((day, account)) = current.replace((day, Account::new(row.user_key)))
            {
                each(day, &account)?;
            }
            if let Some((_, account)) = &mut current {
                account.add(&row);
            }
        }
    }
    match current {
        Some((day, account)) => each(day, &account),
        None => Ok(()),
    }
}

fn day_of_hour(hour: i64) -> Option<NaiveDate> {
    let ms = account::ms_of_hour(hour);
    Some(chrono::DateTime::from_timestamp_millis(ms)?.date_naive())
}

/// Finished files that are of no use unless all are.
#[derive(Default)]
struct Finished(Vec<StagedPart>);

impl Drop for Finished {
    fn drop(&mut self) {
        for part in &self.0 {
            // What stays all the same is swept by the next writer of the lake.
            let _ = fs::remove_file(&part.path);
        }
    }
}

/// The files of several days, one day after the other.
struct Writing<'a> {
    lake: &'a Lake,
    wanted: BTreeSet<NaiveDate>,
    day: Option<(NaiveDate, DayTables<writer::DayWriter>)>,
    finished: Finished,
}

impl Writing<'_> {
    fn add(&mut self, day: NaiveDate, account: &Account) -> Result<(), RollupError> {
        if !self.wanted.contains(&day) {
            return Ok(());
        }
        if self.day.as_ref().is_none_or(|(of, _)| *of != day) {
            let next = DayTables::create(self.lake, day)?;
            if let Some((_, tables)) = self.day.replace((day, next)) {
                self.finished.0.extend(tables.finish()?);
            }
        }
        match &mut self.day {
            Some((_, tables)) => tables.write(account),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Vec<StagedPart>, RollupError> {
        if let Some((_, tables)) = self.day.take() {
            self.finished.0.extend(tables.finish()?);
        }
        Ok(std::mem::take(&mut self.finished.0))
    }
}
