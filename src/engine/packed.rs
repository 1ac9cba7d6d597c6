//! Text that stays as it lies in the file, numbers into a dictionary, until it is known which rows
//! pass a filter.
//!
//! [`Packed`] stands in the scan and hands a column over in that form, [`Unpacked`] behind the filter
//! and makes plain text of what is left.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::CastExpr;

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

/// The text of a [`Packed`] column.
#[derive(Debug, Clone)]
pub(super) struct Unpacked(Arc<dyn PhysicalExpr>);

impl Unpacked {
    pub(super) fn new(column: Arc<dyn PhysicalExpr>) -> Self {
        Self(column)
    }
}

impl PhysicalExpr for Unpacked {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.0.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.0.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(unpacked(&column)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.as_slice() {
            [column] => Ok(Arc::new(Self::new(Arc::clone(column)))),
            _ => exec_err!("a packed column has {} columns", children.len()),
        }
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(out)
    }
}

/// What keeps the rows would keep the whole dictionary with them, and count it for each batch: a few
/// rows take their values along instead.
fn unpacked(column: &ArrayRef) -> Result<ArrayRef> {
    let text = cast(column, &DataType::Utf8View)?;
    let views = text.as_string_view();
    let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
    Ok(match held > 2 * views.total_buffer_bytes_used() {
        true => Arc::new(views.gc()),
        false => text,
    })
}

impl fmt::Display for Unpacked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "unpacked({})", self.0)
    }
}

impl PartialEq for Unpacked {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for Unpacked {}

impl Hash for Unpacked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
