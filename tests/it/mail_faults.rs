//! What goes wrong between the outbox and the inbox: no mail is lost, none comes twice under two
//! names, and nothing secret crosses the wire unprotected.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use crate::logs::Org;
use crate::mail::{NIGHT, PATIENCE, attacked, configure, email, message_id, night, outbox};
use crate::program::{command, expect, orgwatch, stderr, stdout};
use crate::shared_folder::SharedFolder;
use crate::smtp_server::{Certificate, Fault, PASSWORD, Phase, Security, Server};

/// A lake in whose outbox one mail waits, for tests to copy.
fn waiting() -> &'static Path {
    static LAKE: OnceLock<SharedFolder> = OnceLock::new();
    let folder = LAKE.get_or_init(|| {
        let shared = SharedFolder::empty("waiting-mail");
        let org = crate::late::org();
        let nobody = Server::start(Security::Plain);
        let mut rest = email(&org, &nobody, "none");
        rest = rest.replace(&format!("port = {}", nobody.port), "port = 1");
        configure(&org, &rest);
        org.file("day-14.csv", attacked());
        let summary = night(&org, 4, NIGHT);
        assert!(
            summary.contains("waits in the outbox: localhost:1 at the greeting"),
            "{summary}"
        );
        copy(&org.path("data"), &shared.path);
        shared
    });
    &folder.path
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// An org with the waiting mail that sends to this server.
fn org_at(server: &Server, tls: &str) -> Org {
    let org = crate::late::org();
    copy(waiting(), &org.path("data"));
    configure(&org, &email(&org, server, tls));
    org
}

/// How long the org waits for an answer, in seconds.
fn wait_at_most(org: &Org, seconds: u32) {
    let path = org.path("orgwatch.toml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("timeout_seconds = ").unwrap();
    let (_, after) = after.split_once('\n').unwrap();
    fs::write(
        path,
        format!("{before}timeout_seconds = {seconds}\n{after}"),
    )
    .unwrap();
}

fn send(org: &Org, arguments: &[&str]) -> (i32, String) {
    let arguments = [&["alert", "send"], arguments].concat();
    let output = orgwatch(&org.path(""), &arguments);
    let said = stdout(&output) + &stderr(&output);
    assert!(!said.contains(PASSWORD), "{said}");
    (output.status.code().unwrap(), said)
}

/// The mail as it was written, from the file that transport `file` makes of it.
fn as_written() -> Vec<u8> {
    let org = crate::late::org();
    copy(waiting(), &org.path("data"));
    configure(
        &org,
        "[alert.email]\nfrom = \"orgwatch@example.com\"\nto = [\"soc@example.com\"]\n",
    );
    send(&org, &[]);
    let mails = crate::sample::mails(&org.path("data"));
    fs::read(&mails[0]).unwrap()
}

const STEPS: [Phase; 9] = [
    Phase::Connect,
    Phase::Ehlo,
    Phase::StartTls,
    Phase::SecureEhlo,
    Phase::Auth,
    Phase::Mail,
    Phase::Rcpt,
    Phase::Data,
    Phase::Dot,
];

/// One trouble, then none: the mail waits with exit code 4, and goes once with the same bytes.
fn survives(phase: Phase, fault: &Fault, original: &[u8]) {
    let server = Server::start(Security::Starttls);
    let org = org_at(&server, "starttls");
    server.fail(phase, fault.clone());
    if matches!(fault, Fault::Hang) {
        wait_at_most(&org, 2);
    }
    let (code, said) = send(&org, &[]);
    let told = format!("{phase:?} {fault:?}: {said}");
    assert_eq!(code, 4, "{told}");
    assert!(said.contains("waits in the outbox"), "{told}");
    assert!(server.acknowledged().is_empty(), "{told}");

    server.heal();
    wait_at_most(&org, PATIENCE);
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 0, "{told}\n{said}");
    let mails = server.acknowledged();
    assert_eq!(mails.len(), 1, "{told}");
    assert_eq!(mails[0].bytes, original, "{told}");
    // What may have arrived before is the same mail.
    for mail in &server.state().mails {
        assert_eq!(mail.bytes, original, "{told}");
    }
    let clear = server.in_clear();
    assert!(
        !clear.contains("AUTH") && !clear.contains("MAIL"),
        "{told}: {clear}"
    );
}

#[test]
fn a_server_that_is_busy_at_any_step_gets_the_mail_later_and_once() {
    let original = as_written();
    for phase in STEPS {
        for words in ["421 4.3.2 closing", "451 4.3.0 try again"] {
            survives(phase, &Fault::Say(words.to_owned()), &original);
        }
    }
}

