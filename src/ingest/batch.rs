//! A chunk to a record batch in the lake's schema, with its rows' identities, and the account of
//! what could not be read.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray, new_null_array};
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use memchr::memchr_iter;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::address::addresses;
use super::chunk::Chunk;
use super::column::{self, Cells};
use super::json;
use super::layout::{Layout, Slot};
use super::records::{Broken, Fault, Records};
use super::time::{LocalDates, TimeFault, TimeReader};
use crate::catalog::{ColumnKind, LogFamily, Treatment, parse_ip, sf_id18};
use crate::lake::{FileId, Quarantined};
use crate::privacy::DigestKey;

/// Quarantined rows of one file that are described one by one; all are counted.
pub const QUARANTINE_ROWS: usize = 10_000;

/// What is the same for all chunks of a file.
pub struct FileContext<'a> {
    pub file_id: FileId,
    pub key: &'a DigestKey,
    pub local_dates: LocalDates,
    /// When the file was taken, in milliseconds since 1970 UTC: the time of every row of a
    /// roster snapshot, and of nothing else.
    pub taken_ms: i64,
    /// The text was made of JSON records.
    pub from_json: bool,
}

/// The account of some rows.
#[derive(Debug, Default)]
pub struct Account {
    pub rows_read: u64,
    pub rows_quarantined: u64,
    pub timestamp_fallbacks: u64,
    pub unreadable_values: u64,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
    /// At most [`QUARANTINE_ROWS`]; `rows_quarantined` counts all.
    pub quarantine: Vec<Quarantined>,
    /// The file ends inside a record.
    pub torn: bool,
}

impl Account {
    pub fn add(&mut self, other: Account) {
        self.rows_read += other.rows_read;
        self.rows_quarantined += other.rows_quarantined;
        self.timestamp_fallbacks += other.timestamp_fallbacks;
        self.unreadable_values += other.unreadable_values;
        self.first_ms = [self.first_ms, other.first_ms].into_iter().flatten().min();
        self.last_ms = [self.last_ms, other.last_ms].into_iter().flatten().max();
        self.torn |= other.torn;
        if !other.quarantine.is_empty() {
            // The first rows of the file stay, however many threads read it.
            self.quarantine.extend(other.quarantine);
            self.quarantine.sort_by_key(|q| q.line_no);
            self.quarantine.truncate(QUARANTINE_ROWS);
        }
    }
}

/// Reads a chunk. The batch has the schema [`crate::catalog::lake_schema`] of its event type.
pub fn read(chunk: Chunk, context: &FileContext) -> Result<(RecordBatch, Account), ArrowError> {
    let Chunk {
        bytes,
        layout,
        first_line,
        line_feeds,
        is_last,
        records,
    } = chunk;
    let mut records = records.unwrap_or_else(|| {
        let mut records = Records::new(layout.width());
        records.read_anchored(&bytes);
        records
    });
    let utf8 = std::str::from_utf8(&bytes).is_ok();
    let bytes = Buffer::from_vec(bytes);
    let last = records.broken.last();
    let mut account = Account {
        torn: is_last && last.is_some_and(|b| b.end == bytes.len() && is_cut_off(b, &bytes)),
        ..Account::default()
    };
    let lines = Lines::new(&bytes, first_line, line_feeds);
    let mut quarantine = Quarantine {
        layout: &layout,
        context,
        bytes: &bytes,
        lines: &lines,
        account: &mut account,
    };
    for broken in std::mem::take(&mut records.broken) {
        quarantine.broken(&broken);
    }
    let times = keep_readable(&mut records, &mut quarantine);
    account.rows_read = records.len() as u64 + account.rows_quarantined;
    account.first_ms = times.iter().copied().min();
    account.last_ms = times.iter().copied().max();
    let line_nos = lines.of(&records);
    let cells = Cells {
        bytes: &bytes,
        records: &records,
        utf8,
    };
    let columns = columns(&cells, &layout, times, line_nos, context, &mut account)?;
    Ok((
        RecordBatch::try_new(layout.schema.clone(), columns)?,
        account,
    ))
}

/// Whether a broken last record looks like the start of a good one.
fn is_cut_off(broken: &Broken, bytes: &[u8]) -> bool {
    match broken.fault {
        Fault::UnbalancedQuote => true,
        Fault::FieldCount { found, expected } => found < expected && bytes.last() != Some(&b'\n'),
        Fault::TextAfterQuote | Fault::TooLong => false,
    }
}

