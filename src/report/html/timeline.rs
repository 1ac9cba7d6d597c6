//! What each machine did, day by day: logins by door, networks, calls against its own past.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use datafusion::scalar::ScalarValue;
use ipnet::IpNet;

use super::ReportError;
use super::content::{Capped, Period};
use super::rows::Rows;
use crate::config::Severity;
use crate::engine::{Params, Session};
use crate::registry::{Registry, Resolution, Validity};

const ACTIVITY: &str = include_str!("../../../queries/report/activity.sql");
const LOGINS: &str = include_str!("../../../queries/report/logins.sql");
const SIGHTINGS: &str = include_str!("../../../queries/report/sightings.sql");
const EXPECTED: &str = include_str!("../../../queries/report/expected.sql");

/// Networks and apps that are listed for one user.
const MAX_NETWORKS: usize = 12;
const MAX_APPS: usize = 12;
/// Scales on either side of what is expected that the band is wide.
const BAND_SCALES: f64 = 3.0;

/// Whose days, and what is declared about them.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub period: Period,
    /// These accounts, whatever their role; all machines where none is named.
    pub only: Option<&'a [String]>,
    pub registry: &'a Registry,
    pub resolution: &'a Resolution,
}

/// One account's days, and what was found of it.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    pub account: Account,
    /// Days on which it did anything.
    pub days: BTreeMap<NaiveDate, Day>,
    /// The most events first.
    pub networks: Capped<Seen>,
    pub apps: Capped<Seen>,
    /// Open findings by their days; the gravest of each.
    pub findings: BTreeMap<NaiveDate, Severity>,
    pub finding_count: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Account {
    pub user_key: String,
    pub username: Option<String>,
    pub role: Option<String>,
    /// `registry`, `inferred`.
    pub role_source: Option<String>,
    pub system: Option<String>,
    pub owner: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Day {
    /// Successful logins by door.
    pub logins: BTreeMap<String, u64>,
    /// All others.
    pub failed: u64,
    /// Logins and calls by where they came from, in the order of [`Place`].
    pub places: [u64; 4],
    pub calls: u64,
    pub call_errors: u64,
    pub rows_read: u64,
    /// Of the calls.
    pub expected: Option<Band>,
    /// Metrics that were beyond what is usual.
    pub unusual: BTreeSet<String>,
}

/// What is expected, and between which bounds: added up over the apps.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Band {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

/// Where something came from, by what the registry declares of the user at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Declared,
    /// In the /24 or /48 around a declared network. Of calls only the network is kept, so that they
    /// cannot be told from those of the declared network itself.
    Beside,
    Elsewhere,
    /// Nothing is declared, or there is no public address.
    Unknown,
}

/// A network or an app, and when it was there within the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    /// Of networks.
    pub place: Option<Place>,
    /// Successful ones. Of an app it is not told which of its events are logins.
    pub logins: u64,
    pub calls: u64,
    pub days: usize,
    pub first_at: Option<DateTime<Utc>>,
    pub last_at: Option<DateTime<Utc>>,
}

/// The accounts' days, by account.
pub fn timelines(session: &Session, question: &Question<'_>) -> Result<Vec<Timeline>, ReportError> {
    session.judge_days(&question.period.days().collect());
    let mut reader = Reader {
        question,
        declared: declared(question),
        found: BTreeMap::new(),
        seen: BTreeMap::new(),
        logins: BTreeMap::new(),
    };
    match question.only {
        None => reader.read(session, None)?,
        Some(keys) => keys
            .iter()
            .try_for_each(|key| reader.read(session, Some(key)))?,
    }
    Ok(reader.finish())
}

type Networks = BTreeMap<String, Vec<(Validity, IpNet)>>;

struct Sum {
    name: String,
    place: Option<Place>,
    logins: u64,
    calls: u64,
    days: BTreeSet<NaiveDate>,
    first_at: Option<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
}

struct Reader<'a> {
    question: &'a Question<'a>,
    declared: Networks,
    found: BTreeMap<String, Timeline>,
    /// By user, kind and value.
    seen: BTreeMap<(String, String, String), Sum>,
    /// Successful logins by user, network and day: they are sightings of the network, too.
    logins: BTreeMap<(String, String, NaiveDate), u64>,
}

