//! Counts or lists the distinct texts of each group, for all groups together.
//!
//! Each text is kept once, and of a group only which texts it had: eight bytes and a place in a table
//! for each. DataFusion has a table, a converter and buffers for every group (31 KB before the first
//! text, as of 55), which its memory pool does not see.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StringViewArray,
    StringViewBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use hashbrown::{DefaultHashBuilder, HashSet, HashTable};

/// What is asked of the distinct texts of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    /// Int64: how many there are, without NULL.
    Count,
    /// A list of them, NULL where a group has none. NULL is one of them, unless it does not count.
    List {
        sorted: Option<SortOptions>,
        with_null: bool,
    },
}

/// Of one column of text, Utf8View or Utf8; in groups alone. Its state is that of DataFusion's `count`
/// and `array_agg`: the list of the distinct texts.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DistinctTexts {
    asked: Asked,
    signature: Signature,
}

impl DistinctTexts {
    pub(super) fn function(asked: Asked) -> AggregateUDF {
        let signature = Signature::any(1, Volatility::Immutable);
        AggregateUDF::from(Self { asked, signature })
    }

    pub(super) fn takes(text: &DataType) -> bool {
        matches!(text, DataType::Utf8View | DataType::Utf8)
    }
}

impl AggregateUDFImpl for DistinctTexts {
    fn name(&self) -> &str {
        match self.asked {
            Asked::Count => "count_of_texts",
            Asked::List { .. } => "list_of_texts",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match (self.asked, arguments) {
            (Asked::Count, _) => Ok(DataType::Int64),
            (Asked::List { .. }, [text]) => Ok(DataType::List(item(text))),
            _ => exec_err!("the texts of {} columns", arguments.len()),
        }
    }

    fn is_nullable(&self) -> bool {
        self.asked != Asked::Count
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        match self.asked {
            Asked::Count => Ok(ScalarValue::Int64(Some(0))),
            Asked::List { .. } => ScalarValue::try_from(data_type),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let [text] = arguments.input_fields else {
            return exec_err!("the texts of {} columns", arguments.input_fields.len());
        };
        let (name, is_nullable) = match self.asked {
            Asked::Count => ("count distinct", false),
            Asked::List { .. } => ("distinct_array_agg", true),
        };
        let name = format_state_name(arguments.name, name);
        let list = DataType::List(item(text.data_type()));
        Ok(vec![Arc::new(Field::new(name, list, is_nullable))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        internal_err!("the distinct texts of no group were asked for")
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let [text] = arguments.expr_fields else {
            return exec_err!("the texts of {} columns", arguments.expr_fields.len());
        };
        let text = text.data_type().clone();
        Ok(Box::new(TextsOfGroups::new(self.asked, text)))
    }
}

fn item(text: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(text.clone(), true))
}

/// Each text once, by its number; NULL is the number of none.
#[derive(Default)]
struct Texts {
    bytes: String,
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

const NULL: u32 = u32::MAX;

impl Texts {
    fn range(ends: &[usize], number: u32) -> Range<usize> {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| ends[before]);
        start..ends[number]
    }

    fn text(&self, number: u32) -> Option<&str> {
        (number != NULL).then(|| &self.bytes[Self::range(&self.ends, number)])
    }

    fn number(&mut self, text: &str) -> Result<u32> {
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        let hash = hasher.hash_one(text);
        let is_it = |number: &u32| &bytes[Self::range(ends, *number)] == text;
        if let Some(number) = self.numbers.find(hash, is_it) {
            return Ok(*number);
        }
        let number = u32::try_from(ends.len()).unwrap_or(NULL);
        if number == NULL {
            return exec_err!("more than {NULL} distinct texts");
        }
        let hash_of = |number: &u32| hasher.hash_one(&bytes[Self::range(ends, *number)]);
        self.numbers.insert_unique(hash, number, hash_of);
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        Ok(number)
    }

    fn size(&self) -> usize {
        self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + self.numbers.allocation_size()
    }
}

struct TextsOfGroups {
    asked: Asked,
    text: DataType,
    texts: Texts,
    /// Groups and the numbers of their texts.
    pairs: HashSet<(u32, u32)>,
    /// Texts of each group.
    counts: Vec<u32>,
}

impl TextsOfGroups {
    fn new(asked: Asked, text: DataType) -> Self {
        Self {
            asked,
            text,
            texts: Texts::default(),
            pairs: HashSet::new(),
            counts: Vec::new(),
        }
    }

    fn counts_null(&self) -> bool {
        matches!(
            self.asked,
            Asked::List {
                with_null: true,
                ..
            }
        )
    }

    fn add(&mut self, group: usize, text: Option<&str>) -> Result<()> {
        let number = match text {
            Some(text) => self.texts.number(text)?,
            None if self.counts_null() => NULL,
            None => return Ok(()),
        };
        let Ok(of) = u32::try_from(group) else {
            return exec_err!("more than {} groups", u32::MAX);
        };
        if self.pairs.insert((of, number)) {
            self.counts[group] += 1;
        }
        Ok(())
    }

    /// Takes the groups out, and goes on with those after them as the first ones.
    fn take(&mut self, emit: EmitTo) -> Taken {
        let counts = emit.take_needed(&mut self.counts);
        let first_kept = u32::try_from(counts.len()).unwrap_or(u32::MAX);
        let texts = std::mem::take(&mut self.texts);
        let pairs = std::mem::take(&mut self.pairs);
        let (taken, kept): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .partition(|(group, _)| *group < first_kept);
        let kept = kept.into_iter().map(|(group, number)| {
            let number = match texts.text(number) {
                // It was there before, so there is room for it.
                Some(text) => self.texts.number(text).unwrap_or(NULL),
                None => NULL,
            };
            (group - first_kept, number)
        });
        self.pairs = kept.collect();
        Taken {
            texts,
            pairs: taken,
            counts,
        }
    }
}

/// Groups that are taken out.
struct Taken {
    texts: Texts,
    pairs: Vec<(u32, u32)>,
    counts: Vec<u32>,
}

impl Taken {
    /// The texts of each group, in their order; else in that in which they first came, NULL at last.
    fn lists(
        self,
        sorted: Option<SortOptions>,
        text: &DataType,
        is_nullable: bool,
    ) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::<i32>::from_lengths(self.counts.iter().map(|n| *n as usize));
        let mut places: Vec<i32> = offsets.to_vec();
        let mut numbers = vec![NULL; self.pairs.len()];
        for (group, number) in &self.pairs {
            let place = &mut places[*group as usize];
            numbers[*place as usize] = *number;
            *place += 1;
        }
        for list in offsets.windows(2) {
            let list = &mut numbers[list[0] as usize..list[1] as usize];
            match sorted {
                None => list.sort_unstable(),
                Some(options) => list.sort_unstable_by(|a, b| {
                    let (a, b) = (self.texts.text(*a), self.texts.text(*b));
                    match (a, b) {
                        (Some(a), Some(b)) if options.descending => b.cmp(a),
                        (Some(a), Some(b)) => a.cmp(b),
                        // NULL is less than any text.
                        _ if options.nulls_first => a.cmp(&b),
                        _ => b.cmp(&a),
                    }
                }),
            }
        }
        let mut values = StringViewBuilder::with_capacity(numbers.len());
        for number in numbers {
            match self.texts.text(number) {
                Some(text) => values.try_append_value(text)?,
                None => values.append_null(),
            }
        }
        let values: ArrayRef = Arc::new(values.finish());
        let values = match text {
            DataType::Utf8View => values,
            other => cast(&values, other)?,
        };
        let nulls = is_nullable.then(|| NullBuffer::from_iter(self.counts.iter().map(|n| *n > 0)));
        let lists = ListArray::try_new(item(text), offsets, values, nulls)?;
        Ok(Arc::new(lists))
    }
}

fn as_texts(column: &ArrayRef) -> Result<StringViewArray> {
    let column = match column.data_type() {
        DataType::Utf8View => Arc::clone(column),
        _ => cast(column, &DataType::Utf8View)?,
    };
    Ok(column.as_string_view().clone())
}

impl GroupsAccumulator for TextsOfGroups {
    fn update_batch(
        &mut self,
        columns: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let [column] = columns else {
            return exec_err!("the texts of {} columns", columns.len());
        };
        self.counts.resize(total, 0);
        let column = as_texts(column)?;
        for (row, (group, text)) in groups.iter().zip(&column).enumerate() {
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                self.add(*group, text)?;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        let [Some(lists)] = states
            .iter()
            .map(|state| state.as_list_opt::<i32>())
            .collect::<Vec<_>>()[..]
        else {
            return exec_err!("the state of distinct texts is one column of lists");
        };
        self.counts.resize(total, 0);
        let texts = as_texts(lists.values())?;
        for (row, group) in groups.iter().enumerate() {
            if lists.is_null(row) {
                continue;
            }
            let (start, end) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
            for place in start as usize..end as usize {
                let text = texts.is_valid(place).then(|| texts.value(place));
                self.add(*group, text)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let taken = self.take(emit);
        match self.asked {
            Asked::Count => {
                let counts = taken.counts.into_iter().map(i64::from);
                Ok(Arc::new(counts.collect::<Int64Array>()))
            }
            Asked::List { sorted, .. } => taken.lists(sorted, &self.text, true),
        }
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let is_nullable = self.asked != Asked::Count;
        let lists = self.take(emit).lists(None, &self.text, is_nullable)?;
        Ok(vec![lists])
    }

    fn convert_to_state(
        &self,
        columns: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut alone = Self::new(self.asked, self.text.clone());
        let groups: Vec<usize> = (0..rows).collect();
        alone.update_batch(columns, &groups, filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.texts.size()
            + self.pairs.allocation_size()
            + self.counts.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(array: &ArrayRef) -> Vec<Option<Vec<String>>> {
        let lists = array.as_list::<i32>().iter();
        let texts = |list: ArrayRef| {
            let texts = list.as_string_view().iter();
            texts.map(|text| text.unwrap_or("-").to_owned()).collect()
        };
        lists.map(|list| list.map(texts)).collect()
    }

    #[test]
    fn groups_that_are_taken_early_leave_the_others_as_they_were() {
        let list = Asked::List {
            sorted: Some(SortOptions::default().desc()),
            with_null: true,
        };
        let mut texts = TextsOfGroups::new(list, DataType::Utf8View);
        let column: ArrayRef = Arc::new(StringViewArray::from(vec![
            Some("b"),
            Some("a"),
            None,
            Some("a"),
            Some("b"),
            Some("a"),
        ]));
        let rows = [0, 0, 2, 2, 2, 3];
        texts
            .update_batch(std::slice::from_ref(&column), &rows, None, 5)
            .unwrap();
        let some = |of: &[&str]| Some(of.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        let first = texts.evaluate(EmitTo::First(2)).unwrap();
        assert_eq!(lists(&first), [some(&["b", "a"]), None]);
        // What was the third is the first, and a text that was taken out is known again.
        texts
            .update_batch(&[column], &[0, 1, 1, 2, 2, 3], None, 4)
            .unwrap();
        let rest = texts.state(EmitTo::All).unwrap();
        let mut rest = lists(&rest[0]);
        for list in rest.iter_mut().flatten() {
            list.sort();
        }
        assert_eq!(
            rest,
            [
                some(&["-", "a", "b"]),
                some(&["-", "a"]),
                some(&["a", "b"]),
                some(&["a"])
            ]
        );
        assert_eq!(texts.evaluate(EmitTo::All).unwrap().len(), 0);
    }

    #[test]
    fn what_is_held_grows_by_texts_and_not_by_groups() {
        let mut texts = TextsOfGroups::new(Asked::Count, DataType::Utf8View);
        let column: ArrayRef = Arc::new(StringViewArray::from(vec!["a longer text"; 10_000]));
        let groups: Vec<usize> = (0..10_000).collect();
        texts
            .update_batch(&[column], &groups, None, 10_000)
            .unwrap();
        assert!(texts.size() < 1 << 19, "{}", texts.size());
    }
}
