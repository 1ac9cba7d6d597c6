//! Runs cases: each in a lake of its own that is gone afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Days, Utc};
use tempfile::TempDir;

use super::compare::compare;
use super::csv_text::csv_text;
use super::format::{Case, CaseFile, CaseKind, Content};
use super::table::inferred_roles_of;
use crate::catalog::Catalog;
use crate::config::RuleStatus;
use crate::detect::error::RuleError;
use crate::detect::inputs::Coverage;
use crate::detect::rule::{Rule, RuleSet};
use crate::detect::runner::{DetectReport, RunOptions, run};
use crate::detect::suppress::Suppressions;
use crate::detect::windows::Windows;
use crate::engine::{EngineOptions, Session};
use crate::ingest::{self, IngestOptions, Input, LocalDates};
use crate::lake::{Lake, LedgerTable, RuleStatus as RunStatus, RunId};
use crate::registry::Registry;

/// The org of all cases.
const ORG_ID: &str = "00D000000000001AAA";
/// Memory of one case's queries, in bytes.
const MEMORY_BYTES: usize = 256 << 20;
const LOOKBACK_DAYS: u32 = 366;
const BLIND_DAYS: u32 = 3;

/// Brings the rollups of a lake up to date; the rollups are on the rules' own floor, so they
/// are handed in. The flag says whether the accounts' history is needed, too.
pub type RefreshRollups<'a> =
    dyn Fn(&mut Lake, &EngineOptions, RunId, DateTime<Utc>, bool) -> Result<(), String> + Sync + 'a;

/// Tables that stand on the accounts' history.
const HISTORY: [&str; 6] = [
    "sightings",
    "activity_hourly",
    "first_seen",
    "expected_activity",
    "rollup_sightings",
    "rollup_activity",
];

/// What cases need besides the rule.
pub struct CaseRunner<'a> {
    pub catalog: &'a Arc<Catalog>,
    /// Holds the registries that cases name.
    pub rules: &'a RuleSet,
    /// Cases that run at the same time.
    pub threads: usize,
    pub refresh_rollups: &'a RefreshRollups<'a>,
}

/// Which cases of a rule run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CasePick {
    All,
    Positives,
    FirstPositive,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    pub rule_id: String,
    pub file: String,
    pub line: usize,
    pub name: String,
    pub kind: CaseKind,
    /// What differs from the expectation; empty where the case passed.
    pub differences: Vec<String>,
    /// The rule fired, and suppressions hid every one of its findings.
    pub silenced: bool,
    pub elapsed_ms: u64,
}

/// What a rule made of a case's rows.
pub(super) struct Evaluated {
    pub report: DetectReport,
    /// What was misread of files given as rows: a slip in a cell must not make a case quiet.
    pub misreadings: Vec<String>,
}

