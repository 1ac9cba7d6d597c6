//! Several statements in one text: where each begins and ends, told by the tokens that the parser
//! itself sees, so that a `;` in quotes or in a comment parts nothing.

use std::ops::Range;

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::error::{EngineError, SqlPlace};
use super::read_only::changing_verb;

/// One statement of a text, without its `;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStatement {
    pub sql: String,
    /// Where it begins in the text.
    pub place: SqlPlace,
}

/// The statements of `text` in their order; what is blank or only a comment is none.
pub fn statements(text: &str) -> Vec<ScriptStatement> {
    let (tokens, _) = tokens(text);
    let mut found = vec![];
    let mut start = None;
    let mut end = 0;
    for token in &tokens {
        match token.kind {
            TokenKind::End => found.extend(start.take().map(|start| (start, end))),
            TokenKind::Blank | TokenKind::Comment => {}
            _ => {
                start.get_or_insert((token.bytes.start, token.place));
                end = token.bytes.end;
            }
        }
    }
    // What the tokenizer cannot read belongs to the last statement, which fails for it.
    let read = tokens.last().map_or(0, |token| token.bytes.end);
    let rest = &text[read..];
    if !rest.trim().is_empty() {
        let place = tokens.last().map_or(FIRST, |token| token.end(text));
        start.get_or_insert((read, place));
        end = text.len();
    }
    found.extend(start.map(|start| (start, end)));
    found
        .into_iter()
        .map(|((start, place), end)| ScriptStatement {
            sql: text[start..end].to_owned(),
            place,
        })
        .collect()
}

/// Whether `text` ends with the `;` of its last statement, or holds no statement at all.
pub fn is_complete(text: &str) -> bool {
    let (tokens, is_whole) = tokens(text);
    let says_nothing = |kind| matches!(kind, TokenKind::Blank | TokenKind::Comment);
    let last = tokens.iter().rev().find(|t| !says_nothing(t.kind));
    is_whole && last.is_none_or(|token| token.kind == TokenKind::End)
}

/// Whether a statement may be asked at all: it parses and changes nothing. Says nothing of the
/// names in it.
///
/// # Errors
/// [`EngineError::Query`] with the place in the statement, [`EngineError::ReadOnly`].
pub fn check(statement: &ScriptStatement) -> Result<(), EngineError> {
    let parsed = DFParser::parse_sql_with_dialect(&statement.sql, &GenericDialect {});
    let parsed = parsed.map_err(|error| EngineError::planning(&error, &[]))?;
    match parsed.iter().find_map(changing_verb) {
        Some(what) => Err(EngineError::ReadOnly { what }),
        None => Ok(()),
    }
}

/// What a stretch of SQL is, for whoever shows or completes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Keyword,
    /// A word that is no keyword, or one in double quotes.
    Name,
    Number,
    Text,
    Comment,
    Blank,
    /// `$name`
    Parameter,
    /// `;`
    End,
    Other,
}

/// One token and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlToken {
    pub kind: TokenKind,
    pub bytes: Range<usize>,
    pub place: SqlPlace,
}

impl SqlToken {
    /// The place right behind it; `text` is what it was read from.
    pub(super) fn end(&self, text: &str) -> SqlPlace {
        let mut place = self.place;
        for c in text[self.bytes.clone()].chars() {
            match c {
                '\n' => {
                    place.line += 1;
                    place.column = 1;
                }
                _ => place.column += 1,
            }
        }
        place
    }
}

const FIRST: SqlPlace = SqlPlace { line: 1, column: 1 };

/// The tokens of `text` up to the first that cannot be read, and whether that was its end.
pub fn tokens(text: &str) -> (Vec<SqlToken>, bool) {
    let mut read: Vec<TokenWithSpan> = vec![];
    let outcome = Tokenizer::new(&GenericDialect {}, text)
        .with_unescape(false)
        .tokenize_with_location_into_buf(&mut read);
    let mut cursor = Cursor::of(text);
    let tokens = read
        .iter()
        .map(|token| {
            let place = SqlPlace {
                line: token.span.start.line,
                column: token.span.start.column,
            };
            let start = cursor.offset(place);
            let end = cursor.offset(SqlPlace {
                line: token.span.end.line,
                column: token.span.end.column,
            });
            SqlToken {
                kind: kind_of(&token.token),
                bytes: start..end,
                place,
            }
        })
        .collect();
    (tokens, outcome.is_ok())
}

