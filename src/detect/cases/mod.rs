//! The cases beside a rule (`<id>.cases.toml`): rows in, findings out. Rows become real CSV text
//! and go the way of every log: ingest, rollup, query, findings.

mod canary;
mod compare;
mod csv_text;
mod format;
mod known;
mod run;
mod table;

pub use format::{Case, CaseFile, CaseKind, Expected};
pub use run::{CasePick, CaseResult, CaseRunner, RefreshRollups};
