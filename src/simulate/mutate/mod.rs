//! Evasions: the same attack, written down in another way, or done in another way.

mod changes;

use super::org::Org;
use super::plan::Scene;
use crate::config::Severity;

/// One way to evade.
pub struct Mutation {
    pub name: &'static str,
    pub line: &'static str,
    change: fn(&mut Scene, &Org, usize) -> bool,
    /// Findings that answer for a rule which the evasion silences.
    answers: &'static [&'static str],
    /// Rules to which the evasion gives a cause: they may tell of the attack, too.
    also: &'static [&'static str],
    /// Played before anybody can know what is usual.
    pub while_learning: bool,
    /// Beside a vendor's move to another network.
    pub beside_migration: bool,
    pub in_two: bool,
    pub hourly_too: bool,
    /// Attackers need an address that can be written in another way.
    pub speaks_v4: bool,
    /// The published address is no longer in the logs.
    loses_address: bool,
    slows: bool,
}

const PLAIN: Mutation = Mutation {
    name: "",
    line: "",
    change: |_, _, _| true,
    answers: &[],
    also: &[],
    while_learning: false,
    beside_migration: false,
    in_two: false,
    hourly_too: false,
    speaks_v4: false,
    loses_address: false,
    slows: false,
};

const UNKNOWN: &[&str] = &["unmapped-value", "schema-drift", "unattributable-traffic"];
/// A login whose path cannot be told is not shown to be an API login of a connected app.
const UNKNOWN_PATH: &[&str] = &[
    "integration-login-without-connected-app",
    "integration-ui-login",
    "flow-downgrade",
];
/// Another case may be another code that is known; then the other record of the login contradicts it.
const OTHER_CODE: &[&str] = &[
    "unmapped-value",
    "schema-drift",
    "unattributable-traffic",
    "cross-source-mismatch",
];

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "code-case",
        line: "Codes in the other case: `a` for `A`, `I` for `i`",
        change: changes::code_case,
        answers: OTHER_CODE,
        ..PLAIN
    },
    Mutation {
        name: "leading-space",
        line: "A blank before each code",
        change: changes::leading_space,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "unknown-code",
        line: "Codes that no map knows",
        change: changes::unknown_code,
        answers: UNKNOWN,
        also: UNKNOWN_PATH,
        ..PLAIN
    },
    Mutation {
        name: "label-for-code",
        line: "Labels where the log has codes: `Application` for `A`",
        change: changes::label_for_code,
        answers: UNKNOWN,
        ..PLAIN
    },
    Mutation {
        name: "null-column",
        line: "Login type, sub-type, app and client left empty",
        change: changes::null_column,
        answers: UNKNOWN,
        also: UNKNOWN_PATH,
        ..PLAIN
    },
    Mutation {
        name: "salesforce-ip",
        line: "`Salesforce.com IP` in every address cell",
        change: changes::salesforce_ip,
        answers: UNKNOWN,
        loses_address: true,
        ..PLAIN
    },
    Mutation {
        name: "mapped-ip",
        line: "IPv4 addresses written as IPv6 ones (`::ffff:192.0.2.66`)",
        change: changes::mapped_ip,
        speaks_v4: true,
        ..PLAIN
    },
    Mutation {
        name: "forwarded-for",
        line: "An address of the victim's own network in X-Forwarded-For",
        change: changes::forwarded_for,
        ..PLAIN
    },
    Mutation {
        name: "look-alike-app",
        line: "The app's name with a letter of another alphabet, and no id",
        change: changes::look_alike_app,
        answers: &["first-seen-app"],
        // Nobody used that app before, and a login by it leaves no flow.
        also: &[
            "integration-wrong-connected-app",
            "oauth-device-flow-suspected",
        ],
        ..PLAIN
    },
    Mutation {
        name: "over-midnight",
        line: "Half of it before midnight and half after, so that two nights' files share it",
        change: changes::over_midnight,
        ..PLAIN
    },
    Mutation {
        name: "two-files",
        line: "The day's files come in two parts, and each holds half of it",
        in_two: true,
        ..PLAIN
    },
    Mutation {
        name: "hourly-and-daily",
        line: "The day's files come by the hour and once more as a whole",
        hourly_too: true,
        ..PLAIN
    },
    Mutation {
        name: "slower",
        line: "Everything takes ten times as long",
        change: changes::slower,
        slows: true,
        ..PLAIN
    },
    Mutation {
        name: "spread",
        line: "From addresses all over the attacker's network",
        change: changes::spread,
        loses_address: true,
        ..PLAIN
    },
    Mutation {
        name: "renamed-agent",
        line: "With the User-Agent of the victim's own client",
        change: changes::renamed_agent,
        ..PLAIN
    },
    Mutation {
        name: "during-learning",
        line: "In the first days, before anything is usual",
        while_learning: true,
        ..PLAIN
    },
    Mutation {
        name: "beside-migration",
        line: "On the day on which the victim's vendor moves to another network",
        beside_migration: true,
        ..PLAIN
    },
    Mutation {
        name: "hostile-agent",
        line: "A User-Agent with formulas, quotes, line breaks, control and bidi characters",
        change: changes::hostile_agent,
        ..PLAIN
    },
];

pub fn by_name(name: &str) -> Option<&'static Mutation> {
    ALL.iter().find(|m| m.name == name)
}

/// Rules that compare with a past: they promise nothing while it is being learned.
const NEED_A_PAST: [&str; 17] = [
    "app-token-burst-new-ip",
    "app-new-subject",
    "integration-fingerprint-drift",
    "first-seen-app",
    "new-app-then-bulk-export",
    "dormant-account-wakes",
    "api-call-volume-anomaly",
    "rows-volume-anomaly",
    "bulk-job-anomaly",
    "delete-volume-anomaly",
    "report-export-anomaly",
    "entity-breadth-anomaly",
    "off-schedule-activity",
    "paging-exfiltration",
    "credential-stuffing",
    "guest-endpoint-flood",
    "oauth-device-flow-suspected",
];

const UNEXPECTED_ADDRESS: [&str; 2] = [
    "integration-unexpected-ip-login",
    "integration-unexpected-ip-api",
];

impl Mutation {
    /// Changes a scene; false where there is nothing in it to change.
    pub fn apply(&self, scene: &mut Scene, org: &Org, turn: usize) -> bool {
        if !(self.change)(scene, org, turn) {
            return false;
        }
        let must = &mut scene.expected.must;
        if self.while_learning {
            // Without declared networks an address is foreign by the past only.
            let victim = org.machines.iter().find(|m| Some(m.user) == scene.user);
            let learned = victim.is_some_and(|m| !m.declared);
            must.retain(|rule| {
                !(NEED_A_PAST.contains(rule) || learned && UNEXPECTED_ADDRESS.contains(rule))
            });
        }
        if self.slows {
            must.retain(|rule| !scene.too_slow.contains(rule));
        }
        if self.loses_address {
            must.retain(|rule| *rule != "ioc-match");
        }
        scene.expected.rules.extend(self.also);
        for answer in self.answers {
            scene.expected.rules.push(answer);
            if !must.is_empty() {
                must.push(answer);
            }
        }
        if must.is_empty() {
            scene.expected.min = None;
        } else if !self.answers.is_empty() {
            // A finding of coverage instead is worth a medium one.
            scene.expected.min = scene.expected.min.map(|min| min.min(Severity::Medium));
        }
        true
    }
}
