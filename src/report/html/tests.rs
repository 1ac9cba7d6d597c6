//! What a log's author wrote is text on the page and nothing else, by the word of another parser.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::health::{Account as RowAccount, RuleCounts};
use super::sight::Dark;
use super::timeline::{Account, Band, Day, Place, Seen};
use super::*;
use crate::config::Severity;
use crate::detect::State;
use crate::privacy::printable;

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, n).unwrap()
}

fn at(n: u32) -> DateTime<Utc> {
    day(n).and_hms_opt(2, 3, 4).unwrap().and_utc()
}

fn finding(n: usize, text: &str) -> Finding {
    let text = || text.to_owned();
    Finding {
        finding_id: text(),
        rule_id: text(),
        rule_version: 3,
        severity: Severity::ALL[n % 5],
        title: text(),
        status: "new",
        user_key: Some(text()),
        who: Some(text()),
        user_kind: Some(text()),
        case_id: Some(format!("{n}{}", text())),
        case_subject: Some(text()),
        days: vec![day(3)],
        first_seen: at(3),
        last_seen: at(4),
        count: 12_345,
        expected: text(),
        observed: text(),
        raised: Some((Severity::Low, text())),
        gathers: Some(Gathers {
            summary: text(),
            details: text(),
        }),
        evidence: vec![(text(), text())],
        description: text(),
        controls: vec![(text(), text())],
        response: vec![text()],
        false_positives: vec![text()],
        attack: vec![text()],
        rows_command: text(),
        show_command: text(),
    }
}

fn timeline(text: &str) -> Timeline {
    let seen = |place| Seen {
        name: text.to_owned(),
        place,
        logins: 1,
        calls: 2,
        days: 3,
        first_at: Some(at(1)),
        last_at: None,
    };
    let of_day = Day {
        logins: BTreeMap::from([(text.to_owned(), 3), ("ui_password".to_owned(), 1)]),
        failed: 2,
        places: [1, 0, 1, 1],
        calls: 100,
        call_errors: 1,
        rows_read: 5,
        expected: Some(Band {
            low: 1.0,
            middle: 10.0,
            high: 20.0,
        }),
        unusual: [text.to_owned()].into(),
    };
    Timeline {
        account: Account {
            user_key: text.to_owned(),
            username: Some(text.to_owned()),
            role: Some(text.to_owned()),
            role_source: Some("registry".to_owned()),
            system: Some(text.to_owned()),
            owner: Some(text.to_owned()),
        },
        days: BTreeMap::from([(day(2), of_day)]),
        networks: Capped::of(vec![seen(Some(Place::Elsewhere)), seen(None)], 1),
        apps: Capped::of(vec![seen(None)], 5),
        findings: BTreeMap::from([(day(2), Severity::High)]),
        finding_count: 1,
    }
}

/// A page on which every text is this one.
fn content(text: &str) -> Content {
    let text = || text.to_owned();
    let rows = RowAccount {
        read: 3,
        kept: 1,
        duplicate: 1,
        quarantined: 1,
    };
    Content {
        org: Some(text()),
        at: at(31),
        period: Period {
            first: day(1),
            last: day(30),
            told_until: day(31),
        },
        data_day: Some(day(30)),
        user: Some(text()),
        health: Health {
            last: Some(LastRun {
                kind: text(),
                at: at(31),
                state: "finished",
                exit_code: Some(1),
                exit_reasons: vec![text()],
                rows,
                remarks: vec![text()],
                ..LastRun::default()
            }),
            runs: Capped::of(
                vec![RunLine {
                    run_id: 1,
                    kind: text(),
                    at: at(31),
                    state: "finished",
                    exit_code: None,
                    rows: Some(rows),
                    rules: RuleCounts::default(),
                }],
                9,
            ),
            files: 1,
            rows,
            canaries_fired: 1,
            canaries_silent: vec![(text(), text())],
            deliveries: Capped::of(
                vec![Delivery {
                    at: at(31),
                    subject: text(),
                    state: text(),
                    sent_at: None,
                    error: Some(text()),
                }],
                9,
            ),
            waiting: 1,
            troubles: Capped::of(
                vec![FileTrouble {
                    file: text(),
                    event_type: text(),
                    state: text(),
                    reason: Some(text()),
                    rows,
                    reasons: Capped::of(vec![(text(), 2, 7)], 5),
                }],
                9,
            ),
        },
        open: Severity::ALL.map(|s| (s, 7)).into(),
        findings: (0..5).map(|n| finding(n, &text())).collect(),
        resolved: vec![Past {
            severity: Severity::Low,
            title: text(),
            who: Some(text()),
            last_seen: at(3),
        }],
        suppressed: 1,
        suppressions: vec![Suppression {
            rule: text(),
            user: Some(text()),
            conditions: text(),
            reason: text(),
            owner: text(),
            until: Some(day(30)),
            is_expired: true,
            matched: 2,
        }],
        users: Capped {
            shown: vec![timeline(&text())],
            more: 3,
        },
        drift: Some(Drift {
            file: text(),
            problems: vec![("unused_network", 7, text(), text())],
            endings: vec![Ending {
                what: text(),
                subject: text(),
                ticket: Some(text()),
                ends: at(31),
                line: 3,
            }],
            ..Drift::default()
        }),
        unseen: Unseen {
            dark: vec![Dark {
                status: "blind",
                reason: text(),
                rules: vec![text()],
                since: at(1),
                runs: 2,
            }],
            days: vec![day(9)],
            damaged: vec![text()],
        },
        controls: [State::Gap, State::Enforced]
            .into_iter()
            .map(|state| Statement {
                id: text(),
                text: text(),
                state,
                rules: vec![text()],
                note: Some(text()),
            })
            .collect(),
        report_command: text(),
        list_command: text(),
    }
}

