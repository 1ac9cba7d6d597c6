//! Event Log Files: what is left of an earlier run, what is new, and each of them into the lake.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::vec;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::plan::{Outcome, Plan, as_listed, key_of, plan, plan_waiting};
use super::report::Stop;
use super::{Fetch, FetchError, LOOK_BACK, OLDEST, ends_all, inbox};
use crate::ingest::Progress;
use crate::lake::{OrgFileKey, OrgFileState, OrgLogFile};
use crate::privacy::printable;
use crate::salesforce::{
    Class, Client, Downloaded, LOG_FILES, LOG_FILES_PERMISSION, LogFile, SalesforceError,
};

/// Bytes that may lie in the inbox, in MiB, unless a single file is larger.
const INBOX_MIB: u32 = 4096;
const MIB: u64 = 1 << 20;
/// Files that are committed together.
const BATCH: usize = 128;
/// One after the other: then it is not the file, and the next run tries again.
const MOST_FAILURES: u32 = 3;
/// A file that is listed and cannot be had for so long is given up.
const PATIENCE: TimeDelta = TimeDelta::hours(24);

/// Of a name on a progress bar, in characters.
const MAX_NAME: usize = 60;

/// A file that was tried.
struct Arrival {
    file: LogFile,
    result: Result<(PathBuf, Downloaded), SalesforceError>,
    /// Its room in the inbox, kept until it is read.
    _room: Option<OwnedSemaphorePermit>,
}

