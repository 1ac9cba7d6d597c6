//! What a proposal promises: what it holds, what it never lets in, and that it reads back.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::{app, day, flow, machine, reality, sight};
use super::model::{Account, PlatformAccount, Reality, Sight};
use super::write::{Proposal, Style, propose};
use crate::privacy::is_unsafe_to_show;
use crate::registry::{Bounds, Cadence, Registry, Resolution};

fn proposal(reality: &Reality) -> Proposal {
    let style = Style {
        bounds: Bounds::default(),
        registry: &Registry::empty(),
        resolution: &Resolution::default(),
        registry_file: "",
        with_declared: false,
        only: None,
    };
    propose(reality, &style).unwrap()
}

fn parsed(account: Account) -> (String, Registry) {
    let toml = proposal(&reality(vec![account])).toml;
    let registry = Registry::parse(&toml, "proposed").unwrap();
    (toml, registry)
}

fn networks(account: Account) -> String {
    let (_, registry) = parsed(account);
    let nets = registry.users[0].networks.iter();
    let nets: Vec<String> = nets.map(|net| net.value.to_string()).collect();
    nets.join(" ")
}

fn at(account: &mut Account, ip: &str, seen: Sight) {
    account.addresses.insert(ip.parse().unwrap(), seen);
}

#[test]
fn an_address_of_one_day_is_shown_and_not_admitted() {
    let mut account = machine(1..=40);
    at(&mut account, "192.0.2.66", sight(20..=20));
    at(&mut account, "2001:db8:bad::1", sight(40..=40));
    let (toml, registry) = parsed(account);
    assert_eq!(registry.users[0].networks.len(), 1);
    let line = "# \"192.0.2.66/32\",  # NOT PROPOSED: one day only (2026-01-20), 1 login";
    assert!(toml.contains(line), "{toml}");
    assert!(toml.contains("# \"2001:db8:bad::1/128\""), "{toml}");
}

#[test]
fn an_attack_that_went_on_for_the_last_nights_is_not_admitted() {
    let mut account = machine(1..=40);
    at(&mut account, "192.0.2.66", sight(34..=40));
    let (toml, registry) = parsed(account);
    assert_eq!(registry.users[0].networks.len(), 1);
    assert!(
        toml.contains("NOT PROPOSED: new since 2026-02-03"),
        "{toml}"
    );

    // What began the day before is a habit of eight nights.
    let mut account = machine(1..=40);
    at(&mut account, "192.0.2.66", sight(33..=40));
    assert_eq!(networks(account), "192.0.2.66/32 198.51.100.3/32");
}

#[test]
fn a_seldom_address_is_admitted_among_its_neighbours_unless_it_is_of_the_last_nights() {
    let mut account = machine(1..=40);
    at(&mut account, "198.51.100.14", sight(33..=33));
    assert_eq!(networks(account), "198.51.100.0/28");
    let mut account = machine(1..=40);
    at(&mut account, "198.51.100.14", sight(34..=34));
    assert_eq!(networks(account), "198.51.100.3/32");
}

#[test]
fn of_a_machine_that_is_itself_new_two_days_are_enough_and_the_doubt_is_said() {
    let (toml, registry) = parsed(machine(39..=40));
    assert_eq!(registry.users[0].networks.len(), 1);
    assert!(toml.contains("# confidence  low"), "{toml}");
    let (toml, registry) = parsed(machine(40..=40));
    assert!(registry.users[0].networks.is_empty() && registry.users[0].flows.is_empty());
    assert!(toml.contains("#     \"198.51.100.3/32\""), "{toml}");
    assert!(toml.contains("none of its addresses came back"), "{toml}");
}

#[test]
fn hosts_of_one_ipv6_network_that_change_their_address_daily_are_that_network() {
    let mut account = machine(1..=40);
    account.addresses.clear();
    for n in 1..=40 {
        at(&mut account, &format!("2001:db8:20:1::{n:x}"), sight(n..=n));
    }
    assert_eq!(networks(account), "2001:db8:20:1::/64");
}

#[test]
fn a_network_that_the_machine_left_ends_on_the_day_after() {
    let mut account = machine(1..=40);
    at(&mut account, "203.0.113.9", sight(1..=26));
    let (toml, registry) = parsed(account);
    let left = &registry.users[0].networks[1];
    assert_eq!(left.value.to_string(), "203.0.113.9/32");
    let end = day(27).and_hms_opt(0, 0, 0).unwrap().and_utc();
    assert_eq!(left.valid.to_ms, end.timestamp_millis());
    assert!(toml.contains("valid_to = 2026-01-27"), "{toml}");
    // Thirteen days of silence may be a failover.
    let mut account = machine(1..=40);
    at(&mut account, "203.0.113.9", sight(1..=27));
    assert!(!parsed(account).0.contains("valid_to"));
}

