//! All settings of a run, resolved.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::Severity;
use super::alert::Email;
use super::document::Document;
use super::environment::{Environment, parse_boolean, parse_ratio};
use super::fault::{Fault, Position};
use super::file::{self, FileSettings};
use super::operations::{LogFormat, Operations};
use super::origin::{Origin, Setting};
use super::rule::RuleSetting;
use super::salesforce::Salesforce;
use super::suppress::Suppression;
use super::value::{BadValue, ByteSize, parse_fail_on, parse_memory, parse_timezone};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "cannot read the configuration file `{path}`: {source}\nhint: check --config or ORGWATCH_CONFIG"
    )]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("environment variable {name}: {bad}")]
    Environment { name: &'static str, bad: BadValue },
}

/// Settings of a run. Each says where it comes from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    pub org: Org,
    pub store: Store,
    pub inputs: Inputs,
    /// `registry.toml`.
    pub registry_file: Setting<Option<PathBuf>>,
    /// The user's own extension of the catalogue.
    pub catalog_file: Setting<Option<PathBuf>>,
    pub enrich: Enrich,
    pub detect: Detect,
    /// By rule id.
    pub rules: BTreeMap<String, RuleSetting>,
    /// In the order of the file, those past their end included.
    pub suppressions: Vec<Suppression>,
    pub email: Email,
    /// Where `run` writes its report.
    pub report_html: Setting<Option<PathBuf>>,
    /// None where nothing is downloaded.
    pub salesforce: Option<Salesforce>,
    pub limits: Limits,
    pub operations: Operations,
}

#[derive(Debug, Clone)]
pub struct Org {
    pub name: Setting<Option<String>>,
    /// 18 characters.
    pub id: Setting<Option<String>>,
    /// In which people read times. UTC unless said otherwise.
    pub timezone: Setting<Tz>,
}

#[derive(Debug, Clone)]
pub struct Store {
    /// `$XDG_STATE_HOME/orgwatch`, else `~/.local/state/orgwatch`, unless said otherwise.
    pub data_dir: Setting<PathBuf>,
    /// None keeps everything, which is the default: no log is lost for want of a setting.
    pub retention_days: Setting<Option<u32>>,
}

#[derive(Debug, Clone)]
pub struct Inputs {
    /// Files, folders and globs.
    pub paths: Setting<Vec<PathBuf>>,
    /// Zone of exports that write local times; the org's zone where only that is given.
    pub timezone: Setting<Option<Tz>>,
    /// Whether 02/01/2026 in such an export is the second of January.
    pub day_first: Setting<Option<bool>>,
}

/// Files that say what others know of addresses.
#[derive(Debug, Clone)]
pub struct Enrich {
    /// Address databases in MaxMind's format; of two that know the same the first is believed.
    pub databases: Setting<Vec<PathBuf>>,
    /// CSV lists of networks: Tor exits, VPNs, proxies, hosting, own egress.
    pub networks: Setting<Vec<PathBuf>>,
}

#[derive(Debug, Clone)]
pub struct Detect {
    /// Days before a run that late rows may still re-open. 366 by default: only days that
    /// received rows cost anything.
    pub lookback_days: Setting<u32>,
    /// Findings from this severity on make the exit code 1; None never does. `high` by default.
    pub fail_on: Setting<Option<Severity>>,
    /// Folder of the user's own rules.
    pub rules_dir: Setting<Option<PathBuf>>,
    /// Whether each night begins with every rule's own positive case. It does by default.
    pub canaries: Setting<bool>,
    /// CSV files of published indicators beside the shipped ones.
    pub indicators: Setting<Vec<PathBuf>>,
}

#[derive(Debug, Clone)]
pub struct Limits {
    /// For all of the process. 512 MiB by default.
    pub memory: Setting<ByteSize>,
    /// As many as the machine has, by default.
    pub threads: Setting<usize>,
    /// Share of quarantined rows above which a run counts as partial. 0.01 by default.
    pub quarantine_ratio: Setting<f64>,
}

