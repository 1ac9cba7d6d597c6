//! What a fetch came to.

use crate::ingest::IngestReport;
use crate::lake::{DataSetState, OrgDataSet, OrgLogFile};
use crate::salesforce::{Class, Identity, SalesforceError, Usage};

/// Why a fetch ended before it had everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub class: Class,
    pub what: String,
    pub fix: String,
}

impl Stop {
    pub(super) fn out_of_time(minutes: u32) -> Self {
        Self {
            class: Class::Throttled,
            what: format!("the time budget of {minutes} minutes is used up"),
            fix: "the next run goes on where this one stopped; or raise `time_budget_minutes` in [salesforce]".to_owned(),
        }
    }
}

/// What became of the Event Log Files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogFileCounts {
    /// Seen in the org's list, known ones included.
    pub listed: u64,
    /// Fetched, and in the lake or refused by the ingest.
    pub fetched: u64,
    /// Bytes of those, unpacked.
    pub bytes: u64,
    /// Not old enough to be whole.
    pub settling: u64,
    /// That could not be fetched this time: the next run tries again.
    pub failed: u64,
    /// For which the disk had no room: the next run tries again.
    pub no_room: u64,
    /// Bytes of those, as the org says.
    pub no_room_bytes: u64,
    /// For which there was no time, or no API call.
    pub left: u64,
}

/// One data set that is no Event Log File.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSetReport {
    pub set: OrgDataSet,
    /// Whether an earlier run could read it.
    pub was_readable: bool,
}

/// The account of a fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchReport {
    /// None where the sign-in failed.
    pub identity: Option<Identity>,
    pub log_files: LogFileCounts,
    /// Log files that the org has no more, of which nothing was fetched.
    pub gone: Vec<OrgLogFile>,
    pub data_sets: Vec<DataSetReport>,
    /// What to know besides.
    pub remarks: Vec<String>,
    pub stop: Option<Stop>,
    pub usage: Option<Usage>,
    /// What the ingest made of it.
    pub ingest: IngestReport,
}

impl FetchReport {
    /// Of an org that could not even be asked.
    pub fn stopped_by(error: &SalesforceError) -> Self {
        let mut report = Self::default();
        report.stop(error);
        report
    }

    pub(super) fn stop(&mut self, error: &SalesforceError) {
        self.stop = Some(Stop {
            class: error.class(),
            what: error.to_string(),
            fix: error.fix().to_owned(),
        });
    }

    /// Data sets in one state.
    pub fn in_state(&self, state: DataSetState) -> impl Iterator<Item = &DataSetReport> {
        self.data_sets
            .iter()
            .filter(move |it| it.set.state == state)
    }
}
