//! Numbers in the place of texts, for who only has to tell texts from each other.
//!
//! [`NumberOf`] makes the numbers of one or two columns that are in dictionaries, [`TextOf`] makes the
//! texts of them again. Both have the texts of a column in common, each of them once.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, AsArray, DictionaryArray, RecordBatch, StringArray, StringViewArray, StringViewBuilder,
    UInt32Array, UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type, Schema, UInt64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::packed::on_their_own;
use super::per_dictionary::PerDictionary;

/// Number of a row that has no text.
const NONE: u32 = 0;

/// In the place of a number that was not asked for yet.
const NOT_ASKED: u32 = u32::MAX;

/// The texts of one column, numbered from 1 on as they first come.
#[derive(Debug)]
pub(super) struct Texts(Mutex<Known>);

#[derive(Debug)]
struct Known {
    numbers: HashMap<Box<str>, u32>,
    /// NULL, and the texts in the order of their numbers.
    column: StringViewBuilder,
    /// The column as it was when it was last asked for.
    made: StringViewArray,
}

impl Default for Texts {
    fn default() -> Self {
        let mut column = StringViewBuilder::new();
        column.append_null();
        Self(Mutex::new(Known {
            numbers: HashMap::new(),
            made: column.finish_cloned(),
            column,
        }))
    }
}

impl Texts {
    fn number_of(&self, text: &str) -> u32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = known.numbers.get(text) {
            return *number;
        }
        let number = known.numbers.len() as u32 + 1;
        known.numbers.insert(text.into(), number);
        known.column.append_value(text);
        number
    }

    fn column(&self) -> StringViewArray {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.made.len() <= known.numbers.len() {
            known.made = known.column.finish_cloned();
        }
        known.made.clone()
    }
}

/// UInt64: the numbers of one column's texts, or of two, the first in the upper half.
#[derive(Debug)]
pub(super) struct NumberOf(Vec<Numbered>);

#[derive(Debug)]
struct Numbered {
    /// In dictionaries.
    column: Arc<dyn PhysicalExpr>,
    texts: Arc<Texts>,
    /// Of a dictionary's values the numbers, as far as rows have asked for them.
    asked: PerDictionary<Mutex<Vec<u32>>>,
}

impl NumberOf {
    /// One or two columns in dictionaries, and where to keep their texts.
    pub(super) fn new(
        columns: impl IntoIterator<Item = (Arc<dyn PhysicalExpr>, Arc<Texts>)>,
    ) -> Self {
        let numbered = columns.into_iter().map(|(column, texts)| Numbered {
            column,
            texts,
            asked: PerDictionary::default(),
        });
        Self(numbered.collect())
    }
}

impl Numbered {
    fn numbers(&self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let column = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let rows = column.as_dictionary_opt::<Int32Type>();
        let values = rows.and_then(|rows| rows.values().as_string_opt::<i32>());
        let (Some(rows), Some(values)) = (rows, values) else {
            return exec_err!("a packed column is {}", column.data_type());
        };
        let new = || Ok(Mutex::new(vec![NOT_ASKED; values.len()]));
        let asked = self.asked.get_or_make(values, new)?;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut numbers = of_rows(rows, &asked);
        if numbers.contains(&NOT_ASKED) {
            for value in rows.keys_iter().flatten() {
                if asked[value] == NOT_ASKED {
                    asked[value] = self.asked_for(values, value);
                }
            }
            numbers = of_rows(rows, &asked);
        }
        if let Some(nulls) = rows.nulls() {
            for (number, has_text) in numbers.iter_mut().zip(nulls) {
                if !has_text {
                    *number = NONE;
                }
            }
        }
        Ok(numbers)
    }

    fn asked_for(&self, values: &StringArray, value: usize) -> u32 {
        match values.is_null(value) {
            true => NONE,
            false => self.texts.number_of(values.value(value)),
        }
    }
}

/// Without a branch: that is what grouping costs per row. A row without a text may have any key.
fn of_rows(rows: &DictionaryArray<Int32Type>, numbers: &[u32]) -> Vec<u32> {
    let keys = rows.keys().values().iter();
    let number = |key: &i32| numbers.get(*key as usize).copied().unwrap_or(NONE);
    keys.map(number).collect()
}

impl PhysicalExpr for NumberOf {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut numbers = vec![0; batch.num_rows()];
        for column in &self.0 {
            for (number, of_text) in numbers.iter_mut().zip(column.numbers(batch)?) {
                *number = *number << u32::BITS | u64::from(of_text);
            }
        }
        Ok(ColumnarValue::Array(Arc::new(UInt64Array::from(numbers))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.0.iter().map(|numbered| &numbered.column).collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        if children.len() != self.0.len() {
            return exec_err!("{} columns are not {}", children.len(), self.0.len());
        }
        let texts = self.0.iter().map(|numbered| Arc::clone(&numbered.texts));
        Ok(Arc::new(Self::new(children.into_iter().zip(texts))))
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl fmt::Display for NumberOf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(|numbered| numbered.column.to_string());
        write!(out, "number_of({})", columns.collect::<Vec<_>>().join(", "))
    }
}

impl PartialEq for Numbered {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && Arc::ptr_eq(&self.texts, &other.texts)
    }
}

impl PartialEq for NumberOf {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for NumberOf {}

impl Hash for NumberOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for numbered in &self.0 {
            numbered.column.hash(state);
        }
    }
}

/// Utf8View: the text whose number is in these bits.
#[derive(Debug)]
pub(super) struct TextOf {
    numbers: Arc<dyn PhysicalExpr>,
    in_upper_half: bool,
    texts: Arc<Texts>,
    nullable: bool,
}

impl TextOf {
    pub(super) fn new(
        numbers: Arc<dyn PhysicalExpr>,
        in_upper_half: bool,
        texts: Arc<Texts>,
        nullable: bool,
    ) -> Self {
        Self {
            numbers,
            in_upper_half,
            texts,
            nullable,
        }
    }
}

impl PhysicalExpr for TextOf {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(self.nullable)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let numbers = self.numbers.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(numbers) = numbers.as_primitive_opt::<UInt64Type>() else {
            return exec_err!("numbers of texts are {}", numbers.data_type());
        };
        let shift = match self.in_upper_half {
            true => u32::BITS,
            false => 0,
        };
        let places = numbers.values().iter();
        let places: UInt32Array = places.map(|number| (number >> shift) as u32).collect();
        let texts = take(&self.texts.column(), &places, None)?;
        Ok(ColumnarValue::Array(on_their_own(texts)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.numbers]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [numbers] = children.as_slice() else {
            return exec_err!("a text is of one number and not of {}", children.len());
        };
        let (texts, nullable) = (Arc::clone(&self.texts), self.nullable);
        let numbers = Arc::clone(numbers);
        Ok(Arc::new(Self::new(
            numbers,
            self.in_upper_half,
            texts,
            nullable,
        )))
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl fmt::Display for TextOf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "text_of({})", self.numbers)
    }
}

impl PartialEq for TextOf {
    fn eq(&self, other: &Self) -> bool {
        self.numbers.eq(&other.numbers)
            && self.in_upper_half == other.in_upper_half
            && Arc::ptr_eq(&self.texts, &other.texts)
    }
}

impl Eq for TextOf {}

impl Hash for TextOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.numbers.hash(state);
        self.in_upper_half.hash(state);
    }
}
