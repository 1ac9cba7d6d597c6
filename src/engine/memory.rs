//! How the operators of a query share its memory.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};

/// Rows that sorts collect, the merges of these, and rows on their way between partitions, by the
/// names of their reservations in DataFusion. What merges the last has no part of its own.
const SORT: &str = "ExternalSorter[";
const SORT_MERGE: &str = "ExternalSorterMerge[";
const EXCHANGE: &str = "RepartitionExec[";

/// First come, first served, but for two that can go on without memory:
///
/// - Sorts collect rows in three eighths of it together. One that finds it full writes out what it
///   has, and the merge that it needs for that takes the rows over and up to as much again: with all
///   of the memory in rows, no sort could end. So what merges hold counts as well, or another sort
///   would fill the place of the rows that were taken over, and then find no room for its own merge.
/// - Rows on their way take an eighth. They come quicker than a sort that writes out takes them,
///   and would fill whatever is free; beyond that they wait on disk.
///
/// Not in fair shares: a plan has a hundred operators, of which few are at work at a time.
#[derive(Debug)]
pub(super) struct QueryMemory {
    whole: GreedyMemoryPool,
    sorts: Part,
    exchanges: Part,
}

/// Bytes that some operators hold together.
#[derive(Debug)]
struct Part {
    held: AtomicUsize,
    most: usize,
    /// What one of them gets however full the others are; it gets its first rows, too, for with
    /// nothing in memory there is nothing to write out. None where rows are written as they come.
    least: Option<usize>,
}

impl Part {
    fn of(most: usize, least: Option<usize>) -> Self {
        let held = AtomicUsize::new(0);
        Self { held, most, least }
    }

    /// Whether one that holds `size` may hold so much more.
    fn has_room(&self, size: usize, additional: usize) -> bool {
        let is_owed = |least| size == 0 || size + additional <= least;
        self.held.load(Ordering::Relaxed) + additional <= self.most
            || self.least.is_some_and(is_owed)
    }
}

impl QueryMemory {
    /// `bytes` in all, for operators in so many partitions.
    pub(super) fn new(bytes: usize, partitions: usize) -> Self {
        Self {
            whole: GreedyMemoryPool::new(bytes),
            sorts: Part::of(bytes / 8 * 3, Some(bytes / (16 * partitions.max(1)))),
            exchanges: Part::of(bytes / 8, None),
        }
    }

    /// Where it counts, and whether it can do without and so gets no more than that part has.
    fn part_of(&self, reservation: &MemoryReservation) -> Option<(&Part, bool)> {
        let consumer = reservation.consumer();
        let name = consumer.name();
        if name.starts_with(SORT_MERGE) {
            return Some((&self.sorts, false));
        }
        if name.starts_with(SORT) {
            return Some((&self.sorts, true));
        }
        let is_exchange = consumer.can_spill() && name.starts_with(EXCHANGE);
        is_exchange.then_some((&self.exchanges, true))
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.whole.grow(reservation, additional);
        if let Some((part, _)) = self.part_of(reservation) {
            part.held.fetch_add(additional, Ordering::Relaxed);
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.whole.shrink(reservation, shrink);
        if let Some((part, _)) = self.part_of(reservation) {
            part.held.fetch_sub(shrink, Ordering::Relaxed);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let part = self.part_of(reservation);
        if let Some((part, true)) = part
            && !part.has_room(reservation.size(), additional)
        {
            let name = reservation.consumer().name();
            let most = human_readable_size(part.most);
            let what = format!("{name} and its like may hold {most} in memory");
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        self.whole.try_grow(reservation, additional)?;
        if let Some((part, _)) = part {
            part.held.fetch_add(additional, Ordering::Relaxed);
        }
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
    fn sorts_leave_their_merges_more_than_they_hold() {
        let pool = pool();
        let (one, other) = (
            of(&pool, "ExternalSorter[0]"),
            of(&pool, "ExternalSorter[1]"),
        );
        one.try_grow(20 * MIB).unwrap();
        other.try_grow(4 * MIB).unwrap();
        one.try_grow(MIB).unwrap_err();
        of(&pool, "ExternalSorterMerge[0]")
            .try_grow(32 * MIB)
            .unwrap();
    }

    #[test]
    fn a_sort_leaves_room_for_the_merge_of_another_and_for_its_own() {
        let pool = pool();
        let (one, merge) = (
            of(&pool, "ExternalSorter[0]"),
            of(&pool, "ExternalSorterMerge[0]"),
        );
        one.try_grow(24 * MIB).unwrap();
        merge.try_grow(24 * MIB).unwrap();
        one.free();
        merge.try_grow(20 * MIB).unwrap();
        let (other, own_merge) = (
            of(&pool, "ExternalSorter[1]"),
            of(&pool, "ExternalSorterMerge[1]"),
        );
        other.try_grow(2 * MIB).unwrap();
        other.try_grow(MIB).unwrap_err();
        own_merge.try_grow(2 * MIB).unwrap();
        merge.free();
        other.try_grow(20 * MIB).unwrap();
    }

    #[test]
    fn a_sort_gets_a_little_however_full_the_others_are() {
        let pool = pool();
        of(&pool, "elsewhere").try_grow(8 * MIB).unwrap();
        let (one, other) = (
            of(&pool, "ExternalSorter[0]"),
            of(&pool, "ExternalSorter[1]"),
        );
        one.try_grow(24 * MIB).unwrap();
        other.try_grow(2 * MIB).unwrap();
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
    fn rows_on_their_way_between_partitions_leave_the_memory_to_the_operators() {
        let pool = pool();
        let way = MemoryConsumer::new("RepartitionExec[0]").with_can_spill(true);
        let way = way.register(&pool);
        way.try_grow(8 * MIB).unwrap();
        way.try_grow(1).unwrap_err();
        of(&pool, "RepartitionExec[Merge 0]")
            .try_grow(56 * MIB)
            .unwrap();
    }

    #[test]
    fn what_a_sort_gives_back_is_there_for_the_next() {
        let pool = pool();
        let one = of(&pool, "ExternalSorter[0]");
        one.try_grow(24 * MIB).unwrap();
        drop(one);
        of(&pool, "ExternalSorter[1]").try_grow(24 * MIB).unwrap();
        assert_eq!(pool.reserved(), 0);
    }
}
