//! Whose findings a burst gathers.

use super::*;

/// A breach of an app: the burst, and what rules say of single users.
fn burst() -> Finding {
    finding("burst", GATHERING_RULE, "", "2026-01-15T02:00:00Z").with(|row| {
        row.user_key = None;
        row.user_kind = None;
        row.family = Some(Family::Attack);
        row.severity = Critical;
        row.last_seen = at("2026-01-15T05:00:00Z");
        row.evidence_json =
            r#"{"app_key":"0H4000000000001AAA","app":"MktCloud","network":"192.0.2.0/24",
            "users":["ann@example.com","bob@example.com"],"user_count":2}"#
                .into();
    })
}

fn single(evidence: &str) -> Finding {
    finding("s", "rule-a", "005x", "2026-01-15T03:00:00Z").with(|row| {
        row.username = Some("Ann@example.com".into());
        row.family = Some(Family::Attack);
        row.evidence_json = evidence.into();
    })
}

fn is_gathered(burst: Finding, single: Finding) -> bool {
    let places = places(&[burst, single], &Privileged::default());
    let place = &places["s"].correlation;
    let same_case = place.case_id == places["burst"].correlation.case_id;
    assert_eq!(place.gathered_by.is_some(), same_case);
    assert_eq!(places["burst"].correlation.gathered_by, None);
    place.gathered_by.as_deref() == Some("burst")
}

#[test]
fn a_burst_gathers_findings_by_its_app_and_by_its_users_at_its_network() {
    for evidence in [
        r#"{"app_id":"0H4000000000001"}"#,
        r#"{"app":"mktcloud"}"#,
        r#"{"apps":["Other","MktCloud"]}"#,
        r#"{"ip":"192.0.2.66"}"#,
        r#"{"ips":["203.0.113.9","192.0.2.7"]}"#,
        r#"{"network":"192.0.2.0/24"}"#,
    ] {
        assert!(is_gathered(burst(), single(evidence)), "{evidence}");
    }
    for evidence in [
        "{}",
        r#"{"app":"Other"}"#,
        r#"{"ip":"203.0.113.9"}"#,
        r#"{"network":"192.0.0.0/16"}"#,
        r#"{"apps":["+ 2 more"]}"#,
    ] {
        assert!(!is_gathered(burst(), single(evidence)), "{evidence}");
    }
}

#[test]
fn a_burst_gathers_at_its_network_only_users_that_it_names_or_may_have_left_out() {
    let stranger = || {
        single(r#"{"ip":"192.0.2.66"}"#).with(|row| row.username = Some("eve@example.com".into()))
    };
    assert!(!is_gathered(burst(), stranger()));
    let of_many = burst().with(|row| {
        row.evidence_json = row
            .evidence_json
            .replace(r#""user_count":2"#, r#""user_count":700"#);
    });
    assert!(is_gathered(of_many, stranger()));
}

#[test]
fn a_burst_gathers_on_its_days_and_nothing_that_is_no_part_of_it() {
    let of_app = || single(r#"{"app":"MktCloud"}"#);
    let moved = |from: &str| {
        of_app().with(|row| {
            row.first_seen = at(from);
            row.last_seen = row.first_seen;
            row.bucket_start = row
                .first_seen
                .date_naive()
                .and_hms_opt(0, 0, 0)
                .map(|d| d.and_utc());
        })
    };
    assert!(is_gathered(burst(), moved("2026-01-15T00:00:00Z")));
    assert!(!is_gathered(burst(), moved("2026-01-14T23:59:59Z")));
    // It is told once, when there are enough users: it began before, and goes on.
    assert!(is_gathered(burst(), moved("2026-01-22T23:59:59Z")));
    assert!(!is_gathered(burst(), moved("2026-01-23T00:00:00Z")));
    let with_span = || {
        burst().with(|row| {
            let span =
                r#""span_from":"2026-01-14T22:00:00.000Z","span_to":"2026-01-16T01:00:00.000Z""#;
            row.evidence_json = row.evidence_json.replace(r#""user_count":2"#, span);
        })
    };
    assert!(is_gathered(with_span(), moved("2026-01-14T00:00:00Z")));
    assert!(is_gathered(with_span(), moved("2026-01-23T23:59:59Z")));

    assert!(is_gathered(
        burst(),
        of_app().with(|row| row.family = Some(Family::Behaviour))
    ));
    assert!(!is_gathered(
        burst(),
        of_app().with(|row| row.family = Some(Family::Identity))
    ));
    assert!(!is_gathered(
        burst(),
        of_app().with(|row| row.bucket_start = None)
    ));
    assert!(!is_gathered(
        burst(),
        of_app().with(|row| row.user_key = None)
    ));
    let hidden = |status| is_gathered(burst(), of_app().in_status(status));
    assert!(!hidden(Status::Suppressed));
    assert!(hidden(Status::Acknowledged));
    for status in [Status::Suppressed, Status::Resolved] {
        assert!(
            !is_gathered(burst().in_status(status), of_app()),
            "{status:?}"
        );
    }
    assert!(is_gathered(
        burst().in_status(Status::Acknowledged),
        of_app()
    ));
}

#[test]
fn of_two_bursts_the_graver_gathers_then_the_one_of_the_findings_own_day() {
    let over_midnight = burst().with(|row| {
        row.finding_id = "burst-before".into();
        row.first_seen = at("2026-01-14T23:00:00Z");
        row.bucket_start = Some(at("2026-01-14T00:00:00Z"));
        row.last_seen = at("2026-01-15T01:00:00Z");
    });
    let gatherer = |burst: Finding| {
        let all = [
            over_midnight.clone(),
            burst,
            single(r#"{"app":"MktCloud"}"#),
        ];
        let places = places(&all, &Privileged::default());
        places["s"].correlation.gathered_by.clone().unwrap()
    };
    assert_eq!(gatherer(burst()), "burst");
    // A suspected move of the vendor takes nothing from a burst.
    assert_eq!(gatherer(burst().graded(Medium)), "burst-before");
}

#[test]
fn seven_hundred_users_of_a_breached_app_are_one_case_and_raised_by_their_own() {
    let mut all = vec![burst()];
    for n in 0..700 {
        let of = |id: String, rule: &str| {
            finding(&id, rule, &format!("005{n}"), "2026-01-15T03:00:00Z").with(|row| {
                row.family = Some(Family::Attack);
                row.evidence_json = r#"{"app":"MktCloud"}"#.into();
            })
        };
        all.push(of(format!("h{n}"), "session-hijack-suspected").human());
    }
    let places = places(&all, &Privileged::default());
    let cases: std::collections::BTreeSet<_> = places
        .values()
        .map(|place| place.correlation.case_id.clone())
        .collect();
    assert_eq!(cases.len(), 1);
    assert!(
        places
            .values()
            .all(|place| place.correlation.case_subject.as_deref() == Some("MktCloud"))
    );
    let raised = places
        .values()
        .filter(|place| place.correlation.raised_from.is_some());
    assert_eq!(raised.count(), 0);
}

#[test]
fn the_rules_that_correlation_knows_by_name_tell_what_it_reads() {
    let rules = crate::detect::RuleSet::embedded().unwrap();
    let burst = rules.get(GATHERING_RULE).unwrap();
    for column in [
        "app_key",
        "app",
        "network",
        "users",
        "user_count",
        "span_from",
        "span_to",
    ] {
        assert!(burst.sql.contains(column), "{column}");
    }
    assert_eq!(burst.family, Family::Attack);
    let volume = rules.get("api-call-volume-anomaly").unwrap();
    assert_eq!(volume.family, Family::Behaviour);
}
