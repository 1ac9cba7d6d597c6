//! Night after night: whatever goes wrong in between, all that the org has is in the lake once.

use std::collections::BTreeMap;
use std::fs;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use chrono::{DateTime, TimeDelta, Utc};
use orgwatch::catalog::Catalog;
use orgwatch::config::Salesforce;
use orgwatch::fetch::{FetchError, FetchOptions, FetchReport, fetch};
use orgwatch::ingest::{IngestOptions, LocalDates, Silent};
use orgwatch::lake::{DataSetState, Lake, LedgerTable, OrgFileState, OrgLogFile};
use orgwatch::salesforce::Class;

use super::connection::{client_with, names, settings};
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::state::ElfState;
use crate::fake_salesforce::{FakeSf, Fault, Scenario, ids, time};

/// An org, and a lake that is fetched from it.
pub struct Nights {
    pub org: FakeSf,
    pub settings: Salesforce,
    pub dir: tempfile::TempDir,
    pub since: Option<DateTime<Utc>>,
}

impl Nights {
    pub fn of(scenario: Scenario) -> Self {
        let org = FakeSf::start(scenario);
        let settings = settings(&org);
        let dir = tempfile::tempdir().unwrap();
        Self {
            org,
            settings,
            dir,
            since: None,
        }
    }

    /// The log files alone, which most tests are about.
    fn of_log_files(scenario: Scenario) -> Self {
        let mut nights = Self::of(scenario);
        nights.settings.login_history = false;
        nights.settings.setup_audit_trail = false;
        nights.settings.roster = false;
        nights
    }

    pub fn try_night(&self) -> Result<FetchReport, FetchError> {
        let client = client_with(&self.org, &self.settings);
        let mut lake = Lake::open_writer(self.dir.path()).unwrap();
        let at = self.org.clock().now();
        let run_id = lake.ledger_mut().start_run("fetch", at).unwrap();
        let options = FetchOptions {
            since: self.since,
            ingest: IngestOptions {
                threads: 1,
                local_dates: LocalDates {
                    zone: None,
                    day_first: false,
                },
            },
            run_id,
            at,
        };
        let catalog = Catalog::embedded();
        let done = fetch(
            &mut lake,
            &catalog,
            &client,
            &self.settings,
            &options,
            &Silent,
        );
        let at = self.org.clock().now();
        lake.ledger_mut().finish_run(run_id, at, 0, "{}").unwrap();
        done
    }

    pub fn night(&self) -> FetchReport {
        let report = self.try_night().unwrap();
        assert_eq!(names(&self.dir.path().join("inbox")), Vec::<String>::new());
        report
    }

    /// A night that gets all there is.
    pub fn whole_night(&self) -> FetchReport {
        let report = self.night();
        assert_eq!(report.stop, None);
        assert_eq!((report.log_files.failed, report.log_files.left), (0, 0));
        report
    }

    /// Rows in the lake by event type.
    pub fn rows(&self) -> BTreeMap<String, i64> {
        let lake = Lake::open_reader(self.dir.path()).unwrap();
        let files = lake.ledger().snapshot(LedgerTable::Files).unwrap();
        let names = files.column_by_name("event_type").unwrap().as_string_view();
        let kept = files.column_by_name("rows_kept").unwrap();
        let kept = kept.as_primitive::<Int64Type>();
        let mut rows = BTreeMap::new();
        for (name, kept) in names.iter().zip(kept.values()) {
            *rows.entry(name.unwrap_or_default().to_owned()).or_default() += kept;
        }
        rows.retain(|_, rows| *rows > 0);
        rows
    }

    fn log_files(&self) -> Vec<OrgLogFile> {
        let lake = Lake::open_reader(self.dir.path()).unwrap();
        lake.ledger().org_log_files(DateTime::UNIX_EPOCH).unwrap()
    }

    pub fn in_state(&self, state: OrgFileState) -> usize {
        self.log_files()
            .iter()
            .filter(|file| file.state == state)
            .count()
    }

    pub fn pass(&self, time: TimeDelta) {
        self.org.clock().advance(time);
    }
}

pub fn day(text: &str) -> DateTime<Utc> {
    time(&format!("2026-01-{text}:00Z"))
}

/// An org whose log files a test adds itself.
pub fn empty() -> Nights {
    Nights::of_log_files(Scenario::empty())
}

impl Nights {
    pub fn add(
        &self,
        event_type: &str,
        date: &str,
        sequence: u32,
        made: &str,
        rows: u64,
    ) -> String {
        self.org.with(|state| {
            let body = generated(state, event_type, day(date), rows);
            state.add_log_file(event_type, day(date), sequence, day(made), body)
        })
    }
}

