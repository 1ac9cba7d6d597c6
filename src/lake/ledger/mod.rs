//! The ledger: one SQLite file that says which Parquet files are visible and holds the accounts
//! of runs and files, the findings with their life, and the mail outbox.
//!
//! Promises: a transaction is either wholly there after a crash or not at all (WAL,
//! `synchronous=FULL`); a reader sees the state of one moment for as long as it is open, never
//! waits for a writer and creates no file. The `-wal` and `-shm` files stay beside the ledger
//! when the writer closes, so that the next reader finds them and need not make them.

mod accounts;
mod days;
mod files;
mod findings;
mod org;
mod outbox;
mod parts;
mod runs;
mod snapshot;
mod standing;
mod state;
mod values;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, FileControl, OpenFlags, Transaction, TransactionBehavior};

pub use accounts::EventTypeInfo;
pub(super) use accounts::{Departed, Departure, record_departure};
pub use days::DirtyDays;
pub(super) use days::{forget_days, mark_dirty, remake_rollups};
pub(super) use files::{forget_quarantine, insert_file, insert_quarantine, lose_files};
pub use findings::{
    ByHand, Correlate, Correlation, Decision, EvaluatedWindow, Finding, FindingChanges,
    FindingEvent, FindingFilter, FindingRow, GROWTH, Hold, PROGRAM, Placed, Reopened, Status,
};
pub use org::{DataSetState, OrgDataSet, OrgFileKey, OrgFileState, OrgLogFile};
pub use outbox::{MailState, OutboxMail, PendingMail, Verdict};
pub(super) use parts::{
    NewPart, PartState, RecordedPart, inherit_files, insert_part, link_file, remove_part,
};
pub use runs::{RuleRun, RuleStatus, Run, RunState};
pub use snapshot::LedgerTable;
pub use standing::{Counts, LastRun, RuleStanding, Standing};
pub use state::{Canary, CanaryState, InferredRole, SuppressionState};

use super::error::{LakeError, Result};
use super::fs::create_private;
use super::layout;

/// One step for each version: the first makes a ledger, each later one brings the version before
/// it up to date and keeps all that it holds. What was released never changes.
const STEPS: [&str; 5] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];
const VERSION: i64 = STEPS.len() as i64;
const BUSY: Duration = Duration::from_secs(10);
const WAL_BYTES_KEPT: i64 = 4 * 1024 * 1024;

/// The ledger of one lake.
pub struct Ledger {
    conn: Connection,
    data_dir: PathBuf,
    /// Of the schema. A reader may meet an older one, which the next writer brings up to date.
    version: i64,
}

impl Ledger {
    /// Opens the ledger for writing; makes it, private, where there is none.
    pub(super) fn open_writer(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(layout::LEDGER);
        match create_private(&path) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(LakeError::io("create", &path)(e)),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut ledger = Self::connect(data_dir, flags, &path)?;
        ledger.prepare_writer().map_err(|e| e.in_ledger(&path))?;
        Ok(ledger)
    }

    /// Opens the ledger as it is at this moment. [`LakeError::Missing`] if there is none.
    pub(super) fn open_reader(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(layout::LEDGER);
        let missing = || LakeError::Missing {
            path: data_dir.to_owned(),
        };
        let metadata = fs::metadata(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => LakeError::io("open", &path)(e),
        })?;
        if metadata.len() == 0 && !has_log(&path) {
            return Err(missing());
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut name = path.clone();
        if !sidecar(&path, "-shm").exists() && !has_log(&path) {
            // A copy of the ledger alone: nobody writes to it, and SQLite would have to create
            // its side files to read it.
            flags |= OpenFlags::SQLITE_OPEN_URI;
            name = immutable_uri(&path);
        }
        let mut ledger = Self::connect(data_dir, flags, &name).map_err(|e| e.in_ledger(&path))?;
        ledger.version = ledger.pin_snapshot().map_err(|e| e.in_ledger(&path))?;
        match ledger.version {
            0 => Err(missing()),
            _ => Ok(ledger),
        }
    }

