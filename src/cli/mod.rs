//! The command line.
mod exit;
pub mod output;
mod terminal;
