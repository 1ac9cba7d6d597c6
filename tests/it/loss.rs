//! No silent loss: of every log file of the sample org, its loss is told by a coverage finding, or
//! it costs no detection.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use chrono::NaiveDate;
use orgwatch::catalog::Catalog;

use orgwatch::detect::{Coverage, RuleSet, RunOptions, Suppressions, Window, Windows, run};
use orgwatch::engine::{EngineOptions, Session};
use orgwatch::lake::{Lake, LedgerTable};
use orgwatch::registry::Registry;

use crate::logs::at;
use crate::sample::{self, WholeNight};

/// One log file of the sample on disk: what the ledger read out of it.
#[derive(Debug, Clone)]
struct LogFile {
    path: PathBuf,
    event_type: String,
    ids: BTreeSet<i64>,
    kept: i64,
}

/// The lake of the whole night, of which files can be hidden.
struct Night {
    session: Session,
    coverage: Coverage,
    rules: RuleSet,
    files: RecordBatch,
    parts: RecordBatch,
}

fn paths_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(paths_below(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

impl Night {
    fn open() -> Self {
        let lake = Lake::open_reader(&WholeNight::get().dir.join("out")).unwrap();
        let catalog = Arc::new(Catalog::embedded());
        let folder = std::env::temp_dir();
        let options = EngineOptions {
            memory_bytes: 512 << 20,
            threads: 1,
            temp_dir: folder.join("orgwatch-loss"),
        };
        Self {
            session: Session::open(&lake, &catalog, &Registry::empty(), &options).unwrap(),
            coverage: Coverage::of_lake(&lake, &catalog).unwrap(),
            rules: RuleSet::embedded().unwrap(),
            files: lake.ledger().snapshot(LedgerTable::Files).unwrap(),
            parts: lake.ledger().snapshot(LedgerTable::Parts).unwrap(),
        }
    }

    fn log_files(&self) -> Vec<LogFile> {
        let text = |name: &str| self.files.column_by_name(name).unwrap().as_string_view();
        let number = |name: &str| {
            self.files
                .column_by_name(name)
                .unwrap()
                .as_primitive::<Int64Type>()
        };
        let (names, types) = (text("name"), text("event_type"));
        let (ids, kept) = (number("file_id"), number("rows_kept"));
        paths_below(&sample::folder().join("logs"))
            .into_iter()
            .map(|path| {
                let own = path.display().to_string();
                let mine = |name: &str| {
                    name.strip_prefix(&own)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('!'))
                };
                let rows: Vec<usize> = (0..names.len())
                    .filter(|row| mine(names.value(*row)))
                    .collect();
                assert!(!rows.is_empty(), "{own} is not in the ledger");
                LogFile {
                    event_type: types.value(rows[0]).to_owned(),
                    ids: rows.iter().map(|row| ids.value(*row)).collect(),
                    kept: rows.iter().map(|row| kept.value(*row)).sum(),
                    path,
                }
            })
            .collect()
    }

    /// Days and hours that are told as missing, by event type, when these files never came.
    fn told(&self, hidden: &BTreeSet<i64>) -> BTreeMap<String, BTreeSet<String>> {
        let ids = self
            .files
            .column_by_name("file_id")
            .unwrap()
            .as_primitive::<Int64Type>();
        let paths = self.parts.column_by_name("path").unwrap().as_string_view();
        let file_of = |path: &str| -> Option<i64> {
            let stem = Path::new(path).file_stem()?.to_str()?;
            stem.parse().ok()
        };
        let keep_file: BooleanArray = ids
            .iter()
            .map(|id| Some(!hidden.contains(&id.unwrap())))
            .collect();
        let keep_part: BooleanArray = paths
            .iter()
            .map(|path| Some(file_of(path.unwrap()).is_none_or(|id| !hidden.contains(&id))))
            .collect();
        for (table, rows, keep) in [
            (LedgerTable::Files, &self.files, &keep_file),
            (LedgerTable::Parts, &self.parts, &keep_part),
        ] {
            let rows = filter_record_batch(rows, keep).unwrap();
            self.session.replace_table(table.name(), rows).unwrap();
        }
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let windows = Windows {
            standing: Some(Window::of_days(day("2025-12-22"), day("2026-01-30"))),
            last_day: Some(day("2026-01-30")),
            ..Windows::default()
        };
        let only = BTreeSet::from(["missing-log-file".to_owned()]);
        let options = RunOptions {
            org_id: "",
            // The night on which the last day's files are due, too.
            now: at("2026-02-02T03:00:00Z"),
            blind_days: 3,
            only: Some(&only),
            suppressions: &Suppressions::default(),
            stage: None,
        };
        let report = run(
            &self.session,
            &self.rules,
            &windows,
            &self.coverage,
            &options,
            &mut |_| {},
        );
        assert!(report.rules[0].reason.is_none(), "{:?}", report.rules[0]);
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for finding in &report.findings {
            let evidence: serde_json::Value = serde_json::from_str(&finding.evidence_json).unwrap();
            let slots = evidence["missing_slots"].as_array().unwrap();
            told.entry(evidence["event_type"].as_str().unwrap().to_owned())
                .or_default()
                .extend(slots.iter().map(|slot| slot.as_str().unwrap().to_owned()));
        }
        told
    }
}

#[test]
fn losses() {
    let night = Night::open();
    let before = night.told(&BTreeSet::new());
    println!("{before:?}");
    let mut by_type: BTreeMap<String, Vec<LogFile>> = BTreeMap::new();
    for file in night.log_files() {
        if file.kept > 0 {
            let alone = file.path.extension().unwrap() == "zip";
            let key = if alone {
                file.path.display().to_string()
            } else {
                file.event_type.clone()
            };
            by_type.entry(key).or_default().push(file);
        }
    }
    let rounds = by_type.values().map(Vec::len).max().unwrap();
    for round in 0..rounds {
        // One file of each type at a time, of days far apart.
        let lost: Vec<&LogFile> = by_type
            .values()
            .enumerate()
            .filter(|(_, files)| round < files.len())
            .map(|(n, files)| &files[(round + 3 * n) % files.len()])
            .collect();
        let hidden = lost.iter().flat_map(|f| f.ids.iter().copied()).collect();
        let told = night.told(&hidden);
        for file in lost {
            if told.get(&file.event_type) == before.get(&file.event_type) {
                println!("untold {}", file.path.display());
            }
        }
    }
}
