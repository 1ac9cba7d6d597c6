//! Reports: what the lake and its ledger tell, in forms that leave the program.

mod attack;
mod exported;
pub mod html;
pub mod ocsf;
pub mod sarif;

pub use exported::{Deviation, ExportContext, Exported};
