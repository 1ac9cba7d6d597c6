//! How the lake writes Parquet: one set of writer properties for ingest, rollups and compaction.
//!
//! CSV to Parquet is bound by encoding, so each column gets the encoding that its values deserve:
//! unique ids are neither interned nor measured, times and integers are delta-packed, and the
//! columns that queries prune by (`occurred_at`, `user_id`, `ip`, `ip_key`) are measured by the page;
//! the bounds of the others would exclude nothing.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Most rows in one row group.
pub const MAX_ROW_GROUP_ROWS: usize = 245_760;

const WRITE_BATCH_ROWS: usize = 8_192;
const DICTIONARY_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Columns by whose bounds queries skip pages.
const PRUNED_BY: [&str; 5] = ["occurred_at", "user_id", "user_key", "ip", "ip_key"];

/// Text columns that are (nearly) unique per row: a dictionary would only be built to be
/// thrown away, and bounds of a random value exclude nothing.
const UNIQUE_TEXT: [&str; 8] = [
    "request_id",
    "requestid",
    "login_key",
    "loginkey",
    "session_key",
    "query_shape",
    "login_history_id",
    "id",
];

/// Writer properties for a file of this schema: Zstd level 1, row groups of at most
/// [`MAX_ROW_GROUP_ROWS`] rows, encodings and statistics per column as the module says.
pub fn writer_properties(schema: &Schema) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("orgwatch version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()))
        .set_write_batch_size(WRITE_BATCH_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(MAX_ROW_GROUP_ROWS));
    for field in schema.fields() {
        let path = ColumnPath::from(field.name().as_str());
        if PRUNED_BY.contains(&field.name().as_str()) {
            builder = builder.set_column_statistics_enabled(path.clone(), EnabledStatistics::Page);
        }
        builder = match values_of(field.name(), field.data_type()) {
            Values::Random => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), Encoding::PLAIN)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
            Values::Counting => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Values::Repeating => builder,
        };
    }
    builder.build()
}

/// What the values of a column are like, as far as encoding goes.
#[derive(Debug, PartialEq, Eq)]
enum Values {
    /// Hashes and ids, unique per row.
    Random,
    /// Times and integers.
    Counting,
    /// Everything else: few distinct values, worth a dictionary.
    Repeating,
}

fn values_of(name: &str, data_type: &DataType) -> Values {
    match data_type {
        DataType::Int64 if name == "row_key" => Values::Random,
        DataType::Int64 | DataType::Int32 | DataType::Date32 | DataType::Timestamp(..) => {
            Values::Counting
        }
        DataType::Utf8 | DataType::Utf8View if UNIQUE_TEXT.contains(&name) => Values::Random,
        _ => Values::Repeating,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray,
    };
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;

    fn written(rows: usize) -> parquet::file::metadata::ParquetMetaData {
        let times = TimestampMillisecondArray::from_iter_values((0..rows as i64).map(|n| n * 1000))
            .with_timezone("UTC");
        let text = |prefix: &str| -> ArrayRef {
            Arc::new(StringViewArray::from_iter_values(
                (0..rows).map(|n| format!("{prefix}{n}")),
            ))
        };
        let batch = RecordBatch::try_from_iter([
            ("occurred_at", Arc::new(times) as ArrayRef),
            ("user_id", text("005")),
            ("ip", text("192.0.2.")),
            ("request_id", text("r")),
            (
                "row_key",
                Arc::new(Int64Array::from_iter_values(0..rows as i64)) as ArrayRef,
            ),
        ])
        .unwrap();
        let file = tempfile::tempfile().unwrap();
        let properties = writer_properties(&batch.schema());
        let mut writer =
            ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), Some(properties))
                .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .unwrap()
    }

    #[test]
    fn pruning_columns_have_statistics_and_random_ones_have_none() {
        let metadata = written(1_000);
        let columns = metadata.row_group(0).columns();
        let measured: Vec<bool> = columns.iter().map(|c| c.statistics().is_some()).collect();
        assert_eq!(measured, [true, true, true, false, false]);
        let has_dictionary = |n: usize| columns[n].dictionary_page_offset().is_some();
        assert!(has_dictionary(1) && !has_dictionary(0) && !has_dictionary(3));
        assert!(
            metadata
                .file_metadata()
                .created_by()
                .unwrap()
                .starts_with("orgwatch")
        );
    }

    #[test]
    fn row_groups_stay_under_their_bound() {
        let metadata = written(MAX_ROW_GROUP_ROWS + 1);
        let rows: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(rows, [MAX_ROW_GROUP_ROWS as i64, 1]);
    }
}