#[test]
fn a_connection_that_breaks_at_any_step_loses_and_doubles_no_mail() {
    let original = as_written();
    for phase in STEPS {
        survives(phase, &Fault::Drop, &original);
    }
}

#[test]
fn a_server_that_falls_silent_at_any_step_is_given_up_in_time() {
    let original = as_written();
    for phase in STEPS {
        survives(phase, &Fault::Hang, &original);
    }
}

#[test]
fn a_slow_server_is_waited_for() {
    let server = Server::start(Security::Starttls);
    let org = org_at(&server, "starttls");
    for phase in STEPS {
        server.fail(phase, Fault::Delay(Duration::from_millis(150)));
    }
    assert_eq!(send(&org, &[]).0, 0);
    assert_eq!(server.acknowledged().len(), 1);
}

#[test]
fn a_server_that_refuses_itself_or_the_log_in_says_nothing_of_the_mail() {
    let original = as_written();
    for (phase, words) in [
        (Phase::Connect, "554 5.3.2 no service here"),
        (Phase::Ehlo, "550 5.7.1 not you"),
        (Phase::StartTls, "501 5.5.1 no"),
        (Phase::Auth, "535 5.7.8 authentication failed"),
        (Phase::Auth, "534 5.7.9 application password needed"),
        (Phase::Mail, "530 5.7.0 log in first"),
        (Phase::Data, "250 out of place"),
        (Phase::Dot, "354 out of place"),
    ] {
        survives(phase, &Fault::Say(words.to_owned()), &original);
    }
}

#[test]
fn a_refused_log_in_says_what_to_mend_and_repeats_no_password() {
    let server = Server::start(Security::Starttls);
    let org = org_at(&server, "starttls");
    server.fail(Phase::Auth, Fault::Say(format!("535 5.7.8 not {PASSWORD}")));
    let output = orgwatch(&org.path(""), &["alert", "send", "-vvv"]);
    let said = stdout(&output) + &stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("check `username` and the password"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    let ledger = fs::read(org.path("data/ledger.sqlite")).unwrap();
    let log = fs::read(org.path("data/ledger.sqlite-wal")).unwrap_or_default();
    for bytes in [ledger, log] {
        assert!(
            !bytes
                .windows(PASSWORD.len())
                .any(|part| part == PASSWORD.as_bytes())
        );
    }
}

#[test]
fn a_mail_refused_for_good_is_kept_told_and_not_tried_again() {
    for phase in [Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot] {
        let server = Server::start(Security::Starttls);
        let org = org_at(&server, "starttls");
        server.fail(
            phase,
            Fault::Say("550 5.7.1 we do not want this".to_owned()),
        );
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 4, "{phase:?} {said}");
        assert!(said.contains("refused for good"), "{phase:?} {said}");
        let listed = outbox(&org);
        assert_eq!(listed[0]["state"], "failed", "{phase:?}");
        let why = listed[0]["why"].as_str().unwrap();
        assert!(why.contains("550 5.7.1 we do not want this"), "{why}");

        server.heal();
        let lines = server.state().lines.len();
        assert_eq!(send(&org, &[]).0, 0);
        assert_eq!(server.state().lines.len(), lines, "{phase:?}: tried again");
        assert_eq!(send(&org, &["--retry-failed", "1"]).0, 0);
        assert_eq!(server.acknowledged().len(), 1, "{phase:?}");
        assert_eq!(outbox(&org)[0]["state"], "sent");
        assert_eq!(send(&org, &["--retry-failed", "1"]).0, 2);
        assert_eq!(send(&org, &["--retry-failed", "9"]).0, 2);
    }
}

#[test]
fn one_recipient_that_is_refused_or_put_off_keeps_the_mail_from_nobody_else() {
    let server = Server::start(Security::Starttls);
    let org = org_at(&server, "starttls");
    let answer = |to: &str, words: &str| {
        let mut state = server.state();
        state.recipients.insert(to.to_owned(), words.to_owned());
    };
    answer("ops@example.com", "450 4.2.0 greylisted");
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("sent to soc@example.com"), "{said}");
    assert!(said.contains("ops@example.com: 450"), "{said}");
    assert_eq!(outbox(&org)[0]["state"], "pending");
    answer("ops@example.com", "550 5.1.1 nobody here");
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 4, "{said}");
    assert_eq!(outbox(&org)[0]["state"], "failed");
    let mails = server.acknowledged();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["soc@example.com"]);
    let sql = "SELECT recipient, state FROM alert_recipients ORDER BY 1";
    let kept = expect(0, orgwatch(&org.path(""), &["sql", "--format", "csv", sql]));
    assert_eq!(
        kept,
        "recipient,state\r\nops@example.com,failed\r\nsoc@example.com,sent\r\n"
    );
}

