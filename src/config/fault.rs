//! A mistake in a file that a person wrote, said in one message: where, what, what to do.

use std::fmt;

/// A mistake at one place of a configuration file.
///
/// Shown as `file:line:column: message`, then `hint: …` on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The file, as the user named it.
    pub file: String,
    pub at: Position,
    pub message: String,
    pub hint: Option<String>,
}

/// Line and column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.at, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The candidate that differs least from what was written, if it is close enough to have been
/// meant: at most a third of its letters differ, without regard to case.
pub fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let written = written.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (edit_distance(&written, &c.to_lowercase()), c))
        .filter(|(distance, c)| {
            *distance <= (c.chars().count().max(written.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// Hint for a word out of a closed list: the nearest one, else all of them.
pub fn hint_for_word(written: &str, words: &[&str]) -> String {
    match nearest(written, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("one of: {}", words.join(", ")),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
fn edit_distance(a: &str, b: &str) -> usize {
    // A text too long to be a word is nobody's typing mistake.
    const LONGEST: usize = 80;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut cost = vec![0; (a.len() + 1) * width];
    for i in 0..=a.len() {
        for j in 0..width {
            cost[i * width + j] = if i == 0 || j == 0 {
                i + j
            } else {
                let up = cost[(i - 1) * width + j] + 1;
                let left = cost[i * width + j - 1] + 1;
                let across = cost[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped {
                    cost[(i - 2) * width + j - 2] + 1
                } else {
                    usize::MAX
                };
                up.min(left).min(across).min(swap)
            };
        }
    }
    cost[cost.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let words = ["retention_days", "data_dir"];
        for written in [
            "retention_day",
            "retentoin_days",
            "Retention_Days",
            "retentiondays",
        ] {
            assert_eq!(nearest(written, words), Some("retention_days"), "{written}");
        }
        assert_eq!(nearest("password", words), None);
        assert_eq!(nearest(&"x".repeat(10_000), words), None);
    }

    #[test]
    fn a_word_far_from_all_gets_the_whole_list() {
        assert_eq!(
            hint_for_word("zzzzzz", &["file", "smtp"]),
            "one of: file, smtp"
        );
        assert_eq!(
            hint_for_word("flie", &["file", "smtp"]),
            "did you mean `file`?"
        );
    }
}
