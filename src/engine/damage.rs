//! Finds which Parquet file a failed query choked on, because the reader's own message does not
//! say. Costs nothing while all is well.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::small_files::places;

/// The first file of the plan that cannot be read to its end, and why.
pub(super) fn damaged_file(plan: &Arc<dyn ExecutionPlan>) -> Option<(PathBuf, String)> {
    files_of(plan).into_iter().find_map(|path| {
        let problem = read_to_end(&path).err()?;
        Some((path, format!("damaged ({problem})")))
    })
}

fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = scan_of(plan)
        .into_iter()
        .flat_map(|scan| &scan.file_groups)
        .flat_map(|group| group.iter())
        .flat_map(places)
        .map(|place| Path::new("/").join(place.as_ref()))
        .collect();
    files.extend(plan.children().into_iter().flat_map(files_of));
    files.sort();
    files.dedup();
    files
}

fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?
        .data_source()
        .downcast_ref::<FileScanConfig>()
}

fn read_to_end(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|error| error.to_string())?;
    for batch in reader {
        batch.map_err(|error| error.to_string())?;
    }
    Ok(())
}
