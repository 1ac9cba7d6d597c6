//! Vendors whose tokens were stolen: the published campaigns, replayed by the minute where the
//! minute is known.

use chrono::NaiveDate;

use super::super::acts::{Door, Text};
use super::super::book::Tier;
use super::super::moment::{DAY, HOUR, MINUTE, SECOND, later};
use super::super::org::Machine;
use super::super::plan::{Scene, Stage};
use super::access::app_name;
use super::{Actor, FOREIGN_USE, expect, scene};
use crate::config::Severity::{Critical, High};

/// Published of August 2025: a cloud address, another one, and Tor exits.
const DRIFT_CLOUD: &str = "44.215.108.109";
const DRIFT_EXPORT: &str = "208.68.36.90";
const DRIFT_TOR: [&str; 4] = [
    "185.220.101.33",
    "192.42.116.20",
    "194.15.36.117",
    "179.43.159.198",
];
const DRIFT_FETCHER: &str = "Salesforce-Multi-Org-Fetcher/1.0";

/// First and last day on which the published addresses were the attacker's.
const DRIFT_WINDOW: [&str; 2] = ["2025-08-08", "2025-08-20"];

const UNEXPECTED: &str = "integration-unexpected-ip-api";
const OWN: [&str; 3] = ["ioc-match", "rows-volume-anomaly", "cross-source-mismatch"];
const CHAIN: [&str; 4] = [
    "recon-enumeration",
    "recon-bulk-delete-chain",
    "rapid-job-deletion",
    "bulk-job-anomaly",
];

/// Whether an indicator of that time weighs fully on a day: a week before, a month after.
pub(super) fn indicator_holds(day: NaiveDate, window: [&str; 2]) -> bool {
    let [from, to] = window.map(|day| day.parse::<NaiveDate>().unwrap_or_default());
    (later(from, -7)..=later(to, 30)).contains(&day)
}

/// A time of the day that is `days` after the first one.
fn at(stage: &Stage<'_>, days: i64, hour: i64, minute: i64, second: i64) -> i64 {
    stage.start(days) + hour * HOUR + minute * MINUTE + second * SECOND
}

fn thief(stage: &Stage<'_>, victim: &Machine, ip: &Text, agent: &str) -> Actor {
    let mut thief = Actor::as_machine(stage.org, victim, ip, "US", agent);
    thief.door = Door::Refresh;
    thief.version = 58;
    thief
}

