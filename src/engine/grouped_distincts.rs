//! Has the distinct texts of groups counted and listed by [`DistinctTexts`].
//!
//! ```text
//! Aggregate: user_id, count(DISTINCT app), array_agg(DISTINCT ip ORDER BY ip)
//!     ─►
//! Aggregate: user_id, count_of_texts(app), list_of_texts(ip)
//! ```
//! DataFusion would also sort all rows before it groups them, so that the lists are in order: that is
//! asked for no more, wherefore this comes before its rules that put the sorts in.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

use super::distinct_texts::{Asked, DistinctTexts};

/// An aggregate of groups anew, if it asks for distinct texts.
pub(super) fn of_all_groups(
    node: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    let is_of_all = aggregate.group_expr().is_true_no_grouping();
    if is_of_all || aggregate.limit_options().is_some() {
        return Ok(None);
    }
    let functions = aggregate.aggr_expr().iter();
    let asked: Vec<_> = functions.map(|f| asked_of_texts(f, aggregate)).collect();
    if asked.iter().all(Option::is_none) {
        return Ok(None);
    }
    let functions = aggregate.aggr_expr().iter().zip(asked);
    let functions = functions.map(|(function, asked)| match asked {
        Some(asked) => Ok(Arc::new(of_texts(function, asked, aggregate)?)),
        None => Ok(Arc::clone(function)),
    });
    let anew = AggregateExec::try_new(
        *aggregate.mode(),
        Arc::new(aggregate.group_expr().clone()),
        functions.collect::<Result<_>>()?,
        aggregate.filter_expr().to_vec(),
        Arc::clone(aggregate.input()),
        aggregate.input_schema(),
    )?;
    let is_alike = anew.schema() == aggregate.schema();
    Ok(is_alike.then(|| Arc::new(anew) as Arc<dyn ExecutionPlan>))
}

/// What is asked, if it is of the distinct texts of one expression.
fn asked_of_texts(function: &AggregateFunctionExpr, aggregate: &AggregateExec) -> Option<Asked> {
    let arguments = function.expressions();
    let [argument] = arguments.as_slice() else {
        return None;
    };
    let text = argument.data_type(&aggregate.input_schema()).ok()?;
    if !(function.is_distinct() && !function.is_reversed() && DistinctTexts::takes(&text)) {
        return None;
    }
    let sorted = match function.order_bys() {
        [] => None,
        [by] if by.expr.eq(argument) => Some(by.options),
        _ => return None,
    };
    match function.fun().name() {
        "count" => Some(Asked::Count),
        "array_agg" => Some(Asked::List {
            sorted,
            with_null: !function.ignore_nulls(),
        }),
        _ => None,
    }
}

