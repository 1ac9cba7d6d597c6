//! Killed at any point of a fetch and run again, it ends as if nobody had killed it: the same rows, the
//! same words in the ledger, nothing left behind, and nothing asked for again that was there already.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use orgwatch::lake::Lake;
use rusqlite::{Connection, OpenFlags};

use super::connection::names;
use super::run::configure;
use crate::fake_salesforce::quirks::Gzip;
use crate::fake_salesforce::scenario::generated;
use crate::fake_salesforce::{Action, Blob, CLIENT_ID, FakeSf, Fault, Scenario, time};
use crate::program::{command, expect, orgwatch, stderr};

const NOW: &str = "2026-01-31T03:00:00Z";
const FETCH: [&str; 3] = ["fetch", "--now", NOW];
/// Somebody who holds the ledger for longer than this is not going to let go.
const HELD: Duration = Duration::from_secs(1);
/// No point is further away than this, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// All that a fetch leaves, without what names runs, files and times of this lake.
const PICTURE: &str = "
    SELECT occurred_at, user_key, source, login_path, outcome, request_id FROM logins
        ORDER BY 1, 2, 3, 6;
    SELECT occurred_at, user_key, event_type, request_id FROM api_calls ORDER BY 1, 2, 3, 4;
    SELECT event_type, day, sum(rows) AS rows FROM parts
        WHERE event_type NOT LIKE 'rollup%' GROUP BY 1, 2 ORDER BY 1, 2;
    SELECT event_type, sum(rows_kept) AS kept, sum(rows_quarantined) AS quarantined,
        count(*) FILTER (WHERE name LIKE '%EventLogFile%') AS log_files
        FROM files GROUP BY 1 ORDER BY 1;
    SELECT data_set, day, is_complete FROM roster_snapshots ORDER BY 1, 2;
    SELECT user_key, kind, count(*) AS n, sum(events) AS events FROM first_seen
        GROUP BY 1, 2 ORDER BY 1, 2;
    SELECT hour, user_key, logins, calls FROM activity_hourly ORDER BY 1, 2, 3, 4;
    SELECT log_file_id, created_at, length, state, attempts, reason FROM org_log_files
        ORDER BY 1, 2;
    SELECT name, state, read_until, reason, permission FROM org_data_sets ORDER BY 1";

