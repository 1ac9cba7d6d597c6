//! What a rule's SQL says about itself, without a schema: that it is one SELECT, which
//! parameters it uses, and by what its result is ordered.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident,
    OrderByKind, Query, SetExpr, Statement as Parsed, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::error::RuleError;
use super::head::BUILT_IN_PARAMS;
use crate::config::Severity;
use crate::config::nearest;

/// The one SELECT of a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Names after `$`, in lower case.
    pub params: BTreeSet<String>,
    pub order: Order,
    /// Aggregates whose result depends on the order of rows and that do not say which.
    pub unordered_aggregates: BTreeSet<String>,
    /// Lists are collected (`flatten(array_agg(list))`) without being made plain text first. A list
    /// of shared text keeps every buffer of its batch, and written out in a pool that is full, all
    /// of them once more for each list: one such rule took 21 GB.
    pub collects_shared_text: bool,
    /// Severities that stand in the query as text, the highest last.
    pub severities: BTreeSet<Severity>,
}

/// The outermost ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Missing,
    By(Vec<OrderItem>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderItem {
    Column(String),
    /// Place in the result, from 1.
    Position(usize),
    Expression,
}

impl Statement {
    /// Reads the SQL of a rule file; the whole file is given so that lines are the file's.
    pub fn read(file: &str, sql: &str) -> Result<Self, RuleError> {
        const ONE: &str = "the file is exactly one SELECT (or WITH … SELECT)";
        let dialect = GenericDialect {};
        let statements = Parser::parse_sql(&dialect, sql).map_err(|error| {
            let message = error.to_string();
            let what = message.trim_start_matches("sql parser error: ").to_owned();
            RuleError::new(file, line_in(&message), what)
        })?;
        let [Parsed::Query(query)] = statements.as_slice() else {
            let what = match statements.len() {
                0 => "there is no query after the front matter".to_owned(),
                1 => "the statement is not a SELECT".to_owned(),
                n => format!("there are {n} statements"),
            };
            return Err(RuleError::new(file, 0, what).hint(ONE));
        };
        if !only_selects(&query.body) {
            return Err(RuleError::new(file, 0, "the statement is not a SELECT").hint(ONE));
        }
        let tokens = tokens(file, sql)?;
        Ok(Self {
            params: placeholders(&tokens),
            order: order_of(query),
            unordered_aggregates: unordered_aggregates(query),
            collects_shared_text: collects_shared_text(query),
            severities: severities(&tokens),
        })
    }
}

fn only_selects(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_) => true,
        SetExpr::Query(query) => only_selects(&query.body),
        SetExpr::SetOperation { left, right, .. } => only_selects(left) && only_selects(right),
        _ => false,
    }
}

fn tokens(file: &str, sql: &str) -> Result<Vec<Token>, RuleError> {
    Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|error| RuleError::new(file, line_in(&error.to_string()), error.to_string()))
}

fn placeholders(tokens: &[Token]) -> BTreeSet<String> {
    let name = |token: &Token| match token {
        Token::Placeholder(name) => Some(name.trim_start_matches('$').to_lowercase()),
        _ => None,
    };
    tokens.iter().filter_map(name).collect()
}

fn severities(tokens: &[Token]) -> BTreeSet<Severity> {
    let severity = |token: &Token| match token {
        Token::SingleQuotedString(text) => Severity::from_word(text),
        _ => None,
    };
    tokens.iter().filter_map(severity).collect()
}

fn order_of(query: &Query) -> Order {
    let Some(order_by) = &query.order_by else {
        return Order::Missing;
    };
    match &order_by.kind {
        // The engine does not know ORDER BY ALL.
        OrderByKind::All(_) => Order::Missing,
        OrderByKind::Expressions(items) => Order::By(
            items
                .iter()
                .map(|item| match &item.expr {
                    Expr::Identifier(name) => OrderItem::Column(folded(name)),
                    Expr::CompoundIdentifier(path) => {
                        path.last().map_or(OrderItem::Expression, |name| {
                            OrderItem::Column(folded(name))
                        })
                    }
                    Expr::Value(value) => value
                        .to_string()
                        .parse()
                        .map_or(OrderItem::Expression, OrderItem::Position),
                    _ => OrderItem::Expression,
                })
                .collect(),
        ),
    }
}

/// An unquoted name means its lower case.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

fn unordered_aggregates(query: &Query) -> BTreeSet<String> {
    const NEED_ORDER: [&str; 6] = [
        "array_agg",
        "string_agg",
        "first_value",
        "last_value",
        "nth_value",
        "listagg",
    ];
    let mut found = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(query, |expr| {
        if let Expr::Function(function) = expr {
            let name = function.name.to_string().to_lowercase();
            if NEED_ORDER.contains(&name.as_str()) && !says_its_order(function) {
                found.insert(name);
            }
        }
        ControlFlow::Continue(())
    });
    found
}

