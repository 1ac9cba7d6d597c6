//! The attacks: how each goes, whom it strikes, and what a monitor should say of it.
//!
//! The right answers are those of the detection catalogue. `must` promises only what the catalogue
//! promises for the logs that were written.

mod access;
mod actor;
mod guessing;
mod vendors;

use chrono::NaiveDate;

pub use actor::Actor;

use super::acts::{Act, Text};
use super::labels::Expected;
use super::plan::{Scene, Stage};
use crate::config::Severity;

/// One kind of attack.
pub struct Attack {
    pub name: &'static str,
    /// What it is, in one line.
    pub line: &'static str,
    /// Days from its first event to its last one.
    pub days: i64,
    /// How many forms it has.
    pub variants: u64,
    /// When it was published to have happened.
    pub published: Option<NaiveDate>,
    pub scenes: fn(&mut Stage<'_>) -> Vec<Scene>,
}

pub const ALL: &[Attack] = &[
    Attack {
        name: "ui-login",
        line: "An integration user's password opens the user interface from a foreign network",
        days: 1,
        variants: 2,
        published: None,
        scenes: access::ui_login,
    },
    Attack {
        name: "token-replay",
        line: "A vendor's stolen token is used from a network of its thief, with or without a new login",
        days: 1,
        variants: 2,
        published: None,
        scenes: access::token_replay,
    },
    Attack {
        name: "drift",
        line: "A chat vendor's refresh tokens: probe, list, count, bulk export, job deleted (August 2025, to the minute)",
        days: 9,
        variants: 2,
        published: NaiveDate::from_ymd_opt(2025, 8, 9),
        scenes: vendors::drift,
    },
    Attack {
        name: "brute-force",
        line: "Many wrong passwords for one user, with a right one at the end or without",
        days: 1,
        variants: 2,
        published: None,
        scenes: guessing::brute_force,
    },
];

/// Answers that a foreign address under a machine's identity may bring on either tier.
pub(super) const FOREIGN_USE: [&str; 10] = [
    "integration-unexpected-ip-login",
    "integration-unexpected-ip-api",
    "integration-fingerprint-drift",
    "shared-credential-concurrent",
    "impossible-travel",
    "anonymiser-or-hosting-network",
    "off-schedule-activity",
    "entity-breadth-anomaly",
    "api-call-volume-anomaly",
    "session-hijack-suspected",
];

/// A scene of one subject.
pub(super) fn scene(
    user: Option<usize>,
    app: impl Into<Text>,
    ip: &Text,
    acts: Vec<Act>,
    expected: Expected,
) -> Scene {
    Scene {
        user,
        app: app.into(),
        ip: ip.clone(),
        acts,
        expected,
        slow: true,
    }
}

/// Right answers, and of which one has to be told at that level.
pub(super) fn expect(rules: &[&[&'static str]], must: &[&'static str], min: Severity) -> Expected {
    let mut all: Vec<&'static str> = must.to_vec();
    for rule in rules.iter().flat_map(|list| list.iter()) {
        if !all.contains(rule) {
            all.push(rule);
        }
    }
    Expected {
        rules: all,
        must: must.to_vec(),
        min: (!must.is_empty()).then_some(min),
        max: None,
    }
}
