//! The app-wide bursts, and whose findings they gather.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use ipnet::IpNet;

use super::takes_part;
use crate::config::Family;
use crate::detect::subject::{Evidence, day_of, names_of};
use crate::lake::{Finding, FindingRow};

/// The rule that tells of a burst. Its evidence names the app (`app_key`, `app` …), the network
/// (`network` …), the first so many users (`users` …) and their number (`user_count`), and when
/// their use of it began and ended (`span_from`, `span_to`).
pub const GATHERING_RULE: &str = "app-token-burst-new-ip";

const USERS: [&str; 5] = ["users", "usernames", "user_names", "user_keys", "user_ids"];
const USER_COUNTS: [&str; 4] = ["user_count", "users_count", "users", "distinct_users"];

/// For how long after its last event a burst gathers: it is told once, on the day on which there
/// were enough users, and goes on for days.
const AFTERMATH: Days = Days::new(7);

pub(super) struct Bursts<'a>(Vec<Burst<'a>>);

struct Burst<'a> {
    row: &'a FindingRow,
    /// UTC days from its first event to the end of its aftermath.
    days: (NaiveDate, NaiveDate),
    apps: BTreeSet<String>,
    networks: Vec<IpNet>,
    /// In lower case.
    users: BTreeSet<String>,
    /// More users than are named.
    names_some: bool,
}

impl<'a> Bursts<'a> {
    pub fn of(findings: &'a [Finding]) -> Self {
        let bursts = findings
            .iter()
            .filter(|finding| finding.row.rule_id == GATHERING_RULE && takes_part(finding));
        let mut bursts: Vec<_> = bursts.map(|finding| Burst::of(&finding.row)).collect();
        bursts.sort_by_key(|burst| (burst.row.first_seen, &burst.row.finding_id));
        Self(bursts)
    }

    /// The burst that gathers the finding: of several the gravest, then one of the finding's own
    /// day, then the earliest.
    pub fn gatherer_of(&self, finding: &Finding) -> Option<&'a FindingRow> {
        let row = &finding.row;
        let is_single = row.user_key.is_some()
            && row.rule_id != GATHERING_RULE
            // A standing condition is no event of the burst.
            && row.bucket_start.is_some()
            && matches!(
                row.family,
                Some(Family::Misuse | Family::Attack | Family::Behaviour)
            );
        if self.0.is_empty() || !is_single || !takes_part(finding) {
            return None;
        }
        let (first, last) = days_of(row);
        let mut near = self
            .0
            .iter()
            .filter(|b| first <= b.days.1 && b.days.0 <= last)
            .peekable();
        near.peek()?;
        let evidence = Evidence::of(row);
        let (apps, networks, names) = (evidence.apps(), evidence.networks(), names_of(row));
        let gatherers = near.filter(|burst| {
            !burst.apps.is_disjoint(&apps) || (burst.names(&names) && burst.reaches(&networks))
        });
        let day = day_of(row);
        let gatherer = gatherers
            .min_by_key(|burst| (Reverse(burst.row.own_severity()), day_of(burst.row) != day))?;
        Some(gatherer.row)
    }
}

impl<'a> Burst<'a> {
    fn of(row: &'a FindingRow) -> Self {
        let evidence = Evidence::of(row);
        let lists = USERS.map(|column| evidence.texts(&[column]).count());
        let named = lists.into_iter().max().unwrap_or(0) as u64;
        let (first, last) = days_of(row);
        let first = evidence
            .day("span_from")
            .map_or(first, |day| day.min(first));
        let last = evidence.day("span_to").map_or(last, |day| day.max(last));
        Self {
            row,
            days: (first, last.checked_add_days(AFTERMATH).unwrap_or(last)),
            apps: evidence.apps(),
            networks: evidence.networks(),
            users: evidence.texts(&USERS).map(str::to_lowercase).collect(),
            names_some: evidence.number(&USER_COUNTS).is_some_and(|all| all > named),
        }
    }

    /// Whether the user is among those named, or may be among those that are not.
    fn names(&self, names: &BTreeSet<String>) -> bool {
        self.names_some || !self.users.is_disjoint(names)
    }

    fn reaches(&self, networks: &[IpNet]) -> bool {
        let own = &self.networks;
        networks
            .iter()
            .any(|net| own.iter().any(|own| own.contains(net)))
    }
}

fn days_of(row: &FindingRow) -> (NaiveDate, NaiveDate) {
    let first = day_of(row).min(row.first_seen.date_naive());
    (first, row.last_seen.date_naive().max(first))
}
