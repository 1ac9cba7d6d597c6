//! Why there is no report.

use arrow::error::ArrowError;

use crate::engine::EngineError;
use crate::lake::LakeError;

/// Messages name no value of a log.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("an answer of the lake has no column `{name}`")]
    Column { name: &'static str },
    #[error("an answer of the lake is of another type than its query says")]
    Arrow(#[from] ArrowError),
    #[error("a chart could not be drawn: {0}")]
    Chart(String),
    #[error("the page could not be written")]
    Template(#[from] minijinja::Error),
}
