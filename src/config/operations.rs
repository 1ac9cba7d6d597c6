//! How the job is watched from outside: the form of its log, and where it leaves its metrics.

use std::fmt;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::file::FileSettings;
use super::origin::{Origin, Setting};
use super::settings::{ConfigError, Overrides, default_data_dir};
use super::value::{BadValue, quoted};

const FORMAT_VARIABLE: &str = "ORGWATCH_LOG_FORMAT";
const METRICS_VARIABLE: &str = "ORGWATCH_METRICS_FILE";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Form of what is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    pub const ALL: [LogFormat; 2] = [LogFormat::Text, LogFormat::Json];

    pub fn as_str(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

pub fn parse_log_format(text: &str) -> Result<LogFormat, BadValue> {
    let found = LogFormat::ALL.into_iter().find(|f| f.as_str() == text);
    found.ok_or_else(|| {
        let words = LogFormat::ALL.map(LogFormat::as_str);
        let hint = super::fault::hint_for_word(text, &words);
        BadValue::new(format!("{} is no format of the log", quoted(text)), hint)
    })
}

#[derive(Debug, Clone)]
pub struct Operations {
    /// `text` by default.
    pub log_format: Setting<LogFormat>,
    /// Where `run`, `ingest` and `detect` write metrics for Prometheus; nowhere by default.
    pub metrics_file: Setting<Option<PathBuf>>,
}

impl Operations {
    pub(super) fn resolve(
        flags: &Overrides,
        env: &Environment<'_>,
        given: &FileSettings,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            log_format: Setting::first_of(
                ("--log-format", flags.log_format),
                (
                    FORMAT_VARIABLE,
                    env.parsed(FORMAT_VARIABLE, parse_log_format)?,
                ),
                given.log_format,
                LogFormat::default,
            ),
            metrics_file: Setting::first_of(
                ("--metrics-file", flags.metrics_file.clone().map(Some)),
                (METRICS_VARIABLE, env.path(METRICS_VARIABLE).map(Some)),
                given.metrics_file.clone(),
                || None,
            ),
        })
    }

    /// For [`super::Settings::listing`].
    pub(super) fn listing(&self) -> [(&'static str, String, Origin); 2] {
        let file = self.metrics_file.value.as_deref();
        let file = file.map_or_else(|| "-".to_owned(), |path| path.display().to_string());
        [
            (
                "log.format",
                self.log_format.to_string(),
                self.log_format.origin.clone(),
            ),
            ("metrics.file", file, self.metrics_file.origin.clone()),
        ]
    }
}

/// What can be seen of the settings although one of them may be wrong: a fault is told in the
/// form that was asked for, and counted where the faults are counted. What cannot be read is not
/// there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Glance {
    pub log_format: LogFormat,
    pub metrics_file: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
}

impl Glance {
    pub fn at(
        flags: &Overrides,
        env: &dyn Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Self {
        let env = Environment { look_up: env };
        let text = file.and_then(|path| std::fs::read_to_string(path).ok());
        let table = text.and_then(|text| {
            let text = text.trim_start_matches(BYTE_ORDER_MARK);
            text.parse::<toml::Table>().ok()
        });
        let is_known = file.is_none() || table.is_some();
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        let word = |section: &str, key: &str| {
            let value = table.as_ref()?.get(section)?.get(key)?;
            value.as_str().map(str::to_owned)
        };
        let path = |section, key| word(section, key).map(|path| folder.join(path));
        let format = || {
            let said = env
                .text(FORMAT_VARIABLE)
                .or_else(|| word("log", "format"))?;
            parse_log_format(said.trim()).ok()
        };
        let metrics = || {
            let said = env.path(METRICS_VARIABLE);
            said.or_else(|| path("metrics", "file"))
        };
        let data = || {
            let said = env.path("ORGWATCH_DATA_DIR");
            let said = said.or_else(|| path("store", "data_dir"));
            // A file that cannot be read may name another folder.
            said.or_else(|| is_known.then(|| default_data_dir(&env)))
        };
        Self {
            log_format: flags.log_format.or_else(format).unwrap_or_default(),
            metrics_file: flags.metrics_file.clone().or_else(metrics),
            data_dir: flags.data_dir.clone().or_else(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(vars: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    fn config(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orgwatch.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_glance_sees_what_the_settings_are_by_the_same_precedence() {
        let text = "\u{feff}[store]\ndata_dir = \"d\"\n[log]\nformat = \"json\"\n[metrics]\nfile = \"m.prom\"\n";
        let (dir, path) = config(text);
        let flags = Overrides {
            log_format: Some(LogFormat::Text),
            metrics_file: Some("flag.prom".into()),
            ..Overrides::default()
        };
        let vars = [
            ("ORGWATCH_LOG_FORMAT", "text"),
            ("ORGWATCH_METRICS_FILE", "env.prom"),
            ("ORGWATCH_DATA_DIR", "/env"),
            ("HOME", "/home/o"),
        ];
        for (flags, vars, file) in [
            (Overrides::default(), &vars[3..], Some(path.as_path())),
            (Overrides::default(), &vars[..], Some(&path)),
            (flags, &vars[..], Some(&path)),
            (Overrides::default(), &vars[3..], None),
        ] {
            let env = env(vars);
            let seen = Glance::at(&flags, &env, file);
            let now = "2026-01-31T03:00:00Z".parse().unwrap();
            let settings = super::super::Settings::resolve(flags, &env, file, now).unwrap();
            let operations = &settings.operations;
            assert_eq!(seen.log_format, *operations.log_format);
            assert_eq!(seen.metrics_file, operations.metrics_file.value);
            assert_eq!(seen.data_dir, Some(settings.store.data_dir.value));
        }
        let seen = Glance::at(&Overrides::default(), &env(&[]), Some(&path));
        assert_eq!(seen.metrics_file, Some(dir.path().join("m.prom")));
    }

    #[test]
    fn a_glance_sees_past_a_mistake_and_guesses_no_folder() {
        let (_dir, path) = config("[log]\nformat = \"json\"\n[store]\ndata_dri = \"d\"\n");
        let seen = Glance::at(&Overrides::default(), &env(&[("HOME", "/h")]), Some(&path));
        assert_eq!(seen.log_format, LogFormat::Json);
        let (_dir, path) = config("[log\n");
        let seen = Glance::at(&Overrides::default(), &env(&[("HOME", "/h")]), Some(&path));
        assert_eq!(seen, Glance::default());
    }

    #[test]
    fn an_unknown_format_is_refused_with_the_nearest() {
        let refused = parse_log_format("jsno").unwrap_err().to_string();
        assert!(refused.contains("did you mean `json`"), "{refused}");
    }
}
