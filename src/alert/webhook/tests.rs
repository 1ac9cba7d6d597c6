//! What a log's author wrote is text in a post and nothing else, by the word of other parsers.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use chrono::NaiveDate;
use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use proptest::prelude::*;

use super::*;
use crate::alert::audience::tests::letterhead;
use crate::alert::channel::Channel;
use crate::alert::digest::tests::{at, finding, gathered};
use crate::alert::{DigestFinding, Mailed, News, RunHealth, StillActive};
use crate::config::Severity;
use crate::privacy::printable;

fn digest(findings: Vec<DigestFinding>) -> Digest {
    Digest {
        org: "Example org".into(),
        run_id: 12,
        at: at("2026-01-31T03:00:00Z"),
        data_day: NaiveDate::from_ymd_opt(2026, 1, 30).expect("date"),
        news: findings.into_iter().map(news).collect(),
        still_active: vec![],
        resolved: vec![],
        suppressed: 1,
        below_threshold: 2,
        health: RunHealth {
            files_read: 4,
            rules_ok: 13,
            ..RunHealth::default()
        },
        audience: "soc-chat".into(),
        is_heartbeat: false,
        elsewhere: 0,
    }
}

fn news(finding: DigestFinding) -> News {
    News {
        finding,
        others: vec![],
    }
}

/// A digest in which every text that may come from a log is this one.
fn written(text: &str) -> Digest {
    let text = || text.to_owned();
    let evil = |id: &str| DigestFinding {
        rule_id: text(),
        title: text(),
        who: Some(text()),
        user_kind: Some(text()),
        expected: text(),
        observed: text(),
        evidence: vec![text(), text()],
        attack: vec![text()],
        case_id: Some(text()),
        case_subject: Some(text()),
        raised: Some((Severity::Low, text())),
        ..finding(id, "k", Severity::High)
    };
    let mut digest = digest(vec![evil("f1"), evil("f2")]);
    let mailed = Mailed {
        at: digest.at,
        severity: Severity::High,
        count: 3,
        nights: 2,
    };
    digest.still_active.push(StillActive {
        news: news(evil("f3")),
        mailed,
    });
    digest.resolved.push(evil("f4"));
    digest.health.files_rejected.push((text(), text()));
    digest.health.remarks.push(text());
    digest
}

fn post(digest: &Digest, format: WebhookFormat) -> Outgoing {
    let channel = Channel::Webhook {
        name: "soc-chat".into(),
        format,
    };
    channel.compose(digest, &letterhead()).expect("compose")
}

fn list(fields: &[(&str, DataType)]) -> DataType {
    let item = Field::new("item", DataType::Struct(columns(fields)), true);
    DataType::List(Arc::new(item))
}

fn columns(fields: &[(&str, DataType)]) -> Fields {
    let column = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
    fields.iter().map(column).collect()
}

/// The object as a JSON parser of another family reads it.
fn parsed(bytes: &[u8], fields: &[(&str, DataType)]) -> RecordBatch {
    let schema = Arc::new(Schema::new(columns(fields)));
    let mut reader = ReaderBuilder::new(schema).build(bytes).expect("reader");
    let batch = reader.next().expect("one object").expect("JSON");
    assert!(batch.num_rows() == 1 && reader.next().is_none());
    batch
}

fn texts(batch: &RecordBatch, of: &str, name: &str) -> Vec<String> {
    let entries = batch.column_by_name(of).unwrap().as_list::<i32>().value(0);
    let column = entries.as_struct().column_by_name(name).unwrap().clone();
    let column = column.as_string::<i32>();
    (0..column.len())
        .map(|n| column.value(n).to_owned())
        .collect()
}

fn shown(text: &str) -> String {
    printable(text, 400)
}

/// Texts of Slack's blocks with their types, and that of the whole.
fn blocks(bytes: &[u8]) -> (String, Vec<(String, String)>) {
    let text = [("type", DataType::Utf8), ("text", DataType::Utf8)];
    let block = [
        ("type", DataType::Utf8),
        ("text", DataType::Struct(columns(&text))),
    ];
    let batch = parsed(bytes, &[("text", DataType::Utf8), ("blocks", list(&block))]);
    let whole = batch.column_by_name("text").unwrap().as_string::<i32>();
    let blocks = batch.column_by_name("blocks").unwrap();
    let blocks = blocks.as_list::<i32>().value(0);
    let inner = blocks.as_struct().column_by_name("text").unwrap().clone();
    let column = |name: &str| inner.as_struct().column_by_name(name).unwrap().clone();
    let (kinds, texts) = (column("type"), column("text"));
    let (kinds, texts) = (kinds.as_string::<i32>(), texts.as_string::<i32>());
    let pairs = (0..texts.len()).map(|n| (kinds.value(n).to_owned(), texts.value(n).to_owned()));
    (whole.value(0).to_owned(), pairs.collect())
}

