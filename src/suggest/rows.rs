//! One batch of an answer, read by column name.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};

use super::SuggestError;
use super::model::Days;
use crate::engine::{Params, Session};

/// Columns are in one layout for each kind from the start, so that a cell costs no conversion.
pub(super) struct Rows(RecordBatch);

impl Rows {
    pub fn ask(session: &Session, sql: &str, params: &Params) -> Result<Vec<Self>, SuggestError> {
        let batches = session.query(sql, params)?.into_iter();
        batches.map(|batch| Ok(Self(settled(&batch)?))).collect()
    }

    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.column_by_name(name).is_some()
    }

    /// The column in this type; text may come in any of its layouts.
    fn column(&self, name: &str, kind: &DataType) -> Result<arrow::array::ArrayRef, SuggestError> {
        let column = self
            .0
            .column_by_name(name)
            .ok_or_else(|| SuggestError::Column {
                name: name.to_owned(),
            })?;
        Ok(cast(column, kind)?)
    }

    pub fn text(&self, name: &str) -> Result<impl Fn(usize) -> Option<String>, SuggestError> {
        let column = self.column(name, &DataType::Utf8View)?;
        Ok(move |row| {
            let cells = column.as_string_view();
            cells.is_valid(row).then(|| cells.value(row).to_owned())
        })
    }

    /// NULL is false.
    pub fn flag(&self, name: &str) -> Result<impl Fn(usize) -> bool, SuggestError> {
        let column = self.column(name, &DataType::Boolean)?;
        Ok(move |row| {
            let cells = column.as_boolean();
            cells.is_valid(row) && cells.value(row)
        })
    }

    /// NULL and what lies below 0 is 0.
    pub fn count(&self, name: &str) -> Result<impl Fn(usize) -> u64, SuggestError> {
        let column = self.column(name, &DataType::Int64)?;
        Ok(move |row| {
            let cells = column.as_primitive::<Int64Type>();
            match cells.is_valid(row) {
                true => u64::try_from(cells.value(row)).unwrap_or(0),
                false => 0,
            }
        })
    }

    pub fn time(
        &self,
        name: &str,
    ) -> Result<impl Fn(usize) -> Option<DateTime<Utc>>, SuggestError> {
        let kind = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let column = self.column(name, &kind)?;
        Ok(move |row| {
            let cells = column.as_primitive::<TimestampMillisecondType>();
            let value = cells.is_valid(row).then(|| cells.value(row))?;
            DateTime::from_timestamp_millis(value)
        })
    }

    /// Every day of a column.
    pub fn dates(&self, name: &str) -> Result<Days, SuggestError> {
        let column = self.column(name, &DataType::Date32)?;
        let cells = column.as_primitive::<Date32Type>();
        Ok((0..cells.len())
            .filter(|row| cells.is_valid(*row))
            .filter_map(|row| cells.value_as_date(row))
            .collect())
    }

    pub fn date_list(&self, name: &str) -> Result<impl Fn(usize) -> Days, SuggestError> {
        let kind = DataType::new_list(DataType::Date32, true);
        let column = self.column(name, &kind)?;
        Ok(move |row| {
            let lists = column.as_list::<i32>();
            if !lists.is_valid(row) {
                return Days::new();
            }
            let cells = lists.value(row);
            let cells = cells.as_primitive::<Date32Type>();
            (0..cells.len())
                .filter(|n| cells.is_valid(*n))
                .filter_map(|n| cells.value_as_date(n))
                .collect()
        })
    }

    pub fn text_list(&self, name: &str) -> Result<impl Fn(usize) -> Vec<String>, SuggestError> {
        let kind = DataType::new_list(DataType::Utf8View, true);
        let column = self.column(name, &kind)?;
        Ok(move |row| {
            let lists = column.as_list::<i32>();
            if !lists.is_valid(row) {
                return vec![];
            }
            let cells = lists.value(row);
            let cells = cells.as_string_view();
            cells.iter().flatten().map(str::to_owned).collect()
        })
    }
}

fn settled(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    RecordBatch::try_from_iter_with_nullable(
        columns
            .map(|(field, column)| {
                let kind = match column.data_type() {
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Dictionary(..) => {
                        DataType::Utf8View
                    }
                    DataType::Timestamp(..) => {
                        DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
                    }
                    DataType::List(item) if item.data_type() != &DataType::Date32 => {
                        DataType::new_list(DataType::Utf8View, true)
                    }
                    DataType::List(_) => DataType::new_list(DataType::Date32, true),
                    kind if kind.is_integer() => DataType::Int64,
                    kind => kind.clone(),
                };
                Ok((field.name().clone(), cast(column, &kind)?, true))
            })
            .collect::<Result<Vec<_>, ArrowError>>()?,
    )
}
