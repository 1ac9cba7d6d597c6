use chrono::NaiveDate;
use mail_parser::MessageParser;

use super::*;
use crate::alert::audience::tests::letterhead;
use crate::alert::digest::tests::{at, finding, gathered};
use crate::alert::{DigestFinding, Mailed, News, RunHealth, StillActive};

const EVIL: &str = "x\r\nBcc: thief@example.net\u{1b}]52;c;aGk=\u{7}\u{202e}<img src=http://203.0.113.9/p><script>alert(1)</script>\"'&amp;";

pub(super) fn digest(news: Vec<DigestFinding>) -> Digest {
    Digest {
        org: "Example org".into(),
        run_id: 12,
        at: at("2026-01-31T03:00:00Z"),
        data_day: NaiveDate::from_ymd_opt(2026, 1, 30).expect("date"),
        news: news
            .into_iter()
            .map(|finding| News {
                finding,
                others: vec![],
            })
            .collect(),
        still_active: vec![],
        resolved: vec![],
        suppressed: 1,
        below_threshold: 2,
        health: RunHealth {
            files_read: 4,
            files_rejected: vec![("night/notes.txt".into(), "not a CSV".into())],
            rows_read: 10,
            rows_kept: 8,
            rows_duplicate: 1,
            rows_quarantined: 1,
            rules_ok: 13,
            rules_blind: vec![("guest-api-traffic".into(), "no api files for 3 days".into())],
            ..RunHealth::default()
        },
        audience: "default".into(),
        is_heartbeat: false,
        elsewhere: 0,
    }
}

pub(super) fn one() -> Digest {
    digest(vec![finding("f1", "k1", Severity::High)])
}

pub(super) fn recipients() -> Recipients {
    let to = [
        "soc@example.com".to_owned(),
        "Team <ops@example.com>".to_owned(),
    ];
    Recipients::parse("orgwatch <orgwatch@example.com>", &to).expect("addresses")
}

pub(super) fn mail(digest: &Digest) -> Outgoing {
    compose(digest, &recipients(), &letterhead()).expect("compose")
}

fn addresses(list: Option<&mail_parser::Address>) -> Vec<String> {
    list.map(|a| {
        a.iter()
            .filter_map(|x| x.address().map(str::to_owned))
            .collect()
    })
    .unwrap_or_default()
}

fn evil(mut finding: DigestFinding) -> DigestFinding {
    finding.who = Some(EVIL.into());
    finding.user_kind = Some(EVIL.into());
    finding.title = EVIL.into();
    finding.expected = EVIL.into();
    finding.observed = EVIL.into();
    finding.evidence = vec![EVIL.into()];
    finding.rule_id = EVIL.into();
    finding.dedupe_key = EVIL.into();
    finding
}

