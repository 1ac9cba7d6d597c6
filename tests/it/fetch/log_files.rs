//! Log files are listed as the org has them, and what is downloaded is whole or not there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use orgwatch::lake::FileState;
use orgwatch::salesforce::{
    Class, Client, Downloaded, Interval, Intervals, Listing, LogFile, SalesforceError,
};

use super::connection::{client, client_with, names, settings, wait};
use crate::fake_salesforce::quirks::Gzip;
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::state::{ElfState, State};
use crate::fake_salesforce::{Action, Blob, FakeSf, Fault, Scenario, time};
use crate::logs::Org;

fn since() -> DateTime<Utc> {
    time("2026-01-01T00:00:00Z")
}

fn list(org: &FakeSf, wanted: Intervals) -> Listing {
    wait(client(org).list_log_files(since(), wanted)).unwrap()
}

fn start(change: impl FnOnce(&mut State)) -> FakeSf {
    FakeSf::start(Scenario::org().set(change))
}

/// An org with this one log file.
fn with_file(body: Blob) -> (FakeSf, LogFile) {
    let org = FakeSf::start(Scenario::empty().set(|state| {
        let day = time("2026-01-30T00:00:00Z");
        state.add_log_file("Login", day, 0, time("2026-01-31T01:00:00Z"), body);
    }));
    let file = list(&org, Intervals::Both).files.remove(0);
    (org, file)
}

fn rows(count: u64) -> Blob {
    let mut made = Blob::text("");
    Scenario::empty().set(|state| {
        made = generated(state, "Login", time("2026-01-30T00:00:00Z"), count);
    });
    made
}

struct Inbox(tempfile::TempDir);

impl Inbox {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn to(&self) -> PathBuf {
        self.0.path().join("Login.csv")
    }

    fn get(&self, client: &Client, file: &LogFile) -> Result<Downloaded, SalesforceError> {
        wait(client.download(file, &self.to(), &|_| ()))
    }

    fn has(&self, body: &Blob) {
        assert!(fs::read(self.to()).unwrap() == body.whole());
        assert_eq!(names(self.0.path()), ["Login.csv"]);
    }

    fn is_empty(&self) {
        assert_eq!(names(self.0.path()), Vec::<String>::new());
    }
}

#[test]
fn every_file_of_both_intervals_is_listed_in_the_order_in_which_they_were_made() {
    for numbers in [false, true] {
        let org = start(|state| state.quirks.whole_numbers = numbers);
        let listing = list(&org, Intervals::Both);
        assert!(listing.has_intervals && listing.remarks.is_empty());
        assert_eq!(listing.files.len(), 12);
        assert!(
            listing
                .files
                .is_sorted_by_key(|f| (f.created_at, f.id.clone()))
        );
        let hourly = listing
            .files
            .iter()
            .filter(|f| f.interval == Interval::Hourly);
        assert!(
            hourly
                .clone()
                .all(|f| f.sequence == 1 && f.event_type == "Login")
        );
        assert_eq!(hourly.count(), 3);
        let daily = listing
            .files
            .iter()
            .filter(|f| f.interval == Interval::Daily);
        assert!(daily.clone().all(|f| f.sequence == 0));
        org.with(|state| {
            for file in &listing.files {
                let elf = state.log_file_mut(&file.id);
                assert_eq!(file.length, elf.body.length());
                assert_eq!(
                    (file.log_date, file.created_at),
                    (elf.log_date, elf.created)
                );
            }
        });
        assert_eq!(list(&org, Intervals::Hourly).files.len(), 3);
        assert_eq!(list(&org, Intervals::Daily).files.len(), 9);
    }
}

#[test]
fn only_files_made_since_then_and_of_the_wanted_types_are_listed() {
    let org = start(|_| ());
    let since = time("2026-01-30T01:15:00Z");
    let listing = wait(client(&org).list_log_files(since, Intervals::Daily)).unwrap();
    let types: Vec<&str> = listing
        .files
        .iter()
        .map(|f| f.event_type.as_str())
        .collect();
    assert_eq!(
        listing.files[0].created_at, since,
        "at that moment is since then"
    );
    assert_eq!(types.len(), 5, "{types:?}");
    let mut settings = settings(&org);
    settings.event_types = vec!["Login".into(), "O'Brien".into(), "frobnicateevent".into()];
    let client = client_with(&org, &settings);
    let listing = wait(client.list_log_files(self::since(), Intervals::Daily)).unwrap();
    assert_eq!(listing.files.len(), 6);
    assert!(listing.files.iter().all(|f| f.event_type != "RestApi"));
}

