//! The fake's time. It moves only when a test (or a client that "sleeps" on it) moves it, so that
//! an hour of back-off takes no time and every answer is the same in every run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// What the clock says at the start of each scenario.
pub const START: &str = "2026-01-31T03:00:00Z";

/// One clock, shared by all its clones.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    now: DateTime<Utc>,
    slept: Vec<Duration>,
}

impl Clock {
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(Hands {
            now,
            slept: Vec::new(),
        })))
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.hands().now
    }

    pub fn set(&self, now: DateTime<Utc>) {
        self.hands().now = now;
    }

    pub fn advance(&self, time: TimeDelta) {
        self.hands().now += time;
    }

    /// Time passes at once, and is remembered: for a client's waits.
    pub fn sleep(&self, time: Duration) {
        let mut hands = self.hands();
        hands.now += TimeDelta::from_std(time).expect("a wait of less than an age");
        hands.slept.push(time);
    }

    /// All waits so far, in their order.
    pub fn slept(&self) -> Vec<Duration> {
        self.hands().slept.clone()
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time in a test's own words: `time("2026-01-31T03:00:00Z")`.
pub fn time(text: &str) -> DateTime<Utc> {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no time"))
}

/// As the REST API writes times: `2026-06-30T01:00:00.000+0000`.
pub fn rest_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
        .replace('Z', "+0000")
}

/// As the `Date` header has it.
pub fn http_time(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}
