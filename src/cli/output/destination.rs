//! Where a result goes: stdout, or a file that appears whole or not at all.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Format, Layout, OutputError};
use crate::cli::interrupt::Leftover;
use crate::cli::terminal::Terminal;

/// A place for one result. Made before the work starts, so that a bad path fails early.
pub enum Destination {
    Stdout,
    File {
        file: File,
        unfinished: Leftover,
        path: PathBuf,
    },
}

impl Destination {
    /// Stdout, or `output`. Binary formats are not sent to a terminal.
    pub fn open(
        output: Option<&Path>,
        format: Format,
        terminal: &Terminal,
    ) -> Result<Self, OutputError> {
        let Some(path) = output else {
            if format.is_binary() && terminal.out_is_terminal() {
                let format = if format == Format::Parquet {
                    "Parquet"
                } else {
                    "Arrow"
                };
                return Err(OutputError::BinaryToTerminal { format });
            }
            return Ok(Destination::Stdout);
        };
        let named = |source: io::Error| OutputError::Destination {
            path: path.to_owned(),
            source,
        };
        if path.is_dir() {
            return Err(named(io::ErrorKind::IsADirectory.into()));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let unfinished = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(named)?;
        Ok(Destination::File {
            file,
            unfinished: Leftover::new(unfinished),
            path: path.to_owned(),
        })
    }

    pub fn layout(&self, terminal: &Terminal) -> Layout {
        match self {
            Destination::Stdout => Layout {
                width: terminal.out_width(),
                to_terminal: terminal.out_is_terminal(),
            },
            Destination::File { .. } => Layout::default(),
        }
    }

    pub fn sink<'t>(&self, terminal: &'t Terminal) -> io::Result<Box<dyn Write + Send + 't>> {
        Ok(match self {
            Destination::Stdout => Box::new(terminal.data_sink()),
            Destination::File { file, .. } => Box::new(BufWriter::new(file.try_clone()?)),
        })
    }

    /// [`Destination::finish`] for a file that must not take the place of another.
    pub fn finish_new(self) -> io::Result<()> {
        if let Destination::File {
            file,
            unfinished,
            path,
        } = &self
        {
            file.sync_all()?;
            // A second name, unlike a rename, never replaces; the first goes with `self`.
            std::fs::hard_link(unfinished.path(), path)?;
        }
        Ok(())
    }

    /// Makes a file visible under its name; a result that was not finished leaves nothing.
    pub fn finish(self) -> io::Result<()> {
        if let Destination::File {
            file,
            unfinished,
            path,
        } = &self
        {
            file.sync_all()?;
            rename(unfinished.path(), path)?;
        }
        Ok(())
    }
}