pub fn drift(stage: &mut Stage<'_>) -> Vec<Scene> {
    let vendor = stage.org.vendors[0].clone();
    let Some(victim) = vendor
        .machines
        .first()
        .map(|n| stage.org.machines[*n].clone())
    else {
        return vec![];
    };
    let app = app_name(stage, &victim);
    let mut scenes = vec![];
    let mut night =
        |ip: &str, acts: Vec<super::Act>, rules: &[&[&'static str]], must: &[&'static str]| {
            let mut all = vec![&OWN[..], &FOREIGN_USE[..]];
            all.extend(rules);
            let ip = Text::from(ip);
            scenes.push(scene(
                Some(victim.user),
                app.clone(),
                &ip,
                acts,
                expect(&all, must, High),
            ));
        };
    // Of a machine without declared networks an address is unexpected on its first night only.
    let known = indicator_holds(stage.day, DRIFT_WINDOW);
    let promised = |rules: &[&'static str], new_network: bool| -> Vec<&'static str> {
        let mut must = if victim.declared || new_network {
            rules.to_vec()
        } else {
            vec![]
        };
        must.extend(known.then_some("ioc-match"));
        must
    };
    let (login, calls) = (
        ["integration-unexpected-ip-login", UNEXPECTED],
        [UNEXPECTED],
    );

    // 08-09: a tool tries the token.
    let cloud = Text::from(DRIFT_CLOUD);
    let mut probe = thief(stage, &victim, &cloud, "TruffleHog");
    probe.new_keys(&mut stage.draw);
    probe.get(at(stage, 0, 11, 51, 4), "limits", "");
    night(DRIFT_CLOUD, probe.acts, &[], &promised(&calls, true));

    // 08-12: the first login, and the list of objects.
    let mut first = thief(stage, &victim, &cloud, DRIFT_FETCHER);
    first.log_in(at(stage, 3, 22, 14, 9), &mut stage.draw);
    first.get(at(stage, 3, 22, 14, 12), "sobjects/", "");
    let keys = first.keys.clone();
    night(DRIFT_CLOUD, first.acts, &[&CHAIN], &promised(&login, false));

    // 08-13: what a case is made of, and a broad query.
    let mut describe = thief(stage, &victim, &cloud, DRIFT_FETCHER);
    describe.keys = keys.clone();
    describe.get(at(stage, 4, 19, 33, 2), "sobjects/Case/describe", "Case");
    let soql = "SELECT Id, Subject, Description, Comments FROM Case LIMIT 10000";
    describe.query(at(stage, 4, 19, 34, 40), "Case", 2000, soql);
    for page in 1..5 {
        describe.page(
            at(stage, 4, 19, 34, 40) + page as i64 * 4 * SECOND,
            "Case",
            2000,
            page,
        );
    }
    night(
        DRIFT_CLOUD,
        describe.acts,
        &[&CHAIN],
        &promised(&calls, false),
    );

    // 08-14: counting.
    let mut count = thief(stage, &victim, &cloud, DRIFT_FETCHER);
    count.keys = keys.clone();
    let mut t = at(stage, 5, 4, 20, 0);
    for object in ["Account", "Contact", "User"] {
        count.query(t, object, 1, &format!("SELECT COUNT() FROM {object}"));
        t += 3 * SECOND;
    }
    count.query(
        t,
        "CaseTeamMemberHistory__c",
        2000,
        "SELECT Id FROM CaseTeamMemberHistory__c LIMIT 5000",
    );
    count.query(
        t + 5 * SECOND,
        "Organization",
        1,
        "SELECT Id, Name, OrganizationType FROM Organization",
    );
    let people = "SELECT Id, Username, Email, LastLoginDate, IsActive FROM User \
                  ORDER BY LastLoginDate DESC NULLS LAST LIMIT 20";
    count.query(t + 9 * SECOND, "User", 20, people);
    count.get(t + 14 * SECOND, "limits/", "");
    night(DRIFT_CLOUD, count.acts, &[&CHAIN], &promised(&calls, false));

    // 08-16: one more count.
    let mut again = thief(stage, &victim, &cloud, DRIFT_FETCHER);
    again.keys = keys;
    again.query(
        at(stage, 7, 19, 26, 0),
        "Case",
        1,
        "SELECT COUNT() FROM Case",
    );
    night(DRIFT_CLOUD, again.acts, &[&CHAIN], &promised(&calls, false));

    // 08-17: the export, and its job deleted 24 seconds after it was complete.
    let export_ip = Text::from(DRIFT_EXPORT);
    let mut export = thief(stage, &victim, &export_ip, DRIFT_FETCHER);
    export.log_in(at(stage, 8, 11, 11, 23), &mut stage.draw);
    let records = 180_000 + stage.draw.below(900_000);
    let states = [
        (at(stage, 8, 11, 11, 56), "UploadComplete", 0, "POST"),
        (at(stage, 8, 11, 13, 10), "InProgress", records / 2, "GET"),
        (at(stage, 8, 11, 15, 18), "JobComplete", records, "GET"),
        (at(stage, 8, 11, 15, 42), "Deleted", records, "DELETE"),
    ];
    export.job(&states, "query", "Case", &mut stage.draw);
    let mut must = promised(&login, true);
    if stage.tier == Tier::Shield {
        must.extend(["rapid-job-deletion", "recon-bulk-delete-chain"]);
    }
    night(DRIFT_EXPORT, export.acts, &[&CHAIN], &must);

    if stage.variant == 1 {
        scenes.extend(drift_tokens(stage, &vendor.machines, &app));
    }
    scenes
}

/// In many orgs the people's own tokens were used, too: all within an hour, through Tor.
fn drift_tokens(stage: &mut Stage<'_>, machines: &[usize], app: &Text) -> Vec<Scene> {
    let tokens: Vec<Machine> = machines[1..]
        .iter()
        .map(|n| stage.org.machines[*n].clone())
        .collect();
    let wanted = (tokens.len() / 2).max(4).min(tokens.len());
    let mut acts = vec![];
    let mut t = at(stage, 3, 22, 31, 0);
    for (n, token) in tokens.iter().take(wanted).enumerate() {
        let ip = Text::from(DRIFT_TOR[n / 8 % DRIFT_TOR.len()]);
        let mut one = thief(stage, token, &ip, "Python/3.11 aiohttp/3.12.15");
        one.log_in(t, &mut stage.draw);
        one.query(t + 4 * SECOND, "User", 1, "SELECT COUNT() FROM User");
        one.query(t + 9 * SECOND, "Case", 1, "SELECT COUNT() FROM Case");
        acts.append(&mut one.acts);
        t += stage.draw.between(20, 240) * SECOND;
    }
    debug_assert!(t < stage.start(4) + DAY);
    let ip = Text::from(DRIFT_TOR[0]);
    let expected = expect(
        &[&OWN, &FOREIGN_USE, &CHAIN],
        &["app-token-burst-new-ip"],
        Critical,
    );
    vec![scene(None, app.clone(), &ip, acts, expected)]
}
