//! Suppressions: what the operator has accepted, for whom, under which condition and until when.
//! A suppressed finding is still computed and counted; it is never mailed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde_json::Value;

use super::rows::ResultRow;
use crate::catalog::sf_id18;

/// One `[[suppress]]` of the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Suppression {
    /// How findings and messages name it.
    pub label: String,
    /// Rule id, or a pattern with `*`.
    pub rule: String,
    /// Username or id of 15 or 18 characters; none means everyone.
    pub user: Option<String>,
    /// Evidence columns and the values that they must have. All must match.
    pub conditions: Vec<(String, Wanted)>,
    /// From then on it no longer counts.
    pub until: Option<DateTime<Utc>>,
}

/// What a condition asks of an evidence column.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The text, number or truth value itself; texts without regard to case.
    Value(Value),
    /// An address inside the network.
    Network(IpNet),
}

impl Wanted {
    /// A text that reads as a network (`203.0.113.0/26`) asks for an address inside it.
    pub fn text(text: &str) -> Self {
        match text.trim().parse() {
            Ok(network) => Self::Network(network),
            Err(_) => Self::Value(Value::String(text.trim().to_owned())),
        }
    }

    fn matches(&self, found: &Value) -> bool {
        match (self, found) {
            // A list matches where each of its values does: one accepted value hides no other.
            (_, Value::Array(items)) => {
                !items.is_empty() && items.iter().all(|item| self.matches(item))
            }
            (Self::Network(network), Value::String(text)) => text
                .parse::<IpAddr>()
                .is_ok_and(|ip| network.contains(&ip.to_canonical())),
            (Self::Network(_), _) => false,
            (Self::Value(Value::String(wanted)), Value::String(found)) => same(wanted, found),
            // `where = { ip = "192.0.2.1" }` and `{ calls = "7" }` are both written as texts.
            (Self::Value(Value::String(wanted)), Value::Number(found)) => {
                *wanted == found.to_string()
            }
            (Self::Value(wanted), found) => wanted == found,
        }
    }
}

/// The suppressions in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Suppressions(Vec<Suppression>);

impl Suppressions {
    pub fn new(entries: Vec<Suppression>) -> Self {
        Self(entries)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The label of the first suppression that matches a row of a rule.
    pub fn of(&self, rule_id: &str, row: &ResultRow, now: DateTime<Utc>) -> Option<String> {
        self.0
            .iter()
            .find(|entry| entry.matches(rule_id, row, now))
            .map(|entry| entry.label.clone())
    }

    /// Those that have run out, for the run's report.
    pub fn expired(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Suppression> {
        self.0.iter().filter(move |entry| entry.is_over(now))
    }
}

impl Suppression {
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn matches(&self, rule_id: &str, row: &ResultRow, now: DateTime<Utc>) -> bool {
        !self.is_over(now)
            && glob_matches(&self.rule, rule_id)
            && self.user.as_deref().is_none_or(|user| is_user(user, row))
            && self
                .conditions
                .iter()
                .all(|(column, wanted)| wanted.matches(row.evidence.get(column).unwrap_or(&Value::Null)))
    }
}

fn is_user(wanted: &str, row: &ResultRow) -> bool {
    let id = sf_id18(wanted);
    let keys = [&row.user_id, &row.user_key];
    let by_id = id.is_some() && keys.into_iter().any(|key| *key == id);
    let names = [&row.username, &row.user_key];
    by_id || names.into_iter().flatten().any(|name| same(wanted, name))
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
    use crate::config::Severity;

    fn row() -> ResultRow {
        let at = "2026-01-15T10:00:00Z".parse().unwrap();
        let mut evidence = Map::new();
        evidence.insert("ip".into(), json!("203.0.113.7"));
        evidence.insert("app".into(), json!("Dataloader"));
        evidence.insert("calls".into(), json!(7));
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

    fn entry(rule: &str, user: Option<&str>, conditions: &[(&str, Wanted)]) -> Suppression {
        Suppression {
            label: "CHG-1".into(),
            rule: rule.into(),
            user: user.map(str::to_owned),
            conditions: conditions
                .iter()
                .map(|(column, wanted)| ((*column).to_owned(), wanted.clone()))
                .collect(),
            until: Some("2026-02-01T00:00:00Z".parse().unwrap()),
        }
    }

    fn hits(entry: Suppression) -> bool {
        let now = "2026-01-20T00:00:00Z".parse().unwrap();
        let all = Suppressions::new(vec![entry]);
        all.of("integration-ui-login", &row(), now).is_some()
    }

    #[test]
    fn rules_match_by_id_or_pattern() {
        for rule in ["integration-ui-login", "*", "integration-*", "*-ui-*", "*login"] {
            assert!(hits(entry(rule, None, &[])), "{rule}");
        }
        for rule in ["integration-ui", "ui-login", "*-ui", "guest-*", "", "login*"] {
            assert!(!hits(entry(rule, None, &[])), "{rule}");
        }
    }

    #[test]
    fn users_match_by_name_or_by_id_in_15_or_18_characters() {
        for user in ["INT_ERP@example.com", "005000000000001", "005000000000001AAA"] {
            assert!(hits(entry("*", Some(user), &[])), "{user}");
        }
        for user in ["other@example.com", "005000000000002", "int_erp"] {
            assert!(!hits(entry("*", Some(user), &[])), "{user}");
        }
    }

    #[test]
    fn conditions_match_values_and_networks_and_all_must_hold() {
        let yes: [&[(&str, Wanted)]; 4] = [
            &[("ip", Wanted::text("203.0.113.0/26"))],
            &[("ip", Wanted::text("203.0.113.7")), ("app", Wanted::text("dataloader"))],
            &[("calls", Wanted::Value(json!(7)))],
            &[("calls", Wanted::text("7"))],
        ];
        for conditions in yes {
            assert!(hits(entry("*", None, conditions)), "{conditions:?}");
        }
        let no: [&[(&str, Wanted)]; 4] = [
            &[("ip", Wanted::text("203.0.113.64/26"))],
            &[("ip", Wanted::text("203.0.113.7")), ("app", Wanted::text("other"))],
            &[("no_such_column", Wanted::text("x"))],
            &[("app", Wanted::text("203.0.113.0/26"))],
        ];
        for conditions in no {
            assert!(!hits(entry("*", None, conditions)), "{conditions:?}");
        }
    }

    #[test]
    fn one_accepted_value_of_a_list_does_not_hide_the_others() {
        assert!(!hits(entry("*", None, &[("ips", Wanted::text("203.0.113.0/26"))])));
    }

    #[test]
    fn a_suppression_that_has_run_out_no_longer_counts() {
        let all = Suppressions::new(vec![entry("*", None, &[])]);
        let end = "2026-02-01T00:00:00Z".parse().unwrap();
        assert_eq!(all.of("x", &row(), end), None);
        assert_eq!(all.expired(end).count(), 1);
    }
}
