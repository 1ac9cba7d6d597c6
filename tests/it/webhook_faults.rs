//! What goes wrong between the outbox and a webhook: no alert is lost, none comes under two names,
//! and nothing secret goes anywhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::hook_server::{HookServer, Reply, answer};
use crate::mail::{NIGHT, attacked, night, outbox};
use crate::program::{command, expect, orgwatch, stderr, stdout};
use crate::smtp_server::Certificate;
use crate::webhook::{PATH, SECRET, assert_no_secret_in, configure, hook, org_at, secrets, send};

#[test]
fn killed_after_the_post_left_it_posts_the_same_under_the_same_key() {
    let server = HookServer::start();
    let org = crate::late::org();
    configure(
        &org,
        &hook(&org, &server, "").replace("seconds = 2", "seconds = 60"),
    );
    org.file("day-14.csv", attacked());
    server.reply([Reply::Hang]);
    let mut run = command(&org.path(""), &["run", "--now", NIGHT, "day-14.csv"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    server.wait_for(1);
    let id = run.id();
    let argv = fs::read(format!("/proc/{id}/cmdline")).unwrap();
    assert_eq!(secrets(&argv), 0);
    run.kill().unwrap();
    run.wait().unwrap();

    let summary = night(&org, 0, "2026-01-15T04:00:00Z");
    assert!(summary.contains("sent to webhook:soc"), "{summary}");
    night(&org, 0, "2026-01-15T05:00:00Z");
    let posts = server.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].key(), posts[1].key());
    assert_eq!(posts[0].body, posts[1].body);
    assert!(posts[1].acknowledged);
}

#[test]
fn a_server_that_has_no_time_gets_the_post_with_the_next_run_and_once() {
    for reply in [
        answer("429 Too Many Requests", "retry-after: 3600\r\n", ""),
        answer("500 Internal Server Error", "", "no"),
        answer("503 Service Unavailable", "", ""),
        answer("408 Request Timeout", "", ""),
        Reply::Drop,
        Reply::Hang,
        Reply::Say("not http\r\n\r\n".to_owned()),
    ] {
        let server = HookServer::start();
        let org = org_at(&server);
        server.reply([reply.clone()]);
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 4, "{reply:?}: {said}");
        assert!(said.contains("waits in the outbox: webhook soc"), "{said}");
        assert_eq!(outbox(&org)[0]["state"], "pending");
        if said.contains(": 429") {
            assert!(said.contains("asks to wait 3600 seconds"), "{said}");
        }
        assert_eq!(send(&org, &[]).0, 0, "{reply:?}");
        assert_eq!(send(&org, &[]).0, 0, "{reply:?}");
        let posts = server.posts();
        assert_eq!(posts.len(), 2, "{reply:?}");
        assert_eq!(server.acknowledged().len(), 1, "{reply:?}");
        assert_eq!(posts[0].key(), posts[1].key());
        assert_eq!(posts[0].body, posts[1].body);
    }
}

#[test]
fn a_short_wait_is_waited_for_and_an_unfinished_answer_is_one() {
    let server = HookServer::start();
    let org = org_at(&server);
    server.reply([
        answer("429 Too Many Requests", "retry-after: 1\r\n", ""),
        Reply::Trickle,
    ]);
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(server.posts().len(), 2);
    // One before, which made the lake.
    assert_eq!(outbox(&org)[0]["attempts"], 2);
}

#[test]
fn what_is_refused_for_good_is_kept_told_and_not_tried_again() {
    for (status, body) in [
        ("400 Bad Request", "invalid_payload"),
        ("404 Not Found", "no_service"),
    ] {
        let server = HookServer::start();
        let org = org_at(&server);
        server.reply([answer(status, "", body)]);
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 4, "{said}");
        assert!(said.contains("refused for good by webhook:soc"), "{said}");
        let listed = &outbox(&org)[0];
        assert_eq!(listed["state"], "failed");
        let why = listed["why"].as_str().unwrap();
        assert!(why.contains(body) && why.contains(&status[..3]), "{why}");
        assert_eq!(send(&org, &[]).0, 0);
        assert_eq!(server.posts().len(), 1);
        assert_eq!(send(&org, &["--retry-failed", "1"]).0, 0);
        assert_eq!(server.acknowledged().len(), 1);
    }
}

