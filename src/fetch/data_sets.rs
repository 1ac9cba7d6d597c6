//! The histories of logins and of changes, read on from where the last run stopped, and the roster,
//! which is read whole each time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::report::DataSetReport;
use super::{Fetch, FetchError, LOGIN_IP_RANGE, ends_all, inbox};
use crate::lake::{DataSetState, OrgDataSet};
use crate::salesforce::{
    Class, DataSet, Exported, Identity, LOGIN_HISTORY, LOGIN_IP_RANGES_PERMISSION, ROSTER,
    SalesforceError, VERIFICATION_HISTORY, Window,
};

/// What is asked of a history, and committed, at once.
const STEP: TimeDelta = TimeDelta::days(1);
const USER: &str = "User";

impl Fetch<'_> {
    /// LoginHistory and VerificationHistory, of which the org gives a user without the permission
    /// their own rows only, and no word of the others.
    pub(super) fn fetch_logins(
        &mut self,
        identity: &Identity,
        now: DateTime<Utc>,
    ) -> Result<(), FetchError> {
        let known = self.intake.lake.ledger().org_data_set(LOGIN_HISTORY.name)?;
        let from = self.from(known.and_then(|set| set.read_until));
        let whole = Window { from, to: now };
        if !self.goes_on() {
            return Ok(());
        }
        let others = self.client.shows_logins_of_others(&identity.user_id, whole);
        match self.runtime.block_on(others) {
            Ok(true) => self.fetch_history(&LOGIN_HISTORY, now)?,
            Ok(false) => {
                let why = "the org shows this user their own rows only".to_owned();
                self.note_set(
                    LOGIN_HISTORY.name,
                    LOGIN_HISTORY.permission,
                    DataSetState::Unreadable,
                    Some(why),
                )?;
            }
            Err(error) => self.set_failed(LOGIN_HISTORY.name, LOGIN_HISTORY.permission, &error)?,
        }
        self.fetch_history(&VERIFICATION_HISTORY, now)
    }

    /// Day by day, each remembered when its rows are in the lake.
    pub(super) fn fetch_history(
        &mut self,
        what: &DataSet,
        now: DateTime<Utc>,
    ) -> Result<(), FetchError> {
        let known = self.intake.lake.ledger().org_data_set(what.name)?;
        let mut was_read = known.as_ref().is_some_and(|set| set.read_at.is_some());
        let mut from = self.from(known.and_then(|set| set.read_until));
        let mut rows = 0;
        while from < now {
            if !self.goes_on() {
                return Ok(());
            }
            let to = (from + STEP).min(now);
            let window = Window { from, to };
            let client = self.client;
            let files = client.export_windows(what, window, &self.inbox);
            let files = match self.runtime.block_on(files) {
                Ok(files) => files,
                Err(error) => {
                    // Spans that came before it are whole: a raw log does not wait for a night.
                    self.read_leftovers()?;
                    return self.set_failed(what.name, what.permission, &error);
                }
            };
            let mut refusal = None;
            for (path, _, exported) in files {
                rows += exported.rows;
                self.report.remarks.extend(exported.remarks);
                // An empty answer says once that there is such a history, and then nothing.
                if exported.rows == 0 && was_read {
                    inbox::remove(&path)?;
                    continue;
                }
                refusal = self.intake.take(&path)?.or(refusal);
                was_read = true;
            }
            if let Some(why) = refusal {
                return self.note_set(what.name, what.permission, DataSetState::Failed, Some(why));
            }
            self.read(what.name, rows, Some(to))?;
            from = to;
        }
        Ok(())
    }

    pub(super) fn fetch_roster(&mut self, now: DateTime<Utc>) -> Result<(), FetchError> {
        let mut profiles = None;
        for what in ROSTER {
            if !self.goes_on() {
                return Ok(());
            }
            let path = self.snapshot(what.name, now);
            let exported = self.client.export(what, None, &path);
            match self.runtime.block_on(exported) {
                Ok(exported) => {
                    if what.name == USER {
                        profiles = Some(profiles_in_use(&path)?);
                    }
                    self.keep(what.name, what.permission, &path, exported)?;
                }
                Err(error) => self.set_failed(what.name, what.permission, &error)?,
            }
        }
        let Some(profiles) = profiles.filter(|_| self.goes_on()) else {
            return Ok(());
        };
        let path = self.snapshot(LOGIN_IP_RANGE, now);
        let exported = self.client.login_ip_ranges(&profiles, &path);
        match self.runtime.block_on(exported) {
            Ok(exported) => self.keep(LOGIN_IP_RANGE, LOGIN_IP_RANGES_PERMISSION, &path, exported),
            Err(error) => self.set_failed(LOGIN_IP_RANGE, LOGIN_IP_RANGES_PERMISSION, &error),
        }
    }

    fn snapshot(&self, name: &str, now: DateTime<Utc>) -> PathBuf {
        let name = format!("{name}_{}.csv", now.format("%Y-%m-%dT%H%MZ"));
        self.inbox.join(name)
    }

    /// A snapshot says by what is not in it, too: one that is cut short is not kept.
    fn keep(
        &mut self,
        name: &'static str,
        permission: &'static str,
        path: &Path,
        exported: Exported,
    ) -> Result<(), FetchError> {
        self.report.remarks.extend(exported.remarks);
        if let Some(why) = exported.cut_short {
            inbox::remove(path)?;
            return self.note_set(name, permission, DataSetState::Incomplete, Some(why));
        }
        match self.intake.take(path)? {
            None => self.read(name, exported.rows, None),
            Some(why) => self.note_set(name, permission, DataSetState::Failed, Some(why)),
        }
    }

    pub(super) fn set_failed(
        &mut self,
        name: &'static str,
        permission: &'static str,
        error: &SalesforceError,
    ) -> Result<(), FetchError> {
        if ends_all(error) {
            self.report.stop(error);
            return Ok(());
        }
        let state = match error.class() {
            Class::Unreadable => DataSetState::Unreadable,
            _ => DataSetState::Failed,
        };
        self.note_set(name, permission, state, Some(error.to_string()))
    }

    /// A data set whose rows are in the lake, up to `until` where it has a history.
    pub(super) fn read(
        &mut self,
        name: &'static str,
        rows: u64,
        until: Option<DateTime<Utc>>,
    ) -> Result<(), FetchError> {
        let known = self.intake.lake.ledger().org_data_set(name)?;
        let before = known.and_then(|set| set.read_until);
        let set = OrgDataSet {
            name: name.to_owned(),
            state: DataSetState::Read,
            read_at: Some(self.options.at),
            // Reading old days again does not forget what came after them.
            read_until: until.max(before),
            rows: Some(rows),
            tried_at: self.options.at,
            reason: None,
            permission: None,
        };
        self.remember(set, true)
    }

    fn note_set(
        &mut self,
        name: &'static str,
        permission: &'static str,
        state: DataSetState,
        reason: Option<String>,
    ) -> Result<(), FetchError> {
        let known = self.intake.lake.ledger().org_data_set(name)?;
        let needs = (state == DataSetState::Unreadable).then(|| permission.to_owned());
        let (read_at, read_until, rows) = match known {
            Some(set) => (set.read_at, set.read_until, set.rows),
            None => (None, None, None),
        };
        let set = OrgDataSet {
            name: name.to_owned(),
            state,
            read_at,
            read_until,
            rows,
            tried_at: self.options.at,
            reason,
            permission: needs,
        };
        self.remember(set, read_at.is_some())
    }

    fn remember(&mut self, set: OrgDataSet, was_readable: bool) -> Result<(), FetchError> {
        let run_id = self.options.run_id;
        self.intake
            .lake
            .ledger_mut()
            .note_org_data_set(&set, run_id)?;
        self.report
            .data_sets
            .retain(|known| known.set.name != set.name);
        self.report
            .data_sets
            .push(DataSetReport { set, was_readable });
        Ok(())
    }
}

/// The profiles of active users, of a file of users.
fn profiles_in_use(path: &Path) -> Result<Vec<String>, FetchError> {
    let fault = |source| FetchError::Inbox {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut users = csv::Reader::from_reader(fs::File::open(path).map_err(fault)?);
    let headings = users.headers().map_err(|e| fault(e.into()))?.clone();
    let place = |name: &str| headings.iter().position(|heading| heading == name);
    let (Some(profile), Some(active)) = (place("ProfileId"), place("IsActive")) else {
        return Ok(Vec::new());
    };
    let mut profiles = BTreeSet::new();
    for user in users.records() {
        let user = user.map_err(|e| fault(e.into()))?;
        if user
            .get(active)
            .is_some_and(|word| word.eq_ignore_ascii_case("true"))
            && let Some(id) = user.get(profile).filter(|id| !id.is_empty())
        {
            profiles.insert(id.to_owned());
        }
    }
    Ok(profiles.into_iter().collect())
}
