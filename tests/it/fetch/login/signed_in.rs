//! What a person who signed in is told, and that nothing of it stays.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Desk, Login, NOW, TOKEN, open};
use crate::canary::{content, files_below};
use crate::fake_salesforce::faults::Action;
use crate::fake_salesforce::state::User;
use crate::fake_salesforce::{CLIENT_ID, CLIENT_SECRET, Fault, Scenario, USERNAME, ids};
use crate::fetch::privacy::assert_unseen;
use crate::program::{command, orgwatch, stderr};

const ADMIN: &str = "admin@example.com";
const REVOKE: &str = "/services/oauth2/revoke";

/// A second user, whom the app lets in as well.
fn with_an_administrator(scenario: Scenario) -> Scenario {
    scenario.set(|state| {
        let permissions = state.users[0].permissions.clone();
        state.app().approved.insert(ADMIN.to_owned());
        state.users.push(User {
            id: ids::id("005", 2),
            username: ADMIN.to_owned(),
            active: true,
            frozen: false,
            profile_id: ids::id("00e", 2),
            permissions,
            mutual_tls: false,
            logins: Vec::new(),
        });
    })
}

#[test]
fn two_settings_and_a_browser_tell_what_a_person_may_read_and_nothing_is_kept() {
    let desk = Desk::new(Scenario::org().without("ViewEventLogFiles"));
    let login = desk.start(&[]);
    assert!(login.shown.contains("open this address"), "{}", login.shown);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("scope", "api"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(login.parameter(name), value);
    }
    // Base64 of 32 bytes each.
    let secrets = ["state", "code_challenge"].map(|name| login.parameter(name));
    assert_eq!(secrets.each_ref().map(String::len), [43, 43]);
    let page = login.approve("");
    assert_eq!(page.status, 200);
    let ended = login.end();
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    let line = |name: &str| {
        let mut lines = ended.out.lines();
        let found = lines.find(|line| line.contains("  org  ") && line.contains(name));
        found.unwrap_or_else(|| panic!("{name}\n{}", ended.out))
    };
    assert!(line("sign-in").starts_with("PASS"), "{}", ended.out);
    assert!(line("sign-in").contains(USERNAME), "{}", ended.out);
    assert!(line("EventLogFile").starts_with("WARN"), "{}", ended.out);
    assert!(line("Profile").starts_with("PASS"), "{}", ended.out);
    assert!(line("API calls").starts_with("PASS"), "{}", ended.out);
    assert!(line("sign-out").starts_with("PASS"), "{}", ended.out);

    let journal = desk.org.journal();
    let exchange = journal.iter().find(|entry| entry.path == TOKEN).unwrap();
    let keys = [
        "grant_type",
        "code",
        "redirect_uri",
        "client_id",
        "code_verifier",
    ];
    assert_eq!(exchange.form_keys, keys);
    let verifier = desk.org.with(|state| state.verifiers[0].len());
    assert_eq!(verifier, 128);
    let last = journal.last().unwrap();
    assert_eq!((last.path.as_str(), last.status), (REVOKE, 200));
    assert!(desk.is_signed_out());
    assert_eq!(desk.org.logins(), 1);
    assert_eq!(desk.org.breaches(), []);
    let left: Vec<_> = std::fs::read_dir(desk.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let second = desk.start(&[]);
    for (name, before) in ["state", "code_challenge"].into_iter().zip(secrets) {
        assert_ne!(second.parameter(name), before, "{name}");
    }
}

#[test]
fn nothing_secret_is_said_or_kept_however_talkative_the_program_and_the_org_are() {
    let unasked = Scenario::org().set(|state| state.quirks.unasked_refresh_token = true);
    let desk = Desk::new(unasked);
    let mut said = Vec::new();
    let login = desk.start(&["-vvv", "--data-dir", "data"]);
    let state = login.parameter("state");
    login.approve("");
    let ended = login.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let refresh = desk.org.with(|state| state.refresh_tokens.len());
    assert!(refresh == 1 && desk.is_signed_out());
    said.push((ended, state));
    // An org that repeats what it was sent.
    for twist in 0..3 {
        let login = desk.start(&["-vvv", "--data-dir", "data"]);
        let (state, callback) = (login.parameter("state"), login.approved(""));
        let code = desk
            .org
            .with(|state| state.codes.last().unwrap().value.clone());
        desk.org.with(|state| state.faults.clear());
        desk.org.fault(match twist {
            0 => Fault::on(TOKEN).oauth_error("invalid_grant", &format!("{code} is old")),
            1 => Fault::on(TOKEN).answer(200, &[], &format!("{{\"x\": \"{code}\"}}")),
            _ => Fault::on("/services/data/v").api_error(403, "X", &last_token(&desk)),
        });
        open(&callback);
        said.push((login.end(), state));
    }
    for (ended, state) in &said {
        let text = format!("{}{}", ended.out, ended.err);
        assert_unseen(&desk.org, &text, "the program");
        // The address that was shown holds it, and nothing else.
        assert_eq!(text.matches(state.as_str()).count(), 1, "{text}");
    }
    let mut files = Vec::new();
    files_below(desk.path(), &mut files);
    assert!(!files.is_empty());
    for file in files {
        assert_unseen(&desk.org, &content(&file), &file.display().to_string());
    }
    assert_eq!(desk.org.breaches(), []);
}

fn last_token(desk: &Desk) -> String {
    let token = |state: &mut crate::fake_salesforce::state::State| {
        let last = state.tokens.last();
        last.map(|token| token.value.clone()).unwrap()
    };
    desk.org.with(token)
}

#[test]
fn an_app_that_demands_its_secret_gets_it_from_where_secrets_are() {
    let demanding = || Desk::new(Scenario::org().set(|state| state.app().secret_required = true));
    let without = demanding();
    let login = without.start(&[]);
    login.approve("");
    let ended = login.end();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(
        ended.err.contains("ORGWATCH_SALESFORCE_SECRET"),
        "{}",
        ended.err
    );

    let by_variable = demanding();
    let env = [("ORGWATCH_SALESFORCE_SECRET", CLIENT_SECRET)];
    let login = by_variable.start_with(&[], &env);
    let by_file = demanding();
    let secret = by_file.org.secret_file();
    let more = format!(
        "flow = \"client_credentials\"\nsecret_file = \"{}\"\n",
        secret.display()
    );
    by_file.configure(&more);
    let other = by_file.start(&[]);
    for (desk, login) in [(&by_variable, login), (&by_file, other)] {
        login.approve("");
        let ended = login.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_unseen(
            &desk.org,
            &format!("{}{}", ended.out, ended.err),
            "the program",
        );
        assert!(desk.is_signed_out());
    }
    let private = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&secret, private).unwrap();
    let calls = by_file.org.journal().len();
    let refused = orgwatch(by_file.path(), &["login", "--now", NOW]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("0644"), "{}", stderr(&refused));
    assert_eq!(by_file.org.journal().len(), calls);
}

