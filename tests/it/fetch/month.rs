//! A month of nights: whatever goes wrong in them, it ends in the same lake.

use chrono::TimeDelta;

use super::night::Nights;
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::{Action, Blob, Ending, FakeSf, Fault, Scenario, time};
use crate::program::{expect, orgwatch};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Thirty days of files: each day's, four hours of it before that, some late or issued again.
fn a_month() -> Scenario {
    Scenario::org().set(|state| {
        let first = time("2026-02-01T00:00:00Z");
        for n in 0..30 {
            let start = first + TimeDelta::days(n);
            let mut whole = Vec::new();
            for hour in [2, 9, 15, 21] {
                let hour = start + TimeDelta::hours(hour);
                let body = generated(state, "Login", hour, 3);
                whole.push(String::from_utf8(body.whole()).unwrap());
                let made = hour + TimeDelta::hours(4);
                state.add_log_file("Login", hour, 1, made, body);
            }
            let mut daily = whole.remove(0);
            for more in whole {
                daily.push_str(more.split_once('\n').unwrap().1);
            }
            let made = start + TimeDelta::hours(25);
            let body = Blob::text(daily.clone());
            let id = state.add_log_file("Login", start, 0, made, body);
            if n % 7 == 3 {
                let late = generated(state, "Login", start + TimeDelta::hours(23), 2).whole();
                let late = String::from_utf8(late).unwrap();
                daily.push_str(late.split_once('\n').unwrap().1);
                let body = Blob::text(daily);
                state.reissue(&id, made + TimeDelta::hours(40), body);
            }
        }
    })
}

/// Thirty nights, and one more in which nothing goes wrong and the roster is read too: a list of users
/// that was not read on its day is gone with that day, where a log waits.
fn month_of(nights: &mut Nights, mut before: impl FnMut(&FakeSf)) {
    nights.settings.roster = false;
    for _ in 0..30 {
        nights.pass(TimeDelta::hours(24));
        before(&nights.org);
        nights.try_night().unwrap();
    }
    nights.pass(TimeDelta::hours(24));
    nights.org.with(|state| state.faults.0.clear());
    nights.settings.roster = true;
    nights.whole_night();
}

#[test]
fn thirty_nights_full_of_faults_end_in_the_same_lake_and_findings_as_thirty_calm_ones() {
    let mut calm = Nights::of(a_month());
    month_of(&mut calm, |_| {});
    let mut stormy = Nights::of(a_month());
    let mut dice = Dice(20_261_122);
    month_of(&mut stormy, |org| {
        org.with(|state| state.faults.0.clear());
        for _ in 0..dice.roll(4) {
            let path = ["LogFile$", "/query", "/oauth2/token", "userinfo"][dice.roll(4) as usize];
            let (nth, times) = (1 + dice.roll(9) as u32, 1 + dice.roll(7) as u32);
            let fault = Fault::on(path).nth(nth).times(times);
            org.fault(match dice.roll(6) {
                0 => fault.maintenance(),
                1 => fault.does(Action::Drop(Ending::Reset)),
                2 => fault.does(Action::Truncate {
                    after: dice.roll(400),
                    ending: Ending::Reset,
                }),
                3 => fault.does(Action::ExpireToken),
                4 => fault.does(Action::CorruptGzip),
                _ => fault.total_requests(),
            });
        }
    });
    let rows = calm.rows();
    // 30 days of four hours of three rows, four late pairs, and what the org had before.
    assert_eq!(rows["Login"], 30 * 12 + 4 * 2 + 65);
    assert_eq!(stormy.rows(), rows);
    let findings = |nights: &Nights| {
        let dir = nights.dir.path();
        let data = dir.to_str().unwrap();
        let now = nights.org.clock().now().to_rfc3339();
        let days = ["--since", "2026-01-28", "--until", "2026-03-02"];
        let detect = [&["detect", "--data-dir", data, "--now", &now], &days[..]].concat();
        orgwatch(dir, &detect);
        // Whether an older issue of a file was ever there depends on the nights, and is told as such.
        let asked = "SELECT rule_id, user_key, bucket_start, severity, count FROM findings
                     WHERE rule_id <> 'late-or-rewritten-file' ORDER BY 1, 2, 3, 4, 5";
        expect(
            0,
            orgwatch(dir, &["sql", "--data-dir", data, "--format", "csv", asked]),
        )
    };
    assert_eq!(findings(&stormy), findings(&calm));
}
