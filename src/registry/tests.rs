//! What the registry file promises: what it accepts, and each refusal with its place and hint.

use chrono::{DateTime, Utc};

use super::*;
use crate::config::UserRef;

pub(super) const DESIGN: &str = r#"
[[user]]
username = "erp@example.com"            # or id
role     = "integration"
system   = "ERP"
owner    = "erp-team@example.com"
networks = ["198.51.100.0/28", "2001:db8:10::/48"]
apps     = [{ name = "ERP Sync", id = "0H4000000000001AAA" }]
flows    = ["oauth_bearer"]
[[app]]
name = "ERP Sync"
id = "0H4000000000001AAA"
vendor = "own"
grant = "jwt_bearer"
subjects = ["erp@example.com"]
[[window]]
kind = "consent"
user = "erp@example.com"
from = 2026-01-15T09:00:00Z
to   = 2026-01-15T10:00:00Z
networks = ["198.51.100.0/28"]
ticket = "CHG-77"
"#;

pub(super) fn ms(text: &str) -> i64 {
    text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
}

/// One integration user with `lines`; they begin on line 4.
pub(super) fn user(lines: &str) -> String {
    format!("[[user]]\nusername = \"erp@example.com\"\nrole = \"integration\"\n{lines}\n")
}

pub(super) fn parse(text: &str) -> Registry {
    Registry::parse(text, "registry.toml").unwrap()
}

pub(super) fn refusal(text: &str) -> (String, String) {
    let Err(RegistryError::Fault(fault)) = Registry::parse(text, "registry.toml") else {
        panic!("accepted: {text}")
    };
    (
        format!("{}: {}", fault.at, fault.message),
        fault.hint.unwrap_or_default(),
    )
}

#[test]
fn the_documented_example_is_read_as_it_stands() {
    let registry = parse(DESIGN);
    let user = &registry.users[0];
    assert_eq!(
        (user.username.as_deref(), user.role),
        (Some("erp@example.com"), Role::Integration)
    );
    assert_eq!(user.networks[1].value.to_string(), "2001:db8:10::/48");
    assert_eq!(user.apps[0].value.id.as_deref(), Some("0H4000000000001CAA"));
    assert_eq!(user.flows[0].value, "oauth_bearer");
    assert_eq!(user.valid, Validity::ALWAYS);
    assert!(!user.allow_salesforce_ip);
    assert_eq!(
        registry.apps[0].subjects,
        [UserRef::Username("erp@example.com".into())]
    );
    assert_eq!(registry.apps[0].grant.as_deref(), Some("jwt_bearer"));
    let window = &registry.windows[0];
    assert_eq!(window.valid.from_ms, ms("2026-01-15T09:00:00Z"));
    assert_eq!(
        (window.kind, window.ticket.as_deref()),
        (WindowKind::Consent, Some("CHG-77"))
    );
}

#[test]
fn usernames_compare_without_case_and_ids_in_18_characters() {
    let registry = parse(
        "[[user]]\nusername = \" ERP@Example.COM \"\nrole = \"ci\"\n[[user]]\nid = \"0055j00000AT6I1\"\nrole = \"guest\"\n",
    );
    assert_eq!(
        registry.users[0].username.as_deref(),
        Some("erp@example.com")
    );
    assert_eq!(
        registry.users[1].user_id.as_deref(),
        Some("0055j00000AT6I1AAL")
    );
    assert_eq!(registry.users[1].name(), "0055j00000AT6I1AAL");
}

#[test]
fn networks_apps_and_flows_are_plain_text_or_tables_with_their_own_time() {
    let registry = parse(&user(
        r#"valid_to = 2027-01-01
networks = ["192.0.2.1", { network = "198.51.100.0/28", valid_from = 2026-01-01, ticket = "CHG-1" }, { cidr = "203.0.113.0/26" }]
apps = ["ERP Sync", "0H4000000000001", { name = "Old", valid_to = 2026-01-01 }]
flows = ["oauth_refresh", { flow = "soap_login", valid_to = 2026-06-30T12:00:00+02:00 }]
allow_ui_paths = ["/secur/frontdoor.jsp"]
gateway_networks = ["203.0.113.64/29"]
allow_salesforce_ip = true"#,
    ));
    let user = &registry.users[0];
    assert_eq!(user.networks[0].value.to_string(), "192.0.2.1/32");
    assert_eq!(user.networks[1].valid.from_ms, ms("2026-01-01T00:00:00Z"));
    assert_eq!(user.networks[1].valid.to_ms, ms("2027-01-01T00:00:00Z"));
    assert_eq!(user.networks[1].ticket.as_deref(), Some("CHG-1"));
    assert_eq!(user.apps[0].value.name.as_deref(), Some("ERP Sync"));
    assert_eq!(user.apps[1].value.id.as_deref(), Some("0H4000000000001CAA"));
    assert_eq!(user.flows[1].valid.to_ms, ms("2026-06-30T10:00:00Z"));
    assert_eq!(user.allow_ui_paths[0].value, "/secur/frontdoor.jsp");
    assert_eq!(
        user.gateway_networks[0].value.to_string(),
        "203.0.113.64/29"
    );
    assert!(user.allow_salesforce_ip);
}

