//! A scan of Parquet files, how their text columns are stored, and the scan that hands them over so.
//!
//! What a file's footer says of its columns goes with the file into the plan, where the rules that
//! work on dictionaries look for it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
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
    /// Bytes of each column with all that belongs to it, decompressed.
    bytes: Vec<i64>,
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
        let bytes = (0..schema.fields().len()).map(|n| {
            let chunks = footer
                .row_groups()
                .iter()
                .filter_map(|group| group.columns().get(n));
            chunks.map(ColumnChunkMetaData::uncompressed_size).sum()
        });
        Ok(Self {
            in_dictionaries,
            in_small_dictionaries,
            bytes: bytes.collect(),
            schema: Arc::new(schema),
        })
    }

    /// Whether the column lies in small dictionaries, or is not there at all.
    fn is_in_small_dictionaries(&self, name: &str) -> bool {
        match self.schema.index_of(name) {
            Ok(place) => self.in_small_dictionaries[place],
            Err(_) => true,
        }
    }

    fn dictionary_bytes(&self, name: &str) -> Option<i64> {
        match self.schema.index_of(name) {
            Ok(place) => self.in_dictionaries[place].then(|| self.bytes[place]),
            Err(_) => Some(0),
        }
    }

    /// The file's schema with the dictionaries of these columns, if it has one of them.
    fn with_dictionaries(&self, names: &[&str]) -> Option<SchemaRef> {
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
    let bytes = chunk
        .dictionary_page_offset()
        .map(|begin| chunk.data_page_offset() - begin);
    bytes.is_some_and(|bytes| bytes <= MAX_KEPT_BYTES)
}

/// A scan of Parquet files in a plan.
pub(super) struct ParquetScan<'a> {
    /// The columns that it hands over.
    pub(super) columns: SchemaRef,
    config: &'a FileScanConfig,
    source: &'a ParquetSource,
}

impl<'a> ParquetScan<'a> {
    pub(super) fn of(plan: &'a Arc<dyn ExecutionPlan>) -> Option<Self> {
        let scan = plan.downcast_ref::<DataSourceExec>()?;
        let config = scan.data_source().downcast_ref::<FileScanConfig>()?;
        Some(Self {
            columns: plan.schema(),
            config,
            source: config.file_source().downcast_ref::<ParquetSource>()?,
        })
    }

    /// Which columns are text of the files that nothing of `kept` is computed from.
    pub(super) fn texts_of_files(&self, kept: &[usize]) -> Vec<usize> {
        let Some(projection) = self.source.projection() else {
            return Vec::new();
        };
        let origins: Vec<_> = projection.expr_iter().collect();
        let is_plain = |n: usize| {
            let origin = origins.get(n)?.downcast_ref::<Column>()?;
            (origin.name() == self.columns.field(n).name()).then_some(origin)
        };
        let computed: HashSet<Column> = kept
            .iter()
            .filter(|&&n| is_plain(n).is_none())
            .filter_map(|&n| origins.get(n))
            .flat_map(collect_columns)
            .collect();
        let is_text = |n: &usize| *self.columns.field(*n).data_type() == DataType::Utf8View;
        let is_free = |n: &usize| is_plain(*n).is_some_and(|origin| !computed.contains(origin));
        (0..self.columns.fields().len())
            .filter(is_text)
            .filter(is_free)
            .collect()
    }

    /// Whether the column lies in small dictionaries in every file that has it.
    pub(super) fn is_in_small_dictionaries(&self, column: usize) -> bool {
        let name = self.columns.field(column).name();
        self.files().all(|file| {
            let stored = file.extension::<StoredColumns>();
            stored.is_some_and(|stored| stored.is_in_small_dictionaries(name))
        })
    }

    /// Most bytes that the values of the column's dictionaries have together, if it lies in
    /// dictionaries in every file that has it.
    pub(super) fn dictionary_bytes(&self, column: usize) -> Option<i64> {
        let name = self.columns.field(column).name();
        let bytes = self.files().map(|file| {
            let stored = file.extension::<StoredColumns>()?;
            stored.dictionary_bytes(name)
        });
        bytes.sum()
    }

    /// The scan of these columns instead, `packed` of its own in dictionaries; none if no file has
    /// one of them so.
    pub(super) fn handing_over(
        &self,
        columns: &ProjectionExprs,
        packed: &[usize],
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let names = packed
            .iter()
            .map(|&n| self.columns.field(n).name().as_str());
        let Some(groups) = self.files_with_dictionaries(&names.collect::<Vec<_>>()) else {
            return Ok(None);
        };
        let Some(source) = self.source.try_pushdown_projection(columns)? else {
            return Ok(None);
        };
        let scan = FileScanConfigBuilder::from(self.config.clone())
            .with_source(source)
            .with_file_groups(groups)
            .build();
        Ok(Some(DataSourceExec::from_data_source(scan)))
    }

    fn files(&self) -> impl Iterator<Item = &PartitionedFile> {
        self.config.file_groups.iter().flat_map(FileGroup::iter)
    }

    /// The files, each told which columns to read as dictionaries.
    fn files_with_dictionaries(&self, names: &[&str]) -> Option<Vec<FileGroup>> {
        let mut is_other = false;
        let mut file = |file: &PartitionedFile| {
            let stored = file.extension::<StoredColumns>();
            match stored.and_then(|stored| stored.with_dictionaries(names)) {
                None => file.clone(),
                Some(schema) => {
                    is_other = true;
                    file.clone().with_arrow_schema(schema)
                }
            }
        };
        let groups = self.config.file_groups.iter();
        let groups = groups.map(|group| group.iter().map(&mut file).collect::<Vec<_>>().into());
        let groups = groups.collect();
        is_other.then_some(groups)
    }
}
