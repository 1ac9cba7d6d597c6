//! A person signs in through the browser, which is this test: it follows the address that the
//! program shows, and comes back with what the org gave it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Url;
use tempfile::TempDir;

use super::connection::wait;
use super::privacy::assert_unseen;
use crate::canary::{content, files_below};
use crate::fake_salesforce::faults::Action;
use crate::fake_salesforce::state::{Permitted, User};
use crate::fake_salesforce::{
    CLIENT_ID, CLIENT_SECRET, FakeSf, Fault, Scenario, USERNAME, ids, time,
};
use crate::program::{command, orgwatch, stderr, stdout};

const NOW: &str = "2026-01-31T03:00:00Z";
const ADMIN: &str = "admin@example.com";
const TOKEN: &str = "/services/oauth2/token";
const REVOKE: &str = "/services/oauth2/revoke";

/// An org whose app names the callback of a port that is free, and a configuration for it.
struct Desk {
    org: FakeSf,
    dir: TempDir,
    port: u16,
}

impl Desk {
    fn new(scenario: Scenario) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        let scenario = scenario.set(|state| {
            let url = format!("http://localhost:{port}/OauthRedirect");
            state.app().callback_urls = [url].into();
        });
        let desk = Self {
            org: FakeSf::start(scenario),
            dir: tempfile::tempdir().unwrap(),
            port,
        };
        desk.configure("");
        desk
    }

    /// The two settings that are needed, and what else is given.
    fn configure(&self, more: &str) {
        let text = format!(
            "[salesforce]\nlogin_url = \"{}\"\nplaintext = true\nclient_id = \"{CLIENT_ID}\"\n{more}",
            self.org.login_url(),
        );
        std::fs::write(self.path().join("orgwatch.toml"), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn start(&self, more: &[&str]) -> Login {
        self.start_with(more, &[])
    }

    fn start_with(&self, more: &[&str], env: &[(&str, &str)]) -> Login {
        let port = self.port.to_string();
        let arguments = [&["login", "--port", &port, "--now", NOW], more].concat();
        let mut command = command(self.path(), &arguments);
        command.envs(env.iter().copied()).stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let (mut shown, mut url) = (String::new(), None);
        while url.is_none() {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "{shown}");
            url = line.trim().parse().ok();
            shown.push_str(&line);
        }
        Login {
            child,
            url: url.unwrap(),
            shown,
            rest: lines,
        }
    }

    fn tokens(&self) -> usize {
        self.org.with(|state| state.tokens.len())
    }

    /// All that were ever given are over, and there were some.
    fn is_signed_out(&self) -> bool {
        self.org.with(|state| {
            let refresh = state.refresh_tokens.iter().map(|token| token.revoked);
            let mut all = state
                .tokens
                .iter()
                .map(|token| token.revoked)
                .chain(refresh);
            !state.tokens.is_empty() && all.all(|revoked| revoked)
        })
    }
}

/// The program, waiting.
struct Login {
    child: Child,
    /// Where it sends the browser.
    url: Url,
    shown: String,
    rest: BufReader<ChildStderr>,
}

impl Drop for Login {
    fn drop(&mut self) {
        // It is over where the test was right.
        let _ = self.child.kill();
    }
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Login {
    fn end(mut self) -> Ended {
        let mut out = String::new();
        let mut pipe = self.child.stdout.take().unwrap();
        pipe.read_to_string(&mut out).unwrap();
        let mut err = std::mem::take(&mut self.shown);
        self.rest.read_to_string(&mut err).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, out, err }
    }

    fn parameter(&self, name: &str) -> String {
        let mut pairs = self.url.query_pairs();
        let found = pairs.find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap()
    }

    /// Where the org sends the browser of somebody who does so.
    fn approved(&self, more: &str) -> Url {
        approved(&format!("{}{more}", self.url))
    }

    /// Does all that a person does.
    fn approve(&self, more: &str) -> Page {
        open(&self.approved(more))
    }
}

fn approved(url: &str) -> Url {
    let answer = browse(url);
    assert_eq!(answer.status, 302, "{}", answer.body);
    let location = answer.header("location");
    location.parse().unwrap()
}

/// An answer, as a browser gets it.
struct Page {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: String,
}

impl Page {
    fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }
}

fn browse(url: &str) -> Page {
    wait(async {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        let answer = http.build().unwrap().get(url).send().await.unwrap();
        Page {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.text().await.unwrap(),
        }
    })
}

