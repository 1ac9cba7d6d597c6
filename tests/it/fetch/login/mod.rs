//! A person signs in through the browser, which is a test: it follows the address that the program
//! shows, and comes back with what the org gave it.

mod callback;
mod mtls;
mod refused;
mod signed_in;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use reqwest::Url;
use tempfile::TempDir;

use super::connection::wait;
use crate::fake_salesforce::{CLIENT_ID, FakeSf, Scenario};
use crate::program::command;

const NOW: &str = "2026-01-31T03:00:00Z";
const TOKEN: &str = "/services/oauth2/token";

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
            let parsed = line.trim().parse().ok();
            url = parsed.filter(|url: &Url| ["http", "https"].contains(&url.scheme()));
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
