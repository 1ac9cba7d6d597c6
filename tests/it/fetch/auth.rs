//! Signing in: who is refused and what is said about it, and sessions that end.

use chrono::TimeDelta;
use orgwatch::config::{Flow, Salesforce};
use orgwatch::salesforce::{Class, Client, Identity, LOGIN_HISTORY, SalesforceError, Window};

use super::connection::*;
use crate::fake_salesforce::state::{Permitted, State};
use crate::fake_salesforce::{Action, FakeSf, Fault, Scenario, USERNAME, time};

const TOKEN: &str = "/services/oauth2/token";

fn org() -> FakeSf {
    FakeSf::start(Scenario::org())
}

fn by_secret(org: &FakeSf) -> Salesforce {
    Salesforce {
        flow: Flow::ClientCredentials { username: None },
        key_file: None,
        secret_file: Some(org.secret_file()),
        ..settings(org)
    }
}

pub fn refusal<T: std::fmt::Debug>(result: Result<T, SalesforceError>) -> SalesforceError {
    result.expect_err("a refusal")
}

/// Log files of the last days, by list.
pub async fn list(client: &Client) -> Result<usize, SalesforceError> {
    let since = time("2026-01-27T00:00:00Z");
    let listing = client.list_log_files(since, orgwatch::config::Intervals::Both);
    Ok(listing.await?.files.len())
}

/// Nothing but sign-ins, checks of who signed in, and ends of sessions was asked.
pub fn assert_no_data_was_asked(org: &FakeSf) {
    assert_eq!(org.asked("/services/data/"), 0);
    assert_eq!(org.breaches(), []);
}

#[test]
fn the_integration_signs_in_once_for_all_by_its_key() {
    let org = org();
    let client = client(&org);
    let who = wait(async {
        let first = client.sign_in().await.unwrap();
        list(&client).await.unwrap();
        assert_eq!(client.sign_in().await.unwrap(), first);
        first
    });
    assert_eq!(
        who,
        Identity {
            org_id: org.with(|state| state.org.id.clone()),
            user_id: org.with(|state| state.users[0].id.clone()),
            username: USERNAME.to_owned(),
        }
    );
    assert_eq!(org.logins(), 1);
    let journal = org.journal();
    let token = journal.iter().find(|entry| entry.is_login()).unwrap();
    assert_eq!(token.form_keys, ["grant_type", "assertion"]);
    assert!(token.query.is_empty());
    let ids: std::collections::BTreeSet<_> = journal
        .iter()
        .map(|entry| entry.header("x-sfdc-request-id").unwrap())
        .collect();
    assert_eq!(ids.len(), journal.len(), "each request has its own number");
    let agent = concat!("orgwatch/", env!("CARGO_PKG_VERSION"));
    let agents = journal.iter().map(|entry| entry.header("user-agent"));
    assert!(agents.into_iter().all(|one| one == Some(agent)));
    let usage = client.usage().unwrap();
    assert_eq!(usage.allowed, 100_000);
    assert!(usage.used >= 120, "{usage:?}");
    assert_eq!(org.breaches(), []);
}

#[test]
fn client_credentials_sign_in_by_the_secret_and_their_user_can_be_checked() {
    let org = org();
    let client = client_with(&org, &by_secret(&org));
    let who = wait(client.sign_in()).unwrap();
    assert_eq!(who.username, USERNAME);
    let keys = org.journal()[0].form_keys.clone();
    assert_eq!(keys, ["grant_type", "client_id", "client_secret"]);
    let other = Salesforce {
        flow: Flow::ClientCredentials {
            username: Some("erp@example.com".to_owned()),
        },
        ..by_secret(&org)
    };
    let error = refusal(wait(client_with(&org, &other).sign_in()));
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("erp@example.com"), "{error}");
    assert_eq!(org.breaches(), []);
}

/// How an org refuses: what is changed in it, by which error, and what the remedy speaks of.
type Row = (fn(&mut State), &'static str, &'static str);

