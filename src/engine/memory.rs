//! How the operators of a query share its memory.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    sorts: Sorts,
    exchanges: Exchanges,
}

/// Bytes that sorts and their merges hold together.
#[derive(Debug)]
struct Sorts {
    held: AtomicUsize,
    most: usize,
    /// What a sort gets however full the others are.
    least: usize,
    /// By the ids of the sorts that hold any.
    rows: Mutex<HashMap<usize, Rows>>,
}

/// What one sort holds of rows.
#[derive(Debug, Default)]
struct Rows {
    held: usize,
    /// Since it held none.
    batches: usize,
}

impl Sorts {
    fn rows(&self) -> MutexGuard<'_, HashMap<usize, Rows>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a sort may hold so much more. Only one that collects rows can do without: it writes
    /// out what it has. Of one that sorts them the batches have a reservation each, and what that lacks
    /// fails the query.
    fn has_room(&self, rows: &MemoryReservation, additional: usize) -> bool {
        let (size, all) = (rows.size(), self.rows());
        let collects = all
            .get(&rows.consumer().id())
            .is_some_and(|rows| rows.held == size && rows.batches > 1);
        !collects
            || size + additional <= self.least
            || self.held.load(Ordering::Relaxed) + additional <= self.most
    }

    fn grow(&self, rows: &MemoryReservation, additional: usize) {
        self.held.fetch_add(additional, Ordering::Relaxed);
        if rows.consumer().name().starts_with(SORT) {
            let mut all = self.rows();
            let rows = all.entry(rows.consumer().id()).or_default();
            rows.held += additional;
            rows.batches += 1;
        }
    }

    fn shrink(&self, rows: &MemoryReservation, shrink: usize) {
        self.held.fetch_sub(shrink, Ordering::Relaxed);
        if !rows.consumer().name().starts_with(SORT) {
            return;
        }
        let id = rows.consumer().id();
        let mut all = self.rows();
        if let Some(rows) = all.get_mut(&id) {
            rows.held = rows.held.saturating_sub(shrink);
            if rows.held == 0 {
                all.remove(&id);
            }
        }
    }
}

/// Bytes that exchanges hold together.
#[derive(Debug)]
struct Exchanges {
    held: AtomicUsize,
    most: usize,
}

/// Where a reservation counts besides the whole.
enum Part<'a> {
    Sorts(&'a Sorts),
    Exchanges(&'a Exchanges),
}

impl Part<'_> {
    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        match self {
            Self::Sorts(sorts) => sorts.grow(reservation, additional),
            Self::Exchanges(all) => {
                all.held.fetch_add(additional, Ordering::Relaxed);
            }
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        match self {
            Self::Sorts(sorts) => sorts.shrink(reservation, shrink),
            Self::Exchanges(all) => {
                all.held.fetch_sub(shrink, Ordering::Relaxed);
            }
        }
    }

    /// What all that count there may hold, if so much more is too much.
    fn is_too_much(&self, reservation: &MemoryReservation, additional: usize) -> Option<usize> {
        match self {
            Self::Sorts(sorts) => (!sorts.has_room(reservation, additional)).then_some(sorts.most),
            Self::Exchanges(all) => {
                let held = all.held.load(Ordering::Relaxed);
                (held + additional > all.most).then_some(all.most)
            }
        }
    }
}

impl QueryMemory {
    /// `bytes` in all, for operators in so many partitions.
    pub(super) fn new(bytes: usize, partitions: usize) -> Self {
        Self {
            whole: GreedyMemoryPool::new(bytes),
            sorts: Sorts {
                held: AtomicUsize::new(0),
                most: bytes / 8 * 3,
                least: bytes / (16 * partitions.max(1)),
                rows: Mutex::default(),
            },
            exchanges: Exchanges {
                held: AtomicUsize::new(0),
                most: bytes / 8,
            },
        }
    }

