//! What findings make of one another.

mod bursts;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::*;
use crate::config::{Family, Severity};

const ORG: &str = "00D000000000001AAA";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A finding of an integration user by a rule of misuse, at one moment.
fn finding(id: &str, rule: &str, user: &str, when: &str) -> Finding {
    let when = at(when);
    let row = FindingRow {
        finding_id: id.into(),
        dedupe_key: format!("dedupe {id}"),
        rule_id: rule.into(),
        rule_version: 1,
        severity: Severity::High,
        title: "t".into(),
        user_key: Some(user.into()),
        user_id: None,
        username: None,
        user_kind: Some("integration".into()),
        bucket_start: when
            .date_naive()
            .and_hms_opt(0, 0, 0)
            .map(|day| day.and_utc()),
        first_seen: when,
        last_seen: when,
        count: 1,
        expected: String::new(),
        observed: String::new(),
        evidence_json: "{}".into(),
        attack: vec![],
        suppressed_by: None,
        family: Some(Family::Misuse),
        correlation: Correlation::default(),
    };
    Finding {
        row,
        status: Status::New,
        hold: None,
        reopened: None,
        first_run: 1,
        last_run: 1,
        new_in_run: 1,
    }
}

impl Finding {
    fn with(mut self, change: impl FnOnce(&mut FindingRow)) -> Self {
        change(&mut self.row);
        self
    }

    fn in_status(self, status: Status) -> Self {
        Self { status, ..self }
    }

    fn human(self) -> Self {
        self.with(|row| row.user_kind = Some("human".into()))
    }

    fn graded(self, severity: Severity) -> Self {
        self.with(|row| row.severity = severity)
    }
}

/// The findings' places by id; whatever their order, and asked again of the result.
fn places(findings: &[Finding], privileged: &Privileged) -> BTreeMap<String, Placed> {
    let by_id = |findings: &[Finding]| -> BTreeMap<String, Placed> {
        let places = correlate(findings, ORG, privileged);
        let ids = findings.iter().map(|f| f.row.finding_id.clone());
        ids.zip(places).collect()
    };
    let places = by_id(findings);
    let mut reversed = findings.to_vec();
    reversed.reverse();
    assert_eq!(
        by_id(&reversed),
        places,
        "the order of findings does not matter"
    );
    for finding in &mut reversed {
        let place = places[&finding.row.finding_id].clone();
        finding.row.severity = place.severity;
        finding.row.correlation = place.correlation;
    }
    assert_eq!(by_id(&reversed), places, "a second look changes nothing");
    places
}

fn severities(findings: &[Finding]) -> Vec<Severity> {
    let places = places(findings, &Privileged::default());
    let ids = findings.iter().map(|f| &f.row.finding_id);
    ids.map(|id| places[id].severity).collect()
}

use Severity::{Critical, High, Info, Low, Medium};

#[test]
fn two_rules_that_tell_of_one_machine_raise_both_and_name_each_other() {
    let login = finding(
        "aaaaaaaaaaaaaaaa",
        "integration-ui-login",
        "U1",
        "2026-01-15T10:00:00Z",
    );
    let attack = finding(
        "b",
        "session-hijack-suspected",
        "U1",
        "2026-01-15T20:00:00Z",
    )
    .with(|row| row.family = Some(Family::Attack))
    .graded(Medium);
    let places = places(&[login, attack], &Privileged::default());
    let raised = |id: &str| (places[id].severity, places[id].correlation.raised_from);
    assert_eq!(raised("aaaaaaaaaaaaaaaa"), (Critical, Some(High)));
    assert_eq!(raised("b"), (High, Some(Medium)));
    assert_eq!(
        places["b"].correlation.raised_because.as_deref(),
        Some(
            "within 24 hours another rule tells of the same integration user: \
             integration-ui-login (finding aaaaaaaaaaaa)"
        )
    );
}

