//! Lets a scan keep text as it lies in the file, in dictionaries, below a filter: the filter's
//! conditions on text are answered from the dictionaries, and only rows that pass are unpacked.
//!
//! ```text
//!                                                   Project: user_id: unpacked(user_id), run_time
//! Filter: browser LIKE '%x%' AND run_time > 5         Filter: passes
//!   Scan: user_id, browser, run_time            ─►      Scan: packed(user_id), run_time,
//!                                                             per_distinct(browser LIKE '%x%') AND run_time > 5 AS passes
//! ```
//! In a file that has not the whole column in dictionaries, the condition is asked row by row, as
//! before; a column that is read behind the filter has to be in small dictionaries in every file.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, NotExpr};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Encoding, PageType};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::packed::{Packed, Unpacked, as_stored};
use super::per_distinct::PerDistinct;

/// Name of the column that says whether a row passes.
const PASSES: &str = "passes the filter";

/// Largest dictionary, as it lies in the file, that rows behind a filter may hold on to. They come
/// from many batches, and each keeps its own until enough have passed.
const MAX_KEPT_BYTES: i64 = 64 << 10;

/// Goes with a file: its columns, and which of them lie in dictionaries from end to end.
#[derive(Debug, Clone)]
pub(super) struct StoredColumns {
    schema: SchemaRef,
    in_dictionaries: Vec<bool>,
    in_small_dictionaries: Vec<bool>,
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
        Ok(Self {
            in_dictionaries,
            in_small_dictionaries,
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

/// A filter and its scan anew, if that is what `node` is.
pub(super) fn answered_by_scan(
    node: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return Ok(None);
    };
    let config = filter
        .input()
        .downcast_ref::<DataSourceExec>()
        .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    let Some(config) = config else {
        return Ok(None);
    };
    let Some(source) = config.file_source().downcast_ref::<ParquetSource>() else {
        return Ok(None);
    };
    let scanned = filter.input().schema();
    let kept = match filter.projection().as_deref() {
        Some(kept) => kept.to_vec(),
        None => (0..scanned.fields().len()).collect(),
    };
    let mut texts = texts_of_files(source, &scanned, &kept);
    texts.retain(|&n| {
        !kept.contains(&n) || is_in_small_dictionaries(config, scanned.field(n).name())
    });
    keep_askable(filter.predicate(), &scanned, &mut texts)?;
    if texts.is_empty() || is_volatile(filter.predicate()) {
        return Ok(None);
    }
    let names: Vec<&str> = texts
        .iter()
        .map(|&n| scanned.field(n).name().as_str())
        .collect();
    let Some(groups) = with_dictionaries(config, &names) else {
        return Ok(None);
    };
    let passes = asked(filter.predicate(), &scanned, &texts)?;
    let scanned_column = |&n: &usize| -> ProjectionExpr {
        let name = scanned.field(n).name();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, n));
        match texts.contains(&n) {
            true => ProjectionExpr::new(Arc::new(Packed::new(column)), name),
            false => ProjectionExpr::new(column, name),
        }
    };
    let passes = ProjectionExpr::new(passes, PASSES);
    let projection = ProjectionExprs::new(kept.iter().map(scanned_column).chain([passes]));
    let Some(source) = source.try_pushdown_projection(&projection)? else {
        return Ok(None);
    };
    let scan = FileScanConfigBuilder::from(config.clone())
        .with_source(source)
        .with_file_groups(groups)
        .build();
    let passes = Arc::new(Column::new(PASSES, kept.len()));
    let passed = FilterExecBuilder::new(passes, DataSourceExec::from_data_source(scan))
        .with_default_selectivity(filter.default_selectivity())
        .with_batch_size(filter.batch_size())
        .with_fetch(filter.fetch())
        .apply_projection(Some((0..kept.len()).collect()))?
        .build()?;
    if !kept.iter().any(|n| texts.contains(n)) {
        return Ok(Some(Arc::new(passed)));
    }
    let plain = kept.iter().enumerate().map(|(at, n)| {
        let name = scanned.field(*n).name();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, at));
        match texts.contains(n) {
            true => ProjectionExpr::new(Arc::new(Unpacked::new(column)), name),
            false => ProjectionExpr::new(column, name),
        }
    });
    let plain: Vec<_> = plain.collect();
    Ok(Some(Arc::new(ProjectionExec::try_new(
        plain,
        Arc::new(passed),
    )?)))
}

