//! The steps that `run`, `ingest` and `detect` share.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use indicatif::ProgressBar;

use super::watch::Canaries;
use super::workplace::Workplace;
use crate::catalog::Catalog;
use crate::detect::{
    self, CaseRunner, Coverage, DetectReport, Privileged, RuleSet, RunOptions, Stage, Suppressions,
    Windows,
};
use crate::engine::Session;
use crate::ingest::{IngestReport, Input, Progress, ingest};
use crate::lake::{
    Finding, FindingChanges, FindingFilter, Lake, LakeError, OutboxMail, RuleStatus, RunId, Status,
};
use crate::privacy::printable;
use crate::registry::{ProblemKind, Registry, Resolution};
use crate::rollup;
use crate::words::counted;

/// A rule is blind when its input is missing for this many days.
pub const BLIND_DAYS: u32 = 3;
/// Unknown users of the registry that are named.
const MAX_NAMED: usize = 5;

/// Takes damaged files out of sight, so that their inputs can be read again. Says which.
pub fn set_damaged_aside(
    lake: &mut Lake,
    run_id: RunId,
    place: &Workplace<'_>,
) -> anyhow::Result<Vec<String>> {
    let damaged: Vec<_> = lake
        .damaged()
        .iter()
        .map(|d| {
            (
                d.part.part_id,
                format!("{}: {}", d.part.path.display(), d.detail),
            )
        })
        .collect();
    if damaged.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<_> = damaged.iter().map(|(id, _)| *id).collect();
    let aside = lake.set_aside(run_id, place.clock.now(), &parts)?;
    let mut told: Vec<String> = damaged
        .into_iter()
        .map(|(_, what)| format!("damaged, set aside: {what}"))
        .collect();
    told.push(format!(
        "{} had rows there: give them again to bring the rows back",
        counted(aside.files.len(), "input file")
    ));
    Ok(told)
}

/// Reads the inputs with a progress bar.
pub fn read_inputs(
    lake: &mut Lake,
    catalog: &Catalog,
    inputs: &[Input],
    run_id: RunId,
    place: &Workplace<'_>,
) -> anyhow::Result<IngestReport> {
    let bar = Bar(place.terminal.progress(0));
    let options = place.ingest_options();
    let at = place.clock.now();
    Ok(ingest(lake, catalog, inputs, &options, &bar, run_id, at)?)
}

/// Brings the merged logins up to date.
pub fn refresh_rollups(
    lake: &mut Lake,
    catalog: &Arc<Catalog>,
    run_id: RunId,
    place: &Workplace<'_>,
) -> anyhow::Result<()> {
    let options = place.engine_options(lake.data_dir());
    rollup::refresh(lake, catalog, &options, run_id, place.clock.now())?;
    Ok(())
}

/// Declared users whom no rule can watch, because no log has shown who they are. A slip of the pen
/// in a username must not switch its rules off in silence.
pub fn unknown_machines(
    lake: &Lake,
    registry: &Registry,
    place: &Workplace<'_>,
) -> anyhow::Result<Option<String>> {
    let resolution = Resolution::new(registry, lake.ledger().usernames()?);
    let now = place.clock.now().timestamp_millis();
    let names: Vec<String> = registry
        .check(&resolution, place.clock.now())
        .into_iter()
        .filter(|problem| problem.kind == ProblemKind::UnresolvedUser)
        .filter(|problem| {
            let mut entries = registry.users.iter();
            entries.any(|u| u.at == problem.at && u.valid.from_ms <= now && now < u.valid.to_ms)
        })
        .map(|problem| printable(&problem.subject, 100))
        .collect();
    if names.is_empty() {
        return Ok(None);
    }
    let more = match names.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" + {more} more"),
    };
    Ok(Some(format!(
        "no log has shown {} of the registry: {}{more}; check the spelling, or add the id \
         (`orgwatch registry check`)",
        counted(names.len(), "user"),
        names[..names.len().min(MAX_NAMED)].join(", ")
    )))
}

/// What a detection judges by.
pub struct Judges<'a> {
    pub rules: &'a RuleSet,
    pub registry: &'a Registry,
    pub catalog: &'a Arc<Catalog>,
    pub only: Option<&'a BTreeSet<String>>,
}

/// Asks the rules and notes in the ledger what became of each. Rules about the run itself come
/// last and see what became of the others.
pub fn ask_rules(
    lake: &mut Lake,
    judges: &Judges<'_>,
    windows: &Windows,
    coverage: &Coverage,
    run_id: RunId,
    place: &Workplace<'_>,
) -> anyhow::Result<DetectReport> {
    if judges.registry.users.is_empty() {
        place.terminal.say(
            "no registry: no account is declared to be a machine's, so most rules have nobody to watch; \
             write one (--registry, or `file` in [registry])",
        );
    }
    let session = place.session(lake, judges.catalog, judges.registry)?;
    let suppressions = Suppressions::new(&place.settings.suppressions);
    let now = place.clock.now();
    let open = FindingFilter {
        statuses: vec![Status::New, Status::Ongoing, Status::Acknowledged],
        ..FindingFilter::default()
    };
    let open = lake.ledger().findings(&open)?;
    let bar = place.terminal.progress(0);
    let ask = |stage| {
        let options = RunOptions {
            org_id: place.settings.org.id.as_deref().unwrap_or_default(),
            now,
            blind_days: BLIND_DAYS,
            only: judges.only,
            suppressions: &suppressions,
            stage: Some(stage),
        };
        detect::run(
            &session,
            judges.rules,
            windows,
            coverage,
            &options,
            &mut |rule| {
                bar.set_message(rule.id.clone());
                tracing::info!(rule = rule.id, "asking");
            },
        )
    };
    let mut report = ask(Stage::Logs);
    detect::void_suppressions(&mut report, &open);
    report.count_suppressed(&suppressions, now);
    note_outcomes(lake, &report, run_id)?;
    if !report.partial {
        // Counts of a few rules would say that the suppressions of the others hide nothing.
        lake.ledger_mut()
            .replace_suppressions(&report.suppressions)?;
    }
    session.read_ledger_again(lake)?;
    let of_the_run = ask(Stage::Run);
    note_outcomes(lake, &of_the_run, run_id)?;
    bar.finish_and_clear();
    report.join(of_the_run);
    detect::void_suppressions(&mut report, &open);
    let before = std::mem::take(&mut report.suppressions);
    report.count_suppressed(&suppressions, now);
    if !report.partial && report.suppressions != before {
        lake.ledger_mut()
            .replace_suppressions(&report.suppressions)?;
    }
    ask_who_is_privileged(&session, &mut report, &open);
    Ok(report)
}

