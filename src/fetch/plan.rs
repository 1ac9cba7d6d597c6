//! Which of the listed log files are to be fetched now, and what is to be noted of the others.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::Intervals;
use crate::lake::{OrgFileKey, OrgFileState, OrgLogFile};
use crate::salesforce::{Interval, LogFile};

/// A file that is younger may still be written.
const SETTLES_IN: TimeDelta = TimeDelta::minutes(10);

const ISSUED_AGAIN: &str = "issued again";
const WITHIN_A_DAY: &str = "all of it is in the day's file";

/// What to note of a file, and why.
pub(super) type Outcome = (OrgFileKey, OrgFileState, Option<String>);
/// When the newest file of a whole day was made, by event type and day.
type Days<'a> = HashMap<(&'a str, DateTime<Utc>), DateTime<Utc>>;

/// What to do about log files.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Oldest first: they are the first that the org throws away.
    pub wanted: Vec<LogFile>,
    /// Hours whose day is to come, and then they need no fetching. Oldest first.
    pub waiting: Vec<LogFile>,
    /// Too young: the next run fetches them.
    pub settling: usize,
    /// Files that need no fetching any more.
    pub superseded: Vec<Outcome>,
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

/// Plans for the files of the intervals that are `asked` for. `known` is what the ledger says,
/// `listed` all that the org lists, `now` the org's time.
pub(super) fn plan(
    known: &[OrgLogFile],
    listed: &[LogFile],
    asked: Intervals,
    now: DateTime<Utc>,
) -> Plan {
    let mut plan = Plan::default();
    let states: HashMap<&OrgFileKey, OrgFileState> =
        known.iter().map(|file| (&file.key, file.state)).collect();
    let newest = newest_issues(listed);
    let whole = whole_days(known);
    let mut open = Vec::new();
    for file in listed {
        let key = key_of(file);
        let state = states.get(&key).copied().unwrap_or(OrgFileState::Listed);
        let is_open = matches!(state, OrgFileState::Listed | OrgFileState::Gone);
        if !is_open || !is_asked(file.interval == Interval::Hourly, asked) {
            continue;
        }
        if newest.get(file.id.as_str()) != Some(&(file.created_at, file.length)) {
            plan.superseded.push(superseded(key, ISSUED_AGAIN));
        } else if is_within_a_day(file, &whole) {
            plan.superseded.push(superseded(key, WITHIN_A_DAY));
        } else {
            open.push(file);
        }
    }
    let to_come = open.iter().filter(|file| file.interval == Interval::Daily);
    let to_come = days(to_come.map(|file| (&*file.event_type, file.log_date, file.created_at)));
    let (settling, mut ready): (Vec<&LogFile>, Vec<_>) = open
        .into_iter()
        .partition(|file| now - file.created_at < SETTLES_IN);
    plan.settling = settling.len();
    ready.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    // A day of many gigabytes is to hold up its own hours only.
    (plan.waiting, plan.wanted) = ready
        .into_iter()
        .cloned()
        .partition(|file| is_within_a_day(file, &to_come));
    let there: HashSet<OrgFileKey> = listed.iter().map(key_of).collect();
    let missing = known.iter().filter(|file| {
        file.state == OrgFileState::Listed
            && is_asked(file.is_hourly, asked)
            && !there.contains(&file.key)
    });
    for file in missing {
        if newest.contains_key(file.key.log_file_id.as_str()) {
            let again = superseded(file.key.clone(), ISSUED_AGAIN);
            plan.superseded.push(again);
        } else {
            plan.gone.push(file.clone());
        }
    }
    plan
}

/// Plans for hours that were `waiting` for their days. `known` is what the ledger says now.
pub(super) fn plan_waiting(known: &[OrgLogFile], waiting: Vec<LogFile>) -> Plan {
    let whole = whole_days(known);
    let (within, wanted): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .partition(|file| is_within_a_day(file, &whole));
    let within = within.iter().map(key_of);
    Plan {
        wanted,
        superseded: within.map(|key| superseded(key, WITHIN_A_DAY)).collect(),
        ..Plan::default()
    }
}

