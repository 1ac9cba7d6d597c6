//! API answers in JSON as CSV, so that one reader keeps its promises for both: the answer of a
//! query (as the REST API or `sf … --json` gives it, one page or several), an array of records,
//! or one record per line.
//!
//! A record is one line of the CSV, and the first one is line 1: the `line_no` of a row is the
//! number of its record in the file. A record that is no valid JSON becomes a line that the
//! reader cannot read either, and so goes to quarantine.

mod record;
mod scan;

use std::collections::HashMap;
use std::io::{self, Read};

use serde_json::Value;

use self::record::Cells;
use self::scan::{Span, elements, member, sequence, skip_blanks};
use crate::catalog::{Catalog, LogFamily};

/// Longest JSON text that is read, in bytes; it is held in memory.
pub const JSON_MAX: u64 = 128 << 20;
/// Most different fields of a file's records.
const HEADINGS_MAX: usize = 2000;
/// Bytes in which the first character of a text is looked for.
const HEAD: usize = 4096;
/// A line that no header fits: there is no data set of one column.
const BROKEN: &[u8] = b"broken\n";

/// Why a JSON record is in quarantine.
pub const BROKEN_RECORD: &str = "the record is not a JSON object";

/// What a JSON text holds.
#[derive(Debug, Default)]
pub struct Tables {
    /// CSV texts, one per kind of record, in the order in which the kinds first appear.
    pub csv: Vec<Vec<u8>>,
    /// In what the answer falls short of what was asked.
    pub shortfall: Option<String>,
}

/// The source with its beginning put back, and whether JSON stands at it.
pub fn sniff(mut source: Box<dyn Read + Send>) -> (Box<dyn Read + Send>, bool) {
    let mut head = vec![];
    let fault = (&mut source).take(HEAD as u64).read_to_end(&mut head).err();
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    let is_json = matches!(text.get(skip_blanks(text, 0)), Some(b'{' | b'['));
    let head = io::Cursor::new(head);
    match fault {
        // The reader proper meets the fault where it stands.
        Some(fault) => (Box::new(head.chain(Failing(Some(fault)))), is_json),
        None => (Box::new(head.chain(source)), is_json),
    }
}

struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Reads a whole text. `name` is the input's: an empty answer does not say of what it is.
///
/// The error is the reason for which the file is refused.
pub fn read(source: impl Read, name: &str, catalog: &Catalog) -> Result<Tables, String> {
    let mut text = vec![];
    source
        .take(JSON_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|e| format!("reading stopped: {}", super::chunk::read_fault(&e)))?;
    if text.len() as u64 > JSON_MAX {
        return Err(format!(
            "more than {} MiB of JSON; export it as CSV, or in several files",
            JSON_MAX >> 20
        ));
    }
    if std::str::from_utf8(&text).is_err() {
        text = String::from_utf8_lossy(&text).into_owned().into_bytes();
    }
    let start = if text.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    let found = match lines(&text, start) {
        Some(lines) => {
            let last = lines.last().map_or(0..0, Span::clone);
            let ends_in_record = sequence(&text, last.start, last.end).is_cut_off;
            let is_cut_off = ends_in_record && text.last() != Some(&b'\n');
            found_in(&text, lines, is_cut_off)?
        }
        None => {
            let values = sequence(&text, start, text.len());
            found_in(&text, values.spans, values.is_cut_off)?
        }
    };
    let shortfall = found.shortfall();
    if found.records.is_empty() {
        return match shortfall {
            Some(shortfall) => Err(shortfall),
            None => nothing(name, catalog),
        };
    }
    match tables(&text, &found.records)? {
        csv if csv.is_empty() => Err(shortfall.unwrap_or_else(|| "it holds no JSON object".into())),
        csv => Ok(Tables { csv, shortfall }),
    }
}

