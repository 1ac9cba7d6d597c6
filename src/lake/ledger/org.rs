//! What was fetched from the org: its Event Log Files one by one, its other data sets as a whole.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Row, params};

use super::Ledger;
use super::values::{count_at, int, ms, opt_ms, opt_time_at, time_at, unreadable};
use crate::lake::error::Result;
use crate::lake::model::RunId;

/// What became of an Event Log File.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrgFileState {
    /// Still to be fetched.
    Listed,
    Ingested,
    /// Fetched, and refused by the ingest.
    Rejected,
    /// All of it is in a file that was fetched, or in a later issue of itself.
    Superseded,
    /// The org has it no more, and it was never fetched.
    Gone,
}

impl OrgFileState {
    const ALL: [OrgFileState; 5] = [
        OrgFileState::Listed,
        OrgFileState::Ingested,
        OrgFileState::Rejected,
        OrgFileState::Superseded,
        OrgFileState::Gone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            OrgFileState::Listed => "listed",
            OrgFileState::Ingested => "ingested",
            OrgFileState::Rejected => "rejected",
            OrgFileState::Superseded => "superseded",
            OrgFileState::Gone => "gone",
        }
    }
}

/// One issue of an Event Log File.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrgFileKey {
    /// 18 characters.
    pub log_file_id: String,
    pub created_at: DateTime<Utc>,
    /// In bytes, as the org says.
    pub length: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgLogFile {
    pub key: OrgFileKey,
    pub event_type: String,
    /// Begin of the day, or the hour, that it is of.
    pub log_date: DateTime<Utc>,
    pub is_hourly: bool,
    pub sequence: u32,
    pub state: OrgFileState,
    pub first_listed_at: DateTime<Utc>,
    pub attempts: u32,
    pub reason: Option<String>,
}

/// How the last try to read a data set ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSetState {
    Read,
    /// The org gave less than there is.
    Incomplete,
    /// The org does not let this user read it.
    Unreadable,
    /// It could not be read this time.
    Failed,
}

impl DataSetState {
    const ALL: [DataSetState; 4] = [
        DataSetState::Read,
        DataSetState::Incomplete,
        DataSetState::Unreadable,
        DataSetState::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            DataSetState::Read => "read",
            DataSetState::Incomplete => "incomplete",
            DataSetState::Unreadable => "unreadable",
            DataSetState::Failed => "failed",
        }
    }
}

/// A data set of the org that is no Event Log File.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgDataSet {
    pub name: String,
    pub state: DataSetState,
    /// When it was last read whole.
    pub read_at: Option<DateTime<Utc>>,
    /// Of a data set with a history: the end of what was read of it.
    pub read_until: Option<DateTime<Utc>>,
    pub rows: Option<u64>,
    pub tried_at: DateTime<Utc>,
    pub reason: Option<String>,
    /// What would help, in the org's words.
    pub permission: Option<String>,
}

/// Remembers whose logs the lake holds.
const ORG: &str = "fetched_org";

impl Ledger {
    /// The org that was fetched from, if there is one: 18 characters.
    pub fn fetched_org(&self) -> Result<Option<String>> {
        self.meta(ORG)
    }

    pub fn remember_fetched_org(&mut self, org_id: &str) -> Result<()> {
        self.set_meta(ORG, org_id)
    }

    /// Every file created at `since` or later, and every one that is still to be fetched; by creation.
    pub fn org_log_files(&self, since: DateTime<Utc>) -> Result<Vec<OrgLogFile>> {
        let mut statement = self.conn.prepare(
            "SELECT * FROM org_log_files WHERE created_at >= ?1 OR state = 'listed'
             ORDER BY created_at, log_file_id, length",
        )?;
        let files = statement.query_map([ms(since)], log_file_of)?;
        Ok(files.collect::<rusqlite::Result<_>>()?)
    }

