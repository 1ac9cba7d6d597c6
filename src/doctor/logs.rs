//! What comes in: the configured inputs, and what the lake holds of each log and data set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::Check;
use crate::catalog::{Catalog, LogFamily};
use crate::detect::ROSTER_DAYS;
use crate::ingest::Input;
use crate::lake::{Lake, LakeError};
use crate::words::counted;

/// A log whose newest event is older than this many days is not coming any more.
const OLD_LOG_DAYS: u64 = 2;
/// Days before the newest one in which gaps are looked for.
const GAP_DAYS: u64 = 28;
/// Days of a gap that are named.
const MAX_NAMED: usize = 5;

/// Whether the configured inputs are there.
pub fn inputs(paths: &[PathBuf]) -> Vec<Check> {
    if paths.is_empty() {
        return vec![Check::warn(
            "inputs",
            "paths",
            "none is configured",
            "set `paths` in [inputs], or name the inputs on the command line",
        )];
    }
    let one = |path: &PathBuf| {
        let shown = path.display().to_string();
        match Input::expand(&[path.to_string_lossy().into_owned()]) {
            Ok(found) if found.is_empty() => Check::warn(
                "inputs",
                shown,
                "no file there",
                "put the night's log files there, or correct the path",
            ),
            Ok(found) => Check::pass("inputs", shown, counted(found.len(), "file")),
            Err(error) => Check::fail(
                "inputs",
                shown,
                error.to_string(),
                "correct the path, or let the user of the nightly job read it",
            ),
        }
    };
    paths.iter().map(one).collect()
}

/// How old the newest rows of each log and each roster data set are.
pub fn data_sets(
    lake: &Lake,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Vec<Check>, LakeError> {
    let mut checks = vec![];
    for event_type in lake.event_types()? {
        if event_type.starts_with("rollup_") {
            continue;
        }
        let roster = catalog
            .event_type(&event_type)
            .is_some_and(|e| e.family == LogFamily::Roster);
        let parts = lake.parts(&event_type)?;
        let Some(newest) = parts.iter().map(|p| p.last_event_at).max() else {
            continue;
        };
        let seen: BTreeSet<NaiveDate> = parts.iter().map(|p| p.day).collect();
        let days = u64::try_from((now - newest).num_days()).unwrap_or(0);
        let detail = format!("newest {}", newest.format("%Y-%m-%d %H:%M UTC"));
        let limit = if roster { ROSTER_DAYS } else { OLD_LOG_DAYS };
        checks.push(if newest > now + chrono::TimeDelta::hours(1) {
            Check::warn(
                "inputs",
                event_type,
                format!("{detail}, which has not come yet"),
                "check the clock of this machine, and the files' time zone ([inputs] timezone)",
            )
        } else if days > limit && (roster || comes_daily(&seen)) {
            let fix = if roster {
                "export it again: its rules are blind"
            } else {
                "check the export of this type; if it has ended for good it is forgotten in time"
            };
            Check::warn(
                "inputs",
                event_type,
                format!("{detail}, {} ago", counted(days, "day")),
                fix,
            )
        } else {
            Check::pass("inputs", event_type, detail)
        });
    }
    if checks.is_empty() {
        checks.push(Check::skip(
            "inputs",
            "logs",
            "the lake holds no log yet",
            "orgwatch run, or orgwatch ingest",
        ));
    }
    Ok(checks)
}

/// Whether a log has rows on most days between its first and its last: others come now and then.
fn comes_daily(seen: &BTreeSet<NaiveDate>) -> bool {
    let span = seen.first().zip(seen.last());
    span.is_none_or(|(first, last)| {
        let days = (*last - *first).num_days() + 1;
        seen.len() as i64 * 2 > days
    })
}

/// Days without rows among the last four weeks of the logs that come every day.
pub fn gaps(lake: &Lake, catalog: &Catalog) -> Result<Vec<Check>, LakeError> {
    let mut days: BTreeMap<String, BTreeSet<NaiveDate>> = BTreeMap::new();
    for event_type in lake.event_types()? {
        let is_log = catalog
            .event_type(&event_type)
            .is_none_or(|e| e.family != LogFamily::Roster);
        if is_log && !event_type.starts_with("rollup_") {
            let seen = lake.parts(&event_type)?.iter().map(|p| p.day).collect();
            days.insert(event_type, seen);
        }
    }
    let Some(last) = days.values().filter_map(BTreeSet::last).max().copied() else {
        return Ok(vec![]);
    };
    let first = last
        .checked_sub_days(Days::new(GAP_DAYS))
        .unwrap_or(NaiveDate::MIN);
    let mut checks = vec![];
    for (event_type, seen) in &days {
        let Some(begin) = seen.first().map(|day| (*day).max(first)) else {
            continue;
        };
        let possible: Vec<NaiveDate> = begin.iter_days().take_while(|day| *day <= last).collect();
        let missing: Vec<&NaiveDate> = possible.iter().filter(|day| !seen.contains(day)).collect();
        // What comes now and then has no gaps.
        let daily = possible.len() >= 7 && missing.len() * 5 <= possible.len();
        if missing.is_empty() || !daily {
            continue;
        }
        let more = match missing.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named: Vec<String> = missing
            .iter()
            .take(MAX_NAMED)
            .map(ToString::to_string)
            .collect();
        checks.push(Check::warn(
            "inputs",
            format!("{event_type} gaps"),
            format!("no rows on {}{more}", named.join(", ")),
            "give the files of these days to `orgwatch ingest`, while Salesforce still keeps them",
        ));
    }
    if checks.is_empty() {
        checks.push(Check::pass(
            "inputs",
            "gaps",
            format!("none in the {GAP_DAYS} days before {last}"),
        ));
    }
    Ok(checks)
}
