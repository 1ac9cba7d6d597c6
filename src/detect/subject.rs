//! Who and what a finding is about: the names of its user, and the apps and networks that its
//! evidence tells of, in forms that can be compared.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::catalog::{parse_ip, sf_id18};
use crate::engine::app_name_key;
use crate::lake::FindingRow;

/// Evidence columns that name apps, the one that says most first.
pub(super) const APPS: [&str; 6] = ["app_key", "app_id", "app", "app_name", "apps", "app_ids"];

/// Evidence columns that name networks or addresses.
pub(super) const NETWORKS: [&str; 6] = [
    "network",
    "networks",
    "ip",
    "ips",
    "source_ip",
    "source_ips",
];

/// What a user is called, without regard to case: key, id and username.
pub fn names_of(row: &FindingRow) -> BTreeSet<String> {
    [&row.user_key, &row.user_id, &row.username]
        .into_iter()
        .flatten()
        .map(|name| name.trim().to_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The finding's UTC day: its bucket's, else when it was first seen.
pub fn day_of(row: &FindingRow) -> NaiveDate {
    row.bucket_start.unwrap_or(row.first_seen).date_naive()
}

/// Whom a case is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    User(String),
    /// As [`Evidence::apps`] has it.
    App(String),
    Network(String),
    /// The org itself.
    Nobody,
}

impl Subject {
    /// The user, else the app, else the address or network of which the finding tells, and what
    /// it is called.
    pub fn of(row: &FindingRow) -> (Self, Option<String>) {
        if let Some(key) = row.user_key.as_ref().or(row.user_id.as_ref()) {
            let shown = row.username.as_ref().unwrap_or(key);
            return (Self::User(key.trim().to_owned()), Some(shown.clone()));
        }
        let evidence = Evidence::of(row);
        if let Some(key) = evidence.first(&APPS[..4]) {
            let shown = evidence.first(&["app", "app_name", "app_key", "app_id"]);
            return (Self::App(app_key(key)), shown.map(str::to_owned));
        }
        match evidence.first(&["ip", "source_ip", "network"]) {
            Some(text) => (Self::Network(text.to_lowercase()), Some(text.to_owned())),
            None => (Self::Nobody, None),
        }
    }
}

/// What a rule's other columns said.
pub struct Evidence(Map<String, Value>);

impl Evidence {
    /// Evidence was written by us; of a damaged ledger it is empty.
    pub fn of(row: &FindingRow) -> Self {
        Self(serde_json::from_str(&row.evidence_json).unwrap_or_default())
    }

    /// The texts of these columns; a list is each of its items. The item that only counts what
    /// was cut off is none.
    pub fn texts<'a>(&'a self, columns: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let values = columns.iter().filter_map(|column| self.0.get(*column));
        let items = values.flat_map(|value| match value {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        });
        let texts = items.filter_map(Value::as_str).map(str::trim);
        texts.filter(|text| !text.is_empty() && !is_cut_mark(text))
    }

    /// The first of these columns that is a whole number.
    pub fn number(&self, columns: &[&str]) -> Option<u64> {
        let mut values = columns.iter().filter_map(|column| self.0.get(*column));
        values.find_map(Value::as_u64)
    }

    /// The UTC day of a column with a time.
    pub fn day(&self, column: &str) -> Option<NaiveDate> {
        let at: DateTime<Utc> = self.0.get(column)?.as_str()?.parse().ok()?;
        Some(at.date_naive())
    }

    /// The apps, each as id of 18 characters and as key of the name.
    pub fn apps(&self) -> BTreeSet<String> {
        let forms = self
            .texts(&APPS)
            .flat_map(|text| [Some(app_name_key(text)), sf_id18(text)]);
        forms.flatten().collect()
    }

    /// The networks, single addresses as networks of one.
    pub fn networks(&self) -> Vec<IpNet> {
        self.texts(&NETWORKS).filter_map(network).collect()
    }

    /// The text of the first of these columns that is one; a list is none.
    fn first(&self, columns: &[&str]) -> Option<&str> {
        let texts = columns
            .iter()
            .filter_map(|column| self.0.get(*column)?.as_str());
        texts.map(str::trim).find(|text| !text.is_empty())
    }
}

fn app_key(text: &str) -> String {
    sf_id18(text).unwrap_or_else(|| app_name_key(text))
}

fn network(text: &str) -> Option<IpNet> {
    match parse_ip(text.as_bytes()) {
        Some(ip) => Some(IpNet::from(ip)),
        None => text.parse().ok(),
    }
}

/// `+ 12 more`, as the runner ends a list that it has cut.
fn is_cut_mark(text: &str) -> bool {
    let count = text
        .strip_prefix("+ ")
        .and_then(|t| t.strip_suffix(" more"));
    count.is_some_and(|count| count.bytes().all(|b| b.is_ascii_digit()))
}
