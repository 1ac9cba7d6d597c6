//! What a command works with: terminal, clock, settings, and on demand catalogue, registry,
//! rules and session. All files that a person wrote are read before anything is done.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};

use super::failure::UsageError;
use super::terminal::Terminal;
use super::{EngineFlags, Global, InputFlags, RuleFlags};
use crate::alert::Invocation;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{Overrides, Settings, find_file};
use crate::detect::{Coverage, RuleSet};
use crate::engine::{EngineOptions, Session};
use crate::enrich::{EnrichFiles, Enrichment};
use crate::ingest::{IngestOptions, Input, LocalDates};
use crate::lake::Lake;
use crate::registry::Registry;

pub struct Workplace<'t> {
    pub terminal: &'t Terminal,
    pub clock: Clock,
    pub settings: Settings,
    invocation: Invocation,
    /// Read once: an address database may have a hundred megabytes.
    enrichment: OnceLock<Arc<Enrichment>>,
}

/// The flags of a command that change settings.
#[derive(Default)]
pub struct Flags<'a> {
    pub input: Option<&'a InputFlags>,
    pub engine: Option<&'a EngineFlags>,
    pub rules: Option<&'a RuleFlags>,
    pub inputs: &'a [String],
    pub no_canaries: bool,
    pub metrics_file: Option<&'a PathBuf>,
}

impl<'t> Workplace<'t> {
    /// Resolves the settings of a command.
    pub fn open(
        terminal: &'t Terminal,
        global: &Global,
        now: Option<DateTime<Utc>>,
        flags: &Flags<'_>,
    ) -> anyhow::Result<Self> {
        let clock = now.map_or(Clock::System, Clock::Fixed);
        terminal.use_clock(clock);
        let env = |name: &str| std::env::var(name).ok();
        let file = find_file(global.config.as_deref(), &env);
        let overrides = overrides(global, flags);
        let settings = Settings::resolve(overrides, &env, file.as_deref(), clock.now())?;
        let given = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
        let invocation = Invocation {
            config: given(&global.config),
            data_dir: given(&global.data_dir),
        };
        Ok(Self {
            terminal,
            clock,
            settings,
            invocation,
            enrichment: OnceLock::new(),
        })
    }

    pub fn data_dir(&self) -> &Path {
        &self.settings.store.data_dir
    }

    /// What mails call the org.
    pub fn org_name(&self) -> String {
        let name = self.settings.org.name.value.clone();
        name.unwrap_or_else(|| "your org".to_owned())
    }

    /// How the reader starts this program against the same lake.
    pub fn invocation(&self) -> &Invocation {
        &self.invocation
    }

    pub fn catalog(&self) -> anyhow::Result<Arc<Catalog>> {
        Ok(Arc::new(match &self.settings.catalog_file.value {
            Some(path) => Catalog::with_extension(path)?,
            None => Catalog::embedded(),
        }))
    }

    pub fn registry(&self) -> anyhow::Result<Registry> {
        Ok(match &self.settings.registry_file.value {
            Some(path) => Registry::load(path)?,
            None => Registry::empty(),
        })
    }

    /// What is known of addresses and indicators.
    pub fn enrichment(&self) -> anyhow::Result<Arc<Enrichment>> {
        if let Some(known) = self.enrichment.get() {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(Enrichment::load(&self.enrich_files())?);
        Ok(Arc::clone(self.enrichment.get_or_init(|| known)))
    }

    /// The files of [`Self::enrichment`].
    pub fn enrich_files(&self) -> EnrichFiles<'_> {
        EnrichFiles {
            databases: &self.settings.enrich.databases,
            networks: &self.settings.enrich.networks,
            indicators: &self.settings.detect.indicators,
        }
    }

    /// What the rules' inputs have.
    pub fn coverage(&self, lake: &Lake, catalog: &Catalog) -> anyhow::Result<Coverage> {
        let known = self.enrichment()?;
        Ok(Coverage::of_lake(lake, catalog)?.enriched(&known))
    }

    /// The rules compiled in and the user's own, without the adjustments of the settings.
    pub fn rules_as_written(&self) -> anyhow::Result<RuleSet> {
        let rules = RuleSet::embedded()?;
        Ok(match &self.settings.detect.rules_dir.value {
            Some(dir) => rules.with_dir(dir)?,
            None => rules,
        })
    }

    /// The same as the settings adjust them.
    pub fn rules(&self) -> anyhow::Result<RuleSet> {
        let mut rules = self.rules_as_written()?;
        let file = self
            .settings
            .file
            .as_deref()
            .map(|f| f.display().to_string());
        let file = file.as_deref().unwrap_or_default();
        rules.apply(&self.settings.rules, file)?;
        for suppression in &self.settings.suppressions {
            if rules.get(&suppression.rule).is_none() {
                let line = suppression.at.line;
                return Err(rules.unknown(&suppression.rule, file, line).into());
            }
        }
        Ok(rules)
    }

    /// The named inputs, or those of the settings.
    pub fn inputs(&self) -> anyhow::Result<Vec<Input>> {
        let paths = &self.settings.inputs.paths.value;
        if paths.is_empty() {
            return Err(UsageError::new(
                "no input: nothing names log files",
                "name files, folders or globs, `-` for standard input, or set `paths` in [inputs]",
            )
            .into());
        }
        let arguments: Vec<String> = paths
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        Ok(Input::expand(&arguments)?)
    }

    pub fn ingest_options(&self) -> IngestOptions {
        IngestOptions {
            threads: *self.settings.limits.threads,
            local_dates: LocalDates {
                zone: self.settings.inputs.timezone.value,
                day_first: self.settings.inputs.day_first.unwrap_or(false),
            },
        }
    }

    /// Limits of a session whose large intermediate results go under `data_dir`.
    pub fn engine_options(&self, data_dir: &Path) -> EngineOptions {
        EngineOptions {
            memory_bytes: usize::try_from(self.settings.limits.memory.0).unwrap_or(usize::MAX),
            threads: *self.settings.limits.threads,
            temp_dir: data_dir.join("spill"),
        }
    }

    pub fn session(
        &self,
        lake: &Lake,
        catalog: &Arc<Catalog>,
        registry: &Registry,
    ) -> anyhow::Result<Session> {
        let known = self.enrichment()?;
        let options = self.engine_options(lake.data_dir());
        let session = Session::open(lake, catalog, registry, &options)?;
        session.enrich(&known)?;
        Ok(session)
    }
}

fn overrides(global: &Global, flags: &Flags<'_>) -> Overrides {
    Overrides {
        data_dir: global.data_dir.clone(),
        inputs: flags.inputs.iter().map(PathBuf::from).collect(),
        timezone: flags.input.and_then(|f| f.timezone),
        day_first: flags.input.and_then(|f| f.day_first.then_some(true)),
        catalog_file: flags.input.and_then(|f| f.catalog.clone()),
        registry_file: flags.engine.and_then(|f| f.registry.clone()),
        memory: flags.engine.and_then(|f| f.memory),
        threads: flags.engine.and_then(|f| f.threads),
        canaries: flags.no_canaries.then_some(false),
        rules_dir: flags.rules.and_then(|f| f.rules_dir.clone()),
        lookback_days: flags.rules.and_then(|f| f.lookback_days),
        fail_on: flags.rules.and_then(|f| f.fail_on).map(|f| f.0),
        log_format: global.log_format,
        metrics_file: flags.metrics_file.cloned(),
    }
}
