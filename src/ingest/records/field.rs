//! A field of a record: a place in the chunk, never a copy.

use memchr::memchr;

/// Where a field's text lies in the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    start: u32,
    /// Length; the top bit says that the text holds doubled quotes.
    len: u32,
}

const DOUBLED: u32 = 1 << 31;

impl Field {
    pub(super) fn new(start: usize, end: usize, doubled: bool) -> Self {
        // A chunk is shorter than 4 GiB and a record shorter than MAX_RECORD.
        let len = (end - start) as u32 | if doubled { DOUBLED } else { 0 };
        Self {
            start: start as u32,
            len,
        }
    }

    pub fn start(self) -> usize {
        self.start as usize
    }

    pub fn end(self) -> usize {
        self.start as usize + (self.len & !DOUBLED) as usize
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    pub fn has_doubled_quotes(self) -> bool {
        self.len & DOUBLED != 0
    }

    /// The text as it stands in the file.
    pub fn raw(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start()..self.end()]
    }

    /// The text with doubled quotes undone, in `scratch` where that needs a copy.
    pub fn text<'a>(self, bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let raw = self.raw(bytes);
        if !self.has_doubled_quotes() {
            return raw;
        }
        scratch.clear();
        undouble(raw, scratch);
        scratch
    }
}

/// Appends `raw` to `out` with each doubled quote as one.
pub fn undouble(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        rest = &rest[(at + 2).min(rest.len())..];
    }
    out.extend_from_slice(rest);
}
