//! Fail the n-th step for every n, open again, look.

use std::path::Path;

use super::*;
use crate::lake::fault::{Fault, FaultFs};

/// What a lake shows, without anything that a retry may change (ids, paths).
#[derive(Debug, PartialEq)]
struct Picture {
    parts: Vec<(String, NaiveDate, u64)>,
    files: usize,
    quarantine: usize,
    dirty: Vec<NaiveDate>,
}

fn picture(lake: &Lake) -> Picture {
    let mut parts = Vec::new();
    for event_type in lake.event_types().unwrap() {
        for part in lake.parts(&event_type).unwrap() {
            parts.push((part.event_type, part.day, part.rows));
        }
    }
    let rows = |table| lake.ledger().snapshot(table).unwrap().num_rows();
    Picture {
        parts,
        files: rows(LedgerTable::Files),
        quarantine: rows(LedgerTable::Quarantine),
        dirty: lake.ledger().dirty_days("detect").unwrap(),
    }
}

/// Two files, one with new folders, and a recomputed rollup day.
fn night(lake: &mut Lake, run: RunId) -> Result<Vec<Part>, LakeError> {
    let rollups = lake.parts("rollup_logins")?;
    let commits = vec![
        file_commit(lake, "second.csv", &[2, 3], 4),
        file_commit(lake, "third.csv", &[3], 5),
        Commit {
            add: vec![stage(lake, "rollup_logins", day(2), 6)],
            remove: rollups.iter().map(|p| p.part_id).collect(),
            ..Commit::default()
        },
    ];
    lake.commit_many(run, at(4, 0), commits)
}

fn prepared(dir: &Path) -> RunId {
    let (mut lake, run) = small_lake(dir);
    let rollup = Commit {
        add: vec![stage(&lake, "rollup_logins", day(2), 3)],
        ..Commit::default()
    };
    lake.commit(run, at(3, 0), rollup).unwrap();
    run
}

/// No file but those that the ledger knows, and nothing staged.
fn assert_no_litter(lake: &Lake) {
    let mut known: Vec<_> = lake
        .event_types()
        .unwrap()
        .iter()
        .flat_map(|event_type| lake.parts(event_type).unwrap())
        .map(|part| part.path)
        .collect();
    known.sort();
    assert_eq!(parquet_files(&lake.data_dir().join("lake")), known);
    assert!(parquet_files(lake.staging_dir()).is_empty());
    assert!(lake.damaged().is_empty());
    let report = lake.verify(Depth::Full).unwrap();
    assert!(report.is_sound(), "{report:?}");
}

fn before_and_after() -> (Picture, Picture) {
    let dir = tempfile::tempdir().unwrap();
    let run = prepared(dir.path());
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    let before = picture(&lake);
    night(&mut lake, run).unwrap();
    (before, picture(&lake))
}

/// Runs the night with the n-th step failing; false once n is beyond the last step.
fn strike(fault: Fault, n: u64, before: &Picture, after: &Picture) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let run = prepared(dir.path());
    let fs = FaultFs::new(fault, n);
    let outcome = Lake::open_writer_on(dir.path(), Box::new(fs.clone()))
        .and_then(|mut lake| night(&mut lake, run));
    if fault == Fault::Crash && fs.struck() {
        fs.lose_power();
    }
    let mut lake = Lake::open_writer(dir.path()).unwrap();
    assert_no_litter(&lake);
    let seen = picture(&lake);
    assert!(seen == *before || seen == *after, "step {n}: {seen:?}");
    if outcome.is_ok() {
        assert_eq!(seen, *after, "step {n}: an acknowledged commit is lost");
    } else if seen == *before {
        night(&mut lake, run).unwrap();
    }
    drop(lake);
    let lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(
        picture(&lake),
        *after,
        "step {n}: not the same after a second try"
    );
    assert_no_litter(&lake);
    fs.struck()
}

#[test]
fn a_failure_at_any_step_leaves_the_state_before_or_after() {
    let (before, after) = before_and_after();
    for fault in [Fault::Error, Fault::Enospc, Fault::Crash] {
        let mut n = 1;
        while strike(fault, n, &before, &after) {
            n += 1;
        }
        assert!(n > 20, "{fault:?} had only {n} steps to strike");
    }
}

#[test]
fn a_full_disk_is_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let run = prepared(dir.path());
    let mut full = 0;
    for n in 1..40 {
        let fs = FaultFs::new(Fault::Enospc, n);
        let outcome = Lake::open_writer_on(dir.path(), Box::new(fs))
            .and_then(|mut lake| night(&mut lake, run));
        if let Err(error) = outcome {
            assert!(error.is_disk_full(), "{error}");
            full += 1;
        }
    }
    assert!(full > 10);
}

#[test]
fn a_lake_whose_making_was_cut_short_can_be_made_again() {
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let fs = FaultFs::new(Fault::Crash, n);
        let _ = Lake::open_writer_on(&data, Box::new(fs.clone()));
        drop(small_lake(&data));
        assert_no_litter(&Lake::open_reader(&data).unwrap());
        if !fs.struck() {
            break;
        }
    }
}

#[test]
fn a_failed_commit_does_not_keep_the_writer_from_trying_again() {
    let (before, after) = before_and_after();
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let run = prepared(dir.path());
        let fs = FaultFs::new(Fault::Error, n);
        let Ok(mut lake) = Lake::open_writer_on(dir.path(), Box::new(fs.clone())) else {
            continue;
        };
        let outcome = night(&mut lake, run);
        if outcome.is_err() && picture(&lake) == before {
            night(&mut lake, run).unwrap();
        }
        assert_eq!(picture(&lake), after);
        if !fs.struck() {
            break;
        }
    }
}