#[test]
fn all_that_an_org_has_is_in_the_lake_after_one_night_and_the_next_finds_nothing_new() {
    let nights = Nights::of(Scenario::org());
    let report = nights.whole_night();
    assert_eq!(report.identity.unwrap().username, "orgwatch@example.com");
    assert!(
        report
            .data_sets
            .iter()
            .all(|it| it.set.state == DataSetState::Read)
    );
    let rows = nights.rows();
    // F57: hours that were made before their day's file are in it; the third was made after it.
    assert_eq!(rows["Login"], 60 + 5);
    assert_eq!(nights.in_state(OrgFileState::Superseded), 2);
    assert_eq!((rows["RestApi"], rows["LoginHistory"]), (60, 48));
    assert_eq!((rows["SetupAuditTrail"], rows["User"]), (2, 3));
    assert!(rows.contains_key("FrobnicateEvent"), "{rows:?}");
    let again = nights.whole_night();
    assert_eq!(again.log_files.fetched, 0);
    assert_eq!(nights.rows(), rows);
    // Two nights are two sign-ins, and no session is left.
    assert_eq!(nights.org.logins(), 2);
    assert!(
        nights
            .org
            .with(|state| state.tokens.iter().all(|token| token.revoked))
    );
    assert!(nights.org.breaches().is_empty());
}

#[test]
fn a_file_that_is_still_written_is_fetched_whole_by_a_later_night() {
    // F54, F55
    let nights = empty();
    let young = nights.add("Login", "30T22:00", 1, "31T02:55", 10);
    let report = nights.whole_night();
    assert_eq!(
        (report.log_files.settling, report.log_files.fetched),
        (1, 0)
    );
    nights.org.with(|state| {
        let mut files = state.log_files.iter_mut();
        files.find(|file| file.id == young).unwrap().state = ElfState::Writing {
            ready_at: day("31T03:30"),
            shows: None,
        };
    });
    nights.pass(TimeDelta::minutes(10));
    let report = nights.night();
    assert_eq!((report.log_files.failed, report.log_files.fetched), (1, 0));
    assert_eq!(nights.log_files()[0].attempts, 1);
    nights.pass(TimeDelta::minutes(30));
    nights.whole_night();
    assert_eq!(nights.rows()["Login"], 10);
}

#[test]
fn a_file_that_expires_before_it_could_be_fetched_is_recorded_as_a_gap() {
    // F56
    let nights = empty();
    nights.add("Login", "20T00:00", 0, "21T02:00", 10);
    nights.org.fault(Fault::on("LogFile$").status(404));
    let report = nights.night();
    assert_eq!((report.log_files.failed, report.gone.len()), (1, 0));
    nights.org.with(|state| state.log_files.clear());
    let report = nights.night();
    assert_eq!(report.gone.len(), 1);
    assert_eq!(nights.in_state(OrgFileState::Gone), 1);
    // It is told once.
    assert!(nights.night().gone.is_empty());
}

#[test]
fn what_a_killed_run_left_in_the_inbox_is_read_and_never_counts_twice() {
    // F61
    let nights = empty();
    let id = nights.add("Login", "29T00:00", 0, "30T02:00", 10);
    let body = nights.org.with(|state| state.log_files[0].body.whole());
    let inbox = nights.dir.path().join("inbox");
    fs::create_dir_all(&inbox).unwrap();
    let made = day("30T02:00").timestamp_millis();
    let name = format!(
        "EventLogFile_Login_daily_2026-01-29T00Z_0_{id}_{made}_{}.csv",
        body.len()
    );
    // Killed after the download: there is no word of it in the ledger.
    fs::write(inbox.join(&name), &body).unwrap();
    fs::write(inbox.join("EventLogFile_half.csv.part"), &body[..50]).unwrap();
    // Nobody knows whether this list of users was whole.
    fs::write(
        inbox.join("User_2026-01-30T0300Z.csv"),
        "Id,Username,IsActive,ProfileId\n",
    )
    .unwrap();
    nights.whole_night();
    assert_eq!(nights.rows(), BTreeMap::from([("Login".to_owned(), 10)]));
    // Killed after the commit: the file is still there, and the ledger lists it as not fetched.
    fs::write(inbox.join(&name), &body).unwrap();
    let mut lake = Lake::open_writer(nights.dir.path()).unwrap();
    let key = nights.log_files()[0].key.clone();
    let at = nights.org.clock().now();
    let back = [(key, OrgFileState::Listed, None)];
    lake.ledger_mut().note_org_log_files(&back, at, 1).unwrap();
    drop(lake);
    nights.whole_night();
    assert_eq!(nights.rows()["Login"], 10);
    assert_eq!(nights.in_state(OrgFileState::Ingested), 1);
}

