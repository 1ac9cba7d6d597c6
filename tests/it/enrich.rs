//! What others know of addresses: files that are missing or damaged stop a night before it begins,
//! files that are there are asked, and a new indicator is asked of the whole archive.

use std::fs;

use orgwatch::detect::RuleSet;
use serde_json::Value;

use crate::logs::{Org, login, login_file};
use crate::mmdb::{Writer, asn, city};
use crate::program::{expect, orgwatch, stderr, stdout};

/// The rules that ask; all others have their own tests.
const RULES: [&str; 3] = [
    "anonymiser-or-hosting-network",
    "impossible-travel",
    "ioc-match",
];

/// An org whose logins of January come from 192.0.2.66, and what its configuration says beside.
fn org(settings: &str) -> Org {
    let org = Org::new();
    let rules = RuleSet::embedded().unwrap();
    let off: String = rules
        .iter()
        .filter(|rule| !RULES.contains(&rule.id.as_str()))
        .map(|rule| format!("[rules.\"{}\"]\nstatus = \"off\"\n", rule.id))
        .collect();
    let config = format!("[store]\ndata_dir = \"data\"\n{settings}{off}");
    org.file("orgwatch.toml", config);
    org.file("Login_2026-01-14.csv", logins("2026-01-14"));
    org
}

fn logins(day: &str) -> String {
    let mut row = login(1, 0);
    let own = ["TIMESTAMP", "TIMESTAMP_DERIVED", "SOURCE_IP", "CLIENT_IP"];
    row.retain(|(name, _)| !own.contains(name));
    row.extend([
        ("TIMESTAMP", format!("{}100000.000", day.replace('-', ""))),
        ("TIMESTAMP_DERIVED", format!("{day}T10:00:00.000Z")),
        ("SOURCE_IP", "192.0.2.66".to_owned()),
    ]);
    login_file(&[row])
}

fn ask(org: &Org, sql: &str) -> String {
    let answer = orgwatch(&org.path(""), &["sql", "--format", "csv", sql]);
    expect(0, answer).replace('\r', "")
}

fn findings_of(org: &Org, rule: &str) -> Vec<Value> {
    let list = ["findings", "list", "--format", "jsonl"];
    let found = expect(0, orgwatch(&org.path(""), &list));
    let all = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    all.filter(|finding: &Value| finding["rule_id"] == rule)
        .collect()
}

#[test]
fn a_file_that_cannot_be_used_stops_the_night_before_anything_is_done() {
    let org = org("[enrich]\ndatabases = [\"City.mmdb\"]\nnetworks = [\"tor.csv\"]\n");
    let night = [
        "run",
        "--now",
        "2026-01-15T03:00:00Z",
        "Login_2026-01-14.csv",
    ];
    let told = |what: &str| {
        let output = orgwatch(&org.path(""), &night);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
        assert!(!org.path("data").exists());
    };
    told("City.mmdb");
    fs::write(org.path("City.mmdb"), "no database").unwrap();
    told("no MaxMind database");
    let mut cities = Writer::new("Example-City", 1_767_225_600);
    cities.add("192.0.2.0/24", city("BR", -23.55, -46.63, 50));
    fs::write(org.path("City.mmdb"), cities.bytes()).unwrap();
    told("tor.csv");
    org.file("tor.csv", "network,class\n192.0.2.66,exit\n");
    told("tor.csv:2:12");
}

