//! Which event log files the org has.
//!
//! The interval is always named: a query without it gets the daily files only. What counts is
//! when a file was made (`CreatedDate`), not what day it is of: files come late, and come again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::export::unreadable;
use super::query::{Record, Service, Sink, number};
use super::soql::{IN_MAX, Soql};
use super::{Client, Intervals, SalesforceError};
use crate::words::counted;

/// The object's API name.
pub const LOG_FILES: &str = "EventLogFile";
/// What listing and reading log files needs, in Salesforce's own words.
pub const LOG_FILES_PERMISSION: &str = "View Event Log Files";
/// Longest name of an event type: it becomes part of a file's name.
const EVENT_TYPE_MAX: usize = 64;

/// One file as the org lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// 15 or 18 letters and digits. A daily file that is made again keeps it.
    pub id: String,
    /// `Login`, `ApiTotalUsage`, …: letters, digits and underscores.
    pub event_type: String,
    /// Start of the hour or day that it is of.
    pub log_date: DateTime<Utc>,
    pub interval: Interval,
    /// 0 of a daily file; 1 of the first file of an hour, 2 of what came late for it, …
    pub sequence: u32,
    pub created_at: DateTime<Utc>,
    /// In bytes, as the org says; 0 where it does not.
    pub length: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interval {
    Hourly,
    Daily,
}

/// The org's log files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// In the order in which they were made.
    pub files: Vec<LogFile>,
    /// The org's clock.
    pub server_now: DateTime<Utc>,
    /// False in an org that has no hourly files at all; all files are daily ones then.
    pub has_intervals: bool,
    pub remarks: Vec<String>,
}

impl Client {
    /// The files made at or after `since`, of the wanted intervals and of the event types that the
    /// settings name.
    ///
    /// # Errors
    /// [`Class::Unreadable`](super::Class::Unreadable) where the user may not see log files.
    pub async fn list_log_files(
        &self,
        since: DateTime<Utc>,
        wanted: Intervals,
    ) -> Result<Listing, SalesforceError> {
        let listed = match self.list(since, Some(wanted)).await {
            // An org without hourly files does not have the column.
            Err(fault) if fault.code() == Some("INVALID_FIELD") => self.list(since, None).await,
            listed => listed,
        };
        listed.map_err(|fault| unreadable(LOG_FILES, LOG_FILES_PERMISSION, fault))
    }

    /// `wanted` is None for an org that does not tell intervals apart.
    async fn list(
        &self,
        since: DateTime<Utc>,
        wanted: Option<Intervals>,
    ) -> Result<Listing, SalesforceError> {
        let mut found = Found::default();
        let mut remarks = vec![];
        let mut server_now = None;
        for soql in questions(since, wanted, self.event_types()) {
            let mut part = Found::default();
            let answered = self.query(Service::Data, &soql, &mut part).await?;
            server_now = server_now.or(answered.server_time);
            remarks.extend(answered.remark);
            found.join(part);
        }
        if found.senseless > 0 {
            remarks.push(format!(
                "{} of the org's list cannot be understood and {} skipped",
                counted(found.senseless, "log file"),
                if found.senseless == 1 { "is" } else { "are" }
            ));
        }
        if wanted.is_none() {
            remarks.push("the org has no hourly log files: the daily ones are read".to_owned());
        }
        Ok(Listing {
            files: found.in_order(),
            server_now: server_now.unwrap_or_else(|| self.pace().now()),
            has_intervals: wanted.is_some(),
            remarks,
        })
    }
}

/// One query per hundred event types, or one of all.
fn questions(since: DateTime<Utc>, wanted: Option<Intervals>, event_types: &[String]) -> Vec<Soql> {
    let mut columns = vec!["Id", "EventType", "LogDate", "CreatedDate", "LogFileLength"];
    let intervals: &[&str] = match wanted {
        None => &[],
        Some(Intervals::Daily) => &["Daily"],
        Some(Intervals::Hourly) => &["Hourly"],
        Some(Intervals::Both) => &["Hourly", "Daily"],
    };
    if wanted.is_some() {
        columns.extend(["Interval", "Sequence"]);
    }
    let question = |types: &[String]| {
        let mut soql = Soql::select(columns.iter().copied(), LOG_FILES);
        if !intervals.is_empty() {
            soql = soql.one_of("Interval", intervals);
        }
        soql = soql.since("CreatedDate", since);
        if !types.is_empty() {
            soql = soql.one_of("EventType", types);
        }
        soql.order_by(&["CreatedDate", "Id"])
    };
    match event_types {
        [] => vec![question(&[])],
        types => types.chunks(IN_MAX).map(question).collect(),
    }
}

/// The files of an answer, each once.
#[derive(Default)]
struct Found {
    files: HashMap<String, LogFile>,
    senseless: u64,
}

impl Found {
    fn add(&mut self, file: LogFile) {
        // Listed twice, it was made again in between.
        match self.files.get(&file.id) {
            Some(known) if known.created_at >= file.created_at => {}
            _ => {
                self.files.insert(file.id.clone(), file);
            }
        }
    }

    fn join(&mut self, other: Found) {
        self.senseless += other.senseless;
        for file in other.files.into_values() {
            self.add(file);
        }
    }

