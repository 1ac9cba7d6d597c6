//! Where the job stands, in numbers: what monitoring asks after each run.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use rusqlite::{Params, Row, params};

use super::Ledger;
use super::values::{count_at, day_at, opt_time_at, time_at};
use crate::lake::error::Result;
use crate::lake::layout::is_rollup;
use crate::lake::model::RunId;

/// Counts by a word of the ledger: a state, an outcome.
pub type Counts = Vec<(String, u64)>;

/// All numbers, of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The last run of each command, by its name.
    pub runs: Vec<LastRun>,
    /// Input files by state: ingested, torn, rejected, lost.
    pub files: Counts,
    /// Rows by what became of them: kept, duplicate, quarantined. Their sum was read.
    pub rows: Counts,
    /// Severity, status, number.
    pub findings: Vec<(String, String, u64)>,
    /// Findings that the last run of the rules made new, by severity.
    pub new_findings: Counts,
    /// By rule id.
    pub rules: Vec<RuleStanding>,
    /// Canaries by state.
    pub canaries: Counts,
    /// Messages by state.
    pub outbox: Counts,
    /// When the oldest message that waits was written.
    pub oldest_pending: Option<DateTime<Utc>>,
    /// Newest day of each event type, up to the day that was asked for.
    pub newest_days: Vec<(String, NaiveDate)>,
    /// Of visible Parquet files.
    pub lake_bytes: u64,
    /// Event Log Files of the org by state: listed, ingested, rejected, superseded, gone.
    pub org_log_files: Counts,
    /// Other data sets of the org, by name, with the number 1 where the last try read them, else 0.
    pub org_data_sets: Counts,
}

/// The last run of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    pub command: String,
    /// None while it runs.
    pub ended_at: Option<DateTime<Utc>>,
    pub duration: Option<TimeDelta>,
    /// None where it did not come to its end.
    pub exit_code: Option<i32>,
    pub is_interrupted: bool,
    /// When the command last ended with 0 or 1, in this run or an earlier one.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Of the files that this run read, as in [`Standing`].
    pub files: Counts,
    pub rows: Counts,
}

/// What became of a rule when it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStanding {
    pub rule_id: String,
    pub status: String,
    pub elapsed_ms: u64,
    /// Begin of the first run that found it in this status, of those without another in between.
    pub since: DateTime<Utc>,
}

const LAST_RUNS: &str = "
    SELECT run_id, kind, started_at, finished_at, exit_code, state = 'interrupted' AS interrupted,
        (SELECT finished_at FROM runs AS good
         WHERE good.kind = last.kind AND good.exit_code IN (0, 1)
         ORDER BY run_id DESC LIMIT 1) AS succeeded_at
    FROM runs AS last
    WHERE kind IN ('run', 'ingest', 'detect', 'fetch')
      AND run_id = (SELECT max(run_id) FROM runs WHERE kind = last.kind)
    ORDER BY kind";

const ROWS: &str = "
    SELECT coalesce(sum(rows_kept), 0) AS kept, coalesce(sum(rows_duplicate), 0) AS duplicate,
        coalesce(sum(rows_quarantined), 0) AS quarantined
    FROM files";

/// The rules that the last night asked; where there was no night, those that anybody asked. A rule
/// that was taken away has no standing, and `detect --rule` speaks for one rule alone.
const RULES: &str = "
    WITH night AS (
        SELECT max(run_id) AS run_id FROM rule_runs JOIN runs USING (run_id) WHERE kind = 'run'
    ),
    told AS (
        SELECT rule_id, run_id,
            lag(status) OVER (PARTITION BY rule_id ORDER BY run_id) IS status AS goes_on
        FROM rule_runs
    ),
    last AS (
        SELECT rule_id, max(run_id) AS run_id, max(run_id) FILTER (WHERE NOT goes_on) AS since_run
        FROM told GROUP BY rule_id
    )
    SELECT asked.rule_id, asked.status, asked.elapsed_ms, begin.started_at AS since
    FROM last
    JOIN rule_runs AS asked ON asked.rule_id = last.rule_id AND asked.run_id = last.run_id
    JOIN runs AS begin ON begin.run_id = last.since_run
    CROSS JOIN night
    WHERE night.run_id IS NULL
       OR EXISTS (SELECT 1 FROM rule_runs AS nightly
                  WHERE nightly.run_id = night.run_id AND nightly.rule_id = asked.rule_id)
    ORDER BY asked.rule_id";

