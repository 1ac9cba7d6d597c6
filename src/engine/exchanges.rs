//! One writer for each exchange of rows between partitions.
//!
//! What an exchange cannot keep in memory it writes to files that a partition reads in the order in
//! which they were begun. With several tasks that write at once, DataFusion 55 can leave the reader
//! at a file that gets no more rows, while the rows that it waits for are in the next one: the query
//! then neither ends nor fails (apache/datafusion issue 24883, mended after 55.2). So the rows of all
//! partitions come to an exchange through one task. They are still read, filtered and counted
//! side by side before it, and sorted or joined side by side behind it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// The node anew, if it is an exchange whose partitions several tasks write to. One that keeps the
/// order has files for each of them.
pub(super) fn with_one_writer(
    node: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(exchange) = node.downcast_ref::<RepartitionExec>() else {
        return Ok(None);
    };
    let input = exchange.input();
    if input.output_partitioning().partition_count() < 2 || exchange.preserve_order() {
        return Ok(None);
    }
    let input = Arc::new(CoalescePartitionsExec::new(Arc::clone(input)));
    let exchange = RepartitionExec::try_new(input, exchange.partitioning().clone())?;
    Ok(Some(Arc::new(exchange)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::engine::fixture::Fixture;
    use crate::engine::{EngineOptions, Params, Session};
    use crate::registry::Registry;

    const ROWS: usize = 40_000;
    const ASKED: &str = "SELECT user_id, count(before) AS n
        FROM (SELECT user_id, lag(login_key) OVER (PARTITION BY user_id ORDER BY occurred_at, row_key) AS before
              FROM elf_login) GROUP BY user_id";

    fn session(fixture: &Fixture) -> Session {
        let options = EngineOptions {
            memory_bytes: 1 << 20,
            ..fixture.options(2)
        };
        let registry = Registry::parse("", "registry.toml").unwrap();
        Session::open(&fixture.lake, &fixture.catalog, &registry, &options).unwrap()
    }

    #[test]
    fn rows_without_room_between_partitions_are_written_by_one_task_and_the_question_ends() {
        let mut fixture = Fixture::new();
        let rows: Vec<Value> = (0..ROWS)
            .map(|n| {
                json!({
                    "at": format!("2026-01-{}T{:02}:00:00Z", 10 + n % 4, n % 24),
                    "user_id": format!("0050000000000{:02}AAA", n % 40),
                    "login_key": format!("~{n:0>100}"),
                })
            })
            .collect();
        fixture.add("Login", &rows);
        let session = session(&fixture);
        let plan = session.physical_plan(ASKED, &Params::new()).unwrap();
        let exchanges = plan
            .lines()
            .filter(|line| line.contains("RepartitionExec:"));
        let exchanges: Vec<&str> = exchanges.collect();
        assert!(!exchanges.is_empty(), "{plan}");
        let has_one_writer = |exchange: &&str| exchange.contains("input_partitions=1");
        assert!(exchanges.iter().all(has_one_writer), "{plan}");
        for _ in 0..12 {
            session.begin(Some(Duration::from_secs(60)));
            let answer = session.query(ASKED, &Params::new()).unwrap();
            let users: usize = answer.iter().map(|batch| batch.num_rows()).sum();
            assert_eq!(users, 40);
        }
    }
}