#[test]
fn one_rule_that_fires_twice_raises_nothing() {
    let first = finding(
        "a",
        "integration-unexpected-ip-api",
        "U1",
        "2026-01-15T10:00:00Z",
    );
    let again = finding(
        "b",
        "integration-unexpected-ip-api",
        "U1",
        "2026-01-15T11:00:00Z",
    );
    assert_eq!(severities(&[first, again]), [High, High]);
}

#[test]
fn a_step_never_leads_above_critical_and_what_is_critical_says_nothing_of_a_raise() {
    let a = finding("a", "rule-a", "U1", "2026-01-15T10:00:00Z").graded(Critical);
    let b = finding("b", "rule-b", "U1", "2026-01-15T10:00:00Z").graded(Low);
    let c = finding("c", "rule-c", "U1", "2026-01-15T10:00:00Z");
    let all = [a, b, c];
    assert_eq!(severities(&all), [Critical, Medium, Critical]);
    let places = places(&all, &Privileged::default());
    assert_eq!(places["a"].correlation.raised_from, None);
    let because = places["c"].correlation.raised_because.clone().unwrap();
    // What is low was refused or allowed: no second witness.
    assert!(because.ends_with("user: rule-a (finding a)"), "{because}");
}

#[test]
fn twenty_four_hours_reach_over_midnight_and_no_further() {
    let night = |second: &str| {
        let first = finding("a", "rule-a", "U1", "2026-01-15T23:50:00Z");
        severities(&[first, finding("b", "rule-b", "U1", second)])
    };
    assert_eq!(night("2026-01-16T00:10:00Z"), [Critical, Critical]);
    assert_eq!(night("2026-01-16T23:50:00Z"), [Critical, Critical]);
    assert_eq!(night("2026-01-16T23:50:00.001Z"), [High, High]);
}

#[test]
fn a_long_finding_is_near_by_its_first_and_its_last_event() {
    let month = finding("a", "rule-a", "U1", "2026-01-01T00:00:00Z")
        .with(|row| row.last_seen = at("2026-01-31T00:00:00Z"));
    let beside = |when: &str| severities(&[month.clone(), finding("b", "rule-b", "U1", when)])[1];
    assert_eq!(beside("2026-01-01T20:00:00Z"), Critical);
    assert_eq!(beside("2026-01-30T20:00:00Z"), Critical);
    assert_eq!(beside("2026-01-15T00:00:00Z"), High);
}

#[test]
fn other_users_other_families_and_what_is_allowed_raise_nothing() {
    let a = finding("a", "rule-a", "U1", "2026-01-15T10:00:00Z");
    let beside = |other: Finding| severities(&[a.clone(), other])[0];
    let b = || finding("b", "rule-b", "U1", "2026-01-15T10:00:00Z");
    assert_eq!(beside(b()), Critical);
    assert_eq!(
        beside(finding("b", "rule-b", "U2", "2026-01-15T10:00:00Z")),
        High
    );
    assert_eq!(beside(b().graded(Info)), High);
    for family in [
        Some(Family::Credential),
        Some(Family::Identity),
        Some(Family::Behaviour),
        Some(Family::Coverage),
        None,
    ] {
        assert_eq!(
            beside(b().with(|row| row.family = family)),
            High,
            "{family:?}"
        );
    }
}

#[test]
fn a_user_is_the_same_by_key_id_and_name_without_regard_to_case() {
    let a = finding("a", "rule-a", "005000000000001AAA", "2026-01-15T10:00:00Z")
        .with(|row| row.username = Some("ERP@example.com".into()));
    let b = finding("b", "rule-b", "erp@example.com", "2026-01-15T10:00:00Z");
    assert_eq!(severities(&[a, b]), [Critical, Critical]);
}

#[test]
fn what_is_suppressed_or_over_neither_raises_nor_is_raised_and_what_is_known_does() {
    let a = finding("a", "rule-a", "U1", "2026-01-15T10:00:00Z");
    for (status, raises) in [
        (Status::New, true),
        (Status::Ongoing, true),
        (Status::Acknowledged, true),
        (Status::Suppressed, false),
        (Status::Resolved, false),
    ] {
        let b = finding("b", "rule-b", "U1", "2026-01-15T10:00:00Z").in_status(status);
        let expected = if raises { Critical } else { High };
        assert_eq!(
            severities(&[a.clone(), b]),
            [expected, expected],
            "{status:?}"
        );
    }
}

