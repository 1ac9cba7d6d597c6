//! What a network does to an answer: it never comes, breaks off, stands still, is led astray or is
//! not what it says. Whatever passes is tried again; whatever is a trap is not walked into.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use orgwatch::config::{Intervals, Salesforce};
use orgwatch::salesforce::{Class, Client, Downloaded, LogFile, SalesforceError};

use super::connection::{client, client_with, names, settings, wait};
use crate::fake_salesforce::quirks::Gzip;
use crate::fake_salesforce::tls::Shown;
use crate::fake_salesforce::{Action, Ending, FakeSf, Fault, Scenario, time};

const QUERY: &str = "/query$";
const LOG_FILE: &str = "LogFile$";
/// The first attempt at what may pass, and five more.
const ATTEMPTS: usize = 6;

async fn list(client: &Client) -> Result<Vec<LogFile>, SalesforceError> {
    let since = time("2026-01-01T00:00:00Z");
    let listing = client.list_log_files(since, Intervals::Both).await?;
    Ok(listing.files)
}

/// The small org, a log file of it, and a folder to download into.
struct Night {
    org: FakeSf,
    file: LogFile,
    folder: tempfile::TempDir,
}

impl Night {
    fn new() -> Self {
        Self::of(Scenario::org())
    }

    fn of(scenario: Scenario) -> Self {
        let org = FakeSf::start(scenario);
        let file = wait(list(&client(&org))).unwrap().remove(0);
        org.with(|state| state.journal.entries.clear());
        let folder = tempfile::tempdir().unwrap();
        Self { org, file, folder }
    }

    fn to(&self) -> PathBuf {
        self.folder.path().join("log.csv")
    }

    fn download(&self, client: &Client) -> Result<Downloaded, SalesforceError> {
        wait(client.download(&self.file, &self.to(), &|_| ()))
    }

    /// The file is there, as the org has it, and nothing else.
    fn has_it(&self) {
        let body = self.org.with(|state| state.log_files[0].body.whole());
        assert!(std::fs::read(self.to()).unwrap() == body);
        assert_eq!(names(self.folder.path()), ["log.csv"]);
    }

    fn has_nothing(&self) {
        assert!(names(self.folder.path()).is_empty());
    }
}

fn seconds(org: &FakeSf) -> Vec<u64> {
    org.clock().slept().iter().map(Duration::as_secs).collect()
}

fn by_tls(org: &FakeSf, url: &str) -> Salesforce {
    Salesforce {
        login_url: url.parse().unwrap(),
        ca_file: Some(org.ca_pem_file()),
        plaintext: false,
        ..settings(org)
    }
}

// F20
#[test]
fn an_org_that_nobody_answers_for_is_tried_for_a_while_and_told() {
    let org = FakeSf::start(Scenario::empty());
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nowhere = Salesforce {
        login_url: format!("http://127.0.0.1:{port}").parse().unwrap(),
        ..settings(&org)
    };
    let refused = wait(client_with(&org, &nowhere).sign_in()).unwrap_err();
    assert_eq!(refused.class(), Class::Passing);
    assert!(
        refused.to_string().contains("cannot be reached"),
        "{refused}"
    );
    assert_eq!(seconds(&org), [1, 2, 4, 8, 16]);
}

// F20: a name that no resolver takes, so that no network is asked.
#[test]
fn a_name_that_cannot_be_resolved_is_told_as_that() {
    let org = FakeSf::start(Scenario::empty());
    let url = format!("http://{}.example.com", "x".repeat(64));
    let unheard = Salesforce {
        login_url: url.parse().unwrap(),
        ..settings(&org)
    };
    let unknown = wait(client_with(&org, &unheard).sign_in()).unwrap_err();
    assert_eq!(unknown.class(), Class::Passing);
    assert!(
        unknown.to_string().contains("cannot be resolved"),
        "{unknown}"
    );
    assert!(unknown.fix().contains("DNS"), "{}", unknown.fix());
}

// F20
#[test]
fn a_certificate_that_is_not_the_orgs_ends_the_run_before_a_word_is_said() {
    for (shown, told) in [
        (Shown::UnknownAuthority, "a CA that is not trusted"),
        (Shown::Expired, "has expired"),
        (Shown::OtherHost, "names another server"),
        (Shown::Tls11, "no TLS that is safe"),
    ] {
        let org = FakeSf::start(Scenario::org());
        let url = org.tls_with(shown);
        let refused = wait(client_with(&org, &by_tls(&org, &url)).sign_in()).unwrap_err();
        assert_eq!(refused.class(), Class::Config, "{shown:?}: {refused}");
        assert!(refused.to_string().contains(told), "{shown:?}: {refused}");
        assert!(refused.fix().contains("`login_url`"), "{}", refused.fix());
        assert!(
            org.clock().slept().is_empty(),
            "nothing mends it by waiting"
        );
        assert!(org.journal().is_empty());
    }
}