/// Drops from the records those whose time or type cannot be read; returns the others' times.
fn keep_readable(records: &mut Records, quarantine: &mut Quarantine) -> Vec<i64> {
    let layout = quarantine.layout;
    if layout.event.is_roster() {
        return vec![quarantine.context.taken_ms; records.len()];
    }
    let mut reader = TimeReader::new(quarantine.context.local_dates);
    // Some detections tell the day only.
    let may_be_a_day = layout.event.family == LogFamily::ThreatDetection;
    let mut scratch = Vec::new();
    let mut times = Vec::with_capacity(records.len());
    let mut faults = Vec::new();
    for row in 0..records.len() {
        let mut cell = |column: Option<usize>| {
            let column = column.ok_or(TimeFault::Missing)?;
            let text = records
                .field(row, column)
                .text(quarantine.bytes, &mut scratch);
            reader.read(text).or_else(|fault| {
                let day = may_be_a_day.then(|| reader.read_moment(text)).flatten();
                day.ok_or(fault)
            })
        };
        let time = cell(layout.time.first).or_else(|fault| {
            let time = cell(layout.time.fallback).map_err(|_| fault);
            quarantine.account.timestamp_fallbacks += u64::from(time.is_ok());
            time
        });
        let other_type = layout.event_type.is_some_and(|column| {
            let raw = records
                .field(row, column)
                .raw(quarantine.bytes)
                .trim_ascii();
            raw != layout.event.name.as_bytes() && !is_name_of(raw, layout)
        });
        match time {
            _ if other_type => faults.push((row, layout.event_type, OTHER_TYPE.to_owned())),
            Ok(time) => times.push(time),
            Err(fault) => faults.push((row, layout.time.first, fault.to_string())),
        }
    }
    for (row, column, reason) in &faults {
        quarantine.row(records, *row, *column, reason);
    }
    if !faults.is_empty() {
        let mut bad = faults.iter().map(|f| f.0).peekable();
        records.retain(|row| bad.next_if_eq(&row).is_none());
    }
    times
}

const OTHER_TYPE: &str = "EVENT_TYPE is not the file's";

fn is_name_of(raw: &[u8], layout: &Layout) -> bool {
    let event = &layout.event;
    std::iter::once(&event.name)
        .chain(&event.aliases)
        .any(|n| raw.eq_ignore_ascii_case(n.as_bytes()))
}

fn columns(
    cells: &Cells,
    layout: &Layout,
    times: Vec<i64>,
    line_nos: Vec<i64>,
    context: &FileContext,
    account: &mut Account,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let rows = cells.records.len();
    let row_keys = row_keys(cells, layout);
    let trusted = trusted_usernames(cells, layout);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(layout.schema.fields().len());
    columns.push(Arc::new(
        TimestampMillisecondArray::from(times).with_timezone("UTC"),
    ));
    if layout.event.has(Treatment::UserId) {
        columns.push(column::user_ids(cells, &layout.user_ids));
    }
    if layout.event.has(Treatment::Address) {
        columns.extend(addresses(cells, &layout.addresses)?);
    }
    for slot in &layout.slots {
        let Slot {
            treatment,
            kind,
            column,
            ..
        } = slot;
        if column.is_none() && !matches!(treatment, Treatment::QueryShape | Treatment::ActionTally)
        {
            let stored = layout.schema.field(columns.len()).data_type();
            columns.push(new_null_array(stored, rows));
            continue;
        }
        match (treatment, kind) {
            (Treatment::QueryShape, _) => {
                columns.extend(column::query(cells, *column, context.key))
            }
            (Treatment::ActionTally, _) => columns.extend(column::actions(cells, *column)),
            (_, ColumnKind::Text) => {
                columns.push(column::treated_text(
                    cells,
                    *column,
                    *treatment,
                    context.key,
                    &trusted,
                ));
            }
            (_, ColumnKind::Integer) => columns.push(column::integers(
                cells,
                *column,
                &mut account.unreadable_values,
            )),
            (_, ColumnKind::Decimal) => columns.push(column::decimals(
                cells,
                *column,
                &mut account.unreadable_values,
            )),
            (_, ColumnKind::Boolean) => columns.push(column::booleans(
                cells,
                *column,
                &mut account.unreadable_values,
            )),
            (_, ColumnKind::Time) => columns.push(column::times(
                cells,
                *column,
                context.local_dates,
                &mut account.unreadable_values,
            )),
        }
    }
    columns.push(Arc::new(Int64Array::from(vec![context.file_id; rows])));
    columns.push(Arc::new(Int64Array::from(line_nos)));
    columns.push(Arc::new(Int64Array::from(row_keys)));
    Ok(columns)
}

/// Keyed hash of each row's own id, else of its identity columns. Empty cells do not count, so that
/// a column which came later and is empty changes nothing; the sum does not depend on the order of
/// columns.
fn row_keys(cells: &Cells, layout: &Layout) -> Vec<i64> {
    let mut keys = vec![0u64; cells.records.len()];
    match layout.own_id {
        None => {
            for &column in &layout.identity {
                add_to_keys(&mut keys, cells, column, |_| true);
            }
        }
        Some(own_id) => {
            let raw_id = |row| cells.records.field(row, own_id.0).raw(cells.bytes);
            add_to_keys(&mut keys, cells, own_id, |_| true);
            // An id that was exported empty tells no two rows apart.
            for &column in &layout.identity {
                add_to_keys(&mut keys, cells, column, |row| raw_id(row).is_empty());
            }
        }
    }
    keys.into_iter().map(u64::cast_signed).collect()
}