const NEW_FINDINGS: &str = "
    SELECT severity AS word, count(*) AS n FROM findings
    WHERE status <> 'suppressed'
      AND new_in_run = (SELECT max(run_id) FROM rule_runs)
    GROUP BY severity ORDER BY severity";

impl Ledger {
    /// The numbers as they are now; days after `today` do not count as data.
    pub fn standing(&self, today: NaiveDate) -> Result<Standing> {
        let findings = "SELECT severity, status, count(*) AS n FROM findings
                        GROUP BY severity, status ORDER BY severity, status";
        let findings = self.all(findings, [], |row| {
            Ok((
                row.get("severity")?,
                row.get("status")?,
                count_at(row, "n")?,
            ))
        })?;
        let canaries = match self.version {
            ..2 => Vec::new(),
            _ => self.counts("SELECT state AS word, count(*) AS n FROM canaries GROUP BY 1")?,
        };
        let (org_log_files, org_data_sets) = match self.version {
            ..5 => Default::default(),
            _ => (
                self.counts("SELECT state AS word, count(*) AS n FROM org_log_files GROUP BY 1")?,
                self.counts(
                    "SELECT name AS word, state = 'read' AS n FROM org_data_sets ORDER BY 1",
                )?,
            ),
        };
        let waiting = "SELECT min(created_at) AS at FROM outbox WHERE state = 'pending'";
        let held = "SELECT coalesce(sum(bytes), 0) AS n FROM parts WHERE state = 'visible'";
        Ok(Standing {
            runs: self.last_runs()?,
            files: self.counts("SELECT state AS word, count(*) AS n FROM files GROUP BY 1")?,
            rows: self.row_counts(ROWS, [])?,
            findings,
            new_findings: self.counts(NEW_FINDINGS)?,
            rules: self.all(RULES, [], rule_of)?,
            canaries,
            outbox: self.counts("SELECT state AS word, count(*) AS n FROM outbox GROUP BY 1")?,
            oldest_pending: self
                .conn
                .query_row(waiting, [], |row| opt_time_at(row, "at"))?,
            newest_days: self.newest_days(today)?,
            org_log_files,
            org_data_sets,
            lake_bytes: self.conn.query_row(held, [], |row| count_at(row, "n"))?,
        })
    }

    fn last_runs(&self) -> Result<Vec<LastRun>> {
        let found: Vec<(RunId, LastRun)> = self.all(LAST_RUNS, [], |row| {
            let (started, ended) = (
                time_at(row, "started_at")?,
                opt_time_at(row, "finished_at")?,
            );
            let run = LastRun {
                command: row.get("kind")?,
                ended_at: ended,
                duration: ended.map(|ended| ended - started),
                exit_code: row.get("exit_code")?,
                is_interrupted: row.get("interrupted")?,
                last_success_at: opt_time_at(row, "succeeded_at")?,
                files: Vec::new(),
                rows: Vec::new(),
            };
            Ok((row.get("run_id")?, run))
        })?;
        let with_counts = |(id, run): (RunId, LastRun)| {
            let files =
                "SELECT state AS word, count(*) AS n FROM files WHERE run_id = ?1 GROUP BY 1";
            let rows = format!("{ROWS} WHERE run_id = ?1");
            Ok(LastRun {
                files: self.all(files, params![id], word_of)?,
                rows: self.row_counts(&rows, params![id])?,
                ..run
            })
        };
        found.into_iter().map(with_counts).collect()
    }

    fn newest_days(&self, today: NaiveDate) -> Result<Vec<(String, NaiveDate)>> {
        let newest = "SELECT event_type, max(day) AS day FROM parts
                      WHERE state = 'visible' AND day <= ?1 GROUP BY event_type";
        let mut days = self.all(newest, [today.to_string()], |row| {
            Ok((row.get::<_, String>("event_type")?, day_at(row, "day")?))
        })?;
        days.retain(|(event_type, _)| !is_rollup(event_type));
        Ok(days)
    }

    fn row_counts(&self, sql: &str, params: impl Params) -> Result<Counts> {
        Ok(self.conn.query_row(sql, params, |row| {
            let words = ["kept", "duplicate", "quarantined"];
            words
                .iter()
                .map(|word| Ok(((*word).to_owned(), count_at(row, word)?)))
                .collect()
        })?)
    }

