//! Query results as text or columnar bytes: one writer per format, all fed batch by batch, so
//! that a large result needs no more memory than a batch (but for a table, which is measured
//! before it is drawn).
//!
//! An empty result still says its columns: a header line, or `[]`.

mod cell;
mod columnar;
mod csv;
mod destination;
mod json;
mod markdown;
mod rows;
mod table;
mod tsv;

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

pub use cell::csv_text;
pub use destination::Destination;
pub use markdown::escape as escape_markdown;
pub use rows::Rows;

/// Format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Columns for people
    #[default]
    Table,
    /// Comma-separated values (RFC 4180) that a spreadsheet does not execute
    Csv,
    /// Tab-separated values, a line per row whatever the cells hold
    Tsv,
    /// One JSON array of objects
    Json,
    /// One JSON object per line
    Jsonl,
    /// Apache Parquet
    Parquet,
    /// Apache Arrow IPC file
    Arrow,
    /// A table for a page or a ticket
    Markdown,
    /// OCSF Detection Findings, one JSON object per line; of findings only
    #[value(hide = true)]
    Ocsf,
    /// SARIF 2.1.0; of findings only
    #[value(hide = true)]
    Sarif,
    /// JUnit's XML, of `rules test` only
    #[value(hide = true)]
    Junit,
    /// A page, of `report` only
    #[value(hide = true)]
    Html,
}

impl Format {
    /// Whether the bytes mean nothing on a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }
}

/// What a result could not be written for.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    #[error("cannot write `{}`: {source}", path.display())]
    Destination {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
    #[error("could not write the result")]
    Io(#[from] std::io::Error),
    #[error("could not format the result")]
    Arrow(#[source] ArrowError),
    #[error("could not write the result as Parquet")]
    Parquet(#[source] parquet::errors::ParquetError),
    #[error(
        "{format} is not for a terminal\nhint: name a file with `--output`, or pipe the result on"
    )]
    BinaryToTerminal { format: &'static str },
    #[error("only `orgwatch rules test` writes JUnit's XML\nhint: choose another --format")]
    JunitElsewhere,
    #[error("only `orgwatch report` writes HTML\nhint: choose another --format")]
    HtmlElsewhere,
    #[error("only findings are written as OCSF and SARIF\nhint: choose another --format")]
    FindingsElsewhere,
}

impl From<ArrowError> for OutputError {
    /// Keeps an I/O error as such, so that a broken pipe is recognised.
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, source) => OutputError::Io(source),
            other => OutputError::Arrow(other),
        }
    }
}

impl From<parquet::errors::ParquetError> for OutputError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(source) => {
                match source.downcast::<std::io::Error>() {
                    Ok(io) => OutputError::Io(*io),
                    Err(other) => {
                        OutputError::Parquet(parquet::errors::ParquetError::External(other))
                    }
                }
            }
            other => OutputError::Parquet(other),
        }
    }
}

/// Takes a result batch by batch.
pub trait ResultWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), OutputError>;
    fn finish(&mut self) -> Result<(), OutputError>;
}

/// How a result is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// Columns of the terminal that shows it; none: as wide as it is.
    pub width: Option<usize>,
    /// The reader is a terminal: control characters are escaped in CSV too. (A table escapes
    /// them always, JSON by its own rules.)
    pub to_terminal: bool,
}

/// The writer of `format` for results of `schema`.
pub fn writer<'w>(
    format: Format,
    schema: SchemaRef,
    layout: Layout,
    sink: Box<dyn Write + Send + 'w>,
) -> Result<Box<dyn ResultWriter + 'w>, OutputError> {
    Ok(match format {
        Format::Table => Box::new(table::TableWriter::new(schema, layout.width, sink)),
        Format::Csv => Box::new(csv::CsvWriter::new(&schema, layout.to_terminal, sink)?),
        Format::Tsv => Box::new(tsv::TsvWriter::new(&schema, layout.to_terminal, sink)?),
        Format::Json => Box::new(json::JsonWriter::array(sink)),
        Format::Jsonl => Box::new(json::JsonWriter::lines(sink)),
        Format::Parquet => Box::new(columnar::ParquetWriter::new(schema, sink)?),
        Format::Arrow => Box::new(columnar::ArrowWriter::new(&schema, sink)?),
        Format::Markdown => Box::new(markdown::MarkdownWriter::new(&schema, sink)?),
        Format::Ocsf | Format::Sarif => return Err(OutputError::FindingsElsewhere),
        Format::Junit => return Err(OutputError::JunitElsewhere),
        Format::Html => return Err(OutputError::HtmlElsewhere),
    })
}

#[cfg(test)]
mod tests;
