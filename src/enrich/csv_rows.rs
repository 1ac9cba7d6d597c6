//! A CSV file that a person wrote, read strictly: each heading is known, each row has as many
//! cells as the header, and each refusal names file, line and column. A row is one line; lines
//! that are blank or begin with `#` are skipped.

use std::ops::Range;

use crate::config::{BadValue, Fault, Position, nearest};
use crate::privacy::printable;

/// Longest heading that a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// The file's text and its header.
pub struct CsvRows<'a> {
    file: &'a str,
    text: &'a str,
    /// For each known heading, in their order, the place of its column.
    columns: Vec<Option<usize>>,
    known: &'a [&'a str],
    width: usize,
    /// Where the rows begin: line number and byte offset.
    begin: (usize, usize),
}

/// One row; cells are trimmed.
pub struct CsvRow<'a> {
    file: &'a str,
    line: usize,
    columns: &'a [Option<usize>],
    known: &'a [&'a str],
    cells: Vec<Cell>,
}

struct Cell {
    text: String,
    /// Column of its first character, from 1.
    column: usize,
}

impl<'a> CsvRows<'a> {
    /// Reads the header. `known` are the headings that may stand there, of which the first
    /// `required` must.
    pub fn open(
        file: &'a str,
        text: &'a str,
        known: &'a [&'a str],
        required: usize,
    ) -> Result<Self, Fault> {
        // Editors on Windows begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let hint = || {
            Some(format!(
                "the first line names the columns: {}",
                known.join(",")
            ))
        };
        let mut lines = Lines {
            text,
            at: 0,
            line: 0,
        };
        let Some((line, range)) = lines.find(|(_, range)| is_row(&text[range.clone()])) else {
            let at = Position { line: 1, column: 1 };
            return Err(fault(file, at, "the file is empty", hint()));
        };
        let cells = split(file, line, &text[range])?;
        let mut columns = vec![None; known.len()];
        for (n, cell) in cells.iter().enumerate() {
            let at = Position {
                line,
                column: cell.column,
            };
            let heading = cell.text.to_lowercase();
            let Some(place) = known.iter().position(|name| *name == heading) else {
                let shown = printable(&cell.text, SHOWN_CHARS);
                let near = nearest(&heading, known.iter().copied());
                let hint = near
                    .map(|name| format!("did you mean `{name}`?"))
                    .or_else(hint);
                return Err(fault(file, at, format!("unknown column `{shown}`"), hint));
            };
            if columns[place].replace(n).is_some() {
                let message = format!("the column `{heading}` stands there twice");
                return Err(fault(file, at, message, None));
            }
        }
        for (name, column) in known.iter().zip(&columns).take(required) {
            if column.is_none() {
                let at = Position { line, column: 1 };
                return Err(fault(
                    file,
                    at,
                    format!("the column `{name}` is missing"),
                    hint(),
                ));
            }
        }
        Ok(Self {
            file,
            text,
            columns,
            known,
            width: cells.len(),
            begin: (lines.line, lines.at),
        })
    }

    /// The rows in their order; after a fault there may be more.
    pub fn rows(&self) -> impl Iterator<Item = Result<CsvRow<'_>, Fault>> {
        let lines = Lines {
            text: self.text,
            at: self.begin.1,
            line: self.begin.0,
        };
        let rows = lines.filter(|(_, range)| is_row(&self.text[range.clone()]));
        rows.map(|(line, range)| {
            let cells = split(self.file, line, &self.text[range])?;
            if cells.len() != self.width {
                let (n, width) = (cells.len(), self.width);
                let message = format!("the row has {n} cells, the header {width}");
                let hint = "a value with a comma in it stands in quotes".to_owned();
                let at = Position { line, column: 1 };
                return Err(fault(self.file, at, message, Some(hint)));
            }
            Ok(CsvRow {
                file: self.file,
                line,
                columns: &self.columns,
                known: self.known,
                cells,
            })
        })
    }
}

impl CsvRow<'_> {
    /// The cell under a heading; None where it is blank or there is no such column.
    pub fn get(&self, heading: &str) -> Option<&str> {
        let text = self.cell(heading)?.text.as_str();
        (!text.is_empty()).then_some(text)
    }

    pub fn require(&self, heading: &str) -> Result<&str, Fault> {
        let missing = || self.fault(heading, format!("`{heading}` is empty"), None);
        self.get(heading).ok_or_else(missing)
    }

    /// A cell that `parse` accepts.
    pub fn parsed<T>(
        &self,
        heading: &str,
        parse: impl FnOnce(&str) -> Result<T, BadValue>,
    ) -> Result<Option<T>, Fault> {
        let told = |bad: BadValue| self.fault(heading, bad.message, bad.hint);
        self.get(heading).map(parse).transpose().map_err(told)
    }

    /// Its number in the file, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// A fault of the cell under this heading.
    pub fn fault(&self, heading: &str, message: impl Into<String>, hint: Option<String>) -> Fault {
        let at = Position {
            line: self.line,
            column: self.cell(heading).map_or(1, |cell| cell.column),
        };
        fault(self.file, at, message, hint)
    }

    fn cell(&self, heading: &str) -> Option<&Cell> {
        let place = self.known.iter().position(|name| *name == heading)?;
        self.cells.get(self.columns[place]?)
    }
}

