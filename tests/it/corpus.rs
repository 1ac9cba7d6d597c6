//! Any bytes as a log file: no panic, and every row accounted for. The fuzzer's corpus, and what
//! a property test makes of it.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use crate::logs::Org;

/// Ingests bytes as a file; `Org::ingest` checks the account of rows.
fn read(bytes: &[u8]) {
    let org = Org::new();
    org.ingest(&[&org.file("log.csv", bytes)]);
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/csv_file");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|p| fs::read(p).unwrap()).collect()
}

#[test]
fn every_file_of_the_corpus_is_read_or_refused() {
    let corpus = corpus();
    assert!(corpus.len() > 20);
    corpus.iter().for_each(|bytes| read(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_mutated_file_is_read_or_refused(
        seed in proptest::sample::select(corpus()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = seed;
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes.truncate(cut.index(bytes.len() + 1).max(bytes.len() / 2));
        read(&bytes);
    }
}
