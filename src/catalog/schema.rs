//! The Arrow schema in which an event type is stored in the lake.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{Column, ColumnKind, EventType, Treatment};

/// Keys of a field's metadata, which the Parquet files carry.
pub const DESCRIPTION: &str = "description";
/// Of a number, as in `ms` and `bytes`; absent where it has none.
pub const UNIT: &str = "unit";

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
///
/// Each field's metadata says what it means, and in which unit it counts.
pub fn lake_schema(event: &EventType) -> SchemaRef {
    let occurred_at = derived("occurred_at", timestamp_ms(), "When it happened");
    let mut fields = vec![occurred_at.with_nullable(false)];
    if event.has(Treatment::UserId) {
        let meaning = "Id of the acting user, 18 characters";
        fields.push(derived("user_id", DataType::Utf8View, meaning));
    }
    if event.has(Treatment::Address) {
        let kind = derived(
            "ip_kind",
            DataType::Utf8View,
            "What the log has for an address: public, private, salesforce (a hop inside the \
             platform, not an address), unparsed (a text that is none), missing",
        );
        fields.extend([
            derived("ip", DataType::Utf8View, "The client's address, canonical"),
            derived(
                "ip_key",
                DataType::FixedSizeBinary(16),
                "`ip` as 16 bytes, IPv4 mapped into IPv6: sorts and compares as networks do",
            ),
            kind.with_nullable(false),
        ]);
    }
    fields.extend(event.columns.iter().flat_map(stored_fields));
    let number = |name, meaning| derived(name, DataType::Int64, meaning).with_nullable(false);
    fields.extend([
        number(
            "file_id",
            "The file that the row came from: `id` of `files`",
        ),
        number(
            "line_no",
            "Line of that file on which the row begins, from 1",
        ),
        number(
            "row_key",
            "Keyed hash of what makes the row itself: the same row in two files has the same",
        ),
    ]);
    Arc::new(Schema::new(fields))
}

/// Type of `occurred_at` and of every other time in the lake.
pub fn timestamp_ms() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn stored_fields(column: &Column) -> Vec<Field> {
    let classes = || {
        let meaning = "Classes of the query or search, as in count;password_word: never its words";
        derived("query_classes", DataType::Utf8View, meaning)
    };
    match column.treatment {
        Treatment::OccurredAt | Treatment::UserId | Treatment::Drop => vec![],
        Treatment::QueryShape => vec![
            derived(
                "query_object",
                DataType::Utf8View,
                "Object of the query's FROM",
            ),
            derived(
                "query_shape",
                DataType::Utf8View,
                "Keyed digest of the query without its literals: the same question, the same digest",
            ),
            classes(),
        ],
        Treatment::QueryClasses => vec![classes()],
        Treatment::ActionTally => vec![
            derived(
                "actions",
                DataType::Utf8View,
                "Controller actions as NAME=COUNT, joined by ;",
            ),
            derived(
                "action_count",
                DataType::Int64,
                "Controller actions in the message",
            ),
            derived(
                "actions_malformed",
                DataType::Int64,
                "Parts of the message that are no action",
            ),
        ],
        _ => {
            let kind = match column.kind {
                ColumnKind::Text => DataType::Utf8View,
                ColumnKind::Integer => DataType::Int64,
                ColumnKind::Decimal => DataType::Float64,
                ColumnKind::Boolean => DataType::Boolean,
                ColumnKind::Time => timestamp_ms(),
            };
            vec![described(
                &column.name,
                kind,
                &column.description,
                &column.unit,
            )]
        }
    }
}

/// A column that no log has under this name.
fn derived(name: &str, kind: DataType, meaning: &str) -> Field {
    described(name, kind, meaning, "")
}

fn described(name: &str, kind: DataType, meaning: &str, unit: &str) -> Field {
    let told = [(DESCRIPTION, meaning), (UNIT, unit)];
    let told = told.into_iter().filter(|(_, text)| !text.is_empty());
    let told = told.map(|(key, text)| (key.to_owned(), text.to_owned()));
    Field::new(name, kind, true).with_metadata(told.collect())
}