/// The lines, where each line is a value of its own: then a broken one ends with its line.
fn lines(text: &[u8], start: usize) -> Option<Vec<Span>> {
    let mut spans = vec![];
    let mut at = start;
    for line in text[start..].split_inclusive(|b| *b == b'\n') {
        let begin = skip_blanks(text, at).min(at + line.len());
        let end = at + line.len();
        let filled = text[begin..end].trim_ascii_end();
        if !filled.is_empty() {
            spans.push(begin..begin + filled.len());
        }
        at = end;
    }
    let is_object = |span: &Span| text[span.start] == b'{' && text[span.end - 1] == b'}';
    let first = spans.first()?;
    let alone = sequence(text, first.start, first.end);
    let own_line = is_object(first) && alone.spans.len() == 1 && !alone.is_cut_off;
    (own_line && spans.len() > 1).then_some(spans)
}

/// The records of a text, and what the answers around them say.
#[derive(Default)]
struct Found {
    records: Vec<Span>,
    is_cut_off: bool,
    /// Sum of what the queries say they have.
    promised: u64,
    received: u64,
    /// The last page says that there is another.
    is_open: bool,
}

impl Found {
    fn shortfall(&self) -> Option<String> {
        if self.is_cut_off {
            return Some("the file ends inside a record".into());
        }
        (self.is_open || self.received < self.promised).then(|| match self.promised {
            0 => "truncated: the answer says that more records follow".into(),
            n => format!("truncated: {} of {n} records", self.received),
        })
    }
}

fn found_in(text: &[u8], values: Vec<Span>, is_cut_off: bool) -> Result<Found, String> {
    let mut found = Found {
        is_cut_off,
        ..Found::default()
    };
    for value in values {
        match text[value.start] {
            b'[' => {
                let inner = elements(text, &value);
                found.is_cut_off |= inner.is_cut_off;
                for element in inner.spans {
                    take(text, element, &mut found)?;
                }
            }
            _ => take(text, value, &mut found)?,
        }
    }
    Ok(found)
}

/// Takes an answer apart, or a record as it is.
fn take(text: &[u8], value: Span, found: &mut Found) -> Result<(), String> {
    if text[value.start] != b'{' {
        found.records.push(value);
        return Ok(());
    }
    if let Some(reason) = api_error(text, &value) {
        return Err(reason);
    }
    let is_array = |span: &Span| text[span.start] == b'[';
    let answer = match member(text, &value, "result") {
        Some(result) if text[result.start] == b'{' => result,
        Some(result) if is_array(&result) && member(text, &value, "status").is_some() => {
            return each_of(text, &result, found);
        }
        _ => value.clone(),
    };
    let Some(records) = member(text, &answer, "records").filter(is_array) else {
        found.records.push(value);
        return Ok(());
    };
    let number = |key: &str| -> Option<u64> {
        let span = member(text, &answer, key)?;
        let number: f64 = serde_json::from_slice(&text[span]).ok()?;
        // Salesforce writes whole numbers as 3 and as 3.0.
        (number >= 0.0).then_some(number as u64)
    };
    if !found.is_open {
        found.promised += number("totalSize").unwrap_or(0);
    }
    found.is_open =
        member(text, &answer, "done").is_some_and(|done| text[done].eq_ignore_ascii_case(b"false"));
    each_of(text, &records, found)
}

fn each_of(text: &[u8], list: &Span, found: &mut Found) -> Result<(), String> {
    let records = elements(text, list);
    found.is_cut_off |= records.is_cut_off;
    found.received += records.spans.len() as u64;
    found.records.extend(records.spans);
    Ok(())
}

/// The refusal, where a value is what the API or `sf` answers instead of records.
fn api_error(text: &[u8], value: &Span) -> Option<String> {
    let string = |key: &str| -> Option<String> {
        let span = member(text, value, key)?;
        serde_json::from_slice(&text[span]).ok()
    };
    let has = |key: &str| member(text, value, key).is_some();
    let code = if has("errorCode") && has("message") {
        string("errorCode")
    } else if has("error") && has("error_description") {
        string("error")
    } else if has("message") && has("status") && has("name") && !has("result") {
        string("name")
    } else {
        return None;
    };
    let fits = |code: &String| {
        !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    };
    let code = code.filter(fits).unwrap_or_else(|| "an API error".into());
    Some(format!("unreadable: {code}"))
}

