//! The plain values that cross the lake's border.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};

pub type RunId = i64;
pub type FileId = i64;
pub type PartId = i64;

/// Identity of a file: its content, never its name.
pub type ContentHash = [u8; 32];

/// What became of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Read to its end; its rows are kept, duplicate or quarantined.
    Ingested,
    /// Ended inside a record: complete rows are kept, the tail is quarantined.
    Torn,
    /// Refused as a whole, with a reason; none of its rows is kept.
    Rejected,
}

/// One input file and its account. `rows_read = rows_kept + rows_duplicate + rows_quarantined`.
#[derive(Debug, Clone)]
pub struct SourceFile {
    pub file_id: FileId,
    /// Display name: the path as given, a zip entry as `archive.zip!entry.csv`.
    pub name: String,
    pub content_hash: ContentHash,
    /// Bytes of CSV, after decompression.
    pub size_bytes: u64,
    /// Name of the catalogue's event type, or the text of EVENT_TYPE for an unknown one.
    pub event_type: String,
    /// `hourly`, `daily`, or none where the rows do not tell.
    pub interval: Option<String>,
    pub state: FileState,
    /// Why it was rejected or torn.
    pub reason: Option<String>,
    /// Headings that the catalogue does not know: their cells were dropped.
    pub unknown_columns: Vec<String>,
    /// Headings that the catalogue expects in every release and that this file lacks.
    pub missing_columns: Vec<String>,
    /// Headings that some release of the type has and that this file lacks, those in
    /// `missing_columns` included. Of logs only: a roster export selects its columns.
    pub absent_columns: Vec<String>,
    pub first_event_at: Option<DateTime<Utc>>,
    pub last_event_at: Option<DateTime<Utc>>,
    pub rows_read: u64,
    pub rows_kept: u64,
    pub rows_duplicate: u64,
    pub rows_quarantined: u64,
    /// Header rows met again inside the data (concatenated files); not counted as rows.
    pub repeated_headers: u64,
    /// Rows timed by TIMESTAMP because TIMESTAMP_DERIVED was empty or unreadable.
    pub timestamp_fallbacks: u64,
    /// Cells of numeric or boolean columns that could not be read and are NULL.
    pub unreadable_values: u64,
}

/// A Parquet file in the staging folder, complete and synced, not visible yet.
#[derive(Debug, Clone)]
pub struct StagedPart {
    pub path: PathBuf,
    pub event_type: String,
    pub day: NaiveDate,
    pub rows: u64,
    pub bytes: u64,
    pub first_event_at: DateTime<Utc>,
    pub last_event_at: DateTime<Utc>,
}

/// A visible Parquet file.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub part_id: PartId,
    pub path: PathBuf,
    pub event_type: String,
    pub day: NaiveDate,
    pub rows: u64,
    pub bytes: u64,
    pub first_event_at: DateTime<Utc>,
    pub last_event_at: DateTime<Utc>,
}

/// One row (or one file's tail) that could not be read. Holds no cell value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub file_id: FileId,
    pub event_type: String,
    /// First physical line of the record, from 1; the header is line 1.
    pub line_no: u64,
    /// Heading of the offending column, where one is to blame.
    pub column: Option<String>,
    pub reason: String,
    /// The row's user (18-character id) and address, where they could still be read: an attacker
    /// who breaks rows shows by their concentration.
    pub user_id: Option<String>,
    pub ip: Option<String>,
}

/// All that one commit makes true at once.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    pub file: Option<SourceFile>,
    pub add: Vec<StagedPart>,
    /// Parts that `add` replaces (compaction, a recomputed rollup day).
    pub remove: Vec<PartId>,
    pub quarantine: Vec<Quarantined>,
}
