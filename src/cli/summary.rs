//! What a night says at its end: what was read and lost, what was found, what could not be
//! seen, what was mailed, and why the exit code is what it is.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::account::{ingest_troubles, reasons_of, write_ingest, write_quarantine, write_reasons};
use super::delivery::Deliveries;
use super::exit::Exit;
use super::fetched::Fetched;
use super::mailing::Mailer;
use super::telling::{instant, write_news};
use super::terminal::Terminal;
use super::told::MailHistory;
use super::watch::{Canaries, suppressions_json, write_canaries, write_suppressed, write_times};
use super::workplace::Workplace;
use crate::alert::{Digest, RunHealth, gather_news, wrap};
use crate::config::Severity;
use crate::detect::{DetectReport, RuleOutcome};
use crate::fetch::FetchReport;
use crate::ingest::IngestReport;
use crate::lake::{FileState, FindingChanges, FindingRow, RuleStatus, RunId};
use crate::privacy::printable;
use crate::words::counted;

/// Findings shown in full on the terminal.
const MAX_SHOWN: usize = 200;
/// Width of wrapped text.
const WIDTH: usize = 100;
const MAX_TEXT: usize = 600;

pub struct NightSummary<'a> {
    pub place: &'a Workplace<'a>,
    pub run_id: RunId,
    pub at: DateTime<Utc>,
    /// Whether nothing was named, or found, that could be read.
    pub has_no_input: bool,
    /// None where no org is configured.
    pub fetched: Option<&'a FetchReport>,
    /// Findings that are new or ongoing now, and the cases that hold them.
    pub open: usize,
    pub open_cases: usize,
    pub quarantine: Vec<(String, u64)>,
    pub ingest: &'a IngestReport,
    pub report: &'a DetectReport,
    /// None where they are switched off.
    pub canaries: Option<&'a Canaries>,
    pub changes: &'a FindingChanges,
    /// One for each group of people.
    pub digests: &'a [Digest],
    pub mailer: &'a Mailer<'a>,
    pub history: &'a MailHistory,
    pub deliveries: &'a Deliveries,
    pub damaged: bool,
    /// The page of the night, or why there is none; None where the config wants none.
    pub page: Option<Result<PathBuf, String>>,
}

/// The part of a run's account that mails tell too.
pub fn health(ingest: &IngestReport, report: &DetectReport, mut remarks: Vec<String>) -> RunHealth {
    let torn = reasons_of(ingest, FileState::Torn);
    remarks.extend(
        torn.into_iter()
            .map(|(name, why)| format!("cut off: {name}: {why}")),
    );
    let rules = |status| {
        report
            .rules
            .iter()
            .filter(move |r| r.status == status)
            .map(|r| (r.rule_id.clone(), reason_under_its_heading(r)))
            .collect()
    };
    RunHealth {
        files_read: (ingest.files.len() - ingest.rejected().count()) as u64,
        files_known: ingest.known.len() as u64,
        files_rejected: reasons_of(ingest, FileState::Rejected),
        rows_read: ingest.total(|f| f.rows_read),
        rows_kept: ingest.total(|f| f.rows_kept),
        rows_duplicate: ingest.total(|f| f.rows_duplicate),
        rows_quarantined: ingest.total(|f| f.rows_quarantined),
        rules_ok: report.count_of(RuleStatus::Ok) as u64,
        rules_failed: rules(RuleStatus::Failed),
        rules_blind: rules(RuleStatus::Blind),
        rules_never_had_input: rules(RuleStatus::NeverHadInput),
        remarks,
    }
}

/// Why a rule saw nothing, for a list that says already that it was blind or never had input.
fn reason_under_its_heading(rule: &RuleOutcome) -> String {
    let reason = rule.reason.as_deref().unwrap_or_default();
    let heading = match rule.status {
        RuleStatus::Blind => "blind: ",
        RuleStatus::NeverHadInput => "never had input: ",
        _ => "",
    };
    reason.strip_prefix(heading).unwrap_or(reason).to_owned()
}

