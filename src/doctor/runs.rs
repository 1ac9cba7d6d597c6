//! The lake and its last run.

use chrono::{DateTime, Utc};

use super::Check;
use crate::lake::{Depth, Lake, LakeError, RunState};
use crate::words::counted;

/// A nightly job that last ran longer ago than this does not run every night.
const NIGHT_HOURS: i64 = 26;

/// Whether every file of the lake is there and of the right size and rows.
pub fn lake(lake: &Lake) -> Result<Check, LakeError> {
    let report = lake.verify(Depth::Quick)?;
    let detail = format!(
        "{}, {} rows, {}",
        counted(report.parts, "part"),
        report.rows,
        counted(report.files, "input file")
    );
    Ok(if report.is_sound() {
        Check::pass("lake", "verify (quick)", detail)
    } else {
        let wrong = report.damaged.len() + report.accounts.len() + report.ledger.len();
        Check::fail(
            "lake",
            "verify (quick)",
            format!("{wrong} things are wrong"),
            "`orgwatch lake verify` names them; `orgwatch run` sets damaged files aside",
        )
    })
}

/// When the nightly job last ran, and how it ended.
pub fn last_run(lake: &Lake, now: DateTime<Utc>) -> Result<Check, LakeError> {
    let runs = lake.ledger().runs()?;
    let Some(last) = runs.iter().rev().find(|run| run.kind == "run") else {
        return Ok(Check::skip(
            "lake",
            "last night",
            "`orgwatch run` has not run here yet",
            "orgwatch run",
        ));
    };
    let when = last.started_at.format("%Y-%m-%d %H:%M UTC");
    let hours = (now - last.started_at).num_hours();
    Ok(match (last.state, last.exit_code) {
        (RunState::Interrupted, _) => Check::warn(
            "lake",
            "last night",
            format!("{when}: interrupted"),
            "nothing is lost; run it again",
        ),
        (RunState::Running, _) => {
            Check::pass("lake", "last night", format!("{when}: still running"))
        }
        (RunState::Finished, Some(0 | 1)) if hours > NIGHT_HOURS => Check::warn(
            "lake",
            "last night",
            format!("{when}: {hours} hours ago"),
            "check the timer or cron line of the nightly job",
        ),
        (RunState::Finished, Some(0 | 1)) => {
            Check::pass("lake", "last night", format!("{when}: done"))
        }
        (RunState::Finished, code) => Check::warn(
            "lake",
            "last night",
            format!("{when}: ended with {}", code.unwrap_or(-1)),
            "3: input was rejected or a rule could not see; 4: alerts wait in the outbox; run it again and read its summary",
        ),
    })
}
