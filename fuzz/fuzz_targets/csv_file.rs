//! Any bytes as a log file: no panic, and every row accounted for.
//! `cargo fuzz run csv_file` (cargo-fuzz, nightly). The corpus also runs as an ordinary test.
#![no_main]

use orgwatch::catalog::Catalog;
use orgwatch::ingest::{Input, IngestOptions, LocalDates, Silent, ingest};
use orgwatch::lake::Lake;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("log.csv");
    std::fs::write(&path, bytes).expect("a file to read");
    let inputs = Input::expand(&[path.to_string_lossy().into_owned()]).expect("the file is there");
    let mut lake = Lake::open_writer(&dir.path().join("lake")).expect("a fresh lake");
    let at = chrono::DateTime::UNIX_EPOCH;
    let run = lake.ledger_mut().start_run("fuzz", at).expect("a fresh ledger");
    let options = IngestOptions { threads: 1, local_dates: LocalDates::default() };
    let report = ingest(&mut lake, &Catalog::embedded(), &inputs, &options, &Silent, run, at)
        .expect("the lake can be written");
    for file in report.files {
        assert_eq!(file.rows_read, file.rows_kept + file.rows_duplicate + file.rows_quarantined);
    }
});
