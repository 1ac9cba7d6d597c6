//! Findings in the light of one another: what belongs together is one case and one alert, and
//! what several rules tell of one machine is graver, once, however the nights are run.

use mail_parser::MessageParser;
use serde_json::Value;

use orgwatch::detect::RuleSet;

use crate::logs::{Org, login_file};
use crate::program::{expect, orgwatch};
use crate::sample::mails;

type Row = Vec<(&'static str, String)>;

/// An access of user `n` in January, by its token or through the login page.
fn login(n: usize, when: &str, ip: &str, through_ui: bool) -> Row {
    let mut row = crate::logs::login(n, 0);
    row.retain(|(name, _)| {
        ![
            "TIMESTAMP",
            "TIMESTAMP_DERIVED",
            "REQUEST_ID",
            "LOGIN_TYPE",
            "SOURCE_IP",
        ]
        .contains(name)
    });
    let digits: String = when.chars().filter(char::is_ascii_digit).collect();
    row.extend([
        ("TIMESTAMP", format!("{digits}.000")),
        ("TIMESTAMP_DERIVED", when.replace('Z', ".000Z")),
        ("REQUEST_ID", format!("R{n}/{when}")),
        ("LOGIN_TYPE", if through_ui { "A" } else { "i" }.into()),
        ("SOURCE_IP", ip.into()),
    ]);
    if through_ui {
        row.push(("LOGIN_SUB_TYPE", "UsernamePasswordUiLogin".into()));
    }
    row
}

const HOME: &str = "198.51.100.3";
const ELSEWHERE: &str = "192.0.2.66";

/// A rule about logins from elsewhere, one finding for each `dedupe`.
fn rule(id: &str, severity: &str, dedupe: &str, select: &str) -> String {
    format!(
        r#"/*
id = "{id}"
title = "Rule {id}"
family = "attack"
severity = "{severity}"
status = "active"
version = 1
control = ["S0.1"]
attack = ["T1528"]
description = "For tests"
false_positives = "None"
response = "None"
references = []
inputs = ["Login"]
dedupe = ["{dedupe}"]
*/
{select}
"#
    )
}

const ONE_USER: &str =
    "SELECT min(occurred_at) AS occurred_at, max(occurred_at) AS last_at, user_key,
    max(user_id) AS user_id, max(username) AS username, max(role) AS role,
    'MktCloud Connector' AS app, min(ip) AS ip, count(*) AS event_count
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end AND ip = '192.0.2.66'
GROUP BY user_key, day
ORDER BY occurred_at, user_key";

const ONE_APP: &str = "SELECT min(occurred_at) AS occurred_at, max(occurred_at) AS last_at,
    CAST(NULL AS VARCHAR) AS user_key, 'MktCloud Connector' AS app, 'mktcloud connector' AS app_key,
    '192.0.2.0/24' AS network, count(DISTINCT user_key) AS user_count,
    array_slice(array_agg(DISTINCT username ORDER BY username), 1, 20) AS users,
    count(*) AS event_count
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end AND ip = '192.0.2.66'
GROUP BY day
HAVING count(DISTINCT user_key) >= 3
ORDER BY occurred_at, app_key";

const UI: &str = "integration-ui-login";
const HIJACK: &str = "session-hijack-suspected";

/// An org with the UI rule, a rule about a user elsewhere and one about an app elsewhere.
fn org(registry: &str) -> Org {
    let org = Org::new();
    let rules = RuleSet::embedded().unwrap();
    let own = [UI, HIJACK, "app-token-burst-new-ip"];
    let off: String = rules
        .iter()
        .filter(|rule| !own.contains(&rule.id.as_str()))
        .map(|rule| format!("[rules.\"{}\"]\nstatus = \"off\"\n", rule.id))
        .collect();
    let config = "[store]\ndata_dir = \"data\"\n[registry]\nfile = \"registry.toml\"\n\
                  [detect]\nrules_dir = \"rules\"\n";
    org.file("orgwatch.toml", format!("{config}{off}"));
    org.file("registry.toml", registry);
    org.file(
        &format!("rules/{HIJACK}.sql"),
        rule(HIJACK, "medium", "user_key", ONE_USER),
    );
    org.file(
        "rules/app-token-burst-new-ip.sql",
        rule("app-token-burst-new-ip", "critical", "app_key", ONE_APP),
    );
    org
}

const MACHINE: &str = "[[user]]\nusername = \"user1@example.com\"\nrole = \"integration\"\n";

fn run(org: &Org, code: i32, arguments: &[&str]) -> String {
    expect(code, orgwatch(&org.path(""), arguments))
}

fn night(org: &Org, code: i32, now: &str, inputs: &[&str]) -> String {
    run(org, code, &[&["run", "--now", now], inputs].concat())
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn findings(org: &Org) -> Vec<Value> {
    json_lines(&run(org, 0, &["findings", "list", "--format", "jsonl"]))
}

/// Subject and text of each mail so far, the oldest first.
fn told(org: &Org) -> Vec<(String, String)> {
    let mut told: Vec<(String, String, String)> = mails(&org.path("data"))
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).unwrap();
            let mail = MessageParser::default().parse(&bytes).unwrap();
            let text = mail.body_text(0).unwrap();
            (
                mail.date().unwrap().to_rfc3339(),
                mail.subject().unwrap().to_owned(),
                text.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
        .collect();
    told.sort();
    told.into_iter()
        .map(|(_, subject, text)| (subject, text))
        .collect()
}

fn breach(users: std::ops::Range<usize>, hour: usize) -> Vec<Row> {
    users
        .map(|n| {
            let when = format!("2026-01-14T{hour:02}:{:02}:{:02}Z", n / 60 % 60, n % 60);
            login(n, &when, ELSEWHERE, false)
        })
        .collect()
}

#[test]
fn the_breach_of_an_app_with_seven_hundred_users_is_one_alert() {
    let org = org("");
    org.file("day-14.csv", login_file(&breach(1..701, 2)));
    let summary = night(&org, 1, "2026-01-15T03:00:00Z", &["day-14.csv"]);
    assert!(
        summary.contains("Findings  701 new (critical 1, medium 700) in 1 case"),
        "{summary}"
    );
    assert_eq!(summary.matches("\n  who  ").count(), 1, "{summary}");
    assert!(
        summary.contains("  gathers   700 findings of 700 users: user100@example.com, "),
        "{summary}"
    );
    let first = told(&org);
    assert_eq!(first.len(), 1);
    assert_eq!(
        first[0].0,
        "[orgwatch CRITICAL] 1 new finding - MktCloud Connector - 2026-01-14"
    );
    assert!(
        first[0]
            .1
            .contains("Gathers 700 findings of 700 users: user100@example.com,")
            && first[0]
                .1
                .contains("+ 680 more (session-hijack-suspected 700; medium 700)"),
        "{}",
        first[0].1
    );

    // Nothing is lost: each is in the list, under the one that gathers it.
    let all = findings(&org);
    assert_eq!(all.len(), 701);
    let burst = all
        .iter()
        .find(|f| f["rule_id"] == "app-token-burst-new-ip")
        .unwrap();
    let gathered = all
        .iter()
        .filter(|f| f["gathered_by"] == burst["finding_id"]);
    assert_eq!(gathered.count(), 700);
    let cases = run(
        &org,
        0,
        &["findings", "list", "--by-case", "--format", "jsonl"],
    );
    let cases = json_lines(&cases);
    assert_eq!(cases.len(), 1);
    assert_eq!(
        (
            &cases[0]["gathered"],
            &cases[0]["subject"],
            &cases[0]["case_id"]
        ),
        (
            &Value::from(700),
            &Value::from("MktCloud Connector"),
            &burst["case_id"]
        )
    );
    let prefix = &burst["case_id"].as_str().unwrap()[..12];
    let of_case = ["findings", "list", "--case", prefix, "--format", "jsonl"];
    assert_eq!(run(&org, 0, &of_case).lines().count(), 701);
    let asked = "SELECT subject, day, severity, findings, gathered, rules, status FROM cases";
    let answer = run(&org, 0, &["sql", "--format", "csv", asked]);
    assert_eq!(
        answer.lines().nth(1),
        Some(
            "MktCloud Connector,2026-01-14,critical,701,700,\
             \"app-token-burst-new-ip,session-hijack-suspected\",new"
        )
    );
    let id = burst["finding_id"].as_str().unwrap();
    let shown = run(&org, 0, &["findings", "show", id]);
    assert!(
        shown.contains("  gathers   700 findings of 700 users: ")
            && shown.contains(" of MktCloud Connector on 2026-01-14, 701 findings")
            && shown.contains("    + 690 more: orgwatch findings list --case "),
        "{shown}"
    );
    let one = all.iter().find(|f| f["gathered_by"].is_string()).unwrap();
    let shown = run(
        &org,
        0,
        &["findings", "show", one["finding_id"].as_str().unwrap()],
    );
    assert!(
        shown.contains(&format!("  gathered  by finding {}: ", &id[..12])),
        "{shown}"
    );

    // The same night again, then one more victim that comes late, then nothing.
    night(&org, 0, "2026-01-15T04:00:00Z", &["day-14.csv"]);
    assert_eq!(told(&org).len(), 1);
    org.file("late.csv", login_file(&breach(701..702, 5)));
    let summary = night(&org, 1, "2026-01-16T03:00:00Z", &["late.csv"]);
    assert!(
        summary.contains("Findings  1 new (medium 1) in 1 case"),
        "{summary}"
    );
    let second = told(&org);
    assert_eq!(second.len(), 2);
    assert!(
        second[1].1.contains("Gathers 701 findings of 701 users: "),
        "{}",
        second[1].1
    );
    assert!(
        second[1]
            .0
            .starts_with("[orgwatch CRITICAL] 1 new finding - "),
        "{}",
        second[1].0
    );
    let summary = night(&org, 0, "2026-01-16T04:00:00Z", &["late.csv"]);
    assert!(summary.contains("Mail      none: "), "{summary}");
    assert_eq!(told(&org).len(), 2);
}

/// Logs of a machine: through the UI before midnight, from elsewhere after it.
fn files(org: &Org) {
    org.file(
        "day-14.csv",
        login_file(&[login(1, "2026-01-14T22:00:00Z", HOME, true)]),
    );
    org.file(
        "day-15.csv",
        login_file(&[login(1, "2026-01-15T01:00:00Z", ELSEWHERE, false)]),
    );
}

/// What must not depend on how the nights were run.
fn places(org: &Org) -> Vec<Vec<Value>> {
    let mut places: Vec<Vec<Value>> = findings(org)
        .iter()
        .map(|f| {
            let fields = [
                "finding_id",
                "severity",
                "raised_from",
                "raised_because",
                "case_id",
                "case_subject",
                "gathered_by",
            ];
            fields.map(|field| f[field].clone()).to_vec()
        })
        .collect();
    places.sort_by_key(|place| place[0].to_string());
    places
}

fn severity(org: &Org, rule: &str) -> (String, Option<String>) {
    let all = findings(org);
    let finding = all.iter().find(|f| f["rule_id"] == rule).unwrap();
    let text = |field: &str| finding[field].as_str().map(str::to_owned);
    (text("severity").unwrap(), text("raised_from"))
}

fn graded(severity: &str, raised_from: Option<&str>) -> (String, Option<String>) {
    (severity.to_owned(), raised_from.map(str::to_owned))
}

#[test]
fn a_second_rule_of_the_next_night_raises_the_first_finding_and_that_is_told_once() {
    let org = org(MACHINE);
    files(&org);
    night(&org, 1, "2026-01-15T03:00:00Z", &["day-14.csv"]);
    assert_eq!(severity(&org, UI), graded("high", None));
    assert_eq!(told(&org).len(), 1);

    let summary = night(&org, 1, "2026-01-16T03:00:00Z", &["day-15.csv"]);
    assert!(
        summary.contains("Findings  1 new (high 1) in 1 case, 1 ongoing"),
        "{summary}"
    );
    assert_eq!(severity(&org, UI), graded("critical", Some("high")));
    assert_eq!(severity(&org, HIJACK), graded("high", Some("medium")));
    let mails = told(&org);
    let subjects: Vec<&str> = mails.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(mails.len(), 2, "{subjects:#?}");
    assert!(
        subjects[1].starts_with("[orgwatch CRITICAL] 2 new findings - user1@"),
        "{subjects:#?}"
    );
    let because = "Raised from HIGH: within 24 hours another rule tells of the same integration \
                   user: session-hijack-suspected (finding ";
    assert!(mails[1].1.contains(because), "{}", mails[1].1);

    let id = findings(&org)[0]["finding_id"].as_str().unwrap().to_owned();
    let shown = run(&org, 0, &["findings", "show", &id]);
    assert!(
        shown.contains("  raised    from high: within 24 hours another rule")
            && shown.contains("Z ongoing orgwatch: raised from high to critical"),
        "{shown}"
    );

    let whole = places(&org);
    for now in ["2026-01-16T04:00:00Z", "2026-01-17T03:00:00Z"] {
        let summary = night(&org, 0, now, &["day-14.csv", "day-15.csv"]);
        assert!(summary.contains("Mail      none: nothing new"), "{summary}");
    }
    assert_eq!(places(&org), whole);

    // A run of one rule on one day sees the whole ledger all the same; its exit code, too.
    let one_rule = [
        "detect",
        "--rule",
        UI,
        "--since",
        "2026-01-14",
        "--until",
        "2026-01-14",
        "--fail-on",
        "critical",
    ];
    run(&org, 1, &one_rule);
    assert_eq!(places(&org), whole);
    assert_eq!(told(&org).len(), 2);
}

#[test]
fn nights_one_by_one_backwards_and_all_at_once_come_to_the_same() {
    let by_nights = |nights: &[(i32, &str, &[&str])]| {
        let org = org(MACHINE);
        files(&org);
        for (code, now, inputs) in nights {
            night(&org, *code, now, inputs);
        }
        places(&org)
    };
    let at_once = by_nights(&[(1, "2026-01-16T03:00:00Z", &["day-14.csv", "day-15.csv"])]);
    assert_eq!(at_once.len(), 2);
    let in_order: [(i32, &str, &[&str]); 2] = [
        (1, "2026-01-15T03:00:00Z", &["day-14.csv"]),
        (1, "2026-01-16T03:00:00Z", &["day-15.csv"]),
    ];
    assert_eq!(by_nights(&in_order), at_once);
    let backwards: [(i32, &str, &[&str]); 2] = [
        (0, "2026-01-16T03:00:00Z", &["day-15.csv"]),
        (1, "2026-01-16T04:00:00Z", &["day-14.csv"]),
    ];
    assert_eq!(by_nights(&backwards), at_once);
}

#[test]
fn what_detect_raised_the_next_run_tells_once() {
    let org = org(MACHINE);
    files(&org);
    night(&org, 1, "2026-01-15T03:00:00Z", &["day-14.csv"]);
    run(&org, 0, &["ingest", "day-15.csv"]);
    run(&org, 1, &["detect", "--now", "2026-01-16T02:00:00Z"]);
    assert_eq!(severity(&org, UI), graded("critical", Some("high")));
    assert_eq!(told(&org).len(), 1);
    night(&org, 0, "2026-01-16T03:00:00Z", &["day-15.csv"]);
    let mails = told(&org);
    let subjects: Vec<&str> = mails.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects.len(), 2, "{subjects:#?}");
    assert!(subjects[1].starts_with("[orgwatch CRITICAL] 2 new findings"));
    night(&org, 0, "2026-01-16T04:00:00Z", &["day-15.csv"]);
    assert_eq!(told(&org).len(), 2);
}

#[test]
fn a_finding_in_staging_raises_nothing() {
    let org = org(MACHINE);
    files(&org);
    let staged = rule(HIJACK, "medium", "user_key", ONE_USER).replace("active", "staging");
    org.file(&format!("rules/{HIJACK}.sql"), staged);
    night(
        &org,
        1,
        "2026-01-16T03:00:00Z",
        &["day-14.csv", "day-15.csv"],
    );
    assert_eq!(severity(&org, UI), graded("high", None));
    assert_eq!(severity(&org, HIJACK), graded("medium", None));
}

#[test]
fn a_person_weighs_more_where_the_roster_says_that_they_are_privileged() {
    let own = rule("own-attack", "medium", "user_key", ONE_USER);
    let night_of = |modifies_all: bool| {
        let org = org("");
        org.file("rules/own-attack.sql", &own);
        org.file(
            "Profile_2026-01-16.csv",
            format!("Id,Name,PermissionsModifyAllData\n00e000000000001AAA,Own,{modifies_all}\n"),
        );
        org.file(
            "User_2026-01-16.csv",
            "Id,Username,IsActive,ProfileId\n\
             005000000000001AAA,user1@example.com,true,00e000000000001AAA\n",
        );
        let mut row = login(1, "2026-01-15T01:00:00Z", ELSEWHERE, false);
        row.retain(|(name, _)| *name != "USER_ID");
        row.push(("USER_ID", "005000000000001".into()));
        org.file("day-15.csv", login_file(&[row]));
        let inputs = [
            "day-15.csv",
            "Profile_2026-01-16.csv",
            "User_2026-01-16.csv",
        ];
        let code = if modifies_all { 1 } else { 0 };
        night(&org, code, "2026-01-16T03:00:00Z", &inputs);
        severity(&org, HIJACK)
    };
    assert_eq!(night_of(false), graded("medium", None));
    assert_eq!(night_of(true), graded("high", Some("medium")));
}
