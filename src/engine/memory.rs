//! How the operators of a query share its memory.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::DataFusionError;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};

/// Rows that sorts collect, by the name of their reservations in DataFusion.
const SORT: &str = "ExternalSorter[";

/// First come, first served, but for sorts: together they may collect rows in half of the memory.
/// One that finds it full writes out what it has, and the merge that it needs for that takes up
/// to as much again: with all of the memory in rows, no sort could end.
///
/// Not in fair shares: a plan has a hundred operators, of which few are at work at a time.
#[derive(Debug)]
pub(super) struct QueryMemory {
    whole: GreedyMemoryPool,
    /// Bytes that sorts hold.
    in_sorts: AtomicUsize,
    most_in_sorts: usize,
    /// What a sort gets however full the others are: its share among the partitions.
    least_for_sort: usize,
}

impl QueryMemory {
    /// `bytes` in all, for operators in so many partitions.
    pub(super) fn new(bytes: usize, partitions: usize) -> Self {
        let most_in_sorts = bytes / 2;
        Self {
            whole: GreedyMemoryPool::new(bytes),
            in_sorts: AtomicUsize::new(0),
            most_in_sorts,
            least_for_sort: most_in_sorts / partitions.max(1),
        }
    }

    fn has_room(&self, reservation: &MemoryReservation, additional: usize) -> bool {
        let size = reservation.size();
        // One that holds nothing has nothing to write out.
        size == 0
            || size + additional <= self.least_for_sort
            || self.in_sorts.load(Ordering::Relaxed) + additional <= self.most_in_sorts
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.whole.grow(reservation, additional);
        if is_sort(reservation) {
            self.in_sorts.fetch_add(additional, Ordering::Relaxed);
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.whole.shrink(reservation, shrink);
        if is_sort(reservation) {
            self.in_sorts.fetch_sub(shrink, Ordering::Relaxed);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !is_sort(reservation) {
            return self.whole.try_grow(reservation, additional);
        }
        if !self.has_room(reservation, additional) {
            let most = human_readable_size(self.most_in_sorts);
            let what = format!("the query's sorts may hold {most} in memory");
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        self.whole.try_grow(reservation, additional)?;
        self.in_sorts.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.whole.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.whole.memory_limit()
    }
}

impl Display for QueryMemory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.whole.fmt(f)
    }
}

fn is_sort(reservation: &MemoryReservation) -> bool {
    reservation.consumer().name().starts_with(SORT)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    const MIB: usize = 1 << 20;

    fn pool() -> Arc<dyn MemoryPool> {
        Arc::new(QueryMemory::new(64 * MIB, 2))
    }

    fn of(pool: &Arc<dyn MemoryPool>, name: &str) -> MemoryReservation {
        MemoryConsumer::new(name).register(pool)
    }

    #[test]
    fn sorts_leave_half_of_the_memory_to_their_merges() {
        let pool = pool();
        let (one, other) = (
            of(&pool, "ExternalSorter[0]"),
            of(&pool, "ExternalSorter[1]"),
        );
        one.try_grow(20 * MIB).unwrap();
        other.try_grow(12 * MIB).unwrap();
        one.try_grow(MIB).unwrap_err();
        of(&pool, "ExternalSorterMerge[0]")
            .try_grow(32 * MIB)
            .unwrap();
    }

    #[test]
    fn a_sort_gets_its_share_however_full_the_others_are() {
        let pool = pool();
        of(&pool, "elsewhere").try_grow(8 * MIB).unwrap();
        let (one, other) = (
            of(&pool, "ExternalSorter[0]"),
            of(&pool, "ExternalSorter[1]"),
        );
        one.try_grow(32 * MIB).unwrap();
        other.try_grow(16 * MIB).unwrap();
        other.try_grow(MIB).unwrap_err();
    }

    #[test]
    fn a_sort_gets_its_first_rows_however_large() {
        let pool = pool();
        let one = of(&pool, "ExternalSorter[0]");
        one.try_grow(40 * MIB).unwrap();
        one.try_grow(MIB).unwrap_err();
        one.free();
        one.try_grow(65 * MIB).unwrap_err();
    }

    #[test]
    fn what_a_sort_gives_back_is_there_for_the_next() {
        let pool = pool();
        let one = of(&pool, "ExternalSorter[0]");
        one.try_grow(32 * MIB).unwrap();
        drop(one);
        of(&pool, "ExternalSorter[1]").try_grow(32 * MIB).unwrap();
        assert_eq!(pool.reserved(), 0);
    }
}