    fn in_order(self) -> Vec<LogFile> {
        let mut files: Vec<LogFile> = self.files.into_values().collect();
        files.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        files
    }
}

impl Sink for Found {
    fn begin(&mut self) -> Result<(), SalesforceError> {
        *self = Self::default();
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), SalesforceError> {
        match read(record) {
            Some(file) => self.add(file),
            None => self.senseless += 1,
        }
        Ok(())
    }
}

/// None where a file cannot be asked for, or placed in time.
fn read(record: &Record) -> Option<LogFile> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let id = text("Id").filter(|id| is_id(id))?;
    let event_type = text("EventType").filter(|name| is_event_type(name))?;
    let interval = match text("Interval") {
        None => Interval::Daily,
        Some(word) if word.eq_ignore_ascii_case("daily") => Interval::Daily,
        Some(word) if word.eq_ignore_ascii_case("hourly") => Interval::Hourly,
        Some(_) => return None,
    };
    let counting = |name: &str| record.get(name).and_then(number).unwrap_or(0);
    Some(LogFile {
        id: id.to_owned(),
        event_type: event_type.to_owned(),
        log_date: time(text("LogDate")?)?,
        interval,
        sequence: u32::try_from(counting("Sequence")).ok()?,
        created_at: time(text("CreatedDate")?)?,
        length: counting("LogFileLength"),
    })
}

/// It becomes part of an address.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// It becomes part of a file's name.
fn is_event_type(text: &str) -> bool {
    (1..=EVENT_TYPE_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `2026-06-30T01:00:00.000+0000` of the REST API, or RFC 3339.
fn time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    Some(time.ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn listed(changes: Value) -> Record {
        let mut record = json!({"attributes": {}, "Id": "0AT000000000001AAA", "EventType": "Login",
            "LogDate": "2026-01-15T00:00:00.000+0000", "CreatedDate": "2026-01-16T03:00:01.500Z",
            "Interval": "Hourly", "Sequence": 1.0, "LogFileLength": 2692.0, "New": [1]});
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        record.as_object().unwrap().clone()
    }

    #[test]
    fn a_file_is_read_in_both_forms_of_times_and_numbers() {
        let file = read(&listed(json!({}))).unwrap();
        assert_eq!(file.log_date, at("2026-01-15T00:00:00Z"));
        assert_eq!(file.created_at, at("2026-01-16T03:00:01.5Z"));
        assert_eq!(
            (file.interval, file.sequence, file.length),
            (Interval::Hourly, 1, 2692)
        );
        for (changes, expected) in [
            (
                json!({"Interval": null, "Sequence": null, "LogFileLength": null}),
                (Interval::Daily, 0, 0),
            ),
            (
                json!({"Interval": "Daily", "Sequence": 0, "LogFileLength": 7}),
                (Interval::Daily, 0, 7),
            ),
        ] {
            let file = read(&listed(changes)).unwrap();
            assert_eq!((file.interval, file.sequence, file.length), expected);
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_log_file() {
        for changes in [
            json!({"Id": "../../../oauth2"}),
            json!({"Id": null}),
            json!({"Id": "0AT00000000000%2FAA"}),
            json!({"EventType": "../../etc/cron"}),
            json!({"EventType": ""}),
            json!({"EventType": null}),
            json!({"LogDate": "yesterday"}),
            json!({"CreatedDate": null}),
            json!({"Interval": "Monthly"}),
            json!({"Sequence": 1e12}),
        ] {
            assert_eq!(read(&listed(changes.clone())), None, "{changes}");
        }
    }

    #[test]
    fn a_file_listed_twice_is_the_newer_one() {
        let mut found = Found::default();
        for created in [
            "2026-01-16T03:00:00Z",
            "2026-01-17T03:00:00Z",
            "2026-01-16T04:00:00Z",
        ] {
            found
                .record(&listed(json!({"CreatedDate": created})))
                .unwrap();
        }
        found.record(&listed(json!({"Id": "x"}))).unwrap();
        assert_eq!(found.senseless, 1);
        let files = found.in_order();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].created_at, at("2026-01-17T03:00:00Z"));
    }

    #[test]
    fn the_interval_is_always_named_and_types_are_asked_for_by_the_hundred() {
        let since = at("2026-01-12T00:00:00Z");
        let texts = |wanted, types: &[String]| -> Vec<String> {
            questions(since, wanted, types)
                .iter()
                .map(Soql::text)
                .collect()
        };
        assert_eq!(
            texts(Some(Intervals::Both), &[]),
            [
                "SELECT Id,EventType,LogDate,CreatedDate,LogFileLength,Interval,Sequence FROM \
              EventLogFile WHERE Interval IN ('Hourly','Daily') AND CreatedDate >= \
              2026-01-12T00:00:00.000Z ORDER BY CreatedDate,Id"
            ]
        );
        let types: Vec<String> = (0..250).map(|n| format!("Type'{n}")).collect();
        let asked = texts(Some(Intervals::Daily), &types);
        assert_eq!(asked.len(), 3);
        for text in &asked {
            assert!(text.contains("WHERE Interval IN ('Daily') AND "), "{text}");
        }
        assert!(asked[2].contains("'Type\\'249')"));
        let plain = texts(None, &[]);
        assert!(!plain[0].contains("Interval") && !plain[0].contains("Sequence"));
    }
}