/// An org of three days, and a folder in which its logs are fetched.
struct Desk {
    org: FakeSf,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new(scenario: Scenario) -> Self {
        let (org, dir) = (FakeSf::start(scenario), tempfile::tempdir().unwrap());
        configure(dir.path(), &org, CLIENT_ID);
        let config = dir.path().join("orgwatch.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}first_days = 3\n")).unwrap();
        Self { org, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn fetch(&self) -> String {
        let done = orgwatch(self.dir.path(), &FETCH);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        stderr(&done)
    }

    fn sql(&self, query: &str) -> String {
        let ask = ["sql", "--format", "csv", query];
        expect(0, orgwatch(self.dir.path(), &ask))
    }

    fn inbox(&self) -> Vec<String> {
        let inbox = self.path("out/inbox");
        match inbox.is_dir() {
            true => names(&inbox),
            false => Vec::new(),
        }
    }

    fn ledger(&self) -> Connection {
        let ledger = Connection::open(self.path("out/ledger.sqlite")).unwrap();
        ledger.busy_timeout(HELD).unwrap();
        ledger
    }

    /// 0 as long as there is nothing to count in.
    fn count(&self, query: &str) -> i64 {
        let path = self.path("out/ledger.sqlite");
        let ledger = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let count = ledger.and_then(|it| it.query_row(query, [], |row| row.get(0)));
        count.unwrap_or(0)
    }

    /// Runs a fetch until this is so, and kills it there.
    fn kill_when(&self, is_so: impl Fn() -> bool) {
        let mut run = command(self.dir.path(), &FETCH)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !is_so() {
            assert!(
                begun.elapsed() < PATIENCE,
                "it does not come to this point: {:?}",
                self.inbox()
            );
            assert_eq!(run.try_wait().unwrap(), None, "it ended before this point");
            sleep(Duration::from_millis(5));
        }
        kill(&mut run);
    }

    /// Kills a fetch at the moment at which it writes this to the ledger: within its transaction.
    fn kill_before(&self, write: &str) {
        self.paused_before(write, || {
            self.kill_when(|| {
                let free = self.ledger().execute_batch("BEGIN IMMEDIATE; ROLLBACK");
                free.is_err()
            });
        });
    }

    /// A fetch that is run meanwhile stands still where it writes this to the ledger.
    fn paused_before(&self, write: &str, run: impl FnOnce()) {
        drop(Lake::open_writer(&self.path("out")).unwrap());
        // The statement never ends, so that the program stands still there.
        let pause = format!(
            "CREATE VIEW forever AS
                 WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                 SELECT max(x) AS x FROM n;
             CREATE TRIGGER pause BEFORE {write} BEGIN SELECT x FROM forever; END"
        );
        self.ledger().execute_batch(&pause).unwrap();
        run();
        let go_on = "DROP TRIGGER pause; DROP VIEW forever";
        self.ledger().execute_batch(go_on).unwrap();
    }

    /// How many files lie whole in the inbox.
    fn had_whole(&self) -> usize {
        let mut whole = self.inbox();
        whole.retain(|name| name.ends_with(".csv"));
        whole.len()
    }

    /// Ids of the log files that are in the lake, or whole in the inbox.
    fn had(&self) -> BTreeSet<String> {
        let mut had = self.inbox();
        had.retain(|name| name.ends_with(".csv"));
        if self.path("out/ledger.sqlite").exists() {
            let ledger = self.ledger();
            let mut files = ledger.prepare("SELECT name FROM files").unwrap();
            let names = files.query_map([], |row| row.get(0)).unwrap();
            had.extend(names.map(Result::unwrap));
        }
        let parts = had.iter().flat_map(|name| name.split('_'));
        parts
            .filter(|part| part.starts_with("0AT"))
            .map(str::to_owned)
            .collect()
    }

    /// Runs it once more, to its end, and looks.
    fn goes_on(&self, point: &str) {
        self.org.with(|state| state.faults.clear());
        let (had, asked) = (self.had(), self.org.journal().len());
        let said = self.fetch();
        assert_eq!(self.inbox(), Vec::<String>::new(), "{point}");
        let mut fetched = BTreeSet::new();
        for entry in self.org.journal().into_iter().skip(asked) {
            if !entry.path.ends_with("/LogFile") {
                continue;
            }
            let id = entry.path.split('/').rev().nth(1).unwrap().to_owned();
            assert!(!had.contains(&id), "{point}: {id} was there already");
            assert!(fetched.insert(id), "{point}: fetched twice\n{said}");
        }
        assert_eq!(self.sql(PICTURE), *calm(), "{point}\n{said}");
        expect(0, orgwatch(self.dir.path(), &["lake", "verify"]));
        assert_eq!(names(&self.path("out/staging")), Vec::<String>::new());
    }
}

fn kill(run: &mut Child) {
    // SIGKILL.
    run.kill().unwrap();
    run.wait().unwrap();
}

/// Bodies come as they are, so that so many bytes on the wire are as many in the file.
fn scenario() -> Scenario {
    Scenario::org().set(|state| {
        state.quirks.gzip = Gzip::Never;
        // Made before the days that a first run begins with.
        let day = time("2026-01-25T00:00:00Z");
        let body = generated(state, "Login", day, 7);
        state.add_log_file("Login", day, 0, day + TimeDelta::hours(26), body);
    })
}

/// What a fetch leaves that nobody kills.
fn calm() -> &'static String {
    static CALM: OnceLock<String> = OnceLock::new();
    CALM.get_or_init(|| {
        let desk = Desk::new(scenario());
        desk.fetch();
        let picture = desk.sql(PICTURE);
        assert_eq!(picture.matches(",ingested,").count(), 10, "{picture}");
        assert_eq!(picture.matches(",superseded,").count(), 2, "{picture}");
        picture
    })
}

fn desk() -> Desk {
    Desk::new(scenario())
}

/// Length of the unfinished file in the inbox whose name says the length that it should have.
fn part(inbox: &Path) -> Option<(u64, u64)> {
    let names = fs::read_dir(inbox).ok()?;
    let names = names.map(|entry| entry.unwrap().path());
    let part = names
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".csv.part"))?;
    let name = part.file_stem()?.to_str()?.strip_suffix(".csv")?;
    let should = name.rsplit('_').next()?.parse().ok()?;
    Some((fs::metadata(&part).ok()?.len(), should))
}

