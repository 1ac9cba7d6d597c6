//! What was made of a dictionary, kept for the batches to come: they bring it along again, until
//! their row group ends.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, StringArray};
use datafusion::common::Result;

/// Several partitions share an expression, and each is in a row group of its own.
const MAX_KEPT: usize = 16;

#[derive(Debug)]
pub(super) struct PerDictionary<T>(Mutex<Vec<(StringArray, Arc<T>)>>);

impl<T> PerDictionary<T> {
    pub(super) fn get_or_make(
        &self,
        values: &StringArray,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = kept().iter().find(|(known, _)| is_same(known, values)) {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make()?);
        let mut kept = kept();
        if kept.len() == MAX_KEPT {
            kept.remove(0);
        }
        kept.push((values.clone(), Arc::clone(&made)));
        Ok(made)
    }
}

impl<T> Default for PerDictionary<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Whether both are the same memory; who keeps one of them keeps it from being used again.
pub(super) fn is_same(known: &StringArray, values: &StringArray) -> bool {
    known.len() == values.len()
        && std::ptr::eq(
            known.value_offsets().as_ptr(),
            values.value_offsets().as_ptr(),
        )
        && std::ptr::eq(known.values().as_ptr(), values.values().as_ptr())
}