#[test]
fn a_ui_login_is_a_warning_and_never_a_flow() {
    let mut account = machine(1..=40);
    account.ui_logins = 39;
    account
        .flows
        .insert("ui_password".into(), flow(true, 1..=39));
    account.flows.insert("unmapped".into(), flow(false, 1..=39));
    let (toml, registry) = parsed(account);
    let flows: Vec<_> = registry.users[0].flows.iter().map(|f| f.value).collect();
    assert_eq!(flows, ["oauth_bearer"]);
    let warning = "# WARNING     39 UI logins (ui_password) on 2026-01-01";
    assert!(toml.contains(warning), "{toml}");
    assert!(
        toml.contains("# WARNING     39 logins (unmapped)"),
        "{toml}"
    );
    assert!(toml.contains("# confidence  medium"), "{toml}");
}

#[test]
fn a_foreign_app_of_one_day_and_a_look_alike_are_not_admitted() {
    let mut account = machine(1..=40);
    let foreign = app("0H4000000000002CAA", "ERP Sync", 20..=20);
    account.apps.push(foreign);
    account.apps.push(app("", "ERP Sync\u{202e}", 1..=40));
    account.apps.push(app("", "\u{ff25}RP Sync", 1..=39));
    account.apps.push(app("", "Other", 1..=40));
    let (toml, registry) = parsed(account);
    let apps = registry.users[0].apps.iter();
    let names: Vec<_> = apps
        .map(|app| (app.value.name.as_deref(), app.value.id.as_deref()))
        .collect();
    assert_eq!(
        names,
        [
            (Some("ERP Sync"), Some("0H4000000000001CAA")),
            (Some("Other"), None)
        ]
    );
    assert!(toml.contains("looks like that of another app"), "{toml}");
    assert!(toml.contains("characters that cannot be seen"), "{toml}");
    let names: Vec<_> = registry.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["ERP Sync", "Other"], "{toml}");
}

#[test]
fn hours_are_proposed_for_a_machine_that_keeps_them_and_cadence_by_its_pauses() {
    let mut account = machine(1..=40);
    let set = |account: &mut Account, hours: &[u8]| {
        account.slots.clear();
        for weekday in 1..=5 {
            account
                .slots
                .extend(hours.iter().map(|hour| ((weekday, *hour), 5)));
        }
        // Once, on a Sunday at noon: no habit.
        account.slots.insert((7, 12), 1);
    };
    set(&mut account, &[22, 23, 0, 1]);
    account.pauses = BTreeMap::from([(60, 100), (1200, 30)]);
    let user = &parsed(account.clone()).1.users[0];
    assert_eq!(user.hours[0].value.to_string(), "daily 21:00-03:00");
    assert_eq!(user.cadence, Some(Cadence::Daily));

    set(&mut account, &[9, 10, 11]);
    account.pauses = BTreeMap::from([(5, 1000), (600, 30)]);
    let user = &parsed(account.clone()).1.users[0];
    assert_eq!(user.hours[0].value.to_string(), "mon-fri 08:00-13:00");
    assert_eq!(user.cadence, Some(Cadence::Continuous));

    let most: Vec<u8> = (0..17).collect();
    set(&mut account, &most);
    let user = &parsed(account).1.users[0];
    assert!(
        user.hours.is_empty(),
        "a rest of seven hours keeps no hours"
    );
}

#[test]
fn two_accounts_of_one_username_are_two_entries() {
    let mut other = machine(1..=40);
    other.key = "005000000000002AAA".into();
    other.user_id = Some(other.key.clone());
    let both = reality(vec![machine(1..=40), other]);
    let registry = Registry::parse(&proposal(&both).toml, "proposed").unwrap();
    let users = registry.users.iter();
    let names: Vec<_> = users.map(|u| u.username.is_some()).collect();
    assert_eq!(names, [true, false]);
    assert_eq!(registry.apps.len(), 1);
}