    /// Up to when everything that the org listed has been dealt with: the creation of the oldest file
    /// that is still to be fetched, else of the newest that was listed. None before the first.
    pub fn org_watermark(&self) -> Result<Option<DateTime<Utc>>> {
        let oldest = "SELECT coalesce(min(created_at) FILTER (WHERE state = 'listed'),
                                      max(created_at)) AS at FROM org_log_files";
        Ok(self
            .conn
            .query_row(oldest, [], |row| opt_time_at(row, "at"))?)
    }

    /// When the org's files were listed for the first time. None before.
    pub fn org_first_listed(&self) -> Result<Option<DateTime<Utc>>> {
        let first = "SELECT min(first_listed_at) AS at FROM org_log_files";
        Ok(self
            .conn
            .query_row(first, [], |row| opt_time_at(row, "at"))?)
    }

    /// Adds files that the org lists; one that is known stays as it is.
    pub fn list_org_log_files(
        &mut self,
        files: &[OrgLogFile],
        at: DateTime<Utc>,
        run_id: RunId,
    ) -> Result<()> {
        let tx = self.write()?;
        {
            let mut insert = tx.prepare(
                "INSERT OR IGNORE INTO org_log_files
                     (log_file_id, created_at, length, event_type, log_date, interval, sequence,
                      state, first_listed_at, run_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            for file in files {
                insert.execute(params![
                    file.key.log_file_id,
                    ms(file.key.created_at),
                    int(file.key.length),
                    file.event_type,
                    ms(file.log_date),
                    if file.is_hourly { "hourly" } else { "daily" },
                    file.sequence,
                    file.state.as_str(),
                    ms(at),
                    run_id,
                ])?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// What became of files in this run; the reason of one that is still `Listed` counts as a try.
    /// To be told again what is known of a file does not: a run may die before it takes it away.
    pub fn note_org_log_files(
        &mut self,
        outcomes: &[(OrgFileKey, OrgFileState, Option<String>)],
        at: DateTime<Utc>,
        run_id: RunId,
    ) -> Result<()> {
        let tx = self.write()?;
        {
            let mut update = tx.prepare(
                "UPDATE org_log_files SET state = ?4, reason = ?5, tried_at = ?6, run_id = ?7,
                     attempts = attempts
                         + (?4 = 'listed' OR (?4 IN ('ingested', 'rejected') AND state <> ?4))
                 WHERE log_file_id = ?1 AND created_at = ?2 AND length = ?3",
            )?;
            for (key, state, reason) in outcomes {
                update.execute(params![
                    key.log_file_id,
                    ms(key.created_at),
                    int(key.length),
                    state.as_str(),
                    reason,
                    ms(at),
                    run_id,
                ])?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    pub fn org_data_set(&self, name: &str) -> Result<Option<OrgDataSet>> {
        let mut statement = self
            .conn
            .prepare("SELECT * FROM org_data_sets WHERE name = ?1")?;
        let mut found = statement.query_map([name], data_set_of)?;
        Ok(found.next().transpose()?)
    }

    pub fn note_org_data_set(&mut self, set: &OrgDataSet, run_id: RunId) -> Result<()> {
        self.conn.execute(
            "INSERT OR REPLACE INTO org_data_sets
                 (name, state, read_at, read_until, rows, tried_at, reason, permission, run_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                set.name,
                set.state.as_str(),
                opt_ms(set.read_at),
                opt_ms(set.read_until),
                set.rows.map(int),
                ms(set.tried_at),
                set.reason,
                set.permission,
                run_id,
            ],
        )?;
        Ok(())
    }
}

fn log_file_of(row: &Row<'_>) -> rusqlite::Result<OrgLogFile> {
    let state: String = row.get("state")?;
    let interval: String = row.get("interval")?;
    Ok(OrgLogFile {
        key: OrgFileKey {
            log_file_id: row.get("log_file_id")?,
            created_at: time_at(row, "created_at")?,
            length: count_at(row, "length")?,
        },
        event_type: row.get("event_type")?,
        log_date: time_at(row, "log_date")?,
        is_hourly: interval == "hourly",
        sequence: row.get("sequence")?,
        state: of_word(OrgFileState::ALL, OrgFileState::as_str, &state)?,
        first_listed_at: time_at(row, "first_listed_at")?,
        attempts: row.get("attempts")?,
        reason: row.get("reason")?,
    })
}

fn data_set_of(row: &Row<'_>) -> rusqlite::Result<OrgDataSet> {
    let state: String = row.get("state")?;
    let rows: Option<i64> = row.get("rows")?;
    Ok(OrgDataSet {
        name: row.get("name")?,
        state: of_word(DataSetState::ALL, DataSetState::as_str, &state)?,
        read_at: opt_time_at(row, "read_at")?,
        read_until: opt_time_at(row, "read_until")?,
        rows: rows.and_then(|rows| u64::try_from(rows).ok()),
        tried_at: time_at(row, "tried_at")?,
        reason: row.get("reason")?,
        permission: row.get("permission")?,
    })
}

fn of_word<T: Copy, const N: usize>(
    all: [T; N],
    as_str: fn(T) -> &'static str,
    word: &str,
) -> rusqlite::Result<T> {
    let found = all.into_iter().find(|one| as_str(*one) == word);
    found.ok_or_else(|| {
        unreadable(
            Type::Text,
            std::io::Error::other("a state of a later release"),
        )
    })
}
