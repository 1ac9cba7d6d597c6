//! What a query or a search was about, in a few words of ours: how it is built and whether it looks
//! for secrets. The text itself never leaves ingest.
//!
//! The classes and what makes them are data: `data/query_classes.toml` says how to read it.

use std::sync::LazyLock;

use hashbrown::HashMap;
use serde::Deserialize;

use super::soql::{Piece, Pieces, decoded, in_word};

mod shape;

use shape::Outline;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let file: RulesFile = toml::from_str(include_str!("data/query_classes.toml"))
        // The text is compiled in and read by this module's tests.
        .expect("compiled-in query_classes.toml is valid");
    Rules::new(file)
});

/// A word of which only the beginning stands before a wildcard, or only the end behind one, counts
/// from this many characters on.
const BEGINNING_CHARS: usize = 5;
const END_CHARS: usize = 6;

/// Capitals and digits behind a prefix, one digit at least, that make it the beginning of a key;
/// and how many do so whatever they are.
const KEY_CHARS: usize = 4;
const WHOLE_KEY_CHARS: usize = 12;

/// Longest name of a field, in bytes.
const NAME_BYTES: usize = 100;

/// Ends of the API names of custom fields and objects, behind two underscores.
const API_SUFFIXES: [&str; 11] = [
    "c", "r", "e", "b", "x", "mdt", "kav", "pc", "pr", "share", "history",
];

