//! A scan of Parquet files in a plan, and the one that hands over texts as they are stored.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
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

use super::stored_columns::StoredColumns;

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

    /// Bytes of the column's dictionaries as they lie in the files, if it lies in dictionaries in every
    /// file that has it.
    pub(super) fn dictionary_bytes(&self, column: usize) -> Option<i64> {
        let name = self.columns.field(column).name();
        let bytes = self.each_file_once().map(|file| {
            let stored = file.extension::<StoredColumns>()?;
            stored.dictionary_bytes(name)
        });
        bytes.sum()
    }

    /// Rows of the files.
    pub(super) fn rows(&self) -> Option<usize> {
        let rows = self.each_file_once().map(|file| {
            let known = file.statistics.as_ref()?;
            known.num_rows.get_value().copied()
        });
        rows.sum()
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

    /// Several partitions may have a range of the same file.
    fn each_file_once(&self) -> impl Iterator<Item = &PartitionedFile> {
        let mut known = HashSet::new();
        self.files().filter(move |file| known.insert(file.path()))
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
