//! The robust baseline, line by line.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Float64Type, Int64Type};
use chrono::{Datelike, Days, NaiveDate};

use super::{Question, expected};

mod synthetic;

const ERP: &str = "005000000000001AAA";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A Monday.
fn today() -> NaiveDate {
    day("2026-05-04")
}

fn before(date: NaiveDate, days: u64) -> NaiveDate {
    date - Days::new(days)
}

fn dates(days: impl Iterator<Item = NaiveDate>) -> ArrayRef {
    Arc::new(
        days.map(|d| Some(d.to_epoch_days()))
            .collect::<Date32Array>(),
    )
}

fn texts(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(values))
}

/// Day, account, calls and deletes.
type DayOfAccount = (NaiveDate, String, i64, i64);

/// Calls and deletes of accounts, by day, and what is known of the days.
#[derive(Default, Clone)]
struct World {
    rows: Vec<DayOfAccount>,
    covered: BTreeSet<NaiveDate>,
    held_out: Vec<(String, NaiveDate)>,
}

impl World {
    /// Days before today, from yesterday back: how many calls; None where no log came.
    fn past(days: u64, calls: impl Fn(NaiveDate) -> Option<i64>) -> Self {
        let mut world = Self::default();
        for date in (1..=days).map(|back| before(today(), back)) {
            if let Some(calls) = calls(date) {
                world.on(date, ERP, calls, 0);
            }
        }
        world
    }

    fn on(&mut self, date: NaiveDate, user: &str, calls: i64, deletes: i64) {
        self.covered.insert(date);
        self.rows.push((date, user.to_owned(), calls, deletes));
    }

    fn with_today(mut self, calls: i64) -> Self {
        self.on(today(), ERP, calls, 0);
        self
    }

    fn holding_out(mut self, days: impl IntoIterator<Item = NaiveDate>) -> Self {
        let days = days.into_iter().map(|date| (ERP.to_owned(), date));
        self.held_out.extend(days);
        self
    }

    fn judge(&self, days: &[NaiveDate]) -> RecordBatch {
        let numbers = |of: fn(&DayOfAccount) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(self.rows.iter().map(of)))
        };
        let activity = RecordBatch::try_from_iter([
            ("day", dates(self.rows.iter().map(|r| r.0))),
            ("user_key", texts(self.rows.iter().map(|r| r.1.clone()))),
            (
                "app_key",
                texts(self.rows.iter().map(|_| "erp sync".to_owned())),
            ),
            ("calls", numbers(|r| r.2)),
            ("deletes", numbers(|r| r.3)),
            ("rows_read", numbers(|_| 0)),
            ("bytes", numbers(|_| 0)),
            ("exports", numbers(|_| 0)),
            ("logins", numbers(|_| 0)),
        ])
        .unwrap();
        let logs = ["ApiTotalUsage", "RestApi"];
        let covered = logs
            .iter()
            .flat_map(|log| self.covered.iter().map(move |d| (*log, *d)));
        let covered = RecordBatch::try_from_iter([
            (
                "event_type",
                texts(covered.clone().map(|(log, _)| log.to_owned())),
            ),
            ("day", dates(covered.map(|(_, date)| date))),
        ])
        .unwrap();
        let held_out = RecordBatch::try_from_iter([
            (
                "user_key",
                texts(self.held_out.iter().map(|(user, _)| user.clone())),
            ),
            ("day", dates(self.held_out.iter().map(|(_, date)| *date))),
        ])
        .unwrap();
        expected(Question {
            activity: &[activity],
            covered: &[covered],
            held_out: &[held_out],
            days: &days.iter().copied().collect(),
        })
        .unwrap()
    }

    /// The one row of today's calls.
    fn today(&self) -> Row {
        let batch = self.judge(&[today()]);
        let metrics = batch.column_by_name("metric").unwrap();
        let row = metrics
            .as_string_view()
            .iter()
            .position(|m| m == Some("calls"));
        Row {
            row: row.expect("a row of calls"),
            batch,
        }
    }
}

struct Row {
    batch: RecordBatch,
    row: usize,
}

impl Row {
    fn column(&self, name: &str) -> &ArrayRef {
        self.batch.column_by_name(name).unwrap()
    }