impl Reader<'_> {
    fn read(&mut self, session: &Session, user_key: Option<&str>) -> Result<(), ReportError> {
        let day = |day: NaiveDate| ScalarValue::Date32(Some(day.to_epoch_days()));
        let params = Params::new()
            .with("first", day(self.question.period.first))
            .with("last", day(self.question.period.last))
            .with(
                "user_key",
                ScalarValue::Utf8View(user_key.map(str::to_owned)),
            );
        for rows in Rows::ask(session, ACTIVITY, &params)? {
            self.activity(&rows)?;
        }
        for rows in Rows::ask(session, LOGINS, &params)? {
            self.logins(&rows)?;
        }
        for rows in Rows::ask(session, SIGHTINGS, &params)? {
            self.sightings(&rows)?;
        }
        let only = Params::new().with(
            "user_key",
            ScalarValue::Utf8View(user_key.map(str::to_owned)),
        );
        for rows in Rows::ask(session, EXPECTED, &only)? {
            self.expected(&rows)?;
        }
        Ok(())
    }

    fn timeline(&mut self, key: &str) -> &mut Timeline {
        self.found
            .entry(key.to_owned())
            .or_insert_with(|| Timeline {
                account: Account {
                    user_key: key.to_owned(),
                    ..Account::default()
                },
                ..Timeline::default()
            })
    }

    fn account(
        &mut self,
        rows: &Rows,
    ) -> Result<impl Fn(&mut Timeline, usize) + use<>, ReportError> {
        let (username, role, role_source) = (
            rows.text("username")?,
            rows.text("role")?,
            rows.text("role_source")?,
        );
        let (system, owner) = (rows.text("system")?, rows.text("owner")?);
        Ok(move |timeline: &mut Timeline, row| {
            // Later days know better.
            let account = &mut timeline.account;
            for (known, told) in [
                (&mut account.username, username(row)),
                (&mut account.role, role(row)),
                (&mut account.role_source, role_source(row)),
                (&mut account.system, system(row)),
                (&mut account.owner, owner(row)),
            ] {
                if told.is_some() {
                    *known = told;
                }
            }
        })
    }

    fn activity(&mut self, rows: &Rows) -> Result<(), ReportError> {
        let (user, day) = (rows.text("user_key")?, rows.day("day")?);
        let (calls, errors, read) = (
            rows.count("calls")?,
            rows.count("call_errors")?,
            rows.count("rows_read")?,
        );
        let account = self.account(rows)?;
        for row in 0..rows.len() {
            let (Some(user), Some(day)) = (user(row), day(row)) else {
                continue;
            };
            let timeline = self.timeline(&user);
            account(timeline, row);
            let of_day = timeline.days.entry(day).or_default();
            of_day.calls += calls(row);
            of_day.call_errors += errors(row);
            of_day.rows_read += read(row);
        }
        Ok(())
    }

    fn logins(&mut self, rows: &Rows) -> Result<(), ReportError> {
        let (user, day) = (rows.text("user_key")?, rows.day("day")?);
        let (path, outcome) = (rows.text("login_path")?, rows.text("outcome")?);
        let (declared, logins) = (rows.flag("declared")?, rows.count("logins")?);
        let network = rows.text("network")?;
        let account = self.account(rows)?;
        for row in 0..rows.len() {
            let (Some(user), Some(day)) = (user(row), day(row)) else {
                continue;
            };
            let timeline = self.timeline(&user);
            account(timeline, row);
            let of_day = timeline.days.entry(day).or_default();
            let place = match declared(row) {
                Some(true) => Place::Declared,
                Some(false) => Place::Elsewhere,
                None => Place::Unknown,
            };
            of_day.places[place as usize] += logins(row);
            if outcome(row).as_deref() == Some("success") {
                let path = path(row).unwrap_or_else(|| "unmapped".to_owned());
                *of_day.logins.entry(path).or_default() += logins(row);
                if let Some(network) = network(row) {
                    *self.logins.entry((user, network, day)).or_default() += logins(row);
                }
            } else {
                of_day.failed += logins(row);
            }
        }
        Ok(())
    }

    fn sightings(&mut self, rows: &Rows) -> Result<(), ReportError> {
        let (user, day) = (rows.text("user_key")?, rows.day("day")?);
        let (kind, value) = (rows.text("kind")?, rows.text("value")?);
        let (app_name, events) = (rows.text("app_name")?, rows.count("events")?);
        let (first_at, last_at) = (rows.time("first_at")?, rows.time("last_at")?);
        for row in 0..rows.len() {
            let (Some(user), Some(day)) = (user(row), day(row)) else {
                continue;
            };
            let (Some(kind), Some(value)) = (kind(row), value(row)) else {
                continue;
            };
            let key = (user, value, day);
            let logins = self.logins.get(&key).copied().unwrap_or(0);
            let (user, value, _) = key;
            let calls = events(row).saturating_sub(logins);
            let place = (kind == "network").then(|| self.place(&user, &value, last_at(row)));
            if let Some(place) = place {
                let of_day = self.timeline(&user).days.entry(day).or_default();
                of_day.places[place as usize] += calls;
            }
            let name = app_name(row).unwrap_or_else(|| value.clone());
            let sum = self.seen.entry((user, kind, value)).or_insert(Sum {
                name,
                place,
                logins: 0,
                calls: 0,
                days: BTreeSet::new(),
                first_at: None,
                last_at: None,
            });
            sum.logins += logins;
            sum.calls += calls;
            sum.place = sum.place.max(place);
            sum.days.insert(day);
            sum.first_at = [sum.first_at, first_at(row)].into_iter().flatten().min();
            sum.last_at = sum.last_at.max(last_at(row));
        }
        Ok(())
    }

    fn place(&self, user: &str, network: &str, at: Option<DateTime<Utc>>) -> Place {
        let (Ok(network), Some(at)) = (network.parse::<IpNet>(), at) else {
            return Place::Unknown;
        };
        let at = at.timestamp_millis();
        let declared = self.declared.get(user).into_iter().flatten();
        let valid = declared.filter(|(valid, _)| valid.from_ms <= at && at < valid.to_ms);
        let of = |own: &IpNet| match (own.contains(&network), network.contains(own)) {
            (true, _) => Place::Declared,
            (_, true) => Place::Beside,
            _ => Place::Elsewhere,
        };
        valid
            .map(|(_, own)| of(own))
            .min()
            .unwrap_or(Place::Unknown)
    }

    fn expected(&mut self, rows: &Rows) -> Result<(), ReportError> {
        let (user, day, metric) = (
            rows.text("user_key")?,
            rows.day("day")?,
            rows.text("metric")?,
        );
        let (expected, centre, scale) = (
            rows.fraction("expected")?,
            rows.fraction("centre")?,
            rows.fraction("scale")?,
        );
        let unusual = rows.flag("unusual")?;
        for row in 0..rows.len() {
            let (Some(user), Some(day), Some(metric)) = (user(row), day(row), metric(row)) else {
                continue;
            };
            // Of people nothing is shown.
            let Some(timeline) = self.found.get_mut(&user) else {
                continue;
            };
            let of_day = timeline.days.entry(day).or_default();
            if let ("calls", Some(middle), Some(centre), Some(scale)) =
                (metric.as_str(), expected(row), centre(row), scale(row))
            {
                let band = of_day.expected.get_or_insert_default();
                band.low += (centre - BAND_SCALES * scale).exp_m1().max(0.0);
                band.middle += middle;
                band.high += (centre + BAND_SCALES * scale).exp_m1().max(0.0);
            }
            if unusual(row) == Some(true) {
                of_day.unusual.insert(metric);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Timeline> {
        let mut networks: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        let mut apps: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
        for ((user, kind, _), sum) in self.seen {
            let seen = Seen {
                name: sum.name,
                place: sum.place,
                logins: sum.logins,
                calls: sum.calls,
                days: sum.days.len(),
                first_at: sum.first_at,
                last_at: sum.last_at,
            };
            let of = if kind == "network" {
                &mut networks
            } else {
                &mut apps
            };
            of.entry(user).or_default().push(seen);
        }
        for (key, timeline) in &mut self.found {
            let sorted = |mut all: Vec<Seen>| {
                // What came from elsewhere must not fall off the end of a list.
                all.sort_by_key(|seen| {
                    let is_elsewhere = seen.place == Some(Place::Elsewhere);
                    (!is_elsewhere, u64::MAX - seen.logins - seen.calls)
                });
                all
            };
            let of = |found: Option<Vec<Seen>>| sorted(found.unwrap_or_default());
            timeline.networks = Capped::of(of(networks.remove(key)), MAX_NETWORKS);
            timeline.apps = Capped::of(of(apps.remove(key)), MAX_APPS);
        }
        self.found.into_values().collect()
    }
}

/// The networks that are declared, by every name of their user.
fn declared(question: &Question<'_>) -> Networks {
    let mut declared = Networks::new();
    for user in &question.registry.users {
        let keys = question.resolution.keys(user);
        for alias in question.resolution.aliases(&keys) {
            let nets = user.networks.iter().map(|net| (net.valid, net.value));
            declared.entry(alias).or_default().extend(nets);
        }
    }
    declared
}