    fn counts(&self, sql: &str) -> Result<Counts> {
        self.all(sql, [], word_of)
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn word_of(row: &Row<'_>) -> rusqlite::Result<(String, u64)> {
    Ok((row.get("word")?, count_at(row, "n")?))
}

fn rule_of(row: &Row<'_>) -> rusqlite::Result<RuleStanding> {
    Ok(RuleStanding {
        rule_id: row.get("rule_id")?,
        status: row.get("status")?,
        elapsed_ms: count_at(row, "elapsed_ms")?,
        since: time_at(row, "since")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::{Lake, RuleRun, RuleStatus};

    fn at(day: u32) -> DateTime<Utc> {
        let day = NaiveDate::from_ymd_opt(2026, 1, day).and_then(|d| d.and_hms_opt(3, 0, 0));
        day.unwrap().and_utc()
    }

    /// A run of this command on a day of January, with what became of these rules; and its end.
    fn run(
        lake: &mut Lake,
        kind: &str,
        day: u32,
        exit_code: Option<i32>,
        rules: &[(&str, RuleStatus)],
    ) {
        let ledger = lake.ledger_mut();
        let run_id = ledger.start_run(kind, at(day)).unwrap();
        for (rule, status) in rules {
            let told = RuleRun {
                run_id,
                rule_id: (*rule).to_owned(),
                version: 1,
                status: *status,
                reason: None,
                findings: 0,
                elapsed_ms: 1500,
            };
            ledger.record_rule_run(&told).unwrap();
        }
        if let Some(code) = exit_code {
            let end = at(day) + TimeDelta::minutes(5);
            ledger.finish_run(run_id, end, code, "{}").unwrap();
        }
    }

    fn standing(lake: &Lake) -> Standing {
        lake.ledger().standing(at(31).date_naive()).unwrap()
    }

    #[test]
    fn a_rule_is_blind_since_the_first_run_of_those_without_sight() {
        use RuleStatus::{Blind, Failed, Ok};
        let dir = tempfile::tempdir().unwrap();
        let mut lake = Lake::open_writer(dir.path()).unwrap();
        run(
            &mut lake,
            "run",
            1,
            Some(3),
            &[("a", Blind), ("b", Ok), ("gone", Blind)],
        );
        run(&mut lake, "run", 2, Some(0), &[("a", Ok), ("b", Ok)]);
        run(&mut lake, "run", 3, Some(3), &[("a", Blind), ("b", Failed)]);
        run(&mut lake, "run", 4, Some(3), &[("a", Blind), ("b", Ok)]);
        run(&mut lake, "detect", 5, Some(3), &[("a", Blind)]);
        let found = standing(&lake).rules;
        let found: Vec<_> = found
            .iter()
            .map(|r| (r.rule_id.as_str(), r.status.as_str(), r.since))
            .collect();
        assert_eq!(found, [("a", "blind", at(3)), ("b", "ok", at(4))]);
    }

    #[test]
    fn without_a_night_the_rules_are_those_that_were_ever_asked() {
        let dir = tempfile::tempdir().unwrap();
        let mut lake = Lake::open_writer(dir.path()).unwrap();
        let rules = [("a", RuleStatus::Ok), ("b", RuleStatus::Ok)];
        run(&mut lake, "detect", 1, Some(0), &rules);
        run(&mut lake, "detect", 2, Some(0), &rules[1..]);
        assert_eq!(standing(&lake).rules.len(), 2);
    }

    #[test]
    fn a_success_is_remembered_past_failures_and_deaths() {
        let dir = tempfile::tempdir().unwrap();
        let mut lake = Lake::open_writer(dir.path()).unwrap();
        run(&mut lake, "run", 1, Some(0), &[]);
        run(&mut lake, "run", 2, Some(1), &[]);
        run(&mut lake, "run", 3, Some(4), &[]);
        run(&mut lake, "compact", 4, Some(0), &[]);
        run(&mut lake, "run", 5, None, &[]);
        drop(lake);
        let lake = Lake::open_writer(dir.path()).unwrap();
        let runs = standing(&lake).runs;
        assert_eq!(runs.len(), 1);
        assert_eq!((runs[0].exit_code, runs[0].is_interrupted), (None, true));
        let success = at(2) + TimeDelta::minutes(5);
        assert_eq!(runs[0].last_success_at, Some(success));
    }
}
