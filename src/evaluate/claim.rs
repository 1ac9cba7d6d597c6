//! What was told, in a form that can be held against a label: of whom, of when.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use ipnet::IpNet;

use super::labels::Label;
use crate::catalog::{parse_ip, sf_id18};
use crate::config::{Family, Severity};
use crate::detect::{Evidence, Subject, day_of, names_of};
use crate::engine::{app_name_key, network_around};
use crate::lake::FindingRow;
use crate::registry::Registry;

/// Whom a label or a finding is about, in comparable forms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Ids and usernames, in lower case.
    pub names: BTreeSet<String>,
    /// Ids of 18 characters and keys of names.
    pub apps: BTreeSet<String>,
    pub networks: Vec<IpNet>,
}

impl About {
    pub fn of_label(label: &Label) -> Self {
        let names = [&label.user_id, &label.username].into_iter().flatten();
        let ip = label.ip.as_deref().and_then(|ip| parse_ip(ip.as_bytes()));
        Self {
            names: names.map(|name| name.to_lowercase()).collect(),
            apps: label.app.as_deref().map(app_name_key).into_iter().collect(),
            networks: ip.map(network_around).into_iter().collect(),
        }
    }

    /// Whether they have a user, an app or a network in common.
    pub fn agrees(&self, label: &About) -> bool {
        if !self.names.is_empty() && !label.names.is_empty() {
            return !self.names.is_disjoint(&label.names);
        }
        !self.apps.is_disjoint(&label.apps) || self.shares_network(label)
    }

    fn shares_network(&self, label: &About) -> bool {
        let overlap = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
        let mut pairs = self
            .networks
            .iter()
            .flat_map(|a| label.networks.iter().map(move |b| (a, b)));
        pairs.any(|(a, b)| overlap(a, b))
    }
}

/// The names of apps by their ids, as the registry has them: some evidence has only the id.
pub struct AppNames(BTreeMap<String, BTreeSet<String>>);

impl AppNames {
    pub fn of(registry: &Registry) -> Self {
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let declared = registry.users.iter().flat_map(|user| &user.apps);
        let declared = declared.map(|app| (&app.value.id, app.value.name.as_ref()));
        let org = registry.apps.iter().map(|app| (&app.id, Some(&app.name)));
        for (id, name) in declared.chain(org) {
            if let (Some(id), Some(name)) = (id, name) {
                let id = sf_id18(id).unwrap_or_else(|| id.clone());
                names.entry(id).or_default().insert(app_name_key(name));
            }
        }
        Self(names)
    }

    fn complete(&self, apps: &mut BTreeSet<String>) {
        let known: Vec<_> = apps.iter().filter_map(|id| self.0.get(id)).collect();
        let names: Vec<String> = known.into_iter().flatten().cloned().collect();
        apps.extend(names);
    }
}

/// A finding, as far as it matters here.
#[derive(Debug, Clone)]
pub struct Claim {
    pub id: String,
    pub rule: String,
    pub family: Option<Family>,
    pub severity: Severity,
    pub about: About,
    /// `user`, `app`, `network` or `org`.
    pub subject_kind: &'static str,
    pub subject: Option<String>,
    /// The night to which it counts.
    pub day: NaiveDate,
    /// The night by whose logs it can be told at the latest.
    pub told: NaiveDate,
    /// First and last event; of a bucket, its day at least.
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// The finding under which an alert counts it.
    pub gathered_by: Option<String>,
}

impl Claim {
    pub fn of(row: &FindingRow, apps: &AppNames) -> Self {
        let evidence = Evidence::of(row);
        let mut about = About {
            names: names_of(row),
            apps: evidence.apps(),
            networks: evidence.networks(),
        };
        apps.complete(&mut about.apps);
        let (subject, shown) = Subject::of(row);
        let subject_kind = match subject {
            Subject::User(_) => "user",
            Subject::App(_) => "app",
            Subject::Network(_) => "network",
            Subject::Nobody => "org",
        };
        let day = day_of(row);
        let begin = row.bucket_start.unwrap_or(row.first_seen);
        let told = match row.bucket_start {
            Some(_) => row.last_seen.date_naive().max(day),
            // A standing condition is told when it begins, however long it stands.
            None => row.first_seen.date_naive(),
        };
        Self {
            id: row.finding_id.clone(),
            rule: row.rule_id.clone(),
            family: row.family,
            severity: row.severity,
            about,
            subject_kind,
            subject: shown,
            day,
            told,
            from: begin.min(row.first_seen),
            to: row.last_seen,
            gathered_by: row.correlation.gathered_by.clone(),
        }
    }

    /// Whether it may be about the label's subject: they agree, or the label is of a wave that
    /// strikes many users from anywhere, or there is nothing to compare. What names a user, or is
    /// about an app or a network, is about that and nothing else.
    pub fn concerns(&self, label: &About) -> bool {
        let is_wave = label.names.is_empty() && label.apps.is_empty();
        if self.about.agrees(label) || is_wave {
            return true;
        }
        match self.subject_kind {
            "app" => label.apps.is_empty(),
            "network" => label.networks.is_empty(),
            _ => self.about.names.is_empty(),
        }
    }

    /// Whether its events overlap those days.
    pub fn overlaps(&self, days: &Span) -> bool {
        self.from < days.end() && self.to >= days.begin()
    }
}

/// Whole UTC days, the first and the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

impl Span {
    /// The days of a label, and one more: rules that judge whole days, and those that look back a
    /// day, tell on the day after.
    pub fn of(label: &Label) -> Self {
        let last = label.last_at.date_naive();
        Self {
            first: label.first_at.date_naive(),
            last: last.checked_add_days(Days::new(1)).unwrap_or(last),
        }
    }

    pub fn holds(&self, day: NaiveDate) -> bool {
        (self.first..=self.last).contains(&day)
    }

    fn begin(&self) -> DateTime<Utc> {
        self.first.and_time(NaiveTime::MIN).and_utc()
    }

    /// The first moment after it.
    fn end(&self) -> DateTime<Utc> {
        let after = self.last.checked_add_days(Days::new(1));
        after
            .unwrap_or(self.last)
            .and_time(NaiveTime::MIN)
            .and_utc()
    }
}
