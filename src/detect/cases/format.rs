//! The format of a cases file.
//!
//! ```toml
//! [defaults]
//! now = 2026-01-16T03:00:00Z
//! registry = "cast"        # a registry by name (cast.registry.toml), or TOML text
//! [[case]]
//! name = "A UI login fires high even from an allowed address"
//! kind = "positive"        # or "negative"
//! registry = """…"""       # optional, replaces the default
//! now = 2026-01-20T03:00:00Z
//! params = { repeat_threshold = 3 }
//! [[case.file]]
//! event = "Login"          # the known header, and any other key that a row has
//! name = "Login_2026-01-15.csv"
//! repeat = 3               # each row n times …
//! step_seconds = 60        # … with its times moved on
//! rows = [ { TIMESTAMP_DERIVED = "2026-01-15T10:00:00.000Z", LOGIN_TYPE = "A" } ]
//! raw = """…"""            # instead of rows: the CSV text itself
//! [[case.table]]           # a table of the program itself: suppressions, canaries, rule_runs, …
//! name = "canaries"        # holds these rows alone; columns that are not given are NULL
//! rows = [ { rule_id = "some-rule", state = "silent" } ]
//! [[case.network_info]]    # what is known of a network, in the place of databases and lists
//! network = "192.0.2.0/24" # and of asn, as_name, country, latitude, longitude, radius_km, class
//! asn = 64500              # (tor|vpn|proxy|hosting|egress; valid_from, valid_to) what is known
//! [[case.indicators]]      # in the place of the shipped indicators: kind, value, confidence,
//! kind = "ip"              # valid_from, valid_to, source, note
//! value = "192.0.2.66"     # both also as [[defaults.…]], for cases that give none
//! [[case.expect]]          # each finding that must come out; none means none
//! user = "int_erp@example.com"
//! severity = "high"
//! count = 1
//! evidence = { fail_closed = true }
//! [[case.expect]]
//! rule = "other-rule"      # a finding of another rule, which then runs too
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use serde::Deserialize;

use super::known::{IndicatorInfo, NetworkInfo, enrichment};
use super::table::{batch_of, table_of};
use crate::config::Severity;
use crate::detect::error::RuleError;
use crate::detect::rule::CasesText;
use crate::enrich::Enrichment;
use crate::lake::LedgerTable;

/// Most rows that one file of a case may have, repeated ones included.
const ROWS_MAX: u64 = 200_000;

/// A cases file, checked.
#[derive(Debug, Clone)]
pub struct CaseFile {
    pub cases: Vec<Case>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseKind {
    /// The attack: it must be found.
    Positive,
    /// The benign look-alike: it stays quiet, or comes out as exactly what is expected of it.
    Negative,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Line of its name in the file.
    pub line: usize,
    pub name: String,
    pub kind: CaseKind,
    pub now: DateTime<Utc>,
    pub registry: Option<String>,
    pub params: BTreeMap<String, toml::Value>,
    pub files: Vec<CaseInput>,
    /// Tables of the program itself, and the rows that they hold in this case.
    pub tables: Vec<(LedgerTable, RecordBatch)>,
    /// What is known of addresses and indicators.
    pub known: Arc<Enrichment>,
    pub expect: Vec<Expected>,
}

/// One input file of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseInput {
    pub event: String,
    pub name: String,
    pub repeat: u32,
    pub step_seconds: i64,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Heading → cell.
    Rows(Vec<BTreeMap<String, String>>),
    /// CSV text.
    Raw(String),
}