/// The callback, which only this machine's own address reaches.
fn open(callback: &Url) -> Page {
    assert_eq!(callback.host_str(), Some("localhost"));
    let mut url = callback.clone();
    url.set_host(Some("127.0.0.1")).unwrap();
    browse(url.as_str())
}

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
fn a_callback_with_another_state_or_none_is_refused_and_the_wait_goes_on() {
    let desk = Desk::new(Scenario::org());
    let login = desk.start(&[]);
    let right = login.approved("");
    let (state, code) = (login.parameter("state"), right.query().unwrap().to_owned());
    let twice = format!("{code}&state={state}");
    let both = format!("{code}&error=access_denied");
    let other = code.replace(&state, &"A".repeat(state.len()));
    let cut = code.replace(&state, &state[..state.len() - 1]);
    let denied = format!("error=access_denied&state={}", &state[1..]);
    let bare = format!("state={state}");
    let empty = format!("code=&state={state}");
    let queries = [
        other.as_str(),
        &cut,
        &twice,
        &both,
        &denied,
        &bare,
        &empty,
        "code=x",
        "error=access_denied",
        "",
        "%ff=%fe&&==",
    ];
    for query in queries {
        let mut url = right.clone();
        url.set_query(Some(query));
        let page = open(&url);
        assert_eq!(page.status, 400, "{query}");
        assert!(page.body.contains("Not of this sign-in"), "{}", page.body);
    }
    assert_eq!(desk.org.logins(), 0);
    assert_eq!(open(&right).status, 200);
    let ended = login.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let told = format!("refused {} callbacks that did not belong", queries.len());
    assert!(ended.err.contains(&told), "{}", ended.err);
    assert_eq!(desk.org.logins(), 1);
}

#[test]
fn a_refusal_in_the_browser_ends_the_wait_with_what_to_do() {
    let not_admitted = |scenario: Scenario| {
        scenario.set(|state| {
            state.app().permitted = Permitted::AdminApproved;
            state.app().approved.clear();
        })
    };
    let no_scope = |scenario: Scenario| scenario.set(|state| state.app().scopes = "id".into());
    let no_flow = |scenario: Scenario| scenario.set(|state| state.app().web_server = false);
    let none = |scenario: Scenario| scenario;
    type Change = fn(Scenario) -> Scenario;
    let rows: [(Change, &str, &str, &str); 4] = [
        (none, "&__deny=1", "access_denied", "choose Allow"),
        (
            not_admitted,
            "",
            "OAUTH_APP_ACCESS_DENIED",
            "permission set",
        ),
        (no_scope, "", "invalid_scope", "scope api"),
        (no_flow, "", "unsupported_response_type", "web server flow"),
    ];
    for (change, person, code, remedy) in rows {
        let desk = Desk::new(change(Scenario::org()));
        let login = desk.start(&[]);
        let page = login.approve(person);
        assert!(page.body.contains("has refused"), "{}", page.body);
        let ended = login.end();
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(code), "{}", ended.err);
        assert!(ended.err.contains(remedy), "{code}: {}", ended.err);
        assert_eq!(ended.out, "");
        assert_eq!(desk.org.logins(), 0, "{code}");
    }
}

#[test]
fn words_of_the_org_that_come_back_with_a_refusal_cannot_act_on_the_terminal() {
    let desk = Desk::new(Scenario::org());
    let login = desk.start(&[]);
    let mut url = login.approved("&__deny=1");
    let state = login.parameter("state");
    let description = format!("\u{1b}]52;c;x\u{7}<script>{}", "x".repeat(5000));
    url.query_pairs_mut()
        .clear()
        .append_pair("error", "access_denied")
        .append_pair("error_description", &description)
        .append_pair("state", &state);
    let page = open(&url);
    assert!(!page.body.contains("script"), "{}", page.body);
    let ended = login.end();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(!ended.err.contains(['\u{1b}', '\u{7}']), "{}", ended.err);
    assert!(!ended.err.contains(&"x".repeat(1000)));
}

