//! The port that the browser comes back to: open to everybody on this machine, deaf to all but one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use orgwatch::config::{LoginSecrets, TlsSecrets};
use orgwatch::salesforce::{Approval, Callback, Class, Client};

use crate::fake_salesforce::{FakeSf, Scenario};
use crate::fetch::auth::{list, refusal};
use crate::fetch::connection::{FakePace, settings, wait};

const LONG: Duration = Duration::from_secs(60);

/// A callback whose URL the org's app names.
fn expected(org: &FakeSf) -> Callback {
    let callback = Callback::listen(0).unwrap();
    let url = callback.url().to_owned();
    org.with(|state| state.app().callback_urls.insert(url));
    callback
}

fn port(callback: &Callback) -> u16 {
    let url: reqwest::Url = callback.url().parse().unwrap();
    url.port().unwrap()
}

/// Path and query of what the org sends the browser to.
fn approved(org: &FakeSf, callback: &Callback) -> String {
    let url = callback.authorize_url(&settings(org));
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let answer = wait(async { http.build().unwrap().get(url).send().await.unwrap() });
    let location = answer.headers()["location"].to_str().unwrap();
    let location: reqwest::Url = location.parse().unwrap();
    format!("{}?{}", location.path(), location.query().unwrap())
}

fn connect(callback: &Callback) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port(callback))).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// All that is answered to these bytes.
fn said(callback: &Callback, bytes: &[u8]) -> String {
    let mut stream = connect(callback);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(callback: &Callback, target: &str) -> String {
    said(
        callback,
        format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes(),
    )
}

fn client(org: &FakeSf) -> Client {
    let secrets = LoginSecrets {
        client_secret: None,
        tls: TlsSecrets {
            mtls: None,
            ca: None,
        },
    };
    let pace = Arc::new(FakePace(org.clock()));
    Client::for_person(&settings(org), None, secrets, pace).unwrap()
}

fn approval(org: &FakeSf) -> Approval {
    let callback = expected(org);
    get(&callback, &approved(org, &callback));
    callback.wait(LONG).unwrap()
}

#[test]
fn silent_half_sent_overlong_and_foreign_requests_hold_up_nobody() {
    let org = FakeSf::start(Scenario::org());
    let callback = expected(&org);
    let target = approved(&org, &callback);
    // As browsers do it: connections that may be of use later.
    let silent: Vec<TcpStream> = (0..20).map(|_| connect(&callback)).collect();
    let mut half = connect(&callback);
    half.write_all(&format!("GET {target} HTTP/1.1\r\n").as_bytes()[..40])
        .unwrap();
    for (bytes, status) in [
        (&b"\r\n\r\n"[..], "400"),
        (b"GET\r\n\r\n", "400"),
        (b"GET /OauthRedirect\r\n\r\n", "400"),
        (b"GET /OauthRedirect HTTP/2.0\r\n\r\n", "400"),
        (b"GET  /OauthRedirect HTTP/1.1\r\n\r\n", "400"),
        (b"GET /OauthRedirect?a\x00b HTTP/1.1\r\n\r\n", "400"),
        (b"\x16\x03\x01\x02\x00\xff\xfe\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"GET /favicon.ico HTTP/1.1\r\n\r\n", "404"),
        (b"GET /OauthRedirect/ HTTP/1.1\r\n\r\n", "404"),
        (b"GET /oauthredirect HTTP/1.1\r\n\r\n", "404"),
        (
            b"POST /OauthRedirect HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
            "405",
        ),
        (b"OPTIONS /OauthRedirect HTTP/1.1\r\n\r\n", "405"),
    ] {
        let answer = said(&callback, bytes);
        let line = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&line), "{status}: {answer}");
    }
    let posted = format!("POST {target} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
    assert!(said(&callback, posted.as_bytes()).starts_with("HTTP/1.1 405 "));
    let cookie = format!("GET {target} HTTP/1.1\r\ncookie: {}", "x".repeat(40 << 10));
    assert!(said(&callback, cookie.as_bytes()).starts_with("HTTP/1.1 431 "));
    assert_eq!(
        callback.strays(),
        0,
        "none of them came to the callback's path"
    );
    assert_eq!(org.logins(), 0);

    let answer = get(&callback, &target);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(callback.wait(LONG).is_ok());
    drop((silent, half));
}

#[test]
fn each_page_is_static_and_leads_the_address_with_the_code_nowhere() {
    let org = FakeSf::start(Scenario::org());
    let callback = expected(&org);
    let target = approved(&org, &callback);
    let pages = [
        get(&callback, "/"),
        get(&callback, "/OauthRedirect?code=canary&state=canary"),
        get(&callback, &target),
        get(&callback, &target),
    ];
    for (page, status) in pages.iter().zip(["404", "400", "200", "410"]) {
        assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{page}");
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        assert_eq!(header("cache-control"), Some("no-store"));
        assert_eq!(header("referrer-policy"), Some("no-referrer"));
        assert_eq!(header("connection"), Some("close"));
        assert_eq!(header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(
            header("content-length"),
            Some(body.len().to_string().as_str())
        );
        let policy = header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        for never in [
            "canary", "code=", "state=", "<script", "<a ", "<img", "http",
        ] {
            assert!(!body.contains(never), "{never}: {body}");
        }
    }
}

#[test]
fn the_first_approval_counts_and_a_second_is_told_that_it_is_over() {
    let org = FakeSf::start(Scenario::org());
    let callback = expected(&org);
    let (first, second) = (approved(&org, &callback), approved(&org, &callback));
    assert_ne!(first, second);
    assert!(get(&callback, &first).starts_with("HTTP/1.1 200 "));
    assert!(get(&callback, &second).starts_with("HTTP/1.1 410 "));
    let denied = first.replace("code=", "error=access_denied&x=");
    assert!(get(&callback, &denied).starts_with("HTTP/1.1 410 "));
    let approval = callback.wait(LONG).unwrap();
    let shown = format!("{approval:?}");
    let codes = org.with(|state| {
        state
            .codes
            .iter()
            .map(|it| it.value.clone())
            .collect::<Vec<_>>()
    });
    assert!(codes.iter().all(|code| !shown.contains(code)), "{shown}");
    wait(client(&org).sign_in_with(approval)).unwrap();
    let used = org.with(|state| state.codes.iter().map(|it| it.used).collect::<Vec<_>>());
    assert_eq!(used, [true, false]);
}

#[test]
fn a_session_of_a_person_that_is_over_is_not_opened_again() {
    let org = FakeSf::start(Scenario::org());
    let client = client(&org);
    wait(client.sign_in_with(approval(&org))).unwrap();
    wait(list(&client)).unwrap();
    org.with(|state| state.end_sessions());
    for _ in 0..2 {
        let error = refusal(wait(list(&client)));
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("is over"), "{error}");
    }
    assert_eq!(org.logins(), 1);
}

#[test]
fn without_an_approval_nothing_is_asked_of_the_org() {
    let org = FakeSf::start(Scenario::org());
    let error = refusal(wait(client(&org).sign_in()));
    assert_eq!(error.class(), Class::Config);
    assert_eq!(org.journal().len(), 0);
}

#[test]
fn nobody_listens_any_more_when_the_sign_in_is_over() {
    let callback = Callback::listen(0).unwrap();
    let port = port(&callback);
    let error = refusal(callback.wait(Duration::from_millis(1)));
    assert_eq!(error.class(), Class::Passing);
    drop(callback);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    // And the port can be had at once for the next one.
    assert!(Callback::listen(port).is_ok());
}
