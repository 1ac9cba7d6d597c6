//! What a night fetches from the org: which files and records are new, in what order they come, what
//! was done with each, and how it goes on after a fault.
//!
//! ```text
//! list ─► plan ─► download ─► inbox ─► ingest ─► ledger: ingested ─► file removed
//! org     ledger  2 at a time  private  commit    org_log_files
//! ```
//! Hours whose day is fetched in the same run are planned once more when that day is in the lake: most of
//! them need no fetching then. Nothing else waits for a day.
//!
//! A raw log holds record data, so it stays in the inbox (0700, files 0600) only until its rows are in
//! the lake. Whatever is killed in between is found again by the next run: a file in the inbox is read
//! first, a half file is thrown away, and what the lake has already counts once.

mod data_sets;
mod inbox;
mod intake;
mod log_files;
mod plan;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Days, TimeDelta, Utc};
use tokio::runtime::{Builder, Runtime};

pub use self::report::{DataSetReport, FetchReport, LogFileCounts, Stop};

use self::intake::Intake;
use crate::catalog::Catalog;
use crate::config;
use crate::ingest::{IngestError, IngestOptions, Progress};
use crate::lake::{Lake, LakeError, RunId};
use crate::salesforce::{Class, Client, Identity, SETUP_AUDIT_TRAIL, SalesforceError};

/// Name of the login IP ranges, which are asked for by profile.
const LOGIN_IP_RANGE: &str = "LoginIpRange";

/// How far back files that were issued late or again are looked for: the org delivers them within
/// three days.
const LOOK_BACK: Days = Days::new(3);
/// No file is older than this: the longest retention is a year.
const OLDEST: Days = Days::new(370);
/// Records of a history are asked for again this long, so that none falls between two questions.
const OVERLAP: TimeDelta = TimeDelta::hours(1);

/// Why a fetch could not be carried out at all. What the org refuses is no error but in the report.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("cannot {action} `{}`: {source}\nhint: the inbox has to be a folder of its own in the data folder (`data_dir`); let this user write there, and nobody else", path.display())]
    Inbox {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot start the network's threads: {0}")]
    Threads(#[source] std::io::Error),
    #[error(
        "the lake holds the logs of org {known}, and this is org {found}\nhint: give each org a `data_dir` of its own, or mend `login_url` in [salesforce]"
    )]
    OtherOrg { known: String, found: String },
}

/// What a fetch is to do.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Fetch what the org has since then, instead of what is new since the last time.
    pub since: Option<DateTime<Utc>>,
    pub ingest: IngestOptions,
    pub run_id: RunId,
    pub at: DateTime<Utc>,
}

/// Fetches what is new from the org into the lake. What the org refuses, and all that could not be
/// fetched this time, is in the report.
///
/// # Errors
/// The lake or the inbox cannot be written, or the lake is another org's.
pub fn fetch(
    lake: &mut Lake,
    catalog: &Catalog,
    client: &Client,
    settings: &config::Salesforce,
    options: &FetchOptions,
    progress: &dyn Progress,
) -> Result<FetchReport, FetchError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(FetchError::Threads)?;
    let inbox = inbox::open(lake.data_dir())?;
    let mut fetch = Fetch {
        client,
        settings,
        options,
        progress,
        runtime,
        deadline: client.elapsed()
            + Duration::from_secs(u64::from(settings.time_budget_minutes) * 60),
        intake: Intake::new(lake, catalog, options),
        inbox,
        report: FetchReport::default(),
    };
    fetch.run()?;
    fetch.report.usage = client.usage();
    fetch.report.remarks.extend(client.remarks());
    fetch.report.ingest = fetch.intake.report;
    Ok(fetch.report)
}

struct Fetch<'a> {
    client: &'a Client,
    settings: &'a config::Salesforce,
    options: &'a FetchOptions,
    progress: &'a dyn Progress,
    runtime: Runtime,
    /// No download begins after it. By the client's count of time.
    deadline: Duration,
    intake: Intake<'a>,
    inbox: PathBuf,
    report: FetchReport,
}

impl Fetch<'_> {
    fn run(&mut self) -> Result<(), FetchError> {
        self.read_leftovers()?;
        let identity = match self.runtime.block_on(self.client.sign_in()) {
            Ok(identity) => identity,
            Err(error) => {
                self.report.stop(&error);
                return Ok(());
            }
        };
        let done = self.check_org(&identity).and_then(|()| {
            self.report.identity = Some(identity.clone());
            self.fetch_all(&identity)
        });
        self.runtime.block_on(self.client.revoke());
        done
    }

    fn fetch_all(&mut self, identity: &Identity) -> Result<(), FetchError> {
        let now = self.fetch_log_files()?;
        if self.settings.login_history {
            self.fetch_logins(identity, now)?;
        }
        if self.settings.setup_audit_trail {
            self.fetch_history(&SETUP_AUDIT_TRAIL, now)?;
        }
        if self.settings.roster {
            self.fetch_roster(now)?;
        }
        Ok(())
    }

    fn check_org(&mut self, identity: &Identity) -> Result<(), FetchError> {
        let ledger = self.intake.lake.ledger_mut();
        match ledger.fetched_org()? {
            None => Ok(ledger.remember_fetched_org(&identity.org_id)?),
            Some(known) if known == identity.org_id => Ok(()),
            Some(known) => Err(FetchError::OtherOrg {
                known,
                found: identity.org_id.clone(),
            }),
        }
    }

    /// From when on a history is asked for that was read up to `read_until`.
    fn from(&self, read_until: Option<DateTime<Utc>>) -> DateTime<Utc> {
        let at = self.options.at;
        let first = at - self.first_days();
        let oldest = at - OLDEST;
        let from = match (self.options.since, read_until) {
            (Some(since), _) => since,
            (None, Some(until)) => until - OVERLAP,
            (None, None) => first,
        };
        from.max(oldest)
    }

    /// What a first run is to begin with.
    fn first_days(&self) -> Days {
        Days::new(u64::from(self.settings.first_days))
    }

    /// Whether there is still something to ask: nothing has stopped the fetch, and there is time.
    fn goes_on(&mut self) -> bool {
        if self.report.stop.is_none() && self.client.elapsed() >= self.deadline {
            self.report.stop = Some(Stop::out_of_time(self.settings.time_budget_minutes));
        }
        self.report.stop.is_none()
    }
}

/// Whether an error ends the fetch, and not only what it happened to.
fn ends_all(error: &SalesforceError) -> bool {
    match error.class() {
        Class::Config | Class::Throttled | Class::Local => true,
        Class::Unreadable | Class::TooLarge | Class::Gone | Class::Passing | Class::Protocol => {
            false
        }
    }
}
