//! How a severity is shown: as a word and a shape; its colour is the third sign, never the only one.

use serde::Serialize;

use crate::config::Severity;

/// A severity as the page writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// `critical`: part of class names too.
    pub word: &'static str,
    /// A path in a box of 16 by 16.
    pub shape: &'static str,
}

impl From<Severity> for Shown {
    fn from(severity: Severity) -> Self {
        let shape = match severity {
            // An octagon, a triangle, a diamond, a square, a ring: no two alike in black and white.
            Severity::Critical => "M5 1h6l4 4v6l-4 4H5l-4-4V5z",
            Severity::High => "M8 1.5 15.5 15h-15z",
            Severity::Medium => "M8 .8 15.2 8 8 15.2.8 8z",
            Severity::Low => "M2.5 2.5h11v11h-11z",
            Severity::Info => {
                "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 2.2a3.8 3.8 0 1 1 0 7.6 3.8 3.8 0 0 1 0-7.6z"
            }
        };
        Self {
            word: severity.as_str(),
            shape,
        }
    }
}
