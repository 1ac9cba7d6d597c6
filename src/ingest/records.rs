//! Bytes to records: finds the fields of each CSV record, without copying.
//!
//! Two readings give the same records (a test holds them against the `csv` crate):
//! - *anchored*: Event Log Files quote every field and start each record with EVENT_TYPE, so
//!   line feed, quote, type name, quote, comma can only be a record's start. Quotes are found
//!   64 bytes at a time, and a broken record ends where the next one starts.
//! - *general*: RFC 4180 with optional quotes, record by record. A record that does not fit is
//!   given up at the end of its first line, so that an unbalanced quote cannot swallow its
//!   neighbours.

mod field;
mod quotes;
#[cfg(test)]
mod tests;

use memchr::{memchr, memchr2, memmem};

pub use field::Field;
use quotes::Quotes;

/// Longest record in bytes. A record that has not ended by then is given up.
pub const MAX_RECORD: usize = 32 << 20;

/// Why a record could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    FieldCount { found: usize, expected: usize },
    UnbalancedQuote,
    TextAfterQuote,
    TooLong,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::FieldCount { found, expected } => {
                write!(f, "{found} fields, the header has {expected}")
            }
            Fault::UnbalancedQuote => f.write_str("a quote is not closed"),
            Fault::TextAfterQuote => f.write_str("text follows a closing quote"),
            Fault::TooLong => write!(f, "longer than {} MiB", MAX_RECORD >> 20),
        }
    }
}

/// A record that could not be read, by the place of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    pub start: usize,
    pub end: usize,
    pub fault: Fault,
}

/// The records of one chunk: `width` fields each, row by row.
#[derive(Debug, Default)]
pub struct Records {
    width: usize,
    fields: Vec<Field>,
    starts: Vec<u32>,
    pub broken: Vec<Broken>,
}

impl Records {
    pub fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn field(&self, row: usize, column: usize) -> Field {
        self.fields[row * self.width + column]
    }

    pub fn start(&self, row: usize) -> usize {
        self.starts[row] as usize
    }

