use super::*;

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, n).unwrap()
}

fn coverage(days: &[(&str, u32)]) -> Coverage {
    let mut coverage = Coverage::default();
    for (event, n) in days {
        coverage.add(event, day(*n));
    }
    coverage
}

fn judge(coverage: &Coverage, inputs: &[&str]) -> Sight {
    let inputs: Vec<_> = inputs.iter().map(|i| Input::read(i).unwrap()).collect();
    coverage.judge(&inputs, day(15), 3)
}

#[test]
fn alternatives_and_optional_inputs_are_read() {
    let input = Input::read("Login | LoginHistory ?").unwrap();
    assert_eq!(input.alternatives, ["Login", "LoginHistory"]);
    assert!(input.optional);
    assert!(Input::read("").is_err() && Input::read("a |").is_err());
    assert!(Input::read("../x").is_err());
}

#[test]
fn a_rule_whose_input_never_came_is_told_apart_from_a_blind_one() {
    let had = coverage(&[("Login", 15), ("ApiTotalUsage", 12)]);
    assert_eq!(
        judge(&had, &["ApiTotalUsage"]),
        Sight::Blind("blind: no ApiTotalUsage files since 2026-01-12 (3 days)".into())
    );
    assert_eq!(
        judge(&had, &["Logout"]),
        Sight::NeverHadInput("never had input: no Logout files in the lake".into())
    );
}

#[test]
fn detections_that_come_now_and_then_blind_nobody_by_staying_away() {
    let mut had = coverage(&[("ApiAnomalyEventStore", 1), ("Login", 15)]);
    had.now_and_then = now_and_then(&Catalog::embedded());
    assert_eq!(judge(&had, &["threat_events"]), Sight::Sees);
    let mut never = coverage(&[("Login", 15)]);
    never.now_and_then = now_and_then(&Catalog::embedded());
    assert!(matches!(
        judge(&never, &["threat_events"]),
        Sight::NeverHadInput(_)
    ));
}

#[test]
fn input_within_the_last_days_is_enough() {
    let recent = coverage(&[("ApiTotalUsage", 13)]);
    assert_eq!(judge(&recent, &["ApiTotalUsage"]), Sight::Sees);
    assert_eq!(judge(&recent, &["api_calls"]), Sight::Sees);
}

#[test]
fn one_alternative_is_enough_and_an_optional_input_never_blinds() {
    let logins = coverage(&[("LoginHistory", 15), ("Login", 1)]);
    assert_eq!(
        judge(&logins, &["Login | LoginHistory", "ApiTotalUsage?"]),
        Sight::Sees
    );
    assert_eq!(judge(&logins, &["registry_users", "logins"]), Sight::Sees);
    assert!(matches!(judge(&logins, &["Login"]), Sight::Blind(_)));
}

#[test]
fn every_required_input_must_be_there() {
    let logins = coverage(&[("Login", 15)]);
    assert!(matches!(
        judge(&logins, &["Login", "ApiTotalUsage"]),
        Sight::NeverHadInput(_)
    ));
}

#[test]
fn a_raw_table_stands_for_its_event_type() {
    let source = source_of("elf_login", |t| (t == "elf_login").then(|| "Login".into()));
    assert_eq!(source, Source::Logs(vec!["Login".into()]));
}

/// Data set and day of each snapshot, and one day of a log.
fn roster(snapshots: &[(&str, u32)]) -> Coverage {
    let mut coverage = coverage(&[("Login", 15)]);
    for (data_set, n) in snapshots {
        coverage.add_snapshot(data_set, day(*n));
    }
    coverage.data_sets = Catalog::embedded()
        .roster()
        .map(|e| e.name.clone())
        .collect();
    coverage
}

#[test]
fn a_snapshot_holds_for_eight_days_and_no_longer() {
    assert_eq!(judge(&roster(&[("User", 7)]), &["users"]), Sight::Sees);
    assert_eq!(judge(&roster(&[("User", 16)]), &["users"]), Sight::Sees);
    assert_eq!(
        judge(&roster(&[("User", 6)]), &["users"]),
        Sight::Blind("blind: the newest User snapshot is 9 days old".into())
    );
    assert_eq!(
        judge(&roster(&[]), &["users"]),
        Sight::NeverHadInput("never had input: no User snapshot in the lake".into())
    );
}

#[test]
fn a_view_of_several_data_sets_needs_them_all() {
    let all = [
        ("User", 15),
        ("PermissionSetAssignment", 15),
        ("PermissionSet", 15),
    ];
    assert_eq!(judge(&roster(&all), &["permissions"]), Sight::Sees);
    for lacking in 0..3 {
        let mut some = all.to_vec();
        some.remove(lacking);
        assert!(matches!(
            judge(&roster(&some), &["permissions"]),
            Sight::NeverHadInput(_)
        ));
        some.push((all[lacking].0, 3));
        assert!(matches!(
            judge(&roster(&some), &["permissions"]),
            Sight::Blind(_)
        ));
    }
    assert_eq!(
        judge(&roster(&[("ConnectedApp", 15)]), &["apps"]),
        Sight::Sees
    );
}

#[test]
fn a_log_may_stand_in_for_a_snapshot_and_the_other_way_round() {
    let stale = roster(&[("User", 2)]);
    assert_eq!(judge(&stale, &["users | Login"]), Sight::Sees);
    assert!(matches!(
        judge(&stale, &["users | OauthToken"]),
        Sight::Blind(_)
    ));
    assert!(matches!(
        judge(&stale, &["users | Logout"]),
        Sight::Blind(_)
    ));
    let fresh = roster(&[("User", 15)]);
    assert_eq!(judge(&fresh, &["Logout | users"]), Sight::Sees);
    assert_eq!(judge(&fresh, &["User"]), Sight::Sees);
}

#[test]
fn a_rule_is_about_the_roster_by_what_it_requires() {
    let coverage = roster(&[("User", 15)]);
    let reads = |inputs: &[&str]| {
        let inputs: Vec<_> = inputs.iter().map(|i| Input::read(i).unwrap()).collect();
        coverage.reads_roster(&inputs)
    };
    assert!(reads(&["users"]) && reads(&["logins", "roster_snapshots"]) && reads(&["User"]));
    assert!(reads(&["permissions | SetupAuditTrail"]) && reads(&["users?", "Login?"]));
    assert!(!reads(&["logins", "users?"]) && !reads(&["logins"]));
}