// F20: the same client with the right certificate.
#[test]
fn by_tls_with_the_given_ca_a_night_works_as_in_the_clear() {
    let night = Night::new();
    let client = client_with(&night.org, &by_tls(&night.org, night.org.tls_url()));
    night.download(&client).unwrap();
    night.has_it();
}

// F21
#[test]
fn a_connection_that_is_reset_costs_an_attempt_and_no_row() {
    for action in [
        Action::Drop(Ending::Reset),
        Action::Drop(Ending::Close),
        Action::Truncate {
            after: 700,
            ending: Ending::Reset,
        },
        Action::Truncate {
            after: 700,
            ending: Ending::Close,
        },
        // All bytes, and not the chunk that says so.
        Action::Truncate {
            after: u64::MAX,
            ending: Ending::Close,
        },
    ] {
        let night = Night::new();
        night.org.with(|state| state.quirks.gzip = Gzip::Never);
        for path in ["/token$", "/userinfo$", QUERY, LOG_FILE] {
            night.org.fault(Fault::on(path).does(action.clone()));
        }
        let client = client(&night.org);
        let files = wait(list(&client)).unwrap();
        assert_eq!(files.len(), 12, "{action:?}");
        assert_eq!(night.download(&client).unwrap().remark, None, "{action:?}");
        night.has_it();
        assert_eq!(night.org.asked("LogFile"), 2, "{action:?}");
        assert_eq!(night.org.asked("/query"), 2, "{action:?}");
        assert_eq!(seconds(&night.org), [1, 1, 1, 1], "{action:?}");
        assert!(night.org.with(|state| state.faults.all_used()));
        assert_eq!(night.org.breaches(), []);
    }
}

// F21, F22
#[test]
fn a_body_that_breaks_off_each_time_leaves_no_file() {
    for action in [
        Action::Drop(Ending::Reset),
        Action::Truncate {
            after: 700,
            ending: Ending::Close,
        },
        Action::Truncate {
            after: u64::MAX,
            ending: Ending::Close,
        },
        Action::CutGzip { after: 60 },
        Action::CorruptGzip,
        Action::WrongLength(1),
    ] {
        let night = Night::new();
        night
            .org
            .fault(Fault::on(LOG_FILE).forever().does(action.clone()));
        let broken = night.download(&client(&night.org)).unwrap_err();
        assert_eq!(broken.class(), Class::Passing, "{action:?}: {broken}");
        assert_eq!(night.org.asked("LogFile"), ATTEMPTS, "{action:?}");
        assert_eq!(seconds(&night.org), [1, 2, 4, 8, 16], "{action:?}");
        night.has_nothing();
    }
}

// F22
#[test]
fn compression_that_is_damaged_is_asked_for_again() {
    for action in [Action::CutGzip { after: 60 }, Action::CorruptGzip] {
        let night = Night::new();
        night.org.fault(Fault::on(QUERY).does(action.clone()));
        night.org.fault(Fault::on(LOG_FILE).does(action.clone()));
        let client = client(&night.org);
        assert_eq!(wait(list(&client)).unwrap().len(), 12, "{action:?}");
        night.download(&client).unwrap();
        night.has_it();
        assert!(night.org.with(|state| state.faults.all_used()));
    }
}

// F22: as a file it is cut by the length in the list; as JSON by what an answer may be.
#[test]
fn an_answer_that_inflates_without_end_is_cut() {
    let night = Night::new();
    let bomb = Action::GzipBomb { inflated: 1 << 30 };
    night.org.fault(Fault::on(QUERY).does(bomb));
    let started = Instant::now();
    let cut = wait(list(&client(&night.org))).unwrap_err();
    assert_eq!(cut.class(), Class::Protocol, "{cut}");
    assert!(cut.to_string().contains("larger than 64 MiB"), "{cut}");
    assert_eq!(night.org.asked("/query"), 1);
    assert!(started.elapsed() < Duration::from_secs(60));
}

// F22: compressed although nobody asked, or not although asked.
#[test]
fn compression_is_as_the_org_likes() {
    for gzip in [Gzip::Never, Gzip::Always] {
        let night = Night::of(Scenario::org().set(|state| state.quirks.gzip = gzip));
        assert_eq!(night.download(&client(&night.org)).unwrap().remark, None);
        night.has_it();
    }
}

// F23
#[test]
fn a_download_that_stands_still_is_given_up_and_begun_anew() {
    let night = Night::new();
    let patience = Salesforce {
        idle_timeout_seconds: 1,
        ..settings(&night.org)
    };
    night
        .org
        .fault(Fault::on(LOG_FILE).does(Action::Stall { after: 1000 }));
    night.download(&client_with(&night.org, &patience)).unwrap();
    night.has_it();
    assert_eq!(night.org.asked("LogFile"), 2);
    assert_eq!(seconds(&night.org), [1]);
}

