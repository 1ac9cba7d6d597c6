//! The watch watched: suppressions that are counted, end and do not hold during an incident; rules
//! that prove each night that they can see; accounts that the org marks as machines.

use serde_json::Value;

use crate::logs::{Org, login, login_file};
use crate::program::{command, expect, orgwatch, stderr, stdout};

const NOW: &str = "2026-01-16T03:00:00Z";
const BASE: &str = "[store]\ndata_dir = \"data\"\n\n[registry]\nfile = \"registry.toml\"\n\n\
                    [detect]\nfail_on = \"never\"\n\n";
const REGISTRY: &str = "[[user]]\nusername = \"user1@example.com\"\nrole = \"integration\"\n\
                        networks = [\"198.51.100.0/28\"]\nflows = [\"oauth_bearer\"]\n";

/// Finds every login that took `$least` milliseconds.
fn rule(id: &str) -> String {
    format!(
        r#"/*
id = "{id}"
title = "A rule of the operator's own"
family = "identity"
severity = "low"
status = "active"
version = 1
control = ["S0.17"]
attack = ["T1078.004"]
description = "Fires on every login"
false_positives = "None"
response = "Ask"
references = []
inputs = ["Login"]
dedupe = ["user_key"]
[params.least]
type = "int"
default = 1
meaning = "milliseconds"
*/
SELECT occurred_at, user_key, user_id, username, run_time AS spare
FROM logins
WHERE occurred_at >= $window_start AND occurred_at < $window_end AND run_time >= $least
ORDER BY occurred_at, user_key, line_no
"#
    )
}

/// A cases file whose only positive case is one login.
fn cases(run_time: u32) -> String {
    format!(
        r#"[defaults]
now = 2026-01-16T03:00:00Z
[[case]]
name = "One login"
kind = "positive"
[[case.file]]
event = "Login"
rows = [ {{ TIMESTAMP_DERIVED = "2026-01-15T10:00:00.000Z", USER_ID = "005000000000009", USER_NAME = "nine@example.com", LOGIN_TYPE = "i", LOGIN_STATUS = "LOGIN_NO_ERROR", SOURCE_IP = "198.51.100.3", RUN_TIME = {run_time} }} ]
[[case.expect]]
user = "nine@example.com"
severity = "low"
"#
    )
}

/// Two calm logins of user 1, the rule that accepts none of them, and this configuration.
fn org(settings: &str) -> Org {
    let org = Org::new();
    org.file("logins.csv", login_file(&[login(1, 0), login(1, 1)]));
    org.file("orgwatch.toml", format!("{BASE}{settings}"));
    org.file("registry.toml", REGISTRY);
    org.file("rules/own-rule.sql", rule("own-rule"));
    org
}

fn suppress(until: &str) -> String {
    format!(
        "[[suppress]]\nrule = \"own-rule\"\nuser = \"user1@example.com\"\nwhere = {{ spare = 12 }}\n\
         reason = \"as agreed\"\nowner = \"ops\"\nuntil = {until}\n"
    )
}

fn night(org: &Org, inputs: &[&str], now: &str) -> String {
    let mut arguments = vec!["run", "--rules-dir", "rules", "--now", now];
    arguments.extend(inputs);
    expect(0, orgwatch(&org.path(""), &arguments))
}

