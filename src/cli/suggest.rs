//! `orgwatch registry suggest`: a registry proposed from what the logs and the roster show.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use clap::Args;

use super::exit::Exit;
use super::failure::UsageError;
use super::output::{Destination, Format};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow};
use crate::config::UserRef;
use crate::detect::{Coverage, ParamValue, RuleSet};
use crate::lake::Lake;
use crate::registry::{Bounds, Registry, RegistryError, Resolution, Role};
use crate::suggest::{Criteria, Proposal, Question, Reality, Style, observe, propose};
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch registry suggest > registry.toml
  orgwatch registry suggest --output registry.toml
  orgwatch registry suggest --user erp@example.com --days 30
  orgwatch registry suggest --registry registry.toml --all

Nothing is proposed that was seen on one day alone, or only in the last seven: an attack looks like
that. Such lines are in the file, commented out.";

/// The rule whose thresholds say what a machine is.
const MACHINE_RULE: &str = "unregistered-integration-user";

#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// Days of logs to look at, counted back from the last day that has any
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// Only this account, whatever it does: a username or an id; may be repeated
    #[arg(long, value_name = "USER", value_parser = str::parse::<UserRef>)]
    pub user: Vec<UserRef>,
    /// Also accounts that the registry declares, with what differs
    #[arg(long)]
    pub all: bool,
    /// Widest IPv4 network to propose, as a prefix length
    #[arg(long, value_name = "BITS", default_value_t = 24, value_parser = clap::value_parser!(u8).range(8..=32))]
    pub max_prefix_v4: u8,
    /// Widest IPv6 network to propose, as a prefix length
    #[arg(long, value_name = "BITS", default_value_t = 48, value_parser = clap::value_parser!(u8).range(16..=128))]
    pub max_prefix_v6: u8,
    /// Most addresses (IPv6: /64) of one network that the logs have not shown
    #[arg(long, value_name = "N", default_value_t = 14)]
    pub max_unseen: u64,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    pub force: bool,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &SuggestArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        engine: Some(&args.engine),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let registry = declared(&place, args)?;
    let lake = Lake::open_reader(place.data_dir())?;
    // A result that cannot be written is found before the work, not after it.
    if let Some(path) = args
        .output
        .as_deref()
        .filter(|path| !args.force && path.exists())
    {
        return Err(exists(path).into());
    }
    let destination = Destination::open(args.output.as_deref(), Format::Table, terminal)?;

    let resolution = Resolution::new(&registry, lake.ledger().usernames()?);
    let only: Vec<String> = args
        .user
        .iter()
        .flat_map(|user| resolution.keys_of(user))
        .collect();
    let mut wanted = only.clone();
    if args.all {
        wanted.extend(machine_keys(&registry, &resolution));
    }
    let reality = look(&lake, &place, args.days, wanted)?;
    if let Some(user) = args
        .user
        .iter()
        .find(|user| !is_seen(user, &resolution, &reality))
    {
        return Err(unknown(user, args.days).into());
    }
    let file = registry_file(&place);
    let proposal = propose(
        &reality,
        &Style {
            bounds: Bounds {
                max_prefix_v4: args.max_prefix_v4,
                max_prefix_v6: args.max_prefix_v6,
                max_unseen: args.max_unseen,
            },
            registry: &registry,
            resolution: &resolution,
            registry_file: &file,
            with_declared: args.all,
            only: (!only.is_empty()).then_some(only.as_slice()),
        },
    )?;
    let mut sink = destination.sink(terminal)?;
    sink.write_all(proposal.toml.as_bytes())?;
    sink.flush()?;
    drop(sink);
    match (args.force, &args.output) {
        (false, Some(path)) => destination
            .finish_new()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => exists(path).into(),
                _ => anyhow::Error::new(error).context("cannot finish the output"),
            })?,
        _ => destination.finish().context("cannot finish the output")?,
    }
    tell(&proposal, args, terminal);
    Ok(Exit::Done)
}

/// The registry, if there is one yet: a config may name the file that this command is to make.
fn declared(place: &Workplace<'_>, args: &SuggestArgs) -> anyhow::Result<Registry> {
    let is_to_come = |error: &anyhow::Error| {
        let error = error.downcast_ref::<RegistryError>();
        let missing = std::io::ErrorKind::NotFound;
        args.engine.registry.is_none()
            && matches!(error, Some(RegistryError::Unreadable { source, .. }) if source.kind() == missing)
    };
    match place.registry() {
        Err(error) if is_to_come(&error) => Ok(Registry::empty()),
        registry => registry,
    }
}

