//! The rows of both rollups, account by account, and where they go.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Builder, RecordBatch, StringViewBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use chrono::NaiveDate;

use super::account::{Account, App, ms_of_hour};
use crate::catalog::timestamp_ms;
use crate::engine::{
    ACTIVITY_COUNTS, ACTIVITY_DISTINCT, ROLLUP_ACTIVITY, ROLLUP_SIGHTINGS, activity_schema,
    sighting_schema,
};
use crate::lake::{Lake, StagedPart};
use crate::rollup::RollupError;
use crate::rollup::writer::DayWriter;

/// Rows gathered before they are written.
const BATCH_ROWS: usize = 8_192;

/// Where the rows of one rollup go.
pub(super) trait Sink {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), RollupError>;
}

impl Sink for DayWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), RollupError> {
        DayWriter::write(self, batch)
    }
}

/// Both rollups of one day.
pub(super) struct DayTables<S> {
    sightings: Table<S, 2, 1>,
    activity: Table<S, 0, { ACTIVITY_COUNTS.len() + ACTIVITY_DISTINCT.len() }>,
}

impl DayTables<DayWriter> {
    /// The day's files. Dropped unfinished they leave nothing behind.
    pub(super) fn create(lake: &Lake, day: NaiveDate) -> Result<Self, RollupError> {
        let file = |rollup, schema| DayWriter::create(lake, rollup, schema, day);
        Ok(Self::new(
            file(ROLLUP_SIGHTINGS, sighting_schema())?,
            file(ROLLUP_ACTIVITY, activity_schema())?,
        ))
    }

    /// The finished files; none of a rollup that has no rows on that day.
    pub(super) fn finish(self) -> Result<Vec<StagedPart>, RollupError> {
        let (sightings, activity) = self.into_sinks()?;
        let sightings = sightings.finish()?;
        let activity = activity.finish()?;
        Ok(sightings.into_iter().chain(activity).collect())
    }
}

impl<S: Sink> DayTables<S> {
    pub(super) fn new(sightings: S, activity: S) -> Self {
        Self {
            sightings: Table::new(sightings, sighting_schema()),
            activity: Table::new(activity, activity_schema()),
        }
    }

    pub(super) fn write(&mut self, account: &Account) -> Result<(), RollupError> {
        for (app, kind, value, seen) in account.sightings() {
            let span = (seen.first_ms, seen.last_ms);
            self.sightings
                .add(account, app, span, [kind, value], [seen.events])?;
        }
        for (app, hour, counts) in account.hours() {
            let mut numbers = [0; ACTIVITY_COUNTS.len() + ACTIVITY_DISTINCT.len()];
            let told = counts.counts.into_iter().chain(counts.distinct());
            for (number, count) in numbers.iter_mut().zip(told) {
                *number = count;
            }
            let span = (ms_of_hour(hour), counts.last_ms);
            self.activity.add(account, app, span, [], numbers)?;
        }
        Ok(())
    }

    /// Sightings and activity, each with all of its rows.
    pub(super) fn into_sinks(mut self) -> Result<(S, S), RollupError> {
        self.sightings.flush()?;
        self.activity.flush()?;
        Ok((self.sightings.sink, self.activity.sink))
    }
}

/// Rows of one rollup: times, the account, the app, then texts and numbers of its own.
struct Table<S, const TEXTS: usize, const NUMBERS: usize> {
    sink: S,
    schema: SchemaRef,
    times: [TimestampMillisecondBuilder; 2],
    account: [StringViewBuilder; 6],
    texts: [StringViewBuilder; TEXTS],
    numbers: [Int64Builder; NUMBERS],
    rows: usize,
}

impl<S: Sink, const TEXTS: usize, const NUMBERS: usize> Table<S, TEXTS, NUMBERS> {
    fn new(sink: S, schema: SchemaRef) -> Self {
        Self {
            sink,
            schema,
            times: std::array::from_fn(|_| {
                TimestampMillisecondBuilder::new().with_data_type(timestamp_ms())
            }),
            account: std::array::from_fn(|_| StringViewBuilder::new()),
            texts: std::array::from_fn(|_| StringViewBuilder::new()),
            numbers: std::array::from_fn(|_| Int64Builder::new()),
            rows: 0,
        }
    }

    fn add(
        &mut self,
        account: &Account,
        app: &App,
        span: (i64, i64),
        texts: [&str; TEXTS],
        numbers: [i64; NUMBERS],
    ) -> Result<(), RollupError> {
        self.times[0].append_value(span.0);
        self.times[1].append_value(span.1);
        let told = [
            account.user_key.as_deref(),
            account.user_id.as_deref(),
            account.username(),
            account.user_type(),
            app.id.as_deref(),
            app.name.as_deref(),
        ];
        for (builder, text) in self.account.iter_mut().zip(told) {
            builder.append_option(text);
        }
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_value(text);
        }
        for (builder, number) in self.numbers.iter_mut().zip(numbers) {
            builder.append_value(number);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RollupError> {
        let batch = self.batch()?;
        self.rows = 0;
        self.sink.write(&batch)
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let times = self
            .times
            .iter_mut()
            .map(|b| Arc::new(b.finish()) as ArrayRef);
        let account = self
            .account
            .iter_mut()
            .map(|b| Arc::new(b.finish()) as ArrayRef);
        let texts = self
            .texts
            .iter_mut()
            .map(|b| Arc::new(b.finish()) as ArrayRef);
        let numbers = self
            .numbers
            .iter_mut()
            .map(|b| Arc::new(b.finish()) as ArrayRef);
        let columns = times.chain(account).chain(texts).chain(numbers).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}
