//! What can go wrong with a lake. Every message says what to do, and none holds a cell's value.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::model::PartId;

pub type Result<T, E = LakeError> = std::result::Result<T, E>;

/// An error of the lake or its ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    #[error(
        "no lake in `{}`: check `data_dir`, or fill it with `orgwatch run` or `orgwatch ingest`",
        path.display()
    )]
    Missing { path: PathBuf },

    #[error(
        "another orgwatch{} is writing to `{}`: wait until it ends and try again",
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display()
    )]
    Locked { path: PathBuf, holder: Option<u32> },

    #[error("this lake was opened for reading: `{action}` needs the writer")]
    ReadOnly { action: &'static str },

    #[error("cannot {action} `{}`: {source}{}", path.display(), remedy(is_unwritable(source)))]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    #[error(
        "the ledger `{}` is damaged ({detail}): restore it from a backup, or move the whole \
         data folder away and ingest the logs again",
        path.display()
    )]
    LedgerCorrupt { path: PathBuf, detail: String },

    #[error(
        "the ledger `{}` is of version {found}, this orgwatch knows up to {known}: use the newer \
         orgwatch that wrote it",
        path.display()
    )]
    LedgerNewer {
        path: PathBuf,
        found: i64,
        known: i64,
    },

    #[error(
        "`{}` holds Parquet files but no ledger that knows them: restore `ledger.sqlite` from a \
         backup, or move the whole data folder away and ingest the logs again",
        path.display()
    )]
    LedgerMissing { path: PathBuf },

    #[error(
        "the lake's key `{}` {detail}: restore it from a backup; with another key, tokens and \
         rows would no longer match what is stored",
        path.display()
    )]
    Key { path: PathBuf, detail: &'static str },

    #[error("the ledger refused: {source}{}", remedy(is_read_only(source)))]
    Ledger { source: rusqlite::Error },

    #[error("cannot {action} `{}`: {source}", path.display())]
    Parquet {
        action: &'static str,
        path: PathBuf,
        source: parquet::errors::ParquetError,
    },

    #[error("cannot handle rows in memory: {source}")]
    Arrow {
        #[from]
        source: arrow::error::ArrowError,
    },

    #[error(
        "an event type must be 1 to 80 of the characters A-Z, a-z, 0-9 and _ to be stored, this \
         one has {length} characters and others among them"
    )]
    EventType { length: usize },

    #[error("staged file `{}` {detail}: nothing was committed, ingest it again", path.display())]
    Staged { path: PathBuf, detail: String },

    #[error("the account of `{name}` does not add up ({detail}): nothing was committed")]
    Account { name: String, detail: String },

    #[error("part {part_id} is not visible, so it cannot be replaced: start again")]
    NotVisible { part_id: PartId },

    #[error("part `{}` is damaged ({detail}): run `orgwatch lake verify`", path.display())]
    Damaged { path: PathBuf, detail: String },

    #[error("no finding has an id that begins with `{prefix}`: see `orgwatch findings list`")]
    NoFinding { prefix: String },

    #[error(
        "{count} findings have an id that begins with `{prefix}`:{candidates}\nhint: give more of the id"
    )]
    AmbiguousFinding {
        prefix: String,
        count: usize,
        /// Lines that begin with a line feed: ids and rules.
        candidates: String,
    },

    #[error("finding {id} is {state}: it cannot be {wanted}\nhint: {hint}")]
    FindingState {
        id: String,
        state: String,
        wanted: &'static str,
        hint: &'static str,
    },

    #[error("no alert has the number {id}: see `orgwatch alert list`")]
    NoMail { id: i64 },

    #[error(
        "alert {id} was not refused: `orgwatch alert list --state failed` shows those that were"
    )]
    MailNotFailed { id: i64 },

    #[error("cannot prepare the alerts of this run: {source}")]
    Mail {
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LakeError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| LakeError::Io {
            action,
            path,
            source,
        }
    }

    pub(super) fn parquet(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.to_owned();
        move |source| LakeError::Parquet {
            action,
            path,
            source,
        }
    }

    /// Whether the disk (or the user's share of it) is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            LakeError::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            LakeError::Ledger { source } => source.sqlite_error_code() == Some(ErrorCode::DiskFull),
            _ => false,
        }
    }

    /// Whether the data folder itself is unusable as it is (a question of configuration or
    /// repair, not of this run): missing, damaged or newer ledger, missing key, or this user may not
    /// write there.
    pub fn is_setup(&self) -> bool {
        match self {
            LakeError::Missing { .. }
            | LakeError::LedgerCorrupt { .. }
            | LakeError::LedgerNewer { .. }
            | LakeError::LedgerMissing { .. }
            | LakeError::Key { .. } => true,
            LakeError::Io { source, .. } => is_unwritable(source),
            LakeError::Ledger { source } => is_read_only(source),
            _ => false,
        }
    }
}

/// Whether the system lets this user not write, and would not the next time either.
pub fn is_unwritable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn is_read_only(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen)
    )
}

fn remedy(is_unwritable: bool) -> &'static str {
    match is_unwritable {
        true => "; let this user write to the data folder and all in it, or set another `data_dir`",
        false => "",
    }
}

impl From<rusqlite::Error> for LakeError {
    fn from(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                LakeError::LedgerCorrupt {
                    path: PathBuf::from(super::layout::LEDGER),
                    detail: source.to_string(),
                }
            }
            _ => LakeError::Ledger { source },
        }
    }
}
