//! What can go wrong between a question and its answer, told so that a person can act on it.

use std::path::PathBuf;
use std::time::Duration;

use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use super::script::{SqlToken, TokenKind, tokens};
use crate::lake::LakeError;

/// Error of the engine. Messages may repeat the query's own text, never a row of the lake,
/// except where the query itself forces a conversion that fails.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The query does not parse, names something unknown, or its types do not fit.
    #[error("{message}{}", place_suffix(.place))]
    Query {
        message: String,
        place: Option<SqlPlace>,
    },
    /// The query would change something. Sessions only read.
    #[error("only SELECT and EXPLAIN are allowed here, not {what}")]
    ReadOnly { what: String },
    /// A `$name` in the query has no value.
    #[error("the query needs a value for ${name}\nhint: give it with --param {name}=VALUE")]
    MissingParameter { name: String },
    /// A view or rollup that orgwatch brings along does not fit the lake's schema.
    #[error("the built-in query {name} cannot be planned: {message}")]
    BuiltIn { name: &'static str, message: String },
    /// A Parquet file that the ledger knows is absent, cut or damaged.
    #[error(
        "the lake file {} is {problem}; `orgwatch lake verify` checks the whole lake",
        .path.display()
    )]
    DamagedPart { path: PathBuf, problem: String },
    /// The memory given to the engine does not suffice and the operation cannot spill.
    #[error(
        "the query needs more memory than the limit allows ({message}); raise limits.memory or narrow the time range"
    )]
    OutOfMemory { message: String },
    #[error("the query failed: {message}")]
    Execution { message: String },
    /// It did not end within the time that was given to it.
    #[error("the query was stopped after {}", seconds(.limit))]
    TimedOut { limit: Duration },
    /// Somebody stopped it ([`super::Stop`]).
    #[error("the query was cancelled")]
    Stopped,
    #[error("the query engine could not start: {0}")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Where in the SQL text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlPlace {
    pub line: u64,
    pub column: u64,
}

fn place_suffix(place: &Option<SqlPlace>) -> String {
    match place {
        Some(SqlPlace { line, column }) => format!(" (line {line}, column {column})"),
        None => String::new(),
    }
}

impl EngineError {
    /// An error met while a query was parsed or planned; `tables` are the names that exist.
    pub(super) fn planning(error: &DataFusionError, tables: &[String]) -> Self {
        let place = error
            .diagnostic()
            .and_then(|d| d.span)
            .map(|span| SqlPlace {
                line: span.start.line,
                column: span.start.column,
            });
        let message = match error.find_root() {
            DataFusionError::SchemaError(schema, _) => schema_message(schema),
            DataFusionError::Plan(message) => match unknown_table(message) {
                Some(name) => unknown_table_message(name, tables),
                None => plan_message(message),
            },
            DataFusionError::SQL(error, _) => {
                let (message, told) = without_place(&parser_message(error));
                let message = format!("the query does not parse: {message}");
                let place = place.or(told);
                return Self::Query { message, place };
            }
            other => plan_message(&other.strip_backtrace()),
        };
        Self::Query { message, place }
    }

    /// The same for a statement that begins at `start` of a longer text: the place is one in that
    /// text. What has no place gets one where the statement tells it: its end, the call that
    /// does not fit.
    pub fn placed_in(self, statement: &str, start: SqlPlace) -> Self {
        let Self::Query { message, place } = self else {
            return self;
        };
        let place = place
            .or_else(|| place_of(&message, statement))
            .map(|place| match place.line {
                1 => SqlPlace {
                    line: start.line,
                    column: start.column + place.column - 1,
                },
                line => SqlPlace {
                    line: start.line + line - 1,
                    column: place.column,
                },
            });
        Self::Query { message, place }
    }

    /// An error met while a query ran.
    pub(super) fn running(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(message) => Self::OutOfMemory {
                message: first_line(message),
            },
            other => Self::Execution {
                message: without_quoted(&other.strip_backtrace()),
            },
        }
    }
}

