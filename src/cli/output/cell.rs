//! One cell as text.

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Times in RFC 3339, in UTC; bytes in hexadecimal; NULL as nothing.
pub const CELL: FormatOptions<'static> = FormatOptions::new()
    .with_null("")
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));

/// Formats of the columns of one batch.
pub fn formatters<'a>(
    columns: &'a [std::sync::Arc<dyn Array>],
) -> Result<Vec<ArrayFormatter<'a>>, ArrowError> {
    columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &CELL))
        .collect()
}

/// Whether a column's cells are text that somebody chose (against numbers, times, booleans).
pub fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => !(other.is_numeric() || other.is_temporal() || matches!(other, DataType::Boolean)),
    }
}

pub fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Text for a CSV cell: a spreadsheet that opens the file must not take it for a formula.
/// Full-width forms count, because spreadsheets fold them.
pub fn csv_text(text: &str) -> std::borrow::Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{text}").into()
        }
        _ => text.into(),
    }
}
