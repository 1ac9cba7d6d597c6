//! What a run says of its own watch: the time of each rule, canaries, and what suppressions hide.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::telling::short;
use crate::alert::wrap;
use crate::detect::{DetectReport, STAGING};
use crate::lake::{Canary, CanaryState, FindingRow, SuppressionState};
use crate::privacy::printable;
use crate::words::counted;

/// Width of wrapped text.
const WIDTH: usize = 100;
const MAX_TEXT: usize = 600;
/// Findings listed under one suppression.
const MAX_LISTED: usize = 50;

/// Each rule's own positive case, and how long all of them took.
pub struct Canaries {
    pub list: Vec<Canary>,
    /// None where they were tried earlier on this day and nothing has changed since.
    pub elapsed_ms: Option<u64>,
}

impl Canaries {
    fn of(&self, state: CanaryState) -> impl Iterator<Item = &Canary> {
        self.list.iter().filter(move |c| c.state == state)
    }

    pub fn to_json(&self) -> Value {
        let pairs = |state| -> Value {
            self.of(state)
                .map(|c| json!({"name": c.rule_id, "reason": c.reason}))
                .collect()
        };
        json!({
            "fired": self.of(CanaryState::Fired).count(),
            "silent": pairs(CanaryState::Silent),
            "failed": pairs(CanaryState::Failed),
            "silenced_by_settings": pairs(CanaryState::SilencedBySettings),
            "elapsed_ms": self.elapsed_ms,
        })
    }
}

/// The canaries; None where they are switched off.
pub fn write_canaries(
    out: &mut String,
    canaries: Option<&Canaries>,
    verbose: bool,
) -> std::fmt::Result {
    let Some(canaries) = canaries else {
        return writeln!(
            out,
            "Canaries  switched off: nobody checked that each rule still finds its own example"
        );
    };
    write!(
        out,
        "Canaries  {} fired",
        canaries.of(CanaryState::Fired).count()
    )?;
    let others = [
        (CanaryState::Silent, "silent"),
        (CanaryState::Failed, "failed"),
        (CanaryState::SilencedBySettings, "silenced by settings"),
    ];
    for (state, what) in others {
        match canaries.of(state).count() {
            0 => {}
            n => write!(out, ", {n} {what}")?,
        }
    }
    match canaries.elapsed_ms {
        None => writeln!(out, ", earlier today")?,
        Some(elapsed_ms) if verbose => writeln!(out, ", in {elapsed_ms} ms")?,
        Some(_) => writeln!(out)?,
    }
    for (state, what) in others {
        for canary in canaries.of(state) {
            let line = format!(
                "{what}: {}: {} (case: {})",
                canary.rule_id,
                canary.reason.as_deref().unwrap_or("no reason given"),
                canary.case_name
            );
            let line = wrap(&printable(&line, MAX_TEXT), WIDTH, 12);
            writeln!(out, "          {line}")?;
        }
    }
    Ok(())
}

/// The time of each rule, the slowest first.
pub fn write_times(out: &mut String, report: &DetectReport) -> std::fmt::Result {
    let mut rules: Vec<_> = report.rules.iter().collect();
    rules.sort_by(|a, b| (b.elapsed_ms, &a.rule_id).cmp(&(a.elapsed_ms, &b.rule_id)));
    for rule in rules {
        writeln!(
            out,
            "          {:>6} ms  {}  {}, {}",
            rule.elapsed_ms,
            rule.rule_id,
            rule.status.as_str(),
            counted(rule.findings, "finding")
        )?;
    }
    Ok(())
}

/// What is hidden, by what hides it; each finding where `verbose`.
pub fn write_suppressed(
    out: &mut String,
    report: &DetectReport,
    verbose: bool,
) -> std::fmt::Result {
    let mut hidden: BTreeMap<&str, Vec<&FindingRow>> = BTreeMap::new();
    for finding in &report.findings {
        if let Some(label) = &finding.suppressed_by {
            hidden.entry(label).or_default().push(finding);
        }
    }
    for (label, findings) in hidden {
        let said = report
            .suppressions
            .iter()
            .find(|s| s.suppression_id == label && !s.is_expired);
        let by = match said {
            Some(said) => in_words(said),
            None if label == STAGING => "rules in staging".to_owned(),
            None => label.to_owned(),
        };
        let line = format!("suppressed: {} by {by}", findings.len());
        let line = wrap(&printable(&line, MAX_TEXT), WIDTH, 12);
        writeln!(out, "          {line}")?;
        if !verbose {
            continue;
        }
        for row in findings.iter().take(MAX_LISTED) {
            let who = row.username.as_deref().or(row.user_key.as_deref());
            writeln!(
                out,
                "            {}  {}  {}  {}  finding {}",
                row.severity,
                row.rule_id,
                printable(who.unwrap_or("no single user"), 200),
                row.first_seen.date_naive(),
                short(&row.finding_id)
            )?;
        }
        if findings.len() > MAX_LISTED {
            writeln!(out, "            + {} more", findings.len() - MAX_LISTED)?;
        }
    }
    Ok(())
}

/// One remark for each suppression that has run out.
pub fn expired(report: &DetectReport) -> Vec<String> {
    let expired = report.suppressions.iter().filter(|s| s.is_expired);
    let remark = |said: &SuppressionState| {
        let still = match said.matched {
            0 => "matches nothing any more".to_owned(),
            n => format!("would still hide {}", counted(n, "finding")),
        };
        let (rule, day) = (&said.rule, said.until.date_naive());
        format!(
            "suppression of {rule} expired on {day} ({}): it {still}",
            said.owner
        )
    };
    expired.map(remark).collect()
}

pub fn suppressions_json(report: &DetectReport) -> Value {
    let entry = |said: &SuppressionState| {
        json!({
            "id": said.suppression_id,
            "rule": said.rule,
            "user": said.user_ref,
            "conditions": said.conditions,
            "owner": said.owner,
            "until": super::telling::instant(said.until),
            "expired": said.is_expired,
            "matched": said.matched,
        })
    };
    report.suppressions.iter().map(entry).collect()
}

fn in_words(said: &SuppressionState) -> String {
    let user = said.user_ref.as_deref();
    format!(
        "{} where {}, until {} ({}: {})",
        user.map_or_else(
            || said.rule.clone(),
            |user| format!("{} of {user}", said.rule)
        ),
        said.conditions,
        said.until.date_naive(),
        said.owner,
        said.reason
    )
}
