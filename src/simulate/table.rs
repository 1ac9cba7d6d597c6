//! The rows of one log on one day, written as they will stand in the file.

use super::acts::{Mark, Text};

/// How a file quotes its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// EventLogFile, and exports of loaders: every cell.
    Always,
    /// A query's result: cells that need it.
    WhereNeeded,
}

/// One log: its headings and the rows of the day so far.
pub struct Table {
    columns: Vec<Text>,
    quoting: Quoting,
    bytes: Vec<u8>,
    lines: Vec<Line>,
    /// The row that is being written: its cells, and where each lies.
    scratch: Vec<u8>,
    cells: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub at: i64,
    pub mark: Mark,
    start: usize,
    end: usize,
}

impl Table {
    pub fn new(columns: Vec<Text>, quoting: Quoting) -> Self {
        Self {
            cells: vec![(0, 0); columns.len()],
            columns,
            quoting,
            bytes: vec![],
            lines: vec![],
            scratch: vec![],
        }
    }

    pub fn row(&mut self, at: i64, mark: Mark) -> Row<'_> {
        self.scratch.clear();
        self.cells.fill((0, 0));
        Row {
            table: self,
            at,
            mark,
            cursor: 0,
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The heading line.
    pub fn header(&self) -> Vec<u8> {
        let mut line = vec![];
        for (n, column) in self.columns.iter().enumerate() {
            if n > 0 {
                line.push(b',');
            }
            put_cell(column.as_bytes(), self.quoting, &mut line);
        }
        line.push(b'\n');
        line
    }

    /// The lines before `end` in the order of their times.
    pub fn lines_before(&mut self, end: i64) -> &[Line] {
        self.lines.sort_by_key(|line| line.at);
        let n = self.lines.partition_point(|line| line.at < end);
        &self.lines[..n]
    }

    /// The text of a line, with its line break.
    pub fn text(&self, line: &Line) -> &[u8] {
        &self.bytes[line.start..line.end]
    }

    /// Forgets what lies before `end`: its file is written.
    pub fn forget_before(&mut self, end: i64) {
        let mut kept = vec![];
        self.lines.retain(|line| line.at >= end);
        for line in &mut self.lines {
            let start = kept.len();
            kept.extend_from_slice(&self.bytes[line.start..line.end]);
            (line.start, line.end) = (start, kept.len());
        }
        // The day's memory is kept for the next one unless there is far too much of it.
        self.bytes.clear();
        self.bytes.extend_from_slice(&kept);
    }
}

/// A row that is being written. Cells that are not set stay empty.
pub struct Row<'t> {
    table: &'t mut Table,
    at: i64,
    mark: Mark,
    cursor: usize,
}

impl Row<'_> {
    pub fn set(&mut self, heading: &str, value: &str) -> &mut Self {
        self.with(heading, |out| out.extend_from_slice(value.as_bytes()))
    }

    pub fn number(&mut self, heading: &str, value: u64) -> &mut Self {
        self.with(heading, |out| put_number(value, out))
    }

    pub fn with(&mut self, heading: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let Some(column) = self.column(heading) else {
            debug_assert!(false, "the catalogue has no column {heading}");
            return self;
        };
        let start = self.table.scratch.len() as u32;
        write(&mut self.table.scratch);
        self.table.cells[column] = (start, self.table.scratch.len() as u32);
        self
    }

    /// Cells are set in the order of the headings, so the next one is near.
    fn column(&mut self, heading: &str) -> Option<usize> {
        let columns = &self.table.columns;
        let here = |n: &usize| &*columns[*n] == heading;
        let found = (self.cursor..columns.len())
            .find(here)
            .or_else(|| (0..self.cursor.min(columns.len())).find(here))?;
        self.cursor = found + 1;
        Some(found)
    }

    /// Adds the row to the day.
    pub fn end(self) {
        let table = self.table;
        let start = table.bytes.len();
        for (n, (from, to)) in table.cells.iter().enumerate() {
            if n > 0 {
                table.bytes.push(b',');
            }
            let cell = &table.scratch[*from as usize..*to as usize];
            put_cell(cell, table.quoting, &mut table.bytes);
        }
        table.bytes.push(b'\n');
        table.lines.push(Line {
            at: self.at,
            mark: self.mark,
            start,
            end: table.bytes.len(),
        });
    }
}

/// One cell of a CSV file.
pub fn put_cell(cell: &[u8], quoting: Quoting, out: &mut Vec<u8>) {
    let special = |b: &u8| matches!(b, b'"' | b',' | b'\n' | b'\r');
    if quoting == Quoting::WhereNeeded && !cell.iter().any(special) {
        out.extend_from_slice(cell);
        return;
    }
    out.push(b'"');
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

pub fn put_number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut n = digits.len();
    loop {
        n -= 1;
        digits[n] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[n..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(quoting: Quoting) -> Table {
        Table::new(vec!["A".into(), "B".into(), "C".into()], quoting)
    }

    fn text_before(table: &mut Table, end: i64) -> String {
        let lines = table.lines_before(end).to_vec();
        let text: Vec<u8> = lines.iter().flat_map(|l| table.text(l).to_vec()).collect();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn cells_are_quoted_as_the_file_does_and_stay_in_their_columns() {
        let mut always = table(Quoting::Always);
        let mut row = always.row(1, Mark::NONE);
        row.set("C", "x\"y\nz").number("A", 1205);
        row.end();
        assert_eq!(text_before(&mut always, 9), "\"1205\",\"\",\"x\"\"y\nz\"\n");
        assert_eq!(always.header(), b"\"A\",\"B\",\"C\"\n");
        let mut needed = table(Quoting::WhereNeeded);
        let mut row = needed.row(1, Mark::NONE);
        row.set("B", "a,b").set("C", "c");
        row.end();
        assert_eq!(text_before(&mut needed, 9), ",\"a,b\",c\n");
    }

    #[test]
    fn rows_of_the_next_day_wait_for_it() {
        let mut table = table(Quoting::WhereNeeded);
        for at in [30, 10, 20] {
            let mut row = table.row(at, Mark::NONE);
            row.number("A", at as u64);
            row.end();
        }
        assert_eq!(text_before(&mut table, 25), "10,,\n20,,\n");
        table.forget_before(25);
        assert_eq!(table.len(), 1);
        assert_eq!(text_before(&mut table, 50), "30,,\n");
        table.forget_before(50);
        assert_eq!(table.len(), 0);
    }
}