fn of_texts(
    function: &AggregateFunctionExpr,
    asked: Asked,
    aggregate: &AggregateExec,
) -> Result<AggregateFunctionExpr> {
    let texts = Arc::new(DistinctTexts::function(asked));
    AggregateExprBuilder::new(texts, function.expressions())
        .schema(aggregate.input_schema())
        .alias(function.name())
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StringViewArray};
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::super::physical_rules::physical_rules;

    const ASKED: [&str; 12] = [
        "count(DISTINCT text)",
        "count(DISTINCT text), count(*), count(DISTINCT plain), count(DISTINCT n)",
        "count(DISTINCT text) FILTER (WHERE n % 3 = 0)",
        "count(DISTINCT CASE WHEN n % 5 > 0 THEN text END)",
        "array_agg(DISTINCT text ORDER BY text)",
        "array_agg(DISTINCT text ORDER BY text DESC)",
        "array_agg(DISTINCT text ORDER BY text NULLS FIRST)",
        "array_agg(DISTINCT text ORDER BY text DESC NULLS LAST)",
        "array_agg(DISTINCT text ORDER BY text) FILTER (WHERE text IS NOT NULL)",
        "array_agg(DISTINCT upper(plain) ORDER BY upper(plain)), min(n)",
        "array_sort(array_agg(DISTINCT text)), first_value(n ORDER BY n DESC)",
        "array_slice(array_agg(DISTINCT text ORDER BY text) FILTER (WHERE n > 900), 1, 3), array_agg(n ORDER BY n)",
    ];

    /// k, n, text, plain: two thousand rows in pieces, with NULL and with texts of all lengths.
    fn rows() -> MemTable {
        let pieces = (0..3).map(|part| {
            let batches = (0..4).map(|batch| {
                let numbers: Vec<i64> =
                    (0..170).map(|row| part * 680 + batch * 170 + row).collect();
                let text = |n: &i64| match n * 7_919 % 23 {
                    0 => None,
                    1 => Some(String::new()),
                    many => Some(
                        "a text of many letters, ä, ".repeat((many % 4) as usize)
                            + &many.to_string(),
                    ),
                };
                let texts: Vec<Option<String>> = numbers.iter().map(text).collect();
                let keys = numbers
                    .iter()
                    .map(|n| (n * 31 % 97 > 0).then_some(n * 31 % 97 / 4));
                let columns: [(&str, ArrayRef); 4] = [
                    ("k", Arc::new(keys.collect::<Int64Array>())),
                    ("n", Arc::new(Int64Array::from(numbers.clone()))),
                    (
                        "text",
                        Arc::new(
                            texts
                                .iter()
                                .map(Option::as_deref)
                                .collect::<StringViewArray>(),
                        ),
                    ),
                    (
                        "plain",
                        Arc::new(texts.iter().map(Option::as_deref).collect::<StringArray>()),
                    ),
                ];
                RecordBatch::try_from_iter_with_nullable(
                    columns.map(|(name, column)| (name, column, true)),
                )
                .unwrap()
            });
            batches.collect::<Vec<_>>()
        });
        let pieces: Vec<_> = pieces.collect();
        MemTable::try_new(pieces[0][0].schema(), pieces).unwrap()
    }

    async fn answer(sql: &str, ours: bool, config: &SessionConfig) -> Result<String, String> {
        let mut state = SessionStateBuilder::new()
            .with_default_features()
            .with_config(config.clone());
        if ours {
            state = state.with_physical_optimizer_rules(physical_rules());
        }
        let context = SessionContext::new_with_state(state.build());
        context.register_table("t", Arc::new(rows())).unwrap();
        let table = context.sql(sql).await.map_err(|e| e.to_string())?;
        let batches = table.collect().await.map_err(|e| e.to_string())?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    }

    #[tokio::test]
    async fn distinct_texts_of_groups_are_those_that_datafusion_finds() {
        let configs = [
            SessionConfig::new().with_target_partitions(1),
            SessionConfig::new()
                .with_target_partitions(3)
                .with_batch_size(7),
            // The first stage hands its rows on as they are.
            SessionConfig::new()
                .with_target_partitions(3)
                .with_batch_size(64)
                .set_u64(
                    "datafusion.execution.skip_partial_aggregation_probe_rows_threshold",
                    1,
                )
                .set_str(
                    "datafusion.execution.skip_partial_aggregation_probe_ratio_threshold",
                    "0.0",
                ),
        ];
        // Groups in order are handed on one after the other.
        let sources = [
            "t",
            "(SELECT * FROM t ORDER BY k, n LIMIT 100000)",
            "(SELECT * FROM t WHERE n < 0)",
        ];
        let mut texts = 0;
        for config in &configs {
            for (asked, source) in ASKED
                .iter()
                .flat_map(|a| sources.iter().map(move |s| (a, s)))
            {
                let sql = format!("SELECT k, {asked} FROM {source} GROUP BY k ORDER BY k");
                let theirs = answer(&sql, false, config).await;
                let found = answer(&sql, true, config).await;
                assert_eq!(found, theirs, "{sql}");
                texts += found.unwrap().matches("many letters").count();
            }
        }
        assert!(texts > 1_000, "{texts}");
    }

    #[tokio::test]
    async fn lists_of_distinct_texts_need_no_sorted_rows() {
        let config = SessionConfig::new().with_target_partitions(2);
        let sql = "EXPLAIN SELECT k, array_agg(DISTINCT text ORDER BY text), count(DISTINCT plain) FROM t GROUP BY k";
        let plan = answer(sql, true, &config).await.unwrap();
        assert!(!plan.contains("SortExec"), "{plan}");
        let theirs = answer(sql, false, &config).await.unwrap();
        assert!(theirs.contains("SortExec"), "not needed any more: {theirs}");
    }
}
