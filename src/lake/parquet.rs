//! How the lake writes Parquet: one writer for ingest, rollups and compaction.
//!
//! CSV to Parquet is bound by encoding, so each column gets the encoding that its values deserve:
//! unique ids are neither interned nor measured, times and integers are delta-packed, and the
//! columns that queries prune by (`occurred_at`, `user_id`, `ip`, `ip_key`) are measured by the page;
//! the bounds of the others would exclude nothing.
//!
//! Small files are not compressed: of every column that is read of one, setting up to decompress it
//! would take longer than reading it, and a night reads thousands.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// Most rows in one row group.
pub const MAX_ROW_GROUP_ROWS: usize = 245_760;

/// Most rows of a file that is not compressed.
pub const MAX_UNCOMPRESSED_ROWS: usize = 8_192;

/// Most bytes that rows take in memory while it is not known whether they are a whole file.
const MAX_HELD_BYTES: usize = 4 << 20;

/// What a file says of who wrote it.
pub const CREATED_BY: &str = concat!("orgwatch version ", env!("CARGO_PKG_VERSION"));

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

/// Writes one file: row groups of at most [`MAX_ROW_GROUP_ROWS`] rows, encodings and statistics per
/// column as the module says, Zstd level 1 if it has more than [`MAX_UNCOMPRESSED_ROWS`] rows.
pub struct PartWriter {
    file: File,
    schema: SchemaRef,
    /// The first rows, until it is known whether they are all.
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_bytes: usize,
    begun: Option<ArrowWriter<File>>,
}

/// A file that is whole but not synced.
pub struct Written {
    pub file: File,
    /// As its footer has them.
    pub rows: u64,
}

impl PartWriter {
    /// Nothing is written to `file` before the first rows are known.
    pub fn new(file: File, schema: SchemaRef) -> Self {
        Self {
            file,
            schema,
            held: Vec::new(),
            held_rows: 0,
            held_bytes: 0,
            begun: None,
        }
    }

    /// `batch` is of the file's schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(begun) = &mut self.begun {
            return begun.write(batch);
        }
        self.held_rows += batch.num_rows();
        if self.held_rows <= MAX_UNCOMPRESSED_ROWS && self.held_bytes <= MAX_HELD_BYTES {
            let own = in_memory_of_its_own(batch)?;
            self.held_bytes += own.get_array_memory_size();
            self.held.push(own);
            return Ok(());
        }
        let level = ZstdLevel::try_new(1).unwrap_or_default();
        let mut begun = self.begin(Compression::ZSTD(level))?;
        begun.write(batch)?;
        self.begun = Some(begun);
        Ok(())
    }

    /// Closes the row group if more than `bytes` of it are in memory, encoded.
    pub fn flush_over(&mut self, bytes: usize) -> Result<()> {
        match &mut self.begun {
            Some(begun) if begun.in_progress_size() > bytes => begun.flush(),
            _ => Ok(()),
        }
    }

    pub fn finish(mut self) -> Result<Written> {
        let begun = match self.begun.take() {
            Some(begun) => begun,
            None => self.begin(Compression::UNCOMPRESSED)?,
        };
        let footer = begun.close()?;
        Ok(Written {
            file: self.file,
            rows: u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0),
        })
    }

    /// A writer that has what was held.
    fn begin(&mut self, compression: Compression) -> Result<ArrowWriter<File>> {
        let file = self.file.try_clone()?;
        let properties = writer_properties(&self.schema, compression);
        let mut begun = ArrowWriter::try_new(file, self.schema.clone(), Some(properties))?;
        for batch in self.held.drain(..) {
            begun.write(&batch)?;
        }
        Ok(begun)
    }
}

/// The same rows. A batch may be a few rows of a large block, which it keeps in memory.
fn in_memory_of_its_own(batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = UInt32Array::from_iter_values(0..batch.num_rows() as u32);
    let columns = batch.columns().iter().map(|column| {
        let own = take(column, &rows, None)?;
        let of_views = own.as_string_view_opt().map(StringViewArray::gc);
        Ok(of_views.map_or(own, |texts| Arc::new(texts) as ArrayRef))
    });
    let columns = columns.collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

fn writer_properties(schema: &Schema, compression: Compression) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(compression)
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
    use arrow::array::{Int64Array, TimestampMillisecondArray};
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
        let mut writer = PartWriter::new(file.try_clone().unwrap(), batch.schema());
        for begin in (0..rows).step_by(WRITE_BATCH_ROWS / 2) {
            let rows = (rows - begin).min(WRITE_BATCH_ROWS / 2);
            writer.write(&batch.slice(begin, rows)).unwrap();
        }
        assert_eq!(writer.finish().unwrap().rows, rows as u64);
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
    fn a_file_is_compressed_when_it_is_not_small() {
        for (rows, is_compressed) in [
            (0, false),
            (1, false),
            (MAX_UNCOMPRESSED_ROWS, false),
            (MAX_UNCOMPRESSED_ROWS + 1, true),
        ] {
            let metadata = written(rows);
            assert_eq!(metadata.file_metadata().num_rows(), rows as i64);
            for group in metadata.row_groups() {
                for column in group.columns() {
                    let uncompressed = column.compression() == Compression::UNCOMPRESSED;
                    assert_eq!(uncompressed, !is_compressed, "{rows}: {column:?}");
                }
            }
        }
    }

    #[test]
    fn few_rows_of_a_large_block_do_not_keep_it_in_memory() {
        let block = StringViewArray::from_iter_values((0..1_000).map(|n| format!("{n:01000}")));
        let views = vec![("uri", Arc::new(block) as ArrayRef)];
        let block = RecordBatch::try_from_iter(views).unwrap();
        let file = tempfile::tempfile().unwrap();
        let mut writer = PartWriter::new(file, block.schema());
        for row in 0..1_000 {
            writer.write(&block.slice(row, 1)).unwrap();
            let held = writer.held.iter().map(RecordBatch::get_array_memory_size);
            assert!(held.sum::<usize>() < (row + 1) * 4_000, "{row}");
        }
        assert!(writer.begun.is_none());
        assert_eq!(writer.finish().unwrap().rows, 1_000);
    }

    #[test]
    fn wide_rows_are_not_held_for_being_few() {
        let wide =
            StringViewArray::from_iter_values((0..10).map(|n| format!("{n}").repeat(1 << 20)));
        let views = vec![("uri", Arc::new(wide) as ArrayRef)];
        let wide = RecordBatch::try_from_iter(views).unwrap();
        let mut writer = PartWriter::new(tempfile::tempfile().unwrap(), wide.schema());
        for row in 0..10 {
            writer.write(&wide.slice(row, 1)).unwrap();
        }
        assert!(writer.held.is_empty() && writer.begun.is_some());
        assert_eq!(writer.finish().unwrap().rows, 10);
    }

    #[test]
    fn row_groups_stay_under_their_bound() {
        let metadata = written(MAX_ROW_GROUP_ROWS + 1);
        let rows: Vec<i64> = metadata.row_groups().iter().map(|g| g.num_rows()).collect();
        assert_eq!(rows, [MAX_ROW_GROUP_ROWS as i64, 1]);
    }
}
