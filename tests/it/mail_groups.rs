//! Who is told what, and how often.

use mail_parser::MessageParser;

use crate::late::{calm, login, org};
use crate::logs::{Org, login_file};
use crate::mail::{NIGHT, attacked, configure, email, night, outbox};
use crate::program::{expect, orgwatch};
use crate::smtp_server::{Fault, Phase, Received, Security, Server};

/// Each mail's envelope recipients and subject.
fn told(server: &Server) -> Vec<(Vec<String>, String)> {
    let subject = |mail: &Received| {
        let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
        (mail.to.clone(), parsed.subject().unwrap().to_owned())
    };
    server.acknowledged().iter().map(subject).collect()
}

fn recipients(server: &Server) -> Vec<String> {
    let mut all: Vec<String> = told(server).into_iter().flat_map(|mail| mail.0).collect();
    all.sort();
    all
}

#[test]
fn each_group_gets_what_it_asked_for_and_owners_get_their_own() {
    let server = Server::start(Security::Plain);
    let org = org();
    let groups = "\
        [[alert.group]]\nname = \"misuse\"\nto = [\"misuse@example.com\"]\nfamilies = [\"misuse\"]\n\
        [[alert.group]]\nname = \"attack\"\nto = [\"attack@example.com\"]\nfamilies = [\"attack\"]\n\
        [[alert.group]]\nname = \"user-two\"\nto = [\"two@example.com\"]\nusers = [\"user2@example.com\"]\n\
        [[alert.group]]\nname = \"by-id\"\nto = [\"id@example.com\"]\nusers = [\"005000000000001\"]\n\
        [[alert.group]]\nname = \"owners\"\nowners = true\n";
    let rest = email(&org, &server, "none").replace(
        "[\"soc@example.com\", \"Team <ops@example.com>\"]",
        "[\"soc@example.com\"]\nmin_severity = \"info\"",
    );
    configure(&org, &(rest + groups));
    let user = |n: usize, owner: &str| {
        format!(
            "[[user]]\nusername = \"user{n}@example.com\"\nrole = \"integration\"\nowner = \"{owner}\"\n"
        )
    };
    org.file(
        "registry.toml",
        [
            user(1, "ERP-Team@example.com"),
            user(2, "crm@example.com"),
            user(3, "the people upstairs"),
        ]
        .concat(),
    );
    org.file("day-14.csv", attacked());
    let summary = night(&org, 1, NIGHT);
    assert_eq!(
        recipients(&server),
        [
            "erp-team@example.com",
            "id@example.com",
            "misuse@example.com",
            "soc@example.com"
        ],
        "{summary}"
    );
    assert!(summary.contains("hear nothing: the people"), "{summary}");
    let groups: Vec<String> = outbox(&org)
        .iter()
        .map(|mail| mail["group"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        groups,
        ["default", "misuse", "by-id", "owners/erp-team@example.com"]
    );
    // Told once is told, in each group.
    night(&org, 0, "2026-01-15T04:00:00Z");
    assert_eq!(told(&server).len(), 4);
}

#[test]
fn a_group_that_comes_later_is_told_what_is_open() {
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &email(&org, &server, "none"));
    org.file("day-14.csv", attacked());
    night(&org, 1, NIGHT);
    let group = "[[alert.group]]\nname = \"new\"\nto = [\"new@example.com\"]\n";
    configure(&org, &(email(&org, &server, "none") + group));
    night(&org, 0, "2026-01-15T04:00:00Z");
    let mails = told(&server);
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].0, ["new@example.com"]);
}

#[test]
fn a_quiet_week_has_one_sign_of_life() {
    let server = Server::start(Security::Plain);
    let org = org();
    // 2026-01-12, 19 and 26 are Mondays.
    let rest = email(&org, &server, "none") + "heartbeat = \"monday\"\n";
    configure(&org, &rest);
    org.file("day-14.csv", login_file(&calm(14)));
    for (now, mails) in [
        ("2026-01-15T03:00:00Z", 1),
        ("2026-01-16T03:00:00Z", 1),
        ("2026-01-18T03:00:00Z", 1),
        // The run of Monday did not take place.
        ("2026-01-20T03:00:00Z", 2),
        ("2026-01-20T04:00:00Z", 2),
        ("2026-01-26T03:00:00Z", 3),
    ] {
        // With no logs for days the rule goes blind, which is another code.
        let run = orgwatch(&org.path(""), &["run", "--now", now, "day-14.csv"]);
        assert!([0, 3].contains(&run.status.code().unwrap()));
        assert_eq!(told(&server).len(), mails, "{now}");
    }
    let mail = &server.acknowledged()[0];
    let parsed = MessageParser::default().parse(&mail.bytes).unwrap();
    assert!(
        parsed
            .subject()
            .unwrap()
            .starts_with("[orgwatch OK] all quiet")
    );
    assert!(parsed.body_text(0).unwrap().contains("RUN HEALTH"));
}

#[test]
fn a_week_with_news_needs_no_sign_of_life() {
    let server = Server::start(Security::Plain);
    let org = org();
    let rest = email(&org, &server, "none") + "heartbeat = \"monday\"\n";
    configure(&org, &rest);
    org.file("day-14.csv", attacked());
    night(&org, 1, NIGHT);
    night(&org, 0, "2026-01-16T03:00:00Z");
    assert_eq!(told(&server).len(), 1);
}

/// Runs over the log of one more day, with so many logins through the page.
fn day(org: &Org, code: i32, day: u32, attacks: u32) {
    let attacks = (0..attacks).map(|n| login(1, day, 20 + n, true)).collect();
    let name = format!("day-{day}.csv");
    org.file(&name, login_file(&[calm(day), attacks].concat()));
    let now = format!("2026-01-{}T03:00:00Z", day + 1);
    expect(
        code,
        orgwatch(&org.path(""), &["run", "--now", &now, &name]),
    );
}

#[test]
fn a_mail_that_reached_nobody_has_told_nobody() {
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &email(&org, &server, "none"));
    server.fail(Phase::Dot, Fault::Say("554 5.7.1 no".to_owned()));
    day(&org, 4, 14, 1);
    server.heal();
    // The same findings, the same mail: it is not tried for ever.
    expect(
        0,
        orgwatch(
            &org.path(""),
            &["run", "--now", "2026-01-15T04:00:00Z", "day-14.csv"],
        ),
    );
    assert_eq!(told(&server).len(), 0);
    // Once there is another mail to send, it tells them all and says what was refused.
    day(&org, 1, 15, 2);
    let mails = server.acknowledged();
    assert_eq!(mails.len(), 1);
    let parsed = MessageParser::default().parse(&mails[0].bytes).unwrap();
    assert!(
        parsed.subject().unwrap().contains("2 new findings"),
        "{:?}",
        parsed.subject()
    );
    let text = parsed.body_text(0).unwrap().replace('\n', " ");
    assert!(text.contains("1 alert refused for good"), "{text}");
}

#[test]
fn a_mail_that_waits_goes_before_the_news_of_the_next_night() {
    let server = Server::start(Security::Plain);
    let org = org();
    configure(&org, &email(&org, &server, "none"));
    server.fail(Phase::Connect, Fault::Say("421 4.3.2 later".to_owned()));
    day(&org, 4, 14, 1);
    server.heal();
    day(&org, 1, 15, 2);
    let subjects: Vec<String> = told(&server).into_iter().map(|mail| mail.1).collect();
    assert_eq!(subjects.len(), 2);
    assert!(
        subjects[0].ends_with("2026-01-14") && subjects[1].ends_with("2026-01-15"),
        "{subjects:?}"
    );
}
