//! What the logs and the roster show of an org's machines: a registry proposed from it, and a
//! declared registry held against it.

mod apps;
mod compare;
mod criteria;
mod entry;
mod model;
mod networks;
mod observe;
mod rhythm;
mod rows;
mod toml_text;
mod trust;
mod write;

#[cfg(test)]
mod compare_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use compare::differences;
pub use criteria::Criteria;
pub use model::{Account, Days, InRoster, Reality};
pub use observe::{Question, observe};
pub use write::{Proposal, Style, propose};

use crate::engine::EngineError;
use crate::registry::RegistryError;

/// Why the lake could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum SuggestError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("an answer about the machines could not be read")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("an answer about the machines lacks the column `{name}`")]
    Column { name: String },
    #[error("what was proposed would not be read back; please report this")]
    Unreadable(#[from] RegistryError),
}
