//! The Arrow schema in which an event type is stored in the lake.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{Column, ColumnKind, EventType, Treatment};

/// Schema of the Parquet files of an event type, in this order:
///
/// | column | type | when |
/// |---|---|---|
/// | `occurred_at` | Timestamp(ms, UTC), not null | always |
/// | `user_id` | Utf8View, 18 characters | the type names an acting user |
/// | `ip` | Utf8View, canonical text | the type has an address column |
/// | `ip_key` | FixedSizeBinary(16), IPv4 mapped into IPv6 | same |
/// | `ip_kind` | Utf8View: public, private, salesforce, unparsed, missing | same |
/// | one column per kept heading, in catalogue order | by [`ColumnKind`] | |
/// | `query_object`, `query_shape`, `query_classes` | Utf8View | the type has SOQL text |
/// | `query_classes` | Utf8View | the type has search text |
/// | `actions` (Utf8View), `action_count`, `actions_malformed` (Int64) | | the type has ACTION_MESSAGE |
/// | `file_id` | Int64 | always |
/// | `line_no` | Int64, first physical line of the record, from 1 | always |
/// | `row_key` | Int64, keyed hash of the row's identity columns | always |
pub fn lake_schema(event: &EventType) -> SchemaRef {
    let mut fields = vec![Field::new("occurred_at", timestamp_ms(), false)];
    if event.has(Treatment::UserId) {
        fields.push(Field::new("user_id", DataType::Utf8View, true));
    }
    if event.has(Treatment::Address) {
        fields.push(Field::new("ip", DataType::Utf8View, true));
        fields.push(Field::new("ip_key", DataType::FixedSizeBinary(16), true));
        fields.push(Field::new("ip_kind", DataType::Utf8View, false));
    }
    fields.extend(event.columns.iter().flat_map(stored_fields));
    fields.push(Field::new("file_id", DataType::Int64, false));
    fields.push(Field::new("line_no", DataType::Int64, false));
    fields.push(Field::new("row_key", DataType::Int64, false));
    Arc::new(Schema::new(fields))
}

/// Type of `occurred_at` and of every other time in the lake.
pub fn timestamp_ms() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn stored_fields(column: &Column) -> Vec<Field> {
    match column.treatment {
        Treatment::OccurredAt | Treatment::UserId | Treatment::Drop => vec![],
        Treatment::QueryShape => vec![
            Field::new("query_object", DataType::Utf8View, true),
            Field::new("query_shape", DataType::Utf8View, true),
            Field::new("query_classes", DataType::Utf8View, true),
        ],
        Treatment::QueryClasses => vec![Field::new("query_classes", DataType::Utf8View, true)],
        Treatment::ActionTally => vec![
            Field::new("actions", DataType::Utf8View, true),
            Field::new("action_count", DataType::Int64, true),
            Field::new("actions_malformed", DataType::Int64, true),
        ],
        _ => {
            let kind = match column.kind {
                ColumnKind::Text => DataType::Utf8View,
                ColumnKind::Integer => DataType::Int64,
                ColumnKind::Decimal => DataType::Float64,
                ColumnKind::Boolean => DataType::Boolean,
                ColumnKind::Time => timestamp_ms(),
            };
            let described = HashMap::from([("description".to_owned(), column.description.clone())]);
            vec![Field::new(&column.name, kind, true).with_metadata(described)]
        }
    }
}
