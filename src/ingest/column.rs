//! One column of a chunk: cells to an Arrow array.
//!
//! Text that is kept as it is stays where it was read: its views point into the chunk. Text that
//! is made (digests, templates, canonical ids) is made once per distinct cell of a chunk.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringViewArray, TimestampMillisecondArray,
    make_view,
};
use arrow::buffer::{Buffer, ScalarBuffer};
use hashbrown::HashMap;

use super::records::{Field, Records};
use super::text;
use super::time::{LocalDates, TimeReader};
use super::{actions, contributors, query_classes};
use crate::catalog::{CUT_CHARS, Treatment, sf_id18_bytes, uri};
use crate::privacy::DigestKey;

/// A chunk's bytes, shared with the arrays made of it.
pub struct Cells<'a> {
    pub bytes: &'a Buffer,
    pub records: &'a Records,
    /// Whether the bytes are UTF-8 throughout; otherwise cells are mended one by one.
    pub utf8: bool,
}

impl Cells<'_> {
    fn field(&self, row: usize, column: usize) -> Field {
        self.records.field(row, column)
    }

    /// The field of a cell that the file has and that is not empty.
    fn filled(&self, row: usize, column: Option<usize>) -> Option<Field> {
        column.map(|c| self.field(row, c)).filter(|f| !f.is_empty())
    }

    /// The cell as it stands in the file.
    pub fn raw(&self, row: usize, column: usize) -> &[u8] {
        self.field(row, column).raw(self.bytes)
    }
}

/// Collects views of one text column.
pub struct Texts {
    views: Vec<u128>,
    valid: NullBufferBuilder,
    /// Text that does not stand in the chunk as it is kept.
    made: Vec<u8>,
}

const CHUNK: u32 = 0;
const MADE: u32 = 1;

impl Texts {
    pub fn new(rows: usize) -> Self {
        Self {
            views: Vec::with_capacity(rows),
            valid: NullBufferBuilder::new(rows),
            made: vec![],
        }
    }

    fn push_null(&mut self) {
        self.valid.append_null();
        self.views.push(0);
    }

    fn push(&mut self, view: u128) {
        self.valid.append_non_null();
        self.views.push(view);
    }

    /// Appends the view of a made text, or NULL.
    pub fn push_made(&mut self, view: Option<u128>) {
        match view {
            Some(view) => self.push(view),
            None => self.push_null(),
        }
    }

    /// Keeps a text; its view may be pushed for any number of rows.
    pub fn make_text(&mut self, text: &str) -> Option<u128> {
        self.make(|made| {
            made.extend_from_slice(text.as_bytes());
            true
        })
    }

    /// Runs `make`, which appends to the made text, and returns the view of what it appended.
    fn make(&mut self, make: impl FnOnce(&mut Vec<u8>) -> bool) -> Option<u128> {
        let from = self.made.len();
        if !make(&mut self.made) || self.made.len() == from {
            self.made.truncate(from);
            return None;
        }
        // A chunk's made text is shorter than a few chunks, far below 4 GiB.
        Some(make_view(&self.made[from..], MADE, from as u32))
    }

    pub fn finish(mut self, chunk: &Buffer) -> ArrayRef {
        let nulls = self.valid.finish();
        let buffers: Vec<Buffer> = vec![chunk.clone(), Buffer::from_vec(self.made)];
        // Sound: each view was made from bytes at that place of its buffer, the chunk was
        // checked to be UTF-8 and is cut at ASCII quotes and commas only, and made text is
        // UTF-8 by construction.
        Arc::new(unsafe {
            StringViewArray::new_unchecked(ScalarBuffer::from(self.views), buffers, nulls)
        })
    }
}

/// Text kept as it is (`cut` = false) or up to [`CUT_CHARS`] characters. Empty cells are NULL.
pub fn kept_text(cells: &Cells, column: Option<usize>, cut: bool) -> ArrayRef {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    for row in 0..rows {
        let Some(field) = cells.filled(row, column) else {
            texts.push_null();
            continue;
        };
        let raw = field.raw(cells.bytes);
        if cells.utf8 && !field.has_doubled_quotes() && !(cut && raw.len() > CUT_CHARS) {
            texts.push(make_view(raw, CHUNK, field.start() as u32));
            continue;
        }
        let view = texts.make(|made| {
            let mut scratch = vec![];
            let text = String::from_utf8_lossy(field.text(cells.bytes, &mut scratch));
            match cut {
                true => text::cut(&text, made),
                false => made.extend_from_slice(text.as_bytes()),
            }
            true
        });
        texts.push_made(view);
    }
    texts.finish(cells.bytes)
}