impl NightSummary<'_> {
    /// Every reason for another exit code than 0.
    pub fn reasons(&self) -> Vec<(Exit, String)> {
        let settings = &self.place.settings;
        let mut reasons = Vec::new();
        if let Some(threshold) = *settings.detect.fail_on {
            let news = self.changes.new.iter().chain(&self.changes.updated);
            let n = news.filter(|f| f.severity >= threshold).count();
            if n > 0 {
                reasons.push((
                    Exit::Findings,
                    format!("{} at or above {threshold}", counted(n, "finding")),
                ));
            }
        }
        let ratio = *settings.limits.quarantine_ratio;
        let mut partial = ingest_troubles(self.ingest, ratio);
        partial.extend(
            self.fetched
                .into_iter()
                .flat_map(|it| Fetched(it).troubles()),
        );
        if self.has_no_input {
            partial.push("no input file was found".to_owned());
        }
        if self.damaged {
            partial.push("a damaged lake file was set aside".to_owned());
        }
        for (status, what) in [
            (RuleStatus::Failed, "failed"),
            (RuleStatus::Blind, "went blind"),
        ] {
            let n = self.report.count_of(status);
            if n > 0 {
                partial.push(format!("{} {what}", counted(n, "rule")));
            }
        }
        reasons.extend(partial.into_iter().map(|why| (Exit::Partial, why)));
        if let Some(Err(_)) = &self.page {
            reasons.push((Exit::Partial, "the report was not written".to_owned()));
        }
        let not_delivered = self.deliveries.not_delivered().into_iter();
        reasons.extend(not_delivered.map(|why| (Exit::NotDelivered, why)));
        reasons
    }

    pub fn exit(&self) -> Exit {
        Exit::merge(self.reasons().into_iter().map(|(exit, _)| exit))
    }

    /// For machines, and for the ledger.
    pub fn to_json(&self) -> Value {
        let health = &self.mailer.health;
        let by_severity = |rows: &[FindingRow]| -> Value {
            Severity::ALL
                .iter()
                .map(|s| {
                    (
                        s.as_str().to_owned(),
                        rows.iter().filter(|r| r.severity == *s).count().into(),
                    )
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let pairs = |list: &[(String, String)]| -> Value {
            list.iter()
                .map(|(name, why)| json!({"name": name, "reason": why}))
                .collect()
        };
        json!({
            "run_id": self.run_id,
            "at": instant(self.at),
            "exit_code": self.exit().code(),
            "exit_reasons": self.reasons().into_iter().map(|(_, why)| why).collect::<Vec<_>>(),
            "org": self.fetched.map(|it| Fetched(it).to_json()),
            "files": {
                "read": health.files_read,
                "known": health.files_known,
                "rejected": pairs(&health.files_rejected),
            },
            "rows": {
                "read": health.rows_read,
                "kept": health.rows_kept,
                "duplicate": health.rows_duplicate,
                "quarantined": health.rows_quarantined,
            },
            "rules": {
                "ok": health.rules_ok,
                "failed": pairs(&health.rules_failed),
                "blind": pairs(&health.rules_blind),
                "never_had_input": pairs(&health.rules_never_had_input),
            },
            "canaries": self.canaries.map(Canaries::to_json),
            "suppressions": suppressions_json(self.report),
            "findings": {
                "new": by_severity(&self.changes.new),
                "ongoing": by_severity(&self.changes.updated),
                "resolved": by_severity(&self.changes.resolved),
                "suppressed": self.mailer.suppressed,
            },
            "cases": {
                "new": case_count(&self.changes.new),
                "open": self.open_cases,
            },
            "mail": self.deliveries.to_json(),
            "report": match &self.page {
                None => Value::Null,
                Some(Ok(path)) => json!({"written": path.display().to_string()}),
                Some(Err(why)) => json!({"not_written": why}),
            },
            "remarks": health.remarks,
        })
    }

    /// For people.
    pub fn render(&self, terminal: &Terminal) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, terminal);
        out
    }

    fn write(&self, out: &mut String, terminal: &Terminal) -> std::fmt::Result {
        let data = printable(&self.place.data_dir().display().to_string(), MAX_TEXT);
        writeln!(
            out,
            "Run {} at {}, data in {data}",
            self.run_id,
            instant(self.at)
        )?;
        writeln!(out)?;
        if let Some(fetched) = self.fetched {
            Fetched(fetched).write(out)?;
        }
        write_ingest(out, self.ingest, self.has_no_input, terminal)?;
        write_quarantine(out, &self.quarantine)?;
        let verbose = terminal.verbose() > 0;
        self.write_rules(out)?;
        if verbose {
            write_times(out, self.report)?;
        }
        write_canaries(out, self.canaries, verbose)?;
        self.write_counts(out)?;
        write_suppressed(out, self.report, verbose)?;
        for remark in &self.mailer.health.remarks {
            writeln!(
                out,
                "Note      {}",
                wrap(&printable(remark, MAX_TEXT), WIDTH, 10)
            )?;
        }
        self.write_findings(out, terminal)?;
        writeln!(out)?;
        self.write_mail(out)?;
        self.write_page(out)?;
        self.write_exit(out)
    }

    fn write_rules(&self, out: &mut String) -> std::fmt::Result {
        let health = &self.mailer.health;
        writeln!(
            out,
            "Rules     {} asked: {} ok, {} failed, {} blind, {} never had input",
            self.report.rules.len(),
            health.rules_ok,
            health.rules_failed.len(),
            health.rules_blind.len(),
            health.rules_never_had_input.len(),
        )?;
        for (what, list) in [
            ("failed", &health.rules_failed),
            ("blind", &health.rules_blind),
            ("never had input", &health.rules_never_had_input),
        ] {
            write_reasons(out, what, list)?;
        }
        Ok(())
    }

    fn write_counts(&self, out: &mut String) -> std::fmt::Result {
        let changes = self.changes;
        let ongoing = self.open.saturating_sub(changes.new.len());
        if changes.new.is_empty() {
            write!(out, "Findings  nothing new")?;
        } else {
            write!(
                out,
                "Findings  {} new ({}) in {}",
                changes.new.len(),
                by_severity(&changes.new),
                counted(case_count(&changes.new), "case")
            )?;
        }
        writeln!(
            out,
            ", {ongoing} ongoing, {} resolved, {} suppressed",
            changes.resolved.len(),
            self.mailer.suppressed
        )
    }

    fn write_findings(&self, out: &mut String, terminal: &Terminal) -> std::fmt::Result {
        let threshold = (*self.place.settings.detect.fail_on).unwrap_or(Severity::High);
        let gathering = self.history.gathering(self.changes);
        let new: Vec<&FindingRow> = self.changes.new.iter().collect();
        let to_tell = gathering.to_tell(&new, threshold, &self.mailer.teller);
        let below = to_tell.below;
        let (news, _) = gather_news(to_tell.findings, |_| None, self.at, 0);
        for item in news.iter().take(MAX_SHOWN) {
            writeln!(out)?;
            write_news(out, item, terminal)?;
        }
        if news.len() > MAX_SHOWN {
            writeln!(
                out,
                "\n+ {} more: {}",
                news.len() - MAX_SHOWN,
                self.list_command()
            )?;
        }
        if !below.is_empty() {
            writeln!(out)?;
            writeln!(
                out,
                "+ {} new below {threshold}: {}",
                below.len(),
                self.list_command()
            )?;
        }
        Ok(())
    }

    fn list_command(&self) -> String {
        printable(&self.place.invocation().command("findings list"), MAX_TEXT)
    }

    fn write_mail(&self, out: &mut String) -> std::fmt::Result {
        self.deliveries.write(out)?;
        if self.deliveries.is_empty() {
            let told = self.digests.iter().map(|digest| digest.still_active.len());
            let why = match told.max().unwrap_or(0) {
                0 => "nothing new and nothing resolved".to_owned(),
                n => format!("{n} still active, told within the last days"),
            };
            writeln!(out, "Mail      none: {why}")?;
        }
        Ok(())
    }

    fn write_page(&self, out: &mut String) -> std::fmt::Result {
        match &self.page {
            None => Ok(()),
            Some(Ok(path)) => {
                let path = printable(&path.display().to_string(), MAX_TEXT);
                writeln!(out, "Report    written to {path}")
            }
            Some(Err(why)) => writeln!(out, "Report    not written: {}", printable(why, MAX_TEXT)),
        }
    }

    fn write_exit(&self, out: &mut String) -> std::fmt::Result {
        let reasons = self.reasons();
        let exit = self.exit().code();
        if reasons.is_empty() {
            return writeln!(out, "Exit      {exit}: nothing at or above the threshold");
        }
        let several = reasons.len() > 1;
        let say = |(code, why): (Exit, String)| match several {
            true => format!("{why} ({})", code.code()),
            false => why,
        };
        let reasons: Vec<_> = reasons.into_iter().map(say).collect();
        writeln!(out, "Exit      {exit}: {}", reasons.join("; "))
    }
}

/// Cases of these findings.
pub fn case_count(rows: &[FindingRow]) -> usize {
    let cases = rows.iter().map(|row| row.correlation.case_id.as_deref());
    cases.collect::<BTreeSet<_>>().len()
}

fn by_severity(rows: &[FindingRow]) -> String {
    let counted = Severity::ALL.iter().rev().filter_map(|severity| {
        let n = rows.iter().filter(|r| r.severity == *severity).count();
        (n > 0).then(|| format!("{severity} {n}"))
    });
    counted.collect::<Vec<_>>().join(", ")
}
