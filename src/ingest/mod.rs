//! Log files into the lake: bytes to records to batches in the catalogue's schema, with every
//! row accounted for as kept, duplicate or quarantined.
//!
//! ```text
//! input ─► chunk ─► records ─► batch (column, text, time) ─► writer ─► dedupe ─► lake commit
//! files    whole    fields     keep metadata, digest tokens       Parquet   once      atomic
//!          records             quarantine                         by day    per row
//! ```
//! Files are read one after the other in the order of their names, each by all threads, so that
//! the outcome depends neither on the number of threads nor on the order of the arguments.

mod actions;
mod address;
mod batch;
mod chunk;
mod column;
mod contributors;
mod dedupe;
mod error;
mod file;
mod input;
mod json;
mod layout;
mod query_classes;
mod records;
mod session;
mod snapshot;
mod soql;
mod text;
mod time;
mod writer;

pub use error::IngestError;
pub use input::Input;
pub use session::{IngestOptions, IngestReport, KnownFile, Progress, Silent, ingest};
pub use time::LocalDates;
