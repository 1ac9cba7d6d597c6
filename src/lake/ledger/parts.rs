//! Which Parquet files are visible.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::values::{count_at, day_at, int, ms, time_at};
use crate::lake::error::{LakeError, Result};
use crate::lake::model::{FileId, Part, PartId, RunId};

/// A part as the ledger records it: the visible file and the hash of its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lake) struct RecordedPart {
    pub part: Part,
    pub blake3: Vec<u8>,
}

const COLUMNS: &str = "part_id, path, event_type, day, rows, bytes, first_event_at, last_event_at, \
                       blake3";

impl Ledger {
    pub(in crate::lake) fn last_part_id(&self) -> Result<PartId> {
        self.last_id("parts")
    }

    /// Visible parts of one event type, ordered by day, then part.
    pub(in crate::lake) fn parts(&self, event_type: &str) -> Result<Vec<Part>> {
        self.parts_between(event_type, NaiveDate::MIN, NaiveDate::MAX)
    }

    /// The same, of the days from `first` to `last` inclusive.
    pub(in crate::lake) fn parts_between(
        &self,
        event_type: &str,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Vec<Part>> {
        let recorded = self.recorded_parts("event_type = ?1", [event_type])?;
        Ok(recorded
            .into_iter()
            .map(|r| r.part)
            .filter(|p| (first..=last).contains(&p.day))
            .collect())
    }

    pub(in crate::lake) fn visible_part(&self, part_id: PartId) -> Result<Part> {
        visible_part(&self.conn, &self.data_dir, part_id)
    }

    /// Every visible part, ordered by event type, day, part.
    pub(in crate::lake) fn all_parts(&self) -> Result<Vec<RecordedPart>> {
        self.recorded_parts("TRUE", [])
    }

    fn recorded_parts(
        &self,
        condition: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<RecordedPart>> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM parts WHERE state = 'visible' AND {condition}
             ORDER BY event_type, day, part_id"
        ))?;
        let parts = statement.query_map(params, |row| recorded_part(row, &self.data_dir))?;
        Ok(parts.collect::<rusqlite::Result<_>>()?)
    }

    pub(in crate::lake) fn event_types(&self) -> Result<Vec<String>> {
        let mut statement = self.conn.prepare(
            "SELECT DISTINCT event_type FROM parts WHERE state = 'visible' ORDER BY event_type",
        )?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// Paths, relative to the data folder, of visible parts and of removed ones.
    pub(in crate::lake) fn paths(&self, state: PartState) -> Result<Vec<(PartId, PathBuf)>> {
        let mut statement = self
            .conn
            .prepare("SELECT part_id, path FROM parts WHERE state = ?1 ORDER BY part_id")?;
        let paths = statement.query_map([state.as_str()], |row| {
            Ok((row.get(0)?, PathBuf::from(row.get::<_, String>(1)?)))
        })?;
        Ok(paths.collect::<rusqlite::Result<_>>()?)
    }

    /// Forgets parts whose files are gone.
    pub(in crate::lake) fn forget_removed(&mut self, parts: &[PartId]) -> Result<()> {
        let tx = self.write()?;
        for part_id in parts {
            tx.execute(
                "DELETE FROM parts WHERE part_id = ?1 AND state = 'removed'",
                [part_id],
            )?;
        }
        tx.commit()?;
        Ok(())
    }
}

/// Whether a part can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) enum PartState {
    Visible,
    /// Replaced or pruned: readers that planned with it may still read it; the next writer
    /// deletes it.
    Removed,
}

impl PartState {
    pub fn as_str(self) -> &'static str {
        match self {
            PartState::Visible => "visible",
            PartState::Removed => "removed",
        }
    }
}

/// A part about to become visible; `path` is relative to the data folder.
pub(in crate::lake) struct NewPart<'a> {
    pub part: &'a Part,
    pub relative_path: &'a Path,
    pub blake3: &'a [u8],
    pub run_id: RunId,
    pub at: DateTime<Utc>,
}

pub(in crate::lake) fn insert_part(conn: &Connection, new: &NewPart<'_>) -> Result<()> {
    let part = new.part;
    conn.prepare_cached(
        "INSERT INTO parts (part_id, event_type, day, path, rows, bytes, blake3, first_event_at,
             last_event_at, run_id, added_at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'visible')",
    )?
    .execute(params![
        part.part_id,
        part.event_type,
        part.day.to_string(),
        new.relative_path.to_string_lossy(),
        int(part.rows),
        int(part.bytes),
        new.blake3,
        ms(part.first_event_at),
        ms(part.last_event_at),
        new.run_id,
        ms(new.at),
    ])?;
    Ok(())
}

/// Notes that a part holds rows of a file.
pub(in crate::lake) fn link_file(conn: &Connection, part: PartId, file: FileId) -> Result<()> {
    conn.prepare_cached("INSERT OR IGNORE INTO part_files (part_id, file_id) VALUES (?1, ?2)")?
        .execute([part, file])?;
    Ok(())
}

/// Notes that `heir` holds the rows that `removed` held.
pub(in crate::lake) fn inherit_files(
    conn: &Connection,
    heir: PartId,
    removed: PartId,
) -> Result<()> {
    conn.prepare_cached(
        "INSERT OR IGNORE INTO part_files (part_id, file_id)
         SELECT ?1, file_id FROM part_files WHERE part_id = ?2",
    )?
    .execute([heir, removed])?;
    Ok(())
}

/// Makes a visible part invisible and returns what it was.
pub(in crate::lake) fn remove_part(
    conn: &Connection,
    data_dir: &Path,
    part_id: PartId,
    at: DateTime<Utc>,
) -> Result<Part> {
    let part = visible_part(conn, data_dir, part_id)?;
    conn.prepare_cached("UPDATE parts SET state = 'removed', removed_at = ?2 WHERE part_id = ?1")?
        .execute([part_id, ms(at)])?;
    Ok(part)
}

fn visible_part(conn: &Connection, data_dir: &Path, part_id: PartId) -> Result<Part> {
    let found = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM parts WHERE part_id = ?1 AND state = 'visible'"
        ))?
        .query_row([part_id], |row| recorded_part(row, data_dir))
        .optional()?;
    found
        .map(|recorded| recorded.part)
        .ok_or(LakeError::NotVisible { part_id })
}

fn recorded_part(row: &Row<'_>, data_dir: &Path) -> rusqlite::Result<RecordedPart> {
    Ok(RecordedPart {
        part: Part {
            part_id: row.get("part_id")?,
            path: data_dir.join(row.get::<_, String>("path")?),
            event_type: row.get("event_type")?,
            day: day_at(row, "day")?,
            rows: count_at(row, "rows")?,
            bytes: count_at(row, "bytes")?,
            first_event_at: time_at(row, "first_event_at")?,
            last_event_at: time_at(row, "last_event_at")?,
        },
        blake3: row.get("blake3")?,
    })
}
