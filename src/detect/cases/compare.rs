//! Findings against what a case expects: as many, and each with all that is said of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::format::{Expected, moment};
use crate::detect::evidence::rfc3339;
use crate::lake::FindingRow;

/// What differs; nothing where the findings are the expected ones. Findings may come in any
/// order. Of the rule itself each finding must be expected; of another rule only those that are
/// expected are looked at.
pub fn compare(rule_id: &str, expected: &[Expected], found: &[FindingRow]) -> Vec<String> {
    fn rule_of<'e>(wanted: &'e Expected, rule_id: &'e str) -> &'e str {
        wanted.rule.as_deref().unwrap_or(rule_id)
    }
    let mut rules: BTreeSet<&str> = expected.iter().map(|e| rule_of(e, rule_id)).collect();
    rules.remove(rule_id);
    let mut differences = vec![];
    for rule in std::iter::once(rule_id).chain(rules) {
        let expected: Vec<_> = expected
            .iter()
            .filter(|e| rule_of(e, rule_id) == rule)
            .collect();
        let found: Vec<_> = found.iter().filter(|f| f.rule_id == rule).collect();
        let is_own = rule == rule_id;
        let of_one = compare_rule(&expected, &found, is_own);
        differences.extend(of_one.into_iter().map(|difference| match is_own {
            true => difference,
            false => format!("{rule}: {difference}"),
        }));
    }
    differences
}

/// The same for the findings of one rule; `is_all` says that no other finding may come.
fn compare_rule(expected: &[&Expected], found: &[&FindingRow], is_all: bool) -> Vec<String> {
    let misses: Vec<Vec<Vec<String>>> = expected
        .iter()
        .map(|wanted| {
            found
                .iter()
                .map(|finding| misses(wanted, finding))
                .collect()
        })
        .collect();
    let taken = assign(&misses, found.len());

    let mut differences = vec![];
    for (n, wanted) in expected.iter().enumerate() {
        if taken.contains(&Some(n)) {
            continue;
        }
        let nearest = (0..found.len())
            .filter(|f| taken[*f].is_none())
            .min_by_key(|f| misses[n][*f].len());
        let name = wanted.user.as_deref().unwrap_or("any user");
        differences.push(match nearest {
            Some(f) => format!(
                "expected finding {} ({name}): {}",
                n + 1,
                misses[n][f].join("; ")
            ),
            None => format!("expected finding {} ({name}) did not come", n + 1),
        });
    }
    if is_all && expected.len() != found.len() {
        differences.push(format!(
            "{} findings expected, {} came",
            expected.len(),
            found.len()
        ));
        for (f, _) in taken
            .iter()
            .enumerate()
            .filter(|(_, owner)| owner.is_none())
        {
            differences.push(format!("came: {}", describe(found[f])));
        }
    }
    differences
}

/// Gives each expectation a finding of its own, as many as possible (augmenting paths): a loose
/// expectation must not take the finding that a strict one needs.
fn assign(misses: &[Vec<Vec<String>>], findings: usize) -> Vec<Option<usize>> {
    fn find(
        wanted: usize,
        misses: &[Vec<Vec<String>>],
        taken: &mut [Option<usize>],
        tried: &mut [bool],
    ) -> bool {
        for f in 0..taken.len() {
            if tried[f] || !misses[wanted][f].is_empty() {
                continue;
            }
            tried[f] = true;
            let free = match taken[f] {
                None => true,
                Some(other) => find(other, misses, taken, tried),
            };
            if free {
                taken[f] = Some(wanted);
                return true;
            }
        }
        false
    }
    let mut taken = vec![None; findings];
    for wanted in 0..misses.len() {
        find(wanted, misses, &mut taken, &mut vec![false; findings]);
    }
    taken
}

