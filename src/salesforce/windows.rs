//! Spans of time that a log is asked for, cut smaller where the org cannot answer in time.

use std::path::{Path, PathBuf};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::{Class, Client, DataSet, Exported, SalesforceError};

/// Longest span of one query.
const LONGEST: TimeDelta = TimeDelta::days(1);
/// A span of this length is not cut any more.
const SHORTEST: TimeDelta = TimeDelta::minutes(10);

/// From `from`, to before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Window {
    fn length(self) -> TimeDelta {
        self.to - self.from
    }

    /// The days that it touches, as far as they are its own.
    fn days(self) -> Vec<Window> {
        let mut days = vec![];
        let mut from = self.from;
        while from < self.to {
            let midnight = from.duration_trunc(LONGEST).unwrap_or(from) + LONGEST;
            let to = midnight.min(self.to);
            days.push(Window { from, to });
            from = to;
        }
        days
    }

    /// Two that adjoin and together are this one. None when it is too short for that.
    fn halves(self) -> Option<[Window; 2]> {
        if self.length() <= SHORTEST {
            return None;
        }
        let middle = self.from + self.length() / 2;
        let middle = middle
            .duration_trunc(TimeDelta::seconds(1))
            .unwrap_or(middle);
        Some([
            Window { to: middle, ..self },
            Window {
                from: middle,
                ..self
            },
        ])
    }

    /// `LoginHistory_20260115T000000Z_20260116T000000Z.csv`.
    fn file_name(self, what: &DataSet) -> String {
        let [from, to] = [self.from, self.to].map(|t| t.format("%Y%m%dT%H%M%SZ"));
        format!("{}_{from}_{to}.csv", what.name)
    }
}

impl Client {
    /// As [`Client::export`], a file for each day of the window at most, and for shorter spans
    /// where the org takes too long, down to 10 minutes. The spans adjoin and together are the
    /// window; they come in the order of time.
    ///
    /// # Errors
    /// As [`Client::export`]. Files that were finished before stay in the folder.
    pub async fn export_windows(
        &self,
        what: &DataSet,
        window: Window,
        folder: &Path,
    ) -> Result<Vec<(PathBuf, Window, Exported)>, SalesforceError> {
        let mut open = window.days();
        open.reverse();
        let mut done = vec![];
        while let Some(span) = open.pop() {
            let path = folder.join(span.file_name(what));
            match self.export(what, Some(span), &path).await {
                Ok(exported) => done.push((path, span, exported)),
                Err(fault) if fault.class() == Class::TooLarge => match span.halves() {
                    Some([first, second]) => open.extend([second, first]),
                    None => return Err(fault),
                },
                Err(fault) => return Err(fault),
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::LOGIN_HISTORY;

    fn window(from: &str, to: &str) -> Window {
        Window {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        }
    }

    fn adjoin(whole: Window, parts: &[Window]) {
        assert_eq!(parts.first().unwrap().from, whole.from);
        assert_eq!(parts.last().unwrap().to, whole.to);
        assert!(parts.windows(2).all(|pair| pair[0].to == pair[1].from));
        assert!(parts.iter().all(|part| part.from < part.to));
    }

    #[test]
    fn days_adjoin_from_the_first_moment_to_the_last() {
        let whole = window("2026-01-14T22:13:00.250Z", "2026-01-17T02:00:00Z");
        let days = whole.days();
        adjoin(whole, &days);
        assert_eq!(days.len(), 4);
        assert_eq!(
            days[1],
            window("2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z")
        );
        assert!(
            window("2026-01-15T00:00:00Z", "2026-01-15T00:00:00Z")
                .days()
                .is_empty()
        );
        assert!(
            window("2026-01-16T00:00:00Z", "2026-01-15T00:00:00Z")
                .days()
                .is_empty()
        );
    }

    #[test]
    fn halves_adjoin_down_to_ten_minutes() {
        let whole = window("2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z");
        let mut parts = vec![whole];
        let mut shortest = whole.length();
        while let Some(at) = parts.iter().position(|part| part.halves().is_some()) {
            let halves = parts[at].halves().unwrap();
            parts.splice(at..=at, halves);
            adjoin(whole, &parts);
            shortest = shortest.min(halves[0].length().min(halves[1].length()));
        }
        assert!(parts.iter().all(|part| part.length() <= SHORTEST));
        assert!(shortest >= SHORTEST / 2);
    }

    #[test]
    fn a_files_name_tells_its_span() {
        assert_eq!(
            window("2026-01-15T00:00:00Z", "2026-01-15T12:30:00Z").file_name(&LOGIN_HISTORY),
            "LoginHistory_20260115T000000Z_20260115T123000Z.csv"
        );
    }
}
