//! Answers that are no success: how often each is asked for again and after which waits, what is
//! given up at once, and that an error's text stays short whatever it was.

use std::time::Duration;

use orgwatch::config::{Intervals, Salesforce};
use orgwatch::salesforce::{Class, Client, LogFile, SalesforceError, Usage};

use super::connection::{client, client_with, names, settings, wait};
use crate::fake_salesforce::clock::http_time;
use crate::fake_salesforce::{Action, FakeSf, Fault, Scenario, time};

const DATA: &str = "^/services/data/v66.0/";
const JSON: (&str, &str) = ("content-type", "application/json;charset=UTF-8");
/// Longest text of an error: what the org says is cut at 500 characters.
const LONGEST: usize = 700;

async fn list(client: &Client) -> Result<Vec<LogFile>, SalesforceError> {
    let since = time("2026-01-01T00:00:00Z");
    let listing = client.list_log_files(since, Intervals::Both).await?;
    Ok(listing.files)
}

fn start() -> FakeSf {
    FakeSf::start(Scenario::org())
}

/// Waits in seconds.
fn seconds(org: &FakeSf) -> Vec<u64> {
    org.clock().slept().iter().map(Duration::as_secs).collect()
}

/// What a list ends with where the data API has this fault.
fn refused(fault: Fault) -> (FakeSf, SalesforceError) {
    let org = start();
    org.fault(fault);
    let error = wait(list(&client(&org))).expect_err("a refusal");
    assert_eq!(org.breaches(), []);
    (org, error)
}

/// Statuses that pass, how often they are asked for again, and what they are when they stay.
const PASSING: [(u16, usize, Class); 9] = [
    (406, 5, Class::Passing),
    (408, 5, Class::Passing),
    (420, 2, Class::Passing),
    (429, 5, Class::Throttled),
    (500, 3, Class::Passing),
    (502, 5, Class::Passing),
    (503, 5, Class::Passing),
    (504, 5, Class::Passing),
    (507, 3, Class::Passing),
];

// F30
#[test]
fn a_status_that_passes_costs_a_wait_that_doubles_each_time() {
    for (status, most, _) in PASSING {
        for times in [1, 2] {
            let org = start();
            org.fault(Fault::on("/query$").status(status).times(times));
            org.fault(Fault::on("LogFile$").status(status).times(times));
            let client = client(&org);
            let files = wait(list(&client)).unwrap();
            assert_eq!(files.len(), 12, "{status}");
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("log.csv");
            wait(client.download(&files[0], &to, &|_| ())).unwrap();
            assert_eq!(names(folder.path()), ["log.csv"]);
            let waits = [1, 2];
            let once = &waits[..times as usize];
            assert_eq!(seconds(&org), [once, once].concat(), "{status}, {most}");
            assert_eq!(org.asked("/query"), times as usize + 1);
            assert_eq!(org.asked("LogFile"), times as usize + 1);
            assert_eq!(org.logins(), 1);
        }
    }
}

