//! What was made of a dictionary, kept for the batches to come: they bring it along again, until
//! their row group ends.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, StringArray};
use datafusion::common::Result;

/// Several partitions share an expression, and each is in a row group of its own: more than there
/// are likely to be.
const MAX_KEPT: usize = 64;

/// In the order in which they were last wanted.
#[derive(Debug)]
pub(super) struct PerDictionary<T>(Mutex<Vec<(StringArray, Arc<T>)>>);

impl<T> PerDictionary<T> {
    pub(super) fn get_or_make(
        &self,
        values: &StringArray,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            let known = kept.iter().rposition(|(known, _)| is_same(known, values));
            if let Some(place) = known {
                kept[place..].rotate_left(1);
                return Ok(Arc::clone(&kept[kept.len() - 1].1));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_of_a_dictionary_in_use_is_kept_however_many_others_come() {
        let dictionary = |n: usize| StringArray::from(vec![format!("{n}")]);
        let kept = PerDictionary::<usize>::default();
        let made = |values: &StringArray, n| *kept.get_or_make(values, || Ok(n)).unwrap();
        let in_use = dictionary(0);
        let first = dictionary(1);
        assert_eq!((made(&in_use, 0), made(&first, 1)), (0, 1));
        for n in 2..3 * MAX_KEPT {
            assert_eq!(made(&dictionary(n), n), n);
            assert_eq!(made(&in_use, n), 0);
        }
        assert_eq!(made(&first, 7), 7);
        assert_eq!(kept.0.lock().unwrap().len(), MAX_KEPT);
    }
}
