//! From when and until when an entry of a list holds.

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::csv_rows::CsvRow;
use crate::clock::{OPEN_FROM, OPEN_TO, Validity};
use crate::config::{BadValue, Fault};

/// The columns `valid_from` and `valid_to`, each a day or a moment; blank is open. A day counts as
/// a whole, so the last day of an entry is still in it.
pub(super) fn of_row(row: &CsvRow<'_>) -> Result<Validity, Fault> {
    let valid = Validity {
        from_ms: row.parsed("valid_from", begin)?.unwrap_or(OPEN_FROM),
        to_ms: row.parsed("valid_to", end)?.unwrap_or(OPEN_TO),
    };
    if valid.from_ms >= valid.to_ms {
        let hint = "exchange the two, or correct one".to_owned();
        return Err(row.fault("valid_to", "it ends before it begins", Some(hint)));
    }
    Ok(valid)
}

/// The first moment of what is written.
pub(super) fn begin(text: &str) -> Result<i64, BadValue> {
    moment(text, 0)
}

/// The first moment after what is written.
pub(super) fn end(text: &str) -> Result<i64, BadValue> {
    moment(text, 1)
}

fn moment(text: &str, days: u64) -> Result<i64, BadValue> {
    let day = || {
        let day: NaiveDate = text.parse().ok()?;
        Some(
            day.checked_add_days(Days::new(days))?
                .and_time(Default::default())
                .and_utc(),
        )
    };
    let time = || text.parse::<DateTime<Utc>>().ok();
    let at = day().or_else(time).map(|at| at.timestamp_millis());
    at.map(|at| at.clamp(OPEN_FROM, OPEN_TO)).ok_or_else(|| {
        let hint = "write 2026-01-15 or 2026-01-15T09:00:00Z, or leave it blank";
        BadValue::new("it is neither a day nor a time with its zone", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_as_a_whole_and_a_moment_as_written() {
        const DAY: i64 = 86_400_000;
        assert_eq!(begin("1970-01-02"), Ok(DAY));
        assert_eq!(end("1970-01-02"), Ok(2 * DAY));
        assert_eq!(end("1970-01-02T01:00:00+01:00"), Ok(DAY));
        assert_eq!(end("9999-12-31"), Ok(OPEN_TO));
        for text in ["1970-13-01", "yesterday", "1970-01-02T00:00:00", "2"] {
            assert!(begin(text).is_err(), "{text}");
        }
    }
}