/// An answer without records: its name tells of what there are none.
fn nothing(name: &str, catalog: &Catalog) -> Result<Tables, String> {
    let file = name.rsplit(['/', '\\', '!']).next().unwrap_or(name);
    let word: String = file.chars().take_while(char::is_ascii_alphabetic).collect();
    let known = catalog
        .event_type(&word)
        .filter(|event| event.family != LogFamily::EventLogFile);
    let Some(event) = known else {
        return Err(
            "it holds no records, and so does not say of what there are none; name the file \
             after the object, as in OauthToken_2026-01-15.json"
                .into(),
        );
    };
    let headings = event.columns.iter().map(|c| c.heading.as_str());
    Ok(Tables {
        csv: vec![csv_line(headings)?],
        shortfall: None,
    })
}

/// One kind of record on its way to CSV.
#[derive(Default)]
struct Table {
    places: HashMap<String, usize>,
    headings: Vec<String>,
    /// Headings that are columns of the CSV, in its order.
    kept: Vec<usize>,
    csv: Vec<u8>,
}

/// Reads each record twice, first for the headings: so that no more than the two texts is held.
fn tables(text: &[u8], records: &[Span]) -> Result<Vec<Vec<u8>>, String> {
    let mut order: Vec<String> = vec![];
    let mut tables: HashMap<String, Table> = HashMap::new();
    let mut headings = 0;
    for span in records {
        for (kind, cells) in rows(text, span).unwrap_or_default() {
            if !tables.contains_key(&kind) {
                order.push(kind.clone());
            }
            headings += tables.entry(kind).or_default().learn(cells);
            if headings > HEADINGS_MAX {
                return Err(format!(
                    "its records have more than {HEADINGS_MAX} different fields"
                ));
            }
        }
    }
    let Some(mut last) = order.first().cloned() else {
        return Ok(vec![]);
    };
    for table in tables.values_mut() {
        table.begin()?;
    }
    for span in records {
        let Some(rows) = rows(text, span) else {
            // It belongs to the kind of the records before it.
            if let Some(table) = tables.get_mut(&last) {
                table.csv.extend_from_slice(BROKEN);
            }
            continue;
        };
        for (kind, cells) in rows {
            if let Some(table) = tables.get_mut(&kind) {
                table.write(&cells)?;
                last = kind;
            }
        }
    }
    let in_order = order.iter().filter_map(|kind| tables.remove(kind));
    Ok(in_order.map(|table| table.csv).collect())
}

/// The rows of a record; None where it is no JSON object.
fn rows(text: &[u8], span: &Span) -> Option<Vec<(String, Cells)>> {
    match serde_json::from_slice(&text[span.clone()]) {
        Ok(Value::Object(record)) => Some(record::rows_of(record)),
        _ => None,
    }
}

impl Table {
    /// Learns a record's headings; returns how many were new.
    fn learn(&mut self, cells: Cells) -> usize {
        let before = self.headings.len();
        for (heading, _) in cells {
            if !self.places.contains_key(&heading) {
                self.places.insert(heading.clone(), self.headings.len());
                self.headings.push(heading);
            }
        }
        self.headings.len() - before
    }

    /// Writes the header.
    fn begin(&mut self) -> Result<(), String> {
        // `"Profile": null` of one record stands for the fields that others have of it.
        let begins_others = |heading: &String| {
            let prefix = format!("{heading}.");
            self.headings.iter().any(|other| other.starts_with(&prefix))
        };
        self.kept = (0..self.headings.len())
            .filter(|&at| !begins_others(&self.headings[at]))
            .collect();
        let header = self.kept.iter().map(|&at| self.headings[at].as_str());
        self.csv = csv_line(header)?;
        Ok(())
    }

    fn write(&mut self, cells: &Cells) -> Result<(), String> {
        let mut row = vec![""; self.headings.len()];
        for (heading, cell) in cells {
            if let Some(&place) = self.places.get(heading) {
                row[place] = cell;
            }
        }
        let line = csv_line(self.kept.iter().map(|&at| row[at]))?;
        self.csv.extend(line);
        Ok(())
    }
}

fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, String> {
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(vec![]);
    writer
        .write_record(cells)
        .map_err(|_| "a record cannot be written as CSV".to_owned())?;
    writer
        .into_inner()
        .map_err(|_| "a record cannot be written as CSV".to_owned())
}

#[cfg(test)]
mod tests;