/// Most words in a row that `words` has.
const ROW: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    shape: Vec<shape::Rule>,
    secret: Vec<SecretRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRow {
    class: String,
    /// For the reader of the file, and of rules: one hit, or several of different classes.
    #[serde(rename = "strength")]
    _strength: Strength,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    cut_words: Vec<String>,
    #[serde(default)]
    marks: Vec<String>,
    #[serde(default)]
    key_prefixes: Vec<String>,
    #[serde(default)]
    also_words: Vec<String>,
    #[serde(default)]
    places: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Strength {
    Strong,
    Weak,
}

struct Rules {
    shapes: Vec<shape::Rule>,
    secrets: Vec<SecretRow>,
    /// Single words, in lower case, and the secrets they mean.
    words: HashMap<String, usize>,
    /// Those of them that a wildcard may cut.
    cut_words: HashMap<String, usize>,
    /// Several words in a row.
    rows: Vec<(Vec<String>, usize)>,
}

impl Rules {
    fn new(file: RulesFile) -> Self {
        let mut words = HashMap::new();
        let mut cut_words = HashMap::new();
        let mut rows = vec![];
        for (secret, row) in file.secret.iter().enumerate() {
            cut_words.extend(row.cut_words.iter().map(|word| (word.clone(), secret)));
            for text in &row.words {
                let parts: Vec<String> = text.split(' ').map(str::to_lowercase).collect();
                match <[String; 1]>::try_from(parts) {
                    Ok([word]) => drop(words.insert(word, secret)),
                    Err(parts) => rows.push((parts, secret)),
                }
            }
        }
        Self {
            shapes: file.shape,
            secrets: file.secret,
            words,
            cut_words,
            rows,
        }
    }
}

/// Appends the classes of a SOQL or SOSL text. False where it has none.
pub fn of_query(text: &str, out: &mut Vec<u8>) -> bool {
    let text = decoded(text);
    let mut found = Found::default();
    let mut outline = Outline::default();
    let mut field = "";
    for piece in Pieces::new(&text) {
        outline.take(&piece, &RULES.shapes);
        match &piece {
            Piece::Word(word) if word.len() > NAME_BYTES => field = "",
            Piece::Word(word) if !is_comparison(word) => field = word,
            Piece::Word(_) | Piece::Sign(_) => {}
            Piece::Literal(literal) => found.read(literal, Place::Field(field)),
            Piece::Search(literal) => found.read(literal, Place::Search),
        }
    }
    found.tell(outline.classes(&RULES.shapes), out)
}

/// Appends the classes of what was typed into a search. False where it has none.
pub fn of_search(text: &str, out: &mut Vec<u8>) -> bool {
    let mut found = Found::default();
    found.read(text, Place::Search);
    found.tell(vec![], out)
}

/// Words that stand between a field and its literal.
fn is_comparison(word: &str) -> bool {
    ["like", "in", "not", "includes", "excludes"]
        .iter()
        .any(|w| w.eq_ignore_ascii_case(word))
}

/// Where a literal stands.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// Compared with this field.
    Field(&'a str),
    /// In a search, where every word is looked for.
    Search,
}

/// The secrets that a text looks for.
#[derive(Default)]
struct Found {
    /// Bit n: the n-th secret.
    secrets: u64,
}

impl Found {
    fn add(&mut self, secret: usize) {
        self.secrets |= 1 << secret;
    }

    /// Reads a literal, in time linear in its length.
    fn read(&mut self, text: &str, place: Place) {
        let mut last: [String; ROW] = Default::default();
        let mut rest = text;
        while let Some(start) = rest.find(in_word) {
            let before = rest[..start].chars().next_back();
            let run = &rest[start..];
            let end = run.find(|c| !in_word(c)).unwrap_or(run.len());
            let (run, behind) = run.split_at(end);
            let after = behind.chars().next();
            if !is_api_name(run) {
                self.read_run(run, before, after, place, &mut last);
            }
            rest = behind;
        }
        for (secret, row) in RULES.secrets.iter().enumerate() {
            if row.marks.iter().any(|mark| contains(text, mark)) {
                self.add(secret);
            }
        }
    }

    /// Reads letters, digits and underscores without anything between them. An underscore may part
    /// two words (`api_key`) or stand for any character (`p_ssword`).
    fn read_run(
        &mut self,
        run: &str,
        before: Option<char>,
        after: Option<char>,
        place: Place,
        last: &mut [String; ROW],
    ) {
        let whole = run.trim_matches('_');
        if whole.contains('_') && whole.chars().count() <= WORD_CHARS {
            let pattern = whole.to_lowercase();
            self.add_all(&RULES.words, |word| fits(&pattern, word));
        }
        let mut parts = run.split('_').peekable();
        let mut left = before;
        while let Some(part) = parts.next() {
            let right = if parts.peek().is_some() {
                Some('_')
            } else {
                after
            };
            if !part.is_empty() {
                self.read_word(part, left, right, place, last);
            }
            left = Some('_');
        }
    }

    fn read_word(
        &mut self,
        part: &str,
        before: Option<char>,
        after: Option<char>,
        place: Place,
        last: &mut [String; ROW],
    ) {
        let open = [before, after].map(|c| c.is_some_and(is_wildcard));
        self.read_key(part, open, place);
        // A longer word is none of ours, and would only cost.
        let short = part.chars().nth(WORD_CHARS).is_none();
        let word = if short {
            part.to_lowercase()
        } else {
            String::new()
        };
        if let Some(&secret) = RULES.words.get(&word) {
            self.add(secret);
        } else if open[1] && word.len() >= BEGINNING_CHARS {
            self.add_all(&RULES.cut_words, |known| known.starts_with(&word));
        } else if open[0] && word.len() >= END_CHARS {
            self.add_all(&RULES.cut_words, |known| known.ends_with(&word));
        }
        last.rotate_left(1);
        last[ROW - 1] = word;
        for (row, secret) in &RULES.rows {
            if last.ends_with(row) {
                self.add(*secret);
            }
        }
    }

    fn add_all(&mut self, known: &HashMap<String, usize>, means: impl Fn(&str) -> bool) {
        for (_, secret) in known.iter().filter(|(word, _)| means(word)) {
            self.add(*secret);
        }
    }

    /// The beginning of a key, in capitals and with more of the key behind it, or alone beside a
    /// wildcard (in a search: alone).
    fn read_key(&mut self, part: &str, open: [bool; 2], place: Place) {
        for (secret, row) in RULES.secrets.iter().enumerate() {
            for prefix in &row.key_prefixes {
                let Some((begin, key)) = part.split_at_checked(prefix.len()) else {
                    continue;
                };
                if !begin.eq_ignore_ascii_case(prefix) {
                    continue;
                }
                let is_word = row.also_words.contains(prefix);
                let is_hit = if !key.is_empty() {
                    let of_key = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
                    let has_digit = || key.bytes().any(|b| b.is_ascii_digit());
                    let part_of_key = !is_word && key.len() >= KEY_CHARS && has_digit();
                    begin == prefix
                        && (part_of_key || key.len() >= WHOLE_KEY_CHARS)
                        && key.bytes().all(of_key)
                } else {
                    match place {
                        Place::Search => !is_word,
                        Place::Field(_) if !is_word => open[0] || open[1],
                        Place::Field(field) => {
                            begin == prefix
                                && open[0]
                                && open[1]
                                && !row.places.iter().any(|place| contains(field, place))
                        }
                    }
                };
                if is_hit {
                    self.add(secret);
                }
            }
        }
    }

    /// Appends all classes, sorted. False where there are none.
    fn tell(&self, shapes: Vec<&str>, out: &mut Vec<u8>) -> bool {
        let secrets = RULES.secrets.iter().enumerate();
        let mut classes: Vec<&str> = secrets
            .filter(|(n, _)| self.secrets & (1 << n) != 0)
            .map(|(_, row)| row.class.as_str())
            .chain(shapes)
            .collect();
        classes.sort_unstable();
        classes.dedup();
        out.extend_from_slice(classes.join(";").as_bytes());
        !classes.is_empty()
    }
}

/// Longest word of ours, in characters.
const WORD_CHARS: usize = 24;

fn is_wildcard(c: char) -> bool {
    matches!(c, '%' | '_' | '*' | '?')
}

/// The API name of a custom field or object: a name, wherever it stands.
fn is_api_name(run: &str) -> bool {
    run.rsplit_once("__").is_some_and(|(name, suffix)| {
        let known = API_SUFFIXES.iter().any(|s| s.eq_ignore_ascii_case(suffix));
        known && !name.is_empty()
    })
}

/// Whether a pattern in which `_` stands for any character, and which has more letters than such,
/// fits a word.
fn fits(pattern: &str, word: &str) -> bool {
    let open = pattern.bytes().filter(|b| *b == b'_').count();
    open * 2 < word.len()
        && pattern.chars().count() == word.chars().count()
        && pattern
            .chars()
            .zip(word.chars())
            .all(|(p, w)| p == '_' || p == w)
}

/// Whether a text has an ASCII text in it, without regard to case.
fn contains(text: &str, part: &str) -> bool {
    text.as_bytes()
        .windows(part.len().max(1))
        .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

#[cfg(test)]
mod tests;