#[test]
fn a_parser_reads_back_exactly_what_was_addressed_and_said() {
    let mail = mail(&one());
    let parsed = MessageParser::default().parse(&mail.bytes).expect("a mail");
    assert_eq!(addresses(parsed.from()), ["orgwatch@example.com"]);
    assert_eq!(
        addresses(parsed.to()),
        ["ops@example.com", "soc@example.com"]
    );
    assert_eq!(parsed.subject(), Some(mail.subject.as_str()));
    assert_eq!(
        mail.subject,
        "[orgwatch HIGH] 1 new finding - erp@example.com - 2026-01-30"
    );
    assert_eq!(parsed.message_id(), Some(mail.message_id.as_str()));
    assert_eq!(
        parsed.date().map(|d| d.to_rfc3339()).as_deref(),
        Some("2026-01-31T03:00:00Z")
    );
    assert_eq!(parsed.text_body_count(), 1);
    assert_eq!(parsed.html_body_count(), 1);
    assert_eq!(parsed.attachment_count(), 0);
    let header = |name: &str| parsed.header_raw(name).map(|v| v.trim().to_owned());
    assert_eq!(header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert_eq!(header("X-Auto-Response-Suppress").as_deref(), Some("All"));
    assert_eq!(
        header("List-Id").as_deref(),
        Some("<alerts.orgwatch.example.com>")
    );
    assert_eq!(header("X-Orgwatch-Severity").as_deref(), Some("high"));
    assert_eq!(
        header("X-Orgwatch-Rule").as_deref(),
        Some("integration-ui-login")
    );
    assert!(header("Importance").is_none());
}

#[test]
fn names_from_logs_add_no_header_and_no_recipient() {
    let harmless = mail(&one());
    let attacked = mail(&digest(vec![evil(finding("f1", "k1", Severity::High))]));
    let names = |mail: &Outgoing| -> Vec<String> {
        let parsed = MessageParser::default().parse(&mail.bytes).expect("a mail");
        parsed
            .parts
            .iter()
            .flat_map(|p| p.headers.iter().map(|h| h.name().to_owned()))
            .collect()
    };
    assert_eq!(names(&attacked), names(&harmless));
    let parsed = MessageParser::default()
        .parse(&attacked.bytes)
        .expect("a mail");
    assert_eq!(
        addresses(parsed.to()),
        ["ops@example.com", "soc@example.com"]
    );
    assert!(parsed.bcc().is_none() && parsed.cc().is_none());
    assert!(attacked.subject.is_ascii() && attacked.subject.len() <= 90);
    assert!(
        attacked
            .bytes
            .iter()
            .all(|b| matches!(b, b'\r' | b'\n' | b' '..=b'~'))
    );
}

/// Elements and text of an HTML document, by the shortest honest reading of the syntax:
/// independent of the template engine.
fn elements_and_text(html: &str) -> (Vec<String>, String) {
    let (mut elements, mut text) = (Vec::new(), String::new());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        let close = rest[open..].find('>').expect("a closed tag") + open;
        elements.push(
            rest[open + 1..close]
                .split_whitespace()
                .next()
                .unwrap_or("")
                .to_owned(),
        );
        rest = &rest[close + 1..];
        text.push(' ');
    }
    text.push_str(rest);
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    (elements, text)
}

pub(super) fn body(mail: &Outgoing, html: bool) -> String {
    let parsed = MessageParser::default().parse(&mail.bytes).expect("a mail");
    let body = if html {
        parsed.body_html(0)
    } else {
        parsed.body_text(0)
    };
    body.expect("a body").into_owned()
}

#[test]
fn names_from_logs_add_no_element_and_stay_readable() {
    let (harmless, _) = elements_and_text(&body(&mail(&one()), true));
    let mut attacked = finding("f1", "k1", Severity::High);
    attacked.evidence.truncate(1);
    let mut baseline = attacked.clone();
    baseline.evidence = vec!["one".into()];
    let (expected, _) = elements_and_text(&body(&mail(&digest(vec![baseline])), true));
    let (elements, text) = elements_and_text(&body(&mail(&digest(vec![evil(attacked)])), true));
    assert_eq!(elements, expected);
    assert!(harmless.len() >= expected.len());
    assert!(
        text.contains(&crate::privacy::printable(EVIL, 400)),
        "{text}"
    );
}

fn strings(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::String(s) => out.push(s.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|v| strings(v, out)),
        serde_json::Value::Object(map) => map
            .iter()
            .filter(|(k, _)| *k != "colour")
            .for_each(|(_, v)| strings(v, out)),
        _ => {}
    }
}

