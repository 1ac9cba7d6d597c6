//! Accounts that behave like machines, whatever the registry says of them: `inferred_roles`.
//!
//! The criteria are those of the rule `unregistered-integration-user`, asked of the 30 days that
//! end with each day on which the account was active. The role begins with the first day at whose
//! end they hold. It outlives silence, and ends when the account's logins through the user
//! interface go beyond what the criteria allow, on several days: a thief's first visits must not
//! turn a machine into a person. So a day's role depends on that day and what was before it, and
//! nights judged one by one or all at once come to the same.
//!
//! Accounts that the newest roster marks as a machine's are one at all times, before their first
//! event, too.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMillisecondType};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use datafusion::scalar::ScalarValue;

use super::RollupError;
use super::days::whole_day;
use crate::catalog::{Catalog, LOGIN_HISTORY};
use crate::engine::{EngineOptions, Params, Session};
use crate::lake::{InferredRole, Lake, LakeError};
use crate::registry::OPEN_FROM;

const ACCOUNT_DAYS: &str = include_str!("../../queries/rollups/account_days.sql");
const ROSTER_MACHINES: &str = include_str!("../../queries/rollups/roster_machines.sql");

const API_TOTAL_USAGE: &str = "ApiTotalUsage";

/// Changes with the criteria, so that roles inferred by older ones are inferred anew.
pub(super) const RELEASE: &str = "2";

/// Days over which roles are inferred, back from the last day with logs.
const LOOKBACK_DAYS: u64 = 366;
const PERIOD_DAYS: u64 = 30;
const MIN_LOGINS: i64 = 50;
const MIN_CALLS: i64 = 500;
const MAX_UI_SHARE: f64 = 0.05;
const MAX_UI_DAY_SHARE: f64 = 0.2;
const MIN_HOURS_OF_DAY: usize = 18;
const MIN_WEEKDAYS: usize = 6;
/// Days with UI logins in the period from which they may end the role.
const MIN_UI_DAYS: u32 = 3;

/// The machines among the accounts of the lake, by user and beginning.
pub(super) fn infer(
    lake: &Lake,
    catalog: &Arc<Catalog>,
    options: &EngineOptions,
    at: DateTime<Utc>,
) -> Result<Vec<InferredRole>, RollupError> {
    let last_day = last_day(lake, at.date_naive())?;
    let has_roster = !lake.parts("User")?.is_empty();
    if last_day.is_none() && !has_roster {
        return Ok(vec![]);
    }
    let session = Session::with_raw_tables(lake, catalog, options)?;
    let mut roles = match last_day {
        Some(last_day) => by_behaviour(&session, last_day)?,
        None => vec![],
    };
    if has_roster {
        roles.extend(by_roster(&session)?);
    }
    roles.sort_by(|a, b| (&a.user_key, a.since).cmp(&(&b.user_key, b.since)));
    Ok(roles)
}

fn by_roster(session: &Session) -> Result<Vec<InferredRole>, RollupError> {
    let mut roles: Vec<InferredRole> = vec![];
    for batch in session.stream(ROSTER_MACHINES, &Params::new())? {
        let batch = batch?;
        let users = batch.column(0).as_string_view();
        let marks = cast(batch.column(1), &DataType::Utf8View)?;
        let marks = marks.as_string_view();
        let taken = batch.column(2).as_primitive::<TimestampMillisecondType>();
        for row in 0..batch.num_rows() {
            let (user, mark) = (users.value(row), marks.value(row));
            match roles.last_mut().filter(|role| role.user_key == user) {
                Some(role) => role.reason += &format!(", {mark}"),
                None => roles.push(InferredRole {
                    user_key: user.to_owned(),
                    role: "integration".to_owned(),
                    reason: format!("in the roster: {mark}"),
                    since: DateTime::from_timestamp_millis(OPEN_FROM)
                        .unwrap_or(DateTime::UNIX_EPOCH),
                    until: None,
                    last_seen: DateTime::from_timestamp_millis(taken.value(row))
                        .unwrap_or(DateTime::UNIX_EPOCH),
                }),
            }
        }
    }
    Ok(roles)
}

fn by_behaviour(session: &Session, last_day: NaiveDate) -> Result<Vec<InferredRole>, RollupError> {
    let reach = Days::new(LOOKBACK_DAYS + PERIOD_DAYS);
    let first_day = last_day.checked_sub_days(reach).unwrap_or(NaiveDate::MIN);
    let params = Params::new()
        .with_time("from", whole_day(first_day).from)
        .with_time("to", whole_day(last_day).to)
        .with("min_logins", ScalarValue::Int64(Some(MIN_LOGINS)))
        .with("min_calls", ScalarValue::Int64(Some(MIN_CALLS)));
    let mut roles = vec![];
    let mut account = Account::default();
    for batch in session.stream(ACCOUNT_DAYS, &params)? {
        for (user_key, day) in account_days(&batch?) {
            if user_key != account.user_key {
                roles.append(&mut account.roles);
                account = Account {
                    user_key,
                    ..Account::default()
                };
            }
            account.add(day);
        }
    }
    roles.append(&mut account.roles);
    Ok(roles)
}

