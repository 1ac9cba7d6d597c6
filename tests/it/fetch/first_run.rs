//! A first run, which has a month to fetch: it stops where it has to, and the next one goes on.

use std::collections::BTreeSet;
use std::fs;

use orgwatch::lake::DataSetState;

use super::night::{Nights, empty};
use super::run::configure;
use crate::fake_salesforce::{Blob, CLIENT_ID, FakeSf, Fault, Scenario};
use crate::program::{expect, orgwatch, stderr};

const NOW: &str = "2026-01-31T03:00:00Z";
const FILES: u64 = 2500;

// F62
#[test]
fn of_thousands_of_files_each_is_in_the_lake_once_though_the_first_run_may_not_fetch_them_all() {
    let scenario = Scenario::big(FILES, 2000).set(|state| {
        // At four fifths of the calls it stops: a good thousand from here.
        state.org.api_usage = 78_800;
    });
    let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
    configure(dir.path(), &org, CLIENT_ID);
    let config = dir.path().join("orgwatch.toml");
    let text = fs::read_to_string(&config).unwrap();
    let logs_alone = "login_history = false\nsetup_audit_trail = false\nroster = false\n";
    fs::write(&config, format!("{text}{logs_alone}")).unwrap();
    let sql = |query: &str| expect(0, orgwatch(dir.path(), &["sql", "--format", "csv", query]));
    let states = "SELECT state, count(*) AS n FROM org_log_files GROUP BY 1 ORDER BY 1";

    let first = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert_eq!(first.status.code(), Some(3), "{}", stderr(&first));
    let said = stderr(&first);
    assert!(said.contains("left for the next run"), "{said}");
    let fetched = org.asked("/LogFile");
    assert!((500..2000).contains(&fetched), "{fetched}");

    org.with(|state| state.org.api_usage = 100);
    let second = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));
    // Those of the small org among them: twelve, of which two hours are in their day's file.
    let all = FILES + 10;
    assert_eq!(
        sql(states),
        format!("state,n\r\ningested,{all}\r\nsuperseded,2\r\n")
    );
    let asked = org.journal();
    let asked: Vec<_> = asked
        .iter()
        .filter(|it| it.path.ends_with("/LogFile"))
        .collect();
    let once: BTreeSet<&str> = asked.iter().map(|it| it.path.as_str()).collect();
    assert_eq!((asked.len() as u64, once.len() as u64), (all, all));
    let rows = org.with(|state| {
        let bodies = state.log_files.iter().map(|file| &file.body);
        bodies
            .map(|body| match body {
                Blob::Rows(rows) => rows.count,
                Blob::Bytes(_) => 0,
            })
            .sum::<u64>()
    });
    let account = "SELECT count(*) AS files, sum(rows_kept) AS kept,
         sum(rows_duplicate + rows_quarantined) AS others FROM files";
    let rows = rows - 2 * 5;
    assert_eq!(
        sql(account),
        format!("files,kept,others\r\n{all},{rows},0\r\n")
    );
    let third = orgwatch(dir.path(), &["fetch", "--now", NOW]);
    assert!(stderr(&third).contains("0 fetched"), "{}", stderr(&third));
    let inbox = fs::read_dir(dir.path().join("out/inbox")).unwrap();
    assert_eq!(inbox.count(), 0);
}

// F62
#[test]
fn a_run_whose_time_is_up_in_the_middle_stops_politely_and_the_next_has_the_rest() {
    let mut nights = empty();
    for n in 0..60 {
        let (day, hour) = (5 + n / 3, 3 * (n % 3));
        let date = format!("{day:02}T{hour:02}:00");
        nights.add(
            "Login",
            &date,
            1,
            &format!("{day:02}T{:02}:30", hour + 4),
            3,
        );
    }
    // Each tenth answer is to wait for five minutes of the clock that the org and the client share.
    for nth in [10, 20, 30, 40, 50, 60] {
        let busy = Fault::on("LogFile$").nth(nth);
        nights
            .org
            .fault(busy.answer(503, &[("retry-after", "300")], ""));
    }
    nights.settings.time_budget_minutes = 15;
    let report = nights.night();
    let stop = report.stop.unwrap();
    assert!(stop.what.contains("15 minutes"), "{}", stop.what);
    let files = report.log_files;
    assert!((20..50).contains(&files.fetched), "{files:?}");
    assert_eq!((files.fetched + files.left, files.failed), (60, 0));
    nights.org.with(|state| state.faults.clear());
    let rest = nights.whole_night().log_files;
    assert_eq!(rest.fetched, files.left);
    assert_eq!(nights.rows()["Login"], 180);
}

// F62
#[test]
fn nights_that_never_come_to_their_end_reach_no_further_back_than_the_first_one() {
    let mut nights = empty();
    nights.settings.first_days = 5;
    for n in 10..30 {
        let made = format!("{}T02:00", n + 1);
        nights.add("Login", &format!("{n}T00:00"), 0, &made, 4);
    }
    nights.settings.time_budget_minutes = 0;
    let first = nights.night().log_files;
    // Made from the 26th on.
    assert_eq!((first.listed, first.left), (4, 4));
    for _ in 0..3 {
        assert_eq!(nights.night().log_files.listed, 4);
    }
    nights.settings.time_budget_minutes = 120;
    nights.whole_night();
    assert_eq!(nights.rows()["Login"], 16);
}

#[test]
fn days_of_a_history_that_came_before_a_fault_do_not_wait_in_the_inbox() {
    let nights = Nights::of(Scenario::org());
    // Two days of the first question: the second one never comes.
    let broken = Fault::on("/query").soql("FROM LoginHistory").nth(3);
    nights.org.fault(broken.forever().maintenance());
    let report = nights.night();
    let mut sets = report.data_sets.iter();
    let logins = sets.find(|it| it.set.name == "LoginHistory").unwrap();
    assert_eq!(logins.set.state, DataSetState::Failed);
    assert_eq!(logins.set.read_until, None);
    nights.org.with(|state| state.faults.clear());
    nights.whole_night();
    assert_eq!(nights.rows()["LoginHistory"], 48);
}
