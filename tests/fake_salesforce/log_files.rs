//! Log files' contents, and the answer to `…/EventLogFile/{id}/LogFile`.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::answer::{Answer, Body, Chunks, Compression, api_error};
use super::ids;
use super::quirks::{ContentType, Gzip};
use super::state::{ElfState, State, User};

/// A file's content: held, or made row by row.
#[derive(Debug, Clone)]
pub enum Blob {
    Bytes(Arc<[u8]>),
    Rows(Rows),
}

/// Rows that differ in a counter and a time only, so that length and content are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    pub event_type: String,
    pub organisation: String,
    /// Eighteen characters.
    pub user_id: String,
    /// Of the first row; each row is a millisecond later.
    pub start: DateTime<Utc>,
    pub count: u64,
    /// Part of each row's request id: files with different ones share no row.
    pub seed: u32,
}

const PIECE: usize = 1 << 16;

impl Blob {
    pub fn text(text: impl Into<String>) -> Self {
        Blob::bytes(text.into().into_bytes())
    }

    pub fn bytes(bytes: Vec<u8>) -> Self {
        Blob::Bytes(bytes.into())
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        match self {
            Blob::Bytes(bytes) => bytes.len() as u64,
            Blob::Rows(rows) => rows.header().len() as u64 + rows.count * rows.row(0).len() as u64,
        }
    }

    pub fn chunks(&self) -> Chunks {
        match self {
            Blob::Bytes(bytes) => {
                let bytes = Arc::clone(bytes);
                let pieces = (0..bytes.len()).step_by(PIECE);
                Box::new(pieces.map(move |start| {
                    let end = bytes.len().min(start + PIECE);
                    bytes[start..end].to_vec()
                }))
            }
            Blob::Rows(rows) => Box::new(Pieces {
                rows: rows.clone(),
                next: 0,
                begun: false,
            }),
        }
    }

    /// All of it, for files of which one knows that they are small.
    pub fn whole(&self) -> Vec<u8> {
        self.chunks().flatten().collect()
    }

    /// Names of the columns, with commas between.
    pub fn header(&self) -> String {
        let line = match self {
            Blob::Bytes(bytes) => {
                let first = bytes
                    .split(|byte| *byte == b'\n')
                    .next()
                    .unwrap_or_default();
                String::from_utf8_lossy(first).into_owned()
            }
            Blob::Rows(rows) => rows.header(),
        };
        line.replace(['"', '\r', '\n'], "")
    }
}

impl Rows {
    fn header(&self) -> String {
        let columns = [
            "EVENT_TYPE",
            "TIMESTAMP",
            "REQUEST_ID",
            "ORGANIZATION_ID",
            "USER_ID",
            "RUN_TIME",
            "CPU_TIME",
            "URI",
            "SESSION_KEY",
            "LOGIN_KEY",
            "TIMESTAMP_DERIVED",
            "USER_ID_DERIVED",
            "CLIENT_IP",
            "URI_ID_DERIVED",
        ];
        format!("\"{}\"\n", columns.join("\",\""))
    }

    /// All rows have the same length.
    fn row(&self, number: u64) -> String {
        let Self {
            event_type,
            organisation,
            user_id,
            ..
        } = self;
        let time = self.start + chrono::TimeDelta::milliseconds(number as i64);
        let compact = time.format("%Y%m%d%H%M%S%.3f");
        let derived = time.format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let request = format!("{:010x}{:012}", self.seed, number);
        let (short_org, short_user) = (&organisation[..15], &user_id[..15]);
        let cells = format!(
            "\"{event_type}\",\"{compact}\",\"{request}\",\"{short_org}\",\"{short_user}\",\"12\",\
             \"3\",\"/services/data/v66.0/query\",\"\",\"\",\"{derived}\",\"{user_id}\",\
             \"198.51.100.7\",\"\"\n"
        );
        cells
    }
}

struct Pieces {
    rows: Rows,
    next: u64,
    begun: bool,
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = String::new();
        if !self.begun {
            self.begun = true;
            piece.push_str(&self.rows.header());
        }
        while self.next < self.rows.count && piece.len() < PIECE {
            piece.push_str(&self.rows.row(self.next));
            self.next += 1;
        }
        (!piece.is_empty()).then(|| piece.into_bytes())
    }
}

/// `GET …/sobjects/EventLogFile/{id}/LogFile` of this user.
pub fn log_file(state: &State, user: &User, id: &str) -> Answer {
    if !user.may("ViewEventLogFiles") && !user.may("ViewAllData") {
        return api_error(
            403,
            "INSUFFICIENT_ACCESS",
            "insufficient access rights on entity: EventLogFile",
        );
    }
    let gone = || api_error(404, "NOT_FOUND", "The requested resource does not exist");
    if !ids::is_id(id) {
        return api_error(
            404,
            "MALFORMED_ID",
            &format!("EventLogFile ID: id value of incorrect type: {id}"),
        );
    }
    let Some(file) = state.visible_log_file(id) else {
        return gone();
    };
    let body = match &file.state {
        ElfState::Gone => return gone(),
        ElfState::Writing { ready_at, shows } if state.now() < *ready_at => match shows {
            None => return gone(),
            Some(bytes) => prefix(file.body.chunks(), *bytes),
        },
        ElfState::Ready | ElfState::Writing { .. } => file.body.chunks(),
    };
    let mut answer = Answer::bytes(200, Vec::new());
    answer.sized = state.quirks.content_length;
    answer.body = match state.quirks.content_length {
        true => Body::Bytes(body.flatten().collect()),
        false => Body::Chunks(body),
    };
    answer.gzip = match state.quirks.gzip {
        Gzip::AsAsked => Compression::Asked,
        Gzip::Never => Compression::Never,
        Gzip::Always => Compression::Forced,
    };
    match state.quirks.content_type {
        ContentType::OctetStream => answer.set("content-type", "application/octetstream"),
        ContentType::Csv => answer.set("content-type", "text/csv; charset=UTF-8"),
        ContentType::None => {}
    }
    answer
}

fn prefix(chunks: Chunks, bytes: u64) -> Chunks {
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    Box::new(chunks.map_while(move |mut chunk| {
        chunk.truncate(left);
        left -= chunk.len();
        (!chunk.is_empty()).then_some(chunk)
    }))
}
