//! The cases beside a rule (`<id>.cases.toml`): rows in, findings out. Rows become real CSV text
//! and go the way of every log: ingest, rollup, query, findings.

mod compare;
mod csv_text;
mod format;

pub use format::{Case, CaseFile, CaseInput, CaseKind, Expected, Registries};
