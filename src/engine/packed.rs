//! Text that stays as it lies in the file, numbers into a dictionary, until it is known which rows
//! pass a filter.
//!
//! [`Packed`] stands in the scan and hands a column over in that form, [`Unpacked`] behind the filter
//! and makes plain text of what is left.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type, Schema};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;

use super::per_dictionary::PerDictionary;

/// How a scan is to hand a text column over, so that its dictionary is seen.
pub(super) fn as_stored() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The column without the cast that a scan puts around one that a file has in another form: the cast
/// would unpack the dictionary.
pub(super) fn without_cast(column: &Arc<dyn PhysicalExpr>) -> &Arc<dyn PhysicalExpr> {
    match column.downcast_ref::<CastExpr>() {
        Some(cast) => cast.expr(),
        None => column,
    }
}

/// A text column in its dictionary, [`as_stored`].
#[derive(Debug, Clone)]
pub(super) struct Packed(Arc<dyn PhysicalExpr>);

impl Packed {
    pub(super) fn new(column: Arc<dyn PhysicalExpr>) -> Self {
        Self(column)
    }
}

impl PhysicalExpr for Packed {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(as_stored())
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.0.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.0.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(
            match *column.data_type() == as_stored() {
                true => column,
                // A file that lacks the column has NULL for it.
                false => cast(&column, &as_stored())?,
            },
        ))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.as_slice() {
            [column] => Ok(Arc::new(Self::new(Arc::clone(without_cast(column))))),
            _ => exec_err!("a packed column has {} columns", children.len()),
        }
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(out)
    }
}

impl fmt::Display for Packed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "packed({})", self.0)
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for Packed {}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// The text of a [`Packed`] column: plain, or for who only wants to know which values there are, in
/// its dictionary still, whose values are plain text then.
#[derive(Debug)]
pub(super) struct Unpacked {
    column: Arc<dyn PhysicalExpr>,
    keeps_dictionary: bool,
    /// The values of a dictionary as plain text.
    plain: PerDictionary<ArrayRef>,
}

impl Unpacked {
    pub(super) fn new(column: Arc<dyn PhysicalExpr>) -> Self {
        Self::of(column, false)
    }

    fn of(column: Arc<dyn PhysicalExpr>, keeps_dictionary: bool) -> Self {
        Self {
            column,
            keeps_dictionary,
            plain: PerDictionary::default(),
        }
    }

    /// The column in its dictionary still, the values as plain text.
    pub(super) fn in_dictionary(column: Arc<dyn PhysicalExpr>) -> Self {
        Self::of(column, true)
    }

    /// What it unpacks.
    pub(super) fn column(&self) -> &Arc<dyn PhysicalExpr> {
        &self.column
    }

    fn plain_values(&self, values: &StringArray) -> Result<ArrayRef> {
        let cast = || Ok(cast(values, &DataType::Utf8View)?);
        let plain = self.plain.get_or_make(values, cast)?;
        Ok(Arc::clone(&plain))
    }
}

impl PhysicalExpr for Unpacked {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        let (numbers, text) = (DataType::Int32, DataType::Utf8View);
        Ok(match self.keeps_dictionary {
            true => DataType::Dictionary(Box::new(numbers), Box::new(text)),
            false => text,
        })
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.column.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let packed = column.as_dictionary_opt::<Int32Type>();
        let stored = packed.and_then(|packed| packed.values().as_string_opt::<i32>());
        let (Some(packed), Some(stored)) = (packed, stored) else {
            return exec_err!("a packed column is {}", column.data_type());
        };
        // What is taken for a row without a value would be the first of the dictionary, however long.
        let is_worth_it =
            self.keeps_dictionary || packed.null_count() == 0 && stored.len() <= packed.len();
        Ok(ColumnarValue::Array(match is_worth_it {
            true => {
                let values = self.plain_values(stored)?;
                match self.keeps_dictionary {
                    true => Arc::new(packed.with_values(values)),
                    false => on_their_own(take(&values, packed.keys(), None)?),
                }
            }
            false => on_their_own(cast(packed, &DataType::Utf8View)?),
        }))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.as_slice() {
            [column] => Ok(Arc::new(Self::of(
                Arc::clone(column),
                self.keeps_dictionary,
            ))),
            _ => exec_err!("a packed column has {} columns", children.len()),
        }
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(out)
    }
}

/// What keeps the rows would keep the whole dictionary with them, and count it for each batch: a few
/// rows take their values along instead.
pub(super) fn on_their_own(text: ArrayRef) -> ArrayRef {
    let views = text.as_string_view();
    let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
    match held > 2 * views.total_buffer_bytes_used() {
        true => Arc::new(views.gc()),
        false => text,
    }
}

impl fmt::Display for Unpacked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.keeps_dictionary {
            true => "in_dictionary",
            false => "unpacked",
        };
        write!(out, "{name}({})", self.column)
    }
}

impl PartialEq for Unpacked {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.keeps_dictionary == other.keeps_dictionary
    }
}

impl Eq for Unpacked {}

impl Hash for Unpacked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.keeps_dictionary.hash(state);
    }
}