/// What the last `days` days of logs show, up to the last day that has any. The session knows no
/// registry: what is declared is no evidence.
pub fn look(
    lake: &Lake,
    place: &Workplace<'_>,
    days: u32,
    wanted: Vec<String>,
) -> anyhow::Result<Reality> {
    if !lake.ledger().dirty_days("rollup")?.is_empty() {
        place
            .terminal
            .warn("`logins` lacks the latest rows; `orgwatch detect` brings it up to date");
    }
    let catalog = place.catalog()?;
    let now = place.clock.now();
    let today = now.date_naive();
    let last = Coverage::of_lake(lake, &catalog)?
        .last_day(today)
        .unwrap_or(today);
    let first = last.checked_sub_days(Days::new(u64::from(days) - 1));
    let question = Question {
        since: midnight(first.unwrap_or(NaiveDate::MIN)),
        until: midnight(last.succ_opt().unwrap_or(last)),
        now,
        criteria: criteria(&place.rules()?),
        wanted,
    };
    let session = place.session(lake, &catalog, &Registry::empty())?;
    Ok(observe(&session, &question)?)
}

/// Name of the registry's file as messages show it.
pub fn registry_file(place: &Workplace<'_>) -> String {
    let file = place.settings.registry_file.as_ref();
    file.map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// The thresholds of the rule that finds machines without an entry, as the operator has set them.
fn criteria(rules: &RuleSet) -> Criteria {
    let mut criteria = Criteria::default();
    let Some(rule) = rules.get(MACHINE_RULE) else {
        return criteria;
    };
    for (name, param) in &rule.params {
        match (name.as_str(), &param.value) {
            ("period", ParamValue::Duration { seconds }) => {
                criteria.period = chrono::TimeDelta::seconds(*seconds);
            }
            ("min_logins", ParamValue::Int(n)) => criteria.min_logins = *n,
            ("min_calls", ParamValue::Int(n)) => criteria.min_calls = *n,
            ("min_hours_of_day", ParamValue::Int(n)) => criteria.min_hours_of_day = *n,
            ("min_weekdays", ParamValue::Int(n)) => criteria.min_weekdays = *n,
            ("max_ui_share", ParamValue::Float(x)) => criteria.max_ui_share = *x,
            ("max_ui_day_share", ParamValue::Float(x)) => criteria.max_ui_day_share = *x,
            _ => {}
        }
    }
    criteria
}

/// Keys of the declared machines: with `--all` they are looked at whatever they do.
fn machine_keys(registry: &Registry, resolution: &Resolution) -> Vec<String> {
    let machines = registry
        .users
        .iter()
        .filter(|user| matches!(user.role, Role::Integration | Role::Ci | Role::ApiNamed));
    machines.flat_map(|user| resolution.keys(user)).collect()
}

fn is_seen(user: &UserRef, resolution: &Resolution, reality: &Reality) -> bool {
    let keys = resolution.keys_of(user);
    reality.knows(&keys)
}

fn unknown(user: &UserRef, days: u32) -> UsageError {
    UsageError::new(
        format!("the last {days} days of logs do not know {}", user.as_str()),
        "check the spelling, or look further back with --days",
    )
}

fn exists(path: &Path) -> UsageError {
    UsageError::new(
        format!("`{}` exists already", path.display()),
        "name another file, or replace it with --force",
    )
}

fn tell(proposal: &Proposal, args: &SuggestArgs, terminal: &Terminal) {
    let mut line = format!("{} proposed", counted(proposal.machines, "machine"));
    if proposal.with_ui_logins > 0 {
        line.push_str(&format!(
            ", {} of them with UI logins (see the warnings)",
            proposal.with_ui_logins
        ));
    }
    if proposal.platform > 0 {
        let noun = "account";
        line.push_str(&format!(
            "; {} of guests and of the platform",
            counted(proposal.platform, noun)
        ));
    }
    if proposal.declared > 0 && !args.all {
        line.push_str(&format!(
            "; {} declared already (--all shows them)",
            proposal.declared
        ));
    }
    terminal.say(&line);
    if let Some(path) = &args.output {
        terminal.say(&format!(
            "written to {}: fill in the owners, then `orgwatch registry check --registry {0}`",
            path.display()
        ));
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thresholds_are_those_of_the_rule() {
        let rules = RuleSet::embedded().unwrap();
        let rule = rules.get(MACHINE_RULE).unwrap();
        for name in [
            "period",
            "min_logins",
            "min_calls",
            "min_hours_of_day",
            "min_weekdays",
            "max_ui_share",
            "max_ui_day_share",
        ] {
            assert!(rule.params.contains_key(name), "{name}");
        }
        assert_eq!(criteria(&rules), Criteria::default());
    }
}
