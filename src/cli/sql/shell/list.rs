//! What `\d` and `\rules` list.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;

use crate::catalog::{Catalog, DESCRIPTION, UNIT, lake_schema};
use crate::cli::failure::UsageError;
use crate::cli::output::Rows;
use crate::config::nearest;
use crate::detect::RuleSet;
use crate::engine::Session;
use crate::lake::Lake;

/// Every table and view, and how many rows a table of logs has.
pub fn tables(session: &Session, lake: &Lake, catalog: &Catalog) -> anyhow::Result<Rows> {
    let info = lake.info()?;
    let rows: BTreeMap<&str, u64> = info
        .event_types
        .iter()
        .map(|e| (e.event_type.as_str(), e.rows))
        .collect();
    let events: BTreeMap<&str, &str> = catalog
        .event_types()
        .iter()
        .map(|event| (event.table.as_str(), event.name.as_str()))
        .collect();
    let names = session.tables();
    let counts = names.iter().map(|name| {
        let event = events.get(name.as_str())?;
        Some(rows.get(event).copied().unwrap_or(0).to_string())
    });
    let holds = names.iter().map(|name| {
        let event = events.get(name.as_str())?;
        Some(format!("the logs of {event}"))
    });
    Ok(Rows::new()
        .text("table", names.iter().map(|name| Some(name.as_str())))
        .text("rows", counts)
        .text("holds", holds))
}

/// The columns of a table or view, and what the catalogue says of those that it knows.
pub fn columns(table: &str, session: &Session, catalog: &Catalog) -> anyhow::Result<Rows> {
    let name = table.to_lowercase();
    let Some(schema) = session.columns(&name)? else {
        let tables = session.tables();
        let near = nearest(&name, tables.iter().map(String::as_str));
        let hint = near.map_or("\\d lists them".to_owned(), |near| {
            format!("did you mean {near}?")
        });
        return Err(UsageError::new(format!("there is no table {table}"), hint).into());
    };
    let meanings = meanings(&name, catalog);
    let fields = || schema.fields().iter();
    Ok(Rows::new()
        .text("column", fields().map(|field| Some(field.name().as_str())))
        .text(
            "type",
            fields().map(|field| Some(type_name(field.data_type()))),
        )
        .text(
            "meaning",
            fields().map(|field| meanings.get(field.name()).map(String::as_str)),
        ))
}

/// What columns mean, by their names: in this table, else wherever the catalogue knows them.
fn meanings(table: &str, catalog: &Catalog) -> BTreeMap<String, String> {
    let (own, others): (Vec<_>, Vec<_>) = catalog
        .event_types()
        .iter()
        .partition(|event| event.table == table);
    let mut meanings = BTreeMap::new();
    for event in own.iter().chain(&others) {
        for field in lake_schema(event).fields() {
            if let Some(meaning) = field.metadata().get(DESCRIPTION) {
                let known = meanings.entry(field.name().clone());
                known.or_insert_with(|| match field.metadata().get(UNIT) {
                    Some(unit) => format!("{meaning} ({unit})"),
                    None => meaning.clone(),
                });
            }
        }
    }
    meanings
}

fn type_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Int64 | DataType::Int32 | DataType::Int16 | DataType::Int8 => "integer",
        DataType::UInt64 | DataType::UInt32 | DataType::UInt16 | DataType::UInt8 => "integer",
        DataType::Float64 | DataType::Float32 => "number",
        DataType::Boolean => "boolean",
        DataType::Timestamp(_, Some(_)) => "timestamp UTC",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytes",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The detections.
pub fn rules(rules: &RuleSet) -> Rows {
    let each = || rules.iter();
    Rows::new()
        .text("id", each().map(|rule| Some(rule.id.as_str())))
        .text("severity", each().map(|rule| Some(rule.severity.as_str())))
        .text("title", each().map(|rule| Some(rule.title.as_str())))
}
