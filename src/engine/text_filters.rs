//! Lets a scan keep text as it lies in the file, in dictionaries, below a filter: the filter's
//! conditions on text are answered from the dictionaries, and only rows that pass are unpacked.
//!
//! ```text
//!                                                   Project: user_id: unpacked(user_id), run_time
//! Filter: browser LIKE '%x%' AND run_time > 5         Filter: passes
//!   Scan: user_id, browser, run_time            ─►      Scan: packed(user_id), run_time,
//!                                                             per_distinct(browser LIKE '%x%') AND run_time > 5 AS passes
//! ```
//! In a file that has not the whole column in dictionaries, the condition is asked row by row, as
//! before; a column that is read behind the filter has to be in small dictionaries in every file.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, NotExpr};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;

use super::packed::{Packed, Unpacked};
use super::parquet_scan::ParquetScan;
use super::per_distinct::PerDistinct;

/// Name of the column that says whether a row passes.
const PASSES: &str = "passes the filter";

/// A filter and its scan anew, if that is what `node` is.
pub(super) fn answered_by_scan(
    node: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return Ok(None);
    };
    let Some(scan) = ParquetScan::of(filter.input()) else {
        return Ok(None);
    };
    let scanned = Arc::clone(&scan.columns);
    let kept = match filter.projection().as_deref() {
        Some(kept) => kept.to_vec(),
        None => (0..scanned.fields().len()).collect(),
    };
    let mut texts = scan.texts_of_files(&kept);
    texts.retain(|n| !kept.contains(n) || scan.is_in_small_dictionaries(*n));
    keep_askable(filter.predicate(), &scanned, &mut texts)?;
    if texts.is_empty() || is_volatile(filter.predicate()) {
        return Ok(None);
    }
    let passes = asked(filter.predicate(), &scanned, &texts)?;
    let scanned_column = |&n: &usize| -> ProjectionExpr {
        let name = scanned.field(n).name();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, n));
        match texts.contains(&n) {
            true => ProjectionExpr::new(Arc::new(Packed::new(column)), name),
            false => ProjectionExpr::new(column, name),
        }
    };
    let passes = ProjectionExpr::new(passes, PASSES);
    let columns = ProjectionExprs::new(kept.iter().map(scanned_column).chain([passes]));
    let Some(scan) = scan.handing_over(&columns, &texts)? else {
        return Ok(None);
    };
    let passes = Arc::new(Column::new(PASSES, kept.len()));
    let passed = FilterExecBuilder::new(passes, scan)
        .with_default_selectivity(filter.default_selectivity())
        .with_batch_size(filter.batch_size())
        .with_fetch(filter.fetch())
        .apply_projection(Some((0..kept.len()).collect()))?
        .build()?;
    if !kept.iter().any(|n| texts.contains(n)) {
        return Ok(Some(Arc::new(passed)));
    }
    let plain = kept.iter().enumerate().map(|(at, n)| {
        let name = scanned.field(*n).name();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, at));
        match texts.contains(n) {
            true => ProjectionExpr::new(Arc::new(Unpacked::new(column)), name),
            false => ProjectionExpr::new(column, name),
        }
    });
    let plain: Vec<_> = plain.collect();
    Ok(Some(Arc::new(ProjectionExec::try_new(
        plain,
        Arc::new(passed),
    )?)))
}

/// Leaves those of `texts` that the filter reads only in conditions on them alone.
fn keep_askable(
    predicate: &Arc<dyn PhysicalExpr>,
    scanned: &Schema,
    texts: &mut Vec<usize>,
) -> Result<()> {
    match condition_on(predicate, scanned, texts)? {
        Condition::OnOne(_) | Condition::OnOthers => Ok(()),
        Condition::Joined => predicate
            .children()
            .into_iter()
            .try_for_each(|child| keep_askable(child, scanned, texts)),
        Condition::OnSeveral => {
            let read = collect_columns(predicate);
            texts.retain(|n| !read.iter().any(|column| column.index() == *n));
            Ok(())
        }
    }
}

/// The predicate, its conditions on one of `texts` each asked once per distinct value.
fn asked(
    predicate: &Arc<dyn PhysicalExpr>,
    scanned: &Schema,
    texts: &[usize],
) -> Result<Arc<dyn PhysicalExpr>> {
    match condition_on(predicate, scanned, texts)? {
        Condition::OnOthers | Condition::OnSeveral => Ok(Arc::clone(predicate)),
        Condition::Joined => {
            let children = predicate.children().into_iter();
            let children = children.map(|child| asked(child, scanned, texts));
            let children = children.collect::<Result<Vec<_>>>()?;
            Arc::clone(predicate).with_new_children(children)
        }
        Condition::OnOne(column) => {
            let field = Arc::new(scanned.field(column.index()).clone());
            let first: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), 0));
            let alone = Arc::clone(predicate).transform_up(|node| {
                Ok(match node.downcast_ref::<Column>() {
                    Some(_) => Transformed::yes(Arc::clone(&first)),
                    None => Transformed::no(node),
                })
            });
            let condition = alone.data()?;
            Ok(Arc::new(PerDistinct::new(
                Arc::new(column),
                condition,
                field,
            )))
        }
    }
}

/// What a part of a predicate reads.
enum Condition {
    /// One text column, and nothing else.
    OnOne(Column),
    /// None of the text columns.
    OnOthers,
    /// Conditions joined by AND, OR and NOT: each may be something else.
    Joined,
    /// A text column together with others.
    OnSeveral,
}

fn condition_on(
    predicate: &Arc<dyn PhysicalExpr>,
    scanned: &Schema,
    texts: &[usize],
) -> Result<Condition> {
    let read = collect_columns(predicate);
    if !read.iter().any(|column| texts.contains(&column.index())) {
        return Ok(Condition::OnOthers);
    }
    let mut columns = read.into_iter();
    if predicate.data_type(scanned)? == DataType::Boolean
        && let (Some(column), None) = (columns.next(), columns.next())
    {
        return Ok(Condition::OnOne(column));
    }
    let joins = |op: &Operator| matches!(op, Operator::And | Operator::Or);
    let is_joined = predicate.downcast_ref::<NotExpr>().is_some()
        || predicate
            .downcast_ref::<BinaryExpr>()
            .is_some_and(|binary| joins(binary.op()));
    Ok(match is_joined {
        true => Condition::Joined,
        false => Condition::OnSeveral,
    })
}
