//! The Arrow batches as plain columns, and the series in them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use arrow::error::ArrowError;

/// What a series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    Bytes,
    Calls,
    Deletes,
    Exports,
    Logins,
    Rows,
}

/// Logs whose files prove that the licensed logs of a day were delivered: those that come every
/// day an org is used.
const LICENSED: [&str; 9] = [
    "RestApi",
    "API",
    "ApexRestApi",
    "ApexSoap",
    "ApexExecution",
    "URI",
    "LightningPageView",
    "AuraRequest",
    "VisualforceRequest",
];

impl Metric {
    pub(super) const ALL: [Metric; 6] = [
        Metric::Bytes,
        Metric::Calls,
        Metric::Deletes,
        Metric::Exports,
        Metric::Logins,
        Metric::Rows,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Metric::Bytes => "bytes",
            Metric::Calls => "calls",
            Metric::Deletes => "deletes",
            Metric::Exports => "exports",
            Metric::Logins => "logins",
            Metric::Rows => "rows",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Metric::Rows => "rows_read",
            other => other.name(),
        }
    }

    /// Counted per account and app, else per account.
    fn by_app(self) -> bool {
        matches!(self, Metric::Bytes | Metric::Calls | Metric::Rows)
    }

    /// Most accounts never do it: the history that counts is the account's, whatever it did.
    fn is_rare(self) -> bool {
        matches!(self, Metric::Deletes | Metric::Exports)
    }

    /// Whether a day with this log is a day on which the metric would have shown. Logs of rare
    /// things have no file on a day without them: any licensed log speaks for them.
    fn is_told_by(self, event_type: &str) -> bool {
        match self {
            Metric::Calls => event_type == "ApiTotalUsage",
            Metric::Logins => matches!(event_type, "Login" | "LoginHistory"),
            Metric::Bytes => matches!(event_type, "RestApi" | "API" | "ApexRestApi"),
            Metric::Rows => matches!(
                event_type,
                "RestApi" | "API" | "ApexRestApi" | "BulkApi" | "BulkApi2"
            ),
            Metric::Deletes => {
                matches!(event_type, "BulkApi" | "BulkApi2") || LICENSED.contains(&event_type)
            }
            Metric::Exports => {
                matches!(event_type, "ReportExport" | "Report") || LICENSED.contains(&event_type)
            }
        }
    }
}

/// One number of one account, day by day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Series {
    pub user_key: String,
    pub app_key: Option<String>,
    pub metric: Metric,
}

/// A day of a series on which its account was active; the value may be 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    /// Days since 1970.
    pub day: i32,
    pub value: i64,
}

/// The values of each series, by day; series in order.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub series: Vec<Series>,
    pub values: Vec<Vec<Value>>,
}

impl Totals {
    pub(super) fn read(batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let mut found: BTreeMap<Series, BTreeMap<i32, i64>> = BTreeMap::new();
        for batch in batches {
            let days = day_column(batch)?;
            let users = text_column(batch, "user_key")?;
            let apps = text_column(batch, "app_key")?;
            let (users, apps) = (users.as_string_view(), apps.as_string_view());
            for metric in Metric::ALL {
                let values = number_column(batch, metric.column())?;
                for row in 0..batch.num_rows() {
                    let value = values.is_valid(row).then(|| values.value(row).max(0));
                    let value = value.unwrap_or_default();
                    if users.is_null(row) || (value == 0 && !metric.is_rare()) {
                        continue;
                    }
                    let by_app = metric.by_app().then(|| cell(apps, row)).flatten();
                    let series = Series {
                        user_key: users.value(row).to_owned(),
                        app_key: by_app.map(str::to_owned),
                        metric,
                    };
                    let sum = found.entry(series).or_default();
                    let sum = sum.entry(days.value(row)).or_default();
                    *sum = sum.saturating_add(value);
                }
            }
        }
        let mut totals = Self::default();
        for (series, values) in found {
            if values.values().any(|value| *value > 0) {
                totals.series.push(series);
                let values = values.into_iter();
                totals
                    .values
                    .push(values.map(|(day, value)| Value { day, value }).collect());
            }
        }
        Ok(totals)
    }
}

/// The days on which each metric would have shown.
#[derive(Debug, Default)]
pub(super) struct Covered {
    days: BTreeMap<Metric, BTreeSet<i32>>,
}

impl Covered {
    pub(super) fn read(batches: &[RecordBatch]) -> Result<Self, ArrowError> {
        let mut covered = Self::default();
        for batch in batches {
            let events = text_column(batch, "event_type")?;
            let events = events.as_string_view();
            let days = day_column(batch)?;
            for row in 0..batch.num_rows() {
                let Some(event) = cell(events, row) else {
                    continue;
                };
                for metric in Metric::ALL.into_iter().filter(|m| m.is_told_by(event)) {
                    let of_metric = covered.days.entry(metric).or_default();
                    of_metric.insert(days.value(row));
                }
            }
        }
        Ok(covered)
    }

    pub(super) fn has(&self, metric: Metric, day: i32) -> bool {
        self.days
            .get(&metric)
            .is_some_and(|days| days.contains(&day))
    }

    /// Covered days of a metric from `first` to before `end`.
    pub(super) fn between(
        &self,
        metric: Metric,
        first: i32,
        end: i32,
    ) -> impl Iterator<Item = i32> {
        let days = self.days.get(&metric);
        days.into_iter()
            .flat_map(move |days| days.range(first..end.max(first)).copied())
    }
}

/// Accounts and days of a batch of both.
pub(super) fn user_days(batch: &RecordBatch) -> Result<Vec<(String, i32)>, ArrowError> {
    let users = text_column(batch, "user_key")?;
    let users = users.as_string_view();
    let days = day_column(batch)?;
    let rows = (0..batch.num_rows()).filter(|row| users.is_valid(*row) && days.is_valid(*row));
    Ok(rows
        .map(|row| (users.value(row).to_owned(), days.value(row)))
        .collect())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| ArrowError::SchemaError(format!("no {name}")))
}

fn text_column(batch: &RecordBatch, name: &str) -> Result<ArrayRef, ArrowError> {
    cast(column(batch, name)?, &DataType::Utf8View)
}

fn number_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, ArrowError> {
    column(batch, name)?
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| ArrowError::SchemaError(format!("{name} is no whole number")))
}

fn day_column(batch: &RecordBatch) -> Result<&arrow::array::Date32Array, ArrowError> {
    column(batch, "day")?
        .as_primitive_opt::<Date32Type>()
        .ok_or_else(|| ArrowError::SchemaError("day is no date".to_owned()))
}

fn cell(texts: &StringViewArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}
