//! Which of the listed log files are to be fetched now, and what is to be noted of the others.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::lake::{OrgFileKey, OrgFileState, OrgLogFile};
use crate::salesforce::{Interval, LogFile};

/// A file that is younger may still be written.
const SETTLES_IN: TimeDelta = TimeDelta::minutes(10);

/// What to do about log files.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Oldest first: they are the first that the org throws away.
    pub wanted: Vec<LogFile>,
    /// Too young: the next run fetches them.
    pub settling: usize,
    /// Files that need no fetching any more.
    pub superseded: Vec<(OrgFileKey, OrgFileState, Option<String>)>,
    /// Files that the org has no more, of which nothing was fetched.
    pub gone: Vec<OrgLogFile>,
}

pub(super) fn key_of(file: &LogFile) -> OrgFileKey {
    OrgFileKey {
        log_file_id: file.id.clone(),
        created_at: file.created_at,
        length: file.length,
    }
}

/// The row of the ledger for a listed file.
pub(super) fn as_listed(file: &LogFile, at: DateTime<Utc>) -> OrgLogFile {
    OrgLogFile {
        key: key_of(file),
        event_type: file.event_type.clone(),
        log_date: file.log_date,
        is_hourly: file.interval == Interval::Hourly,
        sequence: file.sequence,
        state: OrgFileState::Listed,
        first_listed_at: at,
        attempts: 0,
        reason: None,
    }
}

/// Plans for the files of one interval. `known` is what the ledger says, `listed` all that the org
/// lists, `now` the org's time.
pub(super) fn plan(
    known: &[OrgLogFile],
    listed: &[LogFile],
    interval: Interval,
    now: DateTime<Utc>,
) -> Plan {
    let mut plan = Plan::default();
    let states: HashMap<&OrgFileKey, OrgFileState> =
        known.iter().map(|file| (&file.key, file.state)).collect();
    let newest = newest_issues(listed);
    let days = whole_days(known);
    for file in listed.iter().filter(|file| file.interval == interval) {
        let key = key_of(file);
        match states.get(&key) {
            None | Some(OrgFileState::Listed | OrgFileState::Gone) => {}
            Some(_) => continue,
        }
        let superseded = |why: &str| (key.clone(), OrgFileState::Superseded, Some(why.to_owned()));
        if newest.get(file.id.as_str()) != Some(&(file.created_at, file.length)) {
            plan.superseded.push(superseded("issued again"));
        } else if is_within_a_day(file, &days) {
            plan.superseded
                .push(superseded("all of it is in the day's file"));
        } else if now - file.created_at < SETTLES_IN {
            plan.settling += 1;
        } else {
            plan.wanted.push(file.clone());
        }
    }
    plan.wanted
        .sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let there: HashSet<OrgFileKey> = listed.iter().map(key_of).collect();
    let is_hourly = interval == Interval::Hourly;
    let missing = known.iter().filter(|file| {
        file.state == OrgFileState::Listed
            && file.is_hourly == is_hourly
            && !there.contains(&file.key)
    });
    for file in missing {
        if newest.contains_key(file.key.log_file_id.as_str()) {
            let why = Some("issued again".to_owned());
            plan.superseded
                .push((file.key.clone(), OrgFileState::Superseded, why));
        } else {
            plan.gone.push(file.clone());
        }
    }
    plan
}

/// Of each file its newest issue.
fn newest_issues(listed: &[LogFile]) -> HashMap<&str, (DateTime<Utc>, u64)> {
    let mut newest = HashMap::new();
    for file in listed {
        let issue = (file.created_at, file.length);
        let known = newest.entry(file.id.as_str()).or_insert(issue);
        *known = issue.max(*known);
    }
    newest
}

/// When the newest file of a whole day was made that is in the lake, by event type and day.
fn whole_days(known: &[OrgLogFile]) -> HashMap<(&str, DateTime<Utc>), DateTime<Utc>> {
    let mut days = HashMap::new();
    let whole = known
        .iter()
        .filter(|file| !file.is_hourly && file.state == OrgFileState::Ingested);
    for file in whole {
        let made = days
            .entry((file.event_type.as_str(), day_of(file.log_date)))
            .or_insert(file.key.created_at);
        *made = file.key.created_at.max(*made);
    }
    days
}

/// Whether an hour's file was there already when its day's file was made, which is complete.
fn is_within_a_day(file: &LogFile, days: &HashMap<(&str, DateTime<Utc>), DateTime<Utc>>) -> bool {
    file.interval == Interval::Hourly
        && days
            .get(&(file.event_type.as_str(), day_of(file.log_date)))
            .is_some_and(|made| file.created_at <= *made)
}

