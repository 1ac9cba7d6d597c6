//! `lag` over sorted rows, a batch at a time.
//!
//! DataFusion asks the function for each row by itself, and makes a column of the single values at the
//! end: of seven million rows that is a fifth of the whole question. Where an operator has nothing but
//! `lag` to answer, each column is the argument's, moved down by so many rows.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow::compute::{concat, partition, take};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::window::StandardWindowExpr;
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements,
    InputOrderMode, PlanProperties, StatisticsArgs,
};
use futures::StreamExt;

/// Most rows that a value may lie back: so many are kept from one batch to the next.
const MAX_ROWS: usize = 1024;

/// A window operator anew, if it has nothing but such functions to answer.
pub(super) fn moved_down(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    Ok(LagExec::of(Arc::clone(node))?.map(|anew| Arc::new(anew) as Arc<dyn ExecutionPlan>))
}

/// The columns of its input, and behind them one for each function.
#[derive(Debug)]
struct LagExec {
    /// The operator in whose place it stands: in all but the execution they are the same.
    window: Arc<dyn ExecutionPlan>,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    lags: Vec<Lag>,
}

#[derive(Debug, Clone)]
struct Lag {
    value: Arc<dyn PhysicalExpr>,
    /// How far back its value lies.
    rows: usize,
}

impl LagExec {
    fn of(window: Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        let Some(bounded) = window.downcast_ref::<BoundedWindowAggExec>() else {
            return Ok(None);
        };
        let functions = bounded.window_expr();
        let Some(first) = functions.first() else {
            return Ok(None);
        };
        let partition_by = first.partition_by().to_vec();
        let input = bounded.input().schema();
        let mut lags = Vec::new();
        for function in functions {
            let function = function.as_any().downcast_ref::<StandardWindowExpr>();
            match function
                .map(|function| Lag::of(function, &input))
                .transpose()?
            {
                Some(Some(lag)) => lags.push(lag),
                _ => return Ok(None),
            }
        }
        let are_flat = partition_by
            .iter()
            .map(|key| Ok(!key.data_type(&input)?.is_nested()))
            .collect::<Result<Vec<bool>>>()?;
        let is_sorted = bounded.input_order_mode == InputOrderMode::Sorted;
        if !is_sorted || are_flat.contains(&false) {
            return Ok(None);
        }
        Ok(Some(Self {
            partition_by,
            lags,
            window,
        }))
    }
}

impl Lag {
    /// The function itself is asked which rows it looks at: in an order that was turned round one
    /// function does the work of the other, and where NULLs are passed over it looks further back.
    fn of(function: &StandardWindowExpr, input: &SchemaRef) -> Result<Option<Self>> {
        let function = function.get_standard_func_expr();
        let is_shift = function
            .as_any()
            .downcast_ref::<WindowUDFExpr>()
            .is_some_and(|function| matches!(function.fun().name(), "lag" | "lead"));
        let values = function.expressions();
        let ([value], true) = (values.as_slice(), is_shift) else {
            return Ok(None);
        };
        let data_type = value.data_type(input)?;
        if data_type.is_nested() || data_type != *function.field()?.data_type() {
            return Ok(None);
        }
        let mut evaluator = function.create_evaluator()?;
        let row = 2 * MAX_ROWS;
        // Of a look ahead by one row the range is the row itself.
        let looked_at = evaluator.get_range(row, 2 * row)?;
        let rows = row - looked_at.start.min(row);
        if looked_at.end != row + 1 || !(1..=MAX_ROWS).contains(&rows) {
            return Ok(None);
        }
        let in_place_of_none = evaluator.evaluate(&[new_empty_array(&data_type)], &(0..0))?;
        Ok(in_place_of_none.is_null().then(|| Self {
            value: Arc::clone(value),
            rows,
        }))
    }
}

