//! The attacks: how each goes, whom it strikes, and what a monitor should say of it.
//!
//! The right answers are those of the detection catalogue. `must` promises only what the catalogue
//! promises for the logs that were written.

mod access;
mod actor;
mod data;
mod guessing;
mod guests;
mod people;
mod vendors;
mod waves;

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
        line: "A vendor's stolen token is used from its thief's network, with or without a new login",
        days: 1,
        variants: 2,
        published: None,
        scenes: access::token_replay,
    },
    Attack {
        name: "drift",
        line: "A chat vendor's tokens: probe, list, count, export, job deleted (August 2025, to the minute)",
        days: 9,
        variants: 2,
        published: NaiveDate::from_ymd_opt(2025, 8, 9),
        scenes: vendors::drift,
    },
    Attack {
        name: "gainsight",
        line: "A vendor's tokens in waves from new networks after a first look (October 2025)",
        days: 28,
        variants: 1,
        published: waves::GAINSIGHT_BEGAN,
        scenes: waves::gainsight,
    },
    Attack {
        name: "klue",
        line: "A vendor's tokens: six hours of pages with an older API version (June 2026)",
        days: 2,
        variants: 2,
        published: waves::KLUE_BEGAN,
        scenes: waves::klue,
    },
    Attack {
        name: "aura-scrape",
        line: "A visitor of the public site lists records through its components' endpoints",
        days: 1,
        variants: 3,
        published: None,
        scenes: guests::aura_scrape,
    },
    Attack {
        name: "vishing",
        line: "A caller leads a person to approve an app by device code; the app exports all it can",
        days: 1,
        variants: 2,
        published: None,
        scenes: people::vishing,
    },
    Attack {
        name: "brute-force",
        line: "Many wrong passwords for one user, with the right one at the end or without",
        days: 1,
        variants: 2,
        published: None,
        scenes: guessing::brute_force,
    },
    Attack {
        name: "password-spray",
        line: "Few passwords on many users: fast, all day long, or from many addresses",
        days: 1,
        variants: 3,
        published: None,
        scenes: guessing::password_spray,
    },
    Attack {
        name: "credential-stuffing",
        line: "A wave of leaked pairs from many networks, most of them of nobody here",
        days: 1,
        variants: 1,
        published: None,
        scenes: guessing::credential_stuffing,
    },
    Attack {
        name: "guest-flood",
        line: "A public endpoint is called so often that it eats the allowance of calls",
        days: 1,
        variants: 2,
        published: None,
        scenes: guests::guest_flood,
    },
    Attack {
        name: "slow-exfiltration",
        line: "From its own address a machine reads at night what it never read before",
        days: 5,
        variants: 1,
        published: None,
        scenes: data::slow_exfiltration,
    },
    Attack {
        name: "session-hijack",
        line: "A person's session works on from a thief's network while its owner uses it",
        days: 1,
        variants: 1,
        published: None,
        scenes: people::session_hijack,
    },
    Attack {
        name: "mass-delete",
        line: "Records deleted by the thousand under an integration's identity",
        days: 1,
        variants: 2,
        published: None,
        scenes: data::mass_delete,
    },
    Attack {
        name: "dormant-token",
        line: "The token of an integration that was idle for months is used again",
        days: 1,
        variants: 1,
        published: None,
        scenes: access::dormant_token,
    },
    Attack {
        name: "jwt-key-theft",
        line: "A bearer app's signing key logs in as users whom the app never served",
        days: 1,
        variants: 2,
        published: None,
        scenes: access::jwt_key_theft,
    },
    Attack {
        name: "setup-change",
        line: "An integration's identity assigns permissions, makes a user and an app",
        days: 1,
        variants: 1,
        published: None,
        scenes: data::setup_change,
    },
    Attack {
        name: "login-as-export",
        line: "An administrator logs in as somebody and exports that person's reports",
        days: 1,
        variants: 2,
        published: None,
        scenes: people::login_as_export,
    },
];

/// Answers that a foreign address under a machine's identity may bring on either tier.
pub(super) const FOREIGN_USE: [&str; 12] = [
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
    "unattributable-traffic",
    "error-ratio-anomaly",
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
        too_slow: vec![],
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