#[test]
fn who_is_not_the_configured_user_is_named_and_the_nightly_key_is_not_read() {
    let desk = Desk::new(with_an_administrator(Scenario::org()));
    desk.configure(&format!(
        "username = \"{USERNAME}\"\nkey_file = \"not-there.key\"\n"
    ));
    for (person, is_named) in [(ADMIN, true), (USERNAME, false)] {
        let login = desk.start(&[]);
        login.approve(&format!("&__user={person}"));
        let ended = login.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let mut lines = ended.out.lines();
        let user = lines.find(|line| line.starts_with("WARN") && line.contains(" user "));
        assert_eq!(user.is_some(), is_named, "{}", ended.out);
        let both = |line: &str| line.contains(ADMIN) && line.contains(USERNAME);
        assert!(user.is_none_or(both), "{}", ended.out);
        assert!(desk.is_signed_out());
    }
}

#[test]
fn a_session_that_the_org_does_not_end_is_told() {
    let desk = Desk::new(Scenario::org());
    desk.org.fault(Fault::on(REVOKE).status(503).forever());
    let login = desk.start(&["--json"]);
    login.approve("");
    let ended = login.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let checks: Vec<serde_json::Value> = serde_json::from_str(&ended.out).unwrap();
    let mut checks = checks.iter();
    let sign_out = checks.find(|check| check["check"] == "sign-out").unwrap();
    assert_eq!(sign_out["verdict"], "WARN");
    assert!(
        sign_out["fix"]
            .as_str()
            .unwrap()
            .contains("Session Management")
    );
}

