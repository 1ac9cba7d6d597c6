//! Vendors whose tokens were used for many users at once: waves from new networks.

use chrono::NaiveDate;

use super::super::acts::{Door, Mark, Text};
use super::super::book::Tier;
use super::super::life::PAGE_ROWS;
use super::super::moment::{DAY, HOUR, MINUTE, SECOND};
use super::super::org::{Change, Effect, Machine};
use super::super::plan::{Scene, Stage};
use super::super::size::Size;
use super::access::app_name;
use super::vendors::indicator_holds;
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::{Critical, High};

const OWN: [&str; 9] = [
    "ioc-match",
    "rows-volume-anomaly",
    "recon-enumeration",
    "recon-bulk-delete-chain",
    "paging-exfiltration",
    "app-token-burst-new-ip",
    "cross-source-mismatch",
    "integration-unexpected-ip-api",
    "error-ratio-anomaly",
];

/// Published of the first look around; the later addresses were not.
const GAINSIGHT_FIRST: &str = "3.239.45.43";
const GAINSIGHT_WINDOW: [&str; 2] = ["2025-10-23", "2025-11-20"];

/// Published of June 2026.
const KLUE: [&str; 4] = [
    "138.226.246.94",
    "212.86.125.24",
    "213.111.148.90",
    "94.154.32.160",
];
const KLUE_WINDOW: [&str; 2] = ["2026-06-11", "2026-06-17"];
const KLUE_OBJECTS: [&str; 10] = [
    "Opportunity",
    "Case",
    "Task",
    "Lead",
    "Contact",
    "Account",
    "User",
    "Contract",
    "Event",
    "Campaign",
];

/// The vendor's machines: its integration first, then the people's tokens.
fn vendor(stage: &Stage<'_>) -> Vec<Machine> {
    let machines = &stage.org.vendors[1].machines;
    machines
        .iter()
        .map(|n| stage.org.machines[*n].clone())
        .collect()
}

/// October and November 2025: a first look around, then waves of many users' tokens, then the end.
pub fn gainsight(stage: &mut Stage<'_>) -> Vec<Scene> {
    let machines = vendor(stage);
    let app = app_name(stage, &machines[0]);
    let mut scenes = vec![];
    let first_ip = Text::from(GAINSIGHT_FIRST);
    let mut look = Actor::as_machine(
        stage.org,
        &machines[0],
        &first_ip,
        "US",
        "Salesforce-Multi-Org-Fetcher/1.0",
    );
    let at = stage.start(0) + 14 * HOUR + stage.draw.between(0, HOUR);
    look.log_in(at, &mut stage.draw);
    look.get(at + 2 * SECOND, "sobjects/", "");
    look.get(at + 6 * SECOND, "limits/", "");
    look.query(at + 9 * SECOND, "User", 1, "SELECT COUNT() FROM User");
    let mut must = vec![
        "integration-unexpected-ip-login",
        "integration-unexpected-ip-api",
    ];
    must.extend(indicator_holds(stage.day, GAINSIGHT_WINDOW).then_some("ioc-match"));
    let expected = expect(&[&OWN, &FOREIGN_USE], &must, High);
    scenes.push(scene(
        Some(machines[0].user),
        app.clone(),
        &first_ip,
        look.acts,
        expected,
    ));

    // 11-08, 11-12, 11-16: each from a network of its own.
    for (wave, day) in [16, 20, 24].into_iter().enumerate() {
        let ip = super::super::org::attacker_host((stage.turn + 100 + 2 * wave) | 1, 0);
        let start = stage.start(day) + stage.draw.between(HOUR, 20 * HOUR);
        let (acts, users) = wave_of(stage, &machines, &ip, start, "Python/3.11 aiohttp/3.13.1");
        let must: &[&'static str] = if users >= promised_users(&machines) {
            &["app-token-burst-new-ip"]
        } else {
            &[]
        };
        let expected = expect(&[&OWN, &FOREIGN_USE], must, Critical);
        scenes.push(scene(None, app.clone(), &ip, acts, expected));
    }
    contain(stage, 27);
    scenes
}

/// How many users the catalogue asks for: a fifth of the app's, at least 3 and at most 25.
fn promised_users(machines: &[Machine]) -> usize {
    (machines.len() / 5).clamp(3, 25)
}

