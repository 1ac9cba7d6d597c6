//! Why a finding about an account's habits was raised: what is expected of such a day, from which
//! days that comes, and what was seen.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use chrono::NaiveDate;
use datafusion::scalar::ScalarValue;

use super::workplace::Workplace;
use crate::config::Family;
use crate::detect::day_of;
use crate::engine::Params;
use crate::lake::{Finding, FindingRow, Lake};
use crate::privacy::printable;
use crate::report::Deviation;
use crate::words::{counted, grouped};

/// The series that stick out most, or the one that the finding names.
const SERIES: &str = "
    SELECT day, app_key, metric, actual, expected, reference, reference_days, reference_first,
        reference_last, highest_35, z, held_out, history, in_season, maybe_season,
        season_highest
    FROM expected_activity
    WHERE user_key = $user AND day = $day AND ($metric IS NULL OR metric = $metric)
      AND ($app IS NULL OR app_key IS NULL OR app_key = $app)
      AND (unusual OR $metric IS NOT NULL)
    ORDER BY unusual DESC, z DESC NULLS LAST, metric, app_key
    LIMIT 3";

const MAX_TEXT: usize = 200;

/// Of each finding about habits, the series behind it; no entry where it is about something else.
pub fn deviations_of(
    findings: &[Finding],
    lake: &Lake,
    place: &Workplace<'_>,
) -> anyhow::Result<BTreeMap<String, Vec<Deviation>>> {
    let is_behaviour =
        |row: &&FindingRow| row.family == Some(Family::Behaviour) && row.user_key.is_some();
    let rows: Vec<&FindingRow> = findings
        .iter()
        .map(|finding| &finding.row)
        .filter(is_behaviour)
        .collect();
    if rows.is_empty() {
        return Ok(BTreeMap::new());
    }
    let session = place.session(lake, &place.catalog()?, &place.registry()?)?;
    session.judge_days(&rows.iter().map(|row| day_of(row)).collect());
    let mut deviations = BTreeMap::new();
    for row in rows {
        let evidence: serde_json::Value =
            serde_json::from_str(&row.evidence_json).unwrap_or_default();
        let text = |value: Option<&str>| ScalarValue::Utf8View(value.map(str::to_owned));
        let params = Params::new()
            .with("user", text(row.user_key.as_deref()))
            .with(
                "day",
                ScalarValue::Date32(Some(day_of(row).to_epoch_days())),
            )
            .with("metric", text(evidence["metric"].as_str()))
            .with("app", text(evidence["app_key"].as_str()));
        let mut series = vec![];
        for batch in session.query(SERIES, &params)? {
            series
                .extend((0..batch.num_rows()).map(|row| deviation(&Series { batch: &batch, row })));
        }
        deviations.insert(row.finding_id.clone(), series);
    }
    Ok(deviations)
}

struct Series<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Series<'a> {
    fn column(&self, name: &str) -> Option<&'a dyn Array> {
        let column = self.batch.column_by_name(name)?.as_ref();
        column.is_valid(self.row).then_some(column)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        Some(self.column(name)?.as_string_view_opt()?.value(self.row))
    }

    fn number(&self, name: &str) -> Option<i64> {
        let column = self.column(name)?.as_primitive_opt::<Int64Type>()?;
        Some(column.value(self.row))
    }

    fn fraction(&self, name: &str) -> Option<f64> {
        let column = self.column(name)?.as_primitive_opt::<Float64Type>()?;
        Some(column.value(self.row))
    }

    fn date(&self, name: &str) -> Option<NaiveDate> {
        let column = self.column(name)?.as_primitive_opt::<Date32Type>()?;
        column.value_as_date(self.row)
    }

    fn is(&self, name: &str) -> bool {
        let column = self.column(name).and_then(|c| c.as_boolean_opt());
        column.is_some_and(|column| column.value(self.row))
    }
}

fn deviation(series: &Series<'_>) -> Deviation {
    let days = |name| series.number(name).unwrap_or_default().unsigned_abs();
    let highest_if = |flag| {
        let highest = series.is(flag).then(|| series.number("season_highest"));
        highest.map(Option::unwrap_or_default)
    };
    Deviation {
        metric: series.text("metric").unwrap_or_default().to_owned(),
        app_key: series.text("app_key").map(str::to_owned),
        day: series.date("day"),
        actual: series.number("actual").unwrap_or_default(),
        expected: series.fraction("expected"),
        reference: series.text("reference").map(str::to_owned),
        reference_days: days("reference_days"),
        reference_first: series.date("reference_first"),
        reference_last: series.date("reference_last"),
        highest_35: series.number("highest_35"),
        z: series.fraction("z"),
        held_out: days("held_out"),
        season_highest: highest_if("in_season"),
        month_before_highest: highest_if("maybe_season"),
        is_cold_start: series.text("history") == Some("cold start"),
    }
}

/// A series in a sentence.
pub fn line(series: &Deviation) -> String {
    let app = series.app_key.as_deref();
    let through = app.map(|app| format!(" through {}", printable(app, MAX_TEXT)));
    let on = series.day.map(|day| format!(" on {day}"));
    let mut told = format!(
        "{}{}: {} seen{}",
        series.metric,
        through.unwrap_or_default(),
        grouped(series.actual),
        on.unwrap_or_default()
    );
    let Some(expected) = series.expected else {
        return told + "; nothing is known of the days before";
    };
    told += &format!("; {} expected", grouped(expected.round() as i64));
    let of = match series.reference.as_deref() {
        Some("same weekday") => " of the same weekday",
        Some("active days") => " on which it was active",
        _ => "",
    };
    told += &format!(
        ", the median of {}{of}",
        counted(series.reference_days, "day")
    );
    if let (Some(first), Some(last)) = (series.reference_first, series.reference_last) {
        told += &format!(" from {first} to {last}");
    }
    if let Some(highest) = series.highest_35 {
        told += &format!("; most of the last 35 days {}", grouped(highest));
    }
    if let Some(z) = series.z {
        told += &format!("; {z:.1} scales above");
    }
    if series.held_out > 0 {
        told += &format!("; {} held out", counted(series.held_out, "day"));
    }
    if let Some(highest) = series.season_highest {
        told += &format!(
            "; the season of the month: up to {} before",
            grouped(highest)
        );
    }
    if let Some(highest) = series.month_before_highest {
        told += &format!(
            "; up to {} at this time of the month before",
            grouped(highest)
        );
    }
    if series.is_cold_start {
        told += "; too short a history for a verdict";
    }
    told
}