/// What a finding must hold; what is not said is not compared.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Another rule that the same rows must wake; none means the rule beside which the case is.
    pub rule: Option<String>,
    /// Username, user id or user key; `""` means that there is no user.
    pub user: Option<String>,
    pub severity: Option<Severity>,
    pub count: Option<u64>,
    pub user_kind: Option<String>,
    pub first_seen: Option<toml::value::Datetime>,
    pub last_seen: Option<toml::value::Datetime>,
    /// Texts that occur in the sentences.
    pub expected: Option<String>,
    pub observed: Option<String>,
    #[serde(default)]
    pub evidence: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default, rename = "case")]
    cases: Vec<WrittenCase>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    now: Option<toml::value::Datetime>,
    registry: Option<String>,
    #[serde(default)]
    network_info: Vec<NetworkInfo>,
    indicators: Option<Vec<IndicatorInfo>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    name: toml::Spanned<String>,
    kind: CaseKind,
    now: Option<toml::value::Datetime>,
    registry: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, toml::Value>,
    #[serde(default, rename = "file")]
    files: Vec<WrittenFile>,
    #[serde(default, rename = "table")]
    tables: Vec<WrittenTable>,
    network_info: Option<Vec<NetworkInfo>>,
    indicators: Option<Vec<IndicatorInfo>>,
    #[serde(default)]
    expect: Vec<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    event: toml::Spanned<String>,
    name: Option<String>,
    #[serde(default = "once")]
    repeat: u32,
    #[serde(default)]
    step_seconds: i64,
    rows: Option<Vec<BTreeMap<String, toml::Value>>>,
    raw: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTable {
    name: toml::Spanned<String>,
    rows: Vec<BTreeMap<String, toml::Value>>,
}

fn once() -> u32 {
    1
}

impl CaseFile {
    pub fn read(text: &CasesText) -> Result<Self, RuleError> {
        let source = text.text.trim_start_matches('\u{feff}');
        let written: Written = toml::from_str(source)
            .map_err(|error| RuleError::of_toml(&text.file, source, 1, &error))?;
        let line_at = |offset: usize| {
            1 + source.as_bytes()[..offset]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
        };
        let mut names = BTreeMap::new();
        let mut cases = vec![];
        for case in written.cases {
            let line = line_at(case.name.span().start);
            let refuse = |line: usize, what: String| RuleError::new(&text.file, line, what);
            let name = case.name.into_inner();
            if let Some(first) = names.insert(name.clone(), line) {
                return Err(refuse(
                    line,
                    format!("the case of line {first} has the same name"),
                ));
            }
            let own = case.expect.iter().any(|expected| expected.rule.is_none());
            if case.kind == CaseKind::Positive && !own {
                return Err(refuse(line, "a positive case expects no finding".into())
                    .hint("add [[case.expect]], or make it kind = \"negative\""));
            }
            let now = case.now.or(written.defaults.now);
            let now = now.as_ref().and_then(moment).ok_or_else(|| {
                refuse(line, "the case has no time `now`".into())
                    .hint("give it in [defaults], as in now = 2026-01-16T03:00:00Z")
            })?;
            let mut files = vec![];
            for (n, file) in case.files.into_iter().enumerate() {
                let at = line_at(file.event.span().start);
                files.push(input(file, n).map_err(|what| refuse(at, what))?);
            }
            let mut tables: Vec<(LedgerTable, RecordBatch)> = vec![];
            for written in case.tables {
                let at = line_at(written.name.span().start);
                let table = table_of(written.name.get_ref()).map_err(|what| refuse(at, what))?;
                if tables.iter().any(|(known, _)| *known == table) {
                    return Err(refuse(
                        at,
                        format!("the case sets `{}` twice", table.name()),
                    ));
                }
                let rows = batch_of(table, &written.rows).map_err(|what| refuse(at, what))?;
                tables.push((table, rows));
            }
            let infos = case.network_info.as_ref();
            let mut networks = vec![];
            for info in infos.unwrap_or(&written.defaults.network_info) {
                let at = line_at(info.network.span().start);
                networks.push(info.stated().map_err(|what| refuse(at, what))?);
            }
            let own = case.indicators.as_ref();
            let own = own.or(written.defaults.indicators.as_ref());
            let known = enrichment(&networks, own.map(Vec::as_slice));
            let known = known.map_err(|what| refuse(line, what))?;
            cases.push(Case {
                line,
                name,
                kind: case.kind,
                now,
                registry: case.registry.or_else(|| written.defaults.registry.clone()),
                params: case.params,
                files,
                tables,
                known,
                expect: case.expect,
            });
        }
        Ok(Self { cases })
    }
}

