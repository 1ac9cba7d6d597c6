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

use orgwatch::config::Family;
use orgwatch::detect::{Coverage, RuleSet, RunOptions, Suppressions, Window, Windows, run};
use orgwatch::engine::{EngineOptions, Session};
use orgwatch::lake::{Lake, LedgerTable};
use orgwatch::registry::Registry;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::logs::at;
use crate::program::{expect, orgwatch};
use crate::sample::{self, WholeNight};

/// Files that other files repeat in part, or that are too rare to be expected, in groups of which
/// each is taken away at once. What is lost must be told, or something else must have come in its
/// place. Names are the beginnings of the files' names.
const GROUPS: [&[&str]; 5] = [
    &[
        "LoginAs_",
        "Report_",
        "Login_2026-01-07_reissued",
        "UserLogin_2026-01-29",
        "PermissionSet_2026-01-29",
        "PermissionSetLicenseAssign_2026-01-29",
        "OauthToken_2026-01-29",
        "ConnectedApplication_2026-01-29",
        "LoginIpRange_2026-01-30",
        "Profile_2026-01-30",
        "SetupAuditTrail_2026-01-30",
    ],
    &[
        "EventLogFile_2025-12",
        "Login_2026-01-07.csv",
        "User_2026-01-30",
        "UserLogin_2026-01-30",
        "PermissionSet_2026-01-30",
        "PermissionSetAssignment_2026-01-30",
        "PermissionSetLicenseAssign_2026-01-30",
        "OauthToken_2026-01-30",
        "ConnectedApplication_2026-01-30",
        "LoginIpRange_2026-01-29",
        "Profile_2026-01-29",
    ],
    // A change of the roster shows in two snapshots, and in the audit trail.
    &[
        "User_2026-01-29",
        "PermissionSetAssignment_2026-01-29",
        "SetupAuditTrail_2026-01-29",
    ],
    // Its last two hours came with the next day's file.
    &["Login_2026-01-13"],
    // The beginning of the history: which apps were used then is in this file alone.
    &["LoginHistory_2026-01-12"],
];

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
    /// The file that each of the parts is from; 0 for a rollup.
    part_files: Vec<i64>,
}

/// The file whose rows a part holds: the first row's, because no part holds two.
fn file_of(part: &Path) -> i64 {
    let file = fs::File::open(part).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut reader = reader.with_batch_size(1).build().unwrap();
    let rows = reader.next().unwrap().unwrap();
    match rows.column_by_name("file_id") {
        Some(ids) => ids.as_primitive::<Int64Type>().value(0),
        None => 0,
    }
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
        let parts = lake.ledger().snapshot(LedgerTable::Parts).unwrap();
        let types = parts.column_by_name("event_type").unwrap().as_string_view();
        let paths = parts.column_by_name("path").unwrap().as_string_view();
        let part_files = (0..parts.num_rows())
            .map(|row| match types.value(row).starts_with("rollup") {
                true => 0,
                false => file_of(&lake.data_dir().join(paths.value(row))),
            })
            .collect();
        Self {
            part_files,
            session: Session::open(&lake, &catalog, &Registry::empty(), &options).unwrap(),
            coverage: Coverage::of_lake(&lake, &catalog).unwrap(),
            rules: RuleSet::embedded().unwrap(),
            files: lake.ledger().snapshot(LedgerTable::Files).unwrap(),
            parts,
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
        let keep_file: BooleanArray = ids
            .iter()
            .map(|id| Some(!hidden.contains(&id.unwrap())))
            .collect();
        let keep_part: BooleanArray = self
            .part_files
            .iter()
            .map(|id| Some(!hidden.contains(id)))
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
            let evidence: Value = serde_json::from_str(&finding.evidence_json).unwrap();
            let slots = evidence["missing_slots"].as_array().unwrap();
            told.entry(evidence["event_type"].as_str().unwrap().to_owned())
                .or_default()
                .extend(slots.iter().map(|slot| slot.as_str().unwrap().to_owned()));
        }
        told
    }
}

fn name_of(file: &LogFile) -> &str {
    file.path.file_name().unwrap().to_str().unwrap()
}

