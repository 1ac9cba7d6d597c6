//! A TOML file read strictly: each key is known, each value has its type, and each refusal names
//! file, line and column. Used for the settings and, one floor up, for the registry.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::ParamValue;
use super::fault::{Fault, Position, hint_for_word, nearest};
use super::value::BadValue;
use crate::privacy::printable;

/// Longest piece of the file that a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// The text of one file. Parsed tables borrow from it.
pub struct Document {
    name: String,
    text: String,
}

impl Document {
    pub fn new(name: &str, text: &str) -> Self {
        // Editors on Windows begin a file with a byte order mark; TOML has no place for it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        Self {
            name: name.to_owned(),
            text,
        }
    }

    /// Reads a file. Text that is not UTF-8 is a fault at its line, as any other mistake.
    pub fn read(path: &Path) -> Result<Result<Self, Fault>, std::io::Error> {
        let bytes = std::fs::read(path)?;
        let name = path.display().to_string();
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(&name, &text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                Err(Self { name, text }.fault(
                    valid..valid,
                    "the file is not UTF-8 text here",
                    Some("save it in the encoding UTF-8".into()),
                ))
            }
        })
    }

    /// The file's table, or the first error of its syntax.
    pub fn parse(&self) -> Result<Spanned<DeTable<'_>>, Fault> {
        DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            self.fault(
                at,
                format!("this is not valid TOML: {}", error.message()),
                None,
            )
        })
    }

    /// The top of the file as a section that knows `keys`.
    pub fn root<'a>(
        &'a self,
        table: &'a Spanned<DeTable<'a>>,
        keys: &[&str],
    ) -> Result<Section<'a>, Fault> {
        Section::new(self, "at the top of the file", table.get_ref(), 0..0, keys)
    }

    pub fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Position {
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn fault(&self, at: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Fault {
        self.fault_at(self.position(at.start), message, hint)
    }

    /// A fault at a place that was noted before.
    pub fn fault_at(
        &self,
        at: Position,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Fault {
        Fault {
            file: self.name.clone(),
            at,
            message: message.into(),
            hint,
        }
    }
}

/// A table whose keys are all known.
#[derive(Clone)]
pub struct Section<'a> {
    doc: &'a Document,
    /// How messages call it: `in [store]`.
    title: String,
    table: &'a DeTable<'a>,
    span: Range<usize>,
}

impl<'a> Section<'a> {
    fn new(
        doc: &'a Document,
        title: &str,
        table: &'a DeTable<'a>,
        span: Range<usize>,
        keys: &[&str],
    ) -> Result<Self, Fault> {
        let section = Self {
            doc,
            title: title.to_owned(),
            table,
            span,
        };
        // The first in the file, not the first in the alphabet.
        let unknown = table
            .iter()
            .filter(|(key, _)| !keys.contains(&key.get_ref().as_ref()));
        if let Some((key, _)) = unknown.min_by_key(|(key, _)| key.span().start) {
            let name = key.get_ref();
            let hint = match nearest(name, keys.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", keys.join(", ")),
            };
            let message = format!("unknown key `{}` {title}", printable(name, SHOWN_CHARS));
            return Err(doc.fault(key.span(), message, Some(hint)));
        }
        Ok(section)
    }

    pub fn get(&self, key: &str) -> Option<Item<'a>> {
        let (key, value) = self.table.get_key_value(key)?;
        Some(Item {
            doc: self.doc,
            name: key.get_ref().to_string(),
            value: value.get_ref(),
            span: value.span(),
            key_span: key.span(),
        })
    }

    pub fn require(&self, key: &str, hint: &str) -> Result<Item<'a>, Fault> {
        let missing = || {
            self.fault(
                format!("`{key}` is missing {}", self.title),
                Some(hint.into()),
            )
        };
        self.get(key).ok_or_else(missing)
    }

    pub fn position(&self) -> Position {
        self.doc.position(self.span.start)
    }

    /// A fault of the table as a whole.
    pub fn fault(&self, message: impl Into<String>, hint: Option<String>) -> Fault {
        self.doc.fault(self.span.clone(), message, hint)
    }

    /// Every entry, for tables whose keys are the user's own words.
    pub fn items(&self) -> Vec<Item<'a>> {
        self.table
            .keys()
            .filter_map(|key| self.get(key.get_ref()))
            .collect()
    }
}

