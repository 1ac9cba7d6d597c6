//! When to ask again: exponential back-off with full jitter, or as long as the server wishes.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Pace, Retry, SalesforceError};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Longest wish of a server that is granted.
const LONGEST_WISH: Duration = Duration::from_secs(300);
/// Between two requests where too many run at one time, and how often.
const CROWDED_WAIT: Duration = Duration::from_secs(30);
const CROWDED_SPREAD: Duration = Duration::from_secs(90);
const CROWDED_MOST: u32 = 3;

impl Retry {
    /// How long to wait before attempt `tried + 1`, where `tried` counts repetitions so far; None
    /// where it was the last.
    pub(super) fn wait(self, tried: u32, pace: &dyn Pace) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::Backoff { most } => (tried < most).then(|| {
                let factor = 1u32.checked_shl(tried).unwrap_or(u32::MAX);
                pace.jitter(FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT))
            }),
            Self::After { most, wait } => (tried < most).then(|| wait.min(LONGEST_WISH)),
            Self::Crowded => {
                (tried < CROWDED_MOST).then(|| CROWDED_WAIT + pace.jitter(CROWDED_SPREAD))
            }
        }
    }

    /// The same with a server's wish, where it has one.
    pub(super) fn wishing(self, wish: Option<Duration>) -> Self {
        match (self, wish) {
            (Self::Backoff { most }, Some(wait)) => Self::After { most, wait },
            (other, _) => other,
        }
    }
}

/// Runs an attempt until it succeeds, or the table of [`SalesforceError::retry`] allows no more.
pub(super) async fn retrying<T>(
    pace: &dyn Pace,
    mut attempt: impl AsyncFnMut() -> Result<T, SalesforceError>,
) -> Result<T, SalesforceError> {
    let mut tried = 0;
    loop {
        let error = match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(wait) = error.retry().wait(tried, pace) else {
            return Err(error);
        };
        tried += 1;
        tracing::debug!(seconds = wait.as_secs_f64(), tried, "asking again: {error}");
        pace.sleep(wait).await;
    }
}

/// The wish of a `Retry-After` header: seconds, or a date. None for anything else.
pub(super) fn wish(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = header.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    // In the past: at once.
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Mutex;

    use super::*;
    use crate::salesforce::Class;

    /// Waits no time, and jitters to the most.
    #[derive(Debug, Default)]
    struct NoWait(Mutex<Vec<u64>>);

    impl Pace for NoWait {
        fn now(&self) -> DateTime<Utc> {
            "2026-01-31T03:00:00Z".parse().unwrap()
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            self.0.lock().unwrap().push(time.as_secs());
            Box::pin(std::future::ready(()))
        }

        fn jitter(&self, most: Duration) -> Duration {
            most
        }
    }

    fn error(retry: Retry) -> SalesforceError {
        SalesforceError::Refused {
            class: Class::Passing,
            status: 503,
            what: "503".to_owned(),
            code: None,
            fix: "".into(),
            retry,
        }
    }

    /// Seconds waited, and whether there was an answer, where so many attempts fail.
    async fn waits(retry: Retry, failures: u32) -> (Vec<u64>, bool) {
        let pace = NoWait::default();
        let mut left = failures;
        let result = retrying(&pace, async || {
            if left == 0 {
                return Ok(());
            }
            left -= 1;
            Err(error(retry))
        });
        let is_ok = result.await.is_ok();
        (pace.0.into_inner().unwrap(), is_ok)
    }

    #[tokio::test]
    async fn waits_double_up_to_a_minute_and_end_after_as_many_as_the_table_allows() {
        let most = 8;
        let (waited, is_ok) = waits(Retry::Backoff { most }, 9).await;
        assert_eq!(waited, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!is_ok);
        let (waited, is_ok) = waits(Retry::Backoff { most: 5 }, 2).await;
        assert_eq!((waited, is_ok), (vec![1, 2], true));
        assert_eq!(waits(Retry::Never, 1).await, (vec![], false));
    }

    #[tokio::test]
    async fn a_crowd_is_waited_for_three_times_and_a_wish_granted_up_to_five_minutes() {
        assert_eq!(waits(Retry::Crowded, 9).await.0, [120, 120, 120]);
        let wait = Duration::from_secs(3600);
        let wished = Retry::Backoff { most: 2 }.wishing(Some(wait));
        assert_eq!(waits(wished, 9).await.0, [300, 300]);
    }

    #[test]
    fn a_wish_is_seconds_or_a_date_and_nothing_else() {
        let now = "2026-01-31T03:00:00Z".parse().unwrap();
        let seconds = |text: &str| wish(text, now).map(|wish| wish.as_secs());
        assert_eq!(seconds(" 2 "), Some(2));
        assert_eq!(seconds("3600"), Some(3600));
        assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(seconds("Sat, 31 Jan 2026 03:00:30 GMT"), Some(30));
        assert_eq!(seconds("Sat, 31 Jan 2026 02:00:00 GMT"), Some(0));
        for nonsense in ["-1", "1.5", "soon", "", "\u{661}"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn the_real_pace_jitters_within_the_most() {
        let most = Duration::from_secs(10);
        let parts: Vec<Duration> = (0..64)
            .map(|_| crate::salesforce::RealPace::new(crate::clock::Clock::System).jitter(most))
            .collect();
        assert!(parts.iter().all(|part| *part <= most));
        assert!(parts.iter().any(|part| *part != parts[0]));
    }
}
