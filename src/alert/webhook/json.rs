//! The program's own JSON: one object for each alert, of stable field order, with times in RFC 3339
//! UTC. Lists are bounded; what they leave out is counted.

use serde_json::{Value, json};

use crate::alert::digest::{Digest, DigestFinding, News, RunHealth, StillActive};
use crate::alert::view::{command, evidence, gravest, instant, prose, text, verdict};
use crate::alert::{GatheredWords, Letterhead};

/// Which form of the object this is.
const VERSION: u32 = 1;
/// Findings take no more than this, in bytes: what does not fit is counted.
const MAX_FINDINGS: usize = 256 << 10;
/// Entries of each other list.
const MAX_LISTED: usize = 50;

pub(super) fn body(digest: &Digest, id: &str, subject: &str, head: &Letterhead) -> Value {
    let findings = gravest(&digest.news, head.max_shown);
    let findings = bounded(findings.into_iter().map(news));
    json!({
        "type": "orgwatch.alert",
        "version": VERSION,
        "id": id,
        "org": text(&digest.org),
        "group": text(&digest.audience),
        "run_id": digest.run_id,
        "at": instant(digest.at),
        "data_day": digest.data_day.to_string(),
        "severity": digest.severity().as_str(),
        "subject": subject,
        "verdict": verdict(digest),
        "counts": {
            "new": digest.new_findings(),
            "gathered": digest.gathered_findings(),
            "cases": digest.cases(),
            "still_active": digest.still_active.len(),
            "resolved": digest.resolved.len(),
            "suppressed": digest.suppressed,
            "below_threshold": digest.below_threshold,
            "elsewhere": digest.elsewhere,
        },
        "findings_omitted": digest.news.len() - findings.len(),
        "findings": findings,
        "still_active": listed(digest.still_active.iter().map(still_active)),
        "resolved": listed(digest.resolved.iter().map(in_brief)),
        "health": health(&digest.health),
        "link": head.link,
    })
}

pub(super) fn test_body(org: &str, audience: &str, when: &str, id: &str, subject: &str) -> Value {
    json!({
        "type": "orgwatch.test",
        "version": VERSION,
        "id": id,
        "org": org,
        "group": audience,
        "at": when,
        "subject": subject,
        "verdict": "A test of orgwatch's webhook, sent by hand: nothing was found and nothing is to be done",
    })
}

/// As many as there is room for; the first in any case.
fn bounded(findings: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut taken = 0;
    let fits = |finding: &Value| {
        let is_first = taken == 0;
        taken += finding.to_string().len();
        is_first || taken <= MAX_FINDINGS
    };
    findings.take_while(fits).collect()
}

fn news(news: &News) -> Value {
    let finding = &news.finding;
    let mut told = in_brief(finding);
    let whole = json!({
        "severity": news.severity().as_str(),
        "first_seen": instant(news.first_seen()),
        "last_seen": instant(news.last_seen()),
        "count": news.count(),
        "days": news.days().len(),
        "rule_version": finding.rule_version,
        "case_id": finding.case_id.as_deref().map(text),
        "case_subject": finding.case_subject.as_deref().map(text),
        "expected": text(&finding.expected),
        "observed": text(&finding.observed),
        "evidence": evidence(finding),
        "attack": finding.attack.iter().take(MAX_LISTED).map(|id| text(id)).collect::<Vec<_>>(),
        "raised_from": finding.raised.as_ref().map(|(from, _)| from.as_str()),
        "raised_because": finding.raised.as_ref().map(|(_, because)| text(because)),
        "gathers": GatheredWords::of(news).map(|words| words.summary),
        "description": prose(&finding.description),
        "false_positives": prose(&finding.false_positives),
        "response": prose(&finding.response),
        "rows_command": command(finding),
    });
    if let (Value::Object(told), Value::Object(whole)) = (&mut told, whole) {
        told.extend(whole);
    }
    told
}

fn in_brief(finding: &DigestFinding) -> Value {
    json!({
        "finding_id": text(&finding.finding_id),
        "dedupe_key": text(&finding.dedupe_key),
        "rule_id": text(&finding.rule_id),
        "severity": finding.severity.as_str(),
        "title": text(&finding.title),
        "who": finding.who.as_deref().map(text),
        "user_kind": finding.user_kind.as_deref().map(text),
        "first_seen": instant(finding.first_seen),
        "last_seen": instant(finding.last_seen),
        "count": finding.count,
    })
}

fn still_active(active: &StillActive) -> Value {
    let mut told = in_brief(&active.news.finding);
    told["severity"] = active.news.severity().as_str().into();
    told["nights"] = active.mailed.nights.into();
    told["told_at"] = instant(active.mailed.at).into();
    told
}

fn health(health: &RunHealth) -> Value {
    let pairs = |list: &[(String, String)]| {
        let pair =
            |(name, why): &(String, String)| json!({"name": text(name), "reason": text(why)});
        listed(list.iter().map(pair))
    };
    json!({
        "files_read": health.files_read,
        "files_known": health.files_known,
        "files_rejected": pairs(&health.files_rejected),
        "rows_read": health.rows_read,
        "rows_kept": health.rows_kept,
        "rows_duplicate": health.rows_duplicate,
        "rows_quarantined": health.rows_quarantined,
        "rules_ok": health.rules_ok,
        "rules_failed": pairs(&health.rules_failed),
        "rules_blind": pairs(&health.rules_blind),
        "rules_never_had_input": pairs(&health.rules_never_had_input),
        "remarks": listed(health.remarks.iter().map(|remark| text(remark).into())),
    })
}

fn listed(entries: impl Iterator<Item = Value>) -> Vec<Value> {
    entries.take(MAX_LISTED).collect()
}
