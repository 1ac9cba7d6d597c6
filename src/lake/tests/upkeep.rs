//! Compaction and numbers.

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow::compute::concat_batches;

use super::*;
use crate::lake::fault::{Fault, FaultFs};

fn rows_of(parts: &[Part]) -> Vec<String> {
    let mut rows = Vec::new();
    for part in parts {
        let file = std::fs::File::open(&part.path).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let schema = reader.schema().clone();
        let batches: Vec<_> = reader.build().unwrap().map(|b| b.unwrap()).collect();
        let batch = concat_batches(&schema, &batches).unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&[batch])
            .unwrap()
            .to_string();
        rows.extend(
            shown
                .lines()
                .skip(3)
                .filter(|l| l.starts_with('|'))
                .map(str::to_owned),
        );
    }
    rows
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

#[test]
fn compaction_keeps_every_row_sorts_them_and_leaves_no_day_dirty() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    for name in ["a.csv", "b.csv"] {
        let commit = file_commit(&lake, name, &[1], 25);
        lake.commit(run, at(4, 0), commit).unwrap();
    }
    let dirty = lake.ledger().dirty("detect").unwrap();
    lake.ledger_mut()
        .clear_dirty("detect", &dirty.days, dirty.marker)
        .unwrap();
    let before = sorted(rows_of(&lake.parts("Login").unwrap()));
    let done = lake.compact(run, at(4, 0), 2).unwrap();
    assert_eq!((done.days, done.parts_before, done.rows), (1, 3, 60));
    let parts = lake.parts("Login").unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!(sorted(rows_of(&parts)), before);
    let by_user: Vec<String> = rows_of(&parts[..1])
        .iter()
        .map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            format!("{} {}", cells[2], cells[1])
        })
        .collect();
    assert!(by_user.is_sorted(), "{by_user:?}");
    assert!(lake.ledger().dirty_days("detect").unwrap().is_empty());
    assert!(lake.verify(Depth::Full).unwrap().is_sound());
    assert_eq!(
        lake.compact(run, at(4, 0), 2).unwrap(),
        Compacted::default()
    );
    drop(lake);
    let lake = Lake::open_writer(dir.path()).unwrap();
    assert_eq!(parquet_files(&dir.path().join("lake")).len(), 2);
    assert!(lake.damaged().is_empty());
}

#[test]
fn a_day_with_a_damaged_part_is_left_alone_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let commit = file_commit(&lake, "a.csv", &[1, 2], 5);
    lake.commit(run, at(4, 0), commit).unwrap();
    let damaged = &lake.parts("Login").unwrap()[0].path;
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[20] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    let done = lake.compact(run, at(4, 0), 2).unwrap();
    assert_eq!(done.days, 1);
    assert_eq!((done.skipped.len(), done.skipped[0].1), (1, day(1)));
    assert_eq!(lake.parts("Login").unwrap().len(), 3);
}

#[test]
fn compaction_that_fails_at_any_step_loses_no_row() {
    for fault in [Fault::Error, Fault::Crash] {
        for n in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let (mut lake, run) = small_lake(dir.path());
            let commit = file_commit(&lake, "a.csv", &[1, 2], 5);
            lake.commit(run, at(4, 0), commit).unwrap();
            drop(lake);
            let fs = FaultFs::new(fault, n);
            let _ = Lake::open_writer_on(dir.path(), Box::new(fs.clone()))
                .and_then(|mut lake| lake.compact(run, at(4, 0), 2));
            if fault == Fault::Crash && fs.struck() {
                fs.lose_power();
            }
            let lake = Lake::open_writer(dir.path()).unwrap();
            assert!(lake.verify(Depth::Full).unwrap().is_sound());
            let rows: u64 = lake.parts("Login").unwrap().iter().map(|p| p.rows).sum();
            assert_eq!(rows, 30, "step {n}");
            if !fs.struck() {
                break;
            }
        }
    }
}

#[test]
fn parts_of_an_older_schema_join_with_newer_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lake, run) = small_lake(dir.path());
    let mut commit = file_commit(&lake, "a.csv", &[1], 2);
    let staged = &mut commit.add[0];
    let file = std::fs::File::open(&staged.path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let mut columns: Vec<(String, ArrayRef)> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .zip(batch.columns().to_vec())
        .collect();
    let added: ArrayRef = Arc::new(StringViewArray::from_iter_values(["x", "y"]));
    columns.insert(1, ("added_later".to_owned(), added));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    std::fs::remove_file(&staged.path).unwrap();
    let file = create_private(&staged.path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    staged.bytes = std::fs::metadata(&staged.path).unwrap().len();
    lake.commit(run, at(4, 0), commit).unwrap();
    let done = lake.compact(run, at(4, 0), 2).unwrap();
    assert_eq!((done.rows, done.skipped.len()), (12, 0));
    let rows = rows_of(&lake.parts("Login").unwrap()[..1]);
    assert_eq!(
        rows.iter()
            .filter(|r| r.contains(" x ") || r.contains(" y "))
            .count(),
        2
    );
}

#[test]
fn info_counts_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = small_lake(dir.path());
    let info = lake.info().unwrap();
    let logins = &info.event_types[0];
    assert_eq!((info.files, info.runs, logins.days), (1, 1, 2));
    assert_eq!(
        (logins.parts, logins.rows, logins.first_day),
        (2, 20, day(1))
    );
    assert_eq!(logins.first_event_at, at(1, 0));
    assert!(logins.bytes > 0);
}