fn findings(org: &Org, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["findings", "list", "--format", "jsonl"];
    all.extend(arguments);
    expect(0, orgwatch(&org.path(""), &all))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sql(org: &Org, query: &str) -> String {
    let all = ["sql", "--format", "csv", query];
    expect(0, orgwatch(&org.path(""), &all)).replace("\r\n", "\n")
}

/// `login` through the user interface: misuse of an integration user.
fn ui_login(n: usize, minute: usize) -> Vec<(&'static str, String)> {
    let mut row = login(n, minute);
    row.retain(|(name, _)| !["LOGIN_TYPE", "URI"].contains(name));
    row.push(("LOGIN_TYPE", "A".into()));
    row.push(("LOGIN_SUB_TYPE", "UsernamePasswordUiLogin".into()));
    row.push(("URI", "/index.jsp".into()));
    row
}

#[test]
fn what_is_suppressed_is_still_computed_counted_and_listed() {
    let org = org(&suppress("2026-03-01"));
    let summary = night(&org, &["logins.csv", "-v"], NOW);
    assert!(summary.contains("1 suppressed"), "{summary}");
    assert!(
        summary.contains(
            "suppressed: 1 by own-rule of user1@example.com where spare = 12, until 2026-03-01"
        ),
        "{summary}"
    );
    assert!(
        summary.contains("low  own-rule  user1@example.com  2026-01-15"),
        "{summary}"
    );
    let listed = findings(&org, &["--status", "suppressed"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["family"], "identity");
    let table = ["findings", "list", "--status", "suppressed"];
    let table = expect(0, orgwatch(&org.path(""), &table));
    assert!(
        table.contains("suppressed_by") && table.contains("suppress-"),
        "{table}"
    );
    let query = "SELECT rule, user_ref, conditions, is_expired, matched FROM suppressions";
    assert_eq!(
        sql(&org, query),
        "rule,user_ref,conditions,is_expired,matched\n\
         own-rule,user1@example.com,spare = 12,false,1\n"
    );
}

#[test]
fn a_suppression_past_its_end_hides_nothing_and_is_a_finding_while_it_matches() {
    let org = org(&suppress("2026-01-15"));
    let summary = night(&org, &["logins.csv"], NOW);
    assert!(
        summary.contains(
            "suppression of own-rule expired on 2026-01-15 (ops): it would still hide 1 finding"
        ),
        "{summary}"
    );
    assert_eq!(findings(&org, &["--status", "suppressed"]).len(), 0);
    assert_eq!(findings(&org, &["--rule", "own-rule"]).len(), 1);
    let stale = findings(&org, &["--rule", "registry-stale"]);
    assert_eq!(stale.len(), 1, "{stale:?}");
    assert_eq!(
        (&stale[0]["severity"], &stale[0]["evidence"]["matched"]),
        (&"medium".into(), &1.into())
    );
    // The same night again does not tell it twice.
    night(&org, &["logins.csv"], NOW);
    assert_eq!(findings(&org, &["--rule", "registry-stale"]).len(), 1);
    // Removed: it is over.
    org.file("orgwatch.toml", BASE);
    night(&org, &["logins.csv"], NOW);
    assert_eq!(
        findings(
            &org,
            &["--rule", "registry-stale", "--status", "new,ongoing"]
        )
        .len(),
        0
    );
}

#[test]
fn what_was_accepted_of_an_accounts_design_does_not_hold_while_it_is_misused() {
    let org = org(&suppress("2026-03-01"));
    org.file(
        "misuse.csv",
        login_file(&[login(1, 0), login(1, 1), ui_login(1, 5)]),
    );
    night(&org, &["logins.csv"], NOW);
    assert_eq!(findings(&org, &["--status", "suppressed"]).len(), 1);
    night(&org, &["misuse.csv"], "2026-01-16T04:00:00Z");
    assert_eq!(findings(&org, &["--rule", "integration-ui-login"]).len(), 1);
    let own = findings(&org, &["--rule", "own-rule"]);
    assert_eq!(own[0]["suppressed_by"], Value::Null);
    assert_eq!(own[0]["status"], "new");
    let why = own[0]["evidence"]["suppression_void"].as_str().unwrap();
    assert!(
        why.contains("does not hold while integration-ui-login (finding "),
        "{why}"
    );
    assert!(sql(&org, "SELECT matched FROM suppressions").ends_with("\n0\n"));
}

#[test]
fn a_suppression_that_would_blind_a_rule_or_never_end_is_refused_with_its_line() {
    for (from, to, says) in [
        ("where = { spare = 12 }\n", "", "orgwatch.toml:10:"),
        (
            "until = 2026-03-01",
            "until = 2026-07-16",
            "orgwatch.toml:16:",
        ),
        ("reason = \"as agreed\"\n", "", "`reason` is missing"),
        ("owner = \"ops\"\n", "", "`owner` is missing"),
        ("\"own-rule\"", "\"own-rul\"", "did you mean `own-rule`?"),
    ] {
        let text = suppress("2026-03-01");
        let wrong = text.replace(from, to);
        assert_ne!(text, wrong);
        let org = org(&wrong);
        let run = ["run", "logins.csv", "--rules-dir", "rules", "--now", NOW];
        let output = orgwatch(&org.path(""), &run);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{to}: {said}");
        assert!(said.contains(says), "{says}: {said}");
        assert!(!org.path("data").exists());
    }
}

#[test]
fn a_rule_that_no_longer_finds_its_own_example_is_reported() {
    let org = org(
        "[rules.\"tuned-rule\"]\nparams = { least = 100 }\n\n[rules.\"off-rule\"]\nstatus = \"off\"\n",
    );
    for (id, cases) in [
        ("own-rule", cases(12)),
        ("tuned-rule", cases(12)),
        ("quiet-rule", cases(0)),
        ("broken-rule", "[[case]]\nname = 7\n".to_owned()),
        ("off-rule", cases(0)),
    ] {
        org.file(&format!("rules/{id}.sql"), rule(id));
        org.file(&format!("rules/{id}.cases.toml"), cases);
    }
    let run = [
        "run",
        "logins.csv",
        "--rules-dir",
        "rules",
        "--now",
        NOW,
        "-v",
    ];
    let output = command(&org.path(""), &run)
        .env("ORGWATCH_CANARIES", "true")
        .output()
        .unwrap();
    let summary = expect(0, output);
    let states = sql(
        &org,
        "SELECT state, rule_id FROM canaries WHERE state <> 'fired' OR rule_id = 'own-rule' ORDER BY 1",
    );
    assert_eq!(
        states,
        "state,rule_id\nfailed,broken-rule\nfired,own-rule\n\
         silenced_by_settings,tuned-rule\nsilent,quiet-rule\n",
        "{summary}"
    );
    for line in [
        "1 silent, 1 failed, 1 silenced by settings, in ",
        "silent: quiet-rule: no finding for nine@example.com (case: One login)",
        "failed: broken-rule: ",
        "silenced by settings: tuned-rule: ",
        " ms  own-rule  ok, 1 finding",
    ] {
        assert!(summary.contains(line), "{line}: {summary}");
    }
    let inert = |subject: &str| {
        let all = findings(&org, &["--rule", "detection-inert"]);
        let mut found = all
            .into_iter()
            .filter(|f| f["evidence"]["subject"] == subject);
        found
            .next()
            .map(|f| f["severity"].as_str().unwrap().to_owned())
    };
    assert_eq!(inert("quiet-rule").as_deref(), Some("medium"));
    assert_eq!(inert("broken-rule").as_deref(), Some("medium"));
    assert_eq!(inert("tuned-rule").as_deref(), Some("low"));
    assert_eq!(inert("off-rule"), None);
    assert_eq!(inert("own-rule"), None);

    // Every rule that is built in still finds its own example.
    let fired = sql(&org, "SELECT count(*) FROM canaries WHERE state = 'fired'");
    let fired: usize = fired.lines().nth(1).unwrap().parse().unwrap();
    assert!(fired > 14, "{fired}");

    // The same night again does not try them again; a rule that has changed does.
    let again = |rules: &str| {
        let output = command(&org.path(""), &run)
            .env("ORGWATCH_CANARIES", "true")
            .output();
        let summary = expect(0, output.unwrap());
        assert_eq!(
            summary.contains(", earlier today"),
            rules == "same",
            "{summary}"
        );
    };
    again("same");

    // Switched off, the summary says so and the last word stays.
    let quiet = [&run[..6], &["--no-canaries"]].concat();
    let output = command(&org.path(""), &quiet)
        .env("ORGWATCH_CANARIES", "true")
        .output()
        .unwrap();
    assert!(
        stdout(&output).contains("Canaries  switched off"),
        "{}",
        stderr(&output)
    );
    assert_eq!(inert("quiet-rule").as_deref(), Some("medium"));

    // Mended: it is over.
    org.file("rules/quiet-rule.cases.toml", cases(12));
    again("changed");
    let open = findings(
        &org,
        &["--rule", "detection-inert", "--status", "new,ongoing"],
    );
    let subjects: Vec<_> = open
        .iter()
        .map(|f| f["evidence"]["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["broken-rule", "tuned-rule"]);
}

#[test]
fn an_account_that_the_org_marks_as_a_machine_is_one_to_every_view() {
    let org = org("");
    org.file(
        "logins2.csv",
        login_file(&[login(2, 0), login(3, 0), login(4, 0), login(5, 0)]),
    );
    org.file(
        "User_2026-01-15.csv",
        "Id,Username,IsActive,UserType,ProfileId,Profile.UserLicense.Name\n\
         005000000000002AAA,user2@example.com,true,Standard,00e000000000001AAA,Salesforce Integration\n\
         005000000000003AAA,user3@example.com,true,Standard,00e000000000002AAA,Salesforce\n\
         005000000000004AAA,user4@example.com,true,Standard,00e000000000003AAA,Salesforce\n\
         005000000000005AAA,user5@example.com,true,Guest,00e000000000003AAA,Guest User License\n",
    );
    org.file(
        "Profile_2026-01-15.csv",
        "Id,Name,PermissionsApiUserOnly\n00e000000000002AAA,People,false\n00e000000000003AAA,Machines,true\n",
    );
    night(
        &org,
        &[
            "logins2.csv",
            "User_2026-01-15.csv",
            "Profile_2026-01-15.csv",
        ],
        NOW,
    );
    let roles = "SELECT username, role, role_source FROM logins ORDER BY 1";
    let expected = "username,role,role_source\n\
                    user2@example.com,integration,inferred\n\
                    user3@example.com,human,inferred\n\
                    user4@example.com,integration,inferred\n\
                    user5@example.com,human,inferred\n";
    assert_eq!(sql(&org, roles), expected);
    let users = "SELECT username, role FROM users WHERE role = 'integration' ORDER BY 1";
    assert_eq!(
        sql(&org, users),
        "username,role\nuser2@example.com,integration\nuser4@example.com,integration\n"
    );
}
