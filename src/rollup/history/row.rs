//! The rows of `queries/rollups/activity.sql`.

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::account::Seen;
use crate::engine::ACTIVITY_COUNTS;

/// Rows of the logs that do not differ in any of these, summed up.
pub(super) struct Row<'a> {
    /// Whole hours since 1970.
    pub hour: i64,
    pub user_key: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub username: Option<&'a str>,
    pub user_type: Option<&'a str>,
    pub source: Option<&'a str>,
    pub event_type: &'a str,
    pub app_id: Option<&'a str>,
    pub app_name: Option<&'a str>,
    pub network: Option<&'a str>,
    pub country: Option<&'a str>,
    pub agent: Option<&'a str>,
    pub client: Option<&'a str>,
    pub api_version: Option<&'a str>,
    pub path: Option<&'a str>,
    pub objects: Option<&'a str>,
    pub operation: Option<&'a str>,
    pub seen: Seen,
    pub counts: [i64; ACTIVITY_COUNTS.len()],
}

const TEXTS: [&str; 16] = [
    "user_key",
    "user_id",
    "username",
    "user_type",
    "source",
    "event_type",
    "app_id",
    "app_name",
    "network",
    "country",
    "agent",
    "client",
    "api_version",
    "path",
    "objects",
    "operation",
];

/// The columns of a batch, found by name once. Text is Utf8View.
pub(super) struct Rows<'a> {
    texts: [&'a StringViewArray; TEXTS.len()],
    hour: &'a Int64Array,
    first_ms: &'a Int64Array,
    last_ms: &'a Int64Array,
    events: &'a Int64Array,
    counts: [&'a Int64Array; ACTIVITY_COUNTS.len()],
    rows: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| ArrowError::SchemaError(format!("no {name}")))
        };
        let text = |name: &str| {
            column(name)?
                .as_string_view_opt()
                .ok_or_else(|| ArrowError::SchemaError(format!("{name} is no text")))
        };
        let number = |name: &str| {
            column(name)?
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| ArrowError::SchemaError(format!("{name} is no whole number")))
        };
        Ok(Self {
            texts: each(TEXTS, text)?,
            hour: number("hour")?,
            first_ms: number("first_ms")?,
            last_ms: number("last_ms")?,
            events: number("events")?,
            counts: each(ACTIVITY_COUNTS, number)?,
            rows: batch.num_rows(),
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Row<'a>> {
        (0..self.rows).map(|row| self.row(row))
    }

    fn row(&self, row: usize) -> Row<'a> {
        let [
            user_key,
            user_id,
            username,
            user_type,
            source,
            event_type,
            app_id,
            app_name,
            network,
            country,
            agent,
            client,
            api_version,
            path,
            objects,
            operation,
        ] = self
            .texts
            .map(|texts| texts.is_valid(row).then(|| texts.value(row)));
        Row {
            hour: self.hour.value(row),
            user_key,
            user_id,
            username,
            user_type,
            source,
            event_type: event_type.unwrap_or_default(),
            app_id,
            app_name,
            network,
            country,
            agent,
            client,
            api_version,
            path,
            objects,
            operation,
            seen: Seen {
                first_ms: self.first_ms.value(row),
                last_ms: self.last_ms.value(row),
                events: self.events.value(row),
            },
            counts: self.counts.map(|counts| counts.value(row)),
        }
    }
}

fn each<T, const N: usize>(
    names: [&str; N],
    of: impl Fn(&str) -> Result<T, ArrowError>,
) -> Result<[T; N], ArrowError> {
    let found: Vec<T> = names
        .iter()
        .map(|name| of(name))
        .collect::<Result<_, _>>()?;
    found
        .try_into()
        .map_err(|_| ArrowError::SchemaError("a column is missing".to_owned()))
}