    fn number(&self, name: &str) -> i64 {
        self.column(name)
            .as_primitive::<Int64Type>()
            .value(self.row)
    }

    fn fraction(&self, name: &str) -> f64 {
        self.column(name)
            .as_primitive::<Float64Type>()
            .value(self.row)
    }

    fn text(&self, name: &str) -> &str {
        self.column(name).as_string_view().value(self.row)
    }

    fn is(&self, name: &str) -> bool {
        self.column(name).as_boolean().value(self.row)
    }

    fn date(&self, name: &str) -> NaiveDate {
        let dates = self
            .column(name)
            .as_primitive::<arrow::datatypes::Date32Type>();
        dates.value_as_date(self.row).unwrap()
    }

    fn expects(&self, value: f64) {
        let told = self.fraction("expected");
        assert!(
            (told - value).abs() < 1e-6 * value.max(1.0),
            "{told} instead of {value}"
        );
    }
}

fn flat(calls: i64) -> World {
    World::past(94, |_| Some(calls))
}

/// Values around 100 that differ by a factor of `1 + spread` up and down.
fn noisy(spread: f64) -> World {
    World::past(94, |date| {
        let up = (date.num_days_from_ce() / 7) % 2 == 0;
        Some(
            (if up {
                100.0 * (1.0 + spread)
            } else {
                100.0 / (1.0 + spread)
            }) as i64,
        )
    })
}

fn by_weekday(monday: i64, other: i64) -> World {
    let is_monday = |date: NaiveDate| date.weekday() == chrono::Weekday::Mon;
    World::past(94, move |date| {
        Some(if is_monday(date) { monday } else { other })
    })
}

#[test]
fn a_monday_is_compared_with_mondays() {
    let monday = by_weekday(10_000, 200).with_today(10_000).today();
    monday.expects(10_000.0);
    assert_eq!(monday.text("reference"), "same weekday");
    assert_eq!(monday.number("reference_days"), 8);
    assert_eq!(monday.date("reference_first"), before(today(), 56));
    assert_eq!(monday.date("reference_last"), before(today(), 7));
    assert!(!monday.is("unusual"));
    let quiet_monday = by_weekday(200, 200).with_today(10_000).today();
    assert!(quiet_monday.is("unusual"));
}

#[test]
fn with_fewer_than_six_mondays_the_last_28_covered_days_are_the_reference() {
    let gaps = |weeks: u64| -> World {
        let missing: Vec<_> = (1..=weeks).map(|week| before(today(), 7 * week)).collect();
        World::past(94, |date| (!missing.contains(&date)).then_some(300))
    };
    let six = gaps(2).with_today(300).today();
    assert_eq!(
        (six.text("reference"), six.number("reference_days")),
        ("same weekday", 6)
    );
    let five = gaps(3).with_today(300).today();
    assert_eq!(
        (five.text("reference"), five.number("reference_days")),
        ("last 28 days", 28)
    );
    // Covered days, not days: three gaps reach further back.
    assert_eq!(five.date("reference_first"), before(today(), 31));
    assert_eq!(five.number("covered_days"), 53);
}

#[test]
fn a_sparse_series_is_compared_with_its_active_days_only() {
    // Active on days of no weekday's habit.
    let some = |date: NaiveDate| (i64::from(date.num_days_from_ce()) * 7_919 % 100) < 40;
    let sparse = World::past(94, |date| Some(if some(date) { 500 } else { 0 }));
    let row = sparse.clone().with_today(500).today();
    assert_eq!(row.text("reference"), "active days");
    row.expects(500.0);
    assert!(row.number("reference_days") < 35);
    assert!(!row.is("unusual"));
    assert!(sparse.with_today(2_600).today().is("unusual"));
}

#[test]
fn a_series_that_keeps_to_its_weekday_is_not_sparse() {
    let weekly = by_weekday(500, 0).with_today(500).today();
    assert_eq!(weekly.text("reference"), "same weekday");
    weekly.expects(500.0);
    let tuesday = |date: NaiveDate| date.weekday() == chrono::Weekday::Tue;
    let other = World::past(94, |date| Some(if tuesday(date) { 500 } else { 0 }));
    let monday = other.with_today(500).today();
    monday.expects(0.0);
}

