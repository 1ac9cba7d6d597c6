//! Suppressions: what the operator has accepted, for whom, under which condition and until when.
//! A suppressed finding is still computed and counted; it is never mailed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde_json::Value;

use super::rows::ResultRow;
use crate::config::{Suppression, UserRef};

/// One `[[suppress]]`, ready to be compared with rows.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    said: Suppression,
    /// Evidence columns and what they must hold. All must match.
    conditions: Vec<(String, Wanted)>,
}

/// What a condition asks of an evidence column.
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    /// The text itself, or a number or truth value as it is written.
    Text(String),
    /// An address or a network inside the network.
    Network(IpNet),
}

impl Wanted {
    /// A text that reads as a network (`203.0.113.0/26`) asks for an address inside it.
    fn read(text: &str) -> Self {
        match text.trim().parse() {
            Ok(network) => Self::Network(network),
            Err(_) => Self::Text(text.trim().to_owned()),
        }
    }

    fn matches(&self, found: &Value) -> bool {
        match (self, found) {
            // A list matches where each of its values does: one accepted value hides no other.
            (_, Value::Array(items)) => {
                !items.is_empty() && items.iter().all(|item| self.matches(item))
            }
            (Self::Network(network), Value::String(text)) => {
                let ip = text.parse::<IpAddr>();
                // A column may hold a network, as `network_of` gives it.
                let inside = || text.parse::<IpNet>().is_ok_and(|n| network.contains(&n));
                ip.is_ok_and(|ip| network.contains(&ip.to_canonical())) || inside()
            }
            (Self::Network(_), _) => false,
            (Self::Text(wanted), Value::String(found)) => same(wanted, found),
            (Self::Text(wanted), Value::Number(found)) => *wanted == found.to_string(),
            (Self::Text(wanted), Value::Bool(found)) => *wanted == found.to_string(),
            (Self::Text(_), _) => false,
        }
    }
}

/// The suppressions in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suppressions(Vec<Entry>);

