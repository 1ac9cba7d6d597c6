//! What no text may show, whoever wrote it: an org or a proxy may repeat in an answer what it was
//! sent.

use std::sync::{PoisonError, RwLock};

use crate::privacy::{Secret, printable};

/// Longest text of others that a message repeats, in characters.
const MAX_SHOWN: usize = 500;
/// Pieces of a secret that are shorter betray nothing: an org's id begins each of its tokens.
const SHORTEST_PIECE: usize = 16;
/// A whole secret that is shorter is a word that any answer may hold.
const SHORTEST_SECRET: usize = 6;

/// The secrets of this process. Only grows.
#[derive(Debug, Default)]
pub(super) struct Hidden(RwLock<Vec<Secret>>);

impl Hidden {
    /// From now on neither it nor a longer piece of it is shown, in any case and as forms have
    /// it.
    pub(super) fn add(&self, secret: &str) {
        // A session's token is an org and a key, a signed one has three parts.
        let pieces = secret.split('!').chain(secret.split('.'));
        let pieces = pieces.filter(|piece| piece.len() >= SHORTEST_PIECE);
        let whole = [secret.to_owned(), as_in_a_form(secret)];
        let whole = whole.into_iter().filter(|all| all.len() >= SHORTEST_SECRET);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for piece in pieces.map(str::to_owned).chain(whole) {
            let piece = piece.to_ascii_lowercase();
            if !all.iter().any(|known| known.expose() == piece) {
                all.push(Secret::new(piece));
            }
        }
    }

    /// Others' text in one printable line of at most 500 characters.
    pub(super) fn shown(&self, text: &str) -> String {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Blanks within could hide one, and names of hosts are in lower case.
        let lower = text.to_ascii_lowercase();
        let bare: String = lower.split_whitespace().collect();
        let is_betrayed = |piece: &Secret| {
            let piece = piece.expose();
            lower.contains(piece) || bare.contains(piece)
        };
        if is_like_a_token(&lower) || all.iter().any(is_betrayed) {
            return "(words that repeat a secret)".to_owned();
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        printable(&words.join(" "), MAX_SHOWN)
    }
}

/// Whether a session's token of any process may stand in a text of lower case: an org's id and
/// `!`, or the start of a signed token.
fn is_like_a_token(lower: &str) -> bool {
    let is_session = |(at, _): (usize, &str)| {
        let rest = &lower[at..];
        let id = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let mark = &rest[id..];
        matches!(id, 15 | 18) && (mark.starts_with('!') || mark.starts_with("%21"))
    };
    let is_signed = |(at, _): (usize, &str)| {
        let fits = |b: &u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
        lower[at..].bytes().take_while(fits).count() >= SHORTEST_PIECE
    };
    lower.match_indices("00d").any(is_session) || lower.match_indices("eyj").any(is_signed)
}

fn as_in_a_form(secret: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse("form:x") else {
        // It is an address.
        return String::new();
    };
    url.query_pairs_mut().append_key_only(secret);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_or_a_longer_piece_of_it_is_never_shown() {
        let hidden = Hidden::default();
        hidden.add("00D000000000001!AQEAQcanary.canarycanary");
        hidden.add("head.payload-payload-payload.sig");
        hidden.add("hunter2");
        hidden.add("pass & word");
        for text in [
            "a 00D000000000001!AQEAQcanary.canarycanary b",
            "payload-payload-payload",
            "payload-payload\n-payload",
            "the hunter2 one",
            "the HUNTER2 one",
            "client_secret=pass+%26+word",
            "https://AQEAQcanary.canaryCANARY.example.com",
            "AQEAQcanary.canarycanary, 00D000000000001!AQEAQcanary.canarycanary",
        ] {
            assert_eq!(hidden.shown(text), "(words that repeat a secret)");
        }
        for plain in ["org 00D000000000001", "eyJ is the start of many", "00D000"] {
            assert_eq!(hidden.shown(plain), plain);
        }
        assert!(!format!("{hidden:?}").contains("canary"));
    }

    #[test]
    fn what_looks_like_a_token_is_not_shown_whosever_it_is() {
        for text in [
            "session 00D000000000001!AQEAQ.x ended",
            "session=00D000000000001EAA%21AQEAQ",
            "Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.e30.x",
        ] {
            assert_eq!(
                Hidden::default().shown(text),
                "(words that repeat a secret)"
            );
        }
    }

    #[test]
    fn the_words_of_others_are_one_printable_line_of_bounded_length() {
        let hidden = Hidden::default();
        assert_eq!(hidden.shown(" a\r\n\tb\u{1b}[1m "), "a b\\u{1b}[1m");
        assert_eq!(hidden.shown(&"x".repeat(2000)).chars().count(), 501);
    }
}
