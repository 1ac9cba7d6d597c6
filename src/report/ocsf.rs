//! Findings as Detection Findings of the Open Cybersecurity Schema Framework (class 2004), one
//! JSON object per line. A finding keeps its `finding_info.uid` through its life; `activity_id`
//! says whether it is told for the first time (1), again (2), or is over (3).

use std::io::{self, Write};
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::attack::Attack;
use super::exported::{Deviation, ExportContext, Exported, texts_of};
use crate::config::{Family, RuleStatus, Severity};
use crate::lake::Status;
use crate::privacy::escape_json;

/// Version of the schema.
const VERSION: &str = "1.8.0";
const CLASS: u64 = 2004;
/// Addresses of one finding that are told.
const MAX_ADDRESSES: usize = 20;

/// Writes a line for each finding, in their order.
pub fn write(
    findings: &[Exported<'_>],
    context: &ExportContext<'_>,
    sink: &mut dyn Write,
) -> io::Result<()> {
    for finding in findings {
        let line = without_nulls(event(finding, context)).to_string();
        writeln!(sink, "{}", escape_json(&line))?;
    }
    Ok(())
}

fn event(exported: &Exported<'_>, context: &ExportContext<'_>) -> Value {
    let finding = exported.finding;
    let row = &finding.row;
    let (activity_id, activity) = activity(exported);
    let (severity_id, severity) = severity(row.severity);
    let (status_id, status) = status(finding.status);
    let evidence = exported.evidence();
    let found_at = exported.found_at.unwrap_or(row.first_seen);
    json!({
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity_id,
        "type_name": format!("Detection Finding: {activity}"),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "time": ms(found_at),
        "start_time": ms(row.first_seen),
        "end_time": ms(row.last_seen),
        "count": row.count,
        "message": row.observed,
        "comment": finding.hold.as_ref().map(|hold| format!("{} by {}", finding.status.as_str(), hold.by)),
        "is_alert": matches!(finding.status, Status::New | Status::Ongoing),
        "confidence_id": confidence(&evidence),
        "metadata": {
            "version": VERSION,
            "product": {
                "name": "orgwatch",
                "vendor_name": "orgwatch",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "log_name": "findings",
            "tenant_uid": context.org_id,
            "uid": format!("{}:{}", row.finding_id, finding.last_run),
            "processed_time": ms(context.at),
        },
        "finding_info": finding_info(exported, found_at),
        "evidences": evidences(exported, &evidence),
        "resources": resources(context, &evidence),
        "observables": observables(exported, &evidence),
        "anomaly_analyses": anomaly_analyses(exported),
        "remediation": remediation(exported),
        "unmapped": unmapped(exported),
    })
}

fn activity(exported: &Exported<'_>) -> (u64, &'static str) {
    match exported.finding.status {
        Status::Resolved => (3, "Close"),
        _ if exported.is_first_told() => (1, "Create"),
        _ => (2, "Update"),
    }
}

fn severity(severity: Severity) -> (u64, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// In OCSF a finding is new until somebody has looked at it.
fn status(status: Status) -> (u64, &'static str) {
    match status {
        Status::New | Status::Ongoing => (1, "New"),
        Status::Acknowledged => (2, "In Progress"),
        Status::Suppressed => (3, "Suppressed"),
        Status::Resolved => (4, "Resolved"),
    }
}

/// Where the rule's evidence says how sure it is.
fn confidence(evidence: &Map<String, Value>) -> Option<u64> {
    match evidence.get("confidence")?.as_str()? {
        "low" => Some(1),
        "medium" => Some(2),
        "high" => Some(3),
        _ => None,
    }
}

fn finding_info(exported: &Exported<'_>, found_at: DateTime<Utc>) -> Value {
    let row = &exported.finding.row;
    let rule = exported.rule;
    json!({
        "uid": row.finding_id,
        "uid_alt": row.dedupe_key,
        "title": row.title,
        "desc": rule.map(|rule| one_paragraph(&rule.description)),
        "created_time": ms(found_at),
        "modified_time": exported.changed_at.map(ms),
        "first_seen_time": ms(row.first_seen),
        "last_seen_time": ms(row.last_seen),
        "types": row.family.map(|family| vec![family.as_str()]),
        "data_sources": rule.map(|rule| {
            rule.inputs.iter().flat_map(|input| &input.alternatives).collect::<Vec<_>>()
        }),
        "analytic": analytic(exported),
        "attacks": attacks(&row.attack),
    })
}

fn analytic(exported: &Exported<'_>) -> Value {
    let row = &exported.finding.row;
    let (type_id, kind) = match row.family {
        Some(Family::Behaviour) => (3, "Statistical"),
        _ => (1, "Rule"),
    };
    let state = exported.rule.map(|rule| match rule.status {
        RuleStatus::Active => (1, "Active"),
        RuleStatus::Staging => (3, "Experimental"),
        RuleStatus::Off => (2, "Suppressed"),
    });
    json!({
        "uid": row.rule_id,
        "name": row.title,
        "version": row.rule_version.to_string(),
        "type_id": type_id,
        "type": kind,
        "state_id": state.map(|(id, _)| id),
        "state": state.map(|(_, name)| name),
        "category": row.family.map(Family::as_str),
    })
}

/// One for each technique and tactic that it serves.
fn attacks(ids: &[String]) -> Vec<Value> {
    let attack = Attack::get();
    let named = |id: &str| json!({"uid": id, "name": attack.name(id)});
    let mut attacks = Vec::new();
    for id in ids {
        let technique = id
            .split_once('.')
            .map_or(id.as_str(), |(technique, _)| technique);
        let one = |tactic: Option<(&str, &str)>| {
            json!({
                "tactic": tactic.map(|(uid, name)| json!({"uid": uid, "name": name})),
                "technique": named(technique),
                "sub_technique": (technique != id).then(|| named(id)),
                "version": attack.name(id).map(|_| &attack.version),
            })
        };
        let tactics = attack.tactics(id);
        match tactics.is_empty() {
            true => attacks.push(one(None)),
            false => attacks.extend(tactics.into_iter().map(|tactic| one(Some(tactic)))),
        }
    }
    attacks
}

/// Who did it, with what, from where; the rule's own evidence as it is.
fn evidences(exported: &Exported<'_>, evidence: &Map<String, Value>) -> Vec<Value> {
    let first = |columns: &[&str]| texts_of(evidence, columns).first().copied();
    let app_name = first(&["app", "app_name", "apps", "client", "clients"]);
    let app_uid = first(&["app_id", "app_ids"]);
    let user = user(exported);
    let has_actor = user.is_some() || app_name.is_some() || app_uid.is_some();
    let operation = first(&[
        "operation",
        "operations",
        "api_operation",
        "api_types",
        "api_type",
    ]);
    let agent = first(&["user_agent", "user_agents", "ua_family", "ua_families"]);
    let mut addresses = addresses(evidence).into_iter();
    let endpoint = |ip: IpAddr| json!({"ip": ip.to_string()});
    let mut evidences = vec![json!({
        "name": exported.finding.row.rule_id,
        "actor": has_actor.then(|| json!({"user": user, "app_name": app_name, "app_uid": app_uid})),
        "src_endpoint": addresses.next().map(endpoint),
        "api": operation.map(|operation| json!({"operation": operation})),
        "http_request": agent.map(|agent| json!({"user_agent": agent})),
        "data": evidence,
    })];
    evidences.extend(addresses.map(|ip| json!({"src_endpoint": endpoint(ip)})));
    evidences
}

fn user(exported: &Exported<'_>) -> Option<Value> {
    let row = &exported.finding.row;
    let uid = row.user_id.as_ref().or(row.user_key.as_ref());
    if uid.is_none() && row.username.is_none() {
        return None;
    }
    let (type_id, kind) = match row.user_kind.as_deref() {
        Some("integration" | "api_named" | "ci") => (4, "Service"),
        Some("internal_system") => (3, "System"),
        Some("human_admin") => (2, "Admin"),
        Some("human") => (1, "User"),
        Some(other) => (99, other),
        None => (0, "Unknown"),
    };
    Some(json!({"name": row.username, "uid": uid, "type_id": type_id, "type": kind}))
}

fn addresses(evidence: &Map<String, Value>) -> Vec<IpAddr> {
    let columns = ["ip", "ips", "source_ip", "source_ips"];
    let texts = texts_of(evidence, &columns).into_iter();
    texts
        .filter_map(|text| text.trim().parse().ok())
        .take(MAX_ADDRESSES)
        .collect()
}

/// The org, and the objects that were touched.
fn resources(context: &ExportContext<'_>, evidence: &Map<String, Value>) -> Vec<Value> {
    let mut resources = Vec::new();
    if context.org_id.is_some() || context.org_name.is_some() {
        resources.push(json!({
            "uid": context.org_id,
            "name": context.org_name,
            "type": "Salesforce org",
        }));
    }
    let objects = texts_of(evidence, &["objects", "entities", "entity_name", "object"]);
    resources.extend(
        objects
            .into_iter()
            .map(|name| json!({"name": name, "type": "Salesforce object"})),
    );
    resources
}

fn observables(exported: &Exported<'_>, evidence: &Map<String, Value>) -> Vec<Value> {
    let row = &exported.finding.row;
    let user = row.username.iter().map(|name| {
        json!({"name": "evidences[0].actor.user.name", "type_id": 4, "type": "User Name", "value": name})
    });
    let addresses = addresses(evidence);
    let addresses = addresses.iter().enumerate().map(|(at, ip)| {
        json!({
            "name": format!("evidences[{at}].src_endpoint.ip"),
            "type_id": 2,
            "type": "IP Address",
            "value": ip.to_string(),
        })
    });
    user.chain(addresses).collect()
}

/// What was usual and what was seen; of a finding about habits without series, in words.
fn anomaly_analyses(exported: &Exported<'_>) -> Option<Value> {
    let row = &exported.finding.row;
    if row.family != Some(Family::Behaviour) {
        return None;
    }
    let target = row.username.as_ref().or(row.user_key.as_ref());
    let target = target.map_or("the org", String::as_str);
    let targets = json!([{"name": target, "type": "user"}]);
    if exported.deviations.is_empty() {
        let words = |text: &str| json!([{"value": text}]);
        return Some(json!([{
            "analysis_targets": targets,
            "baselines": [{"observation_parameter": row.rule_id, "observations": words(&row.expected)}],
            "anomalies": [{"observation_parameter": row.rule_id, "observations": words(&row.observed)}],
        }]));
    }
    let analysis = |deviation: &Deviation| {
        let mut targets = vec![json!({"name": target, "type": "user"})];
        if let Some(app) = &deviation.app_key {
            targets.push(json!({"name": app, "type": "app"}));
        }
        json!({
            "analysis_targets": targets,
            "baselines": baselines(deviation),
            "anomalies": [{
                "observation_parameter": deviation.metric,
                "observation_type": "sum of a day",
                "observed_pattern": deviation.z.map(|z| format!("{z:.1} spreads above the usual")),
                "observations": [{"value": deviation.actual.to_string(), "count": 1}],
            }],
        })
    };
    Some(exported.deviations.iter().map(analysis).collect())
}

fn baselines(deviation: &Deviation) -> Vec<Value> {
    let usual = deviation.expected.map(|expected| {
        let of = deviation.reference.as_deref().unwrap_or("days before");
        let from = deviation.reference_first.zip(deviation.reference_last);
        let between = from.map(|(first, last)| format!(" from {first} to {last}"));
        json!({
            "observation_parameter": deviation.metric,
            "observation_type": "median of days",
            "observed_pattern": format!("{of}{}", between.unwrap_or_default()),
            "observations": [{
                "value": format!("{expected:.0}"),
                "count": deviation.reference_days,
            }],
        })
    });
    let highest = deviation.highest_35.map(|highest| {
        json!({
            "observation_parameter": deviation.metric,
            "observation_type": "highest of the last 35 days",
            "observations": [{"value": highest.to_string()}],
        })
    });
    usual.into_iter().chain(highest).collect()
}

fn remediation(exported: &Exported<'_>) -> Option<Value> {
    let rule = exported.rule?;
    (!rule.response.is_empty()).then(|| {
        json!({
            "desc": rule.response.join("\n"),
            "references": rule.references,
        })
    })
}

/// What the schema has no place for.
fn unmapped(exported: &Exported<'_>) -> Value {
    let finding = exported.finding;
    let (row, place) = (&finding.row, &finding.row.correlation);
    json!({
        "orgwatch_status": finding.status.as_str(),
        "expected": row.expected,
        "observed": row.observed,
        "user_kind": row.user_kind,
        "bucket_start": row.bucket_start.map(ms),
        "suppressed_by": row.suppressed_by,
        "reopened_because": finding.reopened.as_ref().map(|reopened| &reopened.because),
        "case_id": place.case_id,
        "case_subject": place.case_subject,
        "raised_from": place.raised_from.map(Severity::as_str),
        "raised_because": place.raised_because,
        "gathered_by": place.gathered_by,
        "control": exported.rule.map(|rule| &rule.control),
        "false_positives": exported.rule.map(|rule| &rule.false_positives),
        "rows_command": exported.rows_command,
    })
}

fn one_paragraph(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

/// OCSF leaves out what is not known; the evidence of a rule stays as it is.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !is_nothing(value))
            .map(|(name, value)| match name.as_str() {
                "data" => (name, value),
                _ => (name, without_nulls(value)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
