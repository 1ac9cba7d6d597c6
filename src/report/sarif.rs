//! Findings as SARIF 2.1.0: one run, a rule for each that has findings, a result for each finding.
//! A result carries the finding's dedupe key as a partial fingerprint, so that the nights of one
//! subject are one alert, and its own id as a fingerprint.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use super::exported::{ExportContext, Exported};
use crate::config::Severity;
use crate::detect::rfc3339;
use crate::lake::Status;
use crate::privacy::escape_json;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes one document.
pub fn write(
    findings: &[Exported<'_>],
    context: &ExportContext<'_>,
    sink: &mut dyn Write,
) -> io::Result<()> {
    let mut rules: Vec<Value> = Vec::new();
    let mut places: BTreeMap<&str, u64> = BTreeMap::new();
    let mut results = Vec::with_capacity(findings.len());
    for finding in findings {
        let place = *places
            .entry(&finding.finding.row.rule_id)
            .or_insert_with(|| {
                rules.push(rule(finding));
                rules.len() as u64 - 1
            });
        results.push(result(finding, place));
    }
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "orgwatch",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "automationDetails": {"id": format!("orgwatch/{}", rfc3339(context.at))},
            "properties": {"org": context.org_name, "orgId": context.org_id},
            "results": results,
        }],
    });
    writeln!(sink, "{}", escape_json(&document.to_string()))
}

fn rule(finding: &Exported<'_>) -> Value {
    let row = &finding.finding.row;
    let mut rule = json!({
        "id": row.rule_id,
        "name": row.rule_id,
        "shortDescription": {"text": plain(&row.title)},
        "properties": {"tags": tags(&row.attack), "version": row.rule_version},
    });
    let Some(known) = finding.rule else {
        return rule;
    };
    rule["fullDescription"] = json!({"text": plain(&known.description)});
    rule["help"] = json!({"text": plain(&help(&known.response, &known.false_positives))});
    rule["defaultConfiguration"] = json!({"level": level(known.severity)});
    rule["properties"]["security-severity"] = json!(score(known.severity));
    rule["properties"]["control"] = json!(known.control);
    rule
}

fn help(response: &[String], false_positives: &[String]) -> String {
    let mut lines = vec!["What to do:".to_owned()];
    lines.extend(response.iter().map(|step| format!("- {step}")));
    lines.push("Harmless if:".to_owned());
    lines.extend(false_positives.iter().map(|case| format!("- {case}")));
    lines.join("\n")
}

fn result(exported: &Exported<'_>, rule_index: u64) -> Value {
    let finding = exported.finding;
    let (row, place) = (&finding.row, &finding.row.correlation);
    let who = row.username.as_ref().or(row.user_id.as_ref());
    let who = who.or(row.user_key.as_ref());
    let message = match who {
        Some(who) => format!("{}: {}. Expected: {}", who, row.observed, row.expected),
        None => format!("{}. Expected: {}", row.observed, row.expected),
    };
    let mut result = json!({
        "ruleId": row.rule_id,
        "ruleIndex": rule_index,
        "kind": "fail",
        "level": level(row.severity),
        "message": {"text": plain(&message)},
        "fingerprints": {"orgwatch/finding/v1": row.finding_id},
        "partialFingerprints": {"dedupe": row.dedupe_key},
        "baselineState": baseline_state(exported),
        "occurrenceCount": row.count.max(1),
        "provenance": {
            "firstDetectionTimeUtc": rfc3339(exported.found_at.unwrap_or(row.first_seen)),
            "lastDetectionTimeUtc": rfc3339(exported.changed_at.unwrap_or(row.last_seen)),
        },
        "properties": {
            "tags": tags(&row.attack),
            "severity": row.severity.as_str(),
            "status": finding.status.as_str(),
            "userId": row.user_id,
            "username": row.username,
            "userKind": row.user_kind,
            "family": row.family.map(|family| family.as_str()),
            "firstSeen": rfc3339(row.first_seen),
            "lastSeen": rfc3339(row.last_seen),
            "expected": row.expected,
            "observed": row.observed,
            "evidence": exported.evidence(),
            "caseId": place.case_id,
            "raisedFrom": place.raised_from.map(Severity::as_str),
            "raisedBecause": place.raised_because,
            "gatheredBy": place.gathered_by,
            "rowsCommand": exported.rows_command,
        },
    });
    if let Some(who) = who {
        let logical = json!({"name": who, "kind": "user"});
        result["locations"] = json!([{"logicalLocations": [logical]}]);
    }
    if finding.status == Status::Suppressed {
        let by_hand = finding
            .hold
            .as_ref()
            .map(|hold| format!("suppressed by {}", hold.by));
        result["suppressions"] = json!([{
            "kind": "external",
            "status": "accepted",
            "justification": plain(&by_hand.or(row.suppressed_by.clone()).unwrap_or_default()),
        }]);
    }
    result
}

fn baseline_state(exported: &Exported<'_>) -> &'static str {
    match exported.finding.status {
        Status::New => "new",
        Status::Resolved => "absent",
        Status::Suppressed if exported.is_first_told() => "new",
        _ => "unchanged",
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info | Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    }
}

/// The score by which code scanning services sort.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "0.0",
        Severity::Low => "3.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
        Severity::Critical => "9.5",
    }
}

fn tags(attack: &[String]) -> Vec<String> {
    let attack = attack.iter().map(|id| format!("attack/{id}"));
    std::iter::once("security".to_owned())
        .chain(attack)
        .collect()
}

/// Text of a message as itself: a viewer makes a link of `[…](…)` and fills in `{0}`.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '[' | ']' => out.extend(['\\', c]),
            '{' | '}' => out.extend([c, c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_makes_no_link_and_no_placeholder() {
        assert_eq!(
            plain(r"see [x](https://x.example) {0} \["),
            r"see \[x\](https://x.example) {{0}} \\\["
        );
        assert_eq!(plain("3 logins"), "3 logins");
    }
}
