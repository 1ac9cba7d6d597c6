//! Writes the accounts of one day into the day's files of both rollups.

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

/// Both files of one day. Dropped unfinished they leave nothing behind.
pub(super) struct DayTables {
    sightings: Table<2, 1>,
    activity: Table<0, { ACTIVITY_COUNTS.len() + ACTIVITY_DISTINCT.len() }>,
}

impl DayTables {
    pub(super) fn create(lake: &Lake, day: NaiveDate) -> Result<Self, RollupError> {
        let sightings = sighting_schema();
        let activity = activity_schema();
        Ok(Self {
            sightings: Table::new(
                DayWriter::create(lake, ROLLUP_SIGHTINGS, Arc::clone(&sightings), day)?,
                sightings,
            ),
            activity: Table::new(
                DayWriter::create(lake, ROLLUP_ACTIVITY, Arc::clone(&activity), day)?,
                activity,
            ),
        })
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

    /// The finished files; none of a rollup that has no rows on that day.
    pub(super) fn finish(self) -> Result<Vec<StagedPart>, RollupError> {
        let sightings = self.sightings.finish()?;
        let activity = self.activity.finish()?;
        Ok(sightings.into_iter().chain(activity).collect())
    }
}

/// Rows of one rollup: times, the account, the app, then texts and numbers of its own.
struct Table<const TEXTS: usize, const NUMBERS: usize> {
    writer: DayWriter,
    schema: SchemaRef,
    times: [TimestampMillisecondBuilder; 2],
    account: [StringViewBuilder; 6],
    texts: [StringViewBuilder; TEXTS],
    numbers: [Int64Builder; NUMBERS],
    rows: usize,
}

impl<const TEXTS: usize, const NUMBERS: usize> Table<TEXTS, NUMBERS> {
    fn new(writer: DayWriter, schema: SchemaRef) -> Self {
        Self {
            writer,
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
        self.writer.write(&batch)
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

    fn finish(mut self) -> Result<Option<StagedPart>, RollupError> {
        self.flush()?;
        self.writer.finish()
    }
}
