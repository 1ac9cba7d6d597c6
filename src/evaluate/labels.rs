//! `labels.csv` as `orgwatch simulate` writes it: the answer that is known.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::config::{BadValue, Fault, Severity};
use crate::enrich::CsvRow;
use crate::enrich::CsvRows;

const COLUMNS: [&str; 18] = [
    "label_id",
    "kind",
    "name",
    "first_at",
    "last_at",
    "rules",
    "must",
    "tier",
    "variant",
    "mutation",
    "user_id",
    "username",
    "app",
    "ip",
    "night",
    "min_severity",
    "max_severity",
    "rows",
];
/// Of these, the ones that must be there.
const REQUIRED: usize = 8;

/// Longest text of a cell, in characters.
const LONGEST: usize = 4_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Attack,
    Story,
}

/// One label: what happened to one subject in one stretch of time, and what should be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub id: String,
    pub kind: Kind,
    pub name: String,
    pub variant: String,
    /// How it evades; empty: not at all.
    pub mutation: String,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub app: Option<String>,
    pub ip: Option<String>,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    /// The UTC day whose logs hold the first event.
    pub night: NaiveDate,
    /// Right answers.
    pub rules: BTreeSet<String>,
    /// Of these, one has to be told.
    pub must: BTreeSet<String>,
    pub min_severity: Severity,
    /// Of a story: what may be told at most.
    pub max_severity: Severity,
    pub tier: String,
}

/// The labels of a file. One of which nothing happened inside of the period has no times, and is
/// left out.
pub fn read(file: &str, text: &str) -> Result<Vec<Label>, Fault> {
    let rows = CsvRows::open(file, text, &COLUMNS, REQUIRED)?;
    let mut labels = vec![];
    for row in rows.rows() {
        labels.extend(label(&row?)?);
    }
    Ok(labels)
}

fn label(row: &CsvRow<'_>) -> Result<Option<Label>, Fault> {
    let kind = match row.require("kind")? {
        "attack" => Kind::Attack,
        "story" => Kind::Story,
        _ => {
            let hint = Some("one of attack, story".to_owned());
            return Err(row.fault("kind", "`kind` is neither of its words", hint));
        }
    };
    let text = |heading: &str| -> Result<Option<String>, Fault> {
        let cell = row.get(heading);
        if cell.is_some_and(|cell| cell.chars().count() > LONGEST) {
            let message = format!("`{heading}` is longer than {LONGEST} characters");
            return Err(row.fault(heading, message, None));
        }
        Ok(cell.map(str::to_owned))
    };
    let first_at = row.parsed("first_at", time)?;
    let last_at = row.parsed("last_at", time)?;
    let max = row.parsed("max_severity", severity)?;
    let min = row.parsed("min_severity", severity)?;
    let night = row.parsed("night", day)?;
    row.parsed("rows", count)?;
    let id = row.require("label_id")?.to_owned();
    let name = row.require("name")?.to_owned();
    let tier = match row.require("tier")? {
        word @ ("free" | "shield") => word.to_owned(),
        _ => {
            let hint = Some("one of free, shield".to_owned());
            return Err(row.fault("tier", "`tier` is neither of its words", hint));
        }
    };
    let (Some(first_at), Some(last_at)) = (first_at, last_at) else {
        if first_at.is_some() || last_at.is_some() {
            let message = "one of `first_at` and `last_at` is empty";
            let hint = Some("give both, or neither where nothing happened".to_owned());
            return Err(row.fault("last_at", message, hint));
        }
        return Ok(None);
    };
    if last_at < first_at {
        let message = "`last_at` lies before `first_at`";
        return Err(row.fault("last_at", message, None));
    }
    if kind == Kind::Story && max.is_none() {
        let hint = Some("of a story, say what may be told at most".to_owned());
        return Err(row.fault("max_severity", "`max_severity` is empty", hint));
    }
    Ok(Some(Label {
        id,
        kind,
        name,
        variant: text("variant")?.unwrap_or_default(),
        mutation: text("mutation")?.unwrap_or_default(),
        user_id: text("user_id")?,
        username: text("username")?,
        app: text("app")?,
        ip: text("ip")?,
        first_at,
        last_at,
        night: night.unwrap_or(first_at.date_naive()),
        rules: ids(row, "rules")?,
        must: ids(row, "must")?,
        min_severity: min.unwrap_or(Severity::Info),
        max_severity: max.unwrap_or(Severity::Critical),
        tier,
    }))
}

