//! Two writers, and readers beside a writer.

use std::fs;
use std::path::Path;

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_second_writer_is_refused_at_once_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, run) = small_lake(dir.path());
    match Lake::open_writer(dir.path()) {
        Err(LakeError::Locked { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
        other => panic!("{:?}", other.err()),
    }
    let commit = file_commit(&first, "a.csv", &[5], 1);
    first.commit(run, at(5, 0), commit).unwrap();
}

#[test]
fn a_lock_file_left_behind_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lock"), "99999\n").unwrap();
    Lake::open_writer(dir.path()).unwrap();
}

#[test]
fn a_reader_of_no_lake_says_so_and_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for data in [dir.path().to_owned(), dir.path().join("none")] {
        assert!(matches!(
            Lake::open_reader(&data),
            Err(LakeError::Missing { .. })
        ));
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_reader_changes_no_file_of_a_closed_lake() {
    let dir = tempfile::tempdir().unwrap();
    drop(small_lake(dir.path()));
    let before = names(dir.path());
    let ledger = fs::read(dir.path().join("ledger.sqlite")).unwrap();
    let lake = Lake::open_reader(dir.path()).unwrap();
    assert_eq!(lake.parts("Login").unwrap().len(), 2);
    drop(lake);
    assert_eq!(names(dir.path()), before);
    assert_eq!(fs::read(dir.path().join("ledger.sqlite")).unwrap(), ledger);
}

#[test]
fn a_reader_sees_one_moment_while_a_writer_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, run) = small_lake(dir.path());
    let reader = Lake::open_reader(dir.path()).unwrap();
    let commit = file_commit(&writer, "a.csv", &[2, 3], 1);
    writer.commit(run, at(5, 0), commit).unwrap();
    assert_eq!(reader.parts("Login").unwrap().len(), 2);
    assert_eq!(
        Lake::open_reader(dir.path())
            .unwrap()
            .parts("Login")
            .unwrap()
            .len(),
        4
    );
    writer.compact(run, at(5, 0), 2).unwrap();
    for part in reader.parts("Login").unwrap() {
        assert!(part.path.exists(), "a reader's file went away under it");
    }
}

#[test]
fn a_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, run) = small_lake(dir.path());
    drop(lake);
    let mut reader = Lake::open_reader(dir.path()).unwrap();
    let outcome = reader.commit(run, at(5, 0), Commit::default());
    assert!(matches!(outcome, Err(LakeError::ReadOnly { .. })));
    assert!(reader.next_file_id().is_err());
    assert!(reader.ledger_mut().start_run("run", at(5, 0)).is_err());
}

#[test]
fn readers_during_commits_see_whole_commits_only() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, run) = small_lake(dir.path());
    let data = dir.path();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut last = 0;
            while last < 2 + 2 * 15 {
                let reader = Lake::open_reader(data).unwrap();
                let parts = reader.parts("Login").unwrap();
                assert_eq!(parts.len() % 2, 0, "half a commit was visible");
                assert!(parts.len() >= last, "a commit went away");
                assert!(parts.iter().all(|p| p.path.exists()));
                last = parts.len();
            }
        });
        for n in 0..15 {
            let commit = file_commit(&writer, &format!("{n}.csv"), &[4, 5], 1);
            writer.commit(run, at(5, 0), commit).unwrap();
        }
        reading.join().unwrap();
    });
}

#[test]
fn a_copy_of_the_ledger_alone_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    drop(small_lake(dir.path()));
    for side in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        fs::remove_file(dir.path().join(side)).unwrap();
    }
    let before = names(dir.path());
    assert_eq!(
        Lake::open_reader(dir.path())
            .unwrap()
            .parts("Login")
            .unwrap()
            .len(),
        2
    );
    assert_eq!(names(dir.path()), before);
}

#[test]
fn what_a_killed_writer_had_committed_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, _) = small_lake(dir.path());
    // A copy taken while the writer is open is what a crash leaves: the log is not in the ledger.
    let copy = tempfile::tempdir().unwrap();
    for name in ["ledger.sqlite", "ledger.sqlite-wal", "digest.key"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    assert!(
        fs::metadata(copy.path().join("ledger.sqlite-wal"))
            .unwrap()
            .len()
            > 0
    );
    let reader = Lake::open_reader(copy.path()).unwrap();
    assert_eq!(reader.parts("Login").unwrap().len(), 2);
    assert_eq!(reader.damaged().len(), 2);
    drop(writer);
}
