//! Keeps a limit above the window functions whose rows it cuts.
//!
//! DataFusion 55 lets a sort with a limit sink below a window that keeps the sort's order. A window
//! that looks ahead (`lead`, a frame that ends after its row) then never sees the row behind the
//! last one: `SELECT …, lead(x) OVER (ORDER BY x) … ORDER BY x LIMIT 3` answers NULL in its third
//! row. As two steps, a sort and a limit, they stay where they are.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Limit, LogicalPlan, Sort, lit};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Comes after all rules that join a sort and its limit.
#[derive(Debug)]
pub(super) struct LimitAboveWindow;

impl OptimizerRule for LimitAboveWindow {
    fn name(&self) -> &str {
        "limit_above_window"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Sort(Sort {
            expr,
            input,
            fetch: Some(most),
        }) = plan
        else {
            return Ok(Transformed::no(plan));
        };
        if !is_window(&input) {
            return Ok(Transformed::no(LogicalPlan::Sort(Sort {
                expr,
                input,
                fetch: Some(most),
            })));
        }
        let sorted = LogicalPlan::Sort(Sort {
            expr,
            input,
            fetch: None,
        });
        Ok(Transformed::yes(LogicalPlan::Limit(Limit {
            skip: None,
            fetch: Some(Box::new(lit(i64::try_from(most).unwrap_or(i64::MAX)))),
            input: Arc::new(sorted),
        })))
    }
}

/// Whether the rows are a window's, but for what leaves each row in its place.
fn is_window(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Window(_) => true,
        LogicalPlan::Projection(projection) => is_window(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_window(&alias.input),
        _ => false,
    }
}