#[test]
fn killed_while_a_file_comes_it_fetches_that_file_again_and_no_other() {
    // Before its first byte, in its middle, and when all of it is there under its passing name.
    for after in [0, 700, u64::MAX] {
        let desk = desk();
        let stall = Action::Stall { after };
        desk.org.fault(Fault::on("LogFile$").nth(4).does(stall));
        let inbox = desk.path("out/inbox");
        desk.kill_when(|| {
            let (is_there, should) = part(&inbox).unwrap_or((u64::MAX, 0));
            // The hours that wait for their days come after all of these.
            let others = "SELECT count(*) FROM org_log_files WHERE state = 'ingested'";
            desk.org.with(|state| state.faults.all_used())
                && is_there == after.min(should)
                && desk.count(others) == 9
        });
        desk.goes_on(&format!("after {after} bytes"));
    }
}

#[test]
fn killed_on_the_way_into_the_lake_it_reads_what_it_has_and_counts_it_once() {
    let ingested = "SELECT count(*) FROM org_log_files WHERE state = 'ingested'";
    let committed = "SELECT count(*) FROM files";
    let waiting = |desk: &Desk| desk.inbox().iter().any(|name| name.ends_with(".csv"));

    // Its rows are written, and the lake does not know of them.
    let early = desk();
    early.kill_before("INSERT ON files");
    assert!(early.count(committed) == 0 && waiting(&early));
    early.goes_on("before the first commit");
    let later = desk();
    later.kill_before("INSERT ON files WHEN (SELECT count(*) FROM files) >= 3");
    assert!(waiting(&later));
    later.goes_on("before a later commit");

    // The lake knows of them, the list of log files does not, and the file is still there.
    let noted = desk();
    noted.kill_before("UPDATE ON org_log_files WHEN NEW.state = 'ingested'");
    assert!(noted.count(committed) > 0 && noted.count(ingested) == 0 && waiting(&noted));
    noted.goes_on("before the first word of it");
    let last = desk();
    last.kill_before(
        "UPDATE ON org_log_files WHEN NEW.state = 'ingested'
             AND (SELECT count(*) FROM org_log_files WHERE state = 'ingested') >= 9",
    );
    // Words of files that came together are written together.
    assert!(last.count(ingested) < 10 && waiting(&last));
    last.goes_on("before the last word of it");
}

#[test]
fn a_lake_that_is_busy_with_one_file_keeps_no_other_from_coming() {
    let files = 300;
    let desk = Desk::new(scenario().set(|state| {
        state.log_files.clear();
        let first = time("2026-01-29T00:00:00Z");
        for n in 0..files {
            let hour = first + TimeDelta::hours(n % 24);
            let body = generated(state, "Login", hour + TimeDelta::seconds(n), 1);
            let made = hour + TimeDelta::hours(20);
            state.add_log_file("Login", hour, 1 + n as u32 / 24, made, body);
        }
    }));
    desk.paused_before("INSERT ON files", || {
        desk.kill_when(|| desk.had_whole() == files as usize);
    });
    desk.fetch();
    assert_eq!(desk.org.asked("/LogFile"), files as usize);
    let rows = desk.sql("SELECT count(*) AS n FROM elf_login");
    assert_eq!(rows, format!("n\r\n{files}\r\n"));
}

#[test]
fn killed_between_the_word_and_the_removal_it_takes_the_file_away() {
    let desk = desk();
    // The moment between the two cannot be held, so that each file is laid back where it was.
    desk.org.fault(
        Fault::on("/query")
            .soql("FROM LoginHistory")
            .does(Action::Stall { after: 0 }),
    );
    let (inbox, aside) = (desk.path("out/inbox"), desk.path("aside"));
    fs::create_dir(&aside).unwrap();
    desk.kill_when(|| {
        for name in desk.inbox() {
            let _ = fs::hard_link(inbox.join(&name), aside.join(&name));
        }
        desk.org.with(|state| state.faults.all_used())
    });
    let seen = names(&aside);
    let mut laid_back = 0;
    for name in seen.iter().filter(|name| name.ends_with(".csv")) {
        fs::rename(aside.join(name), inbox.join(name)).unwrap();
        laid_back += 1;
    }
    assert!(laid_back > 0, "{seen:?}");
    let asked = desk.org.asked("/LogFile");
    desk.fetch();
    assert_eq!(desk.inbox(), Vec::<String>::new());
    assert_eq!(desk.org.asked("/LogFile"), asked);
    assert_eq!(desk.sql(PICTURE), *calm());
}

