//! What each account normally does on such a day, and whether a day is beyond it: the table
//! `expected_activity`. Pure: Arrow batches in, one Arrow batch out, computed by Polars; small
//! columns are copied between the two.
//!
//! - A *series* is one number of one account (and app) day by day. Days without a log are absent;
//!   days with the log and without an event are 0.
//! - Values are compared as ln(1 + x). The reference is the last eight days of the same weekday
//!   where six of them are covered, else the last 28 covered days; of a series that is active on
//!   few days, and not by weekday, its active days of the last 56.
//! - Expected is the reference's median, its scale the median deviation, kept within bounds: too
//!   small a scale makes a machine's every step an alarm, too large a one makes a noisy series
//!   blind.
//! - A day is unusual where all gates say so: far from expected in scales, a multiple of it, above
//!   everything of late, not the season of the month, and with enough history to tell.
//! - The day judged is no part of its own reference. Days with an open finding are held out, up to
//!   a fifth of them: more is no exception.

mod calendar;
mod judge;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use chrono::NaiveDate;
use polars::error::PolarsError;

use calendar::{HeldOut, Pairs, month_positions};
use read::{Covered, Totals};
pub use write::schema;

/// Days back that a reference may come from.
pub const REFERENCE_DAYS: i32 = 56;
/// Days back that are read at all: three months and a day, for the season of the month.
pub const LOOKBACK_DAYS: i32 = 94;
/// Days that are judged where nobody says which.
pub const DAYS_SHOWN: usize = 35;

/// Days of the same weekday that suffice for a reference.
const MIN_SAME_WEEKDAY: i64 = 6;
/// Covered days of the second choice.
const LAST_DAYS: usize = 28;
/// A series active on fewer of its days is sparse …
const SPARSE_SHARE: f64 = 0.7;
/// … unless so large a share of days keeps to its weekday's habit.
const REGULAR_SHARE: f64 = 0.9;
/// A median deviation times this is a standard deviation, where values are normal.
const MAD_TO_SCALE: f64 = 1.4826;
const MIN_SCALE: f64 = 0.20;
const MAX_SCALE: f64 = 0.50;
/// The gates.
const MIN_Z: f64 = 3.0;
const MIN_RATIO: f64 = 3.0;
const MIN_OVER_HIGHEST: f64 = 1.2;
const HIGHEST_DAYS: usize = 35;
/// The history that a verdict needs, within the days of a reference.
pub const MIN_COVERED_DAYS: i64 = 14;
const MIN_ACTIVE_DAYS: i64 = 10;
/// Earlier months that make a season, and how far above their highest it may go.
const MIN_SEASON_MONTHS: i64 = 2;
const MAX_OVER_SEASON: f64 = 1.5;
/// One month tells nothing of the spread: its weekend may stand for a working day.
const MAX_OVER_ONE_MONTH: f64 = 2.0;
/// Largest share of a reference's days that may be held out.
const MAX_HELD_OUT: f64 = 0.2;
/// What rounding may take from a comparison.
const SLACK: f64 = 1e-9;

/// Series and days judged at once: what bounds the memory.
const PAIRS_AT_ONCE: usize = 8_000;

#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("the accounts' activity does not fit the baseline: {0}")]
    Arrow(#[from] ArrowError),
    #[error("the baseline could not be computed: {0}")]
    Polars(#[from] PolarsError),
}

/// What a baseline is made from.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// One row per day, account and app: `day` (Date32), `user_key`, `app_key` (text), `calls,
    /// rows_read, bytes, deletes, exports, logins` (Int64).
    pub activity: &'a [RecordBatch],
    /// Logs and their days: `event_type` (text), `day` (Date32).
    pub covered: &'a [RecordBatch],
    /// Days with an open finding: `user_key` (text), `day` (Date32).
    pub held_out: &'a [RecordBatch],
    /// The days to judge.
    pub days: &'a BTreeSet<NaiveDate>,
}

/// One row per series and covered day of those asked about, by day, account, app and metric;
/// columns as [`schema`] says. A series is judged from its first activity on, until it has been
/// silent for [`REFERENCE_DAYS`].
pub fn expected(question: Question<'_>) -> Result<RecordBatch, BaselineError> {
    let totals = Totals::read(question.activity)?;
    let covered = Covered::read(question.covered)?;
    let held_out = HeldOut::read(question.held_out, &totals)?;
    let days: Vec<i32> = question
        .days
        .iter()
        .map(|day| day.to_epoch_days())
        .collect();

    let mut parts = vec![];
    for pairs in Pairs::of(&totals, &covered, &days).chunks(PAIRS_AT_ONCE) {
        let judged = judge::judge(&judge::Chunk {
            totals: &totals,
            covered: &covered,
            held_out: &held_out.of(pairs, &totals, &covered),
            positions: &month_positions(pairs),
            pairs,
        })?;
        parts.push(write::batch(&judged, &totals)?);
    }
    Ok(concat_batches(&schema(), &parts)?)
}