// F23
#[test]
fn a_slow_download_may_take_longer_than_any_pause_of_it() {
    let night = Night::new();
    night.org.with(|state| state.quirks.gzip = Gzip::Never);
    let patience = Salesforce {
        idle_timeout_seconds: 1,
        ..settings(&night.org)
    };
    let drip = Action::Drip {
        bytes: usize::try_from(night.file.length).unwrap() / 4 + 1,
        pause: Duration::from_millis(400),
    };
    night.org.fault(Fault::on(LOG_FILE).does(drip));
    let started = Instant::now();
    night.download(&client_with(&night.org, &patience)).unwrap();
    assert!(started.elapsed() > Duration::from_secs(1));
    night.has_it();
    assert_eq!(night.org.asked("LogFile"), 1);
    assert!(night.org.clock().slept().is_empty());
}

// F24
#[test]
fn a_redirect_is_followed_nowhere_and_gives_nothing_away() {
    for path in [
        "/services/oauth2/token",
        "/services/oauth2/userinfo",
        QUERY,
        LOG_FILE,
    ] {
        for code in [301, 302, 303, 307, 308] {
            let night = Night::new();
            let to = format!("{}/services/data/v66.0/query", night.org.evil_url());
            night.org.fault(
                Fault::on(path)
                    .forever()
                    .does(Action::Redirect { code, to }),
            );
            let client = client(&night.org);
            let refused = wait(async {
                client.sign_in().await?;
                list(&client).await?;
                client.download(&night.file, &night.to(), &|_| ()).await
            });
            let refused = refused.unwrap_err();
            // Where one cannot sign in, the address is to be mended.
            let class = match path.contains("oauth2") {
                true => Class::Config,
                false => Class::Protocol,
            };
            assert_eq!(refused.class(), class, "{path} {code}: {refused}");
            assert!(refused.fix().contains("`login_url`"), "{}", refused.fix());
            let text = refused.to_string();
            assert!(
                text.contains("was not followed") && text.contains("127.0.0.1"),
                "{text}"
            );
            assert!(!text.contains("/services/data"), "its host alone: {text}");
            assert_eq!(evil(&night.org), 0, "{path} {code}");
            assert_eq!(night.org.breaches(), []);
            assert!(night.org.clock().slept().is_empty());
            night.has_nothing();
        }
    }
}

fn evil(org: &FakeSf) -> usize {
    use crate::fake_salesforce::journal::Listener;
    org.with(|state| state.journal.at(Listener::Evil).len())
}

// F25
#[test]
fn a_body_shorter_than_its_length_is_asked_for_again() {
    let night = Night::new();
    night
        .org
        .fault(Fault::on(QUERY).does(Action::WrongLength(10)));
    night
        .org
        .fault(Fault::on(LOG_FILE).does(Action::WrongLength(10)));
    let client = client(&night.org);
    assert_eq!(wait(list(&client)).unwrap().len(), 12);
    night.download(&client).unwrap();
    night.has_it();
    assert_eq!(
        (night.org.asked("/query"), night.org.asked("LogFile")),
        (2, 2)
    );
}

// F25, F26: nothing on the wire is wrong, and yet it is not all: only the list knows.
#[test]
fn a_file_that_ends_early_without_a_sign_is_caught_by_its_length_in_the_list() {
    for action in [
        Action::WrongLength(-100),
        Action::Http10 { after: Some(100) },
        Action::Http10 { after: Some(0) },
    ] {
        let night = Night::new();
        night.org.with(|state| state.quirks.gzip = Gzip::Never);
        night
            .org
            .fault(Fault::on(LOG_FILE).forever().does(action.clone()));
        let short = night.download(&client(&night.org)).unwrap_err();
        assert_eq!(short.class(), Class::Passing, "{action:?}: {short}");
        let expected = night.file.length.to_string();
        assert!(short.to_string().contains(&expected), "{short}");
        night.has_nothing();
        night.org.with(|state| state.faults.clear());
        night.org.fault(Fault::on(LOG_FILE).does(action));
        assert_eq!(night.download(&client(&night.org)).unwrap().remark, None);
        night.has_it();
    }
}

// F26
#[test]
fn an_answer_of_http_1_0_is_an_answer() {
    let night = Night::new();
    for path in ["/token$", "/userinfo$", QUERY, LOG_FILE] {
        night
            .org
            .fault(Fault::on(path).does(Action::Http10 { after: None }));
    }
    let client = client(&night.org);
    assert_eq!(wait(list(&client)).unwrap().len(), 12);
    night.download(&client).unwrap();
    night.has_it();
    assert!(night.org.clock().slept().is_empty());
}
