//! The result of a rule's query, read row by row: the columns that every rule has, and all others
//! as evidence in the order of the SELECT.
//!
//! | column | type | |
//! |---|---|---|
//! | `occurred_at` | time, not null | required |
//! | `user_key`, `user_id`, `username` | text | one of the first two is required |
//! | `severity` | text | else the rule's |
//! | `event_count` | whole number | else 1 |
//! | `last_at` | time | else `occurred_at` |
//! | `expected`, `observed` | text | else empty |
//! | `role` | text | evidence too; the finding's `user_kind` |

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::error::ArrowError;
use serde_json::{Map, Value};

use super::evidence::{cell_to_json, integer, moment, raw_text};
use super::rule::Rule;
use crate::config::Severity;
use crate::privacy::printable;

/// Columns that are not evidence.
pub const COMMON_COLUMNS: [&str; 9] = [
    "occurred_at",
    "user_key",
    "user_id",
    "username",
    "severity",
    "event_count",
    "last_at",
    "expected",
    "observed",
];

/// Longest name and longest sentence of a finding, in characters.
const NAME_CHARS: usize = 200;
const SENTENCE_CHARS: usize = 600;

/// One row of a rule's result.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    pub occurred_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub user_key: Option<String>,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub user_kind: Option<String>,
    pub severity: Severity,
    pub count: u64,
    pub expected: String,
    pub observed: String,
    /// Values of the rule's dedupe columns, in its order.
    pub dedupe: Vec<Option<String>>,
    pub evidence: Map<String, Value>,
}

/// Reads all rows. The error says what the rule's query does wrong, without any value.
pub fn read_rows(rule: &Rule, batches: &[RecordBatch]) -> Result<Vec<ResultRow>, String> {
    let mut rows = vec![];
    for batch in batches {
        let columns = Columns::of(rule, batch)?;
        for row in 0..batch.num_rows() {
            rows.push(columns.row(rule, row)?);
        }
    }
    Ok(rows)
}

struct Columns<'a> {
    common: [Option<&'a ArrayRef>; COMMON_COLUMNS.len()],
    role: Option<&'a ArrayRef>,
    dedupe: Vec<&'a ArrayRef>,
    evidence: Vec<(&'a str, &'a ArrayRef)>,
}

impl<'a> Columns<'a> {
    fn of(rule: &Rule, batch: &'a RecordBatch) -> Result<Self, String> {
        let find = |name: &str| batch.column_by_name(name);
        let dedupe = rule
            .dedupe
            .iter()
            .map(|name| {
                find(name).ok_or_else(|| format!("the result has no dedupe column `{name}`"))
            })
            .collect::<Result<_, _>>()?;
        if find("occurred_at").is_none() {
            return Err("the result has no column `occurred_at`".into());
        }
        let schema = batch.schema_ref();
        let evidence = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| (field.name(), column))
            .filter(|(name, _)| !COMMON_COLUMNS.contains(&name.as_str()));
        Ok(Self {
            common: COMMON_COLUMNS.map(find),
            role: find("role"),
            dedupe,
            evidence: evidence
                .map(|(name, column)| (name.as_str(), column))
                .collect(),
        })
    }

    fn row(&self, rule: &Rule, row: usize) -> Result<ResultRow, String> {
        let [
            occurred_at,
            user_key,
            user_id,
            username,
            severity,
            count,
            last_at,
            expected,
            observed,
        ] = self.common;
        let text = |column: Option<&ArrayRef>, name: &str| -> Result<Option<String>, String> {
            let cell = column.map(|c| raw_text(c, row)).transpose();
            Ok(cell.map_err(|_| wrong(name, "text"))?.flatten())
        };
        let time = |column: Option<&ArrayRef>, name: &str| {
            let cell = column.map(|c| moment(c, row)).transpose();
            cell.map(Option::flatten).map_err(|_| wrong(name, "a time"))
        };
        let sentence = |column, name: &str| -> Result<String, String> {
            let text = text(column, name)?.unwrap_or_default();
            Ok(printable(&text, SENTENCE_CHARS))
        };

        let occurred_at =
            time(occurred_at, "occurred_at")?.ok_or("`occurred_at` is NULL in the result")?;
        let last_at = time(last_at, "last_at")?
            .unwrap_or(occurred_at)
            .max(occurred_at);
        let severity = match text(severity, "severity")? {
            Some(word) => {
                Severity::from_word(&word).ok_or_else(|| wrong("severity", "a severity"))?
            }
            None => rule.severity,
        };
        let count = count.map(|c| integer(c, row)).transpose();
        let count = count
            .map_err(|_| wrong("event_count", "a whole number"))?
            .flatten()
            .unwrap_or(1);
        let json = |column| cell_to_json(column, row).map_err(|e| unreadable(&e));
        Ok(ResultRow {
            occurred_at,
            last_at,
            user_key: text(user_key, "user_key")?,
            user_id: text(user_id, "user_id")?,
            username: text(username, "username")?.map(|name| printable(&name, NAME_CHARS)),
            user_kind: text(self.role, "role")?,
            severity: rule.severity_of(severity),
            count: u64::try_from(count).unwrap_or(0),
            expected: sentence(expected, "expected")?,
            observed: sentence(observed, "observed")?,
            dedupe: self
                .dedupe
                .iter()
                .map(|column| raw_text(column, row).map_err(|e| unreadable(&e)))
                .collect::<Result<_, _>>()?,
            evidence: self
                .evidence
                .iter()
                .map(|(name, column)| Ok(((*name).to_owned(), json(column)?)))
                .collect::<Result<_, String>>()?,
        })
    }
}

fn wrong(column: &str, expected: &str) -> String {
    format!("column `{column}` of the result is not {expected}")
}

/// Names the kind of the error only: its text may repeat a value.
fn unreadable(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(_) => "a column of the result has a type that cannot be shown".into(),
        _ => "a column of the result cannot be read".into(),
    }
}
