//! The lake: Parquet files by event type and day, and the ledger that says which of them count.
//!
//! Promises:
//! - **All or nothing.** A commit is visible whole or not at all, whatever happens in between:
//!   files are synced and renamed first, then one ledger transaction makes them visible. What
//!   the ledger does not know is litter, and the next writer sweeps it.
//! - **One writer.** It holds the lock on `<data>/lock`; the lock of a dead process does not
//!   block. Readers take no lock and see the state of the moment they were opened.
//! - **Never silently fewer rows.** A file that is gone or has another size is found when the
//!   lake is opened ([`Lake::damaged`]), any other damage by [`Lake::verify`].
//! - **Private.** Folders are 0700 and files 0600 whatever the umask.

mod commit;
mod compact;
mod error;
#[cfg(test)]
mod fault;
mod fs;
mod info;
mod layout;
mod ledger;
mod lock;
mod model;
mod open;
mod parquet;
mod prune;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::NaiveDate;

pub use self::compact::Compacted;
pub use self::error::{LakeError, is_unwritable};
pub use self::fs::create_private;
pub use self::info::LakeInfo;
pub use self::ledger::{
    ByHand, Canary, CanaryState, Correlate, Correlation, Counts, DataSetState, Decision, DirtyDays,
    EvaluatedWindow, EventTypeInfo, Finding, FindingChanges, FindingEvent, FindingFilter,
    FindingRow, GROWTH, Hold, InferredRole, LastRun, Ledger, LedgerTable, MailState, OrgDataSet,
    OrgFileKey, OrgFileState, OrgLogFile, OutboxMail, PROGRAM, PendingMail, Placed, Reopened,
    RuleRun, RuleStanding, RuleStatus, Run, RunState, Standing, Status, SuppressionState, Verdict,
};
pub use self::model::*;
pub use self::open::Damage;
pub use self::parquet::{CREATED_BY, MAX_ROW_GROUP_ROWS, PartWriter, Written};
pub use self::prune::{Pruned, SetAside};
pub use self::verify::{Depth, VerifyReport};

use self::error::Result;
use self::fs::LakeFs;
use self::lock::WriterLock;
use crate::privacy::DigestKey;

/// An open lake.
pub struct Lake {
    data_dir: PathBuf,
    staging_dir: PathBuf,
    key: DigestKey,
    ledger: Ledger,
    fs: Box<dyn LakeFs>,
    next_file_id: AtomicI64,
    next_part_id: AtomicI64,
    damaged: Vec<Damage>,
    /// Held by a writer, none in a reader. Last, so that it is released after the ledger closes.
    lock: Option<WriterLock>,
}

impl Lake {
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The key of all digests of this lake.
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// Where files wait for their commit; emptied when a writer opens the lake.
    pub fn staging_dir(&self) -> &Path {
        &self.staging_dir
    }

    /// A file id that nobody else has. It takes effect with the commit that names it.
    pub fn next_file_id(&self) -> Result<FileId> {
        self.needs_writer("giving out a file id")?;
        // Whoever took one may have counted on from it and committed more.
        let unused = self.ledger.last_file_id()? + 1;
        self.next_file_id.fetch_max(unused, Ordering::Relaxed);
        Ok(self.next_file_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Sizes in bytes of the ingested files.
    pub fn known_sizes(&self) -> Result<HashSet<u64>> {
        self.ledger.known_sizes()
    }

    /// The ingested file of this content, if there is one.
    pub fn file_by_hash(&self, hash: &ContentHash) -> Result<Option<FileId>> {
        self.ledger.file_by_hash(hash)
    }

    /// The file of this content that was read, even if it ended inside a record: read again, a
    /// snapshot of the org that was cut off is as short as before.
    pub fn reading_by_hash(&self, hash: &ContentHash) -> Result<Option<FileId>> {
        self.ledger.reading_by_hash(hash)
    }

    /// Visible parts of an event type, ordered by day, then part.
    pub fn parts(&self, event_type: &str) -> Result<Vec<Part>> {
        self.ledger.parts(event_type)
    }

    /// The same, of the days from `first` to `last`, both inclusive.
    pub fn parts_between(
        &self,
        event_type: &str,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<Part>> {
        self.ledger.parts_between(event_type, first, last)
    }

    /// Event types (and rollups) that have visible parts, in order of their names.
    pub fn event_types(&self) -> Result<Vec<String>> {
        self.ledger.event_types()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    fn needs_writer(&self, action: &'static str) -> Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(LakeError::ReadOnly { action }),
        }
    }
}