/// Which of the scanned columns are text of the files that nothing is computed from but the filter.
fn texts_of_files(source: &ParquetSource, scanned: &Schema, kept: &[usize]) -> Vec<usize> {
    let Some(projection) = source.projection() else {
        return Vec::new();
    };
    let origins: Vec<_> = projection.expr_iter().collect();
    let is_plain = |n: usize| {
        let origin = origins.get(n)?.downcast_ref::<Column>()?;
        (origin.name() == scanned.field(n).name()).then_some(origin)
    };
    let computed: HashSet<Column> = kept
        .iter()
        .filter(|&&n| is_plain(n).is_none())
        .filter_map(|&n| origins.get(n))
        .flat_map(collect_columns)
        .collect();
    let is_text = |n: &usize| *scanned.field(*n).data_type() == DataType::Utf8View;
    let is_free = |n: &usize| is_plain(*n).is_some_and(|origin| !computed.contains(origin));
    (0..scanned.fields().len())
        .filter(is_text)
        .filter(is_free)
        .collect()
}

/// Whether the column lies in small dictionaries in every file of the scan that has it.
fn is_in_small_dictionaries(config: &FileScanConfig, name: &str) -> bool {
    let mut files = config.file_groups.iter().flat_map(FileGroup::iter);
    files.all(|file| {
        let stored = file.extension::<StoredColumns>();
        stored.is_some_and(|stored| stored.is_in_small_dictionaries(name))
    })
}

/// Leaves those of `texts` that the filter reads only in conditions on them alone.
fn keep_askable(
    predicate: &Arc<dyn PhysicalExpr>,
    scanned: &Schema,
    texts: &mut Vec<usize>,
) -> Result<()> {
    match condition_on(predicate, scanned, texts)? {
        Condition::OnOne(_) | Condition::OnOthers => Ok(()),
        Condition::Joined => predicate
            .children()
            .into_iter()
            .try_for_each(|child| keep_askable(child, scanned, texts)),
        Condition::OnSeveral => {
            let read = collect_columns(predicate);
            texts.retain(|n| !read.iter().any(|column| column.index() == *n));
            Ok(())
        }
    }
}

/// The predicate, its conditions on one of `texts` each asked once per distinct value.
fn asked(
    predicate: &Arc<dyn PhysicalExpr>,
    scanned: &Schema,
    texts: &[usize],
) -> Result<Arc<dyn PhysicalExpr>> {
    match condition_on(predicate, scanned, texts)? {
        Condition::OnOthers | Condition::OnSeveral => Ok(Arc::clone(predicate)),
        Condition::Joined => {
            let children = predicate.children().into_iter();
            let children = children.map(|child| asked(child, scanned, texts));
            let children = children.collect::<Result<Vec<_>>>()?;
            Arc::clone(predicate).with_new_children(children)
        }
        Condition::OnOne(column) => {
            let field = Arc::new(scanned.field(column.index()).clone());
            let first: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column.name(), 0));
            let alone = Arc::clone(predicate).transform_up(|node| {
                Ok(match node.downcast_ref::<Column>() {
                    Some(_) => Transformed::yes(Arc::clone(&first)),
                    None => Transformed::no(node),
                })
            });
            let condition = alone.data()?;
            Ok(Arc::new(PerDistinct::new(
                Arc::new(column),
                condition,
                field,
            )))
        }
    }
}

/// What a part of a predicate reads.
enum Condition {
    /// One text column, and nothing else.
    OnOne(Column),
    /// None of the text columns.
    OnOthers,
    /// Conditions joined by AND, OR and NOT: each may be something else.
    Joined,
    /// A text column together with others.
    OnSeveral,
}

fn condition_on(
    predicate: &Arc<dyn PhysicalExpr>,
    scanned: &Schema,
    texts: &[usize],
) -> Result<Condition> {
    let read = collect_columns(predicate);
    if !read.iter().any(|column| texts.contains(&column.index())) {
        return Ok(Condition::OnOthers);
    }
    let mut columns = read.into_iter();
    if predicate.data_type(scanned)? == DataType::Boolean
        && let (Some(column), None) = (columns.next(), columns.next())
    {
        return Ok(Condition::OnOne(column));
    }
    let joins = |op: &Operator| matches!(op, Operator::And | Operator::Or);
    let is_joined = predicate.downcast_ref::<NotExpr>().is_some()
        || predicate
            .downcast_ref::<BinaryExpr>()
            .is_some_and(|binary| joins(binary.op()));
    Ok(match is_joined {
        true => Condition::Joined,
        false => Condition::OnSeveral,
    })
}

/// The scan's files, each told which columns to read as dictionaries; none if there are no such
/// columns in any of them.
fn with_dictionaries(config: &FileScanConfig, names: &[&str]) -> Option<Vec<FileGroup>> {
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
    let groups = config.file_groups.iter();
    let groups = groups.map(|group| group.iter().map(&mut file).collect::<Vec<_>>().into());
    let groups = groups.collect();
    is_other.then_some(groups)
}