#[test]
fn a_night_without_time_or_calls_leaves_the_rest_to_the_next() {
    // F31, F36, F62
    let mut nights = empty();
    for n in 10..25 {
        nights.add(
            "Login",
            &format!("{n}T00:00"),
            0,
            &format!("{}T02:00", n + 1),
            4,
        );
    }
    nights.settings.time_budget_minutes = 0;
    let report = nights.night();
    assert_eq!((report.log_files.left, report.log_files.fetched), (15, 0));
    assert_eq!(report.stop.unwrap().class, Class::Throttled);
    nights.settings.time_budget_minutes = 60;

    nights
        .org
        .fault(Fault::on("LogFile$").nth(6).times(99).total_requests());
    let report = nights.night();
    assert_eq!(
        report.stop.as_ref().unwrap().class,
        Class::Throttled,
        "{report:?}"
    );
    let fetched = report.log_files.fetched;
    assert!((4..=6).contains(&fetched), "{fetched}");
    assert_eq!(report.log_files.left, 15 - fetched);
    nights.org.with(|state| {
        state.faults.0.clear();
        state.org.api_usage = 81_000;
    });
    let report = nights.night();
    assert_eq!(report.stop.unwrap().class, Class::Throttled);
    nights.org.with(|state| state.org.api_usage = 10);
    let report = nights.whole_night();
    assert_eq!(nights.rows()["Login"], 60);
    assert!(report.log_files.fetched <= 15 - fetched);
}

#[test]
fn what_this_user_may_not_read_is_named_and_the_rest_is_there() {
    // F70, and the silent case: LoginHistory shows the asking user's own rows alone.
    let scenario = Scenario::org()
        .without("ManageUsers")
        .without("MonitorLoginHistory")
        .without("CustomizeApplication")
        .set(|state| {
            state.users[0].permissions.remove("ViewAllData");
        });
    let nights = Nights::of(scenario);
    let report = nights.whole_night();
    let state = |name: &str| {
        let found = report
            .data_sets
            .iter()
            .find(|it| it.set.name == name)
            .unwrap();
        (
            found.set.state,
            found.set.permission.clone().unwrap_or_default(),
        )
    };
    let (found, needs) = state("LoginHistory");
    assert_eq!(found, DataSetState::Unreadable);
    assert!(needs.contains("Monitor Login History"), "{needs}");
    assert_eq!(state("Profile").0, DataSetState::Read);
    let rows = nights.rows();
    assert!(!rows.contains_key("LoginHistory"), "{rows:?}");
    assert_eq!(rows["Login"], 65);
}

#[test]
fn without_the_permission_for_log_files_the_rest_of_the_org_is_fetched() {
    let nights = Nights::of(Scenario::org().without("ViewEventLogFiles"));
    let report = nights.night();
    let state = |name: &str| {
        let mut sets = report.data_sets.iter();
        sets.find(|it| it.set.name == name).unwrap().set.state
    };
    assert_eq!(state("EventLogFile"), DataSetState::Unreadable);
    assert_eq!(state("LoginHistory"), DataSetState::Read);
    assert_eq!(state("User"), DataSetState::Read);
    assert_eq!(report.stop, None);
    assert_eq!(nights.rows()["LoginHistory"], 48);
}

#[test]
fn what_is_asked_for_by_its_day_is_fetched_again_and_counts_once() {
    let mut nights = empty();
    nights.add("Login", "29T00:00", 0, "30T02:00", 10);
    nights.add("Login", "28T00:00", 0, "29T02:00", 10);
    nights.whole_night();
    nights.since = Some(day("30T00:00"));
    assert_eq!(nights.whole_night().log_files.fetched, 1);
    assert_eq!(nights.rows()["Login"], 20);
}

#[test]
fn a_lake_takes_the_logs_of_one_org_only() {
    let mut nights = empty();
    nights.add("Login", "29T00:00", 0, "30T02:00", 10);
    nights.whole_night();
    let mut other = Scenario::empty();
    other.state.org.id = ids::long("00D5e000000Other");
    nights.org = FakeSf::start(other);
    nights.settings = settings(&nights.org);
    assert!(matches!(
        nights.try_night(),
        Err(FetchError::OtherOrg { .. })
    ));
    let is_over = |org: &FakeSf| org.with(|state| state.tokens.iter().all(|token| token.revoked));
    assert!(is_over(&nights.org));
    assert_eq!(nights.rows()["Login"], 10);
}

#[test]
fn an_inbox_that_cannot_be_used_is_an_error_that_names_it() {
    // F63
    let nights = empty();
    nights.add("Login", "29T00:00", 0, "30T02:00", 10);
    drop(Lake::open_writer(nights.dir.path()).unwrap());
    fs::write(nights.dir.path().join("inbox"), "in the way").unwrap();
    let error = nights.try_night().unwrap_err();
    assert!(error.to_string().contains("inbox"), "{error}");
    fs::remove_file(nights.dir.path().join("inbox")).unwrap();
    nights.whole_night();
    assert_eq!(nights.rows()["Login"], 10);
}
