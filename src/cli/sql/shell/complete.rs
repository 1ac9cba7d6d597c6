//! What Tab offers: tables, columns, functions and keywords in SQL; hunts, rules and formats behind
//! the commands that take them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::command;
use crate::detect::RuleSet;
use crate::engine::Session;
use crate::engine::script::{TokenKind, tokens};
use crate::hunt::HuntSet;

/// Whose columns are offered as long as the query names no table.
const MOST_ASKED: &str = "logins";
/// Longest wait for the columns of a view.
const PATIENCE: Duration = Duration::from_secs(3);
const KEYWORDS: [&str; 44] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DISTINCT",
    "UNION ALL",
    "WITH",
    "EXISTS",
    "OVER",
    "PARTITION BY",
    "QUALIFY",
    "DESC",
    "ASC",
    "NULLS LAST",
    "INTERVAL",
    "TIMESTAMP",
    "DATE",
    "CAST",
    "EXPLAIN",
];

/// Every name that can be typed.
pub struct Names {
    session: Arc<Session>,
    tables: Vec<String>,
    functions: Vec<String>,
    hunts: Vec<(String, String)>,
    rules: Vec<(String, String)>,
    columns: Mutex<BTreeMap<String, Arc<[String]>>>,
}

impl Names {
    pub fn new(session: Arc<Session>, hunts: &HuntSet, rules: &RuleSet) -> Self {
        let hunts = hunts
            .iter()
            .map(|hunt| (hunt.id.clone(), hunt.title.clone()));
        let rules = rules
            .iter()
            .map(|rule| (rule.id.clone(), rule.title.clone()));
        Self {
            tables: session.tables(),
            functions: session.functions(),
            hunts: hunts.collect(),
            rules: rules.collect(),
            columns: Mutex::default(),
            session,
        }
    }

    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    fn is_table(&self, name: &str) -> bool {
        self.tables
            .binary_search_by(|table| table.as_str().cmp(name))
            .is_ok()
    }

    /// The columns of a table, asked of the session once.
    fn columns(&self, table: &str) -> Arc<[String]> {
        let mut known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(columns) = known.get(table) {
            return Arc::clone(columns);
        }
        self.session.begin(Some(PATIENCE));
        // A table that cannot be planned has no columns to offer.
        let schema = self.session.columns(table).ok().flatten();
        let columns: Arc<[String]> = schema
            .iter()
            .flat_map(|schema| schema.fields())
            .map(|field| field.name().clone())
            .collect();
        known.insert(table.to_owned(), Arc::clone(&columns));
        columns
    }
}

pub struct SqlCompleter {
    names: Arc<Names>,
}

impl SqlCompleter {
    pub fn new(names: Arc<Names>) -> Self {
        Self { names }
    }

    fn offers(&self, line: &str, at: usize) -> Vec<Suggestion> {
        let before = &line[..at];
        match before.trim_start().starts_with('\\') {
            true => self.of_command(before),
            false => self.of_sql(line, before),
        }
    }

    fn of_command(&self, before: &str) -> Vec<Suggestion> {
        let start = before
            .rfind(char::is_whitespace)
            .map_or(0, |blank| blank + 1);
        let (word, span) = (&before[start..], start..before.len());
        let names = &self.names;
        let plain = |all: &[String]| -> Vec<(String, String)> {
            all.iter()
                .map(|name| (name.clone(), String::new()))
                .collect()
        };
        let mut words = before.split_whitespace();
        let name = words.next().unwrap_or_default();
        let is_second = words.clone().count() + usize::from(word.is_empty()) == 1;
        let offered = match name {
            _ if word.starts_with('\\') => plain(&command::NAMES.map(str::to_owned)),
            "\\explain" => return self.of_sql(before, before),
            "\\d" if is_second => plain(&names.tables),
            "\\hunts" if is_second => names.hunts.clone(),
            "\\rules" if is_second => names.rules.clone(),
            "\\format" if is_second => plain(&command::formats()),
            "\\timing" if is_second => plain(&["on".to_owned(), "off".to_owned()]),
            _ => Vec::new(),
        };
        let begins = offered
            .into_iter()
            .filter(|(name, _)| name.starts_with(word));
        begins
            .map(|(name, about)| suggestion(name, Some(about), &span, true))
            .collect()
    }

