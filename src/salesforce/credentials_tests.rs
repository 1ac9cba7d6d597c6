use chrono::Datelike;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize,
    date_time_ymd,
};
use rsa::BigUint;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};

use super::*;
use crate::salesforce::Class;

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn read(pem: &str) -> Result<SigningKey, SalesforceError> {
    SigningKey::read(&Secret::new(pem.to_owned()))
}

fn day(text: &str) -> DateTime<Utc> {
    format!("{text}T12:00:00Z").parse().unwrap()
}

/// A certificate of that key from the first of 2025 to that day.
fn certificate(key: &KeyPair, until: DateTime<Utc>) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2025, 1, 1);
    let (month, day) = (until.month() as u8, until.day() as u8);
    params.not_after = date_time_ymd(until.year(), month, day);
    params.self_signed(key).unwrap().pem()
}

#[test]
fn keys_as_openssl_writes_them_are_read() {
    let pkcs8 = rsa().serialize_pem();
    let pkcs1 = RsaPrivateKey::from_pkcs8_pem(&pkcs8).unwrap();
    let pkcs1 = pkcs1.to_pkcs1_pem(LineEnding::LF).unwrap();
    assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    let bag = format!("Bag Attributes\n    friendlyName: x\n{pkcs8}\n");
    let crlf = pkcs8.replace('\n', "\r\n");
    let modulus = read(&pkcs8).unwrap().modulus;
    for pem in [&*pkcs1, &bag, &crlf] {
        assert_eq!(read(pem).unwrap().modulus, modulus);
    }
}

#[test]
fn a_key_that_salesforce_or_the_night_cannot_use_is_refused_with_the_command_that_makes_a_right_one()
 {
    // Two primes of Mersenne.
    let prime = |bits: u32| (BigUint::from(1u32) << bits as usize) - 1u32;
    let short = RsaPrivateKey::from_p_q(prime(521), prime(607), 65_537u32.into()).unwrap();
    let short = short.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pkcs8 = rsa().serialize_pem();
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let block = |label: &str| format!("-----BEGIN {label}-----\nTUlJ\n-----END {label}-----\n");
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nTUlJ\n-----END RSA PRIVATE KEY-----\n";
    for (pem, told, fix) in [
        (&**short, "shorter than 2048 bits", "openssl req -x509"),
        (
            &curve.serialize_pem(),
            "no RSA key",
            "openssl req -x509 -newkey rsa:4096",
        ),
        (&block("EC PRIVATE KEY"), "no RSA key", "openssl req -x509"),
        (
            &KeyPair::generate_for(&PKCS_ED25519)
                .unwrap()
                .serialize_pem(),
            "no RSA key",
            "openssl req",
        ),
        (
            &block("ENCRYPTED PRIVATE KEY"),
            "is encrypted",
            "openssl pkey -in",
        ),
        (legacy, "is encrypted", "openssl pkey -in"),
        (
            &block("OPENSSH PRIVATE KEY"),
            "format of OpenSSH",
            "ssh-keygen -p",
        ),
        (&block("PKCS12"), "container", "openssl pkcs12"),
        (&block("CERTIFICATE"), "is no private key", "openssl pkey"),
        (&rsa().public_key_pem(), "is no private key", "openssl pkey"),
        (&block("PRIVATE KEY"), "no key in PKCS #8", "openssl pkey"),
        (&block("RSA PRIVATE KEY"), "is damaged", "openssl pkey"),
        (&pkcs8[..pkcs8.len() / 2], "is damaged", "openssl pkey"),
        ("hunter2", "is not in PEM", "openssl pkey"),
        ("", "is not in PEM", "openssl pkey"),
    ] {
        let error = match read(pem) {
            Ok(_) => panic!("accepted: {told}"),
            Err(error) => error,
        };
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert!(error.fix().contains(fix), "{told}: {}", error.fix());
        assert_eq!(error.class(), Class::Config);
        let all = format!("{error} {} {error:?}", error.fix());
        let mut lines = pem.lines().filter(|line| !line.is_empty());
        assert!(!lines.any(|line| all.contains(line)), "{told}");
    }
}

#[test]
fn a_certificate_belongs_to_its_key_and_to_no_other() {
    let key = rsa();
    let pem = certificate(&key, day("2026-12-31"));
    let key = read(&key.serialize_pem()).unwrap();
    let found = Certificate::read(&pem, Purpose::App).unwrap();
    assert!(found.check_key(&key).is_ok());
    let other = read(&rsa().serialize_pem()).unwrap();
    let error = found.check_key(&other).unwrap_err();
    assert!(error.to_string().contains("does not belong"), "{error}");
    assert!(error.fix().contains("openssl req -x509 -key"));
    let curve = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let curve = certificate(&curve, day("2026-12-31"));
    let curve = Certificate::read(&curve, Purpose::App).unwrap();
    assert!(curve.check_key(&key).is_err());
}

#[test]
fn a_certificate_holds_in_its_time_and_is_spoken_of_in_its_last_month() {
    let pem = certificate(&rsa(), day("2026-03-01"));
    let found = Certificate::read(&pem, Purpose::App).unwrap();
    assert_eq!(found.expires.date_naive(), day("2026-03-01").date_naive());
    assert!(found.check_time(day("2026-01-01")).is_ok());
    assert_eq!(found.remark(day("2026-01-29")), None);
    let remark = found.remark(day("2026-01-31")).unwrap();
    assert!(remark.contains("expires on 2026-03-01"), "{remark}");
    assert!(remark.contains("openssl req -x509 -key"), "{remark}");
    for (now, told) in [
        ("2026-03-01", "expired on 2026-03-01"),
        ("2024-12-31", "not valid before 2025-01-01"),
    ] {
        let error = found.check_time(day(now)).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.class(), Class::Config);
    }
}

#[test]
fn of_a_chain_the_first_gives_the_key_and_the_shortest_the_end() {
    let (leaf, above) = (rsa(), rsa());
    let chain = certificate(&leaf, day("2027-01-01")) + &certificate(&above, day("2026-02-01"));
    let found = Certificate::read(&chain, Purpose::Tls).unwrap();
    assert_eq!(found.expires.date_naive(), day("2026-02-01").date_naive());
    let leaf = read(&leaf.serialize_pem()).unwrap();
    assert!(found.check_key(&leaf).is_ok());
    let remark = found.remark(day("2026-01-31")).unwrap();
    assert!(remark.contains("[salesforce.mtls]") && remark.contains("its CA"));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let key = rsa().serialize_pem();
    let whole = certificate(&rsa(), day("2027-01-01"));
    let damaged = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";
    for pem in [&key[..], &whole[..whole.len() / 2], damaged, "x", ""] {
        let error = Certificate::read(pem, Purpose::App).unwrap_err();
        assert!(error.fix().contains("openssl x509"), "{error}");
    }
}
