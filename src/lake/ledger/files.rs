//! Accounts of the input files, the quarantine, and the usernames met in logs.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::Ledger;
use super::values::{day_at, int, ms, opt_ms};
use crate::lake::error::Result;
use crate::lake::model::{ContentHash, FileId, FileState, PartId, Quarantined, RunId, SourceFile};

/// What one or more files told of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub event_type: String,
    pub day: NaiveDate,
    pub is_complete: bool,
}

fn state_word(state: FileState) -> &'static str {
    match state {
        FileState::Ingested => "ingested",
        FileState::Torn => "torn",
        FileState::Rejected => "rejected",
    }
}

impl Ledger {
    pub(in crate::lake) fn last_file_id(&self) -> Result<FileId> {
        self.last_id("files")
    }

    /// The highest id that a table has ever given out.
    pub(super) fn last_id(&self, table: &str) -> Result<i64> {
        let last = self
            .conn
            .query_row(
                "SELECT seq FROM sqlite_sequence WHERE name = ?1",
                [table],
                |row| row.get(0),
            )
            .optional()?;
        Ok(last.unwrap_or(0))
    }

    /// Sizes of the ingested files: a file of another size cannot be one of them.
    pub(in crate::lake) fn known_sizes(&self) -> Result<HashSet<u64>> {
        let mut statement = self
            .conn
            .prepare("SELECT DISTINCT size_bytes FROM files WHERE state = 'ingested'")?;
        let sizes = statement.query_map([], |row| row.get::<_, i64>(0))?;
        let sizes: rusqlite::Result<Vec<i64>> = sizes.collect();
        Ok(sizes?
            .into_iter()
            .filter_map(|n| u64::try_from(n).ok())
            .collect())
    }

    pub(in crate::lake) fn file_by_hash(&self, hash: &ContentHash) -> Result<Option<FileId>> {
        Ok(self.conn.query_row(
            "SELECT max(file_id) FROM files WHERE content_hash = ?1 AND state = 'ingested'",
            [hash.as_slice()],
            |row| row.get(0),
        )?)
    }

    /// Files with rows, and files without any that were read to their end: of which event type
    /// and day (that of the first event), and whether they were read to their end. For a snapshot
    /// of the org to have no rows is to say something. In order.
    pub fn readings(&self) -> Result<Vec<Reading>> {
        let mut statement = self.conn.prepare(
            "SELECT DISTINCT event_type, date(first_event_at / 1000, 'unixepoch') AS day,
                 state = 'ingested' AS is_complete
             FROM files
             WHERE state IN ('ingested', 'torn') AND event_type <> ''
                 AND first_event_at IS NOT NULL
                 AND (rows_kept > 0 OR (rows_read = 0 AND state = 'ingested'))
             ORDER BY event_type, day, is_complete",
        )?;
        let readings = statement.query_map([], |row| {
            Ok(Reading {
                event_type: row.get(0)?,
                day: day_at(row, "day")?,
                is_complete: row.get(2)?,
            })
        })?;
        Ok(readings.collect::<rusqlite::Result<_>>()?)
    }

    /// The file of this content that was read, even if it ended inside a record.
    pub(in crate::lake) fn reading_by_hash(&self, hash: &ContentHash) -> Result<Option<FileId>> {
        Ok(self.conn.query_row(
            "SELECT max(file_id) FROM files
             WHERE content_hash = ?1 AND state IN ('ingested', 'torn')",
            [hash.as_slice()],
            |row| row.get(0),
        )?)
    }

    /// Adds or renews what user ids are called; the latest sighting wins.
    pub fn upsert_usernames(&mut self, seen: &[(String, String, DateTime<Utc>)]) -> Result<()> {
        let tx = self.write()?;
        {
            let mut upsert = tx.prepare(
                "INSERT INTO usernames (user_id, username, last_seen) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user_id) DO UPDATE
                 SET username = excluded.username, last_seen = excluded.last_seen
                 WHERE (excluded.last_seen, excluded.username) > (last_seen, username)",
            )?;
            for (user_id, username, last_seen) in seen {
                upsert.execute(params![user_id, username, ms(*last_seen)])?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// `(user_id, username)` of every user met, ordered by id.
    pub fn usernames(&self) -> Result<Vec<(String, String)>> {
        let mut statement = self
            .conn
            .prepare("SELECT user_id, username FROM usernames ORDER BY user_id")?;
        let names = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }
}

pub(in crate::lake) fn insert_file(
    conn: &Connection,
    run_id: RunId,
    at: DateTime<Utc>,
    file: &SourceFile,
) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO files (file_id, name, content_hash, size_bytes, event_type, interval, state,
             reason, unknown_columns, missing_columns, first_event_at, last_event_at, rows_read,
             rows_kept, rows_duplicate, rows_quarantined, repeated_headers, timestamp_fallbacks,
             unreadable_values, run_id, ingested_at, absent_columns)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
             ?19, ?20, ?21, ?22)",
    )?
    .execute(params![
        file.file_id,
        file.name,
        file.content_hash.as_slice(),
        int(file.size_bytes),
        file.event_type,
        file.interval,
        state_word(file.state),
        file.reason,
        file.unknown_columns.join(","),
        file.missing_columns.join(","),
        opt_ms(file.first_event_at),
        opt_ms(file.last_event_at),
        int(file.rows_read),
        int(file.rows_kept),
        int(file.rows_duplicate),
        int(file.rows_quarantined),
        int(file.repeated_headers),
        int(file.timestamp_fallbacks),
        int(file.unreadable_values),
        run_id,
        ms(at),
        file.absent_columns.join(","),
    ])?;
    Ok(())
}

pub(in crate::lake) fn insert_quarantine(conn: &Connection, rows: &[Quarantined]) -> Result<()> {
    let mut insert = conn.prepare_cached(
        "INSERT INTO quarantine (file_id, event_type, line_no, column_name, reason, user_id, ip)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for row in rows {
        insert.execute(params![
            row.file_id,
            row.event_type,
            int(row.line_no),
            row.column,
            row.reason,
            row.user_id,
            row.ip,
        ])?;
    }
    Ok(())
}

/// Deletes the quarantine of files whose last event (or else whose ingestion) lies before a day.
pub(in crate::lake) fn forget_quarantine(conn: &Connection, before: NaiveDate) -> Result<u64> {
    let before = ms(before.and_time(NaiveTime::MIN).and_utc());
    let deleted = conn.execute(
        "DELETE FROM quarantine WHERE file_id IN
             (SELECT file_id FROM files WHERE coalesce(last_event_at, ingested_at) < ?1)",
        [before],
    )?;
    Ok(deleted as u64)
}

/// Makes the files that had rows in a part unknown, so that they may be ingested again.
pub(in crate::lake) fn lose_files(conn: &Connection, part: PartId) -> Result<Vec<FileId>> {
    let mut statement = conn.prepare_cached(
        "UPDATE files SET state = 'lost', reason = 'a part with rows of it was damaged'
         WHERE file_id IN (SELECT file_id FROM part_files WHERE part_id = ?1)
         RETURNING file_id",
    )?;
    let files = statement.query_map([part], |row| row.get(0))?;
    Ok(files.collect::<rusqlite::Result<_>>()?)
}
