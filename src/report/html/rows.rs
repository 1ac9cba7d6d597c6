//! One batch of an answer or of a ledger table, read by column name.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType,
};
use chrono::{DateTime, NaiveDate, Utc};

use super::ReportError;
use crate::engine::{Params, Session};
use crate::lake::{Lake, LedgerTable};

/// Columns are brought into one layout for each kind once, so that a cell costs no conversion.
pub struct Rows(RecordBatch);

impl Rows {
    pub fn ask(session: &Session, sql: &str, params: &Params) -> Result<Vec<Self>, ReportError> {
        let batches = session.query(sql, params)?;
        Ok(batches.into_iter().map(Self).collect())
    }

    pub fn of(lake: &Lake, table: LedgerTable) -> Result<Self, ReportError> {
        Ok(Self(lake.ledger().snapshot(table)?))
    }

    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, name: &'static str, kind: &DataType) -> Result<ArrayRef, ReportError> {
        let column = self.0.column_by_name(name);
        Ok(cast(column.ok_or(ReportError::Column { name })?, kind)?)
    }

    pub fn text(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<String> + use<>, ReportError> {
        let column = self.column(name, &DataType::Utf8View)?;
        Ok(move |row| {
            let cells = column.as_string_view();
            cells.is_valid(row).then(|| cells.value(row).to_owned())
        })
    }

    /// None where it is NULL.
    pub fn flag(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<bool> + use<>, ReportError> {
        let column = self.column(name, &DataType::Boolean)?;
        Ok(move |row| {
            let cells = column.as_boolean();
            cells.is_valid(row).then(|| cells.value(row))
        })
    }

    pub fn number(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<i64> + use<>, ReportError> {
        let column = self.column(name, &DataType::Int64)?;
        Ok(move |row| {
            let cells = column.as_primitive::<Int64Type>();
            cells.is_valid(row).then(|| cells.value(row))
        })
    }

    /// NULL and what lies below 0 is 0.
    pub fn count(&self, name: &'static str) -> Result<impl Fn(usize) -> u64 + use<>, ReportError> {
        let number = self.number(name)?;
        Ok(move |row| u64::try_from(number(row).unwrap_or(0)).unwrap_or(0))
    }

    pub fn fraction(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<f64> + use<>, ReportError> {
        let column = self.column(name, &DataType::Float64)?;
        Ok(move |row| {
            let cells = column.as_primitive::<Float64Type>();
            cells.is_valid(row).then(|| cells.value(row))
        })
    }

    pub fn day(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<NaiveDate> + use<>, ReportError> {
        let column = self.column(name, &DataType::Date32)?;
        Ok(move |row| {
            let cells = column.as_primitive::<Date32Type>();
            cells.is_valid(row).then(|| cells.value_as_date(row))?
        })
    }

    pub fn time(
        &self,
        name: &'static str,
    ) -> Result<impl Fn(usize) -> Option<DateTime<Utc>> + use<>, ReportError> {
        let kind = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let column = self.column(name, &kind)?;
        Ok(move |row| {
            let cells = column.as_primitive::<TimestampMillisecondType>();
            let value = cells.is_valid(row).then(|| cells.value(row))?;
            DateTime::from_timestamp_millis(value)
        })
    }
}
