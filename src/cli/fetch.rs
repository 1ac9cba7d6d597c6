//! `orgwatch fetch`: what is new in the org into the lake, without asking any rule; and the same as
//! the first step of a night.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::Value;
use tokio::runtime::Builder;

use super::account::{ingest_troubles, quarantine_reasons, write_ingest, write_quarantine};
use super::exit::Exit;
use super::failure::UsageError;
use super::fetched::Fetched;
use super::night::{Bar, refresh_rollups, set_damaged_aside};
use super::record::{level_of, record_input};
use super::terminal::Terminal;
use super::workplace::{Flags, Workplace};
use super::{EngineFlags, Global, HiddenNow, InputFlags, WatchFlags};
use crate::catalog::Catalog;
use crate::config::{self, salesforce_secrets};
use crate::doctor::{OrgSeen, Readable};
use crate::fetch::{FetchError, FetchOptions, FetchReport, fetch};
use crate::lake::{Lake, RunId};
use crate::privacy::printable;
use crate::salesforce::{
    Client, HISTORIES, LOG_FILES, LOG_FILES_PERMISSION, ROSTER, RealPace, SalesforceError,
};

pub const EXAMPLES: &str = "\
Examples:
  orgwatch fetch --config orgwatch.toml             what is new since the last time
  orgwatch fetch --config orgwatch.toml --since 2026-01-01T00:00:00Z
                                                    once more from then on; rows count once

Needs [salesforce] in the config. `orgwatch run` begins with the same; `orgwatch doctor` checks the sign-in
and the permissions.

Exit codes:
  0 everything that is new is in the lake    2 configuration, key, or the org refuses the sign-in
  3 not everything could be fetched          75 another run holds the lock";

#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Fetch what the org has since this time (RFC 3339) instead of what is new
    #[arg(long, value_name = "TIME")]
    pub since: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub input: InputFlags,
    #[command(flatten)]
    pub engine: EngineFlags,
    #[command(flatten)]
    pub watch: WatchFlags,
    #[command(flatten)]
    pub now: HiddenNow,
}

pub fn run(args: &FetchArgs, global: &Global, terminal: &Terminal) -> anyhow::Result<Exit> {
    let flags = Flags {
        input: Some(&args.input),
        engine: Some(&args.engine),
        metrics_file: args.watch.metrics_file.as_ref(),
        ..Flags::default()
    };
    let place = Workplace::open(terminal, global, args.now.now, &flags)?;
    let catalog = place.catalog()?;
    let Some(settings) = &place.settings.salesforce else {
        return Err(UsageError::new(
            "the configuration has no [salesforce]: there is no org to fetch from",
            "write [salesforce] with `login_url`, `client_id`, `username` and `key_file`; see README",
        )
        .into());
    };
    let client = client_of(settings, &place)??;

    let mut lake = Lake::open_writer(place.data_dir())?;
    let run_id = lake.ledger_mut().start_run("fetch", place.clock.now())?;
    let notes = set_damaged_aside(&mut lake, run_id, &place)?;
    let org = Org {
        client: Ok(client),
        settings,
    };
    let report = org.fetch(&mut lake, &catalog, run_id, args.since, &place)?;
    refresh_rollups(&mut lake, &catalog, run_id, &place)?;

    let fetched = Fetched(&report);
    let mut troubles = fetched.troubles();
    let ratio = *place.settings.limits.quarantine_ratio;
    troubles.extend(ingest_troubles(&report.ingest, ratio));
    if !notes.is_empty() {
        troubles.push("a damaged lake file was set aside".to_owned());
    }
    let exit = match (fetched.is_refused(), troubles.is_empty()) {
        (true, _) => Exit::Usage,
        (false, true) => Exit::Done,
        (false, false) => Exit::Partial,
    };
    let mut summary = fetched.to_json();
    if let Value::Object(summary) = &mut summary {
        summary.insert("exit_code".to_owned(), exit.code().into());
        summary.insert("troubles".to_owned(), troubles.clone().into());
    }
    lake.ledger_mut().finish_run(
        run_id,
        place.clock.now(),
        i32::from(exit.code()),
        &summary.to_string(),
    )?;

    // No data asked for, so stdout stays empty: the account is a remark.
    let quarantine = quarantine_reasons(&lake, &report.ingest)?;
    let mut text = String::new();
    fetched.write(&mut text)?;
    if !report.ingest.files.is_empty() || !report.ingest.known.is_empty() {
        write_ingest(&mut text, &report.ingest, false, terminal)?;
        write_quarantine(&mut text, &quarantine)?;
    }
    terminal.for_people(&text);
    record_input(terminal, &report.ingest, &quarantine);
    let remarks = notes.iter().chain(&report.remarks);
    remarks.for_each(|note| terminal.warn(&printable(note, 1000)));
    troubles.iter().for_each(|trouble| terminal.warn(trouble));
    terminal.record(level_of(exit), "fetch finished", &summary);
    Ok(exit)
}