/// What a reader of entities and tags sees, and how many tags it saw.
fn unescaped(text: &str) -> (String, usize) {
    fn walk(node: &Handle, out: &mut String, tags: &mut usize) {
        match &node.data {
            NodeData::Text { contents } => out.push_str(&contents.borrow()),
            NodeData::Element { name, .. } => {
                *tags += usize::from(!["html", "head", "body"].contains(&&*name.local));
            }
            NodeData::Comment { .. } | NodeData::ProcessingInstruction { .. } => *tags += 1,
            _ => {}
        }
        for child in node.children.borrow().iter() {
            walk(child, out, tags);
        }
    }
    let page = format!("<!doctype html><body>.{text}");
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page);
    let (mut out, mut tags) = (String::new(), 0);
    walk(&dom.document, &mut out, &mut tags);
    (out.trim_start_matches('.').to_owned(), tags)
}

const EVIL: &str = "x\"},{\"a\r\n\u{1b}]52;c;aGk=\u{7}\u{202e}<!channel> <@U123> <https://203.0.113.9/|Sign in> &lt;b&gt; *b* `c` =cmd() {{ x }} @here :boom: https://203.0.113.9";

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(EVIL.to_owned()),
        any::<String>(),
        "[<>&;#a-z0-9!@|*_`~\\\\\"/{}]{0,40}",
        "[&<>]{380,420}",
        Just("\u{0}\u{2028}\u{feff}\u{e0041}".to_owned()),
        Just("long ".repeat(300)),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_in_logs_are_text_of_a_json_post_and_nothing_else(name in hostile()) {
        let post = post(&written(&name), WebhookFormat::Json);
        let brief = [
            ("title", DataType::Utf8),
            ("who", DataType::Utf8),
            ("observed", DataType::Utf8),
            ("severity", DataType::Utf8),
        ];
        let batch = parsed(
            &post.bytes,
            &[("findings", list(&brief)), ("resolved", list(&brief)), ("still_active", list(&brief))],
        );
        for (of, entries) in [("findings", 2), ("resolved", 1), ("still_active", 1)] {
            for field in ["title", "who"] {
                prop_assert_eq!(texts(&batch, of, field), vec![shown(&name); entries]);
            }
            prop_assert_eq!(texts(&batch, of, "severity"), vec!["high"; entries]);
        }
        prop_assert_eq!(texts(&batch, "findings", "observed"), vec![shown(&name); 2]);
        let text = std::str::from_utf8(&post.bytes).unwrap();
        prop_assert!(!text.chars().any(crate::privacy::is_unsafe_to_show));
    }

    #[test]
    fn names_in_logs_are_text_of_slacks_blocks_and_neither_link_nor_mention(name in hostile()) {
        let digest = written(&name);
        let post = post(&digest, WebhookFormat::Slack);
        let (whole, blocks) = blocks(&post.bytes);
        prop_assert_eq!(whole, "HIGH: 2 new findings in Example org, 1 case");
        for (kind, text) in &blocks {
            prop_assert_eq!(kind, "plain_text");
            prop_assert!(text.encode_utf16().count() <= MAX_TEXT);
            prop_assert!(!text.contains(['<', '>']));
            let (seen, tags) = unescaped(text);
            prop_assert_eq!(tags, 0);
            let is_unsafe = |c: char| c != '\n' && crate::privacy::is_unsafe_to_show(c);
            prop_assert!(!seen.chars().any(is_unsafe), "{}", seen);
        }
        // What was written is what is read, unless it was too long for a block.
        let (seen, _) = unescaped(&blocks[2].1);
        let title = format!("1. HIGH {}", shown(&name));
        let who = format!("Who: {} ({})", shown(&name), shown(&name));
        for line in [title, who] {
            prop_assert!(seen.contains(&line) || seen.ends_with('…'), "{}: {}", line, seen);
        }
    }
}

/// Slack's bound of one text.
const MAX_TEXT: usize = 3000;