impl Fetch<'_> {
    /// Files of the inbox that a run did not come to read, or to remove. A list of the org is read
    /// anew instead: the run may have died before it knew whether the list is whole.
    pub(super) fn read_leftovers(&mut self) -> Result<(), FetchError> {
        let mut left = inbox::files(&self.inbox)?;
        left.retain(|path| inbox::is_ours(path));
        let (lists, left): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|path| inbox::is_snapshot(path));
        lists.iter().try_for_each(|path| inbox::remove(path))?;
        let read = self.intake.read(&left)?;
        let outcomes: Vec<Outcome> = read
            .into_iter()
            .filter_map(|(path, refusal)| Some(outcome(inbox::key_in(&path)?, refusal)))
            .collect();
        self.note(&outcomes)?;
        left.iter().try_for_each(|path| inbox::remove(path))
    }

    /// Returns the org's time.
    pub(super) fn fetch_log_files(&mut self) -> Result<DateTime<Utc>, FetchError> {
        let at = self.options.at;
        let since = self.list_from()?;
        let intervals = self.settings.intervals;
        let listing = self
            .runtime
            .block_on(self.client.list_log_files(since, intervals));
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                self.set_failed(LOG_FILES, LOG_FILES_PERMISSION, &error)?;
                return Ok(at);
            }
        };
        self.read(LOG_FILES, listing.files.len() as u64, None)?;
        self.report.remarks.extend(listing.remarks.iter().cloned());
        self.report.log_files.listed = listing.files.len() as u64;
        let listed: Vec<_> = listing
            .files
            .iter()
            .map(|file| as_listed(file, at))
            .collect();
        let run_id = self.options.run_id;
        let ledger = self.intake.lake.ledger_mut();
        ledger.list_org_log_files(&listed, at, run_id)?;
        let known = self.known(since)?;
        let planned = plan(&known, &listing.files, intervals, listing.server_now);
        self.report.log_files.settling = planned.settling as u64;
        self.note(&planned.superseded)?;
        self.give_up(&planned, since)?;
        self.download(planned.wanted, &known)?;
        // What is in the days that have come need not be fetched by the hour.
        let known = self.known(since)?;
        let planned = plan_waiting(&known, planned.waiting);
        self.note(&planned.superseded)?;
        self.download(planned.wanted, &known)?;
        Ok(listing.server_now)
    }

    /// From when on the org's files are listed: those made after the oldest that is still to be
    /// fetched, and a little before.
    fn list_from(&self) -> Result<DateTime<Utc>, FetchError> {
        let ledger = self.intake.lake.ledger();
        let since = match (self.options.since, ledger.org_watermark()?) {
            (Some(since), _) => since,
            (None, None) => self.from(None),
            (None, Some(watermark)) => {
                // A first run that did not come to its end leaves its oldest files open. Looking
                // back from them would reach further with every night that does not come to its
                // end either, to before the days that the first run was to begin with.
                let first_listed = ledger.org_first_listed()?.unwrap_or(self.options.at);
                let begin = first_listed - self.first_days();
                (watermark - LOOK_BACK).max(begin.min(watermark))
            }
        };
        Ok(since.max(self.options.at - OLDEST))
    }

    /// What the ledger says of the files made since then.
    fn known(&self, since: DateTime<Utc>) -> Result<Vec<OrgLogFile>, FetchError> {
        let mut known = self.intake.lake.ledger().org_log_files(since)?;
        if self.options.since.is_some() {
            // Whoever names a day wants it again, whatever became of it.
            known.retain(|file| file.state == OrgFileState::Listed);
        }
        Ok(known)
    }

    /// Notes what the org has no more. A list that begins later than a file says nothing about it.
    fn give_up(&mut self, planned: &Plan, since: DateTime<Utc>) -> Result<(), FetchError> {
        let gone = planned
            .gone
            .iter()
            .filter(|file| file.key.created_at >= since);
        let gone: Vec<_> = gone.cloned().collect();
        let why = Some("the org has it no more".to_owned());
        let outcomes: Vec<Outcome> = gone
            .iter()
            .map(|file| (file.key.clone(), OrgFileState::Gone, why.clone()))
            .collect();
        self.note(&outcomes)?;
        self.report.gone.extend(gone);
        Ok(())
    }

    fn download(&mut self, wanted: Vec<LogFile>, known: &[OrgLogFile]) -> Result<(), FetchError> {
        if wanted.is_empty() || !self.goes_on() {
            self.report.log_files.left += wanted.len() as u64;
            return Ok(());
        }
        let bytes = wanted.iter().map(|file| file.length).sum();
        self.progress.begin(wanted.len(), bytes);
        let count = wanted.len() as u64;
        // The room in the inbox is the bound: a lake that is busy with one large file does not keep
        // small ones from coming.
        let (sender, receiver) = mpsc::unbounded_channel();
        let is_over = AtomicBool::new(false);
        let downloads = Downloads {
            client: self.client,
            inbox: self.inbox.clone(),
            progress: self.progress,
            deadline: self.deadline,
            is_over: &is_over,
            room: Arc::new(Semaphore::new(INBOX_MIB as usize)),
        };
        let parallel = usize::from(self.settings.downloads).max(1);
        let queue = Mutex::new(wanted.into_iter());
        let handle = self.runtime.handle().clone();
        let tried = std::thread::scope(|scope| {
            for _ in 0..parallel {
                let (handle, sender) = (handle.clone(), sender.clone());
                let (downloads, queue) = (&downloads, &queue);
                // In threads: what came is inflated, written and flushed in the same place.
                scope.spawn(move || handle.block_on(downloads.run(queue, sender)));
            }
            drop(sender);
            // Dropping the receiver ends the downloads, whatever became of what they brought.
            self.receive(receiver, &is_over, known)
        })?;
        self.progress.end();
        self.report.log_files.left += count.saturating_sub(tried);
        if tried < count {
            self.goes_on();
        }
        Ok(())
    }

    /// Reads what arrives, as much at once as is there. Returns how many files were tried.
    fn receive(
        &mut self,
        mut arrivals: UnboundedReceiver<Arrival>,
        is_over: &AtomicBool,
        known: &[OrgLogFile],
    ) -> Result<u64, FetchError> {
        let mut tried = 0;
        let mut failures = 0;
        while let Some(first) = arrivals.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = arrivals.try_recv()
            {
                batch.push(next);
            }
            tried += batch.len() as u64;
            let mut outcomes: Vec<Outcome> = Vec::new();
            let mut brought = Vec::new();
            for arrival in &batch {
                match &arrival.result {
                    Ok((path, downloaded)) => {
                        failures = 0;
                        self.report.log_files.fetched += 1;
                        self.report.log_files.bytes += downloaded.bytes;
                        let remark = downloaded.remark.iter();
                        self.report.remarks.extend(remark.cloned());
                        brought.push((key_of(&arrival.file), path.clone()));
                    }
                    Err(error) => {
                        failures += u32::from(error.class() == Class::Passing);
                        outcomes.extend(self.failed(&arrival.file, error, known));
                    }
                }
            }
            if failures >= MOST_FAILURES && self.report.stop.is_none() {
                self.report.stop = Some(Stop {
                    class: Class::Passing,
                    what: format!("{failures} downloads in a row failed"),
                    fix: "the next run tries again; see the reasons in `org_log_files`".to_owned(),
                });
            }
            if self.report.stop.is_some() {
                is_over.store(true, Ordering::Relaxed);
            }
            let paths: Vec<PathBuf> = brought.iter().map(|(_, path)| path.clone()).collect();
            let mut read = self.intake.read(&paths)?;
            outcomes.extend(
                brought
                    .into_iter()
                    .map(|(key, path)| outcome(key, read.remove(&path).flatten())),
            );
            self.note(&outcomes)?;
            paths.iter().try_for_each(|path| inbox::remove(path))?;
        }
        Ok(tried)
    }

    /// What to note of a file that could not be had, if anything.
    fn failed(
        &mut self,
        file: &LogFile,
        error: &SalesforceError,
        known: &[OrgLogFile],
    ) -> Option<Outcome> {
        if error.is_no_room() {
            // It is the largest that do not fit: they are not to keep the others out, night after
            // night.
            self.report.log_files.no_room += 1;
            self.report.log_files.no_room_bytes += file.length;
            return Some((key_of(file), OrgFileState::Listed, Some(error.to_string())));
        }
        if ends_all(error) {
            if self.report.stop.is_none() {
                self.report.stop(error);
            }
            self.report.log_files.left += 1;
            return None;
        }
        let key = key_of(file);
        let listed = known.iter().find(|known| known.key == key);
        let age = listed.map_or(TimeDelta::zero(), |it| self.options.at - it.first_listed_at);
        let reason = Some(error.to_string());
        if error.class() == Class::Gone && age >= PATIENCE {
            self.report.gone.push(as_listed(file, self.options.at));
            return Some((key, OrgFileState::Gone, reason));
        }
        self.report.log_files.failed += 1;
        Some((key, OrgFileState::Listed, reason))
    }

    fn note(&mut self, outcomes: &[Outcome]) -> Result<(), FetchError> {
        let (at, run_id) = (self.options.at, self.options.run_id);
        let ledger = self.intake.lake.ledger_mut();
        Ok(ledger.note_org_log_files(outcomes, at, run_id)?)
    }
}

