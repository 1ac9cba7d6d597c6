//! What can go wrong between a question and its answer, told so that a person can act on it.

use std::path::PathBuf;

use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

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
                None => message.clone(),
            },
            DataFusionError::SQL(error, _) => {
                format!("the query does not parse: {}", parser_message(error))
            }
            other => other.strip_backtrace(),
        };
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
    fn a_name_that_resembles_nothing_gets_no_suggestion() {
        assert_eq!(nearest("zzzzzz", ["logins", "files"].into_iter()), None);
    }
}
