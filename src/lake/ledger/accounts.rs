//! Whether the accounts add up, and what the lake holds by event type.

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{Connection, params};

use super::Ledger;
use super::values::{count_at, day_at, int, ms, time_at};
use crate::lake::error::Result;
use crate::lake::layout::is_rollup;
use crate::lake::model::RunId;

/// What the lake holds of one event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeInfo {
    pub event_type: String,
    pub days: u64,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub parts: u64,
    pub rows: u64,
    /// Of Parquet.
    pub bytes: u64,
    pub first_event_at: DateTime<Utc>,
    pub last_event_at: DateTime<Utc>,
}

/// Why rows left the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lake) enum Departure {
    Retention,
    Damage,
}

/// Raw rows of one day that leave the lake.
pub(in crate::lake) struct Departed<'a> {
    pub event_type: &'a str,
    pub day: NaiveDate,
    pub why: Departure,
    pub rows: u64,
    pub run_id: RunId,
    pub at: DateTime<Utc>,
}

impl Ledger {
    /// The number of files, and a line for each account that does not add up.
    pub(in crate::lake) fn check_accounts(&self) -> Result<(u64, Vec<String>)> {
        let mut wrong = Vec::new();
        let mut statement = self.conn.prepare(
            "SELECT file_id, rows_read, rows_kept, rows_duplicate, rows_quarantined FROM files
             WHERE rows_read <> rows_kept + rows_duplicate + rows_quarantined ORDER BY file_id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            wrong.push(format!(
                "file {}: {} rows read, but {} kept + {} duplicate + {} quarantined",
                row.get::<_, i64>("file_id")?,
                count_at(row, "rows_read")?,
                count_at(row, "rows_kept")?,
                count_at(row, "rows_duplicate")?,
                count_at(row, "rows_quarantined")?,
            ));
        }
        let sum = |sql: &str| -> Result<u64> {
            Ok(self.conn.query_row(sql, [], |row| count_at(row, "n"))?)
        };
        let files = sum("SELECT count(*) AS n FROM files")?;
        let kept = sum("SELECT coalesce(sum(rows_kept), 0) AS n FROM files")?;
        let departed = sum("SELECT coalesce(sum(rows), 0) AS n FROM departed_rows")?;
        let held: u64 = self
            .event_types_info()?
            .iter()
            .filter(|info| !is_rollup(&info.event_type))
            .map(|info| info.rows)
            .sum();
        if kept != held + departed {
            wrong.push(format!(
                "files kept {kept} rows, but the lake holds {held} and {departed} have left it"
            ));
        }
        Ok((files, wrong))
    }

    /// Days of which retention has taken rows, ascending.
    pub fn pruned_days(&self) -> Result<Vec<NaiveDate>> {
        let mut statement = self.conn.prepare(
            "SELECT DISTINCT day FROM departed_rows WHERE reason = 'retention' ORDER BY day",
        )?;
        let days = statement.query_map([], |row| day_at(row, "day"))?;
        Ok(days.collect::<rusqlite::Result<_>>()?)
    }

    /// Days of which any raw rows have left, for whatever reason, ascending.
    pub fn departed_days(&self) -> Result<Vec<NaiveDate>> {
        let mut statement = self
            .conn
            .prepare("SELECT DISTINCT day FROM departed_rows ORDER BY day")?;
        let days = statement.query_map([], |row| day_at(row, "day"))?;
        Ok(days.collect::<rusqlite::Result<_>>()?)
    }

    pub(in crate::lake) fn event_types_info(&self) -> Result<Vec<EventTypeInfo>> {
        let mut statement = self.conn.prepare(
            "SELECT event_type, count(DISTINCT day) AS days, min(day) AS first_day,
                 max(day) AS last_day, count(*) AS parts, sum(rows) AS rows, sum(bytes) AS bytes,
                 min(first_event_at) AS first_event_at, max(last_event_at) AS last_event_at
             FROM parts WHERE state = 'visible' GROUP BY event_type ORDER BY event_type",
        )?;
        let infos = statement.query_map([], |row| {
            Ok(EventTypeInfo {
                event_type: row.get("event_type")?,
                days: count_at(row, "days")?,
                first_day: day_at(row, "first_day")?,
                last_day: day_at(row, "last_day")?,
                parts: count_at(row, "parts")?,
                rows: count_at(row, "rows")?,
                bytes: count_at(row, "bytes")?,
                first_event_at: time_at(row, "first_event_at")?,
                last_event_at: time_at(row, "last_event_at")?,
            })
        })?;
        Ok(infos.collect::<rusqlite::Result<_>>()?)
    }
}

/// Notes that one part's raw rows have left; rollups have no account.
pub(in crate::lake) fn record_departure(conn: &Connection, departed: &Departed<'_>) -> Result<()> {
    if is_rollup(departed.event_type) {
        return Ok(());
    }
    let why = match departed.why {
        Departure::Retention => "retention",
        Departure::Damage => "damage",
    };
    conn.prepare_cached(
        "INSERT INTO departed_rows (event_type, day, reason, parts, rows, run_id, departed_at)
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6)",
    )?
    .execute(params![
        departed.event_type,
        departed.day.to_string(),
        why,
        int(departed.rows),
        departed.run_id,
        ms(departed.at),
    ])?;
    Ok(())
}
