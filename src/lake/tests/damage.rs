//! What verify finds, and what opening finds already.

use std::fs;
use std::path::Path;

use super::*;

fn damage_first_part(lake: &Lake, damage: impl FnOnce(&Path)) {
    damage(&lake.parts("Login").unwrap()[0].path);
}

fn found(lake: &Lake, depth: Depth) -> Vec<String> {
    let report = lake.verify(depth).unwrap();
    report.damaged.into_iter().map(|d| d.detail).collect()
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = small_lake(dir.path());
    let path = lake.parts("Login").unwrap()[0].path.clone();
    let sound = fs::read(&path).unwrap();
    for offset in (0..sound.len()).step_by(7) {
        let mut bytes = sound.clone();
        bytes[offset] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(found(&lake, Depth::Full).len(), 1, "offset {offset}");
    }
}

#[test]
fn missing_cut_empty_and_swapped_files_are_found_even_in_haste() {
    type Harm = (&'static str, fn(&Path));
    let damages: [Harm; 4] = [
        ("is gone", |p| fs::remove_file(p).unwrap()),
        ("bytes instead of", |p| {
            let file = fs::OpenOptions::new().write(true).open(p).unwrap();
            file.set_len(64).unwrap();
        }),
        ("bytes instead of", |p| fs::write(p, b"").unwrap()),
        ("is not a plain file", |p| {
            fs::remove_file(p).unwrap();
            std::os::unix::fs::symlink("/dev/null", p).unwrap();
        }),
    ];
    for (expected, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = small_lake(dir.path());
        damage_first_part(&lake, damage);
        for depth in [Depth::Quick, Depth::Full] {
            let found = found(&lake, depth);
            assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
        }
        drop(lake);
        for lake in [Lake::open_writer(dir.path()), Lake::open_reader(dir.path())] {
            let lake = lake.unwrap();
            assert!(lake.damaged()[0].detail.contains(expected));
            assert_eq!(
                lake.parts("Login").unwrap().len(),
                2,
                "never silently fewer"
            );
        }
    }
}

#[test]
fn not_a_parquet_file_of_the_right_size_is_found_in_haste() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = small_lake(dir.path());
    damage_first_part(&lake, |p| {
        let size = usize::try_from(fs::metadata(p).unwrap().len()).unwrap();
        fs::write(p, vec![b'x'; size]).unwrap();
    });
    assert_eq!(
        found(&lake, Depth::Quick),
        ["is not a readable Parquet file"]
    );
}

#[test]
fn rows_of_another_day_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let mut commit = file_commit(&lake, "a.csv", &[5], 3);
    commit.add[0].day = day(6);
    lake.commit(run, at(7, 0), commit).unwrap();
    assert_eq!(
        found(&lake, Depth::Full),
        ["has rows of another day than 2026-01-06"]
    );
}

#[test]
fn a_line_taken_out_of_the_ledger_is_found() {
    for table in ["DELETE FROM parts WHERE part_id = 1", "DELETE FROM files"] {
        let dir = tempfile::tempdir().unwrap();
        drop(small_lake(dir.path()));
        let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
        ledger.pragma_update(None, "foreign_keys", false).unwrap();
        ledger.execute(table, []).unwrap();
        drop(ledger);
        let report = Lake::open_reader(dir.path())
            .unwrap()
            .verify(Depth::Full)
            .unwrap();
        assert!(
            !report.is_sound() && !report.accounts.is_empty(),
            "{report:?}"
        );
    }
}

#[test]
fn a_damaged_ledger_is_one_line_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    drop(small_lake(dir.path()));
    let path = dir.path().join("ledger.sqlite");
    let sound = fs::read(&path).unwrap();
    let corruptions: [Vec<u8>; 3] = [
        b"this is not a database, not at all, it is only text".repeat(200),
        sound[..sound.len() / 2].to_vec(),
        [&sound[..100], &vec![0xff; sound.len() - 100]].concat(),
    ];
    for bytes in corruptions {
        fs::write(&path, bytes).unwrap();
        let _ = fs::write(dir.path().join("ledger.sqlite-wal"), b"");
        for outcome in [Lake::open_writer(dir.path()), Lake::open_reader(dir.path())] {
            let Err(error) = outcome else { continue };
            assert!(
                matches!(error, LakeError::LedgerCorrupt { .. }),
                "{error:?}"
            );
            let text = error.to_string();
            assert!(
                !text.contains('\n') && text.contains("ledger.sqlite"),
                "{text}"
            );
        }
        assert!(Lake::open_writer(dir.path()).is_err());
    }
}

#[test]
fn a_newer_ledger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(small_lake(dir.path()));
    let ledger = rusqlite::Connection::open(dir.path().join("ledger.sqlite")).unwrap();
    ledger.pragma_update(None, "user_version", 99).unwrap();
    drop(ledger);
    for outcome in [Lake::open_writer(dir.path()), Lake::open_reader(dir.path())] {
        assert!(matches!(
            outcome,
            Err(LakeError::LedgerNewer { found: 99, .. })
        ));
    }
}

#[test]
fn without_its_ledger_a_lake_is_not_swept_but_refused() {
    for remove in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        drop(small_lake(dir.path()));
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let path = dir.path().join(name);
            match remove {
                true => fs::remove_file(path).unwrap(),
                false => fs::write(path, b"").unwrap(),
            }
        }
        for outcome in [Lake::open_writer(dir.path()), Lake::open_reader(dir.path())] {
            assert!(matches!(outcome, Err(LakeError::LedgerMissing { .. })));
        }
        assert_eq!(parquet_files(&dir.path().join("lake")).len(), 2);
    }
}

#[test]
fn a_lost_or_swapped_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(small_lake(dir.path()));
    let key = dir.path().join("digest.key");
    for damage in [Some(vec![1; 32]), Some(vec![1; 31]), None] {
        match damage {
            Some(bytes) => fs::write(&key, bytes).unwrap(),
            None => fs::remove_file(&key).unwrap(),
        }
        for outcome in [Lake::open_writer(dir.path()), Lake::open_reader(dir.path())] {
            assert!(matches!(outcome, Err(LakeError::Key { .. })));
        }
    }
}

#[test]
fn a_damaged_part_set_aside_can_be_ingested_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let part = lake.parts("Login").unwrap()[0].clone();
    fs::write(&part.path, b"garbage").unwrap();
    let aside = lake.set_aside(run, at(5, 0), &[part.part_id]).unwrap();
    assert_eq!(aside.files, [1]);
    let hash = *blake3::hash(b"first.csv").as_bytes();
    assert_eq!(lake.file_by_hash(&hash).unwrap(), None);
    assert_eq!(parquet_files(&dir.path().join("damaged")).len(), 1);
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
    let again = file_commit(&lake, "first.csv", &[1], 10);
    lake.commit(run, at(5, 0), again).unwrap();
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
    assert_eq!(lake.file_by_hash(&hash).unwrap(), Some(2));
}