#[test]
fn the_scale_is_neither_below_0_20_nor_above_0_50() {
    assert_eq!(
        flat(1_000).with_today(1_000).today().fraction("scale"),
        0.20
    );
    assert_eq!(noisy(9.0).with_today(100).today().fraction("scale"), 0.50);
    let between = noisy(0.25).with_today(100).today().fraction("scale");
    assert!((0.30..0.35).contains(&between), "{between}");
}

#[test]
fn each_gate_alone_keeps_a_day_quiet() {
    // z: the scale is 0.50, so that 4.4 times is 2.96 of them.
    let wild = World::past(94, |date| {
        Some(if date.num_days_from_ce() / 7 % 2 == 0 {
            4_000
        } else {
            250
        })
    });
    let low = wild.clone().with_today(4_400).today();
    assert!(low.fraction("z") < 3.0 && !low.is("unusual"));
    let high = flat(1_000).with_today(3_000).today();
    assert!(high.fraction("z") > 5.0 && high.is("unusual"));
    // Three times: 2.9 times is far in scales of a steady series and no multiple.
    let near = flat(1_000).with_today(2_900).today();
    assert!(near.fraction("z") > 5.0 && !near.is("unusual"));
    // Highest of the last 35 covered days.
    let mut spiked = flat(1_000);
    let spike = before(today(), 34);
    spiked.rows.iter_mut().find(|row| row.0 == spike).unwrap().2 = 5_000;
    let row = spiked.clone().with_today(6_000).today();
    assert_eq!(row.number("highest_35"), 5_000);
    assert!(!row.is("unusual"));
    assert!(spiked.with_today(6_001).today().is("unusual"));
    let mut older = flat(1_000);
    older
        .rows
        .iter_mut()
        .find(|row| row.0 == before(today(), 36))
        .unwrap()
        .2 = 5_000;
    assert!(older.with_today(6_000).today().is("unusual"));
}

/// Month-ends of this many earlier months, up to the end of April 2026.
fn month_ends(months: usize, peak: i64) -> World {
    let ends = ["2026-03-31", "2026-02-28", "2026-01-30"].map(day);
    let end = day("2026-04-30");
    let mut world = World::default();
    for date in (1..=94).map(|back| before(end, back)) {
        let calls = if ends[..months].contains(&date) {
            peak
        } else {
            100
        };
        world.on(date, ERP, calls, 0);
    }
    world
}

#[test]
fn a_month_end_like_the_ones_before_is_the_season() {
    let end = day("2026-04-30");
    let judge = |months, calls| {
        let mut world = month_ends(months, 1_900);
        world.on(end, ERP, calls, 0);
        Row {
            batch: world.judge(&[end]),
            row: 0,
        }
    };
    // The 30th of January stands for the 31st: a day to either side.
    let row = judge(3, 2_500);
    assert_eq!(row.number("season_highest"), 1_900);
    assert!(row.fraction("z") > 3.0 && row.is("in_season") && !row.is("unusual"));
    let beyond = judge(3, 2_900);
    assert!(!beyond.is("in_season") && beyond.is("unusual"));
    // A month without a peak breaks it.
    let once = judge(1, 2_500);
    assert!(!once.is("in_season") && !once.is("maybe_season") && once.is("unusual"));
}

#[test]
fn the_one_month_end_that_has_logs_may_be_a_season_and_is_told_all_the_same() {
    let end = day("2026-04-30");
    let judge = |peak, calls| {
        let mut world = World::default();
        for date in (1..=40).map(|back| before(end, back)) {
            let calls = if date == day("2026-03-31") { peak } else { 100 };
            world.on(date, ERP, calls, 0);
        }
        world.on(end, ERP, calls, 0);
        Row {
            batch: world.judge(&[end]),
            row: 0,
        }
    };
    let row = judge(1_900, 3_800);
    assert!(row.is("maybe_season") && !row.is("in_season") && row.is("unusual"));
    assert_eq!(row.number("season_highest"), 1_900);
    let beyond = judge(1_900, 3_801);
    assert!(!beyond.is("maybe_season") && beyond.is("unusual"));
    let first = judge(100, 2_500);
    assert!(!first.is("maybe_season") && first.is("unusual"));
}