/// Within an hour the tokens of most users are refreshed from one network, and read a little each.
fn wave_of(
    stage: &mut Stage<'_>,
    machines: &[Machine],
    ip: &Text,
    start: i64,
    agent: &str,
) -> (Vec<super::Act>, usize) {
    let mut acts = vec![];
    let mut at = start;
    let users = machines.len() - machines.len() / 4;
    for token in &machines[..users] {
        let mut one = Actor::as_machine(stage.org, token, ip, "NL", agent);
        one.door = Door::Refresh;
        one.log_in(at, &mut stage.draw);
        let mut t = at;
        for n in 0..8 + stage.draw.below(12) {
            t += stage.draw.between(1, 12) * SECOND;
            let object = ["Account", "Contact", "Opportunity", "Case"][n as usize % 4];
            one.query(
                t,
                object,
                PAGE_ROWS,
                &format!("SELECT FIELDS(STANDARD) FROM {object} LIMIT 2000"),
            );
        }
        acts.append(&mut one.acts);
        at += stage.draw.between(2, (3000 / users as i64).max(3)) * SECOND;
    }
    (acts, users)
}

/// The platform revokes the tokens: the vendor's clients knock in vain until they are connected
/// again.
fn contain(stage: &mut Stage<'_>, day: i64) {
    let from = stage.start(day) + 18 * HOUR;
    for n in stage.org.vendors[1].machines.clone() {
        let refused = Change {
            from,
            to: from + 90 * MINUTE,
            effect: Effect::Refused("LOGIN_OAUTH_INVALID_TOKEN", 30 * MINUTE),
            mark: Mark::NONE,
        };
        stage.changes.push((n, refused));
    }
}

/// June 2026: an old token of the vendor's led to all others. Six hours of queries, a thousand in
/// a quarter of an hour, with a library and an API version that the app never used.
pub fn klue(stage: &mut Stage<'_>) -> Vec<Scene> {
    let machines = vendor(stage);
    let victim = &machines[0];
    let app = app_name(stage, victim);
    let mut scenes = vec![];
    let in_window = indicator_holds(stage.day, KLUE_WINDOW);
    for night in 0..2 {
        let ip = Text::from(KLUE[night as usize]);
        let agent = if night == 0 {
            "Python-urllib/3.12"
        } else {
            "Python-urllib/3.14"
        };
        let start = stage.start(night) + stage.draw.between(2 * HOUR, 14 * HOUR);
        let mut thief = Actor::as_machine(stage.org, victim, &ip, "NL", agent);
        thief.version = 59;
        thief.agent_code = "5238".into();
        thief.log_in(start, &mut stage.draw);
        thief.get(start + 3 * SECOND, "sobjects/", "");
        copy_all(stage, &mut thief, start + 10 * SECOND);
        let mut must = vec![
            "integration-unexpected-ip-login",
            "integration-unexpected-ip-api",
        ];
        must.extend(in_window.then_some("ioc-match"));
        if night == 0 {
            must.push("integration-fingerprint-drift");
        }
        if stage.tier == Tier::Shield {
            must.extend(["rows-volume-anomaly", "paging-exfiltration"]);
        }
        let expected = expect(&[&OWN, &FOREIGN_USE], &must, High);
        let mut copy = scene(Some(victim.user), app.clone(), &ip, thief.acts, expected);
        copy.too_slow = vec!["paging-exfiltration"];
        scenes.push(copy);
    }
    if stage.variant == 1 {
        let ip = Text::from(KLUE[2]);
        let start = stage.start(0) + 9 * HOUR;
        let (acts, users) = wave_of(stage, &machines[1..], &ip, start, "Python-urllib/3.12");
        let must: &[&'static str] = if users >= promised_users(&machines) {
            &["app-token-burst-new-ip"]
        } else {
            &[]
        };
        scenes.push(scene(
            None,
            app,
            &ip,
            acts,
            expect(&[&OWN, &FOREIGN_USE], must, Critical),
        ));
    }
    debug_assert!(stage.start(1) - stage.start(0) == DAY);
    scenes
}

/// Each object from its first page to its last, for more than six hours.
fn copy_all(stage: &mut Stage<'_>, thief: &mut Actor, start: i64) {
    // A smaller org holds less: it is read in fewer, slower queries.
    let each = match stage.org.size {
        Size::Tiny => 18 * SECOND,
        Size::Small => 4500,
        Size::Medium | Size::Large => 900,
    };
    let end = start + 6 * HOUR + 20 * MINUTE;
    let (mut at, mut n) = (start, 0u64);
    while at < end {
        let object = KLUE_OBJECTS[(n / 120) as usize % KLUE_OBJECTS.len()];
        match n % 120 {
            0 => thief.query(
                at,
                object,
                PAGE_ROWS,
                &format!("SELECT FIELDS(STANDARD) FROM {object}"),
            ),
            page => thief.page(at, object, PAGE_ROWS, page),
        }
        at += stage.draw.between(each / 2, each * 3 / 2);
        n += 1;
    }
}

/// The day on which it was published to have begun.
pub const GAINSIGHT_BEGAN: Option<NaiveDate> = NaiveDate::from_ymd_opt(2025, 10, 23);
pub const KLUE_BEGAN: Option<NaiveDate> = NaiveDate::from_ymd_opt(2026, 6, 11);
