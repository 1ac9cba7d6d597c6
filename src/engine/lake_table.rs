//! One event type of the lake as a DataFusion table: the Parquet files that the ledger shows,
//! and no others. Folders are never listed.

use std::collections::HashMap;
use std::path::Path as FsPath;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use chrono::NaiveDate;
use datafusion::catalog::Session;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, DataFusionError, Result, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::{ObjectMeta, ObjectStore, path::Path as StorePath};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;
use parquet::file::metadata::PageIndexPolicy;

use super::error::EngineError;
use super::small_files::{SmallFile, SmallFiles, in_place_of};
use super::stored_columns::StoredColumns;
use crate::lake::Part;

/// Name and type of the column that the `day=` folder stands for.
pub(super) const DAY: &str = "day";

/// Files of more rows have pages that are worth skipping.
const SMALL_FILE_ROWS: u64 = 16_384;

/// A table over a fixed list of parts, taken when the session opened. Columns that an older
/// part lacks are NULL; `day` (Date32) comes last.
#[derive(Debug)]
pub(super) struct LakeTable {
    table_schema: TableSchema,
    files: Vec<LakeFile>,
}

#[derive(Debug)]
struct LakeFile {
    part: Part,
    statistics: Arc<Statistics>,
    /// Of a file that is not small, once a question has come to it.
    stored: OnceLock<StoredColumns>,
}

impl LakeTable {
    /// `stored` is the schema of the files, without `day`.
    pub(super) fn new(stored: SchemaRef, parts: Vec<Part>) -> Self {
        let day = Arc::new(Field::new(DAY, DataType::Date32, false));
        let table_schema = TableSchema::builder(plain(&stored))
            .with_table_partition_cols(vec![day])
            .build();
        let files = parts
            .into_iter()
            .map(|part| LakeFile {
                statistics: Arc::new(part_statistics(&part, table_schema.table_schema())),
                part,
                stored: OnceLock::new(),
            })
            .collect();
        Self {
            table_schema,
            files,
        }
    }

