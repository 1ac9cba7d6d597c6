//! Leaves the metrics of a run, however it ended.

use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::terminal::Terminal;
use crate::clock::Clock;
use crate::config::Glance;
use crate::lake::{Lake, LakeError, Standing};
use crate::metrics::{MetricsError, Outcome, exposition, write};
use crate::privacy::printable;

const MAX_TEXT: usize = 1000;

/// A command that is watched, and the clock that it was given.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    pub command: &'static str,
    pub clock: Clock,
}

/// Writes the metrics file where one is asked for. A run whose metrics cannot be written is partial
/// at best: it must not look well to whoever watches by them.
pub fn leave(
    watched: Watched,
    seen: &Glance,
    exit: Exit,
    took: Duration,
    terminal: &Terminal,
) -> Exit {
    let Some(file) = &seen.metrics_file else {
        return exit;
    };
    let now = watched.clock.now();
    let outcome = Outcome {
        command: watched.command,
        at: now,
        exit_code: exit.code(),
        is_success: matches!(exit, Exit::Done | Exit::Findings),
        seconds: took.as_secs_f64(),
    };
    let standing = seen.data_dir.as_deref().and_then(|data_dir| {
        let lake = Lake::open_reader(data_dir);
        match lake.and_then(|lake| lake.ledger().standing(now.date_naive())) {
            Ok(standing) => Some(standing),
            // The first run did not come as far as to make it.
            Err(LakeError::Missing { .. }) => None,
            Err(error) => {
                let why = printable(&error.to_string(), MAX_TEXT);
                terminal.warn(&format!("the metrics lack what the ledger knows: {why}"));
                None
            }
        }
    });
    match put(file, &outcome, standing.as_ref()) {
        Ok(()) => exit,
        Err(error) => {
            let hint = "the user of the job must be able to write into the file's folder";
            terminal.error(&printable(&error.to_string(), MAX_TEXT), &[hint.to_owned()]);
            match exit {
                Exit::Done | Exit::Findings => Exit::Partial,
                graver => graver,
            }
        }
    }
}

fn put(
    file: &Path,
    outcome: &Outcome<'_>,
    standing: Option<&Standing>,
) -> Result<(), MetricsError> {
    write(file, &exposition(outcome, standing)?)
}