    /// Keeps the rows for which `keep` says so, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        let width = self.width;
        let mut to = 0;
        for row in 0..self.starts.len() {
            if keep(row) {
                if to != row {
                    self.starts[to] = self.starts[row];
                    self.fields
                        .copy_within(row * width..(row + 1) * width, to * width);
                }
                to += 1;
            }
        }
        self.starts.truncate(to);
        self.fields.truncate(to * width);
    }

    /// Reads a chunk that starts and ends on record borders, anchored.
    pub fn read_anchored(&mut self, bytes: &[u8]) {
        let mut quotes = Quotes::new(bytes, 0);
        let mut at = 0;
        while at < bytes.len() {
            let mark = self.fields.len();
            match self.quoted_record(bytes, at, &mut quotes) {
                Some(end) => {
                    self.starts.push(at as u32);
                    at = end;
                }
                None => {
                    self.fields.truncate(mark);
                    let end = next_anchor(bytes, at + 1).unwrap_or(bytes.len());
                    self.read_damaged(bytes, at, end);
                    at = end;
                    quotes = Quotes::new(bytes, at);
                }
            }
        }
    }

    /// One record of quoted fields, or `None` where anything departs from that.
    fn quoted_record(&mut self, bytes: &[u8], start: usize, quotes: &mut Quotes) -> Option<usize> {
        let mut at = start;
        for left in (0..self.width).rev() {
            if quotes.next()? != at {
                return None;
            }
            let mut doubled = false;
            let close = loop {
                let close = quotes.next()?;
                if bytes.get(close + 1) != Some(&b'"') {
                    break close;
                }
                quotes.next()?;
                doubled = true;
            };
            self.fields.push(Field::new(at + 1, close, doubled));
            match (bytes.get(close + 1), left) {
                (Some(b','), 1..) => at = close + 2,
                (Some(b'\n'), 0) => return Some(close + 2),
                (Some(b'\r'), 0) if bytes.get(close + 2) == Some(&b'\n') => return Some(close + 3),
                (None, 0) => return Some(close + 1),
                _ => return None,
            }
        }
        None
    }

    /// The stretch between two anchors that is not one well-quoted record: what reads as records
    /// is kept, the rest counts as one broken record per unbroken run.
    fn read_damaged(&mut self, bytes: &[u8], start: usize, end: usize) {
        let first = self.broken.len();
        let mut at = start;
        while at < end {
            at = self.general_record(&bytes[..end], at, true).unwrap_or(end);
        }
        let mut merged: Vec<Broken> = Vec::new();
        for broken in self.broken.drain(first..) {
            match merged.last_mut() {
                Some(last) if last.end == broken.start => last.end = broken.end,
                _ => merged.push(broken),
            }
        }
        self.broken.append(&mut merged);
    }

    /// Reads records from the start of `bytes`; returns how many bytes were used up. Unless
    /// `at_end`, a record that the bytes may not hold whole is left for the next call.
    pub fn read_general(&mut self, bytes: &[u8], at_end: bool) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match self.general_record(bytes, at, at_end) {
                Some(end) => at = end,
                None => break,
            }
        }
        at
    }

    /// Reads the record at `start`, good or broken, and returns where the next one starts.
    /// `None`: the record may go on beyond `bytes`.
    fn general_record(&mut self, bytes: &[u8], start: usize, at_end: bool) -> Option<usize> {
        let mark = self.fields.len();
        let window = &bytes[..bytes.len().min(start + MAX_RECORD)];
        let cut_by_limit = window.len() < bytes.len();
        let read = split_record(window, start, &mut self.fields);
        let found = self.fields.len() - mark;
        let fault = match read {
            Ok(Split {
                complete: false, ..
            }) if !at_end && !cut_by_limit => {
                self.fields.truncate(mark);
                return if bytes.len() - start >= MAX_RECORD {
                    self.give_up(bytes, start, Fault::TooLong)
                } else {
                    None
                };
            }
            Ok(Split {
                complete: false,
                unclosed: true,
                ..
            }) if cut_by_limit => Fault::TooLong,
            Ok(Split { unclosed: true, .. }) => Fault::UnbalancedQuote,
            Ok(Split { end, .. }) if is_blank(&bytes[start..end]) => {
                self.fields.truncate(mark);
                return Some(end);
            }
            Ok(Split { end, .. }) if found == self.width => {
                if !self.hides_a_record(bytes, start, end) {
                    self.starts.push(start as u32);
                    return Some(end);
                }
                Fault::UnbalancedQuote
            }
            Ok(_) => Fault::FieldCount {
                found,
                expected: self.width,
            },
            Err(fault) => fault,
        };
        self.fields.truncate(mark);
        self.give_up(bytes, start, fault)
    }

    fn give_up(&mut self, bytes: &[u8], start: usize, fault: Fault) -> Option<usize> {
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at + 1);
        self.broken.push(Broken { start, end, fault });
        Some(end)
    }

    /// Whether one of the later lines of a record is a whole, cleanly quoted record by itself: then
    /// the quote that joined them was an unbalanced one.
    fn hides_a_record(&mut self, bytes: &[u8], start: usize, end: usize) -> bool {
        if self.width < 3 {
            return false;
        }
        let mark = self.fields.len();
        let mut from = start;
        while let Some(at) = memchr(b'\n', &bytes[from..end]) {
            from += at + 1;
            if from >= end {
                break;
            }
            let line_end = memchr(b'\n', &bytes[from..end]).map_or(end, |at| from + at + 1);
            let read = split_record(&bytes[..line_end], from, &mut self.fields);
            let fields = self.fields.split_off(mark);
            if matches!(read, Ok(Split { end, unclosed: false, .. }) if end == line_end)
                && fields.len() == self.width
                && !fields[0].is_empty()
                && !fields.iter().any(|f| is_unquoted_with_quote(*f, bytes))
            {
                return true;
            }
        }
        false
    }
}

