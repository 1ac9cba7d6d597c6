//! The job in numbers, in Prometheus' text format, as node_exporter's textfile collector reads it.
//!
//! All but the outcome of the run at hand is read from the ledger, so that the file is the same
//! whichever command writes it. No number is about a user, an address or anything else that a log
//! names: labels are words of ours and ids of rules.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};

use crate::catalog::Catalog;
use crate::config::Severity;
use crate::lake::{LastRun, RuleStatus, Standing, Status};

/// The collector runs as another user and must be able to read the file.
const MODE: u32 = 0o644;
/// Told of a run that died without a word: the ledger knows no code of it.
const DIED: i32 = 70;

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("cannot make the metrics: {0}")]
    Encode(#[from] prometheus::Error),
    #[error("cannot write the metrics file `{path}`: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// How the run at hand ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    pub command: &'a str,
    pub at: DateTime<Utc>,
    pub exit_code: u8,
    pub is_success: bool,
    pub seconds: f64,
}

/// The text of the metrics file. Without a standing (no ledger that could be read) it holds the
/// outcome alone.
pub fn exposition(
    outcome: &Outcome<'_>,
    standing: Option<&Standing>,
) -> Result<String, MetricsError> {
    let mut page = Page::default();
    page.gauges(
        "orgwatch_build_info",
        "Release of the program that wrote this file; always 1",
        &["version"],
        [(vec![env!("CARGO_PKG_VERSION").to_owned()], 1.0)],
    )?;
    page.runs(outcome, standing.map_or(&[], |standing| &standing.runs))?;
    if let Some(standing) = standing {
        page.input(standing)?;
        page.judgement(standing)?;
        page.delivery(standing)?;
    }
    Ok(TextEncoder::new().encode_to_string(&page.0.gather())?)
}

