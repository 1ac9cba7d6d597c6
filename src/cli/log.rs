//! The log as one JSON object per line, for journald, Splunk and their like:
//! `{"time":…,"level":…,"target":…,"message":…,"fields":{…}}`.
//!
//! Every line is whole JSON whatever is logged, plain to look at (no control, bidirectional or
//! invisible character stands in it unescaped) and of bounded length: collectors cut longer lines
//! in the middle.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use chrono::SecondsFormat;
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;
use crate::config::LogFormat;
use crate::privacy::is_unsafe_to_show;

/// Target of what the program says by itself, outside of any module.
const PROGRAM: &str = "orgwatch";
/// Longest message, in characters.
const MAX_MESSAGE: usize = 2000;
/// Longest text of a field, in characters.
const MAX_TEXT: usize = 500;
/// Entries of a list that are told.
const MAX_LISTED: usize = 20;

/// How and with which time lines are made. Copies share the clock.
#[derive(Clone, Default)]
pub struct Log {
    format: LogFormat,
    clock: Arc<OnceLock<Clock>>,
}

impl Log {
    pub fn new(format: LogFormat) -> Self {
        Self {
            format,
            clock: Arc::default(),
        }
    }

    pub fn is_json(&self) -> bool {
        self.format == LogFormat::Json
    }

    /// From now on lines have the time of this clock.
    pub fn use_clock(&self, clock: Clock) {
        // A command has one clock: a second word changes nothing.
        let _ = self.clock.set(clock);
    }

    /// One line, without its end, of what the program says by itself.
    pub fn line(&self, level: Level, message: &str, fields: &Value) -> String {
        self.line_of(level, PROGRAM, message, fields)
    }

    fn line_of(&self, level: Level, target: &str, message: &str, fields: &Value) -> String {
        let now = self.clock.get().unwrap_or(&Clock::System).now();
        let mut line = json!({
            "time": now.to_rfc3339_opts(SecondsFormat::Millis, true),
            "level": level.as_str().to_lowercase(),
            "target": target,
            "message": cut(message, MAX_MESSAGE),
        });
        let fields = bounded(fields);
        if fields.as_object().is_some_and(|map| !map.is_empty()) {
            line["fields"] = fields;
        }
        plain(&line)
    }
}

/// A value with long texts and long lists cut short.
fn bounded(value: &Value) -> Value {
    match value {
        Value::String(text) => cut(text, MAX_TEXT).into(),
        Value::Array(items) => {
            let more = items.len().saturating_sub(MAX_LISTED);
            let rest = (more > 0).then(|| format!("+ {more} more").into());
            let told = items.iter().take(MAX_LISTED).map(bounded);
            told.chain(rest).collect()
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), bounded(value)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// JSON on one line in which every character can be looked at.
fn plain(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Plain);
    // A value always has its JSON, and memory takes every byte.
    let _ = serde::Serialize::serialize(value, &mut serializer);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Escapes what JSON may leave as it is but a terminal would act on.
struct Plain;

impl Formatter for Plain {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut from = 0;
        for (at, c) in fragment
            .char_indices()
            .filter(|(_, c)| is_unsafe_to_show(*c))
        {
            writer.write_all(&fragment.as_bytes()[from..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            from = at + c.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[from..])
    }
}

impl<S, N> FormatEvent<S, N> for Log
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let about = event.metadata();
        let fields = Value::Object(said.fields);
        let line = self.line_of(*about.level(), about.target(), &said.message, &fields);
        writeln!(writer, "{line}")
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let log = Log::new(LogFormat::Json);
        log.use_clock(Clock::Fixed("2026-01-31T03:00:00Z".parse().unwrap()));
        log
    }

    #[test]
    fn a_line_has_time_level_target_message_and_fields_in_this_order() {
        let line = log().line(
            Level::WARN,
            "a rule is blind",
            &json!({"rule": "r", "n": 3}),
        );
        assert_eq!(
            line,
            r#"{"time":"2026-01-31T03:00:00.000Z","level":"warn","target":"orgwatch","message":"a rule is blind","fields":{"rule":"r","n":3}}"#
        );
        assert!(
            !log()
                .line(Level::INFO, "done", &json!({}))
                .contains("fields")
        );
    }

    #[test]
    fn hostile_text_stays_on_its_line_and_comes_back_as_it_was() {
        let hostile = "a\r\n{\"level\":\"error\"}\u{1b}]52;c;aGk=\u{7}\u{85}\u{9b}\u{202e}\u{2028}\u{e0041}\"\\\0";
        let line = log().line(Level::INFO, hostile, &json!({"name": hostile}));
        assert!(!line.contains(is_unsafe_to_show), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["message"], hostile);
        assert_eq!(read["fields"]["name"], hostile);
    }

    #[test]
    fn a_line_is_short_whatever_is_told() {
        let long = "ä".repeat(100_000);
        let many: Vec<&str> = vec![&long; 1000];
        let line = log().line(Level::INFO, &long, &json!({"files": many}));
        assert!(line.len() < 32_000, "{}", line.len());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["fields"]["files"].as_array().unwrap().len(), 21);
        assert_eq!(read["fields"]["files"][20], "+ 980 more");
    }
}