#[test]
fn a_code_that_was_not_given_to_this_sign_in_opens_no_session() {
    let others = "3MVG9.other.app";
    for (foreign, told) in [
        // Of somebody who knows not the verifier: same app, same callback, another challenge.
        ("challenge", "invalid code verifier"),
        ("app", "invalid authorization code"),
        ("none", "invalid authorization code"),
    ] {
        let desk = Desk::new(Scenario::org().set(|state| {
            let mut app = Scenario::empty().state.apps.remove(0);
            app.consumer_key = others.to_owned();
            state.apps.push(app);
        }));
        desk.org.with(|state| {
            let callbacks = state.app().callback_urls.clone();
            state.apps[1].callback_urls = callbacks;
        });
        let login = desk.start(&[]);
        let theirs = match foreign {
            "challenge" => {
                let mine = login.parameter("code_challenge");
                login.url.as_str().replace(&mine, &"A".repeat(43))
            }
            _ => login.url.as_str().replace(CLIENT_ID, others),
        };
        let mut callback = approved(&theirs);
        if foreign == "none" {
            let query = format!("code=aPrx.made.up&state={}", login.parameter("state"));
            callback.set_query(Some(&query));
        }
        assert_eq!(open(&callback).status, 200);
        let ended = login.end();
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
        assert!(
            ended.err.contains("run `orgwatch login` again"),
            "{}",
            ended.err
        );
        assert_eq!((desk.org.logins(), desk.tokens()), (1, 0), "{foreign}");
    }
}

#[test]
fn a_code_is_brought_to_the_org_once_whatever_comes_of_it() {
    for fault in [
        Fault::on(TOKEN).status(503),
        Fault::on(TOKEN).does(Action::Drop(crate::fake_salesforce::Ending::Reset)),
        Fault::on(TOKEN).oauth_error("unknown_error", "retry your request"),
    ] {
        let desk = Desk::new(Scenario::org());
        desk.org.fault(fault.forever());
        let login = desk.start(&[]);
        login.approve("");
        let ended = login.end();
        assert_eq!(ended.code, Some(3), "{}", ended.err);
        assert_eq!(desk.org.logins(), 1, "{}", ended.err);
    }
}

#[test]
fn nobody_who_comes_in_time_ends_the_wait_with_the_callback_url_that_the_app_must_name() {
    let desk = Desk::new(Scenario::org());
    let ended = desk.start(&["--timeout", "0.01"]).end();
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    let url = format!("http://localhost:{}/OauthRedirect", desk.port);
    let hint = ended.err.split("hint: ").nth(1).unwrap();
    assert!(hint.contains(&url) && hint.contains("redirect_uri_mismatch"));
    assert_eq!(desk.org.journal().len(), 0);
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
fn a_person_of_another_org_is_signed_out_again_before_anything_is_read() {
    let desk = Desk::new(Scenario::org());
    let path = desk.path().join("orgwatch.toml");
    let other = "[org]\nid = \"00D000000000002EAA\"\n";
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{other}{text}")).unwrap();
    let login = desk.start(&[]);
    login.approve("");
    let ended = login.end();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("00D000000000002EAA"), "{}", ended.err);
    assert!(desk.is_signed_out());
    assert_eq!(desk.org.asked("/services/data/"), 0);
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

#[test]
fn what_cannot_work_is_told_before_a_browser_is_sent_anywhere() {
    let desk = Desk::new(Scenario::org());
    let taken = std::net::TcpListener::bind(("127.0.0.1", desk.port)).unwrap();
    let port = desk.port.to_string();
    let refused = orgwatch(desk.path(), &["login", "--port", &port]);
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    assert!(told.contains(&port) && told.contains("--port"), "{told}");
    drop(taken);
    desk.configure("ca_file = \"not-there.pem\"\n");
    let refused = orgwatch(desk.path(), &["login", "--port", &port]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("not-there.pem"));
    std::fs::write(desk.path().join("orgwatch.toml"), "").unwrap();
    let refused = orgwatch(desk.path(), &["login", "--port", &port]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("`client_id`"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(desk.org.journal().len(), 0);
}

#[test]
fn settings_that_are_enough_for_a_person_are_not_enough_for_a_night() {
    let desk = Desk::new(Scenario::org());
    for command in ["fetch", "run"] {
        let refused = orgwatch(desk.path(), &[command, "--now", NOW]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let told = stderr(&refused);
        assert!(
            told.contains("`username` is missing in [salesforce] (line 1)"),
            "{told}"
        );
        assert!(told.contains("`key_file`"), "{told}");
    }
    let seen = orgwatch(desk.path(), &["doctor", "--now", NOW]);
    let seen = stdout(&seen);
    let line = seen.lines().find(|line| line.contains("way in")).unwrap();
    assert!(
        line.starts_with("FAIL") && line.contains("`username`"),
        "{seen}"
    );
    assert_eq!(desk.org.journal().len(), 0);
    assert_eq!(desk.org.clock().now(), time(NOW));
}
