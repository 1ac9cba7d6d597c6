//! Settings with their origin.

mod severity;

pub use severity::Severity;