fn day_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        format!("2026-01-{text}:00Z").parse().unwrap()
    }

    fn file(id: &str, interval: Interval, date: &str, created: &str) -> LogFile {
        LogFile {
            id: id.to_owned(),
            event_type: "Login".to_owned(),
            log_date: time(date),
            interval,
            sequence: u32::from(interval == Interval::Hourly),
            created_at: time(created),
            length: 100,
        }
    }

    fn known(file: &LogFile, state: OrgFileState) -> OrgLogFile {
        OrgLogFile {
            state,
            ..as_listed(file, file.created_at)
        }
    }

    fn ids(plan: &Plan) -> Vec<&str> {
        plan.wanted.iter().map(|file| file.id.as_str()).collect()
    }

    #[test]
    fn a_file_that_is_known_is_not_fetched_again_and_a_new_issue_of_it_is() {
        let old = file("a", Interval::Daily, "30T00:00", "31T02:00");
        let seen = [known(&old, OrgFileState::Ingested)];
        let plan_of = |listed: &[LogFile]| plan(&seen, listed, Interval::Daily, time("31T12:00"));
        assert!(plan_of(std::slice::from_ref(&old)).wanted.is_empty());
        let again = LogFile {
            created_at: time("31T05:00"),
            ..old.clone()
        };
        assert_eq!(ids(&plan_of(&[again])), ["a"]);
        let longer = LogFile { length: 200, ..old };
        assert_eq!(ids(&plan_of(&[longer])), ["a"]);
    }

    #[test]
    fn a_file_may_still_be_written_for_ten_minutes() {
        let young = file("a", Interval::Daily, "30T00:00", "31T02:00");
        let planned = plan(
            &[],
            std::slice::from_ref(&young),
            Interval::Daily,
            time("31T02:09"),
        );
        assert_eq!((planned.wanted.len(), planned.settling), (0, 1));
        let planned = plan(&[], &[young], Interval::Daily, time("31T02:10"));
        assert_eq!((planned.wanted.len(), planned.settling), (1, 0));
    }

    #[test]
    fn an_hour_is_fetched_unless_its_day_was_made_after_it_and_is_in_the_lake() {
        let day = file("d", Interval::Daily, "30T00:00", "31T02:00");
        let early = file("h1", Interval::Hourly, "30T05:00", "30T09:00");
        let late = file("h2", Interval::Hourly, "30T05:00", "31T07:00");
        let next = file("h3", Interval::Hourly, "31T00:00", "31T01:00");
        let listed = [day.clone(), early, late, next];
        let at = time("31T12:00");
        let planned = plan(&[], &listed, Interval::Hourly, at);
        assert_eq!(ids(&planned), ["h1", "h3", "h2"]);
        let fetched = [known(&day, OrgFileState::Ingested)];
        let planned = plan(&fetched, &listed, Interval::Hourly, at);
        assert_eq!(ids(&planned), ["h3", "h2"]);
        assert_eq!(planned.superseded[0].0.log_file_id, "h1");
        // A day that is only listed may never arrive.
        let listed_only = [known(&day, OrgFileState::Listed)];
        let planned = plan(&listed_only, &listed, Interval::Hourly, at);
        assert_eq!(planned.wanted.len(), 3);
    }

    #[test]
    fn what_the_org_has_no_more_is_gone_unless_it_was_issued_again() {
        let lost = file("a", Interval::Daily, "20T00:00", "21T02:00");
        let again = file("b", Interval::Daily, "20T00:00", "21T02:00");
        let new_issue = LogFile {
            created_at: time("22T02:00"),
            ..again.clone()
        };
        let waiting = [
            known(&lost, OrgFileState::Listed),
            known(&again, OrgFileState::Listed),
        ];
        let planned = plan(&waiting, &[new_issue], Interval::Daily, time("23T00:00"));
        assert_eq!(ids(&planned), ["b"]);
        assert_eq!(planned.gone.len(), 1);
        assert_eq!(planned.gone[0].key.log_file_id, "a");
        assert_eq!(planned.superseded[0].0.log_file_id, "b");
    }

    #[test]
    fn a_file_that_was_given_up_is_fetched_when_it_is_listed_again() {
        let file = file("a", Interval::Daily, "20T00:00", "21T02:00");
        let lost = [known(&file, OrgFileState::Gone)];
        let planned = plan(&lost, &[file], Interval::Daily, time("23T00:00"));
        assert_eq!(ids(&planned), ["a"]);
    }
}