fn misses(wanted: &Expected, found: &FindingRow) -> Vec<String> {
    let mut misses = vec![];
    let mut differ = |what: &str, wanted: String, found: String| {
        misses.push(format!("{what} {found} instead of {wanted}"));
    };
    if let Some(user) = wanted.user.as_ref().filter(|user| !is_user(user, found)) {
        differ("user", format!("{user:?}"), user_of(found));
    }
    if let Some(severity) = wanted.severity.filter(|s| *s != found.severity) {
        differ("severity", severity.to_string(), found.severity.to_string());
    }
    if let Some(count) = wanted.count.filter(|count| *count != found.count) {
        differ("count", count.to_string(), found.count.to_string());
    }
    if wanted.user_kind.is_some() && wanted.user_kind != found.user_kind {
        differ(
            "user_kind",
            format!("{:?}", wanted.user_kind),
            format!("{:?}", found.user_kind),
        );
    }
    for (what, wanted, found) in [
        ("first_seen", &wanted.first_seen, found.first_seen),
        ("last_seen", &wanted.last_seen, found.last_seen),
    ] {
        if let Some(wanted) = wanted
            && moment(wanted) != Some(found)
        {
            differ(what, wanted.to_string(), rfc3339(found));
        }
    }
    for (what, wanted, found) in [
        ("expected", &wanted.expected, &found.expected),
        ("observed", &wanted.observed, &found.observed),
    ] {
        if let Some(part) = wanted
            .as_ref()
            .filter(|part| !found.contains(part.as_str()))
        {
            differ(what, format!("a text with {part:?}"), format!("{found:?}"));
        }
    }
    let evidence: Value = serde_json::from_str(&found.evidence_json).unwrap_or(Value::Null);
    for (column, wanted) in &wanted.evidence {
        match evidence.get(column) {
            None => misses.push(format!("evidence has no {column}")),
            Some(value) if same(wanted, value) => {}
            Some(value) => misses.push(format!("{column} is {value} instead of {wanted}")),
        }
    }
    misses
}

/// Whether a finding is about the user of an expectation, `""` being nobody.
pub(super) fn is_user(wanted: &str, found: &FindingRow) -> bool {
    let known = [&found.username, &found.user_id, &found.user_key];
    match wanted {
        "" => found.user_key.is_none() && found.user_id.is_none(),
        name => known
            .into_iter()
            .flatten()
            .any(|k| k.eq_ignore_ascii_case(name)),
    }
}

/// `"<null>"` asks for a missing value, which TOML cannot write.
fn same(wanted: &toml::Value, found: &Value) -> bool {
    match (wanted, found) {
        (toml::Value::String(text), Value::Null) => text == "<null>",
        (toml::Value::String(wanted), Value::String(found)) => wanted == found,
        (toml::Value::Integer(wanted), Value::Number(found)) => {
            found.as_i64() == Some(*wanted) || found.as_f64() == Some(*wanted as f64)
        }
        (toml::Value::Float(wanted), Value::Number(found)) => found
            .as_f64()
            .is_some_and(|found| (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0)),
        (toml::Value::Boolean(wanted), Value::Bool(found)) => wanted == found,
        (toml::Value::Datetime(wanted), Value::String(found)) => {
            moment(wanted).is_some_and(|wanted| rfc3339(wanted) == *found)
        }
        (toml::Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| same(w, f))
        }
        (toml::Value::Table(wanted), Value::Object(found)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| same(wanted, found))),
        _ => false,
    }
}

fn user_of(found: &FindingRow) -> String {
    let names = [&found.username, &found.user_id, &found.user_key];
    let name = names.into_iter().flatten().next();
    name.map_or("nobody".to_owned(), |name| format!("{name:?}"))
}