/// Finds out whose findings weigh more. Without an answer people's findings keep the severity of
/// their rules, and the night says so.
fn ask_who_is_privileged(session: &Session, report: &mut DetectReport, in_ledger: &[Finding]) {
    let tonight = report.findings.iter().filter(|f| f.suppressed_by.is_none());
    let known = in_ledger.iter().map(|finding| &finding.row);
    let Some(days) = detect::may_be_privileged(tonight.chain(known)) else {
        return;
    };
    match Privileged::ask(session, days) {
        Ok(privileged) => report.privileged = privileged,
        Err(why) => {
            let remark = format!(
                "the roster did not say who is privileged, so no finding of such a person was raised: {}",
                printable(&why, 500)
            );
            tracing::warn!(remark);
            report.remarks.push(remark);
        }
    }
}

/// Notes in the ledger what the run found, judged in the light of all that is open there, and the
/// mails that `mail` makes of it.
pub fn apply(
    lake: &mut Lake,
    run_id: RunId,
    at: DateTime<Utc>,
    report: &DetectReport,
    place: &Workplace<'_>,
    mail: impl FnOnce(
        &FindingChanges,
    ) -> Result<Vec<OutboxMail>, Box<dyn std::error::Error + Send + Sync>>,
) -> Result<FindingChanges, LakeError> {
    let org_id = place.settings.org.id.as_deref().unwrap_or_default();
    lake.ledger_mut().apply_findings(
        run_id,
        at,
        &report.findings,
        &report.evaluated,
        &|findings| detect::correlate(findings, org_id, &report.privileged),
        mail,
    )
}

fn note_outcomes(lake: &mut Lake, report: &DetectReport, run_id: RunId) -> anyhow::Result<()> {
    for outcome in &report.rules {
        lake.ledger_mut()
            .record_rule_run(&outcome.to_rule_run(run_id))?;
        if outcome.status == RuleStatus::Failed {
            tracing::warn!(
                rule = outcome.rule_id,
                reason = outcome.reason,
                "the rule failed"
            );
        }
    }
    Ok(())
}

/// Pushes every rule's own positive case through the program and notes in the ledger what came
/// of each. None where canaries are switched off: the ledger keeps what it knew. A night that is
/// run again on its day, with nothing changed, takes the canaries from there.
pub fn release_canaries(
    lake: &mut Lake,
    rules: &RuleSet,
    catalog: &Arc<Catalog>,
    place: &Workplace<'_>,
) -> anyhow::Result<Option<Canaries>> {
    if !*place.settings.detect.canaries {
        return Ok(None);
    }
    let started = Instant::now();
    let runner = CaseRunner {
        catalog,
        rules,
        threads: *place.settings.limits.threads,
        refresh_rollups: &rollup::of_cases(catalog),
    };
    let now = place.clock.now();
    let of = format!(
        "{} {}",
        program_and_catalog(place),
        runner.canaries_of(rules)
    );
    if let Some((list, before)) = lake.ledger().canaries()?
        && before == of
        && list
            .iter()
            .all(|c| c.checked_at.date_naive() == now.date_naive())
    {
        return Ok(Some(Canaries {
            list,
            elapsed_ms: None,
        }));
    }
    let list = runner.canaries(rules, now);
    lake.ledger_mut().replace_canaries(&list, &of)?;
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(canaries = list.len(), elapsed_ms, "canaries are back");
    Ok(Some(Canaries {
        list,
        elapsed_ms: Some(elapsed_ms),
    }))
}

/// Names this build of the program and the operator's extension of the catalogue.
pub fn program_and_catalog(place: &Workplace<'_>) -> String {
    let program = std::env::current_exe().and_then(std::fs::metadata);
    let build = program.ok().map(|file| (file.len(), file.modified().ok()));
    let catalog = place.settings.catalog_file.value.as_ref();
    let catalog = catalog.map(|path| std::fs::read(path).unwrap_or_default());
    let named = format!("{}{build:?}", env!("CARGO_PKG_VERSION"));
    let mut hash = blake3::Hasher::new();
    hash.update(named.as_bytes());
    hash.update(&[0]);
    hash.update(&catalog.unwrap_or_default());
    hash.finalize().to_hex().to_string()
}

/// The bar on stderr as the ingest's progress.
/// What is read, or fetched, as a bar.
pub struct Bar(pub ProgressBar);

impl Progress for Bar {
    fn begin(&self, _files: usize, bytes: u64) {
        self.0.set_length(bytes);
    }

    fn file(&self, name: &str) {
        // The name of an input was made printable when it was expanded.
        self.0.set_message(name.to_owned());
        tracing::info!(file = name, "reading");
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
