//! Takes out of a view what cannot yield a row in this lake. A view unites up to fifteen event
//! types of which an org rarely logs more than half; planning the others would cost every query
//! more than its answer.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, Projection, Union};

use super::lake_table::LakeTable;

/// The same rows, names and types, without the branches of unions whose tables hold no file.
pub(super) fn without_empty_branches(
    plan: LogicalPlan,
    state: &SessionState,
) -> Result<LogicalPlan> {
    if !has_empty_branch(&plan)? {
        return Ok(plan);
    }
    // Branches agree on their types only once the analyzer has been over them.
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})?;
    let pruned = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Union(union) => without_empty_inputs(union),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(pruned.data)
}

fn has_empty_branch(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| {
        Ok(match node {
            LogicalPlan::Union(union) => union.inputs.iter().any(|input| is_empty(input)),
            _ => false,
        })
    })
}

fn without_empty_inputs(union: Union) -> Result<Transformed<LogicalPlan>> {
    let Union { inputs, schema } = union;
    let mut kept: Vec<Arc<LogicalPlan>> = inputs
        .iter()
        .filter(|input| !is_empty(input))
        .cloned()
        .collect();
    if kept.len() == inputs.len() {
        return Ok(Transformed::no(LogicalPlan::Union(Union {
            inputs,
            schema,
        })));
    }
    // A view without any rows still has its columns.
    if kept.is_empty() {
        kept.extend(inputs.into_iter().next());
    }
    // The union took its names from a branch that may be gone.
    let mut named = kept
        .into_iter()
        .map(|input| {
            let columns = input.schema().columns();
            let columns = columns.into_iter().zip(schema.iter());
            let columns = columns.map(|(column, (qualifier, field))| {
                Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
            });
            Projection::try_new_with_schema(columns.collect(), input, Arc::clone(&schema))
                .map(LogicalPlan::Projection)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(match (named.pop(), named.is_empty()) {
        (Some(only), true) => only,
        (last, _) => LogicalPlan::Union(Union {
            inputs: named.into_iter().chain(last).map(Arc::new).collect(),
            schema,
        }),
    }))
}

/// Whether a plan yields no row for certain, because the tables it rests on hold no file.
fn is_empty(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => match scan.source.get_logical_plan() {
            Some(view) => is_empty(&view),
            None => source_as_provider(&scan.source).is_ok_and(|table| {
                table
                    .downcast_ref::<LakeTable>()
                    .is_some_and(LakeTable::is_empty)
            }),
        },
        LogicalPlan::Projection(node) => is_empty(&node.input),
        LogicalPlan::Filter(node) => is_empty(&node.input),
        LogicalPlan::SubqueryAlias(node) => is_empty(&node.input),
        LogicalPlan::Sort(node) => is_empty(&node.input),
        LogicalPlan::Limit(node) => is_empty(&node.input),
        LogicalPlan::Window(node) => is_empty(&node.input),
        LogicalPlan::Distinct(Distinct::All(input)) => is_empty(input),
        LogicalPlan::Union(node) => node.inputs.iter().all(|input| is_empty(input)),
        LogicalPlan::Join(node) => match node.join_type {
            JoinType::Inner => is_empty(&node.left) || is_empty(&node.right),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => is_empty(&node.left),
            _ => false,
        },
        // Without groups an aggregate over nothing counts it.
        LogicalPlan::Aggregate(node) => {
            let groups = &node.group_expr;
            let plain = |group: &Expr| !matches!(group, Expr::GroupingSet(_));
            !groups.is_empty() && groups.iter().all(plain) && is_empty(&node.input)
        }
        _ => false,
    }
}
