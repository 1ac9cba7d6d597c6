//! Proves the history against the raw rows: makes it again, in memory only, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use chrono::NaiveDate;
use xxhash_rust::xxh3::xxh3_128;

use super::table::{DayTables, Sink};
use super::{for_each_account, sources, within_memory};
use crate::catalog::Catalog;
use crate::engine::{
    EngineOptions, Params, ROLLUP_ACTIVITY, ROLLUP_SIGHTINGS, Session, activity_schema,
    sighting_schema,
};
use crate::lake::Lake;
use crate::rollup::days::{Span, asked_together, whole_day};
use crate::rollup::{RollupError, STAGE};

const SIGHTINGS: &str =
    "SELECT * FROM rollup_sightings WHERE occurred_at >= $from AND occurred_at < $to";
const ACTIVITY: &str =
    "SELECT * FROM rollup_activity WHERE occurred_at >= $from AND occurred_at < $to";

/// Makes both rollups anew, of every day whose raw rows are all there and that is due for nothing,
/// and compares. A line for each day and rollup that differs.
pub fn check(
    lake: &Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
) -> Result<Vec<String>, RollupError> {
    let (parts, mut days) = sources(lake)?;
    let mut not_whole: BTreeSet<NaiveDate> = lake.ledger().departed_days()?.into_iter().collect();
    not_whole.extend(lake.ledger().dirty_days(STAGE)?);
    days.retain(|day| !not_whole.contains(day));
    // A lake of an older release gets its history with the next run.
    let made: BTreeSet<NaiveDate> = lake
        .parts(ROLLUP_ACTIVITY)?
        .iter()
        .map(|part| part.day)
        .collect();
    days.retain(|day| made.contains(day));

    let session = Session::with_raw_tables(lake, catalog, options)?;
    let mut differences = vec![];
    for run in asked_together(&days, &parts) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else {
            continue;
        };
        let span = Span {
            from: whole_day(*first).from,
            to: whole_day(*last).to,
        };
        let anew = within_memory(|activity| made_anew(&session, activity, span))?;
        let rollups = [
            (ROLLUP_SIGHTINGS, SIGHTINGS, sighting_schema(), 0),
            (ROLLUP_ACTIVITY, ACTIVITY, activity_schema(), 1),
        ];
        for (rollup, sql, schema, place) in rollups {
            let kept = kept(&session, sql, &schema, span)?;
            for day in &run {
                let kept = kept.get(day).copied().unwrap_or_default();
                let anew = anew.get(day).map(|both| both[place]).unwrap_or_default();
                if kept != anew {
                    differences.push(format!(
                        "{rollup} of {day} is not what its raw rows come to: {} rows, {} from the \
                         raw rows (without its file the next run makes it anew)",
                        kept.rows, anew.rows
                    ));
                }
            }
        }
    }
    Ok(differences)
}

/// How many rows, and a sum of them that does not depend on their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Print {
    rows: u64,
    sum: u128,
}

/// Takes the print of all rows that come.
struct Printer {
    converter: RowConverter,
    print: Print,
}

impl Printer {
    fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone()));
        Ok(Self {
            converter: RowConverter::new(fields.collect())?,
            print: Print::default(),
        })
    }

    /// A hash of each row.
    fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
        let rows = self.converter.convert_columns(batch.columns())?;
        Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
    }
}

impl Print {
    fn add(&mut self, hash: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

impl Sink for Printer {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), RollupError> {
        for hash in self.hashes(batch)? {
            self.print.add(hash);
        }
        Ok(())
    }
}

/// Sightings and activity of each day, from the raw rows.
pub(super) fn made_anew(
    session: &Session,
    activity: &str,
    span: Span,
) -> Result<BTreeMap<NaiveDate, [Print; 2]>, RollupError> {
    let mut days: BTreeMap<NaiveDate, [Print; 2]> = BTreeMap::new();
    let mut current: Option<(NaiveDate, DayTables<Printer>)> = None;
    let mut finish = |of: Option<(NaiveDate, DayTables<Printer>)>| -> Result<(), RollupError> {
        if let Some((day, tables)) = of {
            let (sightings, activity) = tables.into_sinks()?;
            days.insert(day, [sightings.print, activity.print]);
        }
        Ok(())
    };
    for_each_account(session, activity, span, |day, account| {
        if current.as_ref().is_none_or(|(of, _)| *of != day) {
            let sightings = Printer::new(&sighting_schema())?;
            let activity = Printer::new(&activity_schema())?;
            finish(current.replace((day, DayTables::new(sightings, activity))))?;
        }
        match &mut current {
            Some((_, tables)) => tables.write(account),
            None => Ok(()),
        }
    })?;
    finish(current)?;
    Ok(days)
}

/// One rollup of each day, as the lake has it.
fn kept(
    session: &Session,
    sql: &str,
    schema: &SchemaRef,
    span: Span,
) -> Result<BTreeMap<NaiveDate, Print>, RollupError> {
    let params = Params::new()
        .with_time("from", span.from)
        .with_time("to", span.to);
    let printer = Printer::new(schema)?;
    let mut days: BTreeMap<NaiveDate, Print> = BTreeMap::new();
    for batch in session.stream(sql, &params)? {
        let batch = batch?;
        let own: Vec<usize> = (0..schema.fields().len()).collect();
        let hashes = printer.hashes(&batch.project(&own)?)?;
        let dates = batch
            .column(schema.fields().len())
            .as_primitive::<Date32Type>();
        for (row, hash) in hashes.into_iter().enumerate() {
            if let Some(day) = dates.value_as_date(row) {
                days.entry(day).or_default().add(hash);
            }
        }
    }
    Ok(days)
}
