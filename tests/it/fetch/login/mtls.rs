//! Mutual TLS: the program's own calls show its certificate, and the browser, which has none, stays away
//! from that port.

use std::path::Path;

use reqwest::Url;

use super::{Desk, Ended, TOKEN};
use crate::fake_salesforce::journal::{Entry, Listener};
use crate::fake_salesforce::{CLIENT_ID, Scenario};

const AUTHORIZE: &str = "/services/oauth2/authorize";

/// An org whose users must show a certificate.
fn strict() -> Desk {
    Desk::new(Scenario::org().set(|state| state.integration().mutual_tls = true))
}

/// By TLS, with this pair.
fn configure(desk: &Desk, pair: Option<(&Path, &Path)>) {
    let mut text = format!(
        "[salesforce]\nlogin_url = \"{}\"\nclient_id = \"{CLIENT_ID}\"\nca_file = \"{}\"\n",
        desk.org.mtls_url(),
        desk.org.ca_pem_file().display(),
    );
    if let Some((certificate, key)) = pair {
        let (certificate, key) = (certificate.display(), key.display());
        text.push_str(&format!(
            "[salesforce.mtls]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n"
        ));
    }
    std::fs::write(desk.path().join("orgwatch.toml"), text).unwrap();
}

/// Signs in as a browser does that goes to My Domain's usual port, which the fake has elsewhere.
fn sign_in(desk: &Desk) -> Ended {
    let mut login = desk.start(&[]);
    let mut usual: Url = desk.org.login_url().parse().unwrap();
    usual.set_path(login.url.path());
    usual.set_query(login.url.query());
    login.url = usual;
    login.approve("");
    login.end()
}

/// What the program asked the org for, and not the browser.
fn calls(desk: &Desk) -> Vec<Entry> {
    let mut calls = desk.org.journal();
    calls.retain(|entry| entry.path != AUTHORIZE);
    calls
}

#[test]
fn every_call_shows_the_certificate_and_the_browser_needs_none() {
    let desk = strict();
    let pair = (
        desk.org.client_certificate_file(),
        desk.org.client_key_file(),
    );
    configure(&desk, Some((&pair.0, &pair.1)));
    let ended = sign_in(&desk);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    assert!(!ended.out.contains("FAIL"), "{}", ended.out);
    let calls = calls(&desk);
    for path in [TOKEN, "/query", "/services/oauth2/revoke"] {
        let mut asked = calls.iter();
        assert!(asked.any(|entry| entry.path.contains(path)), "{path}");
    }
    for entry in &calls {
        assert_eq!(entry.listener, Listener::MutualTls, "{}", entry.path);
        assert!(entry.client.as_ref().unwrap().contains("orgwatch"));
    }
    assert!(desk.is_signed_out());
    assert_eq!(desk.org.breaches(), []);
}

#[test]
fn a_certificate_that_is_missing_or_that_the_org_does_not_trust_is_refused_with_what_to_do() {
    let desk = strict();
    let strange = (
        desk.org.stranger_certificate_file(),
        desk.org.stranger_key_file(),
    );
    for (pair, told, remedy) in [
        (None, "wants a client certificate", "[salesforce.mtls]"),
        (
            Some((&*strange.0, &*strange.1)),
            "refuses the client certificate",
            "Certificate and Key Management",
        ),
    ] {
        configure(&desk, pair);
        let ended = sign_in(&desk);
        assert_eq!(ended.code, Some(2), "{told}: {}", ended.err);
        assert!(ended.err.contains(told), "{}", ended.err);
        assert!(ended.err.contains(remedy), "{}", ended.err);
    }
    assert_eq!((calls(&desk).len(), desk.tokens()), (0, 0));
}

#[test]
fn an_org_that_wants_a_certificate_for_its_data_is_told_as_that_and_the_session_is_ended() {
    let desk = strict();
    let login = desk.start(&[]);
    login.approve("");
    let ended = login.end();
    // One data set that may not be read is a warning; all of them are not.
    assert_eq!(ended.code, Some(3), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("MUTUAL_AUTHENTICATION_FAILED"));
    assert!(ended.out.contains("[salesforce.mtls]"), "{}", ended.out);
    assert!(desk.is_signed_out());
}