#[test]
fn text_and_html_tell_the_same_facts() {
    let mut digest = digest(vec![
        finding("f1", "k1", Severity::High),
        evil(finding("f2", "k2", Severity::Critical)),
    ]);
    digest.news[0].finding.raised = Some((Severity::Medium, "another rule tells of it".into()));
    digest.news[0].finding.case_id = Some("0123456789abcdef".into());
    digest.news[1].finding.gathered = vec![gathered("g1", EVIL, Severity::High)];
    digest.resolved.push(finding("f3", "k3", Severity::Low));
    digest.still_active.push(StillActive {
        news: News {
            finding: finding("f4", "k4", Severity::Medium),
            others: vec![],
        },
        mailed: Mailed {
            at: at("2026-01-29T03:00:00Z"),
            severity: Severity::Medium,
            count: 3,
            nights: 4,
        },
    });
    let mail = mail(&digest);
    let normal = |s: &str| s.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = normal(&body(&mail, false));
    let html = normal(&elements_and_text(&body(&mail, true)).1);
    let mut facts = Vec::new();
    strings(
        &serde_json::to_value(View::new(&digest, &letterhead())).expect("json"),
        &mut facts,
    );
    assert!(facts.len() > 30);
    for fact in facts {
        assert!(text.contains(&normal(&fact)), "text lacks {fact}");
        assert!(html.contains(&normal(&fact)), "html lacks {fact}");
    }
}

#[test]
fn the_text_part_keeps_within_76_columns_but_for_commands() {
    let text = body(&mail(&one()), false);
    let long: Vec<_> = text
        .lines()
        .filter(|l| l.len() > 76 && !l.contains("orgwatch sql"))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_same_night_is_the_same_mail_byte_for_byte() {
    assert_eq!(mail(&one()).bytes, mail(&one()).bytes);
    let mut later = one();
    later.at = at("2026-01-31T04:00:00Z");
    later.run_id = 13;
    assert_eq!(mail(&later).message_id, mail(&one()).message_id);
    let mut grown = one();
    grown.news[0].finding.count = 4;
    assert_ne!(mail(&grown).message_id, mail(&one()).message_id);
    let fewer = Recipients::parse("orgwatch@example.com", &["soc@example.com".into()]).expect("ok");
    assert_ne!(
        compose(&one(), &fewer, &letterhead())
            .expect("compose")
            .message_id,
        mail(&one()).message_id
    );
}

#[test]
fn at_most_fifty_findings_are_shown_and_the_rest_is_counted() {
    let many = (0..60)
        .map(|n| finding(&format!("f{n}"), &format!("k{n}"), Severity::High))
        .collect();
    let mail = mail(&digest(many));
    assert!(
        mail.subject
            .starts_with("[orgwatch HIGH] 60 new findings - erp@example.com")
    );
    let text = body(&mail, false);
    assert!(text.contains("+ 10 more"));
    assert!(text.contains("50. HIGH") && !text.contains("51. HIGH"));
}

/// The breach of an app with 700 users, and a finding of another case.
fn breach() -> Digest {
    let mut burst = finding("burst", "k1", Severity::Critical);
    burst.rule_id = "app-token-burst-new-ip".into();
    burst.title = "Many users' tokens of one app are used from one new network".into();
    burst.who = None;
    burst.user_kind = None;
    burst.case_id = Some("0123456789abcdef".into());
    burst.case_subject = Some("MktCloud Connector".into());
    burst.gathered = (0..700)
        .map(|n| {
            gathered(
                &format!("g{n}"),
                &format!("u{n:03}@example.com"),
                Severity::High,
            )
        })
        .collect();
    burst.gathered[699].severity = Severity::Critical;
    digest(vec![burst, finding("f2", "k2", Severity::High)])
}

#[test]
fn a_breach_of_seven_hundred_users_is_one_alert_with_a_number() {
    let mail = mail(&breach());
    assert_eq!(
        mail.subject,
        "[orgwatch CRITICAL] 2 new findings - MktCloud Connector + 1 more - 2026-01-30"
    );
    for html in [false, true] {
        let body = body(&mail, html);
        let text = if html {
            elements_and_text(&body).1
        } else {
            body
        };
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "CRITICAL: 2 new findings in Example org, and 700 findings of single users gathered under them",
            "MktCloud Connector, 2026-01-30, case 0123456789ab",
            // The gravest is named, however many there are.
            "700 findings of 700 users: u699@example.com, u000@example.com, u001@example.com, ",
            "u018@example.com, + 680 more (session-hijack-suspected 700; critical 1, high 699)",
        ] {
            assert!(text.contains(words), "no {words:?} in {text}");
        }
        assert!(
            !text.contains("u020@example.com") && !text.contains("3. "),
            "{text}"
        );
        assert!(text.len() < 4000, "{}", text.len());
    }
}

