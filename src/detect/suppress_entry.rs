//! The `[[suppress]]` entry that accepts findings like one at hand, ready to be pasted into the
//! configuration. It names a condition of the evidence, as narrow as the finding gives one: an
//! entry without would blind the rule, and the configuration refuses it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use toml::Value as Toml;

use super::subject::{APPS, NETWORKS};
use crate::config::UserRef;
use crate::lake::FindingRow;
use crate::privacy::printable;

/// Evidence that says nothing of the one case that is accepted.
const TOO_WIDE: [&str; 10] = [
    "role",
    "role_source",
    "system",
    "owner",
    "proof",
    "confidence",
    "pattern",
    "mode",
    "reference",
    "suppression_void",
];
const MAX_TEXT: usize = 500;

/// What the entry says of itself, beside the finding.
#[derive(Debug, Clone, Copy)]
pub struct Acceptance<'a> {
    pub reason: &'a str,
    pub owner: &'a str,
    pub until: DateTime<Utc>,
}

/// The entry as TOML, a line for each key, with a line's end. Where the evidence has no value that
/// would do, a comment asks for one.
pub fn suppress_entry(finding: &FindingRow, accepted: &Acceptance<'_>) -> String {
    let mut lines = suppressed_by(finding);
    lines.push(format!("reason = {}", text(accepted.reason)));
    lines.push(format!("owner  = {}", text(accepted.owner)));
    let until = accepted.until;
    lines.push(match until.date_naive().and_hms_opt(0, 0, 0) {
        Some(midnight) if midnight.and_utc() == until => {
            format!("until  = {}", until.date_naive())
        }
        _ => format!(
            "until  = {}",
            until.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
    });
    lines.join("\n") + "\n"
}

/// The head of such an entry: which findings it covers, a line for each key.
pub fn suppressed_by(finding: &FindingRow) -> Vec<String> {
    let mut lines = vec![
        "[[suppress]]".to_owned(),
        format!("rule   = {}", text(&finding.rule_id)),
    ];
    if let Some(user) = user_of(finding) {
        lines.push(format!("user   = {}", text(user)));
    }
    let conditions = conditions(finding);
    lines.push(match conditions.is_empty() {
        true => "# where = { column = \"value\" }    # of the finding's evidence".to_owned(),
        false => format!("where  = {{ {} }}", conditions.join(", ")),
    });
    lines
}

/// A name of the user that the configuration takes.
fn user_of(finding: &FindingRow) -> Option<&str> {
    [&finding.username, &finding.user_id, &finding.user_key]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .find(|name| name.parse::<UserRef>().is_ok())
}

/// Where from and with which app; else the first value that is of this case.
fn conditions(finding: &FindingRow) -> Vec<String> {
    let evidence: Map<String, Value> =
        serde_json::from_str(&finding.evidence_json).unwrap_or_default();
    let first_of = |names: &[&str]| {
        let mut values = names.iter().filter_map(|name| {
            let value = one_value(evidence.get(*name)?)?;
            Some(((*name).to_owned(), value))
        });
        values.next()
    };
    let mut found: Vec<(String, Toml)> = [first_of(&NETWORKS), first_of(&APPS)]
        .into_iter()
        .flatten()
        .collect();
    if found.is_empty() {
        let mut texts = evidence.iter().filter_map(|(name, value)| {
            let value = one_value(value).filter(Toml::is_str)?;
            (!TOO_WIDE.contains(&name.as_str())).then(|| (name.clone(), value))
        });
        found.extend(texts.next());
    }
    found
        .into_iter()
        .map(|(name, value)| format!("{} = {value}", key(&name)))
        .collect()
}

/// The value of a cell that holds one, be it a list of it alone.
fn one_value(cell: &Value) -> Option<Toml> {
    match cell {
        Value::String(text) if !text.trim().is_empty() => Some(Toml::String(text.clone())),
        Value::Number(number) => number.as_i64().map(Toml::Integer),
        Value::Bool(value) => Some(Toml::Boolean(*value)),
        Value::Array(items) => match items.as_slice() {
            [Value::Array(_)] => None,
            [item] => one_value(item),
            _ => None,
        },
        _ => None,
    }
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => text(name),
    }
}

fn text(value: &str) -> String {
    Toml::String(printable(value, MAX_TEXT)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    fn finding(username: &str, evidence_json: &str) -> FindingRow {
        let at = DateTime::UNIX_EPOCH;
        FindingRow {
            finding_id: "f".into(),
            dedupe_key: "k".into(),
            rule_id: "integration-ui-login".into(),
            rule_version: 1,
            severity: Severity::High,
            title: "t".into(),
            user_key: None,
            user_id: Some("005000000000001AAA".into()),
            username: Some(username.into()),
            user_kind: None,
            bucket_start: None,
            first_seen: at,
            last_seen: at,
            count: 1,
            expected: String::new(),
            observed: String::new(),
            evidence_json: evidence_json.into(),
            attack: vec![],
            suppressed_by: None,
            family: None,
            correlation: Default::default(),
        }
    }

    fn entry(username: &str, evidence_json: &str) -> toml::Table {
        let accepted = Acceptance {
            reason: "a \"drill\"\n[[suppress]]",
            owner: "ann",
            until: "2026-03-01T00:00:00Z".parse().unwrap(),
        };
        let written = suppress_entry(&finding(username, evidence_json), &accepted);
        let read: toml::Table = written.parse().unwrap();
        assert_eq!(read.len(), 1, "{written}");
        let entries = read["suppress"].as_array().unwrap();
        assert_eq!(entries.len(), 1, "{written}");
        entries[0].as_table().unwrap().clone()
    }

    #[test]
    fn the_entry_says_where_from_and_with_what() {
        let entry = entry(
            "erp@example.com",
            r#"{"role":"integration","ips":["203.0.113.7"],"app":"ERP Sync","n":3}"#,
        );
        assert_eq!(entry["rule"].as_str(), Some("integration-ui-login"));
        assert_eq!(entry["user"].as_str(), Some("erp@example.com"));
        assert_eq!(entry["where"]["ips"].as_str(), Some("203.0.113.7"));
        assert_eq!(entry["where"]["app"].as_str(), Some("ERP Sync"));
        assert_eq!(entry["until"].to_string(), "2026-03-01");
        assert_eq!(
            entry["reason"].as_str(),
            Some("a \"drill\"\\u{a}[[suppress]]")
        );
    }

    #[test]
    fn without_an_address_or_app_it_takes_what_else_the_evidence_names() {
        let other = entry(
            "x@example.com",
            r#"{"role":"ci","n":1,"login_path":"portal"}"#,
        );
        assert_eq!(other["where"]["login_path"].as_str(), Some("portal"));
        let several = entry("x@example.com", r#"{"ips":["203.0.113.7","203.0.113.8"]}"#);
        assert!(!several.contains_key("where"));
    }

    #[test]
    fn hostile_names_stay_texts() {
        let hostile = "x\"\nrule = \"*\" # @example.com";
        let entry = entry(hostile, r#"{"a b\"":"'''\u001b[2J"}"#);
        assert_eq!(entry["user"].as_str(), Some("005000000000001AAA"));
        assert_eq!(entry["rule"].as_str(), Some("integration-ui-login"));
        assert_eq!(entry["where"].as_table().unwrap().len(), 1);
    }
}
