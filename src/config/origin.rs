//! Where a setting's value comes from.

use std::fmt;
use std::ops::Deref;

use super::fault::Position;

/// Where a value was given. The first that gives one wins, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line; the flag's name with its dashes.
    Flag(&'static str),
    /// An environment variable.
    Env(&'static str),
    /// The configuration file.
    File(Position),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "{name} on the command line"),
            Origin::Env(name) => write!(f, "environment variable {name}"),
            Origin::File(at) => write!(f, "configuration file, line {}", at.line),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and its origin. Reads as the value.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting<T> {
    pub value: T,
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// The first given of flag, environment and file, else the default.
    pub(super) fn first_of(
        flag: (&'static str, Option<T>),
        env: (&'static str, Option<T>),
        file: Option<(T, Position)>,
        default: impl FnOnce() -> T,
    ) -> Self {
        if let Some(value) = flag.1 {
            Self {
                value,
                origin: Origin::Flag(flag.0),
            }
        } else if let Some(value) = env.1 {
            Self {
                value,
                origin: Origin::Env(env.0),
            }
        } else if let Some((value, at)) = file {
            Self {
                value,
                origin: Origin::File(at),
            }
        } else {
            Self {
                value: default(),
                origin: Origin::Default,
            }
        }
    }

    /// The file's value, else the default: for settings that only the file has.
    pub(super) fn from_file(file: Option<(T, Position)>, default: impl FnOnce() -> T) -> Self {
        Self::first_of(("", None), ("", None), file, default)
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
