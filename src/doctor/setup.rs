//! What people wrote: settings, registry, rules.

use chrono::{DateTime, Utc};

use super::Check;
use crate::config::{RuleStatus, Settings};
use crate::detect::RuleSet;
use crate::registry::{ProblemKind, Registry, Resolution};
use crate::words::counted;

/// Days before its end at which a suppression is worth a look.
const SOON_DAYS: i64 = 14;

/// The settings, and what they leave open.
pub fn settings(settings: &Settings, now: DateTime<Utc>) -> Vec<Check> {
    let mut checks = vec![match &settings.file {
        Some(file) => Check::pass("config", "file", file.display().to_string()),
        None => Check::warn(
            "config",
            "file",
            "none: defaults, environment and flags only",
            "write orgwatch.toml and name it with --config or ORGWATCH_CONFIG",
        ),
    }];
    checks.push(match settings.org.id.value {
        Some(_) => Check::pass("config", "org id", "set"),
        None => Check::warn(
            "config",
            "org id",
            "not set: findings of two orgs could not be told apart",
            "set `id` in [org]",
        ),
    });
    let ended = settings
        .suppressions
        .iter()
        .filter(|s| !s.is_active(now))
        .count();
    let ending = settings
        .suppressions
        .iter()
        .filter(|s| s.is_active(now) && (s.until - now).num_days() < SOON_DAYS)
        .count();
    checks.push(match (settings.suppressions.len(), ended, ending) {
        (0, ..) => Check::pass("config", "suppressions", "none"),
        (_, ended, _) if ended > 0 => Check::warn(
            "config",
            "suppressions",
            format!("{} expired", counted(ended, "suppression")),
            "renew it with its reason, or remove it",
        ),
        (_, _, ending) if ending > 0 => Check::warn(
            "config",
            "suppressions",
            format!(
                "{} within {SOON_DAYS} days",
                match ending {
                    1 => "one ends".to_owned(),
                    n => format!("{n} end"),
                }
            ),
            "mend what it accepts, or renew it in time",
        ),
        (all, ..) => Check::pass(
            "config",
            "suppressions",
            format!("{} in force", counted(all, "suppression")),
        ),
    });
    checks
}

/// The registry: who is watched, and what it leaves open.
pub fn registry(registry: &Registry, resolution: &Resolution, now: DateTime<Utc>) -> Vec<Check> {
    if registry.users.is_empty() {
        return vec![Check::warn(
            "registry",
            "users",
            "no account is declared to be a machine's: most rules have nobody to watch",
            "orgwatch registry suggest > registry.toml, then look through it and name its owners",
        )];
    }
    let problems = registry.check(resolution, now);
    let unknown = problems
        .iter()
        .filter(|p| p.kind == ProblemKind::UnresolvedUser)
        .count();
    let mut checks = vec![Check::pass(
        "registry",
        "users",
        format!("{} declared", counted(registry.users.len(), "account")),
    )];
    if unknown > 0 {
        checks.push(Check::warn(
            "registry",
            "unknown users",
            format!("{} that no log has shown", counted(unknown, "account")),
            "check the spelling, or add the id (`orgwatch registry check` names them)",
        ));
    }
    let others = problems.len() - unknown;
    checks.push(match others {
        0 => Check::pass("registry", "content", "nothing is left open"),
        n => Check::warn(
            "registry",
            "content",
            format!("{} to look at", counted(n, "thing")),
            "`orgwatch registry check` names them, with their lines",
        ),
    });
    checks
}

/// The rules: how many are on, and what their linter says. `faults` are its messages.
pub fn rules(rules: &RuleSet, faults: &[String]) -> Vec<Check> {
    let count = |status| rules.iter().filter(|r| r.status == status).count();
    let mut checks = vec![Check::pass(
        "rules",
        "loaded",
        format!(
            "{} active, {} in staging, {} off",
            count(RuleStatus::Active),
            count(RuleStatus::Staging),
            count(RuleStatus::Off)
        ),
    )];
    checks.push(match faults {
        [] => Check::pass("rules", "lint", "every rule plans against the real tables"),
        [first, ..] => Check::fail(
            "rules",
            "lint",
            format!("{}; the first: {first}", counted(faults.len(), "fault")),
            "`orgwatch rules lint` names them all",
        ),
    });
    checks
}
