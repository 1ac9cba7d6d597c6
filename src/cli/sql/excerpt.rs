//! The place of an error in the SQL, shown: its line, and a caret below.

use anyhow::Error;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::engine::script::ScriptStatement;
use crate::engine::{EngineError, SqlPlace};
use crate::privacy::is_unsafe_to_show;

/// Most characters of a line that are shown on either side of the place.
const AROUND: usize = 60;

/// What failed, told with its statement, line and column. `text` is all that was asked;
/// `number` says which of its statements failed, where there are several.
pub fn failed(
    error: EngineError,
    text: &str,
    statement: &ScriptStatement,
    number: Option<(usize, usize)>,
) -> Error {
    let error = error.placed_in(&statement.sql, statement.place);
    let place = match &error {
        EngineError::Query { place, .. } => *place,
        _ => None,
    };
    let which = number.map(|(n, of)| {
        let line = statement.place.line;
        format!("statement {n} of {of} (line {line}): ")
    });
    if which.is_none() && place.is_none() {
        return error.into();
    }
    let shown = place.and_then(|place| excerpt(text, place));
    let shown = shown.map_or(String::new(), |shown| format!("\n{shown}"));
    let told = format!("{}{error}{shown}", which.unwrap_or_default());
    Error::from(error).context(told)
}

/// ```text
/// 3 | SELECT usr FROM logins
///   |        ^
/// ```
fn excerpt(text: &str, place: SqlPlace) -> Option<String> {
    let line = text
        .split('\n')
        .nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let start = column.saturating_sub(AROUND);
    let shown: String = line
        .chars()
        .skip(start)
        .take(2 * AROUND)
        .map(visible)
        .collect();
    let before: String = shown.chars().take(column - start).collect();
    let cut = if start > 0 { "…" } else { "" };
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(cut.width() + before.width());
    Some(format!(
        "{number} | {cut}{}\n{margin} | {indent}^",
        shown.trim_end()
    ))
}

/// One character for each, so that the caret stays below its own.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_unsafe_to_show(c) || c.width().is_none() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, line: u64, column: u64) -> String {
        excerpt(text, SqlPlace { line, column }).unwrap()
    }

    #[test]
    fn the_caret_stands_below_the_place_whatever_comes_before_it() {
        assert_eq!(at("SELECT\n\tusr", 2, 2), "2 |  usr\n  |  ^");
        assert_eq!(
            at("SELECT '日本', usr", 1, 14),
            "1 | SELECT '日本', usr\n  |                ^"
        );
        assert_eq!(
            at("SELECT '\u{1b}\u{202e}' + x", 1, 11),
            "1 | SELECT '��' + x\n  |           ^"
        );
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let long = format!("{} usr {}", "x".repeat(500), "y".repeat(500));
        let shown = at(&long, 1, 502);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines.iter().all(|line| line.width() < 140), "{shown}");
        let caret = lines[1].find('^').unwrap();
        assert_eq!(lines[0].chars().nth(caret), Some('u'));
    }

    #[test]
    fn a_place_that_is_not_in_the_text_shows_nothing() {
        let place = SqlPlace { line: 9, column: 1 };
        assert_eq!(excerpt("SELECT 1", place), None);
    }
}