#[test]
fn of_people_only_administrators_and_the_privileged_are_raised() {
    let with_kind = |kind: Option<&str>| {
        let of = |id: &str, rule: &str| {
            finding(id, rule, "005A", "2026-01-15T10:00:00Z")
                .with(|row| row.user_kind = kind.map(str::to_owned))
        };
        [of("a", "rule-a"), of("b", "rule-b")]
    };
    for kind in ["integration", "internal_system", "human_admin"] {
        assert_eq!(severities(&with_kind(Some(kind)))[0], Critical, "{kind}");
    }
    for kind in [
        Some("human"),
        Some("guest"),
        Some("ci"),
        Some("api_named"),
        None,
    ] {
        assert_eq!(severities(&with_kind(kind))[0], High, "{kind:?}");
    }

    let day = |d| NaiveDate::from_ymd_opt(2026, 1, d).unwrap();
    let severity = |from, to| {
        let mut privileged = Privileged::default();
        privileged.add("005a", from, to);
        let places = places(&with_kind(Some("human")), &privileged);
        assert_eq!(
            places["a"].severity == Critical,
            places["a"]
                .correlation
                .raised_because
                .as_deref()
                .is_some_and(|why| { why.contains("the same privileged user") })
        );
        places["a"].severity
    };
    assert_eq!(severity(day(15), day(16)), Critical);
    assert_eq!(severity(day(1), day(15)), High);
    assert_eq!(severity(day(16), day(31)), High);
}

#[test]
fn a_rule_that_knows_the_account_speaks_for_one_that_does_not() {
    let known = finding("a", "rule-a", "U1", "2026-01-15T10:00:00Z");
    let unknown =
        finding("b", "rule-b", "U1", "2026-01-15T10:00:00Z").with(|row| row.user_kind = None);
    assert_eq!(severities(&[known, unknown]), [Critical, Critical]);
}

#[test]
fn many_calls_are_critical_beside_misuse_of_the_same_user_whoever_it_is() {
    let calls = || {
        finding("v", "api-call-volume-anomaly", "U1", "2026-01-15T00:00:00Z")
            .with(|row| row.family = Some(Family::Behaviour))
            .graded(Medium)
            .human()
    };
    let misuse = |when: &str| finding("m", "rule-a", "U1", when).human();
    // What is unlike its own past does not raise the misuse in turn.
    assert_eq!(
        severities(&[calls(), misuse("2026-01-15T20:00:00Z")]),
        [Critical, High]
    );
    assert_eq!(
        severities(&[calls(), misuse("2026-01-16T00:00:01Z")]),
        [Medium, High]
    );
    let other = misuse("2026-01-15T20:00:00Z").with(|row| row.user_key = Some("U2".into()));
    assert_eq!(severities(&[calls(), other]), [Medium, High]);
    let hidden = misuse("2026-01-15T20:00:00Z").in_status(Status::Suppressed);
    assert_eq!(severities(&[calls(), hidden]), [Medium, High]);
    let rows = finding("r", "rows-volume-anomaly", "U1", "2026-01-15T10:00:00Z")
        .with(|row| row.family = Some(Family::Behaviour));
    assert_eq!(
        severities(&[rows, misuse("2026-01-15T10:00:00Z")]),
        [High, High]
    );
}

