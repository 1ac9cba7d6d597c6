//! Keys and certificates that would fail at night are refused before anything leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use orgwatch::config::{Flow, Salesforce, salesforce_secrets};
use orgwatch::salesforce::{Class, Client};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, date_time_ymd};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::{BigUint, RsaPrivateKey};

use super::connection::*;
use crate::fake_salesforce::{FakeSf, Scenario, USERNAME, keys};

/// What is said where the org is opened with this key, mode and certificate: a refusal and its
/// remedy.
fn refusal(org: &FakeSf, key: &str, mode: u32, certificate: Option<&str>) -> (String, String) {
    let path = org.folder().join("tried.key");
    // A file of an earlier attempt may not be written any more.
    let _ = fs::remove_file(&path);
    fs::write(&path, key).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let settings = Salesforce {
        key_file: Some(path),
        ..with_certificate(org, certificate)
    };
    let secrets = match salesforce_secrets(&settings, &|_| None) {
        Ok(secrets) => secrets,
        Err(error) => {
            let text = error.to_string();
            let (what, fix) = text.split_once("\nhint: ").unwrap();
            return (what.to_owned(), fix.to_owned());
        }
    };
    let pace = Arc::new(FakePace(org.clock()));
    let error = Client::new(&settings, None, secrets, pace).expect_err("a refusal");
    assert_eq!(error.class(), Class::Config);
    (error.to_string(), error.fix().to_owned())
}

fn with_certificate(org: &FakeSf, certificate: Option<&str>) -> Salesforce {
    let file = certificate.map(|pem| -> PathBuf {
        let path = org.folder().join("tried.crt");
        fs::write(&path, pem).unwrap();
        path
    });
    Salesforce {
        flow: Flow::Jwt {
            username: USERNAME.to_owned(),
            certificate_file: file,
        },
        ..settings(org)
    }
}

fn certificate(key: &KeyPair, from: i32, until: i32) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.self_signed(key).unwrap().pem()
}

// F12
#[test]
fn a_key_that_cannot_work_is_refused_with_its_remedy_before_anything_leaves() {
    let org = FakeSf::start(Scenario::org());
    let good = keys::jwt_key_pem();
    let block = |label: &str| format!("-----BEGIN {label}-----\nTUlJ\n-----END {label}-----\n");
    // Two primes of Mersenne.
    let prime = |bits: u32| (BigUint::from(1u32) << bits as usize) - 1u32;
    let short = RsaPrivateKey::from_p_q(prime(521), prime(607), 65_537u32.into()).unwrap();
    let short = short.to_pkcs8_pem(LineEnding::LF).unwrap();
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    for (key, mode, told, remedy) in [
        (good, 0o644, "mode 0644", "chmod 600"),
        (good, 0o640, "mode 0640", "chmod 600"),
        (
            &block("ENCRYPTED PRIVATE KEY"),
            0o600,
            "is encrypted",
            "openssl pkey -in",
        ),
        (
            &block("OPENSSH PRIVATE KEY"),
            0o600,
            "OpenSSH",
            "ssh-keygen -p",
        ),
        (&short, 0o600, "shorter than 2048", "openssl req -x509"),
        (
            &curve.serialize_pem(),
            0o600,
            "no RSA key",
            "openssl req -x509",
        ),
        ("", 0o600, "is empty", "openssl"),
        ("hunter2", 0o600, "not in PEM", "openssl pkey"),
    ] {
        let (what, fix) = refusal(&org, key, mode, None);
        assert!(what.contains(told), "{told}: {what}");
        assert!(fix.contains(remedy), "{told}: {fix}");
    }
    assert_eq!(org.journal().len(), 0);
}

// F12
#[test]
fn a_certificate_that_cannot_work_is_refused_with_its_remedy_before_anything_leaves() {
    let org = FakeSf::start(Scenario::org());
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let pem = key.serialize_pem();
    let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    for (certificate, told, remedy) in [
        (
            certificate(&other, 2025, 2030),
            "does not belong to the key",
            "openssl req -x509 -key",
        ),
        (
            certificate(&key, 2024, 2026),
            "expired on 2026-01-01",
            "upload it to the app",
        ),
        (
            certificate(&key, 2027, 2030),
            "not valid before 2027-01-01",
            "openssl",
        ),
        (
            "no certificate".to_owned(),
            "not in PEM",
            "openssl x509 -inform DER",
        ),
    ] {
        let (what, fix) = refusal(&org, &pem, 0o600, Some(&certificate));
        assert!(what.contains(told), "{told}: {what}");
        assert!(fix.contains(remedy), "{told}: {fix}");
    }
    assert_eq!(org.journal().len(), 0);
}

#[test]
fn a_certificate_of_the_right_key_is_watched_until_its_end() {
    let org = FakeSf::start(Scenario::org());
    let settings = with_certificate(&org, Some(keys::jwt_certificate_pem()));
    let client = client_with(&org, &settings);
    let end = "2035-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(client.certificate_expires(), Some(end));
    assert_eq!(client.remarks(), Vec::<String>::new());
    assert!(wait(client.sign_in()).is_ok());
    org.clock().set("2034-12-10T00:00:00Z".parse().unwrap());
    let remarks = client.remarks();
    assert!(remarks[0].contains("expires on 2035-01-01"), "{remarks:?}");
    assert_eq!(super::connection::client(&org).certificate_expires(), None);
}
