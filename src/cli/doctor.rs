//! `orgwatch doctor`: whether the installation is in order, and how to mend it.

use std::path::Path;

use clap::Args;

use super::delivery::{open_mail, open_signer, open_webhook};
use super::exit::Exit;
use super::fetch::Org;
use super::rules::linted;
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, RuleFlags, checks};
use crate::doctor::{self, Check};
use crate::lake::{Lake, LakeError};
use crate::registry::Resolution;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch doctor
  orgwatch doctor --config orgwatch.toml
  orgwatch doctor --offline                    without asking the org of [salesforce]
  orgwatch doctor --json                       for a monitor

Exit codes:
  0 nothing failed (warnings are shown)   3 something failed";

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One JSON array instead of lines for people (the same as --format json)
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// Do not sign in to the org
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &DoctorArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        engine: Some(&args.engine),
        rules: Some(&args.rules),
        ..Flags::default()
    };
    let checks = match Workplace::open(terminal, global, args.now.now, &flags) {
        Ok(place) => examine(&place, args.offline),
        Err(error) => vec![broken("config", "file", &error)],
    };
    checks::report(&checks, args.json, global, terminal)
}

/// All checks in the order of a night: what people wrote, files, inputs, lake, rules, alerts. One
/// that cannot be made fails, and the others are made.
fn examine(place: &Workplace<'_>, offline: bool) -> Vec<Check> {
    let now = place.clock.now();
    let settings = &place.settings;
    let mut checks = doctor::settings(settings, now);

    let lists = settings.enrich.networks.iter();
    let lists = lists.map(|path| ("network list", Some(path.as_path())));
    let own = settings.detect.indicators.iter();
    let own = own.map(|path| ("indicators", Some(path.as_path())));
    let databases = settings.enrich.databases.iter();
    let databases = databases.map(|path| ("address database", Some(path.as_path())));
    let believed: Vec<(&str, &Path)> = [
        ("configuration", settings.file.as_deref()),
        ("registry", settings.registry_file.value.as_deref()),
        ("rules folder", settings.detect.rules_dir.value.as_deref()),
        (
            "catalogue extension",
            settings.catalog_file.value.as_deref(),
        ),
    ]
    .into_iter()
    .chain(databases)
    .chain(lists)
    .chain(own)
    .filter_map(|(name, path)| Some((name, path?)))
    .collect();
    checks.extend(doctor::places(place.data_dir(), &believed));
    let written = [
        ("report", settings.report_html.value.as_deref()),
        ("metrics", settings.operations.metrics_file.value.as_deref()),
    ];
    let written = written.into_iter();
    checks.extend(written.filter_map(|(name, path)| Some(doctor::output(name, path?))));
    if settings.salesforce.is_none() || !settings.inputs.paths.is_empty() {
        checks.extend(doctor::inputs(&settings.inputs.paths.value));
    }
    if !offline {
        checks.extend(of_org(place).unwrap_or_else(|e| vec![broken("org", "way in", &e)]));
    }

    let lake = match Lake::open_reader(place.data_dir()) {
        Ok(lake) => Some(lake),
        Err(LakeError::Missing { .. }) => None,
        Err(error) => {
            checks.push(broken("lake", "open", &error.into()));
            None
        }
    };
    let known = lake.as_ref().map(|lake| lake.ledger().usernames());
    let known = known.and_then(Result::ok).unwrap_or_default();
    match place.registry() {
        Ok(registry) => {
            let resolution = Resolution::new(&registry, known);
            checks.extend(doctor::registry(&registry, &resolution, now));
            checks.extend(doctor::recipients(&settings.email, &registry, now));
        }
        Err(error) => checks.push(broken("registry", "file", &error)),
    }
    checks.extend(doctor::enrichment(&place.enrich_files(), now));
    if let Some(lake) = &lake {
        checks.extend(of_lake(lake, place).unwrap_or_else(|e| vec![broken("lake", "read", &e)]));
    }
    checks.extend(of_rules(place).unwrap_or_else(|error| vec![broken("rules", "load", &error)]));
    let opened = open_mail(place).map(|way| way.describe());
    let opened = opened.map_err(|error| format!("{error:#}"));
    checks.push(doctor::way_out(&settings.email, opened));
    let opened = open_signer(&settings.email).map(|_| ());
    let opened = opened.map_err(|error| format!("{error:#}"));
    checks.extend(doctor::signature(&settings.email, opened));
    checks.extend(settings.email.webhooks.iter().map(|webhook| {
        let opened = open_webhook(webhook).map(|way| way.describe());
        doctor::webhook(webhook, opened.map_err(|error| format!("{error:#}")))
    }));
    checks
}

/// The org, where one is configured: signs in, asks each data set for one row, and signs out.
fn of_org(place: &Workplace<'_>) -> anyhow::Result<Vec<Check>> {
    let Some(org) = Org::of(place)? else {
        return Ok(Vec::new());
    };
    Ok(match org.look()? {
        Ok(seen) => doctor::org(&seen, place.clock.now()),
        Err(error) => vec![Check::fail("org", "way in", error.to_string(), error.fix())],
    })
}

fn of_lake(lake: &Lake, place: &Workplace<'_>) -> anyhow::Result<Vec<Check>> {
    let now = place.clock.now();
    let catalog = place.catalog()?;
    let mut checks = doctor::data_sets(lake, &catalog, now)?;
    checks.extend(doctor::gaps(lake, &catalog)?);
    checks.push(doctor::lake(lake)?);
    checks.push(doctor::last_run(lake, now)?);
    checks.push(doctor::outbox(lake)?);
    Ok(checks)
}

fn of_rules(place: &Workplace<'_>) -> anyhow::Result<Vec<Check>> {
    let rules = place.rules()?;
    let catalog = place.catalog()?;
    let all: Vec<_> = rules.iter().collect();
    let faults: Vec<String> = linted(place, &catalog, &all)?
        .iter()
        .flatten()
        .map(ToString::to_string)
        .collect();
    Ok(doctor::rules(&rules, &faults))
}

/// A check that could not be made.
fn broken(area: &'static str, name: &str, error: &anyhow::Error) -> Check {
    let text = format!("{error:#}");
    let (what, hint) = text.split_once("\nhint: ").unwrap_or((text.as_str(), ""));
    Check::fail(area, name, what, hint)
}