#[test]
fn a_wrong_secret_or_address_says_nothing_of_the_alert_and_what_to_mend() {
    for (reply, fix) in [
        (answer("401 Unauthorized", "", "who?"), "check the secret"),
        (
            answer("403 Forbidden", "", "invalid_token"),
            "check the secret",
        ),
        (
            answer("302 Found", "location: https://localhost:1/\r\n", ""),
            "no redirect is followed",
        ),
    ] {
        let server = HookServer::start();
        let org = org_at(&server);
        server.reply([reply]);
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 4, "{said}");
        assert!(said.contains(fix), "{said}");
        assert_eq!(outbox(&org)[0]["state"], "pending");
        assert_eq!(send(&org, &[]).0, 0);
        assert_eq!(server.acknowledged().len(), 1);
    }
}

#[test]
fn a_redirect_takes_neither_the_alert_nor_the_secret_elsewhere() {
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let (server, elsewhere) = (HookServer::start(), HookServer::with_certificate(None));
        let org = org_at(&server);
        let location = format!("location: http://127.0.0.1:{}/\r\n", elsewhere.port);
        server.reply([answer(status, &location, "")]);
        assert_eq!(send(&org, &[]).0, 4);
        assert_eq!(elsewhere.connections(), 0, "{status}");
        assert_eq!(server.posts().len(), 1);
    }
}

#[test]
fn a_server_that_cannot_prove_itself_gets_nothing() {
    for (certificate, words) in [
        (Some(Certificate::Expired), "expired"),
        (Some(Certificate::OtherHost), "not valid for name"),
        (Some(Certificate::SelfSigned), "invalid peer certificate"),
        (None, "no answer within"),
    ] {
        let server = HookServer::with_certificate(certificate);
        let org = org_at(&server);
        if certificate.is_none() {
            org.file("ca.pem", HookServer::start().ca);
        }
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 4, "{certificate:?} {said}");
        assert!(said.contains(words), "{certificate:?} {said}");
        assert!(server.posts().is_empty(), "{certificate:?}");
        assert_eq!(outbox(&org)[0]["state"], "pending");
    }
    // The system's authorities do not know this one, nor does another one's CA.
    let server = HookServer::start();
    let org = org_at(&server);
    let own = hook(&org, &server, "");
    configure(&org, &own.replace("ca_file = \"ca.pem\"\n", ""));
    assert_eq!(send(&org, &[]).0, 4);
    configure(&org, &own);
    org.file("ca.pem", HookServer::start().ca);
    assert_eq!(send(&org, &[]).0, 4);
    org.file("ca.pem", "no certificate");
    let (code, said) = send(&org, &[]);
    assert_eq!(code, 2);
    assert!(said.contains("holds no certificate in PEM"), "{said}");
    assert!(server.posts().is_empty());
}

#[test]
fn no_proxy_of_the_environment_sees_an_alert() {
    let (server, proxy) = (HookServer::start(), HookServer::with_certificate(None));
    let org = org_at(&server);
    let mut send = command(&org.path(""), &["alert", "send"]);
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTP_PROXY",
    ] {
        send.env(name, format!("http://127.0.0.1:{}", proxy.port));
    }
    expect(0, send.output().unwrap());
    assert_eq!(proxy.connections(), 0);
    assert_eq!(server.acknowledged().len(), 1);
}

#[test]
fn an_answer_that_repeats_the_secret_or_acts_on_a_screen_is_not_repeated() {
    let echo = format!("you said {SECRET}");
    let path = format!("no {PATH} here");
    let screen = format!("\u{1b}]52;c;aGk=\u{7}\u{202e}<b>{}", "long ".repeat(9000));
    for body in [echo.as_str(), "canary-token-7f3a?", &path, &screen] {
        let server = HookServer::start();
        let org = org_at(&server);
        server.reply([answer("400 Bad Request", "", body)]);
        // `send` looks for the secrets itself.
        let (code, said) = send(&org, &[]);
        assert_eq!(code, 4, "{said}");
        assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said}");
        assert!(said.len() < 6000, "{}", said.len());
        assert_no_secret_in(&org.path("data"));
    }
}

#[test]
fn an_address_that_others_can_read_stops_the_night_before_it_begins() {
    let server = HookServer::start();
    let org = crate::late::org();
    configure(&org, &hook(&org, &server, ""));
    org.file("day-14.csv", attacked());
    fs::set_permissions(org.path("address"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = orgwatch(&org.path(""), &["run", "--now", NIGHT, "day-14.csv"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("mode 0644") && said.contains("chmod 600"),
        "{said}"
    );
    assert!(
        secrets(said.as_bytes()) == 0 && !org.path("data").exists(),
        "{said}"
    );
    let doctor = stdout(&orgwatch(&org.path(""), &["doctor"]));
    assert!(doctor.contains("FAIL  webhook"), "{doctor}");
}
