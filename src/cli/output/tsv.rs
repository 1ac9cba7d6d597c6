//! Tab-separated values: one line per row, and neither tabs nor line ends within a cell. What would
//! be one is written `\t`, `\n`, `\r`, and a backslash `\\`.

use std::io::Write;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::cell::{csv_text, formatters, is_text};
use super::{OutputError, ResultWriter};
use crate::privacy::printable;

/// Longest cell on a terminal, in characters.
const MAX_TERMINAL_CELL: usize = 10_000;

pub struct TsvWriter<'w> {
    sink: Box<dyn Write + Send + 'w>,
    to_terminal: bool,
}

impl<'w> TsvWriter<'w> {
    pub fn new(
        schema: &Schema,
        to_terminal: bool,
        mut sink: Box<dyn Write + Send + 'w>,
    ) -> Result<Self, OutputError> {
        let headings = schema
            .fields()
            .iter()
            .map(|f| text_cell(f.name(), to_terminal));
        let headings: Vec<String> = headings.collect();
        writeln!(sink, "{}", headings.join("\t"))?;
        Ok(Self { sink, to_terminal })
    }
}

impl ResultWriter for TsvWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = formatters(batch.columns())?;
        let is_text: Vec<bool> = batch
            .columns()
            .iter()
            .map(|c| is_text(c.data_type()))
            .collect();
        for row in 0..batch.num_rows() {
            let mut line = String::new();
            for (n, column) in columns.iter().enumerate() {
                if n > 0 {
                    line.push('\t');
                }
                let cell = column.value(row).try_to_string()?;
                match is_text[n] {
                    true => line.push_str(&text_cell(&cell, self.to_terminal)),
                    false => line.push_str(&cell),
                }
            }
            line.push('\n');
            self.sink.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.sink.flush()?)
    }
}

fn text_cell(text: &str, to_terminal: bool) -> String {
    let guarded = csv_text(text);
    let mut cell = String::with_capacity(guarded.len());
    for c in guarded.chars() {
        match c {
            '\t' => cell.push_str("\\t"),
            '\n' => cell.push_str("\\n"),
            '\r' => cell.push_str("\\r"),
            '\\' => cell.push_str("\\\\"),
            c => cell.push(c),
        }
    }
    match to_terminal {
        true => printable(&cell, MAX_TERMINAL_CELL),
        false => cell,
    }
}
