//! Learns what user ids are called, before logins are merged: the Setup page's export of
//! LoginHistory knows usernames only.

use std::collections::{BTreeSet, HashMap};

use arrow::array::AsArray;
use arrow::datatypes::TimestampMillisecondType;
use chrono::{DateTime, NaiveDate, Utc};

use super::RollupError;
use super::days::whole_day;
use crate::catalog::LOGIN_HISTORY;
use crate::engine::{Params, Session};

const SEEN: &str = include_str!("../../queries/rollups/usernames.sql");

/// The event types that [`SEEN`] asks: other days have nobody's name.
pub(super) const SOURCES: [&str; 3] = ["Login", "ApiTotalUsage", LOGIN_HISTORY];

/// Days of the rollup with logins of users who are known by name only, and are among `names`.
const UNRESOLVED: &str = "SELECT DISTINCT user_key, day FROM rollup_logins WHERE user_id IS NULL";

pub(super) type Sighting = (String, String, DateTime<Utc>);

/// The names used on these days, the latest of each user.
pub(super) fn seen_on(
    session: &Session,
    days: &BTreeSet<NaiveDate>,
) -> Result<Vec<Sighting>, RollupError> {
    let mut latest: HashMap<String, (DateTime<Utc>, String)> = HashMap::new();
    for span in spans(days) {
        match add_names(session, span, &mut latest) {
            // Only the damaged day's names are left out: its merge meets the same file and
            // reports it.
            Err(error) if error.is_damage() => {
                for day in span.0.iter_days().take_while(|day| *day <= span.1) {
                    match add_names(session, (day, day), &mut latest) {
                        Err(error) if error.is_damage() => {}
                        added => added?,
                    }
                }
            }
            added => added?,
        }
    }
    let mut seen: Vec<Sighting> = latest
        .into_iter()
        .map(|(id, (at, name))| (id, name, at))
        .collect();
    seen.sort();
    Ok(seen)
}

/// Runs of days without a gap, first and last day of each: one question serves for a whole run.
fn spans(days: &BTreeSet<NaiveDate>) -> Vec<(NaiveDate, NaiveDate)> {
    let mut spans: Vec<(NaiveDate, NaiveDate)> = vec![];
    for &day in days {
        match spans.last_mut() {
            Some((_, last)) if last.succ_opt() == Some(day) => *last = day,
            _ => spans.push((day, day)),
        }
    }
    spans
}

fn add_names(
    session: &Session,
    (first, last): (NaiveDate, NaiveDate),
    latest: &mut HashMap<String, (DateTime<Utc>, String)>,
) -> Result<(), RollupError> {
    let params = Params::new()
        .with_time("from", whole_day(first).from)
        .with_time("to", whole_day(last).to);
    for batch in session.query(SEEN, &params)? {
        let ids = batch.column(0).as_string_view();
        let names = batch.column(1).as_string_view();
        let times = batch.column(2).as_primitive::<TimestampMillisecondType>();
        for row in 0..batch.num_rows() {
            let Some(at) = DateTime::from_timestamp_millis(times.value(row)) else {
                continue;
            };
            let sighting = (at, names.value(row).to_owned());
            let known = latest.entry(ids.value(row).to_owned()).or_default();
            *known = sighting.max(std::mem::take(known));
        }
    }
    Ok(())
}

/// Days whose logins were merged while one of these names had no id yet.
pub(super) fn days_awaiting(
    session: &Session,
    names: &BTreeSet<String>,
) -> Result<Vec<NaiveDate>, RollupError> {
    let mut days = vec![];
    if names.is_empty() {
        return Ok(days);
    }
    let batches = match session
        .query(UNRESOLVED, &Params::new())
        .map_err(RollupError::from)
    {
        // Days with a damaged rollup are merged anew anyhow.
        Err(error) if error.is_damage() => return Ok(days),
        batches => batches?,
    };
    for batch in batches {
        let keys = batch.column(0).as_string_view();
        let dates = batch
            .column(1)
            .as_primitive::<arrow::datatypes::Date32Type>();
        for row in 0..batch.num_rows() {
            if names.contains(keys.value(row)) {
                days.extend(dates.value_as_date(row));
            }
        }
    }
    Ok(days)
}
