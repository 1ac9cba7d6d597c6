//! A declared registry held against what was seen: what is declared and never used, what is used
//! and not declared, who has left.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use chrono::NaiveDate;
use ipnet::IpNet;

use super::model::{Account, App, Days, Reality, Sight, label_key};
use super::toml_text::remark;
use crate::registry::{
    AllowedApp, Cadence, Problem, ProblemKind, Registry, RegistryUser, Resolution, Role, Validity,
};
use crate::words::counted;

/// Days that the logs must cover before "never" means anything.
const MIN_COVERED_DAYS: usize = 28;
/// Days of work that the account must have had within the validity of what it never used.
const MIN_WORKDAYS: usize = 14;
/// Addresses, apps or flows that are named for one entry; the rest is counted.
const MAX_NAMED: usize = 10;

/// What differs, with the key of its account, in the order of the file.
pub fn differences(
    registry: &Registry,
    resolution: &Resolution,
    reality: &Reality,
) -> Vec<(String, Problem)> {
    let mut all = vec![];
    for user in &registry.users {
        let keys = resolution.keys(user);
        let seen: Vec<&Account> = keys
            .iter()
            .filter_map(|key| reality.accounts.iter().find(|own| own.key == *key))
            .collect();
        let windows = registry.windows.iter();
        let mut entry = Entry {
            user,
            reality,
            windows: windows
                .filter(|own| {
                    resolution
                        .keys_of(&own.user)
                        .iter()
                        .any(|key| keys.contains(key))
                })
                .map(|own| own.valid)
                .collect(),
            found: vec![],
        };
        let is_here = entry.roster(&keys);
        if seen.is_empty() && is_here {
            entry.silence(&keys, resolution);
        }
        for account in seen {
            entry.unused(account);
            entry.undeclared(account);
        }
        let key = keys.first().cloned().unwrap_or_default();
        all.extend(
            entry
                .found
                .into_iter()
                .map(|problem| (key.clone(), problem)),
        );
    }
    all.sort_by_key(|(_, problem)| problem.at);
    all
}

struct Entry<'a> {
    user: &'a RegistryUser,
    reality: &'a Reality,
    /// When an exception was open for the account: the rules look at those days more closely.
    windows: Vec<Validity>,
    found: Vec<Problem>,
}

