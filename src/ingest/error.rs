//! What can stop an ingest as a whole. A file that cannot be read does not: it is rejected with
//! its reason, and the others go on.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::lake::LakeError;

#[derive(Debug, Error)]
pub enum IngestError {
    #[error("{path}: {reason}")]
    Input { path: String, reason: String },
    #[error("cannot {action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("cannot build columns: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("{path} is damaged: a column of the lake is missing in it; run `orgwatch lake verify`")]
    Damaged { path: PathBuf },
    #[error("a reading thread failed unexpectedly; please report this with the file's header row")]
    Thread,
}

impl IngestError {
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path) -> Self {
        Self::Damaged {
            path: path.to_owned(),
        }
    }
}
