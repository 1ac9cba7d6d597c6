//! A condition on one text column that is answered once per distinct value, and not once per row.
//!
//! In the lake nearly every text column is dictionary-encoded: a row group of a quarter of a million
//! logins has a few hundred browsers. Where the scan hands the column over as it is stored, a pattern
//! is matched a few hundred times, and each row only looks up what its value was told.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, RecordBatch, StringArray,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, FieldRef, Int32Type, Schema, SchemaRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::packed::without_cast;
use super::per_dictionary::PerDictionary;

/// Boolean; NULL where the condition is. The same answers as the condition itself gives.
#[derive(Debug)]
pub(super) struct PerDistinct {
    /// Where the values come from: a column of text, in whatever form.
    column: Arc<dyn PhysicalExpr>,
    /// The condition, over batches that have the values as their only column.
    condition: Arc<dyn PhysicalExpr>,
    /// That column.
    schema: SchemaRef,
    /// What the values of a dictionary were told.
    told: PerDictionary<Answers>,
}

/// One answer for each value, and the last for NULL.
#[derive(Debug)]
struct Answers {
    are_true: Vec<bool>,
    /// None where every answer is known.
    are_known: Option<Vec<bool>>,
}

impl PerDistinct {
    /// `condition` is over batches of one column, `field`.
    pub(super) fn new(
        column: Arc<dyn PhysicalExpr>,
        condition: Arc<dyn PhysicalExpr>,
        field: FieldRef,
    ) -> Self {
        Self {
            column,
            condition,
            schema: Arc::new(Schema::new(vec![field])),
            told: PerDictionary::default(),
        }
    }

    /// The condition's answers for these values, in whatever form of text they are.
    fn ask(&self, values: &ArrayRef) -> Result<BooleanArray> {
        let values = cast(values, self.schema.field(0).data_type())?;
        let rows = values.len();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), vec![values])?;
        let answers = self.condition.evaluate(&batch)?.into_array(rows)?;
        match answers.as_boolean_opt() {
            Some(answers) => Ok(answers.clone()),
            None => exec_err!("a condition is {} and not Boolean", answers.data_type()),
        }
    }

    fn answers_for(&self, values: &StringArray) -> Result<Answers> {
        let null = new_null_array(values.data_type(), 1);
        let answers = self.ask(&concat(&[values, null.as_ref()])?)?;
        Ok(Answers {
            are_true: answers.values().iter().collect(),
            are_known: answers.nulls().map(|nulls| nulls.iter().collect()),
        })
    }
}

impl Answers {
    fn of_rows(&self, rows: &DictionaryArray<Int32Type>) -> BooleanArray {
        let of = |answers: &[bool]| -> BooleanBuffer {
            // The key of a row without a value says nothing, and need not be one.
            let answer = |key: &i32| answers.get(*key as usize).copied().unwrap_or(false);
            let keys = rows.keys().values().chunks(u64::BITS as usize);
            let words = keys.map(|keys| {
                let bits = keys.iter().zip(0..);
                bits.fold(0, |word, (key, bit)| word | u64::from(answer(key)) << bit)
            });
            let words: Vec<u64> = words.map(u64::to_le).collect();
            let answered = BooleanBuffer::new(Buffer::from_vec(words), 0, rows.len());
            let Some(nulls) = rows.nulls() else {
                return answered;
            };
            match answers.last() {
                Some(true) => &answered | &!nulls.inner(),
                _ => &answered & nulls.inner(),
            }
        };
        let are_known = self
            .are_known
            .as_ref()
            .map(|known| NullBuffer::new(of(known)));
        BooleanArray::new(of(&self.are_true), are_known)
    }
}

impl PhysicalExpr for PerDistinct {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = match self.column.evaluate(batch)? {
            ColumnarValue::Array(column) => column,
            ColumnarValue::Scalar(value) => {
                let answer = self.ask(&value.to_array()?)?;
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                    &answer, 0,
                )?));
            }
        };
        let stored = column.as_dictionary_opt::<Int32Type>();
        let answers = stored.and_then(|rows| {
            let values = rows.values().as_string_opt::<i32>()?;
            // A value that no row of the question has may be one that the condition cannot be
            // asked of. The rows themselves decide then.
            let ask = || self.answers_for(values);
            let answers = self.told.get_or_make(values, ask).ok()?;
            Some(answers.of_rows(rows))
        });
        let answers = match answers {
            Some(answers) => answers,
            None => self.ask(&column)?,
        };
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = children.as_slice() else {
            return exec_err!("a condition on one column has {} of them", children.len());
        };
        Ok(Arc::new(Self {
            column: Arc::clone(without_cast(column)),
            condition: Arc::clone(&self.condition),
            schema: Arc::clone(&self.schema),
            told: PerDictionary::default(),
        }))
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(out)
    }
}

impl fmt::Display for PerDistinct {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "per_distinct({})", self.condition)
    }
}

impl PartialEq for PerDistinct {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.condition.eq(&other.condition)
    }
}

impl Eq for PerDistinct {}

impl Hash for PerDistinct {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.condition.hash(state);
    }
}