impl CaseResult {
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

impl CaseRunner<'_> {
    /// Runs all cases of the given rules, in their order. A rule without cases has no results.
    /// Parameters are those in force: give the rules as written, without the operator's settings.
    ///
    /// # Errors
    /// The first cases file that cannot be read.
    pub fn run<'r>(
        &self,
        rules: impl IntoIterator<Item = &'r Rule>,
    ) -> Result<Vec<CaseResult>, RuleError> {
        self.run_some(rules, CasePick::All, &Suppressions::default())
    }

    /// The same for some of the cases and under suppressions, which hide findings but do not
    /// undo them: a case passes or fails as without.
    ///
    /// # Errors
    /// The first cases file that cannot be read.
    pub fn run_some<'r>(
        &self,
        rules: impl IntoIterator<Item = &'r Rule>,
        pick: CasePick,
        suppressions: &Suppressions,
    ) -> Result<Vec<CaseResult>, RuleError> {
        let mut jobs = vec![];
        for rule in rules {
            if let Some(text) = &rule.cases {
                let mut cases = CaseFile::read(text)?.cases;
                if pick != CasePick::All {
                    cases.retain(|case| case.kind == CaseKind::Positive);
                }
                if pick == CasePick::FirstPositive {
                    cases.truncate(1);
                }
                jobs.extend(
                    cases
                        .into_iter()
                        .map(|case| (rule, text.file.as_str(), case)),
                );
            }
        }
        Ok(self.each(&jobs, |(rule, file, case)| {
            self.run_case(rule, file, case, suppressions)
        }))
    }

    /// Does all jobs, several at the same time; results in the order of the jobs.
    pub(super) fn each<J: Sync, R: Clone + Send>(
        &self,
        jobs: &[J],
        work: impl Fn(&J) -> R + Sync,
    ) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(vec![None; jobs.len()]);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.clamp(1, jobs.len().max(1)) {
                scope.spawn(|| {
                    while let Some((n, job)) = {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        jobs.get(n).map(|job| (n, job))
                    } {
                        let result = work(job);
                        results.lock().unwrap_or_else(PoisonError::into_inner)[n] = Some(result);
                    }
                });
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().flatten().collect()
    }

    fn run_case(
        &self,
        rule: &Rule,
        file: &str,
        case: &Case,
        suppressions: &Suppressions,
    ) -> CaseResult {
        let started = Instant::now();
        let (differences, silenced) = self
            .differences(rule, case, suppressions)
            .unwrap_or_else(|failure| (vec![failure], false));
        CaseResult {
            rule_id: rule.id.clone(),
            file: file.to_owned(),
            line: case.line,
            name: case.name.clone(),
            kind: case.kind,
            differences,
            silenced,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What differs, and whether all of the rule's findings are suppressed; an error says why the
    /// case could not be run at all.
    fn differences(
        &self,
        rule: &Rule,
        case: &Case,
        suppressions: &Suppressions,
    ) -> Result<(Vec<String>, bool), String> {
        let mut rule = as_written(rule);
        for (name, value) in &case.params {
            rule.set_param(name, value)?;
        }
        let mut rules = self.others(&rule, case)?;
        rules.push(rule.clone());
        let Evaluated {
            report,
            misreadings,
        } = self.evaluate(&rules, case, suppressions)?;

        // A rule about rejected rows has cases of rejected rows.
        let mut differences = match reads(&rule, "quarantine") {
            true => vec![],
            false => misreadings,
        };
        for outcome in &report.rules {
            let reason = outcome.reason.as_deref().unwrap_or_default();
            let mut differs = |what: String| {
                differences.push(match outcome.rule_id == rule.id {
                    true => what,
                    false => format!("{}: {what}", outcome.rule_id),
                });
            };
            match outcome.status {
                RunStatus::Failed => differs(format!("the rule failed: {reason}")),
                // Quiet for want of input proves nothing.
                RunStatus::NeverHadInput => differs(format!("nothing was judged: {reason}")),
                RunStatus::Ok | RunStatus::Blind => {}
            }
            if outcome.rows_outside_window > 0 {
                let n = outcome.rows_outside_window;
                differs(format!("{n} rows of the result lie outside the window"));
            }
        }
        differences.extend(compare(&rule.id, &case.expect, &report.findings));
        let mut own = report
            .findings
            .iter()
            .filter(|f| f.rule_id == rule.id)
            .peekable();
        let silenced = own.peek().is_some() && own.all(|f| f.suppressed_by.is_some());
        Ok((differences, silenced))
    }

    /// Asks the rules, as they are given, of the case's rows.
    pub(super) fn evaluate(
        &self,
        asked: &[Rule],
        case: &Case,
        suppressions: &Suppressions,
    ) -> Result<Evaluated, String> {
        let registry = self.registry(case)?;

        let folder = temporary_folder().map_err(|e| format!("no temporary folder: {e}"))?;
        let options = EngineOptions {
            memory_bytes: MEMORY_BYTES,
            threads: 1,
            temp_dir: folder.path().join("spill"),
        };
        let mut lake =
            Lake::open_scratch(&folder.path().join("data")).map_err(|e| e.to_string())?;
        let mut misreadings = vec![];
        if !case.files.is_empty() {
            let history = asked.iter().any(asks_history);
            misreadings = self.fill(&mut lake, case, folder.path(), &options, history)?;
        }

        infer_roles(&mut lake, case)?;
        let coverage = Coverage::of_lake(&lake, self.catalog).map_err(|e| e.to_string())?;
        let coverage = coverage.enriched(&case.known);
        let dirty = lake
            .ledger()
            .dirty_days("detect")
            .map_err(|e| e.to_string())?;
        let windows = match case.files.is_empty() {
            // Rows of the program's own tables make no day dirty.
            true => Windows::between(
                case.now.date_naive() - Days::new(LOOKBACK_DAYS.into()),
                case.now.date_naive(),
            ),
            false => Windows::of_dirty_days(&dirty, &coverage, case.now, LOOKBACK_DAYS),
        };
        let session =
            Session::open(&lake, self.catalog, &registry, &options).map_err(|e| e.to_string())?;
        session.plan_in_one_pass();
        session.enrich(&case.known).map_err(|e| e.to_string())?;
        for (table, rows) in &case.tables {
            session
                .replace_table(table.name(), rows.clone())
                .map_err(|e| e.to_string())?;
        }
        let run_options = RunOptions {
            org_id: ORG_ID,
            now: case.now,
            blind_days: BLIND_DAYS,
            only: None,
            suppressions,
            stage: None,
        };
        let mut rules = RuleSet::default();
        for rule in asked {
            rules.add(rule.clone()).map_err(|e| e.to_string())?;
        }
        let report = run(
            &session,
            &rules,
            &windows,
            &coverage,
            &run_options,
            &mut |_| {},
        );
        Ok(Evaluated {
            report,
            misreadings,
        })
    }

    /// The other rules that the case names, with their defaults.
    fn others(&self, rule: &Rule, case: &Case) -> Result<Vec<Rule>, String> {
        let named = case.expect.iter().filter_map(|e| e.rule.as_deref());
        let ids: BTreeSet<&str> = named.filter(|id| *id != rule.id).collect();
        ids.into_iter()
            .map(|id| match self.rules.get(id) {
                Some(other) => Ok(as_written(other)),
                None => Err(self.rules.unknown(id, "expect", 0).to_string()),
            })
            .collect()
    }

    fn registry(&self, case: &Case) -> Result<Registry, String> {
        let text = match case.registry.as_deref() {
            None => return Ok(Registry::empty()),
            Some(text) if text.contains(['\n', '[']) || text.trim().is_empty() => text,
            Some(name) => self
                .rules
                .registry_text(name)
                .ok_or_else(|| format!("there is no registry `{name}.registry.toml`"))?,
        };
        Registry::parse(text, "registry of the case").map_err(|e| e.to_string())
    }

    /// Brings the case's files into the lake. Returns what was misread of files given as rows: a
    /// slip in a cell must not make a case quiet.
    fn fill(
        &self,
        lake: &mut Lake,
        case: &Case,
        folder: &Path,
        options: &EngineOptions,
        with_history: bool,
    ) -> Result<Vec<String>, String> {
        let inbox = folder.join("inbox");
        fs::create_dir(&inbox).map_err(|e| format!("no temporary folder: {e}"))?;
        for input in &case.files {
            let path = inbox.join(&input.name);
            if path.exists() {
                return Err(format!("two files are called {}", input.name));
            }
            let text = csv_text(input, self.catalog)?;
            fs::write(&path, text).map_err(|e| format!("{}: {e}", input.name))?;
        }
        let run_id = lake
            .ledger_mut()
            .start_run("rules test", case.now)
            .map_err(|e| e.to_string())?;
        let inputs = Input::expand(&[inbox.display().to_string()]).map_err(|e| e.to_string())?;
        let ingest_options = IngestOptions {
            threads: 1,
            local_dates: LocalDates::default(),
        };
        let silent = &ingest::Silent;
        let report = ingest::ingest(
            lake,
            self.catalog,
            &inputs,
            &ingest_options,
            silent,
            run_id,
            case.now,
        )
        .map_err(|e| e.to_string())?;
        (self.refresh_rollups)(lake, options, run_id, case.now, with_history)?;

        let mut misreadings = vec![];
        for file in &report.files {
            let name = Path::new(&file.name).file_name().unwrap_or_default();
            let from_rows = case.files.iter().any(|input| {
                matches!(input.content, Content::Rows(_)) && name == input.name.as_str()
            });
            if !from_rows {
                continue;
            }
            let name = name.to_string_lossy();
            if let Some(reason) = &file.reason {
                misreadings.push(format!("{name} was not read: {reason}"));
            }
            if file.rows_quarantined > 0 {
                let n = file.rows_quarantined;
                misreadings.push(format!(
                    "{name}: {n} rows went to quarantine (use `raw` to mean that)"
                ));
            }
        }
        Ok(misreadings)
    }
}

/// A case that sets `inferred_roles` sets the roles of the views, too.
fn infer_roles(lake: &mut Lake, case: &Case) -> Result<(), String> {
    let mut given = case.tables.iter();
    let Some((_, rows)) = given.rfind(|(table, _)| *table == LedgerTable::InferredRoles) else {
        return Ok(());
    };
    let roles = inferred_roles_of(rows, case.now);
    lake.ledger_mut()
        .replace_inferred_roles(&roles, "case")
        .map_err(|e| e.to_string())
}

/// A rule that is off or in staging must still pass its cases, at its own severity.
fn as_written(rule: &Rule) -> Rule {
    let mut rule = rule.clone();
    rule.status = RuleStatus::Active;
    rule.severity_cap = None;
    rule
}

fn reads(rule: &Rule, table: &str) -> bool {
    let mut names = rule.inputs.iter().flat_map(|input| &input.alternatives);
    names.any(|name| name == table)
}

/// Whether a rule's query names a table of the accounts' history: to make it for the others would
/// double the time of their cases.
fn asks_history(rule: &Rule) -> bool {
    let text = rule.sql.to_lowercase();
    HISTORY.iter().any(|table| text.contains(table))
}

/// A private folder, in memory where there is such a place: a case is all writes and no data.
fn temporary_folder() -> std::io::Result<TempDir> {
    let build = |place: &Path| {
        tempfile::Builder::new()
            .prefix("orgwatch-case-")
            .tempdir_in(place)
    };
    build(Path::new("/dev/shm")).or_else(|_| build(&std::env::temp_dir()))
}