    /// Whether no file belongs to the table: it has columns and no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files that may hold rows for which all `filters` are true, by the ledger's knowledge
    /// of days and times.
    fn files_for(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&LakeFile>> {
        let all = || self.files.iter().collect();
        let Some(filter) = conjunction(filters.to_vec()) else {
            return Ok(all());
        };
        let schema = self.schema();
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        let predicate = state.create_physical_expr(filter, &df_schema)?;
        let Some(pruning) = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&schema))
            .build(predicate)
        else {
            return Ok(all());
        };
        let statistics = self
            .files
            .iter()
            .map(|f| Arc::clone(&f.statistics))
            .collect();
        let keep = pruning.prune(&PrunableStatistics::new(statistics, schema))?;
        Ok(self
            .files
            .iter()
            .zip(keep)
            .filter(|(_, keep)| *keep)
            .map(|(file, _)| file)
            .collect())
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.table_schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let files = self.files_for(state, filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(
                &schema, projection,
            )?)));
        }
        let statistics = summed(files.iter().map(|f| f.statistics.as_ref()), &schema);
        let are_small = files.iter().all(|file| file.part.rows <= SMALL_FILE_ROWS);
        let place = ObjectStoreUrl::local_filesystem();
        let environment = state.runtime_env();
        let store = environment.object_store(&place)?;
        // A night asks a hundred questions of the same files: each footer is read once.
        let footers = environment.cache_manager.get_file_metadata_cache();
        if !are_small {
            for file in &files {
                file.look_into(store.as_ref(), &footers).await;
            }
        }
        let groups = in_groups(files, state.config().target_partitions()).into_iter();
        let groups: Vec<FileGroup> = match are_small {
            true => groups.map(small_files).collect::<Result<_>>()?,
            false => groups.map(partitioned_files).collect::<Result<_>>()?,
        };
        let source: Arc<dyn FileSource> = match are_small {
            // To a scan that makes the column of the day itself it is one of the files'.
            true => Arc::new(SmallFiles::new(TableSchema::from(&schema), footers)),
            // The filters come back as a predicate of the scan when the plan is optimised.
            false => Arc::new(
                ParquetSource::new(self.table_schema.clone())
                    .with_table_parquet_options(state.table_options().parquet.clone())
                    .with_parquet_file_reader_factory(Arc::new(
                        CachedParquetFileReaderFactory::new(store, footers),
                    )),
            ),
        };
        let config = FileScanConfigBuilder::new(place, source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl LakeFile {
    /// Learns from the footer how the columns are stored. Of a footer that cannot be read, whoever
    /// reads the file will tell.
    async fn look_into(&self, store: &dyn ObjectStore, footers: &Arc<FileMetadataCache>) {
        if self.stored.get().is_some() {
            return;
        }
        let Ok(meta) = object_meta(&self.part) else {
            return;
        };
        let footer = DFParquetMetadata::new(store, &meta)
            .with_file_metadata_cache(Some(Arc::clone(footers)))
            .with_page_index_policy(Some(PageIndexPolicy::Skip))
            .fetch_metadata()
            .await;
        if let Some(stored) = footer
            .ok()
            .and_then(|footer| StoredColumns::of(&footer).ok())
        {
            // Another question may have learned it in the meantime: it is the same.
            let _ = self.stored.set(stored);
        }
    }
}

/// The schema without the columns' descriptions: DataFusion loses metadata on some ways through
/// a plan, and then refuses the plan for the difference.
fn plain(stored: &Schema) -> SchemaRef {
    let fields = stored
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_metadata(HashMap::new()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Spreads the files over at most `partitions` groups of about equal bytes, keeping their order.
fn in_groups(files: Vec<&LakeFile>, partitions: usize) -> Vec<Vec<&LakeFile>> {
    let total: u64 = files.iter().map(|f| f.part.bytes).sum();
    let share = total.div_ceil(partitions.max(1) as u64).max(1);
    let mut groups = vec![];
    let (mut group, mut bytes) = (vec![], 0);
    for file in files {
        bytes += file.part.bytes;
        group.push(file);
        if bytes >= share {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

fn small_files(files: Vec<&LakeFile>) -> Result<FileGroup> {
    let files = files.into_iter().map(|file| {
        check_presence(&file.part)?;
        Ok(SmallFile {
            path: file.part.path.clone(),
            meta: object_meta(&file.part)?,
            last: day_of(&file.part),
        })
    });
    let file = in_place_of(files.collect::<Result<_>>()?);
    Ok(FileGroup::new(file.into_iter().collect()))
}

fn partitioned_files(files: Vec<&LakeFile>) -> Result<FileGroup> {
    let files = files.into_iter().map(partitioned_file);
    Ok(FileGroup::new(files.collect::<Result<_>>()?))
}

fn partitioned_file(file: &LakeFile) -> Result<PartitionedFile> {
    let part = &file.part;
    check_presence(part)?;
    let to_read = PartitionedFile::new_from_meta(object_meta(part)?)
        .with_partition_values(vec![day_of(part)])
        .with_statistics(Arc::clone(&file.statistics));
    Ok(match file.stored.get() {
        Some(stored) => to_read.with_extension(stored.clone()),
        None => to_read,
    })
}

fn day_of(part: &Part) -> ScalarValue {
    ScalarValue::Date32(Some(days_since_epoch(part.day)))
}

fn object_meta(part: &Part) -> Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: store_path(&part.path)?,
        last_modified: part.last_event_at,
        size: part.bytes,
        e_tag: None,
        version: None,
    })
}

/// A part that is gone or has another length than when it was committed would otherwise show as
/// an obscure Parquet error, or not at all where only its row count is asked for.
fn check_presence(part: &Part) -> Result<()> {
    let problem = match std::fs::metadata(&part.path) {
        Ok(meta) if meta.len() == part.bytes => return Ok(()),
        Ok(meta) => format!("{} bytes long instead of {}", meta.len(), part.bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "missing".to_owned(),
        Err(error) => format!("unreadable ({error})"),
    };
    let path = part.path.clone();
    Err(DataFusionError::External(Box::new(
        EngineError::DamagedPart { path, problem },
    )))
}

fn store_path(path: &FsPath) -> Result<StorePath> {
    let absolute = std::path::absolute(path)?;
    StorePath::from_absolute_path(absolute)
        .map_err(|error| DataFusionError::External(Box::new(error)))
}

pub(super) fn days_since_epoch(day: NaiveDate) -> i32 {
    day.signed_duration_since(NaiveDate::default()).num_days() as i32
}

/// What the ledger knows of a part. Exact, because parts are immutable.
fn part_statistics(part: &Part, schema: &Schema) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = Precision::Exact(part.rows as usize);
    statistics.total_byte_size = Precision::Inexact(part.bytes as usize);
    let time = |at: chrono::DateTime<chrono::Utc>| {
        Precision::Exact(ScalarValue::TimestampMillisecond(
            Some(at.timestamp_millis()),
            Some("UTC".into()),
        ))
    };
    if let Ok(index) = schema.index_of("occurred_at") {
        let column = &mut statistics.column_statistics[index];
        column.min_value = time(part.first_event_at);
        column.max_value = time(part.last_event_at);
        column.null_count = Precision::Exact(0);
    }
    if let Ok(index) = schema.index_of(DAY) {
        let column = &mut statistics.column_statistics[index];
        let day = Precision::Exact(day_of(part));
        column.min_value = day.clone();
        column.max_value = day;
        column.null_count = Precision::Exact(0);
    }
    statistics
}

fn summed<'a>(parts: impl Iterator<Item = &'a Statistics>, schema: &Schema) -> Statistics {
    let mut sum = Statistics::new_unknown(schema);
    let (mut rows, mut bytes) = (Precision::Exact(0), Precision::Inexact(0));
    for part in parts {
        rows = rows.add(&part.num_rows);
        bytes = bytes.add(&part.total_byte_size);
    }
    sum.num_rows = rows;
    sum.total_byte_size = bytes;
    sum
}
