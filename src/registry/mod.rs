//! What the operator declares about each machine user: role, system, owner, and the networks,
//! apps and login paths it may use, each with the time for which it holds.

mod aggregate;
mod check;
mod columns;
mod duplicates;
mod model;
mod networks;
mod org_tables;
mod parse;
mod resolution;
mod schedule;
mod tables;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod working_tests;

use std::path::{Path, PathBuf};

use crate::config::{Document, Fault};

pub use aggregate::{Bounds, Standing, aggregate};
pub use check::{Problem, ProblemKind};
pub use model::{
    AllowedApp, Declared, LOGIN_PATHS, OPEN_FROM, OPEN_TO, OrgApp, OrgDeclared, RegistryUser, Role,
    Validity, Window, WindowKind,
};
pub use networks::Networks;
pub use resolution::Resolution;
pub use schedule::{Cadence, Hours};

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(
        "cannot read the registry `{path}`: {source}\nhint: check --registry or [registry] file"
    )]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The content of `registry.toml`, valid as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Registry {
    pub users: Vec<RegistryUser>,
    pub apps: Vec<OrgApp>,
    pub windows: Vec<Window>,
    pub org: OrgDeclared,
}

impl Registry {
    /// A registry that declares nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads `registry.toml`.
    pub fn load(path: &Path) -> Result<Self, RegistryError> {
        let unreadable = |source| RegistryError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let doc = Document::read(path).map_err(unreadable)??;
        Ok(parse::registry(&doc)?)
    }

    /// Reads the text of a registry; messages call it `name`.
    pub fn parse(text: &str, name: &str) -> Result<Self, RegistryError> {
        Ok(parse::registry(&Document::new(name, text))?)
    }
}
