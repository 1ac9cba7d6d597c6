//! Answers: status, headers and a body that is made while it goes out.

use std::io::Write;
use std::time::Duration;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};

pub type Chunks = Box<dyn Iterator<Item = Vec<u8>> + Send>;
pub type Wired = UnsyncBoxBody<Bytes, std::io::Error>;

/// How a body that is cut short ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// RST.
    Reset,
    /// FIN, in the middle of the message.
    Close,
    /// As if that were all.
    Proper,
}

pub enum Body {
    Bytes(Vec<u8>),
    /// Made piece by piece, never held whole.
    Chunks(Chunks),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Where the client takes it.
    Asked,
    Never,
    /// Whether the client takes it or not.
    Forced,
}

/// What happens to the answer on its way.
#[derive(Debug, Default)]
pub struct Wire {
    pub cut: Option<(u64, Ending)>,
    pub stall: Option<u64>,
    pub drip: Option<(usize, Duration)>,
    pub corrupt: bool,
    pub wrong_length: Option<i64>,
    pub http10: bool,
}

pub struct Answer {
    /// 0: no answer at all.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Body,
    pub gzip: Compression,
    /// Content-Length and not chunks. Only for a body that is held whole.
    pub sized: bool,
    pub wire: Box<Wire>,
}

impl Answer {
    pub fn bytes(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Bytes(body),
            gzip: Compression::Asked,
            sized: true,
            wire: Box::default(),
        }
    }

    pub fn json(status: u16, body: &Value) -> Self {
        let answer = Self::bytes(status, body.to_string().into_bytes());
        answer.with("content-type", "application/json;charset=UTF-8")
    }

    pub fn html(status: u16, body: &str) -> Self {
        let answer = Self::bytes(status, body.as_bytes().to_vec());
        answer.with("content-type", "text/html; charset=UTF-8")
    }

    /// The connection ends before the answer.
    pub fn nothing(ending: Ending) -> Self {
        let mut answer = Self::bytes(0, Vec::new());
        answer.wire.cut = Some((0, ending));
        answer
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The body, where it is held as text.
    pub fn body_text(&self) -> String {
        match &self.body {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Body::Chunks(_) => String::new(),
        }
    }

    /// For hyper; the body's bytes are compressed, cut, slowed down as they are asked for.
    /// Some ending: the connection must end so after the body.
    pub fn on_the_wire(mut self, accepts_gzip: bool) -> hyper::Response<Wired> {
        let compress = match self.gzip {
            Compression::Asked => accepts_gzip && self.body.is_worth_it(),
            Compression::Never => false,
            Compression::Forced => true,
        };
        if compress {
            self.set("content-encoding", "gzip");
            self.body = Body::Chunks(Box::new(Gzipped::new(self.body.chunks())));
        }
        if self.wire.corrupt {
            self.body = Body::Chunks(corrupted(self.body.chunks()));
        }
        let length = match &self.body {
            Body::Bytes(bytes) => Some(bytes.len() as i64),
            Body::Chunks(_) => None,
        };
        if let Some(more) = self.wire.wrong_length {
            let bytes = self.body.chunks().flatten().collect::<Vec<u8>>();
            let claimed = (bytes.len() as i64 + more).max(0);
            self.set("content-length", &claimed.to_string());
            self.body = Body::Bytes(bytes);
        } else if let (Some(length), true, false) = (length, self.sized, self.wire.http10) {
            self.set("content-length", &length.to_string());
        }
        let mut response = hyper::Response::builder().status(self.status);
        if self.wire.http10 {
            response = response.version(hyper::Version::HTTP_10);
        }
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let body = stream_of(self.body.chunks(), &self.wire);
        response
            .body(body)
            .expect("a status and headers that HTTP knows")
    }
}

impl Body {
    pub fn zeros(length: u64) -> Self {
        const PIECE: u64 = 1 << 16;
        let pieces = (0..length.div_ceil(PIECE)).map(move |piece| {
            let size = PIECE.min(length - piece * PIECE);
            vec![b'0'; size as usize]
        });
        Body::Chunks(Box::new(pieces))
    }

