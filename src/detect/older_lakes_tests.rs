//! Rules over lakes that were written before the lake kept what they compare now. Cases cannot say
//! this: their files are read as files are read today.

use serde_json::{Value, json};

use super::{Answers, RuleSet, Window, bindings};
use crate::engine::fixture::{Fixture, shown};

const ERP: &str = "005000000000001AAA";

/// A call of Apex REST as the lake holds it.
fn call(day: u32, uri: &str) -> Value {
    json!({ "at": format!("2026-01-{day:02}T10:00:00Z"), "user_id": ERP, "uri": uri, "ip": "198.51.100.3" })
}

/// What `unexpected-apex-endpoint` says of the 16th of January.
fn endpoints(calls: &[Value], declared: &str) -> Vec<String> {
    let mut lake = Fixture::new();
    lake.add("ApexRestApi", calls);
    let registry = format!(
        "[[user]]\nid = \"{ERP}\"\nrole = \"integration\"\nnetworks = [\"198.51.100.0/28\"]\n{declared}"
    );
    let rules = RuleSet::embedded().unwrap();
    let rule = rules.get("unexpected-apex-endpoint").unwrap();
    let at = |text: &str| text.parse().unwrap();
    let window = Window {
        from: at("2026-01-16T00:00:00Z"),
        to: at("2026-01-17T00:00:00Z"),
    };
    let bindings = bindings(rule, window, at("2026-01-17T03:00:00Z"));
    let sql = format!("SELECT endpoint FROM ({}) ORDER BY endpoint", rule.sql);
    shown(&lake.session(&registry).answer(&sql, &bindings).unwrap())
}

fn past(uri: &str) -> Vec<Value> {
    (1..=15).map(|day| call(day, uri)).collect()
}

/// A path as ingest keeps it now; a digest of its own for each letter.
fn digested(letter: char) -> String {
    let digest = letter.to_string().repeat(22);
    format!("/services/apexrest/{{name:~{digest}}}/{{id}}")
}

const AS_A_WHOLE: &str = "Apex REST, not named in the log";

#[test]
fn apex_paths_without_names_are_judged_as_a_whole_as_before() {
    let without_names = |uri: &str| [past(uri), vec![call(16, uri)]].concat();
    let class = "endpoints = [\"CaseService\"]";
    for uri in [
        "/services/apexrest/{name}/{n}",
        "{host}/services/apexrest/v1/{name}",
    ] {
        assert_eq!(endpoints(&without_names(uri), class), [AS_A_WHOLE], "{uri}");
    }
    let calls = without_names("/{name}/{id}");
    assert!(endpoints(&calls, "").is_empty());
    let rest = "endpoints = [\"/services/apexrest/CaseCreation/*\"]";
    assert!(endpoints(&calls, rest).is_empty());
}

#[test]
fn the_night_after_names_began_to_be_digested_brings_no_flood_of_known_endpoints() {
    let mut calls = past("/{name}/{id}");
    calls.extend(['A', 'B', 'C'].map(|letter| call(16, &digested(letter))));
    assert!(endpoints(&calls, "").is_empty());
    let mut calls = past(&digested('A'));
    calls.extend(['A', 'B'].map(|letter| call(16, &digested(letter))));
    assert_eq!(endpoints(&calls, ""), [digested('B').replace("/{id}", "")]);
}

#[test]
fn a_name_that_an_older_lake_kept_in_clear_is_the_one_that_is_digested_now() {
    let mut calls = past("/services/apexrest/Jobs/{id}");
    calls.push(call(16, "/jobs/{id}"));
    assert!(endpoints(&calls, "").is_empty());
    assert!(endpoints(&calls, "endpoints = [\"/jobs/*\"]").is_empty());
    let other = endpoints(&calls, "endpoints = [\"/batches/*\"]");
    assert!(
        other[0].starts_with("/services/apexrest/{name:~"),
        "{other:?}"
    );
}