// F1
#[test]
fn each_refusal_of_a_signature_is_told_with_its_remedy_and_not_tried_again() {
    let rows: [Row; 9] = [
        (
            |state| state.integration().active = false,
            "invalid_grant",
            "not approved for `username`",
        ),
        (
            |state| {
                state.app().permitted = Permitted::SelfAuthorise;
                state.app().approved.clear();
            },
            "invalid_grant",
            "Admin approved users",
        ),
        (
            |state| state.app().approved.clear(),
            "invalid_app_access",
            "permission set",
        ),
        (
            |state| state.app().consumer_key = "3MVG9.other".to_owned(),
            "invalid_client_id",
            "`client_id`",
        ),
        (
            |state| state.app().jwt = false,
            "unsupported_grant_type",
            "JWT bearer",
        ),
        (
            |state| state.integration().frozen = true,
            "invalid_grant",
            "not frozen",
        ),
        (
            |state| state.app().address_refused = true,
            "invalid_grant",
            "login IP ranges",
        ),
        (
            |state| state.addresses.my_domain = "https://example.my.salesforce.com".to_owned(),
            "invalid_grant",
            "https://test.salesforce.com",
        ),
        (
            |state| {
                let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
                state.app().public_key = pem.public_key_pem();
            },
            "invalid_grant",
            "upload the certificate",
        ),
    ];
    for (change, code, remedy) in rows {
        let org = org();
        let client = client(&org);
        org.with(change);
        assert_refused(&org, &client, code, remedy);
    }
}

// F1
#[test]
fn each_refusal_of_a_secret_is_told_with_its_remedy_and_not_tried_again() {
    let rows: [Row; 4] = [
        (
            |state| state.app().secret = "another".to_owned(),
            "invalid_client",
            "client secret",
        ),
        (
            |state| state.app().client_credentials = false,
            "unsupported_grant_type",
            "Client Credentials Flow",
        ),
        (
            |state| state.app().run_as = None,
            "invalid_grant",
            "Run-As user",
        ),
        (
            |state| state.app().consumer_key = "3MVG9.other".to_owned(),
            "invalid_client_id",
            "`client_id`",
        ),
    ];
    for (change, code, remedy) in rows {
        let org = org();
        org.with(change);
        let client = client_with(&org, &by_secret(&org));
        assert_refused(&org, &client, code, remedy);
    }
    let org = org();
    let shared = Salesforce {
        login_url: org.shared_login_url().parse().unwrap(),
        ..by_secret(&org)
    };
    let client = client_with(&org, &shared);
    assert_refused(&org, &client, "invalid_grant", "My Domain");
}

// F1
#[test]
fn refusals_that_only_some_orgs_give_are_told_with_their_remedy_too() {
    for (code, description, remedy) in [
        ("invalid_grant", "invalid authorization code", "run again"),
        ("invalid_grant", "expired access/refresh token", "run again"),
        ("inactive_user", "", "active"),
        ("inactive_org", "", "administrator"),
        ("invalid_scope", "", "scopes"),
        ("invalid_request", "", "OAuth settings"),
        ("redirect_uri_mismatch", "", "OAuth settings"),
        ("something_new", "of next year", "Login History"),
    ] {
        let org = org();
        org.fault(Fault::on(TOKEN).oauth_error(code, description).forever());
        assert_refused(&org, &client(&org), code, remedy);
    }
}

fn assert_refused(org: &FakeSf, client: &Client, code: &str, remedy: &str) {
    let (error, again) = wait(async {
        let error = refusal(client.sign_in().await);
        // Another data set asks again, and Salesforce counts each failure.
        (error, refusal(list(client).await))
    });
    assert_eq!(error.class(), Class::Config, "{error}");
    assert_eq!(error.code(), Some(code), "{error}");
    assert!(error.fix().contains(remedy), "{error}: {}", error.fix());
    assert!(error.to_string().contains(code), "{error}");
    assert_eq!(again.to_string(), error.to_string());
    assert_eq!(org.logins(), 1, "{error}");
    assert!(org.clock().slept().is_empty());
    assert_no_data_was_asked(org);
}

