//! CSV after RFC 4180, with cells that no spreadsheet executes.

use std::io::Write;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::cell::{csv_text, formatters, is_text};
use super::{OutputError, ResultWriter};
use crate::privacy::printable;

/// Longest cell on a terminal, in characters.
const MAX_TERMINAL_CELL: usize = 10_000;

pub struct CsvWriter<'w> {
    writer: csv::Writer<Box<dyn Write + Send + 'w>>,
    to_terminal: bool,
}

impl<'w> CsvWriter<'w> {
    pub fn new(
        schema: &Schema,
        to_terminal: bool,
        sink: Box<dyn Write + Send + 'w>,
    ) -> Result<Self, OutputError> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(sink);
        let header = schema
            .fields()
            .iter()
            .map(|f| cell_text(f.name(), to_terminal));
        writer.write_record(header).map_err(io_error)?;
        Ok(Self {
            writer,
            to_terminal,
        })
    }
}

impl ResultWriter for CsvWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = formatters(batch.columns())?;
        let text: Vec<bool> = batch
            .columns()
            .iter()
            .map(|c| is_text(c.data_type()))
            .collect();
        for row in 0..batch.num_rows() {
            for (column, is_text) in columns.iter().zip(&text) {
                let cell = column.value(row).try_to_string()?;
                let cell = if *is_text {
                    cell_text(&cell, self.to_terminal)
                } else {
                    cell
                };
                self.writer.write_field(cell).map_err(io_error)?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(io_error)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.writer.flush()?)
    }
}

fn cell_text(text: &str, to_terminal: bool) -> String {
    let guarded = csv_text(text);
    if to_terminal {
        printable(&guarded, MAX_TERMINAL_CELL)
    } else {
        guarded.into_owned()
    }
}

fn io_error(error: csv::Error) -> OutputError {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => OutputError::Io(source),
        other => OutputError::Io(std::io::Error::other(format!("{other:?}"))),
    }
}