#[test]
fn one_more_gathered_finding_is_another_mail() {
    let mut one_less = breach();
    one_less.news[0].finding.gathered.pop();
    assert_ne!(mail(&one_less).message_id, mail(&breach()).message_id);
}

#[test]
fn findings_of_one_case_are_told_under_its_heading_and_say_why_they_were_raised() {
    let mut digest = digest(vec![
        finding("f1", "k1", Severity::Critical),
        finding("f2", "k2", Severity::Critical),
        finding("f3", "k3", Severity::High),
    ]);
    for news in &mut digest.news[..2] {
        news.finding.case_id = Some("0123456789abcdef".into());
        news.finding.raised = Some((Severity::High, "another rule tells of it".into()));
    }
    let mail = mail(&digest);
    let text = body(&mail, false).replace("\r\n", "\n");
    assert!(
        text.starts_with("CRITICAL: 3 new findings in Example org, 2 cases\n"),
        "{text}"
    );
    let overview = "\nFINDINGS\n\
        erp@example.com (integration), 2026-01-30, case 0123456789ab\n\
        1. CRITICAL Integration user logged in through the UI\n   3 events - ";
    assert!(text.contains(overview), "{text}");
    assert!(text.contains("Z\n2. CRITICAL "), "{text}");
    assert!(
        text.contains("Z\n\nerp@example.com (integration), 2026-01-30\n3. HIGH "),
        "{text}"
    );
    assert!(
        text.contains("\nRaised    from HIGH: another rule tells of it\n"),
        "{text}"
    );
    let html = body(&mail, true);
    assert_eq!(html.matches("colspan").count(), 2);
}

#[test]
fn a_slight_finding_in_a_grave_case_takes_the_place_of_no_grave_one() {
    let mut all: Vec<_> = (0..51)
        .map(|n| finding(&format!("f{n}"), &format!("k{n}"), Severity::High))
        .collect();
    for (n, severity) in [(0, Severity::Critical), (1, Severity::Low)] {
        all[n].severity = severity;
        all[n].case_id = Some("0123456789abcdef".into());
    }
    let text = body(&mail(&digest(all)), false);
    assert!(text.contains("50. HIGH") && !text.contains("LOW"), "{text}");
    assert!(text.contains("+ 1 more"), "{text}");
}

#[test]
fn a_critical_finding_marks_the_mail_as_important() {
    let mail = mail(&digest(vec![finding("f1", "k1", Severity::Critical)]));
    let parsed = MessageParser::default().parse(&mail.bytes).expect("a mail");
    assert_eq!(parsed.header_raw("Importance").map(str::trim), Some("high"));
    assert_eq!(parsed.header_raw("X-Priority").map(str::trim), Some("1"));
}

#[test]
fn a_night_that_only_resolves_says_so() {
    let mut digest = digest(vec![]);
    assert!(!digest.is_worth_a_mail());
    digest.resolved.push(finding("f3", "k3", Severity::Low));
    assert!(digest.is_worth_a_mail());
    assert_eq!(
        mail(&digest).subject,
        "[orgwatch OK] 1 finding resolved - 2026-01-30"
    );
}

#[test]
fn a_bad_address_is_refused_by_its_key() {
    let error =
        Recipients::parse("orgwatch@example.com", &["a\r\nBcc: b@example.com".into()]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`to` of [alert.email] is not a mail address")
    );
    assert!(matches!(
        Recipients::parse("o@example.com", &[]),
        Err(AlertError::NoRecipient)
    ));
}