#[test]
fn a_night_of_thousands_is_a_bounded_post_that_counts_the_rest() {
    let long = "wide 日本 & <text> ".repeat(40);
    let one = |n: usize| DigestFinding {
        observed: long.clone(),
        expected: long.clone(),
        response: long.clone(),
        evidence: vec![long.clone(); 30],
        ..finding(&format!("f{n:04}"), &format!("k{n}"), Severity::High)
    };
    let mut digest = digest((0..5000).map(one).collect());
    digest.resolved = (0..5000).map(one).collect();
    let mut head = letterhead();
    head.max_shown = 500;

    let slack = slack::body(&digest, &head);
    let (_, blocks) = blocks(slack.to_string().as_bytes());
    assert!(blocks.len() <= 50 && blocks.len() > 5, "{}", blocks.len());
    let all: usize = blocks
        .iter()
        .map(|(_, text)| text.encode_utf16().count())
        .sum();
    assert!(all <= 20_000, "{all}");
    let shown = blocks
        .iter()
        .filter(|(_, text)| text.contains(". HIGH "))
        .count();
    let more = format!("+ {} more findings", 5000 - shown);
    assert!(
        blocks.iter().any(|(_, text)| text.contains(&more)),
        "{more}"
    );

    let json = json::body(&digest, "id", "subject", &head);
    assert!(
        json.to_string().len() < 400 << 10,
        "{}",
        json.to_string().len()
    );
    let listed = json["findings"].as_array().unwrap().len();
    assert!(listed > 10);
    assert_eq!(json["findings_omitted"], 5000 - listed);
    assert_eq!(json["counts"]["new"], 5000);
    assert_eq!(json["resolved"].as_array().unwrap().len(), 50);
}

#[test]
fn short_findings_fill_no_more_blocks_than_slack_takes() {
    let small = |n: usize| DigestFinding {
        title: "t".into(),
        expected: "e".into(),
        observed: "o".into(),
        response: String::new(),
        rows_command: "c".into(),
        attack: vec![],
        ..finding(&format!("f{n}"), &format!("k{n}"), Severity::High)
    };
    let mut digest = digest((0..200).map(small).collect());
    digest.resolved = vec![small(900)];
    digest.elsewhere = 3;
    let mut head = letterhead();
    head.link = Some("https://wiki.example.com/orgwatch?a=1&b=2".into());
    let body = slack::body(&digest, &head);
    let (_, blocks) = blocks(body.to_string().as_bytes());
    assert!(blocks.len() > 40 && blocks.len() <= 50, "{}", blocks.len());
    // The one link is that of the configuration.
    let link = (
        "mrkdwn".to_owned(),
        "<https://wiki.example.com/orgwatch?a=1&amp;b=2>".to_owned(),
    );
    assert_eq!(
        blocks
            .iter()
            .filter(|(kind, _)| kind == "mrkdwn")
            .collect::<Vec<_>>(),
        [&link]
    );
}

#[test]
fn the_key_of_a_post_names_what_is_told_and_not_when() {
    let night = || digest(vec![finding("f1", "k1", Severity::High)]);
    let first = post(&night(), WebhookFormat::Json);
    assert_eq!(first.recipients, ["webhook:soc-chat"]);
    assert!(first.message_id.starts_with("orgwatch.2026-01-30."));
    let later = Digest {
        at: at("2026-01-31T04:00:00Z"),
        run_id: 13,
        ..night()
    };
    assert_eq!(
        post(&later, WebhookFormat::Json).message_id,
        first.message_id
    );
    let mut graver = night();
    graver.news[0].finding.severity = Severity::Critical;
    assert_ne!(
        post(&graver, WebhookFormat::Json).message_id,
        first.message_id
    );
    assert_eq!(post(&night(), WebhookFormat::Json).bytes, first.bytes);
}

#[test]
fn a_post_tells_machines_what_a_mail_tells_people() {
    let mut burst = finding("f1", "k1", Severity::Medium);
    burst.gathered = vec![gathered("g", "ann@example.com", Severity::Critical)];
    burst.raised = Some((Severity::Low, "another rule tells of it".into()));
    let post = post(&digest(vec![burst]), WebhookFormat::Json);
    let told: serde_json::Value = serde_json::from_slice(&post.bytes).unwrap();
    assert_eq!(told["id"], post.message_id);
    assert_eq!(told["severity"], "critical");
    assert_eq!(told["subject"], post.subject);
    assert_eq!(told["counts"]["gathered"], 1);
    let finding = &told["findings"][0];
    for (key, value) in [
        ("finding_id", "f1"),
        ("who", "erp@example.com"),
        ("severity", "critical"),
        ("first_seen", "2026-01-30T02:11:00Z"),
        ("raised_from", "low"),
        ("gathers", "1 finding of 1 user"),
        ("response", "Freeze the user, then rotate its credential."),
    ] {
        assert_eq!(finding[key], value, "{key}");
    }
    assert_eq!(finding["count"], 3);
    assert_eq!(told["health"]["rules_ok"], 13);
}
