//! The lake's promises, tested through its public face.

mod correlation;
mod crash;
mod damage;
mod findings;
mod life;
mod migration;
mod outbox;
mod readers;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use chrono::{DateTime, Days, NaiveDate, TimeZone, Utc};

use super::*;

pub(super) fn at(day: u32, hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, day, hour, 0, 0).unwrap()
}

pub(super) fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
}

/// Stages `rows` rows of one day, one minute apart, of users in falling order.
pub(super) fn stage(lake: &Lake, event_type: &str, day: NaiveDate, rows: u64) -> StagedPart {
    let serial = std::fs::read_dir(lake.staging_dir()).unwrap().count();
    let path = lake
        .staging_dir()
        .join(format!("{event_type}-{day}-{serial}.parquet"));
    let midnight = day.and_hms_opt(0, 0, 0).unwrap().and_utc();
    let start = midnight.timestamp_millis();
    let n = || 0..i64::try_from(rows).unwrap();
    let times = TimestampMillisecondArray::from_iter_values(n().map(|n| start + n * 60_000))
        .with_timezone("UTC");
    let users = StringViewArray::from_iter_values(n().map(|n| format!("005{:015}", 999 - n)));
    let batch = RecordBatch::try_from_iter([
        ("occurred_at", Arc::new(times) as ArrayRef),
        ("user_id", Arc::new(users) as ArrayRef),
        (
            "line_no",
            Arc::new(Int64Array::from_iter_values(n().map(|n| n + 2))) as ArrayRef,
        ),
    ])
    .unwrap();
    let file = create_private(&path).unwrap();
    let mut writer = PartWriter::new(file, batch.schema());
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    StagedPart {
        bytes: std::fs::metadata(&path).unwrap().len(),
        path,
        event_type: event_type.to_owned(),
        day,
        rows,
        first_event_at: midnight,
        last_event_at: midnight + chrono::TimeDelta::minutes(i64::try_from(rows).unwrap() - 1),
    }
}

/// The account of a file that kept `kept` rows and quarantined one.
pub(super) fn source(lake: &Lake, name: &str, kept: u64) -> SourceFile {
    SourceFile {
        file_id: lake.next_file_id().unwrap(),
        name: name.to_owned(),
        content_hash: *blake3::hash(name.as_bytes()).as_bytes(),
        size_bytes: 1_000 + name.len() as u64,
        event_type: "Login".to_owned(),
        interval: Some("daily".to_owned()),
        state: FileState::Ingested,
        reason: None,
        unknown_columns: vec!["NEW_A".to_owned(), "NEW_B".to_owned()],
        missing_columns: vec![],
        absent_columns: vec![],
        first_event_at: Some(at(1, 0)),
        last_event_at: Some(at(2, 0)),
        rows_read: kept + 1,
        rows_kept: kept,
        rows_duplicate: 0,
        rows_quarantined: 1,
        repeated_headers: 0,
        timestamp_fallbacks: 0,
        unreadable_values: 0,
    }
}

pub(super) fn quarantined(file_id: FileId) -> Quarantined {
    Quarantined {
        file_id,
        event_type: "Login".to_owned(),
        line_no: 7,
        column: Some("TIMESTAMP_DERIVED".to_owned()),
        reason: "not a time".to_owned(),
        user_id: None,
        ip: Some("192.0.2.1".to_owned()),
    }
}

/// A whole file of `rows` rows a day over the given days, ready to commit.
pub(super) fn file_commit(lake: &Lake, name: &str, days: &[u32], rows: u64) -> Commit {
    let file = source(lake, name, rows * days.len() as u64);
    Commit {
        add: days
            .iter()
            .map(|d| stage(lake, "Login", day(*d), rows))
            .collect(),
        quarantine: vec![quarantined(file.file_id)],
        file: Some(file),
        remove: vec![],
    }
}

/// A lake with one run and one committed file of 10 rows on each of two days.
pub(super) fn small_lake(dir: &Path) -> (Lake, RunId) {
    let mut lake = Lake::open_writer(dir).unwrap();
    let run = lake.ledger_mut().start_run("ingest", at(3, 0)).unwrap();
    let commit = file_commit(&lake, "first.csv", &[1, 2], 10);
    lake.commit(run, at(3, 0), commit).unwrap();
    (lake, run)
}