#[test]
fn entries_of_one_user_may_adjoin() {
    let both = format!(
        "{}{}",
        user("valid_to = 2026-02-01"),
        user("valid_from = \"2026-02-01\"")
    );
    assert_eq!(parse(&both).users.len(), 2);
    let flows = r#"flows = [{ flow = "soap_login", valid_to = 2026-02-01 }, { flow = "soap_login", valid_from = 2026-02-01 }]"#;
    assert_eq!(parse(&user(flows)).users[0].flows.len(), 2);
}

#[test]
fn an_empty_file_is_an_empty_registry() {
    assert_eq!(parse(""), Registry::empty());
}

#[test]
fn each_mistake_in_a_user_is_refused_with_place_and_hint() {
    for (lines, message, hint) in [
        (
            "network = []",
            "4:1: unknown key `network` in [[user]]",
            "did you mean `networks`?",
        ),
        (
            "networks = \"192.0.2.1\"",
            "4:12: `networks` must be a list",
            "",
        ),
        (
            "networks = [\"198.51.100.7/28\"]",
            "4:13: \"198.51.100.7/28\" has bits set",
            "the network is 198.51.100.0/28",
        ),
        (
            "networks = [\"198.51.100.0/33\"]",
            "4:13: \"198.51.100.0/33\" has no valid prefix",
            "0 to 32",
        ),
        (
            "networks = [{ network = \"erp\" }]",
            "4:25: \"erp\" is no network",
            "address/prefix",
        ),
        (
            "networks = [{ valid_from = 2026-01-01 }]",
            "4:13: `network` is missing in an entry of `networks`",
            "network =",
        ),
        (
            "networks = [{ net = \"192.0.2.1\" }]",
            "4:15: unknown key `net`",
            "network",
        ),
        (
            "flows = [\"oauth_bearr\"]",
            "4:10: unknown flow \"oauth_bearr\"",
            "did you mean `oauth_bearer`?",
        ),
        (
            "flows = [\"jwt\"]",
            "4:10: unknown flow \"jwt\"",
            "one of: ui_password, ",
        ),
        (
            "flows = [\"soap_login\",\n\"soap_login\"]",
            "5:1: flow `soap_login` is declared already on line 4",
            "remove one",
        ),
        (
            "networks = [\"192.0.2.0/24\", \"192.0.2.0/24\"]",
            "4:29: network 192.0.2.0/24 is declared already",
            "remove one",
        ),
        (
            "apps = [\"ERP Sync\", { name = \"erp sync\" }]",
            "4:21: app `erp sync` is declared already",
            "",
        ),
        (
            "apps = [{ valid_from = 2026-01-01 }]",
            "4:9: this app has neither",
            "0H4",
        ),
        (
            "apps = [{ id = \"0H4\" }]",
            "4:16: \"0H4\" is no Salesforce id",
            "15 or 18",
        ),
        (
            "apps = [{ nam = \"x\" }]",
            "4:11: unknown key `nam` in an entry of `apps`",
            "`name`",
        ),
        (
            "id = \"0055j00000AT6I1AAM\"",
            "4:6: the last three characters",
            "0055j00000AT6I1AAL",
        ),
        (
            "id = \"0015j00000AT6I1\"",
            "4:6: \"0015j00000AT6I1\" is no user id",
            "005",
        ),
        (
            "valid_from = 2026-02-01\nvalid_to = 2026-01-01",
            "5:12: `valid_to` is not after `valid_from`",
            "first moment",
        ),
        (
            "valid_from = 2026-02-01\nvalid_to = 2026-02-01",
            "5:12: `valid_to` is not after",
            "",
        ),
        (
            "valid_from = 2026-02-01T09:00:00",
            "4:14: `valid_from` is no moment",
            "2026-01-15T09:00:00Z",
        ),
        (
            "valid_from = \"soon\"",
            "4:14: `valid_from` is no moment",
            "2026-01-15",
        ),
        ("valid_from = 2026", "4:14: `valid_from` must be a date", ""),
        (
            "valid_to = 2026-01-01\nflows = [{ flow = \"soap_login\", valid_from = 2026-02-01 }]",
            "5:10: this never holds",
            "valid_from",
        ),
        (
            "allow_salesforce_ip = \"yes\"",
            "4:23: `allow_salesforce_ip` must be true or false",
            "",
        ),
        ("owner = \"\"", "4:9: `owner` is empty", "leave the key out"),
        (
            "system = \"a\\u0007b\"",
            "4:10: `system` holds a control character",
            "",
        ),
        (
            "[[user]]\nrole = \"human\"",
            "4:1: this [[user]] does not say who it is",
            "username =",
        ),
        (
            "[[user]]\nusername = \"x@example.com\"",
            "4:1: `role` is missing in [[user]]",
            "one of: integration",
        ),
        (
            "[[user]]\nusername = \"erp\"\nrole = \"human\"",
            "5:12: \"erp\" is no username",
            "name@domain",
        ),
        (
            "[[user]]\nusername = \"x@example.com\"\nrole = \"integraton\"",
            "6:8: unknown role \"integraton\"",
            "`integration`",
        ),
        (
            "[[user]]\nusername = \"ERP@example.com\"\nrole = \"human\"",
            "4:1: user `erp@example.com` is declared already on line 1",
            "valid_to of the earlier",
        ),
        (
            "[[users]]",
            "4:3: unknown key `users` at the top of the file",
            "did you mean `user`?",
        ),
    ] {
        let refused = refusal(&user(lines));
        assert!(refused.0.contains(message), "{lines}: {refused:?}");
        assert!(refused.1.contains(hint), "{lines}: {refused:?}");
    }
}

