//! The least or the greatest text of a column that comes in dictionaries: of each dictionary a value
//! is compared once, when the first row has it.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::per_dictionary::is_same;

/// Utf8View, of one column in dictionaries; hands on what `min` and `max` of plain text hand on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Extreme {
    signature: Signature,
    /// How a text compares to those before it when it takes their place.
    wanted: Ordering,
}

impl Extreme {
    /// In the place of DataFusion's function of this name.
    pub(super) fn in_place_of(name: &str) -> Option<AggregateUDF> {
        let wanted = match name {
            "min" => Ordering::Less,
            "max" => Ordering::Greater,
            _ => return None,
        };
        let signature = Signature::any(1, Volatility::Immutable);
        Some(AggregateUDF::from(Self { signature, wanted }))
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        match self.wanted {
            Ordering::Greater => "greatest_of_dictionary",
            _ => "least_of_dictionary",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SoFar {
            wanted: self.wanted,
            text: None,
            values: StringArray::new_null(0),
            seen: Vec::new(),
        }))
    }
}

#[derive(Debug)]
struct SoFar {
    wanted: Ordering,
    text: Option<String>,
    /// The last dictionary, and which of its values a row had.
    values: StringArray,
    seen: Vec<bool>,
}

impl SoFar {
    fn look_at(&mut self, text: &str) {
        let takes_place = |so_far: &String| text.cmp(so_far.as_str()) == self.wanted;
        if self.text.as_ref().is_none_or(takes_place) {
            self.text = Some(text.to_owned());
        }
    }
}

impl Accumulator for SoFar {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [column] = columns else {
            return exec_err!("an extreme is of one column and not of {}", columns.len());
        };
        let rows = column.as_dictionary_opt::<Int32Type>();
        let values = rows.and_then(|rows| rows.values().as_string_opt::<i32>());
        let (Some(rows), Some(values)) = (rows, values) else {
            return exec_err!("a packed column is {}", column.data_type());
        };
        if !is_same(&self.values, values) {
            self.values = values.clone();
            self.seen = vec![false; values.len()];
        }
        for key in rows.keys_iter().flatten() {
            if !std::mem::replace(&mut self.seen[key], true) && values.is_valid(key) {
                self.look_at(values.value(key));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8View(self.text.clone()))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [texts] = states else {
            return exec_err!("an extreme has one state and not {}", states.len());
        };
        let Some(texts) = texts.as_string_view_opt() else {
            return exec_err!("an extreme's state is {}", texts.data_type());
        };
        texts.iter().flatten().for_each(|text| self.look_at(text));
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.text.as_ref().map_or(0, String::capacity)
            + self.values.get_array_memory_size()
            + self.seen.capacity()
    }
}
