//! `orgwatch registry`: what the operator declares about each machine user.

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};

use super::exit::Exit;
use super::failure::UsageError;
use super::output::Rows;
pub use super::suggest::registry_file;
use super::suggest::{self, look};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, print_rows};
use crate::lake::{Lake, LakeError};
use crate::registry::{Problem, ProblemKind, Registry, Resolution};
use crate::suggest::differences;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch registry suggest --output registry.toml
  orgwatch registry check --registry registry.toml
  orgwatch registry show
  orgwatch registry show networks --format csv";

pub const CHECK_EXAMPLES: &str = "\
Examples:
  orgwatch registry check --registry registry.toml
  orgwatch registry check --days 30 --exit-code
  orgwatch registry check --format json

Exit codes: 0 the registry was checked, whatever there is to look at; 1 with --exit-code, when there
is something to look at; 2 the registry is refused, or none is configured.";

#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Proposes a registry from what the logs and the roster show
    #[command(after_help = suggest::EXAMPLES)]
    Suggest(suggest::SuggestArgs),
    /// Reads the registry, holds it against the logs, and says what is worth a look
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// The registry as tables
    #[command(after_help = EXAMPLES)]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Days of logs to hold it against, counted back from the last day that has any
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// Exit with 1 when there is something to look at
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Which table
    #[arg(value_enum, default_value_t = Table::Users)]
    pub table: Table,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Table {
    Users,
    Networks,
    Apps,
    Flows,
    Windows,
    OrgApps,
    Gateways,
    UiPaths,
    Tools,
    Endpoints,
    Hours,
    AppSubjects,
    BaseProfiles,
    LogReaders,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::Users => "registry_users",
            Table::Networks => "registry_networks",
            Table::Apps => "registry_apps",
            Table::Flows => "registry_flows",
            Table::Windows => "registry_windows",
            Table::OrgApps => "registry_org_apps",
            Table::Gateways => "registry_gateways",
            Table::UiPaths => "registry_ui_paths",
            Table::Tools => "registry_tools",
            Table::Endpoints => "registry_endpoints",
            Table::Hours => "registry_hours",
            Table::AppSubjects => "registry_app_subjects",
            Table::BaseProfiles => "registry_base_profiles",
            Table::LogReaders => "registry_log_readers",
        }
    }
}

pub fn run(
    command: &RegistryCommand,
    global: &Global,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        RegistryCommand::Suggest(args) => suggest::run(args, global, terminal),
        RegistryCommand::Check(args) => check(args, global, terminal),
        RegistryCommand::Show(args) => show(args, global, terminal),
    }
}

fn open<'t>(
    engine: &EngineFlags,
    now: &HiddenNow,
    global: &Global,
    terminal: &'t Terminal,
) -> anyhow::Result<(Workplace<'t>, Registry, Resolution, Option<Lake>)> {
    let flags = Flags {
        engine: Some(engine),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, now.now, &flags)?;
    if place.settings.registry_file.value.is_none() {
        return Err(UsageError::new(
            "no registry is configured",
            "give --registry FILE, or set `file` in [registry]",
        )
        .into());
    }
    let registry = place.registry()?;
    // Without a lake nobody is known yet; the file can be checked all the same.
    let (known, lake) = match Lake::open_reader(place.data_dir()) {
        Ok(lake) => (lake.ledger().usernames()?, Some(lake)),
        Err(LakeError::Missing { .. }) => (Vec::new(), None),
        Err(error) => return Err(error.into()),
    };
    let resolution = Resolution::new(&registry, known);
    Ok((place, registry, resolution, lake))
}

fn check(args: &CheckArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (place, registry, resolution, lake) = open(&args.engine, &args.now, global, terminal)?;
    let file = registry_file(&place);
    let mut looked_at =
        "no lake yet: whether the logs know the users, and what they do, is not checked".to_owned();
    let problems = match lake {
        Some(lake) => {
            let examined = examine(&lake, &place, args.days, &registry, &resolution)?;
            looked_at = format!("held against {} of logs", counted(examined.covered, "day"));
            if examined.undeclared > 0 {
                looked_at.push_str(&format!(
                    "; {} working like a machine and declared nowhere: `orgwatch registry suggest`",
                    counted(examined.undeclared, "account")
                ));
            }
            examined.problems
        }
        // Nothing was asked whether it knows the users, so nothing can be said against them.
        None => {
            let mut problems = registry.check(&resolution, place.clock.now());
            problems.retain(|p| p.kind != ProblemKind::UnresolvedUser);
            problems
        }
    };
    let each = || problems.iter();
    let batch = Rows::new()
        .text(
            "place",
            each().map(|p| Some(format!("{file}:{}", p.at.line))),
        )
        .text("problem", each().map(|p| Some(p.kind.as_str())))
        .text("subject", each().map(|p| Some(p.subject.clone())))
        .text("message", each().map(|p| Some(p.message.clone())))
        .batch()?;
    print_rows(&batch, global, terminal)?;
    terminal.say(&looked_at);
    terminal.say(&format!(
        "{} users, {} apps, {} windows; {} things to look at",
        registry.users.len(),
        registry.apps.len(),
        registry.windows.len(),
        problems.len()
    ));
    Ok(match args.exit_code && !problems.is_empty() {
        true => Exit::Findings,
        false => Exit::Done,
    })
}

/// A registry held against the logs.
pub struct Examined {
    /// In the order of the file.
    pub problems: Vec<Problem>,
    /// Days of logs.
    pub covered: usize,
    /// Accounts that work like machines and have no entry.
    pub undeclared: usize,
}

/// What the registry leaves to be wished for, by itself and by the last `days` days of logs.
pub fn examine(
    lake: &Lake,
    place: &Workplace<'_>,
    days: u32,
    registry: &Registry,
    resolution: &Resolution,
) -> anyhow::Result<Examined> {
    let keys = registry.users.iter().flat_map(|user| resolution.keys(user));
    let keys: Vec<String> = keys.collect();
    let reality = look(lake, place, days, keys.clone())?;
    let found = differences(registry, resolution, &reality);
    let machines = reality.accounts.iter().filter(|a| a.marks.is_machine());
    let undeclared = machines.filter(|a| !keys.contains(&a.key)).count();
    let roster: BTreeSet<String> = reality.roster.unwrap_or_default().into_keys().collect();
    let mut problems = registry.check(resolution, place.clock.now());
    // The roster knows who has never logged in; of them the comparison speaks.
    let in_roster = |p: &Problem| roster.contains(&p.subject);
    problems.retain(|p| p.kind != ProblemKind::UnresolvedUser || !in_roster(p));
    problems.extend(found.into_iter().map(|(_, problem)| problem));
    // Stable: what the file says comes before what the logs say.
    problems.sort_by_key(|problem| problem.at);
    Ok(Examined {
        problems,
        covered: reality.covered.len(),
        undeclared,
    })
}

fn show(args: &ShowArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (_, registry, resolution, _) = open(&args.engine, &args.now, global, terminal)?;
    let tables = registry.tables(&resolution)?;
    let table = tables
        .into_iter()
        .find(|(name, _)| *name == args.table.name());
    if let Some((_, batch)) = table {
        print_rows(&batch, global, terminal)?;
    }
    Ok(Exit::Done)
}
