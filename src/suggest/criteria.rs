//! By what an account counts as a machine, and how sure that is.

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::scalar::ScalarValue;

use super::model::Account;
use super::observe::texts;
use crate::engine::Params;

/// Login paths that programs take and people do not.
const MACHINE_PATHS: [&str; 3] = [
    "oauth_client_credentials",
    "oauth_bearer",
    "oauth_token_exchange",
];

/// Days with such logins from which they are a habit.
const MIN_MACHINE_PATH_DAYS: i64 = 3;

/// Days of logs from which behaviour is a habit, too.
const MIN_DAYS_FOR_HIGH: usize = 14;
const MIN_DAYS_FOR_MEDIUM: usize = 3;

/// The thresholds of the rule `unregistered-integration-user`.
#[derive(Debug, Clone, PartialEq)]
pub struct Criteria {
    pub period: TimeDelta,
    pub min_logins: i64,
    pub min_calls: i64,
    pub max_ui_share: f64,
    pub max_ui_day_share: f64,
    pub min_hours_of_day: i64,
    pub min_weekdays: i64,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            period: TimeDelta::days(30),
            min_logins: 50,
            min_calls: 500,
            max_ui_share: 0.05,
            max_ui_day_share: 0.2,
            min_hours_of_day: 18,
            min_weekdays: 6,
        }
    }
}

impl Criteria {
    pub(super) fn bind(&self, params: Params, until: DateTime<Utc>) -> Params {
        let since = until.checked_sub_signed(self.period).unwrap_or(until);
        let int = |n: i64| ScalarValue::Int64(Some(n));
        let float = |x: f64| ScalarValue::Float64(Some(x));
        params
            .with_time("behaviour_since", since)
            .with("min_logins", int(self.min_logins))
            .with("min_calls", int(self.min_calls))
            .with("max_ui_share", float(self.max_ui_share))
            .with("max_ui_day_share", float(self.max_ui_day_share))
            .with("min_hours_of_day", int(self.min_hours_of_day))
            .with("min_weekdays", int(self.min_weekdays))
            .with("min_machine_path_days", int(MIN_MACHINE_PATH_DAYS))
            .with(
                "machine_paths",
                texts(MACHINE_PATHS.map(str::to_owned).into_iter()),
            )
    }
}

/// How sure a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Confidence {
    Low,
    Medium,
    High,
}

impl Confidence {
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// Whether the account is a machine, and the reasons in words. `proven` says whether any address
/// could be proposed.
pub(super) fn confidence(account: &Account, proven: bool) -> (Confidence, String) {
    let marks = account.marks;
    let mut reasons = vec![];
    if marks.integration_licence {
        reasons.push("holds the Salesforce Integration licence".to_owned());
    }
    if marks.api_only {
        reasons.push("is allowed the API only".to_owned());
    }
    if marks.behaviour {
        reasons.push(format!(
            "works at {} hours of the day and on {} weekdays",
            account.hours_of_day, account.weekdays
        ));
    }
    if marks.machine_paths {
        reasons.push("logs in by a path that programs take".to_owned());
    }
    if marks.inferred && reasons.is_empty() {
        reasons.push("was judged to be an integration".to_owned());
    }
    let strong = u8::from(marks.behaviour)
        + u8::from(marks.machine_paths)
        + u8::from(marks.integration_licence || marks.api_only);
    let mut level = match strong {
        0 => Confidence::Low,
        1 if !marks.behaviour => Confidence::Medium,
        _ => Confidence::High,
    };
    if reasons.is_empty() {
        reasons.push("nothing of it looks like a machine".to_owned());
    }
    let mut lower = |to: Confidence, why: String| {
        level = level.min(to);
        reasons.push(why);
    };
    let days = account.days().len();
    let told = crate::words::counted(days, "day");
    if days == 0 {
        lower(Confidence::Low, "the logs have not seen it".to_owned());
    } else if days < MIN_DAYS_FOR_MEDIUM {
        lower(Confidence::Low, format!("but only {told} of it"));
    } else if days < MIN_DAYS_FOR_HIGH {
        lower(Confidence::Medium, format!("but only {told} of it"));
    }
    if account.ui_logins > 0 {
        lower(
            Confidence::Medium,
            "but it was used through the UI".to_owned(),
        );
    }
    if days > 0 && !proven {
        lower(
            Confidence::Low,
            "but none of its addresses came back on another day".to_owned(),
        );
    }
    (level, reasons.join("; "))
}
