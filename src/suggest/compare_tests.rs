//! What the comparison of a declared registry with the logs promises.

use super::differences;
use super::fixture::{app, days, flow, machine, reality, sight};
use super::model::{Account, InRoster, Reality};
use crate::registry::{Registry, Resolution};

const HEAD: &str = "[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"\n";
const KEY: &str = "005000000000001AAA";

/// Kinds and lines of what differs; the entry begins on line 1, `lines` on line 4.
fn found_in(lines: &str, seen: &Reality) -> Vec<(&'static str, usize)> {
    let registry = Registry::parse(&format!("{HEAD}{lines}\n"), "registry.toml").unwrap();
    let known = [(KEY.to_owned(), "erp@example.com".to_owned())];
    let resolution = Resolution::new(&registry, known);
    let found = differences(&registry, &resolution, seen);
    assert!(found.iter().all(|(key, _)| key == KEY));
    let each = found.iter().map(|(_, p)| (p.kind.as_str(), p.at.line));
    each.collect()
}

fn found(lines: &str, account: Account) -> Vec<(&'static str, usize)> {
    found_in(lines, &reality(vec![account]))
}

const FITS: &str = "networks = [\"198.51.100.0/28\"]
apps = [\"erp  SYNC\"]
flows = [\"oauth_bearer\"]";

const BY_ID: &str = "{ name = \"Old name\", id = \"0H4000000000001\" }";

#[test]
fn a_registry_that_fits_differs_in_nothing() {
    assert_eq!(found(FITS, machine(1..=40)), []);
    let by_id = FITS.replace("\"erp  SYNC\"", BY_ID);
    assert_eq!(found(&by_id, machine(1..=40)), []);
}

#[test]
fn what_is_declared_and_never_used_is_reported_at_its_own_line() {
    let lines = "networks = [\n\"198.51.100.0/28\",\n\"2001:db8::/48\"]
apps = [\"ERP Sync\",\n\"Old\"]\nflows = [\"oauth_bearer\",\n\"soap_login\"]";
    assert_eq!(
        found(lines, machine(1..=40)),
        [
            ("unused_network", 6),
            ("unused_app", 8),
            ("unused_flow", 10)
        ]
    );
}

#[test]
fn never_means_nothing_while_the_logs_or_the_work_are_too_short() {
    let lines = "networks = [\"198.51.100.0/28\", \"203.0.113.0/28\"]";
    assert_eq!(found(lines, machine(1..=14)), [("unused_network", 4)]);
    assert_eq!(found(lines, machine(1..=13)), []);
    let mut short = reality(vec![machine(1..=40)]);
    short.covered = days(13..=40);
    assert_eq!(found_in(lines, &short), [("unused_network", 4)]);
    short.covered = days(14..=40);
    assert_eq!(found_in(lines, &short), []);
}

#[test]
fn a_network_is_judged_within_its_own_time() {
    let and = |other: &str| format!("networks = [\"198.51.100.0/28\", {other}]");
    let old = and("{ network = \"203.0.113.0/28\", valid_to = 2026-01-30 }");
    assert_eq!(found(&old, machine(1..=40)), []);
    let new = and("{ network = \"203.0.113.0/28\", valid_from = 2026-02-01 }");
    assert_eq!(found(&new, machine(1..=40)), []);
    // Nothing declares its address from the 20th to the end of January.
    let gap = "networks = [{ network = \"198.51.100.0/28\", valid_to = 2026-01-20 },
        { network = \"198.51.100.0/29\", valid_from = 2026-02-01 }]";
    assert_eq!(found(gap, machine(1..=40)), [("undeclared_address", 1)]);
}

#[test]
fn what_is_used_and_not_declared_is_reported_at_the_entry() {
    let mut account = machine(1..=40);
    let attacker = "192.0.2.66".parse().unwrap();
    account.addresses.insert(attacker, sight(20..=20));
    let foreign = app("0H4000000000002CAA", "ERP Sync", 20..=20);
    account.apps.push(foreign);
    account
        .flows
        .insert("ui_password".into(), flow(true, 20..=20));
    let all = [
        ("undeclared_address", 1),
        ("undeclared_app", 1),
        ("undeclared_flow", 1),
    ];
    let by_id = FITS.replace("\"erp  SYNC\"", BY_ID);
    assert_eq!(found(&by_id, account.clone()), all);
    // Nothing declared: nothing to differ from.
    assert_eq!(found("", account.clone()), []);
    // On the day of a window the rules look more closely.
    let window = "[[window]]\nkind = \"consent\"\nuser = \"erp@example.com\"
from = 2026-01-20T09:00:00Z\nto = 2026-01-20T10:00:00Z";
    assert_eq!(found(&format!("{by_id}\n{window}"), account.clone()), []);
    let other_day = window.replace("01-20", "01-21");
    assert_eq!(found(&format!("{by_id}\n{other_day}"), account), all);
}

#[test]
fn many_undeclared_addresses_are_counted_not_listed() {
    let mut account = machine(1..=40);
    for n in 0..50 {
        let ip = format!("192.0.2.{n}").parse().unwrap();
        account.addresses.insert(ip, sight(20..=20));
    }
    assert_eq!(found(FITS, account).len(), 11);
}

#[test]
fn a_user_that_fell_silent_is_reported_unless_it_works_seldom() {
    let nobody = reality(vec![]);
    assert_eq!(found_in(FITS, &nobody), [("silent_user", 1)]);
    let yearly = format!("{FITS}\ncadence = \"annual\"");
    assert_eq!(found_in(&yearly, &nobody), []);
    let mut short = nobody.clone();
    short.covered = days(14..=40);
    assert_eq!(found_in(FITS, &short), []);
}

#[test]
fn a_user_that_left_the_org_is_reported() {
    let mut seen = reality(vec![machine(1..=40)]);
    let mut roster = |key: &str, is_active| {
        seen.roster = Some([(key.to_owned(), InRoster { is_active })].into());
        found_in(FITS, &seen)
    };
    assert_eq!(roster("005000000000009AAA", true), [("gone_user", 1)]);
    assert_eq!(roster(KEY, false), [("deactivated_user", 1)]);
    assert_eq!(roster(KEY, true), []);
    seen.roster = Some(Default::default());
    let ended = format!("{FITS}\nvalid_to = 2026-02-09");
    assert_eq!(found_in(&ended, &seen), []);
}

#[test]
fn a_user_whom_only_the_roster_knows_is_silent_and_not_gone() {
    let registry = Registry::parse(&format!("{HEAD}{FITS}"), "registry.toml").unwrap();
    let mut seen = reality(vec![]);
    let mut kinds = |is_active| {
        let state = InRoster { is_active };
        seen.roster = Some([("erp@example.com".to_owned(), state)].into());
        let found = differences(&registry, &Resolution::new(&registry, []), &seen);
        let kinds = found.iter().map(|(_, p)| p.kind.as_str());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(true), ["silent_user"]);
    assert_eq!(kinds(false), ["deactivated_user"]);
}
