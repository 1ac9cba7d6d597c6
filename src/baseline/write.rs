//! The verdicts as Arrow columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use polars::prelude::{DataFrame, PolarsResult};

use super::judge::{ACTIVE, SAME_WEEKDAY};
use super::read::{Series, Totals};
use super::{BaselineError, MIN_ACTIVE_DAYS, MIN_COVERED_DAYS};

/// Columns of [`super::expected`]: see the head of `queries/baseline/expected_activity.sql`.
pub fn schema() -> SchemaRef {
    let always = |name: &str, kind: DataType| Field::new(name, kind, false);
    let maybe = |name: &str, kind: DataType| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        always("day", DataType::Date32),
        always("user_key", DataType::Utf8View),
        maybe("app_key", DataType::Utf8View),
        always("metric", DataType::Utf8View),
        always("actual", DataType::Int64),
        maybe("expected", DataType::Float64),
        maybe("centre", DataType::Float64),
        maybe("scale", DataType::Float64),
        maybe("z", DataType::Float64),
        maybe("highest_35", DataType::Int64),
        maybe("reference", DataType::Utf8View),
        always("reference_days", DataType::Int64),
        maybe("reference_first", DataType::Date32),
        maybe("reference_last", DataType::Date32),
        always("covered_days", DataType::Int64),
        always("active_days", DataType::Int64),
        always("history", DataType::Utf8View),
        always("held_out", DataType::Int64),
        always("let_in", DataType::Int64),
        always("in_season", DataType::Boolean),
        always("maybe_season", DataType::Boolean),
        maybe("season_highest", DataType::Int64),
        always("unusual", DataType::Boolean),
    ]))
}

pub(super) fn batch(judged: &DataFrame, totals: &Totals) -> Result<RecordBatch, BaselineError> {
    let series: Vec<&Series> = judged
        .column("series")?
        .u32()?
        .iter()
        .flatten()
        .filter_map(|place| totals.series.get(place as usize))
        .collect();
    let covered = numbers(judged, "covered_days")?;
    let active = numbers(judged, "active_days")?;
    let history: StringViewArray = covered
        .iter()
        .zip(&active)
        .map(|(covered, active)| {
            let enough = covered >= Some(MIN_COVERED_DAYS) && active >= Some(MIN_ACTIVE_DAYS);
            Some(if enough { "enough" } else { "cold start" })
        })
        .collect();
    let has_reference = days(judged, "reference_first")?;
    let choices = days(judged, "choice")?;
    let reference: StringViewArray = choices
        .iter()
        .zip(has_reference.iter())
        .map(|(choice, first)| {
            first?;
            Some(match choice? {
                SAME_WEEKDAY => "same weekday",
                ACTIVE => "active days",
                _ => "last 28 days",
            })
        })
        .collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(days(judged, "judged")?),
        Arc::new(StringViewArray::from_iter_values(
            series.iter().map(|s| s.user_key.as_str()),
        )),
        Arc::new(
            series
                .iter()
                .map(|s| s.app_key.as_deref())
                .collect::<StringViewArray>(),
        ),
        Arc::new(StringViewArray::from_iter_values(
            series.iter().map(|s| s.metric.name()),
        )),
        Arc::new(numbers(judged, "actual")?),
        Arc::new(fractions(judged, "expected")?),
        Arc::new(fractions(judged, "centre")?),
        Arc::new(fractions(judged, "scale")?),
        Arc::new(fractions(judged, "z")?),
        Arc::new(numbers(judged, "highest_35")?),
        Arc::new(reference),
        Arc::new(numbers(judged, "reference_days")?),
        Arc::new(has_reference),
        Arc::new(days(judged, "reference_last")?),
        Arc::new(covered),
        Arc::new(active),
        Arc::new(history),
        Arc::new(numbers(judged, "held_out")?),
        Arc::new(numbers(judged, "let_in")?),
        Arc::new(flags(judged, "in_season")?),
        Arc::new(flags(judged, "maybe_season")?),
        Arc::new(numbers(judged, "season_highest")?),
        Arc::new(flags(judged, "unusual")?),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

fn numbers(frame: &DataFrame, name: &str) -> PolarsResult<Int64Array> {
    Ok(frame.column(name)?.i64()?.iter().collect())
}

fn days(frame: &DataFrame, name: &str) -> PolarsResult<Date32Array> {
    Ok(frame.column(name)?.i32()?.iter().collect())
}

fn fractions(frame: &DataFrame, name: &str) -> PolarsResult<Float64Array> {
    Ok(frame.column(name)?.f64()?.iter().collect())
}

fn flags(frame: &DataFrame, name: &str) -> PolarsResult<BooleanArray> {
    Ok(frame.column(name)?.bool()?.iter().collect())
}