#[test]
fn each_mistake_in_an_app_or_a_window_is_refused_with_place_and_hint() {
    let window = |line: &str| {
        let key = line.split(' ').next().unwrap();
        [
            "[[window]]",
            "kind = \"consent\"",
            "user = \"a@example.com\"",
            "from = 2026-01-15",
            "to = 2026-01-16",
        ]
        .map(|own| if own.starts_with(key) { line } else { own })
        .join("\n")
    };
    assert!(Registry::parse(&window("kind = \"breakglass\""), "r").is_ok());
    for (text, message, hint) in [
        (
            window("kind = \"consnt\""),
            "2:8: unknown kind of window \"consnt\"",
            "`consent`",
        ),
        (
            window("user = \"erp\""),
            "3:8: \"erp\" is no Salesforce id",
            "15 or 18",
        ),
        (
            window("to = 2026-01-15"),
            "5:6: `to` is not after `from`",
            "swap",
        ),
        (
            window("to = 2026-01-16\nnetwork = []"),
            "6:1: unknown key `network` in [[window]]",
            "`networks`",
        ),
        (
            window("to = 2026-01-16\nnetworks = [\"192.0.2.1/24\"]"),
            "6:13: \"192.0.2.1/24\" has bits set",
            "192.0.2.0/24",
        ),
        (
            format!("{0}\n{0}", window("to = 2026-01-16")),
            "6:1: consent window of `a@example.com` is declared already on line 1",
            "",
        ),
        (
            "[[app]]\nid = \"0H4000000000001\"".into(),
            "1:1: `name` is missing in [[app]]",
            "label",
        ),
        (
            "[[app]]\nname = \"A\"\nsubjects = [\"erp\"]".into(),
            "3:13: \"erp\" is no Salesforce id",
            "",
        ),
        (
            "[[app]]\nname = \"A\"\nvendors = \"x\"".into(),
            "3:1: unknown key `vendors`",
            "`vendor`",
        ),
        (
            "[[app]]\nname = \"A\"\n[[app]]\nname = \"a\"".into(),
            "3:1: app `a` is declared already on line 1",
            "",
        ),
        (
            "[app]\nname = \"A\"".into(),
            "`app` must be a list of tables",
            "[[app]]",
        ),
        ("[[user]\n".into(), "1:8: this is not valid TOML", ""),
    ] {
        let refused = refusal(&text);
        assert!(refused.0.contains(message), "{text}: {refused:?}");
        assert!(refused.1.contains(hint), "{text}: {refused:?}");
    }
}

#[test]
fn a_refusal_is_one_message_with_file_place_and_hint() {
    let error = Registry::parse(&user("flow = []"), "conf/registry.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "conf/registry.toml:4:1: unknown key `flow` in [[user]]\nhint: did you mean `flows`?"
    );
    let error = Registry::load(Path::new("/nonexistent/registry.toml")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/registry.toml"));
}

#[test]
fn a_username_resolves_to_every_id_that_the_logs_show_for_it() {
    let registry = parse(&user(""));
    let none = Resolution::new(&registry, []);
    assert_eq!(none.keys(&registry.users[0]), ["erp@example.com"]);
    assert_eq!(none.unresolved(&registry).len(), 1);
    let known = ["005000000000001AAA", "005000000000002AAA"]
        .map(|id| (id.into(), " ERP@example.com".into()));
    let both = Resolution::new(&registry, known);
    assert_eq!(
        both.keys(&registry.users[0]),
        ["005000000000001AAA", "005000000000002AAA"]
    );
    assert!(both.unresolved(&registry).is_empty());
    assert_eq!(both.username("005000000000001AAA"), Some("erp@example.com"));
}

#[test]
fn an_entry_with_username_and_id_needs_no_log_to_resolve() {
    let registry = parse(&user("id = \"005000000000001\""));
    let resolution = Resolution::new(&registry, []);
    assert_eq!(resolution.keys(&registry.users[0]), ["005000000000001AAA"]);
    assert_eq!(
        resolution.pairs().collect::<Vec<_>>(),
        [("005000000000001AAA", "erp@example.com")]
    );
}
