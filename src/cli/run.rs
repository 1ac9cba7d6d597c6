//! `orgwatch run`: the nightly job, from the org's logs to findings and alerts.

use chrono::{DateTime, Days, Utc};
use clap::Args;

use super::account::quarantine_reasons;
use super::delivery::{Courier, Deliveries, heartbeats_due, letterhead};
use super::exit::Exit;
use super::failure::UsageError;
use super::fetch::Org;
use super::fetched::Fetched;
use super::mailing::{Mailer, Teller};
use super::night::{
    Judges, apply, ask_rules, read_inputs, refresh_rollups, release_canaries, set_damaged_aside,
    unknown_machines,
};
use super::output::Format;
use super::report::{self, Subject};
use super::summary::{NightSummary, case_count, health};
use super::terminal::Terminal;
use super::told::MailHistory;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, InputFlags, RuleFlags, WatchFlags, watch};
use crate::alert::Audiences;
use crate::detect::Windows;
use crate::lake::{FindingFilter, FindingRow, Lake, LakeError, Status};
use crate::registry::Resolution;
use crate::report::html::Tonight;
use crate::words::counted;

pub const EXAMPLES: &str = "\
Examples:
  orgwatch run --config orgwatch.toml          the nightly job, as the config says
  orgwatch run logs/ --data-dir data           every .csv, .json, .jsonl, .gz, .zip of a folder
  orgwatch run --config orgwatch.toml --now 2026-01-31T03:00:00Z
                                               replays a night at a fixed time
  orgwatch run --config orgwatch.toml --log-format json --metrics-file orgwatch.prom
                                               for those who watch the job: see deploy/README.md

Exit codes:
  0 nothing at or above the threshold   1 findings at or above --fail-on
  2 usage or configuration              3 partial: input rejected, rule failed or blind,
                                          org not fetched whole, report not written
  4 alerts not delivered                75 another run holds the lock";

/// Days for which alerts tell of another that was refused.
const REFUSED_DAYS: u64 = 7;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Log and roster files (CSV or JSON), folders or globs, or `-` for standard input; otherwise
    /// those of the config
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// Run as if it were this time (RFC 3339), to replay a night
    #[arg(long, value_name = "TIME")]
    pub now: Option<DateTime<Utc>>,
    /// Download nothing from the org of [salesforce]: judge what is there
    #[arg(long)]
    pub no_fetch: bool,
    /// Do not begin with every rule's own positive case, which proves that the rule can still see
    #[arg(long)]
    pub no_canaries: bool,
    #[command(flatten)]
    pub input: InputFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub rules: RuleFlags,
    #[command(flatten)]
    pub watch: WatchFlags,
}

