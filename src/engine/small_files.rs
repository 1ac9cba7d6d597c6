//! A scan of small files, each of which is read at once.
//!
//! The Parquet source of DataFusion is made for large files: for every file that it opens it makes
//! predicates for pruning, some twenty counters, a schema from the footer and a task on another
//! thread. A quiet account's ninety days are ninety files of a few hundred rows, read by every rule: there
//! all of that costs more than the rows. Which days to read at all the ledger has said already, and
//! the filter stays in the plan above the scan.
//!
//! What it reads of a file waits for no other thread: the lake is on this machine. And in the plan
//! one file stands for all that a partition reads, for every step of planning copies what stands there.

use std::any::Any;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use bytes::{Buf, Bytes};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{HashMap, Result, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    apply_file_schema_type_coercions, metadata::CachedParquetMetaData,
};
use datafusion::datasource::physical_plan::{
    FileOpenFuture, FileOpener, FileScanConfig, FileSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::{
    CachedFileMetadataEntry, FileMetadata, FileMetadataCache,
};
use datafusion::object_store::path::Path as StorePath;
use datafusion::object_store::{ObjectMeta, ObjectStore};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::apply_expression_roots;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::scalar::ScalarValue;
use datafusion_datasource::projection::{ProjectionOpener, SplitProjection};
use futures::{FutureExt, StreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Columns nearer to each other than this, in bytes, are read with what lies between them.
const NEAR: u64 = 4096;

/// A Parquet file on this machine.
pub(super) struct SmallFile {
    pub(super) path: PathBuf,
    pub(super) meta: ObjectMeta,
    /// Of the table's last column, which the file lacks: the same in all of its rows.
    pub(super) last: ScalarValue,
}

/// What goes with the file that stands for several.
struct Members(Arc<[SmallFile]>);

/// One file that stands in a plan for all of these; none if there are none.
pub(super) fn in_place_of(files: Vec<SmallFile>) -> Option<PartitionedFile> {
    let first = files.first()?.meta.clone();
    Some(PartitionedFile::new_from_meta(first).with_extension(Members(files.into())))
}

/// Where the files are that this one stands for: itself, as a rule.
pub(super) fn places(file: &PartitionedFile) -> Vec<&StorePath> {
    match file.extension::<Members>() {
        Some(Members(files)) => files.iter().map(|file| &file.meta.location).collect(),
        None => vec![file.path()],
    }
}

/// Parquet files on this machine, read as columns of `table_schema`. A column that a file lacks is NULL.
#[derive(Clone)]
pub(super) struct SmallFiles {
    table_schema: TableSchema,
    projection: SplitProjection,
    batch_size: usize,
    footers: Arc<FileMetadataCache>,
    metrics: ExecutionPlanMetricsSet,
}

impl SmallFiles {
    pub(super) fn new(table_schema: TableSchema, footers: Arc<FileMetadataCache>) -> Self {
        Self {
            projection: SplitProjection::unprojected(&table_schema),
            table_schema,
            batch_size: 8192,
            footers,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl FileSource for SmallFiles {
    fn create_file_opener(
        &self,
        _: Arc<dyn ObjectStore>,
        _: &FileScanConfig,
        _: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let schema = self.table_schema.file_schema();
        let opener = Arc::new(Opener {
            table: Arc::clone(schema),
            wanted: self.projection.file_indices.clone(),
            batch_size: self.batch_size,
            footers: Arc::clone(&self.footers),
        });
        ProjectionOpener::try_new(self.projection.clone(), opener, schema)
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self {
            batch_size,
            ..self.clone()
        })
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        Ok(Some(Arc::new(Self {
            projection: SplitProjection::new(self.table_schema.file_schema(), &merged),
            ..self.clone()
        })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        "parquet"
    }

    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(
            self.projection.source.iter().map(|column| &column.expr),
            visit,
        )
    }
}

/// Reads the wanted columns of file after file, in the order and with the types of the table.
#[derive(Clone)]
struct Opener {
    table: SchemaRef,
    wanted: Vec<usize>,
    batch_size: usize,
    footers: Arc<FileMetadataCache>,
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

impl FileOpener for Opener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let Some(Members(files)) = file.extension() else {
            return internal_err!("{} is not one of the lake's small files", file.path());
        };
        let (opener, files) = (self.clone(), Arc::clone(files));
        let wanted = Arc::new(self.table.project(&self.wanted)?);
        let batches = (0..files.len()).flat_map(move |n| -> Batches {
            match opener.read(&files[n], &wanted) {
                Ok(batches) => Box::new(batches),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        });
        Ok(async move { Ok(futures::stream::iter(batches).boxed()) }.boxed())
    }
}

impl Opener {
    fn read(
        &self,
        small: &SmallFile,
        wanted: &SchemaRef,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let meta = &small.meta;
        let mut file = File::open(&small.path)?;
        let footer = self.footer(meta, &file)?;
        let columns = self.columns(&footer, small);
        let chunks = Chunks::read(&mut file, meta.size, &footer, &columns.roots)?;
        let mask = ProjectionMask::roots(footer.parquet_schema(), columns.roots.iter().copied());
        let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, footer)
            .with_projection(mask)
            .with_batch_size(self.batch_size)
            .build()?;
        Ok(columns.arrange(batches, Arc::clone(wanted)))
    }

    fn columns(&self, footer: &ArrowReaderMetadata, small: &SmallFile) -> Columns {
        let stored = footer.schema().fields();
        let last = self.table.fields().len() - 1;
        let root = |column: &usize| {
            let name = self.table.field(*column).name();
            stored.find(name).map(|(root, _)| root)
        };
        let of_file = self.wanted.iter().filter(|column| **column != last);
        let mut roots: Vec<usize> = of_file.filter_map(root).collect();
        roots.sort_unstable();
        let source = |column: &usize| {
            if *column == last {
                return Source::Same(small.last.clone());
            }
            let place = root(column).and_then(|root| roots.binary_search(&root).ok());
            place.map_or(Source::Lacking, Source::Stored)
        };
        let sources = self.wanted.iter().map(source).collect();
        Columns { roots, sources }
    }

    /// From the cache, or from the end of the file. A footer that a scan of large files has left
    /// in the cache stays as it is: the two would else drive each other's out.
    fn footer(&self, meta: &ObjectMeta, file: &File) -> Result<ArrowReaderMetadata> {
        let known = self.footers.get(&meta.location);
        let known = known.filter(|known| known.is_valid_for(meta));
        let known = known.as_ref().map(|known| known.file_metadata.as_any());
        if let Some(Footer(footer)) = known.and_then(<dyn Any>::downcast_ref) {
            return Ok(footer.clone());
        }
        let options = ArrowReaderOptions::new();
        let of_large = known.and_then(<dyn Any>::downcast_ref::<CachedParquetMetaData>);
        let stored = match of_large {
            Some(known) => {
                ArrowReaderMetadata::try_new(Arc::clone(known.parquet_metadata()), options.clone())
            }
            None => ArrowReaderMetadata::load(file, options.clone()),
        }?;
        let footer = match apply_file_schema_type_coercions(&self.table, stored.schema()) {
            Some(schema) => ArrowReaderMetadata::try_new(
                Arc::clone(stored.metadata()),
                options.with_schema(Arc::new(schema)),
            )?,
            None => stored,
        };
        if of_large.is_none() {
            let entry =
                CachedFileMetadataEntry::new(meta.clone(), Arc::new(Footer(footer.clone())));
            self.footers.put(&meta.location, entry);
        }
        Ok(footer)
    }
}

/// A footer with the schema that was made from it.
struct Footer(ArrowReaderMetadata);

impl FileMetadata for Footer {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn memory_size(&self) -> usize {
        // The reader's own form of the schema cannot be measured; it is about as large.
        let schema: usize = self
            .0
            .schema()
            .fields()
            .iter()
            .map(|field| field.size())
            .sum();
        self.0.metadata().memory_size() + 2 * schema
    }

    fn extra_info(&self) -> HashMap<String, String> {
        HashMap::new()
    }
}

/// Where the wanted columns of a file come from.
struct Columns {
    /// Of the file's columns those that are wanted, in its order.
    roots: Vec<usize>,
    sources: Vec<Source>,
}

enum Source {
    /// Its place in `roots`.
    Stored(usize),
    Same(ScalarValue),
    Lacking,
}

impl Columns {
    fn arrange(
        self,
        batches: ParquetRecordBatchReader,
        wanted: SchemaRef,
    ) -> impl Iterator<Item = Result<RecordBatch>> + Send {
        batches.map(move |batch| {
            let batch = batch?;
            let rows = batch.num_rows();
            let columns = self
                .sources
                .iter()
                .zip(wanted.fields())
                .map(|(source, field)| {
                    let column = match source {
                        Source::Stored(place) => Arc::clone(batch.column(*place)),
                        Source::Same(value) => value.to_array_of_size(rows)?,
                        Source::Lacking => new_null_array(field.data_type(), rows),
                    };
                    Ok(match column.data_type() == field.data_type() {
                        true => column,
                        false => cast(&column, field.data_type())?,
                    })
                });
            let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let wanted = Arc::clone(&wanted);
            Ok(RecordBatch::try_new_with_options(
                wanted, columns, &options,
            )?)
        })
    }
}

/// What was read of a file: pieces with their offsets, in order.
struct Chunks {
    file_bytes: u64,
    pieces: Vec<(u64, Bytes)>,
}

impl Chunks {
    fn read(
        file: &mut File,
        file_bytes: u64,
        footer: &ArrowReaderMetadata,
        roots: &[usize],
    ) -> Result<Self> {
        let schema = footer.parquet_schema();
        let is_wanted = |leaf: &usize| {
            roots
                .binary_search(&schema.get_column_root_idx(*leaf))
                .is_ok()
        };
        let mut ranges: Vec<(u64, u64)> = footer
            .metadata()
            .row_groups()
            .iter()
            .flat_map(|group| {
                let leaves = (0..group.num_columns()).filter(is_wanted);
                leaves.map(|leaf| group.column(leaf).byte_range())
            })
            .map(|(start, length)| (start, start.saturating_add(length)))
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, range| {
            let joins = next.0 <= range.1.saturating_add(NEAR);
            if joins {
                range.1 = range.1.max(next.1);
            }
            joins
        });
        let mut pieces = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            if end > file_bytes {
                return Err(
                    ParquetError::EOF("a column lies behind the file's end".to_owned()).into(),
                );
            }
            let mut piece = vec![0; (end - start) as usize];
            file.seek(SeekFrom::Start(start))?;
            file.read_exact(&mut piece)?;
            pieces.push((start, Bytes::from(piece)));
        }
        Ok(Self { file_bytes, pieces })
    }

    /// From `start` to the end of what was read there.
    fn from(&self, start: u64) -> parquet::errors::Result<Bytes> {
        let after = self.pieces.partition_point(|(offset, _)| *offset <= start);
        let piece = after.checked_sub(1).map(|before| &self.pieces[before]);
        piece
            .and_then(|(offset, bytes)| {
                let skipped = usize::try_from(start - offset).ok()?;
                (skipped <= bytes.len()).then(|| bytes.slice(skipped..))
            })
            .ok_or_else(|| ParquetError::EOF("a page lies outside of its column".to_owned()))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.file_bytes
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = self.from(start)?;
        match length <= bytes.len() {
            true => Ok(bytes.slice(..length)),
            false => Err(ParquetError::EOF(
                "a page is longer than its column".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
#[path = "small_files_tests.rs"]
mod tests;