fn input(file: WrittenFile, number: usize) -> Result<CaseInput, String> {
    let event = file.event.into_inner();
    let content = match (file.rows, file.raw) {
        (Some(rows), None) => Content::Rows(
            rows.into_iter()
                .map(|row| {
                    row.into_iter()
                        .map(|(heading, value)| match cell(&value) {
                            Some(text) => Ok((heading, text)),
                            None => Err(format!("the cell of `{heading}` is no text or number")),
                        })
                        .collect()
                })
                .collect::<Result<_, String>>()?,
        ),
        (None, Some(raw)) => Content::Raw(raw),
        _ => return Err("a file has either `rows` or `raw`".into()),
    };
    if let Content::Rows(rows) = &content
        && (rows.len() as u64).saturating_mul(u64::from(file.repeat)) > ROWS_MAX
    {
        return Err(format!("the file has more than {ROWS_MAX} rows"));
    }
    let name = file.name.unwrap_or_else(|| format!("{number}_{event}.csv"));
    let plain = !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ' '));
    if !plain || name.is_empty() {
        return Err("the file's `name` must be a plain file name".into());
    }
    Ok(CaseInput {
        event,
        name,
        repeat: file.repeat,
        step_seconds: file.step_seconds,
        content,
    })
}

fn cell(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(value) => Some(if *value { "1" } else { "0" }.to_owned()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        _ => None,
    }
}

/// A date-time with its offset.
pub(super) fn moment(written: &toml::value::Datetime) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(&written.to_string())
        .ok()
        .map(|at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CaseFile, RuleError> {
        CaseFile::read(&CasesText {
            file: "r.cases.toml".into(),
            text: text.into(),
        })
    }

    const GOOD: &str = r#"
[defaults]
now = 2026-01-16T03:00:00Z
registry = "cast"
[[case]]
name = "found"
kind = "positive"
params = { limit = 3 }
[[case.file]]
event = "Login"
repeat = 2
step_seconds = 60
rows = [ { TIMESTAMP_DERIVED = "2026-01-15T10:00:00.000Z", RUN_TIME = 5 } ]
[[case.expect]]
user = "u@example.com"
severity = "high"
evidence = { fail_closed = true }
[[case]]
name = "quiet"
kind = "negative"
now = 2026-01-17T03:00:00+01:00
registry = "[[user]]\n"
"#;

    #[test]
    fn a_cases_file_is_read_with_its_defaults() {
        let cases = read(GOOD).unwrap().cases;
        assert_eq!(cases.len(), 2);
        assert_eq!(
            (cases[0].line, cases[0].registry.as_deref()),
            (6, Some("cast"))
        );
        assert_eq!(cases[0].files[0].name, "0_Login.csv");
        let Content::Rows(rows) = &cases[0].files[0].content else {
            panic!("rows expected");
        };
        assert_eq!(rows[0]["RUN_TIME"], "5");
        assert_eq!(cases[1].now.to_rfc3339(), "2026-01-17T02:00:00+00:00");
        assert_eq!(cases[1].registry.as_deref(), Some("[[user]]\n"));
    }

    #[test]
    fn mistakes_are_refused_with_their_line() {
        let line = |from: &str, to: &str| read(&GOOD.replace(from, to)).unwrap_err().line;
        assert_eq!(line("kind = \"positive\"", "kind = \"maybe\""), 7);
        assert_eq!(line("params =", "parms ="), 8);
        assert_eq!(line("\"quiet\"", "\"found\""), 19);
        assert_eq!(line("kind = \"negative\"", "kind = \"positive\""), 19);
        assert_eq!(line("now = 2026-01-16T03:00:00Z\n", ""), 5);
        assert_eq!(line("repeat = 2", "raw = 'x'"), 10);
        assert_eq!(line("repeat = 2", "repeat = 4000000000"), 10);
        assert_eq!(line("repeat = 2", "name = '../x.csv'"), 10);
        let table = |text: &str| {
            let text = format!("[[case.table]]\n{text}\n[[case.expect]]");
            line("[[case.expect]]", &text)
        };
        assert_eq!(table("name = 'canary'\nrows = []"), 15);
        assert_eq!(table("name = 'canaries'\nrows = [ { id = 'x' } ]"), 15);
        let twice = "name = 'runs'\nrows = []\n[[case.table]]\nname = 'runs'\nrows = []";
        assert_eq!(table(twice), 18);
    }
}