/// Puts the text in the place of the file, whole: written aside in its folder and renamed, with
/// mode 0644.
pub fn write(path: &Path, text: &str) -> Result<(), MetricsError> {
    let failed = |source| MetricsError::Write {
        path: path.to_owned(),
        source,
    };
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    // The collector takes files that end in `.prom`; this one does not, whatever the target's name.
    let mut aside = tempfile::Builder::new()
        .prefix(".orgwatch-")
        .suffix(".tmp")
        .tempfile_in(parent.unwrap_or(Path::new(".")))
        .map_err(failed)?;
    aside.write_all(text.as_bytes()).map_err(failed)?;
    let mode = std::fs::Permissions::from_mode(MODE);
    aside.as_file().set_permissions(mode).map_err(failed)?;
    aside.as_file().sync_all().map_err(failed)?;
    aside.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

type Sample = (Vec<String>, f64);

/// The metrics in the making.
#[derive(Default)]
struct Page(Registry);

impl Page {
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        samples: impl IntoIterator<Item = Sample>,
    ) -> Result<(), MetricsError> {
        let family = GaugeVec::new(Opts::new(name, help), labels)?;
        for (values, value) in samples {
            family.get_metric_with_label_values(&values)?.set(value);
        }
        Ok(self.0.register(Box::new(family))?)
    }

    fn counters(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        samples: impl IntoIterator<Item = Sample>,
    ) -> Result<(), MetricsError> {
        let family = CounterVec::new(Opts::new(name, help), labels)?;
        for (values, value) in samples {
            family.get_metric_with_label_values(&values)?.inc_by(value);
        }
        Ok(self.0.register(Box::new(family))?)
    }

    /// How runs ended; the run at hand takes the place of what the ledger says of its command.
    fn runs(&mut self, outcome: &Outcome<'_>, runs: &[LastRun]) -> Result<(), MetricsError> {
        let here = |value: f64| (vec![outcome.command.to_owned()], value);
        let others = || runs.iter().filter(|run| run.command != outcome.command);
        let of = |run: &LastRun, value: f64| (vec![run.command.clone()], value);

        let codes = others().filter_map(|run| {
            let code = run.exit_code.or(run.is_interrupted.then_some(DIED))?;
            Some(of(run, f64::from(code)))
        });
        self.gauges(
            "orgwatch_last_run_exit_code",
            "Exit code of the last run; 70 too where it died without one",
            &["command"],
            codes.chain([here(f64::from(outcome.exit_code))]),
        )?;
        let ends = others().filter_map(|run| Some(of(run, seconds(run.ended_at?))));
        self.gauges(
            "orgwatch_last_run_timestamp_seconds",
            "When the last run ended",
            &["command"],
            ends.chain([here(seconds(outcome.at))]),
        )?;
        let durations = others().filter_map(|run| Some(of(run, run.duration?.as_seconds_f64())));
        self.gauges(
            "orgwatch_last_run_duration_seconds",
            "How long the last run took",
            &["command"],
            durations.chain([here(outcome.seconds)]),
        )?;
        let known = runs
            .iter()
            .filter(|run| !(outcome.is_success && run.command == outcome.command))
            .filter_map(|run| Some(of(run, seconds(run.last_success_at?))));
        let now = outcome.is_success.then(|| here(seconds(outcome.at)));
        self.gauges(
            "orgwatch_last_success_timestamp_seconds",
            "When a run last ended with 0 or 1: nothing failed, with or without findings",
            &["command"],
            known.chain(now),
        )
    }

    fn input(&mut self, standing: &Standing) -> Result<(), MetricsError> {
        self.counters(
            "orgwatch_rows_total",
            "Rows of input by what became of them; their sum is what was read",
            &["outcome"],
            standing
                .rows
                .iter()
                .map(|(word, n)| (vec![word.clone()], float(*n))),
        )?;
        self.gauges(
            "orgwatch_files",
            "Input files by what became of them",
            &["outcome"],
            filled(&["ingested", "torn", "rejected", "lost"], &standing.files),
        )?;
        let readers = || standing.runs.iter().filter(|run| run.command != "detect");
        let labelled = |run: &LastRun, word: &str, n: u64| {
            (vec![run.command.clone(), word.to_owned()], float(n))
        };
        let rows = readers().flat_map(|run| run.rows.iter().map(|(w, n)| labelled(run, w, *n)));
        self.gauges(
            "orgwatch_last_run_rows",
            "Rows of input of the last run in the ledger, by what became of them",
            &["command", "outcome"],
            rows,
        )?;
        let files = readers().flat_map(|run| {
            let words = filled(&["ingested", "torn", "rejected"], &run.files);
            words.map(|(word, n)| ([vec![run.command.clone()], word].concat(), n))
        });
        self.gauges(
            "orgwatch_last_run_files",
            "New input files of the last run in the ledger, by what became of them",
            &["command", "outcome"],
            files,
        )?;
        self.org(standing)?;
        let catalog = Catalog::embedded();
        let logs = standing
            .newest_days
            .iter()
            .filter(|(name, _)| !catalog.is_roster(name));
        let newest: Option<NaiveDate> = logs.map(|(_, day)| *day).max();
        let newest = newest.and_then(|day| day.and_hms_opt(0, 0, 0));
        self.gauges(
            "orgwatch_newest_data_timestamp_seconds",
            "Beginning of the newest UTC day, up to today, of which the lake holds log rows",
            &[],
            newest.map(|day| (vec![], seconds(day.and_utc()))),
        )?;
        self.gauges(
            "orgwatch_lake_bytes",
            "Size of the visible Parquet files",
            &[],
            [(vec![], float(standing.lake_bytes))],
        )
    }

    /// What was fetched from the org; nothing where there is none.
    fn org(&mut self, standing: &Standing) -> Result<(), MetricsError> {
        if standing.org_log_files.is_empty() && standing.org_data_sets.is_empty() {
            return Ok(());
        }
        let states = ["listed", "ingested", "rejected", "superseded", "gone"];
        self.gauges(
            "orgwatch_org_log_files",
            "Event Log Files that the org listed, by what became of them; listed ones are still to be fetched",
            &["state"],
            filled(&states, &standing.org_log_files),
        )?;
        let sets = standing.org_data_sets.iter();
        self.gauges(
            "orgwatch_org_data_set_readable",
            "1 where the last fetch read the data set, 0 where the org or a fault kept it back",
            &["data_set"],
            sets.map(|(name, is_read)| (vec![name.clone()], float(*is_read))),
        )
    }

    fn judgement(&mut self, standing: &Standing) -> Result<(), MetricsError> {
        let pairs = Severity::ALL.iter().flat_map(|severity| {
            Status::ALL
                .iter()
                .map(move |s| (severity.as_str(), s.as_str()))
        });
        let findings = pairs.map(|(severity, status)| {
            let rows = standing.findings.iter();
            let n = rows
                .filter(|(a, b, _)| (a.as_str(), b.as_str()) == (severity, status))
                .map(|(_, _, n)| *n)
                .sum();
            (vec![severity.to_owned(), status.to_owned()], float(n))
        });
        self.gauges(
            "orgwatch_findings",
            "Findings by severity and status; new and ongoing ones are open",
            &["severity", "status"],
            findings,
        )?;
        self.gauges(
            "orgwatch_last_run_new_findings",
            "Findings that the last run of the rules made new",
            &["severity"],
            filled(&Severity::ALL.map(Severity::as_str), &standing.new_findings),
        )?;
        let mut by_status: Vec<(String, u64)> = Vec::new();
        for rule in &standing.rules {
            match by_status
                .iter_mut()
                .find(|(status, _)| *status == rule.status)
            {
                Some((_, n)) => *n += 1,
                None => by_status.push((rule.status.clone(), 1)),
            }
        }
        let statuses = [
            RuleStatus::Ok,
            RuleStatus::Failed,
            RuleStatus::Blind,
            RuleStatus::NeverHadInput,
        ];
        self.gauges(
            "orgwatch_rules",
            "Rules by what became of them when they were last asked",
            &["status"],
            filled(&statuses.map(RuleStatus::as_str), &by_status),
        )?;
        for (status, name, help) in [
            (
                RuleStatus::Blind,
                "orgwatch_rule_blind_since_timestamp_seconds",
                "Since when a rule's input has been missing, of the rules that are blind now",
            ),
            (
                RuleStatus::Failed,
                "orgwatch_rule_failed_since_timestamp_seconds",
                "Since when a rule has failed, of the rules that fail now",
            ),
        ] {
            let such = standing
                .rules
                .iter()
                .filter(|r| r.status == status.as_str());
            let since = such.map(|rule| (vec![rule.rule_id.clone()], seconds(rule.since)));
            self.gauges(name, help, &["rule"], since)?;
        }
        let took = standing.rules.iter().map(|rule| {
            let seconds = float(rule.elapsed_ms) / 1000.0;
            (vec![rule.rule_id.clone()], seconds)
        });
        self.gauges(
            "orgwatch_rule_duration_seconds",
            "How long a rule took when it was last asked",
            &["rule"],
            took,
        )?;
        self.gauges(
            "orgwatch_canaries",
            "Rules by whether they still find their own example",
            &["state"],
            standing
                .canaries
                .iter()
                .map(|(word, n)| (vec![word.clone()], float(*n))),
        )
    }

    fn delivery(&mut self, standing: &Standing) -> Result<(), MetricsError> {
        self.gauges(
            "orgwatch_outbox_messages",
            "Alerts in the outbox: pending ones are tried again, failed ones are not",
            &["state"],
            filled(&["pending", "sent", "failed"], &standing.outbox),
        )?;
        let oldest = standing.oldest_pending.map(|at| (vec![], seconds(at)));
        self.gauges(
            "orgwatch_outbox_oldest_pending_timestamp_seconds",
            "When the oldest alert that still waits was written",
            &[],
            oldest,
        )
    }
}