impl Entry<'_> {
    fn add(&mut self, kind: ProblemKind, at: crate::config::Position, message: String) {
        self.found.push(Problem {
            kind,
            at,
            subject: self.user.name().to_owned(),
            message,
        });
    }

    /// Whether the entry holds on the last day of the logs.
    fn is_current(&self) -> bool {
        self.reality
            .covered
            .last()
            .is_some_and(|last| holds_on(&self.user.valid, *last))
    }

    /// Whether the roster does not say that the user is gone.
    fn roster(&mut self, keys: &[String]) -> bool {
        let Some(roster) = &self.reality.roster else {
            return true;
        };
        if !self.is_current() {
            return true;
        }
        let states: Vec<_> = keys.iter().filter_map(|key| roster.get(key)).collect();
        let at = self.user.at;
        if states.is_empty() {
            let message = "the roster knows no such user: correct the name, or remove the entry";
            self.add(ProblemKind::GoneUser, at, message.to_owned());
            return false;
        }
        if states.iter().all(|state| !state.is_active) {
            let message = "the user is not active in the org: end the entry with `valid_to`";
            self.add(ProblemKind::DeactivatedUser, at, message.to_owned());
            return false;
        }
        true
    }

    fn silence(&mut self, keys: &[String], resolution: &Resolution) {
        let rests = matches!(
            self.user.cadence,
            Some(Cadence::Monthly | Cadence::Quarterly | Cadence::Annual)
        );
        let works = matches!(
            self.user.role,
            Role::Integration | Role::Ci | Role::ApiNamed
        );
        // A name that neither a log nor the roster has is told by the check of the file alone.
        let in_roster = |key| {
            self.reality
                .roster
                .as_ref()
                .is_some_and(|r| r.contains_key(key))
        };
        let known = keys.iter().any(|key| {
            !key.contains('@') || resolution.username(key) != Some(key) || in_roster(key)
        });
        let covered = self.covered_of(&self.user.valid);
        if works && !rests && known && self.is_current() && covered >= MIN_COVERED_DAYS {
            let message = format!(
                "no login and no call in {}: is it still needed? freeze it and end the entry, or declare its `cadence`",
                counted(covered, "covered day")
            );
            self.add(ProblemKind::SilentUser, self.user.at, message);
        }
    }

    fn covered_of(&self, valid: &Validity) -> usize {
        let days = self.reality.covered.iter();
        days.filter(|day| holds_on(valid, **day)).count()
    }

    /// Whether the account worked enough within the span for "never" to mean something.
    fn had_time(&self, valid: &Validity, workdays: &Days) -> bool {
        let last = self.reality.covered.last();
        let worked = workdays.iter().filter(|day| holds_on(valid, **day)).count();
        last.is_some_and(|last| holds_on(valid, *last))
            && self.covered_of(valid) >= MIN_COVERED_DAYS
            && worked >= MIN_WORKDAYS
    }

    fn unused(&mut self, account: &Account) {
        let workdays = account.days();
        let covered = self.reality.covered.len() as u64;
        let since = format!("in {}", counted(covered, "covered day"));
        let user = self.user;
        for net in &user.networks {
            let hit = |(ip, sight): (&IpAddr, &Sight)| {
                net.value.contains(ip) && overlaps(&net.valid, &sight.days)
            };
            if self.had_time(&net.valid, &workdays) && !account.addresses.iter().any(hit) {
                let message = format!(
                    "network {} was never used {since}: remove it, or note whose failover it is",
                    net.value
                );
                self.add(ProblemKind::UnusedNetwork, net.at, message);
            }
        }
        for app in &user.apps {
            let hit = |own: &App| is_app(&app.value, own) && overlaps(&app.valid, &own.sight.days);
            if self.had_time(&app.valid, &workdays) && !account.apps.iter().any(hit) {
                let name = app.value.name.as_deref().or(app.value.id.as_deref());
                let message = format!(
                    "app \"{}\" never appeared {since}: remove it, or correct its name and id",
                    remark(name.unwrap_or_default())
                );
                self.add(ProblemKind::UnusedApp, app.at, message);
            }
        }
        for flow in &user.flows {
            let hit = |(path, own): (&String, &super::model::Flow)| {
                path == flow.value && overlaps(&flow.valid, &own.sight.days)
            };
            // Calls go on for days on one token: only logins tell of flows.
            let logins: Days = account
                .flows
                .values()
                .flat_map(|f| f.sight.days.clone())
                .collect();
            if self.had_time(&flow.valid, &logins) && !account.flows.iter().any(hit) {
                let message = format!("flow `{}` never appeared {since}: remove it", flow.value);
                self.add(ProblemKind::UnusedFlow, flow.at, message);
            }
        }
    }

    fn undeclared(&mut self, account: &Account) {
        let user = self.user;
        let windows = self.windows.clone();
        let is_excepted = |day| windows.iter().any(|window| holds_on(window, day));
        let open = |sight: &Sight, covered: &dyn Fn(NaiveDate) -> bool| -> Days {
            let days = sight.days.iter().copied();
            days.filter(|day| holds_on(&user.valid, *day) && !covered(*day) && !is_excepted(*day))
                .collect()
        };
        if !user.networks.is_empty() {
            let found: Vec<_> = account
                .addresses
                .iter()
                .map(|(ip, sight)| {
                    let inside = |day| {
                        user.networks
                            .iter()
                            .any(|net| net.value.contains(ip) && holds_on(&net.valid, day))
                    };
                    (IpNet::from(*ip).addr().to_string(), open(sight, &inside))
                })
                .collect();
            self.told(
                ProblemKind::UndeclaredAddress,
                "address",
                found,
                "an attack, or a network to add: look at its logins first",
            );
        }
        if !user.apps.is_empty() {
            let found: Vec<_> = account
                .apps
                .iter()
                .map(|own| {
                    let known = |day| {
                        user.apps
                            .iter()
                            .any(|app| is_app(&app.value, own) && holds_on(&app.valid, day))
                    };
                    (app_name(own), open(&own.sight, &known))
                })
                .collect();
            self.told(
                ProblemKind::UndeclaredApp,
                "app",
                found,
                "a foreign app, or one to add to `apps`",
            );
        }
        if !user.flows.is_empty() {
            let found: Vec<_> = account
                .flows
                .iter()
                .map(|(path, own)| {
                    let known = |day| {
                        user.flows
                            .iter()
                            .any(|flow| flow.value == path.as_str() && holds_on(&flow.valid, day))
                    };
                    (path.clone(), open(&own.sight, &known))
                })
                .collect();
            self.told(
                ProblemKind::UndeclaredFlow,
                "login path",
                found,
                "a person with its credential, or a flow to add",
            );
        }
    }

    fn told(&mut self, kind: ProblemKind, what: &str, found: Vec<(String, Days)>, todo: &str) {
        let mut found: BTreeMap<String, Days> = found
            .into_iter()
            .filter(|(_, days)| !days.is_empty())
            .collect();
        let all: BTreeSet<String> = found.keys().cloned().collect();
        for name in all.iter().skip(MAX_NAMED) {
            found.remove(name);
        }
        for (name, days) in &found {
            let (first, last) = (days.first(), days.last());
            let when = match (first, last) {
                (Some(first), Some(last)) if first != last => {
                    format!("{} from {first} to {last}", counted(days.len(), "day"))
                }
                (Some(day), _) => day.to_string(),
                _ => continue,
            };
            let message = format!("{what} {} is not declared ({when}): {todo}", remark(name));
            self.add(kind, self.user.at, message);
        }
        let more = all.len().saturating_sub(MAX_NAMED);
        if more > 0 {
            let message = format!("{more} more of kind {what} are not declared: {todo}");
            self.add(kind, self.user.at, message);
        }
    }
}

/// Days are judged as wholes: what held for a part of the day held.
fn holds_on(valid: &Validity, day: NaiveDate) -> bool {
    let Some(from) = day.and_hms_opt(0, 0, 0) else {
        return false;
    };
    let from_ms = from.and_utc().timestamp_millis();
    valid.from_ms < from_ms + 86_400_000 && from_ms < valid.to_ms
}

fn overlaps(valid: &Validity, days: &Days) -> bool {
    days.iter().any(|day| holds_on(valid, *day))
}

fn is_app(declared: &AllowedApp, seen: &App) -> bool {
    match (&declared.id, &seen.id) {
        (Some(declared), Some(seen)) => declared == seen,
        _ => declared.name.as_deref().is_some_and(|name| {
            seen.labels
                .iter()
                .any(|own| label_key(own) == label_key(name))
        }),
    }
}

fn app_name(app: &App) -> String {
    let label = app.labels.first().map(|label| label.trim());
    match (label, &app.id) {
        (Some(label), Some(id)) => format!("\"{label}\" ({id})"),
        (Some(label), None) => format!("\"{label}\""),
        (None, Some(id)) => id.clone(),
        (None, None) => String::new(),
    }
}