    fn chunks(&mut self) -> Chunks {
        match std::mem::replace(self, Body::Bytes(Vec::new())) {
            Body::Bytes(bytes) => {
                Box::new(std::iter::once(bytes).filter(|bytes| !bytes.is_empty()))
            }
            Body::Chunks(chunks) => chunks,
        }
    }

    fn is_worth_it(&self) -> bool {
        match self {
            Body::Bytes(bytes) => !bytes.is_empty(),
            Body::Chunks(_) => true,
        }
    }
}

struct Gzipped {
    source: Chunks,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzipped {
    fn new(source: Chunks) -> Self {
        Self {
            source,
            encoder: Some(GzEncoder::new(Vec::new(), Level::fast())),
        }
    }
}

impl Iterator for Gzipped {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(encoder) = &mut self.encoder {
            match self.source.next() {
                Some(chunk) => {
                    encoder.write_all(&chunk).expect("memory takes all");
                    let ready = std::mem::take(encoder.get_mut());
                    if !ready.is_empty() {
                        return Some(ready);
                    }
                }
                None => return self.encoder.take()?.finish().ok(),
            }
        }
        None
    }
}

/// The same bytes, wrong from the thirteenth to the fortieth: after gzip's header.
fn corrupted(source: Chunks) -> Chunks {
    let mut place = 0usize;
    Box::new(source.map(move |mut chunk| {
        for byte in &mut chunk {
            if (12..40).contains(&place) {
                *byte = !*byte;
            }
            place += 1;
        }
        chunk
    }))
}

/// Where in the stream we are.
struct Progress {
    chunks: Chunks,
    /// What is left of a chunk that goes out in parts.
    rest: Vec<u8>,
    sent: u64,
    cut: Option<(u64, Ending)>,
    stall: Option<u64>,
    drip: Option<(usize, Duration)>,
    /// The end is a fault: everything before it must be out.
    flush: bool,
    over: bool,
}

impl Progress {
    /// How many bytes may go out at once.
    fn room(&self) -> usize {
        let until = |end: Option<u64>| end.map_or(u64::MAX, |end| end.saturating_sub(self.sent));
        let room = until(self.cut.map(|(after, _)| after)).min(until(self.stall));
        let step = self.drip.map_or(usize::MAX, |(bytes, _)| bytes.max(1));
        usize::try_from(room).unwrap_or(usize::MAX).min(step)
    }
}

fn stream_of(chunks: Chunks, wire: &Wire) -> Wired {
    let progress = Progress {
        chunks,
        rest: Vec::new(),
        sent: 0,
        cut: wire.cut,
        stall: wire.stall,
        drip: wire.drip,
        flush: wire.cut.is_some() || wire.wrong_length.is_some(),
        over: false,
    };
    let frames = stream::unfold(progress, |mut progress| async move {
        if progress.over {
            return None;
        }
        // One large answer is not to keep all others waiting.
        tokio::task::yield_now().await;
        if progress.rest.is_empty() {
            progress.rest = progress.chunks.next().unwrap_or_default();
        }
        let at_end = progress.rest.is_empty();
        let room = progress.room();
        if progress.stall.is_some() && (at_end || room == 0) {
            return std::future::pending().await;
        }
        if at_end || room == 0 {
            progress.over = true;
            if progress.flush {
                // Else what was not written yet would be lost with the connection.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            return match progress.cut {
                None | Some((_, Ending::Proper)) => None,
                Some(_) => Some((Err(std::io::Error::other("cut short")), progress)),
            };
        }
        if let Some((_, pause)) = progress.drip {
            tokio::time::sleep(pause).await;
        }
        let rest = progress.rest.split_off(room.min(progress.rest.len()));
        let bytes = std::mem::replace(&mut progress.rest, rest);
        progress.sent += bytes.len() as u64;
        Some((Ok(Frame::data(Bytes::from(bytes))), progress))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// An error of the data APIs: an array with one object.
pub fn api_error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!([{"message": message, "errorCode": code}]))
}

/// An error of the token endpoint: an object.
pub fn oauth_error(error: &str, description: &str) -> Answer {
    let body = json!({"error": error, "error_description": description});
    Answer::json(400, &body)
        .with("cache-control", "no-store")
        .with("pragma", "no-cache")
}
