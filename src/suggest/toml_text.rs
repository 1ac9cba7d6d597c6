//! Text of the logs as TOML: a value or a comment from which nothing breaks out. Attackers choose
//! the names of apps.

use crate::privacy::{is_unsafe_to_show, printable};

/// Longest text of a log in a comment, in characters.
const COMMENT_CHARS: usize = 200;

/// A basic string; what acts on a display, or hides in it, is written as an escape.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if is_unsafe_to_show(c) => {
                let number = u32::from(c);
                match number {
                    0..=0xffff => out.push_str(&format!("\\u{number:04X}")),
                    _ => out.push_str(&format!("\\U{number:08X}")),
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text for one line of a comment.
pub(super) fn remark(text: &str) -> String {
    printable(text, COMMENT_CHARS)
}

/// Whether a name may stand for itself: nothing in it is hidden, and a reader sees all of it.
pub(super) fn is_plain(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(is_unsafe_to_show)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_back_as_it_was_and_stays_on_its_line() {
        for text in [
            "ERP Sync",
            "a\"]\nowner = \"x\\",
            "\u{202e}evil\u{200b}",
            "tab\tbell\u{7}nul\u{0}del\u{7f}",
            "\u{e0041}\u{2028}",
            "＂'''\"\"\"",
        ] {
            let line = format!("v = {}", quoted(text));
            assert!(!line.chars().any(is_unsafe_to_show), "{line}");
            let table: toml::Table = toml::from_str(&line).unwrap();
            assert_eq!(table["v"].as_str(), Some(text));
        }
    }

    #[test]
    fn a_comment_stays_a_comment() {
        let hostile = "x\r\n[[user]]\u{2028}\u{85}\u{202e}";
        let line = format!("# {}", remark(hostile));
        assert_eq!(line.lines().count(), 1);
        assert!(toml::from_str::<toml::Table>(&line).unwrap().is_empty());
    }
}