fn add_to_keys(
    keys: &mut [u64],
    cells: &Cells,
    (column, seed): (usize, u64),
    counts: impl Fn(usize) -> bool,
) {
    for (row, key) in keys.iter_mut().enumerate() {
        let raw = cells.records.field(row, column).raw(cells.bytes);
        if !raw.is_empty() && counts(row) {
            *key = key.wrapping_add(xxh3_64_with_seed(raw, seed));
        }
    }
}

/// Rows whose username was accepted by the org: no login failed on them.
fn trusted_usernames(cells: &Cells, layout: &Layout) -> Vec<bool> {
    let rows = cells.records.len();
    let Some(status) = layout.status else {
        // After a guessed login the username of a threat is what was typed.
        return vec![layout.event.family != LogFamily::ThreatDetection; rows];
    };
    (0..rows)
        .map(|row| {
            let status = cells
                .records
                .field(row, status)
                .raw(cells.bytes)
                .trim_ascii();
            status == b"LOGIN_NO_ERROR" || status.eq_ignore_ascii_case(b"success")
        })
        .collect()
}

/// Physical line numbers of records.
struct Lines<'a> {
    bytes: &'a [u8],
    first_line: u64,
    line_feeds: usize,
    /// The last place asked for and its line: records are asked for in order.
    last: Cell<(usize, u64)>,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8], first_line: u64, line_feeds: usize) -> Self {
        Self {
            bytes,
            first_line,
            line_feeds,
            last: Cell::new((0, first_line)),
        }
    }

    fn at(&self, start: usize) -> u64 {
        let (at, line) = match self.last.get() {
            last if last.0 <= start => last,
            _ => (0, self.first_line),
        };
        let line = line + memchr_iter(b'\n', &self.bytes[at..start]).count() as u64;
        self.last.set((start, line));
        line
    }

    fn of(&self, records: &Records) -> Vec<i64> {
        let first = self.first_line as i64;
        let ends_with_feed = self.bytes.last() == Some(&b'\n');
        let one_line_each = records.len() == self.line_feeds + usize::from(!ends_with_feed);
        if one_line_each {
            return (0..records.len() as i64).map(|row| first + row).collect();
        }
        (0..records.len())
            .map(|row| self.at(records.start(row)) as i64)
            .collect()
    }
}

/// Enters rows that cannot be read: their place and the reason, and who and where from if that
/// can still be told. Never a cell.
struct Quarantine<'a> {
    layout: &'a Layout,
    context: &'a FileContext<'a>,
    bytes: &'a [u8],
    lines: &'a Lines<'a>,
    account: &'a mut Account,
}

impl Quarantine<'_> {
    fn broken(&mut self, broken: &Broken) {
        let line = self.lines.at(broken.start);
        let (user_id, ip) = self.who(&self.bytes[broken.start..broken.end]);
        let reason = match self.context.from_json {
            true => json::BROKEN_RECORD.to_owned(),
            false => broken.fault.to_string(),
        };
        self.enter(line, None, reason, user_id, ip);
    }

    fn row(&mut self, records: &Records, row: usize, column: Option<usize>, reason: &str) {
        let mut scratch = vec![];
        let mut cell = |column: usize| {
            String::from_utf8_lossy(records.field(row, column).text(self.bytes, &mut scratch))
                .into_owned()
        };
        let user_id = self.layout.user_ids.iter().find_map(|&c| sf_id18(&cell(c)));
        let ip = self
            .layout
            .addresses
            .iter()
            .find_map(|&c| parse_ip(cell(c).as_bytes()));
        let line = self.lines.at(records.start(row));
        let column = column.and_then(|c| self.layout.headings.get(c)).cloned();
        self.enter(
            line,
            column,
            reason.to_owned(),
            user_id,
            ip.map(|ip| ip.to_string()),
        );
    }

    fn enter(
        &mut self,
        line_no: u64,
        column: Option<String>,
        reason: String,
        user_id: Option<String>,
        ip: Option<String>,
    ) {
        self.account.rows_quarantined += 1;
        if self.account.quarantine.len() < QUARANTINE_ROWS {
            self.account.quarantine.push(Quarantined {
                file_id: self.context.file_id,
                event_type: self.layout.event.name.clone(),
                line_no,
                column,
                reason,
                user_id,
                ip,
            });
        }
    }

    /// What looks like a user's id and like an address in a broken record, from its start for
    /// the id and from its end for the address: where Event Log Files have them.
    fn who(&self, record: &[u8]) -> (Option<String>, Option<String>) {
        const PIECES: usize = 200;
        let pieces = || {
            record
                .split(|b| matches!(b, b'"' | b',' | b'\n'))
                .map(<[u8]>::trim_ascii)
        };
        let user_id = pieces()
            .take(PIECES)
            .find(|p| p.starts_with(b"005"))
            .and_then(|p| sf_id18(std::str::from_utf8(p).ok()?));
        let ip = pieces()
            .rev()
            .take(PIECES)
            .filter(|p| p.contains(&b'.') || p.contains(&b':'))
            .find_map(parse_ip);
        (user_id, ip.map(|ip| ip.to_string()))
    }
}