/// What the command line says. None, or an empty list, where a flag is not given.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub data_dir: Option<PathBuf>,
    pub inputs: Vec<PathBuf>,
    pub timezone: Option<Tz>,
    pub day_first: Option<bool>,
    pub registry_file: Option<PathBuf>,
    pub catalog_file: Option<PathBuf>,
    pub rules_dir: Option<PathBuf>,
    pub canaries: Option<bool>,
    pub lookback_days: Option<u32>,
    pub fail_on: Option<Option<Severity>>,
    pub memory: Option<ByteSize>,
    pub threads: Option<usize>,
    pub log_format: Option<LogFormat>,
    pub metrics_file: Option<PathBuf>,
}

const DEFAULT_MEMORY: ByteSize = ByteSize(512 << 20);
const DEFAULT_LOOKBACK_DAYS: u32 = 366;
const DEFAULT_QUARANTINE_RATIO: f64 = 0.01;

impl Settings {
    /// Resolves every setting. `env` looks up an environment variable; an empty one counts as
    /// not set. Relative paths in the file are relative to the file's folder, all others to the
    /// working directory. `now` bounds how far away a suppression may end.
    pub fn resolve(
        flags: Overrides,
        env: &dyn Fn(&str) -> Option<String>,
        file: Option<&Path>,
        now: DateTime<Utc>,
    ) -> Result<Self, ConfigError> {
        let given = match file {
            Some(path) => read_file(path, now)?,
            None => FileSettings::default(),
        };
        let env = Environment { look_up: env };
        let operations = Operations::resolve(&flags, &env, &given)?;
        let org_timezone = Setting::first_of(
            ("", None),
            (
                "ORGWATCH_ORG_TIMEZONE",
                env.parsed("ORGWATCH_ORG_TIMEZONE", parse_timezone)?,
            ),
            given.org_timezone,
            || Tz::UTC,
        );
        Ok(Self {
            file: file.map(Path::to_owned),
            operations,
            store: Store {
                data_dir: Setting::first_of(
                    ("--data-dir", flags.data_dir),
                    ("ORGWATCH_DATA_DIR", env.path("ORGWATCH_DATA_DIR")),
                    given.data_dir,
                    || default_data_dir(&env),
                ),
                retention_days: Setting::first_of(
                    ("", None),
                    (
                        "ORGWATCH_RETENTION_DAYS",
                        env.number("ORGWATCH_RETENTION_DAYS", 1..=36_500)?.map(Some),
                    ),
                    given.retention_days,
                    || None,
                ),
            },
            inputs: Inputs {
                paths: Setting::first_of(
                    (
                        "INPUT",
                        Some(flags.inputs).filter(|paths| !paths.is_empty()),
                    ),
                    ("ORGWATCH_INPUTS", env.paths("ORGWATCH_INPUTS")),
                    given.input_paths,
                    Vec::new,
                ),
                timezone: input_timezone(
                    flags.timezone,
                    &env,
                    given.input_timezone,
                    &org_timezone,
                )?,
                day_first: Setting::first_of(
                    ("--day-first", flags.day_first.map(Some)),
                    (
                        "ORGWATCH_DAY_FIRST",
                        env.parsed("ORGWATCH_DAY_FIRST", parse_boolean)?.map(Some),
                    ),
                    given.input_day_first,
                    || None,
                ),
            },
            org: Org {
                name: Setting::first_of(
                    ("", None),
                    ("ORGWATCH_ORG_NAME", env.text("ORGWATCH_ORG_NAME").map(Some)),
                    given.org_name,
                    || None,
                ),
                id: Setting::first_of(
                    ("", None),
                    (
                        "ORGWATCH_ORG_ID",
                        env.parsed("ORGWATCH_ORG_ID", file::parse_org_id)?.map(Some),
                    ),
                    given.org_id,
                    || None,
                ),
                timezone: org_timezone,
            },
            registry_file: Setting::first_of(
                ("--registry", flags.registry_file.map(Some)),
                ("ORGWATCH_REGISTRY", env.path("ORGWATCH_REGISTRY").map(Some)),
                given.registry_file,
                || None,
            ),
            catalog_file: Setting::first_of(
                ("--catalog", flags.catalog_file.map(Some)),
                ("ORGWATCH_CATALOG", env.path("ORGWATCH_CATALOG").map(Some)),
                given.catalog_file,
                || None,
            ),
            detect: Detect {
                lookback_days: Setting::first_of(
                    ("--lookback-days", flags.lookback_days),
                    (
                        "ORGWATCH_LOOKBACK_DAYS",
                        env.number("ORGWATCH_LOOKBACK_DAYS", 1..=3_660)?,
                    ),
                    given.lookback_days,
                    || DEFAULT_LOOKBACK_DAYS,
                ),
                fail_on: Setting::first_of(
                    ("--fail-on", flags.fail_on),
                    (
                        "ORGWATCH_FAIL_ON",
                        env.parsed("ORGWATCH_FAIL_ON", parse_fail_on)?,
                    ),
                    given.fail_on,
                    || Some(Severity::High),
                ),
                rules_dir: Setting::first_of(
                    ("--rules-dir", flags.rules_dir.map(Some)),
                    (
                        "ORGWATCH_RULES_DIR",
                        env.path("ORGWATCH_RULES_DIR").map(Some),
                    ),
                    given.rules_dir,
                    || None,
                ),
                canaries: Setting::first_of(
                    ("--no-canaries", flags.canaries),
                    (
                        "ORGWATCH_CANARIES",
                        env.parsed("ORGWATCH_CANARIES", parse_boolean)?,
                    ),
                    given.canaries,
                    || true,
                ),
                indicators: Setting::from_file(given.indicators, Vec::new),
            },
            enrich: Enrich {
                databases: Setting::from_file(given.enrich_databases, Vec::new),
                networks: Setting::from_file(given.enrich_networks, Vec::new),
            },
            rules: given.rules,
            suppressions: given.suppressions,
            email: Email::resolve(given.email),
            report_html: Setting::from_file(given.report_html, || None),
            salesforce: given.salesforce,
            limits: Limits {
                memory: Setting::first_of(
                    ("--memory", flags.memory),
                    (
                        "ORGWATCH_MEMORY",
                        env.parsed("ORGWATCH_MEMORY", parse_memory)?,
                    ),
                    given.memory,
                    || DEFAULT_MEMORY,
                ),
                threads: Setting::first_of(
                    ("--threads", flags.threads),
                    (
                        "ORGWATCH_THREADS",
                        env.number("ORGWATCH_THREADS", 1..=1024)?
                            .map(|n| n as usize),
                    ),
                    given.threads,
                    || std::thread::available_parallelism().map_or(1, usize::from),
                ),
                quarantine_ratio: Setting::first_of(
                    ("", None),
                    (
                        "ORGWATCH_QUARANTINE_RATIO",
                        env.parsed("ORGWATCH_QUARANTINE_RATIO", parse_ratio)?,
                    ),
                    given.quarantine_ratio,
                    || DEFAULT_QUARANTINE_RATIO,
                ),
            },
        })
    }