#[test]
fn a_case_is_one_subject_and_one_day() {
    let case = |finding: &Finding| {
        let place = correlate(std::slice::from_ref(finding), ORG, &Privileged::default());
        let correlation = place[0].correlation.clone();
        (correlation.case_id.unwrap(), correlation.case_subject)
    };
    let a = finding("a", "rule-a", "U1", "2026-01-15T00:00:00Z")
        .with(|row| row.username = Some("erp@example.com".into()));
    let b = finding("b", "rule-b", "U1", "2026-01-15T23:59:59Z");
    assert_eq!(case(&a).1.as_deref(), Some("erp@example.com"));
    assert_eq!(case(&a).0, case(&b).0);
    assert_ne!(
        case(&a).0,
        case(&finding("c", "rule-a", "U1", "2026-01-16T00:00:00Z")).0
    );
    assert_ne!(
        case(&a).0,
        case(&finding("c", "rule-a", "U2", "2026-01-15T00:00:00Z")).0
    );

    let about = |evidence: &str| {
        case(&b.clone().with(|row| {
            row.user_key = None;
            row.evidence_json = evidence.into();
        }))
    };
    let app = about(r#"{"app_id":"0H4000000000001","ip":"192.0.2.1"}"#);
    assert_eq!(app.0, about(r#"{"app_key":"0H4000000000001AAA"}"#).0);
    let named = about(r#"{"app":" MktCloud  Connector "}"#);
    assert_eq!(
        named.0,
        about(r#"{"app_name":"mktcloud connector","ip":"192.0.2.1"}"#).0
    );
    assert_eq!(named.1.as_deref(), Some("MktCloud  Connector"));
    let address = about(r#"{"ip":"192.0.2.1"}"#);
    assert_eq!(address.1.as_deref(), Some("192.0.2.1"));
    let nobody = about("not json");
    assert_eq!(nobody.1, None);
    let ids: std::collections::BTreeSet<_> = [app.0, named.0, address.0, nobody.0].into();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_standing_condition_belongs_to_the_day_on_which_it_was_first_seen() {
    let place = |finding: Finding| {
        let place = correlate(&[finding], ORG, &Privileged::default());
        place[0].correlation.case_id.clone()
    };
    let standing = finding("a", "rule-a", "U1", "2026-01-15T10:00:00Z").with(|row| {
        row.bucket_start = None;
        row.last_seen = at("2026-01-20T10:00:00Z");
    });
    let of_that_day = finding("b", "rule-b", "U1", "2026-01-15T10:00:00Z");
    assert_eq!(place(standing), place(of_that_day));
}

#[test]
fn the_ids_of_cases_never_change_between_versions() {
    let place = correlate(
        &[finding(
            "a",
            "rule-a",
            "005000000000001AAA",
            "2026-01-15T10:00:00Z",
        )],
        ORG,
        &Privileged::default(),
    );
    let id = place[0].correlation.case_id.as_deref();
    assert_eq!(id, Some("666b06fb98d2808cfc2db743c1837e26"));
}

#[test]
fn only_people_with_two_kinds_of_misuse_are_looked_up() {
    let asked = |findings: &[Finding]| may_be_privileged(findings.iter().map(|f| &f.row));
    let day = |d| NaiveDate::from_ymd_opt(2026, 1, d).unwrap();
    let a = finding("a", "rule-a", "U1", "2026-01-15T10:00:00Z").human();
    let b = finding("b", "rule-b", "U1", "2026-01-17T10:00:00Z").human();
    assert_eq!(asked(&[a.clone(), b.clone()]), Some((day(15), day(17))));
    assert_eq!(asked(std::slice::from_ref(&a)), None);
    let of_another = b.clone().with(|row| row.user_key = Some("U2".into()));
    assert_eq!(asked(&[a.clone(), of_another]), None);
    assert_eq!(
        asked(&[a, b.with(|row| row.family = Some(Family::Identity))]),
        None
    );
}

#[test]
fn the_permissions_that_make_a_person_privileged_are_those_that_no_machine_should_hold() {
    let rules = crate::detect::RuleSet::embedded().unwrap();
    let rule = rules.get("integration-overprivileged").unwrap();
    let crate::detect::ParamValue::TextList(dangerous) = &rule.params["danger_perms"].value else {
        panic!("danger_perms is no list");
    };
    let query = include_str!("../data/privileged.sql");
    let quoted: Vec<&str> = query.split('\'').skip(1).step_by(2).collect();
    let listed: Vec<&str> = quoted
        .into_iter()
        .filter(|text| !text.contains('-'))
        .collect();
    assert_eq!(
        listed,
        dangerous.iter().map(String::as_str).collect::<Vec<_>>()
    );
}