    fn part_of(&self, reservation: &MemoryReservation) -> Option<Part<'_>> {
        let consumer = reservation.consumer();
        let name = consumer.name();
        if name.starts_with(SORT) || name.starts_with(SORT_MERGE) {
            return Some(Part::Sorts(&self.sorts));
        }
        let is_exchange = consumer.can_spill() && name.starts_with(EXCHANGE);
        is_exchange.then_some(Part::Exchanges(&self.exchanges))
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.whole.grow(reservation, additional);
        if let Some(part) = self.part_of(reservation) {
            part.grow(reservation, additional);
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.whole.shrink(reservation, shrink);
        if let Some(part) = self.part_of(reservation) {
            part.shrink(reservation, shrink);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let part = self.part_of(reservation);
        if let Some(part) = &part
            && let Some(most) = part.is_too_much(reservation, additional)
        {
            let name = reservation.consumer().name();
            let most = human_readable_size(most);
            let what = format!("{name} and its like may hold {most} in memory");
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        self.whole.try_grow(reservation, additional)?;
        if let Some(part) = part {
            part.grow(reservation, additional);
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

    /// A sort that collects so many batches of so many MiB.
    fn sort(pool: &Arc<dyn MemoryPool>, name: &str, batches: &[usize]) -> MemoryReservation {
        let sort = of(pool, name);
        for mib in batches {
            sort.try_grow(mib * MIB).unwrap();
        }
        sort
    }

    #[test]
    fn sorts_leave_their_merges_more_than_they_hold() {
        let pool = pool();
        let one = sort(&pool, "ExternalSorter[0]", &[10, 10]);
        let other = sort(&pool, "ExternalSorter[1]", &[2, 2]);
        one.try_grow(MIB).unwrap_err();
        of(&pool, "ExternalSorterMerge[0]")
            .try_grow(32 * MIB)
            .unwrap();
        drop(other);
    }

    #[test]
    fn a_sort_leaves_room_for_the_merge_of_another_and_for_its_own() {
        let pool = pool();
        let one = sort(&pool, "ExternalSorter[0]", &[12, 12]);
        let merge = of(&pool, "ExternalSorterMerge[0]");
        merge.try_grow(24 * MIB).unwrap();
        one.free();
        merge.try_grow(20 * MIB).unwrap();
        let other = sort(&pool, "ExternalSorter[1]", &[1, 1]);
        other.try_grow(MIB).unwrap_err();
        of(&pool, "ExternalSorterMerge[1]")
            .try_grow(2 * MIB)
            .unwrap();
        merge.free();
        other.try_grow(20 * MIB).unwrap();
    }

    #[test]
    fn a_batch_that_is_being_sorted_may_grow_however_full_it_is() {
        let pool = pool();
        let one = sort(&pool, "ExternalSorter[0]", &[12, 12]);
        one.try_grow(MIB).unwrap_err();
        let batch = one.split(12 * MIB);
        batch.try_grow(4 * MIB).unwrap();
        let only = sort(&pool, "ExternalSorter[1]", &[3]);
        only.try_grow(3 * MIB).unwrap();
        only.try_grow(3 * MIB).unwrap_err();
    }

    #[test]
    fn a_sort_gets_a_little_however_full_the_others_are() {
        let pool = pool();
        of(&pool, "elsewhere").try_grow(8 * MIB).unwrap();
        let one = sort(&pool, "ExternalSorter[0]", &[12, 12]);
        let other = sort(&pool, "ExternalSorter[1]", &[1, 1]);
        other.try_grow(MIB).unwrap_err();
        drop(one);
    }

    #[test]
    fn a_sort_gets_its_first_rows_however_large() {
        let pool = pool();
        let one = sort(&pool, "ExternalSorter[0]", &[40, 1]);
        one.try_grow(MIB).unwrap_err();
        one.free();
        one.try_grow(65 * MIB).unwrap_err();
        one.try_grow(40 * MIB).unwrap();
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
