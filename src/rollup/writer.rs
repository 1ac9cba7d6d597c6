//! Writes one day of a rollup as a Parquet file in the staging folder.

use std::fs::File;
use std::path::PathBuf;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{SchemaRef, TimestampMillisecondType};
use chrono::{DateTime, NaiveDate, Utc};
use parquet::file::metadata::ParquetMetaDataReader;

use super::RollupError;
use crate::lake::{CREATED_BY, Lake, Part, PartWriter, StagedPart, create_private};

/// Whether a rollup file is whole and written by this release. What another release wrote may
/// rest on another map of login paths.
pub(super) fn is_ours(part: &Part) -> bool {
    let written_by = File::open(&part.path)
        .ok()
        .and_then(|file| ParquetMetaDataReader::new().parse_and_finish(&file).ok())
        .and_then(|metadata| metadata.file_metadata().created_by().map(str::to_owned));
    written_by.is_some_and(|name| name == CREATED_BY)
}

/// A file in the staging folder that goes away unless it is kept.
struct Staged {
    path: PathBuf,
    keep: bool,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.keep {
            // What stays all the same is swept by the next writer of the lake.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// One day's file while it is being written. Dropped unfinished it leaves nothing behind.
pub(super) struct DayWriter {
    event_type: &'static str,
    day: NaiveDate,
    staged: Staged,
    parquet: PartWriter,
    rows: u64,
    times: Option<(i64, i64)>,
}

impl DayWriter {
    pub(super) fn create(
        lake: &Lake,
        event_type: &'static str,
        schema: SchemaRef,
        day: NaiveDate,
    ) -> Result<Self, RollupError> {
        let path = lake
            .staging_dir()
            .join(format!("{event_type}-{day}.parquet"));
        let file = create_private(&path).map_err(|source| RollupError::io(&path, source))?;
        let staged = Staged { path, keep: false };
        Ok(Self {
            event_type,
            day,
            staged,
            parquet: PartWriter::new(file, schema),
            rows: 0,
            times: None,
        })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), RollupError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        // Every rollup begins with `occurred_at`.
        let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
        if let (Some(first), Some(last)) = (min(times), max(times)) {
            let (a, b) = self.times.unwrap_or((first, last));
            self.times = Some((a.min(first), b.max(last)));
        }
        self.parquet
            .write(batch)
            .map_err(|source| RollupError::parquet(&self.staged.path, source))
    }

    /// The finished file, synced; None where the day has no rows.
    pub(super) fn finish(mut self) -> Result<Option<StagedPart>, RollupError> {
        let failed = |source| RollupError::parquet(&self.staged.path, source);
        let file = self.parquet.finish().map_err(failed)?.file;
        let io = |source| RollupError::io(&self.staged.path, source);
        file.sync_all().map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        let Some((first, last)) = self.times.and_then(|(a, b)| Some((time(a)?, time(b)?))) else {
            return Ok(None);
        };
        self.staged.keep = true;
        Ok(Some(StagedPart {
            path: self.staged.path.clone(),
            event_type: self.event_type.to_owned(),
            day: self.day,
            rows: self.rows,
            bytes,
            first_event_at: first,
            last_event_at: last,
        }))
    }
}

fn time(ms: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(ms)
}
