//! Mail over a real socket: what a night sends, to whom, and what its reader sees.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use mail_parser::MessageParser;
use serde_json::Value;

use crate::late::{calm, login, org};
use crate::logs::{Org, login_file};
use crate::program::{command, expect, orgwatch, stderr, stdout};
use crate::smtp_server::{PASSWORD, Received, Security, Server, USER};

/// An org whose config ends with these lines.
pub fn configured(rest: &str) -> Org {
    let org = org();
    configure(&org, rest);
    org
}

/// Puts other lines at the end of the config.
pub fn configure(org: &Org, rest: &str) {
    let path = org.path("orgwatch.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let own = text.split("[alert.email]").next().unwrap();
    std::fs::write(path, format!("{own}{rest}")).unwrap();
}

/// Seconds that no server of these tests needs, however busy the machine is.
pub const PATIENCE: u32 = 60;

/// `[alert.email]` that leads to a server, with its log-in and its authority.
pub fn email(org: &Org, server: &Server, tls: &str) -> String {
    let secret = org.file("secret", PASSWORD);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(secret, private).unwrap();
    org.file("ca.pem", &server.ca);
    let log_in = match tls {
        "none" => String::new(),
        _ => format!("username = \"{USER}\"\npassword_file = \"secret\"\nca_file = \"ca.pem\"\n"),
    };
    format!(
        "[alert.email]\ntransport = \"smtp\"\nhost = \"localhost\"\nport = {}\ntls = \"{tls}\"\n\
         timeout_seconds = {PATIENCE}\nfrom = \"orgwatch <orgwatch@example.com>\"\n\
         to = [\"soc@example.com\", \"Team <ops@example.com>\"]\n{log_in}",
        server.port
    )
}

/// The log of a day with one login through the page.
pub fn attacked() -> String {
    login_file(&[calm(14), vec![login(1, 14, 22, true)]].concat())
}

pub fn night(org: &Org, code: i32, now: &str) -> String {
    let run = ["run", "--now", now, "day-14.csv"];
    expect(code, orgwatch(&org.path(""), &run))
}

pub const NIGHT: &str = "2026-01-15T03:00:00Z";

/// The outbox as `alert list` shows it.
pub fn outbox(org: &Org) -> Vec<Value> {
    let list = ["alert", "list", "--format", "jsonl"];
    let lines = expect(0, orgwatch(&org.path(""), &list));
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub fn message_id(mail: &Received) -> String {
    let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
    parsed.message_id().unwrap().to_owned()
}

#[test]
fn a_night_is_mailed_once_over_tls_and_reads_back_as_it_was_written() {
    for (security, tls) in [
        (Security::Starttls, "starttls"),
        (Security::Implicit, "implicit"),
    ] {
        let server = Server::start(security);
        let org = org();
        configure(&org, &email(&org, &server, tls));
        org.file("day-14.csv", attacked());
        let summary = night(&org, 1, NIGHT);
        assert!(
            summary.contains("sent to ops@example.com, soc@example.com: 250"),
            "{summary}"
        );
        night(&org, 0, "2026-01-15T04:00:00Z");

        let mails = server.acknowledged();
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].from, "orgwatch@example.com");
        assert_eq!(mails[0].to, ["ops@example.com", "soc@example.com"]);
        assert!(mails[0].bytes.is_ascii());
        let lines = mails[0].bytes.split(|b| *b == b'\n');
        assert!(lines.map(<[u8]>::len).max().unwrap() < 998);
        let mail = MessageParser::default().parse(&mails[0].bytes).unwrap();
        assert!(mail.subject().unwrap().starts_with("[orgwatch "));
        assert_eq!(mail.date().unwrap().to_rfc3339(), NIGHT);
        let raw = |name: &'static str| mail.header_raw(name).map(str::trim);
        assert_eq!(raw("Auto-Submitted"), Some("auto-generated"));
        assert_eq!(raw("X-Auto-Response-Suppress"), Some("All"));
        assert_eq!(raw("X-Orgwatch-Group"), Some("default"));
        assert_eq!(raw("List-Id"), Some("<alerts.orgwatch.example.com>"));
        assert!(raw("Precedence").is_none());
        let (text, html) = (mail.body_text(0).unwrap(), mail.body_html(0).unwrap());
        for body in [&text, &html] {
            assert!(body.contains("user1@example.com"), "{body}");
            assert!(body.to_lowercase().contains("run health"), "{body}");
        }

        let clear = server.in_clear();
        assert!(
            !clear.contains("AUTH") && !clear.contains("MAIL"),
            "{clear}"
        );
        let state = server.state();
        assert!(
            state
                .lines
                .iter()
                .any(|l| l.encrypted && l.text.starts_with("AUTH PLAIN"))
        );
        drop(state);
        let sent = outbox(&org);
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (&sent[0]["state"], &sent[0]["attempts"]),
            (&"sent".into(), &1.into())
        );
    }
}

#[test]
fn a_mail_goes_in_the_clear_to_this_machine_where_that_is_asked_for() {
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &email(&org, &server, "none"));
    org.file("day-14.csv", attacked());
    night(&org, 1, NIGHT);
    assert_eq!(server.acknowledged().len(), 1);
    assert!(!server.in_clear().contains("AUTH"));
}