// F1
#[test]
fn a_limit_of_sign_ins_waits_for_the_next_run_and_a_blip_is_tried_once_more() {
    let limited = org();
    let many = limited.clock().now();
    limited.with(|state| state.integration().logins = vec![many; 3600]);
    let error = refusal(wait(client(&limited).sign_in()));
    assert_eq!((error.class(), limited.logins()), (Class::Throttled, 1));
    let blip = || Fault::on(TOKEN).oauth_error("unknown_error", "retry your request");
    let once = org();
    once.fault(blip());
    assert!(wait(client(&once).sign_in()).is_ok());
    assert_eq!(once.logins(), 2);
    let always = org();
    always.fault(blip().forever());
    let error = refusal(wait(client(&always).sign_in()));
    assert_eq!((error.class(), always.logins()), (Class::Passing, 2));
    assert!(error.fix().contains("`login_url`"));
}

// F2
#[test]
fn a_page_instead_of_a_token_is_an_error_and_no_token() {
    for (body, told) in [
        ("<html>sign in here</html>", "HTML"),
        ("", "no token"),
        ("[]", "no token"),
        ("{\"token_type\":\"Bearer\"}", "no token"),
        (
            "{\"error\":\"invalid_grant\",\"error_description\":\"x\"}",
            "invalid_grant",
        ),
    ] {
        let org = org();
        let body = body.to_owned();
        let content_type = None;
        let page = Action::Body { body, content_type };
        org.fault(Fault::on(TOKEN).does(page).forever());
        let error = refusal(wait(client(&org).sign_in()));
        assert_eq!(error.class(), Class::Protocol, "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.fix().contains("`login_url`"));
        assert_eq!(org.logins(), 1);
        assert_no_data_was_asked(&org);
    }
}

// F3
#[test]
fn a_token_endpoint_in_maintenance_is_waited_for() {
    let org = org();
    org.fault(Fault::on(TOKEN).maintenance().times(2));
    assert!(wait(client(&org).sign_in()).is_ok());
    let waited: Vec<u64> = org
        .clock()
        .slept()
        .iter()
        .map(|wait| wait.as_secs())
        .collect();
    assert_eq!((waited, org.logins()), (vec![1, 2], 3));
}

// F4
#[test]
fn a_session_that_ends_at_a_list_is_renewed_and_the_same_list_asked_again() {
    let untouched = org();
    let files = wait(list(&client(&untouched))).unwrap();
    let org = org();
    org.fault(Fault::on("/query").does(Action::ExpireToken));
    assert_eq!(wait(list(&client(&org))).unwrap(), files);
    assert_eq!(org.logins(), 2);
    let queries: Vec<String> = org.with(|state| {
        let queries = state.journal.queries();
        queries.into_iter().map(str::to_owned).collect()
    });
    assert_eq!(queries.len(), 2);
    assert_eq!(queries[0], queries[1]);
    assert_eq!(org.breaches(), []);
}

// F5
#[test]
fn a_session_that_ends_on_the_third_of_five_pages_loses_and_doubles_no_row() {
    let org = org();
    org.with(|state| state.quirks.page_cap = Some(10));
    org.fault(Fault::on("/query/").nth(2).does(Action::ExpireToken));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("logins.csv");
    let window = Window {
        from: time("2026-01-29T00:00:00Z"),
        to: time("2026-01-31T00:00:00Z"),
    };
    let exported = wait(client(&org).export(&LOGIN_HISTORY, Some(window), &to)).unwrap();
    assert_eq!(exported.rows, 48);
    let ids: std::collections::BTreeSet<String> = column(&to, "Id").into_iter().collect();
    assert_eq!(ids.len(), 48);
    assert_eq!(org.logins(), 2);
    assert!(org.with(|state| state.faults.all_used()));
}

// F6
#[test]
fn a_session_that_ends_at_a_download_is_renewed_and_the_file_is_whole() {
    let org = org();
    org.fault(Fault::on("LogFile$").does(Action::ExpireToken));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("log.csv");
    let client = client(&org);
    let length = wait(async {
        let since = time("2026-01-27T00:00:00Z");
        let listing = client.list_log_files(since, orgwatch::config::Intervals::Both);
        let file = listing.await.unwrap().files.remove(0);
        client.download(&file, &to, &|_| {}).await.unwrap();
        file.length
    });
    assert_eq!(std::fs::metadata(&to).unwrap().len(), length);
    assert_eq!((org.logins(), org.asked("LogFile")), (2, 2));
}

// F7
#[test]
fn sessions_that_end_again_and_again_stop_the_run_after_three_sign_ins() {
    let org = org();
    let ended = "Session expired or invalid";
    let over = Fault::on("/services/data/").api_error(401, "INVALID_SESSION_ID", ended);
    org.fault(over.forever());
    let client = client(&org);
    wait(async {
        for _ in 0..5 {
            let error = refusal(list(&client).await);
            assert_eq!(error.class(), Class::Config, "{error}");
            assert!(error.fix().contains("session"), "{}", error.fix());
        }
    });
    assert_eq!(org.logins(), 3);
    assert_eq!(org.asked("/query"), 5, "then nothing more is asked");
}

// F8
#[test]
fn a_session_that_a_new_sign_in_will_not_mend_is_not_renewed() {
    for text in [
        "This session is not valid for use with the REST API",
        "Connected app is not attached to Agent",
    ] {
        let org = org();
        let over = Fault::on("/query").api_error(401, "INVALID_SESSION_ID", text);
        org.fault(over.forever());
        let error = refusal(wait(list(&client(&org))));
        assert_eq!((error.class(), org.logins()), (Class::Config, 1), "{error}");
        assert!(error.to_string().contains(text) && error.fix().contains("scopes"));
        assert_eq!(org.asked("/query"), 1);
    }
}

// F9
#[test]
fn a_clock_ten_minutes_off_is_told_as_such() {
    for (minutes, told) in [
        (10, "600 seconds behind the org's"),
        (-10, "600 seconds ahead of the org's"),
    ] {
        let org = org();
        org.with(|state| {
            state.skew = TimeDelta::minutes(minutes);
            state.quirks.strict_exp = true;
        });
        let error = refusal(wait(client(&org).sign_in()));
        assert_eq!(error.class(), Class::Config);
        assert!(error.fix().contains(told), "{}", error.fix());
        assert!(error.fix().contains("NTP") && org.logins() == 1);
    }
    let org = org();
    org.with(|state| state.skew = TimeDelta::minutes(-10));
    let client = client(&org);
    assert!(wait(client.sign_in()).is_ok());
    assert_eq!(client.clock_skew(), Some(TimeDelta::minutes(-10)));
    let remarks = client.remarks();
    assert!(remarks[0].contains("600 seconds ahead"), "{remarks:?}");
}

#[test]
fn a_token_answer_may_have_more_or_less_in_it_than_the_guide_says() {
    let org = org();
    org.with(|state| {
        state.quirks.omit_scope = true;
        state.quirks.unknown_keys = true;
        state.quirks.long_token = true;
    });
    assert!(wait(list(&client(&org))).is_ok());
}

// F13
#[test]
fn workers_whose_session_ends_at_the_same_time_sign_in_once() {
    let org = org();
    let client = client(&org);
    wait(async {
        client.sign_in().await.unwrap();
        org.with(State::end_sessions);
        let (a, b, c) = tokio::join!(list(&client), list(&client), list(&client));
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
    });
    let refused = org
        .journal()
        .iter()
        .filter(|entry| entry.status == 401)
        .count();
    assert_eq!((refused, org.logins()), (3, 2));
}

#[test]
fn a_session_is_ended_by_the_one_who_began_it() {
    let org = org();
    let client = client(&org);
    wait(async {
        client.revoke().await;
        client.sign_in().await.unwrap();
        client.revoke().await;
        client.revoke().await;
    });
    assert_eq!((org.logins(), org.asked("/oauth2/revoke")), (1, 1));
    let ended = org.with(|state| state.tokens.iter().all(|token| token.revoked));
    assert!(ended);
    assert_eq!(org.breaches(), []);
}

#[test]
fn the_versions_of_the_api_are_named_without_a_sign_in() {
    let org = org();
    let versions = wait(client(&org).api_versions()).unwrap();
    assert_eq!((versions.first(), versions.last()), (Some(&31), Some(&66)));
    assert_eq!(org.logins(), 0);
}
