//! Rows that a command makes itself, as a batch, so that every list has every format.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};

/// Columns under their names, in order.
#[derive(Default)]
pub struct Rows {
    columns: Vec<(&'static str, ArrayRef)>,
}

impl Rows {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn text<T: Into<String>>(
        mut self,
        name: &'static str,
        cells: impl IntoIterator<Item = Option<T>>,
    ) -> Self {
        let cells: StringArray = cells.into_iter().map(|c| c.map(Into::into)).collect();
        self.columns.push((name, Arc::new(cells)));
        self
    }

    pub fn number(mut self, name: &'static str, cells: impl IntoIterator<Item = u64>) -> Self {
        let cells = cells
            .into_iter()
            .map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        self.columns
            .push((name, Arc::new(Int64Array::from_iter_values(cells))));
        self
    }

    pub fn time(
        mut self,
        name: &'static str,
        cells: impl IntoIterator<Item = Option<DateTime<Utc>>>,
    ) -> Self {
        let cells: TimestampMillisecondArray = cells
            .into_iter()
            .map(|at| at.map(|at| at.timestamp_millis()))
            .collect();
        self.columns
            .push((name, Arc::new(cells.with_timezone("UTC"))));
        self
    }

    pub fn batch(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_from_iter_with_nullable(
            self.columns
                .into_iter()
                .map(|(name, column)| (name, column, true)),
        )
    }
}
