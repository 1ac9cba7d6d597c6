//! Batches to Parquet files by day, in the staging folder.

use std::path::{Path, PathBuf};

use arrow::array::{BooleanArray, RecordBatch, TimestampMillisecondArray, cast::AsArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMillisecondType;
use chrono::{DateTime, NaiveDate, Utc};

use super::IngestError;
use crate::lake::{PartWriter, StagedPart, create_private};

/// Most day files that one writer keeps open; a file of more days is written in more parts.
const OPEN_DAYS: usize = 16;

/// Encoded bytes that one writer holds before it closes a row group.
const ROW_GROUP_BYTES: usize = 24 << 20;

const DAY_MS: i64 = 86_400_000;

struct OpenDay {
    day: i64,
    path: PathBuf,
    writer: PartWriter,
    rows: u64,
    first_ms: i64,
    last_ms: i64,
}

/// Writes the batches of one event type, one open file per day.
pub struct DayWriter {
    staging: PathBuf,
    prefix: String,
    event_type: String,
    open: Vec<OpenDay>,
    made: usize,
    done: Vec<StagedPart>,
}

impl DayWriter {
    /// `prefix` is unique among the writers of a staging folder.
    pub fn new(staging: &Path, prefix: String, event_type: &str) -> Self {
        Self {
            staging: staging.to_owned(),
            prefix,
            event_type: event_type.to_owned(),
            open: vec![],
            made: 0,
            done: vec![],
        }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let times = times_of(batch);
        let (first, last) =
            times
                .values()
                .iter()
                .fold((i64::MAX, i64::MIN), |(first, last), &ms| {
                    (
                        first.min(ms.div_euclid(DAY_MS)),
                        last.max(ms.div_euclid(DAY_MS)),
                    )
                });
        if first == last {
            return self.write_day(first, batch);
        }
        let mut days: Vec<i64> = times
            .values()
            .iter()
            .map(|ms| ms.div_euclid(DAY_MS))
            .collect();
        days.sort_unstable();
        days.dedup();
        for day in days {
            let of_day: BooleanArray = times
                .values()
                .iter()
                .map(|ms| Some(ms.div_euclid(DAY_MS) == day))
                .collect();
            self.write_day(day, &filter_record_batch(batch, &of_day)?)?;
        }
        Ok(())
    }

    fn write_day(&mut self, day: i64, batch: &RecordBatch) -> Result<(), IngestError> {
        let at = match self.open.iter().position(|o| o.day == day) {
            Some(at) => at,
            None => self.open_day(day, batch)?,
        };
        let open = &mut self.open[at];
        open.writer.write(batch)?;
        open.rows += batch.num_rows() as u64;
        for &ms in times_of(batch).values() {
            open.first_ms = open.first_ms.min(ms);
            open.last_ms = open.last_ms.max(ms);
        }
        open.writer.flush_over(ROW_GROUP_BYTES)?;
        Ok(())
    }

    fn open_day(&mut self, day: i64, batch: &RecordBatch) -> Result<usize, IngestError> {
        if self.open.len() == OPEN_DAYS {
            let oldest = self.open.remove(0);
            self.close(oldest)?;
        }
        let path = self
            .staging
            .join(format!("{}-{}.parquet", self.prefix, self.made));
        self.made += 1;
        let file = create_private(&path).map_err(IngestError::io("create", &path))?;
        self.open.push(OpenDay {
            day,
            path,
            writer: PartWriter::new(file, batch.schema()),
            rows: 0,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
        });
        Ok(self.open.len() - 1)
    }

    fn close(&mut self, open: OpenDay) -> Result<(), IngestError> {
        let OpenDay {
            day,
            path,
            writer,
            rows,
            first_ms,
            last_ms,
        } = open;
        let file = writer.finish()?.file;
        let bytes = file
            .metadata()
            .map_err(IngestError::io("measure", &path))?
            .len();
        self.done.push(StagedPart {
            path,
            event_type: self.event_type.clone(),
            day: day_of(day),
            rows,
            bytes,
            first_event_at: instant(first_ms),
            last_event_at: instant(last_ms),
        });
        Ok(())
    }

    /// Closes all files and returns them.
    pub fn finish(mut self) -> Result<Vec<StagedPart>, IngestError> {
        for open in std::mem::take(&mut self.open) {
            self.close(open)?;
        }
        Ok(self.done)
    }
}

fn times_of(batch: &RecordBatch) -> &TimestampMillisecondArray {
    // `occurred_at` is the first column of every lake schema.
    batch.column(0).as_primitive::<TimestampMillisecondType>()
}

fn day_of(day: i64) -> NaiveDate {
    instant(day * DAY_MS).date_naive()
}

/// The time reader lets only years from 1999 to 9999 pass, which chrono holds.
fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