fn is_asked(is_hourly: bool, asked: Intervals) -> bool {
    match asked {
        Intervals::Both => true,
        Intervals::Hourly => is_hourly,
        Intervals::Daily => !is_hourly,
    }
}

fn superseded(key: OrgFileKey, why: &str) -> Outcome {
    (key, OrgFileState::Superseded, Some(why.to_owned()))
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

/// The days that are in the lake.
fn whole_days(known: &[OrgLogFile]) -> Days<'_> {
    let whole = known
        .iter()
        .filter(|file| !file.is_hourly && file.state == OrgFileState::Ingested);
    days(whole.map(|file| (&*file.event_type, file.log_date, file.key.created_at)))
}

/// Of files by event type, date and creation.
fn days<'a>(files: impl Iterator<Item = (&'a str, DateTime<Utc>, DateTime<Utc>)>) -> Days<'a> {
    let mut days = Days::new();
    for (event_type, date, created_at) in files {
        let made = days.entry((event_type, day_of(date))).or_insert(created_at);
        *made = created_at.max(*made);
    }
    days
}

/// Whether an hour's file was there already when its day's file was made, which is complete.
fn is_within_a_day(file: &LogFile, days: &Days<'_>) -> bool {
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
        let plan_of = |listed: &[LogFile]| plan(&seen, listed, Intervals::Daily, time("31T12:00"));
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
            Intervals::Daily,
            time("31T02:09"),
        );
        assert_eq!((planned.wanted.len(), planned.settling), (0, 1));
        let planned = plan(&[], &[young], Intervals::Daily, time("31T02:10"));
        assert_eq!((planned.wanted.len(), planned.settling), (1, 0));
    }

    #[test]
    fn an_hour_is_fetched_unless_its_day_was_made_after_it_and_is_in_the_lake() {
        let day = file("d", Interval::Daily, "30T00:00", "31T02:00");
        let early = file("h1", Interval::Hourly, "30T05:00", "30T09:00");
        let late = file("h2", Interval::Hourly, "30T05:00", "31T07:00");
        let next = file("h3", Interval::Hourly, "31T00:00", "31T01:00");
        let listed = [day.clone(), early.clone(), late, next];
        let at = time("31T12:00");
        let fetched = [known(&day, OrgFileState::Ingested)];
        for asked in [Intervals::Both, Intervals::Hourly] {
            let planned = plan(&fetched, &listed, asked, at);
            assert_eq!(ids(&planned), ["h3", "h2"]);
            assert_eq!(planned.superseded[0].0.log_file_id, "h1");
            assert_eq!(planned.waiting, []);
        }
        // A day that nobody asks for never arrives.
        let planned = plan(&[], &listed, Intervals::Hourly, at);
        assert_eq!(ids(&planned), ["h1", "h3", "h2"]);

        let planned = plan_waiting(&fetched, vec![early.clone()]);
        assert_eq!(planned.wanted, []);
        assert_eq!(planned.superseded[0].0.log_file_id, "h1");
        for state in [OrgFileState::Listed, OrgFileState::Rejected] {
            let planned = plan_waiting(&[known(&day, state)], vec![early.clone()]);
            assert_eq!(ids(&planned), ["h1"]);
            assert_eq!(planned.superseded, []);
        }
    }

    #[test]
    fn an_hour_waits_for_its_own_day_only_and_for_none_that_is_no_more_to_come() {
        let hour = file("h", Interval::Hourly, "30T05:00", "30T09:00");
        let day = file("d", Interval::Daily, "30T00:00", "31T02:00");
        let plan_of = |known: &[OrgLogFile], day: &LogFile| {
            let listed = [hour.clone(), day.clone()];
            let planned = plan(known, &listed, Intervals::Both, time("31T12:00"));
            let waiting = planned.waiting.iter().map(|file| file.id.clone());
            (waiting.collect::<Vec<_>>(), planned)
        };
        let (waiting, planned) = plan_of(&[], &day);
        assert_eq!((waiting, ids(&planned)), (vec!["h".to_owned()], vec!["d"]));
        let young = LogFile {
            created_at: time("31T11:55"),
            ..day.clone()
        };
        let (waiting, planned) = plan_of(&[], &young);
        assert_eq!((waiting.len(), planned.settling), (1, 1));
        let given_up = known(&day, OrgFileState::Gone);
        assert_eq!(plan_of(&[given_up], &day).0.len(), 1);

        let of_another_type = LogFile {
            event_type: "RestApi".to_owned(),
            ..day.clone()
        };
        let of_another_day = LogFile {
            log_date: time("29T00:00"),
            ..day.clone()
        };
        let made_before_it = LogFile {
            created_at: time("30T08:00"),
            ..day.clone()
        };
        for other in [of_another_type, of_another_day, made_before_it] {
            let (waiting, planned) = plan_of(&[], &other);
            assert_eq!(waiting, Vec::<String>::new(), "{other:?}");
            assert_eq!(planned.wanted.len(), 2);
        }
        let refused = known(&day, OrgFileState::Rejected);
        let (waiting, planned) = plan_of(&[refused], &day);
        assert_eq!((waiting.len(), ids(&planned)), (0, vec!["h"]));
    }

    #[test]
    fn both_intervals_are_planned_at_once_oldest_first() {
        let listed = [
            file("d1", Interval::Daily, "28T00:00", "29T02:00"),
            file("h2", Interval::Hourly, "30T07:00", "30T11:00"),
            file("d3", Interval::Daily, "29T00:00", "30T02:00"),
            file("h1", Interval::Hourly, "27T05:00", "27T09:00"),
            file("w2", Interval::Hourly, "28T06:00", "28T10:00"),
            file("w1", Interval::Hourly, "28T05:00", "28T09:00"),
        ];
        let planned = plan(&[], &listed, Intervals::Both, time("31T12:00"));
        assert_eq!(ids(&planned), ["h1", "d1", "d3", "h2"]);
        assert_eq!(ids(&plan_waiting(&[], planned.waiting)), ["w1", "w2"]);
    }

    #[test]
    fn files_of_an_interval_that_is_not_asked_for_are_neither_fetched_nor_gone() {
        let day = file("d", Interval::Daily, "20T00:00", "21T02:00");
        let hour = file("h", Interval::Hourly, "20T05:00", "20T09:00");
        let waiting = [&day, &hour].map(|file| known(file, OrgFileState::Listed));
        for (asked, its) in [(Intervals::Daily, "d"), (Intervals::Hourly, "h")] {
            let listed = [day.clone(), hour.clone()];
            let planned = plan(&waiting, &listed, asked, time("23T00:00"));
            assert_eq!((ids(&planned), planned.waiting.len()), (vec![its], 0));
            let planned = plan(&waiting, &[], asked, time("23T00:00"));
            let gone = planned
                .gone
                .iter()
                .map(|file| file.key.log_file_id.as_str());
            assert_eq!(gone.collect::<Vec<_>>(), [its]);
        }
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
        let planned = plan(&waiting, &[new_issue], Intervals::Daily, time("23T00:00"));
        assert_eq!(ids(&planned), ["b"]);
        assert_eq!(planned.gone.len(), 1);
        assert_eq!(planned.gone[0].key.log_file_id, "a");
        assert_eq!(planned.superseded[0].0.log_file_id, "b");
    }

    #[test]
    fn a_file_that_was_given_up_is_fetched_when_it_is_listed_again() {
        let file = file("a", Interval::Daily, "20T00:00", "21T02:00");
        let lost = [known(&file, OrgFileState::Gone)];
        let planned = plan(&lost, &[file], Intervals::Daily, time("23T00:00"));
        assert_eq!(ids(&planned), ["a"]);
    }
}
