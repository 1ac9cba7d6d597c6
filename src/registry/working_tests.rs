//! What the registry file promises of how a machine works, and of the org.

use super::tests::{DESIGN, ms, parse, refusal, user};
use super::*;
use crate::config::UserRef;

#[test]
fn how_a_machine_works_is_read_with_its_times() {
    let registry = parse(&user(
        r#"tools = ["Data Loader", { tool = "Postman", valid_to = 2026-02-01, ticket = "CHG-2" }]
endpoints = ["/services/apexrest/CaseCreation/*"]
hours = ["mon-fri 06:00-20:00"]
mtls = true
cadence = "daily"
max_silence = "7h"
review = 2026-06-30
[[app]]
name = "ERP Sync"
system = "ERP"
mobile_sdk = true
[org]
base_profiles = ["API Base"]
log_readers = ["Monitor_User@example.com"]"#,
    ));
    let user = &registry.users[0];
    assert_eq!(user.tools[1].value, "Postman");
    assert_eq!(user.tools[1].valid.to_ms, ms("2026-02-01T00:00:00Z"));
    assert_eq!(user.hours[0].value.to_string(), "mon-fri 06:00-20:00");
    assert!(user.mtls);
    assert_eq!(user.cadence, Some(Cadence::Daily));
    assert_eq!(user.max_silence_minutes, Some(420));
    assert_eq!(user.review.unwrap().to_string(), "2026-06-30");
    assert_eq!(registry.apps[0].system.as_deref(), Some("ERP"));
    assert!(registry.apps[0].mobile_sdk);
    assert_eq!(registry.org.base_profiles[0].value, "API Base");
    assert_eq!(
        registry.org.log_readers[0].value,
        UserRef::Username("monitor_user@example.com".into())
    );
    let bare = parse(DESIGN);
    assert!(!bare.users[0].mtls && bare.users[0].cadence.is_none());
    assert_eq!(bare.org, OrgDeclared::default());
}

#[test]
fn each_mistake_in_how_a_machine_works_is_refused_with_place_and_hint() {
    for (lines, message, hint) in [
        (
            "cadence = \"nightly\"",
            "4:11: unknown cadence \"nightly\"",
            "one of: continuous, hourly, daily",
        ),
        ("cadence = \"weekley\"", "4:11: unknown cadence", "`weekly`"),
        (
            "max_silence = \"7\"",
            "4:15: \"7\" is no length of time",
            "90m, 7h or 2d",
        ),
        (
            "max_silence = 7",
            "4:15: `max_silence` must be text in quotes, not an integer",
            "",
        ),
        (
            "review = \"soon\"",
            "4:10: `review` is no moment",
            "2026-01-15",
        ),
        ("mtls = 1", "4:8: `mtls` must be true or false", ""),
        (
            "hours = [\"weekdays 6-20\"]",
            "4:10: \"weekdays 6-20\" is no part of the week",
            "mon-fri 06:00-20:00",
        ),
        (
            "hours = [\"sat 06:00-20:00\", \"Sat 6:00-20:00\"]",
            "4:29: part of the week `sat 06:00-20:00` is declared already on line 4",
            "remove one",
        ),
        (
            "endpoints = [\"/services/apexrest/X?id=1\"]",
            "4:14: \"/services/apexrest/X?id=1\" is no endpoint",
            "without query",
        ),
        (
            "endpoints = [\"/services/apexrest/Case*\"]",
            "4:14: \"/services/apexrest/Case*\" is no endpoint",
            "a whole part of the path",
        ),
        (
            "tools = [\"Postman\", { tool = \"postman\" }]",
            "4:21: tool `postman` is declared already",
            "remove one",
        ),
        ("tools = [{ name = \"\" }]", "4:19: `name` is empty", ""),
        (
            "tool = []",
            "4:1: unknown key `tool` in [[user]]",
            "`tools`",
        ),
        (
            "[org]\nbase_profile = []",
            "5:1: unknown key `base_profile` in [org]",
            "`base_profiles`",
        ),
        (
            "[org]\nlog_readers = [\"monitor\"]",
            "5:16: \"monitor\" is no Salesforce id",
            "15 or 18",
        ),
        (
            "[org]\nlog_readers = [\"a@example.com\", \"A@example.com\"]",
            "5:33: log reader `a@example.com` is declared already",
            "remove one",
        ),
        (
            "[org]\nbase_profiles = [{ name = \"API\" }]",
            "5:18: `base_profiles` must be text in quotes",
            "",
        ),
        ("[[org]]", "must be a table", ""),
    ] {
        let refused = refusal(&user(lines));
        assert!(refused.0.contains(message), "{lines}: {refused:?}");
        assert!(refused.1.contains(hint), "{lines}: {refused:?}");
    }
}
