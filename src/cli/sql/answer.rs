//! One question's answer, batch by batch to its writer, within what a question may use.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use clap::Args;

use crate::cli::output::{OutputError, ResultWriter};
use crate::engine::{EngineError, Params, Session};

/// What one question may use, besides the memory of the engine's flags.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Asking")]
pub struct LimitFlags {
    /// Stop each query after this time, as in 500ms, 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub timeout: Option<Duration>,
    /// Show at most so many rows of each result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_rows: Option<u64>,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    pub rows: u64,
    /// There are more rows than were asked for.
    pub cut: bool,
}

/// Why there is no answer, or not all of one.
#[derive(Debug)]
pub enum Unanswered {
    Engine(EngineError),
    Output(OutputError),
}

impl From<EngineError> for Unanswered {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<OutputError> for Unanswered {
    fn from(error: OutputError) -> Self {
        Self::Output(error)
    }
}

/// Asks, and hands the answer to the writer that `writer` makes for its columns.
pub fn answer<'w>(
    session: &Session,
    sql: &str,
    params: &Params,
    limits: LimitFlags,
    writer: impl FnOnce(SchemaRef) -> Result<Box<dyn ResultWriter + 'w>, OutputError>,
) -> Result<Answered, Unanswered> {
    session.begin(limits.timeout);
    let batches = session.stream(sql, params)?;
    let mut writer = writer(batches.schema())?;
    let most = limits.max_rows.unwrap_or(u64::MAX);
    let mut answered = Answered {
        rows: 0,
        cut: false,
    };
    for batch in batches {
        let batch = batch?;
        let left = usize::try_from(most - answered.rows).unwrap_or(usize::MAX);
        let taken = batch.num_rows().min(left);
        answered.rows += taken as u64;
        writer.write(&batch.slice(0, taken))?;
        if taken < batch.num_rows() {
            answered.cut = true;
            break;
        }
    }
    writer.finish()?;
    Ok(answered)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(EXPECTED.to_owned()),
    };
    let time = number.checked_mul(milliseconds).filter(|time| *time > 0);
    time.map(Duration::from_millis)
        .ok_or_else(|| EXPECTED.to_owned())
}

const EXPECTED: &str = "write it as 500ms, 30s, 5m or 1h";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_is_not_nothing() {
        let read = |text| parse_time(text).map(|time| time.as_millis());
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("30"), Ok(30_000));
        assert_eq!(read("5 m"), Ok(300_000));
        for wrong in ["", "0s", "-1s", "1 fortnight", "s", "99999999999999999999h"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