/// One value with its key.
#[derive(Clone)]
pub struct Item<'a> {
    doc: &'a Document,
    pub name: String,
    value: &'a DeValue<'a>,
    span: Range<usize>,
    key_span: Range<usize>,
}

impl<'a> Item<'a> {
    pub fn position(&self) -> Position {
        self.doc.position(self.span.start)
    }

    pub fn fault(&self, message: impl Into<String>, hint: Option<String>) -> Fault {
        self.doc.fault(self.span.clone(), message, hint)
    }

    /// A fault of the key rather than of its value.
    pub fn key_fault(&self, message: impl Into<String>, hint: Option<String>) -> Fault {
        self.doc.fault(self.key_span.clone(), message, hint)
    }

    fn expected(&self, what: &str) -> Fault {
        let found = match self.value {
            DeValue::Array(_) => "list",
            DeValue::Datetime(_) => "date or time",
            other => other.type_str(),
        };
        self.fault(
            format!(
                "`{}` must be {what}, not {}",
                self.name,
                with_article(found)
            ),
            None,
        )
    }

    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub fn key_position(&self) -> Position {
        self.doc.position(self.key_span.start)
    }

    /// Text that `parse` accepts.
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, BadValue>) -> Result<T, Fault> {
        parse(self.text()?).map_err(|bad| self.fault(bad.message, bad.hint))
    }

    /// Text that is not blank, without the blanks around it.
    pub fn text(&self) -> Result<&'a str, Fault> {
        let text = self
            .value
            .as_str()
            .ok_or_else(|| self.expected("text in quotes"))?
            .trim();
        if text.is_empty() {
            let hint = "give it a value or leave the key out".into();
            return Err(self.fault(format!("`{}` is empty", self.name), Some(hint)));
        }
        if text.chars().any(char::is_control) {
            return Err(self.fault(format!("`{}` holds a control character", self.name), None));
        }
        Ok(text)
    }

    pub fn boolean(&self) -> Result<bool, Fault> {
        self.value
            .as_bool()
            .ok_or_else(|| self.expected("true or false"))
    }

    pub fn integer(&self, allowed: RangeInclusive<i64>) -> Result<i64, Fault> {
        let number = self.any_integer()?;
        if !allowed.contains(&number) {
            let (low, high) = (allowed.start(), allowed.end());
            let message = format!("`{}` must lie between {low} and {high}", self.name);
            return Err(self.fault(message, None));
        }
        Ok(number)
    }

    fn any_integer(&self) -> Result<i64, Fault> {
        let digits = self
            .value
            .as_integer()
            .ok_or_else(|| self.expected("a whole number"))?;
        i64::from_str_radix(digits.as_str(), digits.radix())
            .map_err(|_| self.fault(format!("`{}` is too large a number", self.name), None))
    }

    /// A number, whole or not, within `allowed`.
    pub fn number(&self, allowed: RangeInclusive<f64>) -> Result<f64, Fault> {
        let number = match self.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => Some(self.any_integer()? as f64),
            _ => return Err(self.expected("a number")),
        };
        number.filter(|n| allowed.contains(n)).ok_or_else(|| {
            let (low, high) = (allowed.start(), allowed.end());
            self.fault(
                format!("`{}` must lie between {low} and {high}", self.name),
                None,
            )
        })
    }

    /// Exactly one of `words`.
    pub fn word(&self, words: &[&'static str]) -> Result<&'static str, Fault> {
        let written = self.text()?;
        words
            .iter()
            .copied()
            .find(|w| *w == written)
            .ok_or_else(|| {
                let shown = printable(written, SHOWN_CHARS);
                let message = format!("`{}` has the unknown value \"{shown}\"", self.name);
                self.fault(message, Some(hint_for_word(written, words)))
            })
    }

    /// The entries of a list, each with its own place.
    pub fn list(&self) -> Result<Vec<Item<'a>>, Fault> {
        let entries = self
            .value
            .as_array()
            .ok_or_else(|| self.expected("a list in [ ]"))?;
        Ok(entries
            .iter()
            .map(|entry| Item {
                doc: self.doc,
                name: self.name.clone(),
                value: entry.get_ref(),
                span: entry.span(),
                key_span: self.key_span.clone(),
            })
            .collect())
    }

    /// A table that knows `keys`; messages call it `title`.
    pub fn table(&self, title: &str, keys: &[&str]) -> Result<Section<'a>, Fault> {
        let table = self
            .value
            .as_table()
            .ok_or_else(|| self.expected("a table"))?;
        Section::new(self.doc, title, table, self.span.clone(), keys)
    }

    /// A table whose keys are the user's own words.
    pub fn open_table(&self, title: &str) -> Result<Section<'a>, Fault> {
        let table = self
            .value
            .as_table()
            .ok_or_else(|| self.expected("a table"))?;
        Ok(Section {
            doc: self.doc,
            title: title.to_owned(),
            table,
            span: self.span.clone(),
        })
    }

    /// The tables of `[[name]]`.
    pub fn tables(&self, title: &str, keys: &[&str]) -> Result<Vec<Section<'a>>, Fault> {
        if !self.value.is_array() {
            let fault = self.expected("a list of tables");
            return Err(Fault {
                hint: Some(format!("write [[{}]]", self.name)),
                ..fault
            });
        }
        self.list()?
            .iter()
            .map(|entry| entry.table(title, keys))
            .collect()
    }

    /// A moment: a date-time with offset, or a date, which means midnight UTC at its begin; both
    /// also in quotes.
    pub fn moment(&self) -> Result<DateTime<Utc>, Fault> {
        let moment = match self.value {
            DeValue::Datetime(written) => moment_of(written),
            DeValue::String(text) => text
                .trim()
                .parse()
                .ok()
                .and_then(|written| moment_of(&written)),
            _ => return Err(self.expected("a date or a time")),
        };
        moment.ok_or_else(|| {
            let hint = "write 2026-01-15 or 2026-01-15T09:00:00Z".to_owned();
            self.fault(
                format!(
                    "`{}` is no moment: date, time and offset are needed",
                    self.name
                ),
                Some(hint),
            )
        })
    }

    /// The value of a rule's parameter.
    pub fn plain(&self) -> Result<ParamValue, Fault> {
        Ok(match self.value {
            DeValue::String(text) => ParamValue::Text(text.to_string()),
            DeValue::Integer(_) => ParamValue::Integer(self.any_integer()?),
            DeValue::Float(_) => ParamValue::Float(self.number(f64::MIN..=f64::MAX)?),
            DeValue::Boolean(value) => ParamValue::Boolean(*value),
            DeValue::Array(_) => ParamValue::List(
                self.list()?
                    .iter()
                    .map(Item::plain)
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Datetime(_) | DeValue::Table(_) => {
                return Err(self.expected("text, a number, true, false, or a list of these"));
            }
        })
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

fn moment_of(written: &Datetime) -> Option<DateTime<Utc>> {
    let date = written.date?;
    let day = NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())?;
    let Some(time) = written.time else {
        return Some(day.and_hms_opt(0, 0, 0)?.and_utc());
    };
    let offset = match written.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    // A leap second counts as the last second before it.
    let second = u32::from(time.second.unwrap_or(0)).min(59);
    let millis = time.nanosecond.unwrap_or(0) / 1_000_000;
    let clock = day.and_hms_milli_opt(time.hour.into(), time.minute.into(), second, millis)?;
    Some(clock.and_utc() - TimeDelta::minutes(offset))
}
