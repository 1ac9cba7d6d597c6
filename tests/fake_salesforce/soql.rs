//! The part of SOQL that a client of logs and lists uses, as strict as the real one: what is not
//! known here is a MALFORMED_QUERY.

use chrono::{DateTime, NaiveDate, Utc};

/// A query, understood but not yet checked against an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub select: Vec<Item>,
    pub object: String,
    pub filter: Option<Test>,
    pub group: Option<Name>,
    pub order: Vec<Order>,
    pub limit: Option<usize>,
    pub offset: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Field(Name),
    /// `COUNT()`.
    Count,
    /// `COUNT(Id)`.
    CountOf(Name),
    /// `FIELDS(ALL)`.
    AllFields,
}

/// A name and where in the text it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub text: String,
    pub place: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare(Name, Comparison, Literal),
    In(Name, Vec<Literal>, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Like,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Text(String),
    Number(f64),
    Boolean(bool),
    Null,
    Time(DateTime<Utc>),
    Date(NaiveDate),
    LastDays(i64),
    Today,
    Yesterday,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub field: Name,
    pub descending: bool,
    pub nulls_last: bool,
}

/// Why a text is no query. The real org repeats the text; so does the answer made from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub place: usize,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

/// The query of this text. With `lenient_zone`, `+0000` ends a time as well as `Z` does.
pub fn parse(text: &str, lenient_zone: bool) -> Result<Query, Malformed> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        end: text.chars().count(),
        lenient_zone,
    };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.unexpected()),
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, usize)>, Malformed> {
    let letters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let start = at;
        if letter.is_whitespace() {
            at += 1;
        } else if letter == '\'' {
            let mut inner = String::new();
            at += 1;
            loop {
                match (letters.get(at), letters.get(at + 1)) {
                    (Some('\''), _) => break,
                    (Some('\\'), Some(escaped)) => {
                        inner.push(match escaped {
                            'n' => '\n',
                            'r' => '\r',
                            't' => '\t',
                            '\'' | '"' | '\\' | '_' | '%' => *escaped,
                            _ => return Err(malformed(at, "Invalid string literal")),
                        });
                        at += 2;
                    }
                    (Some(other), _) => {
                        inner.push(*other);
                        at += 1;
                    }
                    (None, _) => {
                        return Err(malformed(
                            start,
                            "line breaks not allowed in string literals",
                        ));
                    }
                }
            }
            at += 1;
            tokens.push((Token::Text(inner), start));
        } else if is_word(letter) {
            while letters.get(at).is_some_and(|letter| is_word(*letter)) {
                at += 1;
            }
            tokens.push((Token::Word(letters[start..at].iter().collect()), start));
        } else {
            let two: String = letters[at..letters.len().min(at + 2)].iter().collect();
            let sign = match two.as_str() {
                "!=" | "<=" | ">=" | "<>" => two,
                _ if "(),=<>".contains(letter) => letter.to_string(),
                _ => return Err(malformed(at, &format!("unexpected token: '{letter}'"))),
            };
            at += sign.chars().count();
            tokens.push((Token::Sign(sign), start));
        }
    }
    Ok(tokens)
}

/// Letters of names, numbers and times.
fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_.:+-".contains(letter)
}

fn malformed(place: usize, message: &str) -> Malformed {
    Malformed {
        place,
        message: message.to_owned(),
    }
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    end: usize,
    lenient_zone: bool,
}