    fn of_sql(&self, line: &str, before: &str) -> Vec<Suggestion> {
        let (read, is_whole) = tokens(before);
        let inside = read
            .last()
            .is_some_and(|token| token.kind == TokenKind::Comment);
        if !is_whole || inside {
            return Vec::new();
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.rfind(|c| !is_word(c)).map_or(0, |other| other + 1);
        // `rfind` gives the first byte of a character.
        let start = (start..=before.len())
            .find(|at| before.is_char_boundary(*at))
            .unwrap_or(0);
        let (word, span) = (&before[start..], start..before.len());
        let mentioned = self.mentioned(line);
        if let Some(owner) = before[..start].strip_suffix('.') {
            let owner_start = owner.rfind(|c| !is_word(c)).map_or(0, |other| other + 1);
            let owner = owner.get(owner_start..).unwrap_or_default();
            let columns = self.owned_by(owner, &mentioned);
            return matching(&columns, word, &span, "");
        }
        let behind = read
            .iter()
            .rev()
            .filter(|token| token.bytes.end <= start)
            .find(|token| token.kind != TokenKind::Blank);
        let behind = behind.map(|token| before[token.bytes.clone()].to_uppercase());
        if matches!(behind.as_deref(), Some("FROM" | "JOIN" | "TABLE")) {
            return matching(&self.names.tables, word, &span, "");
        }
        let mut offers = Vec::new();
        if !word.is_empty() || !mentioned.is_empty() {
            offers.extend(matching(&self.all_columns(&mentioned), word, &span, ""));
        }
        offers.extend(matching(&self.names.tables, word, &span, ""));
        if !word.is_empty() {
            offers.extend(matching(&self.names.functions, word, &span, "("));
            let is_lower = word.chars().all(char::is_lowercase);
            let keywords = KEYWORDS.map(|keyword| match is_lower {
                true => keyword.to_lowercase(),
                false => keyword.to_owned(),
            });
            offers.extend(matching(&keywords, word, &span, ""));
        }
        let mut seen = BTreeSet::new();
        offers.retain(|offer| seen.insert(offer.value.clone()));
        offers
    }

    /// The tables that a query names, each with the name that it has there.
    fn mentioned(&self, line: &str) -> Vec<(String, String)> {
        let (read, _) = tokens(line);
        let words: Vec<&str> = read
            .iter()
            .filter(|token| token.kind != TokenKind::Blank && token.kind != TokenKind::Comment)
            .map(|token| &line[token.bytes.clone()])
            .collect();
        let mut found = Vec::new();
        for (n, word) in words.iter().enumerate() {
            let table = word.to_lowercase();
            if !self.names.is_table(&table) {
                continue;
            }
            let mut next = words.iter().skip(n + 1);
            let mut alias = next.next();
            if alias.is_some_and(|word| word.eq_ignore_ascii_case("as")) {
                alias = next.next();
            }
            if let Some(alias) = alias {
                found.push((alias.to_lowercase(), table.clone()));
            }
            found.push((table.clone(), table));
        }
        found
    }

    fn owned_by(&self, owner: &str, mentioned: &[(String, String)]) -> Vec<String> {
        let owner = owner.to_lowercase();
        let alias = mentioned.iter().find(|(alias, _)| *alias == owner);
        match alias.map_or(owner.as_str(), |(_, table)| table) {
            table if self.names.is_table(table) => self.names.columns(table).to_vec(),
            _ => Vec::new(),
        }
    }

    fn all_columns(&self, mentioned: &[(String, String)]) -> Vec<String> {
        let mut tables: BTreeSet<&str> =
            mentioned.iter().map(|(_, table)| table.as_str()).collect();
        if tables.is_empty() {
            tables.insert(MOST_ASKED);
        }
        let columns = tables
            .into_iter()
            .flat_map(|table| self.names.columns(table).to_vec());
        columns.collect::<BTreeSet<String>>().into_iter().collect()
    }
}

impl Completer for SqlCompleter {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let at = pos.min(line.len());
        match line.is_char_boundary(at) {
            true => CompletionResult::fresh(self.offers(line, at)),
            false => CompletionResult::fresh(Vec::new()),
        }
    }
}

fn matching(names: &[String], word: &str, span: &Range<usize>, ending: &str) -> Vec<Suggestion> {
    let wanted = word.to_lowercase();
    let begins = names
        .iter()
        .filter(|name| name.to_lowercase().starts_with(&wanted));
    begins
        .map(|name| suggestion(format!("{name}{ending}"), None, span, ending.is_empty()))
        .collect()
}

fn suggestion(
    value: String,
    about: Option<String>,
    span: &Range<usize>,
    append_whitespace: bool,
) -> Suggestion {
    Suggestion {
        value,
        description: about.filter(|about| !about.is_empty()),
        span: Span::new(span.start, span.end),
        append_whitespace,
        ..Suggestion::default()
    }
}
