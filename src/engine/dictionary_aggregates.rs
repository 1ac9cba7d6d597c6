//! Answers what is asked of a text column over all rows from its dictionaries, and not row by row.
//!
//! ```text
//! Aggregate: count(*), count(DISTINCT user_id), min(app)
//!   Scan: user_id, app
//!     ─►
//! Aggregate: count(*), count(DISTINCT in_dictionary(user_id)), least_of_dictionary(app)
//!   Scan: packed(user_id), packed(app)
//! ```
//! Of each batch only the values that its rows have come to be hashed or compared. DataFusion counts
//! dictionaries so by itself; what is handed on, the values, is of the same type as those of plain
//! text.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};

use super::extremes::Extreme;
use super::packed::Unpacked;
use super::packed_input::in_dictionaries;

/// An aggregate of all rows and its input anew, if it asks such things of columns that nothing else
/// in it reads.
pub(super) fn from_dictionaries(
    node: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    let is_of_all =
        aggregate.group_expr().is_true_no_grouping() && *aggregate.mode() == AggregateMode::Partial;
    if !is_of_all {
        return Ok(None);
    }
    let Some(input) = in_dictionaries(aggregate.input(), &asked_columns(aggregate))? else {
        return Ok(None);
    };
    let schema = input.plan.schema();
    let functions = aggregate.aggr_expr().iter();
    let functions = functions.map(|function| match asked_column(function) {
        Some(column) if input.packed.contains(&column) => {
            Ok(Arc::new(of_dictionary(function, column, &schema)?))
        }
        _ => Ok(Arc::clone(function)),
    });
    let anew = AggregateExec::try_new(
        AggregateMode::Partial,
        Arc::new(aggregate.group_expr().clone()),
        functions.collect::<Result<_>>()?,
        aggregate.filter_expr().to_vec(),
        input.plan,
        schema,
    )?;
    let is_alike = anew.schema() == aggregate.schema();
    Ok(is_alike.then(|| Arc::new(anew) as Arc<dyn ExecutionPlan>))
}

/// The text columns that are asked of, and read by nothing else.
fn asked_columns(aggregate: &AggregateExec) -> Vec<usize> {
    let filters = aggregate.filter_expr().iter().flatten().cloned();
    let functions = aggregate.aggr_expr().iter();
    let others = functions
        .clone()
        .filter(|function| asked_column(function).is_none())
        .flat_map(|function| {
            let read = function.all_expressions();
            read.args.into_iter().chain(read.order_by_exprs)
        });
    let read: Vec<Column> = others
        .chain(filters)
        .flat_map(|read| collect_columns(&read))
        .collect();
    let schema = aggregate.input().schema();
    let is_text = |n: &usize| *schema.field(*n).data_type() == DataType::Utf8View;
    let mut asked: Vec<usize> = functions
        .filter_map(asked_column)
        .filter(is_text)
        .filter(|n| !read.iter().any(|other| other.index() == *n))
        .collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}

/// The one column whose distinct values are counted, or whose least or greatest is asked for.
fn asked_column(function: &Arc<AggregateFunctionExpr>) -> Option<usize> {
    let name = function.fun().name();
    let is_asked = counts_distinct(function) || Extreme::in_place_of(name).is_some();
    let arguments = function.expressions();
    let ([argument], true) = (arguments.as_slice(), is_asked) else {
        return None;
    };
    Some(argument.downcast_ref::<Column>()?.index())
}

fn counts_distinct(function: &AggregateFunctionExpr) -> bool {
    function.fun().name() == "count" && function.is_distinct()
}

/// The function of a column that comes in dictionaries.
fn of_dictionary(
    function: &AggregateFunctionExpr,
    column: usize,
    input: &SchemaRef,
) -> Result<AggregateFunctionExpr> {
    let packed: Arc<dyn PhysicalExpr> = Arc::new(Column::new(input.field(column).name(), column));
    let anew = match Extreme::in_place_of(function.fun().name()) {
        Some(extreme) => AggregateExprBuilder::new(Arc::new(extreme), vec![packed]),
        None => {
            let values = Unpacked::in_dictionary(packed);
            let count = Arc::new(function.fun().clone());
            AggregateExprBuilder::new(count, vec![Arc::new(values)]).distinct()
        }
    };
    anew.schema(Arc::clone(input))
        .alias(function.name())
        .build()
}
