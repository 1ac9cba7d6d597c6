//! The proof of the lake against its ledger.

use std::fs;
use std::io;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMillisecondType;
use chrono::{DateTime, Utc};

use super::Lake;
use super::commit::measure;
use super::error::{LakeError, Result};
use super::layout::is_rollup;
use super::ledger::RecordedPart;
use super::model::Part;
use super::open::Damage;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Footers and sizes: finds missing, cut and swapped files, in milliseconds.
    Quick,
    /// Every byte of every file, and every row's time.
    Full,
}

/// What a verification found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    pub parts: u64,
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
    /// Parts that are not what was committed.
    pub damaged: Vec<Damage>,
    /// Accounts that do not add up, one line each.
    pub accounts: Vec<String>,
    /// What is wrong with the ledger's own file, one line each.
    pub ledger: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.accounts.is_empty() && self.ledger.is_empty()
    }
}

impl Lake {
    /// Checks every visible part (there, size, footer, rows; with [`Depth::Full`] also the hash
    /// and that each row lies in its day), every account, and the ledger's file.
    pub fn verify(&self, depth: Depth) -> Result<VerifyReport> {
        let mut report = VerifyReport {
            ledger: self.ledger.integrity()?,
            ..VerifyReport::default()
        };
        for recorded in self.ledger.all_parts()? {
            report.parts += 1;
            report.rows += recorded.part.rows;
            report.bytes += recorded.part.bytes;
            if let Err(detail) = check_part(&recorded, depth) {
                report.damaged.push(Damage {
                    part: recorded.part,
                    detail,
                });
            }
        }
        let (files, accounts) = self.ledger.check_accounts()?;
        report.files = files;
        report.accounts = accounts;
        Ok(report)
    }
}

fn check_part(recorded: &RecordedPart, depth: Depth) -> Result<(), String> {
    let part = &recorded.part;
    match depth {
        Depth::Quick => {
            check_size(part)?;
            check_rows(part, open(part)?.metadata().file_metadata().num_rows())
        }
        Depth::Full => {
            check_bytes(recorded)?;
            check_days(part)
        }
    }
}

/// The file holds the bytes that were committed, and as many rows.
pub(super) fn check_bytes(recorded: &RecordedPart) -> Result<(), String> {
    let part = &recorded.part;
    check_size(part)?;
    let (_, rows, blake3) = measure(&part.path).map_err(|e| cause(&e))?;
    if blake3.as_slice() != recorded.blake3 {
        return Err("its bytes are not those that were committed".to_owned());
    }
    check_rows(part, i64::try_from(rows).unwrap_or(i64::MAX))
}

pub(super) fn check_size(part: &Part) -> Result<(), String> {
    match fs::symlink_metadata(&part.path) {
        Ok(m) if m.is_file() && m.len() == part.bytes => Ok(()),
        Ok(m) if m.is_file() => Err(format!("has {} bytes instead of {}", m.len(), part.bytes)),
        Ok(_) => Err("is not a plain file".to_owned()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err("is gone".to_owned()),
        Err(e) => Err(format!("cannot be read: {e}")),
    }
}

fn check_rows(part: &Part, rows: i64) -> Result<(), String> {
    match u64::try_from(rows) == Ok(part.rows) {
        true => Ok(()),
        false => Err(format!("has {rows} rows instead of {}", part.rows)),
    }
}

/// Every row decodes, and raw rows happened on the part's day and within its recorded times.
fn check_days(part: &Part) -> Result<(), String> {
    let reader = open(part)?.build().map_err(|_| undecodable())?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|_| undecodable())?;
        rows += batch.num_rows();
        check_times(part, &batch)?;
    }
    check_rows(part, i64::try_from(rows).unwrap_or(i64::MAX))
}

fn check_times(part: &Part, batch: &RecordBatch) -> Result<(), String> {
    let Some(times) = batch
        .column_by_name("occurred_at")
        .and_then(|column| column.as_primitive_opt::<TimestampMillisecondType>())
    else {
        return Ok(());
    };
    let recorded = part.first_event_at..=part.last_event_at;
    for ms in times.iter().flatten() {
        let at = DateTime::<Utc>::from_timestamp_millis(ms);
        match at {
            Some(at) if !is_rollup(&part.event_type) && at.date_naive() != part.day => {
                return Err(format!("has rows of another day than {}", part.day));
            }
            Some(at) if !recorded.contains(&at) => {
                return Err("has rows outside its recorded times".to_owned());
            }
            Some(_) => {}
            None => return Err("has a time out of the calendar".to_owned()),
        }
    }
    Ok(())
}

fn open(part: &Part) -> Result<ParquetRecordBatchReaderBuilder<fs::File>, String> {
    let file = fs::File::open(&part.path).map_err(|e| format!("cannot be opened: {e}"))?;
    ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|_| "is not a readable Parquet file".to_owned())
}

/// Without the decoder's own words: they may quote what is in the file.
fn undecodable() -> String {
    "cannot be decoded".to_owned()
}

fn cause(error: &LakeError) -> String {
    match error {
        LakeError::Io { source, .. } => format!("cannot be read: {source}"),
        _ => "is not a readable Parquet file".to_owned(),
    }
}
