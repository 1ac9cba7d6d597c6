//! The input of an operator with columns of text as they are stored, in dictionaries.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::packed::{Packed, Unpacked};
use super::parquet_scan::ParquetScan;

/// Most bytes of dictionaries, as they lie in the files, whose texts an operator may keep beside its
/// rows. There a text takes some eight bytes, in memory with its number a hundred or more.
const MAX_BYTES: i64 = 8 << 20;

/// Least rows for each of these bytes: a text that few rows share costs more than it saves.
const MIN_ROWS: usize = 2;

/// An input that hands over some of its columns, `packed`, in dictionaries.
pub(super) struct PackedInput {
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) packed: Vec<usize>,
}

/// The plan with as many of the columns in dictionaries as can be; none if there are none.
pub(super) fn in_dictionaries(
    plan: &Arc<dyn ExecutionPlan>,
    columns: &[usize],
) -> Result<Option<PackedInput>> {
    if columns.is_empty() {
        return Ok(None);
    }
    if let Some(scan) = ParquetScan::of(plan) {
        return scan_in_dictionaries(&scan, columns);
    }
    match plan.downcast_ref::<ProjectionExec>() {
        Some(projection) => projection_in_dictionaries(projection, columns),
        None => Ok(None),
    }
}

fn scan_in_dictionaries(scan: &ParquetScan<'_>, columns: &[usize]) -> Result<Option<PackedInput>> {
    let all: Vec<usize> = (0..scan.columns.fields().len()).collect();
    let texts = scan.texts_of_files(&all);
    let mut packed = columns.to_vec();
    packed.retain(|column| texts.contains(column));
    keep_bounded(scan, &mut packed);
    let handed_over = scan.columns.fields().iter().enumerate().map(|(n, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), n));
        match packed.contains(&n) {
            true => ProjectionExpr::new(Arc::new(Packed::new(column)), field.name()),
            false => ProjectionExpr::new(column, field.name()),
        }
    });
    let handed_over = ProjectionExprs::new(handed_over);
    let scan = scan.handing_over(&handed_over, &packed)?;
    Ok(scan.map(|plan| PackedInput { plan, packed }))
}

/// Leaves the columns whose texts are few enough.
fn keep_bounded(scan: &ParquetScan<'_>, columns: &mut Vec<usize>) {
    let of_rows = scan.rows().unwrap_or(0) / MIN_ROWS;
    let mut room = MAX_BYTES.min(i64::try_from(of_rows).unwrap_or(MAX_BYTES));
    columns.retain(|column| match scan.dictionary_bytes(*column) {
        Some(bytes) if bytes <= room => {
            room -= bytes;
            true
        }
        _ => false,
    });
}

/// Of a projection over a filter the columns that its scan hands over in dictionaries already; of any
/// other those of its input that it passes on.
fn projection_in_dictionaries(
    projection: &ProjectionExec,
    columns: &[usize],
) -> Result<Option<PackedInput>> {
    let read = projection.expr().iter();
    let read: Vec<Column> = read.flat_map(|it| collect_columns(&it.expr)).collect();
    let is_read_once = |below: usize| {
        let mut times = read.iter().filter(|column| column.index() == below);
        times.next().is_some() && times.next().is_none()
    };
    let mut unpacked = Vec::new();
    let mut passed_on = Vec::new();
    for &column in columns {
        let expression = &projection.expr()[column].expr;
        let (below, places) = match expression.downcast_ref::<Unpacked>() {
            Some(it) => (it.column(), &mut unpacked),
            None => (expression, &mut passed_on),
        };
        if let Some(below) = below.downcast_ref::<Column>()
            && is_read_once(below.index())
        {
            places.push((column, below.index()));
        }
    }
    match unpacked.is_empty() {
        true => still_passed_on(projection, &passed_on),
        false => still_packed(projection, unpacked),
    }
}

/// Each column with the one of the input that it unpacks.
fn still_packed(
    projection: &ProjectionExec,
    unpacked: Vec<(usize, usize)>,
) -> Result<Option<PackedInput>> {
    let filter = projection.input().downcast_ref::<FilterExec>();
    let Some(scan) = filter.and_then(|filter| ParquetScan::of(filter.input())) else {
        return Ok(None);
    };
    let mut bounded: Vec<usize> = unpacked.iter().map(|(_, below)| *below).collect();
    keep_bounded(&scan, &mut bounded);
    let mut expressions = projection.expr().to_vec();
    let mut packed = Vec::new();
    for (column, below) in unpacked {
        if let Some(it) = expressions[column].expr.downcast_ref::<Unpacked>()
            && bounded.contains(&below)
        {
            expressions[column].expr = Arc::clone(it.column());
            packed.push(column);
        }
    }
    if packed.is_empty() {
        return Ok(None);
    }
    let plan = ProjectionExec::try_new(expressions, Arc::clone(projection.input()))?;
    let plan = Arc::new(plan);
    Ok(Some(PackedInput { plan, packed }))
}

/// Each column with the one of the input that it is.
fn still_passed_on(
    projection: &ProjectionExec,
    passed_on: &[(usize, usize)],
) -> Result<Option<PackedInput>> {
    let below: Vec<usize> = passed_on.iter().map(|(_, below)| *below).collect();
    let Some(input) = in_dictionaries(projection.input(), &below)? else {
        return Ok(None);
    };
    let packed = passed_on
        .iter()
        .filter(|(_, below)| input.packed.contains(below));
    let packed = packed.map(|(column, _)| *column).collect();
    let plan = ProjectionExec::try_new(projection.expr().to_vec(), input.plan)?;
    let plan = Arc::new(plan);
    Ok(Some(PackedInput { plan, packed }))
}