impl Suppressions {
    pub fn new(entries: &[Suppression]) -> Self {
        let entry = |said: &Suppression| Entry {
            said: said.clone(),
            conditions: said
                .conditions
                .iter()
                .map(|(column, value)| (column.clone(), Wanted::read(value)))
                .collect(),
        };
        Self(entries.iter().map(entry).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id of the first suppression that matches a row of a rule.
    pub fn of(&self, rule_id: &str, row: &ResultRow, now: DateTime<Utc>) -> Option<String> {
        self.0
            .iter()
            .find(|entry| entry.matches(rule_id, row, now))
            .map(|entry| entry.said.id.clone())
    }

    /// Those that have run out, for the run's report.
    pub fn expired(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Suppression> {
        let entries = self.0.iter().map(|entry| &entry.said);
        entries.filter(move |said| !said.is_active(now))
    }
}

impl Entry {
    fn matches(&self, rule_id: &str, row: &ResultRow, now: DateTime<Utc>) -> bool {
        let column = |name: &str| row.evidence.get(name).unwrap_or(&Value::Null);
        self.said.is_active(now)
            && glob_matches(&self.said.rule, rule_id)
            && self
                .said
                .user
                .as_ref()
                .is_none_or(|user| is_user(user, row))
            && self
                .conditions
                .iter()
                .all(|(name, wanted)| wanted.matches(column(name)))
    }
}

fn is_user(wanted: &UserRef, row: &ResultRow) -> bool {
    match wanted {
        UserRef::Id(id) => [&row.user_id, &row.user_key]
            .into_iter()
            .any(|known| known.as_ref() == Some(id)),
        UserRef::Username(name) => [&row.username, &row.user_key]
            .into_iter()
            .flatten()
            .any(|known| same(name, known)),
    }
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// `*` stands for any run of characters.
fn glob_matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        if let Some(middle) = last.replace(piece) {
            let Some(at) = rest.find(middle) else {
                return false;
            };
            rest = &rest[at + middle.len()..];
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::config::{Position, Severity};

    fn row() -> ResultRow {
        let at = "2026-01-15T10:00:00Z".parse().unwrap();
        let mut evidence = Map::new();
        evidence.insert("ip".into(), json!("203.0.113.7"));
        evidence.insert("app".into(), json!("Dataloader"));
        evidence.insert("calls".into(), json!(7));
        evidence.insert("fail_closed".into(), json!(true));
        evidence.insert("ips".into(), json!(["203.0.113.7", "192.0.2.66"]));
        ResultRow {
            occurred_at: at,
            last_at: at,
            user_key: Some("005000000000001AAA".into()),
            user_id: Some("005000000000001AAA".into()),
            username: Some("int_erp@example.com".into()),
            user_kind: None,
            severity: Severity::High,
            count: 1,
            expected: String::new(),
            observed: String::new(),
            dedupe: vec![],
            evidence,
        }
    }

    fn entry(rule: &str, user: Option<&str>, conditions: &[(&str, &str)]) -> Suppression {
        Suppression {
            id: "suppress-1".into(),
            rule: rule.into(),
            user: user.map(|user| user.parse().unwrap()),
            conditions: conditions
                .iter()
                .map(|(column, wanted)| ((*column).to_owned(), (*wanted).to_owned()))
                .collect(),
            reason: "r".into(),
            owner: "o".into(),
            until: "2026-02-01T00:00:00Z".parse().unwrap(),
            at: Position { line: 1, column: 1 },
        }
    }

    fn hits(entry: Suppression) -> bool {
        let now = "2026-01-20T00:00:00Z".parse().unwrap();
        let all = Suppressions::new(&[entry]);
        all.of("integration-ui-login", &row(), now).is_some()
    }

    #[test]
    fn rules_match_by_id_or_pattern() {
        for rule in [
            "integration-ui-login",
            "*",
            "integration-*",
            "*-ui-*",
            "*login",
        ] {
            assert!(hits(entry(rule, None, &[])), "{rule}");
        }
        for rule in [
            "integration-ui",
            "ui-login",
            "*-ui",
            "guest-*",
            "",
            "login*",
        ] {
            assert!(!hits(entry(rule, None, &[])), "{rule}");
        }
    }

    #[test]
    fn users_match_by_name_or_by_id_in_15_or_18_characters() {
        for user in [
            "INT_ERP@example.com",
            "005000000000001",
            "005000000000001AAA",
        ] {
            assert!(hits(entry("*", Some(user), &[])), "{user}");
        }
        for user in ["other@example.com", "005000000000002"] {
            assert!(!hits(entry("*", Some(user), &[])), "{user}");
        }
    }

    #[test]
    fn conditions_match_values_and_networks_and_all_must_hold() {
        let yes: [&[(&str, &str)]; 4] = [
            &[("ip", "203.0.113.0/26")],
            &[("ip", "203.0.113.7"), ("app", "dataloader")],
            &[("calls", "7")],
            &[("fail_closed", "true")],
        ];
        for conditions in yes {
            assert!(hits(entry("*", None, conditions)), "{conditions:?}");
        }
        let no: [&[(&str, &str)]; 5] = [
            &[("ip", "203.0.113.64/26")],
            &[("ip", "203.0.113.7"), ("app", "other")],
            &[("no_such_column", "x")],
            &[("app", "203.0.113.0/26")],
            &[("fail_closed", "false")],
        ];
        for conditions in no {
            assert!(!hits(entry("*", None, conditions)), "{conditions:?}");
        }
    }

    #[test]
    fn one_accepted_value_of_a_list_does_not_hide_the_others() {
        assert!(!hits(entry("*", None, &[("ips", "203.0.113.0/26")])));
        assert!(hits(entry("*", None, &[("ips", "0.0.0.0/0")])));
    }

    #[test]
    fn a_suppression_that_has_run_out_no_longer_counts() {
        let all = Suppressions::new(&[entry("*", None, &[])]);
        let end = "2026-02-01T00:00:00Z".parse().unwrap();
        assert_eq!(all.of("x", &row(), end), None);
        assert_eq!(all.expired(end).count(), 1);
    }
}
