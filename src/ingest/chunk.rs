//! A file's bytes in chunks that start and end on record borders, in order, whatever the source.
//!
//! Chunks are made one after the other under a lock, parsed and written by many threads. Memory
//! is one block and one record per chunk in flight, however large the file.

use std::io::{self, Read};
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memmem};

use super::layout::Layout;
use super::records::{self, MAX_RECORD, Records};
use crate::catalog::Catalog;
use crate::lake::ContentHash;

/// Bytes read at a time.
const BLOCK: usize = 4 << 20;
/// Rows in which the event type is looked for.
const TYPE_ROWS: usize = 1000;

/// A stretch of whole records below one header.
pub struct Chunk {
    pub bytes: Vec<u8>,
    pub layout: Arc<Layout>,
    /// Physical line of the first byte, from 1.
    pub first_line: u64,
    /// Line feeds in `bytes`.
    pub line_feeds: usize,
    /// The file ends with this chunk.
    pub is_last: bool,
    /// Already split where the reading is general; anchored chunks are split by the worker.
    pub records: Option<Records>,
}

/// What ends a stretch of chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The header, or what stands in its place, is not one we read.
    Header(String),
    /// The file could not be read or inflated to its end.
    Io(String),
}

/// Where the repeated headers of concatenated files stand, by line: rows of different sections
/// are rows of different files.
pub type Sections = Vec<u64>;

/// Cuts one source into chunks.
pub struct Chunker<R> {
    source: R,
    buffer: Vec<u8>,
    at_end: bool,
    /// Nothing more of this event type is to come, whichever thread asks.
    ended: bool,
    next_line: u64,
    header_line: Vec<u8>,
    layout: Option<Arc<Layout>>,
    anchored: bool,
    row_seed: u64,
    hasher: blake3::Hasher,
    pub size: u64,
    pub sections: Sections,
    pub repeated_headers: u64,
    /// A header of another event type was met: what follows is another file in this one.
    pub other_type_follows: bool,
}