pub(super) fn parquet_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_commit_is_visible_and_its_account_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let parts = lake.parts("Login").unwrap();
    assert_eq!(
        parts.iter().map(|p| (p.day, p.rows)).collect::<Vec<_>>(),
        [(day(1), 10), (day(2), 10)]
    );
    assert_eq!(
        lake.parts_between("Login", day(2), day(9)).unwrap(),
        parts[1..]
    );
    assert_eq!(lake.event_types().unwrap(), ["Login"]);
    let hash = *blake3::hash(b"first.csv").as_bytes();
    assert_eq!(lake.file_by_hash(&hash).unwrap(), Some(1));
    assert_eq!(lake.file_by_hash(&[0; 32]).unwrap(), None);
    assert!(lake.known_sizes().unwrap().contains(&1_009));
    assert_eq!(parquet_files(lake.staging_dir()).len(), 0);
    let files = lake.ledger().snapshot(LedgerTable::Files).unwrap();
    assert_eq!(files.num_rows(), 1);
    let mut rejected = source(&lake, "bad.csv", 0);
    rejected.state = FileState::Rejected;
    let hash = rejected.content_hash;
    let commit = Commit {
        file: Some(rejected),
        ..Commit::default()
    };
    assert!(lake.commit(run, at(3, 1), commit).unwrap().is_empty());
    assert_eq!(lake.file_by_hash(&hash).unwrap(), None);
}

#[test]
fn many_commits_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let commits = vec![
        file_commit(&lake, "a.csv", &[3, 4], 2),
        file_commit(&lake, "b.csv", &[4], 3),
    ];
    let added = lake.commit_many(run, at(5, 0), commits).unwrap();
    assert_eq!(added.iter().map(|p| p.rows).collect::<Vec<_>>(), [2, 2, 3]);
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
}

#[test]
fn an_account_that_does_not_add_up_is_refused_before_anything_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let before = parquet_files(&dir.path().join("lake"));
    let mut wrong_sum = file_commit(&lake, "a.csv", &[3], 5);
    wrong_sum.file.as_mut().unwrap().rows_read += 1;
    let mut wrong_parts = file_commit(&lake, "b.csv", &[3], 5);
    wrong_parts.add.clear();
    let mut wrong_rows = file_commit(&lake, "c.csv", &[3], 5);
    wrong_rows.add[0].rows = 6;
    let replaced = lake.parts("Login").unwrap()[0].part_id;
    let fewer = Commit {
        add: vec![stage(&lake, "Login", day(1), 9)],
        remove: vec![replaced],
        ..Commit::default()
    };
    for commit in [wrong_sum, wrong_parts, wrong_rows, fewer] {
        lake.commit(run, at(5, 0), commit).unwrap_err();
    }
    let mut escaping = file_commit(&lake, "d.csv", &[3], 5);
    escaping.add[0].event_type = "../../x".to_owned();
    assert!(matches!(
        lake.commit(run, at(5, 0), escaping),
        Err(LakeError::EventType { .. })
    ));
    assert_eq!(parquet_files(&dir.path().join("lake")), before);
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
}

#[test]
fn a_day_stays_dirty_for_each_stage_until_it_has_seen_all_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let dirty = lake.ledger().dirty("rollup").unwrap();
    assert_eq!(dirty.days, [day(1), day(2)]);
    let late = file_commit(&lake, "late.csv", &[2], 1);
    lake.commit(run, at(4, 0), late).unwrap();
    let ledger = lake.ledger_mut();
    ledger
        .clear_dirty("rollup", &dirty.days, dirty.marker)
        .unwrap();
    assert_eq!(ledger.dirty_days("rollup").unwrap(), [day(2)]);
    assert_eq!(ledger.dirty_days("detect").unwrap(), [day(1), day(2)]);
    let rollup = Commit {
        add: vec![stage(&lake, "rollup_logins", day(9), 4)],
        ..Commit::default()
    };
    lake.commit(run, at(4, 0), rollup).unwrap();
    lake.compact(run, at(4, 0), 2).unwrap();
    assert_eq!(lake.ledger().dirty_days("rollup").unwrap(), [day(2)]);
}

