//! JSON, as one array or one object per line. Values are never altered; characters that would
//! act on a terminal are written as `\u` escapes, which mean the same.

use std::io::{self, Write};

use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited};
use arrow::json::{Writer, WriterBuilder};
use arrow::record_batch::RecordBatch;

use super::{OutputError, ResultWriter};
use crate::privacy::escape_json;

pub enum JsonWriter<'w> {
    Array(Writer<Escaping<'w>, JsonArray>),
    Lines(Writer<Escaping<'w>, LineDelimited>),
}

impl<'w> JsonWriter<'w> {
    pub fn array(sink: Box<dyn Write + Send + 'w>) -> Self {
        JsonWriter::Array(build(sink))
    }

    pub fn lines(sink: Box<dyn Write + Send + 'w>) -> Self {
        JsonWriter::Lines(build(sink))
    }
}

fn build<'w, F: JsonFormat>(sink: Box<dyn Write + Send + 'w>) -> Writer<Escaping<'w>, F> {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_format("%Y-%m-%dT%H:%M:%S%.fZ".to_owned())
        .build(Escaping {
            sink,
            carried: Vec::new(),
        })
}

impl ResultWriter for JsonWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        match self {
            JsonWriter::Array(writer) => writer.write(batch)?,
            JsonWriter::Lines(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        let sink = match self {
            JsonWriter::Array(writer) => {
                writer.finish()?;
                let sink = writer.get_mut();
                sink.write_all(b"\n")?;
                sink
            }
            JsonWriter::Lines(writer) => {
                writer.finish()?;
                writer.get_mut()
            }
        };
        Ok(sink.flush()?)
    }
}

/// Passes JSON on, with invisible and direction-changing characters as `\u` escapes. In JSON
/// they can only stand inside strings, so the value stays the same.
pub struct Escaping<'w> {
    sink: Box<dyn Write + Send + 'w>,
    /// Bytes of a character that the last write cut.
    carried: Vec<u8>,
}

impl Write for Escaping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.carried.is_empty() && bytes.iter().all(|b| b.is_ascii() && *b != 0x7f) {
            self.sink.write_all(bytes)?;
            return Ok(bytes.len());
        }
        self.carried.extend_from_slice(bytes);
        let valid = match std::str::from_utf8(&self.carried) {
            Ok(_) => self.carried.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let rest = self.carried.split_off(valid);
        let text = String::from_utf8_lossy(&self.carried);
        self.sink.write_all(escape_json(&text).as_bytes())?;
        self.carried = rest;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
