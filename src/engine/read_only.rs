//! What a session refuses: every statement that is no question. Told by the statement's first word,
//! before it is planned, so that the answer to `INSERT` is not that its columns do not fit; and
//! by the plan once more.

use datafusion::prelude::SQLOptions;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;

/// The verb of a statement that is no question; none of one that is.
pub(super) fn changing_verb(statement: &Statement) -> Option<String> {
    let plain = match statement {
        Statement::Statement(plain) => plain,
        Statement::Explain(explain) => return changing_verb(&explain.statement),
        other => return Some(verb(&other.to_string())),
    };
    match plain.as_ref() {
        SqlStatement::Query(_) | SqlStatement::Explain { .. } => None,
        other => Some(verb(&other.to_string())),
    }
}

fn verb(sql: &str) -> String {
    sql.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_uppercase()
}

/// What a plan may hold.
pub(super) fn questions() -> SQLOptions {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
}