/// Ids separated by `;`.
fn ids(row: &CsvRow<'_>, heading: &str) -> Result<BTreeSet<String>, Fault> {
    let is_id = |id: &str| {
        let mut bytes = id.bytes();
        id.len() <= 100 && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let cell = row.get(heading).unwrap_or_default();
    let ids = cell.split(';').map(str::trim).filter(|id| !id.is_empty());
    let ids: BTreeSet<String> = ids.map(str::to_owned).collect();
    if ids.iter().all(|id| is_id(id)) {
        return Ok(ids);
    }
    let hint = Some("ids of rules, separated by `;`".to_owned());
    let message = format!("`{heading}` holds what is no id of a rule");
    Err(row.fault(heading, message, hint))
}

fn bad(message: &str, hint: &str) -> BadValue {
    BadValue {
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    }
}

fn time(text: &str) -> Result<DateTime<Utc>, BadValue> {
    let wrong = || bad("this is no time", "RFC 3339, as in 2026-05-04T02:14:00Z");
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    let at = at.with_timezone(&Utc);
    // Windows reach days beyond a label: of a year that logs have, they exist.
    match (1990..=2200).contains(&chrono::Datelike::year(&at)) {
        true => Ok(at),
        false => Err(wrong()),
    }
}

fn day(text: &str) -> Result<NaiveDate, BadValue> {
    text.parse()
        .map_err(|_| bad("this is no day", "as in 2026-05-04"))
}

fn count(text: &str) -> Result<u64, BadValue> {
    text.parse()
        .map_err(|_| bad("this is no number of rows", "a whole number"))
}

fn severity(text: &str) -> Result<Severity, BadValue> {
    Severity::from_word(text).ok_or_else(|| {
        bad(
            "this is no severity",
            "one of info, low, medium, high, critical",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "label_id,kind,name,variant,mutation,user_id,username,app,first_at,last_at,\
        night,rules,must,min_severity,max_severity,tier,rows,ip\n";

    fn at(row: &str) -> (usize, usize, String) {
        let fault = read("labels.csv", &format!("{HEAD}{row}\n")).unwrap_err();
        (fault.at.line, fault.at.column, fault.to_string())
    }

    #[test]
    fn a_label_is_read_as_it_was_written() {
        let row = "drift-1-7,attack,drift,1,slower,,,\"Chat, Connect\",2026-06-05T22:31:00.000Z,\
            2026-06-05T22:35:26.000Z,2026-06-05,ioc-match;rows-volume-anomaly,ioc-match,high,,shield,33,192.0.2.1\n";
        let labels = read("labels.csv", &format!("{HEAD}{row}")).unwrap();
        let label = &labels[0];
        assert_eq!((label.id.as_str(), label.kind), ("drift-1-7", Kind::Attack));
        assert_eq!(label.app.as_deref(), Some("Chat, Connect"));
        assert_eq!(label.user_id, None);
        assert_eq!(label.rules.len(), 2);
        assert!(label.must.contains("ioc-match"));
        assert_eq!(label.min_severity, Severity::High);
        assert_eq!(label.night.to_string(), "2026-06-05");
    }

    #[test]
    fn a_label_of_which_nothing_happened_is_left_out() {
        let row = "x-0-1,attack,x,0,,,,,,,,r,r,high,,free,0,\n";
        assert_eq!(read("labels.csv", &format!("{HEAD}{row}")).unwrap(), []);
    }

    #[test]
    fn mistakes_are_told_by_place_and_never_by_value() {
        let secret = "SECRET-VALUE";
        let times = "2026-06-05T00:00:00Z,2026-06-05T01:00:00Z";
        for (row, column) in [
            (format!("a,{secret},n,,,,,,{times},,r,,,,free,,"), 3),
            (format!("a,attack,n,,,,,,{secret},,,r,,,,free,,"), 17),
            (format!("a,attack,n,,,,,,{times},{secret},r,,,,free,,"), 59),
            (format!("a,attack,n,,,,,,{times},,{secret},,,,free,,"), 60),
            (format!("a,attack,n,,,,,,{times},,r,,{secret},,free,,"), 63),
            (format!("a,attack,n,,,,,,{times},,r,,,,{secret},,"), 65),
            (format!("a,attack,n,,,,,,{times},,r,,,,free,{secret},"), 70),
            (format!("a,story,{secret},,,,,,{times},,r,,,,free,,"), 74),
            (format!("a,attack,{secret},,,,,,{times},,r"), 1),
        ] {
            let (line, at, message) = at(&row);
            assert_eq!((line, at), (2, column), "{message}");
            assert!(message.starts_with("labels.csv:2:"), "{message}");
            assert!(!message.contains(secret), "{message}");
        }
        let (_, _, message) =
            at("a,attack,n,,,,,,2026-06-05T02:00:00Z,2026-06-05T01:00:00Z,,r,,,,free,,");
        assert!(message.contains("before `first_at`"), "{message}");
    }
}