impl ExecutionPlan for LagExec {
    fn name(&self) -> &str {
        "LagExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.window.children()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.window.input_distribution_requirements()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.window.required_input_ordering()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.window.maintains_input_order()
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        self.window.cardinality_effect()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let window = Arc::clone(&self.window).replace_children(children, options)?;
        Ok(match Self::of(Arc::clone(&window))? {
            Some(anew) => Arc::new(anew),
            None => window,
        })
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, recompute)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.window.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.window.statistics_from_inputs(inputs, args)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let [input] = self.children()[..] else {
            return internal_err!("a window operator has one input");
        };
        let rows = input.execute(partition, context)?;
        let mut moved = Moved {
            schema: self.schema(),
            partition_by: self.partition_by.clone(),
            lags: self.lags.clone(),
            kept: Vec::new(),
        };
        let batches = rows.map(move |batch| moved.with_lags(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

impl DisplayAs for LagExec {
    fn fmt_as(&self, form: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LagExec: ")?;
        self.window.fmt_as(form, out)
    }
}

/// What one partition's batches need of those before them.
struct Moved {
    schema: SchemaRef,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    lags: Vec<Lag>,
    /// Of the last rows, as many as the furthest look goes back: what they are parted by, and the
    /// arguments. Empty before the first batch.
    kept: Vec<ArrayRef>,
}

impl Moved {
    fn with_lags(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let asked = self.lags.iter().map(|lag| &lag.value);
        let asked = self.partition_by.iter().chain(asked).enumerate();
        let joined = asked.map(|(n, asked)| {
            let here = asked.evaluate(batch)?.into_array(batch.num_rows())?;
            Ok(match self.kept.get(n) {
                Some(kept) => concat(&[kept.as_ref(), here.as_ref()])?,
                None => here,
            })
        });
        let joined = joined.collect::<Result<Vec<ArrayRef>>>()?;
        let (keys, values) = joined.split_at(self.partition_by.len());
        let kept = self.kept.first().map_or(0, |kept| kept.len());
        let rows = kept + batch.num_rows();
        let parts = match keys {
            [] => std::iter::once(0..rows).collect(),
            keys => partition(keys)?.ranges(),
        };
        let mut columns = batch.columns().to_vec();
        for (lag, values) in self.lags.iter().zip(values) {
            columns.push(take(values, &sources(&parts, kept, lag.rows), None)?);
        }
        let furthest = self.lags.iter().map(|lag| lag.rows).max().unwrap_or(0);
        let last = rows - furthest.min(rows)..rows;
        self.kept = joined
            .iter()
            .map(|column| copied(column, last.clone()))
            .collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

/// For each row behind the first `kept` the one that lies `back` rows before it in its part.
fn sources(parts: &[Range<usize>], kept: usize, back: usize) -> UInt32Array {
    let rows = parts.iter().flat_map(|part| {
        let rows = part.start.max(kept)..part.end;
        rows.map(|row| (row >= part.start + back).then(|| (row - back) as u32))
    });
    rows.collect()
}

/// Single values by themselves: a slice would hold on to all of its batch, and through it to those
/// before.
fn copied(column: &ArrayRef, rows: Range<usize>) -> Result<ArrayRef> {
    if rows.is_empty() {
        return Ok(new_empty_array(column.data_type()));
    }
    let values = rows.map(|row| ScalarValue::try_from_array(column, row));
    ScalarValue::iter_to_array(values.collect::<Result<Vec<_>>>()?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixture::{Fixture, shown};
    use super::super::{Params, Session};

    /// More than two batches, of users that end within them and of one that goes on for all.
    const ROWS: usize = 30_000;

    /// Windows and functions that look back, whatever they are called.
    const LOOK_BACK: [(&str, &str); 7] = [
        ("lag(browser_type)", "PARTITION BY user_id ORDER BY line_no"),
        ("lag(line_no, 3)", "PARTITION BY user_id ORDER BY line_no"),
        (
            "lag(browser_type, 1000)",
            "PARTITION BY user_id ORDER BY line_no",
        ),
        (
            "lag(browser_type || 'x', 2)",
            "PARTITION BY browser_type, user_id ORDER BY line_no DESC",
        ),
        ("lag(occurred_at, 2)", "ORDER BY line_no"),
        (
            "lag(browser_type, 1, NULL)",
            "PARTITION BY user_id, browser_type ORDER BY line_no",
        ),
        (
            "lead(browser_type, -2)",
            "PARTITION BY user_id ORDER BY line_no",
        ),
    ];

    /// What has to be left to DataFusion.
    const OTHERS: [&str; 7] = [
        "lead(browser_type)",
        "lag(browser_type, 0)",
        "lag(browser_type, 1, 'none')",
        "lag(browser_type, 2) IGNORE NULLS",
        "lag(browser_type, 5000)",
        "lead(browser_type, 2)",
        "first_value(browser_type)",
    ];

    fn lake() -> Fixture {
        let mut fixture = Fixture::new();
        let browsers = [
            Some("curl"),
            None,
            Some("Chrome on a long name of a system"),
            Some(""),
        ];
        let rows = (0..ROWS).map(|n| {
            let user = match n % 3 {
                0 => 0,
                _ => n / 700,
            };
            json!({
                "at": format!("2026-01-13T{:02}:{:02}:{:02}Z", n / 3600, n / 60 % 60, n % 60),
                "user_id": format!("0050000000000{user:02}AAA"),
                "browser_type": browsers[n / 5 % browsers.len()],
            })
        });
        fixture.add("Login", &rows.collect::<Vec<Value>>());
        fixture
    }

    /// The function alone, and beside another: then the operator stays DataFusion's.
    fn both(function: &str, window: &str) -> [String; 2] {
        ["line_no", "row_number() OVER w"].map(|beside| {
            format!(
                "SELECT line_no, before FROM (
                     SELECT line_no, {function} OVER w AS before, {beside} AS beside
                     FROM elf_login WINDOW w AS ({window}))
                 WHERE beside > 0 ORDER BY line_no"
            )
        })
    }

    fn is_ours(session: &Session, sql: &str) -> bool {
        let plan = session.physical_plan(sql, &Params::new()).unwrap();
        plan.contains("LagExec")
    }

    fn answer(session: &Session, sql: &str) -> Vec<String> {
        shown(&session.query(sql, &Params::new()).unwrap())
    }

    #[test]
    fn a_value_some_rows_back_is_the_one_that_datafusion_finds() {
        let fixture = lake();
        let session = fixture.session("");
        for (function, window) in LOOK_BACK {
            let [ours, theirs] = both(function, window);
            assert!(is_ours(&session, &ours), "{function} {window}");
            assert!(!is_ours(&session, &theirs), "{function} {window}");
            let answers = answer(&session, &ours);
            assert_eq!(answers.len(), ROWS);
            assert!(answers == answer(&session, &theirs), "{function} {window}");
        }
    }

    #[test]
    fn functions_that_look_elsewhere_or_put_something_in_place_of_none_are_left_alone() {
        let fixture = lake();
        let session = fixture.session("");
        for function in OTHERS {
            let [sql, _] = both(function, "PARTITION BY user_id ORDER BY line_no");
            assert!(!is_ours(&session, &sql), "{function}");
        }
    }
}
