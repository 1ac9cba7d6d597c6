//! What people decide about findings, and when it no longer holds.

use super::findings::{Nights, row, window};
use super::*;
use crate::config::Severity;

fn one_night() -> Nights {
    let mut nights = Nights::new();
    nights.night(&[row("a1", 1, 4)], &[window(1, 2)]);
    nights
}

fn why_of(nights: &Nights, id: &str) -> String {
    let history = nights.lake.ledger().finding_history(id).unwrap();
    history.last().unwrap().why.clone()
}

fn graver(id: &str, count: u64) -> FindingRow {
    FindingRow {
        severity: Severity::Critical,
        ..row(id, 1, count)
    }
}

#[test]
fn an_acknowledged_finding_is_quiet_until_it_is_graver_or_twice_as_large() {
    let mut nights = one_night();
    nights.decide("a1", ByHand::Acknowledge);
    let changes = nights.night(&[row("a1", 1, 7)], &[window(1, 2)]);
    assert_eq!((changes.quiet.len(), changes.new.len()), (1, 0));
    // Creeping up night by night does not hide the growth.
    let changes = nights.night(&[row("a1", 1, 8)], &[window(1, 2)]);
    assert_eq!(changes.new, [row("a1", 1, 8)]);
    assert!(changes.reopened.contains("a1") && changes.quiet.is_empty());
    assert_eq!(nights.status("a1"), Status::New);
    assert_eq!(
        why_of(&nights, "a1"),
        "8 events, 4 since ann acknowledged it"
    );

    nights.decide("a1", ByHand::Acknowledge);
    let changes = nights.night(&[graver("a1", 8)], &[window(1, 2)]);
    assert_eq!(changes.reopened.len(), 1);
    assert_eq!(
        why_of(&nights, "a1"),
        "critical, high since ann acknowledged it"
    );
    assert_eq!(nights.lake.ledger().finding("a1").unwrap().hold, None);
}

#[test]
fn a_severity_that_only_the_other_findings_raise_opens_an_acknowledged_one_again() {
    let mut nights = one_night();
    nights.decide("a1", ByHand::Acknowledge);
    let raise = |findings: &[Finding]| -> Vec<Placed> {
        let mut places = super::findings::alone(findings);
        places[0].severity = Severity::Critical;
        places[0].correlation.raised_from = Some(Severity::High);
        places
    };
    let ledger = nights.lake.ledger_mut();
    let run = ledger.start_run("run", at(9, 3)).unwrap();
    let changes = ledger
        .apply_findings(run, at(9, 3), &[], &[], &raise, |_| Ok(vec![]))
        .unwrap();
    assert_eq!(changes.new[0].severity, Severity::Critical);
    assert!(changes.moved.is_empty() && changes.reopened.contains("a1"));
}

#[test]
fn an_acknowledged_finding_that_ends_is_resolved_and_news_when_seen_again() {
    let mut nights = one_night();
    nights.decide("a1", ByHand::Acknowledge);
    assert_eq!(nights.night(&[], &[window(1, 2)]).resolved.len(), 1);
    assert_eq!(nights.night(&[row("a1", 1, 4)], &[]).new.len(), 1);
    assert_eq!(nights.lake.ledger().finding("a1").unwrap().hold, None);
}

#[test]
fn what_a_person_resolved_comes_back_only_with_something_that_was_not_there() {
    let mut nights = one_night();
    nights.decide("a1", ByHand::Resolve);
    assert_eq!(nights.status("a1"), Status::Resolved);
    let changes = nights.night(&[row("a1", 1, 4)], &[window(1, 2)]);
    assert_eq!((changes.quiet.len(), changes.new.len()), (1, 0));
    assert_eq!(nights.status("a1"), Status::Resolved);

    let later = FindingRow {
        last_seen: at(1, 22),
        ..row("a1", 1, 4)
    };
    for more in [row("a1", 1, 5), graver("a1", 4), later] {
        let mut nights = one_night();
        nights.decide("a1", ByHand::Resolve);
        let changes = nights.night(&[more], &[window(1, 2)]);
        assert!(changes.reopened.contains("a1") && changes.new.len() == 1);
        assert_eq!(nights.status("a1"), Status::New);
    }
}

#[test]
fn a_standing_condition_that_a_later_day_still_shows_comes_back() {
    let standing = FindingRow {
        bucket_start: None,
        ..row("s1", 1, 1)
    };
    let mut nights = Nights::new();
    nights.night(std::slice::from_ref(&standing), &[window(1, 2)]);
    nights.decide("s1", ByHand::Resolve);
    let same_days = nights.night(std::slice::from_ref(&standing), &[window(1, 2)]);
    assert!(same_days.reopened.is_empty());
    let later_days = nights.night(&[standing], &[window(1, 6)]);
    assert!(later_days.reopened.contains("s1"));
    assert_eq!(why_of(&nights, "s1"), "still so since ann resolved it");
}

