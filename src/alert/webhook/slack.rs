//! Blocks as Slack's incoming webhooks take them. All that may come from a log stands in objects
//! of type `plain_text`, in which nothing is bold, a link or a mention, and `&`, `<` and `>`, by
//! which Slack marks those, are escaped on top. The one link is that of the configuration.

use serde_json::{Value, json};

use crate::alert::Letterhead;
use crate::alert::digest::Digest;
use crate::alert::view::{FindingView, View};
use crate::words::counted;

/// Slack's bounds, in UTF-16 units: a header, the text of a block.
const MAX_HEADER: usize = 150;
const MAX_BLOCK: usize = 3000;
/// Slack takes 50 blocks; those that are no findings need ten.
const MAX_FINDINGS: usize = 40;
/// Slack refuses a message whose blocks are too long together; findings take no more than this.
const MAX_ALL: usize = 10_000;

pub(super) fn body(digest: &Digest, head: &Letterhead) -> Value {
    let head = Letterhead {
        max_shown: head.max_shown.min(MAX_FINDINGS),
        ..head.clone()
    };
    let view = View::new(digest, &head);
    let mut blocks = vec![header(&view.verdict)];
    let intro = [
        Some(&view.night),
        Some(&view.tally),
        view.elsewhere.as_ref(),
    ];
    blocks.push(section(&lines(intro.into_iter().flatten())));

    let (mut used, mut shown) = (0, 0);
    for finding in &view.findings {
        let block = escaped(&told(finding), MAX_BLOCK);
        used += width(&block);
        if shown > 0 && used > MAX_ALL {
            break;
        }
        blocks.push(plain(block));
        shown += 1;
    }
    let hidden = digest.news.len() - shown;
    if hidden > 0 {
        let more = counted(hidden, "more finding");
        blocks.push(section(&format!(
            "+ {more}; `orgwatch findings list` shows all"
        )));
    }
    for (title, list) in [
        (
            &*format!("STILL ACTIVE. {}", view.quiet_note),
            &view.still_active,
        ),
        ("RESOLVED", &view.resolved),
        ("RUN HEALTH", &view.health),
    ] {
        if !list.is_empty() {
            let items = list.iter().map(|line| format!("• {line}"));
            let all: Vec<String> = std::iter::once(title.to_owned()).chain(items).collect();
            blocks.push(section(&lines(all.iter())));
        }
    }
    if let Some(link) = &view.link {
        let text = format!("<{}>", escaped(link, MAX_BLOCK));
        blocks.push(json!({
            "type": "section",
            "text": {"type": "mrkdwn", "text": text, "verbatim": true},
        }));
    }
    message(&view.verdict, blocks)
}

pub(super) fn test_body(org: &str, audience: &str, when: &str, subject: &str) -> Value {
    let text = format!(
        "This is a test of orgwatch's webhook, sent by hand at {when}.\n\
         Org {org}, group {audience}. Nothing was found and nothing is to be done."
    );
    message(subject, vec![header(subject), section(&text)])
}

/// `text` is for notifications and for programs that show no blocks; no name from a log is in it.
fn message(text: &str, blocks: Vec<Value>) -> Value {
    json!({
        "text": escaped(text, MAX_BLOCK),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

fn told(finding: &FindingView) -> String {
    let mut out = Vec::new();
    out.extend(finding.case.clone());
    let (number, severity) = (finding.number, &finding.severity);
    out.push(format!("{number}. {severity} {}", finding.title));
    let seen = format!("{}, {}", finding.seen, finding.count);
    let gathers = finding.gathers.as_ref().map(|gathers| &gathers.summary);
    for (name, value) in [
        ("Who", Some(&finding.who)),
        ("Expected", Some(&finding.expected)),
        ("Seen", Some(&finding.observed)),
        ("When", Some(&seen)),
        ("Gathers", gathers),
        ("Raised", finding.raised.as_ref()),
        ("Do next", finding.response.as_ref()),
        ("Show the rows", Some(&finding.command)),
        ("Rule", Some(&finding.rule)),
    ] {
        if let Some(value) = value {
            out.push(format!("{name}: {value}"));
        }
    }
    out.join("\n")
}

fn header(text: &str) -> Value {
    json!({
        "type": "header",
        "text": {"type": "plain_text", "text": escaped(text, MAX_HEADER), "emoji": false},
    })
}

fn section(text: &str) -> Value {
    plain(escaped(text, MAX_BLOCK))
}

/// A section of text that is escaped already.
fn plain(escaped: String) -> Value {
    json!({
        "type": "section",
        "text": {"type": "plain_text", "text": escaped, "emoji": false},
    })
}

fn lines<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    lines.map(String::as_str).collect::<Vec<_>>().join("\n")
}

/// Slack's three characters as entities, none cut in two; at most `most` units long.
fn escaped(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut used = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let entity = match c {
            '&' => Some("&amp;"),
            '<' => Some("&lt;"),
            '>' => Some("&gt;"),
            _ => None,
        };
        used += entity.map_or(c.len_utf16(), str::len);
        // The last place is for the mark of what is cut.
        if used > most || (used == most && rest.peek().is_some()) {
            out.push('…');
            break;
        }
        match entity {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
    }
    out
}

fn width(text: &str) -> usize {
    text.encode_utf16().count()
}