fn describe(found: &FindingRow) -> String {
    format!(
        "{} for {}, count {}, {} to {}: {} {}",
        found.severity,
        user_of(found),
        found.count,
        rfc3339(found.first_seen),
        rfc3339(found.last_seen),
        found.observed,
        found.evidence_json
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    fn finding(user: &str, severity: Severity, evidence: &str) -> FindingRow {
        let at = "2026-01-15T10:00:00Z".parse().unwrap();
        FindingRow {
            finding_id: String::new(),
            dedupe_key: String::new(),
            rule_id: "r".into(),
            rule_version: 1,
            severity,
            title: "t".into(),
            user_key: Some(user.into()),
            user_id: None,
            username: Some(user.into()),
            user_kind: Some("integration".into()),
            bucket_start: None,
            first_seen: at,
            last_seen: at,
            count: 1,
            expected: "one address".into(),
            observed: "another address".into(),
            evidence_json: evidence.into(),
            attack: vec![],
            suppressed_by: None,
            family: None,
            correlation: Default::default(),
        }
    }

    fn expect(text: &str) -> Expected {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn each_given_key_must_match_and_no_other_is_compared() {
        let evidence =
            r#"{"n":3,"x":0.5,"on":true,"gone":null,"list":["a"],"at":"2026-01-15T10:00:00.000Z"}"#;
        let found = [finding("u@example.com", Severity::High, evidence)];
        let good = r#"
user = "U@example.com"
severity = "high"
count = 1
user_kind = "integration"
first_seen = 2026-01-15T10:00:00Z
observed = "another"
evidence = { n = 3, x = 0.5, on = true, gone = "<null>", list = ["a"], at = 2026-01-15T10:00:00Z }
"#;
        assert_eq!(compare("r", &[expect(good)], &found), Vec::<String>::new());
        assert_eq!(compare("r", &[expect("")], &found), Vec::<String>::new());
        for bad in [
            "user = 'v@example.com'",
            "user = ''",
            "severity = 'low'",
            "count = 2",
            "last_seen = 2026-01-15T10:00:01Z",
            "observed = 'one address'",
            "evidence = { n = 4 }",
            "evidence = { list = ['a', 'b'] }",
            "evidence = { missing = 1 }",
            "evidence = { gone = false }",
        ] {
            assert_eq!(compare("r", &[expect(bad)], &found).len(), 1, "{bad}");
        }
    }

    #[test]
    fn the_number_of_findings_must_match() {
        let found = [finding("u", Severity::High, "{}")];
        assert!(!compare("r", &[], &found).is_empty());
        assert!(!compare("r", &[expect(""), expect("")], &found).is_empty());
        assert!(compare("r", &[], &[]).is_empty());
    }

    #[test]
    fn a_loose_expectation_does_not_take_what_a_strict_one_needs() {
        let found = [
            finding("u", Severity::High, "{}"),
            finding("u", Severity::Low, "{}"),
        ];
        let expected = [expect("user = 'u'"), expect("severity = 'high'")];
        assert!(compare("r", &expected, &found).is_empty());
        let twice = [expect("severity = 'high'"), expect("severity = 'high'")];
        assert_eq!(compare("r", &twice, &found).len(), 1);
    }

    #[test]
    fn another_rule_is_held_to_what_is_expected_of_it_and_to_no_more() {
        let of_other = |user: &str, severity| FindingRow {
            rule_id: "other".into(),
            ..finding(user, severity, "{}")
        };
        let own = finding("u", Severity::High, "{}");
        let found = [
            own,
            of_other("u", Severity::Low),
            of_other("v", Severity::Low),
        ];
        let named = |severity: &str| {
            expect(&format!(
                "rule = 'other'\nuser = 'u'\nseverity = '{severity}'"
            ))
        };
        let good = [expect("user = 'u'"), named("low")];
        assert_eq!(compare("r", &good, &found), Vec::<String>::new());
        // What is expected of the other rule is no expectation of this one.
        assert_eq!(compare("r", &[named("low")], &found).len(), 2);
        let wrong = compare("r", &[expect(""), named("high")], &found);
        assert!(
            wrong.len() == 1 && wrong[0].starts_with("other: "),
            "{wrong:?}"
        );
    }
}
