//! Why a finding about an account's habits was raised: what is expected of such a day, from which
//! days that comes, and what was seen.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use chrono::NaiveDate;
use datafusion::scalar::ScalarValue;

use super::workplace::Workplace;
use crate::config::Family;
use crate::engine::Params;
use crate::lake::{FindingRow, Lake};
use crate::privacy::printable;
use crate::words::{counted, grouped};

/// The series that stick out most, or the one that the finding names.
const SERIES: &str = "
    SELECT day, app_key, metric, actual, expected, reference, reference_days, reference_first,
        reference_last, highest_35, z, held_out, history, in_season, season_highest
    FROM expected_activity
    WHERE user_key = $user AND ($metric IS NULL OR metric = $metric)
      AND ($app IS NULL OR app_key IS NULL OR app_key = $app)
      AND (unusual OR $metric IS NOT NULL)
    ORDER BY unusual DESC, z DESC NULLS LAST, metric, app_key
    LIMIT 3";

const MAX_TEXT: usize = 200;

/// A line for each series; none where the finding is about something else.
pub fn baseline_of(
    finding: &FindingRow,
    lake: &Lake,
    place: &Workplace<'_>,
) -> anyhow::Result<Vec<String>> {
    let (Some(Family::Behaviour), Some(user)) = (finding.family, &finding.user_key) else {
        return Ok(vec![]);
    };
    let day = finding.bucket_start.unwrap_or(finding.first_seen);
    let evidence: serde_json::Value =
        serde_json::from_str(&finding.evidence_json).unwrap_or_default();
    let text = |value: Option<&str>| ScalarValue::Utf8View(value.map(str::to_owned));
    let params = Params::new()
        .with("user", text(Some(user)))
        .with("metric", text(evidence["metric"].as_str()))
        .with("app", text(evidence["app_key"].as_str()));
    let session = place.session(lake, &place.catalog()?, &place.registry()?)?;
    session.judge_days(&[day.date_naive()].into());
    let mut lines = vec![];
    for batch in session.query(SERIES, &params)? {
        lines.extend((0..batch.num_rows()).map(|row| line(&Series { batch: &batch, row })));
    }
    Ok(lines)
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

fn line(series: &Series<'_>) -> String {
    let metric = series.text("metric").unwrap_or_default();
    let app = series.text("app_key").map(|app| printable(app, MAX_TEXT));
    let through = app.map(|app| format!(" through {app}")).unwrap_or_default();
    let seen = series.number("actual").unwrap_or_default();
    let on = series.date("day").map(|day| format!(" on {day}"));
    let on = on.unwrap_or_default();
    let mut told = format!("{metric}{through}: {} seen{on}", grouped(seen));
    let Some(expected) = series.fraction("expected") else {
        return told + "; nothing is known of the days before";
    };
    told += &format!("; {} expected", grouped(expected.round() as i64));
    let days = series.number("reference_days").unwrap_or_default();
    let of = match series.text("reference") {
        Some("same weekday") => " of the same weekday",
        Some("active days") => " on which it was active",
        _ => "",
    };
    told += &format!(
        ", the median of {}{of}",
        counted(days.unsigned_abs(), "day")
    );
    if let (Some(first), Some(last)) = (
        series.date("reference_first"),
        series.date("reference_last"),
    ) {
        told += &format!(" from {first} to {last}");
    }
    if let Some(highest) = series.number("highest_35") {
        told += &format!("; most of the last 35 days {}", grouped(highest));
    }
    if let Some(z) = series.fraction("z") {
        told += &format!("; {z:.1} scales above");
    }
    match series.number("held_out") {
        Some(held) if held > 0 => {
            told += &format!("; {} held out", counted(held.unsigned_abs(), "day"));
        }
        _ => {}
    }
    if series.is("in_season") {
        let highest = series.number("season_highest").unwrap_or_default();
        told += &format!(
            "; the season of the month: up to {} before",
            grouped(highest)
        );
    }
    if series.text("history") == Some("cold start") {
        told += "; too short a history for a verdict";
    }
    told
}
