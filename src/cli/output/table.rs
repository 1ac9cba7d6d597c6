//! A table for people: aligned by display width, fitted to the terminal, every character
//! printable. Where even narrow columns do not fit, each row becomes a block of its own.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cell::{formatters, is_numeric};
use super::{OutputError, ResultWriter};
use crate::privacy::printable;

const GAP: &str = "  ";
/// A column of text is not squeezed below this; a number is never cut.
const LEAST_WIDTH: usize = 10;
/// Longest cell shown, in characters.
const MAX_CELL: usize = 10_000;

pub struct TableWriter<'w> {
    schema: SchemaRef,
    width: Option<usize>,
    sink: Box<dyn Write + Send + 'w>,
    rows: Vec<Vec<String>>,
}

impl<'w> TableWriter<'w> {
    pub fn new(schema: SchemaRef, width: Option<usize>, sink: Box<dyn Write + Send + 'w>) -> Self {
        Self {
            schema,
            width,
            sink,
            rows: Vec::new(),
        }
    }
}

impl ResultWriter for TableWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = formatters(batch.columns())?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| Ok(printable(&column.value(row).try_to_string()?, MAX_CELL)))
                .collect::<Result<Vec<_>, OutputError>>()?;
            self.rows.push(cells);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        let table = Table {
            headings: self
                .schema
                .fields()
                .iter()
                .map(|f| printable(f.name(), MAX_CELL))
                .collect(),
            right: self
                .schema
                .fields()
                .iter()
                .map(|f| is_numeric(f.data_type()))
                .collect(),
            rows: std::mem::take(&mut self.rows),
        };
        self.sink.write_all(table.render(self.width).as_bytes())?;
        Ok(self.sink.flush()?)
    }
}

/// Printable headings and cells, ready to be laid out.
pub struct Table {
    pub headings: Vec<String>,
    /// Columns aligned to the right.
    pub right: Vec<bool>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn render(&self, width: Option<usize>) -> String {
        if self.headings.is_empty() {
            return String::new();
        }
        match self.column_widths(width) {
            Some(widths) => self.render_columns(&widths),
            None => self.render_blocks(width.unwrap_or(usize::MAX)),
        }
    }

    /// Width of each column, squeezed from the widest down until the table fits; none if it
    /// cannot.
    fn column_widths(&self, available: Option<usize>) -> Option<Vec<usize>> {
        let mut widths: Vec<usize> = self.headings.iter().map(|h| h.width().max(1)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let Some(available) = available else {
            return Some(widths);
        };
        let number = |n: usize| self.right.get(n).copied().unwrap_or(false);
        let least: Vec<usize> = widths
            .iter()
            .enumerate()
            .map(|(n, w)| if number(n) { *w } else { (*w).min(LEAST_WIDTH) })
            .collect();
        let gaps = GAP.len() * (widths.len() - 1);
        let room = available.checked_sub(gaps)?;
        if least.iter().sum::<usize>() > room {
            return None;
        }
        while widths.iter().sum::<usize>() > room {
            let squeezable = widths.iter_mut().zip(&least).filter(|(w, l)| **w > **l);
            let (widest, _) = squeezable.max_by_key(|(w, _)| **w)?;
            *widest -= 1;
        }
        Some(widths)
    }

    fn render_columns(&self, widths: &[usize]) -> String {
        let mut out = String::new();
        self.push_line(&mut out, &self.headings, widths);
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        self.push_line(&mut out, &rule, widths);
        for row in &self.rows {
            self.push_line(&mut out, row, widths);
        }
        out
    }

    fn push_line(&self, out: &mut String, cells: &[String], widths: &[usize]) {
        let mut line = String::new();
        for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if n > 0 {
                line.push_str(GAP);
            }
            let cell = fit(cell, *width);
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            if self.right.get(n).copied().unwrap_or(false) {
                line.push_str(&padding);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&padding);
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }

    fn render_blocks(&self, width: usize) -> String {
        let label = self
            .headings
            .iter()
            .map(|h| h.width())
            .max()
            .unwrap_or(0)
            .min(width / 2);
        let mut out = String::new();
        for (n, row) in self.rows.iter().enumerate() {
            out.push_str(&format!("row {}\n", n + 1));
            for (heading, cell) in self.headings.iter().zip(row) {
                let heading = fit(heading, label);
                let padding = " ".repeat(label.saturating_sub(heading.width()));
                let room = width.saturating_sub(label + GAP.len());
                out.push_str(format!("{heading}{padding}{GAP}{}", fit(cell, room)).trim_end());
                out.push('\n');
            }
        }
        if self.rows.is_empty() {
            for heading in &self.headings {
                out.push_str(&fit(heading, width));
                out.push('\n');
            }
        }
        out
    }
}

/// `text` in at most `width` columns, cut with an ellipsis.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let cells = c.width().unwrap_or(0);
        if used + cells + 1 > width {
            break;
        }
        used += cells;
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    out
}
