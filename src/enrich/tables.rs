//! Indicators and network lists as SQL tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMillisecondArray};

use super::{EnrichError, Enrichment};

impl Enrichment {
    /// Tables for SQL. Text is Utf8View; times are Timestamp(ms, UTC), half-open and never NULL
    /// (0001-01-01 and 9999-12-31 where open). A table without entries has its columns.
    ///
    /// | table | columns |
    /// |---|---|
    /// | `indicators` | indicator (`kind:value` as compared), kind, value, valid_from, valid_to, source, confidence, note? |
    /// | `network_lists` | network, class, list, valid_from, valid_to |
    pub fn tables(&self) -> Result<[(&'static str, RecordBatch); 2], EnrichError> {
        Ok([
            ("indicators", self.indicators_table()?),
            ("network_lists", self.lists_table()?),
        ])
    }

    fn indicators_table(&self) -> Result<RecordBatch, EnrichError> {
        let rows = || self.indicators().rows().iter();
        let note = StringViewArray::from_iter(rows().map(|row| row.note.as_deref()));
        Ok(RecordBatch::try_from_iter_with_nullable([
            ("indicator", text(rows().map(|row| row.id.as_str())), false),
            ("kind", text(rows().map(|row| row.kind.as_str())), false),
            ("value", text(rows().map(|row| row.value.as_str())), false),
            (
                "valid_from",
                times(rows().map(|row| row.valid.from_ms)),
                false,
            ),
            ("valid_to", times(rows().map(|row| row.valid.to_ms)), false),
            ("source", text(rows().map(|row| row.source.as_str())), false),
            ("confidence", text(rows().map(|row| row.confidence)), false),
            ("note", Arc::new(note) as ArrayRef, true),
        ])?)
    }

    fn lists_table(&self) -> Result<RecordBatch, EnrichError> {
        let lists = self.lists();
        let rows = || lists.entries().iter();
        let networks: Vec<String> = rows().map(|row| row.network.to_string()).collect();
        Ok(RecordBatch::try_from_iter_with_nullable([
            ("network", text(networks.iter().map(String::as_str)), false),
            ("class", text(rows().map(|row| row.class.as_str())), false),
            ("list", text(rows().map(|row| lists.name_of(row))), false),
            (
                "valid_from",
                times(rows().map(|row| row.valid.from_ms)),
                false,
            ),
            ("valid_to", times(rows().map(|row| row.valid.to_ms)), false),
        ])?)
    }
}

fn text<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(values))
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from_iter_values(values).with_timezone("UTC"))
}