#[test]
fn names_in_logs_add_no_header_and_no_recipient_on_the_wire() {
    const EVIL: &str = "a\r\nBcc: thief@example.net\r\n\r\n.\r\nMAIL FROM:<x@example.net>\u{1b}[2J\u{202e}@example.com";
    let names = |evil: bool| -> (BTreeSet<String>, Received) {
        let server = Server::start(Security::Plain);
        let org = org();
        configure(&org, &email(&org, &server, "none"));
        org.file(
            "registry.toml",
            "[[user]]\nid = \"005000000000001\"\nrole = \"integration\"\n",
        );
        let mut rows = [calm(14), vec![login(1, 14, 22, true)]].concat();
        for (_, name) in rows
            .iter_mut()
            .flatten()
            .filter(|cell| cell.0 == "USER_NAME")
        {
            if evil {
                *name = EVIL.to_owned();
            }
        }
        org.file("day-14.csv", login_file(&rows));
        night(&org, 1, NIGHT);
        let mails = server.acknowledged();
        assert_eq!(mails.len(), 1, "{:?}", server.in_clear());
        let parsed = MessageParser::default().parse(&mails[0].bytes).unwrap();
        assert!(parsed.bcc().is_none() && parsed.cc().is_none());
        let headers = parsed.parts.iter().flat_map(|part| &part.headers);
        let names = headers.map(|header| header.name().to_owned());
        (names.collect(), mails[0].clone())
    };
    let (harmless, attacked) = (names(false), names(true));
    assert_eq!(attacked.0, harmless.0);
    assert_eq!(attacked.1.to, harmless.1.to);
    assert_eq!(attacked.1.from, "orgwatch@example.com");
    let is_plain = |b: &u8| matches!(b, b'\r' | b'\n' | b' '..=b'~');
    assert!(attacked.1.bytes.iter().all(is_plain));
}

#[test]
fn a_test_mail_says_what_it_is_and_what_the_server_answered() {
    let server = Server::start(Security::Starttls);
    let org = org();
    let groups = "[[alert.group]]\nname = \"night-shift\"\nto = [\"night@example.com\"]\n";
    configure(&org, &(email(&org, &server, "starttls") + groups));
    let test = |code, arguments: &[&str]| {
        let arguments = [&["alert", "test"], arguments].concat();
        expect(code, orgwatch(&org.path(""), &arguments))
    };
    let said = test(0, &[]);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.contains("accepted  night-shift  night@example.com: 250"),
        "{said}"
    );
    let mails = server.acknowledged();
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
        assert!(parsed.subject().unwrap().starts_with("[orgwatch TEST]"));
        assert!(parsed.body_text(0).unwrap().contains("Nothing was found"));
    }
    assert_ne!(message_id(&mails[0]), message_id(&mails[1]));

    let one = test(0, &["--group", "night-shift", "--format", "jsonl"]);
    let answer: Value = serde_json::from_str(one.trim()).unwrap();
    assert_eq!(answer["state"], "accepted");
    let wrong = orgwatch(&org.path(""), &["alert", "test", "--group", "nobody"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("night-shift"), "{}", stderr(&wrong));
    // Nothing of it is in the outbox, and no lake was made for it.
    assert!(!org.path("data/ledger.sqlite").exists());
}

#[test]
fn a_preview_shows_what_would_be_mailed_and_sends_and_changes_nothing() {
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &email(&org, &server, "none"));
    org.file("day-14.csv", attacked());
    let read = ["ingest", "day-14.csv", "--now", NIGHT];
    expect(0, orgwatch(&org.path(""), &read));
    let detect = orgwatch(&org.path(""), &["detect", "--now", NIGHT]);
    assert_eq!(detect.status.code(), Some(1), "{}", stderr(&detect));
    let preview = |arguments: &[&str]| {
        let arguments = [&["alert", "preview", "--now", NIGHT], arguments].concat();
        expect(0, orgwatch(&org.path(""), &arguments))
    };
    let shown = preview(&[]);
    assert!(
        shown.contains("To       ops@example.com, soc@example.com"),
        "{shown}"
    );
    assert!(shown.contains("user1@example.com"), "{shown}");
    assert!(server.acknowledged().is_empty() && outbox(&org).is_empty());

    // What the preview showed is what the night tells; after that there is nothing to show.
    night(&org, 0, NIGHT);
    let mail = &server.acknowledged()[0];
    let json = preview(&["--all", "--format", "jsonl"]);
    let told: Value = serde_json::from_str(json.trim()).unwrap();
    let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
    assert_eq!(told["subject"], parsed.subject().unwrap());
    assert_eq!(preview(&[]), "");
}

#[test]
fn the_machines_own_mail_program_gets_the_mail_and_not_the_password() {
    let org = configured("");
    let program = org.file(
        "sendmail",
        "#!/bin/sh\ncd \"${0%/*}\"; env > environment; echo \"$@\" > words; cat > mail\n",
    );
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&program, executable).unwrap();
    configure(
        &org,
        &format!(
            "[alert.email]\ntransport = \"sendmail\"\nsendmail = \"{program}\"\n\
             from = \"orgwatch@example.com\"\nto = [\"soc@example.com\"]\n"
        ),
    );
    org.file("day-14.csv", attacked());
    let run = command(&org.path(""), &["run", "--now", NIGHT, "day-14.csv"])
        .env("ORGWATCH_SMTP_PASSWORD", PASSWORD)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    assert!(
        stdout(&run).contains("sent to soc@example.com: queued"),
        "{}",
        stdout(&run)
    );
    let read = |name: &str| std::fs::read_to_string(org.path(name)).unwrap();
    assert_eq!(
        read("words"),
        "-i -f orgwatch@example.com -- soc@example.com\n"
    );
    assert!(!read("environment").contains(PASSWORD));
    let mail = read("mail");
    let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
    assert!(parsed.body_text(0).unwrap().contains("user1@example.com"));
}