#[test]
fn killed_between_its_data_sets_it_goes_on_with_the_one_that_it_was_at() {
    for (object, nth) in [
        ("EventLogFile", 1),
        ("LoginHistory", 2),
        ("LoginHistory", 5),
        ("SetupAuditTrail", 3),
        ("User", 1),
        ("PermissionSetAssignment", 1),
    ] {
        let desk = desk();
        let query = Fault::on("/query").soql(&format!("FROM {object}")).nth(nth);
        desk.org.fault(query.does(Action::Stall { after: 0 }));
        desk.kill_when(|| desk.org.with(|state| state.faults.all_used()));
        desk.goes_on(&format!("query {nth} of {object}"));
    }
}

#[test]
fn killed_before_the_ledger_is_told_it_comes_to_the_same_words() {
    for write in [
        "INSERT ON org_log_files",
        "INSERT ON org_data_sets WHEN NEW.name = 'EventLogFile'",
        "INSERT ON files WHEN NEW.event_type = 'LoginHistory'",
        "INSERT ON org_data_sets WHEN NEW.name = 'LoginHistory'",
        "INSERT ON org_data_sets WHEN NEW.name = 'LoginHistory'
             AND EXISTS (SELECT 1 FROM org_data_sets WHERE name = 'LoginHistory')",
        "INSERT ON files WHEN NEW.event_type = 'PermissionSet'",
        "INSERT ON org_data_sets WHEN NEW.name = 'User'",
        "INSERT ON org_data_sets WHEN NEW.name = 'LoginIpRange'",
        "INSERT ON parts WHEN NEW.event_type LIKE 'rollup%'",
        "UPDATE ON runs WHEN NEW.finished_at IS NOT NULL",
    ] {
        let desk = desk();
        desk.kill_before(write);
        desk.goes_on(write);
    }
}

#[test]
fn killed_at_one_request_after_the_other_it_comes_to_the_end_all_the_same() {
    let desk = desk();
    let mut kills = 0;
    for requests in [2, 5, 8, 11, 13, 15] {
        let before = desk.org.journal().len();
        desk.kill_when(|| desk.org.journal().len() >= before + requests);
        kills += 1;
    }
    assert_eq!(kills, 6);
    let picture = |desk: &Desk| {
        // How often a file was tried is not told to a run that was killed meanwhile.
        let lines = desk.sql(PICTURE);
        (1..9).fold(lines, |lines, n| {
            lines.replace(&format!(",ingested,{n},"), ",ingested,1,")
        })
    };
    desk.fetch();
    assert_eq!(picture(&desk), *calm());
    assert_eq!(desk.inbox(), Vec::<String>::new());
    expect(0, orgwatch(desk.dir.path(), &["lake", "verify"]));
}

#[test]
fn what_the_ingest_refused_before_the_kill_is_refused_by_the_next_run_and_said() {
    let broken = "\"EVENT_TYPE\",\"TIMESTAMP\",\"TIMESTAMP\"\n\"Login\",\"1\",\"2\"\n";
    let desk = Desk::new(scenario().set(|state| {
        state.log_files.clear();
        let day = time("2026-01-30T00:00:00Z");
        state.add_log_file(
            "Login",
            day,
            0,
            day + TimeDelta::hours(25),
            Blob::text(broken),
        );
    }));
    desk.kill_before("UPDATE ON org_log_files WHEN NEW.state = 'rejected'");
    let done = orgwatch(desk.dir.path(), &FETCH);
    assert_eq!(done.status.code(), Some(3), "{}", stderr(&done));
    assert!(stderr(&done).contains("EventLogFile_Login_daily"));
    assert_eq!(desk.inbox(), Vec::<String>::new());
    assert_eq!(desk.org.asked("/LogFile"), 1);
    let states = desk.sql("SELECT state, reason IS NULL AS silent FROM org_log_files");
    assert_eq!(states, "state,silent\r\nrejected,false\r\n");
}
