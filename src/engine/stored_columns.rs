//! How the text columns of a Parquet file are stored, as its footer says.
//!
//! That goes with the file into the plan, where the rules that work on dictionaries look for it.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::Result;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Encoding, PageType};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::packed::as_stored;

/// Largest dictionary, as it lies in the file, that rows behind a filter may hold on to. They come
/// from many batches, and each keeps its own until enough have passed.
const MAX_KEPT_BYTES: i64 = 64 << 10;

/// Goes with a file: its columns, and which of them lie in dictionaries from end to end.
#[derive(Debug, Clone)]
pub(super) struct StoredColumns {
    schema: SchemaRef,
    in_dictionaries: Vec<bool>,
    in_small_dictionaries: Vec<bool>,
    /// Bytes of each column's dictionaries, as they lie in the file.
    dictionary_bytes: Vec<i64>,
}

impl StoredColumns {
    pub(super) fn of(footer: &ParquetMetaData) -> Result<Self> {
        let file = footer.file_metadata();
        let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
        // A nested column would be stored as several.
        let is_flat = file.schema_descr().num_columns() == schema.fields().len();
        let is_text =
            |field: &FieldRef| matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View);
        let all_chunks = |n: usize, is_so: fn(&ColumnChunkMetaData) -> bool| {
            let mut groups = footer.row_groups().iter();
            groups.all(|group| group.columns().get(n).is_some_and(is_so))
        };
        let in_dictionaries = schema.fields().iter().enumerate();
        let in_dictionaries: Vec<bool> = in_dictionaries
            .map(|(n, field)| is_flat && is_text(field) && all_chunks(n, is_in_dictionary))
            .collect();
        let small = in_dictionaries.iter().enumerate();
        let in_small_dictionaries = small
            .map(|(n, in_dictionary)| *in_dictionary && all_chunks(n, has_small_dictionary))
            .collect();
        let dictionary_bytes = (0..schema.fields().len()).map(|n| {
            let groups = footer.row_groups().iter();
            let chunks = groups.filter_map(|group| group.columns().get(n));
            chunks.filter_map(dictionary_bytes).sum()
        });
        Ok(Self {
            in_dictionaries,
            in_small_dictionaries,
            dictionary_bytes: dictionary_bytes.collect(),
            schema: Arc::new(schema),
        })
    }

    /// Whether the column lies in small dictionaries, or is not there at all.
    pub(super) fn is_in_small_dictionaries(&self, name: &str) -> bool {
        match self.schema.index_of(name) {
            Ok(place) => self.in_small_dictionaries[place],
            Err(_) => true,
        }
    }

    /// Bytes of the column's dictionaries, as they lie in the file; none if not all of it is in them.
    pub(super) fn dictionary_bytes(&self, name: &str) -> Option<i64> {
        match self.schema.index_of(name) {
            Ok(place) => self.in_dictionaries[place].then(|| self.dictionary_bytes[place]),
            Err(_) => Some(0),
        }
    }

    /// The file's schema with the dictionaries of these columns, if it has one of them.
    pub(super) fn with_dictionaries(&self, names: &[&str]) -> Option<SchemaRef> {
        let mut is_other = false;
        let fields = self.schema.fields().iter().zip(&self.in_dictionaries);
        let fields = fields.map(|(field, &in_dictionary)| {
            if !in_dictionary || !names.contains(&field.name().as_str()) {
                return Arc::clone(field);
            }
            is_other = true;
            Arc::new(field.as_ref().clone().with_data_type(as_stored()))
        });
        let schema = Schema::new_with_metadata(
            fields.collect::<Vec<FieldRef>>(),
            self.schema.metadata().clone(),
        );
        is_other.then(|| Arc::new(schema))
    }
}

/// Whether no page was written after the dictionary had become too large.
fn is_in_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let is_dictionary = |encoding| {
        matches!(
            encoding,
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        )
    };
    let is_data = |page| matches!(page, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
    match (
        chunk.page_encoding_stats(),
        chunk.page_encoding_stats_mask(),
    ) {
        (Some(pages), _) => pages
            .iter()
            .filter(|pages| is_data(pages.page_type))
            .all(|pages| is_dictionary(pages.encoding)),
        (None, Some(data_pages)) => data_pages.encodings().all(is_dictionary),
        (None, None) => false,
    }
}

fn has_small_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    dictionary_bytes(chunk).is_some_and(|bytes| bytes <= MAX_KEPT_BYTES)
}

fn dictionary_bytes(chunk: &ColumnChunkMetaData) -> Option<i64> {
    let begin = chunk.dictionary_page_offset()?;
    Some(chunk.data_page_offset() - begin)
}