/// Text made of each cell by `make`, once per distinct cell; NULL where the cell is empty or
/// `make` says false.
fn made_text(
    cells: &Cells,
    column: Option<usize>,
    mut make: impl FnMut(usize, &[u8], &mut Vec<u8>) -> bool,
) -> ArrayRef {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    let mut made: HashMap<&[u8], Option<u128>> = HashMap::new();
    let mut scratch = Vec::new();
    let mut last: (&[u8], Option<u128>) = (&[], None);
    for row in 0..rows {
        let Some(field) = cells.filled(row, column) else {
            texts.push_null();
            continue;
        };
        let raw = field.raw(cells.bytes);
        if raw != last.0 {
            let view = *made.entry(raw).or_insert_with(|| {
                texts.make(|out| make(row, field.text(cells.bytes, &mut scratch), out))
            });
            last = (raw, view);
        }
        texts.push_made(last.1);
    }
    texts.finish(cells.bytes)
}

/// The array of a text column by its treatment.
pub fn treated_text(
    cells: &Cells,
    column: Option<usize>,
    treatment: Treatment,
    key: &DigestKey,
    trusted: &[bool],
) -> ArrayRef {
    let mended = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    match treatment {
        Treatment::Cut => kept_text(cells, column, true),
        Treatment::Host => made_text(cells, column, |_, cell, out| text::host(&mended(cell), out)),
        Treatment::Id18 => made_text(cells, column, |_, cell, out| {
            let mut id = [0; 18];
            match sf_id18_bytes(cell, &mut id) {
                true => out.extend_from_slice(&id),
                false => text::cut(&mended(cell), out),
            }
            true
        }),
        Treatment::Digest => digests(cells, column, key),
        Treatment::UriTemplate => made_text(cells, column, |_, cell, out| {
            uri::template(cell, key, out);
            true
        }),
        Treatment::ApexTemplate => made_text(cells, column, |_, cell, out| {
            uri::apex_template(cell, key, out);
            true
        }),
        Treatment::Address => made_text(cells, column, |_, cell, out| text::address(cell, out)),
        Treatment::AddressList => {
            made_text(cells, column, |_, cell, out| text::address_list(cell, out))
        }
        Treatment::Mentions => made_text(cells, column, |_, cell, out| {
            text::mentions(&mended(cell), key, out)
        }),
        Treatment::QueryClasses => made_text(cells, column, |_, cell, out| {
            query_classes::of_search(&mended(cell), out)
        }),
        Treatment::Contributors => {
            made_text(cells, column, |_, cell, out| contributors::names(cell, out))
        }
        Treatment::Username => usernames(cells, column, key, trusted),
        _ => kept_text(cells, column, false),
    }
}

/// Tokens are nearly unique, and equal ones stand together: only the last is remembered.
fn digests(cells: &Cells, column: Option<usize>, key: &DigestKey) -> ArrayRef {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    let mut scratch = Vec::new();
    let mut last: (&[u8], Option<u128>) = (&[], None);
    for row in 0..rows {
        let Some(field) = cells.filled(row, column) else {
            texts.push_null();
            continue;
        };
        let raw = field.raw(cells.bytes);
        if raw != last.0 {
            let view = texts.make(|made| {
                key.digest_into(field.text(cells.bytes, &mut scratch), made);
                true
            });
            last = (raw, view);
        }
        texts.push_made(last.1);
    }
    texts.finish(cells.bytes)
}

/// Usernames depend on whether the row's login succeeded, so equal cells may differ in result.
fn usernames(cells: &Cells, column: Option<usize>, key: &DigestKey, trusted: &[bool]) -> ArrayRef {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    let mut made: HashMap<(&[u8], bool), Option<u128>> = HashMap::new();
    let mut scratch = Vec::new();
    for (row, &trusted) in trusted.iter().enumerate().take(rows) {
        let field = cells.filled(row, column);
        let view = field.and_then(|field| {
            *made
                .entry((field.raw(cells.bytes), trusted))
                .or_insert_with(|| {
                    texts.make(|out| {
                        let cell = field.text(cells.bytes, &mut scratch);
                        text::username(&String::from_utf8_lossy(cell), trusted, key, out);
                        true
                    })
                })
        });
        texts.push_made(view);
    }
    texts.finish(cells.bytes)
}

/// `query_object`, `query_shape` and `query_classes` of a SOQL column.
pub fn query(cells: &Cells, column: Option<usize>, key: &DigestKey) -> [ArrayRef; 3] {
    let object = made_text(cells, column, |_, cell, out| {
        let soql = String::from_utf8_lossy(cell);
        text::query_object(&soql)
            .map(|o| out.extend_from_slice(o.as_bytes()))
            .is_some()
    });
    let shape = made_text(cells, column, |_, cell, out| {
        let shape = text::query_shape(&String::from_utf8_lossy(cell));
        key.digest_into(shape.as_bytes(), out);
        true
    });
    let classes = made_text(cells, column, |_, cell, out| {
        query_classes::of_query(&String::from_utf8_lossy(cell), out)
    });
    [object, shape, classes]
}

