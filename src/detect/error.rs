//! What can be wrong with a rule file, its cases or its settings: always with file, line and,
//! where there is one, the way out.

use std::fmt;

/// One mistake in a file that an operator wrote. Shown as `file:line: what` and a hint below.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RuleError {
    /// File name as given, or the place of the setting (`[rules."id"]`).
    pub file: String,
    /// Line from 1; 0 where the whole file is meant.
    pub line: usize,
    pub what: String,
    pub hint: Option<String>,
}

impl RuleError {
    pub fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A TOML error inside a file whose TOML begins on line `first_line`.
    pub fn of_toml(file: &str, text: &str, first_line: usize, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = first_line
            + text.as_bytes()[..offset]
                .iter()
                .filter(|b| **b == b'\n')
                .count();
        let message = error.message().trim();
        match message.split_once(", expected ") {
            Some((what, expected)) => {
                Self::new(file, line, what).hint(format!("expected {expected}"))
            }
            None => Self::new(file, line, message),
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.what)?;
        } else {
            write!(f, "{}:{}: {}", self.file, self.line, self.what)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
