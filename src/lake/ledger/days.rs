//! Which days received rows since a stage last worked on them.
//!
//! The marker is the id of the newest part: it only grows. A stage reads the days and the
//! marker first, works, and clears up to that marker; rows that arrive meanwhile have a higher
//! one, so their day stays dirty.

use chrono::NaiveDate;
use rusqlite::{Connection, params};

use super::Ledger;
use super::values::day_at;
use crate::lake::error::Result;
use crate::lake::model::PartId;

/// What a stage has to work on, and up to which marker it may clear afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyDays {
    /// Ascending.
    pub days: Vec<NaiveDate>,
    pub marker: i64,
}

impl Ledger {
    /// Days that received rows since `stage` (`rollup`, `detect`) last cleared them, ascending.
    pub fn dirty_days(&self, stage: &str) -> Result<Vec<NaiveDate>> {
        let mut statement = self.conn.prepare(
            "SELECT day FROM dirty_days AS d
             WHERE marker > coalesce((SELECT marker FROM cleared_days AS c
                                      WHERE c.stage = ?1 AND c.day = d.day), 0)
             ORDER BY day",
        )?;
        let days = statement.query_map([stage], |row| day_at(row, "day"))?;
        Ok(days.collect::<rusqlite::Result<_>>()?)
    }

    /// The marker up to which everything committed so far counts.
    pub fn dirty_marker(&self) -> Result<i64> {
        self.last_part_id()
    }

    /// [`Ledger::dirty_days`] and the marker to clear them with.
    pub fn dirty(&self, stage: &str) -> Result<DirtyDays> {
        // The marker first: what is committed after it must stay dirty.
        let marker = self.dirty_marker()?;
        let days = self.dirty_days(stage)?;
        Ok(DirtyDays { days, marker })
    }

    /// Notes that `stage` has worked on `days` with all rows committed up to `marker`.
    pub fn clear_dirty(&mut self, stage: &str, days: &[NaiveDate], marker: i64) -> Result<()> {
        let tx = self.write()?;
        {
            let mut clear = tx.prepare(
                "INSERT INTO cleared_days (stage, day, marker) VALUES (?1, ?2, ?3)
                 ON CONFLICT (stage, day) DO UPDATE SET marker = max(marker, excluded.marker)",
            )?;
            for day in days {
                clear.execute(params![stage, day.to_string(), marker])?;
            }
        }
        tx.commit()?;
        Ok(())
    }
}

pub(in crate::lake) fn mark_dirty(conn: &Connection, day: NaiveDate, part: PartId) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO dirty_days (day, marker) VALUES (?1, ?2)
         ON CONFLICT (day) DO UPDATE SET marker = max(marker, excluded.marker)",
    )?
    .execute(params![day.to_string(), part])?;
    Ok(())
}

/// Has the rollups of a day made anew: one of them is lost.
pub(in crate::lake) fn remake_rollups(
    conn: &Connection,
    day: NaiveDate,
    part: PartId,
) -> Result<()> {
    let day = day.to_string();
    conn.execute(
        "INSERT INTO dirty_days (day, marker) VALUES (?1, ?2) ON CONFLICT (day) DO NOTHING",
        params![day, part],
    )?;
    conn.execute(
        "DELETE FROM cleared_days WHERE stage = 'rollup' AND day = ?1",
        [&day],
    )?;
    Ok(())
}

/// Forgets days that retention has emptied.
pub(in crate::lake) fn forget_days(conn: &Connection, before: NaiveDate) -> Result<()> {
    let before = before.to_string();
    conn.execute("DELETE FROM dirty_days WHERE day < ?1", [&before])?;
    conn.execute("DELETE FROM cleared_days WHERE day < ?1", [&before])?;
    Ok(())
}
