//! A table in Markdown, whose cells can neither break the table nor become links, images or HTML.

use std::io::Write;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::cell::{formatters, is_numeric};
use super::{OutputError, ResultWriter};
use crate::privacy::printable;

/// Longest cell, in characters.
const MAX_CELL: usize = 10_000;

pub struct MarkdownWriter<'w> {
    sink: Box<dyn Write + Send + 'w>,
}

impl<'w> MarkdownWriter<'w> {
    pub fn new(schema: &Schema, mut sink: Box<dyn Write + Send + 'w>) -> Result<Self, OutputError> {
        let fields = || schema.fields().iter();
        let headings: Vec<String> = fields().map(|f| escape(f.name())).collect();
        let rules: Vec<&str> = fields()
            .map(|f| {
                if is_numeric(f.data_type()) {
                    "--:"
                } else {
                    "---"
                }
            })
            .collect();
        writeln!(sink, "| {} |", headings.join(" | "))?;
        writeln!(sink, "| {} |", rules.join(" | "))?;
        Ok(Self { sink })
    }
}

impl ResultWriter for MarkdownWriter<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = formatters(batch.columns())?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| Ok(escape(&column.value(row).try_to_string()?)))
                .collect::<Result<Vec<_>, OutputError>>()?;
            writeln!(self.sink, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OutputError> {
        Ok(self.sink.flush()?)
    }
}

/// Text as itself: every character that Markdown or HTML would act on is escaped.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text, MAX_CELL).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // A scheme makes a link of its own; so does `www.`.
    out.replace("://", ":&#47;&#47;")
        .replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let hostile = "a|b [x](http://x.example) <img src=x> `c` *d*\n# e www.x.example";
        let escaped = escape(hostile);
        assert!(!escaped.contains('\n') && !escaped.contains("://") && !escaped.contains('<'));
        for c in ['|', '[', '`', '*', '#'] {
            let bare = escaped
                .match_indices(c)
                .any(|(at, _)| !escaped[..at].ends_with(['\\', '&']));
            assert!(!bare, "{c} in {escaped}");
        }
        assert_eq!(escape("high, 3 of 4"), "high, 3 of 4");
    }
}
