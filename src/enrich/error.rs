//! Why there is no enrichment.

use std::path::PathBuf;

use crate::config::Fault;

/// A file that the configuration names and that cannot be used. Found before a night begins.
#[derive(Debug, thiserror::Error)]
pub enum EnrichError {
    #[error("cannot read the {what} `{path}`: {source}\nhint: correct {setting}")]
    Unreadable {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
        /// Where the file is named.
        setting: &'static str,
    },
    /// A mistake in a CSV file, with its line and column.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A file that is no MaxMind database, or a damaged one.
    #[error("`{path}` cannot be used as an address database: {problem}\nhint: {hint}")]
    Database {
        path: PathBuf,
        problem: String,
        hint: &'static str,
    },
    /// The tables of an enrichment could not be made.
    #[error("the tables of indicators and networks cannot be made: {0}")]
    Tables(#[from] arrow::error::ArrowError),
}
