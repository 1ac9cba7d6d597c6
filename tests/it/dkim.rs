//! Signed mails, as somebody else's program verifies them after the wire.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde_json::Value;

use crate::late::org;
use crate::logs::Org;
use crate::mail::{NIGHT, attacked, configure, email, night};
use crate::other_tools::{call, python};
use crate::program::{expect, orgwatch, stderr, stdout};
use crate::smtp_server::{Fault, Phase, Security, Server};

/// `[alert.email.dkim]` with this key.
fn signed(org: &Org, key: &KeyPair) -> String {
    let path = org.file("dkim.pem", key.serialize_pem());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    "[alert.email.dkim]\ndomain = \"example.com\"\nselector = \"orgwatch\"\nkey_file = \"dkim.pem\"\n"
        .to_owned()
}

/// What dkimpy says of a mail.
fn verified(org: &Org, mail: &[u8], record: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify_dkim.py");
    let file = org.file("mail.eml", mail);
    let said = call(Command::new(python()).arg(script).arg(file).arg(record));
    serde_json::from_str(&said).unwrap()
}

fn keys() -> [(KeyPair, String, &'static str); 2] {
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let public = STANDARD.encode(rsa.subject_public_key_info());
    let of_rsa = format!("v=DKIM1; k=rsa; p={public}");
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let public = STANDARD.encode(ed25519.der_bytes());
    let of_ed25519 = format!("v=DKIM1; k=ed25519; p={public}");
    [
        (rsa, of_rsa, "rsa-sha256"),
        (ed25519, of_ed25519, "ed25519-sha256"),
    ]
}

#[test]
fn a_signed_mail_is_verified_by_another_program_until_a_byte_of_it_changes() {
    let [(_, other, _), _] = keys();
    for (key, record, algorithm) in keys() {
        let server = Server::start(Security::Plain);
        let org = org();
        configure(&org, &(email(&org, &server, "none") + &signed(&org, &key)));
        org.file("day-14.csv", attacked());
        night(&org, 1, NIGHT);
        expect(0, orgwatch(&org.path(""), &["alert", "test"]));
        let mails = server.acknowledged();
        assert_eq!(mails.len(), 2);
        for mail in &mails {
            let said = verified(&org, &mail.bytes, &record);
            assert_eq!(said["holds"], true, "{said}");
            assert_eq!(said["unseen"], Value::Array(vec![]));
            assert_eq!(
                said["asked"],
                serde_json::json!(["orgwatch._domainkey.example.com."])
            );
            assert_eq!(said["algorithm"], algorithm);
            let headers = said["headers"].as_array().unwrap();
            for name in [
                "from",
                "to",
                "subject",
                "date",
                "message-id",
                "mime-version",
                "content-type",
            ] {
                assert!(headers.iter().any(|header| header == name), "{name}");
            }
        }
        assert_eq!(verified(&org, &mails[0].bytes, &other)["holds"], false);
    }
}

#[test]
fn a_signed_mail_that_goes_again_is_the_same_to_the_byte() {
    let [_, (key, ..)] = keys();
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &(email(&org, &server, "none") + &signed(&org, &key)));
    org.file("day-14.csv", attacked());
    server.fail(Phase::Dot, Fault::Say("451 4.3.0 later".to_owned()));
    night(&org, 4, NIGHT);
    server.heal();
    // Whoever has lost the key sends what was signed with it.
    let rest = email(&org, &server, "none");
    configure(&org, &rest);
    expect(0, orgwatch(&org.path(""), &["alert", "send"]));
    let state = server.state();
    assert_eq!(state.mails.len(), 2);
    assert_eq!(state.mails[0].bytes, state.mails[1].bytes);
    let mail = String::from_utf8(state.mails[0].bytes.clone()).unwrap();
    assert!(
        mail.to_lowercase().contains("\r\ndkim-signature: v=1;"),
        "{mail}"
    );
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_stops_the_night_before_it_begins() {
    let [_, (key, ..)] = keys();
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &(email(&org, &server, "none") + &signed(&org, &key)));
    org.file("day-14.csv", attacked());
    let secret = key.serialize_pem().lines().nth(1).unwrap().to_owned();
    for (text, mode, told) in [
        (key.serialize_pem(), 0o640, "mode 0640"),
        (format!("no key: {secret}"), 0o600, "no private key in PEM"),
    ] {
        fs::write(org.path("dkim.pem"), text).unwrap();
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(org.path("dkim.pem"), mode).unwrap();
        let output = orgwatch(&org.path(""), &["run", "--now", NIGHT, "day-14.csv"]);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.contains(told) && !said.contains(&secret), "{said}");
        assert!(!org.path("data").exists());
        let doctor = stdout(&orgwatch(&org.path(""), &["doctor"]));
        assert!(doctor.contains("FAIL  mail      signature"), "{doctor}");
        assert!(!doctor.contains(&secret));
    }
}
