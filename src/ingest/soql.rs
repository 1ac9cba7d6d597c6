//! A SOQL or SOSL text in pieces: words, signs and literals, in one pass and whatever the text.

use std::borrow::Cow;

/// A piece of a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Letters, digits and underscores: a keyword, a name, a number.
    Word(&'a str),
    Sign(char),
    /// What stands between quotes, its escapes resolved. A quote that is never closed ends with the
    /// text.
    Literal(Cow<'a, str>),
    /// What stands behind FIND, in braces or quotes.
    Search(Cow<'a, str>),
}

/// The pieces of a query in their order. Blanks are no piece.
pub struct Pieces<'a> {
    text: &'a str,
    at: usize,
    /// The last piece was the word FIND.
    finds: bool,
}

impl<'a> Pieces<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            finds: false,
        }
    }

    /// The text up to the unescaped `end`, and steps behind it.
    fn until(&mut self, end: char) -> Cow<'a, str> {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let mut has_escapes = false;
        let mut length = rest.len();
        let mut behind = rest.len();
        for (at, c) in rest.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
                has_escapes = true;
            } else if c == end {
                length = at;
                behind = at + c.len_utf8();
                break;
            }
        }
        self.at += behind;
        match has_escapes {
            true => Cow::Owned(unescaped(&rest[..length])),
            false => Cow::Borrowed(&rest[..length]),
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.text.get(self.at..)?;
        let blanks = rest.len() - rest.trim_start().len();
        self.at += blanks;
        let rest = &rest[blanks..];
        let first = rest.chars().next()?;
        let finds = std::mem::take(&mut self.finds);
        if in_word(first) {
            let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            self.at += end;
            let word = &rest[..end];
            self.finds = word.eq_ignore_ascii_case("find");
            return Some(Piece::Word(word));
        }
        self.at += first.len_utf8();
        Some(match first {
            '\'' if finds => Piece::Search(self.until('\'')),
            '\'' => Piece::Literal(self.until('\'')),
            '{' if finds => Piece::Search(self.until('}')),
            sign => Piece::Sign(sign),
        })
    }
}

pub fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A literal without its escapes: `\n` and its like are a blank, `\u0041` is a character, and any
/// other escaped character is itself.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N' | 'r' | 'R' | 't' | 'T' | 'b' | 'B' | 'f' | 'F') => plain.push(' '),
            Some('u' | 'U') => {
                let digits = chars.as_str().get(..4);
                let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(c) => {
                        plain.push(c);
                        chars = chars.as_str()[4..].chars();
                    }
                    None => plain.push('u'),
                }
            }
            Some(c) => plain.push(c),
            None => {}
        }
    }
    plain
}

/// A query that was logged in the form in which it stood in a URL, as it was written: without it
/// literals would be hidden behind `%27`. Any other text is returned as it is.
pub fn decoded(text: &str) -> Cow<'_, str> {
    let has_blank = text.contains(char::is_whitespace);
    if has_blank || !text.contains(['+', '%']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        at += if code.is_some() { 3 } else { 1 };
        plain.push(code.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        Pieces::new(text)
            .filter_map(|piece| match piece {
                Piece::Literal(text) | Piece::Search(text) => Some(text.into_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn literals_end_at_the_first_quote_that_is_not_escaped() {
        for (text, expected) in [
            ("a = 'x' AND b = 'y'", vec!["x", "y"]),
            (r"a = 'O\'Neil' AND b = 'z'", vec!["O'Neil", "z"]),
            (r"a = 'c:\\' AND b = 'z'", vec![r"c:\", "z"]),
            (r"a LIKE '\u0041KIA\n%'", vec!["AKIA %"]),
            (r"a LIKE '\u00zz'", vec!["u00zz"]),
            ("a LIKE 'cut o", vec!["cut o"]),
            (r"a LIKE 'cut \", vec!["cut "]),
            ("a = ''", vec![""]),
            ("FIND {it's} IN ALL FIELDS", vec!["it's"]),
            (r"find { a\} b } RETURNING Contact(Id)", vec![" a} b "]),
            ("FIND 'quoted' RETURNING Contact", vec!["quoted"]),
            ("{not a search}", vec![]),
        ] {
            assert_eq!(literals(text), expected, "{text}");
        }
    }

    #[test]
    fn pieces_cover_names_numbers_and_signs() {
        let pieces: Vec<Piece> = Pieces::new("SELECT COUNT() FROM É_1\u{a0}LIMIT 5").collect();
        assert_eq!(
            pieces,
            [
                Piece::Word("SELECT"),
                Piece::Word("COUNT"),
                Piece::Sign('('),
                Piece::Sign(')'),
                Piece::Word("FROM"),
                Piece::Word("É_1"),
                Piece::Word("LIMIT"),
                Piece::Word("5"),
            ]
        );
    }

    #[test]
    fn a_query_in_the_form_of_a_url_is_read_as_it_was_written() {
        assert_eq!(
            decoded("SELECT+Id+FROM+Case+WHERE+Subject+LIKE+%27%25AKIA%25%27"),
            "SELECT Id FROM Case WHERE Subject LIKE '%AKIA%'"
        );
        assert_eq!(decoded("a LIKE '%41'"), "a LIKE '%41'");
        assert_eq!(decoded("x%zz+%4é"), "x%zz %4é");
    }
}