/// Elements with the names of their attributes, in the order of the document; the values of those
/// that do something; all text; and what a validator would say.
#[derive(Default)]
struct Parsed {
    structure: Vec<String>,
    acting: Vec<String>,
    texts: Vec<String>,
    faults: Vec<String>,
}

fn parsed(page: &str) -> Parsed {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page);
    let mut parsed = Parsed {
        faults: dom
            .errors
            .borrow()
            .iter()
            .map(ToString::to_string)
            .collect(),
        ..Parsed::default()
    };
    walk(&dom.document, &mut parsed);
    parsed
}

fn walk(node: &Handle, parsed: &mut Parsed) {
    match &node.data {
        NodeData::Element { name, attrs, .. } => {
            let attrs = attrs.borrow();
            let names: Vec<&str> = attrs.iter().map(|a| &*a.name.local).collect();
            parsed.structure.push(format!("{} {names:?}", name.local));
            let acting = attrs
                .iter()
                .filter(|a| matches!(&*a.name.local, "href" | "src" | "id" | "class" | "content"));
            let acting = acting.map(|a| format!("{}={}", a.name.local, a.value));
            parsed.acting.extend(acting);
        }
        NodeData::Text { contents } => parsed.texts.push(contents.borrow().to_string()),
        NodeData::Comment { .. } => parsed.structure.push("comment".to_owned()),
        _ => {}
    }
    for child in node.children.borrow().iter() {
        walk(child, parsed);
    }
}

const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg/onload=alert(1)>",
    "</style></title></textarea><!-- ",
    "&lt;b&gt; &#60;script&#62; {{ page.org }} {% raw %}",
    "\u{202e}gnp.exe \u{2066}x\u{2069} \u{200b}",
    "\u{1b}]8;;https://evil.example/\u{7}\r\nx\0y",
    "https://evil.example/ javascript:alert(1)",
    "=cmd|' /C calc'!A0",
];