    fn connect(data_dir: &Path, flags: OpenFlags, name: &Path) -> Result<Self> {
        let conn = Connection::open_with_flags(name, flags)?;
        conn.busy_timeout(BUSY)?;
        Ok(Self {
            conn,
            data_dir: data_dir.to_owned(),
            version: 0,
        })
    }

    fn prepare_writer(&mut self) -> Result<()> {
        let mode: String =
            self.conn
                .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(LakeError::LedgerCorrupt {
                path: PathBuf::new(),
                detail: "write-ahead logging is not possible here".to_owned(),
            });
        }
        let mut persist = 1;
        self.conn
            .file_control(None::<&str>, FileControl::PersistWal(&mut persist))?;
        self.conn.pragma_update_and_check(
            None,
            "journal_size_limit",
            WAL_BYTES_KEPT,
            |_| Ok(()),
        )?;
        self.conn.pragma_update(None, "synchronous", "FULL")?;
        self.conn.pragma_update(None, "foreign_keys", true)?;
        self.check_pages()?;
        self.version = self.version()?;
        if self.version < VERSION {
            self.bring_up_to_date()?;
        }
        Ok(())
    }

    /// Commits no longer wait for the disk: only for a ledger that is thrown away.
    pub(super) fn never_sync(&self) -> Result<()> {
        Ok(self.conn.pragma_update(None, "synchronous", "OFF")?)
    }

    fn check_pages(&self) -> Result<()> {
        let verdict: String = self
            .conn
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" {
            return Ok(());
        }
        Err(LakeError::LedgerCorrupt {
            path: PathBuf::new(),
            detail: one_line(&verdict),
        })
    }

    /// All missing steps in one transaction.
    fn bring_up_to_date(&mut self) -> Result<()> {
        let done = usize::try_from(self.version).unwrap_or(0);
        let tx = self.write()?;
        for step in &STEPS[done..] {
            tx.execute_batch(step)?;
        }
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
        self.version = VERSION;
        Ok(())
    }

    /// Begins the reader's one transaction and returns the ledger's version (0: not made yet).
    fn pin_snapshot(&self) -> Result<i64> {
        self.conn.execute_batch("BEGIN")?;
        self.version()
    }

    /// The ledger's version, refused if it is newer than this program's.
    fn version(&self) -> Result<i64> {
        let found: i64 = self
            .conn
            .query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if found > VERSION {
            return Err(LakeError::LedgerNewer {
                path: PathBuf::new(),
                found,
                known: VERSION,
            });
        }
        Ok(found)
    }

    /// A write transaction; dropped without `commit` it leaves no trace.
    pub(super) fn write(&mut self) -> Result<Transaction<'_>> {
        Ok(self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// A value that the lake remembers about itself.
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut statement = self.conn.prepare("SELECT value FROM meta WHERE key = ?1")?;
        let mut rows = statement.query([key])?;
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
    }

    pub(super) fn set_meta(&mut self, key: &str, value: &str) -> Result<()> {
        self.conn.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [key, value],
        )?;
        Ok(())
    }

    /// What `PRAGMA integrity_check` and `foreign_key_check` find, one line each; empty if sound.
    pub(super) fn integrity(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut statement = self.conn.prepare("PRAGMA integrity_check(20)")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                found.push(one_line(&line));
            }
        }
        let mut statement = self.conn.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let table: String = row.get(0)?;
            found.push(format!("a row of `{table}` refers to a row that is gone"));
        }
        Ok(found)
    }
}

impl LakeError {
    /// Names the ledger in an error that could not know its path.
    fn in_ledger(self, ledger: &Path) -> Self {
        match self {
            LakeError::LedgerCorrupt { detail, .. } => LakeError::LedgerCorrupt {
                path: ledger.to_owned(),
                detail,
            },
            LakeError::LedgerNewer { found, known, .. } => LakeError::LedgerNewer {
                path: ledger.to_owned(),
                found,
                known,
            },
            other => other,
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sidecar(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether there are committed transactions beside the ledger that are not in it yet.
fn has_log(ledger: &Path) -> bool {
    fs::metadata(sidecar(ledger, "-wal")).is_ok_and(|m| m.len() > 0)
}

fn immutable_uri(ledger: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in ledger.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}