/// `actions`, `action_count` and `actions_malformed` of an ACTION_MESSAGE column.
pub fn actions(cells: &Cells, column: Option<usize>) -> [ArrayRef; 3] {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    let mut counts = Vec::with_capacity(rows);
    let mut malformed = Vec::with_capacity(rows);
    let mut made = HashMap::new();
    let mut scratch = Vec::new();
    for row in 0..rows {
        let Some(field) = cells.filled(row, column) else {
            texts.push_null();
            counts.push(None);
            malformed.push(None);
            continue;
        };
        let (view, total, odd) = *made.entry(field.raw(cells.bytes)).or_insert_with(|| {
            let tally = actions::tally(field.text(cells.bytes, &mut scratch));
            (texts.make_text(&tally.text), tally.count, tally.malformed)
        });
        texts.push_made(view);
        counts.push(Some(total));
        malformed.push(Some(odd));
    }
    [
        texts.finish(cells.bytes),
        Arc::new(Int64Array::from(counts)),
        Arc::new(Int64Array::from(malformed)),
    ]
}

/// The first of several id columns that holds an id, in 18 characters; other text of the first
/// filled one is kept, cut to 18 characters, so that an odd id does not make a row anonymous.
pub fn user_ids(cells: &Cells, columns: &[usize]) -> ArrayRef {
    let rows = cells.records.len();
    let mut texts = Texts::new(rows);
    let mut made: HashMap<&[u8], Option<u128>> = HashMap::new();
    for row in 0..rows {
        let mut odd = None;
        let view = columns.iter().find_map(|&column| {
            let raw = cells.field(row, column).raw(cells.bytes);
            if raw.trim_ascii().is_empty() {
                return None;
            }
            odd = odd.or(Some(raw));
            *made.entry(raw).or_insert_with(|| {
                let mut id = [0; 18];
                sf_id18_bytes(raw.trim_ascii(), &mut id)
                    .then(|| {
                        texts.make(|out| {
                            out.extend_from_slice(&id);
                            true
                        })
                    })
                    .flatten()
            })
        });
        let view = view.or_else(|| {
            let text = String::from_utf8_lossy(odd?)
                .trim()
                .chars()
                .take(18)
                .collect::<String>();
            texts.make(|out| {
                out.extend_from_slice(text.as_bytes());
                true
            })
        });
        texts.push_made(view);
    }
    texts.finish(cells.bytes)
}

/// Integers; a trailing `.0` does not count. What is no integer is NULL and counted.
pub fn integers(cells: &Cells, column: Option<usize>, unreadable: &mut u64) -> ArrayRef {
    let values = numbers(cells, column, unreadable, read_integer);
    Arc::new(Int64Array::from_iter(values))
}

pub fn decimals(cells: &Cells, column: Option<usize>, unreadable: &mut u64) -> ArrayRef {
    let read = |cell: &[u8]| {
        std::str::from_utf8(cell)
            .ok()?
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
    };
    Arc::new(Float64Array::from_iter(numbers(
        cells, column, unreadable, read,
    )))
}

/// `1`/`0`, `true`/`false`, in any case.
pub fn booleans(cells: &Cells, column: Option<usize>, unreadable: &mut u64) -> ArrayRef {
    let read = |cell: &[u8]| match cell {
        b"1" => Some(true),
        b"0" => Some(false),
        cell if cell.eq_ignore_ascii_case(b"true") => Some(true),
        cell if cell.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    };
    Arc::new(BooleanArray::from_iter(numbers(
        cells, column, unreadable, read,
    )))
}

/// Times that are not the row's own; a date alone is its midnight UTC.
pub fn times(
    cells: &Cells,
    column: Option<usize>,
    local_dates: LocalDates,
    unreadable: &mut u64,
) -> ArrayRef {
    let mut reader = TimeReader::new(local_dates);
    let read = |cell: &[u8]| reader.read_moment(cell);
    let values = numbers(cells, column, unreadable, read);
    Arc::new(TimestampMillisecondArray::from(values).with_timezone("UTC"))
}

fn numbers<T>(
    cells: &Cells,
    column: Option<usize>,
    unreadable: &mut u64,
    mut read: impl FnMut(&[u8]) -> Option<T>,
) -> Vec<Option<T>> {
    let rows = cells.records.len();
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        let cell = column
            .map_or(&[][..], |c| cells.field(row, c).raw(cells.bytes))
            .trim_ascii();
        let value = read(cell);
        *unreadable += u64::from(value.is_none() && !cell.is_empty());
        values.push(value);
    }
    values
}

fn read_integer(cell: &[u8]) -> Option<i64> {
    let whole = match cell.iter().position(|b| *b == b'.') {
        Some(at) if at > 0 && cell[at + 1..].iter().all(|b| *b == b'0') => &cell[..at],
        Some(_) => return None,
        None => cell,
    };
    let (negative, digits) = match whole.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, whole),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_accept_the_spellings_of_the_logs() {
        assert_eq!(read_integer(b"-1.0"), Some(-1));
        assert_eq!(read_integer(b"9998"), Some(9998));
        for odd in ["", "-", "1e3", "1.5", ".0", "99999999999999999999", "0x1"] {
            assert_eq!(read_integer(odd.as_bytes()), None, "{odd}");
        }
    }
}
