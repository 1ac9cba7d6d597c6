//! The one source of "now": the system's clock, or a fixed time so that a night can be replayed;
//! and the spans of time for which something holds.

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

/// 0001-01-01T00:00:00Z in milliseconds: begin of what has no begin.
pub const OPEN_FROM: i64 = -62_135_596_800_000;
/// 9999-12-31T00:00:00Z in milliseconds: end of what has no end.
pub const OPEN_TO: i64 = 253_402_214_400_000;

/// Half-open span of time in milliseconds UTC. Open ends are [`OPEN_FROM`] and [`OPEN_TO`], so
/// that `at >= from AND at < to` holds without a case for NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Validity {
    pub const ALWAYS: Validity = Validity {
        from_ms: OPEN_FROM,
        to_ms: OPEN_TO,
    };

    pub fn contains(&self, at_ms: i64) -> bool {
        self.from_ms <= at_ms && at_ms < self.to_ms
    }

    /// The time that both share, if any.
    pub fn intersection(&self, other: &Validity) -> Option<Validity> {
        let from_ms = self.from_ms.max(other.from_ms);
        let to_ms = self.to_ms.min(other.to_ms);
        (from_ms < to_ms).then_some(Validity { from_ms, to_ms })
    }

    /// What is left of this span outside of `other`.
    pub fn without(&self, other: &Validity) -> Vec<Validity> {
        let before = Validity {
            to_ms: self.to_ms.min(other.from_ms),
            ..*self
        };
        let after = Validity {
            from_ms: self.from_ms.max(other.to_ms),
            ..*self
        };
        [before, after]
            .into_iter()
            .filter(|span| span.from_ms < span.to_ms)
            .collect()
    }
}
