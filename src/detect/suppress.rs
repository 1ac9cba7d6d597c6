//! Suppressions: what the operator has accepted, for whom, under which condition and until when.
//! A suppressed finding is still computed and counted; it is never mailed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde_json::Value;

use super::rows::ResultRow;
use crate::config::{Suppression, UserRef};
use crate::lake::SuppressionState;

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

/// What hides a row, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// `suppressed_by` of a finding whose every row has one.
    pub label: Option<String>,
    /// Position of the suppression that the label is of.
    pub hidden_by: Option<usize>,
    /// Positions of those that match and have expired.
    pub would_hide: Vec<usize>,
}

impl Mark {
    /// Hidden for another reason than a suppression.
    pub fn labelled(label: &str) -> Self {
        Self {
            label: Some(label.to_owned()),
            ..Self::default()
        }
    }
}

/// The suppressions of the configuration, those that have expired included.
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

    /// What the suppressions say of a row of a rule.
    pub fn mark(&self, rule_id: &str, row: &ResultRow, now: DateTime<Utc>) -> Mark {
        let mut mark = Mark::default();
        for (position, entry) in self.0.iter().enumerate() {
            if !entry.matches(rule_id, row) {
                continue;
            }
            if !entry.said.is_active(now) {
                mark.would_hide.push(position);
            } else if mark.label.is_none() {
                mark.label = Some(entry.said.id.clone());
                mark.hidden_by = Some(position);
            }
        }
        mark
    }

    /// Each suppression with the findings that it hides, or would hide; `matched` counts them by
    /// position.
    pub fn states(&self, matched: &[u64], now: DateTime<Utc>) -> Vec<SuppressionState> {
        let state = |(position, entry): (usize, &Entry)| {
            let said = &entry.said;
            let conditions = said.conditions.iter();
            let conditions: Vec<_> = conditions.map(|(c, v)| format!("{c} = {v}")).collect();
            SuppressionState {
                suppression_id: said.id.clone(),
                rule: said.rule.clone(),
                user_ref: said.user.as_ref().map(|user| user.as_str().to_owned()),
                conditions: conditions.join("; "),
                reason: said.reason.clone(),
                owner: said.owner.clone(),
                until: said.until,
                is_expired: !said.is_active(now),
                matched: matched.get(position).copied().unwrap_or(0),
            }
        };
        self.0.iter().enumerate().map(state).collect()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Entry {
    fn matches(&self, rule_id: &str, row: &ResultRow) -> bool {
        let column = |name: &str| row.evidence.get(name).unwrap_or(&Value::Null);
        glob_matches(&self.said.rule, rule_id)
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
        let mark = all.mark("integration-ui-login", &row(), now);
        assert_eq!(mark.label.is_some(), mark.hidden_by.is_some());
        mark.label.is_some()
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
        let entries = [entry("*", None, &[]), entry("y", None, &[])];
        let all = Suppressions::new(&entries);
        let end = "2026-02-01T00:00:00Z".parse().unwrap();
        let mark = all.mark("x", &row(), end);
        assert_eq!((mark.label, mark.would_hide), (None, vec![0]));
        let states = all.states(&[3, 0], end);
        assert!(states.iter().all(|state| state.is_expired));
        assert_eq!((states[0].matched, states[1].matched), (3, 0));
    }
}