#[test]
fn now_is_what_the_orgs_clock_says() {
    let org = start(|state| state.skew = TimeDelta::seconds(30));
    let listing = list(&org, Intervals::Both);
    assert_eq!(
        listing.server_now,
        org.clock().now() + TimeDelta::seconds(30)
    );
}

// F42
#[test]
fn an_org_without_hourly_files_is_asked_without_the_interval() {
    let org = start(|state| {
        state.org.hourly = false;
        state.objects.take_away("EventLogFile", "Interval");
        state.objects.take_away("EventLogFile", "Sequence");
    });
    for wanted in [Intervals::Both, Intervals::Daily] {
        let listing = list(&org, wanted);
        assert!(!listing.has_intervals);
        assert!(!listing.files.is_empty());
        assert!(listing.files.iter().all(|f| f.interval == Interval::Daily));
        assert_eq!(listing.remarks.len(), 1, "{:?}", listing.remarks);
    }
    // Twice two questions, and no third.
    assert_eq!(org.with(|state| state.journal.queries().len()), 4);
}

// F53
#[test]
fn files_made_at_the_same_moment_are_all_listed_across_pages() {
    for cap in [1, 2, 3] {
        let org = FakeSf::start(Scenario::empty().set(|state| {
            state.quirks.page_cap = Some(cap);
            for hour in 0..5 {
                let start = time("2026-01-30T00:00:00Z") + TimeDelta::hours(hour);
                let body = generated(state, "Login", start, 1);
                state.add_log_file("Login", start, 1, time("2026-01-30T09:00:00Z"), body);
            }
        }));
        let listing = list(&org, Intervals::Both);
        assert_eq!(listing.files.len(), 5);
        assert_eq!(listing.remarks, Vec::<String>::new());
    }
}

#[test]
fn without_the_permission_the_list_is_unreadable_and_says_which() {
    let org = FakeSf::start(Scenario::org().without("ViewEventLogFiles"));
    let listed = wait(client(&org).list_log_files(since(), Intervals::Both));
    let fault = listed.unwrap_err();
    assert_eq!(fault.class(), Class::Unreadable);
    assert!(
        fault.fix().contains("View Event Log Files"),
        "{}",
        fault.fix()
    );
}