#[test]
fn the_files_are_asked_by_sql_by_the_rules_and_by_doctor() {
    let org =
        org("[enrich]\ndatabases = [\"City.mmdb\", \"ASN.mmdb\"]\nnetworks = [\"tor.csv\"]\n");
    let mut cities = Writer::new("Example-City", 1_767_225_600);
    cities.add("192.0.2.0/24", city("BR", -23.55, -46.63, 50));
    fs::write(org.path("City.mmdb"), cities.bytes()).unwrap();
    let mut systems = Writer::new("Example-ASN", 1_767_225_600);
    systems.add("192.0.2.0/24", asn(64_500, "Example Net"));
    fs::write(org.path("ASN.mmdb"), systems.bytes()).unwrap();
    org.file(
        "tor.csv",
        "network,class,list,valid_from,valid_to\n192.0.2.66,tor,exits,2026-01-01,2026-12-31\n",
    );
    let night = [
        "run",
        "--now",
        "2026-01-15T03:00:00Z",
        "Login_2026-01-14.csv",
    ];
    let output = orgwatch(&org.path(""), &night);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let found = findings_of(&org, "anonymiser-or-hosting-network");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["severity"], "high");

    let known = ask(
        &org,
        "SELECT origin_of(ip) AS origin, ip_country(ip) AS country, array_to_string(ip_classes(ip, occurred_at), ',') AS classes FROM logins",
    );
    assert_eq!(known, "origin,country,classes\nAS64500,BR,tor\n");
    assert_eq!(ask(&org, "SELECT list FROM network_lists"), "list\nexits\n");

    let doctor = ["doctor", "--now", "2026-06-01T00:00:00Z"];
    let told = stdout(&orgwatch(&org.path(""), &doctor));
    for words in [
        "WARN  enrich    City.mmdb",
        "built 2026-01-01, 151 days ago",
        "1 network",
    ] {
        let found = told.replace(&format!("{}/", org.path("").display()), "");
        assert!(found.contains(words), "no {words:?} in\n{found}");
    }
}

#[test]
fn without_files_the_rules_that_need_them_say_so_and_nothing_is_wrong() {
    let org = org("");
    let night = [
        "run",
        "--now",
        "2026-01-15T03:00:00Z",
        "--format",
        "json",
        "Login_2026-01-14.csv",
    ];
    let output = orgwatch(&org.path(""), &night);
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{}",
        stderr(&output)
    );
    let outcome = "SELECT status, reason FROM rule_runs WHERE rule_id = 'impossible-travel'";
    let outcome = ask(&org, outcome);
    assert!(outcome.contains("never_had_input"), "{outcome}");
    assert!(outcome.contains("[enrich]"), "{outcome}");
    assert_eq!(
        ask(&org, "SELECT ip_country(ip) IS NULL AS unknown FROM logins"),
        "unknown\ntrue\n"
    );
}

#[test]
fn a_new_indicator_is_asked_of_the_whole_archive_on_the_next_night_once() {
    let org = org("[detect]\nindicators = [\"own.csv\"]\n");
    org.file("own.csv", "kind,value,confidence\nip,203.0.113.9,high\n");
    org.file(
        "Login_2026-03-01.csv",
        logins("2026-03-01").replace("192.0.2.66", "203.0.113.80"),
    );
    org.file(
        "Login_2026-03-02.csv",
        logins("2026-03-02").replace("192.0.2.66", "203.0.113.80"),
    );
    org.file(
        "Login_2026-03-03.csv",
        logins("2026-03-03").replace("192.0.2.66", "203.0.113.80"),
    );
    let night = |now: &str, file: &str| {
        let output = orgwatch(&org.path(""), &["run", "--now", now, file]);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{}",
            stderr(&output)
        );
        stdout(&output).contains("the indicators have changed")
    };
    night("2026-01-15T03:00:00Z", "Login_2026-01-14.csv");
    assert!(!night("2026-03-02T03:00:00Z", "Login_2026-03-01.csv"));
    assert_eq!(findings_of(&org, "ioc-match").len(), 0);

    org.file("own.csv", "kind,value,confidence\nip,192.0.2.66,high\n");
    assert!(night("2026-03-03T03:00:00Z", "Login_2026-03-02.csv"));
    let found = findings_of(&org, "ioc-match");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["first_seen"], "2026-01-14T10:00:00.000Z");
    assert_eq!(found[0]["evidence"]["indicator"], "ip:192.0.2.66");

    // The night after asks of its own days only, and the finding stays.
    assert!(!night("2026-03-04T03:00:00Z", "Login_2026-03-03.csv"));
    let found = findings_of(&org, "ioc-match");
    assert_eq!(
        (found.len(), found[0]["status"].as_str()),
        (1, Some("ongoing"))
    );
}