#[test]
fn below_14_covered_and_10_active_days_nothing_is_unusual() {
    let cold = |days| World::past(days, |_| Some(100)).with_today(90_000).today();
    let row = cold(13);
    assert_eq!(
        (row.text("history"), row.number("covered_days")),
        ("cold start", 13)
    );
    assert!(row.fraction("z") > 3.0 && !row.is("unusual"));
    assert!(cold(14).is("unusual"));
    let active = |days: i32| {
        let since = before(today(), 56).num_days_from_ce();
        let world = World::past(94, |date| {
            let n = date.num_days_from_ce() - since;
            Some(if (0..5 * days).contains(&n) && n % 5 == 0 {
                100
            } else {
                0
            })
        });
        world.with_today(90_000).today()
    };
    assert_eq!(
        (active(9).text("history"), active(9).number("active_days")),
        ("cold start", 9)
    );
    assert!(!active(9).is("unusual"));
    assert!(active(10).is("unusual"));
    // Nothing at all is known of the first day.
    let first = World::default().with_today(5).today();
    assert!(first.column("expected").is_null(0) && first.column("reference").is_null(0));
    assert!(!first.is("unusual"));
}

#[test]
fn the_day_judged_is_no_part_of_its_own_baseline() {
    let row = flat(1_000).with_today(50_000).today();
    row.expects(1_000.0);
    assert_eq!(row.number("highest_35"), 1_000);
    // Nor is what came after it.
    let mut later = flat(1_000).with_today(50_000);
    later.on(today() + Days::new(1), ERP, 900_000, 0);
    later.today().expects(1_000.0);
}

#[test]
fn days_with_an_open_finding_are_held_out_up_to_a_fifth() {
    let attack: Vec<_> = (1..=3).map(|back| before(today(), back)).collect();
    let mut world = flat(1_000);
    for row in world.rows.iter_mut().filter(|row| attack.contains(&row.0)) {
        row.2 = 50_000;
    }
    let world = world.with_today(50_000);
    assert!(
        !world.today().is("unusual"),
        "what is high for days hides itself"
    );
    let held = world.clone().holding_out(attack).today();
    assert_eq!(
        (held.number("held_out"), held.number("highest_35")),
        (3, 1_000)
    );
    assert!(held.is("unusual"));
    let many = (1..=20).map(|back| before(today(), back));
    let many = world.holding_out(many).today();
    // A fifth of 56 days; the newest first.
    assert_eq!((many.number("held_out"), many.number("let_in")), (11, 9));
    assert_eq!(many.text("history"), "enough");
}

#[test]
fn a_day_without_a_log_is_absent_and_a_day_without_an_event_is_0() {
    let half = World::past(94, |date| (date.num_days_from_ce() % 2 == 0).then_some(100));
    let row = half.with_today(100).today();
    row.expects(100.0);
    assert_eq!(row.number("covered_days"), 28);
    let mut silent = flat(100);
    silent.covered.insert(today());
    let row = silent.today();
    assert_eq!(row.number("actual"), 0);
    row.expects(100.0);
    silent.covered.remove(&today());
    assert_eq!(silent.judge(&[today()]).num_rows(), 0);
}

#[test]
fn what_an_account_never_did_is_unusual_once_the_account_is_known() {
    let mut world = flat(1_000);
    world.on(today(), ERP, 1_000, 9_000);
    let batch = world.judge(&[today()]);
    let row = Row { row: 0, batch };
    assert_eq!(
        (row.text("metric"), row.number("actual")),
        ("deletes", 9_000)
    );
    assert!(row.column("app_key").is_null(0));
    row.expects(0.0);
    assert_eq!(row.number("active_days"), 56);
    assert!(row.is("unusual"));
}

#[test]
fn many_series_and_days_at_once_come_to_the_same_as_each_alone() {
    let mut world = by_weekday(900, 100);
    for back in 0..94 {
        let other = format!("0050000000000{:02}AAA", back % 3 + 10);
        world.on(
            before(today(), back),
            &other,
            50 + i64::try_from(back).unwrap() % 7,
            3,
        );
    }
    let days: Vec<_> = (0..10).map(|back| before(today(), back)).rev().collect();
    let together = world.judge(&days);
    let alone: Vec<_> = days.iter().map(|date| world.judge(&[*date])).collect();
    let alone = arrow::compute::concat_batches(&together.schema(), &alone).unwrap();
    assert!(together.num_rows() > 50);
    assert_eq!(together, alone);
}