#[test]
fn a_file_is_downloaded_whole_private_and_told_as_it_comes() {
    let body = rows(4_000);
    for gzip in [Gzip::AsAsked, Gzip::Never, Gzip::Always] {
        let (org, file) = with_file(body.clone());
        org.with(|state| state.quirks.gzip = gzip);
        let inbox = Inbox::new();
        let told = AtomicU64::new(0);
        let count = |bytes| {
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        let client = client(&org);
        let downloaded = wait(client.download(&file, &inbox.to(), &count)).unwrap();
        assert_eq!(
            downloaded,
            Downloaded {
                bytes: body.length(),
                remark: None
            }
        );
        assert_eq!(told.into_inner(), body.length());
        inbox.has(&body);
        let mode = fs::metadata(inbox.to()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(org.asked("LogFile"), 1);
    }
}

// F52
#[test]
fn a_file_made_again_after_it_was_listed_is_the_new_one() {
    let (org, file) = with_file(rows(10));
    let new = rows(15);
    org.with(|state| state.reissue(&file.id, time("2026-01-31T02:00:00Z"), new.clone()));
    let inbox = Inbox::new();
    let downloaded = inbox.get(&client(&org), &file).unwrap();
    assert_eq!(downloaded.bytes, new.length());
    assert!(downloaded.remark.is_some());
    inbox.has(&new);
    assert_eq!(org.asked("LogFile"), 2, "once more, to be sure");
}

// F54
#[test]
fn a_file_that_is_not_there_yet_is_gone_for_now() {
    let body = rows(10);
    let (org, file) = with_file(body.clone());
    let ready_at = org.clock().now() + TimeDelta::minutes(5);
    org.with(|state| {
        state.log_file_mut(&file.id).state = ElfState::Writing {
            ready_at,
            shows: None,
        };
    });
    let (inbox, client) = (Inbox::new(), client(&org));
    assert_eq!(inbox.get(&client, &file).unwrap_err().class(), Class::Gone);
    inbox.is_empty();
    org.clock().advance(TimeDelta::minutes(5));
    inbox.get(&client, &file).unwrap();
    inbox.has(&body);
}

// F55
#[test]
fn a_half_written_file_is_refused_and_whole_later() {
    let body = rows(10);
    let (org, file) = with_file(body.clone());
    let ready_at = org.clock().now() + TimeDelta::minutes(5);
    let shows = Some(body.length() / 2);
    org.with(|state| {
        state.log_file_mut(&file.id).state = ElfState::Writing { ready_at, shows };
    });
    let (inbox, client) = (Inbox::new(), client(&org));
    assert_eq!(
        inbox.get(&client, &file).unwrap_err().class(),
        Class::Passing
    );
    inbox.is_empty();
    assert_eq!(org.asked("LogFile"), 2);
    org.clock().set(ready_at);
    inbox.get(&client, &file).unwrap();
    inbox.has(&body);
}

// F56
#[test]
fn a_file_that_the_org_has_thrown_away_is_gone() {
    let (org, file) = with_file(rows(10));
    org.with(|state| state.org.retention = TimeDelta::days(1));
    org.clock().advance(TimeDelta::days(1));
    let inbox = Inbox::new();
    let fault = inbox.get(&client(&org), &file).unwrap_err();
    assert_eq!(
        (fault.class(), fault.code()),
        (Class::Gone, Some("NOT_FOUND"))
    );
    inbox.is_empty();
}

// F59
#[test]
fn a_file_of_a_header_alone_is_a_file_without_events() {
    let header = "\"EVENT_TYPE\",\"TIMESTAMP\",\"USER_ID\",\"TIMESTAMP_DERIVED\"\n";
    let (org, file) = with_file(Blob::text(header));
    let inbox = Inbox::new();
    let downloaded = inbox.get(&client(&org), &file).unwrap();
    assert_eq!(
        downloaded,
        Downloaded {
            bytes: header.len() as u64,
            remark: None
        }
    );
    inbox.has(&Blob::text(header));
}

#[test]
fn a_file_of_nothing_at_all_is_none() {
    let (org, file) = with_file(Blob::text(""));
    let inbox = Inbox::new();
    assert_eq!(
        inbox.get(&client(&org), &file).unwrap_err().class(),
        Class::Passing
    );
    inbox.is_empty();
}

// F60
#[test]
fn a_file_shorter_than_listed_is_refused_and_a_longer_one_kept_with_a_remark() {
    let body = rows(10);
    for (claimed, is_kept) in [
        (Some(body.length() + 1), false),
        (Some(body.length() - 1), true),
        (Some(0), true),
    ] {
        let (org, mut file) = with_file(body.clone());
        org.with(|state| state.log_file_mut(&file.id).claimed_length = claimed);
        file.length = list(&org, Intervals::Both).files[0].length;
        assert_eq!(Some(file.length), claimed);
        let inbox = Inbox::new();
        match inbox.get(&client(&org), &file) {
            Ok(downloaded) => {
                assert!(is_kept);
                assert!(downloaded.remark.unwrap().contains("bytes"));
                inbox.has(&body);
            }
            Err(fault) => {
                assert!(!is_kept);
                assert_eq!(fault.class(), Class::Passing);
                inbox.is_empty();
            }
        }
        assert_eq!(org.asked("LogFile"), 2);
    }
}

// F26, F60: the first time the connection just closed.
#[test]
fn a_file_cut_without_a_sign_is_downloaded_once_more() {
    let body = rows(1000);
    let (org, file) = with_file(body.clone());
    org.with(|state| state.quirks.gzip = Gzip::Never);
    org.fault(Fault::on("LogFile").does(Action::Http10 { after: Some(5000) }));
    let inbox = Inbox::new();
    let downloaded = inbox.get(&client(&org), &file).unwrap();
    assert_eq!(downloaded.remark, None);
    inbox.has(&body);
}

// F34
#[test]
fn an_error_page_is_never_taken_for_a_log() {
    let body = rows(10);
    for page in [
        "<!DOCTYPE html><html><body>We are down for maintenance</body></html>".to_owned(),
        "[{\"message\":\"x\",\"errorCode\":\"UNKNOWN_EXCEPTION\"}]".to_owned(),
        "\u{feff} \n{\"error\":\"unknown\"}".to_owned(),
        format!("<html>{}</html>", "x".repeat(1 << 20)),
        format!("[{{\"message\":\"{}\"}}]", "x".repeat(1 << 20)),
    ] {
        let (org, mut file) = with_file(body.clone());
        // Even where its length is the one that was announced.
        file.length = page.len() as u64;
        let does = Action::Body {
            body: page.clone(),
            content_type: None,
        };
        org.fault(Fault::on("LogFile").forever().does(does));
        let inbox = Inbox::new();
        let fault = inbox.get(&client(&org), &file).unwrap_err();
        assert!(
            matches!(fault.class(), Class::Passing | Class::Unreadable),
            "{fault:?}"
        );
        inbox.is_empty();
    }
}

#[test]
fn a_maintenance_page_that_goes_away_is_waited_for() {
    let body = rows(10);
    let (org, file) = with_file(body.clone());
    let page = Action::Body {
        body: "<html></html>".into(),
        content_type: None,
    };
    org.fault(Fault::on("LogFile").times(2).does(page));
    let inbox = Inbox::new();
    inbox.get(&client(&org), &file).unwrap();
    inbox.has(&body);
}

// F22
#[test]
fn a_body_that_inflates_without_end_is_cut() {
    let (org, file) = with_file(rows(10));
    org.fault(Fault::on("LogFile").forever().does(Action::GzipBomb {
        inflated: 200 << 20,
    }));
    let inbox = Inbox::new();
    let told = AtomicU64::new(0);
    let count = |bytes| {
        told.fetch_add(bytes, Ordering::Relaxed);
    };
    let client = client(&org);
    let fault = wait(client.download(&file, &inbox.to(), &count)).unwrap_err();
    assert_eq!(fault.class(), Class::Protocol);
    assert!(told.into_inner() < 65 << 20);
    inbox.is_empty();
}

// F63
#[test]
fn a_folder_that_is_not_there_is_this_machines_fault() {
    let (org, file) = with_file(rows(10));
    let inbox = Inbox::new();
    let to = inbox.0.path().join("gone/Login.csv");
    let fault = wait(client(&org).download(&file, &to, &|_| ())).unwrap_err();
    assert_eq!(fault.class(), Class::Local);
    assert!(fault.to_string().contains("gone"));
}

#[test]
fn without_the_permission_a_file_is_unreadable() {
    let (org, file) = with_file(rows(10));
    org.with(|state| {
        state.integration().permissions.remove("ViewEventLogFiles");
    });
    let inbox = Inbox::new();
    let fault = inbox.get(&client(&org), &file).unwrap_err();
    assert_eq!(fault.class(), Class::Unreadable);
    inbox.is_empty();
}

#[test]
fn what_was_downloaded_is_read_whole_into_the_lake() {
    let org = start(|_| ());
    let client = client(&org);
    let lake = Org::new();
    let mut paths = vec![];
    for file in list(&org, Intervals::Daily).files {
        let to = lake.path(&format!("{}_{}.csv", file.event_type, file.id));
        wait(client.download(&file, &to, &|_| ())).unwrap();
        paths.push(to.to_str().unwrap().to_owned());
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let report = lake.ingest(&paths);
    assert_eq!(report.files.len(), 9);
    for file in &report.files {
        assert_eq!(file.state, FileState::Ingested, "{:?}", file.reason);
        assert_eq!(file.rows_kept, 20);
    }
}
