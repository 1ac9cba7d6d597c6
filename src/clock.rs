//! The one source of "now": the system's clock, or a fixed time so that a night can be replayed.

use chrono::{DateTime, Utc};

/// Where the time comes from. Copied freely; nothing else in the library asks the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    System,
    Fixed(DateTime<Utc>),
}

impl Clock {
    pub fn now(self) -> DateTime<Utc> {
        match self {
            Clock::System => Utc::now(),
            Clock::Fixed(at) => at,
        }
    }
}