const RESERVED: [&str; 12] = [
    "AND", "ASC", "DESC", "FROM", "GROUP", "IN", "LIKE", "LIMIT", "NOT", "OR", "ORDER", "WHERE",
];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    fn place(&self) -> usize {
        self.tokens
            .get(self.next)
            .map_or(self.end, |(_, place)| *place)
    }

    fn unexpected(&self) -> Malformed {
        let what = match self.peek() {
            Some(Token::Word(word) | Token::Sign(word)) => word.clone(),
            Some(Token::Text(text)) => format!("'{text}'"),
            None => "<EOF>".to_owned(),
        };
        malformed(self.place(), &format!("unexpected token: '{what}'"))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if found == sign);
        self.next += usize::from(found);
        found
    }

    fn need_word(&mut self, word: &str) -> Result<(), Malformed> {
        self.word(word)
            .then_some(())
            .ok_or_else(|| self.unexpected())
    }

    fn need_sign(&mut self, sign: &str) -> Result<(), Malformed> {
        self.sign(sign)
            .then_some(())
            .ok_or_else(|| self.unexpected())
    }

    fn name(&mut self) -> Result<Name, Malformed> {
        let place = self.place();
        match self.peek() {
            Some(Token::Word(word))
                if word.starts_with(|letter: char| letter.is_ascii_alphabetic())
                    && word
                        .chars()
                        .all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter))
                    && word.split('.').count() <= 6
                    && word.split('.').all(|part| !part.is_empty())
                    && !RESERVED.contains(&word.to_ascii_uppercase().as_str()) =>
            {
                let text = word.clone();
                self.next += 1;
                Ok(Name { text, place })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn query(&mut self) -> Result<Query, Malformed> {
        self.need_word("SELECT")?;
        let mut select = vec![self.item()?];
        while self.sign(",") {
            select.push(self.item()?);
        }
        self.need_word("FROM")?;
        let object = self.name()?.text;
        let filter = if self.word("WHERE") {
            Some(self.test()?)
        } else {
            None
        };
        let mut group = None;
        if self.word("GROUP") {
            self.need_word("BY")?;
            group = Some(self.name()?);
        }
        let mut order = Vec::new();
        if self.word("ORDER") {
            self.need_word("BY")?;
            order.push(self.order()?);
            while self.sign(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.word("LIMIT") {
            Some(self.count()?)
        } else {
            None
        };
        let offset = if self.word("OFFSET") {
            self.count()?
        } else {
            0
        };
        Ok(Query {
            select,
            object,
            filter,
            group,
            order,
            limit,
            offset,
        })
    }

    fn item(&mut self) -> Result<Item, Malformed> {
        let name = self.name()?;
        if !self.sign("(") {
            return Ok(Item::Field(name));
        }
        let item = match name.text.to_ascii_uppercase().as_str() {
            "COUNT" if self.sign(")") => return Ok(Item::Count),
            "COUNT" => Item::CountOf(self.name()?),
            "FIELDS" if self.word("ALL") => Item::AllFields,
            _ => return Err(self.unexpected()),
        };
        self.need_sign(")")?;
        Ok(item)
    }

    fn order(&mut self) -> Result<Order, Malformed> {
        let field = self.name()?;
        let descending = self.word("DESC");
        if !descending {
            self.word("ASC");
        }
        let mut nulls_last = false;
        if self.word("NULLS") {
            nulls_last = self.word("LAST");
            if !nulls_last {
                self.need_word("FIRST")?;
            }
        }
        Ok(Order {
            field,
            descending,
            nulls_last,
        })
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        let number = match self.peek() {
            Some(Token::Word(word)) => word.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.unexpected())?;
        self.next += 1;
        Ok(number)
    }

    /// AND and OR do not stand beside each other without parentheses.
    fn test(&mut self) -> Result<Test, Malformed> {
        let first = self.simple_test()?;
        let word = if self.is_word("AND") { "AND" } else { "OR" };
        let mut tests = vec![first];
        while self.word(word) {
            tests.push(self.simple_test()?);
        }
        if self.is_word("AND") || self.is_word("OR") {
            return Err(self.unexpected());
        }
        Ok(match (tests.len(), word) {
            (1, _) => tests.swap_remove(0),
            (_, "AND") => Test::All(tests),
            _ => Test::Any(tests),
        })
    }

    fn simple_test(&mut self) -> Result<Test, Malformed> {
        if self.word("NOT") {
            return Ok(Test::Not(Box::new(self.simple_test()?)));
        }
        if self.sign("(") {
            let inner = self.test()?;
            self.need_sign(")")?;
            return Ok(inner);
        }
        let field = self.name()?;
        let negated = self.word("NOT");
        if self.word("IN") {
            self.need_sign("(")?;
            let mut values = vec![self.literal()?];
            while self.sign(",") {
                values.push(self.literal()?);
            }
            self.need_sign(")")?;
            return Ok(Test::In(field, values, negated));
        }
        if negated {
            return Err(self.unexpected());
        }
        let comparison = match self.peek() {
            Some(Token::Sign(sign)) => match sign.as_str() {
                "=" => Comparison::Equal,
                "!=" | "<>" => Comparison::Different,
                "<" => Comparison::Less,
                "<=" => Comparison::LessOrEqual,
                ">" => Comparison::More,
                ">=" => Comparison::MoreOrEqual,
                _ => return Err(self.unexpected()),
            },
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("LIKE") => Comparison::Like,
            _ => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(Test::Compare(field, comparison, self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, Malformed> {
        let literal = match self.peek() {
            Some(Token::Text(text)) => Some(Literal::Text(text.clone())),
            Some(Token::Word(word)) => self.bare_literal(word),
            _ => None,
        };
        let literal = literal.ok_or_else(|| self.unexpected())?;
        self.next += 1;
        Ok(literal)
    }

    fn bare_literal(&self, word: &str) -> Option<Literal> {
        let upper = word.to_ascii_uppercase();
        if let Some(days) = upper.strip_prefix("LAST_N_DAYS:") {
            return days.parse().ok().map(Literal::LastDays);
        }
        match upper.as_str() {
            "NULL" => return Some(Literal::Null),
            "TRUE" => return Some(Literal::Boolean(true)),
            "FALSE" => return Some(Literal::Boolean(false)),
            "TODAY" => return Some(Literal::Today),
            "YESTERDAY" => return Some(Literal::Yesterday),
            _ => {}
        }
        if let Ok(date) = NaiveDate::parse_from_str(word, "%Y-%m-%d") {
            return (word.len() == 10).then_some(Literal::Date(date));
        }
        let compact = word.ends_with("+0000");
        let time = match (compact, self.lenient_zone) {
            (true, true) => word.replace("+0000", "Z"),
            (true, false) => return None,
            _ => word.to_owned(),
        };
        let after_date = time.get(10..11) == Some("T");
        if let (true, Ok(time)) = (after_date, time.parse::<DateTime<Utc>>()) {
            return Some(Literal::Time(time));
        }
        let numeric = word
            .chars()
            .all(|letter| letter.is_ascii_digit() || ".-+".contains(letter));
        word.parse().ok().filter(|_| numeric).map(Literal::Number)
    }
}
