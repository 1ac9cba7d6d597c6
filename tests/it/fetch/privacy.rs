//! What opens the org is nowhere to be seen: not in a URL, a log, an error or a file.

use std::error::Error;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use orgwatch::config::{Flow, Intervals, Salesforce};
use orgwatch::salesforce::{
    Client, LOGIN_HISTORY, ROSTER, SETUP_AUDIT_TRAIL, SalesforceError, Window,
};
use tracing::Level;

use super::connection::*;
use crate::canary::{content, files_below};
use crate::fake_salesforce::{CLIENT_ID, FakeSf, Fault, Scenario, USERNAME, time};
use crate::program::orgwatch;

/// Everything that was logged, by all crates, at the finest level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Does it, and says what was logged meanwhile.
fn logged<T>(act: impl FnOnce() -> T) -> (T, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let done = tracing::subscriber::with_default(subscriber, act);
    let bytes = log.0.lock().unwrap().clone();
    (done, String::from_utf8_lossy(&bytes).into_owned())
}

/// All that an error says, to people and to programmers.
fn all_of(error: &SalesforceError) -> String {
    let mut text = format!("{error} {error:?} {error:#?} {}", error.fix());
    let mut cause = error.source();
    while let Some(one) = cause {
        text.push_str(&format!(" {one} {one:?}"));
        cause = one.source();
    }
    text
}

pub(super) fn assert_unseen(org: &FakeSf, text: &str, place: &str) {
    for secret in org.secrets() {
        assert!(!text.contains(&secret), "{place} shows a secret");
    }
}

/// Whatever a run asks an org for, into a folder.
async fn ask_all(client: &Client, folder: &Path) -> Result<(), SalesforceError> {
    client.sign_in().await?;
    let since = time("2026-01-27T00:00:00Z");
    let listing = client.list_log_files(since, Intervals::Both).await?;
    for (number, file) in listing.files.iter().enumerate() {
        let to = folder.join(format!("{number}.csv"));
        client.download(file, &to, &|_| {}).await?;
    }
    let window = Window {
        from: time("2026-01-29T00:00:00Z"),
        to: time("2026-01-31T00:00:00Z"),
    };
    for what in [&LOGIN_HISTORY, &SETUP_AUDIT_TRAIL] {
        let to = folder.join(format!("{}.csv", what.name));
        client.export(what, Some(window), &to).await?;
    }
    for what in ROSTER {
        let to = folder.join(format!("{}.csv", what.name));
        client.export(what, None, &to).await?;
    }
    client.revoke().await;
    Ok(())
}

// F80, F81, F82
#[test]
fn a_whole_run_leaves_no_credential_in_a_url_a_log_or_a_file() {
    let org = FakeSf::start(Scenario::org());
    let by_secret = Salesforce {
        flow: Flow::ClientCredentials { username: None },
        secret_file: Some(org.secret_file()),
        ..settings(&org)
    };
    for settings in [settings(&org), by_secret] {
        let client = client_with(&org, &settings);
        let folder = tempfile::tempdir().unwrap();
        let (done, log) = logged(|| wait(ask_all(&client, folder.path())));
        done.unwrap();
        assert_unseen(&org, &log, "the log");
        // What is checked is there: connections log at this level.
        assert!(log.contains("TRACE"), "nothing was logged");
        assert_unseen(&org, &format!("{client:?} {client:#?}"), "the client");
        let mut files = 0;
        for name in names(folder.path()) {
            let path = folder.path().join(name);
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert_unseen(&org, &text, &path.display().to_string());
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            files += 1;
        }
        assert!(files > 20, "{files}");
        assert_eq!(org.breaches(), []);
    }
    for entry in org.journal() {
        let url = format!("{} {:?}", entry.path, entry.query);
        assert_unseen(&org, &url, &entry.path);
        assert!(entry.header("referer").is_none() && entry.header("cookie").is_none());
    }
}

/// What `orgwatch` says and leaves behind in its folder when it is called so, most talkatively.
fn called(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let common = ["--config", "orgwatch.toml", "-vvv", "--log-format", "json"];
    let output = orgwatch(dir, &[&common, arguments].concat());
    let code = output.status.code().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (code, String::from_utf8_lossy(&said).into_owned())
}

