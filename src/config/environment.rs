//! Settings from environment variables `ORGWATCH_*`. An empty variable counts as not set.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::settings::ConfigError;
use super::value::{BadValue, quoted};

/// The configuration file to use: the flag's, else ORGWATCH_CONFIG's, else `orgwatch.toml` in
/// the working directory if there is one.
pub fn find_file(flag: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let here = Path::new("orgwatch.toml");
    flag.map(Path::to_owned)
        .or_else(|| Environment { look_up: env }.path("ORGWATCH_CONFIG"))
        .or_else(|| here.is_file().then(|| here.to_owned()))
}

/// The environment, looked up through a function so that a test brings its own.
pub(super) struct Environment<'a> {
    pub look_up: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.look_up)(name).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// Paths separated as in PATH.
    pub(super) fn paths(&self, name: &str) -> Option<Vec<PathBuf>> {
        let text = self.text(name)?;
        Some(
            std::env::split_paths(&text)
                .filter(|path| !path.as_os_str().is_empty())
                .collect(),
        )
    }

    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, BadValue>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(text.trim())
            .map(Some)
            .map_err(|bad| ConfigError::Environment { name, bad })
    }

    pub(super) fn number(
        &self,
        name: &'static str,
        allowed: RangeInclusive<u32>,
    ) -> Result<Option<u32>, ConfigError> {
        self.parsed(name, |text| {
            text.parse()
                .ok()
                .filter(|n| allowed.contains(n))
                .ok_or_else(|| {
                    let (low, high) = (allowed.start(), allowed.end());
                    let message = format!("{} is no whole number in range", quoted(text));
                    BadValue::new(message, format!("give one between {low} and {high}"))
                })
        })
    }
}

pub(super) fn parse_boolean(text: &str) -> Result<bool, BadValue> {
    let bad = |_| BadValue::new("neither true nor false", "write true or false");
    text.parse().map_err(bad)
}

pub(super) fn parse_ratio(text: &str) -> Result<f64, BadValue> {
    let ratio = text
        .parse()
        .ok()
        .filter(|ratio: &f64| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| BadValue::new("no share between 0 and 1", "write one as in 0.01"))
}
