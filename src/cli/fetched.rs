//! The account of a fetch: what came from the org, what did not, and why.

use std::fmt::Write;

use indicatif::HumanBytes;
use serde_json::{Value, json};

use crate::alert::wrap;
use crate::fetch::{DataSetReport, FetchReport};
use crate::lake::{DataSetState, OrgLogFile};
use crate::privacy::printable;
use crate::salesforce::{Class, LOG_FILES};
use crate::words::counted;

const WIDTH: usize = 100;
const INDENT: usize = 10;
const MAX_TEXT: usize = 600;
/// Files that are named one by one.
const MAX_LISTED: usize = 5;

pub struct Fetched<'a>(pub &'a FetchReport);

impl Fetched<'_> {
    /// Whether the org, or this machine's own settings, keep the program out.
    pub fn is_refused(&self) -> bool {
        let stop = self.0.stop.as_ref();
        stop.is_some_and(|stop| stop.class == Class::Config)
    }

    /// Why not everything that is new was fetched. What never could be read is no trouble of the night:
    /// the rules that need it say so.
    pub fn troubles(&self) -> Vec<String> {
        let report = self.0;
        let mut troubles = Vec::new();
        if let Some(stop) = &report.stop {
            let left = match report.log_files.left {
                0 => String::new(),
                left => format!(
                    "; {} left for the next run",
                    counted(left as usize, "log file")
                ),
            };
            troubles.push(format!("the org's logs: {}{left}", stop.what));
        }
        if report.log_files.failed > 0 {
            let files = counted(report.log_files.failed as usize, "log file");
            troubles.push(format!(
                "{files} of the org could not be fetched, the next run tries again"
            ));
        }
        if report.log_files.no_room > 0 {
            troubles.push(format!(
                "{} of the org ({}) did not fit on the disk: make room for `data_dir`, the next run tries again",
                counted(report.log_files.no_room as usize, "log file"),
                HumanBytes(report.log_files.no_room_bytes)
            ));
        }
        if !report.gone.is_empty() {
            troubles.push(format!(
                "{} of the org expired before they were fetched: {}",
                counted(report.gone.len(), "log file"),
                named(&report.gone)
            ));
        }
        for set in &report.data_sets {
            let state = set.set.state;
            let matters = set.was_readable || state != DataSetState::Unreadable;
            if state != DataSetState::Read && matters {
                troubles.push(format!(
                    "{} of the org was not read: {}",
                    set.set.name,
                    why(set)
                ));
            }
        }
        troubles
    }

    /// What the mail of a night should tell besides.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = self.troubles();
        if let Some(stop) = &self.0.stop
            && let Some(first) = remarks.first_mut()
        {
            first.push_str(&format!(" ({})", stop.fix));
        }
        remarks.extend(self.0.remarks.iter().cloned());
        remarks
    }

    pub fn write(&self, out: &mut String) -> std::fmt::Result {
        let report = self.0;
        match &report.identity {
            Some(identity) => {
                let who = printable(&identity.username, MAX_TEXT);
                write!(out, "Org       {} as {who}", identity.org_id)?;
                match report.usage {
                    Some(usage) => {
                        writeln!(out, ", {} of {} API calls used", usage.used, usage.allowed)?
                    }
                    None => writeln!(out)?,
                }
                let files = report.log_files;
                let mut line = format!(
                    "log files: {} listed, {} fetched ({})",
                    files.listed,
                    files.fetched,
                    HumanBytes(files.bytes)
                );
                for (count, what) in [
                    (files.settling, "too young"),
                    (files.failed, "failed"),
                    (files.no_room, "without room on the disk"),
                    (files.left, "left"),
                    (report.gone.len() as u64, "gone"),
                ] {
                    if count > 0 {
                        line.push_str(&format!(", {count} {what}"));
                    }
                }
                writeln!(out, "          {}", wrap(&line, WIDTH, INDENT))?;
            }
            None => writeln!(out, "Org       not signed in")?,
        }
        let read: Vec<String> = report
            .in_state(DataSetState::Read)
            .filter(|it| it.set.name != LOG_FILES)
            .map(|it| format!("{} {}", it.set.name, it.set.rows.unwrap_or(0)))
            .collect();
        if !read.is_empty() {
            let line = format!("records: {}", read.join(", "));
            writeln!(out, "          {}", wrap(&line, WIDTH, INDENT))?;
        }
        for set in &report.data_sets {
            if set.set.state != DataSetState::Read {
                let line = format!("{} {}: {}", set.set.name, set.set.state.as_str(), why(set));
                writeln!(out, "          {}", wrap(&line, WIDTH, INDENT))?;
            }
        }
        if let Some(stop) = &report.stop {
            let line = format!("stopped: {}; {}", stop.what, stop.fix);
            let line = wrap(&printable(&line, MAX_TEXT), WIDTH, INDENT);
            writeln!(out, "          {line}")?;
        }
        Ok(())
    }

    pub fn to_json(&self) -> Value {
        let report = self.0;
        let files = report.log_files;
        let sets: Vec<Value> = report
            .data_sets
            .iter()
            .map(|it| {
                json!({
                    "name": it.set.name,
                    "state": it.set.state.as_str(),
                    "rows": it.set.rows,
                    "reason": it.set.reason,
                    "permission": it.set.permission,
                })
            })
            .collect();
        json!({
            "org_id": report.identity.as_ref().map(|identity| &identity.org_id),
            "log_files": {
                "listed": files.listed,
                "fetched": files.fetched,
                "bytes": files.bytes,
                "settling": files.settling,
                "failed": files.failed,
                "no_room": files.no_room,
                "no_room_bytes": files.no_room_bytes,
                "left": files.left,
                "gone": report.gone.len(),
            },
            "data_sets": sets,
            "api_calls": report.usage.map(|usage| json!({
                "used": usage.used,
                "allowed": usage.allowed,
            })),
            "stopped": report.stop.as_ref().map(|stop| &stop.what),
            "remarks": report.remarks,
        })
    }
}

fn why(set: &DataSetReport) -> String {
    let reason = printable(set.set.reason.as_deref().unwrap_or_default(), MAX_TEXT);
    match &set.set.permission {
        Some(permission) => format!("{reason} (needs {permission})"),
        None => reason,
    }
}

fn named(files: &[OrgLogFile]) -> String {
    let names: Vec<String> = files
        .iter()
        .take(MAX_LISTED)
        .map(|file| {
            let event_type = printable(&file.event_type, 80);
            format!("{event_type} of {}", file.log_date.date_naive())
        })
        .collect();
    match files.len().saturating_sub(MAX_LISTED) {
        0 => names.join(", "),
        more => format!("{} + {more} more", names.join(", ")),
    }
}