struct Split {
    end: usize,
    /// A line end was met (not merely the end of the bytes).
    complete: bool,
    /// The bytes ended inside quotes.
    unclosed: bool,
}

/// Splits the record at `start` by RFC 4180, appending its fields.
fn split_record(bytes: &[u8], start: usize, fields: &mut Vec<Field>) -> Result<Split, Fault> {
    let mut at = start;
    loop {
        let next = if bytes.get(at) == Some(&b'"') {
            let open = at + 1;
            let mut from = open;
            let mut doubled = false;
            let close = loop {
                let Some(found) = memchr(b'"', &bytes[from..]) else {
                    fields.push(Field::new(open, bytes.len(), doubled));
                    return Ok(Split {
                        end: bytes.len(),
                        complete: false,
                        unclosed: true,
                    });
                };
                let close = from + found;
                if bytes.get(close + 1) != Some(&b'"') {
                    break close;
                }
                doubled = true;
                from = close + 2;
            };
            fields.push(Field::new(open, close, doubled));
            close + 1
        } else {
            let end = memchr2(b',', b'\n', &bytes[at..]).map_or(bytes.len(), |found| at + found);
            let ends_line = bytes.get(end) != Some(&b',');
            let text_end = if ends_line && end > at && bytes[end - 1] == b'\r' {
                end - 1
            } else {
                end
            };
            fields.push(Field::new(at, text_end, false));
            end
        };
        match (bytes.get(next), bytes.get(next + 1)) {
            (Some(b','), _) => at = next + 1,
            (Some(b'\n'), _) => {
                return Ok(Split {
                    end: next + 1,
                    complete: true,
                    unclosed: false,
                });
            }
            (Some(b'\r'), Some(b'\n')) => {
                return Ok(Split {
                    end: next + 2,
                    complete: true,
                    unclosed: false,
                });
            }
            (Some(b'\r'), None) | (None, _) => {
                return Ok(Split {
                    end: bytes.len(),
                    complete: false,
                    unclosed: false,
                });
            }
            _ => return Err(Fault::TextAfterQuote),
        }
    }
}

fn is_unquoted_with_quote(field: Field, bytes: &[u8]) -> bool {
    let quoted = field.start() > 0 && bytes[field.start() - 1] == b'"';
    !quoted && memchr(b'"', field.raw(bytes)).is_some()
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| matches!(b, b'\r' | b'\n'))
}

/// The cells of the first record, undoubled, and where the next record starts.
pub fn read_header(bytes: &[u8]) -> Result<(Vec<String>, usize), Fault> {
    let mut fields = Vec::new();
    let split = split_record(bytes, 0, &mut fields)?;
    if split.unclosed {
        return Err(Fault::UnbalancedQuote);
    }
    let mut scratch = Vec::new();
    let cells = fields
        .iter()
        .map(|f| {
            String::from_utf8_lossy(f.text(bytes, &mut scratch))
                .trim()
                .to_owned()
        })
        .collect();
    Ok((cells, split.end))
}

/// Whether the bytes start with `"Word",`: the start of an Event Log File record.
pub fn is_anchor(bytes: &[u8]) -> bool {
    let Some((b'"', rest)) = bytes.split_first() else {
        return false;
    };
    let word = rest
        .iter()
        .take(81)
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    (1..=80).contains(&word) && rest[word..].starts_with(b"\",")
}

/// First record start at or after `from`, which must not be 0.
fn next_anchor(bytes: &[u8], from: usize) -> Option<usize> {
    memmem::find_iter(&bytes[from - 1..], b"\n\"")
        .map(|at| from + at)
        .find(|&at| is_anchor(&bytes[at..]))
}

/// Last record start after the first byte.
pub fn last_anchor(bytes: &[u8]) -> Option<usize> {
    let mut end = bytes.len();
    while let Some(at) = memmem::rfind(&bytes[..end], b"\n\"") {
        if is_anchor(&bytes[at + 1..]) {
            return Some(at + 1);
        }
        end = at + 1;
    }
    None
}