    /// A fault at a place of the configuration file that only an upper floor can see: a rule or
    /// a parameter that does not exist.
    pub fn fault(&self, at: Position, message: impl Into<String>, hint: Option<String>) -> Fault {
        let file = self
            .file
            .as_deref()
            .map_or_else(String::new, |f| f.display().to_string());
        Fault {
            file,
            at,
            message: message.into(),
            hint,
        }
    }

    /// Key, value and origin of every setting, in the order of the file. Holds no secret.
    pub fn listing(&self) -> Vec<(&'static str, String, Origin)> {
        fn path(value: &Option<PathBuf>) -> String {
            text(&value.as_deref().map(Path::display))
        }
        fn text(value: &Option<impl Display>) -> String {
            value
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string)
        }
        fn row<T>(
            key: &'static str,
            setting: &Setting<T>,
            show: impl Fn(&T) -> String,
        ) -> (&'static str, String, Origin) {
            (key, show(&setting.value), setting.origin.clone())
        }
        let join = |paths: &Vec<PathBuf>| {
            paths
                .iter()
                .map(|p| p.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let never = |value: &Option<Severity>| value.map_or("never", Severity::as_str).to_owned();
        let mut rows = vec![
            row("org.name", &self.org.name, text),
            row("org.id", &self.org.id, text),
            row("org.timezone", &self.org.timezone, |tz| {
                tz.name().to_owned()
            }),
            row("store.data_dir", &self.store.data_dir, |p| {
                p.display().to_string()
            }),
            row("store.retention_days", &self.store.retention_days, text),
            row("inputs.paths", &self.inputs.paths, join),
            row("inputs.timezone", &self.inputs.timezone, |tz| {
                text(&tz.map(|tz| tz.name()))
            }),
            row("inputs.day_first", &self.inputs.day_first, text),
            row("registry.file", &self.registry_file, path),
            row("catalog.file", &self.catalog_file, path),
            row("enrich.databases", &self.enrich.databases, join),
            row("enrich.networks", &self.enrich.networks, join),
            row(
                "detect.lookback_days",
                &self.detect.lookback_days,
                u32::to_string,
            ),
            row("detect.fail_on", &self.detect.fail_on, never),
            row("detect.rules_dir", &self.detect.rules_dir, path),
            row("detect.canaries", &self.detect.canaries, bool::to_string),
            row("detect.indicators", &self.detect.indicators, join),
        ];
        rows.extend(self.email.listing());
        rows.extend([row("report.html", &self.report_html, path)]);
        rows.extend(self.salesforce.iter().flat_map(Salesforce::listing));
        rows.extend([
            row("limits.memory", &self.limits.memory, ByteSize::to_string),
            row("limits.threads", &self.limits.threads, usize::to_string),
            row(
                "limits.quarantine_ratio",
                &self.limits.quarantine_ratio,
                f64::to_string,
            ),
        ]);
        rows.extend(self.operations.listing());
        rows
    }
}

fn read_file(path: &Path, now: DateTime<Utc>) -> Result<FileSettings, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let doc = Document::read(path).map_err(unreadable)??;
    Ok(file::read(
        &doc,
        path.parent().unwrap_or(Path::new("")),
        now,
    )?)
}

fn input_timezone(
    flag: Option<Tz>,
    env: &Environment<'_>,
    file: Option<(Option<Tz>, Position)>,
    org: &Setting<Tz>,
) -> Result<Setting<Option<Tz>>, ConfigError> {
    let env = env.parsed("ORGWATCH_TIMEZONE", parse_timezone)?;
    let own = Setting::first_of(
        ("--timezone", flag.map(Some)),
        ("ORGWATCH_TIMEZONE", env.map(Some)),
        file,
        || None,
    );
    // The org's zone is an answer only where somebody gave it.
    if own.origin == Origin::Default && org.origin != Origin::Default {
        return Ok(Setting {
            value: Some(org.value),
            origin: org.origin.clone(),
        });
    }
    Ok(own)
}

pub(super) fn default_data_dir(env: &Environment<'_>) -> PathBuf {
    let absolute = |name| env.path(name).filter(|path| path.is_absolute());
    match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
        (Some(state), _) => state.join("orgwatch"),
        (None, Some(home)) => home.join(".local/state/orgwatch"),
        (None, None) => PathBuf::from("orgwatch-data"),
    }
}