// F30
#[test]
fn a_status_that_stays_is_asked_as_often_as_the_table_says_and_then_told() {
    let waits = [1, 2, 4, 8, 16];
    for (status, most, class) in PASSING {
        let (org, error) = refused(Fault::on(DATA).forever().status(status));
        assert_eq!(error.class(), class, "{status}: {error}");
        assert_eq!(org.asked("/query"), most + 1, "{status}");
        assert_eq!(seconds(&org), waits[..most], "{status}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert!(!error.fix().is_empty());
    }
}

// F30
#[test]
fn a_wish_to_wait_is_granted_up_to_five_minutes_and_nonsense_is_none() {
    let later = http_time(time("2026-01-31T03:00:40Z"));
    let before = http_time(time("2026-01-31T02:00:00Z"));
    for (wish, waited) in [
        ("2", 2),
        ("0", 0),
        ("3600", 300),
        ("99999999999999999999", 300),
        (later.as_str(), 40),
        (before.as_str(), 0),
        ("soon", 1),
        ("-5", 1),
        ("", 1),
    ] {
        for status in [429, 503] {
            let org = start();
            org.fault(Fault::on(DATA).answer(status, &[("retry-after", wish)], ""));
            assert_eq!(wait(list(&client(&org))).unwrap().len(), 12);
            assert_eq!(seconds(&org), [waited], "{status} {wish}");
        }
    }
}

// F31
#[test]
fn the_days_limit_is_not_asked_about_again() {
    let (org, error) = refused(Fault::on(DATA).forever().total_requests());
    assert_eq!(error.class(), Class::Throttled, "{error}");
    assert_eq!(error.code(), Some("REQUEST_LIMIT_EXCEEDED"));
    assert_eq!((org.asked("/query"), seconds(&org)), (1, vec![]));
    let org = start();
    let client = client(&org);
    let file = wait(list(&client)).unwrap().remove(0);
    org.fault(Fault::on("LogFile$").forever().total_requests());
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("log.csv");
    let error = wait(client.download(&file, &to, &|_| ())).unwrap_err();
    assert_eq!(error.class(), Class::Throttled, "{error}");
    assert_eq!(org.asked("LogFile"), 1);
    assert!(names(folder.path()).is_empty());
}

// F32
#[test]
fn a_crowd_is_waited_for_half_a_minute_at_least_and_three_times_at_most() {
    let org = start();
    org.fault(Fault::on(DATA).concurrent_requests().times(3));
    assert_eq!(wait(list(&client(&org))).unwrap().len(), 12);
    let waits = seconds(&org);
    assert_eq!(waits.len(), 3);
    assert!(
        waits.iter().all(|wait| (30..=120).contains(wait)),
        "{waits:?}"
    );
    let (org, error) = refused(Fault::on(DATA).forever().concurrent_requests());
    assert_eq!(
        (error.class(), org.asked("/query")),
        (Class::Throttled, 4),
        "{error}"
    );
}

// F34
#[test]
fn maintenance_is_waited_for_and_its_page_not_shown() {
    let org = start();
    org.fault(Fault::on(DATA).maintenance().times(3));
    assert_eq!(wait(list(&client(&org))).unwrap().len(), 12);
    assert_eq!(seconds(&org), [1, 2, 4]);
    let (_, error) = refused(Fault::on(DATA).forever().maintenance());
    let text = error.to_string();
    assert_eq!(error.class(), Class::Passing);
    assert!(
        text.contains("503") && text.contains("HTML") && !text.contains('<'),
        "{text}"
    );
}

// F34
#[test]
fn a_fault_in_xml_is_understood() {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Errors><Error><errorCode>UNKNOWN_EXCEPTION\
               </errorCode><message>It broke</message></Error></Errors>";
    let kind = [("content-type", "application/xml")];
    let (org, error) = refused(Fault::on(DATA).forever().answer(500, &kind, xml));
    assert_eq!(
        (error.class(), error.code()),
        (Class::Passing, Some("UNKNOWN_EXCEPTION"))
    );
    assert!(error.to_string().contains("It broke"), "{error}");
    assert_eq!(org.asked("/query"), 4);
}

// F34
#[test]
fn an_error_without_a_word_is_told_by_its_status() {
    let (org, error) = refused(Fault::on(DATA).forever().status(400));
    assert_eq!(
        (error.class(), error.code()),
        (Class::Unreadable, None),
        "{error}"
    );
    assert!(error.to_string().contains("400"), "{error}");
    assert_eq!((org.asked("/query"), seconds(&org)), (1, vec![]));
}

// F34
#[test]
fn an_error_of_a_megabyte_is_a_short_message() {
    let long = "lorem ipsum ".repeat(90_000);
    let error_body = |message: &str| {
        serde_json::json!([{"message": message, "errorCode": "UNKNOWN_EXCEPTION"}]).to_string()
    };
    let noisy = format!("\u{1b}[31m{long}\u{202e}");
    for (status, body) in [
        (400, error_body(&long)),
        (400, error_body(&noisy)),
        (400, long.clone()),
        (500, format!("<html>{long}</html>")),
        (403, format!("<sf:message>{long}</sf:message>")),
        (400, "[".repeat(1 << 20)),
    ] {
        let (_, error) = refused(Fault::on(DATA).forever().answer(status, &[JSON], &body));
        let text = error.to_string();
        assert!(
            text.chars().count() < LONGEST,
            "{status}: {}",
            text.chars().count()
        );
        assert!(
            text.chars()
                .all(|letter| !letter.is_control() && letter != '\u{202e}')
        );
        assert!(text.contains(&status.to_string()), "{text}");
    }
}

// F34
#[test]
fn a_success_that_is_none_is_a_protocol_error_and_no_empty_list() {
    for body in [
        "",
        "   \n",
        "null",
        "[]",
        "{}",
        "\"text\"",
        "{\"records\":[]}",
        "{\"done\":true}",
        "{\"totalSize\":1,\"done\":true,\"records\":[1]}",
        "{\"totalSize\":1,\"done\":\"true\",\"records\":[]}",
        "{\"totalSize\":0,\"done\":true,\"recor",
        "<html><body>Sign in to the proxy</body></html>",
    ] {
        let does = Action::Body {
            body: body.to_owned(),
            content_type: None,
        };
        let (_, error) = refused(Fault::on(DATA).forever().does(does));
        assert_eq!(error.class(), Class::Protocol, "{body}: {error}");
        assert!(error.to_string().len() < LONGEST && !error.fix().is_empty());
    }
}

// F34
#[test]
fn an_error_with_status_200_is_the_error_that_it_names() {
    for (code, class) in [
        ("REQUEST_LIMIT_EXCEEDED", Class::Throttled),
        ("INVALID_TYPE", Class::Unreadable),
        ("INSUFFICIENT_ACCESS", Class::Unreadable),
        ("QUERY_TIMEOUT", Class::TooLarge),
    ] {
        let (org, error) = refused(Fault::on(DATA).forever().api_error(200, code, "as it says"));
        assert_eq!(
            (error.class(), error.code()),
            (class, Some(code)),
            "{error}"
        );
        assert_eq!(org.asked("/query"), 1, "{code}");
    }
    let org = start();
    org.fault(Fault::on(DATA).api_error(200, "SERVER_UNAVAILABLE", "for a moment"));
    assert_eq!(wait(list(&client(&org))).unwrap().len(), 12);
}

// F35
#[test]
fn a_version_that_the_org_does_not_serve_is_a_setting_to_change() {
    for (version, status) in [(30, "410"), (99, "404")] {
        let org = start();
        let wrong = Salesforce {
            api_version: version,
            ..settings(&org)
        };
        let client = client_with(&org, &wrong);
        let error = wait(list(&client)).unwrap_err();
        assert_eq!(error.class(), Class::Config, "{error}");
        assert!(error.to_string().contains(status), "{error}");
        assert!(error.fix().contains("`api_version`"), "{}", error.fix());
        assert_eq!((org.asked("/query"), seconds(&org)), (1, vec![]));
        let served = wait(client.api_versions()).unwrap();
        assert_eq!(served, (31..=66).collect::<Vec<u32>>());
    }
}

// F35: a file's 404 is no setting: it may come, or it is gone.
#[test]
fn what_is_not_found_means_another_thing_for_a_file() {
    let org = start();
    let client = client(&org);
    let mut file = wait(list(&client)).unwrap().remove(0);
    file.id = "0AT5e0000000000".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("log.csv");
    let error = wait(client.download(&file, &to, &|_| ())).unwrap_err();
    assert_eq!(
        (error.class(), org.asked("LogFile")),
        (Class::Gone, 1),
        "{error}"
    );
}

// F36
#[test]
fn at_four_fifths_of_the_orgs_calls_no_more_are_made() {
    for (org_usage, app_usage, whose) in [
        (80_999, None, "the org"),
        (120, Some("203/250(appName=orgwatch)"), "the app"),
    ] {
        let org = start();
        org.with(|state| {
            state.org.api_usage = org_usage;
            state.org.app_usage = app_usage.map(str::to_owned);
        });
        let client = client(&org);
        let file = wait(list(&client)).unwrap().remove(0);
        let usage = Usage {
            used: org_usage + 1,
            allowed: 100_000,
        };
        assert_eq!(client.usage(), Some(usage));
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("log.csv");
        for _ in 0..3 {
            let error = wait(client.download(&file, &to, &|_| ())).unwrap_err();
            assert_eq!(error.class(), Class::Throttled, "{error}");
            assert!(error.to_string().contains(whose), "{error}");
            assert!(error.fix().contains("`usage_share`"), "{}", error.fix());
        }
        assert_eq!(org.asked("LogFile"), 0);
        assert!(names(folder.path()).is_empty());
    }
}

// F36
#[test]
fn a_share_is_the_settings_and_what_is_below_it_is_used() {
    let org = start();
    org.with(|state| state.org.api_usage = 80_999);
    let generous = Salesforce {
        usage_share: 0.95,
        ..settings(&org)
    };
    let client = client_with(&org, &generous);
    let file = wait(list(&client)).unwrap().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("log.csv");
    wait(client.download(&file, &to, &|_| ())).unwrap();
    assert_eq!(org.asked("LogFile"), 1);
}
