//! What a lake holds, in numbers.

use super::Lake;
use super::error::Result;
use super::ledger::EventTypeInfo;

/// What a lake holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeInfo {
    /// By name; rollups (`rollup_…`) among them.
    pub event_types: Vec<EventTypeInfo>,
    /// Input files with an account, rejected ones included.
    pub files: u64,
    pub runs: u64,
}

impl Lake {
    /// Days, parts, rows, bytes and times of each event type.
    pub fn info(&self) -> Result<LakeInfo> {
        Ok(LakeInfo {
            event_types: self.ledger.event_types_info()?,
            files: self.ledger.check_accounts()?.0,
            runs: self.ledger.runs()?.len() as u64,
        })
    }
}