/// What failed, without the cell that it failed on: a running query quotes values of the data,
/// and its message goes to logs, mails and the ledger. All between the outermost quotes goes,
/// because a value may hold quotes itself.
fn without_quoted(message: &str) -> String {
    const QUOTES: [char; 3] = ['\'', '"', '`'];
    let first = message.find(QUOTES);
    let cut = match (first, message.rfind(QUOTES)) {
        (Some(first), Some(last)) if first < last => {
            format!("{}…{}", &message[..=first], &message[last..])
        }
        (Some(first), _) => format!("{}…", &message[..=first]),
        _ => message.to_owned(),
    };
    first_line(&cut)
}

/// The message of the planner without what is meant for the developers of the engine: its advice to
/// report a bug, and all but the head of a list of attempts.
fn plan_message(message: &str) -> String {
    const NO_MATCH: &str = "No function matches the given name and argument types '";
    let (head, rest) = message.split_once(NO_MATCH).unwrap_or((message, ""));
    if let Some((call, rest)) = rest.split_once('\'') {
        let mut shapes: Vec<&str> = rest
            .lines()
            .filter_map(|line| line.strip_prefix('\t'))
            .collect();
        shapes.retain(|shape| *shape != "Candidate functions:");
        let wants = match shapes.as_slice() {
            [] => String::new(),
            [one] => format!("; it is {one}"),
            many => format!("; there are {}", many.join(", ")),
        };
        return format!("no function matches {call}{wants}");
    }
    let told: Vec<&str> = head
        .lines()
        .take_while(|line| !line.starts_with("This issue was likely caused by a bug"))
        .filter(|line| !line.trim().is_empty())
        .collect();
    let told = told.join(" ");
    let told = told.strip_prefix("Internal error: ").unwrap_or(&told);
    let told = told.strip_prefix("Error during planning: ").unwrap_or(told);
    match told
        .strip_prefix("Invalid function '")
        .and_then(|rest| rest.split_once("'."))
    {
        Some((name, hint)) => format!("there is no function {name}{}", suggestion(hint)),
        None => told.to_owned(),
    }
}

fn suggestion(hint: &str) -> String {
    let near = hint.trim().strip_prefix("Did you mean '");
    let near = near.and_then(|rest| rest.split_once('\''));
    near.map_or(String::new(), |(name, _)| format!("; did you mean {name}?"))
}

/// A message of the parser parted from its ` at Line: 1, Column: 8`.
fn without_place(message: &str) -> (String, Option<SqlPlace>) {
    let parted = || {
        let (said, place) = message.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        let place = SqlPlace {
            line: line.parse().ok()?,
            column: column.trim().parse().ok()?,
        };
        Some((said.to_owned(), place))
    };
    match parted() {
        Some((said, place)) => (said, Some(place)),
        None => (message.to_owned(), None),
    }
}

/// Where in the statement a message without a place belongs.
fn place_of(message: &str, statement: &str) -> Option<SqlPlace> {
    let (tokens, _) = tokens(statement);
    if message.ends_with("found: EOF") {
        let last = tokens.iter().rfind(|token| token.kind != TokenKind::Blank);
        return last.map(|token| token.end(statement));
    }
    let (name, _) = message
        .strip_prefix("no function matches ")?
        .split_once('(')?;
    let is_call = |pair: &[SqlToken]| {
        statement[pair[0].bytes.clone()].eq_ignore_ascii_case(name)
            && &statement[pair[1].bytes.clone()] == "("
    };
    tokens
        .windows(2)
        .find(|pair| is_call(pair))
        .map(|pair| pair[0].place)
}

fn seconds(limit: &Duration) -> String {
    match limit.subsec_millis() {
        0 => crate::words::counted(
            usize::try_from(limit.as_secs()).unwrap_or(usize::MAX),
            "second",
        ),
        _ => format!("{} s", limit.as_secs_f64()),
    }
}

