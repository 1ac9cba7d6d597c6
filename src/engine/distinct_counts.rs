//! Counts the distinct values of a text column from its dictionaries, and not row by row.
//!
//! ```text
//! Aggregate: count(*), count(DISTINCT user_id)        Aggregate: count(*), count(DISTINCT user_id)
//!   Project: unpacked(user_id) AS user_id       ─►      Project: in_dictionary(user_id) AS user_id
//! ```
//! Of each batch only the values that its rows have come to be hashed. DataFusion counts dictionaries
//! so by itself; what it hands on, the values, is of the same type as those of plain text.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::projection::ProjectionExec;

use super::packed::Unpacked;

/// An aggregate of all rows and its projection anew, if it is one that counts distinct values of
/// columns that nothing else in it reads.
pub(super) fn from_dictionaries(
    node: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    let counts_all =
        aggregate.group_expr().is_true_no_grouping() && *aggregate.mode() == AggregateMode::Partial;
    let input = aggregate.input();
    let (true, Some(projection)) = (counts_all, input.downcast_ref::<ProjectionExec>()) else {
        return Ok(None);
    };
    let filters = aggregate.filter_expr().iter().flatten();
    let arguments = aggregate.aggr_expr().iter();
    let others = arguments
        .filter(|function| counted_column(function).is_none())
        .flat_map(|function| {
            let read = function.all_expressions();
            read.args.into_iter().chain(read.order_by_exprs)
        })
        .chain(filters.cloned());
    let read_otherwise: Vec<Column> = others.flat_map(|it| collect_columns(&it)).collect();
    let is_counted = |n: usize| {
        let mut counted = aggregate.aggr_expr().iter().filter_map(counted_column);
        counted.any(|column| column == n)
            && !read_otherwise.iter().any(|column| column.index() == n)
    };
    let mut is_other = false;
    let projected = projection.expr().iter().enumerate().map(|(n, projected)| {
        match projected.expr.downcast_ref::<Unpacked>() {
            Some(unpacked) if is_counted(n) => {
                is_other = true;
                ProjectionExpr::new(Arc::new(unpacked.in_dictionary()), &projected.alias)
            }
            _ => projected.clone(),
        }
    });
    let projected: Vec<_> = projected.collect();
    if !is_other {
        return Ok(None);
    }
    let input = ProjectionExec::try_new(projected, Arc::clone(projection.input()))?;
    let schema = input.schema();
    let functions = aggregate.aggr_expr().iter().map(|function| {
        if counted_column(function).is_none() {
            return Ok(Arc::clone(function));
        }
        let anew =
            AggregateExprBuilder::new(Arc::new(function.fun().clone()), function.expressions());
        let anew = anew
            .schema(Arc::clone(&schema))
            .alias(function.name())
            .distinct();
        Ok(Arc::new(anew.build()?))
    });
    let anew = AggregateExec::try_new(
        AggregateMode::Partial,
        Arc::new(aggregate.group_expr().clone()),
        functions.collect::<Result<_>>()?,
        aggregate.filter_expr().to_vec(),
        Arc::new(input),
        schema,
    )?;
    let is_alike = anew.schema() == aggregate.schema();
    Ok(is_alike.then(|| Arc::new(anew) as Arc<dyn ExecutionPlan>))
}

/// The one column whose distinct values are counted.
fn counted_column(function: &Arc<AggregateFunctionExpr>) -> Option<usize> {
    let counts = function.fun().name() == "count" && function.is_distinct();
    let arguments = function.expressions();
    let ([argument], true) = (arguments.as_slice(), counts) else {
        return None;
    };
    let column = argument.downcast_ref::<Column>()?;
    Some(column.index())
}