#[test]
fn ctrl_c_ends_the_wait_and_after_it_the_session() {
    let waiting = Desk::new(Scenario::org());
    let login = waiting.start(&[]);
    interrupt(&login);
    assert_eq!(login.end().code, Some(130));

    let signed_in = Desk::new(Scenario::org());
    let silent = Fault::on("/services/data/v").does(Action::Stall { after: 0 });
    signed_in.org.fault(silent.forever());
    let login = signed_in.start(&[]);
    login.approve("");
    let deadline = Instant::now() + Duration::from_secs(60);
    while signed_in.org.asked("/services/data/v") == 0 {
        assert!(Instant::now() < deadline, "nothing was asked");
        thread::sleep(Duration::from_millis(20));
    }
    interrupt(&login);
    let ended = login.end();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(
        ended.err.contains("stopped; the session is over"),
        "{}",
        ended.err
    );
    assert!(signed_in.is_signed_out());
}

fn interrupt(login: &Login) {
    let sent = Command::new("kill")
        .args(["-INT", &login.child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Runs it at a terminal with a screen, where `xdg-open` writes down what it is called with.
fn run_at_a_screen(desk: &Desk, more: &[&str]) {
    let bin = desk.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = bin.join("xdg-open");
    let script = format!(
        "#!/bin/sh\nenv > '{0}/env'\nprintf '%s|' \"$@\" > '{0}/new' && mv '{0}/new' '{0}/args'\n",
        bin.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let port = desk.port.to_string();
    let call = [&["login", "--port", &port, "--timeout", "0.02"], more].concat();
    let call = command(desk.path(), &call);
    let argv = [call.get_program()].into_iter().chain(call.get_args());
    let argv: Vec<&str> = argv.map(|word| word.to_str().unwrap()).collect();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let env = json!({
        "PATH": path, "DISPLAY": ":0", "TERM": "xterm", "HOME": desk.path(),
        "ORGWATCH_SALESFORCE_SECRET": CLIENT_SECRET,
    });
    let steps = json!([{"wait": "did not come back in time"}]);
    let job = json!({
        "argv": argv, "cwd": desk.path(), "env": env, "steps": steps, "size": [40, 120],
    });
    let typist = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/type_into_terminal.py");
    let mut typist = Command::new("python3")
        .arg(typist)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = typist.stdin.take().unwrap();
    pipe.write_all(job.to_string().as_bytes()).unwrap();
    drop(pipe);
    let seen = typist.wait_with_output().unwrap();
    let seen: Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(seen["failed"], Value::Null, "{seen}");
}

/// Arguments and environment of the browser, where one was opened.
fn opened(desk: &Desk) -> Option<(String, String)> {
    let written = |name: &str| std::fs::read_to_string(desk.path().join("bin").join(name)).ok();
    written("args").zip(written("env"))
}

#[test]
fn a_browser_is_opened_where_a_person_sits_and_hears_of_no_secret() {
    let desk = Desk::new(Scenario::org());
    run_at_a_screen(&desk, &["--no-browser"]);
    assert_eq!(opened(&desk), None);
    run_at_a_screen(&desk, &[]);
    // Nobody waits for a browser: it may be slower than the program.
    let deadline = Instant::now() + Duration::from_secs(60);
    while opened(&desk).is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    let (arguments, env) = opened(&desk).unwrap();
    let url = arguments.strip_suffix('|').unwrap();
    assert!(!url.contains('|'), "one argument: {url}");
    let start = format!("{}/services/oauth2/authorize?", desk.org.login_url());
    assert!(url.starts_with(&start), "{url}");
    assert!(!env.contains(CLIENT_SECRET) && env.contains("DISPLAY"));
}