/// A sample for each expected word, and for whatever else there is: a series that comes and goes
/// breaks what is computed from it.
fn filled<'a>(words: &[&str], counts: &'a [(String, u64)]) -> impl Iterator<Item = Sample> + 'a {
    let missing: Vec<Sample> = words
        .iter()
        .filter(|word| !counts.iter().any(|(known, _)| known == *word))
        .map(|word| (vec![(*word).to_owned()], 0.0))
        .collect();
    let there = counts
        .iter()
        .map(|(word, n)| (vec![word.clone()], float(*n)));
    missing.into_iter().chain(there)
}

#[allow(clippy::cast_precision_loss)]
fn float(n: u64) -> f64 {
    n as f64
}

#[allow(clippy::cast_precision_loss)]
fn seconds(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::RuleStanding;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn outcome(exit_code: u8) -> Outcome<'static> {
        Outcome {
            command: "run",
            at: at("2026-01-31T03:00:00Z"),
            exit_code,
            is_success: exit_code < 2,
            seconds: 1.5,
        }
    }

    fn last(command: &str, exit_code: Option<i32>) -> LastRun {
        LastRun {
            command: command.to_owned(),
            ended_at: exit_code.map(|_| at("2026-01-30T03:00:00Z")),
            duration: None,
            exit_code,
            is_interrupted: exit_code.is_none(),
            last_success_at: Some(at("2026-01-29T03:00:00Z")),
            files: vec![],
            rows: vec![],
        }
    }

    #[test]
    fn the_run_at_hand_speaks_for_itself_and_the_ledger_for_the_others() {
        let standing = Standing {
            runs: vec![last("ingest", None), last("run", Some(4))],
            ..Standing::default()
        };
        let failed = exposition(&outcome(2), Some(&standing)).unwrap();
        for line in [
            "orgwatch_last_run_exit_code{command=\"run\"} 2",
            "orgwatch_last_run_exit_code{command=\"ingest\"} 70",
            "orgwatch_last_run_duration_seconds{command=\"run\"} 1.5",
            "orgwatch_last_success_timestamp_seconds{command=\"run\"} 1769655600",
        ] {
            assert!(failed.lines().any(|l| l == line), "{line} not in {failed}");
        }
        let done = exposition(&outcome(1), Some(&standing)).unwrap();
        let now = "orgwatch_last_success_timestamp_seconds{command=\"run\"} 1769828400";
        assert!(done.lines().any(|l| l == now), "{done}");
    }

    #[test]
    fn without_a_ledger_the_outcome_is_told_alone() {
        let text = exposition(&outcome(2), None).unwrap();
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        assert_eq!(
            names,
            [
                "orgwatch_build_info",
                "orgwatch_last_run_duration_seconds",
                "orgwatch_last_run_exit_code",
                "orgwatch_last_run_timestamp_seconds"
            ]
        );
    }

    #[test]
    fn the_name_of_a_rule_cannot_break_out_of_its_label() {
        let rule = RuleStanding {
            rule_id: "a\"} 1\nforged 1 \\".to_owned(),
            status: "blind".to_owned(),
            elapsed_ms: 1,
            since: at("2026-01-30T03:00:00Z"),
        };
        let standing = Standing {
            rules: vec![rule],
            ..Standing::default()
        };
        let text = exposition(&outcome(0), Some(&standing)).unwrap();
        assert!(
            !text.lines().any(|line| line.starts_with("forged")),
            "{text}"
        );
        let line = r#"orgwatch_rule_duration_seconds{rule="a\"} 1\nforged 1 \\"} 0.001"#;
        assert!(text.lines().any(|l| l == line), "{text}");
    }
}