/// Line numbers, from 1, and the bytes of each line without its end.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Iterator for Lines<'_> {
    type Item = (usize, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').unwrap_or(rest.len());
        let line = rest[..length].trim_end_matches('\r').len();
        let range = self.at..self.at + line;
        self.at += (length + 1).min(rest.len());
        self.line += 1;
        Some((self.line, range))
    }
}

fn is_row(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

fn split(file: &str, line: usize, text: &str) -> Result<Vec<Cell>, Fault> {
    let mut cells = vec![];
    let mut chars = text.chars().zip(1..).peekable();
    loop {
        let mut cell = Cell {
            text: String::new(),
            column: chars.peek().map_or(text.chars().count() + 1, |(_, at)| *at),
        };
        let wrong = |column: usize, message: &str, hint: &str| {
            fault(
                file,
                Position { line, column },
                message,
                Some(hint.to_owned()),
            )
        };
        while chars.next_if(|(c, _)| *c == ' ' || *c == '\t').is_some() {}
        if let Some((_, quote)) = chars.next_if(|(c, _)| *c == '"') {
            loop {
                match chars.next() {
                    Some(('"', _)) if chars.next_if(|(c, _)| *c == '"').is_some() => {
                        cell.text.push('"');
                    }
                    Some(('"', _)) => break,
                    Some((c, _)) => cell.text.push(c),
                    None => {
                        let hint = "a cell ends on its own line; a quote in it is written twice";
                        return Err(wrong(quote, "the quote is not closed", hint));
                    }
                }
            }
            while chars.next_if(|(c, _)| *c == ' ' || *c == '\t').is_some() {}
            if let Some((_, at)) = chars.next_if(|(c, _)| *c != ',') {
                let hint = "a quote within a quoted cell is written twice";
                return Err(wrong(at, "text behind the closing quote", hint));
            }
        } else {
            while let Some((c, _)) = chars.next_if(|(c, _)| *c != ',') {
                cell.text.push(c);
            }
        }
        let trimmed = cell.text.trim();
        if trimmed.chars().any(char::is_control) {
            return Err(wrong(
                cell.column,
                "the cell holds a control character",
                "columns are separated by commas",
            ));
        }
        cell.text = trimmed.to_owned();
        cells.push(cell);
        if chars.next().is_none() {
            return Ok(cells);
        }
    }
}

fn fault(file: &str, at: Position, message: impl Into<String>, hint: Option<String>) -> Fault {
    Fault {
        file: file.to_owned(),
        at,
        message: message.into(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["network", "class", "note"];

    fn read(text: &str) -> Result<Vec<Vec<String>>, Fault> {
        let file = CsvRows::open("list.csv", text, &KNOWN, 2)?;
        let rows = file.rows();
        rows.map(|row| {
            let row = row?;
            let cells = KNOWN.map(|name| row.get(name).unwrap_or("-").to_owned());
            Ok(cells.to_vec())
        })
        .collect()
    }

    fn at(text: &str) -> (usize, usize) {
        let at = read(text).unwrap_err().at;
        (at.line, at.column)
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        let text = "\u{feff}Class, NETWORK\r\n# a remark\r\n\r\ntor , \"192.0.2.0/24\"\r\n";
        assert_eq!(read(text).unwrap(), [["192.0.2.0/24", "tor", "-"]]);
        let quoted = "network,class,note\na,b,\"one, \"\"two\"\"\"\n";
        assert_eq!(read(quoted).unwrap()[0][2], "one, \"two\"");
        assert_eq!(read("network,class,note\na,b,").unwrap()[0][2], "-");
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_column() {
        assert_eq!(at(""), (1, 1));
        assert_eq!(at("# only a remark\n"), (1, 1));
        assert_eq!(at("network,clas\n"), (1, 9));
        assert_eq!(at("network,class,class\n"), (1, 15));
        assert_eq!(at("\nnetwork,note\n"), (2, 1));
        assert_eq!(at("network,class\n#\na,b,c\n"), (3, 1));
        assert_eq!(at("network,class\na\n"), (2, 1));
        assert_eq!(at("network,class\na,\"b\n"), (2, 3));
        assert_eq!(at("network,class\na,\"b\" c\n"), (2, 7));
        assert_eq!(at("network,class\nä,b\u{1}c\n"), (2, 3));
        let hint = read("network,clas\n").unwrap_err().hint;
        assert_eq!(hint.as_deref(), Some("did you mean `class`?"));
    }
}