fn kind_of(token: &Token) -> TokenKind {
    match token {
        Token::SemiColon => TokenKind::End,
        Token::Whitespace(
            Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
        ) => TokenKind::Comment,
        Token::Whitespace(_) => TokenKind::Blank,
        Token::Number(..) => TokenKind::Number,
        Token::Placeholder(_) => TokenKind::Parameter,
        Token::Word(word) if word.quote_style.is_some() => TokenKind::Name,
        Token::Word(word) if word.keyword == Keyword::NoKeyword => TokenKind::Name,
        Token::Word(_) => TokenKind::Keyword,
        Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::DoubleQuotedString(_) => TokenKind::Text,
        _ => TokenKind::Other,
    }
}

/// Finds byte offsets of places that come in their order.
struct Cursor<'t> {
    rest: std::str::CharIndices<'t>,
    next: Option<(usize, char)>,
    at: SqlPlace,
    length: usize,
}

impl<'t> Cursor<'t> {
    fn of(text: &'t str) -> Self {
        let mut rest = text.char_indices();
        let next = rest.next();
        Self {
            rest,
            next,
            at: FIRST,
            length: text.len(),
        }
    }

    fn offset(&mut self, wanted: SqlPlace) -> usize {
        while (self.at.line, self.at.column) < (wanted.line, wanted.column) {
            let Some((_, c)) = self.next else {
                break;
            };
            match c {
                '\n' => {
                    self.at.line += 1;
                    self.at.column = 1;
                }
                _ => self.at.column += 1,
            }
            self.next = self.rest.next();
        }
        self.next.map_or(self.length, |(offset, _)| offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        statements(text).into_iter().map(|s| s.sql).collect()
    }

    #[test]
    fn only_a_semicolon_of_its_own_parts_statements() {
        let text = "SELECT ';' AS a, \"x;y\" -- no;\nFROM t /* ; */ ; ;\n\n  SELECT 2;";
        assert_eq!(
            parts(text),
            ["SELECT ';' AS a, \"x;y\" -- no;\nFROM t", "SELECT 2"]
        );
        assert_eq!(parts("/* a */ SELECT 1 -- b\n; -- c"), ["SELECT 1"]);
        assert_eq!(parts("SELECT 1"), ["SELECT 1"]);
        assert!(parts(" -- nothing\n;;").is_empty());
    }

    #[test]
    fn a_statement_knows_where_it_begins() {
        let places: Vec<_> = statements("SELECT 'ä';  SELECT 2;\n\n  SELECT 'open")
            .iter()
            .map(|s| (s.place.line, s.place.column))
            .collect();
        assert_eq!(places, [(1, 1), (1, 14), (3, 3)]);
    }

    #[test]
    fn a_text_is_complete_when_its_last_statement_has_ended() {
        for whole in ["SELECT 1;", "SELECT 1; -- done", "", "  \n"] {
            assert!(is_complete(whole), "{whole}");
        }
        for open in [
            "SELECT 1",
            "SELECT ';",
            "SELECT 1; SELECT",
            "SELECT 1 /* ;",
            "SELECT \"a;",
        ] {
            assert!(!is_complete(open), "{open}");
        }
    }

    #[test]
    fn what_does_not_parse_or_changes_something_is_found_before_anything_runs() {
        let checked = |text: &str| {
            let each = statements(text);
            let each = each
                .iter()
                .map(|s| check(s).map_err(|e| e.placed_in(&s.sql, s.place)));
            each.collect::<Result<(), _>>()
        };
        assert!(
            checked("SELECT 1; EXPLAIN SELECT 2; VALUES (1); WITH a AS (SELECT 1) TABLE a").is_ok()
        );
        assert!(matches!(
            checked("SELECT 1; DROP TABLE logins"),
            Err(EngineError::ReadOnly { what }) if what == "DROP"
        ));
        let Err(EngineError::Query {
            place: Some(place), ..
        }) = checked("SELECT 1;\n SELECT 1 1")
        else {
            panic!("it does not parse");
        };
        assert_eq!((place.line, place.column), (2, 11));
    }
}
