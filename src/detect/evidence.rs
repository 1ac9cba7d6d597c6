//! One cell of a rule's result as JSON: times in RFC 3339 UTC, lists as arrays, text safe to
//! show. What an attacker chose to be called is data here and markup nowhere.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Number, Value};

use crate::privacy::printable;

/// Longest text of evidence, in characters.
pub const TEXT_CHARS: usize = 200;
/// Longest list of evidence; what is beyond is counted in its last element.
const LIST_ITEMS: usize = 50;
/// How deep lists and structures may nest.
const DEEPEST: usize = 4;

/// A time as all outputs write it.
pub fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The cell `row` of `array`.
pub fn cell_to_json(array: &ArrayRef, row: usize) -> Result<Value, ArrowError> {
    cell(array, row, DEEPEST)
}

/// The cell as text: what stands between the quotes of its JSON.
pub fn cell_to_text(array: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    Ok(match cell_to_json(array, row)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// The cell's text as it is in the result, for keys and joins; null where it is no text.
pub fn raw_text(array: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = cast(&array.slice(row, 1), &DataType::Utf8)?;
    let text = text.as_string::<i32>();
    Ok((!text.is_null(0)).then(|| text.value(0).to_owned()))
}

/// The cell as a time.
pub fn moment(array: &ArrayRef, row: usize) -> Result<Option<DateTime<Utc>>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let target = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let times = cast(&array.slice(row, 1), &target)?;
    let millis = times.as_primitive::<TimestampMillisecondType>().value(0);
    Ok(DateTime::from_timestamp_millis(millis))
}

/// The cell as a whole number.
pub fn integer(array: &ArrayRef, row: usize) -> Result<Option<i64>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let number = cast(&array.slice(row, 1), &DataType::Int64)?;
    let number = number.as_primitive::<Int64Type>();
    Ok((!number.is_null(0)).then(|| number.value(0)))
}

fn cell(array: &ArrayRef, row: usize, depth: usize) -> Result<Value, ArrowError> {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Ok(Value::Null);
    }
    let one = array.slice(row, 1);
    Ok(match one.data_type() {
        DataType::Boolean => Value::Bool(one.as_boolean().value(0)),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => {
            let wide = cast(&one, &DataType::Int64)?;
            Value::from(wide.as_primitive::<Int64Type>().value(0))
        }
        DataType::UInt64 => Value::from(one.as_primitive::<UInt64Type>().value(0)),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let wide = cast(&one, &DataType::Float64)?;
            // JSON knows no NaN and no infinity.
            Number::from_f64(wide.as_primitive::<Float64Type>().value(0))
                .map_or(Value::Null, Value::Number)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => {
            raw_text(&one, 0)?.map_or(Value::Null, |text| shown(&text))
        }
        DataType::Timestamp(..) => {
            moment(&one, 0)?.map_or(Value::Null, |at| Value::String(rfc3339(at)))
        }
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&one, &DataType::Date32)?;
            let days = days.as_primitive::<Date32Type>().value(0);
            NaiveDate::from_epoch_days(days).map_or(Value::Null, |d| Value::String(d.to_string()))
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
            if depth > 0 =>
        {
            let items = match one.data_type() {
                DataType::List(_) => one.as_list::<i32>().value(0),
                DataType::LargeList(_) => one.as_list::<i64>().value(0),
                DataType::FixedSizeList(..) => one.as_fixed_size_list().value(0),
                DataType::ListView(_) => one.as_list_view::<i32>().value(0),
                _ => one.as_list_view::<i64>().value(0),
            };
            list(&items, depth)?
        }
        DataType::Struct(fields) if depth > 0 => {
            let columns = one.as_struct();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                object.insert(field.name().clone(), cell(column, 0, depth - 1)?);
            }
            Value::Object(object)
        }
        _ => {
            let format = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(one.as_ref(), &format)?;
            shown(&formatter.value(0).try_to_string()?)
        }
    })
}

fn list(items: &ArrayRef, depth: usize) -> Result<Value, ArrowError> {
    let mut values = (0..items.len().min(LIST_ITEMS))
        .map(|n| cell(items, n, depth - 1))
        .collect::<Result<Vec<_>, _>>()?;
    if items.len() > LIST_ITEMS {
        values.push(Value::String(format!(
            "+ {} more",
            items.len() - LIST_ITEMS
        )));
    }
    Ok(Value::Array(values))
}

fn shown(text: &str) -> Value {
    Value::String(printable(text, TEXT_CHARS))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        BooleanArray, Float64Array, Int32Array, ListArray, ListBuilder, StringBuilder,
        StringViewArray, StructArray, TimestampMillisecondArray, UInt64Array,
    };
    use datafusion::arrow::datatypes::Field;
    use serde_json::json;

    use super::*;

    fn first(array: impl Array + 'static) -> Value {
        let array: ArrayRef = Arc::new(array);
        cell_to_json(&array, 0).unwrap()
    }

    #[test]
    fn values_keep_their_json_type() {
        assert_eq!(first(BooleanArray::from(vec![true])), json!(true));
        assert_eq!(first(Int32Array::from(vec![-3])), json!(-3));
        assert_eq!(first(UInt64Array::from(vec![u64::MAX])), json!(u64::MAX));
        assert_eq!(first(Float64Array::from(vec![0.5])), json!(0.5));
        assert_eq!(first(Float64Array::from(vec![f64::NAN])), Value::Null);
        assert_eq!(
            first(StringViewArray::from(vec![None::<&str>])),
            Value::Null
        );
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let time = TimestampMillisecondArray::from(vec![1_768_471_200_500]).with_timezone("+05:00");
        assert_eq!(first(time), json!("2026-01-15T10:00:00.500Z"));
    }

    #[test]
    fn caller_chosen_text_is_cut_and_its_controls_escaped_in_lists_too() {
        let text = first(StringViewArray::from(vec![format!(
            "\u{1b}[2J{}",
            "x".repeat(500)
        )]));
        let text = text.as_str().unwrap();
        assert!(text.starts_with("\\u{1b}[2J"));
        assert!(text.chars().count() < TEXT_CHARS + 10);

        let mut list = ListBuilder::new(StringBuilder::new());
        list.extend([Some(vec![Some("a\u{202e}b".to_owned()), None])]);
        assert_eq!(first(list.finish()), json!(["a\\u{202e}b", null]));
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let numbers = (0..60).map(Some).collect::<Vec<_>>();
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(numbers)]);
        let value = first(list);
        assert_eq!(value.as_array().unwrap().len(), LIST_ITEMS + 1);
        assert_eq!(value[LIST_ITEMS], json!("+ 10 more"));
    }

    #[test]
    fn a_structure_becomes_an_object() {
        let field = Arc::new(Field::new("n", DataType::Int32, true));
        let column: ArrayRef = Arc::new(Int32Array::from(vec![7]));
        assert_eq!(
            first(StructArray::from(vec![(field, column)])),
            json!({"n": 7})
        );
    }
}
