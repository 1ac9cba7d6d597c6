//! How DataFusion is set up for a session: its memory, threads, rules, and the folder for what does not
//! fit into memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::error::EngineError;
use super::limits::LimitAboveWindow;
use super::memory::QueryMemory;
use super::physical_rules::physical_rules;
use crate::lake::is_unwritable;

/// Share of the memory limit that DataFusion's own accounting may use. Decode buffers, in-memory
/// side tables and hash-join builds are not in its books.
const POOL_SHARE: usize = 3;

/// Share of the memory limit that the footers of files may keep, beside the pool.
const FOOTER_SHARE: usize = 8;

/// Least memory a pool needs for a sort of one batch per thread.
const POOL_BYTES_MIN: usize = 32 << 20;

pub(super) const CATALOG_NAME: &str = "orgwatch";
pub(super) const SCHEMA_NAME: &str = "public";

/// What a session may use.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// `limits.memory`, in bytes: the whole engine's share, of which a third is for operators.
    pub memory_bytes: usize,
    /// Worker threads and partitions per query; at least 1.
    pub threads: usize,
    /// Folder for what does not fit into memory; created if absent, emptied at the end.
    pub temp_dir: PathBuf,
}

pub(super) fn context(options: &EngineOptions) -> Result<SessionContext, EngineError> {
    let threads = options.threads.max(1);
    let pool_bytes = (options.memory_bytes / POOL_SHARE).max(POOL_BYTES_MIN);
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_information_schema(false)
        .with_default_catalog_and_schema(CATALOG_NAME, SCHEMA_NAME)
        .with_create_default_catalog_and_schema(true)
        // Every sort of a plan reserves this at once, and a rule may have dozens of them.
        .with_sort_spill_reservation_bytes((pool_bytes / (64 * threads)).min(10 << 20));
    let settings = config.options_mut();
    settings.sql_parser.collect_spans = true;
    settings.execution.planning_concurrency = threads;
    // Rows, not bytes, are what our filters skip; see the crate notes on late materialisation.
    settings.execution.parquet.pushdown_filters = false;
    // It skips rows that cannot change one `min` or `max`, though another aggregate of the same
    // question wants them (DataFusion 55.2).
    settings.optimizer.enable_aggregate_dynamic_filter_pushdown = false;

    let disk = DiskManagerBuilder::default().with_mode(spill_folder(&options.temp_dir)?);
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(QueryMemory::new(pool_bytes, threads)))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(options.memory_bytes / FOOTER_SHARE)
        .build_arc()
        .map_err(|error| EngineError::Start(std::io::Error::other(error.strip_backtrace())))?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_default_features()
        .with_physical_optimizer_rules(physical_rules())
        .with_optimizer_rule(Arc::new(LimitAboveWindow))
        .build();
    let context = SessionContext::new_with_state(state);
    // One file stands for many in a scan of small ones. Where a row came from is in `file_id`.
    context.deregister_udf("input_file_name");
    Ok(context)
}

/// Where to put what does not fit into memory: a private folder of the system for those who may
/// read the lake and not write to it.
fn spill_folder(path: &Path) -> Result<DiskManagerMode, EngineError> {
    let tried = create_private_dir(path).and_then(|()| tempfile::tempfile_in(path));
    match tried {
        Ok(_) => Ok(DiskManagerMode::Directories(vec![path.to_owned()])),
        Err(error) if is_unwritable(&error) => Ok(DiskManagerMode::OsTmpDirectory),
        Err(error) => Err(EngineError::Start(error)),
    }
}

/// What is spilled is as private as the lake itself.
fn create_private_dir(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