/// The downloading side.
struct Downloads<'a> {
    client: &'a Client,
    inbox: PathBuf,
    progress: &'a dyn Progress,
    deadline: Duration,
    /// Set where no further download is to begin.
    is_over: &'a AtomicBool,
    room: Arc<Semaphore>,
}

impl Downloads<'_> {
    /// One after the other; each that was tried goes to `sender`.
    async fn run(&self, queue: &Mutex<vec::IntoIter<LogFile>>, sender: UnboundedSender<Arrival>) {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(file) = next() {
            let arrival = tokio::select! {
                arrival = self.one(file) => arrival,
                () = sender.closed() => break,
            };
            if let Some(arrival) = arrival
                && sender.send(arrival).is_err()
            {
                break;
            }
        }
    }

    /// None where it was not tried any more.
    async fn one(&self, file: LogFile) -> Option<Arrival> {
        let mib = u32::try_from(file.length.div_ceil(MIB)).unwrap_or(INBOX_MIB);
        let room = Arc::clone(&self.room).acquire_many_owned(mib.clamp(1, INBOX_MIB));
        let room = room.await.ok();
        if self.is_over.load(Ordering::Relaxed) || self.client.elapsed() >= self.deadline {
            return None;
        }
        self.progress.file(&printable(&file.event_type, MAX_NAME));
        let path = self.inbox.join(inbox::name_of(&file));
        let told = |bytes| self.progress.advance(bytes);
        let result = match inbox::check_room(&self.inbox, file.length) {
            Ok(()) => self.client.download(&file, &path, &told).await,
            Err(no_room) => Err(no_room),
        };
        // The lake may be busy for minutes before it hears of it, and each call counts.
        let is_last = |error: &SalesforceError| ends_all(error) && !error.is_no_room();
        if result.as_ref().is_err_and(is_last) {
            self.is_over.store(true, Ordering::Relaxed);
        }
        Some(Arrival {
            result: result.map(|downloaded| (path, downloaded)),
            file,
            _room: room,
        })
    }
}

fn outcome(key: OrgFileKey, refusal: Option<String>) -> Outcome {
    match refusal {
        None => (key, OrgFileState::Ingested, None),
        Some(why) => (key, OrgFileState::Rejected, Some(why)),
    }
}