fn collects_shared_text(query: &Query) -> bool {
    let argument = |expr: &Expr, of: &str| match expr {
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case(of) => {
            match &function.args {
                FunctionArguments::List(list) => match list.args.first() {
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) => Some(first.clone()),
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    };
    visit_expressions(query, |expr| {
        let collected = argument(expr, "flatten").and_then(|list| argument(&list, "array_agg"));
        match collected.map(|list| argument(&list, "arrow_cast")) {
            Some(None) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })
    .is_break()
}

fn says_its_order(function: &Function) -> bool {
    let inside = match &function.args {
        FunctionArguments::List(list) => list
            .clauses
            .iter()
            .any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_))),
        _ => false,
    };
    inside || !function.within_group.is_empty() || function.over.is_some()
}

/// A `$name` of the query that neither its head nor the runner sets: it could never be asked.
pub fn undeclared<'a>(
    file: &str,
    text: &str,
    statement: &Statement,
    declared: impl IntoIterator<Item = &'a String>,
) -> Option<RuleError> {
    let declared: Vec<&str> = declared.into_iter().map(String::as_str).collect();
    let known = || BUILT_IN_PARAMS.into_iter().chain(declared.iter().copied());
    let name = statement
        .params
        .iter()
        .find(|name| known().all(|k| k != name.as_str()))?;
    let placeholder = format!("${name}");
    let query = text.find("*/").unwrap_or(0);
    let line = text[query..]
        .lines()
        .position(|line| line.to_lowercase().contains(&placeholder))
        .map_or(0, |n| n + 1 + text[..query].matches('\n').count());
    let error = RuleError::new(
        file,
        line,
        format!("`{placeholder}` is not declared in [params]"),
    );
    Some(match nearest(name, known()) {
        Some(near) => error.hint(format!("did you mean `${near}`?")),
        None => error.hint(format!(
            "add [params.{name}] with type, default and meaning"
        )),
    })
}

/// The line of "… at Line: 7, Column: 3"; 0 where the message has none.
fn line_in(message: &str) -> usize {
    message
        .split_once("Line: ")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Result<Statement, RuleError> {
        Statement::read("r.sql", sql)
    }

    #[test]
    fn a_select_and_a_with_select_are_rules_and_nothing_else_is() {
        for good in [
            "/* head */ SELECT 1 AS a ORDER BY a",
            "WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a;",
            "(SELECT 1) UNION ALL (SELECT 2)",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/* head */",
            "SELECT 1; SELECT 2",
            "DELETE FROM findings",
            "CREATE TABLE x AS SELECT 1",
            "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
            "VALUES (1)",
            "COPY (SELECT 1) TO '/tmp/x'",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_syntax_error_names_the_line_of_the_file() {
        let error = read("/* a\n b */\nSELECT a\nFROM t WHERE x ORDER a").unwrap_err();
        assert_eq!(error.line, 4, "{error}");
    }

    #[test]
    fn parameters_in_comments_and_texts_do_not_count() {
        let statement = read(
            "SELECT '$text', $limit -- $comment\n FROM t WHERE a < $window_end AND b > $Limit",
        );
        let params: Vec<_> = statement.unwrap().params.into_iter().collect();
        assert_eq!(params, ["limit", "window_end"]);
    }

    #[test]
    fn the_outermost_order_is_found() {
        let by = |sql: &str| read(sql).unwrap().order;
        assert_eq!(
            by("SELECT a FROM (SELECT a FROM t ORDER BY a)"),
            Order::Missing
        );
        assert_eq!(
            by("SELECT a, b FROM t ORDER BY t.A DESC, 2, lower(b), \"B\""),
            Order::By(vec![
                OrderItem::Column("a".into()),
                OrderItem::Position(2),
                OrderItem::Expression,
                OrderItem::Column("B".into()),
            ])
        );
    }

    #[test]
    fn an_aggregate_that_depends_on_row_order_must_say_the_order() {
        let names = |sql: &str| read(sql).unwrap().unordered_aggregates;
        assert_eq!(names("SELECT array_agg(a) FROM t").len(), 1);
        assert_eq!(
            names("SELECT array_agg(DISTINCT a ORDER BY a) FROM t").len(),
            0
        );
        assert_eq!(
            names("WITH x AS (SELECT first_value(a) AS a FROM t) SELECT a FROM x").len(),
            1
        );
    }

    #[test]
    fn lists_that_are_collected_are_plain_text() {
        let shared = |list: &str| {
            let sql = format!("SELECT array_sort(flatten(array_agg({list} ORDER BY b))) FROM t");
            read(&sql).unwrap().collects_shared_text
        };
        assert!(shared("a"));
        assert!(!shared("arrow_cast(a, 'List(Utf8)')"));
    }

    #[test]
    fn a_parameter_of_the_query_that_is_not_declared_is_refused_on_its_line() {
        let text = crate::detect::test_rule("one", "")
            .replace("ORDER BY", "  AND ip <> $windw_end\nORDER BY");
        let file = "one.sql".to_owned();
        let error =
            crate::detect::Rule::read(&text, crate::detect::Origin::Embedded { file }).unwrap_err();
        assert_eq!(
            error.line,
            1 + text[..text.find("$windw").unwrap()].matches('\n').count()
        );
        assert!(error.what.contains("$windw_end"), "{error}");
        assert_eq!(error.hint.as_deref(), Some("did you mean `$window_end`?"));
    }
}
