//! Mutual TLS: the client proves itself too, on its own port.

use std::path::PathBuf;
use std::sync::Arc;

use orgwatch::config::{Mtls, Salesforce, salesforce_secrets};
use orgwatch::salesforce::{Class, Client, SalesforceError};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::connection::*;
use crate::fake_salesforce::journal::Listener;
use crate::fake_salesforce::{FakeSf, Scenario, time};

fn by_tls(org: &FakeSf, url: &str) -> Salesforce {
    Salesforce {
        login_url: url.parse().unwrap(),
        ca_file: Some(org.ca_pem_file()),
        plaintext: false,
        ..settings(org)
    }
}

fn with_pair(org: &FakeSf, certificate: PathBuf, key: PathBuf) -> Salesforce {
    Salesforce {
        mtls: Some(Mtls {
            certificate_file: certificate,
            key_file: Some(key),
        }),
        ..by_tls(org, org.mtls_url())
    }
}

fn open(org: &FakeSf, settings: &Salesforce) -> Result<Client, SalesforceError> {
    let secrets = salesforce_secrets(settings, &|_| None).unwrap();
    let pace = Arc::new(FakePace(org.clock()));
    Client::new(settings, None, secrets, pace)
}

async fn list(client: &Client) -> Result<usize, SalesforceError> {
    let since = time("2026-01-27T00:00:00Z");
    let listing = client.list_log_files(since, orgwatch::config::Intervals::Both);
    Ok(listing.await?.files.len())
}

// F90
#[test]
fn a_server_that_wants_a_client_certificate_is_told_as_that_and_not_tried_again() {
    let org = FakeSf::start(Scenario::org());
    let client = open(&org, &by_tls(&org, org.mtls_url())).unwrap();
    let error = wait(client.sign_in()).expect_err("a refusal");
    assert_eq!(error.class(), Class::Config, "{error}");
    assert!(
        error.to_string().contains("wants a client certificate"),
        "{error}"
    );
    assert!(error.fix().contains("[salesforce.mtls]"), "{}", error.fix());
    assert!(org.clock().slept().is_empty());
    assert_eq!(org.journal().len(), 0);
}

// F91
#[test]
fn a_client_certificate_of_a_ca_that_the_org_does_not_trust_is_told_as_that() {
    let org = FakeSf::start(Scenario::org());
    let pair = (org.stranger_certificate_file(), org.stranger_key_file());
    let client = open(&org, &with_pair(&org, pair.0, pair.1)).unwrap();
    let error = wait(client.sign_in()).expect_err("a refusal");
    assert_eq!(error.class(), Class::Config, "{error}");
    assert!(
        error.to_string().contains("refuses the client certificate"),
        "{error}"
    );
    assert!(error.fix().contains("Certificate and Key Management"));
    assert!(org.clock().slept().is_empty());
    assert_eq!(org.journal().len(), 0);
}

// F92
#[test]
fn with_the_right_certificate_every_request_goes_by_mutual_tls() {
    let org = FakeSf::start(Scenario::org());
    org.with(|state| state.integration().mutual_tls = true);
    let pair = (org.client_certificate_file(), org.client_key_file());
    let client = open(&org, &with_pair(&org, pair.0, pair.1)).unwrap();
    let files = wait(async {
        let files = list(&client).await.unwrap();
        client.revoke().await;
        files
    });
    assert!(files > 0);
    let journal = org.journal();
    assert!(journal.iter().any(|entry| entry.path.contains("/query")));
    for entry in &journal {
        assert_eq!(entry.listener, Listener::MutualTls, "{}", entry.path);
        assert!(entry.client.as_ref().unwrap().contains("orgwatch"));
    }
    assert_eq!(org.breaches(), []);
}

// F93
#[test]
fn a_user_that_must_show_a_certificate_and_does_not_is_told_where_to_put_it() {
    for status in [401, 403] {
        let org = FakeSf::start(Scenario::org());
        org.with(|state| state.integration().mutual_tls = true);
        let code = "MUTUAL_AUTHENTICATION_FAILED";
        if status == 401 {
            let other = crate::fake_salesforce::Fault::on("/query");
            org.fault(other.api_error(401, code, "x").forever());
        }
        let error = wait(list(&client(&org))).expect_err("a refusal");
        assert_eq!(error.class(), Class::Config, "{error}");
        assert_eq!(error.code(), Some(code));
        assert!(error.fix().contains("[salesforce.mtls]"), "{}", error.fix());
        assert_eq!((org.logins(), org.asked("/query")), (1, 1));
    }
}

#[test]
fn an_org_by_tls_is_trusted_by_the_ca_that_was_named() {
    let org = FakeSf::start(Scenario::org());
    let client = open(&org, &by_tls(&org, org.tls_url())).unwrap();
    assert!(wait(list(&client)).unwrap() > 0);
    let journal = org.journal();
    assert!(journal.iter().all(|entry| entry.listener == Listener::Tls));
}

#[test]
fn a_pair_that_cannot_work_is_refused_before_anything_leaves() {
    let org = FakeSf::start(Scenario::org());
    let write = |name: &str, text: &str| {
        let path = org.folder().join(name);
        crate::fake_salesforce::keys::write_secret(&path, text);
        path
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let expired = write("expired.crt", &params.self_signed(&key).unwrap().pem());
    let its_key = write("expired.key", &key.serialize_pem());
    let block =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nTUlJ\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = write("encrypted.key", block);
    let good = org.client_certificate_file();
    for (certificate, key, told, remedy) in [
        (
            &expired,
            &its_key,
            "[salesforce.mtls] expired on 2021-01-01",
            "its CA",
        ),
        (
            &good,
            &its_key,
            "does not belong to its key",
            "the key that",
        ),
        (
            &good,
            &encrypted,
            "[salesforce.mtls] is encrypted",
            "openssl pkey",
        ),
        (&good, &good, "is no private key", "openssl pkey"),
        (&its_key, &its_key, "[salesforce.mtls]", "openssl x509"),
    ] {
        // A certificate may be read by all, and a key may not.
        let error = open(
            &org,
            &with_pair(&org, certificate.clone(), private(&org, key)),
        );
        let error = error.expect_err(told);
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert!(error.fix().contains(remedy), "{told}: {}", error.fix());
    }
    assert_eq!(org.journal().len(), 0);
}

/// A copy that only its owner may read.
fn private(org: &FakeSf, file: &PathBuf) -> PathBuf {
    let path = org.folder().join("private.key");
    let text = std::fs::read_to_string(file).unwrap();
    crate::fake_salesforce::keys::write_secret(&path, &text);
    path
}