/// Files whose loss is not told as a missing file.
fn untold(night: &Night) -> Vec<LogFile> {
    let before = night.told(&BTreeSet::new());
    let mut by_type: BTreeMap<String, Vec<LogFile>> = BTreeMap::new();
    let mut untold = vec![];
    for file in night.log_files() {
        match file.path.extension().is_some_and(|e| e == "zip") {
            // Five days of every type at once.
            true => untold.push(file),
            // A repetition brought no row: without it every row is there.
            false if file.kept == 0 => {}
            false => by_type
                .entry(file.event_type.clone())
                .or_default()
                .push(file),
        }
    }
    let rounds = by_type.values().map(Vec::len).max().unwrap();
    for round in 0..rounds {
        // One file of each type at a time, of days apart.
        let lost: Vec<&LogFile> = by_type
            .values()
            .enumerate()
            .filter(|(_, files)| round < files.len())
            .map(|(n, files)| &files[(round + 3 * n) % files.len()])
            .collect();
        let hidden = lost.iter().flat_map(|f| f.ids.iter().copied()).collect();
        let told = night.told(&hidden);
        let same = |file: &LogFile| told.get(&file.event_type) == before.get(&file.event_type);
        untold.extend(lost.into_iter().filter(|file| same(file)).cloned());
    }
    untold
}

fn findings(jsonl: &str) -> BTreeMap<String, Value> {
    let all = jsonl
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.map(|f| (f["finding_id"].as_str().unwrap().to_owned(), f))
        .collect()
}

fn level(finding: &Value) -> usize {
    let levels = ["info", "low", "medium", "high", "critical"];
    let own = finding["severity"].as_str().unwrap();
    levels.iter().position(|level| *level == own).unwrap()
}

/// Findings of the whole night that are gone or lower when these files never came, and for which
/// nothing of the same user and day came at least as high; and whether a coverage finding came.
fn lowered(group: &[&str], coverage_rules: &BTreeSet<String>) -> (Vec<String>, bool) {
    let dir = tempfile::tempdir().unwrap();
    sample::desk(dir.path());
    let kept: Vec<String> = paths_below(&sample::folder().join("logs"))
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            !group.iter().any(|lost| name.starts_with(lost))
        })
        .map(|path| path.display().to_string())
        .collect();
    let mut arguments = vec!["run", "--now", "2026-01-31T03:00:00Z"];
    arguments.extend(kept.iter().map(String::as_str));
    expect(1, orgwatch(dir.path(), &arguments));
    let list = orgwatch(dir.path(), &["findings", "list", "--format", "jsonl"]);
    let after = findings(&expect(0, list));
    let before = findings(&WholeNight::get().findings);
    let day = |f: &Value| f["first_seen"].as_str().unwrap()[..10].to_owned();
    let came: Vec<&Value> = after
        .iter()
        .filter(|(id, _)| !before.contains_key(*id))
        .map(|(_, finding)| finding)
        .collect();
    let lowered = before
        .iter()
        .filter(|(id, f)| after.get(*id).is_none_or(|now| level(now) < level(f)))
        .filter(|(_, f)| {
            let replaces = |new: &&Value| {
                new["username"] == f["username"] && day(new) == day(f) && level(new) >= level(f)
            };
            !came.iter().any(replaces)
        })
        .map(|(_, f)| format!("{} {} {}", f["rule_id"], f["username"], day(f)))
        .collect();
    let told = came
        .iter()
        .any(|new| coverage_rules.contains(new["rule_id"].as_str().unwrap()));
    (lowered, told)
}

#[test]
fn the_loss_of_any_log_file_is_told_or_costs_no_detection() {
    let night = Night::open();
    let untold = untold(&night);
    let grouped = |file: &LogFile| {
        let name = name_of(file);
        GROUPS
            .iter()
            .any(|group| group.iter().any(|lost| name.starts_with(lost)))
    };
    let silent: Vec<&str> = untold.iter().filter(|f| !grouped(f)).map(name_of).collect();
    assert!(silent.is_empty(), "nothing tells the loss of {silent:?}");

    let coverage: BTreeSet<String> = night
        .rules
        .iter()
        .filter(|rule| rule.family == Family::Coverage)
        .map(|rule| rule.id.clone())
        .collect();
    for group in GROUPS {
        let (lowered, told) = lowered(group, &coverage);
        // Of several files together it does not show whose loss was told.
        assert!(
            lowered.is_empty() || (told && group.len() == 1),
            "without {group:?}: {lowered:#?}"
        );
    }
}