#[test]
fn hostile_text_is_text_in_every_place_and_changes_nothing_else() {
    let plain = parsed(&render(&content("ann")).unwrap());
    assert_eq!(plain.faults, Vec::<String>::new());
    assert!(plain.structure.len() > 300, "{}", plain.structure.len());
    for hostile in HOSTILE {
        let page = render(&content(hostile)).unwrap();
        let found = parsed(&page);
        assert_eq!(found.faults, Vec::<String>::new(), "{hostile:?}");
        assert_eq!(found.structure, plain.structure, "{hostile:?}");
        assert_eq!(found.acting, plain.acting, "{hostile:?}");
        let shown = printable(hostile, 4000);
        let places = |parsed: &Parsed, text: &str| {
            parsed
                .texts
                .iter()
                .map(|t| t.matches(text).count())
                .sum::<usize>()
        };
        // Within a word or a list it stands as well.
        let (there, expected) = (places(&found, &shown), places(&plain, "ann"));
        // The style sheet and the words of the page hold "ann" nowhere else.
        assert!(
            there > 60 && there >= expected - 12,
            "{hostile:?}: {there} of {expected}"
        );
        let odd = |c: char| {
            (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{2069}\u{200b}".contains(c)
        };
        assert!(!page.contains(odd), "{hostile:?}");
    }
}

#[test]
fn each_chart_is_drawn_and_its_table_has_the_same_days() {
    let found = parsed(&render(&content("ann")).unwrap());
    let of = |element: &str| {
        let is_one = |e: &&String| e.starts_with(&format!("{element} "));
        found.structure.iter().filter(is_one).count()
    };
    // Three charts within three frames that name them.
    let charts = found.acting.iter().filter(|a| *a == "class=chart").count();
    assert_eq!((charts, of("figure")), (3, 3));
    // Four kinds of logins and three of networks on one day, the band, the ring, the marks.
    assert_eq!(of("rect"), 3 + 3);
    assert_eq!(of("polygon"), 1 + 3);
    assert!(of("circle") >= 1 && of("line") > 6 && of("text") > 12);
}

#[test]
fn text_without_end_is_cut() {
    let long = "\u{202e}A".repeat(5_000);
    let page = render(&content(&long)).unwrap();
    let found = parsed(&page);
    assert_eq!(
        found.structure,
        parsed(&render(&content("ann")).unwrap()).structure
    );
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert!(page.contains('…'));
}

#[test]
fn the_page_asks_for_nothing_and_names_no_address() {
    let page = render(&content("ann")).unwrap();
    assert!(!page.contains("://"), "an address in the page");
    let found = parsed(&page);
    let policy = found
        .acting
        .iter()
        .find(|a| a.contains("default-src"))
        .unwrap();
    assert!(
        policy.starts_with("content=default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    for element in ["script", "img", "link", "iframe", "object", "form", "base"] {
        let is_one = |e: &&String| e.starts_with(&format!("{element} "));
        assert_eq!(found.structure.iter().find(is_one), None);
    }
    let links = found.acting.iter().filter(|a| a.starts_with("href="));
    assert!(links.into_iter().all(|a| a.starts_with("href=#")));
    assert!(
        !found
            .structure
            .iter()
            .any(|e| e.contains("\"style\"") || e.contains("\"on"))
    );
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    assert_eq!(
        render(&content("ann")).unwrap(),
        render(&content("ann")).unwrap()
    );
}

#[test]
fn five_thousand_findings_and_a_year_of_thirty_users_are_a_page_of_some_megabytes() {
    let mut large = content("ann");
    large.findings = (0..5_000)
        .map(|n| finding(n, &format!("{n} {}", "x".repeat(300))))
        .collect();
    large.period.first = NaiveDate::from_ymd_opt(2025, 1, 31).unwrap();
    let of_day = timeline("x").days[&day(2)].clone();
    let mut busy = timeline("x");
    busy.days = large
        .period
        .days()
        .map(|day| (day, of_day.clone()))
        .collect();
    large.users = Capped::of(vec![busy; 700], 30);
    large.resolved = vec![large.resolved[0].clone(); 5_000];
    let page = render(&large).unwrap();
    assert!(page.len() < 16_000_000, "{}", page.len());
    assert!(page.contains("+ 4,800 more:"));
    assert!(page.contains("+ 670 more with nothing graver"));
    let shown = page.matches("<article ").count();
    assert_eq!(shown, 200);
    // None of the gravest gives way to a slighter one.
    assert!(
        !page.contains(">info</span></span> "),
        "a slight finding took a place"
    );
}

#[test]
fn an_empty_lake_is_told_and_not_praised() {
    let nothing = Content {
        org: None,
        user: None,
        health: Health::default(),
        open: BTreeMap::new(),
        findings: vec![],
        resolved: vec![],
        suppressed: 0,
        suppressions: vec![],
        users: Capped::default(),
        drift: None,
        unseen: Unseen::default(),
        controls: vec![],
        data_day: None,
        ..content("ann")
    };
    let page = render(&nothing).unwrap();
    assert_eq!(parsed(&page).faults, Vec::<String>::new());
    for told in [
        "Nothing open",
        "No run has been made yet: nothing was judged.",
        "no log yet",
        "No registry is configured",
        "No machine did anything",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn rows_that_are_lost_are_told_before_anything_else() {
    let mut lossy = content("ann");
    let last = lossy.health.last.as_mut().unwrap();
    last.rows.kept += 1;
    let page = render(&lossy).unwrap();
    assert!(page.contains("lost count of its rows"), "no caution");
    assert!(page.contains("does not add up"));
}