#[test]
fn a_finding_suppressed_by_hand_stays_so_until_its_end_whatever_its_volume() {
    let until = at(8, 0);
    let mut nights = one_night();
    nights.decide("a1", ByHand::Suppress { until });
    assert_eq!(
        nights.night(&[], &[window(1, 2)]),
        FindingChanges::default()
    );
    let changes = nights.night(&[row("a1", 1, 80)], &[window(1, 2)]);
    assert_eq!((changes.quiet.len(), changes.new.len()), (1, 0));
    assert_eq!(nights.status("a1"), Status::Suppressed);
    nights.night = 8;
    let changes = nights.night(&[row("a1", 1, 80)], &[window(1, 2)]);
    assert!(changes.reopened.contains("a1"));
    assert_eq!(why_of(&nights, "a1"), "the suppression by ann has ended");

    let mut nights = one_night();
    nights.decide("a1", ByHand::Suppress { until });
    let changes = nights.night(&[graver("a1", 4)], &[window(1, 2)]);
    assert!(
        changes.reopened.contains("a1"),
        "a graver one is not hidden"
    );

    let mut nights = one_night();
    nights.decide("a1", ByHand::Suppress { until });
    nights.night = 8;
    assert_eq!(nights.night(&[], &[window(1, 2)]).quiet.len(), 1);
    assert_eq!(nights.status("a1"), Status::Resolved);
}

#[test]
fn a_suppression_of_the_configuration_outlives_the_end_of_one_by_hand() {
    let mut nights = one_night();
    nights.decide("a1", ByHand::Suppress { until: at(3, 0) });
    nights.night = 4;
    let by_configuration = FindingRow {
        suppressed_by: Some("suppress-1".to_owned()),
        ..row("a1", 1, 4)
    };
    let changes = nights.night(&[by_configuration], &[window(1, 2)]);
    assert!(changes.reopened.is_empty() && changes.new.is_empty());
    let finding = nights.lake.ledger().finding("a1").unwrap();
    assert_eq!((finding.status, finding.hold), (Status::Suppressed, None));
}

#[test]
fn a_reopened_finding_is_new_for_a_night_and_goes_on_from_there() {
    let mut nights = one_night();
    nights.night(&[row("a1", 1, 4)], &[window(1, 2)]);
    nights.decide("a1", ByHand::Resolve);
    nights.decide("a1", ByHand::Reopen);
    let reopened = nights.lake.ledger().finding("a1").unwrap();
    assert_eq!((reopened.status, reopened.hold), (Status::New, None));
    assert_eq!(reopened.reopened.unwrap().after_run, 2);
    let told = |nights: &Nights| nights.lake.ledger().finding("a1").unwrap().reopened;
    nights.night(&[], &[]);
    assert_eq!(nights.status("a1"), Status::New);
    nights.night(&[], &[]);
    assert_eq!(nights.status("a1"), Status::Ongoing);
    assert!(told(&nights).is_some());
    nights.night(&[], &[window(1, 2)]);
    assert_eq!(nights.status("a1"), Status::Resolved);
    assert!(told(&nights).is_none());
}

#[test]
fn a_decision_that_is_not_possible_for_one_finding_changes_none() {
    let mut nights = Nights::new();
    let hidden = FindingRow {
        suppressed_by: Some("suppress-1".to_owned()),
        ..row("b1", 1, 1)
    };
    nights.night(&[row("a1", 1, 1), hidden], &[]);
    let decision = Decision {
        what: ByHand::Acknowledge,
        who: "ann",
        why: "known",
        at: at(4, 0),
    };
    let ledger = nights.lake.ledger_mut();
    let both = ["a1".to_owned(), "b1".to_owned()];
    let refused = ledger.decide(&both, &decision);
    assert!(matches!(refused, Err(LakeError::FindingState { .. })));
    assert_eq!(nights.status("a1"), Status::New);
    assert_eq!(nights.history("a1").len(), 1);
}

#[test]
fn the_life_of_findings_can_be_asked_as_a_table() {
    let mut nights = one_night();
    nights.decide("a1", ByHand::Acknowledge);
    let events = nights.lake.ledger().snapshot(LedgerTable::FindingEvents);
    let text = arrow::util::pretty::pretty_format_batches(&[events.unwrap()]);
    let text = text.unwrap().to_string();
    let by_hand = text.lines().find(|line| line.contains("ann")).unwrap();
    for said in ["a1", "new", "acknowledged", "known", "true"] {
        assert!(by_hand.contains(said), "{said} in {text}");
    }
}