impl<R: Read> Chunker<R> {
    pub fn new(source: R, row_seed: u64) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            at_end: false,
            ended: false,
            next_line: 1,
            header_line: Vec::new(),
            layout: None,
            anchored: false,
            row_seed,
            hasher: blake3::Hasher::new(),
            size: 0,
            sections: vec![],
            repeated_headers: 0,
            other_type_follows: false,
        }
    }

    /// For a text made of JSON, whose first record is line 1.
    pub fn of_records(source: R, row_seed: u64) -> Self {
        Self {
            next_line: 0,
            ..Self::new(source, row_seed)
        }
    }

    pub fn layout(&self) -> Option<&Arc<Layout>> {
        self.layout.as_ref()
    }

    pub fn content_hash(&self) -> ContentHash {
        *self.hasher.finalize().as_bytes()
    }

    /// Starts on the next event type of a concatenated file.
    pub fn begin_other_type(&mut self) {
        self.other_type_follows = false;
        self.ended = false;
        self.layout = None;
        self.sections.clear();
        self.repeated_headers = 0;
        self.hasher = blake3::Hasher::new();
        self.size = 0;
    }

    /// The next chunk, or `None` at the end of the file (or of this event type in it).
    pub fn next(&mut self, catalog: &Catalog) -> Result<Option<Chunk>, Refusal> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.layout.is_none() || self.at_header() {
                self.ended = !self.take_header(catalog)?;
                continue;
            }
            if self.buffer.len() < BLOCK && !self.at_end {
                self.fill(self.buffer.len() + BLOCK)?;
            }
            if self.buffer.is_empty() {
                return Ok(None);
            }
            if self.at_header() {
                continue;
            }
            if let Some(chunk) = self.cut()? {
                return Ok(Some(chunk));
            }
        }
    }

    /// Whether the buffer starts with a header row (again).
    fn at_header(&self) -> bool {
        !self.header_line.is_empty()
            && (self.buffer.starts_with(&self.header_line)
                || self.anchored && self.buffer.starts_with(b"\"EVENT_TYPE\","))
    }

    fn fill(&mut self, upto: usize) -> Result<(), Refusal> {
        let want = upto.saturating_sub(self.buffer.len());
        if want == 0 || self.at_end {
            return Ok(());
        }
        let from = self.buffer.len();
        // A byte more than wanted: to be told that the source has no more.
        self.buffer.reserve(want + 1);
        let got = (&mut self.source)
            .take(want as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|e| Refusal::Io(read_fault(&e)))?;
        self.at_end = got < want;
        if from == 0 && self.next_line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.buffer.drain(..3);
        }
        Ok(())
    }

    /// Reads the header at the start of the buffer; false where there is none (empty file).
    fn take_header(&mut self, catalog: &Catalog) -> Result<bool, Refusal> {
        self.fill(BLOCK)?;
        while let Some(b'\n' | b'\r') = self.buffer.first() {
            self.use_up(1);
        }
        if self.buffer.is_empty() {
            return match self.layout {
                Some(_) => Ok(false),
                None => Err(Refusal::Header(
                    "the file is empty: not even a header row".into(),
                )),
            };
        }
        if self.buffer.starts_with(b"\xff\xfe") || self.buffer.starts_with(b"\xfe\xff") {
            return Err(Refusal::Header("the file is UTF-16; expected UTF-8".into()));
        }
        let (headings, end) = records::read_header(&self.buffer[..self.buffer.len().min(1 << 20)])
            .map_err(|fault| Refusal::Header(format!("the header row: {fault}")))?;
        let rest = &self.buffer[end.min(self.buffer.len())..];
        let first_type = first_event_type(&headings, rest);
        if first_type.is_none() && rest.iter().all(|b| matches!(b, b'\r' | b'\n')) && self.at_end {
            // A header and nothing below it: no events, which is not an error.
            if catalog_knows(catalog, &headings) {
                // Of a snapshot it says that there are none, and of what.
                let layout = Layout::new(catalog, &headings, None, self.row_seed).ok();
                if let Some(layout) =
                    layout.filter(|l| self.layout.is_none() && l.event.is_roster())
                {
                    self.layout = Some(Arc::new(layout));
                }
                self.use_up(end);
                self.buffer.clear();
                return Ok(false);
            }
        }
        let layout = Layout::new(catalog, &headings, first_type.as_deref(), self.row_seed)
            .map_err(Refusal::Header)?;
        if let Some(before) = &self.layout {
            if before.event.name != layout.event.name {
                self.other_type_follows = true;
                return Ok(false);
            }
            self.repeated_headers += 1;
            self.sections.push(self.next_line);
        }
        let anchored_rows = records::is_anchor(rest);
        self.header_line = self.buffer[..end].to_vec();
        self.anchored = anchored_rows && layout.event_type == Some(0);
        self.use_up(end);
        self.layout = Some(Arc::new(layout));
        Ok(true)
    }

    fn use_up(&mut self, bytes: usize) {
        let used = &self.buffer[..bytes];
        self.next_line += memchr_iter(b'\n', used).count() as u64;
        self.hasher.update(used);
        self.size += used.len() as u64;
        self.buffer.drain(..bytes);
    }

    /// Cuts the chunk at the front of the buffer; `None` where more bytes are needed first.
    fn cut(&mut self) -> Result<Option<Chunk>, Refusal> {
        let Some(layout) = self.layout.clone() else {
            return Ok(None);
        };
        let until = self.next_header().unwrap_or(self.buffer.len());
        let closed = until < self.buffer.len() || self.at_end;
        let (end, records) = if self.anchored {
            let end = if closed {
                Some(until)
            } else {
                records::last_anchor(&self.buffer)
            };
            (end, None)
        } else {
            let mut records = Records::new(layout.width());
            let end = records.read_general(&self.buffer[..until], closed);
            ((end > 0).then_some(end), Some(records))
        };
        let Some(end) = end else {
            if self.buffer.len() < MAX_RECORD {
                self.fill(self.buffer.len() + BLOCK)?;
                return Ok(None);
            }
            // No record start in the longest stretch that one record may fill: these rows are not
            // all quoted, whatever the first one was.
            self.anchored = false;
            return Ok(None);
        };
        let rest = self.buffer.split_off(end);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        Ok(Some(self.chunk(bytes, layout, records)))
    }

    fn chunk(&mut self, bytes: Vec<u8>, layout: Arc<Layout>, records: Option<Records>) -> Chunk {
        let line_feeds = memchr_iter(b'\n', &bytes).count();
        let first_line = self.next_line;
        self.next_line += line_feeds as u64;
        self.hasher.update(&bytes);
        self.size += bytes.len() as u64;
        let is_last = self.at_end && self.buffer.is_empty();
        Chunk {
            bytes,
            layout,
            first_line,
            line_feeds,
            is_last,
            records,
        }
    }

    /// Where the next header row starts in the buffer.
    fn next_header(&self) -> Option<usize> {
        let line = self.header_line.trim_ascii_end();
        let probe: &[u8] = if self.anchored {
            b"\"EVENT_TYPE\","
        } else {
            line
        };
        memmem::find_iter(&self.buffer, probe).find(|&at| at > 0 && self.buffer[at - 1] == b'\n')
    }
}

/// The EVENT_TYPE cell of the first row.
fn first_event_type(headings: &[String], rest: &[u8]) -> Option<String> {
    let at = headings
        .iter()
        .position(|h| h.eq_ignore_ascii_case("EVENT_TYPE"))?;
    let mut rest = rest;
    for _ in 0..TYPE_ROWS {
        let end = match records::read_header(rest) {
            Ok((cells, end)) => {
                let cell = cells.get(at).filter(|c| !c.is_empty());
                if let Some(cell) = cell.filter(|c| !c.eq_ignore_ascii_case("EVENT_TYPE")) {
                    return Some(cell.clone());
                }
                end
            }
            Err(_) => memchr(b'\n', rest)? + 1,
        };
        rest = rest.get(end..).filter(|rest| !rest.is_empty())?;
    }
    None
}

/// Whether a header without rows is one of ours.
fn catalog_knows(catalog: &Catalog, headings: &[String]) -> bool {
    let names: Vec<&str> = headings.iter().map(String::as_str).collect();
    !matches!(
        catalog.identify(&names),
        crate::catalog::Identified::Refused { .. }
    )
}

pub(super) fn read_fault(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends early: the archive is cut off".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_without_rows_ends_for_every_thread_that_asks() {
        let header = b"\"EVENT_TYPE\",\"TIMESTAMP\"\n";
        let mut chunker = Chunker::new(&header[..], 1);
        let catalog = Catalog::embedded();
        for _ in 0..2 {
            assert!(chunker.next(&catalog).is_ok_and(|chunk| chunk.is_none()));
        }
    }
}
