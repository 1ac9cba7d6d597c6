//! Which mails a run sends, and what the configuration makes of their headers.

use mail_parser::MessageParser;

use super::tests::{body, digest, mail, one, recipients};
use super::*;
use crate::alert::audience::tests::letterhead;
use crate::alert::digest::DigestFinding;
use crate::alert::digest::tests::{at, finding};

fn header(mail: &Outgoing, name: &'static str) -> Option<String> {
    let parsed = MessageParser::default().parse(&mail.bytes).expect("a mail");
    let value = parsed.header_raw(name);
    value.map(|value| value.trim().to_owned())
}

#[test]
fn what_is_critical_stands_in_a_mail_of_its_own_that_goes_first() {
    let night = || {
        let mut night = digest(vec![
            finding("f1", "k1", Severity::Critical),
            finding("f2", "k2", Severity::High),
            finding("f3", "k3", Severity::Low),
        ]);
        night.resolved = vec![finding("f4", "k4", Severity::Critical)];
        night
    };
    let mails = night().into_mails();
    let [urgent, rest] = mails.as_slice() else {
        panic!("two mails");
    };
    assert!(urgent.is_urgent() && !rest.is_urgent());
    let (first, second) = (mail(urgent), mail(rest));
    assert_ne!(first.message_id, second.message_id);
    assert!(
        first
            .subject
            .starts_with("[orgwatch CRITICAL] 1 new finding")
    );
    assert!(second.subject.starts_with("[orgwatch HIGH] 2 new findings"));
    assert_eq!(header(&first, "Importance").as_deref(), Some("high"));
    assert_eq!(header(&second, "Importance"), None);
    assert!(
        first
            .text
            .contains("2 findings of this run that are not critical")
    );
    assert!(
        second
            .text
            .contains("What is critical in this run and what belongs to it (1 finding)")
    );
    // Every mail says how the run went, and no finding is in both or in none.
    for (mail, ids) in [(&first, ["f1"].as_slice()), (&second, &["f2", "f3"])] {
        assert!(mail.text.contains("RUN HEALTH"));
        for id in ["f1", "f2", "f3"] {
            let told = mail.text.contains(&format!("finding {id}\n"));
            assert_eq!(told, ids.contains(&id), "{id} in {}", mail.subject);
        }
    }
    let alone = digest(vec![finding("f1", "k1", Severity::Critical)]);
    assert_eq!(alone.into_mails().len(), 1);
    assert_eq!(digest(vec![]).into_mails().len(), 0);
}

#[test]
fn what_is_critical_takes_along_the_news_of_its_subject_from_the_nights_next_to_it() {
    let of = |id: &str, severity, day: &str, subject: &str| DigestFinding {
        case_id: Some(format!("{day} {subject}")),
        case_subject: Some(subject.into()),
        bucket_start: Some(at(&format!("{day}T00:00:00Z"))),
        ..finding(id, id, severity)
    };
    let night = digest(vec![
        of(
            "f1",
            Severity::Critical,
            "2026-01-30",
            "int_mkt@example.com",
        ),
        of("f2", Severity::Medium, "2026-01-29", "int_mkt@example.com"),
        of("f3", Severity::High, "2026-01-30", "int_erp@example.com"),
        of("f4", Severity::High, "2026-01-20", "int_mkt@example.com"),
    ]);
    let told: Vec<Vec<String>> = (night.into_mails().iter())
        .map(|mail| mail.news.iter().map(|n| n.finding.finding_id.clone()))
        .map(Iterator::collect)
        .collect();
    assert_eq!(told, [["f1", "f2"], ["f3", "f4"]]);
}

#[test]
fn the_configuration_gives_the_answers_address_the_domain_and_the_one_link() {
    let head = Letterhead {
        reply_to: Some("Team <team@example.com>".parse().expect("mailbox")),
        domain: "alerts.example.com".into(),
        link: Some("https://wiki.example.com/orgwatch?a=1&b=2".into()),
        threading: false,
        max_shown: 1,
        ..letterhead()
    };
    let two = digest(vec![
        finding("f1", "k1", Severity::High),
        finding("f2", "k2", Severity::Low),
    ]);
    let mail = compose(&two, &recipients(), &head).expect("compose");
    let to = header(&mail, "Reply-To").expect("header");
    assert!(to.contains("team@example.com"), "{to}");
    assert!(mail.message_id.ends_with("@alerts.example.com"));
    assert_eq!(header(&mail, "In-Reply-To"), None);
    assert_eq!(header(&mail, "References"), None);
    let list = header(&mail, "List-Id").expect("header");
    assert_eq!(list, "<alerts.orgwatch.alerts.example.com>");
    assert!(mail.text.contains("+ 1 more"));
    assert!(
        mail.text
            .ends_with("https://wiki.example.com/orgwatch?a=1&b=2\n")
    );
    let html = body(&mail, true);
    let link = "<a href=\"https://wiki.example.com/orgwatch?a=1&amp;b=2\">";
    assert!(html.replace("&#x2f;", "/").contains(link), "{html}");
    assert_eq!(html.matches("href").count(), 1);
}

#[test]
fn a_sign_of_life_says_that_nothing_is_new_and_is_another_mail_each_time() {
    let quiet = |day: &str| Digest {
        is_heartbeat: true,
        at: at(day),
        ..digest(vec![])
    };
    let first = mail(&quiet("2026-01-26T03:00:00Z"));
    assert_eq!(first.subject, "[orgwatch OK] all quiet - 2026-01-30");
    assert!(
        first.text.starts_with("All quiet in Example org"),
        "{}",
        first.text
    );
    let next = mail(&quiet("2026-02-02T03:00:00Z"));
    assert_ne!(first.message_id, next.message_id);
}

#[test]
fn two_groups_of_the_same_people_get_two_mails() {
    let other = Digest {
        audience: "erp".into(),
        ..one()
    };
    assert_ne!(mail(&other).message_id, mail(&one()).message_id);
    assert_eq!(
        header(&mail(&other), "X-Orgwatch-Group").as_deref(),
        Some("erp")
    );
}

#[test]
fn a_night_of_five_thousand_findings_is_a_bounded_mail() {
    let many = (0..5000).map(|n| finding(&format!("f{n}"), &format!("k{n}"), Severity::High));
    let mail = mail(&digest(many.collect()));
    assert!(mail.bytes.len() < 400_000, "{}", mail.bytes.len());
    assert!(
        mail.text
            .contains("+ 4950 more; `orgwatch findings list` shows all")
    );
    let longest = mail.bytes.split(|b| *b == b'\n').map(<[u8]>::len).max();
    assert!(longest.is_some_and(|n| n < 998));
}