/// Last day that has logins or calls; none where there are too few of them for any machine. A
/// day in the future is a clock gone wrong.
fn last_day(lake: &Lake, today: NaiveDate) -> Result<Option<NaiveDate>, LakeError> {
    let (mut last, mut logins, mut calls) = (None, 0, 0);
    for event_type in [super::LOGIN, LOGIN_HISTORY, API_TOTAL_USAGE] {
        let rows = match event_type {
            API_TOTAL_USAGE => &mut calls,
            _ => &mut logins,
        };
        for part in lake.parts(event_type)?.iter().filter(|p| p.day <= today) {
            last = last.max(Some(part.day));
            *rows += i64::try_from(part.rows).unwrap_or(i64::MAX);
        }
    }
    Ok(last.filter(|_| logins >= MIN_LOGINS || calls >= MIN_CALLS))
}

/// What an account did on one day.
#[derive(Debug, Clone, Copy)]
struct AccountDay {
    day: NaiveDate,
    logins: i64,
    ui_logins: i64,
    calls: i64,
    /// Bit n: active in hour n.
    hours: i64,
    last_at: DateTime<Utc>,
}

fn account_days(batch: &RecordBatch) -> Vec<(String, AccountDay)> {
    let users = batch.column(0).as_string_view();
    let days = batch.column(1).as_primitive::<Date32Type>();
    let number = |column: usize| batch.column(column).as_primitive::<Int64Type>();
    let (logins, ui_logins, calls, hours) = (number(2), number(3), number(4), number(5));
    let last = batch.column(6).as_primitive::<TimestampMillisecondType>();
    (0..batch.num_rows())
        .filter_map(|row| {
            let day = AccountDay {
                day: days.is_valid(row).then(|| days.value_as_date(row))??,
                logins: logins.value(row),
                ui_logins: ui_logins.value(row),
                calls: calls.value(row),
                hours: hours.value(row),
                last_at: DateTime::from_timestamp_millis(last.value(row))?,
            };
            Some((users.value(row).to_owned(), day))
        })
        .collect()
}

/// One account, its days given in order.
#[derive(Default)]
struct Account {
    user_key: String,
    /// Active days of the period that ends with the last one.
    period: VecDeque<AccountDay>,
    roles: Vec<InferredRole>,
}

impl Account {
    fn add(&mut self, day: AccountDay) {
        self.period.push_back(day);
        let begin = day.day.checked_sub_days(Days::new(PERIOD_DAYS));
        while let (Some(begin), Some(first)) = (begin, self.period.front()) {
            if first.day > begin {
                break;
            }
            self.period.pop_front();
        }
        let totals = Totals::of(&self.period);
        let since = day.day.and_time(NaiveTime::MIN).and_utc();
        match self.roles.last_mut().filter(|role| role.until.is_none()) {
            Some(role) if totals.is_person() => role.until = Some(since),
            Some(role) => role.last_seen = day.last_at,
            None if totals.is_machine() => self.roles.push(InferredRole {
                user_key: self.user_key.clone(),
                role: "integration".to_owned(),
                reason: totals.in_words(),
                since,
                until: None,
                last_seen: day.last_at,
            }),
            None => {}
        }
    }
}

/// An account over one period.
#[derive(Debug, Default)]
struct Totals {
    logins: i64,
    ui_logins: i64,
    calls: i64,
    active_days: u32,
    ui_days: u32,
    hours_of_day: usize,
    weekdays: usize,
}

impl Totals {
    fn of(period: &VecDeque<AccountDay>) -> Self {
        let (mut hours, mut weekdays) = (0_i64, 0_u8);
        let mut totals = Self::default();
        for day in period {
            use chrono::Datelike;
            totals.logins += day.logins;
            totals.ui_logins += day.ui_logins;
            totals.calls += day.calls;
            totals.active_days += 1;
            totals.ui_days += u32::from(day.ui_logins > 0);
            hours |= day.hours;
            weekdays |= 1 << day.day.weekday().num_days_from_monday();
        }
        totals.hours_of_day = hours.count_ones() as usize;
        totals.weekdays = weekdays.count_ones() as usize;
        totals
    }

    #[allow(clippy::cast_precision_loss)] // Counts of a month.
    fn is_within_ui_shares(&self) -> bool {
        self.ui_logins as f64 <= MAX_UI_SHARE * self.logins as f64
            && f64::from(self.ui_days) <= MAX_UI_DAY_SHARE * f64::from(self.active_days)
    }

    fn is_machine(&self) -> bool {
        (self.logins >= MIN_LOGINS || self.calls >= MIN_CALLS)
            && self.is_within_ui_shares()
            && (self.hours_of_day >= MIN_HOURS_OF_DAY || self.weekdays >= MIN_WEEKDAYS)
    }

    fn is_person(&self) -> bool {
        self.ui_days >= MIN_UI_DAYS && !self.is_within_ui_shares()
    }

    fn in_words(&self) -> String {
        format!(
            "works like a machine: {} logins, {} of them through the UI, and {} API calls within \
             {PERIOD_DAYS} days, in {} different hours of the day and on {} weekdays",
            self.logins, self.ui_logins, self.calls, self.hours_of_day, self.weekdays
        )
    }
}

#[cfg(test)]
#[path = "machines_tests.rs"]
mod tests;
