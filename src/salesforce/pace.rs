//! Time and waiting, handed in so that a test needs none.

use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::clock::Clock;

/// Time and waiting, so that tests need none.
pub trait Pace: Send + Sync + Debug {
    fn now(&self) -> DateTime<Utc>;
    /// Time since some moment before, which no correction of the clock moves.
    fn elapsed(&self) -> Duration;
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// A random part of it.
    fn jitter(&self, most: Duration) -> Duration;
}

/// Really waits. The time is that of the program, so that a night can be replayed.
#[derive(Debug, Clone, Copy)]
pub struct RealPace {
    clock: Clock,
    begun: Instant,
}

impl RealPace {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            begun: Instant::now(),
        }
    }
}

impl Pace for RealPace {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }

    fn jitter(&self, most: Duration) -> Duration {
        // 53 bits are what a float holds.
        let part = (random() >> 11) as f64 / (1u64 << 53) as f64;
        most.mul_f64(part)
    }
}

/// Not fit for secrets: the standard library's own randomness, which it keeps for hash tables.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
