//! `[[case.table]]`: rows of a table that the program itself makes, typed by its schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMillisecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, TimeUnit, TimestampMillisecondType};

use super::format::moment;
use crate::config::nearest;
use crate::lake::{InferredRole, LedgerTable};

type Row = BTreeMap<String, toml::Value>;

/// The table of this name.
pub fn table_of(name: &str) -> Result<LedgerTable, String> {
    LedgerTable::from_name(name).ok_or_else(|| {
        let names = || LedgerTable::ALL.into_iter().map(LedgerTable::name);
        match nearest(name, names()) {
            Some(near) => format!("there is no table `{name}`; did you mean `{near}`?"),
            None => format!(
                "there is no table `{name}` that a case may set, only {}",
                names().collect::<Vec<_>>().join(", ")
            ),
        }
    })
}

/// The rows in the table's columns; a column that a row does not give is NULL.
pub fn batch_of(table: LedgerTable, rows: &[Row]) -> Result<RecordBatch, String> {
    let schema = table.schema();
    for column in rows.iter().flat_map(BTreeMap::keys) {
        if schema.field_with_name(column).is_err() {
            let columns = || schema.fields().iter().map(|f| f.name().as_str());
            let hint = match nearest(column, columns()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", columns().collect::<Vec<_>>().join(", ")),
            };
            let table = table.name();
            return Err(format!("table `{table}` has no column `{column}`; {hint}"));
        }
    }
    let columns = schema.fields().iter().map(|field| column_of(field, rows));
    let columns = columns.collect::<Result<Vec<_>, String>>()?;
    RecordBatch::try_new(schema, columns)
        .map_err(|e| format!("the rows do not make a table `{}`: {e}", table.name()))
}

/// The rows of `inferred_roles` as the ledger takes them; what is not given is a machine's, from
/// ever on. A row without `user_key` says nothing.
pub fn inferred_roles_of(rows: &RecordBatch, now: DateTime<Utc>) -> Vec<InferredRole> {
    let text = |name: &str, row: usize| {
        let column = rows.column_by_name(name)?.as_string_view_opt()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let time = |name: &str, row: usize| {
        let column = rows.column_by_name(name)?;
        let column = column.as_primitive_opt::<TimestampMillisecondType>()?;
        let valid = column.is_valid(row).then(|| column.value(row))?;
        DateTime::from_timestamp_millis(valid)
    };
    (0..rows.num_rows())
        .filter_map(|row| {
            Some(InferredRole {
                user_key: text("user_key", row)?,
                role: text("role", row).unwrap_or_else(|| "integration".to_owned()),
                reason: text("reason", row).unwrap_or_default(),
                since: time("since", row).unwrap_or_default(),
                until: time("until", row),
                last_seen: time("last_seen", row).unwrap_or(now),
            })
        })
        .collect()
}

fn column_of(field: &Field, rows: &[Row]) -> Result<ArrayRef, String> {
    let cells = || rows.iter().map(|row| row.get(field.name()));
    fn each<'a, T>(
        cells: impl Iterator<Item = Option<&'a toml::Value>>,
        field: &Field,
        what: &str,
        read: impl Fn(&toml::Value) -> Option<T>,
    ) -> Result<Vec<Option<T>>, String> {
        let wrong = || format!("column `{}` takes {what}", field.name());
        cells
            .map(|cell| match cell {
                None => Ok(None),
                Some(value) => read(value).map(Some).ok_or_else(wrong),
            })
            .collect()
    }
    Ok(match field.data_type() {
        DataType::Int64 => {
            let values = each(cells(), field, "a whole number", toml::Value::as_integer)?;
            Arc::new(Int64Array::from(values))
        }
        DataType::Boolean => {
            let values = each(cells(), field, "true or false", toml::Value::as_bool)?;
            Arc::new(BooleanArray::from(values))
        }
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            let what = "a time with its zone, as in 2026-01-15T10:00:00Z";
            let values = each(cells(), field, what, |v| Some(time(v)?.timestamp_millis()))?;
            Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone.clone()))
        }
        DataType::Date32 => {
            let values = each(cells(), field, "a day, as in 2026-01-15", |value| {
                Some(day(value)?.to_epoch_days())
            })?;
            Arc::new(Date32Array::from(values))
        }
        DataType::Utf8View => {
            let text = |value: &toml::Value| value.as_str().map(str::to_owned);
            Arc::new(StringViewArray::from_iter(each(
                cells(),
                field,
                "a text",
                text,
            )?))
        }
        other => return Err(format!("column `{}` is of type {other}", field.name())),
    })
}

fn time(value: &toml::Value) -> Option<DateTime<Utc>> {
    match value {
        toml::Value::Datetime(written) => moment(written),
        toml::Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn day(value: &toml::Value) -> Option<NaiveDate> {
    match value {
        toml::Value::Datetime(written) => written.to_string().parse().ok(),
        toml::Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        let mut table: BTreeMap<String, Vec<Row>> = toml::from_str(text).unwrap();
        table.remove("rows").unwrap()
    }

    #[test]
    fn rows_are_typed_by_the_table_and_what_is_not_given_is_null() {
        let rows = rows(
            "rows = [ { rule = 'r', until = 2026-01-15T01:00:00+01:00, is_expired = true, matched = 3 },
              { rule = 's', until = '2026-01-16T00:00:00Z' } ]",
        );
        let batch = batch_of(LedgerTable::Suppressions, &rows).unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(batch.schema(), LedgerTable::Suppressions.schema());
        let column = |name: &str| batch.column_by_name(name).unwrap();
        assert_eq!(column("rule").as_string_view().value(1), "s");
        assert_eq!(column("is_expired").null_count(), 1);
        assert_eq!(column("owner").null_count(), 2);
        let until = column("until").as_primitive::<TimestampMillisecondType>();
        assert_eq!(until.value(1) - until.value(0), 86_400_000);
        let parts = batch_of(
            LedgerTable::Parts,
            &self::rows("rows = [ { day = 2026-01-15 } ]"),
        );
        assert_eq!(
            parts.unwrap().column_by_name("day").unwrap().null_count(),
            0
        );
    }

    #[test]
    fn a_slip_in_table_column_or_type_is_told() {
        assert!(table_of("canaris").unwrap_err().contains("`canaries`"));
        assert!(table_of("logins").unwrap_err().contains("logins"));
        let fault = |text: &str| batch_of(LedgerTable::Suppressions, &rows(text)).unwrap_err();
        assert!(fault("rows = [ { mached = 1 } ]").contains("did you mean `matched`?"));
        assert!(fault("rows = [ { matched = '1' } ]").contains("`matched` takes a whole number"));
        assert!(fault("rows = [ { until = 2026-01-15 } ]").contains("with its zone"));
    }
}
