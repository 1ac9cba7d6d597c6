//! `orgwatch registry`: what the operator declares about each machine user.

use clap::{Args, Subcommand, ValueEnum};

use super::exit::Exit;
use super::failure::UsageError;
use super::output::Rows;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, print_rows};
use crate::lake::{Lake, LakeError};
use crate::registry::{ProblemKind, Registry, Resolution};

pub const EXAMPLES: &str = "\
Examples:
  orgwatch registry check --registry registry.toml
  orgwatch registry show
  orgwatch registry show networks --format csv";

#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Reads the registry and says what is missing or worth a look
    #[command(after_help = EXAMPLES)]
    Check(CheckArgs),
    /// The registry as tables
    #[command(after_help = EXAMPLES)]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
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
        RegistryCommand::Check(args) => check(args, global, terminal),
        RegistryCommand::Show(args) => show(args, global, terminal),
    }
}

fn open<'t>(
    engine: &EngineFlags,
    now: &HiddenNow,
    global: &Global,
    terminal: &'t Terminal,
) -> anyhow::Result<(Workplace<'t>, Registry, Resolution, bool)> {
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
    let (known, has_lake) = match Lake::open_reader(place.data_dir()) {
        Ok(lake) => (lake.ledger().usernames()?, true),
        Err(LakeError::Missing { .. }) => (Vec::new(), false),
        Err(error) => return Err(error.into()),
    };
    let resolution = Resolution::new(&registry, known);
    Ok((place, registry, resolution, has_lake))
}

fn check(args: &CheckArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (place, registry, resolution, has_lake) = open(&args.engine, &args.now, global, terminal)?;
    let file = place
        .settings
        .registry_file
        .as_ref()
        .map(|p| p.display().to_string());
    let file = file.unwrap_or_default();
    let mut problems = registry.check(&resolution, place.clock.now());
    if !has_lake {
        // Nothing was asked whether it knows the users, so nothing can be said against them.
        problems.retain(|p| p.kind != ProblemKind::UnresolvedUser);
    }
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
    if !has_lake {
        terminal.say("no lake yet: whether the logs know the users is not checked");
    }
    terminal.say(&format!(
        "{} users, {} apps, {} windows; {} things to look at",
        registry.users.len(),
        registry.apps.len(),
        registry.windows.len(),
        problems.len()
    ));
    Ok(Exit::Done)
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
