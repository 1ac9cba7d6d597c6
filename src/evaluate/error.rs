//! Why nothing was evaluated.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::Fault;
use crate::engine::EngineError;
use crate::lake::LakeError;

#[derive(Debug, Error)]
pub enum EvaluateError {
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` has more than {limit} bytes\nhint: name the `labels.csv` of a synthetic org, or a result of `orgwatch evaluate --format json`", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error(transparent)]
    Labels(#[from] Fault),
    #[error("{}:{line}:{column}: this is no result of `orgwatch evaluate`: {what}\nhint: write it anew with `orgwatch evaluate … --format json --output {}`", path.display(), path.display())]
    Result {
        path: PathBuf,
        line: usize,
        column: usize,
        what: &'static str,
    },
    #[error("`{}` was written in form {found} of the result; this release reads form {known}\nhint: write it anew with `orgwatch evaluate … --format json --output {}`", path.display(), path.display())]
    OtherForm {
        path: PathBuf,
        found: u64,
        known: u64,
    },
    #[error("{file}:{line}: {what}\nhint: {hint}")]
    Comparator {
        file: String,
        line: usize,
        what: String,
        hint: &'static str,
    },
    #[error("no rule has been asked of the logs in `{}`\nhint: `orgwatch run`, with the `orgwatch.toml` beside the labels", path.display())]
    NotAsked { path: PathBuf },
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}