#[test]
fn what_is_declared_is_left_out_and_shown_with_its_differences_when_asked() {
    let declared = "[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"
networks = [\"203.0.113.0/28\"]\n[[app]]\nname = \"erp sync\"\n";
    let declared = Registry::parse(declared, "registry.toml").unwrap();
    let known = [(
        "005000000000001AAA".to_owned(),
        "erp@example.com".to_owned(),
    )];
    let resolution = Resolution::new(&declared, known);
    let style = Style {
        bounds: Bounds::default(),
        registry: &declared,
        resolution: &resolution,
        registry_file: "registry.toml",
        with_declared: false,
        only: None,
    };
    let seen = reality(vec![machine(1..=40)]);
    let without = propose(&seen, &style).unwrap();
    assert_eq!((without.machines, without.declared), (0, 1));
    assert!(!without.toml.contains("[["), "{}", without.toml);
    let style = Style {
        with_declared: true,
        ..style
    };
    let toml = propose(&seen, &style).unwrap().toml;
    for difference in [
        "registry.toml:1 address 198.51.100.3 is not declared",
        "registry.toml:4 network 203.0.113.0/28 was never used",
    ] {
        let line = format!("# DIFFERS     {difference}");
        assert!(toml.contains(&line), "{toml}");
    }
    assert!(!toml.contains("[[app]]"), "{toml}");
}

#[test]
fn the_platform_and_guests_are_entries_of_their_role() {
    let mut seen = reality(vec![]);
    seen.platform.push(PlatformAccount {
        key: "005000000000009AAA".into(),
        user_id: Some("005000000000009AAA".into()),
        username: None,
        role: "guest".into(),
        events: 3,
        first_at: None,
        last_at: None,
    });
    let registry = Registry::parse(&proposal(&seen).toml, "proposed").unwrap();
    assert_eq!(registry.users[0].role.as_str(), "guest");
}

#[test]
fn logs_without_anything_give_a_registry_without_entries() {
    let nothing = proposal(&Reality::default());
    let registry = Registry::parse(&nothing.toml, "proposed").unwrap();
    assert_eq!(registry, Registry::empty());
    assert_eq!((nothing.machines, nothing.platform), (0, 0));
}

#[test]
fn the_order_of_accounts_changes_no_byte() {
    let mut other = machine(1..=30);
    other.key = "005000000000002AAA".into();
    other.user_id = Some(other.key.clone());
    other.username = Some("abc@example.com".into());
    let forth = proposal(&reality(vec![machine(1..=40), other.clone()]));
    let back = proposal(&reality(vec![other, machine(1..=40)]));
    assert_eq!(forth, back);
}

/// Text as an attacker would choose it.
fn hostile() -> impl Strategy<Value = String> {
    let nasty = [
        "\"]\n[[user]]\nusername = \"evil@example.com\"\nrole = \"human\"\n#",
        "a\r# b\u{2028}c\u{202e}\u{0}\u{7f}\u{85}",
        "'''\\u0022\"\"\" = [",
        "  ",
        "0H4000000000001AAA",
        "erp@example.com",
        "evil@example.com\n[[user]]",
        "oauth_refresh\"]\nallow_salesforce_ip = true #",
    ];
    let nasty = prop::sample::select(nasty.map(str::to_owned).to_vec());
    prop_oneof![nasty, any::<String>(), "[a-z ]{0,8}"]
}

proptest! {
    #[test]
    fn no_text_of_a_log_breaks_out_of_the_proposal(
        texts in prop::collection::vec(hostile(), 8),
        ids in prop::collection::vec(hostile(), 3),
    ) {
        let mut account = machine(1..=40);
        account.username = Some(texts[0].clone());
        account.user_id = Some(texts[1].clone());
        account.key = texts[2].clone();
        let apps = texts[3..6].iter().zip(&ids);
        account.apps = apps.map(|(label, id)| app(id, label, 1..=40)).collect();
        account.apps.push(app("", &texts[6], 1..=1));
        account.flows.insert(texts[7].clone(), flow(true, 1..=40));
        account.flows.insert(texts[6].clone(), flow(false, 1..=40));
        let seen = reality(vec![account.clone(), machine(1..=40), account]);
        let proposal = proposal(&seen);
        for line in proposal.toml.lines() {
            prop_assert!(!line.chars().any(is_unsafe_to_show), "{line:?}");
        }
        let registry = Registry::parse(&proposal.toml, "proposed").unwrap();
        for user in &registry.users {
            prop_assert_eq!(user.role.as_str(), "integration");
            prop_assert!(user.name() != "evil@example.com" && !user.allow_salesforce_ip);
            let flows: Vec<_> = user.flows.iter().map(|flow| flow.value).collect();
            prop_assert_eq!(flows, ["oauth_bearer"]);
        }
    }
}