#[test]
fn a_run_that_died_is_interrupted_for_the_next_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    let died = lake.ledger_mut().start_run("run", at(1, 0)).unwrap();
    drop(lake);
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    let run = lake.ledger_mut().start_run("run", at(2, 0)).unwrap();
    lake.ledger_mut()
        .finish_run(run, at(2, 1), 3, "{}")
        .unwrap();
    let runs = lake.ledger().runs().unwrap();
    assert_eq!(
        (runs[0].run_id, runs[0].state),
        (died, RunState::Interrupted)
    );
    assert_eq!(
        (runs[1].state, runs[1].exit_code),
        (RunState::Finished, Some(3))
    );
}

#[test]
fn the_latest_name_of_a_user_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    let name = |name: &str, d| ("005000000000001AAA".to_owned(), name.to_owned(), at(d, 0));
    let ledger = lake.ledger_mut();
    ledger
        .upsert_usernames(&[name("new@example.com", 5)])
        .unwrap();
    ledger
        .upsert_usernames(&[name("old@example.com", 4)])
        .unwrap();
    assert_eq!(ledger.usernames().unwrap()[0].1, "new@example.com");
}

#[test]
fn a_rule_told_twice_in_a_run_keeps_the_later_word() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run_id) = small_lake(dir.path());
    for status in [RuleStatus::Failed, RuleStatus::Blind] {
        let rule = RuleRun {
            run_id,
            rule_id: "integration-ui-login".to_owned(),
            version: 1,
            status,
            reason: Some("no api files for 3 days".to_owned()),
            findings: 0,
            elapsed_ms: 12,
        };
        lake.ledger_mut().record_rule_run(&rule).unwrap();
    }
    let rule_runs = lake.ledger().snapshot(LedgerTable::RuleRuns).unwrap();
    assert_eq!(rule_runs.num_rows(), 1);
}

#[test]
fn every_table_can_be_taken_as_arrow_in_its_declared_schema() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = small_lake(dir.path());
    for table in LedgerTable::ALL {
        let batch = lake.ledger().snapshot(table).unwrap();
        assert_eq!(batch.schema(), table.schema(), "{}", table.name());
    }
    let shown = |table| {
        let batch = lake.ledger().snapshot(table).unwrap();
        arrow::util::pretty::pretty_format_batches(&[batch])
            .unwrap()
            .to_string()
    };
    assert!(shown(LedgerTable::Files).contains("NEW_A,NEW_B"));
    assert!(shown(LedgerTable::Quarantine).contains("first.csv"));
    assert!(shown(LedgerTable::Parts).contains("lake/event=Login/day=2026-01-01/"));
    assert!(shown(LedgerTable::Parts).contains("2026-01-01T00:00:00Z"));
}

#[test]
fn everything_is_private_whatever_the_mode_it_was_made_with() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("deep/data");
    let mut lake = Lake::open_writer(&data).unwrap();
    let run = lake.ledger_mut().start_run("ingest", at(3, 0)).unwrap();
    let commit = file_commit(&lake, "a.csv", &[1], 5);
    let open_to_all = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&commit.add[0].path, open_to_all).unwrap();
    lake.commit(run, at(3, 0), commit).unwrap();
    let mut pending = vec![data];
    while let Some(path) = pending.pop() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            mode,
            if path.is_dir() { 0o700 } else { 0o600 },
            "{}",
            path.display()
        );
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        }
    }
}

#[test]
fn retention_keeps_the_accounts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let today = day(2).checked_add_days(Days::new(7)).unwrap();
    let pruned = lake.prune(run, at(9, 0), today, 7, |_| false).unwrap();
    assert_eq!(
        (pruned.before, pruned.parts, pruned.rows),
        (Some(day(2)), 1, 10)
    );
    assert_eq!(lake.parts("Login").unwrap().len(), 1);
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
    assert_eq!(
        lake.ledger()
            .snapshot(LedgerTable::Files)
            .unwrap()
            .num_rows(),
        1
    );
    assert_eq!(lake.ledger().dirty_days("detect").unwrap(), [day(2)]);
    drop(lake);
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(parquet_files(&dir.path().join("lake")).len(), 1);
    assert!(!dir.path().join("lake/event=Login/day=2026-01-01").exists());
    let all = lake.prune(run, at(30, 0), day(30), 0, |_| false).unwrap();
    assert_eq!((all.parts, all.quarantine_rows), (1, 1));
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
}