// F80, F81, F82
#[test]
fn the_program_says_and_keeps_no_credential_whether_the_org_obeys_or_not() {
    let org = FakeSf::start(Scenario::org());
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "[store]\ndata_dir = \"data\"\n[report]\nhtml = \"report.html\"\n\
         [alert.email]\ntransport = \"file\"\nfrom = \"a@example.com\"\nto = [\"b@example.com\"]\n\
         [salesforce]\nlogin_url = \"{}\"\nplaintext = true\nclient_id = \"{CLIENT_ID}\"\n\
         username = \"{USERNAME}\"\nkey_file = \"{}\"\n",
        org.login_url(),
        org.key_file().display(),
    );
    std::fs::write(dir.path().join("orgwatch.toml"), config).unwrap();
    let now = ["--now", "2026-01-31T03:00:00Z"];
    let night = [&["run"], &now[..]].concat();
    let mut said = Vec::new();
    let (code, text) = called(dir.path(), &night);
    assert!([0, 1].contains(&code), "{code}: {text}");
    said.push(text);
    said.push(called(dir.path(), &["doctor"]).1);
    let token = org.with(|state| state.tokens[0].value.clone());
    org.with(|state| {
        let told = Fault::on("/services/data/").api_error(403, "X", &token);
        state.faults.push(told.forever());
    });
    said.push(called(dir.path(), &[&["fetch"], &now[..]].concat()).1);
    org.with(|state| {
        state.faults.clear();
        let refused = Fault::on("/oauth2/token").oauth_error("invalid_client_id", &token);
        state.faults.push(refused.forever());
    });
    let (code, text) = called(dir.path(), &[&["fetch"], &now[..]].concat());
    assert_eq!(code, 2, "{text}");
    said.push(text);
    for text in &said {
        assert!(!text.is_empty());
        assert_unseen(&org, text, "the program");
    }
    let mut files = Vec::new();
    files_below(&dir.path().join("data"), &mut files);
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        assert_unseen(&org, &content(&file), &file.display().to_string());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", file.display());
    }
    let report = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert_unseen(&org, &report, "the report");
    assert_eq!(org.breaches(), []);
}

// F80
#[test]
fn an_org_that_repeats_what_it_was_sent_is_not_repeated() {
    let org = FakeSf::start(Scenario::org());
    let client = client(&org);
    wait(client.sign_in()).unwrap();
    let token = org.with(|state| state.tokens[0].value.clone());
    let (before, after) = token.split_at(token.len() / 2);
    let api = |text: &str| format!("[{{\"errorCode\":\"X\",\"message\":\"for {text}, no\"}}]");
    let bodies = [
        token.clone(),
        format!("<html>{token}</html>"),
        format!("<e><errorCode>X</errorCode><message>{token}</message></e>"),
        api(&token),
        api(&format!("{before}\\n{after}")),
        format!("{{\"error\":\"{token}\",\"error_description\":\"{token}\"}}"),
    ];
    let statuses = [200, 302, 400, 401, 403, 404, 418, 500];
    for (body, status) in bodies
        .iter()
        .flat_map(|body| statuses.map(|one| (body, one)))
    {
        org.with(|state| state.faults.clear());
        let header = format!("https://example.com/?token={token}");
        let headers = [("location", header.as_str())];
        org.fault(
            Fault::on("/services/data/")
                .answer(status, &headers, body)
                .forever(),
        );
        let (result, log) = logged(|| {
            let since = time("2026-01-27T00:00:00Z");
            wait(client.list_log_files(since, Intervals::Both))
        });
        let error = result.expect_err("a refusal");
        let text = all_of(&error) + &log;
        assert_unseen(&org, &text, &format!("{status}"));
        let half = text.contains(before) || text.contains(after);
        assert!(!half, "{status} {body}: half of a token");
    }
    assert!(org.logins() <= 3);
}

// F80
#[test]
fn a_refused_sign_in_does_not_show_what_was_sent() {
    let org = FakeSf::start(Scenario::org());
    let settings = Salesforce {
        flow: Flow::ClientCredentials { username: None },
        secret_file: Some(org.secret_file()),
        ..settings(&org)
    };
    let secret = crate::fake_salesforce::CLIENT_SECRET;
    for (status, body) in [
        (
            400,
            format!("{{\"error\":\"invalid_client\",\"error_description\":\"{secret}\"}}"),
        ),
        (400, format!("client_secret={secret}&grant_type=x")),
        (404, format!("<html>{secret}</html>")),
        (200, format!("{{\"access_token\":7,\"x\":\"{secret}\"}}")),
        (500, secret.to_owned()),
    ] {
        org.with(|state| state.faults.clear());
        org.fault(
            Fault::on("/oauth2/token")
                .answer(status, &[], &body)
                .forever(),
        );
        let client = client_with(&org, &settings);
        let (result, log) = logged(|| wait(client.sign_in()));
        let text = all_of(&result.expect_err("a refusal")) + &log;
        assert_unseen(&org, &text, &format!("{status} {body}"));
        assert!(!text.contains("client_secret=") && !text.contains("assertion="));
    }
}