pub fn run(args: &RunArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    if !matches!(global.format, None | Some(Format::Table | Format::Json)) {
        return Err(UsageError::new(
            "`run` prints a summary, as `table` or `json`",
            "`orgwatch findings list` has the findings in every format",
        )
        .into());
    }
    let flags = Flags {
        input: Some(&args.input),
        engine: Some(&args.engine),
        rules: Some(&args.rules),
        inputs: &args.inputs,
        no_canaries: args.no_canaries,
        metrics_file: args.watch.metrics_file.as_ref(),
    };
    // Whatever a person wrote is read before anything is done.
    let place = Workplace::open(terminal, global, args.now, &flags)?;
    let catalog = place.catalog()?;
    let registry = place.registry()?;
    let rules = place.rules()?;
    let email = &place.settings.email;
    let mut audiences = Audiences::of(email, &registry, place.clock.now())?;
    let head = letterhead(&place)?;
    let mut courier = Courier::open(&place)?;
    let org = match args.no_fetch {
        true => None,
        false => Org::of(&place)?,
    };
    let inputs = match org.is_some() && place.settings.inputs.paths.is_empty() {
        true => Vec::new(),
        false => place.inputs()?,
    };
    let known = place.enrichment()?.indicators_digest();

    let mut lake = Lake::open_writer(place.data_dir())?;
    let at = place.clock.now();
    let run_id = lake.ledger_mut().start_run("run", at)?;
    let mut deliveries = courier.deliver(&mut lake)?;
    let mut remarks = set_damaged_aside(&mut lake, run_id, &place)?;
    let damaged = !remarks.is_empty();
    let fetched = match &org {
        Some(org) => Some(org.fetch(&mut lake, &catalog, run_id, None, &place)?),
        None => None,
    };
    let mut ingest = read_inputs(&mut lake, &catalog, &inputs, run_id, &place)?;
    if let Some(fetched) = &fetched {
        ingest.join(&fetched.ingest);
    }
    refresh_rollups(&mut lake, &catalog, run_id, &place)?;

    let coverage = place.coverage(&lake, &catalog)?;
    let dirty = lake.ledger().dirty("detect")?;
    let lookback = *place.settings.detect.lookback_days;
    let windows = Windows::of_dirty_days(&dirty.days, &coverage, at, lookback);
    // An indicator that was published today may have been in the logs for months.
    let asked = lake.ledger().indicators_asked()?;
    let hunt = asked.as_ref() != Some(&known);
    let windows = match hunt {
        true => windows.with_archive(&coverage, at),
        false => windows,
    };
    let judges = Judges {
        rules: &rules,
        registry: &registry,
        catalog: &catalog,
        only: None,
    };
    let canaries = release_canaries(&mut lake, &rules, &catalog, &place)?;
    let report = ask_rules(&mut lake, &judges, &windows, &coverage, run_id, &place)?;

    remarks.extend(fetched.iter().flat_map(|it| Fetched(it).remarks()));
    remarks.extend(unknown_machines(&lake, &registry, &place)?);
    remarks.extend(watch::expired(&report));
    remarks.extend(report.remarks.iter().cloned());
    if let (true, Some(archive), true) = (hunt, windows.archive, asked.is_some()) {
        remarks.push(format!(
            "the indicators have changed: all that the lake holds was compared with them, from {} on",
            archive.from.date_naive()
        ));
    }
    if !windows.beyond_lookback.is_empty() {
        remarks.push(format!(
            "{} received rows but lie before the look-back of {lookback} days: not judged",
            counted(windows.beyond_lookback.len(), "day")
        ));
    }
    remarks.extend(audiences.remarks.iter().cloned());
    remarks.extend(alert_remarks(&lake, &deliveries, at)?);
    audiences.resolve(&Resolution::new(&registry, lake.ledger().usernames()?));
    let history = MailHistory::read(&lake)?;
    let mailer = Mailer {
        teller: Teller::new(&lake, &rules, place.invocation())?,
        audiences: &audiences.all,
        head: &head,
        heartbeats: heartbeats_due(
            &lake,
            &audiences.all,
            *email.heartbeat,
            *place.settings.org.timezone,
            at,
        )?,
        org: place.org_name(),
        run_id,
        at,
        data_day: coverage
            .last_day(at.date_naive())
            .unwrap_or(at.date_naive()),
        suppressed: report.rules.iter().map(|r| r.suppressed).sum(),
        health: health(&ingest, &report, remarks),
    };
    let mut digests = Vec::new();
    let changes = apply(&mut lake, run_id, at, &report, &place, |changes| {
        digests = mailer.digests(changes, &history);
        Ok(mailer.outbox(&digests)?)
    })?;
    if report.may_clear_dirty_days() {
        lake.ledger_mut()
            .clear_dirty("detect", &dirty.days, dirty.marker)?;
        if hunt {
            lake.ledger_mut().remember_indicators(&known)?;
        }
    }
    deliveries.join(courier.deliver(&mut lake)?);

    let open = open_findings(&lake)?;
    let mut summary = NightSummary {
        place: &place,
        run_id,
        at,
        has_no_input: inputs.is_empty() && fetched.is_none(),
        fetched: fetched.as_ref(),
        open: open.len(),
        open_cases: case_count(&open),
        quarantine: quarantine_reasons(&lake, &ingest)?,
        ingest: &ingest,
        report: &report,
        canaries: canaries.as_ref(),
        changes: &changes,
        digests: &digests,
        mailer: &mailer,
        history: &history,
        deliveries: &deliveries,
        damaged,
        page: None,
    };
    let subject = Subject {
        lake: &lake,
        place: &place,
        catalog: &catalog,
        registry: &registry,
        rules: &rules,
    };
    let tonight = Tonight {
        run_id,
        summary: summary.to_json(),
    };
    // What was found is in the ledger and on its way: a page that cannot be written takes none of it.
    summary.page = report::nightly(&subject, &tonight)
        .map(|written| written.map_err(|error| format!("{error:#}")));
    let exit = summary.exit();
    let json = summary.to_json();
    lake.ledger_mut().finish_run(
        run_id,
        place.clock.now(),
        i32::from(exit.code()),
        &json.to_string(),
    )?;
    let text = match global.format {
        Some(Format::Json) => format!("{json:#}\n"),
        _ => summary.render(terminal),
    };
    summary.record();
    terminal.data(|out| out.write_all(text.as_bytes()))?;
    Ok(exit)
}

/// What became of the alerts of earlier nights, as far as it was not well.
fn alert_remarks(
    lake: &Lake,
    deliveries: &Deliveries,
    at: DateTime<Utc>,
) -> Result<Vec<String>, LakeError> {
    let mut remarks = Vec::new();
    if deliveries.waiting > 0 {
        remarks.push(format!(
            "{} of earlier nights still to be delivered: {}",
            counted(deliveries.waiting, "alert"),
            deliveries.reasons.join("; ")
        ));
    }
    let since = at.checked_sub_days(Days::new(REFUSED_DAYS)).unwrap_or(at);
    let refused = lake.ledger().outbox_failed_since(since)?;
    if refused > 0 {
        remarks.push(format!(
            "{} refused for good within {REFUSED_DAYS} days: see `orgwatch alert list --state failed`",
            counted(refused, "alert")
        ));
    }
    Ok(remarks)
}

fn open_findings(lake: &Lake) -> Result<Vec<FindingRow>, LakeError> {
    let statuses = vec![Status::New, Status::Ongoing];
    let open = FindingFilter {
        statuses,
        ..FindingFilter::default()
    };
    let open = lake.ledger().findings(&open)?;
    Ok(open.into_iter().map(|finding| finding.row).collect())
}
