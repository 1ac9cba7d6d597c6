//! What a session's names stand for: event types, rollups, the ledger's and the registry's rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{MemTable, TableProvider, ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, col, lit};
use datafusion::prelude::SessionContext;

use super::error::EngineError;
use super::lake_table::{DAY, LakeTable};
use super::lazy::{EventPlace, LazyTables, Slot};
use super::rollup_schema::{
    ROLLUP_ACTIVITY, ROLLUP_LOGINS, ROLLUP_SIGHTINGS, activity_schema, login_attempt_schema,
    sighting_schema,
};
use crate::catalog::{Catalog, EventType, Treatment, lake_schema};
use crate::enrich::Enrichment;
use crate::lake::{Lake, LedgerTable, Part};
use crate::registry::{Registry, Resolution};

/// One table per event type of the catalogue, with or without files, one per unknown type met in
/// the lake, and the rollups.
pub(super) fn register_events(
    tables: &LazyTables,
    lake: &Lake,
    catalog: &Catalog,
) -> Result<(), EngineError> {
    let present: BTreeSet<String> = lake.event_types()?.into_iter().collect();
    let mut events: BTreeMap<String, (EventPlace, Vec<Part>)> = BTreeMap::new();
    for (at, event) in catalog.event_types().iter().enumerate() {
        let parts = match present.contains(&event.name) {
            true => lake.parts(&event.name)?,
            false => vec![],
        };
        events.insert(event.table.clone(), (EventPlace::InCatalog(at), parts));
    }
    for name in present {
        if catalog.event_type(&name).is_some() || name.starts_with("rollup_") {
            continue;
        }
        let Some(event) = catalog.unknown_event_type(&name) else {
            tracing::warn!(event_type = %name, "the lake holds an event type without a table");
            continue;
        };
        // Two spellings may come to one table (`FooBar`, `Foo_Bar`): its rows are both types'.
        let parts = lake.parts(&name)?;
        let table = event.table.clone();
        let place = events
            .entry(table)
            .or_insert((EventPlace::Unknown(Box::new(event)), vec![]));
        place.1.extend(parts);
    }
    for (table, (event, parts)) in events {
        tables.add(&table, Slot::Event { event, parts });
    }
    for (rollup, schema) in [
        (ROLLUP_LOGINS, login_attempt_schema()),
        (ROLLUP_SIGHTINGS, sighting_schema()),
        (ROLLUP_ACTIVITY, activity_schema()),
    ] {
        let table = LakeTable::new(schema, lake.parts(rollup)?);
        tables.add(rollup, Slot::Ready(Arc::new(table)));
    }
    Ok(())
}

/// The raw table of an event type over these parts.
pub(super) fn event_table(
    table: &str,
    event: &EventType,
    parts: Vec<Part>,
) -> Result<Arc<dyn TableProvider>> {
    let stored = lake_schema(event);
    let columns = headings_as_columns(event, &stored);
    let provider: Arc<dyn TableProvider> = Arc::new(LakeTable::new(stored, parts));
    let plan = LogicalPlanBuilder::scan(table, provider_as_source(provider), None)?
        .project(columns)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// The stored columns, and beside them every heading that is stored under another name or is
/// constant: who knows the CSV finds its columns.
fn headings_as_columns(event: &EventType, stored: &SchemaRef) -> Vec<Expr> {
    let mut columns: Vec<Expr> = stored.fields().iter().map(|f| quoted(f.name())).collect();
    let mut add = |name: String, value: Expr| {
        if stored.index_of(&name).is_err() {
            columns.push(value.alias(name));
        }
    };
    for column in &event.columns {
        let heading = column.heading.to_lowercase();
        match column.treatment {
            _ if heading == "event_type" => add(heading, lit(event.name.clone())),
            Treatment::OccurredAt => add(heading, quoted("occurred_at")),
            Treatment::UserId => add(heading, quoted("user_id")),
            Treatment::Drop
            | Treatment::QueryShape
            | Treatment::QueryClasses
            | Treatment::ActionTally
            | Treatment::Contributors
            | Treatment::Mentions => {}
            _ => add(heading, quoted(&column.name)),
        }
    }
    columns.push(quoted(DAY));
    columns
}

/// A column by its exact name, whatever characters it has.
fn quoted(name: &str) -> Expr {
    col(datafusion::common::Column::from_name(name))
}

/// `usernames(user_id, username)`: the last known username of each user id.
pub(super) fn register_usernames(
    context: &SessionContext,
    names: &[(String, String)],
) -> Result<(), EngineError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("user_id", DataType::Utf8View, false),
        Field::new("username", DataType::Utf8View, false),
    ]));
    let ids = StringViewArray::from_iter_values(names.iter().map(|(id, _)| id));
    let values = StringViewArray::from_iter_values(names.iter().map(|(_, name)| name));
    RecordBatch::try_new(schema, vec![Arc::new(ids), Arc::new(values)])
        .map_err(DataFusionError::from)
        .and_then(|batch| register_batch(context, "usernames", batch))
        .map_err(|error| built_in(&error))
}

/// The tables of [`LedgerTable`].
pub(super) fn register_ledger(context: &SessionContext, lake: &Lake) -> Result<(), EngineError> {
    for table in LedgerTable::ALL {
        let batch = lake.ledger().snapshot(table)?;
        register_batch(context, table.name(), batch).map_err(|error| built_in(&error))?;
    }
    Ok(())
}

/// Puts rows in the place of a table.
pub(super) fn replace_table(
    context: &SessionContext,
    name: &str,
    rows: RecordBatch,
) -> Result<(), EngineError> {
    // The session's schema lets a later table take the place of an earlier one.
    register_batch(context, name, rows).map_err(|error| built_in(&error))
}

/// The tables of [`Registry::tables`].
pub(super) fn register_registry(
    context: &SessionContext,
    registry: &Registry,
    resolution: &Resolution,
) -> Result<(), EngineError> {
    let tables = registry
        .tables(resolution)
        .map_err(|error| built_in(&error.into()))?;
    for (name, batch) in tables {
        register_batch(context, name, batch).map_err(|error| built_in(&error))?;
    }
    Ok(())
}

/// The tables of [`Enrichment::tables`].
pub(super) fn register_enrichment(
    context: &SessionContext,
    known: &Enrichment,
) -> Result<(), EngineError> {
    let tables = known.tables().map_err(|error| EngineError::BuiltIn {
        name: "tables",
        message: error.to_string(),
    })?;
    for (name, batch) in tables {
        register_batch(context, name, batch).map_err(|error| built_in(&error))?;
    }
    Ok(())
}

fn register_batch(context: &SessionContext, name: &str, batch: RecordBatch) -> Result<()> {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    register(context, name, Arc::new(table))
}

fn register(context: &SessionContext, name: &str, table: Arc<dyn TableProvider>) -> Result<()> {
    let name = datafusion::common::TableReference::bare(name);
    context.register_table(name, table).map(|_| ())
}

pub(super) fn built_in(error: &DataFusionError) -> EngineError {
    EngineError::BuiltIn {
        name: "tables",
        message: error.strip_backtrace(),
    }
}
