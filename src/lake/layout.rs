//! Where things are in a data folder, and what a part is called.
//!
//! ```text
//! <data>/lake/event=<EventType>/day=YYYY-MM-DD/<part id>.parquet
//! <data>/ledger.sqlite  digest.key  lock  staging/  outbox/  damaged/
//! ```

use std::path::PathBuf;

use chrono::NaiveDate;

use super::error::{LakeError, Result};
use super::model::PartId;

pub(super) const LEDGER: &str = "ledger.sqlite";
pub(super) const KEY: &str = "digest.key";
pub(super) const LOCK: &str = "lock";
pub(super) const STAGING: &str = "staging";
pub(super) const OUTBOX: &str = "outbox";
pub(super) const PARTS: &str = "lake";
pub(super) const DAMAGED: &str = "damaged";

/// Event names that begin so are derived from raw rows and can be made again.
const ROLLUP: &str = "rollup_";
const MAX_EVENT_TYPE_CHARS: usize = 80;

/// Rollups that retention leaves alone: small, without addresses or names of records, and what
/// the baselines remember.
const KEPT: [&str; 2] = ["rollup_sightings", "rollup_activity"];

pub(super) fn is_rollup(event_type: &str) -> bool {
    event_type.starts_with(ROLLUP)
}

/// Whether retention leaves the days of an event type alone.
pub(super) fn outlives_retention(event_type: &str) -> bool {
    KEPT.contains(&event_type)
}

/// Path of a part relative to the data folder. Refuses an event type that could leave it.
pub(super) fn part_path(event_type: &str, day: NaiveDate, part_id: PartId) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = event_type.chars().count();
    if length == 0 || length > MAX_EVENT_TYPE_CHARS || !event_type.chars().all(plain) {
        return Err(LakeError::EventType { length });
    }
    Ok(PathBuf::from(PARTS)
        .join(format!("event={event_type}"))
        .join(format!("day={day}"))
        .join(format!("{part_id:012}.parquet")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_type_cannot_lead_out_of_the_lake() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
        let path = part_path("BulkApi2", day, 7).unwrap();
        assert_eq!(
            path.to_str(),
            Some("lake/event=BulkApi2/day=2026-01-31/000000000007.parquet")
        );
        for bad in [
            "",
            "..",
            "../../etc",
            "a/b",
            "a\0b",
            "Lögin",
            &"x".repeat(81),
        ] {
            assert!(part_path(bad, day, 7).is_err(), "{bad:?}");
        }
    }
}
