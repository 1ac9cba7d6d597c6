//! Colours of what is typed.

use std::collections::BTreeSet;
use std::sync::Arc;

use reedline::{Color, Highlighter, StyledText};

use super::command::is_command;
use super::complete::Names;
use crate::engine::script::{TokenKind, tokens};

/// Keywords, known tables, texts, numbers and comments in colours of their own.
pub struct SqlHighlighter {
    tables: BTreeSet<String>,
}

impl SqlHighlighter {
    pub fn new(names: &Arc<Names>) -> Self {
        let tables = names.tables().iter().cloned().collect();
        Self { tables }
    }
}

impl Highlighter for SqlHighlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        if is_command(line) {
            text.push((Color::Purple.normal(), line.to_owned()));
            return text;
        }
        let (tokens, _) = tokens(line);
        let mut end = 0;
        for token in tokens {
            let word = &line[token.bytes.clone()];
            let style = match token.kind {
                TokenKind::Keyword => Color::Blue.bold(),
                TokenKind::Name if self.tables.contains(&word.to_lowercase()) => {
                    Color::Cyan.normal()
                }
                TokenKind::Number => Color::Yellow.normal(),
                TokenKind::Text => Color::Green.normal(),
                TokenKind::Comment => Color::DarkGray.normal(),
                TokenKind::Parameter => Color::Purple.normal(),
                _ => Default::default(),
            };
            text.push((style, word.to_owned()));
            end = token.bytes.end;
        }
        // An open quote, most of the time.
        if end < line.len() {
            text.push((Color::Green.normal(), line[end..].to_owned()));
        }
        text
    }
}
