//! Runs of the program, and what became of each rule in them.

use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Row, params};

use super::Ledger;
use super::values::{int, ms, opt_time_at, time_at, unreadable};
use crate::lake::error::Result;
use crate::lake::model::RunId;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Started, no word of its end yet.
    Running,
    Finished,
    /// Died (crash, power, kill); found by the next writer.
    Interrupted,
}

impl RunState {
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Finished => "finished",
            RunState::Interrupted => "interrupted",
        }
    }
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub run_id: RunId,
    /// `run`, `ingest`, `detect`, …
    pub kind: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub state: RunState,
    pub exit_code: Option<i32>,
    /// JSON, as the run itself gave it.
    pub summary: Option<String>,
}

/// What became of a rule in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleStatus {
    Ok,
    /// The query failed.
    Failed,
    /// Its input is missing now.
    Blind,
    /// Its input has never been there.
    NeverHadInput,
}

impl RuleStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            RuleStatus::Ok => "ok",
            RuleStatus::Failed => "failed",
            RuleStatus::Blind => "blind",
            RuleStatus::NeverHadInput => "never_had_input",
        }
    }
}

/// One rule in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRun {
    pub run_id: RunId,
    pub rule_id: String,
    pub version: i64,
    pub status: RuleStatus,
    pub reason: Option<String>,
    pub findings: u64,
    pub elapsed_ms: u64,
}

impl Ledger {
    /// Notes that a run has begun.
    pub fn start_run(&mut self, kind: &str, at: DateTime<Utc>) -> Result<RunId> {
        self.conn.execute(
            "INSERT INTO runs (kind, started_at, state) VALUES (?1, ?2, 'running')",
            params![kind, ms(at)],
        )?;
        Ok(self.conn.last_insert_rowid())
    }

    /// Notes how a run ended; `summary_json` is kept as it is.
    pub fn finish_run(
        &mut self,
        run_id: RunId,
        at: DateTime<Utc>,
        exit_code: i32,
        summary_json: &str,
    ) -> Result<()> {
        self.conn.execute(
            "UPDATE runs SET finished_at = ?2, exit_code = ?3, summary = ?4, state = 'finished'
             WHERE run_id = ?1",
            params![run_id, ms(at), exit_code, summary_json],
        )?;
        Ok(())
    }

    /// Called by the holder of the lock: whoever still counts as running is dead.
    pub(in crate::lake) fn mark_interrupted(&mut self) -> Result<usize> {
        Ok(self.conn.execute(
            "UPDATE runs SET state = 'interrupted' WHERE state = 'running'",
            [],
        )?)
    }

    /// All runs, oldest first.
    pub fn runs(&self) -> Result<Vec<Run>> {
        let mut statement = self.conn.prepare(
            "SELECT run_id, kind, started_at, finished_at, state, exit_code, summary
             FROM runs ORDER BY run_id",
        )?;
        let runs = statement.query_map([], run_of)?;
        Ok(runs.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes what became of a rule; told twice in one run, the later word counts.
    pub fn record_rule_run(&mut self, run: &RuleRun) -> Result<()> {
        self.conn.execute(
            "INSERT OR REPLACE INTO rule_runs
                 (run_id, rule_id, version, status, reason, findings, elapsed_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                run.run_id,
                run.rule_id,
                run.version,
                run.status.as_str(),
                run.reason,
                int(run.findings),
                int(run.elapsed_ms),
            ],
        )?;
        Ok(())
    }
}

fn run_of(row: &Row<'_>) -> rusqlite::Result<Run> {
    let word: String = row.get("state")?;
    let state = [RunState::Running, RunState::Finished, RunState::Interrupted]
        .into_iter()
        .find(|s| s.as_str() == word)
        .ok_or_else(|| unreadable(Type::Text, std::io::Error::other("unknown run state")))?;
    Ok(Run {
        run_id: row.get("run_id")?,
        kind: row.get("kind")?,
        started_at: time_at(row, "started_at")?,
        finished_at: opt_time_at(row, "finished_at")?,
        state,
        exit_code: row.get("exit_code")?,
        summary: row.get("summary")?,
    })
}