fn parser_message(error: &ParserError) -> String {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn schema_message(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound {
        field,
        valid_fields,
    } = error
    else {
        return error.to_string();
    };
    let wanted = field.name();
    let names: Vec<&str> = valid_fields.iter().map(Column::name).collect();
    match nearest(wanted, names.iter().copied()) {
        Some(name) => format!("there is no column {wanted}; did you mean {name}?"),
        None if names.is_empty() => format!("there is no column {wanted}"),
        None => {
            let mut names: Vec<&str> = names;
            names.sort_unstable();
            names.dedup();
            format!(
                "there is no column {wanted}; there are {}",
                names.join(", ")
            )
        }
    }
}

fn unknown_table(message: &str) -> Option<&str> {
    let name = message
        .strip_prefix("table '")?
        .strip_suffix("' not found")?;
    Some(name.strip_prefix("orgwatch.public.").unwrap_or(name))
}

fn unknown_table_message(name: &str, tables: &[String]) -> String {
    match nearest(name, tables.iter().map(String::as_str)) {
        Some(near) => format!("there is no table {name}; did you mean {near}?"),
        None => format!("there is no table {name}; try logins, api_calls, ui_activity, elf_login"),
    }
}

/// The candidate nearest to `wanted`, if any is near enough to be a slip of the pen.
fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    candidates
        .map(|name| (levenshtein(&wanted, &name.to_lowercase()), name))
        .min()
        .filter(|(distance, _)| *distance <= wanted.chars().count().div_ceil(3))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_table_is_answered_with_the_nearest_name() {
        let error = DataFusionError::Plan("table 'orgwatch.public.login' not found".into());
        let shown = EngineError::planning(&error, &["logins".into(), "logouts".into()]).to_string();
        assert_eq!(shown, "there is no table login; did you mean logins?");
    }

    #[test]
    fn a_query_that_fails_on_a_cell_does_not_quote_it() {
        for (message, shown) in [
            (
                "Cannot cast string 'o'brien's\nkey' to value of Int32 type",
                "Cannot cast string '…' to value of Int32 type",
            ),
            (
                "Error parsing timestamp from 'key",
                "Error parsing timestamp from '…",
            ),
            (
                "did not compile: Syntax(\n~~~\n    key(",
                "did not compile: Syntax(",
            ),
            ("Divide by zero error", "Divide by zero error"),
        ] {
            assert_eq!(without_quoted(message), shown);
        }
    }

    #[test]
    fn the_engines_own_words_to_its_developers_are_left_out() {
        let internal = "Internal error: Function 'sum' failed to match any signature, errors: \
             Error during planning: Function 'sum' requires Decimal, but received String.\n\
             This issue was likely caused by a bug in DataFusion's code. Please report. \
             No function matches the given name and argument types 'sum(Utf8View)'. You might \
             need to add explicit type casts.\n\tCandidate functions:\n\tsum(Decimal)\n\tsum(UInt64)";
        assert_eq!(
            plan_message(internal),
            "no function matches sum(Utf8View); there are sum(Decimal), sum(UInt64)"
        );
        assert_eq!(
            plan_message("Invalid function 'cont'.\nDid you mean 'count'?"),
            "there is no function cont; did you mean count?"
        );
    }

    #[test]
    fn an_error_points_into_the_whole_text() {
        let placed = |message: &str, place: Option<(u64, u64)>, statement: &str| {
            let place = place.map(|(line, column)| SqlPlace { line, column });
            let message = message.to_owned();
            let start = SqlPlace { line: 5, column: 3 };
            match (EngineError::Query { message, place }).placed_in(statement, start) {
                EngineError::Query { place, .. } => place.map(|p| (p.line, p.column)),
                other => panic!("{other}"),
            }
        };
        assert_eq!(placed("x", Some((1, 8)), ""), Some((5, 10)));
        assert_eq!(placed("x", Some((2, 8)), ""), Some((6, 8)));
        assert_eq!(
            placed("Expected: y, found: EOF", None, "SELECT 1 +  "),
            Some((5, 13))
        );
        let call = "SELECT 1,\n  SUM (a), sum(b)";
        assert_eq!(
            placed("no function matches sum(Utf8)", None, call),
            Some((6, 12))
        );
        assert_eq!(placed("something else", None, call), None);
    }

    #[test]
    fn a_name_that_resembles_nothing_gets_no_suggestion() {
        assert_eq!(nearest("zzzzzz", ["logins", "files"].into_iter()), None);
    }
}
