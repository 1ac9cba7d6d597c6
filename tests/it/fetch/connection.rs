//! A client of the fake org, on the fake's clock: what it waits takes no time.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use orgwatch::config::{Flow, Intervals, Position, Salesforce, salesforce_secrets};
use orgwatch::salesforce::{Client, DataSet, Pace, ROSTER};

use crate::fake_salesforce::clock::Clock;
use crate::fake_salesforce::{CLIENT_ID, FakeSf, USERNAME};

/// The fake's clock; jitter is the most that it can be.
#[derive(Debug)]
pub struct FakePace(pub Clock);

impl Pace for FakePace {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        let since = self.0.now() - DateTime::UNIX_EPOCH;
        since.to_std().unwrap()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.sleep(time);
        Box::pin(std::future::ready(()))
    }

    fn jitter(&self, most: Duration) -> Duration {
        most
    }
}

/// `[salesforce]` for the fake's integration, by JWT.
pub fn settings(org: &FakeSf) -> Salesforce {
    Salesforce {
        login_url: org.login_url().parse().unwrap(),
        audience: None,
        client_id: CLIENT_ID.to_owned(),
        flow: Flow::Jwt {
            username: USERNAME.to_owned(),
            certificate_file: None,
        },
        key_file: Some(org.key_file()),
        secret_file: None,
        mtls: None,
        ca_file: None,
        plaintext: true,
        api_version: 66,
        event_types: vec![],
        intervals: Intervals::Both,
        login_history: true,
        setup_audit_trail: true,
        roster: true,
        downloads: 2,
        usage_share: 0.8,
        first_days: 30,
        time_budget_minutes: 120,
        idle_timeout_seconds: 5,
        at: Position { line: 1, column: 1 },
    }
}

pub fn client_with(org: &FakeSf, settings: &Salesforce) -> Client {
    let secrets = salesforce_secrets(settings, &|_| None).unwrap();
    let pace = Arc::new(FakePace(org.clock()));
    Client::new(settings, None, secrets, pace).unwrap()
}

pub fn client(org: &FakeSf) -> Client {
    client_with(org, &settings(org))
}

/// Waits for an answer.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(answer)
}

pub fn roster(name: &str) -> &'static DataSet {
    ROSTER.iter().find(|set| set.name == name).unwrap()
}

/// Header and rows of a CSV file.
pub fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let cells = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let header = cells(reader.headers().unwrap());
    let rows = reader.records().map(|row| cells(&row.unwrap())).collect();
    (header, rows)
}

/// One column of a CSV file.
pub fn column(path: &Path, name: &str) -> Vec<String> {
    let (header, rows) = table(path);
    let at = header.iter().position(|heading| heading == name).unwrap();
    rows.into_iter()
        .map(|mut row| row.swap_remove(at))
        .collect()
}

/// Names of the files in a folder, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