#[test]
fn a_server_that_cannot_prove_itself_gets_neither_password_nor_mail() {
    for (security, tls, certificate, words) in [
        (
            Security::Starttls,
            "starttls",
            Certificate::Expired,
            "expired",
        ),
        (
            Security::Starttls,
            "starttls",
            Certificate::OtherHost,
            "not valid for name",
        ),
        (
            Security::Starttls,
            "starttls",
            Certificate::SelfSigned,
            "invalid peer certificate",
        ),
        (
            Security::Implicit,
            "implicit",
            Certificate::Expired,
            "expired",
        ),
        (
            Security::Stripped,
            "starttls",
            Certificate::Good,
            "does not offer STARTTLS",
        ),
        (
            Security::Injected,
            "starttls",
            Certificate::Good,
            "nothing had asked for",
        ),
        (
            Security::Tls11,
            "starttls",
            Certificate::Good,
            "at STARTTLS",
        ),
        (
            Security::Plain,
            "implicit",
            Certificate::Good,
            "at the greeting",
        ),
    ] {
        let server = Server::with_certificate(security, certificate);
        let org = org_at(&server, tls);
        let (code, said) = send(&org, &[]);
        let told = format!("{security:?} {certificate:?}: {said}");
        assert_eq!(code, 4, "{told}");
        assert!(said.contains(words), "{told}");
        assert!(said.contains("waits in the outbox"), "{told}");
        let state = server.state();
        let all: String = state.lines.iter().map(|line| line.text.clone()).collect();
        for secret in ["AUTH", "MAIL FROM", "RCPT", PASSWORD] {
            assert!(!all.contains(secret), "{told}\n{all}");
        }
        drop(state);
        assert_eq!(outbox(&org)[0]["state"], "pending", "{told}");
    }
}

#[test]
fn an_authority_that_is_not_named_is_not_trusted() {
    let server = Server::start(Security::Starttls);
    let org = org_at(&server, "starttls");
    org.file("ca.pem", Server::start(Security::Starttls).ca);
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("invalid peer certificate") && said.contains("ca_file"),
        "{said}"
    );
    for (text, words) in [
        ("no certificate", "holds no certificate in PEM"),
        ("", "holds no"),
    ] {
        org.file("ca.pem", text);
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn killed_after_the_mail_left_it_sends_the_same_mail_under_the_same_name() {
    let server = Server::start(Security::Starttls);
    let org = crate::late::org();
    let rest = email(&org, &server, "starttls").replace("seconds = 5", "seconds = 60");
    configure(&org, &rest);
    org.file("day-14.csv", attacked());
    server.fail(Phase::Dot, Fault::Hang);
    let mut run = command(&org.path(""), &["run", "--now", NIGHT, "day-14.csv"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.wait_for(1);
    run.kill().unwrap();
    run.wait().unwrap();

    server.heal();
    let summary = night(&org, 0, "2026-01-15T04:00:00Z");
    assert!(summary.contains("sent to"), "{summary}");
    night(&org, 0, "2026-01-15T05:00:00Z");
    let state = server.state();
    let ids: Vec<String> = state.mails.iter().map(message_id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(state.mails[0].bytes, state.mails[1].bytes);
    assert!(state.mails[1].acknowledged);
}

#[test]
fn a_password_file_that_others_can_read_stops_the_night_before_it_begins() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(Security::Starttls);
    let org = crate::late::org();
    configure(&org, &email(&org, &server, "starttls"));
    org.file("day-14.csv", attacked());
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(org.path("secret"), open).unwrap();
    let output = orgwatch(&org.path(""), &["run", "--now", NIGHT, "day-14.csv"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("mode 0644") && said.contains("chmod 600"),
        "{said}"
    );
    assert!(
        !said.contains(PASSWORD) && !org.path("data").exists(),
        "{said}"
    );
    let doctor = stdout(&orgwatch(&org.path(""), &["doctor"]));
    assert!(doctor.contains("FAIL  mail"), "{doctor}");
    assert!(!doctor.contains(PASSWORD));
}
