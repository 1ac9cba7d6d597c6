//! Why no org was written.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum SimulateError {
    #[error("the folder `{}` is not empty\nhint: name a folder that does not exist yet, or an empty one: nothing is overwritten", path.display())]
    NotEmpty { path: PathBuf },
    #[error("cannot write `{}`: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("unknown {what} \"{name}\"\nhint: {hint}")]
    Unknown {
        what: &'static str,
        name: String,
        hint: String,
    },
    #[error("\"{name}\" cannot happen on \"{day}\"\nhint: {hint}")]
    Day {
        name: String,
        day: String,
        hint: String,
    },
    #[error("{days} days are too few\nhint: give at least {least}")]
    TooShort { days: i64, least: i64 },
}