/// The org of the configuration, and the way there.
pub struct Org<'a> {
    pub client: Result<Client, SalesforceError>,
    pub settings: &'a config::Salesforce,
}

impl<'a> Org<'a> {
    /// None without [salesforce]. A key that cannot be used is no reason for a night not to judge
    /// what there is: the report says it.
    pub fn of(place: &'a Workplace<'_>) -> anyhow::Result<Option<Self>> {
        let Some(settings) = &place.settings.salesforce else {
            return Ok(None);
        };
        let client = client_of(settings, place)?;
        Ok(Some(Self { client, settings }))
    }

    /// What there is to say of the org. The inner error: the key or the addresses cannot be used.
    pub fn look(&self) -> anyhow::Result<Result<OrgSeen, &SalesforceError>> {
        let client = match &self.client {
            Ok(client) => client,
            Err(error) => return Ok(Err(error)),
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Ok(runtime.block_on(async {
            let seen = look_at(client, self.settings).await;
            client.revoke().await;
            seen
        })))
    }

    pub fn fetch(
        &self,
        lake: &mut Lake,
        catalog: &Catalog,
        run_id: RunId,
        since: Option<DateTime<Utc>>,
        place: &Workplace<'_>,
    ) -> Result<FetchReport, FetchError> {
        let client = match &self.client {
            Ok(client) => client,
            Err(error) => return Ok(FetchReport::stopped_by(error)),
        };
        let options = FetchOptions {
            since,
            ingest: place.ingest_options(),
            run_id,
            at: place.clock.now(),
        };
        let bar = Bar(place.terminal.progress(0));
        fetch(lake, catalog, client, self.settings, &options, &bar)
    }
}

/// Signs in where nobody has yet, and asks each data set for one row.
pub async fn look_at(client: &Client, settings: &config::Salesforce) -> OrgSeen {
    let trouble = |error: SalesforceError| (error.to_string(), error.fix().to_owned());
    let versions = client.api_versions().await.map_err(trouble);
    let identity = client.sign_in().await.map_err(trouble);
    let mut data_sets = Vec::new();
    if identity.is_ok() {
        let now = client.now();
        let listed = client.list_log_files(now, settings.intervals).await;
        data_sets.push(Readable {
            name: LOG_FILES,
            permission: LOG_FILES_PERMISSION,
            outcome: listed.map(|_| ()).map_err(trouble),
        });
        for what in HISTORIES.iter().chain(ROSTER) {
            data_sets.push(Readable {
                name: what.name,
                permission: what.permission,
                outcome: client.may_read(what).await.map_err(trouble),
            });
        }
    }
    OrgSeen {
        identity,
        versions,
        api_version: settings.api_version,
        usage: client.usage(),
        usage_share: settings.usage_share,
        certificate_expires: client.certificate_expires(),
        clock_remark: client.clock_remark(),
        data_sets,
    }
}

/// The outer error: a secret cannot be read. The inner one: it cannot be used.
fn client_of(
    settings: &config::Salesforce,
    place: &Workplace<'_>,
) -> anyhow::Result<Result<Client, SalesforceError>> {
    let secrets = salesforce_secrets(settings, &|name: &str| std::env::var_os(name))?;
    let org_id = place.settings.org.id.value.as_deref();
    let pace = Arc::new(RealPace::new(place.clock));
    Ok(Client::new(settings, org_id, secrets, pace))
}
